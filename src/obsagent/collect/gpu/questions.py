"""Asking NVML: what a device cannot answer is not asked again, and what goes wrong hides nothing else."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from obsagent.collect.gpu.library import Api, Fate, fate_of, told

T = TypeVar("T")


class Lost(Exception):
    """A device answers nothing; the message says why, and what can be done."""


class Closed(Exception):
    """NVML answers nothing any more and has to be opened again."""


class Questions:
    """The questions to all devices of one opening of NVML."""

    def __init__(self, api: Api) -> None:
        """Nothing is known to be unsupported."""
        self.api = api
        self._never: set[tuple[Hashable, str]] = set()
        self._wrong: list[str] = []

    def ask(self, who: Hashable, what: str, call: Callable[[], T]) -> T | None:
        """An answer, or None where there is none: `what` is then not asked of `who` again, or is told as wrong.

        Raises `Lost` and `Closed`.
        """
        if (who, what) in self._never:
            return None
        try:
            return call()
        except Exception as error:  # what a driver says that pynvml did not expect, too
            fate = fate_of(error)
            if fate is Fate.CLOSED:
                raise Closed(told(error)) from error
            if fate is Fate.LOST:
                raise Lost(told(error)) from error
            if fate is Fate.NEVER:
                self._never.add((who, what))
            elif fate is Fate.WRONG:
                self._wrong.append(f"{what}: {told(error)}")
            return None

    def take_wrong(self) -> list[str]:
        """What went wrong since the last call: question and error."""
        wrong, self._wrong = self._wrong, []
        return wrong
