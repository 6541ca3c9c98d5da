"""Looks for bytes that a decoder does not take as it should: coverage-guided, by atheris.

    python tests/fuzz/fuzz_bytes.py TARGET [libFuzzer's options] DIRECTORY_FOR_NEW_INPUTS tests/fuzz/corpus/TARGET

`make fuzz TARGET=…` runs it; `targets.py` has the targets. An input that fails is written to a file crash-…; once the
failure is understood, put it into the corpus under a name that says what was wrong: `test_corpus.py` replays the
corpus with the other tests.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.decoders import INSTRUMENTED

NAME = sys.argv.pop(1)

with atheris.instrument_imports(include=INSTRUMENTED[NAME]):
    from fuzz import query_check
    from fuzz.targets import TARGETS

BYTES_SHARE = 0.1
query_check.PARSE_S_MAX *= 10  # counting branches takes its time

if __name__ == "__main__":
    logging.disable()  # what is refused is logged, and here everything is
    target = TARGETS[NAME]

    def mutate(data: bytes, size_max: int, seed: int) -> bytes:
        """As the target says, and now and then plainly."""
        chance = Random(seed)
        if chance.random() < BYTES_SHARE:
            changed: bytes = atheris.Mutate(data, size_max)
            return changed
        return target.mutation(data, size_max, chance, atheris.Mutate)[:size_max]

    atheris.Setup([*sys.argv, f"-max_len={target.size_max}"], target.check, custom_mutator=mutate)
    atheris.Fuzz()
