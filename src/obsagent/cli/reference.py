"""Freeze what a model was trained on as its reference, look at references, compare two.

    obsagent reference fit FILE --model NAME [--version V] [--truth COL] [--prediction COL] [--score COL] [--out FILE]
    obsagent reference show FILE [--feature COL]
    obsagent reference diff OLD NEW
    obsagent reference from-store --model NAME --from TIME [--to TIME] [--like FILE] [--data DIR]

`fit` reads training or validation data: CSV (also gzipped), Parquet, .npy or .npz. All columns are features but the
truth, the prediction, the score and those that --drop names; --features names them instead. Numbers get 128 bins with
as many values each, or one for each value where there are few; of categories the 128 most frequent are told apart. Data
is read twice, a part at a time: however large it is, memory stays small. With --truth and --prediction it keeps how
often which came together and, of numbers, how far they were apart. The reference is written to --out (NAME.ref,
or NAME-VERSION.ref); the agent takes it from its configuration:

    [models.NAME]
    reference = "/etc/obsagent/NAME.ref"

--importance is a file with how much the model depends on each feature (JSON {"amount": 0.4, ...}, or CSV lines
amount,0.4), or `permutation`: estimated with a model that is trained to give the scores (needs scikit-learn).

`show` prints a table with a histogram for each feature; --feature the whole histogram of one. `diff` says what has
changed from OLD to NEW: columns, kinds, categories, and how far the distributions are apart, over OLD's bins.

`from-store` makes a reference of a period that an agent has kept, in its store (--data, by default that of its
configuration); times are written as in a query: 2026-01-31T13:00, 14:00, 7d. --like keeps the bins of a reference over
which the agent counted then; without, bins are new ones, at the ends of the buckets of the histograms that are kept.

Exit codes: 0 if it was done, 1 if the data or a reference cannot be read, 2 wrong usage.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from obsagent.errors import UsageError

ACTIONS = {"fit": 1, "show": 1, "diff": 2, "from-store": 0}
"""Actions and how many files they take."""
MAKING = ("model", "version", "out")
OPTIONS = {
    "fit": (
        *(*MAKING, "truth", "prediction", "score", "features", "drop", "categories", "importance"),
        *("missing", "names", "delimiter", "encoding"),
    ),
    "show": ("feature",),
    "diff": (),
    "from-store": (*MAKING, "begin", "end", "like", "data", "config"),
}
"""Which options an action takes."""
SPELT = {"begin": "from", "end": "to"}


def add_arguments(parser: ArgumentParser) -> None:
    """What to do with which file."""
    parser.add_argument("action", choices=ACTIONS, metavar="fit|show|diff|from-store", help="what to do")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*", help="the data, or references")
    parser.add_argument(
        "--model", metavar="NAME", help="fit, from-store: the model's name, as `obs.model(NAME)` has it"
    )
    parser.add_argument("--version", metavar="V", help="fit, from-store: its version (default: for all versions)")
    parser.add_argument("--truth", metavar="COL", help="fit: the column with what was the case")
    parser.add_argument("--prediction", metavar="COL", help="fit: the column with what the model said")
    parser.add_argument("--score", metavar="COL", help="fit: the column with its score or probability")
    parser.add_argument("--out", metavar="FILE", type=Path, help="where to write it (default: NAME[-V].ref)")
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
    parser.add_argument("--from", metavar="TIME", dest="begin", help="from-store: the begin of the period")
    parser.add_argument("--to", metavar="TIME", dest="end", help="from-store: its end (default: now)")
    parser.add_argument("--like", metavar="FILE", type=Path, help="from-store: the reference whose bins to keep")
    parser.add_argument("--data", metavar="DIR", type=Path, help="from-store: the agent's store")
    parser.add_argument("--config", metavar="FILE", type=Path, help="from-store: the agent's configuration")
    parser.add_argument(
        "--format", choices=("table", "json", "csv"), default="table", help="how to print (default: table)"
    )


def run(args: Namespace) -> int:
    """Does it; results on stdout."""
    count = ACTIONS[args.action]
    if len(args.files) != count:
        expected = {"fit": "FILE --model NAME", "show": "FILE", "diff": "OLD NEW"}.get(
            args.action, "--model NAME --from TIME"
        )
        raise UsageError(f"expected: obsagent reference {args.action} {expected}")
    for action, names in OPTIONS.items():
        for name in names:
            if name not in OPTIONS[args.action] and getattr(args, name):
                raise UsageError(f"--{SPELT.get(name, name)} is for `reference {action}`")
    if args.action == "fit":
        from obsagent.cli.references.fitting import run_fit as run_action
    elif args.action == "show":
        from obsagent.cli.references.showing import run_show as run_action
    elif args.action == "diff":
        from obsagent.cli.references.differences import run_diff as run_action
    else:
        from obsagent.cli.references.from_store import run_from_store as run_action
    return run_action(args)
