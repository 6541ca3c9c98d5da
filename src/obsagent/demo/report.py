"""What the demo says at the end: what was sent, how the model did, and what obsagent answers; on standard output."""

from __future__ import annotations

import calendar
import math
import shlex
import subprocess
import sys
import time
from pathlib import Path

from obsagent.demo.model import LAST_TRAINING_MONTH, auc_by_month
from obsagent.demo.replay import BATCH_FLIGHTS, Replay
from obsagent.errors import ObsagentError

DEFAULT_RANGE_S = 300.0
MARGIN_S = 10.0  # until the command asks

QUERIES = (
    "p99 latency by endpoint",
    "p50,p99,count latency by endpoint",
    "rate requests by endpoint,status",
    "p50,p99 step_duration by step",
    "sum flights_scored",
    "count requests by worker",
)


class AnswerFailed(ObsagentError):
    """A command that the demo shows did not work."""


def print_replay(replay: Replay, counted: int) -> None:
    """What was sent, what came back, and whether the agent knows of all of it."""
    pace, tally = replay.pace, replay.tally
    single, batch, sent = tally.requests["/score"], tally.requests["/score_batch"], sum(tally.requests.values())
    print(f"Replayed {pace.taken:,} of the year's {pace.count:,} flights, in {replay.elapsed_s:.1f} s:")
    print(f"  {single:,} requests of one flight and {batch:,} of up to {BATCH_FLIGHTS}, over HTTP;")
    print(f"  {tally.refused:,} refused with 422, as the replay forgets a field now and then;")
    print(f"  {tally.failed:,} failed.")
    if pace.skipped:
        print(f"{pace.skipped:,} flights were left out, evenly: too many for this machine in this time.")
    every = "every one" if counted == sent else f"of {sent:,} that were sent"
    print(f"The agent counted {counted:,} requests: {every}.")
    print()
    print_model(replay)


def print_model(replay: Replay) -> None:
    """The AUC by month, from the answers and the arrivals."""
    aucs = auc_by_month(replay.flights, replay.scores)
    print(f"AUC of the scores by month; the model was trained up to {calendar.month_name[LAST_TRAINING_MONTH]}:")
    cells = [f"{calendar.month_abbr[month]} {auc:.2f}" for month, auc in aucs.items()]
    for half in (cells[:6], cells[6:]):
        print("  " + "   ".join(half))
    print()


def print_answers(began_at: float) -> None:
    """Queries about a run that began at a monotonic time, with their answers, and the agent's status."""
    for query in QUERIES:
        ago_s = time.monotonic() - began_at
        run_command("query", *query.split(), *since(ago_s, is_rate=query.startswith("rate")))
    run_command("status")


def print_store(store: Path) -> None:
    """Where the data lies: it answers without an agent, too."""
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    print("The model server and the agent have ended. What the agent kept lies in")
    print(f"  {store} ({size / 1000:,.0f} kB)")
    print("and can be asked without an agent:")
    print()
    run_command("query", "p99", "latency", "by", "endpoint", "since", "1h", "--data", str(store))
    print("Try next:")
    data = f"--data {shlex.quote(str(store))}"
    print(f"  obsagent query p50,p99.9,max latency endpoint=/score by worker since 1h {data}")
    print(f"  obsagent query rate flights_scored since 1h --format json {data}")
    print(f"  obsagent status {data}")


def since(ago_s: float, *, is_rate: bool = False) -> list[str]:
    """The range that a query needs to see a run that began `ago_s` seconds ago; none where the default will do.

    A rate is over the whole range: it needs one that begins with the run.
    """
    if is_rate:
        return ["since", f"{math.ceil(ago_s)}s"]
    needed_s = ago_s + MARGIN_S
    return [] if needed_s <= DEFAULT_RANGE_S else ["since", f"{math.ceil(needed_s / 60)}m"]


def run_command(*arguments: str) -> None:
    """Prints a command of obsagent and runs it; raises `AnswerFailed` if it fails."""
    command = shlex.join(["obsagent", *arguments])
    print(f"$ {command}", flush=True)
    code = subprocess.run([sys.executable, "-m", "obsagent.cli", *arguments], check=False).returncode
    if code:
        raise AnswerFailed(f"`{command}` ended with exit code {code}")
    print(flush=True)
