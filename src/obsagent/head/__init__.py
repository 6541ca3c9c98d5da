"""The head: what the agent holds in memory, the journal that makes it durable, and its way into segments."""
