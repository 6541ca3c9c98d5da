"""Write a configuration file in which every key stands with its meaning and its default.

    obsagent init                                  obsagent.toml here
    obsagent init /etc/obsagent/obsagent.toml      there
    obsagent init -                                on stdout

All keys are commented out, so that the file changes nothing as it is. A file that is there already stays as it is,
unless --force says otherwise. Afterwards: obsagent config check FILE, obsagent agent --config FILE.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from obsagent.errors import ObsagentError, UsageError

DEFAULT_PATH = "obsagent.toml"


def add_arguments(parser: ArgumentParser) -> None:
    """Where to write it."""
    parser.add_argument("path", metavar="PATH", nargs="?", default=DEFAULT_PATH, help=f"default: {DEFAULT_PATH}")
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")


def run(args: Namespace) -> int:
    """Writes it and says where it is."""
    from obsagent.config_guide import commented

    text = commented()
    if args.path == "-":
        sys.stdout.write(text)
        return 0
    path = Path(args.path)
    if path.exists() and not args.force:
        raise UsageError(f"{path} is there already: name another file, or overwrite it with --force")
    try:
        with path.open("w" if args.force else "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ObsagentError(f"{path} cannot be written: {error.strerror}") from None
    print(f"{path} is written; start with: obsagent agent --config {path}")
    return 0
