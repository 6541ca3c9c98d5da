"""Getting a page over HTTP: every limit is held against a server that does what it should not."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from integration.page_server import PageServer, answer
from integration.tmux import need
from obsagent.collect.collector import Unreadable
from obsagent.collect.scrape_http import Answer, Page, Request, TooLarge
from obsagent.limits import SCRAPE_LINE_BYTES_MAX, SCRAPE_REDIRECTS_MAX

PATIENCE_S = 60.0


def lines(url: str, bytes_max: int = 1 << 20, timeout_s: float = PATIENCE_S, **settings: Any) -> list[bytes]:
    with Page(Request(url, bytes_max, timeout_s, **settings)) as page:
        return list(page.lines())


def said(url: str, **settings: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        lines(url, **settings)
    return str(caught.value)


def test_a_page_line_by_line() -> None:
    with PageServer("a 1\nb 2\r\n\nc 3") as server:
        assert lines(server.url) == [b"a 1", b"b 2\r", b"", b"c 3"]
        ((path, headers),) = server.asked
    assert path == "/metrics"
    assert headers["Accept"].startswith("application/openmetrics-text;version=1.0.0,text/plain")
    assert headers["Host"] == server.address


def test_the_format_is_what_the_server_says() -> None:
    with PageServer("") as server:
        for content_type, expected in (("text/plain", False), ("Application/OpenMetrics-text; version=1.0.0", True)):
            server.content_type = content_type
            with Page(Request(server.url, 100, PATIENCE_S)) as page:
                assert page.is_openmetrics is expected


def test_gzip() -> None:
    text = b"\n".join(b"metric_%d 1" % number for number in range(20_000))

    def packed(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, gzip.compress(text), Content_Encoding="gzip")

    with PageServer(packed) as server:
        assert lines(server.url) == text.split(b"\n")


def test_chunks() -> None:
    def chunked(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in (b"a ", b"1\nb", b" 2\n"):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with PageServer(chunked) as server:
        assert lines(server.url) == [b"a 1", b"b 2"]


@pytest.mark.threat("G1")
def test_a_page_that_is_too_large_gives_what_fits() -> None:
    read: list[bytes] = []

    def read_all(page: Answer) -> None:
        for line in page.lines():
            read.append(line)

    with PageServer("abc 1\n" * 100_000) as server:  # noqa: SIM117  (what is raised within is looked at)
        with Page(Request(server.url, 300_000, PATIENCE_S)) as page, pytest.raises(TooLarge):
            read_all(page)
    assert set(read) == {b"abc 1"}
    assert 30_000 < len(read) <= 50_000


@pytest.mark.threat("G1")
def test_a_gzip_bomb_stops_at_the_limit() -> None:
    """200 MB of one letter in 200 kB: neither a line that never ends nor the page is held."""
    bomb = gzip.compress(b"x" * (200 << 20), 1)
    with PageServer(lambda handler: answer(handler, bomb, Content_Encoding="gzip")) as server:
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge):
                lines(server.url, bytes_max=16 << 20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 << 20


def test_a_line_without_end_is_cut() -> None:
    with PageServer("x" * (1 << 20)) as server:
        (line,) = lines(server.url, bytes_max=2 << 20)
    assert SCRAPE_LINE_BYTES_MAX < len(line) <= SCRAPE_LINE_BYTES_MAX + 1


def slowly(head: bytes, drop: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Says `head`, then a `drop` now and then, as long as anybody listens."""

    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            handler.wfile.write(drop)
            handler.wfile.flush()
            time.sleep(0.05)

    return page


@pytest.mark.threat("G2")
@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.0 200 OK\r\n", b"X"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["headers", "body", "chunks", "continue for ever"],
)
def test_a_server_that_drips_is_left_after_the_time_in_all(head: bytes, drop: bytes) -> None:
    with PageServer(slowly(head, drop)) as server:
        assert said(server.url, timeout_s=0.5) == "no whole page within 0.5 s; raise timeout if it needs longer"


def test_a_server_that_says_nothing() -> None:
    with PageServer(lambda handler: None) as server:
        assert said(server.url).startswith("no answer: ")
    with PageServer(lambda _: server.ended.wait(PATIENCE_S) and None) as server:
        assert "no whole page within 0.3 s" in said(server.url, timeout_s=0.3)
        server.ended.set()


def test_nobody_listens() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        assert said(f"http://127.0.0.1:{unheard.getsockname()[1]}/") == "nobody listens there"


def test_a_page_that_breaks_off() -> None:
    def short(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"a 1\n")

    with PageServer(short) as server:
        assert said(server.url) == "the connection ended 96 bytes before the end of the page"


@pytest.mark.parametrize("cut", [True, False])
def test_gzip_that_is_damaged(cut: bool) -> None:
    packed = gzip.compress(b"a 1\n" * 1000)
    body = packed[:20] if cut else packed[:12] + b"\xff" * 20
    with PageServer(lambda handler: answer(handler, body, Content_Encoding="gzip")) as server:
        assert "gzip" in said(server.url)


def test_no_other_packing_is_unpacked() -> None:
    with PageServer(lambda handler: answer(handler, b"x", Content_Encoding="br")) as server:
        assert said(server.url) == "packed with `br`, though only gzip was asked for"


@pytest.mark.parametrize(("status", "hint"), [(404, "answered 404"), (401, "bearer_token_file"), (503, "answered 503")])
def test_other_answers_than_200(status: int, hint: str) -> None:
    with PageServer(lambda handler: answer(handler, b"no", status)) as server:
        assert hint in said(server.url)


def redirect(to: Callable[[], str]) -> Callable[[BaseHTTPRequestHandler], None]:
    def page(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/there":
            answer(handler, b"a 1")
        else:
            answer(handler, b"", 302, Location=to())

    return page


def test_a_redirect_is_followed_and_a_circle_left() -> None:
    with PageServer(redirect(lambda: "/there")) as server:
        assert lines(server.url) == [b"a 1"]
    with PageServer(redirect(lambda: "/metrics")) as server:
        assert f"redirected more than {SCRAPE_REDIRECTS_MAX} times" in said(server.url)
        assert len(server.asked) == SCRAPE_REDIRECTS_MAX + 1


def test_a_redirect_to_what_is_no_page() -> None:
    with PageServer(redirect(lambda: "file:///etc/passwd")) as server:
        assert "which is no http address" in said(server.url)


@pytest.mark.threat("G3")
def test_the_token_is_sent_and_not_to_others(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    with PageServer("a 1") as other, PageServer(redirect(lambda: other.url)) as server:
        assert lines(server.url, bearer_token_file=token) == [b"a 1"]
        assert server.asked[0][1]["Authorization"] == "Bearer secret"
        assert "Authorization" not in other.asked[0][1]


@pytest.mark.parametrize("text", ["", "two words", "x" * 20_000, "größe"])
def test_a_token_that_is_none(tmp_path: Path, text: str) -> None:
    token = tmp_path / "token"
    token.write_text(text)
    with PageServer("a 1") as server:
        assert str(token) in said(server.url, bearer_token_file=token)
        assert "cannot be read" in said(server.url, bearer_token_file=tmp_path / "none")
        assert not server.asked


def test_tls_against_an_authority_of_ones_own(tmp_path: Path) -> None:
    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    command = [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with PageServer("a 1", tls=context) as server:
        assert lines(server.url, ca_file=certificate) == [b"a 1"]
        assert "ca_file names the authority" in said(server.url)
        assert "cannot be used" in said(server.url, ca_file=tmp_path / "none")
