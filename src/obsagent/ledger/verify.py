"""Reading all of a ledger and saying what is wrong with it, for `fsck`: nothing is changed, an agent may be at work.

A report goes into JSON as it is, as a part of that of the store (`head/verify.py`); times are ms since the epoch:

files       [{"name", "kind", "version", "bytes", "holds": {what: how much}, ["from", "to"], "problems", "notes"}]
            kind: manifest, ledger run, heap, left over, set aside, foreign
            a problem: {"offset", "size", "what", ["from", "to"]}
gaps        [{"from", "to", "reason", "table", "rows", "recorded"}]; recorded are those that the manifest says
sound       true if no file has problems
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from obsagent.errors import CorruptData
from obsagent.fs import TEMPORARY_SUFFIX
from obsagent.ledger import manifest as manifests
from obsagent.ledger.format import FORMAT_VERSION
from obsagent.ledger.manifest import Manifest, RunEntry
from obsagent.ledger.opening import ATTEMPTS, CORRUPT_SUFFIX, Lost, named_run, path_of
from obsagent.ledger.run import DamagedRun, Run, heap_of
from obsagent.ledger.tables import ROWS
from obsagent.limits import LEDGER_MERGE_ROWS

Report = dict[str, Any]


def verify(directory: Path) -> Report:
    """Read everything. Raises StoreError if a newer version wrote it, OSError if it cannot be read."""
    for _ in range(ATTEMPTS):
        report = _verify(directory)
        if not report.pop("changed"):
            break
    return report


def _verify(directory: Path) -> Report:
    manifest, wrong = manifests.load(directory)
    manifest = manifest or Manifest()
    files = [_manifest(path, dict(wrong).get(path)) for path in _manifest_paths(directory)]
    gaps = [{**_gap(gap), "recorded": True} for gap in manifest.gaps]
    for entry in manifest.runs:
        path = path_of(directory, entry)
        problem = _problem_of(directory, manifest, entry)
        files.append(_run(path, entry, problem))
        if entry.table == ROWS.number and heap_of(path).exists():
            files.append(_file(heap_of(path), "heap"))
        if problem:
            gaps.append({**_gap(Lost(entry, problem).gap), "recorded": False})
    known = {file["name"] for file in files}
    files += [_other(path) for path in sorted(directory.iterdir()) if path.name not in known]
    return {
        "sound": not any(file["problems"] for file in files),
        "files": files,
        "gaps": gaps,
        "changed": manifests.load(directory)[0] not in (None, manifest),
    }


def _manifest_paths(directory: Path) -> list[Path]:
    return [path for name in manifests.NAMES if (path := directory / name).exists()]


def _manifest(path: Path, problem: str | None) -> Report:
    return _file(path, "manifest", problem or "", version=None if problem else FORMAT_VERSION)


def _run(path: Path, entry: RunEntry, problem: str) -> Report:
    span = {"from": entry.first_ms, "to": entry.last_ms}
    file = _file(path, "ledger run", problem, version=FORMAT_VERSION, holds={"rows": entry.rows}) | span
    for each in file["problems"]:
        each.update(span)
    return file


def _problem_of(directory: Path, manifest: Manifest, entry: RunEntry) -> str:
    """What is wrong with a run, or nothing."""
    try:
        run = named_run(directory, manifest, entry)
        run.check_all()
        return _disorder(run) or _heap_problem(run)
    except FileNotFoundError:
        return "it is missing"
    except CorruptData as error:
        return str(error).removeprefix(f"{path_of(directory, entry)}: ")


def _disorder(run: Run) -> str:
    """Rows that are not sorted; the bytes were those that were written."""
    last: Any = None
    for keys in _portions(run, run.table.primary):
        if (keys[1:] < keys[:-1]).any() or (last is not None and keys[0] < last):
            return "its rows are not sorted"
        last = keys[-1]
    return ""


def _portions(run: Run, name: str) -> Iterator[np.ndarray[Any, Any]]:
    for begin in range(0, run.rows, LEDGER_MERGE_ROWS):
        yield run.column(name, begin, min(begin + LEDGER_MERGE_ROWS, run.rows))


def _heap_problem(run: Run) -> str:
    try:
        for row in range(run.rows if run.table is ROWS else 0):
            run.blob(row)
    except DamagedRun as error:
        return str(error).removeprefix(f"{run.path}: ")
    return ""


def _other(path: Path) -> Report:
    if path.suffix == CORRUPT_SUFFIX:
        return _file(path, "set aside")
    if path.suffix in (TEMPORARY_SUFFIX, ".run", ".heap"):
        return _file(path, "left over", notes=["the next start removes it"])
    return _file(path, "foreign", notes=["it is not the ledger's"])


def _gap(gap: Any) -> Report:
    return {"from": gap.from_ms, "to": gap.to_ms, "reason": gap.reason, "table": gap.table, "rows": gap.rows}


def _file(path: Path, kind: str, problem: str = "", **more: Any) -> Report:
    size = path.stat().st_size if path.exists() else 0
    problems = [{"offset": 0, "size": size, "what": problem}] if problem else []
    blank: Report = {"name": path.name, "kind": kind, "version": None, "bytes": size, "holds": {}}
    return {**blank, "problems": problems, "notes": [], **more}
