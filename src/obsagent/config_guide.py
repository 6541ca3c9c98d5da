"""What each key of the configuration means, and all of them as a file: `obsagent init`, `obsagent config show`.

The file's keys and defaults come from `AgentConfig`, so that only the sentences here can be forgotten; a test sees that
none is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from obsagent import environment
from obsagent.config import AgentConfig, leaves, members, scalars
from obsagent.config_values import as_size
from obsagent.toml_lines import nearest

LIVE = frozenset({"metrics", "retention", "disk_budget", "head_budget", "log_format", "log_level", "models", "scrape"})
"""The keys that a reload brings into force; the others need a restart."""

SAYS = {
    "data": "Where the store lies.",
    "listen": "Where models connect: ipc://PATH or tcp://HOST:PORT. They look at OBSAGENT_ENDPOINT.",
    "serve": "Where `obsagent query` and other readers connect. They look at OBSAGENT_AGENT.",
    "control": "Where `obsagent control` connects; by default beside the readers' socket.",
    "socket_group": "A group, by name or number, whose members may use the sockets; by default only this user may.",
    "keys": "Where the keys for tcp lie (`obsagent keys`); by default in the store.",
    "require_keys": "Ask for keys on 127.0.0.1 too.",
    "http": "Where Prometheus scrapes, HOST:PORT or off; by default this port if it is free.",
    "http_token": "The file of the token that is asked for there; needed beyond this machine.",
    "http_certificate": "A certificate with its chain, in PEM: with it and its key the port speaks TLS.",
    "http_key": "The file of the certificate's private key.",
    "series_per_metric": 'How many series a metric may have; more of them share one, {overflow="true"}.',
    "series_total": "How many series there may be in all.",
    "head_budget": "How much memory windows may take before they are written into segments early.",
    "disk_budget": "How much disk the store may take. It beats the retention: the oldest, finest windows go first.",
    "ledger_budget": "How much disk predictions that wait for truths may take besides: the oldest go first.",
    "retention": "How long windows of 10 seconds, a minute and an hour are kept.",
    "log_format": "How the agent logs on stderr: text, or json with an object a line.",
    "log_level": "What it logs: debug, info, warning or error, and what is worse.",
    "metrics": "The scale of a metric's histograms, 0 to 8: 6 means a relative error of 0.54 %, each step halves it.",
    "collect": "What the agent reads of the machine, its cgroups, GPUs and models' processes: a table for each.",
    "scrape": "Servers with a page of metrics that is read: vLLM, Triton, node_exporter, ...",
    "models": "A model's reference (`obsagent reference`), what stays in its process, what runs when it does harm.",
}
"""A sentence for every key."""

EXAMPLES = {
    "control": '"ipc:///run/obsagent/control.sock"',
    "socket_group": '"obsagent"',
    "keys": '"/etc/obsagent/keys"',
    "http": '"127.0.0.1:9464"',
    "http_token": '"/etc/obsagent/http.token"',
    "http_certificate": '"/etc/obsagent/http.crt"',
    "http_key": '"/etc/obsagent/http.key"',
    "metrics": "[metrics.latency]\nscale = 7",
    "collect": '[collect.gpu]\nenabled = true\ninterval = "5s"',
    "scrape": '[[scrape]]\nname = "vllm"\nurl = "http://127.0.0.1:8000/metrics"',
    "models": '[models.fraud]\nreference = "/etc/obsagent/fraud.ref"\ndrop = ["email"]\nhash = ["card_id"]\n'
    'on_retrain = "/usr/local/bin/retrain fraud"\nharm = { tolerance = 0.02, false_alarms = "365d", cooldown = "7d" }',
}
"""What stands in the file for keys that have no default to show."""

HEAD = """\
# Configuration of the obsagent agent: obsagent agent --config FILE
#
# Every key is optional. What begins with # and no space is a key with its default: remove the # to set it.
# `obsagent config check FILE` checks this file; `obsagent control reload`, or SIGHUP, brings it into force.
# The command line wins over variables such as OBSAGENT_DATA, they over this file.
"""


def commented(config: AgentConfig | None = None) -> str:
    """A configuration file that changes nothing: every key with its meaning and its default, commented out."""
    config = config or AgentConfig()
    plain: list[str] = []
    tables: list[str] = []
    for each in fields(config):
        block = [f"# {SAYS[each.name]}"] if each.name in SAYS else []
        block += [f"# {_when(each.name)}"]
        value = getattr(config, each.name)
        is_shown = each.name not in EXAMPLES or (isinstance(value, Mapping) and value)
        text = _block(each.name, value) if is_shown else EXAMPLES[each.name]
        lines = [f"#{line}" for line in (text if text.startswith("[") else f"{each.name} = {text}").splitlines()]
        (tables if text.startswith("[") and text != "[]" else plain).append("\n".join([*block, *lines]))
    return "\n\n".join([HEAD.rstrip("\n"), *plain, *tables]) + "\n"


def shown(config: AgentConfig, origins: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Key, value as TOML and origin of everything in force; what has no value is left out."""
    for each in fields(config):
        for key, value in leaves(each.name, getattr(config, each.name)):
            if value not in (None, "", ()):
                yield key, written(key, value), nearest(key, dict(origins)) or "default"


def written(key: str, value: Any) -> str:
    """A value as it stands in the file behind `key =`."""
    if key in ("head_budget", "disk_budget", "ledger_budget"):
        return json.dumps(as_size(value))
    if isinstance(value, (bool, int, float)):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(written(key, each) for each in value)}]"
    if isinstance(value, Mapping) or is_dataclass(value):
        pairs = [f"{_key(name)} = {written(name, each)}" for name, each in members(value) if each != ()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    return json.dumps("" if value is None else str(value), ensure_ascii=False)


def _block(key: str, value: Any) -> str:
    """A value or, for what has tables in it, these with their headers."""
    if key == "retention":
        return written(key, {inner.partition(".")[2]: each for inner, each in leaves(key, value)})
    if not isinstance(value, Mapping) or not value:
        return written(key, value)
    tables = [
        [f"[{key}.{_key(name)}]", *(f"{_key(inner)} = {written(inner, each)}" for inner, each in members(table))]
        for name, table in value.items()
    ]
    return "\n".join(line for table in tables for line in table)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][\w-]*", name) else json.dumps(name)


def _when(key: str) -> str:
    said = "A reload brings a change into force" if key in LIVE else "A change needs a restart"
    return f"{said}; {environment.variable_of(key)} sets it too." if key in scalars() else f"{said}."
