"""The power goes before every operation of the file system in turn, also while the store recovers from the last cut.

What the disk then holds of what was not synced is nothing, everything, or a random part of it. Whatever it is: the
store opens, holds everything that was acknowledged and nothing that was not sent, each thing once and bucket for
bucket, and when the clients have sent the rest again it holds all.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from crash.life import Life, Sequences, stored_in
from obsagent.head.store import Store
from unit.lossy_fs import Image, LossyFs, everything, nothing, some, write_image

AFTER_FAILURE = 12
"""Operations after one that failed, within which the power goes."""
SEED = int(os.environ.get("CRASH_SEED", "1"))
WHOLE = "CRASH_CYCLES" in os.environ
ROUNDS = 24 if WHOLE else 20


class Cut(NamedTuple):
    """What a disk may hold when the power goes before an operation, and what clients know then."""

    where: str
    operation: int
    image: Image
    now_ms: int
    acknowledged: Sequences
    sent: Sequences


class Cuts:
    """Collects the cuts at every operation of a file system while a life goes on."""

    def __init__(self, life: Life, where: str, variants: int, chance: random.Random) -> None:
        self.found: list[Cut] = []
        self._life = life
        self._where = where
        self._variants = variants
        self._chance = chance
        life.fs.each_operation = self.cut

    def cut(self, operation: str) -> None:
        fs, life = self._life.fs, self._life
        number = len(fs.log) + 1
        where = f"{self._where}, before its operation {number}, {operation}"
        known = life.clock.now_ms, life.acknowledged.copy(), life.sent()
        names = ["nothing", "everything", *(f"a part ({part})" for part in range(self._variants))]
        survivals = [nothing, everything, *(some(self._chance) for _ in range(self._variants))]
        for name, survives in zip(names, survivals, strict=True):
            image = fs.disk(life.directory, survives)
            self.found.append(Cut(f"{where}: {name} survives", number, image, *known))


class Disks:
    """Opens what is left after cuts; the same disk is opened once."""

    def __init__(self, life: Life, directory: Path, chance: random.Random) -> None:
        self._life = life
        self._directory = directory
        self._chance = chance
        self._known: dict[bytes, Sequences] = {}
        self.cuts = 0

    def __len__(self) -> int:
        return len(self._known)

    def check(self, cut: Cut, variants: int) -> list[Cut]:
        """The disk holds what it must; returns the cuts during its recovery, if it was not known yet."""
        key = digest(cut.image)
        again: list[Cut] = []
        self.cuts += 1
        try:
            if key not in self._known:
                self._known[key], again = self._open(cut, variants)
            stored = self._known[key]
            assert cut.acknowledged.is_within(stored)
            assert stored.is_within(cut.sent)
        except BaseException as error:
            error.add_note(f"power cut: {cut.where} (CRASH_SEED={SEED})")
            raise
        return again

    def _open(self, cut: Cut, variants: int) -> tuple[Sequences, list[Cut]]:
        shutil.rmtree(self._directory, ignore_errors=True)
        write_image(cut.image, self._directory)
        fs = LossyFs()
        fs.adopt(self._directory)
        life = Life.again(self._directory, fs, self._life, cut.now_ms, cut.acknowledged)
        cuts = Cuts(life, f"{cut.where}; recovery", variants, self._chance)
        life.open()
        fs.each_operation = None
        assert life.store.status()["corrupt"] == 0
        stored = stored_in(life.store, life.producers)
        if (self._directory / "segments").is_dir():
            assert stored_in(Store.open_read_only(self._directory, clock=life.clock), life.producers) == stored
        life.reconnect()
        life.sync()
        assert life.sent().is_within(life.acknowledged)
        life.maintain()
        life.store.close()
        assert life.sent().is_within(stored_in(Store.open_read_only(self._directory), life.producers))
        found = [each._replace(sent=cut.sent, acknowledged=cut.acknowledged) for each in cuts.found]
        return stored, found


def digest(image: Image) -> bytes:
    """Of names and contents."""
    whole = hashlib.blake2b()
    for path, data in sorted(image.items()):
        whole.update(hashlib.blake2b(repr((str(path), data)).encode()).digest())
    return whole.digest()


def a_life(directory: Path, variants: int, chance: random.Random, failing: int = 0) -> tuple[Life, list[Cut]]:
    """A life and what a disk may hold after each of its operations, or after the one that fails."""
    fs = LossyFs()
    fs.failing = range(failing, failing + 1)
    life = Life(directory, fs)
    cuts = Cuts(life, f"life in which operation {failing} fails" if failing else "life", variants, chance)
    life.live(ROUNDS)
    cuts.cut("the end")
    return life, cuts.found


def report(what: str, life: Life, disks: Disks) -> None:
    print(
        f"\n{what}: {len(life.fs.log)} operations, {disks.cuts} cuts, {len(disks)} different disks, CRASH_SEED={SEED}"
    )


def test_before_every_operation(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    life, cuts = a_life(tmp_path / "life", 8 if WHOLE else 1, chance)
    disks = Disks(life, tmp_path / "disk", chance)
    for cut in cuts:
        disks.check(cut, variants=0)
    assert {*life.fs.log} == {"create", "write", "sync_data", "sync_directory", "rename", "remove"}
    assert len(disks) > len(life.fs.log) / 2
    check_tiers_came_and_went(cuts)
    report("power cuts", life, disks)


def check_tiers_came_and_went(cuts: list[Cut]) -> None:
    """Files were rolled up and merged, and expired in the end, within the life that was cut."""
    rolled = [{path.name for path in cut.image if path.name.count(".") == 2} for cut in cuts]
    names = {name for its in rolled for name in its}
    for tier in (".60s.segment", ".3600s.segment"):
        lasts = [name.partition("-")[2] for name in names if name.startswith(f"{1:016d}") and name.endswith(tier)]
        assert len(lasts) > 1
    assert not rolled[-1]


def test_again_before_every_operation_of_the_recovery(tmp_path: Path) -> None:
    chance = random.Random(SEED + 1)
    life, cuts = a_life(tmp_path / "life", 1, chance)
    disks = Disks(life, tmp_path / "disk", chance)
    recoveries = 0
    for cut in cuts if WHOLE else chance.sample(cuts, 12):
        again = disks.check(cut, variants=2 if WHOLE else 1)
        recoveries += bool(again)
        for second in again:
            disks.check(second, variants=0)
    assert recoveries > 5
    report(f"power cuts during {recoveries} recoveries", life, disks)


class Killed(BaseException):
    """Nothing of the process runs any more."""


def killed_life(directory: Path, at: int) -> Life:
    """A life that ends before an operation: what it wrote is there for others to see, but not on the disk for that."""
    fs = LossyFs()
    life = Life(directory, fs)

    def kill(_: str) -> None:
        if len(fs.log) >= at:
            raise Killed

    fs.each_operation = kill
    with suppress(Killed):
        life.live(ROUNDS)
    fs.each_operation = None
    life.abandon()
    return life


def test_while_the_next_process_goes_on_after_a_kill(tmp_path: Path) -> None:
    """It must not build on anything that the dead one wrote and did not sync."""
    chance = random.Random(SEED + 3)
    life, _ = a_life(tmp_path / "life", 0, chance)
    operations = range(4, life.operations_until_close)
    before_syncs = [number for number in operations if life.fs.log[number].startswith("sync")]
    for number in operations if WHOLE else chance.sample(before_syncs, 7):
        directory = tmp_path / str(number)
        first = killed_life(directory / "life", number)
        life = Life.again(first.directory, first.fs, first, first.clock.now_ms, first.acknowledged)
        cuts = Cuts(life, f"life killed before operation {number}, the next one", 1, chance)
        life.open()
        life.reconnect()
        life.sync()
        life.maintain()
        cuts.cut("going on")
        life.abandon()
        disks = Disks(life, directory / "disk", chance)
        for cut in chance.sample(cuts.found, min(30 if WHOLE else 12, len(cuts.found))):
            disks.check(cut, variants=0)
        report(f"power cuts after a kill before operation {number}", life, disks)


def test_after_a_sync_that_failed(tmp_path: Path) -> None:
    """What was to be synced then is never certain any more, whatever the same file is asked later."""
    chance = random.Random(SEED + 2)
    life, _ = a_life(tmp_path / "life", 0, chance)
    syncs = [number for number, name in enumerate(life.fs.log, 1) if name.startswith("sync")]
    for number in syncs if WHOLE else chance.sample(syncs, 4):
        directory = tmp_path / str(number)
        life, cuts = a_life(directory / "life", 1, chance, failing=number)
        disks = Disks(life, directory / "disk", chance)
        after = [cut for cut in cuts if cut.operation >= number]
        for cut in after[: 3 * AFTER_FAILURE] if WHOLE else chance.sample(after, min(10, len(after))):
            disks.check(cut, variants=0)
        report(f"power cuts after operation {number} failed", life, disks)
