"""No fault that axe finds, in any view, panel, dialog or menu, in any theme."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.editing import _DROP, Editor, box_of, expect_picture
from tests.editor.faults import bring_axe, check
from tests.editor.gates import prompted, refusing, text_to_image
from tests.editor.graphs import search
from tests.editor.serving import DOT, Server
from tests.editor.test_importing import DRAWN
from tests.editor.test_missing import GLOWING

Row = Callable[[Editor], Iterator[str]]
"""Opens parts of the page, and stops where there is something to be looked at, which it names."""
THEMES: Mapping[str, Mapping[str, Any]] = {
    "light": {"color_scheme": "light", "contrast": "no-preference"},
    "dark": {"color_scheme": "dark", "contrast": "no-preference"},
    "contrast": {"color_scheme": "dark", "contrast": "more"},
}
"""What a system says to have the page in a theme."""
_COLORED = """async (theme) => {
    while (document.documentElement.dataset.theme !== theme)
        await new Promise((done) => setTimeout(done, 5));
    const isTransition = (each) => each instanceof CSSTransition;
    const transitions = () => document.getAnimations().filter(isTransition);
    for (let found = transitions(); found.length > 0; found = transitions())
        for (const each of found) each.finish();
}"""
"""Waits until colors are those of a theme: they go from one to the next, be it in no time."""


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
                page.evaluate(_COLORED, theme)
                check(editor, f"{state}, {theme}", only_colours=theme != "light")
            page.emulate_media(**THEMES["light"])
    finally:
        page.emulate_media(**THEMES["light"])


def button(place: Locator, name: str) -> Locator:
    return place.get_by_role("button", name=name, exact=True)


def close(editor: Editor) -> None:
    editor.page.keyboard.press("Escape")
    expect(editor.page.get_by_role("dialog")).to_have_count(0)


def loaded(editor: Editor) -> None:
    """Wait until nothing that is shown waits for the server."""
    expect(editor.page.get_by_role("status", name="Loading…", exact=True)).to_have_count(0)


def corner(place: Locator) -> tuple[float, float]:
    """A place on the canvas that is empty."""
    box = box_of(place)
    return box["x"] + 60, box["y"] + 60


def menu(editor: Editor) -> Locator:
    found = editor.page.get_by_role("menu")
    expect(found.first).to_be_visible()
    return found


def no_menu(editor: Editor) -> None:
    editor.page.keyboard.press("Escape")
    expect(editor.page.get_by_role("menu")).to_have_count(0)


# -- views


def graph(editor: Editor) -> Iterator[str]:
    editor.click_card("sample")
    yield "a selected node"
    editor.page.mouse.move(*corner(editor.canvas))
    editor.command("Add a note")
    yield "a note"
    editor.page.keyboard.press("Escape")
    editor.command("Select all")
    editor.page.keyboard.press("c")
    yield "cards that are collapsed"
    editor.command("New workflow")
    expect(editor.page.get_by_text("Nothing here yet")).to_be_visible()
    yield "an empty workflow"


def generate(editor: Editor) -> Iterator[str]:
    button(editor.top, "Generate").click()
    settings = editor.page.get_by_role("region", name="Settings")
    expect(settings.get_by_label("Prompt", exact=True)).to_be_visible()
    yield "at first"
    settings.get_by_text("Advanced").click()
    settings.get_by_role("switch", name="Hires fix").click()
    yield "advanced settings"
    for name in ("Styles", "Presets", "Tag list", "Earlier prompts"):
        button(settings, name).click()
        menu(editor)
        yield name
        no_menu(editor)


def canvas(editor: Editor) -> Iterator[str]:
    button(editor.top, "Canvas").click()
    painting = editor.page.locator("[data-painting]")
    expect(painting).to_be_visible()
    yield "without a size"
    button(editor.page.locator("body"), "Empty canvas").click()
    button(painting, "Add a layer").click()
    expect(editor.page.get_by_role("menu")).to_be_visible()
    yield "the menu to add a layer"
    editor.page.get_by_role("menuitem", name="Empty layer", exact=True).click()
    yield "a layer"
    for tool in painting.get_by_role("toolbar").first.get_by_role("button").all():
        if tool.is_enabled():
            tool.click()
            yield f"the tool {tool.get_attribute('aria-label')}"


def form(editor: Editor) -> Iterator[str]:
    button(editor.top, "Parameter form").click()
    expect(editor.page.get_by_role("region", name="Parameters")).to_be_visible()
    yield "with parameters"
    button(editor.top, "Graph").click()
    bare = prompted("nothing to change", name="bare")
    del bare["parameters"]
    editor.open_workflow({**bare, "title": "Bare"})
    button(editor.top, "Parameter form").click()
    expect(editor.page.get_by_text("This workflow has no parameters yet")).to_be_visible()
    yield "without parameters"


# -- panels


def panel(command: str) -> Row:
    def row(editor: Editor) -> Iterator[str]:
        editor.command(command)
        loaded(editor)
        yield "at first"

    return row


def nodes(editor: Editor) -> Iterator[str]:
    opened = editor.show("Nodes")
    yield "all types"
    opened.get_by_role("searchbox").fill("image")
    yield "a search"
    opened.get_by_role("searchbox").fill("no such node")
    yield "nothing found"


def models(editor: Editor) -> Iterator[str]:
    editor.command("Models panel")
    opened = editor.panel("Models")
    expect(opened.get_by_role("gridcell").first).to_be_visible()
    for tab in opened.get_by_role("tab").all():
        tab.click()
        loaded(editor)
        yield tab.inner_text()
    opened.get_by_role("tab").first.click()
    opened.get_by_role("gridcell").first.focus()
    editor.page.keyboard.press("ContextMenu")
    menu(editor)
    yield "the menu of a model"
    editor.page.get_by_role("menuitem", name="Show details").click()
    expect(opened.get_by_role("article")).to_be_visible()
    loaded(editor)
    yield "a model"


def history(editor: Editor) -> Iterator[str]:
    editor.fill("sample", "Steps", "5")
    editor.show("History")
    yield "a step"


def inspector(editor: Editor) -> Iterator[str]:
    opened = editor.show("Inspector")
    editor.page.keyboard.press("Escape")
    yield "of the workflow"
    editor.click_card("sample")
    expect(opened.get_by_label("Steps", exact=True)).to_be_visible()
    yield "of a node"
    editor.click_card("decode", "Shift")
    yield "of several nodes"
    editor.page.keyboard.press("ControlOrMeta+g")
    yield "of a group"


def parameters(editor: Editor) -> Iterator[str]:
    editor.command("Show parameters")
    yield "of the starter graph"


def help_panel(editor: Editor) -> Iterator[str]:
    editor.command("Show help for the selected node")
    loaded(editor)
    yield "all types"
    editor.click_card("sample")
    editor.command("Show help for the selected node")
    loaded(editor)
    yield "of a node"


def comments(editor: Editor) -> Iterator[str]:
    editor.command("Comments")
    yield "none"
    editor.click_card("sample")
    opened = editor.panel("Comments")
    opened.get_by_role("textbox").fill("Why so many steps?")
    button(opened, "Comment").click()
    expect(opened.get_by_text("Why so many steps?")).to_be_visible()
    yield "one"


def problems(editor: Editor) -> Iterator[str]:
    workflow = text_to_image()
    workflow["nodes"]["sample"]["inputs"]["sampler"] = "eulr"
    editor.open_workflow(workflow)
    opened = editor.show("Problems")
    expect(opened.get_by_role("row").first).to_be_visible()
    yield "a value that isn't there"
    editor.command("Go to the next problem")
    editor.command("Fix the problem")
    expect(editor.page.get_by_role("menu")).to_be_visible()
    yield "its mends"
    editor.page.keyboard.press("Escape")
    opened.get_by_role("button", name="Learn more").first.click()
    expect(editor.page.get_by_role("dialog", name="A value does not fit")).to_be_visible()
    yield "help about it"


# -- dialogs


def dialog(command: str, title: str) -> Row:
    def row(editor: Editor) -> Iterator[str]:
        editor.click_card("sample")
        editor.command(command)
        opened = editor.dialog(title)
        expect(opened).to_be_visible()
        loaded(editor)
        yield "at first"
        for tab in opened.get_by_role("tab").all():
            tab.click()
            loaded(editor)
            yield tab.inner_text()

    return row


def save(editor: Editor) -> Iterator[str]:
    editor.command("Save as…")
    opened = editor.dialog("Save workflow")
    expect(opened).to_be_visible()
    yield "at first"
    opened.get_by_label("Name on the server").fill("/")
    yield "a name that is refused"


def everything(editor: Editor) -> Iterator[str]:
    editor.search().fill("image")
    expect(editor.found().first).to_be_visible()
    yield "found"
    editor.search().fill("no such thing at all")
    expect(editor.found()).to_have_count(0)
    yield "nothing found"


def add_node(editor: Editor) -> Iterator[str]:
    editor.page.mouse.dblclick(*corner(editor.canvas))
    expect(search(editor)).to_be_focused()
    yield "at first"
    search(editor).fill("no such node")
    yield "nothing found"


def link_ports(editor: Editor) -> Iterator[str]:
    editor.click_card("sample")
    editor.page.keyboard.press("l")
    expect(editor.dialog("Link from which port?")).to_be_visible()
    yield "the first port"
    editor.page.keyboard.press("Enter")
    expect(editor.dialog(re.compile("^Link .+ to …$"))).to_be_visible()
    yield "the other port"


def missing(editor: Editor) -> Iterator[str]:
    editor.open_workflow(GLOWING)
    expect(editor.dialog("What is missing")).to_be_visible()
    yield "a pack"
    close(editor)
    yield "the graph behind it"


def imported(editor: Editor) -> Iterator[str]:
    editor.drop("glitter.json", json.dumps(DRAWN).encode(), "application/json")
    expect(editor.dialog("Imported")).to_be_visible()
    yield "at first"


def questions(editor: Editor) -> Iterator[str]:
    editor.fill("sample", "Steps", "5")
    editor.command("Close tab")
    expect(editor.page.get_by_role("dialog", name=re.compile("^Close"))).to_be_visible()
    yield "yes or no"
    editor.page.keyboard.press("Escape")
    editor.click_card("sample")
    editor.page.keyboard.press("F2")
    expect(editor.dialog("Rename node")).to_be_visible()
    yield "a text"


def masks(editor: Editor) -> Iterator[str]:
    nodes = {"picture": {"type": "LoadImage"}}
    editor.open_workflow({"format": "nodegraph/1", "title": "Masked", "nodes": nodes})
    card = editor.card("picture")
    card.get_by_role("textbox", name="Path").evaluate(_DROP, ["dot.png", "image/png", DOT])
    expect_picture(card.get_by_role("img", name="Image dot.png"))
    yield "a card with a file"
    button(card, "Paint a mask").click()
    expect(editor.dialog("Paint a mask").locator("[data-box]")).to_be_visible()
    yield "the dialog"
    close(editor)
    button(card, "Choose a file").click()
    expect(editor.dialog("Files")).to_be_visible()
    yield "the files to choose from"


def lessons(editor: Editor) -> Iterator[str]:
    editor.menu("Help", "Lessons")
    expect(editor.page.get_by_role("dialog").get_by_role("listitem").first).to_be_visible()
    yield "the list"
    editor.page.get_by_role("button", name="Start: Denoising, step by step").click()
    expect(editor.dialog("It starts from noise")).to_be_visible()
    yield "a step"


def get_models(editor: Editor) -> Iterator[str]:
    button(editor.top, "Generate").click()
    editor.page.get_by_role("button", name=re.compile("Get models|More models")).first.click()
    expect(editor.page.get_by_role("dialog")).to_be_visible()
    loaded(editor)
    yield "at first"


# -- menus, lists and what else comes and goes


def top_menus(editor: Editor) -> Iterator[str]:
    for name in ("File", "Edit", "View", "Run", "Help"):
        button(editor.top, name).first.click()
        menu(editor)
        if name == "Edit":
            editor.page.get_by_role("menuitem", name="Arrange").click()
            expect(menu(editor)).to_have_count(2)
        yield name
        editor.page.keyboard.press("Escape")
        no_menu(editor)


def context_menus(editor: Editor) -> Iterator[str]:
    card = editor.card("sample").get_by_role("article")
    card.click(button="right", position={"x": 90, "y": 12})
    menu(editor)
    yield "of a node"
    no_menu(editor)
    editor.page.mouse.click(*corner(editor.canvas), button="right")
    menu(editor)
    yield "of the canvas"
    no_menu(editor)
    editor.tab.click(button="right")
    menu(editor)
    yield "of a tab"
    no_menu(editor)
    card.get_by_text("Sampler", exact=True).click(button="right")
    menu(editor)
    yield "of a field"
    no_menu(editor)
    editor.page.get_by_role("button", name=re.compile("^Zoom: ")).click()
    menu(editor)
    yield "of the zoom"


def run_options(editor: Editor) -> Iterator[str]:
    button(editor.top, "Run options").click()
    expect(editor.dialog("Run options")).to_be_visible()
    yield "open"


def lists(editor: Editor) -> Iterator[str]:
    for node, label in (("load", "Model"), ("sample", "Sampler")):
        editor.field(node, label).click()
        expect(editor.page.get_by_role("listbox")).to_be_visible()
        yield label
        editor.page.keyboard.press("Escape")


def proposals(editor: Editor) -> Iterator[str]:
    lists = editor.server.home / "prompt_lists"
    lists.mkdir(exist_ok=True)
    (lists / "animals.txt").write_text("heron\nbadger\n")
    field = editor.field("positive", "Text")
    field.fill("")
    field.press_sequentially("__ani")
    editor.page.keyboard.press("Control+Space")
    expect(editor.page.get_by_role("listbox")).to_be_visible()
    yield "for a prompt"
    close(editor)
    panel = editor.show("Results")
    panel.get_by_role("searchbox").press_sequentially("sta")
    expect(editor.page.get_by_role("listbox")).to_be_visible()
    yield "for a search"


def tooltip(editor: Editor) -> Iterator[str]:
    button(editor.top, "Run options").hover()
    expect(editor.page.get_by_role("tooltip", include_hidden=True)).to_be_visible()
    yield "of a button"


def notice(editor: Editor) -> Iterator[str]:
    editor.save_as("for everybody")
    yield "that it was saved"


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


def last_result(editor: Editor) -> Iterator[str]:
    editor.open_workflow(kettle())
    expect_picture(editor.results("save"))
    yield "in its card"
    editor.command("Last result next to the graph")
    loaded(editor)
    yield "beside the graph"


def queue(editor: Editor) -> Iterator[str]:
    panel = editor.show("Queue")
    row = panel.get_by_role("treegrid").get_by_role("row").last
    row.click()
    expect(panel.get_by_role("region", name="Job details")).to_be_visible()
    loaded(editor)
    yield "a job"


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


VIEWS: dict[str, Row] = {
    "graph": graph,
    "generate": generate,
    "canvas": canvas,
    "form": form,
}
PANELS: dict[str, Row] = {
    "nodes": nodes,
    "models": models,
    "history": history,
    "inspector": inspector,
    "parameters": parameters,
    "help": help_panel,
    "comments": comments,
    "queue": panel("Queue"),
    "results": panel("Results"),
    "last result": panel("Last result next to the graph"),
    "problems": problems,
}
DIALOGS: dict[str, Row] = {
    "open": dialog("Templates…", "Open a workflow"),
    "save": save,
    "share": dialog("Share and export…", "Share and export"),
    "settings": dialog("Settings", "Settings"),
    "shortcuts": dialog("Keyboard shortcuts", "Keyboard shortcuts"),
    "about": dialog("About nodegraph", "About nodegraph"),
    "packs": dialog("Packs…", "Packs"),
    "sweep": dialog("Run with several values…", "Run with several values"),
    "table": dialog("Run a table…", "Run a table"),
    "presets": dialog("Presets…", "Presets"),
    "everything": everything,
    "add node": add_node,
    "link ports": link_ports,
    "missing": missing,
    "imported": imported,
    "questions": questions,
    "masks": masks,
    "lessons": lessons,
    "get models": get_models,
}
POPUPS: dict[str, Row] = {
    "top menus": top_menus,
    "context menus": context_menus,
    "run options": run_options,
    "lists": lists,
    "proposals": proposals,
    "tooltip": tooltip,
    "notice": notice,
}
OF_RUNS: dict[str, Row] = {
    "gallery": gallery,
    "viewer": viewer,
    "last result": last_result,
    "queue": queue,
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
