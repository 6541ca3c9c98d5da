"""The backslash commands; each is one function whose docstring is its help."""

from __future__ import annotations

import time
from datetime import datetime

from obsagent.answer.durations import parse_duration
from obsagent.answer.mistakes import did_you_mean
from obsagent.errors import UsageError
from obsagent.shell.session import Command, Session


def run_command(session: Session, entry: str) -> None:
    """Runs an entry that begins with a backslash; raises `UsageError` for an unknown one."""
    name, _, argument = entry[1:].partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise UsageError(f"there is no command `\\{name}`{did_you_mean(name, COMMANDS)}; \\help shows what there is")
    command(session, argument.strip())


def quit_shell(session: Session, _argument: str) -> None:
    """Leave the shell, as Ctrl-D does."""
    session.ended = True


def timing(session: Session, argument: str) -> None:
    """[on|off]: say how long each query took."""
    session.timing = _switched("timing", session.timing, argument)
    print(f"timing is {'on' if session.timing else 'off'}")


def exemplars(session: Session, argument: str) -> None:
    """[on|off]: add the slowest requests to every answer, with their ids."""
    session.exemplars = _switched("exemplars", session.exemplars, argument)
    print(f"exemplars are {'on' if session.exemplars else 'off'}")


def _switched(name: str, is_on: bool, argument: str) -> bool:
    """What a switch is set to; without an argument the other way round."""
    if argument not in ("", "on", "off"):
        raise UsageError(f"expected `\\{name} on` or `\\{name} off`, not `{argument}`")
    return not is_on if not argument else argument == "on"


def form(session: Session, argument: str) -> None:
    """table|json|csv: how answers are printed."""
    if argument:
        session.set_form(argument)
    print(f"the format is {session.form}")


def agent(session: Session, argument: str) -> None:
    """ENDPOINT: ask another agent, ipc://PATH or tcp://HOST:PORT."""
    if argument:
        session.connect(argument)
    print(f"asking {session.surroundings.name(session.agent)}")


def listing(session: Session, argument: str) -> None:
    """[WHAT]: what there is to ask about: services, metrics, labels, values LABEL, ..."""
    session.failed_with(session.surroundings.command(["list", *argument.split()], session.agent))


def status(session: Session, argument: str) -> None:
    """[--all]: what the agent has received, kept and lost."""
    session.failed_with(session.surroundings.command(["status", *argument.split()], session.agent))


def watch(session: Session, argument: str) -> None:
    """INTERVAL QUERY: ask again and again, such as \\watch 2s p99 latency; Ctrl-C ends it."""
    every, _, query = argument.partition(" ")
    try:
        interval_s = parse_duration(every) / 1000
    except ValueError as error:
        raise UsageError(f"\\watch INTERVAL QUERY: {error}") from None
    if not query.strip():
        raise UsageError("expected a query behind the interval, such as `\\watch 2s p99 latency`")
    try:
        while True:
            print(f"{datetime.now():%H:%M:%S}  every {every}")
            session.ask(query.strip())
            print(flush=True)
            time.sleep(interval_s)
    except KeyboardInterrupt:
        print()  # behind the terminal's ^C
        session.close()  # a late answer must not be taken for that of the next question


def explain(session: Session, argument: str) -> None:
    """[WORD]: explain a word of the query language, a metric or a command."""
    from obsagent.shell.help import help_on, overview

    print(help_on(argument, session.catalogue) if argument else overview())


COMMANDS: dict[str, Command] = {
    "help": explain,
    "list": listing,
    "status": status,
    "watch": watch,
    "exemplars": exemplars,
    "timing": timing,
    "format": form,
    "agent": agent,
    "q": quit_shell,
}
