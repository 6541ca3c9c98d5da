"""Numbers with units, as they are written after `under`, `over`, `above` and `below`: `250ms`, `2GB`, `5%`, `0.5`."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from obsagent.units import BYTES, MEASURES, SECONDS

RATIO = "ratio"

TIME_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
TIME_UNITS |= {"d": 86_400.0, "w": 604_800.0}
BYTE_UNITS = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
BYTE_UNITS |= {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40}

METRIC_UNITS = {
    **MEASURES,
    **dict.fromkeys(("ratio", "ratios", "1"), (RATIO, 1.0)),
    **dict.fromkeys(("percent", "%"), (RATIO, 0.01)),
}
"""Unit of a metric → what it measures, and how much of its base unit it is."""

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,3})?"
_SINGLE = re.compile(rf"([+-]?)({_NUMBER})([A-Za-zµ%]*)")
_COMPOUND = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:ms|us|µs|ns|s|m|h|d|w))+")
_PART = re.compile(r"([0-9.]+)([a-zµ]+)")

EXPECTED = "expected a number, with a unit if it has one: 0.5, 250ms, 2GB, 5%"


class Value(NamedTuple):
    """A number of `dimension` ("" if no unit was written, else seconds, bytes or ratio, in that base unit)."""

    number: float
    dimension: str
    text: str

    def in_unit(self, unit: str) -> float:
        """The number in a metric's unit; without a unit of its own it is taken as one already.

        Raises `ValueError` (says what is measured) if the two do not go together.
        """
        if not self.dimension:
            return self.number
        dimension, size = METRIC_UNITS.get(unit, ("", 1.0))
        if dimension == self.dimension:
            return self.number if size == 1.0 else self.number / size
        if self.dimension == RATIO and not dimension:
            return self.number
        measured = f"measured in {unit}" if unit else "a number without a unit"
        raise ValueError(f"`{self.text}` does not fit: this is {measured}")


def looks_like_value(text: str) -> bool:
    """True for what was meant as a number, right or wrong."""
    return re.match(r"[+-]?\.?[0-9]", text) is not None


def parse_value(text: str) -> Value:
    """The value; raises `ValueError`, which says what was expected."""
    single = _SINGLE.fullmatch(text)
    if single:
        return _single(text, -1.0 if single[1] == "-" else 1.0, single[2], single[3])
    if _COMPOUND.fullmatch(text):
        seconds = math.fsum(float(number) * TIME_UNITS[unit] for number, unit in _PART.findall(text))
        return Value(seconds, SECONDS, text)
    raise ValueError(EXPECTED)


def _single(text: str, sign: float, number: str, unit: str) -> Value:
    if not unit:
        return Value(sign * _finite(number), "", text)
    if unit == "%":
        return Value(sign * _scaled(number, 0.01), RATIO, text)
    for units, dimension in ((TIME_UNITS, SECONDS), (BYTE_UNITS, BYTES)):
        if unit in units:
            return Value(sign * _scaled(number, units[unit]), dimension, text)
    known = ", ".join([*TIME_UNITS, *BYTE_UNITS])
    raise ValueError(f"`{unit}` is no unit; there are {known} and %")


def _scaled(number: str, size: float) -> float:
    """`250ms` is the double nearest to 0.25, which 250 * 0.001 need not be."""
    exponent = round(math.log10(size))
    if size == 10.0**exponent and "e" not in number.lower():
        return _finite(f"{number}e{exponent}")
    return _finite(number) * size


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(EXPECTED)
    return value
