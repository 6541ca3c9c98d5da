"""Runs a command with the evidence on its standard input: no shell, a process group of its own, a time limit.

What it writes goes to the log, line by line, up to a limit; the rest is thrown away, so that a command that never stops
writing costs no memory. What it leaves running in the background is left alone, but nobody reads its output.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from obsagent.errors import printable
from obsagent.limits import RETRAIN_LINE_CHARACTERS, RETRAIN_OUTPUT_LINES
from obsagent.retrain.outcome import Outcome

logger = logging.getLogger(__name__)

LOOK_S = 0.1
GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""
READ_BYTES = 64 << 10


def run_command(
    command: Sequence[str],
    evidence: bytes,
    timeout_s: float,
    stopping: threading.Event,
    *,
    name: str = "",
    started: Callable[[], None] = lambda: None,
) -> Outcome:
    """Runs it to its end; `started` is called once it runs. Ends it, and all in its group, when `stopping` is set."""
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Outcome(False, f"{printable(command[0])} cannot be run: {reason}")
    started()
    with process:
        why = _Pipes(process, evidence, name).serve(began + timeout_s, stopping)
        if why:
            _end(process)
        code = process.wait()
    took = f"after {time.monotonic() - began:.1f}s"
    if why:
        return Outcome(False, f"was ended {took}: {why}", code)
    if code < 0:
        return Outcome(False, f"was ended by {_signal_name(-code)} {took}", code)
    return Outcome(code == 0, f"exited with {code} {took}", code)


class _Pipes:
    """The evidence on its way in, the output on its way to the log."""

    def __init__(self, process: subprocess.Popen[bytes], evidence: bytes, name: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._left = memoryview(evidence)
        self._log = _Lines(name)
        self._stdin, self._stdout = process.stdin, process.stdout
        self._selector = selectors.DefaultSelector()
        os.set_blocking(self._stdin.fileno(), False)
        os.set_blocking(self._stdout.fileno(), False)
        self._selector.register(self._stdin, selectors.EVENT_WRITE, self._write)
        self._selector.register(self._stdout, selectors.EVENT_READ, self._read)

    def serve(self, deadline_s: float, stopping: threading.Event) -> str:
        """Until the command has ended, or should; then it says why."""
        with self._selector:
            while True:
                has_ended = self._process.poll() is not None  # before the last look at its pipes
                for key, _ in self._selector.select(0 if has_ended else LOOK_S):
                    key.data()
                if has_ended:
                    self._drain()
                    return ""
                if stopping.is_set():
                    return "the agent ends"
                if time.monotonic() > deadline_s:
                    return "its time is over; raise timeout if it needs longer"
                if not self._selector.get_map():
                    time.sleep(LOOK_S)  # it has closed both, and goes on

    def _drain(self) -> None:
        """What the ended process has written; a process that it left behind may go on writing for ever."""
        for _ in range(RETRAIN_OUTPUT_LINES):
            if self._stdout not in self._selector.get_map() or not self._read():
                break
        self._log.end()

    def _write(self) -> None:
        try:
            self._left = self._left[os.write(self._stdin.fileno(), self._left) :]
        except BlockingIOError:
            return
        except OSError:  # it does not want to know
            self._left = self._left[len(self._left) :]
        if not self._left:
            self._selector.unregister(self._stdin)
            with suppress(OSError):
                self._stdin.close()

    def _read(self) -> bool:
        try:
            data = os.read(self._stdout.fileno(), READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(self._stdout)
        self._log.add(data)
        return bool(data)


class _Lines:
    """What was written, to the log; no more of it than the limits say."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open = b""
        self._count = 0

    def add(self, data: bytes) -> None:
        """The next bytes."""
        *lines, self._open = (self._open + data).split(b"\n")
        for line in lines:
            self._put(line)
        self._open = self._open[: 4 * RETRAIN_LINE_CHARACTERS]

    def end(self) -> None:
        """There is no more."""
        if self._open:
            self._put(self._open)
        self._open = b""

    def _put(self, line: bytes) -> None:
        self._count += 1
        if self._count <= RETRAIN_OUTPUT_LINES:
            text = printable(line.decode("utf-8", "replace"))[:RETRAIN_LINE_CHARACTERS]
            logger.info("on_retrain%s: %s", f" of {self._name}" if self._name else "", text)
        elif self._count == RETRAIN_OUTPUT_LINES + 1:
            logger.info("on_retrain: it writes more than %d lines; the others are left out", RETRAIN_OUTPUT_LINES)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks all processes of the group to end, then makes them."""
    _signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    _signal_group(process, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.returncode is None or _group_is_there(process.pid):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def _group_is_there(group: int) -> bool:
    """True if a process of the group is left: while it is, its number is given to no other."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False
    return True


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
