"""Testing what a program records: the pytest fixture `obsagent_memory`, there once obsagent is installed.

    def test_every_request_is_counted(obsagent_memory):
        serve_one_request()  # which connects to obsagent as it does in production
        assert obsagent_memory.count("requests", status="200") == 1

Inside the test `obsagent.connect(...)`, for any service and endpoint, returns clients that record into memory: no
socket, no thread, a clock that stands still until the test advances it. What is recorded takes the way that it
takes to an agent (rings, batches, protocol, windows), and queries are answered by the agent's own code. It needs
`obsagent[testing]`.

The clock (`obsagent_memory.clock`) begins at the start of a window and drives windows, the times of events, the
"now" of queries, and what `request`, `generation` and `timed` measure: `clock.advance(0.25)` inside of a request makes
it last 0.25 s. It does not drive what the compiled core times, `histogram.time()`; `queued_at` is compared with the
real time plus what the clock was advanced by.

Clients made before the fixture are left alone, and record nothing here: let the program connect within the test.
When the test ends, what its clients' instruments are given is dropped.

This module is loaded whenever pytest starts, and loads nothing of obsagent until the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from obsagent.testing.memory import Memory

__all__ = ["Memory", "obsagent_memory"]


@pytest.fixture
def obsagent_memory() -> Iterator[Memory]:
    """What the test's clients of obsagent record, to be asked: `.count()`, `.quantile()`, `.query()`, `.clock`."""
    from obsagent.testing.memory import Memory

    with Memory() as memory:
        yield memory


def __getattr__(name: str) -> Any:
    if name == "Memory":
        from obsagent.testing.memory import Memory

        return Memory
    raise AttributeError(f"module 'obsagent.testing' has no attribute {name!r}")
