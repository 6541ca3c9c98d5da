"""All GPUs of one opening of NVML, and the MIG instances in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from obsagent.collect.gpu import instruments
from obsagent.collect.gpu.library import Api
from obsagent.collect.gpu.processes import Owner, Owners, Usage, Utilization, memory_by_pid, usage_by_owner
from obsagent.collect.gpu.queries import QUERIES
from obsagent.collect.gpu.questions import Lost, Questions
from obsagent.readings import Reading
from obsagent.samples import Instrument

HOST = "host"
BRAND = "NVIDIA "
MIG_ENABLED = 1


class Memory(NamedTuple):
    """Bytes of a device."""

    total: int
    free: int
    used: int

    def without(self, part: Memory) -> Memory:
        """What is left beside a part; the two were not read in the same moment."""
        return Memory(*(max(own - of_part, 0) for own, of_part in zip(self, part, strict=True)))


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU or a MIG instance: what tells it apart, and how NVML calls it."""

    handle: Any
    uuid: str
    labels: dict[str, str]

    def reading(self, instrument: Instrument, value: float, labels: dict[str, str], service: str = HOST) -> Reading:
        """One value of it."""
        return Reading(instrument, value, {"service": service, **self.labels, **labels})


@dataclass(slots=True)
class Round:
    """What one round found besides its readings: `lost` GPUs answered nothing."""

    troubles: list[str] = field(default_factory=list)
    lost: bool = False


class Devices:
    """Reads them, in the order of their indices."""

    def __init__(self, api: Api, interval_s: float) -> None:
        """Counts them; raises `api.NVMLError`."""
        self.count = int(api.nvmlDeviceGetCount())
        self._api = api
        self._interval_s = interval_s
        self._questions = Questions(api)
        self._utilization = Utilization()
        self._known: dict[int, Device] = {}

    def read(self, owners: Owners, found: Round) -> Iterator[Reading]:
        """One round; what goes wrong with one is told in `found`, and the others are read. Raises `Closed`."""
        for index in range(self.count):
            answers = False
            try:
                for reading in self._gpu(index, owners):
                    answers = True
                    yield reading
            except Lost as error:
                found.troubles.append(f"{self._called(index)}: {error}")
                found.lost = True
            wrong = self._questions.take_wrong()
            if wrong:
                more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
                found.troubles.append(f"{self._called(index)}: {wrong[0]}{more}")
                found.lost |= not answers

    def _called(self, index: int) -> str:
        known = self._known.get(index)
        return f"GPU {index} ({known.labels['name']}, {known.uuid})" if known else f"GPU {index}"

    def _gpu(self, index: int, owners: Owners) -> Iterator[Reading]:
        device = self._device(index)
        if device is None:
            return
        for query in QUERIES:
            values = self._questions.ask(device.uuid, query.name, partial(query.answer, self._api, device.handle))
            for value in values or ():
                yield device.reading(*value)
        yield from self._memory(device, self._instances(device), owners)

    def _device(self, index: int) -> Device | None:
        """The GPU of an index; None if it may not be looked at: a container is given some of them."""
        if index not in self._known:
            handle = self._questions.ask(index, "device", lambda: self._api.nvmlDeviceGetHandleByIndex(index))
            if handle is None:
                return None
            known = self._identified(handle, str(index), {})
            if known is None:
                return None
            self._known[index] = known
        return self._known[index]

    def _identified(self, handle: Any, number: str, labels: dict[str, str]) -> Device | None:
        uuid = self._questions.ask(number, "uuid", lambda: self._api.nvmlDeviceGetUUID(handle))
        if uuid is None:
            return None
        name = self._questions.ask(uuid, "name", lambda: self._api.nvmlDeviceGetName(handle)) or ""
        return Device(handle, uuid, {"gpu": number, "uuid": uuid, "name": name.removeprefix(BRAND), **labels})

    def _instances(self, device: Device) -> list[Device]:
        """The MIG instances of a GPU. They come and go while NVML is open, and their handles with them."""
        ask, api = self._questions.ask, self._api
        mode = ask(device.uuid, "MIG mode", lambda: api.nvmlDeviceGetMigMode(device.handle))
        if mode is None or mode[0] != MIG_ENABLED:
            return []
        count = ask(device.uuid, "MIG count", lambda: api.nvmlDeviceGetMaxMigDeviceCount(device.handle)) or 0
        found = (self._instance(device, index) for index in range(count))
        return [each for each in found if each is not None]

    def _instance(self, device: Device, index: int) -> Device | None:
        ask, api = self._questions.ask, self._api
        number = f"{device.labels['gpu']}:{index}"
        handle = ask(number, "MIG device", lambda: api.nvmlDeviceGetMigDeviceHandleByIndex(device.handle, index))
        if handle is None:
            return None
        gpu = ask(number, "GPU instance", lambda: api.nvmlDeviceGetGpuInstanceId(handle))
        compute = ask(number, "compute instance", lambda: api.nvmlDeviceGetComputeInstanceId(handle))
        ids = {"gpu_instance": gpu, "compute_instance": compute}
        return self._identified(handle, number, {name: str(each) for name, each in ids.items() if each is not None})

    def _memory(self, device: Device, instances: list[Device], owners: Owners) -> Iterator[Reading]:
        """Of the GPU what its instances leave, so that nothing is counted twice; its processes are theirs too."""
        rest = self._memory_of(device)
        for instance in instances:
            memory = self._memory_of(instance)
            if memory is not None:
                yield from self._shares(instance, memory, self._usage(instance, owners))
                rest = rest and rest.without(memory)
        if rest is not None:
            yield from self._shares(device, rest, {} if instances else self._usage(device, owners))

    def _memory_of(self, device: Device) -> Memory | None:
        info = self._questions.ask(device.uuid, "memory", lambda: self._api.nvmlDeviceGetMemoryInfo(device.handle))
        return None if info is None else Memory(int(info.total), int(info.free), int(info.used))

    def _usage(self, device: Device, owners: Owners) -> dict[Owner, Usage]:
        memory = memory_by_pid(self._questions, device.uuid, device.handle)
        if not memory:
            return {}
        shares = self._utilization.by_pid(self._questions, device.uuid, device.handle, self._interval_s)
        return usage_by_owner(memory, shares, owners)

    def _shares(self, device: Device, memory: Memory, usage: dict[Owner, Usage]) -> Iterator[Reading]:
        owned = sum(each.memory_bytes for each in usage.values())
        yield device.reading(instruments.MEMORY_TOTAL, memory.total, {})
        yield device.reading(instruments.MEMORY_FREE, memory.free, {})
        yield device.reading(instruments.MEMORY_USED, memory.used, {})
        yield device.reading(instruments.MEMORY, max(memory.used - owned, 0.0), {})
        together: dict[Owner, float] = {}
        for owner, each in usage.items():
            labels = dict(owner)
            yield device.reading(instruments.MEMORY, each.memory_bytes, labels, labels["service"])
            if each.utilization is not None:
                yield device.reading(instruments.PROCESS_UTILIZATION, each.utilization, labels, labels["service"])
                without_worker = tuple(pair for pair in owner if pair[0] != "worker")
                together[without_worker] = together.get(without_worker, 0.0) + each.utilization
        for owner, share in together.items():
            labels = dict(owner)
            yield device.reading(instruments.UTILIZATION, min(share, 1.0), labels, labels["service"])
