"""The name of this machine's time zone, as readers tell it to the agent: it may live in another one."""

from __future__ import annotations

import os
import time

LOCALTIME = "/etc/localtime"
ZONES = "/usr/share/zoneinfo"
VARIANTS = ("posix/", "right/")
"""Trees of the same zones beside the usual one, as some systems lay them out."""


def local_zone_name() -> str:
    """An IANA name such as `Europe/Berlin`, else the present offset such as `+01:00`.

    `TZ` wins over the system's zone, as it does in the C library.
    """
    variable = os.environ.get("TZ")
    name = _system_zone() if variable is None else variable.removeprefix(":")
    name = _beneath_zones(name)
    return name if name and _is_zone(name) else local_offset()


def _system_zone() -> str:
    """The file that `/etc/localtime` is a link to; empty if it is none."""
    try:
        return os.readlink(LOCALTIME)  # noqa: PTH115 (pathlib takes longer to load than the rest of the question)
    except OSError:
        return ""


def _beneath_zones(path: str) -> str:
    """`Europe/Berlin` from `../usr/share/zoneinfo/Europe/Berlin`, and from itself."""
    name = path.rpartition("/zoneinfo/")[2]
    for variant in VARIANTS:
        name = name.removeprefix(variant)
    return name


def _is_zone(name: str) -> bool:
    """False for what the C library reads as a rule (`CET-1CEST`), and for paths to elsewhere."""
    return not name.startswith("/") and ".." not in name and os.path.isfile(f"{ZONES}/{name}")  # noqa: PTH113


def local_offset() -> str:
    """The present offset from UTC, such as `+01:00`: for an agent that does not know the zone's name."""
    minutes = time.localtime().tm_gmtoff // 60
    sign = "-" if minutes < 0 else "+"
    hours, minutes = divmod(abs(minutes), 60)
    return f"{sign}{hours:02d}:{minutes:02d}"
