"""Runs the Python tests of the extension modules on a build with AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/sanitized.py [arguments for pytest]     builds into build/sanitize, runs the tests, shows the reports
    python tests/sanitized.py --plant                    proves that it would notice: see below

The modules in the source tree are left alone. The sanitizers come into the interpreter by LD_PRELOAD, the memory of
Python's own objects comes from malloc so that they watch it too, and every report fails the run, also one of a process
that a test has started and whose end it does not look at. Leaks are not looked for: the interpreter keeps too much.

Before the tests, a write beyond the end of a buffer must raise the alarm, or nothing would mean anything. `--plant`
goes further: it copies the sources, plants a write beyond the heap and a signed overflow in the kernels of the copy,
builds it, and expects two tests of the sketches to be stopped by them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = Path("build/sanitize")
MODULES = ("codec", "ring", "sketch")
TESTS = (
    ("tests/unit/test_native_*.py", "tests/unit/test_sketch*.py"),
    (
        "tests/property/test_codec_properties.py",
        "tests/property/test_digest_properties.py",
        "tests/property/test_sketch_properties.py",
        "tests/fuzz/test_*.py",
    ),
)
"""What runs side by side, on a processor each."""
NOT_NATIVE = ("test_fuzz_query.py",)
ALARM = "import ctypes; ctypes.memset(ctypes.create_string_buffer(64), 0, 200)"
REPORT_INTO = """import ctypes

ctypes.CDLL({library!r}).__sanitizer_set_report_path({path!r}.encode())
"""
"""What each Python does first: beside AddressSanitizer the other one does not find its own option for it."""
PLANTED = (
    ("csrc/tdigest.c", "obs_malloc(2 * copy.buffer_capacity", "obs_malloc(copy.buffer_count / 2"),
    (
        "csrc/loghist_merge.c",
        "int status = lowered_copy(hist,",
        "volatile int planted = INT32_MAX; planted = planted + scale; int status = lowered_copy(hist,",
    ),
)
"""File, what stands there once, and what is put in its place: a copy larger than its room, a signed overflow."""
CAUGHT = (
    ("test_a_copy_is_independent and TDigest", "heap-buffer-overflow"),
    ("test_downscale_refuses_to_refine", "signed integer overflow"),
)
"""The tests that must stumble over them, and what the report must say."""


class Broken(Exception):
    """The tests cannot be run, or they would not notice anything."""


def build(root: Path, modules: Iterable[str] = MODULES) -> None:
    """Builds the package, instrumented, into `build/sanitize/lib` below `root`."""
    command = [sys.executable, "setup.py", "-q", "build", "--parallel", str(os.cpu_count() or 1)]
    places = ["--build-base", str(BUILD), "--build-lib", str(BUILD / "lib")]
    options = {"OBSAGENT_SANITIZE": "address,undefined", "OBSAGENT_BUILD_ONLY": ",".join(modules)}
    subprocess.run([*command, *places], cwd=root, env={**os.environ, **options}, check=True)


def library(name: str) -> str:
    """Where the compiler has a sanitizer's runtime."""
    compiler = os.environ.get("CC", "cc")
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
    if not Path(found.strip()).is_absolute():
        raise Broken(f"{compiler} has no {name}: install the sanitizers of the compiler")
    return str(Path(found.strip()).resolve())


def environment(root: Path) -> dict[str, str]:
    """What the tests run with; reports go into files, because pytest's captured output dies with its process."""
    reports = root / BUILD / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    address, undefined = library("libasan.so"), library("libubsan.so")
    (root / BUILD / "lib" / "sitecustomize.py").write_text(
        REPORT_INTO.format(library=undefined, path=f"{reports}/ubsan")
    )
    return {
        **os.environ,
        "LD_PRELOAD": f"{address} {undefined}",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(root / BUILD / "lib"),
        "ASAN_OPTIONS": f"detect_leaks=0:log_path={reports}/asan",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }


