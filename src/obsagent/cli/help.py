"""How `obsagent COMMAND --help` is laid out: the command's docstring as it stands."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter

from obsagent.cli.table import terminal_width


class HelpFormatter(RawDescriptionHelpFormatter):
    """As wide as the terminal. argparse would load the formats of archives to find out how wide that is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=terminal_width(sys.stdout) - 2)
