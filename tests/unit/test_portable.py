"""What keeps other processors and systems compilable: what is special stands in obs_port.h, or is asked for there."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORT = ROOT / "csrc" / "obs_port.h"
KERNELS = sorted(path for path in (ROOT / "csrc").glob("*.[ch]") if path != PORT)
CYTHON = sorted(path for path in (ROOT / "src/obsagent/_native").iterdir() if path.suffix in (".pyx", ".pxi", ".pxd"))
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)
ASKS_THE_MACHINE = re.compile(
    r"__x86_64__|__i386__|__aarch64__|__arm\w*__|__SSE\w*|__AVX\w*|__linux__|__APPLE__|__GLIBC__|_MSC_VER|__clang__"
    r"|\b(?:__)?asm(?:__)?\b|\b_mm\d*_\w+|\w*intrin\.h|__builtin_cpu_\w+|__attribute__\(\(target"
)
X86_BUILTIN = re.compile(r"__builtin_ia32_\w+")
HEADERS = {
    *("assert.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdalign.h", "stdatomic.h", "stdbool.h"),
    *("stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "time.h"),
    *("pthread.h", "signal.h", "unistd.h", "sys/mman.h"),
}
"""C11's, and POSIX' of which Linux and macOS have all."""
LINUX_ONLY = re.compile(
    r"\b(MADV_(?!DONTNEED|WILLNEED|NORMAL|RANDOM|SEQUENTIAL)\w+|MAP_(?:POPULATE|HUGETLB|STACK)|prctl|gettid|"
    r"epoll_\w+|eventfd|timerfd_\w+|futex|memfd_create|sched_setaffinity|pthread_(?:setaffinity_np|condattr_setclock)|"
    r"CLOCK_(?:BOOTTIME|MONOTONIC_COARSE|MONOTONIC_RAW)|getrandom|qsort_r|pipe2|accept4)\b"
)


def code_of(path: Path) -> str:
    """The file without comments and texts, lines kept."""
    return COMMENT.sub(lambda found: "\n" * found[0].count("\n"), path.read_text())


def found_in(paths: list[Path], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.name}:{number}: {match[0]}"
        for path in paths
        for number, line in enumerate(code_of(path).splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def branches(path: Path) -> Iterator[tuple[str, bool]]:
    """Each line of code with whether it stands behind `#if OBS_ARCH_X86_64`."""
    guards: list[bool] = []
    for line in code_of(path).splitlines():
        directive = line.strip().removeprefix("#").strip() if line.strip().startswith("#") else ""
        if directive.startswith("if"):
            guards.append("OBS_ARCH_X86_64" in directive)
        elif directive.startswith(("else", "elif")):
            guards[-1] = False
        elif directive.startswith("endif"):
            guards.pop()
        yield line, any(guards)


def test_only_the_port_asks_for_processor_compiler_and_system() -> None:
    assert len(KERNELS) > 40
    assert ASKS_THE_MACHINE.search(PORT.read_text())
    assert found_in([*KERNELS, *CYTHON], ASKS_THE_MACHINE) == []


def test_builtins_of_x86_stand_behind_the_question_and_have_a_plain_twin() -> None:
    bare = [
        f"{path.name}: {line.strip()}"
        for path in KERNELS
        for line, guarded in branches(path)
        if X86_BUILTIN.search(line) and not guarded
    ]
    assert bare == []
    assert found_in(CYTHON, X86_BUILTIN) == []


def test_headers_are_those_of_c_and_posix() -> None:
    included = {
        name
        for path in [*KERNELS, PORT]
        for name in re.findall(r"^\s*#\s*include\s*<([^>]+)>", code_of(path), re.MULTILINE)
    }
    assert included <= HEADERS
    assert "stdint.h" in included


def test_what_only_linux_has_is_asked_for() -> None:
    """`#ifdef NAME` is how a kernel asks whether a constant is there."""
    bare = []
    for path in KERNELS:
        text = code_of(path)
        names = {match[0] for match in LINUX_ONLY.finditer(text)}
        bare += [f"{path.name}: {name}" for name in names if not re.search(rf"#\s*if(?:def)?\b.*\b{name}\b", text)]
    assert bare == []


LINUX_MODULES = {"resource", "fcntl", "grp", "pwd", "termios", "tty"}
LINUX_NAMES = re.compile(
    r"\bos\.(sched_\w+|eventfd\w*|memfd_create|posix_fadvise|pidfd_open|O_TMPFILE|setns|unshare|splice|getrandom)\b"
    r"|\bsignal\.(pthread_sigmask|sigtimedwait|SIGRTMIN)\b|\bsocket\.(SO_PEERCRED|AF_NETLINK|AF_PACKET)\b|\bselect\.epoll"
)


def client_modules() -> list[Path]:
    """What a model process loads, on whatever system: obsagent, obsagent.record and what they import."""
    program = (
        "import sys, obsagent\n"
        "c = obsagent.connect('x', endpoint='ipc:///nowhere.sock'); c.histogram('h').observe(1.0)\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('obsagent') and m.__file__), sep='\\n')\n"
        "import os; sys.stdout.flush(); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return [Path(name) for name in done.stdout.split() if name.endswith(".py")]


def test_the_client_s_python_uses_nothing_that_only_linux_has() -> None:
    modules = client_modules()
    assert {"client.py", "registry.py", "frame.py"} <= {path.name for path in modules}
    assert [f"{path.name}: {found[0]}" for path in modules for found in LINUX_NAMES.finditer(path.read_text())] == []
    for path in modules:
        top = [each for each in ast.parse(path.read_text()).body if isinstance(each, (ast.Import, ast.ImportFrom))]
        names = {alias.name for each in top if isinstance(each, ast.Import) for alias in each.names}
        assert not names & LINUX_MODULES - {"fcntl"}, path


@pytest.mark.slow
def test_the_kernels_work_on_aarch64(tmp_path: Path) -> None:
    """Two of them, where a cross compiler and QEMU are installed; `make aarch64` tries all of them."""
    if not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64-static")):
        pytest.skip("gcc-aarch64-linux-gnu and qemu-user-static are not installed")
    some = ["make", "-C", str(ROOT / "csrc"), f"BUILD={tmp_path}", "aarch64", "ONLY=test_crc32c test_loghist"]
    done = subprocess.run(some, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    aarch64 test_crc32c" in done.stdout
    assert "ok    aarch64 test_loghist" in done.stdout
