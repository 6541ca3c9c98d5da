"""Starlette's and FastAPI's routes: the scope tells the endpoint that was called, not always the route that led there.

The routes of a router are listed once, mounted ones with the template of their mount in front. An endpoint that has one
route, as nearly all have, is then found by itself; where it has several, the one that the path fits is taken.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from obsagent.record.middleware.served import ServedRequest

LIST_INTERVAL_S = 1.0
MOUNTS_MAX = 16


class Way(NamedTuple):
    """A route, with the mounts that lead to it in front of it, and the template of it all."""

    routes: tuple[Any, ...]
    endpoint: object
    template: str

    def fits(self, path: str, parameters: frozenset[str]) -> bool:
        """True if a request for this path, from which these parameters were read, may have taken this way."""
        names: set[str] = set()
        for route in self.routes:
            pattern = getattr(route, "path_regex", None)
            names.update(getattr(route, "param_convertors", ()) or ())
            if pattern is None:  # a host's
                continue
            found = pattern.match(path)
            if found is None:
                return False
            path = "/" + found.groupdict().get("path", "")
        return names - {"path"} == parameters - {"path"}


class StarletteRoutes:
    """The routes of the router that was asked last."""

    def __init__(self) -> None:
        """Nothing is listed before the first request."""
        self._router: Any = None
        self._ways: dict[int, list[Way]] = {}
        self._listed_s = 0.0

    def template(self, request: ServedRequest) -> str | None:
        """The template of the route that a request has taken, None if it has taken none yet."""
        scope = request.carrier
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return None
        ways = self._ways_to(scope["router"], endpoint)
        if len(ways) == 1:
            return ways[0].template
        return _choose(ways, request) if ways else _told(scope.get("route"), endpoint)

    def _ways_to(self, router: Any, endpoint: object) -> list[Way]:
        ways = self._ways.get(id(endpoint)) if router is self._router else None
        if ways is None and (router is not self._router or time.monotonic() - self._listed_s > LIST_INTERVAL_S):
            self._list(router)
            ways = self._ways.get(id(endpoint))
        return ways or []

    def _list(self, router: Any) -> None:
        """Lists the routes anew: there may be more than before."""
        ways: dict[int, list[Way]] = {}
        for way in _walk(router.routes, "", ()):
            same = ways.setdefault(id(way.endpoint), [])
            if all(way.template != each.template for each in same):
                same.append(way)
        self._ways, self._router, self._listed_s = ways, router, time.monotonic()


def _walk(routes: Iterable[Any], prefix: str, above: tuple[Any, ...]) -> Iterator[Way]:
    for route in routes:
        template = prefix + str(getattr(route, "path", ""))
        inner = _inner(route)
        if inner:
            if len(above) < MOUNTS_MAX:
                yield from _walk(inner, template, (*above, route))
        elif (endpoint := getattr(route, "endpoint", None)) is not None:
            yield Way((*above, route), endpoint, template or "/")
        elif (app := getattr(route, "app", None)) is not None:  # files, or an app with routes of another kind
            yield Way((*above, route), app, template + "/{path}")


def _inner(route: Any) -> list[Any]:
    """The routes of a mount or a host, or of a router that FastAPI has included: their paths have its prefix."""
    included = getattr(route, "effective_candidates", None)
    if included is None:
        return list(getattr(route, "routes", None) or ())
    return [getattr(each, "starlette_route", None) or each for each in included()]


def _choose(ways: list[Way], request: ServedRequest) -> str | None:
    parameters = frozenset(request.carrier.get("path_params") or ())
    return next((way.template for way in ways if way.fits(request.path, parameters)), None)


def _told(route: Any, endpoint: object) -> str | None:
    """What the scope itself tells, though not of mounts, where routes are listed in a way that is not known here."""
    return str(route.path) if getattr(route, "endpoint", None) is endpoint and hasattr(route, "path") else None
