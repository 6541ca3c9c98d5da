"""The limits that control groups set, versions 1 and 2, and how near to them the agent and the models are."""
