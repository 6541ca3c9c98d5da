"""What a run does before it starts anything."""

from pathlib import Path

import pytest

from obsagent.errors import StoreLocked
from obsagent.head.directory import StoreLock
from unit.demo_data import need_demo_packages

need_demo_packages()

from obsagent.demo.play import begin_anew  # noqa: E402 - of the packages just checked
from obsagent.demo.screen import PlainScreen  # noqa: E402


@pytest.fixture
def screen(tmp_path: Path) -> PlainScreen:
    return PlainScreen((tmp_path / "said").open("w+"))


def store_of(tmp_path: Path, run: str) -> Path:
    store = tmp_path / "data" / "store"
    store.mkdir(parents=True)
    (store / "journal").write_text(run)
    return store


def test_each_run_begins_a_store_and_the_one_before_is_put_aside(tmp_path: Path, screen: PlainScreen) -> None:
    evidence = tmp_path / "data" / "retraining"
    for run in ("first", "second"):
        begin_anew(store_of(tmp_path, run), evidence, screen)
        (evidence / "delays-1-2013-03-09.json").write_text("{}")
        assert not (tmp_path / "data" / "store").exists()
        assert (tmp_path / "data" / "store.previous" / "journal").read_text() == run
    begin_anew(tmp_path / "data" / "store", evidence, screen)
    assert list(evidence.iterdir()) == []
    assert (tmp_path / "said").read_text().splitlines() == [
        f"what the agent kept of the run before is now in {tmp_path / 'data' / 'store.previous'}"
    ] * 2


def test_a_store_in_use_stays_where_it_is(tmp_path: Path, screen: PlainScreen) -> None:
    store = store_of(tmp_path, "first")
    lock = StoreLock(store)
    try:
        with pytest.raises(StoreLocked):
            begin_anew(store, tmp_path / "data" / "retraining", screen)
    finally:
        lock.release()
    assert (store / "journal").read_text() == "first"
