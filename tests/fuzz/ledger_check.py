"""What must hold for any bytes as a file of the ledger: a manifest, or a run with its heap behind it."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from struct import Struct

import numpy as np

from fuzz.block_parts import Mutate, with_edge
from fuzz.scratch import SCRATCH
from fuzz.trees import mutate_msgpack
from fuzz.wire_check import check_complaint
from obsagent._native.codec import crc32c
from obsagent.by_id.batches import Ids, Predictions, Values
from obsagent.errors import CorruptData, StoreError
from obsagent.fs import Fs
from obsagent.ledger import format as layout
from obsagent.ledger.encoding import encodings_of
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.manifest import NAMES, Manifest
from obsagent.ledger.merge import run_path
from obsagent.ledger.run import BY_NUMBER, Run, heap_of
from obsagent.ledger.run_writer import RunWriter
from obsagent.ledger.tables import ROWS, Block, Table, row_count

DIRECTORY = SCRATCH / "ledger"
KEY = bytes(range(32))
AT_MS = 1_700_000_000_000
TABLE_AT = 10
HEADER_FIELDS, FOOTER_FIELDS = "HBBIQQII", "qqQII"
GROUPS_MAX = 100
"""So many checksums are mended."""
CRC = Struct("<I")
KEYS_LOOKED_FOR = 50
GOES_ON_ONE_IN = 16
NUMBER_LAST = 1 << 61
_BATCH = Predictions("m", "1", "", (), Ids(b"\1", b"a"), AT_MS.to_bytes(8, "little"), Values(bytes(8)), bytes(8))


def check_ledger(data: bytes, *, goes_on: bool = True) -> None:
    """By its magic one or the other; what can be read is gone on with, or not."""
    if data.startswith(layout.MANIFEST_MAGIC):
        _check_manifest(data, goes_on=goes_on)
    else:
        _check_run(data, goes_on=goes_on)


def check_part_of_ledger(data: bytes) -> None:
    """Some of what can be read, which the bytes decide, is gone on with."""
    check_ledger(data, goes_on=crc32c(data) % GOES_ON_ONE_IN == 0)


def _check_manifest(data: bytes, *, goes_on: bool) -> None:
    """Refused, or written again as the same and good enough for a ledger that goes on, is flushed and opened again."""
    try:
        manifest = Manifest.decode(data)
    except (CorruptData, StoreError) as error:
        check_complaint(error)
        return
    again = manifest.encode()
    assert Manifest.decode(again).encode() == again
    if not goes_on:
        return
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir()
    (DIRECTORY / NAMES[0]).write_bytes(data)
    ledger = Ledger.open(DIRECTORY, Fs(), KEY)
    _ask(ledger)
    if manifest.next_run > NUMBER_LAST:
        return
    ledger.apply(_BATCH, session=bytes(16), sequence=1, rows=1, dropped=0, position=manifest.position)
    ledger.flush(manifest.position + 1, AT_MS)
    assert Ledger.open(DIRECTORY, Fs(), KEY).position == manifest.position + 1


def _ask(ledger: Ledger) -> None:
    view = ledger.view()
    assert all(series.model in {model.name for model in view.models()} for series in view.series())
    assert not view.find(None, "a").predictions  # all runs are missing
    assert len(view.arrivals().count) == 0
    ledger.asked()
    ledger.status()


def _check_run(data: bytes, *, goes_on: bool) -> None:
    """Refused when it is opened or read, or the same when it is written and read again, where every key is found."""
    run_bytes, heap = _split(data)
    path = run_path(SCRATCH, 1, BY_NUMBER.get(data[TABLE_AT] if len(data) > TABLE_AT else 0, ROWS))
    _replace(path, run_bytes)
    _replace(heap_of(path), heap)
    try:
        run = Run(path, 1)
        block = _read(run)
        if goes_on:
            _check_finding(run, block)
    except CorruptData as error:  # DamagedRun is one
        check_complaint(error)
        return
    if goes_on:
        _check_again(run.table, block)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """A run, and of rows what lies behind it, which is taken for its heap."""
    if len(data) < layout.RUN_HEADER.size or data[TABLE_AT] != ROWS.number:
        return data, b""
    *_, offset, size, _, _, _ = layout.RUN_HEADER.unpack_from(data)
    return data[: offset + size], data[offset + size :]


def _replace(path: Path, data: bytes) -> None:
    """Another file of that name: the one before may still be mapped."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _read(run: Run) -> Block:
    """Every column of every row, and every blob."""
    run.check_all()
    block = run.slice(0, run.rows)
    for name, kind in run.table.columns.items():
        assert block[name].dtype == kind
        assert len(block[name]) == run.rows
    if run.table is ROWS:
        for row in range(run.rows):
            assert len(run.blob(row)) == block["size"][row]
    return block


def _check_finding(run: Run, block: Block) -> None:
    """Rows that are taken are those that were read; and keys, that are there and others."""
    rows = np.arange(run.rows)
    for name, kind in run.table.columns.items():
        assert np.array_equal(run.take(name, rows), block[name], equal_nan=kind.kind == "f")
    primary = block[run.table.primary]
    for keys in (np.unique(primary)[:KEYS_LOOKED_FOR], np.unique(np.array([0, 1, 2**62], primary.dtype))):
        found = run.find(keys)
        assert np.array_equal(found.which, np.unique(found.which))
        assert ((found.begins >= 0) & (found.begins < found.ends) & (found.ends <= run.rows)).all()


