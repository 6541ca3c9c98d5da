"""Make, list and revoke the keys that clients and readers show an agent over tcp.

    obsagent keys new NAME --role write|read|control [--output FILE]
    obsagent keys list
    obsagent keys revoke NAME

A key has one role: write lets it send samples, read ask questions, control change the agent. `new` writes the key into
a file that only you can read (NAME.key, here, unless --output says otherwise), which is the only place where its
secret is: hand it over as you would a password. The agent keeps what it knows of keys in --keys, by default in its
store. Run this where the agent runs and as its user; a running agent takes a new key at once.

`revoke` lets a key in no more and tells the running agent: new connections of the key are refused at their handshake,
and of those that stand every further message.

Over ipc sockets no keys are needed: there the socket's permissions say who may come in.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsagent.cli.sources import print_json
from obsagent.errors import AgentUnreachable, ConfigError, ObsagentError, UsageError

if TYPE_CHECKING:
    from obsagent.config import AgentConfig
    from obsagent.keyring import Keyring, KnownKey
    from obsagent.keys import ClientKey

ACTIONS = ("new", "list", "revoke")
ROLES = ("write", "read", "control")  # as `obsagent.keys.ROLES`: its module is not needed for the help


def add_arguments(parser: ArgumentParser) -> None:
    """What to do with which key, and where the keys lie."""
    parser.add_argument("action", choices=ACTIONS, metavar="new|list|revoke", help="what to do")
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="the key's: letters, digits, dots, hyphens, underscores"
    )
    parser.add_argument("--role", choices=ROLES, help="what a new key may do")
    parser.add_argument("--output", metavar="FILE", type=Path, help="where to write a new key (default: NAME.key)")
    parser.add_argument("--keys", metavar="DIR", type=Path, help="where the agent's keys lie (default: in its store)")
    parser.add_argument("--data", metavar="DIR", type=Path, help="the agent's store (default: ~/.local/share/obsagent)")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the agent's configuration, which may say both")
    parser.add_argument("--control", metavar="ENDPOINT", help="where the running agent is told (default: yours)")
    parser.add_argument("--key", metavar="FILE", help="the key to show there over tcp (default: $OBSAGENT_KEY)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")


def run(args: Namespace) -> int:
    """Does it; results on stdout, which never has a secret."""
    from obsagent import config
    from obsagent.keyring import Keyring

    if (args.name is None) != (args.action == "list"):
        raise UsageError("`keys list` takes no name" if args.name else f"expected: obsagent keys {args.action} NAME")
    if args.action != "new" and (args.role or args.output):
        raise UsageError("--role and --output are for `keys new`")
    settings = config.load(args.config, data=args.data, keys=args.keys, control=args.control)
    keyring = Keyring(settings.keys_directory)
    if args.action == "new":
        return _new(args, keyring, settings)
    if args.action == "revoke":
        return _revoke(args, keyring, settings)
    return _list(args, keyring)


def _new(args: Namespace, keyring: Keyring, settings: AgentConfig) -> int:
    from obsagent.wire.socket import new_key_pair

    if args.role is None:
        raise UsageError(f"a key has a role: obsagent keys new {args.name} --role {'|'.join(ROLES)}")
    output = args.output or Path(f"{args.name}.key")
    if output.exists():
        raise UsageError(f"{output} is there already: choose another file with --output")
    key = keyring.new(args.name, args.role, new_key_pair, time.time_ns() // 1_000_000)
    try:
        _write(key, output)
    except ConfigError:
        keyring.revoke(key.name)
        raise
    if args.format == "json":
        print_json({"name": key.name, "role": key.role, "public": key.public, "file": str(output)})
    else:
        print(f"the key {key.name} may {_may(key.role)}; it is in {output}, and nowhere else: treat it as a password")
        print(*_how_to_use(key, output, settings), sep="\n")
    return 0


def _write(key: ClientKey, output: Path) -> None:
    from obsagent.fs import Fs

    try:
        Fs().write_secret(output, key.to_text().encode())
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}") from None


def _may(role: str) -> str:
    return {"write": "send samples", "read": "ask questions", "control": "change the agent"}[role]


def _how_to_use(key: ClientKey, output: Path, settings: AgentConfig) -> list[str]:
    """Lines to copy, with the agent's own endpoint if it is one that others reach."""
    configured = {"write": settings.listen, "read": settings.serve, "control": settings.control_endpoint}[key.role]
    endpoint = configured if configured.startswith("tcp://") else "tcp://HOST:PORT"
    for anywhere in ("*", "0.0.0.0"):
        endpoint = endpoint.replace(f"tcp://{anywhere}:", "tcp://HOST:")
    return {
        "write": [
            f'    obsagent.connect(..., endpoint="{endpoint}", key="{output}")',
            f"    or OBSAGENT_ENDPOINT={endpoint} OBSAGENT_KEY={output} in the environment of the model's process",
        ],
        "read": [
            f"    obsagent query ... --agent {endpoint} --key {output}",
            f"    or OBSAGENT_AGENT={endpoint} OBSAGENT_KEY={output} in the environment",
        ],
        "control": [f"    obsagent control reload --control {endpoint} --key {output}"],
    }[key.role]


def _list(args: Namespace, keyring: Keyring) -> int:
    keys = keyring.entries()
    if args.format == "json":
        print_json({"directory": str(keyring.directory), "keys": [key._asdict() for key in keys]})
    elif not keys:
        print(f"no keys in {keyring.directory}; obsagent keys new NAME --role {'|'.join(ROLES)} makes one")
    else:
        from obsagent.cli.table import LEFT, aligned

        print(*aligned(["name", "role", "created", "public key"], [_row(key) for key in keys], [LEFT] * 4), sep="\n")
    return 0


def _row(key: KnownKey) -> list[str]:
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(key.created_ms / 1000))
    return [key.name, key.role, created, key.public]


def _revoke(args: Namespace, keyring: Keyring, settings: AgentConfig) -> int:
    keyring.revoke(args.name)
    told, remark = _tell(args, settings)
    if args.format == "json":
        print_json({"name": args.name, "agent_told": told})
    else:
        print(f"the key {args.name} is revoked; {remark}")
    return 0


def _tell(args: Namespace, settings: AgentConfig) -> tuple[bool, str]:
    """Whether the running agent knows now, and what to say of it. The key is revoked in any case."""
    from obsagent.ask import ControlClient

    answer: dict[str, Any]
    try:
        with ControlClient(settings.control_endpoint, key=args.key) as agent:
            answer = agent.reload()
    except AgentUnreachable:
        return (
            False,
            f"no agent listens at {settings.control_endpoint}: one that runs elsewhere heeds it within a second",
        )
    except ObsagentError as error:
        return False, f"a running agent heeds it within a second, but could not be told: {error}"
    return True, f"the agent refuses it from now on (keys left: {answer['keys']})"
