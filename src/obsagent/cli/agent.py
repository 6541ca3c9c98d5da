"""Run the agent: receive samples, keep them on disk, answer questions.

It needs no configuration and no other server. Stop it with SIGTERM or Ctrl-C; what it has acknowledged is on
disk at any time, a `kill -9` included.
"""

from __future__ import annotations

import logging
import sys
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


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
    parser.add_argument("--config", metavar="FILE", type=Path, help="a TOML file; the options here win over it")


def run(args: Namespace) -> int:
    """Runs until it is told to stop."""
    from obsagent import config, daemon

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=LOG_FORMAT)
    options = {name: getattr(args, name) for name in ("data", "listen", "serve", "control", "keys", "http")}
    if args.no_collect:
        options["collect"] = {}
    load = partial(config.load, args.config, **options)
    return daemon.run(load(), load)
