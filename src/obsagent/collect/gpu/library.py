"""NVML itself: how it is opened and let go, and what its errors mean. Only this module imports pynvml.

`Api` is pynvml's module, whose functions raise `api.NVMLError` with an error's code as `value`.
"""

from __future__ import annotations

import _ctypes
import os
from contextlib import suppress
from enum import Enum, IntEnum
from typing import Any

from obsagent.collect.collector import Unreadable

Api = Any
LIBRARY = "libnvidia-ml.so.1"


class Code(IntEnum):
    """The error codes that are told apart (`nvmlReturn_t` of nvml.h)."""

    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    INSUFFICIENT_SIZE = 7
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    IRQ_ISSUE = 11
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    OPERATING_SYSTEM = 17
    LIB_RM_VERSION_MISMATCH = 18
    NO_DATA = 21
    ARGUMENT_VERSION_MISMATCH = 25
    DEPRECATED = 26
    NOT_READY = 27
    GPU_NOT_FOUND = 28


class Fate(Enum):
    """What an error says of what comes next."""

    NEVER = "this question has no answer here, now and later"
    NOT_NOW = "there is nothing to tell at the moment"
    LOST = "this GPU answers no question"
    CLOSED = "NVML has to be opened again"
    WRONG = "this question went wrong"


FATES: dict[int, Fate] = {
    Code.NOT_SUPPORTED: Fate.NEVER,
    Code.NO_PERMISSION: Fate.NEVER,
    Code.FUNCTION_NOT_FOUND: Fate.NEVER,
    Code.ARGUMENT_VERSION_MISMATCH: Fate.NEVER,
    Code.DEPRECATED: Fate.NEVER,
    Code.INVALID_ARGUMENT: Fate.NOT_NOW,  # a MIG instance that is gone: its UUID may come again
    Code.NOT_FOUND: Fate.NOT_NOW,
    Code.INSUFFICIENT_SIZE: Fate.NOT_NOW,  # more processes came than there was room made for
    Code.NO_DATA: Fate.NOT_NOW,
    Code.NOT_READY: Fate.NOT_NOW,
    Code.TIMEOUT: Fate.LOST,
    Code.IRQ_ISSUE: Fate.LOST,
    Code.GPU_IS_LOST: Fate.LOST,
    Code.RESET_REQUIRED: Fate.LOST,
    Code.OPERATING_SYSTEM: Fate.LOST,
    Code.GPU_NOT_FOUND: Fate.LOST,
    Code.UNINITIALIZED: Fate.CLOSED,
    Code.DRIVER_NOT_LOADED: Fate.CLOSED,
    Code.LIB_RM_VERSION_MISMATCH: Fate.CLOSED,
}
ADVICE: dict[int, str] = {
    Code.DRIVER_NOT_LOADED: "its kernel module is not loaded (modprobe nvidia)",
    Code.GPU_IS_LOST: "it has fallen off the bus: dmesg has its Xid, and a reset or a reboot brings it back",
    Code.IRQ_ISSUE: "the kernel cannot route its interrupts: dmesg says why",
    Code.LIB_RM_VERSION_MISMATCH: "it was updated, and the old kernel module still runs: load the new one, or reboot",
    Code.NO_PERMISSION: "the agent's user may not open /dev/nvidia*",
    Code.OPERATING_SYSTEM: "the system keeps it from the agent: a container needs the device in its cgroup",
    Code.RESET_REQUIRED: "it needs a reset (nvidia-smi --gpu-reset), for which nothing may use it, this agent included",
    Code.TIMEOUT: "it does not answer: dmesg says more",
}
QUIET: dict[int, str] = {
    Code.LIBRARY_NOT_FOUND: f"no NVIDIA driver here ({LIBRARY} is not found)",
    Code.DRIVER_NOT_LOADED: "the NVIDIA driver is installed and not loaded",
}
"""What is no trouble on a machine where NVML has not worked before."""


class Absent(Exception):
    """There is nothing to read here, and nothing wrong with that; the message says what is not there."""


def fate_of(error: Exception) -> Fate:
    """What an `NVMLError` means for what comes next."""
    return FATES.get(code_of(error), Fate.WRONG)


def code_of(error: Exception) -> int:
    """The code of an `NVMLError`."""
    return int(getattr(error, "value", -1))


def told(error: Exception) -> str:
    """An `NVMLError` in words, with what can be done."""
    says = str(error).rstrip(".")
    advice = ADVICE.get(code_of(error))
    return f"{says}: {advice}" if advice else says


def open_nvml(*, worked_before: bool) -> Api:
    """pynvml, ready to be asked. Raises `Absent` without a driver, unless there was one, and `Unreadable`."""
    if not _has_library() and not worked_before:
        raise Absent(QUIET[Code.LIBRARY_NOT_FOUND])
    try:
        import pynvml
    except ImportError:
        raise Absent("the package nvidia-ml-py is not installed: pip install 'obsagent[agent]'") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        trouble = f"the NVIDIA driver: {told(error)}"  # the library knows the words for some codes
        let_go(pynvml)
        quiet = QUIET.get(code_of(error))
        if quiet and not worked_before:
            raise Absent(quiet) from None
        raise Unreadable(trouble) from None
    return pynvml


def _has_library() -> bool:
    """Looked up apart, since pynvml takes 2 MB and 50 ms: most machines have no GPU."""
    try:
        _ctypes.dlclose(_ctypes.dlopen(LIBRARY, os.RTLD_NOW))
    except OSError:
        return False
    return True


def close_nvml(api: Api) -> None:
    """Ends what `open_nvml` began; the library stays loaded."""
    with suppress(api.NVMLError):
        api.nvmlShutdown()


def let_go(api: Api) -> None:
    """Unloads a library that does not work, so that the next one is read from disk: the driver may be another then.

    pynvml would keep it, and the functions it has found in it, for the life of the process.
    """
    library, api.nvmlLib = api.nvmlLib, None
    api._nvmlGetFunctionPointer_cache.clear()
    if library is not None:
        _ctypes.dlclose(library._handle)
