"""Other people's recorders and sketches, loaded if they are installed: `pip install --group bench`."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

_missing: set[str] = set()


def load(module: str) -> Any | None:
    """The module, or None; what is missing is reported once at the end of a table."""
    try:
        return _import(module)
    except ImportError:
        _missing.add(module.split(".")[0])
        return None


def _import(module: str) -> ModuleType:
    return importlib.import_module(module)


def missing_note() -> str:
    """A sentence that names the peers that were not there."""
    return f"Not installed, so not measured: {', '.join(sorted(_missing))}." if _missing else ""
