"""`OBSAGENT_*`: which variable speaks for which key of the agent's configuration, and which of them nobody reads.

    data             OBSAGENT_DATA
    retention.10s    OBSAGENT_RETENTION_10S

An empty variable is one that is not set.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cache

from obsagent.errors import ConfigError, printable

PREFIX = "OBSAGENT_"
CONFIG_FILE = "OBSAGENT_CONFIG"
"""The agent's configuration file, where the command line names none."""
CLIENTS = (
    *("OBSAGENT_ENDPOINT", "OBSAGENT_AGENT", "OBSAGENT_CONTROL"),
    *("OBSAGENT_KEY", "OBSAGENT_DISABLED", "OBSAGENT_STRICT"),
)
"""What clients, readers and `obsagent control` look at; for the agent the first three are defaults, below its file."""
KUBERNETES = re.compile(r"OBSAGENT_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""What Kubernetes sets in every pod if there is a service with our name."""
FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


@cache
def variable_of(key: str) -> str:
    """The variable of a key, whose tables are written with dots."""
    return PREFIX + re.sub(r"\W", "_", key).upper()


def values_from(environ: Mapping[str, str], defaults: Mapping[str, object]) -> dict[str, object]:
    """What the environment says of the keys of `defaults`, as a TOML file would have it.

    Raises `ConfigError` with a message for each flag that is none.
    """
    given: dict[str, object] = {}
    wrong: list[str] = []
    for key, default in defaults.items():
        text = environ.get(variable_of(key))
        if not text:
            continue
        if isinstance(default, bool):
            if text.lower() in FLAGS:
                given[key] = FLAGS[text.lower()]
            else:
                wrong.append(f"{variable_of(key)}: expected true or false, got {printable(text)!r}")
        else:
            given[key] = int(text) if isinstance(default, int) and re.fullmatch(r"-?\d{1,19}", text) else text
    if wrong:
        raise ConfigError(*wrong)
    return given


def unread(environ: Mapping[str, str], keys: Iterable[str]) -> list[str]:
    """A sentence for each variable with our prefix that nothing reads."""
    known = [*map(variable_of, keys), *CLIENTS, CONFIG_FILE]
    names = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return [_unread(name, known) for name in names if not KUBERNETES.fullmatch(name)]


def _unread(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], 1)
    hint = f"did you mean {PREFIX}{near[0]}?" if near else "`obsagent agent --help` lists those that it reads"
    return f"the variable {printable(name)} is set and nothing reads it; {hint}"
