"""The threat model: every line of it is named by a test, and every test names a line."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "src" / "obsagent" / "wire" / "THREATS.md"
LINES = re.findall(r"^\| ([A-Z]\d+) \|", PAGE.read_text(), re.MULTILINE)


def ids_marked_in(path: Path) -> list[str]:
    """The ids of `@pytest.mark.threat(...)` on the tests of a file."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [each for each in node.decorator_list if ast.unparse(each).startswith("pytest.mark.threat(")]
            found += [ast.literal_eval(argument) for mark in marks for argument in mark.args]  # type: ignore[attr-defined]
    return found


def test_every_line_is_tested_and_every_test_names_a_line() -> None:
    marked = Counter(each for path in TESTS.rglob("test_*.py") for each in ids_marked_in(path))
    assert len(LINES) == len(set(LINES)) > 20
    assert sorted(marked) == sorted(LINES)


def test_it_is_a_page() -> None:
    assert len(PAGE.read_text().splitlines()) <= 80


def test_a_test_without_the_mark_is_no_test_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text('# L1\n@pytest.mark.threat("L2", "N1")\ndef test_a(): ...\ndef test_L3(): "L3"\n')
    assert ids_marked_in(path) == ["L2", "N1"]
