"""Sockets: the only module that imports zmq.

Clients and readers hold a DEALER, the agent a ROUTER on each endpoint. Nothing queues inside libzmq for
long: the high-water marks are small, sends never block, and linger is zero, so that a closed socket keeps no
old messages for a later conversation.

Over tcp both sides may hold keys (CURVE): the agent's socket then asks a `Guard` about every peer (ZAP) before it takes
a part of a message from it, and about every message whether its sender still may.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import zmq
from zmq.utils import z85

from obsagent.endpoints import IPC_PREFIX, TCP_PREFIX, check_endpoint, is_loopback
from obsagent.errors import AccessDenied, AgentUnreachable, ConfigError, CorruptData, UsageError
from obsagent.limits import (
    ANSWERS_UNREAD_MAX,
    DEFINE_BYTES_MAX,
    FRAME_PARTS_MAX,
    HANDSHAKE_LIMIT_MS,
    MESSAGE_BYTES_MAX,
    RECEIVE_HWM,
    REPLY_HWM,
    SEND_HWM,
)
from obsagent.wire import zap
from obsagent.wire.door import Door, Event
from obsagent.wire.header import Header, MessageKind, pack, unpack

if TYPE_CHECKING:
    from obsagent.keys import ClientKey
    from obsagent.wire.ipc import IpcPlace

logger = logging.getLogger(__name__)

KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 30, 10, 3
UNACKNOWLEDGED_MAX_MS = 60_000
ZERO_COPY_BYTES = 64 << 10

LOG_EVERY_S = 10.0
HANDSHAKE_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
HANDSHAKE_FAILED |= zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL

Parts = list[bytes | memoryview]


class Guard(Protocol):
    """Who may come in at an endpoint that asks for keys."""

    @property
    def role(self) -> str:
        """What keys must be for here."""
        ...

    @property
    def secret(self) -> str:
        """The agent's secret key."""
        ...

    def lets_in(self, public: str, *, arriving: bool) -> bool:
        """True for a public key that may come in; `arriving` if this is asked for its handshake, not for a message."""
        ...


def new_key_pair() -> tuple[str, str]:
    """Public and secret key of a new pair; raises `ConfigError` if this build of libzmq has no CURVE."""
    _need_curve()
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _need_curve() -> None:
    if not zmq.has("curve"):
        raise ConfigError("this build of libzmq has no CURVE, so it takes no keys: install pyzmq from PyPI")


def _new_socket(context: zmq.Context[Any], kind: int, endpoint: str) -> zmq.Socket[Any]:
    socket: zmq.Socket[Any] = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, SEND_HWM)
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    if endpoint.startswith(f"{TCP_PREFIX}["):
        socket.setsockopt(zmq.IPV6, 1)
    return socket


def _let_go_of_lost_peers(socket: zmq.Socket[Any]) -> None:
    """A peer whose machine or network is gone says no goodbye: its connection would stay."""
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT)
    socket.setsockopt(zmq.TCP_MAXRT, UNACKNOWLEDGED_MAX_MS)


def _next_event(monitor: zmq.Socket[Any]) -> int:
    """The next event, 0 if there is none; `zmq.utils.monitor` would load asyncio."""
    return int.from_bytes(monitor.recv_multipart()[0][:2], sys.byteorder) if monitor.poll(0) else 0


DOOR_EVENTS = {
    int(zmq.EVENT_HANDSHAKE_SUCCEEDED): Event.LET_IN,
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): Event.REFUSED,
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): Event.MISFIT,
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): Event.CUT,
    int(zmq.EVENT_DISCONNECTED): Event.LEFT,
}


class _Watched:
    """A door with the monitor that tells it what happens."""

    def __init__(self, socket: zmq.Socket[Any], endpoint: str, key: ClientKey | None) -> None:
        self._socket = socket
        self._door = Door(endpoint, key)
        self.monitor = socket.get_monitor_socket(sum(DOOR_EVENTS))
        if key is not None:
            _need_curve()
            socket.curve_publickey = key.public.encode()
            socket.curve_secretkey = key.secret.encode()
            socket.curve_serverkey = key.server.encode()

    def look(self) -> Door:
        """The door after what has happened."""
        while event := _next_event(self.monitor):
            self._door.happened(DOOR_EVENTS[event])
        return self._door

    def close(self) -> None:
        self._socket.disable_monitor()
        self.monitor.close(0)


