"""The rules of models, told to the sessions that ask for them, and again when a reload has changed them.

A session that is told nothing sends nothing of its model: so where the rules cannot be had (a reference that cannot be
read, say) it is not told that there are none, or columns that are to be dropped would leave their process.
Belongs to the ingest thread, except `changed`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

from obsagent.limits import MODELS_PER_SESSION, RULES_CACHED
from obsagent.receive.complaints import Complaints
from obsagent.wire.header import MessageKind, pack
from obsagent.wire.rules import ModelName, Rules, rules_body

RulesFor = Callable[[str, str], Rules]
"""Of a model and a version; raises if they cannot be had now."""


class Reply(Protocol):
    """Sends a message to a peer."""

    def __call__(self, identity: bytes, header: bytes, body: bytes | None = None, /) -> object:
        """Hands it over; whether the peer reads it is not known."""
        ...


def no_rules(_model: str, _version: str) -> Rules:
    """Of an agent that knows nothing of any model."""
    return Rules()


class RulesDesk:
    """Answers, and remembers what it has answered to whom."""

    def __init__(self, rules_for: RulesFor, reply: Reply, complaints: Complaints) -> None:
        """Nobody has asked yet."""
        self._rules_for = rules_for
        self._reply = reply
        self._complaints = complaints
        self._told: dict[bytes, tuple[bytes, dict[tuple[str, str], bytes]]] = {}
        self._bodies: dict[tuple[str, str], bytes | None] = {}
        self._has_changed = False

    def tell(self, identity: bytes, asked: ModelName) -> None:
        """Answers a session."""
        name = asked.model, asked.version
        known = self._told.get(asked.session, (identity, {}))[1]
        if name in known or len(known) < MODELS_PER_SESSION:
            known[name] = b""
        self._told[asked.session] = identity, known
        self._tell(identity, asked.session, name, known)

    def _tell(
        self, identity: bytes, session: bytes, name: tuple[str, str], known: dict[tuple[str, str], bytes]
    ) -> None:
        body = self._body(name)
        if body is None:
            return
        mark = blake2b(body, digest_size=16).digest()
        if name not in known or known[name] != mark:
            self._reply(identity, pack(MessageKind.RULES, s=session, model=name[0], version=name[1]), body)
        if name in known:
            known[name] = mark

    def _body(self, name: tuple[str, str]) -> bytes | None:
        """None if the rules cannot be had; that is tried again, once a second at most."""
        if name not in self._bodies:
            if len(self._bodies) >= RULES_CACHED:
                self._bodies.clear()
            self._bodies[name] = self._packed(*name)
        return self._bodies[name]

    def _packed(self, model: str, version: str) -> bytes | None:
        try:
            return rules_body(self._rules_for(model, version))
        except Exception as error:  # whatever it is, the sessions go on with everything else
            line = "model %s version %s: its rules cannot be had, so its columns stay with their clients: %s"
            self._complaints.say(logging.ERROR, line, model, version or "(none)", error)
            return None

    def changed(self) -> None:
        """The rules may be others from now on; may be called from any thread."""
        self._has_changed = True

    def tell_changes(self, is_known: Callable[[bytes], bool]) -> None:
        """Once a second: tells every session that is known what has changed since it was told."""
        if not self._has_changed and None not in self._bodies.values():
            return
        self._has_changed = False
        self._bodies.clear()
        for session, (identity, known) in list(self._told.items()):
            if not is_known(session):
                del self._told[session]
                continue
            for name in known:
                self._tell(identity, session, name, known)

    def forget(self, session: bytes) -> None:
        """The session has ended."""
        self._told.pop(session, None)
