"""What the configuration says of servers with a page of metrics: `[[scrape]]`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from obsagent import limits
from obsagent.config_values import parse_bytes, parse_duration, shown, shown_key
from obsagent.errors import ConfigError

DEFAULT_PATH = "/metrics"
PORTS = {"http": 80, "https": 443}
OWN_LABELS = frozenset({"service", "host", "worker", "instance", "overflow"})
"""Labels that the agent gives; what a page has under such a name is called `exported_…`."""

LABEL_PATTERN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class ScrapeSettings:
    """One target: a page of a server, of the job `service`."""

    service: str
    url: str
    instance: str
    interval_ms: int = limits.SCRAPE_INTERVAL_MS
    timeout_ms: int = limits.SCRAPE_TIMEOUT_MS
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    bearer_token_file: Path | None = None
    ca_file: Path | None = None
    page_bytes: int = limits.SCRAPE_PAGE_BYTES
    series: int = limits.SCRAPE_SERIES


def parse_scrape(key: str, value: object) -> tuple[ScrapeSettings, ...]:
    """The targets of all `[[scrape]]` tables; raises `ConfigError`."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ConfigError(f"{key}: expected tables such as [[{key}]]")
    targets = [target for number, table in enumerate(value, 1) for target in _targets(f"{key} {number}", table)]
    if len(targets) > limits.SCRAPE_TARGETS_MAX:
        raise ConfigError(f"{key}: {len(targets)} targets; {limits.SCRAPE_TARGETS_MAX} are the most")
    seen: set[tuple[str, str]] = set()
    for target in targets:
        if (target.service, target.instance) in seen:
            raise ConfigError(
                f"{key}: two targets are {shown(target.service)} at {shown(target.instance)}: "
                "give one of them another name, or labels.instance"
            )
        seen.add((target.service, target.instance))
    return tuple(targets)


def _targets(place: str, table: Mapping[str, Any]) -> list[ScrapeSettings]:
    _refuse_unknown(place, table, ["name", "url", "urls", *KEYS])
    if "name" in table:
        place = f"{place} ({shown(table['name'])})"
    name = _text(f"{place}: name", table.get("name"))
    urls = _urls(place, table)
    values: dict[str, Any] = {
        field_name: parse(f"{place}: {key}", table[key]) for key, (field_name, parse) in KEYS.items() if key in table
    }
    _check_times(place, values)
    given = dict(values.get("labels", ())).get("instance")
    if given and len(urls) > 1:
        raise ConfigError(f"{place}: labels.instance names one server, but there are {len(urls)} urls")
    hosts = [_host(url) for url in urls]
    return [
        ScrapeSettings(name, url.geturl(), given or (host if hosts.count(host) == 1 else f"{host}{url.path}"), **values)
        for url, host in zip(urls, hosts, strict=True)
    ]


def _urls(place: str, table: Mapping[str, Any]) -> list[SplitResult]:
    if ("url" in table) == ("urls" in table):
        raise ConfigError(f'{place}: expected url = "http://HOST:PORT/metrics", or urls = [ … ] for several')
    if "url" in table:
        return [_url(f"{place}: url", table["url"])]
    urls = table["urls"]
    if not isinstance(urls, list) or not urls:
        raise ConfigError(f"{place}: urls: expected a list of addresses, got {shown(urls)}")
    return [_url(f"{place}: urls", each) for each in urls]


def _url(place: str, value: object) -> SplitResult:
    """An address with a path, `/metrics` if it has none."""
    text = _text(place, value)
    try:
        url = urlsplit(text)
        usable = url.scheme in PORTS and bool(url.hostname) and url.port != 0 and text.isprintable() and " " not in text
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f'{place}: expected an address such as "http://127.0.0.1:8000/metrics", got {shown(value)}')
    if "@" in url.netloc:
        raise ConfigError(f"{place}: no password belongs into an address; bearer_token_file names a file with a token")
    return url._replace(path=url.path or DEFAULT_PATH, fragment="")


