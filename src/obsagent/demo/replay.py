"""Replays the year's flights over HTTP: single requests at random moments, and batches that carry the rest."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np

from obsagent.demo.flights import Flights
from obsagent.demo.pace import Pace
from obsagent.errors import ObsagentError

SINGLES_PER_S = 300.0
SINGLES_SHARE = 0.5  # of the flights, where there are few a second
BATCH_FLIGHTS = 128
SINGLES_IN_FLIGHT = 24
BATCHES_IN_FLIGHT = 4
MALFORMED_SHARE = 1 / 500
REQUESTS_PER_CONNECTION = 100  # then it is made anew, so that both workers get their share of the connections
REQUEST_TIMEOUT_S = 10.0
IDLE_CONNECTION_S = 3.0  # the server closes an idle one after 5 s: never send on one that it is closing
FAILURES_IN_A_ROW = 50
CATCH_UP_S = 0.25

JSON_HEADERS = {"Content-Type": "application/json"}
LAST_ON_CONNECTION = {**JSON_HEADERS, "Connection": "close"}


class ReplayFailed(ObsagentError):
    """The model server stopped answering."""


@dataclass
class Tally:
    """What the replay has sent and got so far; requests by endpoint."""

    requests: dict[str, int] = field(default_factory=lambda: {"/score": 0, "/score_batch": 0})
    refused: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Route:
    """The server at `url` scores the flights from the index `first` on, up to the first of the next route.

    `went_live` is called just before its first request.
    """

    first: int
    url: str
    went_live: Callable[[], None]


class Replay:
    """One replay of `flights`, over `duration_s` seconds, against one server after another."""

    def __init__(self, flights: Flights, routes: Sequence[Route], duration_s: float, seed: int = 0) -> None:
        """`routes` are in the order of their first flights; `seed` fixes which moments and requests are chosen."""
        self.flights = flights
        self.pace = Pace(len(flights), duration_s)
        self.tally = Tally()
        self.scores = np.full(len(flights), np.nan)
        self._url = ""
        self._to_come = list(routes)
        self._random = random.Random(seed)
        self._failures_in_a_row = 0
        self._started_at = 0.0
        self._took_s: float | None = None
        self.singles_per_s = min(SINGLES_PER_S, self.pace.flights_per_s * SINGLES_SHARE)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the replay began, 0 before; it stands still when the replay has ended."""
        if self._took_s is not None:
            return self._took_s
        return time.perf_counter() - self._started_at if self._started_at else 0.0

    @property
    def now_min(self) -> int:
        """The time that the replay has come to, in minutes since the epoch: the departure of the latest flight."""
        return int(self.flights.departs_min[max(self.pace.position - 1, 0)])

    async def run(self) -> None:
        """Sends everything and waits for the answers; raises `ReplayFailed` when the server is gone."""
        connector = aiohttp.TCPConnector(
            limit=SINGLES_IN_FLIGHT + BATCHES_IN_FLIGHT, keepalive_timeout=IDLE_CONNECTION_S
        )
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            self._started_at = time.perf_counter()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._send_singles(session, group))
                    group.create_task(self._send_batches(session, group))
            except BaseExceptionGroup as group:
                failed, others = group.split(ReplayFailed)
                if failed is None or others is not None:
                    raise
                raise failed.exceptions[0] from None
            finally:
                self._took_s = self.elapsed_s

    async def _send_singles(self, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        """An open loop: requests come when they come, as long as the server keeps up at all."""
        free = asyncio.Semaphore(SINGLES_IN_FLIGHT)
        due_s = 0.0
        while not self.pace.finished:
            due_s = max(due_s, self.elapsed_s - CATCH_UP_S) + self._random.expovariate(self.singles_per_s)
            await asyncio.sleep(due_s - self.elapsed_s)
            await free.acquire()
            for index in self.pace.take(1, self.elapsed_s):
                group.create_task(self._single(session, index, free))

    async def _send_batches(self, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        free = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        interval_s = BATCH_FLIGHTS / (self.pace.flights_per_s - self.singles_per_s)
        due_s = 0.0
        while not self.pace.finished:
            due_s = max(due_s, self.elapsed_s - CATCH_UP_S) + interval_s
            await asyncio.sleep(min(due_s, self.pace.duration_s) - self.elapsed_s)
            await free.acquire()
            indices = self.pace.take(BATCH_FLIGHTS, self.elapsed_s)
            if indices:
                group.create_task(self._batch(session, indices, free))
            else:
                free.release()

    def _url_of(self, flight: int) -> str:
        """The server that scores a flight; the next one goes live with the first flight that is its own."""
        while self._to_come and flight >= self._to_come[0].first:
            route = self._to_come.pop(0)
            route.went_live()
            self._url = route.url
        return self._url

    async def _single(self, session: aiohttp.ClientSession, index: int, free: asyncio.Semaphore) -> None:
        try:
            [flight] = self.flights.records([index])
            if self._random.random() < MALFORMED_SHARE:  # as a caller that forgets a field, and then tries again
                await self._post(
                    session, "/score", index, {name: flight[name] for name in flight if name != "distance"}
                )
            answer = await self._post(session, "/score", index, flight)
            if answer is not None:
                self.scores[index] = answer["score"]
        finally:
            free.release()

    async def _batch(self, session: aiohttp.ClientSession, indices: Sequence[int], free: asyncio.Semaphore) -> None:
        try:
            answer = await self._post(session, "/score_batch", indices[0], self.flights.records(indices))
            if answer is not None:
                self.scores[indices] = answer["scores"]
        finally:
            free.release()

    async def _post(self, session: aiohttp.ClientSession, path: str, flight: int, body: object) -> Any:
        """The answer of the server that scores `flight`, or None if there was none or it refused."""
        self.tally.requests[path] += 1
        is_last = sum(self.tally.requests.values()) % REQUESTS_PER_CONNECTION == 0
        headers = LAST_ON_CONNECTION if is_last else JSON_HEADERS
        try:
            async with session.post(self._url_of(flight) + path, data=json.dumps(body), headers=headers) as response:
                answer = await response.json()
                if response.status == 422:
                    self.tally.refused += 1
                    return None
                response.raise_for_status()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._count_failure(error)
            return None
        self._failures_in_a_row = 0
        return answer

    def _count_failure(self, error: Exception) -> None:
        self.tally.failed += 1
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= FAILURES_IN_A_ROW:
            reason = str(error) or type(error).__name__
            raise ReplayFailed(f"{FAILURES_IN_A_ROW} requests in a row failed; the last one: {reason}")
