"""The ledger: what the agent keeps of requests one by one, by their ids, until their truths have come.

Predictions wait for truths, truths for predictions; what comes of the two are outcomes: counts and sums in windows of
the predictions' time. The rest of the agent sees `Ledger` (`ledger.py`) and `LedgerView` (`view.py`); importing them
loads numpy, which an agent without records does not need, so nothing here imports them.
"""
