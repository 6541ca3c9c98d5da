"""Files of secrets: nobody but the agent's user reads them.

What root hands out to the agent's own group, with the mode 0440 or 0640, will do too: so Kubernetes mounts secrets.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from obsagent.errors import ConfigError

OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
HANDED_OUT = stat.S_IRGRP
ROOT = 0


def refuse_shared(key: str, path: Path, status: os.stat_result) -> None:
    """Raises `ConfigError` for a file that others can read or change; `key` is that of the configuration."""
    mode = stat.S_IMODE(status.st_mode)
    is_handed_out = status.st_uid == ROOT != os.geteuid() and status.st_gid == os.getegid()
    allowed = HANDED_OUT if is_handed_out else 0
    if stat.S_ISREG(status.st_mode) and mode & OTHERS_MAY & ~allowed:
        raise ConfigError(f"{key}: {path} has the mode {mode:04o}, so others can read or change it: chmod 600 {path}")
