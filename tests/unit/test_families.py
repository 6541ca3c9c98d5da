"""What the samples of a page become: kinds, units, totals, and which belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsagent.collect.exposition import Page
from obsagent.collect.families import Families, families_of, names_of, unit_of
from obsagent.samples import Kind

PAGES = Path(__file__).parent / "pages"


def page_of(text: str) -> Page:
    page = Page()
    for line in text.encode().split(b"\n"):
        page.read(line)
    return page


def families(text: str) -> Families:
    page = page_of(text)
    found = families_of(page)
    assert not page.malformed, page.first_malformed
    return found


def kinds(name: str) -> dict[str, tuple[str, str]]:
    """Metric → kind and unit, of a recorded page."""
    points = families((PAGES / f"{name}.txt").read_text()).points
    return {point.instrument.name: (point.instrument.kind.word, point.instrument.unit) for point in points}


def test_vllm() -> None:
    found = kinds("vllm")
    assert found["vllm:num_requests_running"] == ("gauge", "")
    assert found["vllm:prompt_tokens_total"] == ("counter", "")
    assert found["vllm:time_to_first_token_seconds_bucket"] == ("counter", "")
    assert found["vllm:time_to_first_token_seconds_sum"] == ("counter", "seconds")
    assert found["vllm:iteration_tokens_total_count"] == ("counter", "")
    assert found["vllm:cache_config_info"] == ("gauge", "")
    assert not any(name.endswith("_created") for name in found)


def test_triton() -> None:
    found = kinds("triton")
    assert found["nv_inference_request_success"] == ("counter", "")
    assert found["nv_inference_request_duration_us"] == ("counter", "us")
    assert found["nv_inference_first_response_histogram_ms_sum"] == ("counter", "ms")
    assert found["nv_inference_request_summary_us"] == ("gauge", "us")
    assert found["nv_inference_request_summary_us_count"] == ("counter", "")
    assert found["nv_gpu_memory_used_bytes"] == ("gauge", "bytes")
    quantiles = families((PAGES / "triton.txt").read_text()).points
    shown = [dict(point.labels)["quantile"] for point in quantiles if "quantile" in dict(point.labels)]
    assert shown == ["0.5", "0.99"]  # the third is not a number: nothing was observed


def test_torchserve_tgi_dcgm_and_the_node() -> None:
    assert kinds("torchserve")["ts_inference_latency_microseconds"] == ("counter", "microseconds")
    assert kinds("torchserve")["DiskUsage"] == ("gauge", "")
    assert kinds("tgi")["tgi_request_duration_bucket"] == ("counter", "")
    assert kinds("tgi")["tgi_request_count"] == ("counter", "")  # named like a part of a histogram, and none
    assert kinds("dcgm")["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"] == ("counter", "")
    assert kinds("dcgm")["DCGM_FI_DEV_GPU_TEMP"] == ("gauge", "")
    assert kinds("node")["node_cpu_seconds_total"] == ("counter", "seconds")
    assert kinds("node")["node_netstat_Ip_Forwarding"] == ("gauge", "")


def test_openmetrics() -> None:
    found = kinds("openmetrics")
    assert found["requests_total"] == ("counter", "")
    assert found["build_info"] == found["state"] == found["sizes_bucket"] == found["who_knows"] == ("gauge", "")
    assert found["request_latency_seconds_sum"] == ("counter", "seconds")
    assert "request_latency_seconds_created" not in found
    totals = families((PAGES / "openmetrics.txt").read_text()).totals
    assert {total.created_s for total in totals.values()} == {1520430000.123}


def test_parts_of_a_histogram_are_one_total() -> None:
    totals = families((PAGES / "tgi.txt").read_text()).totals
    total = totals["tgi_batch_forward_duration", (("method", "decode"),)]
    assert total.parts == {
        ("_bucket", "0.05"): 8300,
        ("_bucket", "+Inf"): 8320,
        ("_sum", ""): 166.4,
        ("_count", ""): 8320,
    }


def test_when_a_counter_was_created_is_known_in_both_formats() -> None:
    for text in (
        "# TYPE x_total counter\nx_total 5\n# TYPE x_created gauge\nx_created 17",
        "# TYPE x counter\nx_created 17\nx_total 5",
    ):
        found = families(text)
        assert [total.created_s for total in found.totals.values()] == [17.0]
        assert len(found.points) == 1


def test_help_belongs_to_the_family() -> None:
    for text in ("# HELP x_total H\n# TYPE x_total counter\nx_total 5", "# HELP x H\n# TYPE x counter\nx_total 5"):
        assert families(text).points[0].instrument.help == "H"


WRONG = {
    "nan": ("# TYPE x counter\nx NaN", "is nan, which is no total"),
    "negative": ("# TYPE x counter\nx -1", "is a total below zero"),
    "no edge": ("# TYPE x histogram\nx_bucket 1", "has no edge (le)"),
    "a wrong edge": ('# TYPE x histogram\nx_bucket{le="low"} 1', "but `low`"),
    "a bare histogram": ("# TYPE x histogram\nx 1", "is a histogram"),
    "a summary without quantile": ("# TYPE x summary\nx 1", "without a quantile"),
    "twice": ('x{a="b"} 1\nx{a="b"} 2', "twice with the same labels"),
    "twice in another order": ('x{a="b",c="d"} 1\nx{c="d",a="b"} 2', "twice with the same labels"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_left_out_and_said(name: str) -> None:
    text, said = WRONG[name]
    page = page_of(text + "\ngood 1")
    points = families_of(page).points
    assert said in page.first_malformed
    assert page.malformed == 1
    assert points[-1].instrument.name == "good"


def test_gauges_combine_as_their_units_say() -> None:
    across = {
        point.instrument.name: point.instrument.across
        for point in families("a 1\nb_ratio 1\nc_celsius 1\nd_info 1\nboot_time_seconds 1").points
    }
    assert across == {"a": "sum", "b_ratio": "mean", "c_celsius": "max", "d_info": "max", "boot_time_seconds": "max"}


def test_names_and_units() -> None:
    assert list(names_of("x_seconds_bucket")) == ["x_seconds_bucket", "x_seconds"]
    assert list(names_of("_sum")) == ["_sum"]
    assert [unit_of(name) for name in ("x_seconds_total", "x_bytes", "x_ms", "requests", "x_total")] == [
        "seconds",
        "bytes",
        "ms",
        "",
        "",
    ]


def test_a_gauge_is_not_a_number_and_stays() -> None:
    (point,) = families("x NaN").points
    assert point.instrument.kind is Kind.GAUGE
