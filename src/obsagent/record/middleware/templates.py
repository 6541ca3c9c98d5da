"""Which route a request has taken, as frameworks leave it in the ASGI scope or the WSGI environ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obsagent.record.middleware.telling import told_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obsagent.record.middleware.served import ServedRequest
    from obsagent.record.middleware.starlette import StarletteRoutes

FLASK_REQUEST = "werkzeug.request"


def template_of_scope(request: ServedRequest, starlette: StarletteRoutes) -> str | None:
    """The route's template, None as long as there is none."""
    scope = request.carrier
    template: object = scope.get("path_template")  # Litestar
    if isinstance(template, str):
        return template
    if scope.get("router") is not None:  # Starlette, FastAPI
        return starlette.template(request)
    return _of_django(told_request(scope))


def template_of_environ(request: ServedRequest) -> str | None:
    """The route's template, None as long as there is none."""
    environ = request.carrier
    told = told_request(environ)
    rule = getattr(told or environ.get(FLASK_REQUEST), "url_rule", None)
    if rule is not None:
        return _mounted(request.root_path, environ) + str(rule.rule)
    return _of_django(told)


def _mounted(root_path: str, environ: Mapping[str, Any]) -> str:
    """Where a dispatcher has put the app that has routed, below the one that is watched."""
    script_name = str(environ.get("SCRIPT_NAME", ""))
    return script_name[len(root_path) :] if script_name.startswith(root_path) else ""


def _of_django(request: Any) -> str | None:
    """The route that Django has resolved, with the slash in front that it leaves out."""
    match = getattr(request, "resolver_match", None)
    if match is None:
        return None
    route = str(match.route)
    return route if route.startswith(("/", "^")) else f"/{route}"
