"""Every error obsagent raises on purpose; each knows the exit code that a command answers with."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with what would move the cursor escaped: queries and label values come from anywhere."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class ObsagentError(Exception):
    """Base of all errors; `exit_code` is what a command exits with when it ends in this error."""

    exit_code = 1


class UsageError(ObsagentError):
    """The words of a command or of a query are wrong; the message says what was expected."""

    exit_code = 2


class ConfigError(ObsagentError):
    """A configuration file or variable is wrong; each message, a line, names a key."""

    exit_code = 78

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class CorruptData(ObsagentError, ValueError):
    """Bytes that are not what they claim to be: foreign, torn or flipped."""


class UnsupportedVersion(CorruptData):
    """Well-formed bytes of a format version that this build does not read."""


class ProtocolError(ObsagentError):
    """The peer sent a message that the wire protocol does not allow, or that is not built yet."""


class TooManySessions(ProtocolError):
    """The agent has room for no more sessions; those that it has go on."""


class AgentUnreachable(ObsagentError):
    """No agent answered at the endpoint within the time-out."""


class AccessDenied(ObsagentError):
    """The agent does not let this client in; the message says why, and what to do."""


class StoreLocked(ObsagentError):
    """Another agent holds the lock of this store or endpoint."""


class StoreError(ObsagentError):
    """The store cannot be opened, read or written; the message says which file and why."""


class InstrumentError(ObsagentError, ValueError):
    """An instrument is defined wrongly or differently from before, or its labels do not fit."""


class FeatureError(ObsagentError, ValueError):
    """What is given as features, predictions or a slice does not fit; the message says what would."""


class EventError(ObsagentError, ValueError):
    """An event's name or labels do not fit; the message says what would."""


class PendingSamples(ObsagentError):
    """Raised by `FlushResult.raise_if_pending`: the agent has not acknowledged everything yet."""


class DriftError(ObsagentError, ValueError):
    """Counts, edges or parameters of which no divergence or test can be computed; the message says what would do."""


class PerformanceError(ObsagentError, ValueError):
    """Truths, predictions or counts of which no performance can be computed; the message says what would do."""
