"""Check a configuration, or show what is in force.

    obsagent config check [FILE]    is the agent going to take it? Names everything that is wrong, with its line
    obsagent config show [FILE]     every value, and where it comes from: a variable, a line of the file, the default

FILE is by default the one that OBSAGENT_CONFIG names, and `check` looks for obsagent.toml here if there is none.
Variables (OBSAGENT_DATA, ...) are checked and shown with it, as they win over the file. `check` also says what would
keep the agent from starting on this machine: a group that is missing, keys that tcp needs, a reference that is damaged
or another model's.

Exit codes: 0 if all is well, 78 if something is wrong.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from obsagent.cli.sources import print_json
from obsagent.errors import ConfigError

if TYPE_CHECKING:
    from obsagent.config import Mistake, Reading

ACTIONS = ("check", "show")
WIDTH_MAX = 60
"""Of keys and values, behind which their origins stand in a column."""


def add_arguments(parser: ArgumentParser) -> None:
    """What to do, with which file."""
    parser.add_argument("action", choices=ACTIONS, metavar="check|show", help="what to do")
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help="the configuration")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")


def run(args: Namespace) -> int:
    """Checks or shows it."""
    return _check(args) if args.action == "check" else _show(args)


def _check(args: Namespace) -> int:
    from obsagent import config
    from obsagent.cli.init import DEFAULT_PATH
    from obsagent.environment import CONFIG_FILE

    path = args.file or Path(os.environ.get(CONFIG_FILE) or DEFAULT_PATH)
    reading = config.read(path)
    mistakes = reading.mistakes or _of_this_machine(reading)
    warnings = _warnings()
    if args.format == "json":
        told = [{"message": each.says, "source": each.source, "line": each.line} for each in mistakes]
        print_json({"file": str(path), "ok": not mistakes, "errors": told, "warnings": warnings})
        return ConfigError.exit_code if mistakes else 0
    for warning in warnings:
        print(f"obsagent config: {warning}", file=sys.stderr)
    if mistakes:
        raise ConfigError(*map(str, mistakes))
    print(f"{path}: ok")
    return 0


def _of_this_machine(reading: Reading) -> list[Mistake]:
    """What the agent would refuse to begin with here."""
    from obsagent import config, doors
    from obsagent.reference.registry import read_all

    assert reading.config is not None
    _, wrong = read_all(reading.config.models)
    here = [config.Mistake(each, "on this machine") for each in doors.objections(reading.config)]
    return here + [config.placed(each, reading.origins) for each in wrong]


def _warnings() -> list[str]:
    from obsagent import config, environment

    return environment.unread(os.environ, config.scalars())


def _show(args: Namespace) -> int:
    from obsagent import config, config_guide

    reading = config.read(args.file)
    if reading.config is None:
        raise ConfigError(*map(str, reading.mistakes))
    rows = list(config_guide.shown(reading.config, reading.origins))
    if args.format == "json":
        import tomllib

        print_json({key: {"value": tomllib.loads(f"x = {text}")["x"], "from": origin} for key, text, origin in rows})
        return 0
    width = min(WIDTH_MAX, max(len(f"{key} = {text}") for key, text, _ in rows))
    for key, text, origin in rows:
        print(f"{f'{key} = {text}':<{width}}  # {origin}")
    return 0
