"""Seeds of what lies in files: journal entries and files, tables, segment files, configurations, sketches."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from fuzz.file_check import BASE
from fuzz.seeds_features import sealed_seeds
from fuzz.seeds_messages import body
from fuzz.seeds_native import SPREADS, Seeds, filled_window, loghist_of, tdigest_of
from obsagent.head import entries, journal_format
from obsagent.head.accounts import SessionAccounts
from obsagent.head.budgets import Budgets
from obsagent.head.directory import IDENTITY_NAME
from obsagent.head.entries import Define, DefinedSeries, Entry, Frame
from obsagent.head.journal import encode_file_header, to_record
from obsagent.head.store import Store
from obsagent.reference import FeatureReference, Joint, Reference, Spread
from obsagent.reference.errors import ErrorCounter
from obsagent.reference.writer import pack
from obsagent.samples import Event, Exemplar, Kind, Series
from obsagent.segment import format as layout
from obsagent.segment.block import Mark, RawFrame, encode_block
from obsagent.segment.recover import FileHeader
from obsagent.segment.recover import encode_file_header as encode_segment_header
from obsagent.segment.tables import SessionRow, Tables, pack_exemplars, series_to_row

PAGES = Path(__file__).parents[1] / "unit" / "pages"
SESSION = bytes(range(16))
STORE_ID = b"store of seeds 1"
AT_MS = 1_700_000_000_000
WINDOW_MS = 10_000
SERIES = [
    Series(0, "latency", Kind.HISTOGRAM, {"service": "fraud", "worker": "0"}, "seconds", "", 6, "sum", "tdigest"),
    Series(1, "requests", Kind.COUNTER, {"service": "fraud"}),
    Series(2, "depth", Kind.GAUGE, {"service": "fraud", "overflow": "true"}, across="mean"),
]
ROW = SessionRow(SESSION, "fraud", "a", 7, AT_MS, 0, "4", 3, (40, 1, 2, 0, 3), AT_MS, False, 2)
EXEMPLAR = Exemplar(0, AT_MS - AT_MS % WINDOW_MS, 0.5, AT_MS, "4bf92f3577b34da6a3ce929d0e0e4736", "r-1")
EVENT = Event("deploy", AT_MS, {"service": "fraud", "version": "4"})
ACCOUNTS = SessionAccounts(10, 1, 0, 0, 2)

ENTRIES: dict[str, Entry] = {
    "known_series": entries.KnownSeries([series_to_row(series) for series in SERIES]),
    "known_session": entries.KnownSession(ROW, [0, 0, 1, 1]),
    "open": entries.SessionOpen(SESSION, "fraud", "a", 7, AT_MS, 0, "4"),
    "define": Define(SESSION, [DefinedSeries(number, number, series) for number, series in enumerate(SERIES)]),
    "define_refused": Define(SESSION, [DefinedSeries(3, entries.REFUSED_SERIES, None, "latency")]),
    "frame": Frame(SESSION, 4, 1, AT_MS, AT_MS + 50, ACCOUNTS, body()),
    "frame_with_exemplars": Frame(SESSION, 5, 1, AT_MS, AT_MS + 50, ACCOUNTS, body(), (EXEMPLAR,)),
    "refused": entries.Refused(SESSION, 5, 1, AT_MS, AT_MS, ACCOUNTS, "time", 3, AT_MS),
    "events": entries.Events(SESSION, 3, 1, 0, [EVENT]),
    "close": entries.SessionClose(SESSION, ACCOUNTS, AT_MS),
}


def entry_seeds() -> Seeds:
    for name, entry in ENTRIES.items():
        encoded = entries.encode(entry)
        payload = encoded.head + bytes(encoded.body)
        yield name, bytes((encoded.type,)) + payload[len(journal_format.MARKER) :]


def record_of(entry: Entry) -> bytes:
    """An entry as it lies in a journal."""
    return b"".join(to_record(entries.encode(entry)))


def journal_of(entries_: dict[str, Entry]) -> bytes:
    """A journal file of entries, those of the preamble first."""
    preamble = b"".join(record_of(entry) for name, entry in entries_.items() if name.startswith("known"))
    rest = b"".join(record_of(entry) for name, entry in entries_.items() if not name.startswith("known"))
    return encode_file_header(STORE_ID, BASE, len(preamble)) + preamble + rest


def journal_seeds() -> Seeds:
    whole = journal_of(ENTRIES)
    yield "whole", whole
    yield "empty", journal_of({})
    yield "torn", whole[:-7]
    yield "flipped_in_the_middle", whole[:700] + bytes((whole[700] ^ 1,)) + whole[701:]
    yield "header_damaged", b"\0" + whole[1:]
    yield "without_preamble", journal_of({name: each for name, each in ENTRIES.items() if not name.startswith("known")})


def some_tables() -> Tables:
    """Something in every table."""
    return Tables(
        series=SERIES,
        sessions=[ROW],
        forgotten=[bytes(16)],
        accounts=[(AT_MS, "fraud", [40, 30, 1, 2, 0, 3, 4, 0])],
        totals={"fraud": [40, 30, 1, 2, 0, 3, 4, 0]},
        refused={"latency": 2},
        last_seen={"latency": AT_MS},
        events=[EVENT],
        event_totals={"fraud": [1, 0, 2]},
        windows=[AT_MS],
        exemplars=pack_exemplars([EXEMPLAR]),
    )


def tables_seeds() -> Seeds:
    yield "something_in_each", some_tables().to_bytes()
    yield "empty", Tables().to_bytes()


def block_of(kind: int, sequence: int, tables: Tables, windows: int) -> bytes:
    """A block of one frame a window."""
    frames = [
        RawFrame(AT_MS + WINDOW_MS * number, *filled_window(1 + number, digests=False).encode_frames()[0])
        for number in range(windows)
    ]
    return b"".join(encode_block(kind, sequence, Mark(10, 20, AT_MS), AT_MS, tables, frames).buffers)


def segment_of(*blocks: bytes) -> bytes:
    """A segment file of blocks."""
    return encode_segment_header(FileHeader(STORE_ID, AT_MS)) + b"".join(blocks)


def segment_seeds() -> Seeds:
    head = block_of(layout.BLOCK_HEAD, 1, some_tables(), 1)
    checkpoint = block_of(layout.BLOCK_CHECKPOINT, 1, some_tables(), 2)
    second = block_of(layout.BLOCK_CHECKPOINT, 2, Tables(), 1)
    yield "checkpoints", segment_of(head, checkpoint, second)
    yield "no_frames", segment_of(head, block_of(layout.BLOCK_CHECKPOINT, 1, Tables(), 0))
    yield "torn", segment_of(head, checkpoint, second)[:-9]
    yield "damage_between", segment_of(head, b"\0" * 50, second)
    yield "header_only", segment_of()
    yield "compacted", compacted_segment()


def compacted_segment() -> bytes:
    """A file that compaction wrote."""
    clock: Any = SimpleNamespace(wall_ms=lambda: at[0], monotonic_ms=lambda: at[0])
    at = [AT_MS]
    with TemporaryDirectory() as folder:
        store = Store.open(Path(folder), clock=clock, budgets=Budgets(segment_file_age_ms=2 * WINDOW_MS))
        store.write(ENTRIES["open"])
        store.write(ENTRIES["define"])
        for sequence in range(1, 6):
            store.write(Frame(SESSION, sequence, 1, at[0], at[0] + 50, SessionAccounts(5 * sequence), body()))
            at[0] += WINDOW_MS
            store.checkpoint()
        while store.maybe_compact(at[0]):
            pass
        found = sorted((Path(folder) / "segments").glob("*-*"))[0].read_bytes()
        store.close()
    return found


def identity_seeds() -> Seeds:
    with TemporaryDirectory() as folder:
        Store.open(Path(folder)).close()
        yield "identity", (Path(folder) / IDENTITY_NAME).read_bytes()
    yield "empty", b""


def config_seeds() -> Seeds:
    yield "empty", b""
    yield (
        "every_key",
        b"""data = "/var/lib/obsagent"
