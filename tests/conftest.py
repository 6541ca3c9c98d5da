"""What all tests share: property tests that repeat, agents without an HTTP port, and Ctrl-C that is heeded."""

import os
import signal

from hypothesis import settings

pytest_plugins = ["obsagent.testing"]  # named as its entry point is, so that an installed one is the same

# The same examples in every run, and no limit on how slow a busy machine may be.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Many agents run at the same time; the few that are scraped ask for a port of their own.
os.environ.setdefault("OBSAGENT_HTTP", "off")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A job in the background of a script inherits this neglect, and so would every program that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
