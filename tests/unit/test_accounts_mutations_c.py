"""Whatever term of the kernels' accounts is taken out, their own tests notice: the same check as for the Python part.

A term is a statement that adds to a counter of samples. The file that it stands in is compiled without it, linked with
the test programs of its kernel, and these are run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
KERNELS, TESTS = ROOT / "csrc", ROOT / "tests" / "c"
PROGRAMS = {
    "drain.c": ["test_drain", "test_drain_life", "test_drain_values"],
    "drain_collect.c": ["test_drain", "test_drain_life", "test_drain_values", "test_drain_columns"],
    "open_batch.c": ["test_drain", "test_drain_life", "test_drain_values", "test_drain_columns"],
    "open_batch_columns.c": ["test_drain_columns"],
    "window.c": ["test_window", "test_window_apply", "test_window_sketches"],
}
COUNTERS = "dropped|rejected|observed|delivered|lost|sample_count|refused|applied"
ADDED = rf"[\w>.*()-]*\b(?:{COUNTERS})(?: \+= .*|\+\+);"
ADDED_ATOMICALLY = rf"atomic_fetch_add_explicit\(&.*(?:{COUNTERS}),[^;]*;"
TERM = re.compile(f"^ +(?:{ADDED}|{ADDED_ATOMICALLY})$", re.M)
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-pthread", "-fno-math-errno", "-O0", "-w", "-DOBS_ALLOC_TEST"]
TERMS_MIN = 20
LIMIT_S = 60


class Term(NamedTuple):
    """One statement of a kernel."""

    file: str
    line: int
    text: str
    start: int
    end: int


def terms(file: str) -> Iterator[Term]:
    source = (KERNELS / file).read_text()
    for found in TERM.finditer(source):
        line = source.count("\n", 0, found.start()) + 1
        yield Term(file, line, found[0].strip(), found.start(), found.end())


class Workshop:
    """Compiles each file once, and what is mutated once more."""

    def __init__(self, directory: Path, compiler: str) -> None:
        self.directory = directory
        self.compiler = compiler
        self.objects: dict[Path, Path] = {}

    def object_of(self, source: Path) -> Path:
        if source not in self.objects:
            self.objects[source] = self.compile(source, f"{source.stem}.o")
        return self.objects[source]

    def compile(self, source: Path, name: str) -> Path:
        target = self.directory / name
        self._run(self.compiler, *FLAGS, f"-I{KERNELS}", f"-I{TESTS}", "-c", str(source), "-o", str(target))
        return target

    def program(self, name: str, instead: dict[str, Path]) -> Path:
        """A test program, with other objects for some of its kernels' files."""
        source = TESTS / f"{name}.c"
        kernels = source.read_text().partition("\n")[0].removeprefix("// kernels: ").split()
        files = [path for kernel in kernels for path in (KERNELS / f"{kernel}.c", *KERNELS.glob(f"{kernel}_*.c"))]
        objects = [instead.get(path.name) or self.object_of(path) for path in files]
        objects += [self.object_of(source), self.object_of(TESTS / "alloc_seam.c")]
        program = self.directory / name
        self._run(self.compiler, "-pthread", *map(str, objects), "-lm", "-o", str(program))
        return program

    def is_noticed(self, term: Term) -> bool:
        source = (KERNELS / term.file).read_text()
        mutated = self.directory / term.file
        mutated.write_text(source[: term.start] + "{ }" + source[term.end :])
        instead = {term.file: self.compile(mutated, "mutated.o")}
        return any(self.fails(self.program(name, instead)) for name in PROGRAMS[term.file])

    @staticmethod
    def fails(program: Path) -> bool:
        try:
            return subprocess.run([program], capture_output=True, timeout=LIMIT_S, check=False).returncode != 0
        except subprocess.TimeoutExpired:
            return True

    @staticmethod
    def _run(*words: str) -> None:
        subprocess.run(words, capture_output=True, check=True)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None and os.environ.get("CI") == "true":
        pytest.fail("there is no C compiler, and CI must have one")
    if compiler is None:
        pytest.skip("there is no C compiler")
    return Workshop(tmp_path_factory.mktemp("kernels"), compiler)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", PROGRAMS)
def test_no_term_is_missed(file: str, workshop: Workshop) -> None:
    for name in PROGRAMS[file]:
        assert not workshop.fails(workshop.program(name, {})), name
    missed = [term for term in terms(file) if not workshop.is_noticed(term)]
    assert [f"{term.file}:{term.line} {term.text}" for term in missed] == []


def test_the_terms_are_found() -> None:
    found = [term.text for file in PROGRAMS for term in terms(file)]
    assert len(found) >= TERMS_MIN
    assert "accounts.dropped += drain->lost + dropped;" in found
    assert "applied->refused += samples;" in found
    assert "batch->lost++;" in found
    assert any(text.startswith("atomic_fetch_add_explicit(&drain->rejected") for text in found)
