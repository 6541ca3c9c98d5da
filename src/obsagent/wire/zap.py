"""What libzmq asks before it lets a peer in (ZAP, ZeroMQ's RFC 27), pure: parts in, parts out.

    request := version  request-id  domain  address  identity  mechanism  credentials...
    reply   := version  request-id  status  text  user-id  metadata

Only CURVE passes: there the credentials are the peer's public key, and the handshake has proved that it holds the
secret one. Whatever else is asked, or asked wrongly, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

VERSION = b"1.0"
REQUEST_PARTS = 7  # of a CURVE request, whose credentials are one part
CURVE = b"CURVE"
PUBLIC_BYTES = 32

Admit = Callable[[bytes, str], str | None]
"""Public key (32 bytes) and address to the user id that messages of the peer carry, or None: it may not come in."""


def reply(request: Sequence[bytes], domain: bytes, admit: Admit) -> list[bytes]:
    """The answer to one request at the socket of that domain."""
    request_id = request[1] if len(request) > 1 else b""
    user = _user(request, domain, admit)
    if user is None:
        return [VERSION, request_id, b"400", b"this key is not let in here", b"", b""]
    return [VERSION, request_id, b"200", b"OK", user.encode(), b""]


def _user(request: Sequence[bytes], domain: bytes, admit: Admit) -> str | None:
    if len(request) != REQUEST_PARTS:
        return None
    version, _, asked, address, _, mechanism, public = request
    if (version, asked, mechanism, len(public)) != (VERSION, domain, CURVE, PUBLIC_BYTES):
        return None
    return admit(public, address.decode("ascii", "replace"))
