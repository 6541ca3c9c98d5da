"""Django keeps a request to itself, Flask takes it away when a route raises: so its class is made to tell of it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLD = "obsagent.framework_request"
"""Where scope and environ have a weak reference to the framework's request."""
FRAMEWORKS = ("django.core.handlers.", "flask.wrappers")
INNER = ("__self__", "app", "application")
"""Where an app may be found in what wraps it: `__self__` is that of Flask's `app.wsgi_app`."""
WRAPPERS_MAX = 8


def tell_requests(app: Any) -> None:
    """Makes an app of Django or Flask, or one that it wraps, leave its requests in their scope or environ."""
    for _ in range(WRAPPERS_MAX):
        made = getattr(app, "request_class", None)
        if isinstance(made, type) and any(base.__module__.startswith(FRAMEWORKS) for base in made.__mro__):
            app.request_class = _telling(made)
            return
        app = next((inner for name in INNER if (inner := getattr(app, name, None)) is not None), None)


def _telling(made: type[Any]) -> type[Any]:
    def begin(self: Any, carrier: Any, *rest: Any, **named: Any) -> None:
        made.__init__(self, carrier, *rest, **named)
        carrier[TOLD] = weakref.ref(self)  # a reference would be a cycle, which keeps uploads in memory

    return type(made.__name__, (made,), {"__init__": begin, "__module__": made.__module__, "__doc__": made.__doc__})


def told_request(carrier: Mapping[str, Any]) -> Any:
    """The framework's request, None if there is none or no longer."""
    reference = carrier.get(TOLD)
    return None if reference is None else reference()
