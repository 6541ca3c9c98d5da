"""The zone's name: from `TZ`, from the system's link, else the offset."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsagent import zone
from obsagent.zone import local_zone_name


@pytest.fixture(autouse=True)
def zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tree of zones of our own, and a machine without `TZ`; the C library's clock is put back afterwards."""
    tree = tmp_path / "usr" / "share" / "zoneinfo"
    for name in ("Europe/Berlin", "Asia/Kolkata", "UTC"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    monkeypatch.setattr(zone, "ZONES", str(tree))
    monkeypatch.setattr(zone, "LOCALTIME", str(tmp_path / "localtime"))
    monkeypatch.delenv("TZ", raising=False)
    yield tree
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("Asia/Kolkata", "Asia/Kolkata"),
        (":Europe/Berlin", "Europe/Berlin"),
        ("/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("posix/Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_the_variable_names_it(variable: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", variable)
    assert local_zone_name() == name


@pytest.mark.parametrize("target", ["/usr/share/zoneinfo/Europe/Berlin", "../usr/share/zoneinfo/Europe/Berlin"])
def test_the_systems_link_names_it(target: str, tmp_path: Path) -> None:
    (tmp_path / "localtime").symlink_to(target)
    assert local_zone_name() == "Europe/Berlin"


@pytest.mark.parametrize(
    ("variable", "offset"),
    [
        ("CET-1CEST-1,M3.5.0,M10.5.0/3", "+01:00"),
        ("<-0330>3:30", "-03:30"),
        ("<+0545>-5:45", "+05:45"),
        ("", "+00:00"),
        ("Nowhere/At_All", "+00:00"),
        ("../../../etc/passwd", "+00:00"),
    ],
)
def test_a_rule_or_nonsense_is_told_as_its_offset(variable: str, offset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", variable)
    time.tzset()
    assert local_zone_name() == offset


@pytest.mark.parametrize("content", [None, b"TZif2"])
def test_a_system_without_a_link_is_told_by_its_offset(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "localtime").write_bytes(content)
    time.tzset()
    assert re.fullmatch(r"[+-]\d\d:\d\d", local_zone_name())
