"""Repairing a store: what is whole is kept, what is lost is declared, and what was damaged is kept beside it.

The start of an agent does the most of it: torn tails are cut, damaged journal files are set aside once their entries
are in a block, leftovers are removed. What it leaves are segment files in the middle of which something is damaged.
They are read in full here; first the gaps, and everything else that is known, go into the head of a new file; then each
of the damaged files is copied to `NAME.corrupt` and written anew. Whenever that is cut short it can be begun again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from obsagent.clock import Clock
from obsagent.errors import StoreError
from obsagent.fs import Fs
from obsagent.head.directory import StoreDirectory, name_aside, set_aside
from obsagent.head.store import Store
from obsagent.head.verify import Report, require_store, verify
from obsagent.segment.catalog import Catalog, scan_directory
from obsagent.segment.recover import ScannedFile, scan_file
from obsagent.segment.repair import damage_of_file, write_anew

NEVER = (1 << 63) - 1
"""A position that no journal begins before: what is to come from it has come when the store was opened."""


def repair(directory: Path, clock: Clock, fs: Fs | None = None) -> Report:
    """Repair what can be; returns the report of afterwards.

    Raises StoreLocked while an agent has the store, StoreError if there is none or if the disk refuses.
    """
    fs = fs or Fs()
    where = StoreDirectory(directory)
    require_store(where)
    store = Store.open(directory, clock=clock, fs=fs)
    try:
        _repair(where, store, fs)
    except OSError as error:
        raise StoreError(f"cannot repair {error.filename or directory}: {error.strerror}") from error
    finally:
        store.close()
    return verify(directory, clock)


def _repair(where: StoreDirectory, store: Store, fs: Fs) -> None:
    catalog = scan_directory(where.segments, store.identity, replay_from=NEVER)
    damaged = [(file, damage) for file in _files(catalog) if (damage := list(damage_of_file(file)))]
    others = {damage.path for damage in catalog.damage} - {file.path for file, _ in damaged}
    if not damaged and not others:
        return
    store.note(each for _, damage in damaged for each in damage)
    store.checkpoint(anew=True)
    for file, _ in damaged:
        _write_anew(file, file.path in catalog.superseded, store.identity, fs)
    set_aside(sorted(others), fs)


def _files(catalog: Catalog) -> Iterator[ScannedFile]:
    yield from (*catalog.files, *catalog.rolled_files)
    yield from (scan_file(path, is_last=True) for path in catalog.superseded)


def _write_anew(file: ScannedFile, is_superseded: bool, store_id: bytes, fs: Fs) -> None:
    aside = name_aside(file.path)
    fs.close(fs.write_file(aside, [file.path.read_bytes()]))
    if is_superseded or not write_anew(file, fs, store_id):
        fs.remove(file.path)
        fs.sync_directory(file.path.parent)
