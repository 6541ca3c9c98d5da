"""Harm: whether models in use are worse than they may be, from their truths as they come; and that retraining is due.

Nothing here imports what needs numpy but `track` and who imports that, `judge` and `state`: an agent without truths
loads none of them.
"""
