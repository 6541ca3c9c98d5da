"""The collector of the GPUs: opens NVML, reads every round, and opens it again when it has to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from obsagent.collect.collector import Unreadable
from obsagent.collect.gpu.devices import HOST, Devices, Round
from obsagent.collect.gpu.library import Absent, Api, close_nvml, let_go, open_nvml, told
from obsagent.collect.gpu.processes import Owners
from obsagent.collect.gpu.questions import Closed
from obsagent.collect.gpu_settings import GpuSettings
from obsagent.limits import GPU_RETRY_S
from obsagent.readings import Reading

Key = tuple[str, tuple[tuple[str, str], ...]]


class GpuCollector:
    """Every call belongs to the collector's thread. Without a driver or a GPU it rests, and `note` says so."""

    name = "gpu"

    def __init__(self, settings: GpuSettings, owners: Callable[[], Owners], retry_s: float = GPU_RETRY_S) -> None:
        """`owners` tells the labels of the sessions by the pids of their processes, as the host counts them.

        After `retry_s` what did not open, or a GPU that was lost, is tried again.
        """
        self.interval_s = settings.interval_ms / 1000
        self.note = ""
        self._owners = owners
        self._retry_s = retry_s
        self._api: Api | None = None
        self._devices: Devices | None = None
        self._worked = False
        self._open_at_s = 0.0
        self._trouble = ""
        self._of_services: dict[Key, Reading] = {}

    def collect(self) -> Iterator[Reading]:
        """One round; raises `Unreadable` after it for the GPUs that cannot be read."""
        if time.monotonic() >= self._open_at_s:
            self._open()
        if self._devices is None:
            if self._trouble:
                raise Unreadable(self._trouble)
            return
        found = Round()
        try:
            yield from self._with_ends(self._devices.read(self._owners(), found))
        except Closed as error:
            self._abandon()
            raise Unreadable(f"the NVIDIA driver: {error}; it is opened again") from error
        self._open_at_s = min(self._open_at_s, time.monotonic() + self._retry_s) if found.lost else math.inf
        if found.troubles:
            raise Unreadable("; ".join(found.troubles))

    def close(self) -> None:
        """Ends NVML."""
        api, self._api, self._devices = self._api, None, None
        if api is not None:
            close_nvml(api)

    def _open(self) -> None:
        """Opens NVML, or says in `note` or `_trouble` why not."""
        self.close()
        self.note = self._trouble = ""
        self._open_at_s = time.monotonic() + self._retry_s
        try:
            self._api = api = open_nvml(worked_before=self._worked)
            self._count(api)
        except Absent as error:
            self.note = str(error)
        except Unreadable as error:
            self._trouble = str(error)

    def _count(self, api: Api) -> None:
        try:
            devices = Devices(api, self.interval_s)
        except api.NVMLError as error:
            trouble = f"the NVIDIA driver: {told(error)}"
            self._abandon(self._open_at_s)
            raise Unreadable(trouble) from None
        if not devices.count:
            self.close()
            if self._worked:
                raise Unreadable("the NVIDIA driver sees no GPU any more: dmesg says why")
            raise Absent("the NVIDIA driver sees no GPU")
        self._devices = devices
        self._worked = True
        self._open_at_s = math.inf

    def _abandon(self, again_at_s: float = 0.0) -> None:
        """NVML does not work any more."""
        api = self._api
        self.close()
        self._open_at_s = again_at_s
        if api is not None:
            let_go(api)

    def _with_ends(self, readings: Iterable[Reading]) -> Iterator[Reading]:
        """The readings, and nothing at all, once, for services that have left a GPU since the last round."""
        now: dict[Key, Reading] = {}
        for reading in readings:
            if reading.labels["service"] != HOST:
                now[reading.instrument.name, tuple(sorted(reading.labels.items()))] = reading
            yield reading
        left = self._of_services.keys() - now.keys()
        yield from (replace(self._of_services[key], value=0.0) for key in left)
        self._of_services = now
