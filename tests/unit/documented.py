"""The sessions that README.md and LANGUAGE.md show: commands with what they print, about one made-up afternoon.

`python tests/unit/documented.py [DEMO]` writes them anew; DEMO is a file with what `obsagent demo` has printed.
"""

from __future__ import annotations

import io
import os
import random
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import obsagent
from obsagent.answer import execute
from obsagent.answer.execute import answer
from obsagent.answer.expected import ExpectedOutcomes, NoReferences
from obsagent.answer.language import parse
from obsagent.answer.options import Options
from obsagent.answer.stats import DEFAULT, MEANING, OVER, QUANTILE, UNDER
from obsagent.cli import main
from obsagent.cli.times import Clock
from obsagent.evaluate.performance_report import performance_report
from obsagent.samples import Instrument
from obsagent.testing import Memory

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
LANGUAGE = ROOT / "src" / "obsagent" / "answer" / "LANGUAGE.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = "$ "
DEMO_BEGINS = "Replayed"

BEGIN = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)
MINUTES = 60
DEPLOY_MINUTE = 40
SLOW_MINUTES = range(20, 25)
REQUESTS_A_MINUTE = {"/score": 40, "/rank": 10}
PREDICTIONS_A_MINUTE = 30
MEDIAN_S = {"/score": 0.030, "/rank": 0.110}


@cache
def afternoon() -> Memory:
    """Two endpoints of the service `fraud` from 13:00 to 14:00 UTC: five slow minutes, and a deploy at 13:40."""
    with patch("time.time_ns", return_value=int(BEGIN.timestamp()) * 10**9):
        memory = Memory()
    chance = random.Random(1)
    with memory:
        old, new = (obsagent.connect("fraud", version=version) for version in ("4", "5"))
        for minute in range(MINUTES):
            if minute == DEPLOY_MINUTE:
                new.event("deploy")
            _one_minute(memory, old if minute < DEPLOY_MINUTE else new, minute, chance)
    return memory


def _one_minute(memory: Memory, obs: obsagent.Client, minute: int, chance: random.Random) -> None:
    endpoints = [endpoint for endpoint, count in REQUESTS_A_MINUTE.items() for _ in range(count)]
    chance.shuffle(endpoints)
    slower = (3.0 if minute in SLOW_MINUTES else 1.0) * (1.3 if minute >= DEPLOY_MINUTE else 1.0)
    failing = 0.02 if minute >= DEPLOY_MINUTE else 0.004
    for number, endpoint in enumerate(endpoints, 1):
        with obs.request(endpoint) as request:
            memory.clock.advance(MEDIAN_S[endpoint] * slower * chance.lognormvariate(0.0, 0.4))
            request.status = 500 if chance.random() < failing else 200
        now_s = (memory.clock.now() - BEGIN).total_seconds()
        memory.clock.advance(max(0.0, (minute + number / len(endpoints)) * 60 - now_s))


@cache
def judged() -> tuple[Memory, Judge]:
    """The model `fraud` in the same hour, and its reference: version 5, a shadow, sees what 4 sees, and sees less well.

    Of what was predicted before 13:48 nine truths in ten have come.
    """
    with patch("time.time_ns", return_value=int(BEGIN.timestamp()) * 10**9):
        memory = Memory()
    chance, told = random.Random(3), {}
    with memory:
        obs = obsagent.connect("fraud", version="4")
        for minute in range(MINUTES):
            for number in range(PREDICTIONS_A_MINUTE):
                text, country = f"{minute}-{number}", chance.choice(("DE", "DE", "FR"))
                score = chance.random()
                for version, variant, spread in (("4", "live", 0.0), ("5", "shadow", 0.3)):
                    own = min(max(score + chance.gauss(0.0, spread), 0.0), 1.0)
                    model = obs.model("fraud", version=version, variant=variant)
                    with obs.request("/score", id=text, model=model) as request:
                        request.slice(country=country)
                        request.prediction(int(own >= 0.5), own)
                if chance.random() < (0.93 if minute < 48 else 0.2):
                    told[text] = int(chance.random() < (score if country == "DE" else 0.3 + 0.4 * score))
            memory.clock.advance(60.0)
        obs.model("fraud", version="4").truths(list(told), list(told.values()))
        memory._take_in()
    return memory, Judge()


class Judge(NoReferences):
    """A reference in which scores are what they say."""

    def current(self, model: str, version: str) -> str:
        return "1a2b3c4d"

    def outcomes(self, reference: str) -> ExpectedOutcomes:
        chance, cells = random.Random(4), Counter[tuple[int, int, int]]()
        for score in (chance.random() for _ in range(5_000)):
            cells[int(score * 1024), int(score >= 0.5), int(chance.random() < score)] += 1
        return ExpectedOutcomes(reference, ("0", "1"), ("0", "1"), cells, 1024)


