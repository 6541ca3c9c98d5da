"""A client's side of a handshake, pure: what happened at the socket, and what to say if the peer did not let us in.

libzmq tells little. An agent that does not know the key refuses it by a code. Where one side has keys and the other has
none, whichever notices first hangs up; so does an agent for which the key was not made, and one that restarts. So it
takes a few cuts in a row to call that a misfit.
"""

from __future__ import annotations

import os
from enum import Enum, auto

from obsagent.endpoints import IPC_PREFIX, TCP_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from obsagent.keys import ClientKey

CUT_MAX = 3


class Event(Enum):
    """What a socket's monitor tells."""

    LET_IN = auto()
    REFUSED = auto()
    MISFIT = auto()
    CUT = auto()
    LEFT = auto()


class Door:
    """Whether the peer has let us in, refused us (`refusal` says why), or gone."""

    def __init__(self, endpoint: str, key: ClientKey | None) -> None:
        """Over a socket file nobody asks for keys; the file's permissions are looked at once, here."""
        self._key = key
        self._let_in = not endpoint.startswith(TCP_PREFIX)
        self._cuts = 0
        self.gone = False
        self.refusal = _closed_file(endpoint)

    def happened(self, event: Event) -> None:
        """Takes in what the monitor tells."""
        if event is Event.LET_IN:
            self._let_in, self._cuts = True, 0
        elif event is Event.LEFT:
            self.gone = self.gone or self._let_in
        elif event is Event.REFUSED:
            self.refusal = self._refused()
        elif event is Event.MISFIT:
            self.refusal = self._misfit()
        elif not self._let_in:
            self._cuts += 1
            self.refusal = self._misfit() if self._cuts >= CUT_MAX else self.refusal

    def _refused(self) -> str:
        return (
            f"the agent does not let {self._name()} in: it does not know it, or not for this endpoint, or it was "
            "revoked; `obsagent keys list`, where the agent runs, says which it knows"
        )

    def _misfit(self) -> str:
        if self._key is None:
            return (
                "what listens there ends the handshake, as an agent does that asks for a key: give the file that "
                "`obsagent keys new` has made (OBSAGENT_KEY, key=FILE, --key FILE)"
            )
        return (
            f"what listens there is not the agent that {self._name()} was made for, or asks for no key, as on "
            "127.0.0.1: nothing is said to it"
        )

    def _name(self) -> str:
        return "you" if self._key is None else f"the key {self._key.name} (role {self._key.role})"


def _closed_file(endpoint: str) -> str:
    """What to say of a socket file that this user may not open; libzmq would try again for ever."""
    if not endpoint.startswith(IPC_PREFIX):
        return ""
    path = endpoint.removeprefix(IPC_PREFIX)
    directory = os.path.dirname(path) or "."  # noqa: PTH120
    passable = not os.path.isdir(directory) or os.access(directory, os.X_OK)  # noqa: PTH112
    if passable and (not os.path.exists(path) or os.access(path, os.W_OK)):  # noqa: PTH110
        return ""
    return (
        f"this user ({os.geteuid()}) may not open {path}: it is for the agent's user, and for a group if the agent's "
        "configuration names one (socket_group)"
    )
