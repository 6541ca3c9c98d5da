"""Keys over a real tcp socket: who is let in, what the others are told, what travels, and what a revocation does."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from key_lab import free_port, guard_of, made_key, receiving

from obsagent.errors import AccessDenied, AgentUnreachable, ConfigError
from obsagent.keyring import Keyring
from obsagent.keys import ClientKey
from obsagent.limits import MESSAGE_BYTES_MAX
from obsagent.wire import socket as module
from obsagent.wire.frame import MessageKind, pack
from obsagent.wire.socket import ClientSocket, RequestSocket, ServerSocket
from obsagent.wire.zmtp import GREETING, LONG, READY, encode_frame

LIMIT_S = 10.0
ANSWER = pack(MessageKind.ANSWER)


class Post:
    """A guarded endpoint that takes messages, and answers each; `taken` are their first parts."""

    def __init__(self, keyring: Keyring, role: str = "write", *, guarded: bool = True) -> None:
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.keyring = keyring
        self.server = ServerSocket(self.endpoint, guard=guard_of(keyring, role) if guarded else None)
        self.taken: list[list[bytes]] = []

    def take(self, identity: bytes, parts: list[bytes]) -> None:
        self.taken.append(parts)
        self.server.send(identity, ANSWER, b"{}")


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys")


@pytest.fixture
def key(keyring: Keyring) -> ClientKey:
    return made_key(keyring, "web-1", "write")


@pytest.fixture
def post(keyring: Keyring, key: ClientKey) -> Iterator[Post]:
    opened = Post(keyring)
    with receiving(opened.server, opened.take):
        yield opened


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def heard(client: ClientSocket) -> Any:
    """What a client hears: a message, or the error that it is refused with."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        client.poll(100)
        try:
            message = client.receive()
        except AccessDenied as error:
            return error
        if message is not None:
            return message
    return None


def refusal_of(endpoint: str, key: ClientKey | None) -> str:
    with closing(ClientSocket(endpoint, key)) as client:
        client.send(pack(MessageKind.HELLO), b"let me in")
        answer = heard(client)
    assert isinstance(answer, AccessDenied), answer
    return str(answer)


@pytest.mark.threat("N2")
def test_a_key_that_the_agent_knows_comes_in(post: Post, key: ClientKey) -> None:
    with closing(ClientSocket(post.endpoint, key)) as client:
        body = b"x" * 300_000
        assert client.send(pack(MessageKind.SAMPLES), body)
        assert heard(client)[0] is MessageKind.ANSWER
        assert not client.disconnected()
    assert post.taken == [[pack(MessageKind.SAMPLES), body]]
    assert post.server.refused == 0