def _host(url: SplitResult) -> str:
    """`HOST:PORT`, as Prometheus names an instance."""
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    return f"{host}:{url.port or PORTS[url.scheme]}"


def _check_times(place: str, values: dict[str, Any]) -> None:
    """A round ends before the next one: without a `timeout` it is cut to the interval."""
    interval_ms = values.get("interval_ms", limits.SCRAPE_INTERVAL_MS)
    timeout_ms = values.setdefault("timeout_ms", min(limits.SCRAPE_TIMEOUT_MS, interval_ms))
    if timeout_ms > interval_ms:
        raise ConfigError(f"{place}: timeout: expected at most the interval, {interval_ms // 1000}s")


def _text(place: str, value: object) -> str:
    size_max = limits.LABEL_VALUE_BYTES_MAX
    if isinstance(value, str) and value and value.isprintable() and len(value.encode()) <= size_max:
        return value
    got = "nothing" if value is None else shown(value)
    raise ConfigError(f"{place}: expected text of at most {size_max} bytes in quotes, got {got}")


def _path(place: str, value: object) -> Path:
    return Path(_text(place, value))


def _interval(place: str, value: object) -> int:
    interval_ms = parse_duration(place, value)
    if interval_ms > limits.SCRAPE_INTERVAL_MAX_MS:
        raise ConfigError(f"{place}: expected at most {limits.SCRAPE_INTERVAL_MAX_MS // 1000}s, got {shown(value)}")
    return interval_ms


def _patterns(place: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and 0 < len(value) <= limits.SCRAPE_PATTERNS_MAX:
        return tuple(_text(place, each) for each in value)
    most = limits.SCRAPE_PATTERNS_MAX
    raise ConfigError(f'{place}: expected at most {most} names or patterns such as ["vllm:*"], got {shown(value)}')


def _labels(place: str, value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or len(value) > limits.LABELS_MAX:
        raise ConfigError(f'{place}: expected a table such as {{ zone = "a" }}')
    for name, text in value.items():
        if LABEL_PATTERN.fullmatch(name) is None or len(name) > limits.LABEL_NAME_BYTES_MAX:
            raise ConfigError(f"{place}: `{shown_key(name)}` is no name of a label")
        if name in OWN_LABELS - {"instance"} or name in ("le", "quantile"):
            raise ConfigError(f"{place}: {name} is set by the agent")
        _text(f"{place}.{name}", text)
    return tuple(value.items())


def _count(place: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= limits.SCRAPE_SERIES_MAX:
        return value
    raise ConfigError(f"{place}: expected a number of series up to {limits.SCRAPE_SERIES_MAX}, got {shown(value)}")


def _page_bytes(place: str, value: object) -> int:
    size = parse_bytes(place, value)
    if size > limits.SCRAPE_PAGE_BYTES_MAX:
        raise ConfigError(f"{place}: expected at most {limits.SCRAPE_PAGE_BYTES_MAX >> 20}MiB, got {shown(value)}")
    return size


KEYS: dict[str, tuple[str, Callable[[str, object], Any]]] = {
    "interval": ("interval_ms", _interval),
    "timeout": ("timeout_ms", _interval),
    "include": ("include", _patterns),
    "exclude": ("exclude", _patterns),
    "labels": ("labels", _labels),
    "bearer_token_file": ("bearer_token_file", _path),
    "ca_file": ("ca_file", _path),
    "page_bytes": ("page_bytes", _page_bytes),
    "series": ("series", _count),
}
"""Key → the field of `ScrapeSettings`, and what parses it."""


def pattern_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """What matches the names that any of several patterns match, as a shell would: `*`, `?`, `[…]`."""
    return re.compile("|".join(map(translate, patterns)))


def _refuse_unknown(place: str, table: Mapping[str, object], known: list[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(shown_key(key), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"{place}: unknown key {shown_key(key)}; {hint}")
