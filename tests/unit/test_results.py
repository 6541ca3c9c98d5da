"""Answers for programs: rows, data frames, Arrow tables, and what a notebook shows of them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import fake_answers as answers
import pandas
import pyarrow
import pytest

from obsagent.results import Gap, Result
from obsagent.results.shown import HTML_LINES_MAX


def at(minute: int) -> datetime:
    return datetime(2026, 1, 1, 10, minute, tzinfo=UTC)


def test_a_result_is_a_sequence_of_rows() -> None:
    result = Result(answers.PLAIN)
    assert len(result) == 2
    assert [row.labels["endpoint"] for row in result] == ["/score", "/<b>"]
    assert (result[0]["p99"], result[0].count, result[0].error_bound) == (0.0123, 10, answers.BOUND)
    assert result[-1]["p99"] is None
    assert result[:1] == result.rows[:1]
    assert result.covered == (at(0), at(5))
    assert result.losses["dropped"]["ring"] == 2
    assert result.empty is None
    assert result.answer is answers.PLAIN


def test_a_gap_is_declared_in_every_shape() -> None:
    gap = {"from": "2026-01-01T10:01:00.000Z", "to": "2026-01-01T10:02:00.000Z", "reason": "a block is damaged"}
    result = Result({**answers.PLAIN, "gaps": [gap]})
    assert result.gaps == (Gap(at(1), at(2), "a block is damaged"),)
    assert "a block is damaged" in str(result)
    assert "a block is damaged" in result._repr_html_()
    assert Result(answers.PLAIN).gaps == ()


def test_a_stat_that_was_not_asked_is_named_with_those_that_were() -> None:
    with pytest.raises(KeyError, match="p50 was not asked; there are p99"):
        Result(answers.PLAIN)[0]["p50"]


def test_an_empty_result_says_why() -> None:
    result = Result(answers.EMPTY)
    assert not result
    assert result.covered is None
    assert result.empty == answers.EMPTY["empty"]
    assert answers.EMPTY["empty"] in str(result)
    assert result.to_pandas().empty
    assert result.to_arrow().num_rows == 0


def test_steps_are_points_of_their_row() -> None:
    (row,) = Result(answers.STEPS)
    assert [(each.start, each.end, each["p99"], each.count) for each in row.points] == [
        (at(1), at(2), 0.4, 5),
        (at(3), at(4), 0.6, 5),
    ]


def test_a_comparison_has_both_sides() -> None:
    score, new = Result(answers.VERSUS)
    assert score.vs is not None
    assert (score.vs["values"]["p99"], score.change["p99"]["absolute"]) == (0.25, 0.25)
    assert (new.vs, new.change) == (None, {})


def test_a_data_frame_has_labels_values_and_counts() -> None:
    frame = Result(answers.PLAIN).to_pandas()
    assert list(frame.columns) == ["endpoint", "p99", "count"]
    assert frame.p99.isna().tolist() == [False, True]
    assert (str(frame.p99.dtype), str(frame["count"].dtype)) == ("float64", "int64")
    assert frame.set_index("endpoint").p99["/score"] == 0.0123


def test_a_data_frame_of_steps_has_a_line_a_step() -> None:
    frame = Result(answers.STEPS).to_pandas()
    assert list(frame.columns) == ["endpoint", "time", "p99", "count"]
    assert frame.time.tolist() == [pandas.Timestamp(at(1)), pandas.Timestamp(at(3))]
    assert str(frame.time.dt.tz) == "UTC"
    assert frame.p99.tolist() == [0.4, 0.6]


def test_a_data_frame_of_a_comparison_has_both_sides() -> None:
    frame = Result(answers.VERSUS).to_pandas()
    assert list(frame.columns) == ["endpoint", "p99", "p99_vs", "p99_change", "count", "count_vs"]
    assert frame.p99_vs.tolist()[0] == frame.p99_change.tolist()[0] == 0.25
    assert frame.isna().sum().to_dict() == {
        "endpoint": 0,
        "p99": 0,
        "p99_vs": 1,
        "p99_change": 1,
        "count": 0,
        "count_vs": 1,
    }
    assert str(frame.count_vs.dtype) == "Int64"


def test_a_data_frame_of_several_metrics_names_them() -> None:
    frame = Result(answers.METRICS).to_pandas()
    assert frame[["metric", "p99"]].to_numpy().tolist() == [["latency", 0.5], ["size", 2048.0]]


def test_a_label_that_is_named_like_another_column_keeps_its_values() -> None:
    labels = {"p99": "a", "count": "b", "zone": "c"}
    row = {"labels": labels, "count": 1, "values": {"p99": 0.5, "count": 1}, "error_bound": {}}
    frame = Result(answers.answer_of(row)).to_pandas()
    assert frame.to_dict("records") == [{"p99_label": "a", "count_label": "b", "zone": "c", "p99": 0.5, "count": 1}]


def test_labels_that_only_some_rows_have_are_missing_in_the_others() -> None:
    first = answers.row("/score", 0.1)
    second = {**answers.row("/score", 0.2), "labels": {"worker": "1"}}
    table = Result(answers.answer_of(first, second)).to_arrow()
    assert table.column("endpoint").to_pylist() == ["/score", None]
    assert table.column("worker").to_pylist() == [None, "1"]


def with_exemplars() -> answers.Answer:
    """One row with two exemplars, one without any."""
    first, second = answers.row("/score", 0.1), answers.row("/rank", 0.2)
    largest = {"value": 0.9, "time": "2026-01-01T10:01:02.500Z", "trace_id": "t<1>", "request_id": None, "labels": {}}
    first["exemplars"] = [largest, {**largest, "value": 0.5, "request_id": "r"}]
    return answers.answer_of(first, {**second, "exemplars": []})


def test_the_largest_exemplar_stands_in_columns_of_its_own() -> None:
    frame = Result(with_exemplars()).to_pandas()
    assert list(frame.columns)[-4:] == [f"exemplar_{name}" for name in ("value", "time", "trace_id", "request_id")]
    assert frame.exemplar_value[0] == 0.9
    assert frame.exemplar_time[0] == datetime(2026, 1, 1, 10, 1, 2, 500_000, tzinfo=UTC)
    assert (frame.exemplar_trace_id[0], frame.exemplar_request_id[0]) == ("t<1>", None)
    assert frame.loc[1, "exemplar_value":].isna().all()
    table = Result(with_exemplars()).to_arrow()
    assert table.column("exemplar_time").to_pylist() == [frame.exemplar_time[0].to_pydatetime(), None]
    html = Result(with_exemplars())._repr_html_()
    assert "900 ms" in html
    assert "t&lt;1&gt;" in html
    assert "exemplar_value" not in Result(answers.PLAIN).to_pandas().columns


@pytest.mark.parametrize("answer", [answers.PLAIN, answers.STEPS, answers.VERSUS, answers.METRICS])
def test_an_arrow_table_has_the_columns_of_the_data_frame(answer: answers.Answer) -> None:
    result = Result(answer)
    table = result.to_arrow()
    pandas.testing.assert_frame_equal(table.to_pandas(), result.to_pandas(), check_dtype=False)
    wanted = {"count": pyarrow.int64(), "count_vs": pyarrow.int64(), "time": pyarrow.timestamp("ms", tz="UTC")}
    for field in table.schema:
        text = field.name in ("endpoint", "metric")
        assert field.type == wanted.get(field.name, pyarrow.string() if text else pyarrow.float64())


@pytest.mark.parametrize(
    ("method", "module", "extra"), [("to_pandas", "pandas", "pandas"), ("to_arrow", "pyarrow", "arrow")]
)
def test_a_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, method: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{module} is not installed; .*obsagent\[{extra}\]"):
        getattr(Result(answers.PLAIN), method)()


def test_printed_it_is_the_table_of_the_shell() -> None:
    lines = str(Result(answers.PLAIN)).splitlines()
    assert lines[0].split()[:2] == ["endpoint", "p99"]
    assert "12.3 ms" in lines[1]
    assert "2 dropped (ring)" in lines[-1]
    assert repr(Result(answers.PLAIN)) == str(Result(answers.PLAIN))


def test_a_notebook_shows_an_escaped_table_and_how_good_it_is() -> None:
    html = Result(answers.PLAIN)._repr_html_()
    assert "<b>" not in html
    assert "/&lt;b&gt;" in html
    assert "12.3 ms" in html
    assert "20 samples" in html
    assert "±0.54 %" in html
    assert "2 dropped (ring)" in html


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (answers.STEPS, ["2026-01-01T10:01:00.000Z", "400 ms"]),
        (answers.VERSUS, ["p99_vs", "250 ms"]),
        (answers.METRICS, ["500 ms", "2.05 kB"]),
        (answers.EMPTY, ["did you mean `latency`?", "no data in this time"]),
    ],
)
def test_a_notebook_shows_every_shape(answer: answers.Answer, shown: list[str]) -> None:
    html = Result(answer)._repr_html_()
    for text in shown:
        assert text in html


def test_a_notebook_shows_the_first_lines_of_many() -> None:
    rows = [answers.row(f"/{number}", 0.5) for number in range(HTML_LINES_MAX + 5)]
    html = Result(answers.answer_of(*rows))._repr_html_()
    assert html.count("<tr>") == HTML_LINES_MAX + 1
    assert "and 5 more lines" in html


def test_a_result_loads_no_library_until_it_is_asked_for() -> None:
    program = "import sys, obsagent; obsagent.query, obsagent.Result; print({'pandas', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
