"""The terminal while `obsagent top` has it: its second screen, its keys one by one, and all of it given back.

Whatever ends the `with` block (a key, an exception, SIGTERM, which becomes one) restores the terminal. Ctrl-Z gives
it back for as long as the program is stopped.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import tty
from types import FrameType
from typing import Any

ENTER_SCREEN = "\x1b[?1049h\x1b[?25l"
LEAVE_SCREEN = "\x1b[?25h\x1b[?1049l"
HOME = "\x1b[H"
CLEAR_LINE = "\x1b[K"
CLEAR_BELOW = "\x1b[J"
TERMINATED = 128 + signal.SIGTERM
READ_BYTES = 256

_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])|[\s\S]")
_NAMES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[C": "right",
    "\x1b[D": "left",
    "\x1bOC": "right",
    "\x1bOD": "left",
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
}


def keys_of(data: bytes) -> list[str]:
    """The keys in what a terminal sent: characters, and names for those that are none; others are passed over."""
    found = []
    for key in _SEQUENCE.findall(data.decode("utf-8", "ignore")):
        name = _NAMES.get(key, key)
        if name == key and not key.isprintable():
            continue
        found.append(name)
    return found


class Terminal:
    """The process's terminal; use it with `with`."""

    def __init__(self) -> None:
        """Nothing happens before `with`."""
        self._input = sys.stdin.fileno()
        self._saved: list[Any] = []
        self._handlers: dict[int, Any] = {}
        self._wake_read, self._wake_write = -1, -1

    def __enter__(self) -> Terminal:
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        handlers = {signal.SIGTERM: self._terminate, signal.SIGTSTP: self._stop, signal.SIGWINCH: lambda *_: None}
        self._handlers = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def wake(self) -> None:
        """Ends a `pressed`; may be called from any thread."""
        try:
            os.write(self._wake_write, b"w")
        except OSError:
            pass  # full: it will wake anyway; closed: nobody waits any more

    def pressed(self) -> list[str]:
        """Waits for keys, a `wake` or a signal; [] if it was not a key. A terminal that has gone is `q`."""
        ready, _, _ = select.select([self._input, self._wake_read], [], [])
        if self._wake_read in ready:
            os.read(self._wake_read, READ_BYTES)
        if self._input not in ready:
            return []
        return keys_of(data) if (data := os.read(self._input, READ_BYTES)) else ["q"]

    @staticmethod
    def size() -> tuple[int, int]:
        """Columns and lines."""
        try:
            return os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            return 80, 24

    @staticmethod
    def draw(lines: list[str]) -> None:
        """Shows a screen, in one write."""
        text = f"{CLEAR_LINE}\r\n".join(lines)
        sys.stdout.write(f"{HOME}{text}{CLEAR_LINE}{CLEAR_BELOW}")
        sys.stdout.flush()

    def _take(self) -> None:
        self._saved = termios.tcgetattr(self._input)
        tty.setcbreak(self._input)
        sys.stdout.write(ENTER_SCREEN)
        sys.stdout.flush()

    def _give_back(self) -> None:
        termios.tcsetattr(self._input, termios.TCSADRAIN, self._saved)
        sys.stdout.write(LEAVE_SCREEN)
        sys.stdout.flush()

    @staticmethod
    def _terminate(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
