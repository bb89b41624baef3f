"""With tokens, one logs in first, and may then do what the token may."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from nodegraph.server.access.caller import Scope
from nodegraph.server.access.tokens import TokenFile
from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor
from tests.editor.graphs import downloaded
from tests.editor.serving import Server

REFUSED = "status of 401"
APPLE = "a red apple on a white background"


class Guarded(Server):
    """A server that wants to know who asks."""

    def token(self, scope: Scope) -> str:
        """A token that may do this."""
        return self._tokens[scope]

    def __enter__(self) -> Guarded:
        self.home.mkdir(parents=True)
        tokens = TokenFile(self.home / "tokens.json")
        scopes: tuple[Scope, ...] = ("read", "run")
        self._tokens = {scope: tokens.add(scope, [scope])[0] for scope in scopes}
        super().__enter__()
        self.client.headers["Authorization"] = f"Bearer {self.token('run')}"
        return self


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with Guarded(tmp_path_factory.mktemp("guarded") / "home") as server:
        yield server


@pytest.fixture
def stranger(new_browser: NewBrowser, server: Guarded) -> Editor:
    """Somebody whom the server doesn't know."""
    return new_browser(server)


def log_in(page: Page, token: str) -> None:
    """Fill in the form that the page shows."""
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    field = page.get_by_label("Token")
    expect(field).to_be_focused()
    field.fill(token)
    field.press("Enter")


def skip_tour(editor: Editor) -> None:
    editor.page.get_by_role("dialog").get_by_role("button", name="Skip").click()
    editor.ready()


def shared_link(editor: Editor) -> str:
    editor.menu("File", "Share and export")
    link = editor.dialog("Share and export").get_by_role("textbox", name="Link")
    expect(link).to_have_value(re.compile("#w="))
    return link.input_value()


@pytest.fixture
def known(stranger: Editor, server: Guarded) -> Editor:
    """Somebody who has logged in, and may run."""
    stranger.page.goto("/")
    log_in(stranger.page, server.token("run"))
    skip_tour(stranger)
    return stranger


def test_a_link_survives_the_login(known: Editor, server: Guarded, new_browser: NewBrowser) -> None:
    known.fill("positive", "Text", "zwölf Boxkämpfer 🦆")
    link = shared_link(known)
    other = new_browser(server)
    other.page.goto(link)
    with other.watch.allowing(REFUSED):
        log_in(other.page, "ng_wrong")
        expect(other.page.get_by_role("alert")).to_be_visible()
    log_in(other.page, server.token("read"))
    other.ready()
    expect(other.field("positive", "Text")).to_have_value("zwölf Boxkämpfer 🦆")
    expect(other.page).to_have_url(f"{server.url}/")


def test_the_page_leads_to_the_login_and_back_and_work_survives_its_end(
    known: Editor, server: Guarded
) -> None:
    expect(known.page).to_have_url(f"{server.url}/")
    expect(known.field("positive", "Text")).to_have_value(APPLE)
    known.reload()
    known.fill("positive", "Text", "a pear")
    known.wait_until_kept("a pear")
    with known.watch.allowing(REFUSED, "WebSocket connection"):
        logged_out = known.page.context.new_page()
        logged_out.goto("/login")
        logged_out.get_by_role("button", name="Log out").click()
        expect(logged_out.get_by_role("heading", name="Log in")).to_be_visible()
        notices = known.page.get_by_role("region", name="Notices")
        notices.get_by_role("button", name="Log in").click()
        log_in(known.page, server.token("run"))
    known.ready()
    expect(known.field("positive", "Text")).to_have_value("a pear")


def test_who_may_only_read_sees_everything_and_is_told_what_is_not_allowed(
    stranger: Editor, server: Guarded
) -> None:
    reader = stranger
    reader.page.goto("/")
    log_in(reader.page, server.token("read"))
    skip_tour(reader)
    expect(reader.status.get_by_role("button", name="View only")).to_be_visible()
    # It cannot be run.
    reader.page.keyboard.press("ControlOrMeta+Enter")
    expect(reader.notice("You can view, but not run")).to_be_visible()
    assert server.jobs() == []
    # It cannot be saved but in a file.
    reader.fill("positive", "Text", "a plum")
    reader.page.keyboard.press("ControlOrMeta+s")
    dialog = reader.dialog("Save workflow")
    expect(dialog.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    expect(dialog.get_by_text(re.compile("^Your token can read, but cannot save"))).to_be_visible()
    assert server.get("workflows")["items"] == []
    reader.page.keyboard.press("Escape")
    file = json.loads(downloaded(reader))
    assert file["nodes"]["positive"]["inputs"]["text"] == "a plum"
    for panel in ("Queue", "Results"):
        reader.show(panel)
    reader.menu("File", "Templates")
    dialog = reader.dialog("Open a workflow")
    dialog.get_by_role("button", name=re.compile("^Seed grid")).click()
    expect(reader.tabs.last).to_have_text("Seed grid")
    reader.ready()
