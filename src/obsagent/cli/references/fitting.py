"""`obsagent reference fit`: the options, the progress, the summary."""

from __future__ import annotations

import csv
import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsagent.cli.progress import progress_bar
from obsagent.cli.sources import print_json
from obsagent.errors import ObsagentError, UsageError
from obsagent.limits import CONFIG_BYTES_MAX, LABEL_VALUE_BYTES_MAX

if TYPE_CHECKING:
    from obsagent.reference.columns import Source
    from obsagent.reference.reference import Reference

PERMUTATION = "permutation"
UNSAFE = "/\\\0"


def run_fit(args: Namespace) -> int:
    """Fits and writes; what was fitted goes to stdout, remarks on it to stderr."""
    from obsagent.reference.fit import fit
    from obsagent.reference.source import open_source

    if args.format == "csv":
        raise UsageError("--format csv is for `reference show` and `reference diff`")
    _check_name("--model", args.model)
    out = args.out or _default_out(args.model, args.version)
    _check_out(out, args.files[0])
    source = open_source(
        args.files[0],
        delimiter=delimiter_of(args.delimiter),
        encoding=args.encoding or "utf-8-sig",
        names=None if args.names is None else listed([args.names], []),
        missing=args.missing,
    )
    options = _options(args, source)
    with progress_bar(source.name) as progress:
        reference, remarks = fit(source, options, progress)
    reference.save(out)
    for remark in remarks:
        print(f"obsagent reference: {remark}", file=sys.stderr)
    _print(reference, out, args.format)
    return 0


def _options(args: Namespace, source: Source) -> Any:
    from obsagent.reference.options import FitOptions

    permutation = args.importance == PERMUTATION
    return FitOptions(
        model=args.model,
        version=args.version or "",
        truth=args.truth,
        prediction=args.prediction,
        score=args.score,
        features=listed(args.features, source.names),
        drop=listed(args.drop, [*source.names, *source.left_out]),
        categories=listed(args.categories, source.names),
        importances=_importances(Path(args.importance)) if args.importance and not permutation else None,
        permutation=permutation,
    )


def _check_name(option: str, name: str | None) -> None:
    if not name:
        raise UsageError("expected: obsagent reference fit FILE --model NAME")
    if len(name.encode(errors="replace")) > LABEL_VALUE_BYTES_MAX or not name.isprintable():
        raise UsageError(f"{option}: expected a name of at most {LABEL_VALUE_BYTES_MAX} printable bytes")


def _default_out(model: str, version: str | None) -> Path:
    name = f"{model}-{version}.ref" if version else f"{model}.ref"
    if any(character in name for character in UNSAFE) or name.startswith("."):
        raise UsageError(f"{name!r} is no name of a file: say where to write with --out FILE")
    return Path(name)


def _check_out(out: Path, data: Path) -> None:
    """What would fail behind minutes of reading fails before."""
    if out.is_dir() or not out.parent.is_dir():
        raise UsageError(f"--out {out}: {'a directory' if out.is_dir() else f'there is no directory {out.parent}'}")
    if out.exists() and data.exists() and out.samefile(data):
        raise UsageError(f"--out {out} is the data itself")


def delimiter_of(text: str | None) -> str | None:
    """What an option says; raises `UsageError` for more than a character."""
    delimiter = {"tab": "\t", "\\t": "\t"}.get(text or "", text)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise UsageError(f"--delimiter {text!r}: expected one character, or tab")
    return delimiter


def listed(texts: Sequence[str], known: Sequence[str]) -> list[str]:
    """Names with commas between them; a column whose own name has commas is meant as a whole."""
    names = [name for text in texts for name in ([text] if text in known else text.split(","))]
    if not all(names):
        raise UsageError("expected names of columns with commas between them")
    return list(dict.fromkeys(names))


def _importances(path: Path) -> dict[str, float]:
    """Name → number, from a JSON object or from CSV lines; raises `ObsagentError`."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(CONFIG_BYTES_MAX)
        found = _of_json(text) if text.lstrip().startswith("{") else _of_csv(text)
    except OSError as error:
        raise ObsagentError(f"--importance {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, csv.Error, RecursionError):
        raise ObsagentError(
            f'--importance {path}: expected JSON such as {{"amount": 0.4}}, or CSV lines such as amount,0.4'
        ) from None
    if not found:
        raise ObsagentError(f"--importance {path} is empty")
    return found


def _of_json(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in json.loads(text).items()}


def _of_csv(text: str) -> dict[str, float]:
    rows = [row for row in csv.reader(text.splitlines()) if row]
    if rows and len(rows[0]) == 2 and not _is_float(rows[0][1]):
        rows = rows[1:]  # the names of the two columns
    return {name: float(value) for name, value in rows}


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _print(reference: Reference, out: Path, form: str) -> None:
    if form == "json":
        from obsagent.cli.references.tables import summary

        print_json({**summary(reference), "file": str(out)})
        return
    named = f"{reference.model} {reference.version}".strip()
    size = f"{reference.rows:,} rows, {len(reference.features):,} features"
    print(f"{out}: the reference {reference.id} of {named}: {size}; obsagent reference show {out} shows it")
