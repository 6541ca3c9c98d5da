"""What this build says of bytes in each format, in a few lines of text: the golden files beside the malformations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz.file_check import BytesPath
from fuzz.wire_check import PeerSocket
from obsagent._native.codec import Groups, Transpose, Window, check_body, read_record, read_sections
from obsagent.config import load
from obsagent.errors import ObsagentError
from obsagent.head import entries, journal_format
from obsagent.head.accounts import Accounts
from obsagent.head.directory import IDENTITY_NAME, StoreDirectory, read_identity
from obsagent.head.journal_reader import read_file
from obsagent.segment.catalog import assemble
from obsagent.segment.reader import BlockReader
from obsagent.segment.recover import Damage, file_path, scan_file
from obsagent.segment.tables import Tables, unpack_exemplars
from obsagent.sketches import LogHist, TDigest
from obsagent.wire import frame, zmtp
from obsagent.wire.frame import MessageKind

ACCEPTED = "accepted"
EXPECTED = (ObsagentError, EOFError, OSError, TypeError)
READERS: dict[MessageKind, Callable[[frame.Header], object]] = {
    MessageKind.HELLO: frame.read_hello,
    MessageKind.WELCOME: frame.read_welcome,
    MessageKind.DEFINE: frame.read_definitions,
    MessageKind.SAMPLES: lambda fields: frame.read_samples(fields, 0),
    MessageKind.EVENTS: frame.read_events,
    MessageKind.HEARTBEAT: frame.read_counts,
    MessageKind.ACK: frame.read_ack,
}


def said(read: Callable[[bytes], object], data: bytes, folder: str = "") -> str:
    """The error that reading raises, with its type."""
    try:
        read(data)
    except EXPECTED as error:
        text = str(error).replace(folder + "/", "") if folder else str(error)
        return f"{type(error).__name__}: {text}"
    return ACCEPTED


def _header(data: bytes) -> None:
    kind, fields = frame.unpack(data)
    READERS[kind](fields)


def _zmtp(data: bytes) -> None:
    made, zmtp.socket.socket = zmtp.socket.socket, lambda *_: PeerSocket(data)  # type: ignore[assignment,misc]
    try:
        zmtp.UnixDealer("nowhere", 60.0).request(MessageKind.STATUS, 60.0)
    finally:
        zmtp.socket.socket = made  # type: ignore[misc]


def _config(data: bytes) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "agent.toml"
        path.write_bytes(data)
        return said(lambda _: load(path), data, folder)


def _identity(data: bytes) -> str:
    with TemporaryDirectory() as folder:
        (Path(folder) / IDENTITY_NAME).write_bytes(data)
        found: list[bytes | None] = []
        text = said(lambda _: found.append(read_identity(StoreDirectory(Path(folder)))), data, folder)
        return "damaged: the store gets a new one" if found == [None] else text.replace(folder, "DIR")


def _sections(data: bytes) -> None:
    read_sections(data)
    Transpose().add_sections(data)


def _sketch(data: bytes) -> str:
    return "\n".join(said(kind.from_bytes, data) for kind in (LogHist, TDigest))


def _entry(data: bytes) -> None:
    entry = entries.decode(data[0], journal_format.MARKER + data[1:])
    if isinstance(entry, entries.SessionClose):
        Accounts().book(entry.accounts, entry.accounts)


def _journal(data: bytes) -> str:
    return "\n".join(_journal_lines(data))


def _journal_lines(data: bytes) -> Iterator[str]:
    try:
        file = read_file(BytesPath(data))  # type: ignore[arg-type]
    except ObsagentError as error:
        yield f"{type(error).__name__}: {str(error).rpartition(' was ')[2]}"
        return
    if file.header_damaged:
        yield "the header is damaged"
    for gap in file.gaps:
        yield f"gap of {gap.size} bytes"
    for found in file.entries:
        try:
            yield f"{type(entries.decode(found.type, found.payload)).__name__} is read"
        except ObsagentError as error:
            yield f"{type(error).__name__}: {error}"
    behind = len(data) - journal_format.FILE_HEADER.size - (file.end - file.base)
    yield f"{max(0, behind)} bytes behind the last record"


def _segment(data: bytes) -> str:
    with TemporaryDirectory() as folder:
        path = file_path(Path(folder), 1)
        path.write_bytes(data)
        return "\n".join(_segment_lines(path))


def _segment_lines(path: Path) -> Iterator[str]:
    try:
        file = scan_file(path, is_last=True)
    except ObsagentError as error:
        yield f"{type(error).__name__}: {str(error).rpartition(' was ')[2]}"
        return
    catalog = assemble([file])
    catalog.checkpoint()
    damaged: list[Damage] = []
    groups = Groups(dict.fromkeys(range(64), 0), 1)
    BlockReader(damaged.append).collect(catalog.blocks, -(1 << 62), 1 << 62, groups)
    for damage in (*catalog.damage, *damaged):
        yield f"damaged from byte {damage.offset} on: {damage.reason}"
    yield f"{len(catalog.blocks)} blocks, {catalog.missing_blocks} missing, {groups.samples(0)} samples are read"
    yield f"{file.size - file.end} bytes behind the last block"


VERDICTS: dict[str, Callable[[bytes], str]] = {
    "header": lambda data: said(_header, data),
    "zmtp": lambda data: said(_zmtp, data),
    "config": _config,
    "identity": _identity,
    "record": lambda data: said(lambda data: read_record(data, 0), data),
    "body": lambda data: said(check_body, data),
    "loghist": lambda data: said(LogHist._from_compact, data),
    "tdigest": lambda data: said(TDigest._from_compact, data),
    "rows": lambda data: said(Window().merge_rows, data),
    "sections": lambda data: said(_sections, data),
    "sketch": _sketch,
    "journal": _journal,
    "entry": lambda data: said(_entry, data),
    "tables": lambda data: said(lambda data: unpack_exemplars(Tables.from_bytes(data).exemplars), data),
    "segment": _segment,
}
