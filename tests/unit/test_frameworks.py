"""The middlewares with the frameworks that they are for: routes as labels, current requests in every kind of route."""

from __future__ import annotations

import asyncio
import re
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import obsagent
from obsagent.testing import Memory
from unit.asgi_lab import get, post, scope_of, serve, wget

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture(autouse=True)
def obs(obsagent_memory: Memory) -> obsagent.Client:
    return obsagent.connect(service="shop")


def counted(memory: Memory) -> dict[tuple[str, str], float]:
    answer = memory.query("sum requests by endpoint,status since 1h")
    return {(row.labels["endpoint"], row.labels["status"]): row["sum"] for row in answer}


def tell_batch(size: int) -> None:
    request = obsagent.current_request()
    assert request is not None
    request.batch(size)


# Starlette


def starlette_app() -> Any:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.endpoints import HTTPEndpoint
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Host, Mount, Route

    async def item(request: Any) -> Any:
        tell_batch(2)
        return PlainTextResponse("item", background=BackgroundTask(tell_batch, 1))

    def in_thread(request: Any) -> Any:
        tell_batch(4)
        return PlainTextResponse("thread")

    async def broken(request: Any) -> Any:
        raise RuntimeError("broken")

    async def stream(request: Any) -> Any:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"part"

        return StreamingResponse(parts())

    class Things(HTTPEndpoint):
        async def post(self, request: Any) -> Any:
            return PlainTextResponse(str(len(await request.body())))

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("bare")(scope, receive, send)

    inner = Starlette(routes=[Route("/orders/{order}", item), Route("/", in_thread)])
    return Starlette(
        routes=[
            Route("/items/{item_id:int}", item),
            Route("/items/new", item),
            Route("/", in_thread),
            Route("/thread/{name}", in_thread),
            Route("/broken/{name}", broken),
            Route("/stream", stream),
            Route("/things", Things),
            Mount("/shops/{shop}", app=inner),
            Mount("/v1", routes=[Mount("/deep", routes=[Route("/x/{a}/{b}", item)])]),
            Mount("/files", app=bare),
            Host("{tenant}.example", app=inner),
        ]
    )


def inside(app: Any) -> Any:
    app.add_middleware(obsagent.ASGIMiddleware)
    return app


@pytest.mark.parametrize("wrap", [obsagent.ASGIMiddleware, inside], ids=["around", "inside"])
def test_starlette(wrap: Any, obsagent_memory: Memory) -> None:
    pytest.importorskip("starlette")
    app = wrap(starlette_app())
    paths = ["/items/7", "/items/8", "/items/new", "/", "/thread/a", "/stream", "/shops/7/orders/9", "/shops/7/"]
    paths += ["/v1/deep/x/1/2", "/files/a/b.css"]
    for path in paths:
        assert get(app, path).status == 200, path
    get(app, "/shops/7/nothing")
    get(app, "/wp-login.php")
    get(app, "/things")
    post(app, "/things", b"abc")
    with pytest.raises(RuntimeError, match="broken"):
        get(app, "/broken/7")
    scope = scope_of("/orders/3")
    scope["headers"] = [(b"host", b"a.example")]
    asyncio.run(serve(app, scope))
    assert counted(obsagent_memory) == {
        ("/items/{item_id:int}", "200"): 2,
        ("/items/new", "200"): 1,
        ("/", "200"): 1,
        ("/thread/{name}", "200"): 1,
        ("/stream", "200"): 1,
        ("/shops/{shop}/orders/{order}", "200"): 1,
        ("/shops/{shop}/", "200"): 1,
        ("/v1/deep/x/{a}/{b}", "200"): 1,
        ("/files/{path}", "200"): 1,
        ("/things", "405"): 1,
        ("/things", "200"): 1,
        ("/broken/{name}", "500"): 1,
        ("/orders/{order}", "200"): 1,
        ("(unmatched)", "404"): 2,
    }
    assert obsagent_memory.sum("response_bytes", endpoint="/stream") == 12
    assert obsagent_memory.sum("request_bytes", endpoint="/things") == 3
    assert obsagent_memory.sum("batch_size", endpoint="/thread/{name}") == 4
    assert obsagent_memory.sum("batch_size", endpoint="/items/new") == 3
    assert obsagent.current_request() is None


