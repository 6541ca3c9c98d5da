"""Freeze what a model was trained on as its reference, look at references, compare two.

    obsagent reference fit FILE --model NAME [--version V] [--truth COL] [--prediction COL] [--score COL] [--out FILE]
    obsagent reference show FILE [--feature COL]
    obsagent reference diff OLD NEW

`fit` reads training or validation data: CSV (also gzipped), Parquet, .npy or .npz. All columns are features but the
truth, the prediction, the score and those that --drop names; --features names them instead. Numbers get 128 bins with
as many values each, or one for each value where there are few; of categories the 128 most frequent are told apart. Data
is read twice, a part at a time: however large it is, memory stays small. The reference is written to --out (NAME.ref,
or NAME-VERSION.ref); the agent takes it from its configuration:

    [models.NAME]
    reference = "/etc/obsagent/NAME.ref"

--importance is a file with how much the model depends on each feature (JSON {"amount": 0.4, ...}, or CSV lines
amount,0.4), or `permutation`: estimated with a model that is trained to give the scores (needs scikit-learn).

`show` prints a table with a histogram for each feature; --feature the whole histogram of one. `diff` says what has
changed from OLD to NEW: columns, kinds, categories, and how far the distributions are apart, over OLD's bins.

Exit codes: 0 if it was done, 1 if the data or a reference cannot be read, 2 wrong usage.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from obsagent.errors import UsageError

ACTIONS = {"fit": 1, "show": 1, "diff": 2}
"""Actions and how many files they take."""
FIT_ONLY = (
    *("model", "version", "truth", "prediction", "score", "out", "features", "drop", "categories", "importance"),
    *("missing", "names", "delimiter", "encoding"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """What to do with which file."""
    parser.add_argument("action", choices=ACTIONS, metavar="fit|show|diff", help="what to do")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*", help="the data, or references")
    parser.add_argument("--model", metavar="NAME", help="fit: the model's name, as `obs.model(NAME)` has it")
    parser.add_argument("--version", metavar="V", help="fit: the model's version (default: for all versions)")
    parser.add_argument("--truth", metavar="COL", help="fit: the column with what was the case")
    parser.add_argument("--prediction", metavar="COL", help="fit: the column with what the model said")
    parser.add_argument("--score", metavar="COL", help="fit: the column with its score or probability")
    parser.add_argument("--out", metavar="FILE", type=Path, help="fit: where to write it (default: NAME[-V].ref)")
    for name, says in (
        ("features", "the features (default: all other columns)"),
        ("drop", "columns that are no features"),
        ("categories", "numbers that are categories, such as postal codes"),
    ):
        parser.add_argument(f"--{name}", metavar="COL,...", action="append", default=[], help=f"fit: {says}")
    parser.add_argument("--importance", metavar="FILE|permutation", help="fit: how much the model depends on each")
    parser.add_argument(
        "--missing", metavar="TEXT", action="append", default=[], help="fit: a word for a missing value in a CSV file"
    )
    parser.add_argument("--names", metavar="COL,...", help="fit: the columns of a file that does not name them")
    parser.add_argument("--delimiter", metavar="CHAR", help="fit: what parts a CSV file's cells (default: as it seems)")
    parser.add_argument("--encoding", metavar="NAME", help="fit: a CSV file's (default: utf-8)")
    parser.add_argument("--feature", metavar="COL", action="append", default=[], help="show: only this one, in full")
    parser.add_argument(
        "--format", choices=("table", "json", "csv"), default="table", help="how to print (default: table)"
    )


def run(args: Namespace) -> int:
    """Does it; results on stdout."""
    count = ACTIONS[args.action]
    if len(args.files) != count:
        expected = {"fit": "FILE --model NAME", "show": "FILE", "diff": "OLD NEW"}[args.action]
        raise UsageError(f"expected: obsagent reference {args.action} {expected}")
    if args.action != "fit" and (given := [name for name in FIT_ONLY if getattr(args, name)]):
        raise UsageError(f"--{given[0]} is for `reference fit`")
    if args.action != "show" and args.feature:
        raise UsageError("--feature is for `reference show`; --features is for `reference fit`")
    if args.action == "fit":
        from obsagent.cli.references.fitting import run_fit as run_action
    elif args.action == "show":
        from obsagent.cli.references.showing import run_show as run_action
    else:
        from obsagent.cli.references.differences import run_diff as run_action
    return run_action(args)
