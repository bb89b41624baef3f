"""Parts of the page that are fetched later, while the server is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Route, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor
from tests.editor.gates import text_to_image
from tests.editor.serving import Server
from tests.editor.watching import UNREACHED


@pytest.fixture
def editor(new_browser: NewBrowser, server: Server) -> Editor:
    """In a browser that knows none of these parts yet."""
    return new_browser(server, reused=False).open_link(text_to_image())


AWAY = "Could not load this part of the editor"


@contextmanager
def away(editor: Editor, server: Server) -> Iterator[None]:
    """While the server is away, and until it is back."""
    with editor.watch.allowing(*UNREACHED, "PartFault"):
        server.kill()
        expect(editor.status.get_by_text("Connection lost")).to_be_visible()
        yield
        server.start()
        editor.ready()


def test_parts_come_with_the_server_and_no_work_is_lost(editor: Editor, server: Server) -> None:
    editor.fill("positive", "Text", "a medlar")
    panel, fault = editor.panel("History"), editor.dialog("Error")
    # Dialogs came with the first move of the pointer, so that one can say what went wrong.
    editor.page.get_by_role("button", name="Zoom in").hover()
    expect(editor.page.get_by_role("tooltip", include_hidden=True)).to_be_visible()
    with away(editor, server):
        editor.page.get_by_role("button", name="History").first.click()
        expect(panel.get_by_role("alert")).to_contain_text(AWAY)
        panel.get_by_role("button", name="Try again").click()
        expect(panel.get_by_role("alert")).to_contain_text(AWAY)
        editor.fill("positive", "Text", "a quince")
        # A dialog can be opened again.
        editor.page.keyboard.press("ControlOrMeta+,")
        expect(fault).to_contain_text(AWAY)
        editor.page.keyboard.press("Escape")
        expect(fault).to_have_count(0)
    expect(panel.get_by_role("option").first).to_be_visible()
    expect(panel.get_by_role("alert")).to_have_count(0)
    expect(editor.field("positive", "Text")).to_have_value("a quince")
    editor.page.keyboard.press("ControlOrMeta+,")
    expect(editor.dialog("Settings")).to_be_visible()


def test_a_file_that_is_dropped_before_the_parts_are_there_opens(editor: Editor) -> None:
    other = Editor(editor.page.context.new_page(), editor.server, editor.watch)
    first = other.page.request.get("/").text()
    held: list[Route] = []
    is_held = True

    def hold(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        # Nothing is drawn before its words are there.
        if is_held and name not in first and not name.startswith("en-"):
            held.append(route)
        else:
            route.continue_()

    other.page.route("**/assets/*.js", hold)
    other.page.goto("/", wait_until="domcontentloaded")
    expect(other.top).to_be_visible()
    workflow = text_to_image()
    workflow["title"] = "Dropped early"
    other.drop("early.json", json.dumps(workflow).encode(), "application/json", onto=other.top)
    is_held = False
    for route in held:
        route.continue_()
    expect(other.tab).to_have_text("Dropped early")
    other.ready()