def test_routes_that_are_added_later_are_found(obsagent_memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("starlette")
    from starlette.responses import PlainTextResponse

    async def late(request: Any) -> Any:
        return PlainTextResponse("late")

    inner = starlette_app()
    app = obsagent.ASGIMiddleware(inner)
    get(app, "/stream")
    inner.add_route("/late/{a}", late)
    monkeypatch.setattr("obsagent.record.middleware.starlette.LIST_INTERVAL_S", -1.0)
    get(app, "/late/7")
    assert ("/late/{a}", "200") in counted(obsagent_memory)


def test_the_root_path_of_a_proxy_is_no_part_of_a_route(obsagent_memory: Memory) -> None:
    pytest.importorskip("starlette")
    app = obsagent.ASGIMiddleware(starlette_app(), exclude=["/stream"])
    for path in ("/items/7", "/items/new", "/stream", "/shops/7/orders/9"):
        assert get(app, path, root_path="/proxy").status == 200
    endpoints = {endpoint for endpoint, _ in counted(obsagent_memory)}
    assert endpoints == {"/items/{item_id:int}", "/items/new", "/shops/{shop}/orders/{order}"}


def test_a_route_that_is_excluded_by_its_template_is_not_counted(obsagent_memory: Memory) -> None:
    pytest.importorskip("starlette")
    app = obsagent.ASGIMiddleware(starlette_app(), exclude=["/items/{item_id:int}", "(unmatched)"])
    for path in ("/items/7", "/nothing", "/items/new"):
        get(app, path)
    assert counted(obsagent_memory) == {("/items/new", "200"): 1}


def test_requests_in_flight_are_those_of_their_route(obsagent_memory: Memory) -> None:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def slow(request: Any) -> Any:
        await asyncio.sleep(0)
        await going.wait()
        return PlainTextResponse("slow")

    going = asyncio.Event()
    app = obsagent.ASGIMiddleware(Starlette(routes=[Route("/slow/{a}", slow), Route("/other", slow)]))

    async def run() -> None:
        paths = ["/slow/1", "/slow/2", "/other"]
        tasks = [asyncio.create_task(serve(app, scope_of(path))) for path in paths]
        for _ in range(5):
            await asyncio.sleep(0)
        assert obsagent_memory.last("in_flight", endpoint="/slow/{a}") == 2
        assert obsagent_memory.last("in_flight", endpoint="/other") == 1
        going.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert [obsagent_memory.last("in_flight", endpoint=each) for each in ("/slow/{a}", "/other")] == [0, 0]


# FastAPI


def test_fastapi(obsagent_memory: Memory) -> None:
    fastapi = pytest.importorskip("fastapi")
    sub, router, app = fastapi.FastAPI(), fastapi.APIRouter(prefix="/v2"), fastapi.FastAPI()

    @app.get("/users/{user_id}")
    async def user(user_id: int) -> dict[str, int]:
        tell_batch(2)
        return {"user": user_id}

    @router.get("/models/{name}")
    def model(name: str) -> str:
        tell_batch(8)
        return name

    @sub.get("/tools/{tool}")
    async def tool(tool: str) -> str:
        if tool == "none":
            raise fastapi.HTTPException(410)
        return tool

    app.include_router(router)
    app.include_router(router, prefix="/old")
    app.mount("/sub", sub)
    watched = obsagent.ASGIMiddleware(app)
    paths = ["/users/7", "/users/nobody", "/v2/models/a", "/old/v2/models/b", "/sub/tools/x", "/sub/tools/none"]
    for path in [*paths, "/sub/nothing", "/.env"]:
        get(watched, path)
    assert counted(obsagent_memory) == {
        ("/users/{user_id}", "200"): 1,
        ("/users/{user_id}", "422"): 1,
        ("/v2/models/{name}", "200"): 1,
        ("/old/v2/models/{name}", "200"): 1,
        ("/sub/tools/{tool}", "200"): 1,
        ("/sub/tools/{tool}", "410"): 1,
        ("(unmatched)", "404"): 2,
    }
    assert obsagent_memory.sum("batch_size") == 18


# Litestar


def test_litestar(obsagent_memory: Memory) -> None:
    litestar = pytest.importorskip("litestar")

    async def item(item_id: int) -> str:
        tell_batch(2)
        return str(item_id)

    def in_thread(name: str) -> str:
        tell_batch(4)
        return name

    async def broken() -> str:
        raise RuntimeError("broken")

    for function in (item, in_thread, broken):
        function.__annotations__["return"] = str
    item.__annotations__["item_id"], in_thread.__annotations__["name"] = int, str
    routes = [
        litestar.get("/items/{item_id:int}")(item),
        litestar.get("/thread/{name:str}", sync_to_thread=True)(in_thread),
        litestar.get("/broken")(broken),
    ]
    app = obsagent.ASGIMiddleware(
        litestar.Litestar([litestar.Router("/v1", route_handlers=routes)], logging_config=None)
    )
    for path in ("/v1/items/7", "/v1/items/8", "/v1/thread/a", "/v1/broken", "/v1/items/x", "/admin.php"):
        get(app, path)
    assert counted(obsagent_memory) == {
        ("/v1/items/{item_id}", "200"): 2,
        ("/v1/thread/{name}", "200"): 1,
        ("/v1/broken", "500"): 1,
        ("(unmatched)", "404"): 2,
    }
    assert obsagent_memory.sum("batch_size") == 8


def test_litestar_with_the_middleware_inside(obs: obsagent.Client, obsagent_memory: Memory) -> None:
    litestar = pytest.importorskip("litestar")
    from litestar.middleware import DefineMiddleware

    async def item() -> str:
        tell_batch(2)
        return "item"

    async def broken() -> str:
        raise RuntimeError("broken")

    for function in (item, broken):
        function.__annotations__["return"] = str
    inside = DefineMiddleware(obsagent.ASGIMiddleware, client=obs, exclude=["/health"])
    routes = [litestar.get("/items")(item), litestar.get("/broken")(broken), litestar.get("/health")(item_of_health)]
    app = litestar.Litestar(routes, middleware=[inside], logging_config=None)
    for path in ("/items", "/broken", "/health"):
        get(app, path)
    assert counted(obsagent_memory) == {("/items", "200"): 1, ("/broken", "500"): 1}


async def item_of_health() -> str:
    return "well"


item_of_health.__annotations__["return"] = str


# Flask


def flask_app() -> Any:
    flask = pytest.importorskip("flask")
    app = flask.Flask("shop")

    @app.get("/users/<int:user_id>")
    def user(user_id: int) -> str:
        tell_batch(2)
        return str(user_id)

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("broken")

    @app.get("/stream")
    def stream() -> Any:
        def parts() -> Iterator[str]:
            for _ in range(3):
                tell_batch(1)
                yield "part"

        return parts()

    @app.post("/things")
    def things() -> str:
        return str(len(flask.request.get_data()))

    return app


def test_flask(obsagent_memory: Memory) -> None:
    app = flask_app()
    app.wsgi_app = obsagent.WSGIMiddleware(app.wsgi_app)
    for path in ("/users/7", "/users/8", "/users/x", "/broken", "/stream", "/wp-admin"):
        wget(app, path)
    wget(app, "/things", method="POST", body=b"abc")
    assert counted(obsagent_memory) == {
        ("/users/<int:user_id>", "200"): 2,
        ("/broken", "500"): 1,
        ("/stream", "200"): 1,
        ("/things", "200"): 1,
        ("(unmatched)", "404"): 2,
    }
    assert obsagent_memory.sum("batch_size", endpoint="/stream") == 3
    assert obsagent_memory.sum("response_bytes", endpoint="/stream") == 12
    assert obsagent_memory.sum("request_bytes", endpoint="/things") == 3


def test_flask_that_lets_exceptions_through(obsagent_memory: Memory) -> None:
    app = flask_app()
    app.testing = True
    app.wsgi_app = obsagent.WSGIMiddleware(app.wsgi_app)
    with pytest.raises(RuntimeError, match="broken"):
        wget(app, "/broken")
    with pytest.raises(RuntimeError, match="broken"):
        app.test_client().get("/broken")
    assert app.test_client().get("/users/7").text == "7"
    assert counted(obsagent_memory) == {("/broken", "500"): 2, ("/users/<int:user_id>", "200"): 1}


def test_flask_below_a_dispatcher(obsagent_memory: Memory) -> None:
    flask_app()
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    app = obsagent.WSGIMiddleware(DispatcherMiddleware(flask_app(), {"/v1": flask_app()}))
    wget(app, "/v1/users/7")
    wget(app, "/users/7", SCRIPT_NAME="/proxy")
    assert {endpoint for endpoint, _ in counted(obsagent_memory)} == {"/v1/users/<int:user_id>", "/users/<int:user_id>"}


# What the README shows


def shown(beginning: str) -> dict[str, Any]:
    """The names that the README's example defines which begins so."""
    (text,) = re.findall(rf"(?:^(?:    .*)?\n)*?^    {beginning}\n(?:^(?:    .*)?\n)*", README, re.MULTILINE)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(textwrap.dedent(text), names)
    return names


def test_the_examples_of_the_readme(obsagent_memory: Memory) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("flask")
    headers = [("content-type", "application/json")]
    assert post(shown("import fastapi")["app"], "/score/7", b"[1, 2.5]", headers=headers).body == b"3.5"
    assert wget(shown("import flask")["app"], "/price/7").body == b"7"
    assert counted(obsagent_memory) == {("/price/<int:item>", "200"): 1, ("/score/{customer}", "200"): 1}
    assert obsagent_memory.sum("batch_size", endpoint="/score/{customer}") == 2


# Django


@pytest.fixture(scope="module")
def django_urls() -> str:
    django = pytest.importorskip("django")
    from django.conf import settings
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import include, path, re_path

    def user(request: Any, user_id: int) -> Any:
        tell_batch(2)
        return HttpResponse(str(user_id))

    def broken(request: Any) -> Any:
        raise RuntimeError("broken")

    def stream(request: Any) -> Any:
        return StreamingHttpResponse(b"part" for _ in range(3))

    async def waiting(request: Any, name: str) -> Any:
        tell_batch(4)
        return HttpResponse(name)

    name = "unit_django_urls"
    module: Any = type(sys)(name)
    module.urlpatterns = [
        path("users/<int:user_id>/", user),
        path(
            "shop/",
            include(
                [path("broken", broken), re_path(r"^year/(?P<year>\d{4})$", lambda request, year: broken(request))]
            ),
        ),
        path("stream", stream),
        path("async/<name>", waiting),
        re_path(r"^old/(?P<user_id>\d+)$", user),
    ]
    sys.modules[name] = module
    settings.configure(ROOT_URLCONF=name, ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None)
    django.setup()
    return name


PATHS_OF_DJANGO = ["/users/7/", "/users/8/", "/shop/broken", "/stream", "/async/a", "/old/7", "/nothing"]
COUNTS_OF_DJANGO = {
    ("/users/<int:user_id>/", "200"): 2,
    ("/shop/broken", "500"): 1,
    ("/stream", "200"): 1,
    ("/async/<name>", "200"): 1,
    (r"^old/(?P<user_id>\d+)$", "200"): 1,
    ("(unmatched)", "404"): 1,
}


def test_django(django_urls: str, obsagent_memory: Memory) -> None:
    from django.core.wsgi import get_wsgi_application

    app = obsagent.WSGIMiddleware(get_wsgi_application())
    for path in PATHS_OF_DJANGO:
        wget(app, path)
    assert counted(obsagent_memory) == COUNTS_OF_DJANGO
    assert obsagent_memory.sum("response_bytes", endpoint="/stream") == 12
    assert obsagent_memory.sum("batch_size", endpoint="/async/<name>") == 4
    assert obsagent.current_request() is None


def test_django_over_asgi(django_urls: str, obsagent_memory: Memory) -> None:
    from django.core.asgi import get_asgi_application

    class Around:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, *arguments: Any) -> None:
            await self.app(*arguments)

    app = obsagent.ASGIMiddleware(Around(get_asgi_application()))
    for path in PATHS_OF_DJANGO:
        get(app, path)
    assert counted(obsagent_memory) == COUNTS_OF_DJANGO
    assert obsagent_memory.sum("batch_size", endpoint="/users/<int:user_id>/") == 4
