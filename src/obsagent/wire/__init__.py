"""The wire: what client, agent and reader say to each other over ZeroMQ (FORMAT.md is the specification)."""
