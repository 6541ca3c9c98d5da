"""What must hold for any bytes as `drift.state` or `harm.state`: refused, or a state that goes on and is written."""

from __future__ import annotations

import json
import zlib
from random import Random

from fuzz.block_parts import Mutate
from fuzz.trees import mutate_json
from fuzz.wire_check import check_complaint
from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData
from obsagent.evaluate import state as drift
from obsagent.evaluate.family import Evidence
from obsagent.harm import state as harm
from obsagent.harm.readings import risk_readings
from obsagent.harm.report import failures, harm_report
from obsagent.harm.track import Losses
from obsagent.state_file import BEGIN, CHECKSUM, HEADER

AT_MS = 1_800_000_000_000
RAW_BYTES_MAX = 1 << 13
GOES_ON_ONE_IN = 4
EVIDENCE = Evidence(3.0, 100)


def check_state(data: bytes, *, goes_on: bool = True) -> None:
    """By its magic one or the other; a state that can be read goes on, or does not."""
    if data.startswith(harm.MAGIC):
        _check_harm(data, goes_on=goes_on)
    else:
        _check_drift(data, goes_on=goes_on)


def check_part_of_state(data: bytes) -> None:
    """Some of the states that can be read, which the bytes decide, go on."""
    check_state(data, goes_on=crc32c(data) % GOES_ON_ONE_IN == 0)


def _check_drift(data: bytes, *, goes_on: bool) -> None:
    try:
        state = drift.decode(data)
    except CorruptData as error:
        check_complaint(error)
        return
    again = drift.encode(state)
    assert drift.decode(again) == state
    assert drift.encode(drift.decode(again)) == again
    if not goes_on:
        return
    for judged, families in state.levels.items():
        settings = state.settings_of(judged.model)
        assert settings.rate
        for family in families.values():
            evidence = dict.fromkeys(family.charts, EVIDENCE)
            run_length = settings.run_length(family.level)
            raised, ended = family.judge(evidence, AT_MS, AT_MS + 1, alpha=settings.alpha, run_length=run_length)
            state.has_ended(judged, [*raised, *ended])
            family.forget(AT_MS)
    drift.encode(state)  # counts may have gone on to beyond what is believed


def _check_harm(data: bytes, *, goes_on: bool) -> None:
    try:
        state = harm.decode(data)
    except CorruptData as error:
        check_complaint(error)
        return
    again = harm.encode(state)
    assert harm.encode(harm.decode(again)) == again
    if not goes_on:
        return
    _report(state)
    for version in state.versions.values():
        for track in version.tracks.values():
            for minute in (1, 2, 60):
                track.take(Losses(50, 20.0, 10.0, AT_MS + 60_000 * minute))
            track.close()
    for episode in state.episodes:
        episode.lose()
    harm.encode(state)
    _report(state)


def _report(state: harm.State) -> None:
    json.dumps(harm_report(state), allow_nan=False)
    assert all(text.isprintable() or text for text in failures(state))
    risk_readings(state, state.versions)
    for judged in state.versions:
        state.open_episode(judged)
        state.last_raised_ms(judged.model)


def mutate_state(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Changes the JSON that was compressed, and mends its sizes and its checksum."""
    if len(data) < BEGIN or chance.random() < 0.1:
        return mutate(data, size_max)
    try:
        raw = zlib.decompressobj().decompress(data[BEGIN:], RAW_BYTES_MAX)
    except zlib.error:
        return mutate(data, size_max)
    raw = mutate_json(raw, RAW_BYTES_MAX, chance, mutate)
    payload = zlib.compress(raw, 1)
    magic, version, *_ = HEADER.unpack_from(data)
    header = HEADER.pack(magic, version, 0, len(payload), len(raw))
    return header + CHECKSUM.pack(crc32c(payload, crc32c(header))) + payload