listen = "ipc:///run/obsagent/ingest.sock"
serve = "tcp://127.0.0.1:9465"
series_per_metric = 500
series_total = 5_000
head_budget = "64MiB"
[metrics.latency]
scale = 7
[metrics."a b"]
""",
    )
    yield "misspelt", b'dta = "x"\n'
    yield "wrong_types", b"series_total = 1.5\n"
    yield "bytes_as_number", b"head_budget = 134217728\n"
    yield "a_fraction_of_bytes", b'head_budget = "1.5 GB"\n'
    yield "no_toml", b"data = \n[["


def exposition_seeds() -> Seeds:
    for name in ("openmetrics", "triton", "torchserve"):
        yield name, (PAGES / f"{name}.txt").read_bytes()
    yield "empty", b""
    yield "a_page_of_something_else", b"<!DOCTYPE html>\n<html><body>404</body></html>\n"
    yield "names_in_quotes", b'{"a.b","c d"="e"} 1\n'


def reference_seeds() -> Seeds:
    digest = tdigest_of([0.5, 1.0, 3.0]).to_bytes()
    spread = Spread(1.5, 3.5, 3.0, 6.125, 0.5, 3.0)
    bins = {"edges": (0.5, 2.0, 3.0), "counts": (0, 2, 1, 0), "sums": (0.0, 1.5, 3.0, 0.0)}
    number = FeatureReference("number", "float", 3, 1, **bins, distinct=3.0, spread=spread, tdigest=digest, kappa0=4.0)
    classes = FeatureReference("category", "text", 4, categories=("0", "1"), category_counts=(3, 1, 0), distinct=2.0)
    joint = Joint(0.0, 1.0, 1024, ("0", "1"), ("0", "1"), {(0, 0, 0): 3, (700, 1, 1): 1})
    outputs = {"prediction.value": classes, "prediction.score": number}
    yield "empty", pack(Reference("m"))
    yield "features", pack(Reference("m", "4", 4, {"amount": number, "country": classes}, left_out={"when": "a date"}))
    yield "joint", pack(Reference("m", "", 4, {"x": number}, outputs, classes, joint, source="train.csv"))
    errors = ErrorCounter()
    errors.add([1.0, 2.5, -3.0], [0.0, 2.0, -4.5])
    yield "errors", pack(Reference("m", "", 4, {}, {"prediction.value": number}, number, errors=errors.result()))


def sketch_seeds() -> Seeds:
    for name in ("empty", "latencies", "both_signs", "not_finite"):
        yield f"loghist_{name}", loghist_of(SPREADS[name]).to_bytes()
        yield f"tdigest_{name}", tdigest_of(SPREADS[name]).to_bytes()
    yield from sealed_seeds()
