"""Runs what the configuration wants done when retraining is recommended: a command, or a webhook."""
