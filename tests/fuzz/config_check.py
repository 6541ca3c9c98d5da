"""What must hold for any bytes in the two text files that an agent reads: its configuration, a store's identity."""

from __future__ import annotations

from functools import cache
from random import Random

from fuzz.block_parts import Mutate
from fuzz.scratch import SCRATCH
from obsagent import config
from obsagent.config import AgentConfig, load
from obsagent.errors import ConfigError, StoreError
from obsagent.head.directory import IDENTITY_NAME, StoreDirectory, read_identity
from obsagent.limits import SCALE_MAX, SCALE_MIN

config.scalars = cache(config.scalars)  # most of the time would go into finding them out for every input
CONFIG = SCRATCH / "agent.toml"
MESSAGE_CHARACTERS_MAX = 600
LINES = (
    *(
        'data = "/srv"',
        'listen = "ipc:///a"',
        'serve = "tcp://h:1"',
        "series_per_metric = 1",
        "series_total = 2",
        "x = 1",
    ),
    *(
        "head_budget = 1",
        'head_budget = "1MB"',
        'head_budget = "1e9"',
        'head_budget = "٣ KiB"',
        "[metrics.a]",
        "scale = 8",
    ),
    *(
        "scale = 9",
        "scale = true",
        "[metrics]",
        "a.scale = 3",
        "metrics = 1",
        "[[metrics.b]]",
        "data = {}",
        "data = []",
    ),
    *(
        "head_budget = " + "9" * 5_000,
        "head_budget = '" + "9" * 400 + "TB'",
        "data = 1979-05-27",
    ),
    *(
        "series_total = 0x7f",
        "series_total = -1",
        "series_total = inf",
        "series_total = nan",
        'data = "\\u0000"',
        '"" = 1',
    ),
    *(
        "[models.a]",
        '[models.a.versions."4"]',
        'reference = "x"',
        'drop = ["x"]',
        "hash = ['x', 1]",
        "keep_rows = nan",
        'versions = { "4" = 1 }',
    ),
    *(
        "[[scrape]]",
        'name = "a"',
        'url = "http://h:1"',
        'urls = ["http://[::1]/x"]',
        'interval = "1s"',
        "labels = {a='b'}",
    ),
)
DEEP_LINE = b"data = " + b"[" * 3_000
DEEP_SHARE = 0.002
"""Seldom: it takes as long as a hundred others."""


def check_config(data: bytes) -> None:
    """A configuration whose values are what their keys say, or errors of one line each that name the file."""
    CONFIG.write_bytes(data)
    try:
        loaded = load(CONFIG, {})
    except ConfigError as error:
        for message in error.args:
            assert message.startswith(f"{CONFIG}:")
            assert message.isprintable()
            assert len(message) <= MESSAGE_CHARACTERS_MAX
        return
    check_values(loaded)


def mutate_config(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Changes whole lines, and now and then bytes."""
    if chance.random() < 0.3:
        return mutate(data, size_max)
    lines = data.splitlines()
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(lines) + 1)
        line = DEEP_LINE if chance.random() < DEEP_SHARE else chance.choice(LINES).encode()
        lines[at : at + chance.choice((0, 0, 1, 2))] = [line]
    return b"\n".join(lines)[:size_max]


def check_values(loaded: AgentConfig) -> None:
    """Every value is of its type, and can be used."""
    for text in (str(loaded.data), loaded.listen, loaded.serve):
        assert text
        assert "\0" not in text
    for count in (loaded.series_per_metric, loaded.series_total, loaded.head_budget):
        assert type(count) is int
        assert 0 < count < 1 << 63
    assert all(SCALE_MIN <= metric.scale <= SCALE_MAX for metric in loaded.metrics.values())
    for model in loaded.models.values():
        assert not {*model.drop} & {*model.hash}
        assert model.keep_rows in (None, "errors") or 0 <= float(model.keep_rows or 0) <= 1


def check_identity(data: bytes) -> None:
    """The store's 16 bytes, None, or that a newer version made it."""
    (SCRATCH / IDENTITY_NAME).write_bytes(data)
    try:
        store_id = read_identity(StoreDirectory(SCRATCH))
    except StoreError:
        return  # a newer version made it
    assert store_id is None or len(store_id) == 16
