"""Every named malformation is refused with its own words, and what is sound beside it is read.

`golden/make_malformed.py` writes the files. Whether it still would is not compared byte by byte: compressors differ.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from golden.make_malformed import CASES, MALFORMED
from golden.verdicts import ACCEPTED, VERDICTS

FILES = sorted(path for path in MALFORMED.glob("*/*") if path.suffix != ".error")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_malformation_is_called_what_it_is(path: Path) -> None:
    assert VERDICTS[path.parent.name](path.read_bytes()) + "\n" == path.with_name(path.name + ".error").read_text()


def test_none_is_accepted() -> None:
    for path in FILES:
        assert path.with_name(path.name + ".error").read_text().split() != [ACCEPTED], path


def test_the_files_are_those_of_the_script() -> None:
    named = {(kind, name) for kind, cases in CASES.items() for name, _ in cases()}
    assert {(path.parent.name, path.name) for path in FILES} == named
    assert {kind for kind, _ in named} == set(VERDICTS)


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind not in ("segment", "sketch")])
def test_the_script_writes_them_still(kind: str) -> None:
    """Where nothing is compressed, that is."""
    for name, data in CASES[kind]():
        assert (MALFORMED / kind / name).read_bytes() == data, name
