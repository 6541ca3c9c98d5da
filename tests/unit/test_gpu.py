"""The GPU collector against a fake NVML: units, what is not supported, MIG, processes, and GPUs that get lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from obsagent.collect.gpu import instruments
from unit.nvml_lab import GIB, CollectorProcess, FakeGpus, Found

FRAUD = {"service": "fraud", "worker": "0", "version": "4"}
FRAUD_1 = {**FRAUD, "worker": "1"}
HOST = {"service": "host"}
DEVICE = {"gpu": "0", "uuid": "GPU-fake-0", "name": "Fake 100"}


@pytest.fixture
def gpus(tmp_path: Path) -> FakeGpus:
    return FakeGpus(tmp_path)


def one_round(gpus: FakeGpus | None, owners: dict[int, dict[str, str]] | None = None) -> Found:
    with CollectorProcess(gpus, owners) as collector:
        return collector.round()


def test_everything_is_in_base_units(gpus: FakeGpus) -> None:
    found = one_round(gpus)
    assert (found.error, found.note) == ("", "")
    expected: list[tuple[str, dict[str, str], float]] = [
        ("gpu_utilization", {}, 0.37),
        ("gpu_memory_controller_utilization", {}, 0.12),
        ("gpu_encoder_utilization", {}, 0.05),
        ("gpu_decoder_utilization", {}, 0.07),
        ("gpu_memory_bytes", {}, 10 * GIB),
        ("gpu_memory_used_bytes", {}, 10 * GIB),
        ("gpu_memory_free_bytes", {}, 70 * GIB),
        ("gpu_memory_total_bytes", {}, 80 * GIB),
        ("gpu_power_watts", {}, 250.5),
        ("gpu_power_limit_watts", {}, 400.0),
        ("gpu_energy_joules", {}, 9e9),
        ("gpu_temperature_celsius", {}, 61.0),
        ("gpu_memory_temperature_celsius", {}, 72.0),
        ("gpu_temperature_limit_celsius", {"threshold": "shutdown"}, 95.0),
        ("gpu_temperature_limit_celsius", {"threshold": "slowdown"}, 90.0),
        ("gpu_temperature_limit_celsius", {"threshold": "memory_max"}, 105.0),
        ("gpu_temperature_limit_celsius", {"threshold": "gpu_max"}, 85.0),
        ("gpu_clock_hertz", {"clock": "sm"}, 1.41e9),
        ("gpu_clock_hertz", {"clock": "memory"}, 1.593e9),
        ("gpu_clock_max_hertz", {"clock": "sm"}, 1.98e9),
        ("gpu_clock_max_hertz", {"clock": "memory"}, 2.619e9),
        ("gpu_throttled", {"reason": "power_cap"}, 1.0),
        ("gpu_throttled", {"reason": "hardware_thermal"}, 1.0),
        ("gpu_throttled", {"reason": "idle"}, 0.0),
        ("gpu_throttled_seconds", {"limit": "power"}, 2.5),
        ("gpu_throttled_seconds", {"limit": "thermal"}, 0.0),
        ("gpu_ecc_errors", {"type": "corrected"}, 3.0),
        ("gpu_ecc_errors", {"type": "uncorrected"}, 0.0),
        ("gpu_ecc_errors_lifetime", {"type": "corrected"}, 17.0),
        ("gpu_ecc_errors_lifetime", {"type": "uncorrected"}, 1.0),
        ("gpu_pcie_throughput", {"direction": "transmit"}, 1.2e6),
        ("gpu_pcie_throughput", {"direction": "receive"}, 3.4e7),
        ("gpu_pcie_replays", {}, 2.0),
        ("gpu_nvlink_errors", {"type": "crc_flit"}, 4.0),
        ("gpu_nvlink_errors", {"type": "replay"}, 1.0),
    ]
    for metric, labels, value in expected:
        assert found.value(metric, **DEVICE, **HOST, **labels) == value, (metric, labels)


def test_every_instrument_is_read_with_the_labels_that_it_names(gpus: FakeGpus) -> None:
    gpus.set("0", process=[(4711, GIB, 20)])
    found = one_round(gpus, {4711: FRAUD})
    assert found.names == {each.name for each in instruments.ALL}
    named = {each.name: {*each.label_names, "service", "version"} for each in instruments.ALL}
    for name, labels, _ in found.readings:
        assert labels.keys() <= named[name], name


def test_what_a_gpu_does_not_support_is_absent_and_not_asked_again(gpus: FakeGpus) -> None:
    gpus.set("0", power=None, ecc=None, utilization=None)
    with CollectorProcess(gpus) as collector:
        first = collector.round()
        asked_first = gpus.take_calls()
        second = collector.round()
        asked_again = gpus.take_calls()
    assert (first.error, second.error) == ("", "")
    for name in ("gpu_power_watts", "gpu_ecc_errors", "gpu_utilization"):
        assert name not in first.names | second.names
    assert "gpu_power_limit_watts" in second.names
    assert "nvmlDeviceGetPowerUsage 0" in asked_first
    for question in ("PowerUsage", "TotalEccErrors", "UtilizationRates"):
        assert f"nvmlDeviceGet{question} 0" not in asked_again
    assert "nvmlDeviceGetTemperature 0" in asked_again


def test_an_older_driver_has_the_second_version_of_the_processes(gpus: FakeGpus) -> None:
    gpus.set("0", process=[(4711, GIB)], nvmlDeviceGetComputeRunningProcesses_v3=13)
    assert one_round(gpus, {4711: FRAUD}).value("gpu_memory_bytes", **FRAUD) == GIB


def test_memory_belongs_to_the_model_whose_process_holds_it(gpus: FakeGpus) -> None:
    gpus.set("0", process=[(4711, 3 * GIB, 20), (4712, GIB, 5), (99, 2 * GIB, 50)], graphics=[(4711, 3 * GIB)])
    found = one_round(gpus, {4711: FRAUD, 4712: FRAUD_1})
    assert found.value("gpu_memory_bytes", gpu="0", **FRAUD) == 3 * GIB
    assert found.value("gpu_memory_bytes", gpu="0", **FRAUD_1) == GIB
    assert found.value("gpu_memory_bytes", **HOST) == 6 * GIB
    assert sum(found.values("gpu_memory_bytes")) == found.value("gpu_memory_used_bytes")
    assert found.value("gpu_process_utilization", **FRAUD) == 0.20
    assert found.value("gpu_process_utilization", **FRAUD_1) == 0.05
    assert found.value("gpu_utilization", service="fraud", version="4") == 0.25
    assert found.value("gpu_utilization", **HOST) == 0.37


def test_a_process_whose_parent_has_the_session_belongs_to_it_too(gpus: FakeGpus) -> None:
    engine = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        gpus.set("0", process=[(engine.pid, GIB, 20)])
        found = one_round(gpus, {os.getpid(): FRAUD})
    finally:
        engine.communicate(b"\n")
    assert found.value("gpu_memory_bytes", **FRAUD) == GIB


def test_idle_processes_have_no_share_and_unknown_memory_is_the_hosts(gpus: FakeGpus) -> None:
    gpus.set("0", process=[(4711, GIB), (4712, "-")])
    found = one_round(gpus, {4711: FRAUD, 4712: FRAUD_1})
    assert found.error == ""
    assert found.value("gpu_utilization", service="fraud") == 0.0
    assert found.values("gpu_memory_bytes", **FRAUD_1) == []
    assert found.value("gpu_memory_bytes", **HOST) == 9 * GIB


def test_a_process_that_leaves_is_read_as_nothing_once(gpus: FakeGpus) -> None:
    gpus.set("0", process=[(4711, GIB, 20)])
    with CollectorProcess(gpus, {4711: FRAUD}) as collector:
        assert collector.round().value("gpu_memory_bytes", **FRAUD) == GIB
        gpus.set("0", process=None)
        gone = collector.round()
        after = collector.round()
    assert gone.value("gpu_memory_bytes", **FRAUD) == 0.0
    assert gone.value("gpu_utilization", service="fraud") == 0.0
    assert after.values("gpu_memory_bytes", **FRAUD) == []


def test_mig_instances_are_devices_of_their_own_and_count_once(gpus: FakeGpus) -> None:
    gpus.set("0", mig=2, process=[(4711, 2 * GIB, 20)], utilization=None)
    gpus.set("0:0", memory=(10 * GIB, 7 * GIB, 3 * GIB), process=[(4711, 2 * GIB)])
    gpus.set("0:1", memory=(20 * GIB, 19 * GIB, GIB))
    found = one_round(gpus, {4711: FRAUD})
    first = {"gpu": "0:0", "uuid": "MIG-fake-0:0", "name": "Fake 100 MIG 1g.10gb", "gpu_instance": "7"}
    assert found.error == ""
    assert found.value("gpu_memory_bytes", **first, compute_instance="0", **FRAUD) == 2 * GIB
    assert found.value("gpu_memory_bytes", **first, **HOST) == GIB
    assert found.value("gpu_memory_used_bytes", gpu="0:1", gpu_instance="8") == GIB
    assert found.value("gpu_memory_used_bytes", gpu="0") == 6 * GIB
    assert sum(found.values("gpu_memory_bytes")) == 10 * GIB
    assert sum(found.values("gpu_memory_total_bytes")) == 80 * GIB
    assert found.value("gpu_power_watts") == 250.5


def test_instances_come_and_go(gpus: FakeGpus) -> None:
    gpus.set("0", mig=1)
    gpus.set("0:0", memory=(10 * GIB, 7 * GIB, 3 * GIB))
    gpus.set("0:1", memory=(20 * GIB, 19 * GIB, GIB))
    with CollectorProcess(gpus) as collector:
        counts = []
        for instances in (1, 2, 1):
            gpus.set("0", mig=instances)
            counts.append(len(collector.round().values("gpu_memory_total_bytes")))
    assert counts == [2, 3, 2]


def test_a_lost_gpu_is_a_trouble_and_the_others_are_read(tmp_path: Path) -> None:
    gpus = FakeGpus(tmp_path, 3)
    with CollectorProcess(gpus, retry_s=1e9) as collector:
        collector.round()
        gpus.set("1", code=15)
        found = collector.round()
    assert found.error == (
        "Unreadable: GPU 1 (Fake 100, GPU-fake-1): GPU is lost: it has fallen off the bus: dmesg has its Xid, and a "
        "reset or a reboot brings it back"
    )
    assert found.value("gpu_power_watts", gpu="0") == found.value("gpu_power_watts", gpu="2") == 250.5
    assert found.values("gpu_power_watts", gpu="1") == []


def test_a_gpu_that_was_lost_from_the_beginning_comes_back(tmp_path: Path) -> None:
    gpus = FakeGpus(tmp_path, 2)
    gpus.set("1", code=15)
    with CollectorProcess(gpus) as collector:
        lost = collector.round()
        gpus.set("1", code=None)
        back = collector.round()
    assert lost.error.startswith("Unreadable: GPU 1: GPU is lost")
    assert back.error == ""
    assert len(back.values("gpu_power_watts")) == 2


def test_one_question_that_goes_wrong_takes_no_other_with_it(gpus: FakeGpus) -> None:
    gpus.set("0", nvmlDeviceGetPowerUsage=999, nvmlDeviceGetTemperature=14)
    with CollectorProcess(gpus) as collector:
        found = collector.round()
        again = collector.round()
        gpus.set("0", nvmlDeviceGetPowerUsage=None, nvmlDeviceGetTemperature=None)
        well = collector.round()
    assert found.error == "Unreadable: GPU 0 (Fake 100, GPU-fake-0): power: Unknown Error, and 1 more"
    assert again.error == found.error
    assert found.value("gpu_energy_joules") == 9e9
    assert well.error == ""
    assert well.value("gpu_power_watts") == 250.5


def test_without_a_driver_it_is_off_with_a_note() -> None:
    found = one_round(None)
    assert found.error == ""
    assert found.readings == []
    assert found.note == "no NVIDIA driver here (libnvidia-ml.so.1 is not found)"


def test_a_driver_that_sees_no_gpu_is_no_trouble(gpus: FakeGpus) -> None:
    gpus.set("", gpus=0)
    with CollectorProcess(gpus) as collector:
        found = collector.round()
        gpus.set("", gpus=1)
        plugged = collector.round()
    assert (found.error, found.note) == ("", "the NVIDIA driver sees no GPU")
    assert (plugged.note, plugged.value("gpu_power_watts")) == ("", 250.5)


def test_a_driver_that_is_not_loaded_is_no_trouble_until_it_has_worked(gpus: FakeGpus) -> None:
    gpus.set("", init=9)
    with CollectorProcess(gpus) as collector:
        before = collector.round()
        gpus.set("", init=None)
        worked = collector.round()
        gpus.set("", init=9)
        gpus.set("0", code=9)
        unloading = collector.round()
        unloaded = collector.round()
        gpus.set("", init=None)
        gpus.set("0", code=None)
        back = collector.round()
    assert (before.error, before.note) == ("", "the NVIDIA driver is installed and not loaded")
    assert worked.value("gpu_power_watts") == 250.5
    advice = "Driver Not Loaded: its kernel module is not loaded (modprobe nvidia)"
    assert unloading.error == f"Unreadable: the NVIDIA driver: {advice}; it is opened again"
    assert unloaded.error == f"Unreadable: the NVIDIA driver: {advice}"
    assert (back.error, back.value("gpu_power_watts")) == ("", 250.5)


def test_a_driver_that_was_updated_is_a_trouble_until_it_fits_again(gpus: FakeGpus) -> None:
    gpus.set("", init=18)
    with CollectorProcess(gpus) as collector:
        mismatch = collector.round()
        gpus.take_calls()
        gpus.set("", init=None)
        back = collector.round()
    assert "it was updated, and the old kernel module still runs" in mismatch.error
    assert gpus.take_calls().count("loaded -") >= 1  # the file may be another one now
    assert back.value("gpu_power_watts") == 250.5


def test_an_error_that_only_the_library_knows_is_told_in_its_words(gpus: FakeGpus) -> None:
    gpus.set("", init=27)
    assert one_round(gpus).error == "Unreadable: the NVIDIA driver: An error of the fake"
    gpus.set("", init=None, nvmlDeviceGetCount_v2=27)
    assert one_round(gpus).error == "Unreadable: the NVIDIA driver: An error of the fake"


def test_what_does_not_open_is_not_tried_every_round(gpus: FakeGpus) -> None:
    gpus.set("", init=18)
    with CollectorProcess(gpus, retry_s=1e9) as collector:
        first = collector.round()
        gpus.set("", init=None)
        second = collector.round()
    assert second.error == first.error != ""


def test_a_container_that_may_not_see_a_gpu_is_told_of_the_others(tmp_path: Path) -> None:
    gpus = FakeGpus(tmp_path, 2)
    gpus.set("0", nvmlDeviceGetHandleByIndex_v2=4)
    found = one_round(gpus)
    assert found.error == ""
    assert found.value("gpu_power_watts", gpu="1") == 250.5
