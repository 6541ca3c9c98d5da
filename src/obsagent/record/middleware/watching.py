"""What both middlewares have in common: which client records, which requests are watched, by which name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

from obsagent.errors import ObsagentError, UsageError
from obsagent.record import clients

if TYPE_CHECKING:
    from obsagent.record.client import Client
    from obsagent.record.middleware.served import ServedRequest
    from obsagent.record.middleware.serving import Serving

UNMATCHED = "(unmatched)"
"""The endpoint of all requests that fit no route: what scanners ask for makes no series."""
WATCHED = "obsagent.request"
"""Where scope and environ say that a request is watched already, by a middleware further out."""

EndpointOf = Callable[[MutableMapping[str, Any]], "str | None"]


class Watching:
    """The choices of one middleware."""

    def __init__(
        self,
        client: Client | None,
        endpoint: str | EndpointOf | None,
        exclude: str | Iterable[str],
        template: Callable[[ServedRequest], str | None],
    ) -> None:
        """`template` finds the route that the framework has chosen. Raises `UsageError` for what makes no sense."""
        if endpoint is not None and not isinstance(endpoint, str) and not callable(endpoint):
            raise UsageError(f"endpoint: expected a name, or a function that returns one, not {endpoint!r}")
        excluded = [exclude] if isinstance(exclude, str) else list(exclude)
        for each in excluded:
            if not isinstance(each, str) or not each.startswith(("/", UNMATCHED)):
                raise UsageError(f"exclude: expected paths or routes such as '/health' or '/static/*', not {each!r}")
        self._client = client
        self._name = endpoint if isinstance(endpoint, str) else None
        self._endpoint_of = None if isinstance(endpoint, str) else endpoint
        self._template = template
        self._excluded = frozenset(excluded)
        self._excluded_below = tuple(each[:-1] for each in excluded if each.endswith("*"))
        self._known: object = None
        self._has_warned = False
        self._serving: Serving | None = None

    def serving(self) -> Serving | None:
        """That of the client, found anew where a test has put others in place; None if there can be no client.

        By default it is the first that the program has connected; if it has none, it is connected now.
        """
        known = clients._clients
        if known is not self._known:
            self._known = known
            try:
                self._serving = (self._client or next(iter(known.values()), None) or clients.connect()).serving()
            except ObsagentError as error:
                self._serving = None
                self._warn(f"obsagent does not watch this server: {error}")
        return self._serving

    def flush(self, timeout_s: float) -> None:
        """Hands over what was recorded, if anything was: some servers end without a normal exit."""
        if self._serving is not None:
            self._serving.flush(timeout_s)

    def excludes(self, path: str) -> bool:
        """True for a path, or a route, that is not watched."""
        return path in self._excluded or path.startswith(self._excluded_below)

    def endpoint(self, request: ServedRequest) -> str | None:
        """The name by which a request is counted; None if its route is excluded. Never raises."""
        name = self._name
        if name is None:
            try:
                name = self._found(request)
            except Exception as error:  # of the user's function, or of a framework that has changed
                self._warn(f"obsagent cannot tell the endpoint of a request: {error!r}; it counts as {UNMATCHED}")
        if name is None:
            name = UNMATCHED
        return None if self._excluded and self.excludes(name) else name

    def _found(self, request: ServedRequest) -> str | None:
        named = None if self._endpoint_of is None else self._endpoint_of(request.carrier)
        return request.route or self._template(request) if named is None else str(named)

    def route(self, request: ServedRequest) -> str | None:
        """The route of a request whose response begins: some frameworks forget it before the end. Never raises."""
        try:
            return self._template(request)
        except Exception:  # said when the endpoint is asked for
            return None

    def _warn(self, text: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(text, RuntimeWarning, stacklevel=2)
