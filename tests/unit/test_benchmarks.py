"""The benchmarks run, and say what they measured; how fast anything is, no test asserts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import questions, readme
from benchmarks.measure import QUICK, Arm, Effort, Ratio, Timing, calls, interleave, ratio_of
from benchmarks.report import Row, Table, at_least, at_most, byte_size, comparison, duration

NEED_THE_FLOOR = {
    "record",
    "bulk",
    "scopes",
    "features",
    "tokens",
    "sketch",
    "apply",
}  # built with Cython at the first run
NEED_AN_AGENT = {"delivery", "query", "startup", "restart", "memory", "cpu"}
ALONE = {
    "accuracy": "LogHist(6)",
    "middleware": "ASGIMiddleware",
    "stored": "LogHist(6)",
    "history": "**rolled up**",
    "scrape": "**protobuf**",
    "drift": "e_bh",
    "drift_delay": "DyadicESR",
    "performance": "CBPE",
    "harm_delay": "HarmDetector",
    "ledger": "**join a truth**",
}  # and what they tell of


def ask(name: str) -> str:
    """Runs a benchmark in a hurry; its tables as text, after a look at their shape."""
    title, tables = questions.ask_apart(name, QUICK)
    assert title.endswith("?")
    for table in tables:
        assert len(table.cells) > 1
        assert {len(cells) for cells in table.cells} == {len(table.columns)}
    return "\n".join(table.markdown() for table in tables)


@pytest.mark.parametrize("name", ALONE)
def test_a_benchmark_runs(name: str) -> None:
    assert ALONE[name] in ask(name)


def test_every_question_is_asked() -> None:
    assert {*questions.NAMES} == NEED_THE_FLOOR | NEED_AN_AGENT | {*ALONE}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NEED_THE_FLOOR))
def test_a_benchmark_over_the_empty_method_runs(name: str) -> None:
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    assert ask(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NEED_AN_AGENT))
def test_a_benchmark_with_an_agent_runs(name: str) -> None:
    assert ask(name)


def test_the_readme_has_a_place_for_every_question() -> None:
    text = readme.README.read_text(encoding="utf-8")
    for name in (*questions.NAMES, "machine"):
        assert re.search(f"<!-- begin {name} -->.*<!-- end {name} -->", text, re.DOTALL), name


def test_only_the_asked_question_is_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "README.md"
    blocks = [f"<!-- begin {name} -->\nold {name}\n<!-- end {name} -->" for name in ("machine", "record", "bulk")]
    page.write_text("\n\n".join(["# Text", *blocks, "More text\n"]), encoding="utf-8")
    monkeypatch.setattr(readme, "README", page)
    readme.write("record", "What?", [Table("Title", ["a", "b"], [["1", "2"]], missed=["a: ≤ 0"])])
    text = page.read_text(encoding="utf-8")
    assert "old record" not in text
    assert "old machine" not in text
    assert "old bulk" in text
    assert "| 1 | 2 |" in text
    assert "- a: ≤ 0" in text
    assert text.startswith("# Text")
    assert text.endswith("More text\n")
    with pytest.raises(ValueError, match="no markers for scopes"):
        readme.write("scopes", "What?", [])


def test_arms_take_turns_and_are_measured_a_unit() -> None:
    turns: list[str] = []
    arms = [Arm("a", lambda repeats: turns.append("a"), units=4), Arm("b", lambda repeats: turns.append("b"))]
    first, second = interleave(arms, Effort(rounds=5, round_s=0.0))
    assert turns == ["a", "b"] * 6  # one to warm up each
    assert (first.name, len(first.seconds), second.name) == ("a", 5, "b")


def test_a_statement_is_executed_as_often_as_it_is_counted() -> None:
    seen: list[int] = []
    arm = calls("append", "seen.append(value)", seen=seen, value=7)
    arm.run(3)
    assert seen == [7] * 3 * arm.units


def test_ratios_are_taken_round_by_round() -> None:
    drifting = Timing("reference", (1.0, 2.0, 4.0))
    assert Timing("twice", (2.0, 4.0, 8.0)).over(drifting) == Ratio(2.0, 2.0, 2.0)
    assert ratio_of([1.0, 9.0, 4.0], [1.0, 3.0, 2.0]) == Ratio(2.0, 1.5, 2.5)


def test_a_missed_goal_is_called_missed() -> None:
    rows = [
        Row("reference", None, "1 ns"),
        Row("kept", Ratio(2.0, 1.5, 2.5), "2 ns", (at_most(2.0, 3, "×"),)),
        Row("broken", Ratio.exact(4.0), "4 ns", (at_most(4.0, 3, "×"), at_least(1.0, 20, "M/s"))),
    ]
    table = comparison("Title", "reference", rows, "A note.")
    assert table.missed == ["Title: broken, ≤ 3 ×", "Title: broken, ≥ 20 M/s"]
    assert table.markdown().splitlines() == [
        "**Title**",
        "",
        "|           | × reference | middle half | here | goal                                    |",
        "|-----------|-------------|-------------|------|-----------------------------------------|",
        "| reference |             |             | 1 ns |                                         |",
        "| kept      | 2           | 1.5 … 2.5   | 2 ns | ≤ 3 ×: met                              |",
        "| broken    | 4           |             | 4 ns | ≤ 3 ×: **missed**, ≥ 20 M/s: **missed** |",
        "",
        "A note.",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.5, "1.5 s"), (0.0123, "12.3 ms"), (4.5e-6, "4.5 µs"), (1.234e-8, "12.3 ns"), (1e-12, "0.001 ns")],
)
def test_durations_have_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(160, "160 B"), (4_080, "4.08 KB"), (256e6, "256 MB")])
def test_sizes_have_a_fitting_unit(count: float, text: str) -> None:
    assert byte_size(count) == text
