"""A fake NVML (fake_nvml.c) that a test builds and rules, and a collector in a process that has loaded it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SOURCE = Path(__file__).with_name("fake_nvml.c")
LIBRARY = "libnvidia-ml.so.1"
DIRECTORY = TemporaryDirectory(prefix="obsagent-nvml-")
"""Goes with the process."""
GIB = 1 << 30

HEALTHY = {
    "memory": (80 * GIB, 70 * GIB, 10 * GIB),
    "utilization": (37, 12),
    "encoder": 5,
    "decoder": 7,
    "power": 250_500,
    "power_limit": 400_000,
    "energy": 9_000_000_000_000,
    "temperature": 61,
    "thresholds": (95, 90, 105, 85),
    "clocks": (1410, 1410, 1593, 1275),
    "clocks_max": (1980, 1980, 2619, 1545),
    "reasons": 0x4 | 0x40,
    "violations": (2_500_000_000, 0, 0, 0, 0, 0),
    "ecc": (3, 0, 17, 1),
    "pcie": (1_200, 34_000),
    "replays": 2,
    "field82": 72,
    "field38": 4,
    "field52": 1,
}
"""The lines of a board that supports everything, in NVML's units."""

PROGRAM = """
import json, sys
from obsagent.collect.gpu.collector import GpuCollector
from obsagent.collect.gpu_settings import GpuSettings

owners, retry_s = {int(pid): labels for pid, labels in json.loads(sys.argv[1]).items()}, float(sys.argv[2])
collector = GpuCollector(GpuSettings(), lambda: owners, retry_s)
for _ in sys.stdin:
    readings, error = [], ""
    try:
        for reading in collector.collect():
            readings.append([reading.instrument.name, reading.labels, reading.value])
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    print(json.dumps({"readings": readings, "error": error, "note": collector.note}), flush=True)
collector.close()
"""


@cache
def built() -> Path:
    """The directory of the library, compiled once a process."""
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden"]
    library = Path(DIRECTORY.name) / LIBRARY
    subprocess.run([os.environ.get("CC", "cc"), *flags, str(SOURCE), "-o", str(library)], check=True)
    return library.parent


class FakeGpus:
    """What the fake library says: {device: {word: values}}; `""` is the device of what belongs to none."""

    def __init__(self, directory: Path, count: int = 1) -> None:
        """So many healthy boards."""
        self._control, self._calls = directory / "gpus", directory / "calls"
        self.devices: dict[str, dict[str, Any]] = {"": {"gpus": count}}
        for index in range(count):
            self.devices[str(index)] = dict(HEALTHY)
        self.write()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to load the library and be told this."""
        return {
            "LD_LIBRARY_PATH": str(built()),
            "FAKE_NVML": str(self._control),
            "FAKE_NVML_CALLS": str(self._calls),
        }

    def set(self, device: str, **words: Any) -> None:
        """Changes lines of a device; None removes one. A list is several lines."""
        known = self.devices.setdefault(device, {})
        known.update(words)
        self.devices[device] = {word: values for word, values in known.items() if values is not None}
        self.write()

    def write(self) -> None:
        """At once: the library reads it at any moment."""
        new = self._control.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in self._lines()))
        new.replace(self._control)

    def _lines(self) -> list[str]:
        lines = []
        for device, words in self.devices.items():
            for word, values in words.items():
                for each in values if isinstance(values, list) else [values]:
                    shown = " ".join(map(str, each)) if isinstance(each, tuple) else str(each)
                    lines.append(f"{device}.{word} {shown}".removeprefix("."))
        return lines

    def take_calls(self) -> list[str]:
        """The questions since the last call: function and device."""
        calls = self._calls.read_text().splitlines() if self._calls.exists() else []
        with suppress(FileNotFoundError):
            self._calls.unlink()
        return calls


class CollectorProcess:
    """A GPU collector in a process of its own: pynvml loads the fake, or with `gpus` None finds nothing."""

    def __init__(
        self, gpus: FakeGpus | None, owners: dict[int, dict[str, str]] | None = None, retry_s: float = 0.0
    ) -> None:
        path = os.pathsep.join(each for each in sys.path if each)
        environment = {**os.environ, "PYTHONPATH": path, **(gpus.environment if gpus else {})}
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(owners or {}), str(retry_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def round(self) -> Found:
        """Runs a round."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Found(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> CollectorProcess:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.communicate(timeout=60)
        assert process.returncode == 0


class Found:
    """What a round brought."""

    def __init__(self, readings: list[tuple[str, dict[str, str], float]], error: str, note: str) -> None:
        self.readings = readings
        self.error = error
        self.note = note

    def value(self, metric: str, /, **labels: str) -> float:
        """The only reading of an instrument with these labels among others."""
        (value,) = self.values(metric, **labels)
        return value

    def values(self, metric: str, /, **labels: str) -> list[float]:
        """All readings of an instrument with these labels among others."""
        return [value for name, found, value in self.readings if name == metric and labels.items() <= found.items()]

    @property
    def names(self) -> set[str]:
        """The instruments."""
        return {name for name, _, _ in self.readings}
