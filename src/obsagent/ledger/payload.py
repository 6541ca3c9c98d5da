"""What the payload of a manifest has to look like, so that a ledger can be opened with whatever was accepted.

A shape is a type, a range of whole numbers, a list of one shape (any number of such), or a tuple of a row's shapes.
"""

from __future__ import annotations

from typing import Any

from obsagent.errors import CorruptData
from obsagent.ledger.run import BY_NUMBER
from obsagent.limits import LEDGER_CLASSES_MAX, LEDGER_RUN_ROWS_MAX

GENERATIONS = NUMBERS = POSITIONS = range(1 << 62)
"""There is room above them to go on."""
COUNTS = range(1 << 63)
TIMES = WHOLE = range(-(1 << 63), 1 << 63)

MARKS = ([TIMES], TIMES, TIMES, TIMES, TIMES)
RUN = (
    NUMBERS,
    NUMBERS,
    range(min(BY_NUMBER), max(BY_NUMBER) + 1),
    COUNTS,
    range(LEDGER_RUN_ROWS_MAX + 1),
    *[TIMES] * 4,
)
GAP = (str, TIMES, TIMES, COUNTS, str)
MODEL = (str, [str], bool, bool, bool, COUNTS, [COUNTS], [float], str, str)
MODEL_FIELDS_MIN = 2
"""Earlier builds knew less of a model."""
SESSION = (bytes, range(1 << 64), COUNTS, COUNTS, tuple([COUNTS] * 5))
FORGOTTEN = (range(1 << 64), range(1 << 32), COUNTS)


def check_payload(generation: int, payload: Any) -> None:
    """Raises CorruptData for what `Manifest.encode` does not write."""
    if not isinstance(payload, list) or len(payload) != 6:
        raise CorruptData("not what a manifest holds: six fields are expected")
    position, next_run, marks, runs, gaps, state = payload
    _expect(generation, GENERATIONS, "the generation")
    _expect([position, next_run], (POSITIONS, NUMBERS), "the position or the next run")
    _expect(marks, MARKS[: len(marks)] if isinstance(marks, list) and marks else MARKS, "the marks")
    _expect(gaps, [GAP], "the gaps")
    _expect(runs, [RUN], "the runs")
    numbers = [number for number, *_ in runs]
    if len({*numbers}) != len(numbers) or any(max(number, newest) >= next_run for number, newest, *_ in runs):
        raise CorruptData("not what a manifest holds: the numbers of its runs")
    _check_state(state)
    if len(marks[0]) > len(state.get("models", ())):
        raise CorruptData("not what a manifest holds: more cutoffs than models")


def _check_state(state: Any) -> None:
    if not isinstance(state, dict):
        raise CorruptData("not what a manifest holds: its state is no map")
    _check_names(state.get("models", []), state.get("series", []))
    _expect(state.get("sessions", []), [SESSION], "the sessions")
    _expect(state.get("forgotten", []), [FORGOTTEN], "what was forgotten")
    _expect(state.get("flushes", []), [(TIMES, POSITIONS)], "the flushes")
    counters = state.get("counters", {})
    _expect(counters, dict, "the counters")
    _expect([[*each] for each in counters.items()], [(str, WHOLE)], "the counters")


def _check_names(models: Any, series: Any) -> None:
    _expect(models, [list], "the models")
    for model in models:
        _expect(model, MODEL[: max(len(model), MODEL_FIELDS_MIN)], "the models")
    if len({name for name, *_ in models}) != len(models) or any(len(each[1]) > LEDGER_CLASSES_MAX for each in models):
        raise CorruptData("not what a manifest holds: a model twice, or too many classes")
    _expect(series, [(range(len(models)), str, str, [(str, str)], str)], "the series")


def _expect(value: Any, shape: Any, what: str) -> None:
    if not _fits(value, shape):
        raise CorruptData(f"not what a manifest holds: {what}")


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, range):
        return type(value) is int and value in shape
    if isinstance(shape, type):
        return type(value) is shape
    if type(value) is not list:
        return False
    if isinstance(shape, list):
        return all(_fits(each, shape[0]) for each in value)
    return len(value) == len(shape) and all(map(_fits, value, shape))
