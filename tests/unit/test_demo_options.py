from pathlib import Path

import pytest

from obsagent.demo import DemoOptions, run
from obsagent.demo.requires import PackagesMissing
from obsagent.errors import UsageError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (DemoOptions(duration_s=0.0), "the duration must be above zero seconds, not 0"),
        (DemoOptions(duration_s=float("nan")), "the duration must be above zero seconds, not nan"),
        (DemoOptions(workers=0), "the model server needs at least one worker, not 0"),
        (DemoOptions(port=65_535), "a port is a number from 1 to 65534, as the next one is taken too, not 65535"),
    ],
)
def test_options_out_of_range_are_usage_errors(options: DemoOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(options)


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("obsagent.demo.requires.NEEDED", ("numpy", "no-such-distribution", "nor-this-one"))
    with pytest.raises(PackagesMissing) as missing:
        run(DemoOptions(data=tmp_path))
    assert str(missing.value) == "the demo needs no-such-distribution, nor-this-one: pip install 'obsagent[demo]'"
    assert list(tmp_path.iterdir()) == []


def test_the_packages_are_those_of_the_extra() -> None:
    """What `pip install 'obsagent[demo]'` brings is what is asked for, no more and no less."""
    import re
    import tomllib

    from obsagent.demo.requires import NEEDED

    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    listed = {re.split(r"[^\w-]", line)[0] for line in [*extras["demo"], *extras["agent"]]} - {"obsagent"}
    assert listed == set(NEEDED)
