"""A load by wrk, which counts: each of its threads keeps one connection, and stops after so many responses."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from integration.tmux import need

SCRIPT = """
local asked, answered = 0, 0
request = function()
    asked = asked + 1
    return wrk.format("GET", "{path}" .. asked)
end
response = function(status)
    answered = answered + 1
    if answered == {responses} then  -- the next request is not sent yet
        wrk.thread:stop()
        io.write("finished\\n")
        io.flush()
    end
end
done = function(summary)
    io.write(string.format("counted %d %d\\n", summary.requests, summary.errors.status))
    io.flush()
end
"""


class Counted(NamedTuple):
    """Responses that came whole, and those of them that tell of an error."""

    responses: int
    errors: int


class Wrk:
    """A running load; `end` waits for its threads."""

    def __init__(self, directory: Path, url: str, path: str, responses: int, threads: int = 4) -> None:
        """Each thread asks for `path` with a number behind it until it has so many responses."""
        script = directory / "load.lua"
        script.write_text(SCRIPT.format(path=path, responses=responses))
        command = [need("wrk"), "-t", str(threads), "-c", str(threads), "-d", "600s", "--timeout", "60s", "-s"]
        self._threads = threads
        self._process = subprocess.Popen([*command, str(script), url], stdout=subprocess.PIPE, text=True)

    def end(self) -> Counted:
        assert self._process.stdout is not None
        lines: list[str] = []
        while lines.count("finished\n") < self._threads:
            lines.append(self._process.stdout.readline())
            assert lines[-1], "".join(lines)
        self._process.send_signal(signal.SIGINT)  # it would sleep until its duration is over
        out, _ = self._process.communicate(timeout=60)
        found = re.search(r"^counted (\d+) (\d+)$", out, re.MULTILINE)
        assert found, out
        return Counted(int(found[1]), int(found[2]))

    def kill(self) -> None:
        """If the test failed meanwhile."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
