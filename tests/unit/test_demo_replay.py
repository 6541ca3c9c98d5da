import asyncio

import pytest

from unit.demo_data import made_up_flights, need_demo_packages

need_demo_packages()

from aiohttp import web  # noqa: E402

from obsagent.demo.replay import Replay, ReplayFailed, Route  # noqa: E402


def all_at(url: str) -> list[Route]:
    """One server for every flight."""
    return [Route(0, url, lambda: None)]


class Recorder:
    """A model server that notes which flights come, and refuses those that lack their distance."""

    def __init__(self) -> None:
        self.singles: list[int] = []
        self.batches: list[list[int]] = []
        self.refused = 0

    async def score(self, request: web.Request) -> web.Response:
        flight = await request.json()
        if "distance" not in flight:
            self.refused += 1
            return web.json_response({"error": "distance"}, status=422)
        self.singles.append(flight["id"])
        return web.json_response({"id": flight["id"], "score": flight["id"] / 1e6})

    async def score_batch(self, request: web.Request) -> web.Response:
        ids = [flight["id"] for flight in await request.json()]
        self.batches.append(ids)
        return web.json_response({"scores": [number / 1e6 for number in ids]})

    async def fail(self, request: web.Request) -> web.Response:
        return web.Response(status=500)


async def served(replay_of, *routes: web.RouteDef) -> Replay:
    """Runs a replay against a server on loopback."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        replay = replay_of(f"http://127.0.0.1:{runner.addresses[0][1]}")
        async with asyncio.timeout(20):
            await replay.run()
    finally:
        await runner.cleanup()
    return replay


def test_every_flight_is_sent_once_and_its_score_kept(monkeypatch) -> None:
    monkeypatch.setattr("obsagent.demo.replay.MALFORMED_SHARE", 0.1)
    flights, server = made_up_flights(2_000), Recorder()
    routes = web.post("/score", server.score), web.post("/score_batch", server.score_batch)
    replay = asyncio.run(served(lambda url: Replay(flights, all_at(url), duration_s=1.0, seed=7), *routes))
    sent = server.singles + [number for batch in server.batches for number in batch]
    assert len(sent) == len(set(sent)) == replay.pace.taken
    assert replay.pace.taken + replay.pace.skipped == 2_000
    assert replay.pace.taken > 1_000
    assert all(batch == sorted(batch) for batch in server.batches)
    assert len(server.singles) > 50
    assert server.refused == replay.tally.refused > 0
    assert replay.tally.requests == {
        "/score": len(server.singles) + server.refused,
        "/score_batch": len(server.batches),
    }
    assert replay.tally.failed == 0
    assert [replay.scores[number] for number in sent] == [number / 1e6 for number in sent]


def test_the_next_server_goes_live_with_its_first_flight() -> None:
    old, new, live = Recorder(), Recorder(), []
    routes = [
        web.post("/old/score", old.score),
        web.post("/old/score_batch", old.score_batch),
        web.post("/new/score", new.score),
        web.post("/new/score_batch", new.score_batch),
    ]

    def two_servers(url: str) -> Replay:
        first = Route(0, f"{url}/old", lambda: live.append("old"))
        second = Route(1_000, f"{url}/new", lambda: live.append("new"))
        return Replay(made_up_flights(2_000), [first, second], duration_s=1.0)

    replay = asyncio.run(served(two_servers, *routes))
    assert live == ["old", "new"]
    assert max(old.singles) < 1_000 <= min(new.singles)
    assert max(batch[0] for batch in old.batches) < 1_000 <= min(batch[0] for batch in new.batches)
    assert replay.tally.requests["/score"] == sum(len(each.singles) + each.refused for each in (old, new))
    assert replay.tally.failed == 0


def test_a_server_that_only_fails_ends_the_replay() -> None:
    server = Recorder()
    routes = web.post("/score", server.fail), web.post("/score_batch", server.fail)
    with pytest.raises(ReplayFailed, match="requests in a row failed; the last one: 500"):
        asyncio.run(served(lambda url: Replay(made_up_flights(2_000), all_at(url), duration_s=1.0), *routes))


def test_nobody_listening_ends_the_replay() -> None:
    replay = Replay(made_up_flights(2_000), all_at("http://127.0.0.1:9"), duration_s=1.0)
    with pytest.raises(ReplayFailed, match="requests in a row failed"):
        asyncio.run(replay.run())
    assert replay.tally.failed >= 50
