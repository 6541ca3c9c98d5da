"""Builds floor.pyx, with the flags of the package's own extensions, the first time it is needed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

SOURCE = Path(__file__).with_suffix(".pyx")
BUILD = SOURCE.parents[1] / "build" / "benchmarks"
COMPILE_ARGS = ["-std=c11", "-O3", "-fno-math-errno"]


def load() -> Any:
    """The built module: `Empty` and `add_up`. Raises what the compiler raises."""
    library = BUILD / f"floor.{sys.implementation.cache_tag}.so"
    if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
        _build(library)
    spec = importlib.util.spec_from_file_location("floor", library)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _build(library: Path) -> None:
    cython: Any = importlib.import_module("Cython.Build")
    setuptools: Any = importlib.import_module("setuptools")
    extension = setuptools.Extension("floor", [str(SOURCE)], extra_compile_args=COMPILE_ARGS)
    modules = cython.cythonize([extension], build_dir=str(BUILD), quiet=True)
    command = setuptools.Distribution({"name": "floor", "ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = command.build_temp = str(BUILD)
    command.verbose = 0
    command.ensure_finalized()
    command.run()
    Path(command.get_ext_fullpath("floor")).replace(library)
