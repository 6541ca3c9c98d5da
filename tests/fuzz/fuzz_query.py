"""Looks for a query that breaks the parser, or the answering of what it parses: coverage-guided, by atheris.

    python tests/fuzz/fuzz_query.py [libFuzzer's options] DIRECTORY_FOR_NEW_INPUTS tests/fuzz/corpus/query

`make fuzz` runs it. An input that fails is written to a file crash-…; once the failure is understood, put it into
the corpus under a name that says what was wrong: `test_fuzz_query.py` replays the corpus with the other tests.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["obsagent.answer", "obsagent.cli"]):
    from fuzz import query_check
    from fuzz.query_words import mutated

query_check.PARSE_S_MAX *= 10  # counting branches takes its time
ERRORS = "surrogatepass"  # so that texts and bytes are one to one
BYTES_SHARE = 0.2


def one_input(data: bytes) -> None:
    """Checks the text that the bytes are, if they are one."""
    try:
        text = data.decode("utf-8", ERRORS)
    except UnicodeDecodeError:
        return
    query_check.check(text)


def mutate(data: bytes, size_max: int, seed: int) -> bytes:
    """Words are changed, and now and then bytes."""
    chance = Random(seed)
    if chance.random() < BYTES_SHARE:
        changed: bytes = atheris.Mutate(data, size_max)
        return changed
    text = data.decode("utf-8", "replace")
    return mutated(text, chance).encode("utf-8", ERRORS)[:size_max]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()
