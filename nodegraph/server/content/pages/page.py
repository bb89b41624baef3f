"""A whole page around its content."""

from __future__ import annotations

from fastapi.responses import HTMLResponse

from nodegraph.server.access.public import ICON
from nodegraph.server.content.pages.html import Child, Markup, element, joined
from nodegraph.server.content.pages.style import HEADERS, STYLE


def page(
    title: str, about: str, content: Markup, *, status: int = 200, refresh: int | None = None
) -> HTMLResponse:
    """A page.

    Args:
        about: A sentence below the title; empty for none.
        refresh: Seconds after which it is loaded again.
    """
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("link", rel="icon", href=ICON, type="image/svg+xml"),
        element("style", Markup(STYLE)),
    ]
    if refresh is not None:
        head.append(element("meta", http_equiv="refresh", content=refresh))
    heading: list[Child] = [element("h1", title)]
    if about:
        heading.append(element("p", about))
    body = element("body", element("header", *heading), content)
    html = element("html", element("head", *head), body, lang="en")
    text = joined([Markup("<!doctype html>\n"), html])
    return HTMLResponse(text, status, headers=HEADERS)
