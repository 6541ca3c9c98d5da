"""Judging what models are given, window by window: evidence against the reference, and alarms whose rate is kept.

view ──► counts ──► e-values ──► charts, in families ──► alarms, readings
          (of a window, of an hour, of a day)               │
                                            state ◄─────────┘  a small checksummed file, so that nothing is said twice

Everything here reads a view and says what it found; who writes that down is injected.
"""
