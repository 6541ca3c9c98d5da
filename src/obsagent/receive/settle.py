"""Balancing a session's counts: what a client observed and did not send has been given up, and by which reason.

A batch carries the client's cumulative counts at the moment it was sealed. Between two applied batches
the client observed `samples` of the later one, what its ring dropped and its instruments rejected, and the
batches in between that it gave up. So the missing part follows from the counts alone, exactly, even where the
client gave up a batch whose acknowledgement was lost.
"""

from __future__ import annotations

from obsagent.wire.frame import SessionCounts


def settle(booked: SessionCounts | None, reported: SessionCounts, samples: int) -> SessionCounts | None:
    """The session's counts after a message with `samples` samples; None if they cannot be true.

    `booked` are the counts after the session's last message; `reported` those of this one, of which the two
    give-up counts only say how the missing part divides. A session whose booked counts are not known (None: a
    damaged store) is taken at its word.
    """
    if booked is None:
        return reported
    observed = reported.observed - booked.observed
    ring = reported.dropped_ring - booked.dropped_ring
    value = reported.rejected_value - booked.rejected_value
    missing = observed - ring - value - samples
    if min(ring, value, missing) < 0:
        return None
    expired = min(missing, max(reported.dropped_expired - booked.dropped_expired, 0))
    return SessionCounts(
        observed=reported.observed,
        dropped_ring=reported.dropped_ring,
        dropped_budget=booked.dropped_budget + missing - expired,
        dropped_expired=booked.dropped_expired + expired,
        rejected_value=reported.rejected_value,
    )
