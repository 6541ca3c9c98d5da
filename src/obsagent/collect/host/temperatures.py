"""Temperatures, where the machine has sensors that the kernel knows: virtual ones mostly have none."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from obsagent.collect.instruments import HOST, gauge
from obsagent.readings import Reading

TEMPERATURE = gauge("temperature_celsius", "celsius", "max", "Temperature at a sensor")
LOWEST = -100.0
"""What a sensor that is not connected reads is lower."""


class Temperatures:
    """`/sys/class/hwmon`, else `/sys/class/thermal`."""

    def read(self) -> Iterator[Reading]:
        """One value a sensor, under its chip's name and its label or number."""
        for chip, sensors in psutil.sensors_temperatures().items():
            for number, sensor in enumerate(sensors):
                if sensor.current is not None and sensor.current > LOWEST:
                    labels = {**HOST, "chip": chip, "sensor": sensor.label or str(number)}
                    yield Reading(TEMPERATURE, sensor.current, labels)
