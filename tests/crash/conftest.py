"""The programs that are killed find the modules that the tests find."""

from __future__ import annotations

import os
import sys

import pytest


@pytest.fixture(autouse=True)
def _same_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