def _check_again(table: Table, block: Block) -> None:
    primary = block[table.primary]
    if (primary[1:] < primary[:-1]).any():
        return
    path = run_path(SCRATCH, 2, table)
    path.unlink(missing_ok=True)
    fs = Fs()
    with fs.new_file(path) as descriptor:
        writer = RunWriter(fs, descriptor, table, encodings_of(table, block), row_count(block))
        writer.add(block)
        writer.finish()
    fs.close(descriptor)
    _replace(heap_of(path), b"")
    run = Run(path, 2)
    again = run.slice(0, run.rows)
    for name, kind in table.columns.items():
        assert np.array_equal(again[name], block[name], equal_nan=kind.kind == "f"), name
    keys = np.unique(primary)
    found = run.find(keys)
    assert np.array_equal(found.which, np.arange(len(keys)))
    assert np.array_equal(found.begins, np.searchsorted(primary, keys, "left"))
    assert np.array_equal(found.ends, np.searchsorted(primary, keys, "right"))


def mutate_ledger(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Changes what checksums cover, and mends them."""
    if chance.random() < 0.1:
        return mutate(data, size_max)
    if data.startswith(layout.MANIFEST_MAGIC) and len(data) >= layout.MANIFEST_HEADER.size:
        return _other_manifest(data, size_max, chance, mutate)
    run, heap = _split(data)
    if len(run) < layout.RUN_HEADER.size or not data.startswith(layout.RUN_MAGIC):
        return mutate(data, size_max)
    _, version, table, columns, group_rows, rows, offset, *_ = layout.RUN_HEADER.unpack_from(run)
    body, footer = run[layout.RUN_HEADER.size : offset], run[offset:]
    what = chance.randrange(5)
    if what == 0:
        body = mutate(body, size_max)
    elif what == 1:
        footer = mutate(footer, size_max)
    elif what == 2 and len(footer) >= layout.RUN_FOOTER.size:
        footer = with_edge(footer, 0, FOOTER_FIELDS, chance)
    elif what == 3:
        footer = _other_column(footer, max(columns, 1), chance)
    elif chance.random() < 0.5:
        heap = mutate(heap, size_max)
    body, footer = _mended(table, group_rows, rows, body, footer)
    fields = (version, table, columns, group_rows, rows, len(body) + layout.RUN_HEADER.size)
    header = layout.RUN_HEADER.pack(layout.RUN_MAGIC, *fields, len(footer), crc32c(footer), 0, 0)
    if what == 4:
        header = with_edge(header, len(layout.RUN_MAGIC), HEADER_FIELDS, chance)
    return (header[: -CRC.size] + CRC.pack(crc32c(header[: -CRC.size])) + body + footer + heap)[:size_max]


def _other_manifest(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    size = layout.MANIFEST_HEADER.size
    payload = mutate_msgpack(data[size:], max(1, size_max - size), chance, mutate)
    _, version, reserved, generation, *_ = layout.MANIFEST_HEADER.unpack_from(data)
    header = layout.MANIFEST_HEADER.pack(layout.MANIFEST_MAGIC, version, reserved, generation, len(payload), 0)
    header = header[: -CRC.size]
    return header + CRC.pack(crc32c(payload, crc32c(header))) + payload


def _other_column(footer: bytes, columns: int, chance: Random) -> bytes:
    """Another encoding, lowest or highest value."""
    at = layout.RUN_FOOTER.size + chance.randrange(columns) * layout.COLUMN.size
    if len(footer) < at + layout.COLUMN.size:
        return footer
    if chance.random() < 0.5:
        return footer[:at] + bytes([chance.randrange(7)]) + footer[at + 1 :]
    return with_edge(footer, at + 8, "qq", chance)


def _mended(table_number: int, group_rows: int, rows: int, body: bytes, footer: bytes) -> tuple[bytes, bytes]:
    """The bytes of groups and sieve as long as the footer says, and the footer with their checksums."""
    table = BY_NUMBER.get(table_number)
    if table is None or group_rows == 0 or rows > group_rows * GROUPS_MAX or len(footer) < layout.RUN_FOOTER.size:
        return body, footer
    first, last, sieve_bytes, _, reserved = layout.RUN_FOOTER.unpack_from(footer)
    sizes = []
    for index, kind in enumerate(table.columns.values()):
        code = footer[layout.RUN_FOOTER.size + index * layout.COLUMN.size :][:1]
        width = kind.itemsize if code == bytes([layout.RAW]) else layout.ENCODED_BYTES.get(code[0] if code else 0, 0)
        sizes.append(width * group_rows)
    groups = -(-rows // group_rows)
    if sieve_bytes > len(body) or sum(sizes) * groups > 2 * len(body):
        return body, footer
    sieve, body = body[len(body) - sieve_bytes :], body[: len(body) - sieve_bytes].ljust(sum(sizes) * groups, b"\0")
    body = body[: sum(sizes) * groups]
    crcs, at = [], 0
    for size in sizes * groups:
        crcs.append(crc32c(body[at : at + size]))
        at += size
    start = layout.RUN_FOOTER.pack(first, last, sieve_bytes, crc32c(sieve), reserved)
    middle = footer[layout.RUN_FOOTER.size : len(footer) - CRC.size * len(crcs)]
    return body + sieve, start + middle + b"".join(map(CRC.pack, crcs))
