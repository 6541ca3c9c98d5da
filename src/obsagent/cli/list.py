"""List what there is to ask about.

obsagent list                     everything, and when it was last seen
obsagent list metrics             one kind of thing: services, metrics, labels, models, versions,
                                  features, references or events
obsagent list values endpoint     the values that a label has had, at most 200 of each metric
obsagent list metrics service=fraud      of one service only
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from obsagent.cli.sources import add_source_arguments, ask_catalogue, print_json
from obsagent.errors import UsageError

EVERYTHING = "everything"
VALUES = "values"
CHOICES = ("services", "metrics", "labels", "models", "versions", "features", "references", "events")
SERVICE_FILTER = "service="


def add_arguments(parser: ArgumentParser) -> None:
    """What to list, where to ask, how to print."""
    parser.usage = f"%(prog)s [options] [{' | '.join(CHOICES)} | values LABEL] [service=NAME]"
    parser.add_argument("words", nargs="*", metavar="WHAT", help="what to list (default: everything)")
    add_source_arguments(parser)
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table", help="(default: table)")


def run(args: Namespace) -> int:
    """Prints the list on stdout; an empty one says so on stderr."""
    what, label, service = understood(args.words)
    if what == EVERYTHING and args.format == "csv":
        raise UsageError(f"CSV needs one kind of thing: obsagent list {'|'.join(CHOICES)} --format csv")
    catalogue = ask_catalogue(args, service)
    if what == EVERYTHING and args.format == "json":
        print_json(catalogue)
        return 0
    from obsagent.cli.listing import entries_of, write_csv, write_overview, write_table

    if what == EVERYTHING:
        write_overview(catalogue, sys.stdout)
        return 0
    entries = entries_of(catalogue, what, label)
    if args.format == "json":
        print_json(entries)
    elif args.format == "csv":
        write_csv(what, entries, sys.stdout)
    elif entries:
        write_table(what, entries, sys.stdout)
    if not entries:
        of_service = f" of the service `{service}`" if service else ""
        print(f"no {f'values of the label `{label}`' if label else what}{of_service}", file=sys.stderr)
    return 0


def understood(words: list[str]) -> tuple[str, str | None, str | None]:
    """What to list, of which label, of which service; raises `UsageError`."""
    services = [word.removeprefix(SERVICE_FILTER) for word in words if word.startswith(SERVICE_FILTER)]
    what, *rest = [word for word in words if not word.startswith(SERVICE_FILTER)] or [EVERYTHING]
    if len(services) > 1:
        raise UsageError("one service=NAME at most")
    if what == VALUES:
        if len(rest) != 1:
            raise UsageError("expected the name of a label, such as `obsagent list values endpoint`")
        return what, rest[0], next(iter(services), None)
    if rest:
        raise UsageError(f"`{rest[0]}` is not understood after `{what}`; only service=NAME may follow")
    if what not in (*CHOICES, EVERYTHING):
        from obsagent.answer.mistakes import did_you_mean

        choices = f"{', '.join(CHOICES)} or values LABEL"
        raise UsageError(f"cannot list `{what}`: expected {choices}{did_you_mean(what, [*CHOICES, VALUES])}")
    return what, None, next(iter(services), None)
