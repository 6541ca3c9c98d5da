"""Run the agent: receive samples, keep them on disk, answer questions.

It needs no configuration and no other server. Stop it with SIGTERM or Ctrl-C; what it has acknowledged is on
disk at any time, a `kill -9` included. SIGHUP, or `obsagent control reload`, reads the configuration again.

The command line wins over variables, they over the file, that over the defaults. Every key with one value has a
variable, by its name: OBSAGENT_DATA, OBSAGENT_LISTEN, OBSAGENT_DISK_BUDGET, OBSAGENT_RETENTION_1H; all are below.
OBSAGENT_CONFIG names the file. `obsagent init` writes one with every key, `obsagent config show` says what is in force.
"""

from __future__ import annotations

import logging
import os
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from obsagent import environment
from obsagent.errors import ObsagentError

logger = logging.getLogger(__name__)

OPTIONS = ("data", "listen", "serve", "control", "keys", "http", "log_format", "log_level")
LOG_FORMATS = ("text", "json")  # as `obsagent.config`, which the help does not need
LOG_LEVELS = ("debug", "info", "warning", "error")


def add_arguments(parser: ArgumentParser) -> None:
    """Where the store lies, where to listen, what else to read."""
    parser.add_argument("--data", metavar="DIR", type=Path, help="the store (default: ~/.local/share/obsagent)")
    parser.add_argument(
        "--listen", metavar="ENDPOINT", help="where clients connect, ipc://PATH or tcp://HOST:PORT (default: yours)"
    )
    parser.add_argument(
        "--serve", metavar="ENDPOINT", help="where readers such as `obsagent query` connect (default: yours)"
    )
    parser.add_argument(
        "--control", metavar="ENDPOINT", help="where `obsagent control` connects (default: beside the readers' socket)"
    )
    parser.add_argument("--keys", metavar="DIR", type=Path, help="the keys for tcp (default: keys in the store)")
    parser.add_argument(
        "--http",
        metavar="HOST:PORT",
        help="where Prometheus scrapes, or `off` (default: 127.0.0.1:9464, unless something else is there)",
    )
    parser.add_argument("--no-collect", action="store_true", help="read nothing but what clients send: no collectors")
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="a TOML file (default: $OBSAGENT_CONFIG); the options here win over it",
    )
    parser.add_argument("--log-format", choices=LOG_FORMATS, help="how to log on stderr (default: text)")
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="what to log (default: info)")

    parser.epilog = _variables()


def _variables() -> str:
    import textwrap

    from obsagent.config import scalars

    names = map(environment.variable_of, scalars())
    return "\n".join(["variables:", textwrap.fill(" ".join(names), 100, initial_indent="  ", subsequent_indent="  ")])


def run(args: Namespace) -> int:
    """Runs until it is told to stop."""
    from obsagent import agent_process, config, logs

    options = {name: getattr(args, name) for name in OPTIONS}
    if args.no_collect:
        options["collect"] = {}
    load = partial(config.load, args.config, **options)
    log_format = args.log_format or os.environ.get(environment.variable_of("log_format"), "")
    with logs.logged(log_format, args.log_level or "info"):
        try:
            settings = load()
            log_format = settings.log_format
            logs.adjust(log_format, settings.log_level)
            for warning in environment.unread(os.environ, config.scalars()):
                logger.warning("%s", warning)
            return agent_process.run(settings, load)
        except ObsagentError as error:
            if log_format != "json":
                raise  # `main` says it
            logger.critical("%s", error, extra={"exit_code": error.exit_code})
            return error.exit_code
