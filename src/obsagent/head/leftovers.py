"""What an agent that was cut short leaves in a store's directory, and what does not belong there.

    NAME.tmp            a file that was not finished: removed
    NAME.corrupt        what was set aside because it was damaged; kept, and never read again
    a directory, or anything else that is no file, in a file's place; a file in a directory's place: set aside

Files with names that are not the store's are let be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from obsagent.fs import TEMPORARY_SUFFIX, Fs
from obsagent.head import journal_format
from obsagent.head.directory import DRIFT_STATE_NAME, GUESTS, IDENTITY_NAME, LOCK_NAME, StoreDirectory, set_aside
from obsagent.head.journal import base_of
from obsagent.segment import format as segment_format
from obsagent.segment.recover import FILE_NAME


def temporary_files(directory: StoreDirectory) -> Iterator[Path]:
    """Files that were not finished."""
    names = (IDENTITY_NAME + TEMPORARY_SUFFIX, DRIFT_STATE_NAME + TEMPORARY_SUFFIX)
    yield from (directory.root / name for name in names if (directory.root / name).is_file())
    for folder, suffix in _folders(directory):
        if folder.is_dir():
            yield from (path for path in sorted(folder.glob(f"*{suffix}{TEMPORARY_SUFFIX}")) if path.is_file())


def misplaced(directory: StoreDirectory) -> Iterator[Path]:
    """What stands where a file or a directory of the store should be, and is none."""
    for folder, suffix in _folders(directory):
        if folder.exists() and not folder.is_dir():
            yield folder
        elif folder.is_dir():
            named = (path for path in sorted(folder.glob(f"*{suffix}")) if is_named(path))
            yield from (path for path in named if not path.is_file())
    identity = directory.root / IDENTITY_NAME
    if identity.is_dir():
        yield identity


def is_named(path: Path) -> bool:
    """True if a file in one of the store's folders has a name that the store gives."""
    return FILE_NAME.fullmatch(path.name) is not None or base_of(path) >= 0


def foreign(directory: StoreDirectory) -> Iterator[Path]:
    """Files and directories that are not the store's."""
    own = {IDENTITY_NAME, LOCK_NAME, *GUESTS, directory.journal.name, directory.segments.name, directory.ledger.name}
    leftovers = {*temporary_files(directory)}
    for folder in (directory.root, directory.journal, directory.segments):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            is_own = path.name in own if folder == directory.root else is_named(path)
            if not is_own and path not in leftovers and not is_set_aside(path):
                yield path


def is_set_aside(path: Path) -> bool:
    """True for what was kept because it was damaged."""
    return path.name.endswith(".corrupt")


def _folders(directory: StoreDirectory) -> tuple[tuple[Path, str], ...]:
    return (directory.journal, journal_format.FILE_SUFFIX), (directory.segments, segment_format.FILE_SUFFIX)


def tidy(directory: StoreDirectory, fs: Fs) -> None:
    """Remove and set aside, whatever resists excepted; needs the store's lock. Raises StoreError."""
    set_aside(list(misplaced(directory)), fs)
    directory.make(fs)
    for path in list(temporary_files(directory)):
        with suppress(OSError):
            fs.remove(path)
