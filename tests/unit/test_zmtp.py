"""ZMTP over a Unix socket: against libzmq's own ROUTER, and against peers that mean harm."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from answering_agent import answering
from hypothesis import given
from hypothesis import strategies as st

from obsagent.errors import CorruptData, ProtocolError
from obsagent.limits import COMMAND_BYTES_MAX, FRAME_PARTS_MAX, MESSAGE_BYTES_MAX
from obsagent.wire import zmtp
from obsagent.wire.header import MessageKind, pack
from obsagent.wire.zmtp import COMMAND, GREETING, LONG, MORE, READY, UnixDealer, encode_command, encode_frame

LIMIT_S = 5.0
ANSWER = pack(MessageKind.ANSWER)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "query.sock")


def test_libzmq_understands_and_is_understood(path: str) -> None:
    with answering(f"ipc://{path}", lambda kind, fields: f"{kind} {fields['text']}".encode()):
        dealer = UnixDealer(path, LIMIT_S)
        for text in ("p99 latency", "größe", "x" * 3_000):
            kind, fields = dealer.request(MessageKind.QUERY, LIMIT_S, text=text)
            assert (kind, fields["body"]) == (MessageKind.ANSWER, f"query {text}".encode())
        dealer.close()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_536, 9_000_001])
def test_answers_of_every_size_arrive_whole(path: str, size: int) -> None:
    body = bytes(index % 251 for index in range(1_000)) * (size // 1_000 + 1)
    with answering(f"ipc://{path}", lambda kind, fields: body[:size]):
        dealer = UnixDealer(path, LIMIT_S)
        assert dealer.request(MessageKind.STATUS, LIMIT_S)[1]["body"] == body[:size]
        dealer.close()


def test_readers_side_by_side_each_get_their_own_answer(path: str) -> None:
    with answering(f"ipc://{path}", lambda kind, fields: fields["text"].encode()):
        dealers = {str(number): UnixDealer(path, LIMIT_S) for number in range(5)}
        for text, dealer in dealers.items():
            dealer._deadline = time.monotonic() + LIMIT_S
            dealer._send(encode_frame(0, pack(MessageKind.QUERY, text=text)))
        for text, dealer in reversed(dealers.items()):
            assert dealer._read_message()[1] == text.encode()
            dealer.close()


def test_silence_ends_in_a_time_out(path: str) -> None:
    with answering(f"ipc://{path}", lambda kind, fields: None):
        dealer = UnixDealer(path, LIMIT_S)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            dealer.request(MessageKind.STATUS, 0.1)
        assert 0.1 <= time.monotonic() - began < 2.0
        dealer.close()


def test_nobody_there_is_said_as_connect_says_it(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        UnixDealer(path, LIMIT_S)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(path)
    with pytest.raises(ConnectionRefusedError):
        UnixDealer(path, LIMIT_S)


@contextmanager
def scripted_peer(path: str, *pieces: bytes, pause_s: float = 0.0) -> Iterator[list[bytes]]:
    """Sends prepared bytes to whoever connects and leaves; what it was told comes back."""
    listener, told = socket.socket(socket.AF_UNIX), [b""]
    listener.bind(path)
    listener.listen()

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(LIMIT_S)
            for piece in pieces:
                time.sleep(pause_s)
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                told[0] += chunk

    def run_quietly() -> None:
        try:
            run()
        except OSError:
            pass  # the reader under test has left, as it should

    thread = threading.Thread(target=run_quietly)
    thread.start()
    try:
        yield told
    finally:
        thread.join()
        listener.close()


def ask(path: str) -> Any:
    dealer = UnixDealer(path, LIMIT_S)
    try:
        return dealer.request(MessageKind.STATUS, LIMIT_S)
    finally:
        dealer.close()


def test_what_is_said_is_zmtp_3_to_the_letter(path: str) -> None:
    said = GREETING + READY + encode_frame(0, ANSWER)
    with scripted_peer(path, said) as told:
        assert ask(path)[0] is MessageKind.ANSWER
    expected = (
        b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x00NULL" + bytes(16) + bytes(1) + bytes(31),
        b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00",
        b"\x00" + bytes([len(pack(MessageKind.STATUS))]) + pack(MessageKind.STATUS),
    )
    assert told == [b"".join(expected)]
    assert [len(part) for part in expected[:2]] == [64, 43]


def test_bytes_that_come_one_by_one_are_an_answer_too(path: str) -> None:
    said = GREETING + READY + encode_frame(MORE, ANSWER) + encode_frame(0, b"body")
    with scripted_peer(path, *(said[index : index + 1] for index in range(len(said)))):
        assert ask(path)[1]["body"] == b"body"


def test_commands_between_messages_are_passed_over(path: str) -> None:
    ping = encode_command(b"PING")
    said = GREETING + READY + ping + encode_frame(MORE, ANSWER) + ping + encode_frame(0, b"body")
    with scripted_peer(path, said):
        assert ask(path)[1]["body"] == b"body"


HANDSHAKE = GREETING + READY
HOSTILE = {
    "http": (b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64), "does not speak ZMTP 3"),
    "zmtp 2": (GREETING[:10] + b"\x01" + GREETING[11:], "does not speak ZMTP 3"),
    "curve": (GREETING.replace(b"NULL\0", b"CURVE"), "another security mechanism"),
    "no ready": (GREETING + encode_command(b"HELLO"), "does not finish ZMTP's handshake"),
    "empty command": (GREETING + encode_frame(COMMAND, b""), "does not finish ZMTP's handshake"),
    "a message first": (GREETING + encode_frame(0, b""), "does not finish ZMTP's handshake"),
    "refused": (GREETING + encode_frame(COMMAND, b"\x05ERROR\x07Invalid"), "ended the handshake: Invalid"),
    "unknown flags": (HANDSHAKE + b"\x08\x01x", "flags 0x08"),
    "a command with more": (HANDSHAKE + b"\x05\x01x", "flags 0x05"),
    "endless part": (HANDSHAKE + bytes([LONG]) + b"\xff" * 8, f"at most {MESSAGE_BYTES_MAX}"),
    "endless command": (
        HANDSHAKE + bytes([COMMAND | LONG]) + (COMMAND_BYTES_MAX + 1).to_bytes(8, "big"),
        f"at most {COMMAND_BYTES_MAX}",
    ),
    "too many parts": (HANDSHAKE + encode_frame(MORE, b"") * FRAME_PARTS_MAX, f"more than {FRAME_PARTS_MAX} parts"),
    "parts beyond the limit together": (
        HANDSHAKE + encode_frame(MORE, bytes(1000)) + bytes([LONG]) + (MESSAGE_BYTES_MAX - 999).to_bytes(8, "big"),
        f"at most {MESSAGE_BYTES_MAX - 1000}",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_peer_is_a_protocol_error(path: str, name: str) -> None:
    said, message = HOSTILE[name]
    with scripted_peer(path, said), pytest.raises(ProtocolError, match=message):
        ask(path)


def test_a_part_that_is_no_header_is_corrupt(path: str) -> None:
    with scripted_peer(path, HANDSHAKE + encode_frame(0, b"garbage")), pytest.raises(CorruptData):
        ask(path)


def test_a_peer_that_leaves_in_the_midst_is_noticed_at_every_byte(path: str) -> None:
    said = HANDSHAKE + encode_frame(MORE, ANSWER) + encode_frame(0, b"body" * 100)
    for end in (0, 1, 10, 63, 64, 65, len(HANDSHAKE), len(HANDSHAKE) + 1, len(said) - 1):
        with scripted_peer(path, said[:end]), pytest.raises(ConnectionError):
            ask(path)
        Path(path).unlink()


def test_a_peer_that_trickles_cannot_stretch_the_time_out(path: str) -> None:
    endless = [encode_command(b"PING")] * 100
    with scripted_peer(path, HANDSHAKE, *endless, pause_s=0.02):
        dealer = UnixDealer(path, LIMIT_S)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            dealer.request(MessageKind.STATUS, 0.2)
        assert time.monotonic() - began < 1.5
        dealer.close()


def heard(chunks: Iterable[bytes]) -> UnixDealer:
    """A dealer after its handshake whose socket gives out these chunks, one a call."""
    left = iter([*chunks, b""])
    dealer = UnixDealer.__new__(UnixDealer)
    dealer._received = bytearray()
    dealer._deadline = time.monotonic() + LIMIT_S
    dealer._socket = SimpleNamespace(settimeout=lambda _: None, recv=lambda _: next(left))  # type: ignore[assignment]
    return dealer


messages = st.lists(st.binary(max_size=600), min_size=1, max_size=FRAME_PARTS_MAX)


@given(st.lists(messages, min_size=1, max_size=4), st.data())
def test_messages_survive_any_splitting(sent: list[list[bytes]], data: st.DataObject) -> None:
    stream = b"".join(
        encode_frame(MORE if index < len(parts) - 1 else 0, part) for parts in sent for index, part in enumerate(parts)
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True) if start < end]
    dealer = heard(chunks)
    assert [dealer._read_message() for _ in sent] == sent


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_unexpected(garbage: bytes) -> None:
    dealer = heard([garbage])

    def read_on() -> None:
        while True:
            dealer._read_message()

    with pytest.raises((ProtocolError, ConnectionError)):
        read_on()


def test_lengths_are_written_short_where_they_fit() -> None:
    assert encode_frame(0, b"x" * 255)[:2] == b"\x00\xff"
    assert encode_frame(MORE, b"x" * 256)[:9] == b"\x03" + (256).to_bytes(8, "big")
    assert zmtp.command_name(b"") == b""
