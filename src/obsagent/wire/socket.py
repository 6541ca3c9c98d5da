"""Sockets: the only module that imports zmq.

Clients and readers hold a DEALER, the agent a ROUTER on each endpoint. Nothing queues inside libzmq for
long: the high-water marks are small, sends never block, and linger is zero, so that a closed socket keeps no
old messages for a later conversation.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import zmq

from obsagent.endpoints import IPC_PREFIX, check_endpoint
from obsagent.errors import AgentUnreachable, CorruptData, StoreLocked, UsageError
from obsagent.limits import DEFINE_BYTES_MAX, FRAME_PARTS_MAX, MESSAGE_BYTES_MAX
from obsagent.wire.header import Header, MessageKind, pack, unpack

SEND_HWM = 8
ANSWERS_UNREAD_MAX = 4
TCP_PREFIX = "tcp://"
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 30, 10, 3
UNACKNOWLEDGED_MAX_MS = 60_000
ZERO_COPY_BYTES = 64 << 10

Parts = list[bytes | memoryview]


def _new_socket(context: zmq.Context[Any], kind: int) -> zmq.Socket[Any]:
    socket: zmq.Socket[Any] = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, SEND_HWM)
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    return socket


def _let_go_of_lost_peers(socket: zmq.Socket[Any]) -> None:
    """A peer whose machine or network is gone says no goodbye: its connection would stay."""
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT)
    socket.setsockopt(zmq.TCP_MAXRT, UNACKNOWLEDGED_MAX_MS)


class ClientSocket:
    """One conversation of a writer with the agent: closed and replaced after a disconnect.

    Not thread-safe: it belongs to the thread that made it.
    """

    def __init__(self, endpoint: str) -> None:
        """Starts connecting; raises `UsageError` for a malformed endpoint."""
        check_endpoint(endpoint)
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = _new_socket(self._context, zmq.DEALER)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
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
        return bool(self._monitor.poll(0))

    def receive(self) -> tuple[MessageKind, Header] | None:
        """The next message, or None if there is none; raises `CorruptData` or `ProtocolError`."""
        try:
            parts = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        return unpack(parts[0])

    def close(self) -> None:
        """Drops whatever is unsent and closes."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)
        self._context.term()


class RequestSocket:
    """A reader's conversation over tcp: one request, one answer. Over a Unix socket `obsagent.wire.zmtp` holds it."""

    def __init__(self, endpoint: str) -> None:
        """Starts connecting; raises `UsageError` for a malformed endpoint."""
        self.endpoint = check_endpoint(endpoint)
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = _new_socket(self._context, zmq.DEALER)
        self._socket.connect(endpoint)

    def request(self, kind: MessageKind, timeout_s: float, **fields: Any) -> tuple[MessageKind, Header]:
        """Sends a request and waits for its answer; raises `AgentUnreachable` after `timeout_s` seconds."""
        self._socket.send_multipart([pack(kind, **fields)])
        if not self._socket.poll(int(timeout_s * 1000)):
            raise AgentUnreachable(f"no agent answered at {self.endpoint} within {timeout_s:g} s")
        parts = self._socket.recv_multipart(zmq.NOBLOCK)
        kind_back, header = unpack(parts[0])
        if len(parts) > 1:
            header["body"] = parts[1]
        return kind_back, header

    def close(self) -> None:
        """Closes at once."""
        self._socket.close(0)
        self._context.term()


class ServerSocket:
    """The agent's side of an endpoint: messages from many peers, answers by identity.

    An ipc endpoint is guarded by a lock file beside it, because a second bind on the same path would steal it
    in silence. Not thread-safe, except `wake`.
    """

    def __init__(self, endpoint: str, *, receive_hwm: int = 16, send_hwm: int = 256) -> None:
        """Binds; raises `StoreLocked` if another agent holds the endpoint, `UsageError` if it is malformed.

        So many messages wait for each peer, and of each, at most; what waits of a peer is in its own memory otherwise.
        """
        self.endpoint = check_endpoint(endpoint)
        self.unread = 0
        self._lock_fd = self._guard(endpoint)
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = _new_socket(self._context, zmq.ROUTER)
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
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise UsageError(f"cannot listen on {endpoint}: {error}") from None
        if endpoint.startswith(IPC_PREFIX):
            Path(endpoint[len(IPC_PREFIX) :]).chmod(0o600)

    @staticmethod
    def _guard(endpoint: str) -> int | None:
        if not endpoint.startswith(IPC_PREFIX):
            return None
        path = Path(endpoint[len(IPC_PREFIX) :])
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock_fd)
            raise StoreLocked(f"another agent is listening on {endpoint}; stop it or choose --listen/--serve") from None
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()
        return lock_fd

    def poll(self, timeout_ms: int) -> bool:
        """Waits for a message or a `wake`; True if a message is there."""
        ready = dict(self._poller.poll(timeout_ms))
        if self._wake_read in ready:
            try:
                os.read(self._wake_read, 4096)
            except BlockingIOError:
                pass
        return self._socket in ready

    def wake(self) -> None:
        """Ends a `poll`; may be called from any thread."""
        try:
            os.write(self._wake_write, b"w")
        except (BlockingIOError, OSError):
            pass

    def receive(self) -> tuple[bytes, Parts] | None:
        """The next message as (identity, parts), or None. Endless parts are read away and cut."""
        try:
            identity = self._socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return None
        parts: Parts = []
        while self._socket.getsockopt(zmq.RCVMORE):
            frame = self._socket.recv(copy=False)
            if len(parts) < FRAME_PARTS_MAX:
                parts.append(frame.buffer if len(frame.buffer) > DEFINE_BYTES_MAX // 64 else frame.bytes)
        return identity, parts

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
        self._socket.close(0)
        self._context.term()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._lock_fd is not None:
            Path(self.endpoint[len(IPC_PREFIX) :]).unlink(missing_ok=True)
            os.close(self._lock_fd)
            self._lock_fd = None


class ServeSocket:
    """The readers' endpoint as the query server uses it: headers in, headers out."""

    def __init__(self, endpoint: str) -> None:
        """Binds; raises like `ServerSocket`."""
        self._server = ServerSocket(endpoint, send_hwm=ANSWERS_UNREAD_MAX)

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
