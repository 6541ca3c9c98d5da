"""What is believed of the headers of a request."""

from __future__ import annotations

import pytest

from obsagent.record.middleware import headers

NOW_S = 1_700_000_000.5
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    "text",
    [
        "t=1700000000.123",
        "1700000000.123",
        "t=1700000000123",
        " 1700000000123 ",
        "t=1700000000123000",
        "1700000000123000",
        "1700000000123000000",
        "t=1700000000123.000",
        "t=1700000000.123, t=1700000000.4",  # of two proxies
        "t=1600000000.123,1700000000123",  # of which one has a clock of its own
    ],
)
def test_the_start_of_a_request_comes_in_seconds_or_thousandths_of_them(text: str) -> None:
    assert headers.queued_at(text, NOW_S) == pytest.approx(1_700_000_000.123, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t=",
        "now",
        "nan",
        "-1",
        "1e9",
        "t=1700000000,123",
        "t=1700000000.1,",
        ",".join(["t=1700000000.1"] * 40),
        "t=1",
        "t=0",
        "9" * 30,
        "t=1699990000",
        "t=1700000003",
        "١٧٠٠٠٠٠٠٠٠",
    ],
)
def test_an_absurd_start_of_a_request_is_ignored(text: str) -> None:
    assert headers.queued_at(text, NOW_S) is None


def test_a_start_a_little_ahead_is_one_of_another_clock() -> None:
    assert headers.queued_at(str(NOW_S + 0.5), NOW_S) == NOW_S + 0.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
        (f" 00-{TRACE}-b7ad6b7169203331-00 ", TRACE),
        (f"01-{TRACE}-b7ad6b7169203331-01-more", TRACE),
        (f"00-{TRACE}-b7ad6b7169203331-01-more", None),
        (f"ff-{TRACE}-b7ad6b7169203331-01", None),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-b7ad6b7169203331-01", None),
        (f"00-{TRACE}-b7ad6b7169203331", None),
        ("", None),
    ],
)
def test_a_trace_is_that_of_a_valid_traceparent(text: str, expected: str | None) -> None:
    assert headers.trace_id(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7f3c-41", "7f3c-41"),
        (" a.b:c/d_e=+@~# ", "a.b:c/d_e=+@~#"),
        ("x" * 128, "x" * 128),
        ("x" * 129, None),
        ("two words", None),
        ("a\nb", None),
        ('"><script>', None),
        ("é", None),
        ("", None),
    ],
)
def test_an_id_is_short_and_made_of_plain_characters(text: str, expected: str | None) -> None:
    assert headers.request_id(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("1234", 1234), ("-1", None), ("9" * 40, None), ("²", None)])
def test_a_length_is_a_number(text: str, expected: int | None) -> None:
    assert headers.body_bytes(text) == expected
