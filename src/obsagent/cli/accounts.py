"""A status (`obsagent.head.status`, with the agent's own part) as text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TextIO

from obsagent.cli.collectors import collector_lines
from obsagent.cli.costs import cost_lines, culprit_lines, refused_label_lines
from obsagent.cli.judged import judged_fact, judged_lines
from obsagent.cli.record_counts import record_lines
from obsagent.cli.references.loaded import reference_lines
from obsagent.cli.sessions import session_lines
from obsagent.cli.table import LEFT, RIGHT, Style, aligned
from obsagent.cli.units import format_count, format_quantity
from obsagent.errors import printable

Status = dict[str, Any]

GAPS_SHOWN = 10
"""The newest ones."""
TOTAL = "total"
COUNTS = ("observed", "stored", "pending")
LOSSES = ("dropped", "rejected")
SIDES = [LEFT, *[RIGHT] * len(COUNTS), *[LEFT] * len(LOSSES)]


def write_status(status: Status, stream: TextIO, *, everything: bool = False) -> None:
    """What the agent is and has, its accounts, sessions and costs, then what is wrong, if anything is.

    `everything` shows closed sessions too and cuts no table.
    """
    style = Style(stream)
    print(*_facts(status), sep="\n", file=stream)
    print(file=stream)
    if status["accounts"]["services"]:
        header, *lines = _accounts(status["accounts"])
        print(style.bold(header), *lines, sep="\n", file=stream)
    else:
        print("no client has sent a sample yet", file=stream)
    for header, *lines in filter(None, _tables(status, style.width, everything)):
        print(file=stream)
        print(style.bold(header), *lines, sep="\n", file=stream)
    troubles = list(_troubles(status, everything))
    if troubles:
        print(file=stream)
        print(*troubles, sep="\n", file=stream)


def _tables(status: Status, width: int | None, everything: bool) -> list[list[str]]:
    agent = status.get("agent", {})
    own_namespace = agent.get("pid_namespace", 0)
    sessions = session_lines(status["sessions"], width, everything=everything, own_namespace=own_namespace)
    collectors = collector_lines(agent.get("collectors", {}), width)
    references = reference_lines(agent.get("references", []), width)
    judged = judged_lines(agent.get("evaluation", {}), width)
    return [sessions, references, judged, collectors, cost_lines(status["cost"], width, everything=everything)]


def _facts(status: Status) -> Iterator[str]:
    agent = status.get("agent")
    if agent:
        uptime = duration(agent["uptime_ms"])
        yield f"agent      {agent['health']}: version {agent['version']}, pid {agent['pid']}, up {uptime}"
        yield f"           {size(agent['resident_bytes'])} of memory, {agent['cpu_seconds']:.1f} s of processor time"
        yield f"writers    {agent['listen']}"
        yield f"readers    {agent['serve']}"
        if "control" in agent:  # an agent of before has none
            yield f"control    {agent['control']}"
        if agent.get("http"):
            yield f"Prometheus http://{agent['http']}/metrics"
    yield f"store      {status['directory']}"
    yield f"           {_plural(status['series']['known'], 'series', 'series')} of {_metrics(status['series'])}"
    yield f"head       {size(status['head']['bytes'])} in {_plural(status['head']['windows'], 'window')}"
    yield f"journal    {_files(status['journal'])}, {size(status['journal']['unsynced_bytes'])} to be synced"
    yield f"segments   {_files(status['segments'])}, {_checkpoint(status)}"
    yield from _kept(status["segments"])
    if status.get("records"):  # an agent of before has none
        yield from record_lines(status["records"])
    yield f"sessions   {_sessions(status['sessions'])}"
    evaluation = agent.get("evaluation") if agent else None
    if evaluation and evaluation["models"]:
        yield f"drift      {judged_fact(evaluation, time.time_ns() // 1_000_000)}"


def _metrics(series: Status) -> str:
    return _plural(series["metrics"], "metric")


def _files(sizes: Status) -> str:
    return f"{size(sizes['bytes'])} in {_plural(sizes['files'], 'file')}"


def _kept(segments: Status) -> Iterator[str]:
    """`           windows of 10s for 1h20m (310 kB), of 1m for 2h (21 kB); at most 10 GB`."""
    now_ms = time.time_ns() // 1_000_000
    tiers = [
        f"of {duration(tier['window_ms'])} for {duration(max(0, now_ms - tier['from_ms']))} ({size(tier['bytes'])})"
        for tier in segments["tiers"]
        if tier["from_ms"] is not None
    ]
    budget = segments["budget_bytes"]
    if tiers:
        yield f"           windows {', '.join(tiers)}" + (f"; at most {size(budget)}" if budget else "")


def _checkpoint(status: Status) -> str:
    written_ms = status["last_checkpoint_ms"]
    if written_ms is None:
        return "no checkpoint yet"
    return f"last checkpoint {duration(max(0, int(time.time() * 1000) - written_ms))} ago"


def _sessions(sessions: Iterable[Status]) -> str:
    """`2 live, 1 closed (fraud 2, risk 1)`, services by their open sessions."""
    sessions = list(sessions)
    if not sessions:
        return "none"
    states = Counter(session["state"] for session in sessions)
    services = Counter(session["service"] for session in sessions if session["state"] != "closed")
    counted = ", ".join(f"{format_count(count)} {state}" for state, count in states.items())
    named = ", ".join(f"{service} {format_count(count)}" for service, count in sorted(services.items()))
    return f"{counted} ({named})" if named else counted


def _accounts(accounts: Status) -> list[str]:
    """Lines of the table, the header first and the total last."""
    rows = [_account(service, account) for service, account in sorted(accounts["services"].items())]
    rows.append(_account(TOTAL, accounts["total"]))
    return aligned(["service", *COUNTS, *LOSSES], rows, SIDES)


def _account(name: str, account: Status) -> list[str]:
    counts = [format_count(account[key]) for key in COUNTS]
    return [name, *counts, *(_reasons(account[key]) for key in LOSSES)]


def _reasons(by_reason: dict[str, int]) -> str:
    """`1,200 ring, 3 expired`, or 0."""
    return ", ".join(f"{format_count(count)} {reason}" for reason, count in by_reason.items() if count) or "0"


def _troubles(status: Status, everything: bool) -> Iterator[str]:
    for problem in status.get("agent", {}).get("problems", ()):
        yield f"problem: {problem}"
    refused = status["series"]["refused"]
    for metric, count in sorted(refused.items(), key=lambda item: (-item[1], item[0])):
        definitions = _plural(count, "series definition")
        yield f'over budget: {metric} ({definitions} beyond it went to {{overflow="true"}} or nowhere)'
    yield from culprit_lines(status["series"]["culprits"])
    yield from refused_label_lines(status["series"].get("refused_labels", []), everything=everything)
    if status["corrupt"]:
        yield f"corrupt: {_plural(status['corrupt'], 'damaged or lost place')} in the store's files"
    for gap in (status.get("records") or {}).get("gaps", ())[-GAPS_SHOWN:]:
        lost = f"{gap['rows']} rows of the ledger's {gap['table']}: {gap['reason']}"
        yield f"gap: {_gap({**gap, 'reason': lost})}"
    for gap in status.get("gaps", ())[-GAPS_SHOWN:]:
        yield f"gap: {_gap(gap)}"
    yield from _past(status.get("agent", {}))


def _gap(gap: Status) -> str:
    """`2026-01-31 12:00:10 – 12:00:20: a block is damaged`, in local time."""
    start, end = (datetime.fromtimestamp(gap[key] / 1000).astimezone() for key in ("from_ms", "to_ms"))
    ending = "%H:%M:%S" if start.date() == end.date() else "%Y-%m-%d %H:%M:%S"
    return f"{start:%Y-%m-%d %H:%M:%S} – {end:{ending}}: {printable(gap['reason'])}"


REFUSALS = {
    "again": "to be sent again, since the store could not take them",
    "session": "of sessions that the agent does not know",
    "sessions": "that would have begun a session too many",
    "internal": "that the agent failed to handle: its log says why",
}
"""What is said of a code of refused messages, beside those that are malformed or unsupported."""


def _past(agent: Status) -> Iterator[str]:
    """What has gone wrong since the agent began, over or not."""
    for key, what in (("malformed", "malformed"), ("unsupported", "of an unsupported kind or version")):
        if agent.get(key):
            yield f"refused: {_plural(agent[key], 'message')} {what}"
    if agent.get("denied"):
        yield f"refused: {_plural(agent['denied'], 'attempt')} to come in without a key, or with one that may not"
    for code, what in REFUSALS.items():
        if count := agent.get("refused", {}).get(code, 0):
            yield f"refused: {_plural(count, 'message')} {what}"
    if agent.get("unread_replies"):
        yield f"unread: {_plural(agent['unread_replies'], 'answer')} dropped, because the clients do not read"
    if agent.get("overloaded_ms"):
        yield f"overloaded: clients were not read for {duration(agent['overloaded_ms'])} in all, as the disk was slow"
    failures = [f"{_plural(count, what)}" for what, count in agent.get("failures", {}).items() if count]
    if failures:
        yield f"failed: {', '.join(failures)}"
    step = agent.get("last_clock_step")
    if step:
        count = sum(agent["clock_steps"].values())
        way = "forward" if step["by_ms"] > 0 else "back"
        yield f"clock: set {_plural(count, 'time')}, the last {way} by {duration(abs(step['by_ms']))}"


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{format_count(count)} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """Bytes for people."""
    return format_quantity(count, "bytes")


def duration(duration_ms: int) -> str:
    """Two units of time."""
    from obsagent.answer.durations import format_duration

    return format_duration(duration_ms)
