"""Another user of this machine, for tests of who may do what: a child that gives up its rights and says what it met."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65534


def need_root() -> None:
    """Skips the test unless it can become another user, except in CI, where that is a failure."""
    if os.geteuid() == 0:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("this test becomes another user: CI must run it as root")
    pytest.skip("only root can become another user")


@contextmanager
def open_ground() -> Iterator[Path]:
    """A directory that every user can pass, as /run is; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="obsagent-test-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def as_user(uid: int, gid: int, does: Callable[[], Any], groups: tuple[int, ...] = ()) -> Any:
    """What `does` returns, or the `OSError` that it raises, in a child with another user's rights alone."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            try:
                outcome = does()
            except OSError as error:
                outcome = error
            os.write(write_end, pickle.dumps(outcome))
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answers:
        data = answers.read()
    os.waitpid(child, 0)
    return pickle.loads(data)
