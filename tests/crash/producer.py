"""A model process whose every sample is known: it observes its row until it is told to stop.

Usage: producer.py NUMBER ENDPOINT LEDGER STOP_FILE. Exits with 0 when everything is acknowledged in the end.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import obsagent
from crash.rows import CHUNK, Ledger, Sent, chunk, increment

PIECE = 250
PAUSE_S = 0.004
STEPS_PER_EVENT = 100
EVENTS_OF_A_NAME = 300
FLUSH_S = 60.0


def main() -> int:
    number, endpoint, ledger, stop_file = int(sys.argv[1]), sys.argv[2], Ledger(Path(sys.argv[3])), Path(sys.argv[4])
    client = obsagent.connect(service=f"producer-{number}", endpoint=endpoint)
    histogram, counter = client.histogram("row"), client.counter("steps")
    events = 0
    for step in itertools.count():
        if stop_file.exists():
            break
        if step % STEPS_PER_EVENT == 0:
            events += 1
        acknowledged = client.outbox.acknowledged_samples, client.events.first_kept - 1
        sent = Sent(acknowledged[0], (step + 1) * PIECE, step + 1, acknowledged[1], events)
        ledger.write(sent)
        if step % STEPS_PER_EVENT == 0:
            client.event(f"step-{events // EVENTS_OF_A_NAME}", number=events)
        begin = step * PIECE % CHUNK
        piece = chunk(number, step * PIECE // CHUNK)[begin : begin + PIECE]
        if step % 3:
            histogram.observe_many(piece)
        else:
            for value in piece.tolist():
                histogram.observe(value)
        counter.inc(increment(step))
        time.sleep(PAUSE_S)
    result = client.flush(FLUSH_S)
    ledger.write(
        sent._replace(acknowledged=result.acknowledged, acknowledged_events=client.events.first_kept - 1, finished=1)
    )
    result.raise_if_pending()
    return 1 if result.dropped or result.rejected else 0


if __name__ == "__main__":
    sys.exit(main())
