"""What network interfaces carry, and what they lose."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from obsagent.collect.instruments import HOST, counter
from obsagent.collect.settings import Names
from obsagent.readings import Reading

INSTRUMENTS = {
    "bytes_recv": counter("network_receive_bytes", "bytes", "Received by an interface"),
    "bytes_sent": counter("network_transmit_bytes", "bytes", "Sent by an interface"),
    "packets_recv": counter("network_receive_packets", "packets", "Packets that an interface has received"),
    "packets_sent": counter("network_transmit_packets", "packets", "Packets that an interface has sent"),
    "errin": counter("network_receive_errors", "packets", "Packets that an interface received damaged"),
    "errout": counter("network_transmit_errors", "packets", "Packets that an interface could not send"),
    "dropin": counter("network_receive_drops", "packets", "Packets received and dropped, for want of room for example"),
    "dropout": counter("network_transmit_drops", "packets", "Packets dropped before they were sent"),
}
"""psutil's name → ours."""


class Network:
    """The interfaces of the agent's network namespace."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def read(self) -> Iterator[Reading]:
        """Totals of each interface."""
        for interface, counters in psutil.net_io_counters(pernic=True, nowrap=False).items():
            if self._names.accept(interface):
                for field, instrument in INSTRUMENTS.items():
                    yield Reading(instrument, getattr(counters, field), {**HOST, "interface": interface})