def reports_of(root: Path) -> list[str]:
    """What the sanitizers have reported since the last call."""
    paths = sorted((root / BUILD / "reports").iterdir())
    texts = [path.read_text(errors="replace") for path in paths]
    for path in paths:
        path.unlink()
    return texts


def python(root: Path, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs Python in `root`."""
    return subprocess.run([sys.executable, *arguments], cwd=root, env=env, check=False)


def check_alarm(root: Path, env: Mapping[str, str]) -> None:
    """Raises `Broken` unless the instrumented modules are those that are loaded, and an overflow is reported."""
    names = [f"obsagent._native.{name}" for name in MODULES]
    loaded = "; ".join(f"import {name} as m; assert {str(BUILD / 'lib')!r} in m.__file__, m.__file__" for name in names)
    if python(root, env, "-c", loaded).returncode:
        raise Broken("the instrumented modules are not the ones that are loaded")
    subprocess.run([sys.executable, "-c", ALARM], cwd=root, env=env, capture_output=True, check=False)
    if not any("heap-buffer-overflow" in text for text in reports_of(root)):
        raise Broken("a write beyond the end of a buffer raises no alarm")


def tests_of(root: Path, patterns: Iterable[str]) -> list[str]:
    """The files that are there."""
    found = [path for pattern in patterns for path in sorted(root.glob(pattern)) if path.name not in NOT_NATIVE]
    return [str(path.relative_to(root)) for path in found]


def run_pytest(root: Path, env: Mapping[str, str], groups: Iterable[list[str]]) -> int:
    """Runs pytest with each group of arguments, all at once, and shows one output after the other; the exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    exit_code = 0
    with ExitStack() as stack:
        outputs = [(stack.enter_context(tempfile.TemporaryFile()), arguments) for arguments in groups]
        running = [
            (output, subprocess.Popen([*command, *arguments], cwd=root, env=env, stdout=output, stderr=output))
            for output, arguments in outputs
        ]
        for output, process in running:
            exit_code = process.wait() or exit_code
            output.seek(0)
            print(output.read().decode(errors="replace"), end="")
    return exit_code


def run_tests(root: Path, arguments: list[str]) -> int:
    """Builds, runs the tests, and shows the reports; the exit code."""
    build(root)
    env = environment(root)
    check_alarm(root, env)
    exit_code = run_pytest(root, env, [arguments] if arguments else [tests_of(root, group) for group in TESTS])
    reports = reports_of(root)
    print(*reports, sep="\n", end="")
    print(f"{len(reports)} reports of the sanitizers")
    return exit_code or bool(reports)


def plant(root: Path, copy: Path) -> None:
    """A copy of the sources with the bugs in it."""
    for name in ("csrc", "src", "tests/unit"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("*.so", "__pycache__", "build"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy / name)
    for name, right, wrong in PLANTED:
        text = (copy / name).read_text()
        if text.count(right) != 1:
            raise Broken(f"{name} does not hold `{right}` once: plant the bug elsewhere")
        (copy / name).write_text(text.replace(right, wrong))


def prove(root: Path) -> int:
    """Plants the bugs in a copy; 0 if the tests find them."""
    with tempfile.TemporaryDirectory(prefix="obsagent-planted-") as directory:
        copy = Path(directory)
        plant(root, copy)
        build(copy, ["sketch"])
        env = environment(copy)
        for tests, expected in CAUGHT:
            alone = ["-p", "no:obsagent.testing", "-p", "no:cacheprovider", "--noconftest", "-q", "-k", tests]
            done = python(copy, env, "-m", "pytest", *alone, "tests/unit/test_sketches.py")
            if done.returncode == 0 or not any(expected in text for text in reports_of(copy)):
                raise Broken(f"nobody has noticed the {expected} in {tests}")
            print(f"noticed: {expected} in {tests}")
    return 0


def main(arguments: list[str]) -> int:
    """Runs what was asked for; the exit code."""
    try:
        return prove(ROOT) if arguments == ["--plant"] else run_tests(ROOT, arguments)
    except Broken as error:
        print(f"sanitized: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
