"""Changes a query word by word: what a fuzzer of bytes would need years to come upon."""

from __future__ import annotations

import re
from random import Random

from fuzz.block_parts import Mutate

ERRORS = "surrogatepass"  # so that texts and bytes are one to one
BYTES_SHARE = 0.2
PIECE = re.compile(r"\s+|[,=]|[^\s,=]+")

WORDS = (
    *("p0", "p50", "p99.9", "p100", "mean", "min", "max", "sum", "count", "rate", "stddev", "last", "age"),
    *("latency", "requests", "errors", "depth", "step", "error_rate", "psi", "nothing", "endpoint", "version"),
    *("status", "service", "worker", "host", "/score", "5xx", "fraud", "by", "since", "from", "to", "today"),
    *("yesterday", "vs", "ago", "where", "above", "below", "top", "bottom", "not", "matches", "under", "over"),
    *(",", "=", "!=", "=~", "<", ">", "/", " / ", '"', "'", "\\", "\n", "\x1b[31m", "é", "\ud800", "0", "-1", "1"),
    *("5m", "1h30m", "500ms", "1ns", "90d", "52w", "999999999999w", "250ms", "2GB", "5%", "1e300", "1e-300", "9" * 40),
    *("now", "deploy", "14:05", "9:02:05.25", "14:05Z", "23:59+14:00", "24:00", "2026-01-01", "2026-02-30"),
    *("2026-01-01T09:00:00Z", "2025-12-31T09:00-03:30", "0001-01-01", "0001-01-01T00:00+14:00", "9999-12-31"),
    *("9999-12-31T23:59:59-14:00", "1969-12-31", "1970-01-01", "^/s", "(a+)+$", "[", "(?:", r"\d{1000}", r"\p{L}"),
)
PHRASES = (
    *("p50,p99 latency", "rate requests", "last depth", "error_rate", "sum errors / sum requests", "p99 latency,step"),
    *("age requests", "under 250ms,over 1s latency", "over 2kB step", "endpoint=/score", "status=5xx,404"),
    *("status not 5xx", "version != 1", "endpoint matches ^/", 'service="fraud"', "by endpoint", "by endpoint,version"),
    *("by worker", "since 15m", "since 1d", "since deploy", "since 09:00", "from 08:00 to 09:00", "from now to now"),
    *("from 2025-12-31 to 2026-01-01", "today", "yesterday", "step 10s", "step 1m", "step 1h", "vs 1h ago"),
    *(
        "vs version=1",
        "vs endpoint not /rank",
        "where p99 above 1ms",
        "where count below 5",
        "where error_rate above 1%",
    ),
    *("where under 1s below 50%", "where age above 1m", "top 5", "bottom 1"),
)


def mutate_query(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Changes words, and now and then bytes."""
    if chance.random() < BYTES_SHARE:
        return mutate(data, size_max)
    text = data.decode("utf-8", "replace")
    return mutated(text, chance).encode("utf-8", ERRORS)[:size_max]


def mutated(text: str, chance: Random) -> str:
    """The text with a few of its words changed."""
    pieces = PIECE.findall(text)
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        at = chance.randrange(len(pieces) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            pieces[at:at] = [chance.choice(WORDS)]
        elif kind == 1:
            pieces[at:at] = [" ", *PIECE.findall(chance.choice(PHRASES)), " "]
        elif kind == 2:
            pieces[at : at + chance.choice((1, 2, 4))] = []
        elif kind == 3:
            pieces[at : at + 1] = [chance.choice(WORDS)]
        elif kind == 4:
            pieces[at:at] = pieces[max(0, at - chance.choice((1, 3, 5))) : at]
        else:
            pieces[at : at + 4] = reversed(pieces[at : at + 4])
    return "".join(pieces)
