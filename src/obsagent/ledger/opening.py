"""Finding out what a ledger's directory holds."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from obsagent.errors import CorruptData, StoreError, UnsupportedVersion
from obsagent.fs import TEMPORARY_SUFFIX, Fs
from obsagent.ledger import manifest as manifests
from obsagent.ledger.manifest import Manifest, RunEntry
from obsagent.ledger.merge import run_path
from obsagent.ledger.run import BY_NUMBER, Run, heap_of
from obsagent.ledger.settings import Gap
from obsagent.limits import TIME_MS_MAX

ATTEMPTS = 5
MISSING = "the file is missing"
SUFFIXES = (".run", ".heap", TEMPORARY_SUFFIX)
CORRUPT_SUFFIX = ".corrupt"


class Lost(NamedTuple):
    """A run that counts and cannot be read."""

    entry: RunEntry
    reason: str

    @property
    def gap(self) -> Gap:
        """What is missing with it."""
        table = BY_NUMBER[self.entry.table].name
        return Gap(table, self.entry.first_ms, self.entry.last_ms, self.entry.rows, self.reason)


class Opened(NamedTuple):
    """What was found."""

    manifest: Manifest
    runs: tuple[Run, ...]
    lost: tuple[Lost, ...]


def open_directory(directory: Path, fs: Fs | None) -> Opened:
    """What counts in a directory. With an `fs` it is made if it is not there, and what does not count is removed.

    Raises StoreError.
    """
    try:
        if fs is not None:
            fs.make_directory(directory)
        return _open(directory, fs)
    except OSError as error:
        raise StoreError(f"cannot open the ledger {directory}: {error.strerror or error}") from error


def _open(directory: Path, fs: Fs | None) -> Opened:
    opened = _read(directory, fs)
    for _ in range(ATTEMPTS if fs is None else 0):
        if all(each.reason != MISSING for each in opened.lost):
            break  # else an agent has merged them meanwhile
        opened = _read(directory, fs)
    if fs is not None:
        _remove_leftovers(directory, fs, {path_of(directory, entry) for entry in opened.manifest.runs})
    return opened


def _read(directory: Path, fs: Fs | None) -> Opened:
    manifest, wrong = manifests.load(directory)
    if manifest is None:
        return Opened(_without_manifest(directory, fs, [path for path, _ in wrong]), (), ())
    return Opened(manifest, *_runs(directory, manifest))


def _runs(directory: Path, manifest: Manifest) -> tuple[tuple[Run, ...], tuple[Lost, ...]]:
    runs: list[Run] = []
    lost: list[Lost] = []
    for entry in manifest.runs:
        try:
            runs.append(named_run(directory, manifest, entry))
        except FileNotFoundError:
            lost.append(Lost(entry, MISSING))
        except UnsupportedVersion as error:
            raise StoreError(str(error)) from None
        except (CorruptData, OSError) as error:
            lost.append(Lost(entry, str(error)))
    return tuple(runs), tuple(lost)


def named_run(directory: Path, manifest: Manifest, entry: RunEntry) -> Run:
    """A run that a manifest names. Raises CorruptData, StoreError if a newer version wrote it, OSError."""
    run = Run(path_of(directory, entry), entry.number, entry.newest)
    if (run.table.number, run.rows) != (entry.table, entry.rows):
        raise CorruptData("not the run that the manifest names")
    run.check_names(len(manifest.state.get("models", ())), len(manifest.state.get("series", ())))
    return run


def path_of(directory: Path, entry: RunEntry) -> Path:
    """Where a run of the manifest lies."""
    return run_path(directory, entry.number, BY_NUMBER[entry.table])


def _without_manifest(directory: Path, fs: Fs | None, damaged: list[Path]) -> Manifest:
    """Nothing counts without a manifest. If there was one, it and the runs are set aside, and all time is a gap."""
    if not damaged:
        return Manifest()
    if fs is not None:
        for path in [*damaged, *directory.glob("*.run"), *directory.glob("*.heap")]:
            set_aside(path, fs)
    return Manifest(gaps=(Gap("manifest", 0, TIME_MS_MAX, 0, "the manifest is damaged"),))


def _remove_leftovers(directory: Path, fs: Fs, counting: set[Path]) -> None:
    """Files that an agent wrote, or replaced, just before it died."""
    keep = counting | {heap_of(path) for path in counting}
    for path in directory.iterdir():
        if path.suffix in SUFFIXES and path not in keep:
            with suppress(OSError):
                fs.remove(path)


def set_aside(path: Path, fs: Fs) -> None:
    """Renames a damaged file so that it is kept but not read again; one that resists stays."""
    with suppress(OSError):
        fs.rename(path, path.with_name(path.name + CORRUPT_SUFFIX))
