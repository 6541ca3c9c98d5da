"""Changes msgpack or JSON by what it says: a value somewhere in the tree becomes another, goes, or comes twice."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import msgpack

from fuzz.block_parts import Mutate
from fuzz.wire_check import join_messages, split_messages

BYTES_SHARE = 0.3
STOP_SHARE = 0.15
VALUES: tuple[Any, ...] = (
    *(
        0,
        1,
        -1,
        2,
        3,
        8,
        9,
        16,
        255,
        256,
        65_535,
        2**31 - 1,
        2**31,
        2**32 - 1,
        2**32,
        2**53,
        2**63 - 1,
        2**63,
        2**64 - 1,
    ),
    *(
        -(2**31),
        -(2**63),
        1_800_000_000_000,
        1_799_999_990_000,
        0.0,
        0.5,
        1.5,
        1e300,
        -1e300,
        1e-300,
        1e18,
        float("nan"),
        float("inf"),
        None,
        True,
        False,
    ),
    *(
        "",
        "a",
        "service",
        "overflow",
        "true",
        "loghist",
        "tdigest",
        "sum",
        "last",
        "latency",
        "\0",
        "\x1b[31m",
        "é" * 90,
    ),
    *(
        "x" * 257,
        "x" * 1_025,
        b"",
        bytes(16),
        bytes(range(16)),
        b"\xff" * 17,
        [],
        {},
        [[]],
        {"a": {}},
        {1: 2},
        [None] * 9,
    ),
)
JSON_ODDITIES = (
    *(b"1e999", b"9" * 400, b"9" * 5_000, b"-0.0", b'"\\ud800"', b'"nan"', b'"1"'),
    *(b"[" * 500 + b"]" * 500, b"[" * 5_000 + b"]" * 5_000),
)
"""What becomes of a text now and then."""
Place = tuple[Any, Any]
"""A container, and the key or index of something in it."""


def mutate_msgpack(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Msgpack bytes with something changed in their tree, and now and then in their bytes."""
    if chance.random() < BYTES_SHARE:
        return mutate(data, size_max)
    try:
        tree = [msgpack.unpackb(data, strict_map_key=False)]
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            _change(_place(tree, chance), chance)
        return b"".join(map(msgpack.packb, tree))[:size_max]
    except (ValueError, TypeError, OverflowError, RecursionError, IndexError, msgpack.UnpackException):
        return mutate(data, size_max)


def mutate_json(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """JSON with something changed in its tree, also to what JSON has no room for, and now and then in its bytes."""
    if chance.random() < BYTES_SHARE / 3:
        return mutate(data, size_max)
    try:
        tree = [json.loads(data)]
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            _change(_place(tree, chance), chance)
        written = b"".join(json.dumps(each).encode() for each in tree)
        return written.replace(b'"latency"', chance.choice(JSON_ODDITIES))[:size_max]
    except (ValueError, TypeError, OverflowError, RecursionError, IndexError):
        return mutate(data, size_max)


def mutate_entry(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """An entry of the journal: its type, and msgpack or a structure behind it."""
    if len(data) < 2 or chance.random() < BYTES_SHARE:
        return mutate(data, size_max)
    return data[:1] + mutate_msgpack(data[1:], size_max - 1, chance, mutate)


def mutate_conversation(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Messages of which one is changed, goes, comes twice or comes in another place."""
    messages = [tuple(map(bytes, parts)) for parts in split_messages(data)]
    if not messages or chance.random() < BYTES_SHARE / 2:
        return mutate(data, size_max)
    number = chance.randrange(len(messages))
    action = chance.randrange(6)
    if action == 0:
        messages.insert(chance.randrange(len(messages) + 1), messages[number])
    elif action == 1:
        del messages[number]
    elif action == 2:
        messages.insert(chance.randrange(len(messages)), messages.pop(number))
    else:
        messages[number] = _other_message(messages[number], chance, mutate)
    return join_messages(messages)[:size_max]


def _other_message(parts: tuple[bytes, ...], chance: Random, mutate: Mutate) -> tuple[bytes, ...]:
    if not parts:
        return (b"",)
    if len(parts) > 1 and chance.random() < 0.3:
        return (parts[0], mutate(parts[1], 1_000), *parts[2:])
    return (mutate_msgpack(parts[0], 4_000, chance, mutate), *parts[1:])


def _place(tree: list[Any], chance: Random) -> Place:
    """A place somewhere in the tree, found by going down: to list all takes longer than everything else."""
    container: Any = tree
    while True:
        key = chance.choice(list(container)) if isinstance(container, dict) else chance.randrange(len(container))
        below = container[key]
        if not isinstance(below, dict | list) or not below or chance.random() < STOP_SHARE:
            return container, key
        container = below


def _change(place: Place, chance: Random) -> None:
    container, key = place
    action = chance.randrange(8)
    if action == 0:
        del container[key]
    elif action == 1 and isinstance(container, list):
        container.insert(key, container[key])
    elif action == 2 and isinstance(container, dict):
        container[chance.choice(("k", "v", "m", "s", "q", "f", "a", "b", "n", "series", "labels", 1))] = container[key]
    elif action == 3 and isinstance(container[key], int):
        container[key] += chance.choice((-2, -1, 1, 2, 1_000))
    else:
        container[key] = chance.choice(VALUES)
