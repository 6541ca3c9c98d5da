"""Reads the page of metrics of a server that is not ours, again and again: one target of `[[scrape]]`.

    HTTP ──► lines ──► exposition ──► families ──► restarts ──► readings, with `service` and `instance`

Besides the page's own there is `up` (1: a page was read), `scrape_duration` and `scrape_samples`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from obsagent.collect.collector import Unreadable
from obsagent.collect.exposition import Labels, Page
from obsagent.collect.families import SUM, Families, Point, families_of, names_of
from obsagent.collect.restarts import Restarts
from obsagent.collect.scrape_http import Answer, Request, TooLarge
from obsagent.collect.scrape_http import Page as HttpPage
from obsagent.collect.scrape_settings import OWN_LABELS, ScrapeSettings, pattern_of
from obsagent.readings import Reading
from obsagent.samples import Instrument, Kind

UP = Instrument("up", Kind.GAUGE, "1 if the server's page of metrics could be read", across="min")
DURATION = Instrument("scrape_duration", Kind.GAUGE, "How long it took to get and read a page", "seconds", across="max")
SAMPLES = Instrument("scrape_samples", Kind.GAUGE, "Samples of a page that were read", across="sum")
OWN_METRICS = frozenset(each.name for each in (UP, DURATION, SAMPLES))
EXPORTED = "exported_"

OpenPage = Callable[[Request], AbstractContextManager[Answer]]


class Scrape:
    """The collector of one target; `obsagent.collect.collector.Collector`."""

    def __init__(self, settings: ScrapeSettings, open_page: OpenPage = HttpPage) -> None:
        """Nothing is read yet."""
        self.settings = settings
        self._open_page = open_page
        self._restarts = Restarts()
        self._own = {"service": settings.service, "instance": settings.instance, **dict(settings.labels)}
        self._include = pattern_of(settings.include) if settings.include else None
        self._exclude = pattern_of(settings.exclude) if settings.exclude else None
        self._request = Request(
            settings.url,
            settings.page_bytes,
            settings.timeout_ms / 1000,
            settings.bearer_token_file,
            settings.ca_file,
        )

    @property
    def name(self) -> str:
        """Its job and the server."""
        return f"scrape {self.settings.service} {self.settings.instance}"

    @property
    def interval_s(self) -> float:
        """From the beginning of one round to that of the next."""
        return self.settings.interval_ms / 1000

    def close(self) -> None:
        """Nothing stays open between rounds."""

    def collect(self) -> Iterator[Reading]:
        """One page; raises `Unreadable` for what of it could not be read, after what could."""
        began_s, now_s = time.monotonic(), time.time()
        troubles: list[str] = []
        page: Page | None = None
        readings: list[Reading] = []
        try:
            page = self._page(troubles)
            readings = self._understood(page, now_s, troubles)
        except Unreadable as error:
            troubles.append(str(error))
        yield from readings
        is_up = page is not None and (bool(page.samples) or not page.malformed)
        yield Reading(UP, float(is_up), self._own)
        yield Reading(DURATION, time.monotonic() - began_s, self._own)
        yield Reading(SAMPLES, float(len(readings)), self._own)
        if troubles:
            raise Unreadable(f"{self.settings.url}: {'; '.join(troubles)}")

    def _page(self, troubles: list[str]) -> Page:
        """What the server says; raises `Unreadable` if it says nothing."""
        page = Page(wants=_Wants(self._include, self._exclude), samples_max=2 * self.settings.series)
        with self._open_page(self._request) as answer:
            try:
                for line in answer.lines():
                    page.read(line)
            except TooLarge:
                troubles.append(
                    f"larger than {_size(self.settings.page_bytes)}: what stands behind is not read; "
                    "raise page_bytes, if the page is sound"
                )
            else:
                if answer.is_openmetrics and not page.ended:
                    troubles.append("it ends without # EOF: a part of it may be missing")
        return page

    def _understood(self, page: Page, now_s: float, troubles: list[str]) -> list[Reading]:
        found = families_of(page)
        self._limit(page, found, troubles)
        readings = list(self._readings(found, now_s, troubles, whole=not troubles))
        if page.malformed:
            more = f"; {page.malformed:,} lines like that are left out" if page.malformed > 1 else ", which is left out"
            troubles.append(f"{page.first_malformed}{more}")
        return readings

    def _limit(self, page: Page, found: Families, troubles: list[str]) -> None:
        """Cuts what is beyond the series that a page may have; a histogram is not cut in two."""
        points, most = found.points, self.settings.series
        beyond = page.unread + max(len(points) - most, 0)
        if not beyond:
            return
        while most and most < len(points) and points[most].key == points[most - 1].key:
            most -= 1
        troubles.append(
            f"{len(points) + page.unread:,} series; {self.settings.series:,} are the most, so that the last "
            f"{len(points) + page.unread - most:,} are not read; raise series, or exclude some"
        )
        del points[most:]

    def _readings(self, found: Families, now_s: float, troubles: list[str], *, whole: bool) -> Iterator[Reading]:
        falling = self._restarts.sums_that_fall(found.totals)
        begun = self._restarts.begun(found.totals, now_s, whole=whole)
        if falling:
            family = min(falling)[0]
            troubles.append(f"`{family}_sum` falls, though `{family}` was not begun again: its mean is not exact")
        for point in found.points:
            name = point.instrument.name
            if name in OWN_METRICS:
                troubles.append(f"`{name}` is a metric of the agent's own: the page's is left out")
            elif not (point.key in falling and name.endswith(SUM)):
                yield self._reading(point, from_nothing=point.key in begun)

    def _reading(self, point: Point, *, from_nothing: bool) -> Reading:
        return Reading(point.instrument, point.value, self._labels(point.labels), from_nothing=from_nothing)

    def _labels(self, on_page: Labels) -> dict[str, str]:
        """Ours, and the page's: one that is called like one of ours is called `exported_…`, as Prometheus does."""
        labels = dict(on_page)
        for name, _ in on_page:
            if name in OWN_LABELS or name in self._own:
                renamed = EXPORTED + name
                while renamed in labels or renamed in self._own:
                    renamed = EXPORTED + renamed
                labels[renamed] = labels.pop(name)
        return {**labels, **self._own}


class _Wants:
    """Whether a metric is wanted, by its name or its family's; asked of each name once."""

    def __init__(self, include: re.Pattern[str] | None, exclude: re.Pattern[str] | None) -> None:
        self._include = include
        self._exclude = exclude
        self._known: dict[str, bool] = {}

    def __call__(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._judge(name)
        return known

    def _judge(self, name: str) -> bool:
        names = list(names_of(name))
        if self._exclude is not None and any(map(self._exclude.match, names)):
            return False
        return self._include is None or any(map(self._include.match, names))


def _size(size: int) -> str:
    return f"{size >> 20} MiB" if size % (1 << 20) == 0 else f"{size:,} bytes"
