"""The programs that are killed find the modules that the tests find."""

from __future__ import annotations

import os
import sys

import pytest

from crash.budgets import KEEP_MS, MERGED_FILES
from obsagent.head import rollups, shelf


@pytest.fixture(autouse=True)
def _same_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


@pytest.fixture(autouse=True)
def _same_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `budgets.hurry`, for the stores of this process."""
    monkeypatch.setattr(rollups, "MERGED_FILES", MERGED_FILES)
    monkeypatch.setattr(shelf, "KEEP_MS", KEEP_MS)
