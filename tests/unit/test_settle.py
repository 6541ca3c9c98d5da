"""The accounts of a session balance by arithmetic, whatever was given up on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from obsagent.receive.settle import settle
from obsagent.wire.frame import SessionCounts

NOTHING = SessionCounts(0, 0, 0, 0, 0)


def test_without_a_gap_nothing_is_given_up() -> None:
    assert settle(NOTHING, SessionCounts(13, 1, 0, 0, 2), 10) == SessionCounts(13, 1, 0, 0, 2)


def test_a_gap_is_given_up_by_budget_unless_age_explains_it() -> None:
    assert settle(NOTHING, SessionCounts(30, 0, 20, 0, 0), 10) == SessionCounts(30, 0, 20, 0, 0)
    assert settle(NOTHING, SessionCounts(30, 0, 5, 15, 0), 10) == SessionCounts(30, 0, 5, 15, 0)


def test_a_batch_given_up_after_it_was_applied_is_not_lost() -> None:
    booked = settle(NOTHING, SessionCounts(10, 0, 0, 0, 0), 10)
    assert booked is not None
    # The client never saw the acknowledgement of the first ten and gave them up.
    assert settle(booked, SessionCounts(15, 0, 10, 0, 0), 5) == SessionCounts(15, 0, 0, 0, 0)


def test_counts_that_cannot_be_true_are_refused() -> None:
    assert settle(NOTHING, SessionCounts(5, 0, 0, 0, 0), 10) is None
    assert settle(SessionCounts(10, 5, 0, 0, 0), SessionCounts(20, 4, 0, 0, 0), 10) is None
    assert settle(SessionCounts(10, 0, 0, 0, 5), SessionCounts(20, 0, 0, 0, 4), 10) is None


batches = st.lists(
    st.tuples(
        st.integers(1, 100), st.integers(0, 5), st.integers(0, 5), st.sampled_from(["sent", "budget", "expired"])
    ),
    max_size=30,
)


@given(batches)
def test_observed_equals_stored_and_given_up(history: list[tuple[int, int, int, str]]) -> None:
    reported, booked, stored = NOTHING, NOTHING, 0
    for samples, ring, value, fate in [*history, (1, 0, 0, "sent")]:
        reported = reported._replace(
            observed=reported.observed + samples + ring + value,
            dropped_ring=reported.dropped_ring + ring,
            rejected_value=reported.rejected_value + value,
            dropped_budget=reported.dropped_budget + (samples if fate == "budget" else 0),
            dropped_expired=reported.dropped_expired + (samples if fate == "expired" else 0),
        )
        if fate == "sent":
            settled = settle(booked, reported, samples)
            assert settled is not None
            booked, stored = settled, stored + samples
    assert booked == reported
    assert booked.observed == stored + sum(booked[1:])
