"""Everything that is read of a GPU: names, units and help in one table.

Memory is counted once: `gpu_memory_bytes` is divided between the services whose processes hold it and, for the rest,
`host`; and what MIG instances have of used, free and total memory is not in the numbers of their GPU.
"""

from __future__ import annotations

from obsagent.samples import Instrument, Kind

DEVICE = ("gpu", "uuid", "name")
MIG = (*DEVICE, "gpu_instance", "compute_instance")
"""MIG instances have the last two; their `gpu` is `0:1`: the second instance of GPU 0."""


def _gauge(
    name: str, unit: str, says: str, across: str = "sum", labels: tuple[str, ...] = (), base: tuple[str, ...] = DEVICE
) -> Instrument:
    return Instrument(name, Kind.GAUGE, says, unit, (*base, *labels), across=across)


def _counter(name: str, unit: str, says: str, *labels: str) -> Instrument:
    return Instrument(name, Kind.COUNTER, says, unit, (*DEVICE, *labels))


UTILIZATION = _gauge(
    "gpu_utilization", "ratio", "Share of the time in which kernels ran; of a service, its processes' share", "max"
)
PROCESS_UTILIZATION = _gauge(
    "gpu_process_utilization", "ratio", "Share of a GPU's time in which a worker's kernels ran", labels=("worker",)
)
CONTROLLER_UTILIZATION = _gauge(
    "gpu_memory_controller_utilization", "ratio", "Share of the time in which memory was read or written", "max"
)
ENCODER_UTILIZATION = _gauge("gpu_encoder_utilization", "ratio", "Share of the time in which video was encoded", "max")
DECODER_UTILIZATION = _gauge("gpu_decoder_utilization", "ratio", "Share of the time in which video was decoded", "max")

MEMORY = _gauge(
    "gpu_memory_bytes",
    "bytes",
    "Memory in use, by the service that holds it; the rest is host's",
    "sum",
    ("worker",),
    MIG,
)
MEMORY_USED = _gauge("gpu_memory_used_bytes", "bytes", "Memory in use by anybody, the driver included", base=MIG)
MEMORY_FREE = _gauge("gpu_memory_free_bytes", "bytes", "Memory that is free", base=MIG)
MEMORY_TOTAL = _gauge("gpu_memory_total_bytes", "bytes", "Memory in all", base=MIG)

POWER = _gauge("gpu_power_watts", "watts", "Power draw of the board")
POWER_LIMIT = _gauge("gpu_power_limit_watts", "watts", "Power at which the driver lowers the clocks")
ENERGY = _counter("gpu_energy_joules", "joules", "Energy used")

TEMPERATURE = _gauge("gpu_temperature_celsius", "celsius", "Temperature of the chip", "max")
MEMORY_TEMPERATURE = _gauge("gpu_memory_temperature_celsius", "celsius", "Temperature of the memory", "max")
TEMPERATURE_LIMIT = _gauge(
    "gpu_temperature_limit_celsius", "celsius", "Temperature at which something is done", "min", ("threshold",)
)

CLOCK = _gauge("gpu_clock_hertz", "hertz", "Frequency of a clock", "max", ("clock",))
CLOCK_MAX = _gauge("gpu_clock_max_hertz", "hertz", "Highest frequency of a clock", "max", ("clock",))
THROTTLED = _gauge(
    "gpu_throttled", "ratio", "1 while a reason holds the clocks down, else 0; its mean is a share", "max", ("reason",)
)
THROTTLED_SECONDS = _counter("gpu_throttled_seconds", "seconds", "Time in which a limit held the clocks down", "limit")

ECC_ERRORS = _counter("gpu_ecc_errors", "errors", "Memory errors found by ECC", "type")
ECC_ERRORS_LIFETIME = _gauge(
    "gpu_ecc_errors_lifetime", "errors", "Memory errors found by ECC in the life of the board", labels=("type",)
)
PCIE_THROUGHPUT = _gauge(
    "gpu_pcie_throughput", "bytes/second", "Traffic on PCIe, measured for 20 ms", labels=("direction",)
)
PCIE_REPLAYS = _counter("gpu_pcie_replays", "replays", "Transfers on PCIe that had to be repeated")
NVLINK_ERRORS = _counter("gpu_nvlink_errors", "errors", "Errors on all NVLinks", "type")

ALL = tuple(each for each in list(globals().values()) if isinstance(each, Instrument))
"""In the order in which they stand here."""
