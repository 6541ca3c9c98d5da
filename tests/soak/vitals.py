"""What a process and a directory take: resident bytes, descriptors, threads, bytes on disk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from soak.slopes import Allowance, Measured

MB = 1e6
RESIDENT, DESCRIPTORS, THREADS = "resident", "descriptors", "threads"


class Vitals:
    """Measures one process after another under the same name; it must live while it is measured."""

    def __init__(self, name: str, resident_mb: float, most_mb: float = float("inf"), descriptors: float = 2.0) -> None:
        self.measured = {
            RESIDENT: Measured(Allowance(f"{name}: resident", "MB", resident_mb, most_mb)),
            DESCRIPTORS: Measured(Allowance(f"{name}: descriptors", "", descriptors)),
            THREADS: Measured(Allowance(f"{name}: threads", "", 0.5)),
        }

    def take(self, at_s: float, pid: int) -> None:
        """One measurement; none if the process is gone."""
        process = Path(f"/proc/{pid}")
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
            if "VmRSS" not in fields:
                return
            descriptors = sum(1 for _ in (process / "fd").iterdir())
            self.measured[RESIDENT].add(at_s, int(fields["VmRSS"].split()[0]) * 1024 / MB)
            self.measured[THREADS].add(at_s, int(fields["Threads"]))
            self.measured[DESCRIPTORS].add(at_s, descriptors)

    def begin_anew(self) -> None:
        for each in self.measured.values():
            each.begin_anew()


def disk_mb(directory: Path) -> float:
    """Megabytes of the files below a directory, which come and go meanwhile."""
    total = 0
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total / MB
