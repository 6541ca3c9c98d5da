"""Builds the three extension modules; everything else is declared in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

CSRC = Path("csrc")
NATIVE = Path("src/obsagent/_native")

# One row a module: its own .pyx and the kernels that it links. A kernel may be linked by more than one.
COLUMN_KERNELS = ["moments", "edges", "topk", "hll", "column"]
SKETCH_KERNELS = ["obs", "crc32c", "loghist", "tdigest", *COLUMN_KERNELS]
RING_KERNELS = [
    *("obs", "loghist", "tdigest", *COLUMN_KERNELS, "body", "categories"),
    *("numbers", "ring", "delta", "producer", "open_batch", "batch_queue", "drain"),
]
CODEC_KERNELS = [
    *("obs", "crc32c", "loghist", "tdigest", *COLUMN_KERNELS),
    *("envelope", "body", "series_index", "series_map", "rows", "accumulator", "window", "groups", "frames"),
    *("sections", "transpose", "siphash", "order", "run_column"),
]
MODULES = {"sketch": SKETCH_KERNELS, "ring": RING_KERNELS, "codec": CODEC_KERNELS}

COMPILE_ARGS = [
    *("-std=c11", "-D_GNU_SOURCE", "-O3", "-fno-math-errno", "-fvisibility=hidden"),
    *("-Wall", "-Wextra", "-Wno-unused-parameter"),
]
# "address,undefined" or "thread": an instrumented build for tests
SANITIZE = os.environ.get("OBSAGENT_SANITIZE")
if SANITIZE:
    COMPILE_ARGS += ["-O1", "-g1", "-fno-omit-frame-pointer", f"-fsanitize={SANITIZE}"]
    COMPILE_ARGS += ["-fstrict-overflow"]  # Python's own flags define signed overflow, and then nobody reports it
else:
    COMPILE_ARGS += ["-g0"]  # Python's own flags ask for debug information: four fifths of the modules' size
LINK_ARGS = ["-pthread", "-lm"] + ([f"-fsanitize={SANITIZE}"] if SANITIZE else [])


def sources(kernel: str) -> list[str]:
    """A kernel is NAME.c and, where that grew too long, its parts NAME_*.c."""
    return [str(CSRC / f"{kernel}.c"), *sorted(str(part) for part in CSRC.glob(f"{kernel}_*.c"))]


def extension(name: str, kernels: list[str]) -> Extension:
    """One extension module from its .pyx and its C kernels."""
    return Extension(
        f"obsagent._native.{name}",
        sources=[str(NATIVE / f"{name}.pyx"), *(source for kernel in kernels for source in sources(kernel))],
        include_dirs=[str(CSRC)],
        depends=[str(path) for path in [*CSRC.glob("*.h"), *NATIVE.glob("*.pxd")]],
        extra_compile_args=[*COMPILE_ARGS, "-pthread"],
        extra_link_args=LINK_ARGS,
    )


ONLY = os.environ.get("OBSAGENT_BUILD_ONLY", "").split(",")  # a developer's short cut: build one module
CHOSEN = {name: kernels for name, kernels in MODULES.items() if ONLY == [""] or name in ONLY}

setup(
    ext_modules=cythonize(
        [extension(name, kernels) for name, kernels in CHOSEN.items()],
        include_path=["src"],
        build_dir="build/cython",
        compiler_directives={
            "language_level": "3",
            "binding": False,
            "always_allow_keywords": False,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "embedsignature": True,
        },
    ),
)
