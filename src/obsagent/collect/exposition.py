"""Reads pages of metrics: Prometheus' text format 0.0.4 and OpenMetrics 1.0, line by line.

Both are read by one grammar, which is a little wider than either: what servers really write (a comma behind the last
label, a type after the first sample, tabs) is understood. A line that is not is left out and said; the others count:
that, and half of its time or less for a line, is why this is not prometheus_client's parser, which raises for the page.
Timestamps and exemplars on the page are not used: a sample is of the time at which it was read.

The formats: prometheus.io/docs/instrumenting/exposition_formats, and OpenMetrics 1.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from obsagent.errors import printable
from obsagent.limits import (
    HELP_BYTES_MAX,
    LABEL_NAME_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX,
    LABELS_MAX,
    METRIC_NAME_BYTES_MAX,
    SCRAPE_LINE_BYTES_MAX,
)

Labels = tuple[tuple[str, str], ...]

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*+)?[ \t]*+"  # name
    rf'(?:\{{((?:[^"}}]++|{_QUOTED})*+)\}}[ \t]*+|(?<=[ \t]))'  # labels
    r"([^ \t{}#]++)"  # value
    r"(?:[ \t]++-?[0-9][0-9.eE+-]*+)?[ \t]*+"  # timestamp
    r"(?:#.*)?"  # exemplar
)
_LABEL = re.compile(rf"[ \t]*+(?:([a-zA-Z_][a-zA-Z0-9_]*+|{_QUOTED})[ \t]*+=[ \t]*+)?({_QUOTED})[ \t]*+(,|$)")
_PLAIN_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*+)="([^"\\]*+)"(?:,|$)')
"""A label as nearly all are written: without spaces and escapes."""

_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:e[+-]?[0-9]++)?|inf(?:inity)?|nan)", re.IGNORECASE)
_COMMENT = re.compile(r'#[ \t]++(HELP|TYPE|UNIT)[ \t]++([^ \t"]++|"(?:[^"\\]|\\.)*+")(?:[ \t]++(.*))?')
_ESCAPE = re.compile(r"\\(.)")
_MEANT = {"n": "\n"}

TYPES = frozenset(
    ("counter", "gauge", "histogram", "summary", "untyped", "unknown", "info", "stateset", "gaugehistogram")
)
SHOWN_CHARACTERS_MAX = 120
COMPLAINT_CHARACTERS_MAX = 300


class Sample(NamedTuple):
    """One line: the name as it is written, the labels in the order of the page, and the value."""

    name: str
    labels: Labels
    value: float


class Malformed(ValueError):
    """A line that is neither a sample nor a comment; says what was expected."""


@dataclass(slots=True)
class Page:
    """What the lines so far have said, of the samples whose names it `wants`. Types, helps and units are by family."""

    wants: Callable[[str], bool] = lambda name: True
    samples_max: int = 1 << 30
    samples: list[Sample] = field(default_factory=list)
    unread: int = 0
    """Samples beyond `samples_max`."""
    types: dict[str, str] = field(default_factory=dict)
    helps: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    malformed: int = 0
    first_malformed: str = ""
    lines: int = 0
    ended: bool = False
    """`# EOF` was read; nothing may follow."""

    def read(self, line: bytes) -> None:
        """The next line, without its end; one that is malformed is counted."""
        self.lines += 1
        try:
            self._read(_text(line))
        except Malformed as error:
            self.refuse(f"line {self.lines}: {error}")

    def refuse(self, why: str) -> None:
        """A line cannot be used; why the first one could not is kept."""
        self.malformed += 1
        self.first_malformed = self.first_malformed or printable(why[:COMPLAINT_CHARACTERS_MAX])

    def _read(self, line: str) -> None:
        if self.ended:
            if line.strip():
                raise Malformed("something follows # EOF")
        elif line.startswith("#"):
            self._comment(line)
        elif line and not line.isspace():
            sample = sample_of(line)
            if not self.wants(sample.name):
                return
            if len(self.samples) < self.samples_max:
                self.samples.append(sample)
            else:
                self.unread += 1

    def _comment(self, line: str) -> None:
        if line.rstrip() == "# EOF":
            self.ended = True
            return
        found = _COMMENT.fullmatch(line)
        if found is None:
            return
        word, name, text = found[1], _unquoted(found[2]), (found[3] or "").strip()
        if len(name) > METRIC_NAME_BYTES_MAX:
            raise Malformed(f"a metric's name is longer than {METRIC_NAME_BYTES_MAX} bytes")
        if word == "TYPE":
            self._type(name, text)
        elif word == "HELP":
            self.helps[name] = _shortened(_unescaped(text))
        else:
            self.units[name] = text

    def _type(self, name: str, text: str) -> None:
        if text.lower() not in TYPES:
            raise Malformed(f"`{_shown(text)}` is not a type")
        self.types.setdefault(name, text.lower())


def sample_of(line: str) -> Sample:
    """The sample of a line; raises `Malformed`."""
    found = _SAMPLE.fullmatch(line)
    if found is None or (found[1] is None and found[2] is None):
        raise Malformed(f"not a sample: `{_shown(line)}`")
    name = found[1] or ""
    labels = _labels(found[2]) if found[2] else ()
    if not name:
        name, labels = _name_among(labels)
    if len(name) > METRIC_NAME_BYTES_MAX:
        raise Malformed(f"a metric's name is longer than {METRIC_NAME_BYTES_MAX} bytes")
    if len(labels) > LABELS_MAX:
        raise Malformed(f"`{_shown(name)}` has more than {LABELS_MAX} labels")
    by_label = dict(labels)
    if "" in by_label:
        raise Malformed(f"`{_shown(name)}` has a second name among its labels")
    if len(by_label) != len(labels):
        raise Malformed(f"`{_shown(name)}` has a label twice")
    return Sample(name, labels, number_of(found[3]))


def number_of(text: str) -> float:
    """A value; raises `Malformed`."""
    if _NUMBER.fullmatch(text) is None:
        raise Malformed(f"`{_shown(text)}` is not a number")
    return float(text)


def _labels(text: str) -> Labels:
    """The labels between braces; a name in quotes alone has no value and comes as ("", name)."""
    plain = _PLAIN_PAIR.findall(text)
    if sum(len(label) + len(value) + 4 for label, value in plain) - (not text.endswith(",")) == len(text):
        labels = tuple(plain)
    else:
        labels = tuple(_any_labels(text))
    if len(text) > LABEL_NAME_BYTES_MAX:
        _check_lengths(labels)
    if '""' in text:
        labels = tuple(pair for pair in labels if pair[1])  # an empty value is no label
    return labels


def _any_labels(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _LABEL.match(text, at)
        if found is None:
            if text[at:].isspace():
                return
            raise Malformed(f'labels are written name="value", not `{_shown(text[at:])}`')
        yield _unquoted(found[1] or ""), _unquoted(found[2])
        at = found.end()


def _check_lengths(labels: Labels) -> None:
    for label, value in labels:
        if len(label) > LABEL_NAME_BYTES_MAX:
            raise Malformed(f"a label's name is longer than {LABEL_NAME_BYTES_MAX} bytes")
        if len(value.encode()) > LABEL_VALUE_BYTES_MAX:
            raise Malformed(f"the value of the label `{_shown(label)}` is longer than {LABEL_VALUE_BYTES_MAX} bytes")


def _name_among(labels: Labels) -> tuple[str, Labels]:
    """`{"a.name", label="value"}`: names that are quoted stand among the labels."""
    names = [value for label, value in labels if not label]
    if len(names) != 1 or not names[0]:
        raise Malformed("a sample has no name")
    return names[0], tuple(pair for pair in labels if pair[0])


def _text(line: bytes) -> str:
    if len(line) > SCRAPE_LINE_BYTES_MAX:
        raise Malformed(f"longer than {SCRAPE_LINE_BYTES_MAX} bytes")
    try:
        return line.decode().removesuffix("\r")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None


def _unquoted(text: str) -> str:
    return _unescaped(text[1:-1]) if text.startswith('"') else text


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _MEANT.get(found[1], found[1]), text)


def _shortened(text: str) -> str:
    encoded = text.encode()
    return text if len(encoded) <= HELP_BYTES_MAX else encoded[:HELP_BYTES_MAX].decode(errors="ignore")


def _shown(text: str) -> str:
    cut = text[:SHOWN_CHARACTERS_MAX]
    return printable(cut + ("…" if len(text) > len(cut) else ""))
