"""Serve a real model under load and watch it.

Trains a gradient-boosting model on New York's flights of January and February 2013, serves it over HTTP in
worker processes watched by obsagent, replays the year against it, puts a version retrained on half a year live in
July, and shows what obsagent answers.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from obsagent.demo import DemoOptions


def add_arguments(parser: ArgumentParser) -> None:
    """How long, how wide and where."""
    defaults = DemoOptions()
    parser.add_argument(
        "--duration",
        type=float,
        metavar="SECONDS",
        default=defaults.duration_s,
        help="how long the replay of the year takes (default: %(default)g)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=defaults.data,
        help="store, prepared data, model and logs (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="COUNT",
        default=defaults.workers,
        help="processes of each model server (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        help="of the first version's server, on loopback; the second's is the next (default: free ones)",
    )
    parser.add_argument("--keep", action="store_true", help="let everything run on afterwards, until Ctrl-C")
    parser.add_argument(
        "--seed",
        type=int,
        default=defaults.seed,
        help="fixes the models and which requests are sent (default: %(default)s)",
    )


def run(args: Namespace) -> int:
    """Runs the demo."""
    from obsagent import demo

    return demo.run(
        DemoOptions(
            duration_s=args.duration,
            data=args.data,
            workers=args.workers,
            port=args.port,
            keep=args.keep,
            seed=args.seed,
        )
    )
