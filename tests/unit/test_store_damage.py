"""Damaged and lost files of the store: what that costs, and that it is counted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from failing_store import Lab
from faulty_fs import FailingFs, flip
from store_lab import BEGIN_MS

from obsagent._native.codec import Groups
from obsagent.head.budgets import Budgets
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


NO_IDENTITY = [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "store_id": 5}', b'{"format": 9, "crc": 1}']


@pytest.mark.parametrize("content", NO_IDENTITY)
def test_a_damaged_identity_is_made_up_for_by_the_files(lab: Lab, content: bytes) -> None:
    lab.send()
    store_id = lab.store.status()["store_id"]
    lab.store.close()
    (lab.directory / "store.json").write_bytes(content)
    lab.open()
    assert lab.store.status()["store_id"] == store_id
    assert (lab.directory / "store.json.corrupt").read_bytes() == content
    lab.check()


def test_a_damaged_entry_costs_itself_and_is_counted(lab: Lab) -> None:
    ends = [lab.send() for _ in range(3)]
    lab.store.sync()
    lab.store._store_lock.release()
    (path,) = (lab.directory / "journal").iterdir()
    flip(path, path.stat().st_size - (ends[2] - ends[1]) - 5)  # in the second frame's body
    reader = Store.open_read_only(lab.directory)
    assert reader.status()["corrupt"] == 1
    lab.open()
    assert lab.store.status()["corrupt"] == 1
    assert f"{path.name}.corrupt" in lab.files("journal")
    stored = lab.store.status()["accounts"]["total"]
    lost = lab.producer.sent[1].accounts.observed - lab.producer.sent[0].accounts.observed
    assert stored["pending"] == lost
    lab.send()
    lab.store.close()
    lab.open()
    assert lab.store.status()["accounts"]["total"]["pending"] == lost


def test_a_lost_journal_file_is_counted(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(journal_file_bytes=300))
    for _ in range(6):
        lab.send()
        lab.store.sync()
    names = lab.files("journal")
    assert len(names) > 3
    (lab.directory / "journal" / names[1]).unlink()
    lab.kill()
    assert lab.store.status()["corrupt"] == 1
    assert lab.store.status()["sessions"][0]["last_applied"] == 6


def test_damage_met_by_a_query_is_counted(lab: Lab) -> None:
    lab.send()
    lab.store.checkpoint()
    path = next((lab.directory / "segments").iterdir())
    block = lab.store.view().blocks[-1]
    flip(path, block.offset + block.header.frames_offset + 3)
    for _ in range(2):
        lab.store.view().collect(0, 1 << 60, Groups({one.id: 0 for one in lab.producer.defined}, 1))
        assert lab.store.status()["corrupt"] == 1


def small_store(lab: Lab) -> dict[str, bytes]:
    """Two blocks in a segment, two frames in the journal; every file by its name."""
    for _ in range(4):
        lab.send()
        lab.store.sync()
        if lab.clock.now_ms < BEGIN_MS + 2 * WINDOW_MS:
            lab.store.checkpoint()
        lab.clock.now_ms += WINDOW_MS
    lab.store._store_lock.release()
    files = (path for path in lab.directory.rglob("*") if path.is_file() and path.name != "store.lock")
    return {str(path.relative_to(lab.directory)): path.read_bytes() for path in files}


def test_no_flipped_bit_keeps_the_agent_from_starting(lab: Lab, tmp_path: Path) -> None:
    """And none brings back more than was stored, or costs more than the block or entry that it is in.

    An entry that says what series numbers mean takes with it what is in the journal of that session.
    """
    whole = small_store(lab)
    sent = [frame.accounts.observed for frame in lab.producer.sent]
    each = [after - before for before, after in zip([0, *sent], sent, strict=False)]
    assert len([name for name in whole if "segment" in name or "journal" in name]) == 2
    copy = tmp_path / "copy"
    for name, data in whole.items():
        for offset in range(0, len(data), 13):
            for other, content in whole.items():
                (copy / other).parent.mkdir(parents=True, exist_ok=True)
                (copy / other).write_bytes(content)
            damaged = bytearray(data)
            damaged[offset] ^= 1 << offset % 8
            (copy / name).write_bytes(damaged)
            store = Store.open(copy, clock=lab.clock, fs=FailingFs())
            groups = Groups({one.id: 0 for one in lab.producer.defined}, 1)
            store.view().collect(0, 1 << 60, groups)
            lost = sum(each) - groups.samples(0)
            assert lost in (0, *each, sum(each[2:])), (name, offset)
            assert not lost or store.status()["corrupt"] or name.startswith("journal"), (name, offset)
            store.close()
            shutil.rmtree(copy)
