"""The configuration in force, and its replacement while the agent runs: as a whole, or not at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from obsagent.clock import Clock
from obsagent.config import AgentConfig
from obsagent.config_guide import LIVE
from obsagent.errors import ConfigError

logger = logging.getLogger(__name__)

LoadConfig = Callable[[], AgentConfig]
ApplyConfig = Callable[[AgentConfig], None]


class Reloads:
    """Reads the configuration again; any thread may ask for it."""

    def __init__(self, config: AgentConfig, load_again: LoadConfig, clock: Clock, apply: ApplyConfig) -> None:
        """`apply` brings the keys in `LIVE` of a configuration into force, and cannot fail."""
        self.config = config
        self._load_again = load_again
        self._clock = clock
        self._apply = apply
        self._lock = threading.Lock()
        self._since_ms = clock.wall_ms()
        self._done = self._failed = 0
        self._error = ""
        self._waiting: list[str] = []

    def reload(self) -> dict[str, Any]:
        """Brings a new configuration into force, as far as that goes without a restart.

        Returns {"applied": keys that changed and count from now on, "restart_needed": keys that differ from what the
        agent runs with}. Raises `ConfigError`, and then nothing has changed.
        """
        with self._lock:
            try:
                new = self._load_again()
            except ConfigError as error:
                self._failed += 1
                self._error = "; ".join(map(str, error.args))
                logger.error("the configuration was not reloaded, the one before stays in force: %s", self._error)
                raise
            changed = [each.name for each in fields(new) if getattr(new, each.name) != getattr(self.config, each.name)]
            applied = [name for name in changed if name in LIVE]
            self.config = replace(self.config, **{name: getattr(new, name) for name in applied})
            self._apply(self.config)
            self._done, self._error, self._since_ms = self._done + 1, "", self._clock.wall_ms()
            self._waiting = [name for name in changed if name not in LIVE]
            return {"applied": applied, "restart_needed": list(self._waiting)}

    def status(self) -> dict[str, Any]:
        """Since when (ms) the configuration is in force, how often that was tried, why the last attempt failed."""
        return {
            "since_ms": self._since_ms,
            "reloads": {"done": self._done, "failed": self._failed},
            "error": self._error or None,
            "restart_needed": list(self._waiting),
        }

    @property
    def trouble(self) -> str:
        """A sentence, if the last attempt has failed."""
        if not self._error:
            return ""
        return f"the configuration was not reloaded, the one before stays in force: {self._error}"
