"""Limits stand in one place: the C kernels that have them too have the same, and decoders have none of their own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import obsagent
from obsagent import limits
from obsagent.head.accounts import COUNTER_COUNT, SessionAccounts
from obsagent.head.entries import REFUSED_SERIES
from obsagent.head.events import EventTotals
from obsagent.segment import tables

ROOT = Path(__file__).parents[2]
IN_C = {
    "OBS_BODY_MAX_SERIES": limits.SERIES_NUMBER_MAX,
    "OBS_BODY_MAX_RUN": limits.RUN_SAMPLES_MAX,
    "OBS_BODY_MAX_SAMPLES": limits.BODY_SAMPLES_MAX,
    "OBS_WINDOW_MAX_SAMPLES": limits.SERIES_SAMPLES_PER_WINDOW,
    "OBS_LOGHIST_MIN_SCALE": limits.SCALE_MIN,
    "OBS_LOGHIST_MAX_SCALE": limits.SCALE_MAX,
    "OBS_TDIGEST_MIN_COMPRESSION": limits.COMPRESSION_MIN,
    "OBS_TDIGEST_MAX_COMPRESSION": limits.COMPRESSION_MAX,
    "OBS_SERIES_REFUSED": limits.SERIES_ID_MAX + 1,
}
KNOWN_VALUES = {"UINT32_MAX": (1 << 32) - 1}

DECODERS = ("answer", "drift", "evaluate", "harm", "head", "ledger", "performance", "receive", "segment", "wire")
DECODING_FILES = ("config.py", "state_file.py", "reference/reader.py")
NO_LIMITS = {
    "JOIN_BYTES_MAX": "up to which a small body is copied into its record",
    "RUN_BYTES_MAX": "how much is read at once",
    "CACHE_BYTES_MAX": "how much is remembered",
    "SHORT_BYTES_MAX": "a word of ZMTP's grammar",
    "CULPRITS_MAX": "how many are shown",
    "SERIES_MAX": "the last of all numbers",
    "CUT_MAX": "how often a handshake is cut before the client says why",
    "REASON_LENGTH_MAX": "how long the reason of a gap may get by joining",
    "TELLERS_MAX": "how many blocks are asked for those that are missing",
    "LOSSES_MAX": "how many losses of a journal are told apart",
    "SEARCHES_MAX": "how often a damaged journal is searched whole",
    "F4_WHOLE_MAX": "up to where whole numbers are exact as f4",
    "EXACT_SUM_MAX": "from where on a sum is written wide",
    "ERROR_OCTAVE_MAX": "where the last bin of errors ends",
    "ERROR_BIN_MAX": "the last bin of errors",
    "WAITING_MAX": "how many blocks wait to be sorted in",
    "CONDITION_MAX": "how ill-conditioned predictions may be that tell classes apart",
}


def c_constants() -> dict[str, int]:
    """Name → value of every plain number that a header of csrc defines."""
    found = {}
    for path in sorted((ROOT / "csrc").glob("*.h")):
        for name, text in re.findall(r"^#define (OBS_\w+) (.+?)\s*(?:/\*.*)?$", path.read_text(), re.MULTILINE):
            plain = re.sub(r"UINT64_C\((\w+)\)", r"\1", text)
            plain = re.sub(r"\b(0x[0-9a-fA-F]+|\d+)[uU]?\b", r"\1", plain)
            if plain in KNOWN_VALUES:
                found[name] = KNOWN_VALUES[plain]
            elif re.fullmatch(r"[0-9a-fx()<+*\- ]+", plain):
                found[name] = eval(plain)  # digits, shifts and brackets
    return found


@pytest.mark.parametrize("name", IN_C)
def test_the_kernels_have_the_same_limits(name: str) -> None:
    assert c_constants()[name] == IN_C[name]


def test_what_the_formats_count() -> None:
    assert tables.ACCOUNT_COUNTERS == COUNTER_COUNT
    assert len(SessionAccounts._fields) == tables.SESSION_COUNTERS
    assert len(EventTotals._fields) == tables.EVENT_COUNTERS
    assert limits.SERIES_ID_MAX < REFUSED_SERIES


def test_limits_do_not_contradict_each_other() -> None:
    assert limits.HEADER_BYTES_MAX < limits.DEFINE_BYTES_MAX < limits.MESSAGE_BYTES_MAX
    assert limits.BODY_BYTES_MAX < limits.MESSAGE_BYTES_MAX
    assert limits.EVENT_BYTES_MAX * limits.EVENTS_PER_MESSAGE < limits.HEADER_BYTES_MAX
    assert limits.BODY_BYTES_MAX <= limits.JOURNAL_UNSYNCED_BYTES_MAX
    assert limits.SEGMENT_FRAME_BYTES < limits.FRAME_RAW_BYTES_MAX
    assert limits.QUERY_BYTES_MAX < limits.HEADER_BYTES_MAX
    assert limits.RUN_SAMPLES_MAX * 8 < limits.BODY_BYTES_MAX
    assert limits.BODY_SAMPLES_MAX + limits.SERIES_SAMPLES_PER_WINDOW < limits.COUNT_MAX


def own_limits(path: Path) -> list[str]:
    """The names of a module's own constants that say of a number how large something may be."""
    assigned = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
    targets = [each for node in assigned for target in node.targets for each in ast.walk(target)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in names if re.search(r"_(MAX|LIMIT)$", name) and name not in NO_LIMITS]


def test_decoders_have_no_limits_of_their_own() -> None:
    package = Path(obsagent.__file__).parent
    folders = (path for folder in DECODERS for path in sorted((package / folder).glob("*.py")))
    paths = [*(package / name for name in DECODING_FILES), *folders]
    assert {path.name: found for path in paths if (found := own_limits(path))} == {}
