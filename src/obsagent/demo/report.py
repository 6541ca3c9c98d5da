"""What the demo says of the replay at the end: what was sent, what the agent counted, how the model did."""

from __future__ import annotations

import numpy as np

from obsagent.demo.flights import NEVER_ARRIVED
from obsagent.demo.replay import BATCH_FLIGHTS, Replay
from obsagent.demo.truths import TruthJob


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


def print_truths(replay: Replay, job: TruthJob) -> None:
    """How many truths there are, how late they came, and what became of them."""
    flights, report = replay.flights, job.report
    late_h = (flights.landed_min[job.told] - flights.departs_min[job.told]) / 60
    never = int(np.count_nonzero(~np.isnan(replay.scores) & (flights.late == NEVER_ARRIVED)))
    print(f"Whether a flight was late was told when it had landed, {np.median(late_h):.1f} h later in the median:")
    print(f"  {report.matched:,} truths met their prediction, {report.unmatched:,} came before it and waited;")
    print(f"  {never:,} flights never arrived, and have none.")
    print()
