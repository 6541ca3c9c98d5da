"""Whatever term of the accounts is taken out, the test of the accounts notices.

The terms are found in the syntax trees of the modules, so that one that is added tomorrow is tried tomorrow. What the
scenario need not notice is named here, with the reason.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from accounts_scenario import Life
from mutation import Site, mutated, sites

from obsagent import store_sink
from obsagent.answer import execute
from obsagent.head import accounts, state, view
from obsagent.receive import own_accounts, own_session, settle
from obsagent.segment import reader

WHOLE = [accounts, state, settle, own_session, own_accounts, store_sink]
PARTLY = {
    execute: ["_losses"],
    view: ["View.accounts"],
    reader: ["_add", "_load_accounts", "BlockReader.accounts"],
}
TERMS_MIN = 170

LIVENESS = "who is alive, not what is counted: test_store_sink.py"
NOT_TOLD = "stands in the journal's entry and says nothing about samples"
TIME_OF_SAMPLES = "when the last sample was, not how many there were"
PENDING = "no window of a sound store has anything pending: test_execute.py"
REACH = "how far back lies what is lost with damage: test_damage.py"
CUTOFF = "which windows a checkpoint takes: test_store_failures.py"
EXEMPT = {
    "HeadWindow.merged: without merged.last_sample_ms": TIME_OF_SAMPLES,
    "HeadState._add_samples: without window.last_sample_ms": TIME_OF_SAMPLES,
    "HeadWindow.memory_bytes: ": "how much memory that takes: test_exemplars_stored.py",
    "HeadState.detach: without self._cutoff_ms": CUTOFF,
    "HeadState.give_back: without self._cutoff_ms": CUTOFF,
    "HeadState._adopt: without self.conflicts": "counts damage, not samples: test_recovery.py",
    "HeadState._count_refused: without self.series.count_refused(defined.metric)": "test_store_sink.py",
    "OwnSession.stage: ": "what collectors read, before it becomes samples: test_collected.py",
    "OwnSession._write_frame: self._clock.wall_ms() - at_ms without self._clock": "how old: test_own_session.py",
    "OwnSession._define: without self._undefined": "definitions made twice are known already",
    "StoreSink.heard: ": LIVENESS,
    "StoreSink.suspend_silent: ": LIVENESS,
    "StoreSink.write_records: ": "records have counts of their own: test_records_agent.py",
    "StoreSink.acknowledged: ": "what is on disk, not what is counted: test_store_sink.py",
    "with 0 for header.first_kept": NOT_TOLD,
    "with 0 for header.end_ms": NOT_TOLD,
    "StoreSink.write_frame: Frame(session, sequence, first_kept, start_ms, end_ms, accounts, body, tuple(exemplars)) "
    "with 0 for first_kept": NOT_TOLD,
    "StoreSink.write_frame: Frame(session, sequence, first_kept, start_ms, end_ms, accounts, body, tuple(exemplars)) "
    "with 0 for end_ms": NOT_TOLD,
    "StoreSink.write_backfill: Frame(session, sequence, first_kept, start_ms, end_ms, accounts, body, "
    "is_backfill=True) with 0 for first_kept": NOT_TOLD,
    "StoreSink.write_backfill: Frame(session, sequence, first_kept, start_ms, end_ms, accounts, body, "
    "is_backfill=True) with 0 for end_ms": NOT_TOLD,
    "HeadState.apply: without self.reach_ms": REACH,
    "StoreSink.write_refusal: Refused(": NOT_TOLD,
    "_losses: without pending +=": PENDING,
    "_losses: accounts['observed'] - settled": PENDING,
    "_losses: {'pending': 0}": PENDING,
}
"""What a site says, or how it goes on, and why it may stay."""


def terms(module: ModuleType) -> Iterator[Site]:
    only = PARTLY.get(module)
    return (site for site in sites(module) if only is None or site.function in only)


def is_exempt(site: Site) -> bool:
    return any(words in str(site) for words in EXEMPT)


def is_noticed(site: Site, directory: Path) -> bool:
    """True if the scenario fails without the term."""
    try:
        with mutated(site):
            Life(directory).live()
    except Exception:  # whatever it is: somebody has noticed
        return True
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return False


@pytest.mark.parametrize("module", [*WHOLE, *PARTLY], ids=lambda module: module.__name__.removeprefix("obsagent."))
def test_no_term_is_missed(module: ModuleType, tmp_path: Path) -> None:
    missed = [site for site in terms(module) if not is_exempt(site) and not is_noticed(site, tmp_path / "store")]
    assert [str(site) for site in missed] == []


def test_the_terms_are_found_and_every_exemption_is_of_one() -> None:
    found = [site for module in (*WHOLE, *PARTLY) for site in terms(module)]
    assert len(found) >= TERMS_MIN
    for words in EXEMPT:
        assert any(words in str(site) for site in found), words
    named = {site.function for module in PARTLY for site in terms(module)}
    assert {"_losses", "View.accounts"} <= named


def test_what_is_mutated_is_whole_again_afterwards(tmp_path: Path) -> None:
    (site,) = [site for site in sites(settle) if site.what == "observed - ring without ring"]
    assert is_noticed(site, tmp_path / "store")
    Life(tmp_path / "store").live()
