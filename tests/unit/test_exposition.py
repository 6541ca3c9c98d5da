"""Lines of pages of metrics, sound and malformed: what is said of each."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from obsagent.collect.exposition import Malformed, Page, Sample, sample_of
from obsagent.limits import LABEL_VALUE_BYTES_MAX, LABELS_MAX, SCRAPE_LINE_BYTES_MAX

PAGES = Path(__file__).parent / "pages"

MANY = ",".join(f'l{number}="v"' for number in range(LABELS_MAX + 1))

SOUND = {
    "a name alone": ("up 1", Sample("up", (), 1.0)),
    "tabs and spaces": ('up\t{ a = "b" , c="d" }\t 1.5 ', Sample("up", (("a", "b"), ("c", "d")), 1.5)),
    "a comma behind the last label": (
        'x{Level="Host",Hostname="h",} 3.0',
        Sample("x", (("Level", "Host"), ("Hostname", "h")), 3.0),
    ),
    "a space behind commas": ('x{gpu="0", UUID="GPU-1"} 5', Sample("x", (("gpu", "0"), ("UUID", "GPU-1")), 5.0)),
    "no labels in braces": ("x{} 2", Sample("x", (), 2.0)),
    "a colon in the name": ("vllm:x 2", Sample("vllm:x", (), 2.0)),
    "escapes": (r'x{a="\"\\\n"} 2', Sample("x", (("a", '"\\\n'),), 2.0)),
    "braces and commas within quotes": ('x{a="},{",b="# {"} 2', Sample("x", (("a", "},{"), ("b", "# {")), 2.0)),
    "a timestamp": ("x 2 1520879607789", Sample("x", (), 2.0)),
    "a timestamp with a fraction": ("x 2 1520879607.789", Sample("x", (), 2.0)),
    "an exemplar": ('x_bucket{le="1"} 2 # {trace_id="a"} 0.67 1520879607.789', Sample("x_bucket", (("le", "1"),), 2.0)),
    "infinity": ("x +Inf", Sample("x", (), math.inf)),
    "exponents": ("x -1.5E-3", Sample("x", (), -0.0015)),
    "an empty value is no label": ('x{a="",b="c"} 1', Sample("x", (("b", "c"),), 1.0)),
    "a name in quotes": ('{"a name.with dots",b="c"} 1', Sample("a name.with dots", (("b", "c"),), 1.0)),
    "a label's name in quotes": ('x{"b.c"="d"} 1', Sample("x", (("b.c", "d"),), 1.0)),
    "not ASCII": ('x{a="größe"} 1', Sample("x", (("a", "größe"),), 1.0)),
}

MALFORMED = {
    "no value": ("x", "not a sample: `x`"),
    "a value alone": ("1.5", "not a sample"),
    "HTML": ("<html><body>404</body></html>", "not a sample"),
    "two values": ("x 1 2 3", "not a sample"),
    "a word for a value": ("x one", "`one` is not a number"),
    "underscores in a number": ("x 1_000", "is not a number"),
    "a name that begins with a digit": ("1x 2", "not a sample"),
    "a dash in a name": ("a-b 2", "not a sample"),
    "a brace that is not closed": ('x{a="b" 2', "not a sample"),
    "a quote that is not closed": ('x{a="b} 2', "not a sample"),
    "a label without quotes": ("x{a=b} 2", 'labels are written name="value", not `a=b`'),
    "labels without a comma": ('x{a="b"c="d"} 2', "labels are written"),
    "two commas": ('x{a="b",,c="d"} 2', "labels are written"),
    "a label twice": ('x{a="b",a="c"} 2', "`x` has a label twice"),
    "no name": ('{a="b"} 2', "a sample has no name"),
    "a name before the braces and within": ('x{"y"} 2', "`x` has a second name"),
    "two names": ('{"a","b"} 2', "a sample has no name"),
    "too many labels": (f"x{{{MANY}}} 1", "more than 32 labels"),
    "a long value": (f'x{{a="{"v" * (LABEL_VALUE_BYTES_MAX + 1)}"}} 1', "longer than 1024 bytes"),
    "a long name of a label": (f'x{{{"a" * 129}="v"}} 1', "longer than 128 bytes"),
    "a long name": ("x" * 257 + " 1", "a metric's name is longer than 256 bytes"),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound(name: str) -> None:
    line, sample = SOUND[name]
    assert sample_of(line) == sample


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    line, said = MALFORMED[name]
    with pytest.raises(Malformed) as caught:
        sample_of(line)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


def test_one_bad_line_costs_one_line() -> None:
    page = Page()
    for line in (
        b"# TYPE a counter",
        b"a 1",
        b"<oops>",
        b"b \xff",
        b"# TYPE c thing",
        b"c 3\r",
        b"d" * (SCRAPE_LINE_BYTES_MAX + 1),
    ):
        page.read(line)
    assert [sample.name for sample in page.samples] == ["a", "c"]
    assert (page.malformed, page.first_malformed) == (4, "line 3: not a sample: `<oops>`")


def test_nothing_follows_the_end() -> None:
    page = Page()
    for line in (b"a 1", b"# EOF", b"", b"b 2"):
        page.read(line)
    assert page.ended
    assert len(page.samples) == 1
    assert page.first_malformed == "line 4: something follows # EOF"


def test_help_and_units_are_kept() -> None:
    page = Page()
    for line in (
        rb"# HELP x_seconds How \n long \\",
        b"# UNIT x_seconds seconds",
        b"# TYPE x_seconds GAUGE",
        b"# just words",
        b"#",
    ):
        page.read(line)
    assert page.helps == {"x_seconds": "How \n long \\"}
    assert page.units == {"x_seconds": "seconds"}
    assert page.types == {"x_seconds": "gauge"}
    assert not page.malformed


def test_samples_beyond_the_most_are_counted() -> None:
    page = Page(samples_max=2)
    for number in range(5):
        page.read(f"x{number} 1".encode())
    assert (len(page.samples), page.unread) == (2, 3)


@pytest.mark.parametrize("path", sorted(PAGES.iterdir()), ids=lambda path: path.stem)
def test_pages_of_real_servers(path: Path) -> None:
    page = Page()
    for line in path.read_bytes().split(b"\n"):
        page.read(line)
    assert page.samples
    assert not page.malformed, page.first_malformed