@pytest.mark.threat("N2")
def test_without_a_key_nothing_comes_in_and_both_sides_say_so(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    assert "as an agent does that asks for a key: give the file" in refusal_of(post.endpoint, None)
    wait_for(lambda: post.server.refused)
    assert post.taken == []
    assert "a peer without a key, or with one for another agent, was not let in" in caplog.text


@pytest.mark.threat("N2")
def test_an_unknown_key_does_not_come_in(post: Post, tmp_path: Path, key: ClientKey) -> None:
    public, secret = module.new_key_pair()
    stranger = ClientKey("stranger", "write", public, secret, key.server)
    assert "does not let the key stranger (role write) in: it does not know it" in refusal_of(post.endpoint, stranger)
    assert (post.taken, post.server.refused) == ([], 1)


@pytest.mark.threat("N2")
def test_a_public_key_without_its_secret_is_of_no_use(post: Post, key: ClientKey) -> None:
    """Public keys are in lists and logs."""
    _, other_secret = module.new_key_pair()
    thief = ClientKey("thief", "write", key.public, other_secret, key.server)
    assert "is not the agent that the key thief" in refusal_of(post.endpoint, thief)
    assert post.taken == []


@pytest.mark.threat("N3")
@pytest.mark.parametrize("role", ["write", "read", "control"])
def test_a_key_of_another_role_does_not_come_in(keyring: Keyring, role: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    keys = {each: made_key(keyring, each, each) for each in ("write", "read", "control")}
    post = Post(keyring, role)
    with receiving(post.server, post.take):
        for other in {"write", "read", "control"} - {role}:
            assert f"does not let the key {other} (role {other}) in" in refusal_of(post.endpoint, keys[other])
            assert f"the key {other} was not let in where {role} is needed: it has the role {other}" in caplog.text
        with closing(RequestSocket(post.endpoint, keys[role])) as reader:
            assert reader.request(MessageKind.STATUS, LIMIT_S)[0] is MessageKind.ANSWER
    assert post.taken == [[pack(MessageKind.STATUS)]]


@pytest.mark.threat("N6")
def test_a_client_talks_to_the_agent_of_its_key_only(
    post: Post, keyring: Keyring, key: ClientKey, tmp_path: Path
) -> None:
    """Somebody who has taken the agent's address is another agent, or asks for no key at all."""
    elsewhere = made_key(Keyring(tmp_path / "other"), "web-1", "write")
    assert "is not the agent that the key web-1 (role write) was made for" in refusal_of(post.endpoint, elsewhere)
    open_post = Post(keyring, guarded=False)
    with receiving(open_post.server, open_post.take):
        assert "or asks for no key, as on 127.0.0.1: nothing is said to it" in refusal_of(open_post.endpoint, key)
    assert post.taken == open_post.taken == []


@pytest.mark.threat("N4")
def test_a_revoked_key_is_refused_at_its_next_message_and_at_its_next_handshake(
    post: Post, keyring: Keyring, key: ClientKey
) -> None:
    other = made_key(keyring, "web-2", "write")
    with closing(ClientSocket(post.endpoint, key)) as client, closing(ClientSocket(post.endpoint, other)) as stays:
        client.send(pack(MessageKind.HELLO))
        assert heard(client)[0] is MessageKind.ANSWER
        stays.send(pack(MessageKind.HELLO))
        assert heard(stays)[0] is MessageKind.ANSWER
        Keyring(keyring.directory).revoke("web-1")
        keyring.refresh(force=True)  # what the control endpoint's reload does
        client.send(pack(MessageKind.SAMPLES), b"too late")
        kind, fields = heard(client)
        assert (kind, fields["code"], fields["exit_code"]) == (MessageKind.ERROR, "key", 1)
        assert "this key was revoked" in fields["message"]
        stays.send(pack(MessageKind.SAMPLES), b"in time")
        assert heard(stays)[0] is MessageKind.ANSWER
    assert "or it was revoked" in refusal_of(post.endpoint, key)
    assert [parts[1:] for parts in post.taken] == [[], [], [b"in time"]]
    assert post.server.refused == 2


def test_a_key_that_is_made_while_the_agent_runs_comes_in(post: Post, keyring: Keyring) -> None:
    late = made_key(Keyring(keyring.directory), "late", "write")
    with closing(ClientSocket(post.endpoint, late)) as client:
        client.send(pack(MessageKind.HELLO))
        assert heard(client)[0] is MessageKind.ANSWER


def test_a_reader_is_told_at_once_and_does_not_wait_for_its_time_out(post: Post, key: ClientKey) -> None:
    public, secret = module.new_key_pair()
    for wrong in (None, ClientKey("r", "read", public, secret, key.server)):
        with closing(RequestSocket(post.endpoint, wrong)) as reader:
            began = time.monotonic()
            with pytest.raises(AccessDenied, match=post.endpoint):
                reader.request(MessageKind.STATUS, 60.0)
            assert time.monotonic() - began < 30.0
    with closing(RequestSocket(f"tcp://127.0.0.1:{free_port()}", key)) as reader, pytest.raises(AgentUnreachable):
        reader.request(MessageKind.STATUS, 0.2)


@contextmanager
def wiretap(port: int) -> Iterator[tuple[int, bytearray]]:
    """A port that passes everything on to another one, and what has passed."""
    listener, passed = socket.create_server(("127.0.0.1", 0)), bytearray()

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while chunk := source.recv(65_536):
                passed.extend(chunk)
                target.sendall(chunk)
        except OSError:
            pass

    def run() -> None:
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", port))
        with near, far:
            back = threading.Thread(target=pump, args=(far, near), daemon=True)
            back.start()
            pump(near, far)

    threading.Thread(target=run, daemon=True).start()
    with listener:
        yield listener.getsockname()[1], passed


@pytest.mark.threat("N5")
def test_who_listens_on_the_wire_reads_nothing(post: Post, key: ClientKey) -> None:
    marker = b"a feature row that nobody else may see"
    with (
        wiretap(int(post.endpoint.rpartition(":")[2])) as (port, passed),
        closing(ClientSocket(f"tcp://127.0.0.1:{port}", key)) as client,
    ):
        client.send(pack(MessageKind.SAMPLES), marker)
        assert heard(client)[0] is MessageKind.ANSWER
    assert post.taken[0][1] == marker
    assert len(passed) > 500
    assert marker not in passed
    assert MessageKind.SAMPLES.name.lower().encode() not in passed


@pytest.mark.threat("N7")
def test_a_peer_that_does_not_finish_its_handshake_is_hung_up_on(
    keyring: Keyring, key: ClientKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_LIMIT_MS", 200)
    post = Post(keyring)
    with receiving(post.server, post.take):
        peer = socket.create_connection(("127.0.0.1", int(post.endpoint.rpartition(":")[2])))
        with peer:
            peer.settimeout(LIMIT_S)
            peer.sendall(GREETING.replace(b"NULL\0", b"CURVE"))
            while peer.recv(4096):
                pass  # its greeting, and then the end


@pytest.mark.threat("N8")
def test_with_nobody_to_ask_nobody_comes_in(keyring: Keyring, key: ClientKey) -> None:
    post = Post(keyring)
    assert post.server._questions is not None
    post.server._poller.unregister(post.server._questions)
    post.server._questions.close(0)
    post.server._questions = post.server._context.socket(module.zmq.REP)  # bound to nothing
    with receiving(post.server, post.take), closing(ClientSocket(post.endpoint, key)) as client:
        client.send(pack(MessageKind.HELLO))
        client.poll(500)
        assert isinstance(heard_soon(client), AccessDenied | None)
    assert post.taken == []


def heard_soon(client: ClientSocket) -> Any:
    try:
        return client.receive()
    except AccessDenied as error:
        return error


@pytest.mark.threat("N1")
@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.0.2.1", "[::]", "eth0", "example.org", "127.1", "0"])
def test_no_socket_is_bound_beyond_this_machine_without_a_guard(host: str) -> None:
    with pytest.raises(ConfigError, match="nobody is let in there without a key"):
        ServerSocket(f"tcp://{host}:{free_port()}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost"])
def test_on_this_machine_no_key_is_needed(host: str) -> None:
    endpoint = f"tcp://{host}:{free_port()}"
    try:
        server = ServerSocket(endpoint)
    except module.UsageError as error:
        pytest.skip(f"this machine has no such address: {error}")
    with closing(RequestSocket(endpoint)) as reader:
        taken: list[list[bytes]] = []
        with receiving(server, lambda identity, parts: (taken.append(parts), server.send(identity, ANSWER, b""))[0]):
            assert reader.request(MessageKind.STATUS, LIMIT_S)[0] is MessageKind.ANSWER


@pytest.mark.threat("H3")
def test_a_part_beyond_the_limit_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "s" / "a.sock"
    server = ServerSocket(f"ipc://{path}")
    taken: list[list[bytes]] = []
    with receiving(server, lambda _, parts: taken.append(parts)), socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(LIMIT_S)
        peer.connect(str(path))
        peer.sendall(GREETING + READY)
        heard_bytes = b""
        while b"READY" not in heard_bytes:
            heard_bytes += peer.recv(4096)
        peer.sendall(encode_frame(0, b"small"))
        wait_for(lambda: taken == [[b"small"]])
        peer.sendall(bytes([LONG]) + (MESSAGE_BYTES_MAX + 1).to_bytes(8, "big") + b"x")
        try:
            while peer.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert taken == [[b"small"]]


def test_a_build_without_curve_says_what_to_install(
    keyring: Keyring, key: ClientKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.zmq, "has", lambda _: False)
    for asks in (
        module.new_key_pair,
        lambda: ClientSocket("tcp://127.0.0.1:1", key),
        lambda: RequestSocket("tcp://127.0.0.1:1", key),
        lambda: ServerSocket(f"tcp://127.0.0.1:{free_port()}", guard=guard_of(keyring, "write")),
    ):
        with pytest.raises(ConfigError, match=r"has no CURVE.*install pyzmq"):
            asks()
