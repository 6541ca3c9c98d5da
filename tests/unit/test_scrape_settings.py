"""`[[scrape]]`: what it means, and what is said of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsagent.collect.scrape_settings import ScrapeSettings
from obsagent.config import AgentConfig, load
from obsagent.errors import ConfigError


def loaded(tmp_path: Path, text: str) -> AgentConfig:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return load(path)


def scrape(tmp_path: Path, text: str) -> tuple[ScrapeSettings, ...]:
    return loaded(tmp_path, f"[[scrape]]\n{text}").scrape


def test_without_it_nothing_is_read(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").scrape == ()


def test_the_shortest(tmp_path: Path) -> None:
    (target,) = scrape(tmp_path, 'name = "vllm"\nurl = "http://127.0.0.1:8000"')
    assert (target.service, target.url, target.instance) == ("vllm", "http://127.0.0.1:8000/metrics", "127.0.0.1:8000")
    assert (target.interval_ms, target.timeout_ms) == (10_000, 5_000)


def test_everything(tmp_path: Path) -> None:
    (target,) = scrape(
        tmp_path,
        """
name = "triton"
url = "https://[::1]/m?a=b"
interval = "30s"
timeout = "20s"
include = ["nv_*"]
exclude = "nv_cpu_*"
labels = { zone = "a", instance = "left" }
bearer_token_file = "/run/token"
ca_file = "/etc/ca.pem"
page_bytes = "1MB"
series = 500
""",
    )
    assert target == ScrapeSettings(
        "triton",
        "https://[::1]/m?a=b",
        "left",
        30_000,
        20_000,
        ("nv_*",),
        ("nv_cpu_*",),
        (("zone", "a"), ("instance", "left")),
        Path("/run/token"),
        Path("/etc/ca.pem"),
        1_000_000,
        500,
    )


def test_several_servers_of_one_job(tmp_path: Path) -> None:
    targets = scrape(tmp_path, 'name = "a"\nurls = ["http://b:1", "https://c", "http://d/x", "http://d/y"]')
    assert [target.instance for target in targets] == ["b:1", "c:443", "d:80/x", "d:80/y"]


def test_a_short_interval_cuts_the_time_out(tmp_path: Path) -> None:
    (target,) = scrape(tmp_path, 'name = "a"\nurl = "http://b"\ninterval = "2s"')
    assert target.timeout_ms == 2_000


WRONG = {
    "no name": ('url = "http://b"', "scrape 1: name: expected text of at most 1024 bytes in quotes, got nothing"),
    "no url": ('name = "a"', "scrape 1 ('a'): expected url ="),
    "both": ('name = "a"\nurl = "http://b"\nurls = ["http://c"]', "expected url ="),
    "an unknown key": ('name = "a"\nurl = "http://b"\nintervall = "1s"', "did you mean interval?"),
    "no http": ('name = "a"\nurl = "ftp://b"', "expected an address such as"),
    "no host": ('name = "a"\nurl = "http:///x"', "expected an address such as"),
    "a port that is none": ('name = "a"\nurl = "http://b:99999"', "expected an address such as"),
    "a password": ('name = "a"\nurl = "http://u:p@b"', "no password belongs into an address"),
    "a timeout beyond the interval": (
        'name = "a"\nurl = "http://b"\ntimeout = "11s"',
        "expected at most the interval, 10s",
    ),
    "an interval that is none": ('name = "a"\nurl = "http://b"\ninterval = 5', "expected a time such as"),
    "a label of ours": ('name = "a"\nurl = "http://b"\nlabels = { host = "x" }', "host is set by the agent"),
    "no label": ('name = "a"\nurl = "http://b"\nlabels = { "a-b" = "x" }', "`a-b` is no name of a label"),
    "an instance for several": (
        'name = "a"\nurls = ["http://b", "http://c"]\nlabels = { instance = "x" }',
        "names one server",
    ),
    "no patterns": ('name = "a"\nurl = "http://b"\ninclude = []', "names or patterns"),
    "no series": ('name = "a"\nurl = "http://b"\nseries = 0', "expected a number of series"),
    "a page beyond all bounds": ('name = "a"\nurl = "http://b"\npage_bytes = "1GB"', "expected at most 256MiB"),
    "no urls": ('name = "a"\nurls = []', "expected a list of addresses"),
    "the same twice": (
        'name = "a"\nurl = "http://b"\n[[scrape]]\nname = "a"\nurl = "http://b"',
        "two targets are 'a' at 'b:80'",
    ),
    "too many": (f'name = "a"\nurls = {[f"http://b:{n}" for n in range(1, 102)]}', "101 targets; 100 are the most"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(tmp_path: Path, name: str) -> None:
    text, said = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        scrape(tmp_path, text)
    assert said in str(caught.value)


def test_it_is_a_list_of_tables(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected tables such as \[\[scrape\]\]"):
        loaded(tmp_path, '[scrape]\nname = "a"')
