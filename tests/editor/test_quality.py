"""What holds for the whole page: for everybody's eyes and hands, offline, small, and quick."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Response, expect

from benchmarks.large import MANY, large_graph, opened, panned
from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor, box_of
from tests.editor.faults import bring_axe, check
from tests.editor.graphs import search
from tests.editor.serving import Server
from tests.server.hosting import eventually

pytestmark = pytest.mark.only_edits

MOST_BYTES = 500_000
MOST_REQUESTS = 60


class TestAccess:
    """No fault that axe calls serious or critical, wherever one looks."""

    @pytest.mark.parametrize("theme", ["Light", "Dark", "High contrast"])
    def test_of_the_page(self, editor: Editor, theme: str) -> None:
        editor.command(theme)
        known_as = {"High contrast": "contrast"}.get(theme, theme.lower())
        expect(editor.page.locator("html")).to_have_attribute("data-theme", known_as)
        bring_axe(editor)
        look = partial(check, editor, only_colours=theme != "Light")
        check_dialogs(editor, look)
        check_panels(editor, look)
        check_form(editor, look)


def check_dialogs(themed: Editor, look: Callable[[str], None]) -> None:
    for command, title in (
        ("Templates…", "Open a workflow"),
        ("Save as…", "Save workflow"),
        ("Share and export…", "Share and export"),
        ("Settings", "Settings"),
        ("Keyboard shortcuts", "Keyboard shortcuts"),
    ):
        themed.command(command)
        dialog = themed.dialog(title)
        expect(dialog).to_be_visible()
        look(title)
        for tab in dialog.get_by_role("tab").all():
            tab.click()
            look(f"{title}, {tab.inner_text()}")
        dialog.get_by_role("button", name="Close", exact=True).first.click()
        expect(dialog).to_have_count(0)
    themed.search().fill("image")
    expect(themed.found().first).to_be_visible()
    look("the search for everything")
    themed.page.keyboard.press("Escape")
    expect(themed.dialog("Search everything")).to_have_count(0)
    themed.page.mouse.dblclick(*corner(themed.canvas))
    expect(search(themed)).to_be_focused()
    look("the search for nodes")
    themed.page.keyboard.press("Escape")
    expect(search(themed)).to_have_count(0)


def check_panels(themed: Editor, look: Callable[[str], None]) -> None:
    themed.click_card("sample")
    look("the graph")
    for left, right, bottom in (
        ("Nodes panel", "Show help for the selected node", "Queue"),
        ("History panel", "Inspector", "Results"),
        ("Nodes panel", "Show parameters", "Problems"),
        ("History panel", "Last result next to the graph", "Queue"),
    ):
        for name in (left, right, bottom):
            themed.command(name)
        expect(themed.page.get_by_role("region", name=bottom)).to_be_visible()
        expect(themed.page.get_by_role("status", name="Loading…", exact=True)).to_have_count(0)
        look(f"{left}, {right}, {bottom}")


def check_form(themed: Editor, look: Callable[[str], None]) -> None:
    themed.top.get_by_role("button", name="Parameter form").click()
    expect(themed.page.get_by_role("region", name="Parameters")).to_be_visible()
    look("the form")


def corner(canvas: Locator) -> tuple[float, float]:
    """A place on the canvas that is empty."""
    box = box_of(canvas)
    return box["x"] + 60, box["y"] + 60


def test_the_first_download_is_small(server: Server, new_browser: NewBrowser) -> None:
    """Everything that is fetched until the starter graph is there, but the server's answers."""
    responses: list[Response] = []

    def note(response: Response) -> None:
        responses.append(response)

    other = new_browser(server, reused=False, locale="ja-JP")
    other.page.on("response", note)
    other.page.goto("/")
    expect(other.page.get_by_role("dialog", name="プロンプトを書く")).to_be_visible()
    other.drawn()
    # Not as they come: what comes as the page ends has nothing more to be read.
    fetched = {
        response.url: len(gzip.compress(response.body()))
        for response in tuple(responses)
        if "/api/" not in response.url and response.ok
    }
    assert any(url.endswith(".js") for url in fetched)
    assert sum(fetched.values()) < MOST_BYTES, fetched


def test_each_list_is_asked_for_once_and_little_is_sent(
    server: Server, new_browser: NewBrowser
) -> None:
    """All of a first visit, but what comes when the page is idle.

    That is templates, texts of help, and what ties documents to the server.
    """
    eventually(lambda: not server.client.get("node-types/compact").json()["unread"])
    responses: list[Response] = []
    other = new_browser(server, reused=False)
    paths: list[str] = []
    other.page.on("response", lambda response: responses.append(response))
    other.page.on("request", lambda request: paths.append(urlsplit(request.url).path))
    other.page.goto("/")
    expect(other.page.get_by_role("dialog", name="Write a prompt")).to_be_visible()
    other.drawn()
    lists = {f"/api/v1/{name}" for name in ("node-types/compact", "models", "templates")}
    asked = Counter(path for path in paths if path in lists)
    assert asked == Counter(lists)
    sent = [(urlsplit(response.url).path, response) for response in tuple(responses)]
    idle = {"/api/v1/templates", "/api/v1/node-types/help"}
    sizes = {
        path: response.request.sizes()["responseBodySize"]
        for path, response in sent
        if path not in idle and response.ok and not path.startswith("/assets/draftLink")
    }
    assert len(paths) <= MOST_REQUESTS
    assert sum(sizes.values()) < MOST_BYTES, sizes


def test_pages_are_sent_compressed(server: Server) -> None:
    index = server.client.get(server.url).text
    for path in re.findall(r'(?:src|href)="\.?/?(assets/[^"]+\.(?:js|css))"', index):
        answer = server.client.get(f"{server.url}/{path}", headers={"accept-encoding": "gzip"})
        assert answer.headers.get("content-encoding") == "gzip" or len(answer.content) < 1500
        assert "immutable" in answer.headers["cache-control"]


def test_many_nodes_open_move_and_are_found(editor: Editor) -> None:
    """How fast it is, is shown by `benchmarks/editor.py`."""
    opened(editor.page, large_graph(MANY))
    expect(editor.tabs.last).to_have_text("Large")
    editor.drawn()
    counts = editor.show("Inspector")
    expect(counts.get_by_role("definition").first).to_have_text(str(MANY))
    viewport = editor.page.locator(".react-flow__viewport")
    before = viewport.get_attribute("style") or ""
    panned(editor.page, moves=5)
    editor.page.keyboard.press("Shift+0")
    expect(editor.page.get_by_role("button", name="Zoom: 100 %")).to_be_visible()
    expect(viewport).not_to_have_attribute("style", before)
    expect(editor.cards.first).to_be_visible()
    editor.page.keyboard.press("ControlOrMeta+a")
    expect(counts).to_contain_text(str(MANY))

    # Keys reach the last of them.
    field = editor.search("ControlOrMeta+f")
    field.fill(f"save_{MANY // 10 - 1}")
    expect(editor.found().first).to_contain_text(f"save_{MANY // 10 - 1}")
    field.press("Enter")
    expect(editor.card(f"save_{MANY // 10 - 1}")).to_be_focused()
