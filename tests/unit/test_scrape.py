"""One target, with its pages made up: labels, limits, restarts, and what is said when a page cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from obsagent.collect.collector import Unreadable
from obsagent.collect.scrape import Scrape
from obsagent.collect.scrape_http import Request, TooLarge
from obsagent.collect.scrape_settings import ScrapeSettings
from obsagent.readings import Reading

OURS = {"service": "vllm", "instance": "127.0.0.1:8000"}


class FakeAnswer:
    def __init__(self, text: str, is_openmetrics: bool, is_cut: bool) -> None:
        self._text = text
        self._is_cut = is_cut
        self.is_openmetrics = is_openmetrics

    def lines(self) -> Iterator[bytes]:
        yield from self._text.encode().split(b"\n")
        if self._is_cut:
            raise TooLarge


class Target:
    """A scraper, what its server says next, and what was read and said of it."""

    def __init__(self, **settings: Any) -> None:
        known = {"service": "vllm", "url": "http://127.0.0.1:8000/metrics", "instance": "127.0.0.1:8000", **settings}
        self.scrape = Scrape(ScrapeSettings(**known), self._open)
        self.text = ""
        self.is_openmetrics = False
        self.is_cut = False
        self.down = ""
        self.trouble = ""

    @contextmanager
    def _open(self, _: Request) -> Iterator[Any]:
        if self.down:
            raise Unreadable(self.down)
        yield FakeAnswer(self.text, self.is_openmetrics, self.is_cut)

    def read(self, text: str) -> dict[str, Reading]:
        """One round; the readings by name, the last of each."""
        self.text = text
        self.trouble = ""
        found = {}
        try:
            for reading in self.scrape.collect():
                found[reading.instrument.name] = reading
        except Unreadable as error:
            self.trouble = str(error)
        return found


def test_each_reading_belongs_to_the_job_and_the_server() -> None:
    target = Target(labels=(("zone", "a"),))
    found = target.read('x{model="m"} 5')
    assert found["x"].labels == {"model": "m", "zone": "a", **OURS}
    assert found["up"].value == 1.0
    assert found["up"].labels == {"zone": "a", **OURS}
    assert found["scrape_samples"].value == 1.0
    assert found["scrape_duration"].value >= 0.0
    assert not target.trouble


def test_labels_that_collide_are_renamed() -> None:
    found = Target(labels=(("zone", "a"),)).read(
        'x{service="s",host="h",worker="w",instance="i",zone="z",exported_host="e"} 5'
    )
    assert found["x"].labels == {
        "exported_service": "s",
        "exported_exported_host": "h",
        "exported_host": "e",
        "exported_worker": "w",
        "exported_instance": "i",
        "exported_zone": "z",
        "zone": "a",
        **OURS,
    }


def test_a_server_that_is_down_is_down_and_said() -> None:
    target = Target()
    target.down = "nobody listens there"
    found = target.read("")
    assert {name: reading.value for name, reading in found.items() if name != "scrape_duration"} == {
        "up": 0.0,
        "scrape_samples": 0.0,
    }
    assert target.trouble == "http://127.0.0.1:8000/metrics: nobody listens there"


def test_a_page_that_is_none_is_not_up() -> None:
    target = Target()
    found = target.read("<html>\n<body>hello</body>\n</html>")
    assert found["up"].value == 0.0
    assert "line 1: not a sample: `<html>`; 3 lines like that are left out" in target.trouble


def test_an_empty_page_is_a_page() -> None:
    assert Target().read("")["up"].value == 1.0


def test_one_bad_line_hides_nothing() -> None:
    target = Target()
    found = target.read("a 1\nb one\nc 3")
    assert {"a", "c"} <= found.keys()
    assert found["up"].value == 1.0
    assert "line 2: `one` is not a number, which is left out" in target.trouble


def test_include_and_exclude() -> None:
    page = '# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\ngo_x 1\ngo_y 2'
    own = {"up", "scrape_duration", "scrape_samples"}
    assert Target(include=("h",)).read(page).keys() - own == {"h_bucket", "h_sum", "h_count"}
    assert Target(exclude=("go_*",)).read(page).keys() - own == {"h_bucket", "h_sum", "h_count"}
    assert Target(include=("go_*", "h_sum"), exclude=("go_y",)).read(page).keys() - own == {"go_x", "h_sum"}


def test_more_series_than_there_may_be_are_cut_and_said() -> None:
    target = Target(series=3)
    found = target.read("\n".join(f'x{{n="{n}"}} 1' for n in range(5)))
    assert found["scrape_samples"].value == 3.0
    assert "5 series; 3 are the most, so that the last 2 are not read" in target.trouble
    assert found["up"].value == 1.0


def test_far_more_series_are_counted_and_not_kept() -> None:
    target = Target(series=3)
    target.read("\n".join(f'x{{n="{n}"}} 1' for n in range(1000)))
    assert "1,000 series; 3 are the most, so that the last 997 are not read" in target.trouble


def test_a_histogram_is_not_cut_in_two() -> None:
    target = Target(series=3)
    found = target.read('a 1\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1')
    assert found["scrape_samples"].value == 1.0
    assert "5 series; 3 are the most, so that the last 4 are not read" in target.trouble


def test_a_page_beyond_its_size_gives_what_came_before() -> None:
    target = Target()
    target.is_cut = True
    found = target.read("a 1\nb 2")
    assert {"a", "b"} <= found.keys()
    assert "larger than 16 MiB: what stands behind is not read" in target.trouble


def test_openmetrics_without_an_end_is_said() -> None:
    target = Target()
    target.is_openmetrics = True
    assert "a" in target.read("a 1")
    assert "it ends without # EOF" in target.trouble
    target.read("a 1\n# EOF")
    assert not target.trouble


def test_a_histogram_that_begins_again_says_so_in_every_part() -> None:
    target = Target()
    page = '# TYPE h histogram\nh_bucket{{le="1"}} {}\nh_bucket{{le="+Inf"}} {}\nh_sum {}\nh_count {}'
    first = target.read(page.format(5, 100, 9.5, 100))
    again = target.read(page.format(6, 40, 9.9, 40))
    assert not any(reading.from_nothing for reading in first.values())
    assert {name for name, reading in again.items() if reading.from_nothing} == {"h_bucket", "h_sum", "h_count"}


def test_a_sum_that_falls_alone_is_left_out_and_said() -> None:
    target = Target()
    page = '# TYPE h histogram\nh_bucket{{le="+Inf"}} {}\nh_sum {}\nh_count {}'
    target.read(page.format(5, 9.5, 5))
    assert "h_sum" not in target.read(page.format(6, 8.5, 6))
    assert "`h_sum` falls" in target.trouble


def test_metrics_that_are_called_like_ours_are_left_out_and_said() -> None:
    target = Target()
    assert target.read("up 7")["up"].value == 1.0
    assert "`up` is a metric of the agent's own" in target.trouble
