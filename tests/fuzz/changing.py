"""A poor fuzzer's mutation of bytes, of which chance is the only guide."""

from __future__ import annotations

from random import Random

EDGES = (0, 1, 0x7F, 0x80, 0xFF)


class Changing:
    """Changes bytes; the same seed, the same changes."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def __call__(self, data: bytes, size_max: int) -> bytes:
        out, chance = bytearray(data), self.chance
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(out) + 1)
            action = chance.randrange(5)
            if action == 0:
                del out[at : at + chance.choice((1, 2, 8, 1_000))]
            elif action == 1:
                out[at:at] = chance.randbytes(chance.choice((1, 4)))
            elif action == 2:
                out[at:at] = out[max(0, at - 16) : at]
            elif at < len(out):
                out[at] = chance.choice((*EDGES, out[at] ^ 1 << chance.randrange(8)))
        return bytes(out[:size_max])