class ClientSocket:
    """One conversation of a writer with the agent: closed and replaced after a disconnect.

    Not thread-safe: it belongs to the thread that made it.
    """

    def __init__(self, endpoint: str, key: ClientKey | None = None) -> None:
        """Starts connecting, and shows the key if there is one; raises `UsageError` for a malformed endpoint."""
        check_endpoint(endpoint)
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = _new_socket(self._context, zmq.DEALER, endpoint)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        self._door = _Watched(self._socket, endpoint, key)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._door.monitor, zmq.POLLIN)
        self._socket.connect(endpoint)

    def send(self, header: bytes, body: bytes | None = None) -> bool:
        """Hands one message over; False if it would have to wait."""
        parts = [header] if body is None else [header, body]
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK, copy=body is None or len(body) < ZERO_COPY_BYTES)
        except zmq.Again:
            return False
        return True

    def poll(self, timeout_ms: int) -> bool:
        """Waits until something happens: a message or a disconnect."""
        return bool(self._poller.poll(timeout_ms))

    def disconnected(self) -> bool:
        """True once the peer has gone since the socket was made."""
        return self._door.look().gone

    def receive(self) -> tuple[MessageKind, Header] | None:
        """The next message, or None if there is none.

        Raises `AccessDenied` once the agent has not let us in, `CorruptData` or `ProtocolError` for a message.
        """
        if refusal := self._door.look().refusal:
            raise AccessDenied(refusal)
        try:
            parts = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        kind, fields = unpack(parts[0])
        if len(parts) > 1:
            fields["body"] = parts[1]
        return kind, fields

    def close(self) -> None:
        """Drops whatever is unsent and closes."""
        self._door.close()
        self._socket.close(0)
        self._context.term()


class RequestSocket:
    """A reader's conversation over tcp: one request, one answer. Over a Unix socket `obsagent.wire.zmtp` holds it."""

    def __init__(self, endpoint: str, key: ClientKey | None = None) -> None:
        """Starts connecting, and shows the key if there is one; raises `UsageError` for a malformed endpoint."""
        self.endpoint = check_endpoint(endpoint)
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = _new_socket(self._context, zmq.DEALER, endpoint)
        self._door = _Watched(self._socket, endpoint, key)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._door.monitor, zmq.POLLIN)
        self._socket.connect(endpoint)

    def request(self, kind: MessageKind, timeout_s: float, **fields: Any) -> tuple[MessageKind, Header]:
        """Sends a request and waits for its answer.

        Raises `AgentUnreachable` after `timeout_s` seconds, `AccessDenied` if the agent does not let us in.
        """
        deadline = time.monotonic() + timeout_s
        self._send(pack(kind, **fields), timeout_s)
        while True:
            if refusal := self._door.look().refusal:
                raise AccessDenied(f"{self.endpoint}: {refusal}")
            if self._socket.poll(0):
                return self._take()
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise self._unreachable(timeout_s)
            self._poller.poll(int(remaining_s * 1000) + 1)

    def _send(self, header: bytes, timeout_s: float) -> None:
        try:
            self._socket.send(header, zmq.NOBLOCK)
        except zmq.Again:
            raise self._unreachable(timeout_s) from None

    def _unreachable(self, timeout_s: float) -> AgentUnreachable:
        return AgentUnreachable(f"no agent answered at {self.endpoint} within {timeout_s:g} s")

    def _take(self) -> tuple[MessageKind, Header]:
        parts = self._socket.recv_multipart(zmq.NOBLOCK)
        kind_back, header = unpack(parts[0])
        if len(parts) > 1:
            header["body"] = parts[1]
        return kind_back, header

    def close(self) -> None:
        """Closes at once."""
        self._door.close()
        self._socket.close(0)
        self._context.term()


