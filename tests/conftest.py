"""Property tests repeat: the same examples in every run, and no limit on how slow a busy machine may be."""

from hypothesis import settings

pytest_plugins = ["obsagent.testing"]  # named as its entry point is, so that an installed one is the same

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
