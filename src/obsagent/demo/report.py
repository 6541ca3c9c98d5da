"""What the demo says of the replay at the end: what was sent, what the agent counted, how the model did."""

from __future__ import annotations

import calendar

from obsagent.demo.model import VERSIONS, auc_by_month
from obsagent.demo.replay import BATCH_FLIGHTS, Replay


def print_replay(replay: Replay, counted: int) -> None:
    """What was sent, what came back, and whether the agent knows of all of it; on standard output."""
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
    """The AUC by month, from the answers and the arrivals, a line for each version that was live."""
    aucs = auc_by_month(replay.flights, replay.scores)
    ends = [version.live_from for version in VERSIONS[1:]] + [13]
    for version, end in zip(VERSIONS, ends, strict=True):
        months = [month for month in range(version.live_from, end) if month in aucs]
        cells = [f"{calendar.month_abbr[month]} {aucs[month]:.2f}" for month in months]
        print(f"AUC of version {version.name}, trained on {version.training}, by month:")
        print(f"  {'   '.join(cells)}")
    print()
