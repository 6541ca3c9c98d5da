"""Change a running agent, over its control endpoint.

    obsagent control reload        read the keys and the configuration file again
    obsagent control checkpoint    move everything from memory into a segment

A configuration that is wrong changes nothing: the one before stays in force, what is wrong is said, and the exit code
is 78. Of one that is right, retention, disk_budget, head_budget, log_format and log_level count at once, and
`[metrics]` for clients that connect from now on; what has changed and needs a restart is named. SIGHUP does the same.

After a checkpoint every acknowledged sample is in a segment file: before a copy of the store is made, say. Writers and
readers cannot do this: the endpoint is another one (control.sock beside the readers' socket), and over tcp it takes
keys with the role control only.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from obsagent.cli.sources import print_json

ACTIONS = ("reload", "checkpoint")


def add_arguments(parser: ArgumentParser) -> None:
    """What to do, and where."""
    parser.add_argument("action", choices=ACTIONS, metavar="reload|checkpoint", help="what to do")
    parser.add_argument(
        "--control",
        metavar="ENDPOINT",
        help="the agent's control endpoint, ipc://PATH or tcp://HOST:PORT (default: $OBSAGENT_CONTROL, else yours)",
    )
    parser.add_argument("--key", metavar="FILE", help="the key to show an agent over tcp (default: $OBSAGENT_KEY)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")


def run(args: Namespace) -> int:
    """Asks for it and says what was done."""
    from obsagent.ask import ControlClient

    with ControlClient(args.control, key=args.key) as agent:
        done = agent.reload() if args.action == "reload" else agent.checkpoint()
    if args.format == "json":
        print_json(done)
    else:
        print(_reloaded(done) if args.action == "reload" else _written(done))
    return 0


def _reloaded(done: dict[str, Any]) -> str:
    metrics = ", ".join(done["metrics"]) or "none"
    lines = [f"reloaded: {done['keys']} keys; settings for metrics: {metrics}"]
    if done.get("applied"):
        lines.append(f"in force now: {', '.join(done['applied'])}")
    if done.get("references"):
        lines.append(f"new references: {', '.join(done['references'])}")
    if done["restart_needed"]:
        lines.append(f"a restart is needed for: {', '.join(done['restart_needed'])}")
    return "\n".join(lines)


def _written(done: dict[str, Any]) -> str:
    return "everything is in segments now" if done["written"] else "nothing was in memory that is not in a segment"
