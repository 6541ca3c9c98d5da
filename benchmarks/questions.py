"""The questions by name, and how one is asked."""

from __future__ import annotations

import importlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from benchmarks.measure import Effort
from benchmarks.report import Table

NAMES = (
    "record",
    "bulk",
    "scopes",
    "middleware",
    "features",
    "sketch",
    "accuracy",
    "tokens",
    "delivery",
    "apply",
    "stored",
    "query",
    "history",
    "scrape",
    "startup",
    "restart",
    "memory",
    "cpu",
    "drift",
    "drift_delay",
    "performance",
    "harm_delay",
    "ledger",
)


def ask_apart(name: str, effort: Effort) -> tuple[str, list[Table]]:
    """Measures in a process of its own, which no earlier question has touched."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(ask, name, effort).result()


def ask(name: str, effort: Effort) -> tuple[str, list[Table]]:
    """Measures in this process: the question in words, and its tables."""
    question = importlib.import_module(f"benchmarks.{name}")
    return str(question.__doc__).splitlines()[0], question.run(effort)
