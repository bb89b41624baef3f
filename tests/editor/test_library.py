"""The library: a thousand results are starred, tagged, found, thrown away and restored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.editor.conftest import NewBrowser, knowing_home
from tests.editor.editing import Editor
from tests.editor.gates import prompted
from tests.editor.serving import Server
from tests.jobs.queue.support import open_queue
from tests.server.hosting import eventually
from tests.server.resources import finished, picture, written

COUNT = 1000
EACH = 10
"""Files of a job."""
ANIMALS = ("heron", "badger", "otter", "lynx", "newt")


def seed_library(home: Path) -> None:
    """Have jobs that gave a thousand images, as if they had run: the newest is ``image_0999``."""
    with open_queue(home) as queue:
        for start in range(0, COUNT, EACH):
            animal = ANIMALS[start // EACH % len(ANIMALS)]
            files: list[dict[str, Any]] = []
            for number in range(start, start + EACH):
                color = (number % 250, number // 4 % 250, 90)
                data = picture(64, 48, color=color)
                path = home / "outputs" / f"image_{number:04}.png"
                files.append(written(path, data, width=64, height=48))
            workflow = prompted(f"a {animal} in the reeds", name="image", seed=start)
            finished(queue, files, "local", workflow=workflow, name=f"{animal} {start}")


@pytest.fixture(scope="module")
def library_server(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, known_specs: Path
) -> Iterator[Server]:
    """A server whose gallery has a thousand results."""
    with ExitStack() as stack:
        home = knowing_home(tmp_path_factory.mktemp("library"), known_specs)
        seed_library(home)
        yield stack.enter_context(Server(home))


@pytest.fixture
def library(library_server: Server, new_browser: NewBrowser) -> Editor:
    """An editor for that server, in a window with room for many results."""
    editor = new_browser(library_server, viewport={"width": 1500, "height": 1000})
    editor.open()
    return editor


def cell(panel: Locator, name: str) -> Locator:
    return panel.get_by_role("gridcell", name=re.compile(f"^{name}"))


def cells(panel: Locator) -> Locator:
    """Those that are drawn; the headings of days are no such."""
    return panel.get_by_role("gridcell", name=re.compile("^image_"))


def found(server: Server, text: str = "", **query: Any) -> int:
    """How many results a search finds."""
    return len(server.get("artifacts", text=text, limit=1000, distinct="true", **query)["items"])


def test_a_thousand_results_are_starred_tagged_and_found(
    library: Editor, library_server: Server
) -> None:
    panel = library.show("Results")
    page = library.page
    cells(panel).first.focus()
    page.keyboard.press("ControlOrMeta+a")
    bulk = panel.get_by_role("toolbar", name="Selected results")
    expect(bulk.get_by_role("status")).to_have_text(f"{COUNT} selected")
    # Only what is seen is made of them.
    assert cells(panel).count() < 300
    page.keyboard.press("3")
    bulk.get_by_role("button", name="Tags, board…").click()
    dialog = library.dialog(f"Organize {COUNT} results")
    dialog.get_by_label("Add a tag").fill("reeds")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("reeds", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    eventually(lambda: found(library_server, "stars:3 tag:reeds") == COUNT)
    page.keyboard.press("Escape")

    # One of them is the best.
    page.keyboard.press("Home")
    expect(cell(panel, "image_0999")).to_be_focused()
    page.keyboard.press("5")
    expect(cell(panel, "image_0999")).to_have_accessible_name(re.compile("5 stars, reeds"))
    search = panel.get_by_role("searchbox")
    search.fill("stars:5 ")
    expect(panel.get_by_role("button", name="Remove stars:5")).to_be_visible()
    expect(cells(panel)).to_have_count(1)
    # Terms are completed from what there is.
    search.fill("tag:re")
    page.get_by_role("option", name=re.compile("^reeds")).click()
    expect(panel.get_by_role("button", name="Remove tag:reeds")).to_be_visible()
    expect(cells(panel)).to_have_count(1)
    panel.get_by_role("button", name="Clear").click()

    # By a word of the prompt and by its seed, through the menus.
    search.fill("otter")
    expect(cell(panel, "image_0999")).to_have_count(0)
    expect(cell(panel, "image_0979")).to_be_visible()
    panel.get_by_role("button", name="Filter results").click()
    menus = page.get_by_role("dialog", name="Filter results")
    menus.get_by_label("Seed").fill("970")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(cells(panel)).to_have_count(EACH)
    # What is wrong is told.
    with library.watch.allowing("422"):
        search.fill("stars:many ")
        expect(panel.get_by_text("the search term `stars:` has no such value")).to_be_visible()
    panel.get_by_role("button", name="Clear").click()
    expect(cell(panel, "image_0999")).to_be_visible()


def test_results_are_put_on_boards_by_hand_and_by_dropping(
    library: Editor, library_server: Server
) -> None:
    panel = library.show("Results")
    page = library.page
    boards = panel.get_by_role("navigation", name="Boards")
    boards.get_by_role("button", name="New board…").click()
    question = library.dialog("New board…")
    question.get_by_label("Name").fill("Herons")
    question.get_by_role("button", name="Create").click()
    cell(panel, "image_0998").click(modifiers=["ControlOrMeta"])
    cell(panel, "image_0997").click(modifiers=["Shift"])
    expect(panel.get_by_role("status")).to_have_text("2 selected")
    cell(panel, "image_0998").drag_to(boards.get_by_role("button", name=re.compile("^Herons")))
    eventually(lambda: found(library_server, "board:herons") == 2)
    expect(boards.get_by_role("button", name=re.compile(r"^Herons\s*2"))).to_be_visible()
    boards.get_by_role("button", name=re.compile("^Herons")).first.click()
    expect(cells(panel)).to_have_count(2)

    # Its results stay as the board goes.
    boards.get_by_role("button", name="More actions for Herons").click()
    page.get_by_role("menuitem", name="Delete the board").click()
    library.dialog(re.compile("^Delete the board")).get_by_role(
        "button", name="Delete the board"
    ).click()
    expect(boards.get_by_role("button", name=re.compile("^Herons"))).to_have_count(0)
    expect(cell(panel, "image_0998")).to_be_visible()


def test_what_was_thrown_away_comes_back_until_the_trash_is_emptied(
    library: Editor, library_server: Server
) -> None:
    panel = library.show("Results")
    page = library.page
    cell(panel, "image_0995").focus()
    page.keyboard.press("Delete")
    expect(cell(panel, "image_0995")).to_have_count(0)
    expect(cell(panel, "image_0994")).to_be_focused()
    page.get_by_role("button", name="Undo").click()
    expect(cell(panel, "image_0995")).to_be_visible()

    cell(panel, "image_0995").focus()
    page.keyboard.press("Delete")
    expect(cell(panel, "image_0995")).to_have_count(0)
    panel.get_by_role("navigation", name="Boards").get_by_role(
        "button", name="Trash", exact=True
    ).click()
    expect(cells(panel)).to_have_count(1)
    panel.get_by_role("button", name="Empty trash").click()
    question = library.dialog("Empty the trash?")
    question.get_by_role("button", name="Cancel").click()
    expect(cell(panel, "image_0995")).to_be_visible()
    panel.get_by_role("button", name="Empty trash").click()
    question.get_by_role("button", name="Empty trash").click()
    expect(panel.get_by_text("The trash is empty")).to_be_visible()
    assert found(library_server) == COUNT - 1
    assert found(library_server, trashed="true") == 0
