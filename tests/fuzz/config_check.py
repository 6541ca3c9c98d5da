"""What must hold for any bytes in the two text files that an agent reads: its configuration, a store's identity."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from obsagent.config import AgentConfig, load
from obsagent.errors import ConfigError, StoreError
from obsagent.head.directory import IDENTITY_NAME, StoreDirectory, read_identity
from obsagent.limits import SCALE_MAX, SCALE_MIN

FOLDER = TemporaryDirectory(prefix="obsagent-fuzz-")
CONFIG = Path(FOLDER.name) / "agent.toml"
MESSAGE_CHARACTERS_MAX = 2_000


def check_config(data: bytes) -> None:
    """A configuration whose values are what their keys say, or an error of one line that names the file."""
    CONFIG.write_bytes(data)
    try:
        config = load(CONFIG)
    except ConfigError as error:
        message = str(error)
        assert message.startswith(f"{CONFIG}: ")
        assert message.isprintable()
        assert len(message) <= MESSAGE_CHARACTERS_MAX
        return
    check_values(config)


def check_values(config: AgentConfig) -> None:
    """Every value is of its type, and can be used."""
    for text in (str(config.data), config.listen, config.serve):
        assert text
        assert "\0" not in text
    for count in (config.series_per_metric, config.series_total, config.head_budget):
        assert type(count) is int
        assert 0 < count < 1 << 63
    assert all(SCALE_MIN <= metric.scale <= SCALE_MAX for metric in config.metrics.values())


def check_identity(data: bytes) -> None:
    """The store's 16 bytes, None, or that a newer version made it."""
    (Path(FOLDER.name) / IDENTITY_NAME).write_bytes(data)
    try:
        store_id = read_identity(StoreDirectory(Path(FOLDER.name)))
    except StoreError as error:
        assert "newer obsagent" in str(error)
    else:
        assert store_id is None or len(store_id) == 16
