"""README.md and LANGUAGE.md against the program: sessions, grammar, tables, keys.

`make readme`, or `python tests/unit/documented.py` for all but the demo's session, records them anew.
"""

import re
from pathlib import Path

import pytest

from obsagent.answer import language
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.collect.gpu.instruments import ALL as GPU_INSTRUMENTS
from unit import documented

README, LANGUAGE = documented.README.read_text(), documented.LANGUAGE.read_text()
GRAMMAR = str(language.__doc__).split("\n\n")[1]


@pytest.mark.parametrize("document", [documented.README, documented.LANGUAGE], ids=lambda path: path.name)
def test_sessions_print_what_is_shown(document: Path) -> None:
    text = document.read_text()
    assert text.count("$ obsagent query") > 5
    assert documented.with_sessions(text) == text


def test_the_grammar_is_that_of_the_parser() -> None:
    assert GRAMMAR in LANGUAGE
    shown = README.split("leaves alone:\n\n")[1].split("\n\n")[0].splitlines()
    assert len(shown) >= 8
    assert [line for line in shown if line not in GRAMMAR.splitlines()] == []


def test_the_table_of_statistics_is_that_of_the_program() -> None:
    assert documented.statistics() in LANGUAGE


def test_the_table_of_what_is_read_of_a_gpu_is_that_of_the_collector() -> None:
    assert documented.instruments(GPU_INSTRUMENTS) in README


def test_the_keys_of_an_answer_are_as_the_executor_describes_them() -> None:
    described = documented.answer_as_json()
    assert described in LANGUAGE
    always = {
        key for line in re.findall(r"^    (\w+(?:, \w+)*)  ", described, re.MULTILINE) for key in line.split(", ")
    }
    memory = documented.afternoon()
    given = answer(parse("p99 latency by endpoint"), memory._agent.store.view(), memory.clock.wall_ms())
    assert always == set(given)


def test_the_ways_to_write_it_in_a_shell_are_the_same_question() -> None:
    rows = re.findall(r'^\| `obsagent query ([^"`]+)` \| `obsagent query "(.+)"` \|$', LANGUAGE, re.MULTILINE)
    assert len(rows) == 2
    for plain, quoted in rows:
        assert _meaning(plain) == _meaning(quoted)


def _meaning(text: str) -> object:
    query = parse(text)
    filters = [(each.label, each.operator, each.values) for each in query.filters]
    where = query.where and (query.where.stat.name, query.where.is_above, query.where.value.number)
    return [(term.metric.text, [stat.name for stat in term.stats]) for term in query.terms], filters, where
