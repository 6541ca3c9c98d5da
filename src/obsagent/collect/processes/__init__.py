"""The processes of models: who they are, and what they take."""
