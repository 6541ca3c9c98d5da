"""A folder for the files that are checked, in memory where the system has a place for that: disks are slow to open."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

IN_MEMORY = "/dev/shm"

_FOLDER = TemporaryDirectory(prefix="obsagent-fuzz-", dir=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None)
SCRATCH = Path(_FOLDER.name)
