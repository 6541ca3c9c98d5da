"""A terminal that a test can type into and look at: one tmux server a test, one window."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 20.0
LOOK_S = 0.05


def need(program: str) -> str:
    """The program's path; skips the test where it is missing, except in CI, where that is a failure."""
    path = shutil.which(program)
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"{program} is not installed, and CI must have it (.ci/run)")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


class Tmux:
    """A terminal of a fixed size that runs one shell."""

    def __init__(self, socket: Path, columns: int, lines: int) -> None:
        self._socket = socket
        shell = ["env", "-u", "COLUMNS", "PS1=prompt$ ", "bash", "--norc", "--noprofile", "-i"]
        self._run("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines), *shell)
        self.wait_for(lambda screen: "prompt$" in screen)

    def _run(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, check=True)
        return done.stdout

    def type(self, text: str) -> None:
        """Types characters as they are."""
        self._run("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Presses keys by tmux's names: Enter, Tab, Right, C-c, Escape."""
        self._run("send-keys", *keys)

    def enter(self, line: str) -> None:
        """Types a line and Enter."""
        self.type(line)
        self.press("Enter")

    def resize(self, columns: int, lines: int) -> None:
        """Another size from now on."""
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    @property
    def screen(self) -> str:
        """What is shown."""
        return self._run("capture-pane", "-p")

    @property
    def state(self) -> tuple[bool, bool]:
        """Whether the second screen is shown, and whether the cursor is."""
        alternate, cursor = self._run("display-message", "-p", "#{alternate_on} #{cursor_flag}").split()
        return alternate == "1", cursor == "1"

    def becomes(self, wanted: Callable[[str], bool], patience_s: float) -> bool:
        """Whether the screen is as wanted within so many seconds."""
        deadline = time.monotonic() + patience_s
        while not wanted(self.screen):
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def wait_for(self, wanted: Callable[[str], bool]) -> str:
        """The screen, as soon as it is as wanted; fails with what it was."""
        shown: list[str] = []
        as_wanted = self.becomes(lambda screen: shown.append(screen) or wanted(screen), PATIENCE_S)
        assert as_wanted, f"the screen never was as wanted:\n{shown[-1]}"
        return shown[-1]

    def wait_for_text(self, *texts: str) -> str:
        """The screen, as soon as all of the texts are on it."""
        return self.wait_for(lambda screen: all(text in screen for text in texts))

    def close(self) -> None:
        """Ends everything in it."""
        self._run("kill-server")


@contextmanager
def terminal(directory: Path, columns: int = 80, lines: int = 24) -> Iterator[Tmux]:
    """A terminal for as long as the block lasts."""
    need("tmux")
    opened = Tmux(directory / "tmux.sock", columns, lines)
    try:
        yield opened
    finally:
        opened.close()
