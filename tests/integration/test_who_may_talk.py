"""Who may talk to a real agent: over tcp with keys, over sockets as another user, from another pid namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.tmux import need
from obsagent.errors import AccessDenied
from obsagent.keys import read_client_key
from obsagent.processes import pid_namespace
from obsagent.wire.header import MessageKind
from obsagent.wire.zmtp import UnixDealer
from unit.key_lab import free_port
from unit.other_user import NOBODY, as_user, need_root, open_ground

GROUP, MEMBER = 54_321, 54_322


class RemoteAgent(RunningAgent):
    """An agent that other machines can reach, with a key for each role in files beside it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.ports = [free_port() for _ in range(3)]
        self.listen, self.serve, self.control = (f"tcp://127.0.0.1:{port}" for port in self.ports)
        self.keys = {role: str(directory / f"{role}.key") for role in ("write", "read", "control")}

    def make_keys(self) -> None:
        for role, path in self.keys.items():
            words = ["keys", "new", role, "--role", role, "--data", str(self.data), "--output", path]
            done = self.command(*words)
            assert done.returncode == 0, done.stderr

    def endpoints(self) -> list[str]:
        everywhere = [f"tcp://0.0.0.0:{port}" for port in self.ports]
        return ["--listen", everywhere[0], "--serve", everywhere[1], "--control", everywhere[2]]

    def secrets(self) -> list[str]:
        server = (self.data / "keys" / "server.toml").read_text().split('secret = "')[1][:40]
        return [server, *(read_client_key(path).secret for path in self.keys.values())]


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_clients: None) -> Iterator[RemoteAgent]:
    agent = RemoteAgent(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    yield agent
    if agent.running:
        agent.kill()


@pytest.fixture
def reached(remote: RemoteAgent, monkeypatch: pytest.MonkeyPatch) -> RemoteAgent:
    remote.make_keys()
    monkeypatch.setenv("OBSAGENT_KEY", remote.keys["read"])
    remote.start(*remote.endpoints())
    return remote


def writer(agent: RemoteAgent, role: str = "write", service: str = "fraud") -> obsagent.Client:
    return obsagent.connect(service, endpoint=agent.listen, key=agent.keys[role])


@pytest.mark.threat("N1")
def test_without_keys_it_does_not_start_and_says_what_to_do(remote: RemoteAgent) -> None:
    done = remote.command("agent", "--data", str(remote.data), *remote.endpoints())
    assert done.returncode == 78
    assert "nobody is let in there without a key, as it can be reached from other machines" in done.stderr
    command = f"obsagent keys new NAME --role write --keys {remote.data}/keys"
    assert command in done.stderr
    words = command.replace("NAME", "first").split()[1:]
    assert remote.command(*words, "--output", str(remote.directory / "first.key")).returncode == 0
    os.environ["OBSAGENT_KEY"] = str(remote.directory / "reader.key")
    try:
        more = ["keys", "new", "reader", "--role", "read", "--data", str(remote.data)]
        assert remote.command(*more, "--output", os.environ["OBSAGENT_KEY"]).returncode == 0
        remote.start(*remote.endpoints())
    finally:
        del os.environ["OBSAGENT_KEY"]


@pytest.mark.threat("N2", "N3", "S1")
def test_each_key_opens_its_own_endpoint_and_its_secret_is_nowhere(reached: RemoteAgent) -> None:
    client = writer(reached)
    client.counter("scored").inc(5)
    client.flush(10.0).raise_if_pending()
    result = obsagent.query("sum scored", agent=reached.serve, key=reached.keys["read"])
    assert [row["sum"] for row in result] == [5.0]
    done = reached.command("control", "checkpoint", "--control", reached.control, "--key", reached.keys["control"])
    assert done.returncode == 0, done.stderr
    for role in ("write", "control"):
        with pytest.raises(AccessDenied, match=rf"does not let the key {role} \(role {role}\) in"):
            obsagent.query("sum scored", agent=reached.serve, key=reached.keys[role])
    done = reached.command("control", "reload", "--control", reached.control)
    assert done.returncode == 1
    assert "does not let the key read (role read) in" in done.stderr
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stranger = writer(reached, "read", "stranger")
        stranger.counter("c").inc()
        assert stranger.flush(2.0).pending == 1
        stranger.close(0.0)
    assert any("does not let the key read" in str(each.message) for each in caught)
    client.close()
    status = reached.status()
    assert "stranger" not in status["accounts"]["services"]
    assert status["agent"]["denied"] >= 4
    counted = obsagent.query("sum obsagent_denied", agent=reached.serve, key=reached.keys["read"])
    assert sum(row["sum"] for row in counted) >= 1
    said = json.dumps(status) + reached.log.read_text()
    for words in (["keys", "list", "--data", str(reached.data)], ["status", "--agent", reached.serve]):
        done = reached.command(*words)
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr
    assert [secret for secret in reached.secrets() if secret in said] == []
    assert "the key control was not let in where read is needed: it has the role control" in said


@pytest.mark.threat("N4")
def test_a_revoked_key_is_out_at_once_and_the_others_stay(reached: RemoteAgent) -> None:
    client = writer(reached)
    client.counter("scored").inc(5)
    client.flush(10.0).raise_if_pending()
    words = ["--data", str(reached.data), "--control", reached.control, "--key", reached.keys["control"]]
    done = reached.command("keys", "revoke", "write", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the key write is revoked; the agent refuses it from now on (keys left: 2)\n"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.counter("scored").inc(7)
        assert client.flush(2.0).pending == 1
        client.close(0.0)
    assert any("this key was revoked" in str(each.message) for each in caught)
    assert [row["sum"] for row in obsagent.query("sum scored", agent=reached.serve, key=reached.keys["read"])] == [5.0]
    path = reached.directory / "again.key"
    words = ["keys", "new", "write", "--role", "write", "--data", str(reached.data), "--output", str(path)]
    done = reached.command(*words)
    assert done.returncode == 0, done.stderr
    again = obsagent.connect("fraud", endpoint=reached.listen, key=path)
    again.counter("scored").inc(2)
    again.flush(10.0).raise_if_pending()
    again.close()


@pytest.mark.threat("L7")
@pytest.mark.parametrize(("umask", "files", "directories"), [(0o000, 0o640, 0o750), (0o077, 0o600, 0o700)])
def test_nothing_of_the_store_is_for_others_whatever_the_umask(
    stopped_agent: RunningAgent, umask: int, files: int, directories: int
) -> None:
    agent, sockets = stopped_agent, stopped_agent.directory / "new" / "sockets"
    agent.listen, agent.serve = f"ipc://{sockets}/ingest.sock", f"ipc://{sockets}/query.sock"
    before = os.umask(umask)
    try:
        agent.start()
    finally:
        os.umask(before)
    client = obsagent.connect("modes", endpoint=agent.listen)
    client.histogram("step").observe(1.0)
    client.flush(10.0).raise_if_pending()
    client.close()
    assert agent.command("control", "checkpoint", "--control", f"ipc://{sockets}/control.sock").returncode == 0
    found = {path: path.lstat().st_mode & 0o777 for path in agent.data.rglob("*")}
    kinds = {path.suffix for path in found if path.is_file()}
    assert kinds >= {".segment", ".journal", ".json", ".lock"}
    assert {mode for path, mode in found.items() if path.is_file()} == {files}
    assert {mode for path, mode in found.items() if path.is_dir()} == {directories}
    assert agent.data.stat().st_mode & 0o777 == directories
    assert {path.lstat().st_mode & 0o777 for path in sockets.iterdir()} == {0o600}
    assert [each.stat().st_mode & 0o777 for each in (sockets, sockets.parent)] == [0o700, 0o700]
    assert agent.stop() == 0


def asked(serve: str) -> Any:
    with closing(UnixDealer(serve.removeprefix("ipc://"), 10.0)) as dealer:
        return dealer.request(MessageKind.STATUS, 10.0)[0].name


@pytest.mark.threat("L5")
def test_containers_with_other_uids_come_in_by_the_group(
    stopped_agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_root()
    with open_ground() as ground:
        agent = stopped_agent
        agent.listen, agent.serve = f"ipc://{ground}/obsagent/ingest.sock", f"ipc://{ground}/obsagent/query.sock"
        config = agent.directory / "agent.toml"
        config.write_text('socket_group = "54321"\n')
        agent.start("--config", str(config))
        assert as_user(MEMBER, MEMBER, lambda: asked(agent.serve), groups=(GROUP,)) == "ANSWER"
        assert isinstance(as_user(NOBODY, NOBODY, lambda: asked(agent.serve)), PermissionError)
        config.write_text('socket_group = "no-such-group"\n')
        words = ["--data", str(agent.directory / "other"), "--config", str(config)]
        done = agent.command(
            "agent", *words, "--listen", f"ipc://{ground}/o/i.sock", "--serve", f"ipc://{ground}/o/q.sock"
        )
        assert done.returncode == 78
        assert "there is no group 'no-such-group'" in done.stderr
        assert agent.stop() == 0


@pytest.mark.threat("L3")
def test_a_runtime_directory_that_somebody_else_made_first_is_refused(
    stopped_agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_root()
    for name in ("XDG_RUNTIME_DIR", "OBSAGENT_ENDPOINT", "OBSAGENT_AGENT", "OBSAGENT_CONTROL"):
        monkeypatch.delenv(name, raising=False)
    with open_ground() as ground:
        monkeypatch.setenv("TMPDIR", str(ground))
        squatted = ground / "obsagent-0"
        squatted.mkdir(mode=0o700)
        os.chown(squatted, NOBODY, NOBODY)
        done = stopped_agent.command("agent", "--data", str(stopped_agent.data))
        assert done.returncode == 78
        assert f"{squatted} belongs to user {NOBODY}, not to this one (0)" in done.stderr
        squatted.rmdir()
        squatted.symlink_to(stopped_agent.directory)
        done = stopped_agent.command("agent", "--data", str(stopped_agent.data))
        assert (done.returncode, "is a symbolic link" in done.stderr) == (78, True)


CONTAINED = """
import os, sys, time
import obsagent
assert os.getpid() == 1
client = obsagent.connect("contained", endpoint=sys.argv[1])
client.counter("c").inc()
client.flush(20.0).raise_if_pending()
print("sent", flush=True)
sys.stdin.read()
client.close()
os._exit(0)
"""


@pytest.mark.threat("P1")
def test_the_first_processes_of_two_pid_namespaces_are_two_workers(agent: RunningAgent) -> None:
    """What containers are to the kernel, made by hand."""
    need_root()
    command = [need("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", CONTAINED]
    both = [
        subprocess.Popen([*command, agent.listen], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        for one in both:
            assert one.stdout is not None
            assert one.stdout.readline() == "sent\n"
        status = agent.status()
        sessions = [session for session in status["sessions"] if session["service"] == "contained"]
        assert [(session["pid"], session["state"]) for session in sessions] == [(1, "live")] * 2
        namespaces = {session["pid_namespace"] for session in sessions}
        assert len(namespaces) == 2
        assert not namespaces & {0, pid_namespace()}
        assert status["agent"]["pid_namespace"] == pid_namespace()
        assert {session["worker"] for session in sessions} == {0, 1}
        table = agent.command("status", "--agent", agent.serve).stdout
        for namespace in namespaces:
            assert f"1@{namespace}" in table
        both[0].communicate("", timeout=30)
        deadline = time.monotonic() + 20
        while sorted(state_of(agent)) != ["closed", "live"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        for one in both:
            one.kill()
            one.wait()


def state_of(agent: RunningAgent) -> list[str]:
    return [session["state"] for session in agent.status()["sessions"] if session["service"] == "contained"]
