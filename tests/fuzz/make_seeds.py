"""Writes the seeds of the fuzzers' corpora, as the real encoders make them, or a target's of those named.

    python tests/fuzz/make_seeds.py [TARGET …]

A seed's name begins with `seed_`; the other files of a corpus are what fuzzers found.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import seeds_features, seeds_files, seeds_ledger, seeds_messages, seeds_native, seeds_states

CORPUS = Path(__file__).parent / "corpus"
SEEDS: dict[str, Callable[[], seeds_native.Seeds]] = {
    "varint": seeds_native.varint_seeds,
    "run_column": seeds_native.run_column_seeds,
    "record": seeds_native.record_seeds,
    "loghist": seeds_native.loghist_seeds,
    "tdigest": seeds_native.tdigest_seeds,
    "edges": seeds_features.edges_seeds,
    "hll": seeds_features.hll_seeds,
    "moments": seeds_features.moments_seeds,
    "topk": seeds_features.topk_seeds,
    "body": seeds_native.body_seeds,
    "rows": seeds_native.rows_seeds,
    "sections": seeds_native.sections_seeds,
    "header": seeds_messages.header_seeds,
    "conversation": seeds_messages.conversation_seeds,
    "answer": seeds_messages.answer_seeds,
    "rules": seeds_messages.rules_seeds,
    "records": seeds_messages.records_seeds,
    "zmtp": seeds_messages.zmtp_seeds,
    "entry": seeds_files.entry_seeds,
    "journal": seeds_files.journal_seeds,
    "tables": seeds_files.tables_seeds,
    "segment": seeds_files.segment_seeds,
    "config": seeds_files.config_seeds,
    "identity": seeds_files.identity_seeds,
    "exposition": seeds_files.exposition_seeds,
    "sketch": seeds_files.sketch_seeds,
    "reference": seeds_files.reference_seeds,
    "ledger": seeds_ledger.ledger_seeds,
    "performance": seeds_states.performance_seeds,
    "state": seeds_states.state_seeds,
}


def main(targets: list[str]) -> None:
    """Write the seeds anew, each target's into its folder."""
    for target in targets or SEEDS:
        folder = CORPUS / target
        folder.mkdir(exist_ok=True, parents=True)
        for name, data in SEEDS[target]():
            (folder / f"seed_{name}").write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1:])
