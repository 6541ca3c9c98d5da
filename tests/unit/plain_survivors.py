"""Says from the two FORMAT.md alone what is left of a damaged store, and of which time something is lost.

Nothing of obsagent is imported here. It knows counters only: a frame, a row and an entry are whole or they are not,
whatever is in them.
"""

from __future__ import annotations

import json
import re
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
from plain_crc32c import crc32c
from plain_journal import (
    BACKFILL,
    CLOSE,
    DEFINE,
    EVENTS,
    FRAME,
    FRAME_WITH_EXEMPLARS,
    KNOWN_REACH,
    KNOWN_SERIES,
    OPEN,
    REFUSED,
    JournalFile,
    Newer,
    belongs,
    read_journal,
)
from plain_reader import COMPACTED, COUNTER, HEAD, varint
from plain_segment import NAME, WINDOW, Content, File, Header, content, created_of, scan, store_id_of

PAST, FUTURE = 7_200_000, 10_000
FOREVER = (1 << 63) - 1
JOURNAL_NAME = re.compile(r"(\d{20})\.journal")
NOT_BEFORE_LOW = (FRAME, FRAME_WITH_EXEMPLARS, BACKFILL, REFUSED, CLOSE, EVENTS)

Key = tuple[int, str, tuple[tuple[str, str], ...]]
"""Window, metric, labels."""


@dataclass
class Prediction:
    """Counters as (increments, sum), the gaps, which neither touch nor overlap, and exemplars: value, time, ids."""

    values: dict[Key, tuple[int, float]]
    gaps: list[tuple[int, int]]
    exemplars: dict[Key, list[Any]]


def window(at: int) -> int:
    return at - at % WINDOW


def whole(begin: int, end: int) -> tuple[int, int]:
    return window(max(0, begin)), -window(-end)


