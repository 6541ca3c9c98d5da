"""Queries as long as they may be, the golden mistakes and a few thousand changed queries: none breaks anything."""

from random import Random

import pytest

from fuzz.query_check import check
from fuzz.query_words import PHRASES, mutated
from obsagent.limits import QUERY_BYTES_MAX
from unit.test_language import golden_queries


def test_the_golden_mistakes():
    for text in golden_queries():
        check(text)


@pytest.mark.parametrize("seed", range(4))
def test_changed_queries(seed):
    chance = Random(seed)
    texts = [*PHRASES, *golden_queries()]
    for _ in range(300):
        check(mutated(chance.choice(texts), chance))
    grown = "p99 latency"
    for _ in range(200):
        grown = mutated(grown, chance)[:200] or "latency"
        check(grown)


@pytest.mark.parametrize(
    "text",
    [
        "a" * QUERY_BYTES_MAX,
        "'" * QUERY_BYTES_MAX,
        "x by " + ",".join(f"l{number}" for number in range(2_000)),
        "x " + " ".join(f"l{number} not b" for number in range(1_000)),
        "x endpoint not " + ",".join(f"l{number}" for number in range(2_000)),
        ",".join(f"p{number / 1000}" for number in range(1_500)) + " latency",
        "latency endpoint matches " + "a|" * 499,
        "latency endpoint matches " + "[a" * 400,
        r"latency endpoint matches (?:\p{L}{9}){9}",
    ],
    ids=lambda text: text[:24],
)
def test_the_longest_queries_are_read_at_once(text):
    check(text)
