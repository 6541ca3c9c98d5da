"""What is remembered of harm: the file comes back as it was, and a damaged one is noticed."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from harm_lab import DAY_MS, LIVE, Bench

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.evaluate.state import Judged
from obsagent.fs import Fs
from obsagent.harm.allowed import Known
from obsagent.harm.episode import DUE, FAILED, LOST, STARTED, WORKED, Episode, Told, of_event
from obsagent.harm.format import MAGIC, NAME, VERSION
from obsagent.harm.judge import Judge
from obsagent.harm.state import FILE, State, Version, decode, encode, read_state, write_state
from obsagent.harm.track import Losses, Rule, Track
from obsagent.limits import HARM_EPISODES_KEPT
from obsagent.state_file import CHECKSUM, HEADER

GOLDEN = Path(__file__).parent.parent / "golden"


def full() -> State:
    bench = Bench(lambda _, version, *__: Known(50.0, 500, "reference 1a2b3c4d") if version == "4" else None)
    bench.add(2_000, 0.1, slice_={"country": "Käse=\x1b[0m "})
    bench.add(3_000, 0.4, slice_={"country": "DE"})
    bench.add(3_000, 0, Judged("price", "1", ""), draw=lambda chance: abs(chance.gauss(0, 3.0)))
    bench.add(500, 0.2, Judged("fraud", "5", "shadow"))
    bench.stream.add(100, 0.2)
    bench.judge.take(bench.stream.arrivals(bench.state.position), int(bench.stream.now_ms))
    (episode,) = bench.state.episodes
    episode.evidence = {"model": "fraud", "slices": [{"slice": "country=DE"}]}
    episode.ways = {"command": Told(STARTED, 1), "webhook": Told(DUE, 2, "answered 503", 503, 7)}
    return bench.state


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = full()
    write_state(tmp_path, state, Fs())
    found = read_state(tmp_path)
    assert found is not None
    assert encode(found) == encode(state)
    assert found.episodes == state.episodes
    assert found.position == state.position
    assert {path.name for path in tmp_path.iterdir()} == {NAME}
    assert encode(decode(encode(State()))) == encode(State())


def test_what_comes_back_judges_on_as_if_nothing_had_been() -> None:
    whole = Bench(lambda *_: Known(2_000.0, 20_000, "x"), cooldown_ms=DAY_MS)
    part = Bench(lambda *_: Known(2_000.0, 20_000, "x"), cooldown_ms=DAY_MS)
    for number in range(20):
        risk = 0.1 if number % 6 < 3 else 0.22
        whole.add(1_000, risk, slice_={"country": "DE"})
        part.judge = Judge(decode(encode(part.state)), lambda _: part.config, lambda *_: Known(2_000.0, 20_000, "x"))
        part.add(1_000, risk, slice_={"country": "DE"})
    assert encode(part.state) == encode(whole.state)
    assert whole.state.episodes


def test_every_changed_byte_and_every_cut_is_noticed() -> None:
    data = encode(full())
    for position in range(0, len(data), 7):
        changed = bytearray(data)
        changed[position] ^= 0x10
        if changed[10:12] == b"\0\0":
            with pytest.raises(CorruptData):
                decode(bytes(changed))
        with pytest.raises(CorruptData):
            decode(data[:position])
    with pytest.raises(CorruptData):
        decode(data + b"\0")


def test_what_a_newer_version_wrote_is_left_alone() -> None:
    data = bytearray(encode(full()))
    struct.pack_into("<H", data, 8, VERSION + 1)
    with pytest.raises(UnsupportedVersion, match="newer obsagent"):
        decode(bytes(data))


@pytest.mark.parametrize(
    "plain",
    [
        [],
        {},
        {"position": 1, "versions": 3, "episodes": []},
        {"position": 1, "versions": [{"judged": ["a", "", ""], "tracks": {"": {}}}], "episodes": []},
        {"position": 1, "versions": [], "episodes": [{"id": "x"}]},
        {"position": 1, "versions": [], "episodes": [3]},
        {"position": "x", "versions": [], "episodes": []},
    ],
)
def test_what_is_sound_and_says_nonsense_is_damaged_too(plain: object) -> None:
    with pytest.raises(CorruptData):
        decode(FILE.sealed(plain))


@pytest.mark.parametrize(
    "text", ['{"position":1e999', '{"position":9223372036854775808', '{"position":NaN', '{"position":1.0']
)
def test_a_position_is_a_number_of_64_bits(text: str) -> None:
    raw = (text + ',"versions":[],"episodes":[]}').encode()
    payload = zlib.compress(raw)
    header = HEADER.pack(MAGIC, VERSION, 0, len(payload), len(raw))
    with pytest.raises(CorruptData):
        decode(header + CHECKSUM.pack(crc32c(payload, crc32c(header))) + payload)


def test_an_error_that_has_no_finite_square_does_no_more_harm_than_a_large_one() -> None:
    track = Track(Rule("absolute", 0.02, 30 * DAY_MS, 0.5))
    for minute, total in enumerate([1e-300, 1e-200, 1e300, 5.0]):
        track.take(Losses(2_000, total, total * total, 60_000 * minute))
    track.close()
    state = State(versions={LIVE: Version({"": track}, 1, False)})
    assert encode(decode(encode(state))) == encode(state)


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_states_of_every_version_stay_readable(version: int) -> None:
    """`tests/golden/make_harm_state.py` made them."""
    data = (GOLDEN / f"harm_{version}.state").read_bytes()
    assert data.startswith(MAGIC)
    state = decode(data)
    assert state.versions.keys() == {LIVE, Judged("price", "1", ""), Judged("fraud", "5", "shadow")}
    assert encode(decode(encode(state))) == encode(state)
    (episode,) = state.episodes
    assert episode.ways["webhook"] == Told(DUE, 2, "answered 503", 503, 7)
    assert state.versions[LIVE].tracks[""].is_harmful


def test_a_command_that_ran_when_its_agent_was_killed_has_failed() -> None:
    episode = Episode("e", LIVE, "", 1, 2, ways={"command": Told(STARTED), "webhook": Told(DUE)})
    episode.lose()
    assert episode.ways == {"command": Told(FAILED, says=LOST), "webhook": Told(DUE)}


def test_an_event_is_enough_for_the_cool_down() -> None:
    lost = of_event({"model": "fraud", "version": "4", "variant": "live", "episode": "e", "host": "x"}, 5)
    assert (lost.id, lost.judged, lost.raised_ms, lost.is_open, lost.is_recorded) == ("e", LIVE, 5, False, True)
    assert State(episodes=[lost]).last_raised_ms("fraud") == 5


def test_of_the_episodes_that_are_over_the_latest_are_kept() -> None:
    state = State()
    for number in range(HARM_EPISODES_KEPT + 5):
        episode = Episode(str(number), LIVE, "", number, number, ways={"command": Told(WORKED)})
        if number:
            episode.end(number, "")
        state.begin(episode)
    assert len(state.episodes) == HARM_EPISODES_KEPT
    assert [each.id for each in state.episodes[:2]] == ["0", "6"]


def test_a_stage_that_nobody_knows_is_none() -> None:
    with pytest.raises(ValueError, match="no stage"):
        Told("begun")
