"""What the demo's tests share: made-up flights in the form of the packaged files; the check of its packages."""

import os

import pytest

from obsagent.demo.flights import Flights, parse_flights
from obsagent.demo.requires import PackagesMissing, check_packages

FLIGHT_HEAD = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,"
    "carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour"
)


def flight_line(
    *,
    month: int = 1,
    day: int = 1,
    hour: int = 5,
    minute: int = 15,
    utc: str = "2013-01-01T10:00:00Z",
    arr_delay: str = "11",
) -> str:
    return f"2013,{month},{day},517,515,2,830,819,{arr_delay},UA,1545,N14228,EWR,IAH,227,1400,{hour},{minute},{utc}"


def made_up_flights(count: int) -> Flights:
    """`count` flights, a minute apart, every third of them late."""
    lines = [
        flight_line(
            day=1 + index // 1440,
            hour=index // 60 % 24,
            minute=index % 60,
            utc=f"2013-01-{1 + index // 1440:02d}T{index // 60 % 24:02d}:00:00Z",
            arr_delay="40" if index % 3 == 0 else "-2",
        )
        for index in range(count)
    ]
    return parse_flights([FLIGHT_HEAD, *lines])


def need_demo_packages() -> None:
    """Skips the module where the extra `demo` is not installed; in CI it must be."""
    try:
        check_packages()
    except PackagesMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing), allow_module_level=True)