def union(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for begin, end in sorted(gap for gap in gaps if gap[0] < gap[1]):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found


def predict(directory: Path, now: int) -> Prediction:
    """What a reader has to find in a store that nobody has open."""
    return _Store(directory, now).prediction()


class Loss(NamedTuple):
    """What is lost: behind which steps and file begins, which positions (no end: all), whether it may have defined."""

    step: int
    files: int
    begin: int
    end: int | None
    defines: bool


# --- the store


class _Store:
    def __init__(self, directory: Path, now: int) -> None:
        self.directory, self.now = directory, now
        self.gaps: list[tuple[int, int]] = []
        self.values: dict[tuple[int, int], tuple[int, float]] = {}
        self.exemplars: dict[tuple[int, int], list[Any]] = {}
        self.series: dict[int, tuple[str, tuple[tuple[str, str], ...]]] = {}
        self.sessions: dict[bytes, int] = {}
        self.numbers: dict[bytes, dict[int, int]] = {}
        self.steps: list[tuple[int, int, int | None, tuple[int, int] | None]] = []
        self.losses: list[Loss] = []
        self.files_begin: list[int] = []
        self.lost_definitions = False
        self.by_clock: list[tuple[Header | None, Header]] = []
        self.past = PAST

    def prediction(self) -> Prediction:
        store_id = self.identity()
        journal = sorted(path for path in (self.directory / "journal").iterdir() if JOURNAL_NAME.fullmatch(path.name))
        journal = [path for path in journal if path.is_file() and belongs(path, store_id)]
        self.blocks(store_id, int(journal[0].name[:20]) if journal else None)
        self.checkpoint()
        self.replay(journal)
        self.journal_gaps()
        self.gaps_by_clock()
        if self.unfolded and self.lost_definitions:
            spans = [header.span for header in self.counted[min(self.unfolded) :]]
            spans = [span for span in spans if span[0] < span[1]]
            if spans:
                self.gaps.append((min(span[0] for span in spans), max(span[1] for span in spans)))
        whole_from = self.whole_from()
        values: dict[Key, tuple[int, float]] = {}
        for (start, series), value in self.values.items():
            if series in self.series and start >= whole_from:
                values[(start, *self.series[series])] = value
        exemplars = {
            (start, *self.series[series]): found
            for (start, series), found in self.exemplars.items()
            if series in self.series and start >= whole_from
        }
        return Prediction(values, union(self.gaps), exemplars)

    def whole_from(self) -> int:
        """What the first file of which anything is whole says of the windows before it; earlier ones are not read."""
        if not self.counted:
            return 0
        first = self.counted[0]
        if int(first.path.name[:16]) <= 1:
            return 0
        return min(self.newest_before(first), self.in_time(first))

    def newest_before(self, first: Header) -> int:
        """The end of the newest window before a file, whose first block this is."""
        tables = content(first, self.data[first.path]).tables
        told = tables is not None and len(tables) > 10 and tables[10] is not None
        return int(tables[10]) if tables is not None and told else self.in_time(first)

    def in_time(self, first: Header) -> int:
        return (created_of(self.data[first.path]) or first.written) + FUTURE + WINDOW

    def identity(self) -> bytes | None:
        try:
            fields = json.loads((self.directory / "store.json").read_bytes())
            store_id = uuid.UUID(fields["store_id"]).bytes
            sound = fields["crc"] == crc32c(str(int(fields["format"])).encode() + store_id)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        if sound and int(fields["format"]) > 1:
            raise Newer
        return store_id if sound else None

    def blocks(self, store_id: bytes | None, replay_from: int | None) -> None:
        paths = sorted((self.directory / "segments").iterdir())
        paths = [path for path in paths if NAME.fullmatch(path.name) and path.is_file()]
        files = [scan(path) for path in paths]
        ids = {file.path: store_id_of(file) for file in files}
        self.data = {file.path: file.data for file in files}
        if files and files[-1].last is None and files[-1].blocks:
            last = files[-1].blocks[-1]
            found = content(last, files[-1].data)
            if found.tables is None or found.lost or self.frames_lost(last, found):
                files[-1].torn = files[-1].blocks.pop()
        files = [file for file in files if store_id is None or ids[file.path] in (None, store_id)]
        files = [file for file in files if not file.blocks or any(self.fits(file, each) for each in file.blocks)]
        counted: list[Header] = []
        files = self.not_superseded(files)
        self.first = files[0].first if files else 0
        for file in files:
            for header in file.blocks:
                reached = max((each.sequence for each in counted if each.kind != HEAD), default=0)
                if (header.sequence if header.kind == HEAD else header.begin) > reached:
                    counted.append(header)
        self.torn: Header | None = files[-1].torn if files else None
        self.counted = self.weigh_last(counted, files, replay_from)
        for header in self.counted:
            if header.kind != HEAD:
                found = content(header, self.data[header.path])
                self.gaps += found.lost
                for start, its_rows in found.frames:
                    for series, kind, payload in its_rows:
                        self.add(start, series, kind, payload)
                if found.tables is not None and found.tables[13]:
                    self.add_exemplars(msgpack.unpackb(found.tables[13]))
        self.holes()

    @staticmethod
    def frames_lost(header: Header, found: Content) -> bool:
        """Of a head block damaged totals have no time, but are damage all the same."""
        return header.kind == HEAD and len(found.frames) < header.frame_count

    def not_superseded(self, files: list[File]) -> list[File]:
        for file in files:
            file.blocks = [header for header in file.blocks if self.fits(file, header)]
        begins = sorted({file.first for file in files})
        for file in files:
            later = [begin for begin in begins if begin > file.first]
            if later and file.last is None:
                file.blocks = [header for header in file.blocks if header.sequence < later[0]]
        ranges = [(h.begin, h.sequence) for file in files for h in file.blocks if h.kind == COMPACTED]
        kept = []
        for file in files:
            own = [header for header in file.blocks if header.kind != HEAD]
            covering = [span for span in ranges if own and span[0] <= own[0].begin and own[-1].sequence <= span[1]]
            mine = (own[0].begin, own[-1].sequence) if own else None
            if not any(span != mine or file.last is None for span in covering):
                kept.append(file)
        return kept

    @staticmethod
    def fits(file: File, header: Header) -> bool:
        if file.last is None:
            return header.kind != COMPACTED and header.sequence >= file.first
        if header.kind == COMPACTED:
            return (header.begin, header.sequence) == (file.first, file.last)
        return header.kind == HEAD and header.sequence == file.last

    def weigh_last(self, counted: list[Header], files: list[File], replay_from: int | None) -> list[Header]:
        own = [header for header in counted if header.kind != HEAD]
        low = own[-1].low if own else 0
        if not files:
            return counted
        replay_from = FOREVER if replay_from is None else replay_from
        is_head = bool(counted) and counted[-1].kind == HEAD and counted[-1].path == files[-1].path
        if replay_from <= low:
            if is_head and files[-1].last is None:
                return counted[:-1]
        elif self.torn is not None:
            if content(self.torn, self.data[self.torn.path]).tables is None:
                self.gaps.append(self.torn.span)
            else:
                counted, self.torn = [*counted, self.torn], None
        return counted

    def add_exemplars(self, rows: list[list[Any]]) -> None:
        for series, start, *found in rows:
            self.exemplars[start, series] = max(self.exemplars.get((start, series), found), found)

    def add(self, start: int, series: int, kind: int, payload: bytes) -> None:
        assert kind == COUNTER, "the stores that are damaged have counters only"
        increments, at = varint(payload, 0)
        (value,) = struct.unpack_from("<d", payload, at)
        before = self.values.get((start, series), (0, 0.0))
        self.values[start, series] = before[0] + increments, before[1] + value

    def holes(self) -> None:
        before: Header | None = None
        self.behind_holes = []
        first = self.first
        for number, header in enumerate(self.counted):
            if header.kind == HEAD:
                continue
            if header.begin > first:
                self.hole(first, header.begin - 1, before, header)
                self.behind_holes.append(number)
            before, first = header, header.sequence + 1
        if self.counted and self.counted[-1].kind == HEAD:
            head = self.counted[-1]
            if first <= head.sequence:
                self.behind_holes.append(len(self.counted) - 1)
                if self.torn is None or head.sequence < self.torn.sequence:
                    self.hole(first, head.sequence, before, head)

    def hole(self, first: int, last: int, before: Header | None, after: Header) -> None:
        if first <= 1 < int(after.path.name[:16]):
            self.gaps.append(
                whole(0, self.newest_before(next(each for each in self.counted if each.path == after.path)))
            )
            return
        behind = self.counted[self.counted.index(after) :]
        of_file = [header for header in self.counted if header.path == after.path and header.kind == HEAD]
        tellers = [after, *of_file, *(header for header in behind if header.kind == HEAD)]
        tellers = list(dict.fromkeys(tellers))[:4]
        told: list[tuple[int, list[int]]] = []
        for teller in tellers:
            tables = content(teller, self.data[teller.path]).tables
            if tables is None or len(tables) < 13 or tables[12] is None:
                continue
            end = int(teller.path.name[:16]) if teller.kind == HEAD else teller.begin
            told.append((end, tables[12]))
            used, wanted = [], first
            while wanted <= last:
                fitting = [each for each in told if each[1][0] <= wanted < each[0]]
                if not fitting:
                    break
                wanted, previous = max(fitting)
                used.append(previous)
            else:
                spans = [(each[1], each[2] + WINDOW) for each in used if each[1] <= each[2]]
                if spans:
                    self.gaps.append((min(span[0] for span in spans), max(span[1] for span in spans)))
                return
        self.by_clock.append((before, after))

    def gaps_by_clock(self) -> None:
        for before, after in self.by_clock:
            begin = 0 if before is None else min(before.cutoff, before.written - self.past)
            self.gaps.append(whole(begin, after.written + FUTURE))

    def checkpoint(self) -> None:
        tables = [content(header, self.data[header.path]).tables for header in self.counted]
        heads = [n for n, header in enumerate(self.counted) if header.kind == HEAD and tables[n] is not None]
        begin = heads[-1] if heads else 0
        self.unfolded = [] if heads or not self.counted else [0]
        self.low = self.high = self.written = 0
        self.cutoff = FOREVER
        for number, header in enumerate(self.counted[begin:], begin):
            self.low, self.high, self.cutoff, self.written = header.low, header.high, header.cutoff, header.written
            fields = tables[number]
            if fields is None:
                self.unfolded.append(number)
                continue
            for row in fields[0]:
                self.know(row)
            for session in fields[2]:
                self.sessions.pop(session, None)
            for row in fields[1]:
                self.sessions[row[0]] = row[7]
            self.gaps += [(gap[0], gap[1]) for gap in (fields[11] if len(fields) > 11 else [])]
            self.past = max(self.past, fields[14] if len(fields) > 14 else 0)
        self.unfolded += [number for number in self.behind_holes if number > (heads[-1] if heads else -1)]

    def know(self, row: list[Any]) -> None:
        self.series[row[0]] = row[1], tuple(sorted(row[7].items()))

    def replay(self, paths: list[Path]) -> None:
        bases = [int(path.name[:20]) for path in paths]
        first = max((n for n, base in enumerate(bases) if base <= self.low), default=0)
        reached = self.low
        for number in range(first, len(paths)):
            file = read_journal(paths[number])
            following = bases[number + 1] if number + 1 < len(paths) else None
            if max(reached, self.low) < file.base:
                self.lose(max(reached, self.low), file.base, defines=False)
            if file.preamble_is_whole:
                self.files_begin.append(len(self.steps))
            else:
                self.lose(None, None, defines=True)
            limit = file.certain_end if following is None else min(file.end, following)
            for kind, fields in file.preamble:
                self.apply_preamble(kind, fields)
            self.replay_entries(file, limit)
            if following is None:
                if file.is_cut:
                    self.lose(limit, None, defines=False)
                elif file.damaged_end and limit == file.end:
                    self.lose(limit, limit + file.damaged_end, defines=True)
                if self.low < self.high and limit < self.high:
                    self.lose(max(limit, self.low), self.high, defines=False)
            reached = limit
        if not paths and self.high:
            self.lost_definitions = True
            self.lose(self.low, None, defines=False)

    def replay_entries(self, file: JournalFile, limit: int) -> None:
        damaged = [place for place in file.damaged if place[0] < limit]
        for position, end, kind, fields in file.entries:
            while damaged and damaged[0][0] < position:
                self.lose(*damaged.pop(0), defines=True)
            if position >= limit:
                break
            if position >= self.low or kind not in NOT_BEFORE_LOW:
                self.apply(position, end, kind, fields)

    def lose(self, begin: int | None, end: int | None, *, defines: bool) -> None:
        self.lost_definitions = self.lost_definitions or defines
        at = len(self.steps), len(self.files_begin)
        self.losses.append(Loss(*at, -1 if begin is None else begin, end, defines))

    def apply_preamble(self, kind: int, fields: Any) -> None:
        if kind == KNOWN_SERIES:
            for row in fields[0]:
                if row[0] not in self.series:
                    self.know(row)
            return
        if kind == KNOWN_REACH:
            self.past = max(self.past, fields[0])
            return
        row, pairs = fields
        self.sessions.setdefault(row[0], row[7])
        self.number(row[0], zip(pairs[::2], pairs[1::2], strict=True))

    def number(self, session: bytes, pairs: Any) -> None:
        for number, series in pairs:
            own = self.numbers.setdefault(session, {})
            own[number] = series if series in self.series else -1

    def needed(self, position: int, at: int) -> int | None:
        if position < self.low or (position < self.high and window(at) < self.cutoff):
            return None
        return window(at)

    def apply(self, position: int, end: int, kind: int, fields: Any) -> None:
        session = fields[0]
        if kind == OPEN:
            self.step(position, None, None)
            if position >= self.high or session not in self.sessions:
                self.sessions.setdefault(session, 0)
        elif kind == DEFINE:
            self.step(position, None, None)
            if session not in self.sessions:
                self.lose(position, end, defines=True)
                return
            for _, _, row, _ in fields[1]:
                if row is not None:
                    self.know(row)
            self.number(session, [(each[0], each[1]) for each in fields[1]])
        elif kind == EVENTS:
            self.step(position, None, None)
        elif kind == CLOSE:
            self.step(position, (fields[2], fields[2]), self.needed(position, fields[2]))
            self.require(session, position, fields[2])
        elif kind == REFUSED:
            self.step(position, (fields[2], fields[2] + WINDOW), self.needed(position, fields[2]))
            if self.require(session, position, fields[2]) and position >= self.high:
                self.sessions[session] = max(self.sessions[session], fields[1])
        else:
            self.apply_frame(kind, position, *fields)

    def apply_frame(
        self,
        kind: int,
        position: int,
        session: bytes,
        sequence: int,
        start: int,
        end: int,
        body: bytes,
        exemplars: list[list[Any]] | None = None,
    ) -> None:
        taken = None if kind == BACKFILL else (end - FUTURE, end + PAST)
        self.step(position, taken, self.needed(position, start))
        if not self.require(session, position, start):
            return
        if position < self.high:
            if window(start) < self.cutoff:
                return
        elif sequence <= self.sessions[session]:
            return
        else:
            self.sessions[session] = sequence
        self.add_exemplars(exemplars or [])
        assert body[0] == 1
        at = 1
        while at < len(body):
            number, at = varint(body, at)
            assert body[at] == 3, "the stores that are damaged have counters only"
            begin = at + 1
            _, at = varint(body, begin)
            at += 8
            series = self.numbers.get(session, {}).get(number, -1)
            if series >= 0:
                self.add(window(start), series, COUNTER, body[begin:at])

    def require(self, session: bytes, position: int, at: int) -> bool:
        needed = self.needed(position, at)
        if session not in self.sessions and needed is not None:
            self.gaps.append((needed, needed + WINDOW))
        return session in self.sessions

    def step(self, position: int, taken: tuple[int, int] | None, needed: int | None) -> None:
        self.steps.append(
            (position, *(taken or (0, FOREVER)), (needed, needed + WINDOW) if needed is not None else None)
        )

    def journal_gaps(self) -> None:
        for loss in self.losses:
            spans: list[tuple[int, int]] = []
            before, behind = self.steps[: loss.step], self.steps[loss.step :]
            if loss.begin >= 0:
                spans.append(self.own_time(loss, before, behind))
            if loss.defines:
                until = [*self.files_begin, len(self.steps)][loss.files]
                spans += [step[3] for step in self.steps[loss.step : until] if step[3]]
            spans = [span for span in spans if span[0] < span[1]]
            if spans:
                self.gaps.append((min(span[0] for span in spans), max(span[1] for span in spans)))

    def own_time(self, loss: Loss, before: list[Any], behind: list[Any]) -> tuple[int, int]:
        begin = FOREVER
        if loss.begin < self.high and (loss.end is None or loss.end > self.low):
            begin = self.cutoff
        taken = self.written
        if loss.end is None or loss.end > self.high:
            heard = max([self.written, *(step[1] for step in before)])
            begin = min(begin, heard - self.past - WINDOW)
            taken = self.now
        taken = min([taken, *(step[2] for step in behind)])
        return whole(begin, taken + FUTURE) if begin < FOREVER else (0, 0)
