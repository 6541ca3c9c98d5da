import io

import pytest

from obsagent.cli.table import BOLD, LEFT, RIGHT, Style, aligned, columns_of


def test_columns_are_aligned_and_lines_have_no_trailing_space():
    lines = aligned(["endpoint", "p99", "note"], [["/a", "1.2 ms", ""], ["/longer", "12 ms", "x"]], [LEFT, RIGHT, LEFT])
    assert lines == [
        "endpoint      p99   note",
        "/a         1.2 ms",
        "/longer     12 ms   x",
    ]


def test_wide_characters_count_twice():
    assert columns_of("東京") == 4
    lines = aligned(["city", "n"], [["東京", "1"], ["Bonn", "2"]], [LEFT, RIGHT])
    assert [columns_of(line) for line in lines] == [8, 8, 8]


def test_a_line_is_cut_to_the_width_in_its_widest_label_and_never_in_its_numbers():
    path = "/v1/projects/alpha/models/fraud-detector/versions/42:predict"
    lines = aligned(["endpoint", "p99"], [[path, "12.3 ms"]], [LEFT, RIGHT], width=40)
    assert max(map(columns_of, lines)) == 40
    assert lines[1].startswith("/v1/projects")
    assert lines[1].count("…") == 1
    assert lines[1].endswith(":predict   12.3 ms")


def test_labels_stay_readable_when_nothing_fits():
    (_, line) = aligned(["endpoint", "p99"], [["/a/long/path/of/many/parts", "12.3 ms"]], [LEFT, RIGHT], width=5)
    assert columns_of(line.split("   ")[0]) == 8


def test_without_a_width_nothing_is_cut():
    (_, line) = aligned(["endpoint"], [["x" * 500]], [LEFT])
    assert line == "x" * 500


def test_label_values_cannot_move_the_cursor():
    (_, line) = aligned(["endpoint"], [["/a\x1b[2J\n\t\u202e"]], [LEFT])
    assert line == r"/a\x1b[2J\n\t\u202e"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_colour_only_on_a_terminal_that_wants_it(plain_environment):
    assert Style(Terminal()).bold("x").startswith(BOLD)
    assert Style(io.StringIO()).bold("x") == "x"
    plain_environment.setenv("NO_COLOR", "1")
    assert Style(Terminal()).bold("x") == "x"
    plain_environment.delenv("NO_COLOR")
    plain_environment.setenv("TERM", "dumb")
    assert Style(Terminal()).dim("x") == "x"


def test_a_pipe_has_no_width_a_terminal_80_columns_unless_it_says_otherwise(plain_environment):
    assert Style(io.StringIO()).width is None
    assert Style(Terminal()).width == 80
    plain_environment.setenv("COLUMNS", "132")
    assert Style(Terminal()).width == 132
