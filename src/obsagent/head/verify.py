"""Reading all of a store and saying what is wrong with it: what `obsagent fsck` shows.

Nothing is changed and no lock is needed. An agent may be at work: what it is appending is not damage, and a file that
it replaces while it is read is read again under its new name.

A report is a dict that goes into JSON as it is; times are ms since the epoch:

directory
store_id    null if `store.json` is missing or damaged
sound       true if nothing is wrong
files       [{"name", "kind", "version", "bytes", "holds": {what: how much}, ["from", "to"], "problems", "notes"}]
            kind: identity, segment, compacted, journal, superseded, left over, misplaced, set aside, foreign; those of
            `ledger/` as `ledger/verify.py` has them
            a problem: {"offset", "size", "what", ["from", "to"]}, with the time of which it takes something
missing     [{"what", "from", "to"}]: what is not there and was not known to be missing
gaps        [{"from", "to", "reason", "recorded"}]: all times of which something may be missing; recorded are those
            that the store's blocks say, or the ledger's manifest; those of the ledger have "table" and "rows" too
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from obsagent._native.codec import check_body
from obsagent.clock import Clock
from obsagent.errors import CorruptData, StoreError
from obsagent.head import journal_format
from obsagent.head.directory import IDENTITY_NAME, StoreDirectory, read_identity
from obsagent.head.entries import Frame, decode
from obsagent.head.journal import journal_paths
from obsagent.head.journal_gaps import MISSING
from obsagent.head.journal_reader import JournalFile, belongs, read_file
from obsagent.head.leftovers import foreign, is_set_aside, misplaced, temporary_files
from obsagent.head.read_only import recover_quietly
from obsagent.head.recovery import Recovered
from obsagent.segment import format as segment_format
from obsagent.segment.block import BlockHeader
from obsagent.segment.gaps import merged, uncovered
from obsagent.segment.recover import Damage, ScannedFile, scan_file, window_ms_of
from obsagent.segment.repair import damage_of_file
from obsagent.segment.tables import Gap

ATTEMPTS = 5
KINDS = {
    segment_format.BLOCK_HEAD: "head",
    segment_format.BLOCK_CHECKPOINT: "checkpoints",
    segment_format.BLOCK_COMPACTED: "compacted block",
    segment_format.BLOCK_ROLLED: "rolled-up block",
}
ENTRIES = {
    journal_format.SESSION_OPEN: "session opens",
    journal_format.DEFINE: "defines",
    journal_format.FRAME_TYPE: "frames",
    journal_format.FRAME_WITH_EXEMPLARS: "frames with exemplars",
    journal_format.REFUSED_TYPE: "refusals",
    journal_format.SESSION_CLOSE: "session closes",
    journal_format.EVENTS_TYPE: "events",
    journal_format.RECORDS_TYPE: "records",
}

Report = dict[str, Any]


def verify(directory: Path, clock: Clock) -> Report:
    """Read everything. Raises StoreError if there is no store, if it cannot be read, or if a newer version made it."""
    where = StoreDirectory(directory)
    require_store(where)
    for _ in range(ATTEMPTS):
        try:
            return _verify(where, clock)
        except FileNotFoundError as error:
            vanished = error
        except OSError as error:
            raise StoreError(f"cannot read {error.filename or directory}: {error.strerror}") from error
    raise StoreError(f"the store {directory} changes faster than it can be read: {vanished}")


def require_store(where: StoreDirectory) -> None:
    """Raises StoreError if there is no store in a directory."""
    root = where.root
    try:
        if not root.exists():
            raise StoreError(f"there is no {root}")
        if not root.is_dir():
            raise StoreError(f"{root} is no directory")
        names = {path.name for path in root.iterdir()}
    except OSError as error:
        raise StoreError(f"cannot read {root}: {error.strerror}") from error
    if not names & {where.segments.name, where.journal.name, IDENTITY_NAME}:
        raise StoreError(f"there is no store in {root}" + ("" if names else ": it is empty"))


def _verify(where: StoreDirectory, clock: Clock) -> Report:
    store_id = read_identity(where)
    recovered = recover_quietly(where, clock)
    recorded = merged(recovered.checkpoint.gaps)
    files = [_identity(where, store_id)]
    found: list[Gap] = []
    for file, kind in _segments(recovered):
        damage = list(damage_of_file(file))
        found += [Gap(each.from_ms, each.to_ms, "a block is damaged") for each in damage]
        files.append(_segment(where, file, kind, damage))
    files += [_left_out(where, damage) for damage in recovered.catalog.damage if _is_left_out(recovered, damage)]
    files += [_journal(where, path, store_id) for path in journal_paths(where.journal)]
    ledger = _ledger(where)
    files += [{**file, "name": f"{where.ledger.name}/{file['name']}"} for file in ledger["files"]]
    files += [_other(where, path, "left over", note="the next start removes it") for path in temporary_files(where)]
    files += [_other(where, path, "misplaced", problem="it stands in a file's place") for path in misplaced(where)]
    files += [_other(where, path, "set aside") for path in _set_aside(where)]
    files += [_other(where, path, "foreign", note="it is not the store's") for path in foreign(where)]
    missing = list(_missing(recovered, recorded))
    gaps = merged([*recorded, *uncovered([*recovered.gaps, *found], recorded)])
    return {
        "directory": str(where.root),
        "store_id": str(uuid.UUID(bytes=store_id)) if store_id else None,
        "sound": not missing and not any(file["problems"] for file in files),
        "files": files,
        "missing": missing,
        "gaps": [
            *({**_span(gap), "reason": gap.reason, "recorded": not uncovered([gap], recorded)} for gap in gaps),
            *({**gap, "reason": f"the ledger's {gap['table']}: {gap['reason']}"} for gap in ledger["gaps"]),
        ],
    }


def _ledger(where: StoreDirectory) -> Report:
    """As `ledger/verify.py` has it; a store without records has none, and no numpy is loaded for it."""
    if not where.ledger.is_dir():
        return {"files": [], "gaps": []}
    from obsagent.ledger.verify import verify as verify_ledger

    return verify_ledger(where.ledger)


def _segments(recovered: Recovered) -> Iterator[tuple[ScannedFile, str]]:
    for file in recovered.catalog.files:
        yield file, "compacted" if file.is_compacted else "segment"
    for file in recovered.catalog.rolled_files:
        yield file, f"rolled up {window_ms_of(file.path) // 1000}s"
    for path in recovered.catalog.superseded:
        yield scan_file(path, is_last=True), "superseded"


def _is_left_out(recovered: Recovered, damage: Damage) -> bool:
    """True for a file that is not read at all."""
    catalog = recovered.catalog
    known = {file.path for file in (*catalog.files, *catalog.rolled_files)} | {*catalog.superseded}
    return damage.path not in known


def _missing(recovered: Recovered, recorded: list[Gap]) -> Iterator[Report]:
    catalog = recovered.catalog
    for hole in catalog.lost():
        gap = catalog.gap_of(hole, recovered.state.reach_ms)
        if uncovered([gap], recorded):
            what = f"{hole.reason}: sequence {hole.first}"
            yield {"what": what if hole.first == hole.last else f"{what} to {hole.last}", **_span(gap)}
    lost = [
        gap
        for gap in recovered.losses.gaps(recovered.state.reach_ms)
        if gap.reason == MISSING and gap.from_ms < gap.to_ms
    ]
    yield from ({"what": gap.reason, **_span(gap)} for gap in uncovered(lost, recorded))


def _span(gap: Gap | Damage) -> Report:
    return {"from": gap.from_ms, "to": gap.to_ms}


def _file(where: StoreDirectory, path: Path, kind: str, **more: Any) -> Report:
    name = str(path.relative_to(where.root))
    size = path.stat().st_size
    return {"name": name, "kind": kind, "version": None, "bytes": size, "holds": {}, "problems": [], "notes": []} | more


def _problem(offset: int, size: int, what: str) -> Report:
    return {"offset": offset, "size": size, "what": what}


def _identity(where: StoreDirectory, store_id: bytes | None) -> Report:
    path = where.root / IDENTITY_NAME
    if not path.is_file():
        nothing: Report = {"name": IDENTITY_NAME, "kind": "identity", "version": None, "bytes": 0, "holds": {}}
        return nothing | {"problems": [_problem(0, 0, "it is missing")], "notes": []}
    problems = [] if store_id else [_problem(0, path.stat().st_size, "it does not say which store this is")]
    return _file(where, path, "identity", version=1 if store_id else None, problems=problems)


def _segment(where: StoreDirectory, file: ScannedFile, kind: str, damage: Iterable[Damage]) -> Report:
    headers = [block.header for block in file.blocks]
    counts = Counter(KINDS[header.kind] for header in headers)
    counts["frames"] = sum(header.frame_count for header in headers)
    report = _file(where, file.path, kind, holds=dict(counts), version=file_version(headers))
    spans = [block.covered_ms for block in file.blocks if block.header.first_window_ms <= block.header.last_window_ms]
    if spans:
        report |= {"from": min(span[0] for span in spans), "to": max(span[1] for span in spans)}
    for each in damage:
        report["problems"].append(_problem(each.offset, each.size, each.reason) | _time_of(each))
    if file.end < file.size and not any(problem["offset"] >= file.end for problem in report["problems"]):
        report["notes"].append(f"{file.size - file.end:,} bytes of an append that is under way or was cut short")
    return report


def file_version(headers: Iterable[BlockHeader]) -> int | None:
    """The format version of a segment file, from what it holds."""
    return max((header.version for header in headers), default=None)


def _time_of(damage: Damage) -> Report:
    return _span(damage) if damage.from_ms < damage.to_ms else {}


def _left_out(where: StoreDirectory, damage: Damage) -> Report:
    problems = [_problem(damage.offset, damage.size, damage.reason)]
    return _file(where, damage.path, "foreign", problems=problems)


def _journal(where: StoreDirectory, path: Path, store_id: bytes | None) -> Report:
    if not belongs(path, store_id):
        problems = [_problem(0, path.stat().st_size, "it belongs to another store, or has another file's name")]
        return _file(where, path, "foreign", problems=problems)
    file = read_file(path)
    counts = Counter(ENTRIES.get(found.type, "unknown entries") for found in file.entries)
    report = _file(where, path, "journal", holds=dict(counts), version=journal_format.FORMAT_VERSION)
    report["problems"] = list(_journal_problems(file))
    if not file.damaged_end and file.torn_bytes:
        report["notes"].append(f"{file.torn_bytes:,} bytes of an append that is under way or was cut short")
    return report


def _journal_problems(file: JournalFile) -> Iterator[Report]:
    if file.header_damaged:
        yield _problem(0, journal_format.FILE_HEADER.size, "the header of the file is damaged")
    elif file.is_cut:
        yield _problem(len(file.data), 0, "the file ends inside its preamble")
    for gap in file.damaged_places:
        yield _problem(gap.offset, gap.size, "no entry where one should be")
    for found in (*file.preamble, *file.entries):
        try:
            entry = decode(found.type, found.payload)
            if isinstance(entry, Frame):
                check_body(entry.body)
        except CorruptData as error:
            yield _problem(found.offset, len(found.payload), str(error))


def _set_aside(where: StoreDirectory) -> Iterator[Path]:
    for folder in (where.root, where.journal, where.segments):
        if folder.is_dir():
            yield from (path for path in sorted(folder.iterdir()) if is_set_aside(path))


def _other(where: StoreDirectory, path: Path, kind: str, problem: str = "", note: str = "") -> Report:
    report = _file(where, path, kind)
    report["problems"] += [_problem(0, report["bytes"], problem)] if problem else []
    report["notes"] += [note] if note else []
    return report
