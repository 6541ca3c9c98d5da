"""Sockets over a real ipc endpoint: messages, locks, and what happens when the other side goes."""

from __future__ import annotations

import socket
import stat
import time
from pathlib import Path

import pytest

from obsagent.errors import AgentUnreachable, CorruptData, ProtocolError, StoreLocked, UsageError
from obsagent.wire.frame import MessageKind, pack
from obsagent.wire.socket import ClientSocket, RequestSocket, ServerSocket, ServeSocket

LIMIT_MS = 5000


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/sockets/ingest.sock"


def receive(server: ServerSocket) -> tuple[bytes, list[bytes]]:
    assert server.poll(LIMIT_MS)
    message = server.receive()
    assert message is not None
    return message[0], [bytes(part) for part in message[1]]


def test_messages_go_both_ways(endpoint: str) -> None:
    server, client = ServerSocket(endpoint), ClientSocket(endpoint)
    body = b"x" * 300_000
    assert client.send(pack(MessageKind.SAMPLES, q=1), body)
    identity, parts = receive(server)
    assert parts[1] == body
    assert server.send(identity, pack(MessageKind.ACK, q=1))
    message = None
    deadline = time.monotonic() + LIMIT_MS / 1000
    while message is None and time.monotonic() < deadline:
        client.poll(100)  # which ends too when the handshake has succeeded
        message = client.receive()
    assert message is not None
    assert (message[0], message[1]["q"]) == (MessageKind.ACK, 1)
    assert client.receive() is None
    client.close()
    server.close()


def test_a_client_notices_that_the_agent_went(endpoint: str) -> None:
    server, client = ServerSocket(endpoint), ClientSocket(endpoint)
    client.send(pack(MessageKind.HELLO))
    receive(server)
    assert not client.disconnected()
    server.close()
    deadline = time.monotonic() + 5
    while not client.disconnected():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    client.close()


def test_a_send_that_would_wait_says_so(endpoint: str) -> None:
    client = ClientSocket(endpoint)
    sent = [client.send(pack(MessageKind.SAMPLES, q=number)) for number in range(20)]
    assert sent.count(True) < 20
    assert sent[-1] is False
    client.close()


@pytest.mark.threat("H2")
def test_endless_parts_are_cut(endpoint: str) -> None:
    import zmq

    server = ServerSocket(endpoint)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    hostile = context.socket(zmq.DEALER)
    hostile.connect(endpoint)
    hostile.send_multipart([b"part"] * 1000)
    hostile.send_multipart([b"next"])
    assert len(receive(server)[1]) == 4
    assert receive(server)[1] == [b"next"]
    hostile.close(0)
    context.term()
    server.close()


@pytest.mark.threat("L4")
def test_the_endpoint_is_private_locked_and_freed(endpoint: str) -> None:
    server = ServerSocket(endpoint)
    path = Path(endpoint.removeprefix("ipc://"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(StoreLocked, match="another agent is listening"):
        ServerSocket(endpoint)
    server.close()
    assert not path.exists()
    ServerSocket(endpoint).close()


def test_a_socket_left_behind_by_a_killed_agent_is_taken_over(endpoint: str) -> None:
    path = Path(endpoint.removeprefix("ipc://"))
    path.parent.mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    ServerSocket(endpoint).close()


def test_an_endpoint_that_cannot_be_bound_is_a_usage_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot listen"):
        ServerSocket(f"tcp://127.0.0.1:{taken.getsockname()[1]}")


def test_wake_ends_a_poll(endpoint: str) -> None:
    server = ServerSocket(endpoint)
    server.wake()
    began = time.monotonic()
    assert server.poll(LIMIT_MS) is False
    assert time.monotonic() - began < 4
    server.close()


def test_a_request_is_answered_with_its_body(endpoint: str) -> None:
    server, reader = ServeSocket(endpoint), RequestSocket(endpoint)
    with pytest.raises(AgentUnreachable):
        reader.request(MessageKind.STATUS, 0.05)
    request = server.receive(LIMIT_MS)
    assert request is not None
    identity, kind, _ = request
    assert kind == "status"
    assert server.send(identity, "answer", b"{}")
    reader.close()
    server.close()


def test_a_request_that_is_no_message_names_who_sent_it(endpoint: str) -> None:
    import zmq

    server = ServeSocket(endpoint)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    hostile = context.socket(zmq.DEALER)
    hostile.connect(endpoint)
    hostile.send(b"garbage")
    with pytest.raises((CorruptData, ProtocolError)) as caught:
        server.receive(LIMIT_MS)
    assert isinstance(caught.value.identity, bytes)  # type: ignore[union-attr]
    hostile.close(0)
    context.term()
    server.close()


def test_who_does_not_read_is_found_out_and_costs_little(endpoint: str) -> None:
    """The answers that are kept for such a one are bounded, and the others are read and answered as ever."""
    server, deaf, other = ServerSocket(endpoint, send_hwm=8), ClientSocket(endpoint), ClientSocket(endpoint)
    deaf.send(pack(MessageKind.HELLO))
    identity, _ = receive(server)
    answer = pack(MessageKind.ACK, q=1, filler=b"x" * 50_000)
    sent = [server.send(identity, answer) for _ in range(200)]
    assert sent[0]
    assert not sent[-1]
    assert sent.count(True) < 100
    assert server.unread == sent.count(False)
    other.send(pack(MessageKind.HELLO))
    identity, _ = receive(server)
    assert server.send(identity, pack(MessageKind.ACK, q=2))
    assert other.poll(LIMIT_MS)
    deaf.close()
    other.close()
    server.close()


def test_a_peer_that_has_gone_is_not_one_that_does_not_read(endpoint: str) -> None:
    server, client = ServerSocket(endpoint), ClientSocket(endpoint)
    client.send(pack(MessageKind.HELLO))
    identity, _ = receive(server)
    client.close()
    deadline = time.monotonic() + 5
    while server.send(identity, pack(MessageKind.ACK, q=1)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert server.unread == 0
    server.close()


def test_a_lost_peer_over_tcp_is_let_go_of() -> None:
    import zmq

    server = ServerSocket("tcp://127.0.0.1:*")
    assert server._socket.getsockopt(zmq.TCP_KEEPALIVE) == 1
    assert server._socket.getsockopt(zmq.TCP_MAXRT) == 60_000
    server.close()
