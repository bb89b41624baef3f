"""The page on which people log in and out, and the one that stands in for a missing editor."""

from __future__ import annotations

from fastapi.responses import HTMLResponse

from nodegraph.server.access.caller import Caller
from nodegraph.server.access.head import LOGOUT
from nodegraph.server.content.pages.page import Child, Markup, element, page
from nodegraph.server.root_path import public_path

_TITLE = "Log in"
_ABOUT = "This server needs a token. `nodegraph token add NAME` makes one, on its machine."
_BUILD = "npm ci --prefix editor && npm run build --prefix editor"


def login_page(target: str, *, problem: str = "", status: int = 200) -> HTMLResponse:
    """The form that takes a token.

    Args:
        target: Where to go after that.
        problem: What is wrong with the token that was entered.
    """
    parts: list[Child] = []
    if problem:
        parts.append(element("p", problem, class_="problems", role="alert"))
    field = element(
        "input",
        type="password",
        id="token",
        name="token",
        required=True,
        autofocus=True,
        autocomplete="current-password",
        spellcheck="false",
    )
    parts += [
        element("div", element("label", "Token", for_="token"), field),
        element("input", type="hidden", name="next", value=target),
        element("button", _TITLE, type="submit"),
    ]
    # Without an action it goes to the page's own address, and what stands there behind the # stays
    # with the browser all the way to the place: a link may hold a workflow.
    return page(_TITLE, _ABOUT, element("form", *parts, method="post"), status=status)


def known_page(caller: Caller) -> HTMLResponse:
    """The page of somebody who is known already."""
    if not caller.session:
        content = element("main", element("p", "You are known here without logging in."))
        return page(_TITLE, "", content)
    who = element("p", f"You are logged in as {caller.name}.")
    scopes = element("p", f"You may: {', '.join(sorted(caller.scopes))}.", class_="help")
    button = element("button", "Log out", type="submit")
    form = element("form", who, scopes, button, method="post", action=public_path(LOGOUT))
    return page("Logged in", "", Markup(form))


def no_editor_page() -> HTMLResponse:
    """What to do about it, and what works without."""
    built = element("p", "Installed packages bring it along. In a checkout, build it with ")
    command = element("p", element("code", _BUILD))
    api_note = element(
        "p",
        "Everything else works: see ",
        element("a", "the API", href=public_path("/openapi.json")),
    )
    content = element("main", built, command, api_note)
    return page("The editor isn't here", "Its files are missing.", content, status=404)
