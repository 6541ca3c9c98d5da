import io
import unicodedata

import pytest

from obsagent.cli.table import (
    BOLD,
    FIRST_COMBINING,
    FIXED,
    LEFT,
    NARROW,
    RIGHT,
    Style,
    aligned,
    columns_of,
    in_blocks,
    joined,
)


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


def test_what_is_taken_to_be_one_column_wide_is():
    for character in [*map(chr, range(32, ord(FIRST_COMBINING))), *NARROW]:
        assert unicodedata.east_asian_width(character) not in "WF"
        assert not unicodedata.combining(character)


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


def test_numbers_that_do_not_fit_come_in_blocks_that_repeat_the_labels():
    header = ["endpoint", *(f"p{rank}" for rank in range(1, 7))]
    blocks = in_blocks(header, [["/a", *["100 ms"] * 6]], [LEFT, *[RIGHT] * 6], 40)
    assert blocks == [
        ["endpoint       p1       p2       p3", "/a         100 ms   100 ms   100 ms"],
        ["endpoint       p4       p5       p6", "/a         100 ms   100 ms   100 ms"],
    ]


def test_columns_that_belong_together_stay_together():
    header = ["e", "now", "then", "change", "now", "then", "change"]
    blocks = in_blocks(header, [["/a", *["100 ms"] * 6]], [LEFT, *[RIGHT] * 6], 50, together=3)
    assert [block[0].split() for block in blocks] == [["e", "now", "then", "change"]] * 2


def test_a_single_number_that_does_not_fit_is_shown_all_the_same():
    assert in_blocks(["p1", "p2"], [["100 ms", "200 ms"]], [RIGHT, RIGHT], 3) == [
        ["    p1", "100 ms"],
        ["    p2", "200 ms"],
    ]


def test_a_fixed_column_is_never_cut():
    (_, line) = aligned(["endpoint", "trend"], [["x" * 50, "▁" * 30]], [LEFT, FIXED], 50)
    assert line.endswith("▁" * 30)
    assert columns_of(line) == 50


def test_pieces_are_joined_as_long_as_they_fit():
    assert joined(["aa", "bb", "cc"], " · ", 7) == ["aa · bb", "cc"]
    assert joined(["aa", "bb", "cc"], " · ", None) == ["aa · bb · cc"]
    assert joined(["a" * 20, "b"], " ", 7) == ["a" * 20, "b"]
    assert joined([], " ", 7) == []


def test_what_an_encoding_lacks_is_known_beforehand():
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    assert not Style(ascii_only).shows("▁")
    assert Style(ascii_only).shows("*")
    assert Style(io.StringIO()).shows("▁")
