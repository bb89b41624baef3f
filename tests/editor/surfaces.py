"""What the page can show: each view, panel, dialog and menu, and how to open it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from playwright.sync_api import Locator, expect

from tests.editor.editing import _DROP, Editor, box_of, expect_picture
from tests.editor.gates import prompted, text_to_image
from tests.editor.graphs import search
from tests.editor.serving import DOT
from tests.editor.test_comparison import SMALL, opened_by_both
from tests.editor.test_importing import DRAWN
from tests.editor.test_missing import GLOWING

Row = Callable[[Editor], Iterator[str]]
"""Opens parts of the page, and stops where there is something to be looked at, which it names."""


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
    menus = editor.page.get_by_role("menu")
    expect(menus.first).to_be_visible()
    return menus


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


def comparison(editor: Editor) -> Iterator[str]:
    editor.open_workflow(SMALL)
    editor.fill("positive", "Text", "a blue boat")
    editor.fill("sample", "Steps", "5")
    button(editor.show("History"), "Compare versions").click()
    dialog = editor.dialog("Compare workflows")
    differences = dialog.get_by_role("listbox", name="Differences").get_by_role("option")
    expect(differences).to_have_count(2)
    yield "the differences"
    differences.last.click()
    expect(dialog.locator("[data-focused]")).to_have_count(2)
    yield "one of them"
    button(dialog, "Swap sides").click()
    expect(differences).to_have_count(2)
    yield "the other way round"


def merge(editor: Editor) -> Iterator[str]:
    opened_by_both(editor, editor.server, "looked at")
    editor.menu("File", "Save")
    question = editor.dialog("Another person saved a version")
    expect(question).to_be_visible()
    yield "the question"
    button(question, "Compare and merge").click()
    dialog = editor.dialog(re.compile("^Merge"))
    expect(dialog.get_by_text("1 conflict to resolve")).to_be_visible()
    yield "a conflict"
    button(dialog, "All mine").click()
    expect(dialog.get_by_text("Every conflict is resolved")).to_be_visible()
    yield "no conflict any more"


def tour(editor: Editor) -> Iterator[str]:
    editor.command("Show tour")
    expect(editor.page.get_by_role("dialog")).to_be_visible()
    yield "its first step"


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
    field = editor.field("positive", "Text")
    field.fill("")
    field.press_sequentially("<lora:")
    expect(editor.page.get_by_role("listbox")).to_be_visible()
    yield "for a prompt"
    close(editor)
    search = editor.show("Results").get_by_role("searchbox")
    search.press_sequentially("sta")
    expect(editor.page.get_by_role("listbox")).to_be_visible()
    yield "for a search"
    # The page keeps it, and those after this one look at results.
    search.fill("")


def tooltip(editor: Editor) -> Iterator[str]:
    button(editor.top, "Run options").hover()
    expect(editor.page.get_by_role("tooltip", include_hidden=True)).to_be_visible()
    yield "of a button"


def notice(editor: Editor) -> Iterator[str]:
    editor.save_as("for everybody")
    yield "that it was saved"


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
    "lessons": lessons,
    "get models": get_models,
    "comparison": comparison,
    "merge": merge,
    "tour": tour,
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
