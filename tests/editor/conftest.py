"""A real server and a real browser.

Tests use the page as people do: by what stands on it. Any error in the browser fails them, and so
does any request to another host.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from tests.editor.editing import Editor
from tests.editor.gates import prompted, text_to_image
from tests.editor.painting import Painter
from tests.editor.serving import Server
from tests.editor.visits import Visit, Visits

PATIENCE = 300_000.0
"""Milliseconds: the machine may have much else to do."""
NAMES = (
    "chromium-headless-shell",
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
)
"""The first is the same browser without a window's own parts: a page takes it 40 % less work."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
CONTEXTS = pytest.StashKey[list[BrowserContext]]()
FAILED = pytest.StashKey[bool]()
_DRAWS = """() => new Promise((done) => {
    requestAnimationFrame(() => done(true));
    setTimeout(() => done(false), 10_000);
})"""
"""Whether a page still gets frames: on a machine with much to do, a browser may stop giving any."""

expect.set_options(timeout=PATIENCE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep images of what there was to be seen when a test failed, and say who stood still."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
        for path in _pictures(item):
            report.sections.append(("page", str(path)))
        for page in _pages(item):
            if not _draws(page):
                report.sections.append(("page", f"the browser draws {page.url} no more"))
    return report


def _draws(page: Page) -> bool:
    try:
        return bool(page.evaluate(_DRAWS))
    except Error:  # it crashed
        return False


def _pages(item: pytest.Item) -> list[Page]:
    return [page for context in item.stash.get(CONTEXTS, []) for page in context.pages]


def _pictures(item: pytest.Item) -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="nodegraph-pages-"))
    for number, page in enumerate(_pages(item)):
        path = folder / f"page-{number}.png"
        try:
            page.screenshot(path=path)
        except Error:  # it may be what failed
            continue
        yield path


def chromium() -> str | None:
    """Where this machine's Chromium is; None if it has none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


# Only as long as tests of the editor run: asyncio can't be used beside it.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    path = chromium()
    if path is None:
        pytest.skip("there is no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def shared_server(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, known_specs: Path
) -> Iterator[Server]:
    """One for all modules that leave no traces on it."""
    with Server(knowing_home(tmp_path_factory.mktemp("shared"), known_specs)) as server:
        yield server


def knowing_home(folder: Path, specs: Path) -> Path:
    """A home folder in which it is known what the built-in pack declares."""
    shutil.copytree(specs, folder / "home" / "cache" / "specs")
    return folder / "home"


@pytest.fixture(scope="module")
def server(
    shared_server: Server, visits: Visits, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """`nodegraph serve` with a worker; the same for all modules, which leave it as they found it.

    A test that kills it starts it again. Modules that run and save nothing say so by
    `pytestmark = pytest.mark.only_edits`; what others leave is deleted.
    """
    yield shared_server
    visits.forget_all()
    if not request.node.get_closest_marker("only_edits"):
        shared_server.forget_all()


NewBrowser = Callable[..., Editor]
"""Makes an editor in a browser of its own that has never seen the server before."""


@pytest.fixture(scope="package")
def visits(browser: Browser) -> Visits:
    """Makes what stands for browsers of one's own."""
    return Visits(browser)


@pytest.fixture
def begin_visit(visits: Visits, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """Begins visits to a server; what is given by name are options of the browser's context.

    Without `reused` the browser doesn't even have the page's files.
    """
    made: list[Visit] = []
    contexts = request.node.stash[CONTEXTS] = []

    def begin(server: Server, *, reused: bool = True, **options: Any) -> Visit:
        visit = (visits.begin if reused else visits.begin_new)(server, options)
        visit.context.set_default_timeout(PATIENCE)
        made.append(visit)
        contexts.append(visit.context)
        return visit

    yield begin
    for visit in made:
        visit.end()
    for visit in made:
        visit.watch.check()


@pytest.fixture
def new_browser(begin_visit: Callable[..., Visit]) -> NewBrowser:
    """Makes editors, each as in a browser of its own, for a server.

    What is given by name are options of the browser's context, such as `color_scheme`. With
    `reused`, it may have the page's files from before, as by a visit that was forgotten otherwise.
    """

    def make(server: Server, *, reused: bool = True, **options: Any) -> Editor:
        visit = begin_visit(server, reused=reused, **options)
        if visit.is_open:
            visit.forget()
        return Editor(visit.context.new_page(), server, visit.watch)

    return make


@pytest.fixture
def begin_tab(
    begin_visit: Callable[..., Visit], server: Server, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Editor]]:
    """Gives tabs that tests have one after the other, one for each set of the context's options.

    The page is loaded once for all: `open_link` closes what the test before has left open, and
    sets everything as it was at first, in the way that people do.

    They are for tests that leave the tab itself as it is: its size, its clock, what listens to it.
    """
    begun: list[Visit] = []

    def begin(**options: Any) -> Editor:
        visit = begin_visit(server, **options)
        begun.append(visit)
        return Editor(visit.tab(), server, visit.watch, visit)

    yield begin
    if request.node.stash.get(FAILED, False):
        for visit in begun:
            visit.forget()
    server.cancel_all()


@pytest.fixture
def tab(begin_tab: Callable[..., Editor]) -> Editor:
    """A tab in which nothing is open yet."""
    return begin_tab()


@pytest.fixture
def editor(tab: Editor) -> Editor:
    """The editor with the starter graph, which is planned."""
    return tab.open_link(text_to_image())


@pytest.fixture
def painter(tab: Editor) -> Painter:
    """With a workflow of the tiny model, as a canvas."""
    editor = tab.open_link(prompted("a brass kettle", name="kettle"))
    found = Painter(editor)
    found.open()
    return found
