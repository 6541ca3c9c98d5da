"""Lines of keys in a TOML file, found beside the parser."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.toml_lines import lines_of, nearest

TEXT = """\
# data = "no key"
data = "x"   # listen = 3
  "quoted" = 1
retention = { "10s" = "48h" }

[metrics.latency]  # a comment
scale = 7
[metrics."a.b"]
'scale'=3
deep.er = 1
[[scrape]]
url = "a"
[[scrape]]\r
url = "b"
[ scrape.inner ]
x = 1
"""


def test_keys_have_the_lines_on_which_they_stand() -> None:
    tomllib.loads(TEXT)
    assert lines_of(TEXT) == {
        "data": 2,
        "quoted": 3,
        "retention": 4,
        "metrics.latency": 6,
        "metrics.latency.scale": 7,
        "metrics.a.b": 8,
        "metrics.a.b.scale": 9,
        "metrics.a.b.deep.er": 10,
        "scrape": 11,
        "scrape.0": 11,
        "scrape.0.url": 12,
        "scrape.1": 13,
        "scrape.1.url": 14,
        "scrape.inner": 15,
        "scrape.inner.x": 16,
    }


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("data", 2),
        ("retention.10s", 4),
        ("scrape[1].url", 14),
        ("scrape[1].nothing", 13),
        ("nowhere", None),
        ("", None),
    ],
)
def test_a_key_without_a_line_has_that_of_its_table(key: str, line: int | None) -> None:
    assert nearest(key, lines_of(TEXT)) == line


@given(st.text(max_size=300))
def test_no_text_is_too_strange(text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 for line in lines_of(text).values())
