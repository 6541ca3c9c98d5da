"""A reference as a whole, and the way to it from a file and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from obsagent.errors import CorruptData, ObsagentError
from obsagent.limits import REFERENCE_BYTES_MAX
from obsagent.reference.errors import Errors
from obsagent.reference.feature import FeatureReference, Joint
from obsagent.reference.format import ID_DIGITS, LABEL_DIGITS

PREDICTION = "prediction.value"
SCORE = "prediction.score"
RESERVED_NAMES = frozenset({PREDICTION, SCORE})
"""What no feature may be called: a model's outputs are watched under these names, like features."""


@dataclass(frozen=True)
class Reference:
    """What a model's data looked like when it was trained: see FORMAT.md."""

    model: str
    version: str = ""
    """Empty if it is for all versions."""
    rows: int = 0
    features: Mapping[str, FeatureReference] = field(default_factory=dict)
    outputs: Mapping[str, FeatureReference] = field(default_factory=dict)
    """`prediction.value` and `prediction.score`, where they were given."""
    truth: FeatureReference | None = None
    joint: Joint | None = None
    errors: Errors | None = None
    """Of a model that predicts numbers: how far off it was."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Columns of the data that are not watched → why."""
    windows: int = 0
    """How many consecutive windows of the data `kappa0` was fitted on; 0 if there were too few rows."""
    created_ms: int = field(default=0, compare=False)
    source: str = field(default="", compare=False)
    """The name of the file, or the period, that it was made from."""

    @cached_property
    def hash(self) -> bytes:
        """SHA-256 of the content: all but when, and what from, it was made."""
        from obsagent.reference.writer import pack_content

        return sha256(pack_content(self)).digest()

    @property
    def id(self) -> str:
        """16 hexadecimal digits of the content's hash: the same data, read again, has the same id."""
        return self.hash.hex()[:ID_DIGITS]

    @property
    def label(self) -> str:
        """The value of the label `reference` of series that count over its bins: the first 8 digits of the id."""
        return self.id[:LABEL_DIGITS]

    @property
    def columns(self) -> dict[str, FeatureReference]:
        """Everything that is watched by name: features, then outputs."""
        return {**self.features, **self.outputs}

    @classmethod
    def load(cls, path: Path | str) -> Reference:
        """Reads a file; raises `ObsagentError` if it cannot be read, `CorruptData` if it is no whole reference."""
        from obsagent.reference.reader import read

        path = Path(path)
        try:
            with path.open("rb") as file:
                data = file.read(REFERENCE_BYTES_MAX + 1)
        except OSError as error:
            raise ObsagentError(f"{path} cannot be read: {error.strerror}") from None
        try:
            return read(data)
        except CorruptData as error:
            raise type(error)(f"{path}: {error}") from None

    def save(self, path: Path | str) -> None:
        """Writes a file, whole or not at all; raises `ObsagentError` if that is not possible."""
        from obsagent.fs import Fs
        from obsagent.reference.writer import pack

        path, fs = Path(path), Fs()
        try:
            fs.close(fs.write_file(path, [pack(self)]))
        except OSError as error:
            raise ObsagentError(f"{path} cannot be written: {error.strerror}") from None
