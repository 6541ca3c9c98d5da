"""Show what the agent has received, kept and lost.

The accounts balance, by service and in total:

    observed = stored + pending + dropped (ring, budget, expired) + rejected (value, frame, time)

pending is what clients have observed and not delivered yet; ring and budget are losses for want of room in
the client, expired what it kept for an hour in vain; value is what was no number, frame and time are batches
that the agent refused. With --data the store is read without an agent, and pending is what it last knew.

Below stand the sessions that are open (when each was last heard, and how far its clock is ahead of the agent's), the
risk of models whose truths have come, beside what it may be, the collectors, what each metric costs, models that are to
be retrained, and what is wrong: problems are there now and say what to do (an agent with one is
degraded, or failing if it acknowledges nothing); the lines after them count what has happened since it began.

--probe sends one sample through the agent and reads it back.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from obsagent.cli.sources import add_source_arguments, ask_status, print_json
from obsagent.errors import UsageError


def add_arguments(parser: ArgumentParser) -> None:
    """Where to ask, how to print."""
    add_source_arguments(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")

    parser.add_argument("--all", action="store_true", help="closed sessions too, and every metric")
    parser.add_argument("--probe", action="store_true", help="send a sample and read it back; exit 1 if that fails")


def run(args: Namespace) -> int:
    """Prints the status on stdout, or what became of a probe."""
    if args.probe:
        return run_probe(args)
    status = ask_status(args)
    if args.format == "json":
        print_json(status)
    else:
        from obsagent.cli.accounts import write_status

        write_status(status, sys.stdout, everything=args.all)
    return 0


def run_probe(args: Namespace) -> int:
    """Sends a sample and reads it back; raises `ObsagentError` where that fails."""
    if args.data is not None:
        raise UsageError("--probe needs a running agent: leave --data out")
    from obsagent.ask import AgentClient
    from obsagent.cli.probe import probe

    with AgentClient(args.agent, key=args.key) as agent:
        result = probe(agent)
    if args.format == "json":
        print_json(result)
    else:
        print(
            f"ok: a sample sent to {result['listen']} was on the agent's disk after "
            f"{result['acknowledged_ms']:.0f} ms and read back by a query after {result['read_ms']:.0f} ms"
        )
    return 0
