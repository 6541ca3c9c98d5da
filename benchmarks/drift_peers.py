"""Environments of libraries that report drift, each of its own: `python -m benchmarks.drift_peers [DIRECTORY]`.

They want versions of pandas and numpy that do not go together, and not with ours. The directory is build/drift-peers,
or what OBSAGENT_DRIFT_PEERS says. `drift.py` measures those that are there; tests/golden/drift says how its numbers
were made in them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

REQUIREMENTS = {
    "evidently": ["evidently==0.7.*", "pandas<3"],
    "nannyml": ["nannyml==0.13.*", "statsmodels"],
    "whylogs": ["whylogs[viz]==1.6.*", "numpy<2", "pandas<3", "scipy", "ipython", "setuptools<80"],
    "river": ["river==0.26.*"],
}
QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"}
LIMIT_S = 180
PROGRAM = Path(__file__).with_name("drift_program.py")


def directory() -> Path:
    """Where the environments are."""
    default = Path(__file__).parents[1] / "build" / "drift-peers"
    return Path(os.environ.get("OBSAGENT_DRIFT_PEERS", default))


def python_of(peer: str) -> Path | None:
    """The interpreter that has the peer, or None if there is none."""
    python = directory() / peer / "bin" / "python"
    if not python.exists():
        return None
    done = subprocess.run([python, "-c", f"import {peer}"], env=os.environ | QUIET, capture_output=True, check=False)
    return python if done.returncode == 0 else None


def ask(python: Path | str, *arguments: str, program: Path = PROGRAM) -> Any:
    """What the program finds, in a process of its own; None if it took too long. Raises `RuntimeError` otherwise."""
    command = [str(python), str(program), *arguments]
    try:
        done = subprocess.run(
            command, env=os.environ | QUIET, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Makes them all, and says which could not be made."""
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else directory()
    for peer, requirements in REQUIREMENTS.items():
        venv.create(where / peer, with_pip=True)
        pip = [str(where / peer / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements]
        failed = subprocess.run(pip, check=False).returncode
        print(f"{peer}: {'could not be installed' if failed else 'ready'}", flush=True)


if __name__ == "__main__":
    main()
