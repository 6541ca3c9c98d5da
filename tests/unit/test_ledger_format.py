"""FORMAT.md of the ledger says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import obsagent.ledger
from obsagent import limits
from obsagent.ledger import format as layout
from obsagent.ledger.manifest import Manifest
from obsagent.ledger.marks import LEDGER_ARRIVALS_MS
from obsagent.ledger.tables import TABLES
from unit.format_tables import check_layout, tables

FORMAT = Path(obsagent.ledger.__file__).with_name("FORMAT.md")


def test_structures_are_as_described() -> None:
    manifest, run, footer, column = tables(FORMAT)
    check_layout(manifest, layout.MANIFEST_HEADER)
    check_layout(run, layout.RUN_HEADER)
    check_layout(footer, layout.RUN_FOOTER)
    assert sum(field.size for field in column) == layout.COLUMN.size
    assert f"`{layout.MANIFEST_MAGIC.decode()[:-1]}\\n`" == manifest[0].value
    assert f"`{layout.RUN_MAGIC.decode()[:-1]}\\n`" == run[0].value
    assert manifest[1].value == run[1].value == str(layout.FORMAT_VERSION)
    assert str(limits.LEDGER_GROUP_ROWS) in run[4].value


def test_tables_are_as_described() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in FORMAT.read_text().splitlines()]
    described = {row[1]: row for row in rows if len(row) == 6 and row[0].isdigit()}
    assert set(described) == {table.name for table in TABLES}
    for table in TABLES:
        number, _, key, rest, rule, time = described[table.name]
        assert (int(number), rule, time) == (table.number, table.rule.value, table.time)
        assert (key, rest) == (_listed(table.key), _listed(table.rest))


def _listed(columns: object) -> str:
    assert hasattr(columns, "items")
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def test_encodings_are_as_described() -> None:
    found = re.findall(r"^\| (\d) \| (\d|as in memory) \| (?:the|what) ", FORMAT.read_text(), re.MULTILINE)
    sizes = {int(code): size for code, size in found}
    assert sizes.pop(layout.RAW) == "as in memory"
    assert {code: int(size) for code, size in sizes.items()} == {
        code: size for code, size in layout.ENCODED_BYTES.items() if code != layout.RAW
    }


def test_numbers_are_as_described() -> None:
    text = " ".join(FORMAT.read_text().split())
    assert f"at most {limits.LEDGER_CLASSES_MAX:,} classes" in text
    assert f"all beyond are code {layout.OTHER}" in text
    assert f"{layout.NUMBER} stands for a number" in text
    assert f"the truth {layout.NONE} count all" in text
    assert f"at least {layout.SIEVE_BITS_PER_ROW} bits a row" in text
    assert f"rows 0, {layout.FENCE_ROWS}, {2 * layout.FENCE_ROWS}," in text
    assert f"whole part of {layout.ERROR_BINS_PER_OCTAVE}·(log2|e| + {-layout.ERROR_OCTAVE_MIN})" in text
    assert f"at most {layout.ERROR_BIN_MAX}" in text
    assert f"kept for {LEDGER_ARRIVALS_MS // 86_400_000} d" in text
    assert f"gaps, at most {limits.GAPS_MAX}" in text
    assert f"whole part of {limits.LEDGER_SCORE_BINS}·s" in text


def test_a_manifest_is_what_it_was() -> None:
    manifest = Manifest(generation=7, position=9, state={"models": [["m", [], False, True, False, 0]]})
    assert Manifest.decode(manifest.encode()) == manifest


def test_an_agent_without_records_loads_no_numpy() -> None:
    program = "import sys, obsagent.ledger, obsagent.ledger.settings; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
