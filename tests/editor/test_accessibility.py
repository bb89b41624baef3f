"""No fault that axe finds, in any view, panel, dialog or menu, in any theme."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.editor.editing import Editor, expect_picture
from tests.editor.faults import bring_axe, check
from tests.editor.gates import prompted, refusing
from tests.editor.serving import Server
from tests.editor.surfaces import (
    DIALOGS,
    PANELS,
    POPUPS,
    VIEWS,
    Row,
    button,
    loaded,
    masks,
    menu,
    no_menu,
)
from tests.editor.test_lineage import made_twice

THEMES: Mapping[str, Mapping[str, Any]] = {
    "light": {"color_scheme": "light", "contrast": "no-preference"},
    "dark": {"color_scheme": "dark", "contrast": "no-preference"},
    "contrast": {"color_scheme": "dark", "contrast": "more"},
}
"""What a system says to have the page in a theme."""


@pytest.fixture(scope="module")
def picture(server: Server) -> dict[str, Any]:
    """An image that the server has already."""
    return server.outputs(server.submit(kettle()))[0]


def kettle() -> dict[str, Any]:
    return prompted("a brass kettle", name="kettle")


def look(editor: Editor, row: Row) -> None:
    """Let axe look wherever a row stops: at all in light, and at the colors of other themes."""
    page = editor.page
    bring_axe(editor)
    try:
        for state in row(editor):
            for theme, system in THEMES.items():
                page.emulate_media(**system)
                expect(page.locator("html")).to_have_attribute("data-theme", theme)
                check(editor, f"{state}, {theme}", only_colours=theme != "light")
            page.emulate_media(**THEMES["light"])
    finally:
        page.emulate_media(**THEMES["light"])


# -- what comes of runs


def gallery(editor: Editor) -> Iterator[str]:
    panel = editor.show("Results")
    cell = panel.get_by_role("gridcell", name=re.compile("^kettle")).first
    expect_picture(cell.locator("img"))
    yield "the results"
    cell.click(button="right")
    menu(editor)
    yield "the menu of one"
    no_menu(editor)
    cell.focus()
    editor.page.keyboard.press("ControlOrMeta+a")
    bulk = panel.get_by_role("toolbar", name="Selected results")
    yield "selected ones"
    button(bulk, "Tags, board…").click()
    expect(editor.dialog(re.compile("^Organize"))).to_be_visible()
    yield "to organize them"


def viewer(editor: Editor) -> Iterator[str]:
    panel = editor.show("Results")
    panel.get_by_role("gridcell", name=re.compile("^kettle")).first.click()
    dialog = editor.dialog(re.compile("^kettle"))
    expect_picture(dialog.get_by_role("img", name=re.compile("^kettle")))
    yield "an image"
    button(dialog, "Continue with this result").click()
    menu(editor)
    yield "what one can do with it"
    editor.page.get_by_role("menuitem", name=re.compile("^Send to")).click()
    expect(editor.dialog("Send to a workflow")).to_be_visible()
    loaded(editor)
    yield "where it can be sent"


def credentials(editor: Editor) -> Iterator[str]:
    panel = editor.show("Results")
    panel.get_by_role("gridcell", name=re.compile("^kettle")).first.click()
    dialog = editor.dialog(re.compile("^kettle"))
    dialog.get_by_text("Content Credentials").click()
    expect(dialog.get_by_text("This file is not signed.")).to_be_visible()
    yield "of a file that is not signed"


def lineage(editor: Editor) -> Iterator[str]:
    made_twice(editor.server)
    panel = editor.show("Results")
    panel.get_by_role("gridcell", name=re.compile("^turned")).click()
    viewer = editor.dialog(re.compile("^turned"))
    viewer.get_by_role("tab", name="Lineage").click()
    expect(viewer.get_by_role("heading", name="Made from")).to_be_visible()
    loaded(editor)
    yield "of a result"
    viewer.get_by_role("tabpanel").get_by_role("button", name=re.compile("^photo.png")).click()
    expect(viewer.get_by_role("button", name=re.compile("^Back to turned"))).to_be_visible()
    loaded(editor)
    yield "of an input"


def last_result(editor: Editor) -> Iterator[str]:
    editor.open_workflow(kettle())
    expect_picture(editor.results("save"))
    yield "in its card"
    editor.command("Last result next to the graph")
    loaded(editor)
    yield "beside the graph"


def queue(editor: Editor) -> Iterator[str]:
    panel = editor.show("Queue")
    row = panel.get_by_role("row").filter(has_text="Prompted").first
    row.click()
    expect(panel.get_by_role("region", name="Job details")).to_be_visible()
    loaded(editor)
    yield "a job"
    panel.get_by_role("button", name=re.compile("^1 worker")).click()
    expect(panel.get_by_role("button", name=re.compile("^1 worker"), expanded=True)).to_be_visible()
    loaded(editor)
    yield "the workers"


def failure(editor: Editor) -> Iterator[str]:
    editor.open_workflow(refusing(least=9000))
    editor.run()
    expect(editor.state("check", "Failed")).to_be_visible()
    yield "in its card"
    panel = editor.show("Problems")
    row = panel.get_by_role("row").filter(has_text="the image is smaller than 9000")
    yield "among the problems"
    button(row, "Details").click()
    expect(editor.page.get_by_role("dialog")).to_be_visible()
    loaded(editor)
    yield "in full"


def live_plot(editor: Editor) -> Iterator[str]:
    nodes = {"learn": {"type": "trials:Learn", "inputs": {"until": "looked at"}}}
    editor.open_workflow({"format": "nodegraph/1", "title": "Learning", "nodes": nodes})
    editor.run()
    editor.card("learn").get_by_role("button", name=re.compile("^Open the plot of")).click()
    expect(editor.page.get_by_role("dialog").get_by_role("img")).to_be_visible()
    yield "while it grows"
    editor.server.let("looked at")


OF_RUNS: dict[str, Row] = {
    "gallery": gallery,
    "viewer": viewer,
    "credentials": credentials,
    "lineage": lineage,
    "last result": last_result,
    "queue": queue,
    "masks": masks,
    "failure": failure,
    "live plot": live_plot,
}
ROWS = {**VIEWS, **PANELS, **DIALOGS, **POPUPS}
QUICK = ("graph", "form", "nodes", "inspector", "save", "questions", "lists", "run options")
"""What is looked at each time: of each kind something."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ROWS]
)
def test_of_the_page(editor: Editor, name: str) -> None:
    look(editor, ROWS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_RUNS)
@pytest.mark.usefixtures("picture")
def test_of_what_runs_gave(editor: Editor, name: str) -> None:
    look(editor, OF_RUNS[name])
