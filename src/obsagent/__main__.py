"""`python -m obsagent`: the same as the command `obsagent`."""

import sys

from obsagent.cli import main

if __name__ == "__main__":
    sys.exit(main())
