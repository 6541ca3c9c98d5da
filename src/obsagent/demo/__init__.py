"""A real model under load, watched by a real agent: what `obsagent demo` and `make run` do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from obsagent.errors import UsageError


@dataclass(frozen=True)
class DemoOptions:
    """How to run the demo."""

    duration_s: float = 60.0
    """Seconds that the replay of the year takes."""
    data: Path = Path("obsagent-data")
    """A directory for the agent's store, the model and the logs."""
    workers: int = 2
    """Processes of each model server."""
    port: int | None = None
    """TCP port on loopback of the first version of the model, the second one has the next; None takes free ones."""
    keep: bool = False
    """Whether agent and model servers go on after the replay, until Ctrl-C."""
    seed: int = 0
    """Fixes the models and which requests are sent."""


def run(options: DemoOptions) -> int:
    """Runs the demo and returns the exit code.

    Raises `UsageError` for options out of range, and another `ObsagentError` when a package is missing or one of
    the processes fails; all processes have ended then.
    """
    if not options.duration_s > 0:
        raise UsageError(f"the duration must be above zero seconds, not {options.duration_s:g}")
    if options.workers < 1:
        raise UsageError(f"the model server needs at least one worker, not {options.workers}")
    if options.port is not None and not 0 < options.port < 65535:
        raise UsageError(f"a port is a number from 1 to 65534, as the next one is taken too, not {options.port}")
    from obsagent.demo.requires import check_packages

    check_packages()
    from obsagent.demo.play import play  # loads the packages just checked

    return play(options)
