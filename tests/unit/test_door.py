"""What a client says when it is not let in."""

from __future__ import annotations

import pytest
from other_user import NOBODY, as_user, need_root, open_ground

from obsagent.keys import ClientKey
from obsagent.wire.door import CUT_MAX, Door, Event

TCP, IPC = "tcp://192.0.2.1:7000", "ipc:///nowhere/query.sock"
KEY = ClientKey("web-1", "write", "p" * 40, "s" * 40, "a" * 40)


def after(door: Door, *events: Event) -> Door:
    for event in events:
        door.happened(event)
    return door


CUTS = [Event.CUT, Event.LEFT] * CUT_MAX
NEEDS_KEY = "as an agent does that asks for a key: give the file that `obsagent keys new` has made"
ANOTHER = "is not the agent that the key web-1 (role write) was made for, or asks for no key"


@pytest.mark.parametrize(
    ("events", "key", "says"),
    [
        ([Event.REFUSED], KEY, "does not let the key web-1 (role write) in: it does not know it, or not for this"),
        ([Event.MISFIT], KEY, ANOTHER),
        ([Event.MISFIT], None, NEEDS_KEY),
        (CUTS, None, NEEDS_KEY),
        (CUTS, KEY, ANOTHER),
    ],
)
def test_a_refusal_says_why_and_never_a_secret(events: list[Event], key: ClientKey | None, says: str) -> None:
    door = after(Door(TCP, key), *events)
    assert says in door.refusal
    assert KEY.secret not in door.refusal
    assert not door.gone


def test_a_few_cuts_are_an_agent_that_restarts() -> None:
    door = after(Door(TCP, KEY), *[Event.CUT, Event.LEFT] * (CUT_MAX - 1))
    assert (door.refusal, door.gone) == ("", False)
    after(door, Event.LET_IN, *[Event.CUT] * CUT_MAX)
    assert door.refusal == ""


def test_who_was_let_in_notices_that_the_peer_goes() -> None:
    assert not after(Door(TCP, None), Event.LEFT).gone
    assert after(Door(TCP, None), Event.LET_IN, Event.LEFT).gone
    assert after(Door(IPC, None), Event.CUT, Event.LEFT).gone


def test_a_socket_file_that_is_not_ours_to_open_is_said() -> None:
    need_root()
    with open_ground() as directory:
        path = directory / "ingest.sock"
        assert Door(f"ipc://{path}", None).refusal == ""  # not there yet: the agent may come
        path.touch(mode=0o600)
        assert Door(f"ipc://{path}", None).refusal == ""
        refusal = as_user(NOBODY, NOBODY, lambda: Door(f"ipc://{path}", None).refusal)
        assert f"this user ({NOBODY}) may not open {path}" in refusal
        assert "socket_group" in refusal
        path.unlink()
        directory.chmod(0o700)
        assert "may not open" in as_user(NOBODY, NOBODY, lambda: Door(f"ipc://{path}", None).refusal)
