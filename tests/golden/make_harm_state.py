"""Writes harm_N.state, a state of harm in format N, the newest. Not run by tests: what it wrote once stays readable."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "unit")]

from obsagent.harm.format import VERSION  # noqa: E402
from obsagent.harm.state import encode  # noqa: E402
from unit.test_harm_state import GOLDEN, full  # noqa: E402

if __name__ == "__main__":
    (GOLDEN / f"harm_{VERSION}.state").write_bytes(encode(full()))
