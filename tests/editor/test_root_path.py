"""The editor works below a path of a host, where a proxy offers the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.editor.conftest import NewBrowser, knowing_home
from tests.editor.editing import expect_picture
from tests.editor.serving import Server
from tests.server.proxying import Proxy, proxied

PATH = "/studio"


class Below(Server):
    """A server behind a proxy that offers it below a path, and takes that away."""

    proxy: Proxy

    @property
    def host(self) -> str:
        """Of the proxy: pages are to ask that alone."""
        return self.proxy.origin.removeprefix("http://")

    def start(self) -> None:
        super().start()
        port = int(self.url.rpartition(":")[2])
        self.proxy = self._stack.enter_context(proxied(port, PATH))


@pytest.fixture
def server(browser: Browser, tmp_path: Path, known_specs: Path) -> Iterator[Below]:
    home = knowing_home(tmp_path, known_specs)
    server = Below(home, options=("--root-path", PATH))
    with server:
        yield server


@pytest.mark.slow
def test_below_a_path_the_first_page_makes_a_picture_that_stays(
    server: Below, new_browser: NewBrowser
) -> None:
    editor = new_browser(server, reused=False, base_url=server.proxy.origin)
    editor.open(PATH)
    editor.fill("sample", "Steps", "4")
    editor.run()
    expect_picture(editor.results("save"))
    gallery = editor.show("Results")
    picture = gallery.get_by_role("gridcell", name=re.compile("^apple")).first.locator("img")
    expect_picture(picture)
    editor.reload()
    expect_picture(editor.results("save"))
    # Of what is fetched later: parts of the page, and the file as it is.
    picture.dblclick()
    expect_picture(editor.page.get_by_role("dialog").locator("img"))
    # The page without a graph has its address there, too.
    editor.page.goto(f"{PATH}/generate")
    expect(editor.page.get_by_label("Prompt", exact=True)).to_be_visible()
    editor.top.get_by_role("button", name="Graph").click()
    editor.ready()
    assert editor.page.evaluate("location.pathname") == f"{PATH}/"
    assert server.proxy.strays == []
