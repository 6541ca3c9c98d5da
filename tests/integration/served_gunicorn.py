"""gunicorn's configuration."""

from __future__ import annotations


def post_worker_init(worker: object) -> None:
    """In each worker, before its first request."""
    from integration.served_wsgi import workers

    workers.set(1)
