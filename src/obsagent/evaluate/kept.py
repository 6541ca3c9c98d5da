"""The references that an agent has used, kept in the store: `references/LABEL.ref`.

Columns count over the bins of a reference for as long as they are stored, which is longer than a configuration names
it; and whoever reads a store without an agent has no configuration.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from obsagent.errors import ObsagentError
from obsagent.evaluate.references import FromFiles, Known
from obsagent.reference import Reference

logger = logging.getLogger(__name__)

DIRECTORY = "references"
SUFFIX = ".ref"


class Kept:
    """Those in a store's directory; one that is damaged is as if it were not there."""

    def __init__(self, directory: Path) -> None:
        """Nothing is read yet."""
        self._directory = directory / DIRECTORY
        self._read: dict[str, Reference | None] = {}

    def find(self, label: str) -> Reference | None:
        """The reference whose series have this label."""
        if label not in self._read:
            self._read[label] = self._load(label)
        return self._read[label]

    def lookup(self, model: str, version: str = "") -> Reference | None:
        """The newest one of a version, else of all versions of a model."""
        found = [reference for reference in map(self.find, self._labels()) if reference and reference.model == model]
        for wanted in (version, ""):
            of_version = [reference for reference in found if reference.version == wanted]
            if of_version:
                return max(of_version, key=lambda reference: (reference.created_ms, reference.label))
        return None

    def keep(self, references: Iterable[Reference]) -> None:
        """Writes down those that are not there; what cannot be written is said in the log."""
        for reference in references:
            path = self._path(reference.label)
            if path.exists():
                continue
            try:
                path.parent.mkdir(mode=0o750, exist_ok=True)
                reference.save(path)
            except (OSError, ObsagentError) as error:
                logger.warning("the reference %s cannot be kept in the store: %s", reference.label, error)
            self._read.pop(reference.label, None)

    def _labels(self) -> list[str]:
        return sorted(path.name.removesuffix(SUFFIX) for path in self._directory.glob(f"*{SUFFIX}"))

    def _path(self, label: str) -> Path:
        return self._directory / f"{label}{SUFFIX}"

    def _load(self, label: str) -> Reference | None:
        path = self._path(label)
        if path.parent != self._directory or not path.exists():  # a label with a slash is no name
            return None
        try:
            return Reference.load(path)
        except ObsagentError as error:
            logger.warning("%s", error)
            return None


class KnownOrKept:
    """What the configuration names, and what it named before."""

    def __init__(self, known: Known, kept: Kept) -> None:
        """Looks first among those that are configured."""
        self._known = known
        self._kept = kept

    def find(self, label: str) -> Reference | None:
        """The reference whose series have this label."""
        return self._known.find(label) or self._kept.find(label)

    def lookup(self, model: str, version: str = "") -> Reference | None:
        """What is configured."""
        return self._known.lookup(model, version)


def kept_references(directory: Path) -> FromFiles:
    """Those of a store, for answers without an agent."""
    return FromFiles(Kept(directory))