class ServerSocket:
    """The agent's side of an endpoint: messages from many peers, answers by identity.

    Where it lies on disk, and who may open it there, is `obsagent.wire.ipc`'s. Over tcp beyond this machine it asks for
    keys, always. Not thread-safe, except `wake`.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        receive_hwm: int = RECEIVE_HWM,
        send_hwm: int = REPLY_HWM,
        group: int | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Binds. `group` may open an ipc socket too; over tcp `guard` knows who may come in.

        So many messages wait for each peer, and of each, at most; what waits of a peer is in its own memory otherwise.
        Raises `StoreLocked` if another agent holds the endpoint, `UsageError` if it is malformed or cannot be bound,
        `ConfigError` for a directory that is not safe, and for tcp beyond this machine without a guard.
        """
        self.endpoint = check_endpoint(endpoint)
        self.unread = 0
        self._place = _place_of(endpoint, group)
        self._guard = guard if endpoint.startswith(TCP_PREFIX) else None
        if self._guard is None and endpoint.startswith(TCP_PREFIX) and not is_loopback(endpoint):
            raise ConfigError(f"{endpoint} can be reached from other machines: nobody is let in there without a key")
        self.refused = 0
        self._logged_s = -LOG_EVERY_S
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = _new_socket(self._context, zmq.ROUTER, endpoint)
        self._socket.setsockopt(zmq.RCVHWM, receive_hwm)
        self._socket.setsockopt(zmq.SNDHWM, send_hwm)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a send to who does not read then fails, and is no secret
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        if endpoint.startswith(TCP_PREFIX):
            _let_go_of_lost_peers(self._socket)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._wake_read, zmq.POLLIN)
        self._questions: zmq.Socket[Any] | None = None
        self._monitor: zmq.Socket[Any] | None = None
        try:
            if self._guard is not None:
                self._ask_for_keys(self._guard)
            with self._binding():
                self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise UsageError(f"cannot listen on {endpoint}: {error}") from None
        except BaseException:
            self.close()
            raise

    def _binding(self) -> AbstractContextManager[None]:
        return nullcontext() if self._place is None else self._place.binding()

    def _ask_for_keys(self, guard: Guard) -> None:
        """Whoever wants in must hold a key that the guard knows. Where libzmq asks about it has to exist before."""
        _need_curve()
        self._questions = self._context.socket(zmq.REP)
        self._questions.setsockopt(zmq.LINGER, 0)
        self._questions.bind("inproc://zeromq.zap.01")
        self._monitor = self._socket.get_monitor_socket(HANDSHAKE_FAILED)
        self._poller.register(self._questions, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._socket.curve_server = True
        self._socket.curve_secretkey = guard.secret.encode()
        self._socket.zap_domain = guard.role.encode()
        self._socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # nobody to ask means: nobody comes in
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_LIMIT_MS)

    def poll(self, timeout_ms: int) -> bool:
        """Waits for a message or a `wake`, and answers libzmq who may come in; True if a message is there."""
        ready = dict(self._poller.poll(timeout_ms))
        if self._wake_read in ready:
            try:
                os.read(self._wake_read, 4096)
            except BlockingIOError:
                pass
        if self._guard is not None:
            self._answer_questions(self._guard)
        return self._socket in ready

    def _answer_questions(self, guard: Guard) -> None:
        assert self._questions is not None
        assert self._monitor is not None
        while self._questions.poll(0):
            admit = self._admission(guard)
            self._questions.send_multipart(zap.reply(self._questions.recv_multipart(), guard.role.encode(), admit))
        while event := _next_event(self._monitor):
            if event != zmq.EVENT_HANDSHAKE_FAILED_AUTH:  # of those the guard has spoken
                self._count_refused("a peer without a key, or with one for another agent, was not let in")

    def _admission(self, guard: Guard) -> zap.Admit:
        def admit(public: bytes, address: str) -> str | None:
            text = z85.encode(public).decode()
            if guard.lets_in(text, arriving=True):
                return text
            self._count_refused(f"a key was not let in; its peer is {address}")
            return None

        return admit

    def _count_refused(self, what: str) -> None:
        self.refused += 1
        if time.monotonic() - self._logged_s >= LOG_EVERY_S:
            self._logged_s = time.monotonic()
            logger.warning("%s: %s", self.endpoint, what)

    def wake(self) -> None:
        """Ends a `poll`; may be called from any thread."""
        try:
            os.write(self._wake_write, b"w")
        except (BlockingIOError, OSError):
            pass

    def receive(self) -> tuple[bytes, Parts] | None:
        """The next message as (identity, parts), or None: there is none, or its sender's key was revoked.

        Endless parts are read away and cut.
        """
        try:
            first = self._socket.recv(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        identity, parts = first.bytes, self._receive_parts()
        if self._guard is not None and not self._guard.lets_in(str(first.get("User-Id")), arriving=False):
            self._count_refused("a message was refused: the key of its sender was revoked")
            message = "this key was revoked: the agent takes nothing from it"
            self.send(identity, pack(MessageKind.ERROR, code="key", message=message, exit_code=1))
            return None
        return identity, parts

    def _receive_parts(self) -> Parts:
        parts: Parts = []
        while self._socket.getsockopt(zmq.RCVMORE):
            frame = self._socket.recv(copy=False)
            if len(parts) < FRAME_PARTS_MAX:
                parts.append(frame.buffer if len(frame.buffer) > DEFINE_BYTES_MAX // 64 else frame.bytes)
        return parts

    def send(self, identity: bytes, header: bytes, body: bytes | None = None) -> bool:
        """Answers a peer; False if the peer is gone or does not read, which is counted in `unread`."""
        parts = [identity, header] if body is None else [identity, header, body]
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:
            self.unread += 1
            return False
        except zmq.ZMQError:
            return False
        return True

    def close(self) -> None:
        """Stops listening and removes the socket file."""
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(0)
        self._socket.close(0)
        if self._questions is not None:
            self._questions.close(0)
        self._context.term()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._place is not None:
            self._place.release()
            self._place = None


def _place_of(endpoint: str, group: int | None) -> IpcPlace | None:
    if not endpoint.startswith(IPC_PREFIX):
        return None
    from obsagent.wire.ipc import IpcPlace  # clients do not need it

    return IpcPlace(Path(endpoint[len(IPC_PREFIX) :]), group)


class ServeSocket:
    """The readers' endpoint as the query server uses it: headers in, headers out."""

    def __init__(self, endpoint: str, *, group: int | None = None, guard: Guard | None = None) -> None:
        """Binds; raises like `ServerSocket`."""
        self._server = ServerSocket(endpoint, send_hwm=ANSWERS_UNREAD_MAX, group=group, guard=guard)

    @property
    def refused(self) -> int:
        """Handshakes and messages of peers that may not come in."""
        return self._server.refused

    def receive(self, timeout_ms: int) -> tuple[bytes, str, Header] | None:
        """The next request as (identity, kind in lower case, fields), or None after `timeout_ms`.

        Raises `CorruptData` or `ProtocolError` with the peer's identity in `.identity`.
        """
        if not self._server.poll(timeout_ms):
            return None
        message = self._server.receive()
        if message is None:
            return None
        identity, parts = message
        try:
            if not parts:
                raise CorruptData("a message without a header")
            kind, header = unpack(parts[0])
        except Exception as error:
            error.identity = identity  # type: ignore[attr-defined]
            raise
        return identity, kind.name.lower(), header

    def send(self, identity: bytes, kind: str, body: bytes | None = None, **fields: Any) -> bool:
        """Answers a reader with a message of `kind` (in lower case); False if it is gone."""
        return self._server.send(identity, pack(MessageKind[kind.upper()], **fields), body)

    def wake(self) -> None:
        """Ends a `receive`; may be called from any thread."""
        self._server.wake()

    def close(self) -> None:
        """Stops listening."""
        self._server.close()
