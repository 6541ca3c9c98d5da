"""Every decoder's fuzz target: what is checked of any bytes, and how bytes are changed so that they get far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from fuzz import (
    config_check,
    exposition_check,
    file_check,
    ledger_check,
    performance_check,
    query_check,
    records_check,
    reference_check,
    sketch_check,
    state_check,
    trees,
    wire_check,
)
from fuzz.block_parts import Mutate
from fuzz.query_words import mutate_query

Mutation = Callable[[bytes, int, Random, Mutate], bytes]
"""From bytes, the most they may become, a source of chance and the fuzzer's own mutation, to other bytes."""


def plainly(data: bytes, size_max: int, _chance: Random, mutate: Mutate) -> bytes:
    """As the fuzzer does it."""
    return mutate(data, size_max)


@dataclass(frozen=True)
class Target:
    """`in_part` is `check` for millions of inputs: what is done with decoded ones is done with a share of them.

    `in_c`: the fuzzer is one of C's (tests/c/fuzz_NAME.c); Python replays its corpus.
    """

    check: Callable[[bytes], None]
    mutation: Mutation = plainly
    size_max: int = 4_096
    in_c: bool = False
    in_part: Callable[[bytes], None] | None = None


TARGETS = {
    "query": Target(query_check.check_bytes, mutate_query, size_max=600),
    "header": Target(wire_check.check_header, trees.mutate_msgpack),
    "conversation": Target(wire_check.check_conversation, trees.mutate_conversation),
    "answer": Target(wire_check.check_answer, trees.mutate_msgpack),
    "rules": Target(wire_check.check_rules, trees.mutate_msgpack),
    "records": Target(records_check.check_records, records_check.mutate_records),
    "zmtp": Target(wire_check.check_zmtp),
    "entry": Target(file_check.check_entry, trees.mutate_entry),
    "journal": Target(file_check.check_journal, file_check.mutate_journal),
    "tables": Target(file_check.check_tables, trees.mutate_msgpack),
    "segment": Target(
        file_check.check_segment,
        file_check.mutate_segment,
        size_max=16_384,
        in_part=file_check.check_part_of_segment,
    ),
    "config": Target(config_check.check_config, config_check.mutate_config, size_max=8_192),
    "identity": Target(config_check.check_identity, size_max=512),
    "exposition": Target(exposition_check.check_exposition, exposition_check.mutate_exposition, size_max=1_024),
    "sketch": Target(sketch_check.check_sketch, sketch_check.mutate_sketch),
    "reference": Target(reference_check.check_reference, reference_check.mutate_reference, size_max=8_192),
    "ledger": Target(
        ledger_check.check_ledger,
        ledger_check.mutate_ledger,
        size_max=16_384,
        in_part=ledger_check.check_part_of_ledger,
    ),
    "performance": Target(performance_check.check_performance, performance_check.mutate_performance),
    "state": Target(
        state_check.check_state,
        state_check.mutate_state,
        size_max=16_384,
        in_part=state_check.check_part_of_state,
    ),
    "loghist": Target(sketch_check.check_loghist, in_c=True),
    "tdigest": Target(sketch_check.check_tdigest, in_c=True),
    "edges": Target(sketch_check.check_edges, in_c=True),
    "hll": Target(sketch_check.check_hll, in_c=True),
    "moments": Target(sketch_check.check_moments, in_c=True),
    "topk": Target(sketch_check.check_topk, in_c=True),
    "body": Target(sketch_check.check_body, in_c=True),
    "rows": Target(sketch_check.check_rows, in_c=True),
    "sections": Target(sketch_check.check_sections, in_c=True),
    "record": Target(sketch_check.check_record, in_c=True),
}
