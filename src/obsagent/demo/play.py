"""The demo from start to end: agent, data, model, server, replay, answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import obsagent
from obsagent.ask import AgentClient
from obsagent.demo import DemoOptions, report, stage, tour
from obsagent.demo.flights import Flights, load_flights, load_weather
from obsagent.demo.model import VERSIONS, DelayModel, cached_model_path, cached_reference_path, fit
from obsagent.demo.reference import fit_reference
from obsagent.demo.replay import Replay
from obsagent.demo.rollout import Rollout
from obsagent.demo.screen import Screen, screen_on
from obsagent.demo.truths import TruthJob
from obsagent.demo.vitals import Vitals, ask_vitals, requests_ever
from obsagent.errors import AgentUnreachable, ObsagentError, StoreError
from obsagent.fs import Fs
from obsagent.head.directory import StoreLock

SERVICE = "flights"  # as the app connects
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
SHOW_INTERVAL_S = 1.0
SHOW_TIMEOUT_S = 2.0
COUNTED_TIMEOUT_S = 10.0


def play(options: DemoOptions) -> int:
    """Runs everything; whatever happens, the processes that it started have ended when it returns or raises."""
    screen = screen_on(sys.stderr)
    try:
        with termination_interrupts():
            _play(options, screen)
    except BrokenPipeError:  # whoever reads the answers has seen enough
        raise
    except OSError as error:
        raise StoreError(f"{options.data}: {error}") from error
    except KeyboardInterrupt:
        screen.say("interrupted; the model servers and the agent have ended")
        return INTERRUPTED
    return 0


def _play(options: DemoOptions, screen: Screen) -> None:
    store, cache, evidence = (options.data / name for name in ("store", "cache", "retraining"))
    cache.mkdir(parents=True, exist_ok=True)
    begin_anew(store, evidence, screen)
    with ExitStack() as started:
        # Not in the data directory: the path of a socket has at most 107 bytes.
        sockets = started.enter_context(tempfile.TemporaryDirectory(prefix="obsagent-demo-"))
        listen, serve = f"ipc://{sockets}/ingest.sock", f"ipc://{sockets}/query.sock"
        started.enter_context(environment(OBSAGENT_AGENT=serve, OBSAGENT_DISABLED="0"))
        flights, models, reference = prepare(cache, options.seed, screen)
        config = options.data / "agent.toml"
        write_whole(config, stage.agent_config(reference, evidence, options.duration_s))
        with screen.step("starting the agent"):
            agent = started.enter_context(stage.agent(store, listen, serve, options.data / "agent.log", config))
        servers = start_servers(models, listen, options, screen, started)
        children = [agent, *(server.child for server in servers)]
        obs = started.enter_context(closing(obsagent.connect(service=SERVICE, endpoint=listen)))
        screen.say("ask it yourself meanwhile, in another terminal:")
        for line in tour.invitation(serve):
            screen.say(f"    {line}")
        rollout = Rollout(flights, [server.url for server in servers], obs, screen.say)
        replay = Replay(flights, rollout.routes, options.duration_s, options.seed)
        job = TruthJob(replay, obs)
        with job.running():
            counted = run_replay(replay, children, serve, screen)
        with blaming(children):
            job.tell()  # of what lands after the year's last departure
            obs.flush(COUNTED_TIMEOUT_S).raise_if_pending()  # the deploys: questions are asked since then
        report.print_replay(replay, counted)
        report.print_truths(replay, job)
        tour.print_answers(*rollout.ages_s())
        tour.print_evidence(evidence)
        if options.keep:
            keep_until_interrupted(children, servers[-1].url, screen)
    tour.print_store(store)


def begin_anew(store: Path, evidence: Path, screen: Screen) -> None:
    """The year has the same days and flights each time: the store of the run before is put aside, its evidence removed.

    Raises `StoreLocked` while that run goes on.
    """
    previous, files = store.with_name("store.previous"), Fs()
    if store.exists():
        lock = StoreLock(store)
        try:
            shutil.rmtree(previous, ignore_errors=True)
            files.rename(store, previous)
        finally:
            lock.release()
        screen.say(f"what the agent kept of the run before is now in {previous}")
    files.make_directory(evidence)
    for path in evidence.glob("*.json"):
        files.remove(path)


def prepare(cache: Path, seed: int, screen: Screen) -> tuple[Flights, list[Path], Path]:
    """The flights, where the versions of the model lie that the servers are to load, and the reference of the first.

    They are kept in `cache`.
    """
    with screen.step("reading the flights of 2013"):
        flights = load_flights()
    paths = [cached_model_path(cache, version, seed) for version in VERSIONS]
    for version, path in zip(VERSIONS, paths, strict=True):
        if not path.exists():
            with screen.step(f"training version {version.name} of the model, on {version.training}"):
                fit(flights, load_weather(), version.trained_to, seed).save(path)
    first = VERSIONS[0]
    reference = cached_reference_path(cache, first, seed)
    if not reference.exists():
        with screen.step(f"fitting the reference: what {first.training} looked like"):
            fit_reference(flights, DelayModel.load(paths[0]), first, reference, seed)
    return flights, paths, reference


def start_servers(
    models: Sequence[Path], listen: str, options: DemoOptions, screen: Screen, started: ExitStack
) -> list[stage.ModelServer]:
    """A server for each version, all of them serving; `started` ends them."""
    servers = []
    with screen.step(f"starting a model server for each: uvicorn with {options.workers} worker processes"):
        for index, (version, model) in enumerate(zip(VERSIONS, models, strict=True)):
            port = options.port + index if options.port else stage.free_port()
            log = options.data / f"server-{version.name}.log"
            server = stage.model_server(version.name, model, listen, port, options.workers, log)
            servers.append(started.enter_context(server))
        for each in servers:
            each.wait_until_serving()
    return servers


def run_replay(replay: Replay, children: list[stage.Child], serve: str, screen: Screen) -> int:
    """Replays the year and returns how many of its requests the agent has counted."""
    with blaming(children), AgentClient(serve) as agent:
        before = requests_ever(agent)
    with screen.watch(replay):
        asyncio.run(_replay_and_show(replay, children, serve, screen))
    sent = sum(replay.tally.requests.values())
    deadline = time.monotonic() + COUNTED_TIMEOUT_S
    waiting = screen.step("waiting until the agent has counted every request")
    with blaming(children), waiting, AgentClient(serve) as agent:
        while (counted := requests_ever(agent) - before) < sent and time.monotonic() < deadline:
            time.sleep(stage.POLL_S)
    return counted


@contextmanager
def blaming(children: list[stage.Child]) -> Iterator[None]:
    """Names the process whose end is the reason why nobody answers, if one has ended."""
    try:
        yield
    except AgentUnreachable:
        time.sleep(stage.POLL_S)  # what has just died may not be known as dead yet
        for child in children:
            child.check()
        raise


async def _replay_and_show(replay: Replay, children: list[stage.Child], serve: str, screen: Screen) -> None:
    showing = asyncio.create_task(_show(replay, children, serve, screen))
    replaying = asyncio.create_task(replay.run())
    try:
        await asyncio.wait([showing, replaying], return_when=asyncio.FIRST_COMPLETED)
        for child in children:
            child.check()  # the reason, where the replay failed because a process ended
        if showing.done():
            await showing  # it ends by itself only in an error
        await replaying
    finally:
        for task in (showing, replaying):
            task.cancel()
        await asyncio.gather(showing, replaying, return_exceptions=True)


async def _show(replay: Replay, children: list[stage.Child], serve: str, screen: Screen) -> None:
    """Asks the agent and shows its answers every second, in a thread: the replay goes on meanwhile."""
    loop = asyncio.get_running_loop()
    with AgentClient(serve, SHOW_TIMEOUT_S) as agent, ThreadPoolExecutor(1) as thread:
        vitals: list[Vitals] = []
        while True:
            await asyncio.sleep(SHOW_INTERVAL_S)
            for child in children:
                child.check()
            with contextlib.suppress(ObsagentError):  # a late answer: the last one stays on the screen
                vitals = await loop.run_in_executor(thread, ask_vitals, agent)
            screen.show(replay, vitals)


def keep_until_interrupted(children: list[stage.Child], url: str, screen: Screen) -> None:
    """Lets everything run until Ctrl-C; raises `ChildFailed` if a process ends by itself."""
    screen.say(f"the model server at {url} and the agent go on (--keep); Ctrl-C ends them")
    try:
        while True:
            for child in children:
                child.check()
            time.sleep(SHOW_INTERVAL_S)
    except KeyboardInterrupt:
        screen.say()


def write_whole(path: Path, text: str) -> None:
    """A file with this text, at once."""
    files = Fs()
    files.close(files.write_file(path, [text.encode()]))


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Variables for this process and those that it starts, whatever they were before."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does, in order; what `nohup` ignores stays ignored."""
    before = {number: signal.getsignal(number) for number in stage.ENDING_SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
