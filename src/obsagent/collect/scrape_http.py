"""Gets a page over HTTP within limits: of bytes as they come and as they unpack, of time in all, of redirects.

This is http.client of the standard library: a page of metrics is one GET without proxies, cookies or pools, and the
limits need the socket. Time in all is held by a timer that shuts the socket, since a peer that sends a byte now and
then never runs into a socket's own time-out; gzip is unpacked a piece at a time, so that a bomb stops at the limit.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from obsagent.collect.collector import Unreadable
from obsagent.errors import printable
from obsagent.limits import SCRAPE_LINE_BYTES_MAX, SCRAPE_REDIRECTS_MAX, SCRAPE_TOKEN_BYTES_MAX

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.9,*/*;q=0.1"
OPENMETRICS = "application/openmetrics-text"
REDIRECTS = (301, 302, 303, 307, 308)
PIECE_BYTES = 64 << 10
GZIP = 16 + zlib.MAX_WBITS
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Request:
    """What to get, and its limits: the page's bytes, unpacked, and seconds for everything."""

    url: str
    bytes_max: int
    timeout_s: float
    bearer_token_file: Path | None = None
    ca_file: Path | None = None


class TooLarge(Exception):
    """The page has more bytes than it may; what came before has been given."""


class Answer:
    """A page that is being read: its lines, as they come."""

    def __init__(self, response: http.client.HTTPResponse, bytes_max: int, expired: threading.Event) -> None:
        self._response = response
        self._left = bytes_max
        self._expired = expired
        self.is_openmetrics = response.getheader("Content-Type", "").strip().lower().startswith(OPENMETRICS)
        self._gzip = _unpacker(response)

    def lines(self) -> Iterator[bytes]:
        """Each line without its end; raises `TooLarge` behind the last whole one that fits."""
        rest = b""
        for piece in self._unpacked():
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
            if len(rest) > SCRAPE_LINE_BYTES_MAX:  # its reader refuses it: that much of it is enough
                rest = rest[: SCRAPE_LINE_BYTES_MAX + 1]
        if rest:
            yield rest

    def _unpacked(self) -> Iterator[bytes]:
        while piece := self._response.read1(PIECE_BYTES):
            yield from self._pieces_of(piece)
        if self._expired.is_set():  # to a shut socket the page looks as if it had ended
            raise TimeoutError
        if self._response.length:
            raise Unreadable(f"the connection ended {self._response.length} bytes before the end of the page")
        if self._gzip is not None and not self._gzip.eof:
            raise Unreadable("the connection ended within the gzip of the page")

    def _pieces_of(self, piece: bytes) -> Iterator[bytes]:
        if self._gzip is None:
            yield self._counted(piece)
            return
        unpacked = b" " * PIECE_BYTES
        while piece or len(unpacked) == PIECE_BYTES:  # then there may be more of it
            try:
                unpacked = self._gzip.decompress(piece, PIECE_BYTES)
            except zlib.error as error:
                raise Unreadable(f"its gzip is damaged: {error}") from None
            yield self._counted(unpacked)
            piece = self._gzip.unconsumed_tail

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge
        return piece


