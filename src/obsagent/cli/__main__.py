"""`python -m obsagent.cli` is the `obsagent` command."""

import sys

from obsagent.cli import main

sys.exit(main())
