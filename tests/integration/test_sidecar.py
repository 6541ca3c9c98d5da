"""The sidecar of deploy/kubernetes with its two users: an emptyDir as the kubelet makes it, its own variables."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from integration.tmux import need
from unit.deployed import DEPLOY, containers, environment_of, image_environment, pods
from unit.other_user import need_root, open_ground

PATIENCE_S = 60.0
SENDS = """
import os, obsagent
obs = obsagent.connect("sidecar")
obs.counter("sent").inc(3)
obs.flush(30.0).raise_if_pending()
obs.close()
print(os.getuid())
"""


class Pod:
    """Two containers of the manifest as processes: each its user, its groups, its variables, the shared volumes."""

    def __init__(self, ground: Path) -> None:
        (self._spec,) = pods(DEPLOY / "kubernetes" / "sidecar.yaml")
        self._ground = ground
        self._volumes = {"/run/obsagent": ground / "run", "/var/lib/obsagent": ground / "lib"}
        for path in self._volumes.values():
            path.mkdir()
            os.chown(path, 0, self._spec["securityContext"]["fsGroup"])
            path.chmod(0o2777)
        self._volumes["/etc/obsagent-http"] = self._secret(ground / "http")

    def _secret(self, directory: Path) -> Path:
        """As the kubelet mounts it: root's, readable by the pod's group."""
        directory.mkdir()
        token = directory / "token"
        token.write_text("a-token-of-the-test-and-nobody-else\n")
        os.chown(token, 0, self._spec["securityContext"]["fsGroup"])
        token.chmod(0o440)
        return directory

    def start(self, name: str, *words: str, groups: list[int] | None = None) -> subprocess.Popen[str]:
        container = containers(self._spec)[name]
        user = container["securityContext"]
        return subprocess.Popen(
            [*self._as(user["runAsUser"], user["runAsGroup"], groups), sys.executable, *words],
            env=self._environment(container, image=name == "agent"),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _as(self, uid: int, gid: int, groups: list[int] | None) -> list[str]:
        """As a container's user begins its program: setpriv finds that before it gives up its rights."""
        groups = self._spec["securityContext"]["supplementalGroups"] if groups is None else groups
        these = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
        return [need("setpriv"), f"--reuid={uid}", f"--regid={gid}", *these]

    def run(self, name: str, *words: str, groups: list[int] | None = None) -> tuple[int, str]:
        process = self.start(name, *words, groups=groups)
        output, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, output

    def _environment(self, container: dict[str, object], *, image: bool) -> dict[str, str]:
        variables = {**(image_environment() if image else {}), **environment_of(container)}
        for inside, outside in self._volumes.items():
            variables = {key: value.replace(inside, str(outside)) for key, value in variables.items()}
        paths = os.pathsep.join(path for path in sys.path if path)
        return {**variables, "PATH": os.environ["PATH"], "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}

    def probed(self) -> bool:
        command = containers(self._spec)["agent"]["startupProbe"]["exec"]["command"]
        return self.run("agent", "-m", *command)[0] == 0


@pytest.fixture
def pod() -> Iterator[Pod]:
    need_root()
    with open_ground() as ground:
        made = Pod(ground)
        code, output = made.run("model", "-c", "import obsagent.wire.socket")
        assert code == 0, f"other users cannot run this interpreter: {output}"
        yield made


def test_two_users_share_the_agent_and_a_third_is_kept_out(pod: Pod) -> None:
    with ExitStack() as ends:
        agent = pod.start("agent", "-m", "obsagent", "agent")
        ends.callback(agent.wait)
        ends.callback(agent.kill)
        deadline = time.monotonic() + PATIENCE_S
        while not pod.probed():
            assert agent.poll() is None, agent.communicate()[0]
            assert time.monotonic() < deadline
        assert pod.run("model", "-c", SENDS) == (0, "1000\n")
        code, output = pod.run("agent", "-m", "obsagent", "query", "sum", "sent", "--format", "csv")
        assert (code, output) == (0, "samples,sum\n1,3\n")
        code, output = pod.run("model", "-c", SENDS.replace("30.0", "1.0"), groups=[])
        assert code == 1
        assert "PendingSamples" in output
        agent.terminate()
        output, _ = agent.communicate(timeout=PATIENCE_S)
        assert agent.returncode == 0, output
        assert '"message": "stopped"' in output
