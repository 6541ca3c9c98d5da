import math

import pytest

from obsagent.demo.flights import (
    NEVER_MIN,
    FlightDataMissing,
    packaged_file,
    parse_flights,
    parse_weather,
)
from unit.demo_data import FLIGHT_HEAD, flight_line

SUMMER = flight_line(month=7, day=4, hour=23, minute=59, utc="2013-07-05T03:00:00Z", arr_delay="NA")
LATE = flight_line(month=1, day=1, hour=6, minute=0, utc="2013-01-01T11:00:00Z", arr_delay="16")
IN_TIME = flight_line(month=1, day=1, hour=5, minute=15, utc="2013-01-01T10:00:00Z", arr_delay="15")


def test_flights_come_in_the_order_of_their_departures() -> None:
    flights = parse_flights([FLIGHT_HEAD, SUMMER, LATE, IN_TIME])
    assert [record["scheduled"] for record in flights.records([0, 1, 2])] == [
        "2013-01-01T05:15-05:00",
        "2013-01-01T06:00-05:00",
        "2013-07-04T23:59-04:00",
    ]


def test_late_is_more_than_fifteen_minutes_and_a_flight_may_never_arrive() -> None:
    flights = parse_flights([FLIGHT_HEAD, SUMMER, LATE, IN_TIME])
    assert flights.late.tolist() == [0, 1, -1]


def test_a_flight_has_landed_when_its_delay_and_its_time_in_the_air_are_over() -> None:
    flights = parse_flights([FLIGHT_HEAD, SUMMER, IN_TIME])
    assert (flights.landed_min[0] - flights.departs_min[0]) == 2 + 227
    assert flights.landed_min[1] == NEVER_MIN


def test_months_are_those_of_new_york() -> None:
    new_years_eve = flight_line(month=1, day=31, hour=23, minute=0, utc="2013-02-01T04:00:00Z")
    assert parse_flights([FLIGHT_HEAD, new_years_eve, SUMMER]).months().tolist() == [1, 7]


def test_the_first_flight_of_a_month() -> None:
    flights = parse_flights([FLIGHT_HEAD, SUMMER, LATE, IN_TIME])
    assert [flights.first_of(month) for month in (1, 2, 7, 8)] == [0, 2, 2, 3]


def test_a_record_holds_what_is_known_before_the_flight() -> None:
    [record] = parse_flights([FLIGHT_HEAD, SUMMER]).records([0])
    assert record == {
        "id": 0,
        "carrier": "UA",
        "origin": "EWR",
        "dest": "IAH",
        "scheduled": "2013-07-04T23:59-04:00",
        "distance": 1400,
    }


def test_weather_by_origin_and_hour_with_nan_for_what_is_missing() -> None:
    head = "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
    line = "EWR,2013,1,1,1,39.02,26.06,59.37,270,10.36,NA,0,1012,10,2013-01-01T06:00:00Z"
    weather = parse_weather([head, line])
    [((origin, hour), readings)] = weather.items()
    assert (origin, hour * 3600) == ("EWR", 1357020000)
    assert readings[:5] == (39.02, 26.06, 59.37, 270.0, 10.36)
    assert math.isnan(readings[5])
    assert readings[6:] == (0.0, 1012.0, 10.0)


def test_a_missing_package_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr("obsagent.demo.flights.PACKAGE", "no-such-distribution-anywhere")
    with pytest.raises(FlightDataMissing, match=r"pip install 'obsagent\[demo\]'"):
        packaged_file("flights.csv.zip")
