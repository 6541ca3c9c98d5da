"""What is asked of a whole GPU besides its memory, from NVML's units to base units.

NVML has percent, milliwatts, millijoules, degrees Celsius, MHz, KB/s (of 1,000 bytes), and nanoseconds of throttling.
Its numbers for clocks, limits and reasons are those of nvml.h. A question is as small as NVML's functions are: what
one device does not support is left out, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from obsagent.collect.gpu import instruments
from obsagent.collect.gpu.library import Api
from obsagent.samples import Instrument

Handle = Any


class Value(NamedTuple):
    """One number of a device; `labels` besides those of the device."""

    instrument: Instrument
    value: float
    labels: dict[str, str]


class Query(NamedTuple):
    """One question, and how it is called where it goes wrong."""

    name: str
    read: Callable[[Api, Handle], Iterator[Value]]

    def answer(self, api: Api, handle: Handle) -> list[Value]:
        """All of it, or the error."""
        return list(self.read(api, handle))


CLOCKS = {"graphics": 0, "sm": 1, "memory": 2, "video": 3}
THRESHOLDS = {"shutdown": 0, "slowdown": 1, "memory_max": 2, "gpu_max": 3}
DIRECTIONS = {"transmit": 0, "receive": 1}
ECC_TYPES = {"corrected": 0, "uncorrected": 1}
VOLATILE, AGGREGATE = 0, 1
REASONS = {
    "idle": 0x1,
    "application_clocks": 0x2,
    "power_cap": 0x4,
    "hardware_slowdown": 0x8,
    "sync_boost": 0x10,
    "thermal": 0x20,
    "hardware_thermal": 0x40,
    "hardware_power_brake": 0x80,
    "display_clocks": 0x100,
}
LIMITS = {"power": 0, "thermal": 1, "sync_boost": 2, "board": 3, "low_utilization": 4, "reliability": 5}
MEMORY_TEMPERATURE_FIELD = 82
NVLINK_FIELDS = {"crc_flit": 38, "crc_data": 45, "replay": 52, "recovery": 59, "ecc_data": 160}
FIELD_VALUES = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal"}
"""The kind of a field's value → where it stands in the union."""


def _utilization(api: Api, handle: Handle) -> Iterator[Value]:
    rates = api.nvmlDeviceGetUtilizationRates(handle)
    yield Value(instruments.UTILIZATION, rates.gpu / 100, {})
    yield Value(instruments.CONTROLLER_UTILIZATION, rates.memory / 100, {})


def _encoder(api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(instruments.ENCODER_UTILIZATION, api.nvmlDeviceGetEncoderUtilization(handle)[0] / 100, {})


def _decoder(api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(instruments.DECODER_UTILIZATION, api.nvmlDeviceGetDecoderUtilization(handle)[0] / 100, {})


def _power(api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(instruments.POWER, api.nvmlDeviceGetPowerUsage(handle) / 1e3, {})


def _power_limit(api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(instruments.POWER_LIMIT, api.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3, {})


def _energy(api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(instruments.ENERGY, api.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, {})


def _temperature(api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(instruments.TEMPERATURE, float(api.nvmlDeviceGetTemperature(handle, 0)), {})


def _memory_temperature(api: Api, handle: Handle) -> Iterator[Value]:
    for value in _fields(api, handle, {"": MEMORY_TEMPERATURE_FIELD}).values():
        if value > 0:  # how boards without the sensor answer
            yield Value(instruments.MEMORY_TEMPERATURE, value, {})


def _temperature_limit(name: str, number: int, api: Api, handle: Handle) -> Iterator[Value]:
    limit = float(api.nvmlDeviceGetTemperatureThreshold(handle, number))
    yield Value(instruments.TEMPERATURE_LIMIT, limit, {"threshold": name})


def _clock(name: str, number: int, api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(instruments.CLOCK, api.nvmlDeviceGetClockInfo(handle, number) * 1e6, {"clock": name})


def _clock_max(name: str, number: int, api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(instruments.CLOCK_MAX, api.nvmlDeviceGetMaxClockInfo(handle, number) * 1e6, {"clock": name})


def _throttled(api: Api, handle: Handle) -> Iterator[Value]:
    reasons = api.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    for name, bit in REASONS.items():
        yield Value(instruments.THROTTLED, float(bool(reasons & bit)), {"reason": name})


def _throttled_seconds(name: str, number: int, api: Api, handle: Handle) -> Iterator[Value]:
    nanoseconds = api.nvmlDeviceGetViolationStatus(handle, number).violationTime
    yield Value(instruments.THROTTLED_SECONDS, nanoseconds / 1e9, {"limit": name})


def _ecc(name: str, number: int, api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(
        instruments.ECC_ERRORS, float(api.nvmlDeviceGetTotalEccErrors(handle, number, VOLATILE)), {"type": name}
    )


def _ecc_lifetime(name: str, number: int, api: Api, handle: Handle) -> Iterator[Value]:
    errors = float(api.nvmlDeviceGetTotalEccErrors(handle, number, AGGREGATE))
    yield Value(instruments.ECC_ERRORS_LIFETIME, errors, {"type": name})


def _pcie(name: str, number: int, api: Api, handle: Handle) -> Iterator[Value]:
    throughput = api.nvmlDeviceGetPcieThroughput(handle, number) * 1e3
    yield Value(instruments.PCIE_THROUGHPUT, throughput, {"direction": name})


def _pcie_replays(api: Api, handle: Handle) -> Iterator[Value]:
    yield Value(instruments.PCIE_REPLAYS, float(api.nvmlDeviceGetPcieReplayCounter(handle)), {})


def _nvlink(api: Api, handle: Handle) -> Iterator[Value]:
    for name, errors in _fields(api, handle, NVLINK_FIELDS).items():
        yield Value(instruments.NVLINK_ERRORS, errors, {"type": name})


def _fields(api: Api, handle: Handle, wanted: dict[str, int]) -> dict[str, float]:
    """Those of these fields that the device has, all in one call."""
    values = api.nvmlDeviceGetFieldValues(handle, list(wanted.values()))
    return {
        name: float(getattr(each.value, FIELD_VALUES[each.valueType]))
        for name, each in zip(wanted, values, strict=True)
        if each.nvmlReturn == 0 and each.valueType in FIELD_VALUES
    }


def _each(what: str, read: Callable[..., Iterator[Value]], numbers: dict[str, int]) -> list[Query]:
    return [Query(f"{what} {name}", partial(read, name, number)) for name, number in numbers.items()]


QUERIES = (
    Query("utilization", _utilization),
    Query("encoder utilization", _encoder),
    Query("decoder utilization", _decoder),
    Query("power", _power),
    Query("power limit", _power_limit),
    Query("energy", _energy),
    Query("temperature", _temperature),
    Query("memory temperature", _memory_temperature),
    *_each("temperature limit", _temperature_limit, THRESHOLDS),
    *_each("clock", _clock, CLOCKS),
    *_each("highest clock", _clock_max, CLOCKS),
    Query("throttle reasons", _throttled),
    *_each("throttled by", _throttled_seconds, LIMITS),
    *_each("ECC errors", _ecc, ECC_TYPES),
    *_each("ECC errors in all", _ecc_lifetime, ECC_TYPES),
    *_each("PCIe", _pcie, DIRECTIONS),
    Query("PCIe replays", _pcie_replays),
    Query("NVLink errors", _nvlink),
)
