"""How the kernel writes mounts."""

from __future__ import annotations

import re


def unescaped(text: str) -> str:
    """The kernel writes a blank as `\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
