"""Numbers with units."""

import pytest

from obsagent.answer.values import EXPECTED, parse_value


@pytest.mark.parametrize(
    ("text", "number", "dimension"),
    [
        ("0.5", 0.5, ""),
        ("-3", -3.0, ""),
        ("1e-3", 0.001, ""),
        ("250ms", 0.25, "seconds"),
        ("99.9us", 99.9e-6, "seconds"),
        ("3µs", 3e-6, "seconds"),
        ("1h30m", 5400.0, "seconds"),
        ("2min", 120.0, "seconds"),
        ("2GB", 2e9, "bytes"),
        ("1.5KiB", 1536.0, "bytes"),
        ("5%", 0.05, "ratio"),
        ("99.9%", 0.999, "ratio"),
        ("1e1%", 0.1, "ratio"),
    ],
)
def test_values_are_the_nearest_doubles_in_base_units(text, number, dimension):
    value = parse_value(text)
    assert (value.number, value.dimension, value.text) == (number, dimension, text)


@pytest.mark.parametrize("text", ["", "fast", "1.2.3", "--5", "ms", "1e999", "9" * 400, "nan", "inf", "5 ms", "0x10"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=r"expected a number|is no unit"):
        parse_value(text)


def test_an_unknown_unit_is_named():
    with pytest.raises(ValueError, match="`parsecs` is no unit; there are ns, us"):
        parse_value("3parsecs")
    assert EXPECTED.startswith("expected a number")


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("250ms", "seconds", 0.25),
        ("250ms", "milliseconds", 250.0),
        ("0.25", "seconds", 0.25),
        ("2GB", "bytes", 2e9),
        ("5%", "ratio", 0.05),
        ("5%", "percent", 5.0),
        ("5%", "", 0.05),
        ("7", "requests", 7.0),
    ],
)
def test_a_value_in_the_unit_of_a_metric(text, unit, number):
    assert parse_value(text).in_unit(unit) == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(("text", "unit"), [("250ms", "bytes"), ("2GB", "requests"), ("5s", ""), ("5%", "seconds")])
def test_a_value_that_does_not_fit(text, unit):
    with pytest.raises(ValueError, match=f"`{text}` does not fit"):
        parse_value(text).in_unit(unit)
