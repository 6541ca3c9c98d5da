"""The ASGI middleware around bare apps: what it measures, when a request ends, what passes untouched."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import obsagent
from obsagent.errors import UsageError
from obsagent.testing import Memory
from unit.asgi_lab import answers, get, post, scope_of, serve


@pytest.fixture
def obs(obsagent_memory: Memory) -> obsagent.Client:
    return obsagent.connect(service="shop")


def watched(app: Any, **options: Any) -> Any:
    return obsagent.ASGIMiddleware(app, endpoint=options.pop("endpoint", "/score"), **options)


def counts(memory: Memory, **labels: object) -> dict[str, float]:
    answer = memory.query("sum requests by status since 1h")
    return {row.labels["status"]: row["sum"] for row in answer}


def test_a_request_feeds_every_instrument(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    clock = obsagent_memory.clock

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        clock.advance(0.25)
        await send({"type": "http.response.start", "status": 201, "headers": []})
        clock.advance(0.5)
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        clock.advance(1.0)
        await send({"type": "http.response.body", "body": b"678"})
        clock.advance(4.0)  # a background task

    started = f"t={time.time() - 2:.3f}"
    response = post(watched(app), "/raw/7", b"abc", b"defg", headers=[("x-request-start", started)])
    assert (response.status, response.body) == (201, b"12345678")
    assert obsagent_memory.count("requests", endpoint="/score", status=201) == 1
    assert obsagent_memory.sum("latency", endpoint="/score") == 1.75
    assert obsagent_memory.sum("first_byte_duration", endpoint="/score") == 0.75
    assert obsagent_memory.sum("request_bytes", endpoint="/score") == 7
    assert obsagent_memory.sum("response_bytes", endpoint="/score") == 8
    assert 1.9 < obsagent_memory.quantile("queue_delay", 0.5, endpoint="/score") < 30  # this machine may be busy
    assert obsagent_memory.last("in_flight", endpoint="/score") == 0
    assert obsagent_memory.count("latency") == 1


def test_an_absurd_start_makes_no_queue_delay(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    get(watched(answers(b"x")), "/", headers=[("x-request-start", "t=12")])
    assert obsagent_memory.count("requests") == 1
    assert obsagent_memory.count("queue_delay") == 0


def test_a_declared_length_is_the_size_of_a_request_that_is_not_read(
    obs: obsagent.Client, obsagent_memory: Memory
) -> None:
    post(watched(answers(b"x")), "/", b"abc", headers=[("content-length", "3")])
    assert obsagent_memory.sum("request_bytes") == 3


def test_requests_in_flight_are_counted_by_the_route_they_have_taken(
    obs: obsagent.Client, obsagent_memory: Memory
) -> None:
    seen = []

    async def look() -> None:
        seen.append(obsagent_memory.last("in_flight", endpoint="/score"))
        seen.append(obsagent_memory.last("in_flight"))

    get(watched(answers(b"x", before=look)), "/")
    assert seen == [1, 1]
    assert obsagent_memory.last("in_flight", endpoint="/score") == 0
    assert obsagent_memory.last("in_flight") == 0


def test_a_request_of_the_parent_is_not_the_childs(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    async def fork() -> None:
        assert obsagent_memory.last("in_flight") == 1
        obs.serving().after_fork()

    get(watched(answers(b"x", before=fork)), "/")
    assert obsagent_memory.count("latency") == 0
    get(watched(answers(b"x")), "/")
    assert obsagent_memory.count("requests") == 1


def test_an_exception_counts_as_500_and_passes(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    async def breaks_at_once(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("broken")

    async def breaks_in_the_middle(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        raise ValueError("broken")

    for app in (breaks_at_once, breaks_in_the_middle):
        with pytest.raises(ValueError, match="broken"):
            get(watched(app), "/")
    assert counts(obsagent_memory) == {"500": 2}
    assert obsagent_memory.count("errors", endpoint="/score") == 2
    assert obsagent_memory.last("in_flight") == 0


def test_what_breaks_after_the_response_is_no_failed_request(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answers(b"x")(scope, receive, send)
        raise ValueError("in the background")

    with pytest.raises(ValueError, match="in the background"):
        get(watched(app), "/")
    assert counts(obsagent_memory) == {"200": 1}


def test_an_app_that_leaves_its_response_incomplete_has_failed(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    get(watched(app), "/")
    assert counts(obsagent_memory) == {"500": 1}


class ClientDisconnect(Exception):
    pass


@pytest.mark.parametrize("raised", [None, OSError("gone"), ClientDisconnect(), asyncio.CancelledError()])
def test_a_client_that_goes_counts_as_499_which_is_no_error(
    obs: obsagent.Client, obsagent_memory: Memory, raised: BaseException | None
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        assert (await receive())["type"] == "http.disconnect"
        if raised is not None:
            raise raised

    async def run() -> None:
        await serve(watched(app), scope_of("/"), {"type": "http.disconnect"})

    if raised is None:
        asyncio.run(run())
    else:
        with pytest.raises(type(raised)):
            asyncio.run(run())
    assert counts(obsagent_memory) == {"499": 1}
    assert obsagent_memory.count("errors") == 0


@pytest.mark.parametrize(("status", "raised", "counted"), [(503, None, "503"), (200, ValueError("bug"), "500")])
def test_an_error_is_one_though_the_client_has_gone(
    obs: obsagent.Client, obsagent_memory: Memory, status: int, raised: Exception | None, counted: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await receive()
        if raised is not None:
            raise raised

    try:
        asyncio.run(serve(watched(app), scope_of("/"), {"type": "http.disconnect"}))
    except ValueError:
        assert raised is not None
    assert counts(obsagent_memory) == {counted: 1}
    assert obsagent_memory.count("errors") == 1


def test_a_server_that_cannot_send_tells_that_the_client_has_gone(
    obs: obsagent.Client, obsagent_memory: Memory
) -> None:
    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise OSError("connection lost")

    async def run() -> None:
        await watched(answers(b"x"))(scope_of("/"), lambda: asyncio.sleep(0), send)

    with pytest.raises(OSError, match="connection lost"):
        asyncio.run(run())
    assert counts(obsagent_memory) == {"499": 1}


def test_a_disconnect_after_the_response_changes_nothing(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answers(b"x")(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    asyncio.run(serve(watched(app), scope_of("/"), {"type": "http.disconnect"}))
    assert counts(obsagent_memory) == {"200": 1}


def test_a_response_with_trailers_ends_with_them(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"x"})
        obsagent_memory.clock.advance(1)
        await send({"type": "http.response.trailers", "headers": []})
        obsagent_memory.clock.advance(1)

    get(watched(app), "/")
    assert obsagent_memory.sum("latency") == 1


def test_a_file_that_the_server_sends_ends_the_response(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.pathsend", "path": "/nowhere"})

    get(watched(app), "/")
    assert counts(obsagent_memory) == {"200": 1}
    assert obsagent_memory.sum("response_bytes") == 9


def test_the_answer_to_head_has_no_bytes(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    get(watched(answers(b"not sent")), "/", method="HEAD")
    assert obsagent_memory.sum("response_bytes") == 0


def test_the_current_request_takes_the_size_of_a_batch(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    requests: list[obsagent.Request | None] = []

    async def look() -> None:
        request = obsagent.current_request()
        assert request is not None
        request.batch(32)
        requests.append(request)
        await asyncio.create_task(look_again())

    async def look_again() -> None:
        requests.append(obsagent.current_request())

    trace = "0af7651916cd43dd8448eb211c80319c"
    given = [("x-request-id", "r-7"), ("traceparent", f"00-{trace}-b7ad6b7169203331-01")]

    async def run() -> None:
        await serve(watched(answers(b"x", before=look)), scope_of("/", headers=given))
        requests.append(obsagent.current_request())

    asyncio.run(run())
    first, second, after = requests
    assert first is second
    assert first is not None
    assert (first.id, first.trace_id, first.status) == ("r-7", trace, 200)
    assert after is None
    (exemplar,) = obsagent_memory.exemplars(endpoint="/score")
    assert (exemplar.request_id, exemplar.trace_id) == ("r-7", trace)
    assert obsagent_memory.sum("batch_size", endpoint="/score") == 32
    first.batch(8)  # from a task that outlives the request
    assert obsagent_memory.sum("batch_size", endpoint="/score") == 40


@pytest.mark.parametrize("wanted", [None, False])
def test_python_and_the_loop_are_watched_where_requests_are_served(
    obsagent_memory: Memory, wanted: bool | None
) -> None:
    client = obsagent.connect(service="shop", runtime_metrics=wanted)

    async def block() -> None:
        time.sleep(0.3)
        await asyncio.sleep(0.01)

    get(watched(answers(b"x", before=block), client=client), "/")
    lags = [row.labels for row in obsagent_memory.query("count event_loop_lag since 1h")]
    assert bool(lags) == (wanted is None)


def test_an_unfit_id_is_none(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    async def look() -> None:
        request = obsagent.current_request()
        assert request is not None
        assert (request.id, request.trace_id) == (None, None)

    get(watched(answers(b"x", before=look)), "/", headers=[("x-request-id", "x" * 500), ("traceparent", "00-1-2-3")])


def test_excluded_paths_are_not_watched(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    async def look() -> None:
        assert obsagent.current_request() is None

    app = watched(answers(b"x", before=look), exclude=["/health", "/static/*"])
    for path in ("/health", "/static/", "/static/a.css"):
        assert get(app, path).body == b"x"
    get(watched(answers(b"x"), exclude="/health"), "/healthy")
    assert counts(obsagent_memory) == {"200": 1}


@pytest.mark.parametrize("exclude", [["health"], [7], "*"])
def test_an_exclude_without_sense_is_refused(exclude: Any) -> None:
    with pytest.raises(UsageError, match="expected paths"):
        obsagent.ASGIMiddleware(answers(), exclude=exclude)
    with pytest.raises(UsageError, match="expected a name"):
        obsagent.ASGIMiddleware(answers(), endpoint=7)  # type: ignore[arg-type]


def test_a_function_names_endpoints(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    def name(scope: Any) -> str | None:
        return {"/a": "first", "/b": None, "/c": "/health"}[scope["path"]]

    app = watched(answers(b"x"), endpoint=name, exclude=["/health"])
    for path in ("/a", "/b", "/c"):
        assert get(app, path).status == 200
    with pytest.warns(RuntimeWarning, match="cannot tell the endpoint.*KeyError"):
        get(app, "/d")
    answer = obsagent_memory.query("sum requests by endpoint since 1h")
    assert {row.labels["endpoint"]: row["sum"] for row in answer} == {"first": 1, "(unmatched)": 2}


def test_websockets_and_the_lifespan_pass_untouched(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    got: list[Any] = []

    async def app(*arguments: Any) -> None:
        got.append(arguments)

    for kind in ("websocket", "lifespan", "something.new"):
        given = ({"type": kind}, object(), object())
        asyncio.run(obsagent.ASGIMiddleware(app)(*given))  # type: ignore[arg-type]
        assert all(one is other for one, other in zip(given, got.pop(), strict=True))
        assert given[0] == {"type": kind}


def test_a_middleware_within_another_counts_once(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    get(watched(watched(answers(b"x"))), "/")
    assert counts(obsagent_memory) == {"200": 1}


def test_the_default_client_is_the_first_that_is_connected(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    obsagent.connect(service="other")
    get(watched(answers(b"x")), "/")
    get(watched(answers(b"x"), client=obsagent.connect(service="other")), "/")
    answer = obsagent_memory.query("sum requests by service since 1h")
    assert {row.labels["service"]: row["sum"] for row in answer} == {"other": 1, "shop": 1}


def test_one_middleware_serves_test_after_test() -> None:
    app = watched(answers(b"x"))
    for _ in range(2):
        with Memory() as memory:
            get(app, "/")
            assert memory.count("requests") == 1


def test_without_a_client_to_be_had_the_app_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    monkeypatch.setenv("OBSAGENT_ENDPOINT", "nonsense")
    app = watched(answers(b"x"))
    with pytest.warns(RuntimeWarning, match="does not watch this server: endpoint 'nonsense'"):
        assert get(app, "/").body == b"x"
    assert get(app, "/").body == b"x"


def test_switched_off_it_still_tells_the_current_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    monkeypatch.setenv("OBSAGENT_DISABLED", "1")
    seen = []

    async def look() -> None:
        request = obsagent.current_request()
        assert request is not None
        request.batch(3)
        seen.append(request.id)

    get(watched(answers(b"x", before=look)), "/", headers=[("x-request-id", "7")])
    assert seen == ["7"]


def test_from_the_first_request_on_the_runtime_and_its_loop_are_watched(
    obs: obsagent.Client, obsagent_memory: Memory
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        deadline = time.monotonic() + 60
        while not obsagent_memory.count("event_loop_lag"):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert get(watched(app), "/score").status == 200
    assert obsagent_memory.last("python_threads") is not None


def test_the_runtime_is_left_alone_where_that_is_asked_for(
    obsagent_memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSAGENT_RUNTIME_METRICS", "0")
    obs = obsagent.connect(service="shop")
    assert get(watched(answers(b"ok")), "/score").status == 200
    assert not any(each.metric.startswith("python_") for each in obs.definitions)
