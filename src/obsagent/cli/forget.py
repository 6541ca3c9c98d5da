"""Forget what is known of a request, by its id: what models predicted of it, its truth, its kept row.

    obsagent forget --id 7f3b0f5e                       of every model
    obsagent forget --id 7f3b0f5e --id 8c1d --model fraud
    obsagent forget --id 7f3b0f5e --data DIR            in a store that no agent has open

The agent does it over its control endpoint, as it changes the store; when the command ends, no file of the ledger or of
the journal has the id or the row. What was counted stays counted: it names nobody. Exemplars (`query --exemplars`) have
ids of requests too, and go when their time has come; files that were set aside as damaged are left alone.

Exit codes: 0 if nothing is known any more, whether or not anything was; 1 failed; 2 wrong usage.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from obsagent.cli.sources import print_json
from obsagent.errors import UsageError
from obsagent.limits import FORGET_IDS_MAX


def add_arguments(parser: ArgumentParser) -> None:
    """Which ids, of which model, where."""
    parser.add_argument("--id", metavar="ID", action="append", default=[], help="a request's id; may be given again")
    parser.add_argument("--model", metavar="NAME", default="", help="of this model only")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--control",
        metavar="ENDPOINT",
        help="the agent's control endpoint, ipc://PATH or tcp://HOST:PORT (default: $OBSAGENT_CONTROL, else yours)",
    )
    where.add_argument("--data", metavar="DIR", help="forget it in this store, without an agent")
    parser.add_argument("--key", metavar="FILE", help="the key to show an agent over tcp (default: $OBSAGENT_KEY)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")


def run(args: Namespace) -> int:
    """Forgets, and says what there was."""
    if not 1 <= len(args.id) <= FORGET_IDS_MAX:
        raise UsageError(f"expected --id ID, at most {FORGET_IDS_MAX:,} times")
    done = _in_store(args) if args.data is not None else _by_agent(args)
    if args.format == "json":
        print_json(done)
    else:
        told = ", ".join(f"{done[kind]} {kind if done[kind] != 1 else kind[:-1]}" for kind in KINDS)
        print(f"forgotten: {told}" if any(done[kind] for kind in KINDS) else "nothing was known: nothing was forgotten")
    return 0


KINDS = ("predictions", "truths", "rows")


def _by_agent(args: Namespace) -> dict[str, Any]:
    from obsagent.ask import ControlClient

    with ControlClient(args.control, key=args.key) as agent:
        return agent.forget(args.id, args.model)


def _in_store(args: Namespace) -> dict[str, Any]:
    from obsagent.control import forgotten
    from obsagent.head.store import Store

    batch = forgotten({"ids": args.id, "model": args.model})
    Store.open_read_only(args.data)  # raises if there is none: forgetting makes no store
    store = Store.open(args.data)
    try:
        return dict(store.forget(batch))
    finally:
        store.close()
