"""The reader's time zone, as it comes over the wire: an IANA name (`Europe/Berlin`) or an offset (`+01:00`)."""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import lru_cache

from obsagent.errors import ProtocolError
from obsagent.limits import ZONE_CHARACTERS_MAX


@lru_cache(maxsize=16)
def zone_of(name: str) -> tzinfo:
    """The zone of that name; raises `ProtocolError` if it is neither known here nor an offset."""
    from zoneinfo import ZoneInfo

    if name[:1] in ("+", "-"):
        try:
            zone = datetime.strptime(name, "%z").tzinfo
        except ValueError:
            zone = None
        if zone is not None:
            return zone
    elif len(name) <= ZONE_CHARACTERS_MAX:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # not found, not a name, not a file of zones
            pass
    raise ProtocolError(f"the time zone {name[:ZONE_CHARACTERS_MAX]!r} is not known here")


def local_time(at_ms: int, zone: tzinfo | None) -> datetime:
    """A time on the reader's clock; without a zone on this machine's."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone(zone)
