"""What the files have in common in which an agent remembers what it has judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from obsagent.errors import StoreError
from obsagent.evaluate import state as of_drift
from obsagent.fs import Fs
from obsagent.harm import state as of_harm

OF_BOTH = pytest.mark.parametrize("of", [of_drift, of_harm], ids=["drift", "harm"])


@OF_BOTH
def test_no_file_is_no_state(tmp_path: Path, of: Any) -> None:
    assert of.read_state(tmp_path) is None


@OF_BOTH
def test_what_cannot_be_read_or_written_says_so(tmp_path: Path, of: Any) -> None:
    (tmp_path / of.FILE.name).mkdir()
    with pytest.raises(StoreError, match="cannot read"):
        of.read_state(tmp_path)
    with pytest.raises(StoreError, match="cannot write"):
        of.write_state(tmp_path / "nowhere", of.State(), Fs())
