"""Rules of models: over the wire and back, what is not taken for any, and how the agent tells and retells them."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

import obsagent.wire
from obsagent.clock import SystemClock
from obsagent.errors import CorruptData, StoreError
from obsagent.hash_key import NAME, hash_key
from obsagent.limits import (
    CATEGORIES_MAX,
    CATEGORY_BYTES_MAX,
    EDGES_MAX,
    HORIZON_MS,
    MODELS_PER_SESSION,
    RULES_FEATURES_MAX,
)
from obsagent.model_rules import ModelRules
from obsagent.receive.complaints import Complaints
from obsagent.receive.rules import RulesDesk
from obsagent.wire.frame import unpack
from obsagent.wire.rules import OUTPUTS, ColumnRule, ModelName, Rules, read_model, read_rules, rules_body

SESSION = bytes(16)
NAMED = {"model": "fraud", "version": "4"}
RULES = Rules(
    reference="0123456789abcdef",
    features={
        "amount": ColumnRule("number", edges=(-1.5, 0.0, 1e300)),
        "constant": ColumnRule("number"),
        "country": ColumnRule("category", categories=("DE", "FR", "")),
    },
    outputs={"prediction.score": ColumnRule("number", edges=(0.0, 1.0))},
    drop=frozenset({"email", "iban"}),
    hash=frozenset({"card_id"}),
    hash_key=bytes(range(32)),
    keep_rows="errors",
    horizon_ms=86_400_000,
)


def packed(**changes: Any) -> bytes:
    return msgpack.packb({**msgpack.unpackb(rules_body(RULES)), **changes})


# The wire


@pytest.mark.parametrize("rules", [RULES, Rules(), Rules(keep_rows=0.25)])
def test_rules_go_over_the_wire_and_back(rules: Rules) -> None:
    assert read_rules(NAMED, rules_body(rules)) == ("fraud", "4", rules)


def test_a_key_is_not_shown() -> None:
    assert "hash_key" not in repr(RULES)
    assert repr(RULES.hash_key) not in repr(RULES)


def test_what_a_later_minor_adds_is_passed_over() -> None:
    assert read_rules(NAMED, packed(more=1))[2] == RULES


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": 5},
        {"reference": "x" * 65},
        {"features": []},
        {"features": {"a": 5}},
        {"features": {"a": {"kind": "text"}}},
        {"features": {"": {"kind": "number"}}},
        {"features": {"a": {"kind": "number", "edges": [1.0, 2.0]}}},
        {"features": {"a": {"kind": "number", "edges": b"1234567"}}},
        {"features": {"a": {"kind": "number", "edges": struct.pack("<d", 1.0)}}},
        {"features": {"a": {"kind": "number", "edges": struct.pack("<2d", 1.0, 1.0)}}},
        {"features": {"a": {"kind": "number", "edges": struct.pack("<2d", 1.0, float("inf"))}}},
        {"features": {"a": {"kind": "number", "edges": struct.pack("<2d", float("nan"), 1.0)}}},
        {"features": {"a": {"kind": "number", "edges": bytes(8 * (EDGES_MAX + 1))}}},
        {"features": {"a": {"kind": "category", "categories": "ab"}}},
        {"features": {"a": {"kind": "category", "categories": ["a", "a"]}}},
        {"features": {"a": {"kind": "category", "categories": [5]}}},
        {"features": {"a": {"kind": "category", "categories": ["x" * (CATEGORY_BYTES_MAX + 1)]}}},
        {"features": {"a": {"kind": "category", "categories": [str(i) for i in range(CATEGORIES_MAX + 1)]}}},
        {"outputs": {"amount": {"kind": "number"}}},
        {"drop": "email"},
        {"drop": [5]},
        {"drop": ["x"] * (RULES_FEATURES_MAX + 1)},
        {"hash_key": b"short"},
        {"hash_key": "text"},
        {"hash_key": bytes(65)},
        {"keep_rows": 1.5},
        {"keep_rows": -0.1},
        {"horizon": -1},
        {"horizon": 1.5},
        {"horizon": 1 << 60},
        {"keep_rows": True},
        {"keep_rows": "some"},
    ],
)
def test_what_is_malformed_is_no_rules(changes: dict[str, Any]) -> None:
    with pytest.raises(CorruptData):
        read_rules(NAMED, packed(**changes))


@given(st.binary(max_size=60))
def test_foreign_bytes_never_escape_as_another_error(data: bytes) -> None:
    try:
        read_rules(NAMED, data)
    except CorruptData:
        pass


@pytest.mark.parametrize(
    "fields", [{}, {"model": ""}, {"model": "m", "version": 4}, {"model": "m" * 2000, "version": ""}]
)
def test_a_question_names_its_model(fields: dict[str, Any]) -> None:
    with pytest.raises(CorruptData):
        read_model({"s": SESSION, **fields})
    with pytest.raises(CorruptData):
        read_rules(fields, rules_body(RULES))


def test_the_format_says_what_rules_are() -> None:
    text = Path(obsagent.wire.__file__).with_name("FORMAT.md").read_text()
    for key in msgpack.unpackb(rules_body(RULES)):
        assert f"| `{key}` |" in text
    for number in (EDGES_MAX, CATEGORIES_MAX, CATEGORY_BYTES_MAX, f"{RULES_FEATURES_MAX:,}"):
        assert f"at most {number} " in text
    assert " and ".join(f"`{name}`" for name in OUTPUTS) in text


# The agent's side


class Desk:
    """A desk, what it has told whom, and the rules that it knows."""

    def __init__(self) -> None:
        self.rules: dict[str, Rules | Exception] = {}
        self.told: list[tuple[bytes, str, Rules]] = []
        self.desk = RulesDesk(self._rules_for, self._reply, Complaints(logging.getLogger("desk"), SystemClock()))

    def _rules_for(self, model: str, _version: str) -> Rules:
        rules = self.rules.get(model, Rules())
        if isinstance(rules, Exception):
            raise rules
        return rules

    def _reply(self, identity: bytes, header: bytes, body: bytes | None = None) -> None:
        assert body is not None
        model, _, rules = read_rules(unpack(header)[1], body)
        self.told.append((identity, model, rules))

    def ask(self, model: str, who: bytes = b"a") -> None:
        self.desk.tell(who, ModelName(who * 16, model, "4"))

    def second(self) -> list[tuple[bytes, str, Rules]]:
        """What is told in a second in which the rules may have changed."""
        self.told.clear()
        self.desk.changed()
        self.desk.tell_changes(lambda _name: True)
        return self.told


def test_who_asks_is_told_and_told_again_what_has_changed() -> None:
    desk = Desk()
    desk.ask("fraud")
    desk.ask("churn", b"b")
    assert desk.told == [(b"a", "fraud", Rules()), (b"b", "churn", Rules())]
    assert desk.second() == []
    desk.rules["fraud"] = RULES
    assert desk.second() == [(b"a", "fraud", RULES)]
    assert desk.second() == []
    desk.ask("fraud")
    assert desk.told == [(b"a", "fraud", RULES)]
    desk.desk.forget(b"a" * 16)
    desk.rules["fraud"] = Rules()
    assert desk.second() == []


def test_sessions_that_are_gone_are_told_nothing() -> None:
    desk = Desk()
    desk.ask("fraud")
    desk.rules["fraud"] = RULES
    desk.told.clear()
    desk.desk.changed()
    desk.desk.tell_changes(lambda _name: False)
    assert desk.told == []
    assert desk.second() == []


@pytest.mark.threat("R3")
def test_rules_that_cannot_be_had_are_not_told_as_none(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.rules["fraud"] = StoreError("the key is gone")
    desk.ask("fraud")
    desk.desk.tell_changes(lambda _name: True)
    assert desk.told == []
    assert "the key is gone" in caplog.text
    desk.rules["fraud"] = RULES
    desk.desk.tell_changes(lambda _name: True)
    assert desk.told == [(b"a", "fraud", RULES)]


def test_a_session_that_asks_for_endless_models_is_answered_and_not_remembered() -> None:
    desk = Desk()
    for number in range(MODELS_PER_SESSION + 5):
        desk.ask(f"m{number}")
    assert len(desk.told) == MODELS_PER_SESSION + 5
    desk.rules |= {f"m{number}": RULES for number in range(MODELS_PER_SESSION + 5)}
    assert len(desk.second()) == MODELS_PER_SESSION


def settings(**of: Any) -> Any:
    return SimpleNamespace(**{"drop": (), "hash": (), "keep_rows": None, "horizon_ms": HORIZON_MS, **of})


def test_rules_are_made_of_the_configuration_and_the_reference() -> None:
    number = SimpleNamespace(kind="number", edges=(0.0, 1.0), categories=())
    word = SimpleNamespace(kind="category", edges=(), categories=("a", "b"))
    reference = SimpleNamespace(
        id="abcdef0123456789", features={"x": number, "w": word, "email": word}, outputs={"prediction.score": number}
    )
    asked: list[tuple[str, str]] = []

    def lookup(model: str, version: str) -> Any:
        asked.append((model, version))
        return reference if model == "fraud" else None

    rules = ModelRules({"fraud": settings(drop=["email"], hash=["w"], keep_rows=0.5)}, lookup, lambda: bytes(32))
    assert rules("fraud", "4") == Rules(
        reference="abcdef0123456789",
        features={"x": ColumnRule("number", (0.0, 1.0)), "w": ColumnRule("category", (), ("a", "b"))},
        outputs={"prediction.score": ColumnRule("number", (0.0, 1.0))},
        drop=frozenset({"email"}),
        hash=frozenset({"w"}),
        hash_key=bytes(32),
        keep_rows=0.5,
        horizon_ms=HORIZON_MS,
    )
    assert rules("other", "") == Rules(horizon_ms=HORIZON_MS)
    assert asked == [("fraud", "4"), ("other", "")]
    rules.kept_ms = 86_400_000  # what is not kept is of no use
    assert rules.horizon_ms("fraud") == rules("other", "").horizon_ms == 86_400_000


@pytest.mark.threat("R4")
def test_the_key_of_hashes_is_the_stores_own_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    key = hash_key(tmp_path)
    assert len(key) == 32
    assert hash_key(tmp_path) == key
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    other.mkdir()
    assert hash_key(other) != key
    (tmp_path / NAME).write_bytes(b"short")
    with pytest.raises(StoreError, match="no key of hashed columns"):
        hash_key(tmp_path)
    with pytest.raises(StoreError, match="cannot be read or made"):
        hash_key(tmp_path / "nowhere")
