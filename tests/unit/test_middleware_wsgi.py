"""The WSGI middleware around bare apps."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any
from wsgiref.util import FileWrapper

import pytest

import obsagent
from obsagent.testing import Memory
from unit.asgi_lab import WSGIResponse, environ_of, wget


@pytest.fixture
def obs(obsagent_memory: Memory) -> obsagent.Client:
    return obsagent.connect(service="shop")


def watched(app: Any, **options: Any) -> Any:
    return obsagent.WSGIMiddleware(app, endpoint=options.pop("endpoint", "/score"), **options)


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def counts(memory: Memory) -> dict[str, float]:
    return {row.labels["status"]: row["sum"] for row in memory.query("sum requests by status since 1h")}


def test_a_request_feeds_every_instrument(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    clock = obsagent_memory.clock

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("201 Created", [])
        assert environ["wsgi.input"].read() == b"abcdefg"
        clock.advance(0.75)
        yield b"12345"
        assert obsagent_memory.last("in_flight", endpoint="/score") == 1
        clock.advance(1.0)
        yield b"678"

    started = f"{(time.time() - 2) * 1000:.0f}"
    response = wget(watched(app), "/raw/7", method="POST", body=b"abcdefg", HTTP_X_REQUEST_START=started)
    assert (response.status, response.body) == ("201 Created", b"12345678")
    assert obsagent_memory.count("requests", endpoint="/score", status=201) == 1
    assert obsagent_memory.sum("latency", endpoint="/score") == 1.75
    assert obsagent_memory.sum("first_byte_duration", endpoint="/score") == 0.75
    assert obsagent_memory.sum("request_bytes", endpoint="/score") == 7
    assert obsagent_memory.sum("response_bytes", endpoint="/score") == 8
    assert obsagent_memory.quantile("queue_delay", 0.5) == pytest.approx(2.0, rel=0.2)
    assert obsagent_memory.last("in_flight", endpoint="/score") == 0
    assert obsagent.current_request() is None


def test_the_queue_of_mod_wsgi_counts_where_no_proxy_tells(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    wget(watched(hello), "/", **{"mod_wsgi.queue_start": str(int((time.time() - 3) * 1e6))})
    assert obsagent_memory.quantile("queue_delay", 0.5) == pytest.approx(3.0, rel=0.2)


def test_a_body_of_undeclared_length_is_counted_as_it_is_read(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        stream = environ["wsgi.input"]
        read = [stream.read(2), stream.readline(), *stream.readlines(1), *stream]
        assert b"".join(read) == b"ab\ncd\nef\ngh"
        assert stream.tell() == 11
        return hello(environ, start_response)

    more = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "", "wsgi.input": io.BytesIO(b"ab\ncd\nef\ngh")}
    wget(watched(app), "/", method="POST", **more)
    assert obsagent_memory.sum("request_bytes") == 11


def test_an_exception_counts_as_500_and_passes(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    def breaks_at_once(environ: Any, start_response: Any) -> list[bytes]:
        raise ValueError("broken")

    def breaks_in_the_middle(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"1"
        raise ValueError("broken")

    for app in (breaks_at_once, breaks_in_the_middle):
        with pytest.raises(ValueError, match="broken"):
            wget(watched(app), "/")
        assert obsagent.current_request() is None
    assert counts(obsagent_memory) == {"500": 2}
    assert obsagent_memory.count("errors") == 2


def test_a_response_that_is_closed_before_its_end_counts_as_499(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    closed = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response(environ["status"], [])
        try:
            yield b"1"
            yield b"2"
        finally:
            closed.append(obsagent.current_request())

    for status in ("200 OK", "503 Service Unavailable"):
        WSGIResponse(watched(app), environ_of("/", status=status), parts=1)
    assert counts(obsagent_memory) == {"499": 1, "503": 1}
    assert obsagent_memory.count("errors") == 1
    assert len(closed) == 2
    assert None not in closed
    assert obsagent.current_request() is None


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "200 OK")])
def test_a_server_may_leave_the_end_of_a_body_unread(
    obs: obsagent.Client, obsagent_memory: Memory, method: str, status: str
) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [("content-length", "5")])
        return [b"hello"]

    WSGIResponse(watched(app), environ_of("/", method), parts=1)
    assert counts(obsagent_memory) == {status[:3]: 1}
    assert obsagent_memory.sum("response_bytes") == (0 if method == "HEAD" else 5)


def test_a_body_keeps_its_number_of_parts(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    result = watched(hello)(environ_of("/"), lambda *given: None)
    assert len(result) == 1
    assert list(result) == [b"hello"]
    assert obsagent.current_request() is None
    result.close()
    of_unknown_size = watched(lambda *_: iter([b"x"]))(environ_of("/"), lambda *given: None)
    assert not hasattr(of_unknown_size, "__len__")
    of_unknown_size.close()


def test_a_file_is_left_to_the_server(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "5")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"hello"))

    result = watched(app)(environ_of("/", **{"wsgi.file_wrapper": FileWrapper}), lambda *given: None)
    assert type(result) is FileWrapper
    assert counts(obsagent_memory) == {"200": 1}
    assert obsagent_memory.sum("response_bytes") == 5
    assert obsagent.current_request() is None


def test_what_is_written_the_old_way_is_counted(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"old ")
        return [b"new"]

    assert wget(watched(app), "/").body == b"old new"
    assert obsagent_memory.sum("response_bytes") == 7


def test_the_current_request_takes_id_trace_and_batch(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        request = obsagent.current_request()
        assert request is not None
        request.batch(16)
        return [f"{request.id} {request.trace_id}".encode(), *hello(environ, start_response)]

    trace = "0af7651916cd43dd8448eb211c80319c"
    more = {"HTTP_X_REQUEST_ID": "r-7", "HTTP_TRACEPARENT": f"00-{trace}-b7ad6b7169203331-01"}
    assert wget(watched(app), "/", **more).body == f"r-7 {trace}hello".encode()
    assert obsagent_memory.sum("batch_size", endpoint="/score") == 16


def test_excluded_paths_are_not_watched(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    app = watched(hello, exclude=["/health"])
    for path in ("/health", "/", ""):
        assert wget(app, path).body == b"hello"
    assert counts(obsagent_memory) == {"200": 2}


def test_an_app_without_routes_counts_as_unmatched(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    wget(watched(watched(hello, endpoint=None), endpoint=None), "/any/7")
    assert obsagent_memory.count("requests", endpoint="(unmatched)") == 1


def test_a_server_that_never_closes_leaves_nothing_behind(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    app = watched(hello)
    first = app(environ_of("/"), lambda *given: None)
    left = obsagent.current_request()
    first._request.end(200)  # in another thread
    assert list(app(environ_of("/"), lambda *given: None)) == [b"hello"]
    assert left is not None
    assert obsagent.current_request() is None
