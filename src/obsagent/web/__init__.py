"""The agent's HTTP port: what it exports, how it is, and the query language."""
