"""The page that stands in for the editor where that wasn't built."""

from __future__ import annotations

from fastapi.responses import HTMLResponse

from nodegraph.server.content.pages.html import element
from nodegraph.server.content.pages.page import page

_BUILD = "npm ci --prefix editor && npm run build --prefix editor"


def no_editor_page() -> HTMLResponse:
    """What to do about it, and what works without."""
    built = element("p", "Installed packages bring it along. In a checkout, build it with ")
    command = element("p", element("code", _BUILD))
    rest = element(
        "p", "Everything else works: see ", element("a", "the API", href="/openapi.json")
    )
    content = element("main", built, command, rest)
    return page("The editor isn't here", "Its files are missing.", content, status=404)
