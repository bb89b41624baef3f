"""Figures of requests: by method, route and status, never by anything a client may choose."""

from __future__ import annotations

from nodegraph.server.operations.metrics.bounded import OTHER, Bounded
from nodegraph.server.operations.metrics.figures import Figures

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_MOST_ROUTES = 200
_MOST_CODES = 100


class RequestFigures:
    """Counts requests."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._routes = Bounded(_MOST_ROUTES)
        self._codes = Bounded(_MOST_CODES)

    def began(self) -> None:
        """One came."""
        self._figures.in_progress.inc()

    def ended(self, method: str, route: str | None, status: int, seconds: float | None) -> None:
        """One is answered.

        Args:
            route: Its template; None if there is none for the path.
            status: 0 for one whose client went away before there was an answer.
            seconds: None for a stream, which lasts as long as its client likes.
        """
        self._figures.in_progress.dec()
        method = method if method in _METHODS else OTHER
        route = OTHER if route is None else self._routes(route)
        self._figures.requests.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._figures.request_seconds.labels(method, route).observe(seconds)

    def refused(self, status: int, code: str) -> None:
        """One was refused.

        Args:
            code: Of the problem.
        """
        self._figures.refused.labels(str(status), self._codes(code) if code else OTHER).inc()