@contextmanager
def asked_of(memory: Memory) -> Iterator[None]:
    """Within it `obsagent query` asks `memory`, or of a model `judged`, at its time, as if it were today and in UTC."""

    def ask(_: object, text: str, **options: Any) -> dict[str, Any]:
        if "model=" not in text:
            return answer(parse(text), memory._agent.store.view(), memory.clock.wall_ms(), Options(zone=UTC, **options))
        other, references = judged()
        chosen = Options(zone=UTC, references=references, **options)
        return answer(parse(text), other._agent.store.view(), other.clock.wall_ms(), chosen)

    def report(_: object, _name: str, text: str) -> dict[str, Any]:
        other, references = judged()
        return performance_report(text, other._agent.store.view(), references, other.clock.wall_ms(), UTC)

    with ExitStack() as patches:
        patches.enter_context(patch.dict(os.environ, {"TZ": "UTC"}))
        patches.callback(time.tzset)
        time.tzset()
        patches.enter_context(patch("obsagent.cli.query.ask_query", ask))
        patches.enter_context(patch("obsagent.cli.performance.ask_report", report))
        patches.enter_context(patch.object(Clock, "_today", return_value=BEGIN.date()))
        yield


def printed(command: str) -> str:
    """What a command line prints, its errors too."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        main(shlex.split(command)[1:])
    return output.getvalue().rstrip("\n")


def recorded(block: str) -> str:
    """A console block about the afternoon, with what its commands print now."""
    commands = [line for line in block.splitlines() if line.startswith(PROMPT)]
    return "\n\n".join(f"{line}\n{printed(line.removeprefix(PROMPT))}" for line in commands) + "\n"


def recorded_demo(block: str, out: str) -> str:
    """What the demo printed: how it begins, and of its questions those that the block has, by the line above each."""
    begin, *questions = re.split(r"^(?=# )", out, flags=re.MULTILINE)
    return begin + "".join(question for question in questions if question.splitlines()[0] in block.splitlines())


def shows_output(block: str) -> bool:
    """Whether a console block has more than commands."""
    return any(line and not line.startswith(PROMPT) for line in block.splitlines())


def statistics() -> str:
    """The table of what each statistic means for each kind of instrument."""
    every = dict.fromkeys(word for meanings in MEANING.values() for word in meanings)
    shown = {QUANTILE: "p0 … p100", UNDER: "under VALUE", OVER: "over VALUE"}
    rows = [["", *(kind.word for kind in MEANING)], ["---"] * (len(MEANING) + 1)]
    rows += [["default", *(", ".join(DEFAULT[kind]) for kind in MEANING)]]
    rows += [[shown.get(word, word), *(MEANING[kind].get(word, "error") for kind in MEANING)] for word in every]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def instruments(of: Iterable[Instrument]) -> str:
    """The table of what a collector reads; labels that all of its instruments have are left out."""
    rows = list(of)
    common = set.intersection(*({*each.label_names} for each in rows))
    lines = ["| metric | | unit | |\n| --- | --- | --- | --- |\n"]
    for each in rows:
        labels = ", ".join(name for name in each.label_names if name not in common)
        name = f"`{each.name}`" + (f" by {labels}" if labels else "")
        lines.append(f"| {name} | {each.kind.word} | {each.unit} | {each.help} |\n")
    return "".join(lines)


def answer_as_json() -> str:
    """The keys of an answer, as the executor describes them."""
    return str(execute.__doc__).partition("asks for it:\n\n")[2].rstrip() + "\n"


def with_sessions(text: str, demo: Callable[[str], str] = lambda block: block) -> str:
    """A document with its sessions recorded anew; `demo` does so for that of the demo."""

    def anew(found: re.Match[str]) -> str:
        block = found[1]
        if not shows_output(block):
            return found[0]
        return f"```console\n{demo(block) if block.startswith(DEMO_BEGINS) else recorded(block)}```"

    with asked_of(afternoon()):
        return CONSOLE.sub(anew, text)


if __name__ == "__main__":
    demo_out = Path(sys.argv[1]).read_text() if len(sys.argv) > 1 else None
    for document in (README, LANGUAGE):
        renewed = with_sessions(
            document.read_text(), lambda block: recorded_demo(block, demo_out) if demo_out else block
        )
        document.write_text(renewed)
