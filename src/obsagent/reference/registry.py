"""The references of the models that the configuration names, in memory; any thread looks them up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from obsagent.errors import ConfigError, ObsagentError
from obsagent.reference.reference import Reference


class Version(Protocol):
    """What is configured of a version."""

    @property
    def reference(self) -> Path | None:
        """Its reference's file."""
        ...


class Model(Protocol):
    """What is configured of a model: `obsagent.models_config.ModelConfig`."""

    @property
    def reference(self) -> Path | None:
        """The file of the reference for all versions that have none of their own."""
        ...

    @property
    def versions(self) -> Mapping[str, Version]:
        """Those that differ."""
        ...


class Loaded(NamedTuple):
    """A reference and where it came from. `version` is empty where it is for all versions that have none."""

    model: str
    version: str
    path: Path
    reference: Reference


class References:
    """References by model and version; `reload` replaces all of them at once."""

    def __init__(self, models: Mapping[str, Model] | None = None) -> None:
        """Raises `ConfigError` as `reload` does."""
        self._loaded: dict[tuple[str, str], Loaded] = {}
        self.reload(models or {})

    def reload(self, models: Mapping[str, Model]) -> list[str]:
        """Reads every file again. Returns which references are others than before, as `MODEL` or `MODEL/VERSION`.

        Raises `ConfigError`, with a message for each file that is missing, damaged or another model's; then nothing has
        changed.
        """
        loaded, wrong = read_all(models)
        if wrong:
            raise ConfigError(*wrong)
        before, self._loaded = self._loaded, loaded
        return sorted(
            f"{model}/{version}" if version else model
            for model, version in before.keys() | loaded.keys()
            if _id(before.get((model, version))) != _id(loaded.get((model, version)))
        )

    def lookup(self, model: str, version: str = "") -> Reference | None:
        """The reference of a version, else that of its model, else None."""
        loaded = self._loaded
        found = loaded.get((model, version)) or loaded.get((model, ""))
        return found.reference if found else None

    def find(self, label: str) -> Reference | None:
        """The reference whose series have this label."""
        return next((each.reference for each in self._loaded.values() if each.reference.label == label), None)

    def status(self) -> list[dict[str, Any]]:
        """What `obsagent status` says of each."""
        return [
            {
                "model": each.model,
                "version": each.version,
                "id": each.reference.id,
                "rows": each.reference.rows,
                "features": len(each.reference.features),
                "created_ms": each.reference.created_ms,
                "file": str(each.path),
            }
            for each in self
        ]

    def __iter__(self) -> Iterator[Loaded]:
        return iter(sorted(self._loaded.values(), key=lambda each: each[:2]))

    def __len__(self) -> int:
        return len(self._loaded)


def read_all(models: Mapping[str, Model]) -> tuple[dict[tuple[str, str], Loaded], list[str]]:
    """Every reference that can be had, and what is wrong with the others: messages that begin with a key."""
    loaded: dict[tuple[str, str], Loaded] = {}
    wrong: list[str] = []
    for place, model, version, path in _places(models):
        try:
            loaded[model, version] = Loaded(model, version, path, _load(place, model, version, path))
        except ConfigError as error:
            wrong += error.args
    return loaded, wrong


def _places(models: Mapping[str, Model]) -> Iterator[tuple[str, str, str, Path]]:
    for name, model in models.items():
        if model.reference is not None:
            yield f"models.{name}.reference", name, "", model.reference
        for version, each in model.versions.items():
            if each.reference is not None:
                yield f"models.{name}.versions.{version}.reference", name, version, each.reference


def _load(place: str, model: str, version: str, path: Path) -> Reference:
    try:
        reference = Reference.load(path)
    except ObsagentError as error:
        raise ConfigError(f"{place}: {error}") from None
    if reference.model != model:
        raise ConfigError(f"{place}: {path} is a reference of the model {reference.model}, not of {model}")
    if version and reference.version not in ("", version):
        raise ConfigError(f"{place}: {path} is a reference of version {reference.version}, not of {version}")
    return reference


def _id(loaded: Loaded | None) -> str | None:
    return loaded.reference.id if loaded else None
