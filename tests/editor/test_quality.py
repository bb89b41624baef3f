"""What holds for the whole page: it is small and quick."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Response, expect

from benchmarks.large import MANY, large_graph, opened, panned
from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor
from tests.editor.serving import Server
from tests.server.hosting import eventually

pytestmark = pytest.mark.only_edits

MOST_BYTES = 500_000
MOST_REQUESTS = 60


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
