"""The agent as a process: signals, the service manager, and the exit code.

SIGTERM, SIGINT   end it in order
SIGHUP            reads the configuration again
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from obsagent import health
from obsagent.config import AgentConfig
from obsagent.daemon import Agent
from obsagent.errors import ConfigError, StoreError
from obsagent.reloads import LoadConfig
from obsagent.supervisor import Supervisor

logger = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often the main thread looks whether everything lives."""


def run(config: AgentConfig, load_again: LoadConfig | None = None, make: Callable[..., Agent] | None = None) -> int:
    """Runs the agent until SIGTERM or SIGINT; the exit code. SIGHUP reloads, and a service manager is kept informed.

    `load_again` reads the configuration at a reload; `make` makes the agent of both. Raises `StoreError` if the store
    cannot be opened, or not everything can be written to it at the end.
    """
    signals: SimpleQueue[int] = SimpleQueue()  # a signal's handler may put into it, whatever the thread is doing
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: signals.put(number))
    supervisor = Supervisor()
    supervisor.status("opening the store")
    try:
        agent = (make or Agent)(config, load_again)
    except StoreError as error:
        raise StoreError(f"{error}{health.advice(error)}; --data names another directory") from error
    agent.start()
    logger.info(
        "ready: writers %s, readers %s, control %s, data %s",
        config.listen,
        config.serve,
        config.control_endpoint,
        config.data,
    )
    supervisor.ready()
    _watch(agent, signals, supervisor)
    failed = agent.failed
    supervisor.stopping()
    agent.stop()
    logger.info("stopped")
    return 1 if failed else 0


def _watch(agent: Agent, signals: SimpleQueue[int], supervisor: Supervisor) -> None:
    """Returns when the agent has failed or is to end; only one that has not failed, and goes on, is called alive."""
    while not agent.failed:
        if agent.goes_on():
            supervisor.ping()
        supervisor.status(agent.condition)
        with suppress(Empty):
            if signals.get(timeout=min(LOOK_S, (supervisor.watchdog_s or LOOK_S) / 4)) != signal.SIGHUP:
                return
            supervisor.reloading()
            _reload(agent)
            supervisor.ready()


def _reload(agent: Agent) -> None:
    """As the control endpoint does, but that only the log can say what came of it."""
    try:
        logger.info("reloaded, as SIGHUP asks for: %s", agent.reload())
    except ConfigError:
        pass  # the log has it already
    except Exception:  # the agent goes on with what it had
        logger.exception("the reload that SIGHUP asks for has failed")
