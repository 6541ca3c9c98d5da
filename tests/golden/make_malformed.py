"""Writes `malformed/FORMAT/NAME`, each wrong in what its name says, and `NAME.error`, what this build says of it.

    python tests/golden/make_malformed.py

Look at what changes in the errors before you keep it. `tests/unit/test_malformed.py` compares them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden import malformed_files, malformed_messages, malformed_native
from golden.verdicts import VERDICTS

MALFORMED = Path(__file__).parent / "malformed"
CASES: dict[str, Callable[[], malformed_files.Cases]] = {
    "header": malformed_messages.header,
    "zmtp": malformed_messages.zmtp_cases,
    "config": malformed_messages.config,
    "identity": malformed_messages.identity,
    "record": malformed_native.record,
    "body": malformed_native.body,
    "loghist": malformed_native.loghist,
    "tdigest": malformed_native.tdigest,
    "rows": malformed_native.rows,
    "sections": malformed_native.sections,
    "sketch": malformed_native.sketch,
    "journal": malformed_files.journal,
    "entry": malformed_files.entry,
    "tables": malformed_files.tables,
    "segment": malformed_files.segment,
}


def main() -> None:
    """Write them all anew."""
    for kind, cases in CASES.items():
        folder = MALFORMED / kind
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for name, data in cases():
            (folder / name).write_bytes(data)
            (folder / f"{name}.error").write_text(VERDICTS[kind](data) + "\n")


if __name__ == "__main__":
    main()
