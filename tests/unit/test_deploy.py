"""Units, manifests and images in deploy/: well formed, of known versions' schemas, and fitting the program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deployed import (
    COMPOSE,
    DEPLOY,
    DOCKERFILE,
    MANIFESTS,
    ROOT,
    UNIT,
    containers,
    documents,
    environment_of,
    image_environment,
    image_instructions,
    pods,
    sysusers,
    unit_settings,
)

from integration.tmux import need
from obsagent.config import scalars
from obsagent.environment import CLIENTS, CONFIG_FILE, unread
from obsagent.errors import ConfigError
from obsagent.http_address import parse_http

GROUP = 10001
KUBERNETES = ("1.29", "1.37")
"""The first version with native sidecars, and the last whose schema is known."""
EXPOSURE_MAX = 30
"""In tenths, as `systemd-analyze security` measures it: 0 is closed, 100 open."""


def installed_unit(directory: Path) -> Path:
    """The unit with a program and a user that are on this machine."""
    text = UNIT.read_text().replace("/opt/obsagent/bin/obsagent", sys.executable)
    text = re.sub(r"^(User|Group)=obsagent$", r"\1=root", text, flags=re.MULTILINE)
    unit = directory / "obsagent.service"
    unit.write_text(text)
    return unit


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = [need("systemd-analyze"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    done = analyze("verify", "--man=no", str(installed_unit(tmp_path)))
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_systemd_calls_the_unit_closed() -> None:
    done = analyze("security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE_MAX}", str(UNIT))
    assert done.returncode == 0, done.stdout[-500:]


def test_the_unit_is_hardened_and_has_what_the_agent_needs() -> None:
    unit = unit_settings()
    for key, value in {
        "Type": "notify",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "StateDirectory": "obsagent",
        "RuntimeDirectory": "obsagent",
        "RuntimeDirectoryMode": "0750",
        "Restart": "on-failure",
        "RestartPreventExitStatus": str(ConfigError.exit_code),
        "ExecReload": "/opt/obsagent/bin/obsagent control reload",
    }.items():
        assert unit[key] == [value]
    assert unit["WatchdogSec"]
    assert unit["User"] == unit["Group"] == [sysusers()[0].split()[1]]
    assert not unit.get("PrivateDevices")  # it would hide the GPUs


def test_the_variables_everywhere_are_such_as_something_reads() -> None:
    given = [dict(each.split("=", 1) for each in unit_settings()["Environment"]), image_environment()]
    for path in MANIFESTS:
        given += [environment_of(each) for pod in pods(path) for each in containers(pod).values()]
    given += [each.get("environment", {}) for each in documents(COMPOSE)[0]["services"].values()]
    assert sum(map(len, given)) > 20
    for variables in given:
        assert unread(variables, scalars()) == []


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_kubernetes_takes_the_manifests(path: Path, version: str) -> None:
    found = documents(path)
    assert found
    for document in found:
        kubernetes_validate.validate(document, version, strict=True)


def test_kubernetes_would_not_take_everything() -> None:
    (document,) = documents(DEPLOY / "kubernetes" / "model.yaml")
    document["spec"]["template"]["spec"]["suplementalGroups"] = [1]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, KUBERNETES[0], strict=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_selectors_choose_the_pods_that_are_made_and_mounts_are_volumes(path: Path) -> None:
    for document in documents(path):
        if "selector" in document.get("spec", {}):
            assert document["spec"]["selector"]["matchLabels"] == document["spec"]["template"]["metadata"]["labels"]
    for pod in pods(path):
        volumes = {each["name"] for each in pod["volumes"]}
        mounted = {each["name"] for one in containers(pod).values() for each in one["volumeMounts"]}
        assert mounted == volumes


def agent_and_model() -> list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]]:
    (host,), (beside,), (model,) = (
        [*pods(DEPLOY / "kubernetes" / f"{n}.yaml")] for n in ("daemonset", "sidecar", "model")
    )
    return [
        ("daemonset", host, containers(host)["agent"], model, containers(model)["model"]),
        ("sidecar", beside, containers(beside)["agent"], beside, containers(beside)["model"]),
    ]


@pytest.mark.parametrize(("name", "pod", "agent", "model_pod", "model"), agent_and_model())
def test_models_come_in_by_the_group_and_find_the_socket(
    name: str, pod: dict[str, Any], agent: dict[str, Any], model_pod: dict[str, Any], model: dict[str, Any]
) -> None:
    variables = {**image_environment(), **environment_of(agent)}
    listens = variables.get("OBSAGENT_LISTEN", variables["OBSAGENT_ENDPOINT"])
    assert environment_of(model)["OBSAGENT_ENDPOINT"] == listens
    assert variables["OBSAGENT_AGENT"] == variables.get("OBSAGENT_SERVE", variables["OBSAGENT_AGENT"])
    assert variables["OBSAGENT_SOCKET_GROUP"] == str(GROUP)
    for each in (pod, model_pod):
        assert each["securityContext"]["supplementalGroups"] == [GROUP]
    sockets = {
        mount["mountPath"] for one in (agent, model) for mount in one["volumeMounts"] if mount["name"] == "sockets"
    }
    assert sockets == {"/run/obsagent"}
    users = (
        {**pod["securityContext"], **agent["securityContext"]},
        {
            **model_pod["securityContext"],
            **model.get("securityContext", {}),
        },
    )
    assert users[0]["runAsUser"] == GROUP != users[1]["runAsUser"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert agent[probe]["exec"]["command"][:2] == ["obsagent", "status"]


def test_the_volume_of_the_daemonset_is_the_node_s_and_that_of_the_sidecar_its_pod_s() -> None:
    host, beside = (pod for _, pod, *_ in agent_and_model())
    volumes = [{each["name"]: each for each in pod["volumes"]} for pod in (host, beside)]
    assert volumes[0]["sockets"]["hostPath"]["path"] == "/run/obsagent"
    assert "emptyDir" in volumes[1]["sockets"]
    assert containers(beside)["agent"]["restartPolicy"] == "Always"


TOKEN_SECRET = "obsagent-http"


@pytest.mark.parametrize(("name", "pod", "agent", "model_pod", "model"), agent_and_model())
def test_metrics_are_reached_beyond_the_pod_with_a_token_only(
    name: str, pod: dict[str, Any], agent: dict[str, Any], model_pod: dict[str, Any], model: dict[str, Any]
) -> None:
    variables = environment_of(agent)
    address = parse_http(variables["OBSAGENT_HTTP"])
    assert address is not None
    assert not address.is_loopback
    assert agent["ports"] == [{"name": "metrics", "containerPort": address.port}]
    (document,) = (each for each in documents(DEPLOY / "kubernetes" / f"{name}.yaml") if each["kind"] != "ConfigMap")
    annotations = document["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": str(address.port)}
    (volume,) = (each for each in pod["volumes"] if "secret" in each)
    assert volume["secret"] == {"secretName": TOKEN_SECRET, "defaultMode": 0o400}
    assert pod["securityContext"]["fsGroup"] == GROUP  # else it would be root's alone
    (mount,) = (each for each in agent["volumeMounts"] if each["name"] == volume["name"])
    assert mount["readOnly"]
    assert variables["OBSAGENT_HTTP_TOKEN"] == f"{mount['mountPath']}/token"
    others = [one for each in (pod, model_pod) for one in containers(each).values() if one is not agent]
    assert not any(each["name"] == volume["name"] for one in others for each in one["volumeMounts"])


def test_no_manifest_holds_a_secret_and_the_operator_is_told_the_same() -> None:
    assert not any(document["kind"] == "Secret" for path in MANIFESTS for document in documents(path))
    text = (DEPLOY / "kubernetes" / "daemonset.yaml").read_text()
    commented = text[text.index("#   apiVersion: monitoring") : text.index("# Without it")]
    monitor = yaml.safe_load(re.sub(r"^#   ", "", commented, flags=re.MULTILINE))
    assert monitor["kind"] == "PodMonitor"
    (daemonset,) = (each for each in documents(DEPLOY / "kubernetes" / "daemonset.yaml") if each["kind"] == "DaemonSet")
    assert monitor["spec"]["selector"] == daemonset["spec"]["selector"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint == {
        "port": "metrics",
        "honorLabels": True,
        "authorization": {"credentials": {"name": TOKEN_SECRET, "key": "token"}},
    }
    assert f"secret generic {TOKEN_SECRET} --from-literal=token=" in text


def test_compose_publishes_metrics_on_this_machine_with_a_token() -> None:
    (compose,) = documents(COMPOSE)
    agent, model = compose["services"]["agent"], compose["services"]["model"]
    address = parse_http(agent["environment"]["OBSAGENT_HTTP"])
    assert address is not None
    assert agent["ports"] == [f"127.0.0.1:{address.port}:{address.port}"]
    (secret,) = agent["secrets"]
    assert agent["environment"]["OBSAGENT_HTTP_TOKEN"] == f"/run/secrets/{secret}"
    assert "secrets" not in model
    path = Path(compose["secrets"][secret]["file"])
    assert path.is_absolute()  # what lies here is packed into images and wheels


def test_compose_takes_the_example() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_example_s_model_is_another_user_in_the_agent_s_group() -> None:
    (compose,) = documents(COMPOSE)
    agent, model = compose["services"]["agent"], compose["services"]["model"]
    assert model["group_add"] == [str(GROUP)]
    assert model["user"] != f"{GROUP}:{GROUP}"
    assert model["environment"]["OBSAGENT_ENDPOINT"] == image_environment()["OBSAGENT_ENDPOINT"]
    assert model["depends_on"] == {"agent": {"condition": "service_healthy"}}
    assert (COMPOSE.parent / agent["build"]["context"] / agent["build"]["dockerfile"]).resolve() == DOCKERFILE
    assert {each.split(":")[0] for one in (agent, model) for each in one["volumes"]} == {*compose["volumes"]}


def test_the_image_is_not_root_s_and_copies_what_there_is() -> None:
    instructions = image_instructions()
    known = {"FROM", "RUN", "COPY", "ENV", "USER", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in instructions} <= known
    last = dict(instructions)
    assert last["USER"] == f"{GROUP}:{GROUP}"
    assert (last["ENTRYPOINT"], last["CMD"]) == ('["obsagent"]', '["agent"]')
    copied = [rest.split()[:-1] for word, rest in instructions if word == "COPY" and not rest.startswith("--from")]
    missing = [name for names in copied for name in names if not (ROOT / name).exists()]
    assert missing == []


def test_every_variable_of_the_image_that_is_a_default_can_be_overridden_by_a_file() -> None:
    above_the_file = {each for each in image_environment() if each.startswith("OBSAGENT_")} - {*CLIENTS, CONFIG_FILE}
    assert above_the_file == {"OBSAGENT_SOCKET_GROUP", "OBSAGENT_LOG_FORMAT"}
