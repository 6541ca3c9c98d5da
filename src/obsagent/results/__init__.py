"""What `obsagent.query` returns: an answer as rows, as a table for people, as a pandas or Arrow table."""

from __future__ import annotations

from obsagent.results.result import Exemplar, Gap, Point, Result, Row

__all__ = ["Exemplar", "Gap", "Point", "Result", "Row"]
