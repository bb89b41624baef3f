"""The editor as an app: it opens without its server, and says when there is a newer version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.editor.conftest import NewBrowser, knowing_home
from tests.editor.editing import Editor, expect_picture
from tests.editor.serving import Server
from tests.editor.test_login import Guarded, log_in, skip_tour
from tests.editor.test_root_path import PATH, Below
from tests.editor.watching import UNREACHED
from tests.server.hosting import eventually

WITH_WORKER: dict[str, Any] = {"reused": False, "service_workers": "allow"}
_KEPT = """async () => {
    await navigator.serviceWorker.ready;
    const found = [];
    for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const { url } of await cache.keys()) {
            const text = await (await cache.match(url)).text();
            found.push([url, text]);
        }
    }
    return found;
}"""
_KEEPS_TYPES = """async () => {
    const name = "nodegraph-types" + document.querySelector("meta[name=root-path]").content;
    // To open one that isn't there would make it, as one that keeps nothing.
    const known = await indexedDB.databases();
    if (!known.some((each) => each.name === name)) return false;
    const database = await new Promise((done, fail) => {
        const opening = indexedDB.open(name);
        opening.onerror = () => fail(opening.error);
        opening.onsuccess = () => done(opening.result);
    });
    const reading = database.transaction("types").objectStore("types").get("types");
    const found = await new Promise((done) => { reading.onsuccess = () => done(reading.result); });
    database.close();
    return found !== undefined;
}"""


@pytest.fixture
def server(browser: Browser, tmp_path: Path, known_specs: Path) -> Iterator[Server]:
    with Server(knowing_home(tmp_path, known_specs)) as server:
        yield server


@pytest.fixture
def below(browser: Browser, tmp_path: Path, known_specs: Path) -> Iterator[Below]:
    """A server that a proxy offers below a path."""
    home = knowing_home(tmp_path / "below", known_specs)
    server = Below(home, options=("--root-path", PATH))
    with server:
        yield server


def opened(editor: Editor, path: str = "/") -> Editor:
    """The editor, once it can do without its server."""
    editor.open(path)
    wait_until_kept(editor.page)
    return editor


def wait_until_kept(page: Page) -> None:
    """Wait until the worker has kept the page, and the page its node types."""
    page.evaluate("() => navigator.serviceWorker.ready")
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    eventually(lambda: page.evaluate(_KEEPS_TYPES))


@contextmanager
def away(server: Server, editor: Editor) -> Iterator[None]:
    """While the server is away."""
    with editor.watch.allowing(*UNREACHED):
        server.kill()
        yield


def expect_offline(editor: Editor) -> None:
    expect(editor.status.get_by_role("button", name="Offline", exact=True)).to_be_visible()


def test_the_editor_opens_offline_and_work_goes_on(server: Server, new_browser: NewBrowser) -> None:
    editor = opened(new_browser(server, **WITH_WORKER))
    editor.fill("positive", "Text", "a medlar")
    editor.wait_until_kept("a medlar")
    with away(server, editor):
        editor.page.reload()
        expect_offline(editor)
        expect(editor.field("positive", "Text")).to_have_value("a medlar")
        editor.fill("positive", "Text", "a quince")
        editor.fill("sample", "Steps", "3")
        editor.wait_until_kept("a quince")
        # Parts of the page that nobody has looked at are there, too.
        editor.page.keyboard.press("ControlOrMeta+,")
        expect(editor.dialog("Settings").get_by_role("tab", name="Canvas")).to_be_visible()
        editor.page.keyboard.press("Escape")
        editor.page.reload()
        expect_offline(editor)
        expect(editor.field("positive", "Text")).to_have_value("a quince")
        editor.run()
        expect(editor.notice(re.compile("The run starts when"))).to_be_visible()
        server.start()
        editor.ready()
    expect(editor.status.get_by_text("Connected")).to_be_visible()
    expect_picture(editor.results("save"))
    expect(editor.notice("A new version is available")).to_have_count(0)


def test_a_newer_version_is_offered_and_never_forced(below: Below, new_browser: NewBrowser) -> None:
    editor = opened(new_browser(below, base_url=below.proxy.origin, **WITH_WORKER), f"{PATH}/")
    editor.fill("positive", "Text", "a medlar")
    editor.wait_until_kept("a medlar")
    page = editor.page
    page.evaluate("() => { window.isSamePage = true; }")
    notice = editor.notice("A new version is available")
    newer = newer_build(below)
    with away(below, editor):
        below.proxy.answers.update(newer)
        # The proxy stays where it is.
        Server.start(below)
        expect(notice).to_be_visible()
        assert page.evaluate("() => window.isSamePage === true")
        # The page of before goes on as long as somebody likes.
        editor.fill("positive", "Text", "a quince")
        page.keyboard.press("?")
        expect(editor.dialog("Keyboard shortcuts")).to_be_visible()
        page.keyboard.press("Escape")
        editor.wait_until_kept("a quince")
        eventually(lambda: page.evaluate(_KEEPS_NEWER))
        notices = page.get_by_role("region", name="Notices")
        notices.get_by_role("button", name="Reload").click()
        expect(page.locator("meta[name=newer]")).to_have_count(1)
        editor.ready()
    expect(editor.field("positive", "Text")).to_have_value("a quince")
    expect(notice).to_have_count(0)
    # Without the server the newer page opens.
    with away(below, editor):
        below.proxy.answers.clear()
        page.reload()
        expect_offline(editor)
        expect(page.locator("meta[name=newer]")).to_have_count(1)


_KEEPS_NEWER = """async () => {
    const { installing, waiting } = await navigator.serviceWorker.ready;
    const name = (await caches.keys()).find((each) => each.endsWith(" newer"));
    if (installing !== null || waiting !== null || name === undefined) return false;
    return (await (await caches.open(name)).match(location.pathname)) !== undefined;
}"""


def newer_build(server: Below) -> dict[str, tuple[str, bytes]]:
    """What a build that loads one more file has in other words, by path."""
    url = server.proxy.url
    page = httpx.get(f"{url}/", trust_env=False).text
    worker = httpx.get(f"{url}/sw.js", trust_env=False).text
    more = f'<meta name="newer"><link rel="stylesheet" href="{PATH}/assets/newer-01ab.css">'
    listed, build = re.subn(r'\[(\s*)"assets/', r'[\1"assets/newer-01ab.css", "assets/', worker)
    listed, name = re.subn(r'build: "[0-9a-f]{16}"', 'build: "newer"', listed)
    assert (build, name) == (1, 1)
    return {
        f"{PATH}/": ("text/html", page.replace("</head>", f"{more}</head>").encode()),
        f"{PATH}/sw.js": ("text/javascript", listed.encode()),
        f"{PATH}/assets/newer-01ab.css": ("text/css", b":root { --newer: 1; }"),
    }


@pytest.mark.slow
def test_offline_below_a_path(below: Below, new_browser: NewBrowser) -> None:
    origin = below.proxy.origin
    editor = opened(new_browser(below, base_url=origin, **WITH_WORKER), f"{PATH}/")
    urls = [url for url, _ in editor.page.evaluate(_KEPT)]
    assert f"{origin}{PATH}/" in urls
    assert all(url.startswith(f"{origin}{PATH}/") for url in urls)
    editor.fill("positive", "Text", "a medlar")
    editor.wait_until_kept("a medlar")
    with away(below, editor):
        editor.page.reload()
        expect_offline(editor)
        expect(editor.field("positive", "Text")).to_have_value("a medlar")
        # It would go on to ask for the server, which stays away.
        editor.page.close()


def test_nothing_private_is_kept_with_the_page(
    browser: Browser, tmp_path: Path, new_browser: NewBrowser
) -> None:
    with Guarded(tmp_path / "guarded") as server:
        editor = new_browser(server, **WITH_WORKER)
        editor.page.goto("/")
        log_in(editor.page, server.token("run"))
        skip_tour(editor)
        wait_until_kept(editor.page)
        kept = editor.page.evaluate(_KEPT)
        names = re.compile(r"/(assets/[\w.-]+|favicon\.svg|icon-\d+\.png|manifest\.webmanifest|)$")
        assert [url for url, _ in kept if not names.search(url)] == []
        secret = server.token("run")
        assert not any(secret in text or "Log in to" in text for _, text in kept)
        # Who logs out is asked for a token again: the kept page never stands before the login.
        editor.page.goto("/login")
        editor.page.get_by_role("button", name="Log out").click()
        editor.page.goto("/")
        expect(editor.page.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_page_can_be_installed(server: Server, new_browser: NewBrowser) -> None:
    editor = opened(new_browser(server, **WITH_WORKER))
    session = editor.page.context.new_cdp_session(editor.page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert manifest["url"] == f"{server.url}/manifest.webmanifest"
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # Browsers of tests have no profile that lasts.
    assert [error for error in errors if error["errorId"] != "in-incognito"] == []
    for icon in ("icon-192.png", "icon-512.png", "icon-maskable-512.png"):
        answer = server.client.get(f"{server.url}/{icon}")
        assert answer.headers["content-type"] == "image/png"


def test_the_bars_around_the_page_have_its_theme(server: Server, new_browser: NewBrowser) -> None:
    editor = new_browser(server).open()
    for command, color in (("Dark", "#15161a"), ("Light", "#f6f6f8")):
        editor.command(command)
        metas = editor.page.locator("meta[name=theme-color]")
        expect(metas.first).to_have_attribute("content", color)
        expect(metas.last).to_have_attribute("content", color)
