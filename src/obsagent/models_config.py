"""What the configuration says of models: `[models.NAME]`, and of their versions `[models.NAME.versions."4"]`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from obsagent import limits
from obsagent.config_values import Wrong, parse_duration, parse_table, shown, shown_key
from obsagent.drift_config import DriftConfig, parse_drift
from obsagent.errors import ConfigError
from obsagent.harm_config import HarmConfig, RetrainConfig, parse_harm, parse_on_retrain

TASKS = ("classification", "regression")
ERRORS_ONLY = "errors"
"""`keep_rows` for those rows alone whose request failed."""


@dataclass(frozen=True, slots=True)
class VersionConfig:
    """`[models.NAME.versions."4"]`: what differs for one version."""

    reference: Path | None = None


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """`[models.NAME]`: how a model is watched; the client is told all but the reference's place."""

    reference: Path | None = None
    drop: tuple[str, ...] = ()
    """Columns that never leave the model's process."""
    hash: tuple[str, ...] = ()
    """Columns of which keyed hashes leave it instead of values."""
    keep_rows: float | str | None = None
    """The share of the rows that are kept whole, or `errors`; None keeps none."""
    horizon_ms: int = limits.HORIZON_MS
    """How far back what is recorded with `at=` may lie."""
    task: str = ""
    """What it predicts, classes or numbers; empty: told by its predictions."""
    positive: str = ""
    """The class whose probability its scores are; empty: told by the names of the classes."""
    versions: Mapping[str, VersionConfig] = field(default_factory=dict)
    drift: DriftConfig = DriftConfig()  # noqa: RUF009 - immutable
    """How it is judged."""
    harm: HarmConfig = HarmConfig()  # noqa: RUF009 - immutable
    """When retraining is recommended."""
    on_retrain: RetrainConfig | None = None
    """What is run then."""

    KEYS: ClassVar[Mapping[str, tuple[str]]] = {
        **{name: (name,) for name in ("reference", "drop", "hash", "keep_rows", "task", "positive", "versions")},
        **{name: (name,) for name in ("drift", "harm", "on_retrain")},
        "horizon": ("horizon_ms",),
    }
    """What the file calls the fields."""


def parse_models(key: str, value: object) -> dict[str, ModelConfig]:
    """Name → what is said of the model; raises `ConfigError`."""
    if not isinstance(value, dict) or len(value) > limits.MODELS_MAX:
        raise ConfigError(f"{key}: expected tables such as [{key}.fraud], at most {limits.MODELS_MAX}")
    models: dict[str, ModelConfig] = {}
    wrong = Wrong()
    for name, table in value.items():
        with wrong.noted():
            _check_name(f"{key}.{shown_key(name)}", name)
            models[name] = _model(f"{key}.{shown_key(name)}", table)
    wrong.raise_if_any()
    return models


def _model(place: str, table: object) -> ModelConfig:
    values = parse_table(place, table, MODEL_KEYS)
    both = sorted({*values.get("drop", ())} & {*values.get("hash", ())})
    if both:
        raise ConfigError(f"{place}.hash: {shown(both[0])} is dropped already; name it in one of the two")
    return ModelConfig(**{ModelConfig.KEYS[key][0]: value for key, value in values.items()})


def _check_name(place: str, name: str) -> None:
    if not name or len(name.encode()) > limits.LABEL_VALUE_BYTES_MAX:
        raise ConfigError(f"{place}: expected a name of at most {limits.LABEL_VALUE_BYTES_MAX} bytes")


def _path(place: str, value: object) -> Path:
    if isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise ConfigError(f'{place}: expected a file such as "/etc/obsagent/fraud.ref", got {shown(value)}')


def _columns(place: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or len(value) > limits.MODEL_COLUMNS_MAX:
        raise ConfigError(f'{place}: expected names of columns such as ["email", "iban"], got {shown(value)}')
    for each in value:
        if not isinstance(each, str) or not each or len(each.encode()) > limits.LABEL_VALUE_BYTES_MAX:
            raise ConfigError(f"{place}: expected the name of a column, got {shown(each)}")
    return tuple(dict.fromkeys(value))


def _keep_rows(place: str, value: object) -> float | str:
    if value == ERRORS_ONLY:
        return ERRORS_ONLY
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ConfigError(f'{place}: expected a share from 0 to 1, or "{ERRORS_ONLY}", got {shown(value)}')


def _horizon(place: str, value: object) -> int:
    horizon_ms = parse_duration(place, value)
    if horizon_ms > limits.TIME_MS_MAX:
        raise ConfigError(f"{place}: {shown(value)} is longer than the agent's clock goes back")
    return horizon_ms


def _task(place: str, value: object) -> str:
    if value in TASKS:
        return str(value)
    raise ConfigError(f"{place}: expected {' or '.join(map(shown, TASKS))}, got {shown(value)}")


def _positive(place: str, value: object) -> str:
    """A class as it is named; numbers and booleans are named as `category_text` does."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value) if isinstance(value, str | int | float) else ""
    if text and len(text.encode()) <= limits.LABEL_VALUE_BYTES_MAX:
        return text
    raise ConfigError(f'{place}: expected the name of a class such as "fraud", got {shown(value)}')


def _versions(place: str, value: object) -> dict[str, VersionConfig]:
    if not isinstance(value, dict):
        raise ConfigError(f'{place}: expected tables such as [{place}."4"], got {shown(value)}')
    versions: dict[str, VersionConfig] = {}
    wrong = Wrong()
    for version, table in value.items():
        with wrong.noted():
            _check_name(f"{place}.{shown_key(version)}", version)
            versions[version] = VersionConfig(**parse_table(f"{place}.{shown_key(version)}", table, VERSION_KEYS))
    wrong.raise_if_any()
    return versions


MODEL_KEYS: dict[str, Callable[[str, object], Any]] = {
    "reference": _path,
    "drop": _columns,
    "hash": _columns,
    "keep_rows": _keep_rows,
    "horizon": _horizon,
    "task": _task,
    "positive": _positive,
    "versions": _versions,
    "drift": parse_drift,
    "harm": parse_harm,
    "on_retrain": parse_on_retrain,
}
VERSION_KEYS: dict[str, Callable[[str, object], Any]] = {"reference": _path}