class Page:
    """`with Page(request) as answer`: a page, whose connection ends with it.

    Everything that goes wrong, within too, is raised as `Unreadable`, with the reason in words; but for `TooLarge`.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._deadline_s = time.monotonic() + request.timeout_s
        self._expired = threading.Event()
        self._timer: threading.Timer | None = None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Answer:
        try:
            return self._follow()
        except BaseException as error:
            self._end()
            if isinstance(error, OSError | http.client.HTTPException | ValueError):
                raise Unreadable(self._says(error)) from error
            raise

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._end()
        if isinstance(error, OSError | http.client.HTTPException | ValueError):
            raise Unreadable(self._says(error)) from error

    def _follow(self) -> Answer:
        url, asked = self._request.url, urlsplit(self._request.url)
        for _ in range(SCRAPE_REDIRECTS_MAX + 1):
            place = urlsplit(url)
            response = self._get(place, with_token=_origin(place) == _origin(asked))
            if response.status not in REDIRECTS:
                _check(response)
                return Answer(response, self._request.bytes_max, self._expired)
            url = _next_url(url, response)
            self._end()
        raise Unreadable(f"redirected more than {SCRAPE_REDIRECTS_MAX} times, at last to {printable(url)}")

    def _get(self, place: SplitResult, *, with_token: bool) -> http.client.HTTPResponse:
        assert place.hostname is not None
        port = place.port or PORTS[place.scheme]
        self._connection = connection = http.client.HTTPConnection(place.hostname, port)
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.sock = socket.create_connection((place.hostname, port), left_s)
        if place.scheme == "https":
            context = _tls(self._request)
            connection.sock = context.wrap_socket(
                connection.sock, server_hostname=place.hostname, do_handshake_on_connect=False
            )
        self._timer = threading.Timer(max(self._deadline_s - time.monotonic(), 0.0), self._expire, [connection.sock])
        self._timer.daemon = True
        self._timer.start()
        if isinstance(connection.sock, ssl.SSLSocket):
            connection.sock.do_handshake()
        path = (place.path or "/") + (f"?{place.query}" if place.query else "")
        connection.request("GET", path, headers=self._headers(place, with_token=with_token))
        return connection.getresponse()

    def _headers(self, place: SplitResult, *, with_token: bool) -> dict[str, str]:
        default = place.port in (None, PORTS[place.scheme])
        host = f"[{place.hostname}]" if ":" in (place.hostname or "") else place.hostname or ""
        headers = {
            "Host": host if default else f"{host}:{place.port}",
            "Accept": ACCEPT,
            "Accept-Encoding": "gzip",
            "User-Agent": "obsagent",
            "Connection": "close",
        }
        if self._request.bearer_token_file is not None and with_token:
            headers["Authorization"] = f"Bearer {_token(self._request.bearer_token_file)}"
        return headers

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _expire(self, sock: socket.socket) -> None:
        self._expired.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    def _says(self, error: BaseException) -> str:
        if self._expired.is_set() or isinstance(error, TimeoutError):
            return f"no whole page within {self._request.timeout_s:g} s; raise timeout if it needs longer"
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not accepted: {error.verify_message}; ca_file names the authority that signed it"
            )
        if isinstance(error, ssl.SSLError):
            return f"TLS failed: {error.reason or error}"
        if isinstance(error, socket.gaierror):
            return f"its name cannot be resolved: {error.strerror}"
        if isinstance(error, http.client.IncompleteRead):
            return "the connection ended in the middle of the page"
        if isinstance(error, ConnectionRefusedError):
            return "nobody listens there"
        return f"no answer: {printable(str(error)) or type(error).__name__}"


def _origin(place: SplitResult) -> tuple[str, str | None, int]:
    return place.scheme, place.hostname, place.port or PORTS[place.scheme]


def _check(response: http.client.HTTPResponse) -> None:
    if response.status == 200:
        return
    hint = "; bearer_token_file names a file with a token" if response.status in (401, 403) else ""
    raise Unreadable(f"answered {response.status} {printable(response.reason)[:80]}{hint}".rstrip())


def _next_url(url: str, response: http.client.HTTPResponse) -> str:
    target = urljoin(url, response.getheader("Location", ""))
    place = urlsplit(target)
    if place.scheme not in PORTS or not place.hostname:
        raise Unreadable(f"redirected to `{printable(target)[:200]}`, which is no http address")
    if urlsplit(url).scheme == "https" and place.scheme == "http":
        raise Unreadable(f"redirected from https to `{printable(target)[:200]}`, which is not")
    return target


def _unpacker(response: http.client.HTTPResponse) -> zlib._Decompress | None:
    encoding = response.getheader("Content-Encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return None
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(GZIP)
    raise Unreadable(f"packed with `{printable(encoding)[:40]}`, though only gzip was asked for")


def _tls(request: Request) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=request.ca_file)
    except (OSError, ValueError) as error:
        raise Unreadable(f"ca_file {request.ca_file} cannot be used: {error}") from None


def _token(path: Path) -> str:
    """Read at every request: tokens are renewed by writing their file anew."""
    try:
        with path.open("rb") as file:
            text = file.read(SCRAPE_TOKEN_BYTES_MAX + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"bearer_token_file {path} cannot be read: {error}") from None
    if not text or len(text) > SCRAPE_TOKEN_BYTES_MAX or any(character.isspace() for character in text):
        raise Unreadable(f"bearer_token_file {path} holds no token: one word of at most {SCRAPE_TOKEN_BYTES_MAX} bytes")
    return text
