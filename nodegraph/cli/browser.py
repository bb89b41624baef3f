"""Opening a page in the browser of whoever is at this machine."""

from __future__ import annotations

import os
import sys
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

from nodegraph.cli.output import warn

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not listened at
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def open_page(url: str) -> None:
    """Open a page, without waiting for the browser; say so if there is none."""
    Thread(target=_open, args=(reachable(url),), daemon=True, name="nodegraph-browser").start()


def reachable(url: str) -> str:
    """The address by which a browser on this machine reaches a server.

    One that listens at all addresses tells of none that every browser takes.
    """
    parts = urlsplit(url)
    host = _EVERYWHERE.get(parts.hostname or "")
    if host is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}"))


def _open(url: str) -> None:
    import webbrowser

    if not (_has_screen() and webbrowser.open(url)):
        warn(f"there is no browser to be opened here; open {url} in one")


def _has_screen() -> bool:
    """Whether a browser would get a window; one for terminals would take this one over."""
    return sys.platform in ("win32", "darwin") or any(map(os.environ.get, _DISPLAYS))
