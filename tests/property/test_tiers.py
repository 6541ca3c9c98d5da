"""How a time is cut into pieces, each read in windows of one length, whatever is whole in which tier."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.segment.block import NO_WINDOW_LAST
from obsagent.segment.tiers import Piece, Tiers

TIME = st.integers(0, 20_000_000)
BEGIN = st.lists(TIME | st.just(NO_WINDOW_LAST), min_size=3, max_size=3).map(lambda found: sorted(found, reverse=True))
STEP = st.sampled_from((0, 10_000, 30_000, 60_000, 120_000, 3_600_000))


def tiers_from(begins: list[int]) -> Tiers:
    return Tiers(whole_from=dict(zip(TIER_WINDOWS_MS, begins, strict=True)))


@given(BEGIN, TIME, TIME, STEP)
def test_pieces_read_what_is_kept_once(begins: list[int], one: int, other: int, step_ms: int) -> None:
    tiers = tiers_from(begins)
    from_ms, to_ms = min(one, other), max(one, other) + 1
    pieces = tiers.pieces(from_ms, to_ms, step_ms)
    done_ms = NO_WINDOW_LAST
    for piece in pieces:
        assert done_ms <= piece.from_ms < piece.to_ms
        assert piece.from_ms % piece.window_ms == 0
        assert piece.to_ms % piece.window_ms == 0 or (piece is pieces[-1] and piece.window_ms == WINDOW_MS)
        assert piece.from_ms >= tiers.whole_from[piece.window_ms]
        done_ms = piece.to_ms
    for at_ms in range(from_ms - from_ms % WINDOW_MS, to_ms, WINDOW_MS):
        is_kept = any(at_ms - at_ms % each >= tiers.whole_from[each] for each in TIER_WINDOWS_MS)
        assert is_kept == any(piece.from_ms <= at_ms < piece.to_ms for piece in pieces)
    needed = tiers.window_ms_from(from_ms)
    for piece in pieces:  # no longer than what must be, or than what fits
        fits = (
            from_ms - from_ms % WINDOW_MS <= piece.from_ms and piece.to_ms <= to_ms and step_ms % piece.window_ms == 0
        )
        assert fits or piece.window_ms <= needed


@given(TIME, TIME, STEP)
def test_where_all_is_whole_no_piece_reaches_over_the_ends_or_a_step(one: int, other: int, step_ms: int) -> None:
    from_ms, to_ms = min(one, other), max(one, other) + 1
    pieces = Tiers().pieces(from_ms, to_ms, step_ms)
    assert pieces[0].from_ms == from_ms - from_ms % WINDOW_MS
    assert pieces[-1].to_ms == to_ms
    assert all(step_ms % piece.window_ms == 0 for piece in pieces)


def test_an_example() -> None:
    minute, hour = 60_000, 3_600_000
    whole = Tiers()
    assert whole.pieces(2 * hour - 90_000, 3 * hour + 30_000) == [
        Piece(minute // 6, 2 * hour - 90_000, 2 * hour - minute),
        Piece(minute, 2 * hour - minute, 2 * hour),
        Piece(hour, 2 * hour, 3 * hour),
        Piece(minute // 6, 3 * hour, 3 * hour + 30_000),
    ]
    expired = tiers_from([5 * hour, 3 * hour, NO_WINDOW_LAST])
    assert expired.pieces(2 * hour + 1, 5 * hour + minute, 30_000) == [
        Piece(hour, 2 * hour, 3 * hour),
        Piece(minute, 3 * hour, 5 * hour),
        Piece(10_000, 5 * hour, 5 * hour + minute),
    ]
    assert expired.window_ms_from(0) == hour
    assert expired.window_ms_from(4 * hour) == minute
    assert expired.window_ms_from(6 * hour) == 10_000
