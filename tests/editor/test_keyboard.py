"""Everything by keyboard: each command of the list that `?` shows, by each of its keys."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor, box_of, expect_picture
from tests.editor.gates import gated, prompted, text_to_image
from tests.editor.graphs import CHAIN, drag, middle, search, tab_to
from tests.server.hosting import eventually

Press = Callable[[], None]
"""Presses the key that the list has."""
Case = Callable[[Editor, Press], None]

BLOCK: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Block",
    "subgraphs": {
        "Grey": {
            "inputs": {"width": {"to": ["size.width"]}},
            "outputs": {"image": "decode"},
            "nodes": {
                "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
                "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
                "decode": CHAIN["nodes"]["decode"],
            },
        }
    },
    "nodes": {"grey": {"type": "Grey"}},
}
BROKEN: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Broken",
    "nodes": {"decode": {"type": "VAEDecode"}, "save": {"type": "SaveImage"}},
}
CAPS = {
    "Ctrl": "Control",
    "Del": "Delete",
    "⌫": "Backspace",
    "←": "ArrowLeft",
    "→": "ArrowRight",
    "↑": "ArrowUp",
    "↓": "ArrowDown",
    "Esc": "Escape",
    "PgUp": "PageUp",
    "PgDn": "PageDown",
}
"""Caps as the list shows them, where the browser's word is another."""

_LIST = """(dialog) => [...dialog.querySelectorAll("section")].flatMap((section) =>
    [...section.querySelectorAll("h3 ~ div")].map((row) => [
        section.querySelector("h3").textContent,
        row.firstElementChild.textContent,
        [...row.querySelectorAll("kbd")].map((chord) =>
            [...chord.children].map((cap) => cap.textContent)),
    ]))"""

CASES: dict[str, dict[str, Case]] = defaultdict(dict)
"""What shows that a command was done, by the group and the name that the list has."""


def case(group: str, name: str) -> Callable[[Case], Case]:
    def add(found: Case) -> Case:
        CASES[group][name] = found
        return found

    return add


def listed(editor: Editor) -> dict[str, dict[str, list[str]]]:
    """The keys of the list, by group and command."""
    editor.page.keyboard.press("?")
    dialog = editor.dialog("Keyboard shortcuts")
    expect(dialog.get_by_role("searchbox")).to_be_focused()
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for group, name, chords in dialog.evaluate(_LIST):
        if chords:  # the last section tells of mouse and touch
            found[group][name] = ["+".join(CAPS.get(cap, cap) for cap in caps) for caps in chords]
    editor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    return found


# -- what is seen


def chosen(editor: Editor, *names: str) -> None:
    """Wait until these nodes are selected and no others."""
    found = editor.canvas.locator(".react-flow__node.selected article")
    eventually(
        lambda: (
            set(found.evaluate_all("(cards) => cards.map((card) => card.dataset.node)"))
            == set(names)
        )
    )


def shown(editor: Editor, dialog: str) -> None:
    """Wait for a dialog, and close it."""
    expect(editor.dialog(dialog)).to_be_visible()
    editor.page.keyboard.press("Escape")
    expect(editor.dialog(dialog)).to_have_count(0)


def toggled(place: Locator, press: Press, *, was: bool) -> None:
    """Something that was shown or hidden at first goes the other way and back."""
    expect(place).to_be_visible(visible=was)
    for visible in (not was, was):
        press()
        expect(place).to_be_visible(visible=visible)


def place(editor: Editor, node: str) -> tuple[float, float]:
    box = box_of(editor.card(node))
    return box["x"], box["y"]


def size(thing: Locator) -> tuple[float, float]:
    box = box_of(thing)
    return box["width"], box["height"]


def zoom(editor: Editor) -> int:
    """The percentage that the canvas says."""
    button = editor.canvas.get_by_role("button", name=re.compile("^Zoom: "))
    return int(re.sub(r"\D", "", button.inner_text()))


def current(editor: Editor, title: str) -> None:
    """Wait until the tab of this title is the one that is shown."""
    expect(editor.top.get_by_role("tab", selected=True)).to_have_text(title)


def close(editor: Editor) -> None:
    """Close the tab that is shown."""
    count = editor.tabs.count()
    editor.command("Close tab")
    expect(editor.tabs).to_have_count(count - 1)


def mode(editor: Editor, node: str, name: str) -> Locator:
    return editor.card(node).get_by_role("img", name=re.compile(f"^{name}"))


# -- files


@case("File", "New workflow")
def _(editor: Editor, press: Press) -> None:
    press()
    expect(editor.page.get_by_text("Nothing here yet")).to_be_visible()


@case("File", "Open…")
@case("File", "Templates…")
def _(editor: Editor, press: Press) -> None:
    press()
    shown(editor, "Open a workflow")


@case("File", "Open file or image…")
def _(editor: Editor, press: Press) -> None:
    # Without it the page asks for the file in a way that a browser without a window shows nobody.
    editor.page.evaluate("delete window.showOpenFilePicker")
    with editor.page.expect_file_chooser():
        press()


@case("File", "Save")
@case("File", "Save as…")
def _(editor: Editor, press: Press) -> None:
    press()
    shown(editor, "Save workflow")


# -- editing


@case("Edit", "Undo")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    editor.page.keyboard.press("Delete")
    expect(editor.card("save")).to_have_count(0)
    press()
    expect(editor.link("wait", "save")).to_have_count(1)


@case("Edit", "Redo")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    editor.page.keyboard.press("Delete")
    expect(editor.card("save")).to_have_count(0)
    editor.page.keyboard.press("ControlOrMeta+z")
    expect(editor.card("save")).to_have_count(1)
    press()
    expect(editor.card("save")).to_have_count(0)


@case("Edit", "Cut")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    press()
    expect(editor.card("save")).to_have_count(0)
    eventually(lambda: "SaveImage" in editor.page.evaluate("navigator.clipboard.readText()"))


@case("Edit", "Copy")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("wait")
    press()
    eventually(
        lambda: "trials:Wait" in editor.page.evaluate("navigator.clipboard.readText()"),
    )
    expect(editor.card("wait")).to_have_count(1)


@case("Edit", "Paste")
@case("Edit", "Duplicate without links")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    editor.page.keyboard.press("ControlOrMeta+c")
    press()
    expect(editor.cards).to_have_count(6)
    expect(editor.link("wait", "save_2")).to_have_count(0)


@case("Edit", "Paste with links")
@case("Edit", "Duplicate")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    editor.page.keyboard.press("ControlOrMeta+c")
    press()
    expect(editor.cards).to_have_count(6)
    expect(editor.link("wait", "save_2")).to_have_count(1)


@case("Edit", "Delete")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("wait")
    press()
    expect(editor.card("wait")).to_have_count(0)
    expect(editor.link("decode", "save")).to_have_count(0)


@case("Edit", "Delete and reconnect")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("wait")
    press()
    expect(editor.card("wait")).to_have_count(0)
    expect(editor.link("decode", "save")).to_have_count(1)


# -- selecting


def goes(start: str, end: str) -> Case:
    def check(editor: Editor, press: Press) -> None:
        editor.click_card(start)
        press()
        expect(editor.card(end)).to_be_focused()
        chosen(editor, end)

    return check


case("Select", "Go to the node on the left")(goes("save", "wait"))
case("Select", "Go to the node on the right")(goes("wait", "save"))
case("Select", "Go to the node above")(goes("load", "size"))
case("Select", "Go to the node below")(goes("size", "load"))


@case("Select", "Select all")
def _(editor: Editor, press: Press) -> None:
    press()
    chosen(editor, *CHAIN["nodes"])


@case("Select", "Deselect all")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    press()
    chosen(editor)


@case("Select", "Invert selection")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    press()
    chosen(editor, "size", "load", "decode", "wait")


@case("Select", "Select upstream nodes")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("decode")
    press()
    chosen(editor, "size", "load", "decode")


@case("Select", "Select downstream nodes")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("decode")
    press()
    chosen(editor, "decode", "wait", "save")


# -- nodes


@case("Nodes", "Add a node")
def _(editor: Editor, press: Press) -> None:
    press()
    expect(search(editor)).to_be_focused()
    editor.page.keyboard.press("Escape")
    expect(search(editor)).to_have_count(0)


@case("Nodes", "Add a note")
def _(editor: Editor, press: Press) -> None:
    press()
    expect(editor.canvas.get_by_role("button", name=re.compile("^Note"))).to_be_visible()


@case("Nodes", "Link a port")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    press()
    shown(editor, "Link from which port?")


@case("Nodes", "Open subgraph")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(BLOCK)
    editor.click_card("grey")
    press()
    expect(editor.card("decode")).to_be_visible()


@case("Nodes", "Leave subgraph")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(BLOCK)
    editor.click_card("grey")
    editor.page.keyboard.press("Shift+Enter")
    expect(editor.card("decode")).to_be_visible()
    editor.drawn()
    press()
    expect(editor.card("grey")).to_be_visible()


@case("Nodes", "Rename")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    press()
    shown(editor, "Rename node")


@case("Nodes", "Replace by another type…")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    press()
    shown(editor, "Replace save")


@case("Nodes", "Fix the problem")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(BROKEN)
    press()
    mend = editor.page.get_by_role("menuitem", name="Add Load model")
    expect(mend).to_be_visible()
    editor.page.keyboard.press("Escape")
    expect(mend).to_have_count(0)


@case("Nodes", "Mute")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("wait")
    toggled(mode(editor, "wait", "Muted"), press, was=False)


@case("Nodes", "Bypass")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("wait")
    toggled(mode(editor, "wait", "Bypassed"), press, was=False)


@case("Nodes", "Collapse")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    toggled(editor.field("save", "Name"), press, was=True)


@case("Nodes", "Group")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    press()
    expect(editor.canvas.get_by_role("region", name="Group Group")).to_be_visible()


@case("Nodes", "Convert to subgraph")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    press()
    shown(editor, "Convert the selected nodes to a subgraph")


@case("Nodes", "Unpack subgraph")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(BLOCK)
    editor.click_card("grey")
    press()
    expect(editor.card("decode")).to_be_visible()


# -- arranging


def moves(dx: int, dy: int, least: float = 1) -> Case:
    def check(editor: Editor, press: Press) -> None:
        editor.click_card("save")
        x, y = place(editor, "save")
        press()
        eventually(lambda: place(editor, "save") != (x, y))
        after = place(editor, "save")
        moved = (after[0] - x, after[1] - y)
        assert moved[0] * dx + moved[1] * dy >= least
        assert abs(moved[0] * dy) + abs(moved[1] * dx) < 1

    return check


for _way, _dx, _dy in (("left", -1, 0), ("right", 1, 0), ("up", 0, -1), ("down", 0, 1)):
    case("Arrange", f"Move {_way}")(moves(_dx, _dy))
    case("Arrange", f"Move far {_way}")(moves(_dx, _dy, 25))


def grows(wider: int, taller: int) -> Case:
    def check(editor: Editor, press: Press) -> None:
        editor.command("Add a note")
        note = editor.canvas.get_by_role("button", name=re.compile("^Note"))
        width, height = size(note)
        press()
        eventually(lambda: size(note) != (width, height))
        after = size(note)
        assert (after[0] - width) * wider > 0 or after[0] == width
        assert (after[1] - height) * taller > 0 or after[1] == height

    return check


case("Arrange", "Make wider")(grows(1, 0))
case("Arrange", "Make narrower")(grows(-1, 0))
case("Arrange", "Make taller")(grows(0, 1))
case("Arrange", "Make shorter")(grows(0, -1))


@case("Arrange", "Arrange automatically")
def _(editor: Editor, press: Press) -> None:
    before = [place(editor, name) for name in CHAIN["nodes"]]
    press()
    eventually(lambda: [place(editor, name) for name in CHAIN["nodes"]] != before)


# -- viewing


@case("View", "Zoom in")
def _(editor: Editor, press: Press) -> None:
    before = zoom(editor)
    press()
    eventually(lambda: zoom(editor) > before)


@case("View", "Zoom out")
def _(editor: Editor, press: Press) -> None:
    before = zoom(editor)
    press()
    eventually(lambda: zoom(editor) < before)


@case("View", "Zoom to 100 %")
def _(editor: Editor, press: Press) -> None:
    editor.command("Zoom out")
    eventually(lambda: zoom(editor) != 100)
    press()
    eventually(lambda: zoom(editor) == 100)


@case("View", "Fit view")
def _(editor: Editor, press: Press) -> None:
    editor.zoom_to_fit()
    whole = place(editor, "decode")
    before = zoom(editor)
    for _ in range(3):
        editor.command("Zoom in")
    eventually(lambda: zoom(editor) > before * 1.5)
    press()
    eventually(lambda: zoom(editor) == before and place(editor, "decode") == whole)


@case("View", "Zoom to selection")
def _(editor: Editor, press: Press) -> None:
    before = zoom(editor)
    editor.click_card("save")
    press()
    eventually(lambda: zoom(editor) > before)
    expect(editor.card("save")).to_be_in_viewport()


@case("View", "Minimap")
def _(editor: Editor, press: Press) -> None:
    toggled(editor.canvas.get_by_label(re.compile("^Minimap: ")), press, was=False)


@case("View", "Go to the next problem")
@case("View", "Go to the previous problem")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(BROKEN)
    press()
    eventually(lambda: editor.canvas.locator(".react-flow__node.selected").count() == 1)


@case("View", "View the newest result")
def _(editor: Editor, press: Press) -> None:
    editor.server.let("open")
    editor.open_workflow(gated("open"))
    editor.run()
    expect_picture(editor.results("save"))
    press()
    viewer = editor.page.get_by_role("dialog")
    expect(viewer).to_be_visible()
    editor.page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)


@case("View", "View output")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("wait")
    press()
    expect(editor.notice(re.compile("has no output yet"))).to_be_visible()


@case("View", "Generate without a graph")
def _(editor: Editor, press: Press) -> None:
    settings = editor.page.get_by_role("region", name="Settings")
    press()
    expect(settings.get_by_label("Prompt", exact=True)).to_be_visible()
    press()
    expect(editor.card("save")).to_be_visible()


@case("View", "Paint on the canvas")
def _(editor: Editor, press: Press) -> None:
    press()
    expect(editor.page.get_by_role("button", name="Empty canvas")).to_be_visible()
    press()
    expect(editor.card("save")).to_be_visible()


@case("View", "Left panel")
def _(editor: Editor, press: Press) -> None:
    editor.show("Nodes")
    toggled(editor.panel("Nodes"), press, was=True)


@case("View", "Right panel")
def _(editor: Editor, press: Press) -> None:
    editor.show("Inspector")
    toggled(editor.panel("Inspector"), press, was=True)


@case("View", "Bottom panel")
def _(editor: Editor, press: Press) -> None:
    editor.show("Queue")
    toggled(editor.panel("Queue"), press, was=True)


def part(editor: Editor) -> int:
    """Which part of the page has the focus."""
    found: int = editor.page.evaluate(
        "[...document.querySelectorAll('[data-region]')]"
        ".findIndex((part) => part.contains(document.activeElement))"
    )
    return found


@case("View", "Go to the next region")
@case("View", "Go to the previous region")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    expect(editor.card("save")).to_be_focused()
    seen = {part(editor)}
    for _ in range(3):
        press()
        eventually(lambda: part(editor) not in {-1, *seen})
        seen.add(part(editor))


# -- panels and tabs


def panel(name: str) -> Case:
    def check(editor: Editor, press: Press) -> None:
        found = editor.panel(name)
        # It stays open or closed from one workflow to the next.
        toggled(found, press, was=found.is_visible())

    return check


for _command, _panel in (
    ("Nodes panel", "Nodes"),
    ("Models panel", "Models"),
    ("History panel", "History"),
    ("Inspector", "Inspector"),
    ("Comments", "Comments"),
    ("Queue", "Queue"),
    ("Results", "Results"),
    ("Problems", "Problems"),
    ("Last result next to the graph", "Last result"),
):
    case("Panels", _command)(panel(_panel))


@case("Edit", "Search everything")
@case("Edit", "Find in the workflow")
def _(editor: Editor, press: Press) -> None:
    press()
    field = editor.dialog("Search everything").get_by_role("combobox")
    expect(field).to_be_focused()
    field.press("Escape")
    expect(field).to_have_count(0)


@case("Edit", "Next match")
@case("Edit", "Previous match")
def _(editor: Editor, press: Press) -> None:
    editor.search("ControlOrMeta+f").fill("decode")
    expect(editor.found().first).to_contain_text("decode")
    editor.page.keyboard.press("Enter")
    expect(editor.card("decode")).to_be_focused()
    editor.click_card("save")
    press()
    expect(editor.card("decode")).to_be_focused()


@case("Tabs", "Close tab")
def _(editor: Editor, press: Press) -> None:
    count = editor.tabs.count()
    press()
    expect(editor.tabs).to_have_count(count - 1)


@case("Tabs", "Reopen closed tab")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(BLOCK)
    close(editor)
    press()
    current(editor, "Block")
    expect(editor.card("grey")).to_be_visible()


@case("Tabs", "Next tab")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(BLOCK)
    press()
    current(editor, "Text to image")


@case("Tabs", "Previous tab")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(BLOCK)
    press()
    current(editor, "Chain")


@case("Tabs", "Move tab right")
def _(editor: Editor, press: Press) -> None:
    editor.tabs.first.click()
    press()
    expect(editor.tabs.nth(1)).to_have_attribute("aria-selected", "true")


@case("Tabs", "Move tab left")
def _(editor: Editor, press: Press) -> None:
    last = editor.tabs.count() - 1
    press()
    expect(editor.tabs.nth(last - 1)).to_have_attribute("aria-selected", "true")


@case("Tabs", "Go to tab by number")
def _(editor: Editor, press: Press) -> None:
    first, last = editor.tabs.first, editor.tabs.last
    editor.tabs.nth(1).click()
    press()
    eventually(
        lambda: (
            "true" in (first.get_attribute("aria-selected"), last.get_attribute("aria-selected"))
        )
    )


# -- along links


def spoken(editor: Editor) -> Locator:
    """What a screen reader says by itself."""
    return editor.page.get_by_role("status", name="Announcements")


@case("Select", "Go to the node downstream")
def _(editor: Editor, press: Press) -> None:
    editor.card("load").focus()
    press()
    expect(spoken(editor)).to_have_text(re.compile("^(model|vae) → .*, input (model|vae), 1 of "))
    expect(editor.card("load")).not_to_be_focused()


@case("Select", "Go to the node upstream")
def _(editor: Editor, press: Press) -> None:
    editor.card("decode").focus()
    press()
    expect(editor.card("load")).to_be_focused()
    expect(spoken(editor)).to_have_text("vae ← Load model, output vae, 1 of 2")


@case("Select", "Take the next link instead")
def _(editor: Editor, press: Press) -> None:
    editor.card("decode").focus()
    editor.page.keyboard.press("Alt+Shift+ArrowLeft")
    expect(editor.card("load")).to_be_focused()
    press()
    expect(editor.card("size")).to_be_focused()
    expect(spoken(editor)).to_have_text(re.compile("^latent ← .*, output latent, 2 of 2$"))


@case("Select", "Go back along the links")
def _(editor: Editor, press: Press) -> None:
    editor.card("decode").focus()
    editor.page.keyboard.press("Alt+Shift+ArrowLeft")
    expect(editor.card("decode")).not_to_be_focused()
    press()
    expect(editor.card("decode")).to_be_focused()


def test_the_accessibility_tree_tells_the_links_of_each_card_and_how_a_run_ends(
    tab: Editor,
) -> None:
    editor = tab.open_link(prompted("a brass kettle", name="kettle"))
    session = editor.page.context.new_cdp_session(editor.page)
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    texts = {
        node["name"]["value"].rpartition(", ")[2]: node.get("description", {}).get("value", "")
        for node in tree
        if node.get("role", {}).get("value") == "group" and node.get("name", {}).get("value")
    }
    assert re.fullmatch(r"Gets image from [^.]+\.", texts["save"])
    assert re.match(r"Gets \w+ from [^.]+\. Gets \w+ from [^.]+\. Gives image to", texts["decode"])
    assert re.search(r"Gives model to [^.]+\.", texts["load"])
    editor.run()
    expect(spoken(editor)).to_have_text(re.compile("^The run has finished"))


# -- running


@case("Run", "Run")
@case("Run", "Run before all other jobs")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(gated("never"))
    press()
    expect(editor.state("wait", "Running")).to_be_visible()
    editor.server.cancel_all()


@case("Run", "Run to here")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(gated("never"))
    editor.click_card("decode")
    press()
    expect(editor.state("decode", re.compile("^(Done|Cached)"))).to_be_visible()
    expect(editor.state("wait", "Will run")).to_be_visible()


@case("Run", "Cancel the current run")
def _(editor: Editor, press: Press) -> None:
    editor.open_workflow(gated("never"))
    editor.run()
    expect(editor.state("wait", "Running")).to_be_visible()
    press()
    expect(editor.state("wait", "Running")).to_have_count(0)


# -- the rest


@case("Parameters", "App mode: only the parameters")
def _(editor: Editor, press: Press) -> None:
    toggled(editor.canvas, press, was=True)


@case("Help", "Show help for the selected node")
def _(editor: Editor, press: Press) -> None:
    editor.click_card("save")
    press()
    expect(editor.panel("Help").get_by_role("heading", name="Save image")).to_be_visible()


@case("Help", "Keyboard shortcuts")
@case("Help", "Settings")
def _(editor: Editor, press: Press) -> None:
    press()
    expect(editor.page.get_by_role("dialog")).to_be_visible()
    editor.page.keyboard.press("Escape")
    expect(editor.page.get_by_role("dialog")).to_have_count(0)


# -- the tests


def test_each_has_its_case(editor: Editor) -> None:
    found = listed(editor)
    assert {group: set(names) for group, names in found.items()} == {
        group: set(names) for group, names in CASES.items()
    }


@pytest.fixture
def keys(editor: Editor) -> Editor:
    editor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return editor


LASTING = ("Help", "Panels", "Select", "View")
"""Groups whose commands leave the graph as it is: one after the other has it."""


@pytest.mark.parametrize("group", sorted(CASES))
def test_each_does_what_it_says(keys: Editor, group: str) -> None:
    for name, chords in listed(keys)[group].items():
        for chord in chords:
            if group in LASTING and keys.tab.inner_text() == CHAIN["title"]:
                keys.zoom_to_fit()
            else:
                keys.open_workflow({**CHAIN})
            try:
                CASES[group][name](keys, partial(keys.page.keyboard.press, chord))
            except Exception as fault:
                fault.add_note(f"{group}: {name} by {chord}")
                raise


def test_a_card_that_tab_comes_to_is_what_keys_mean(tab: Editor) -> None:
    editor = tab.open_link({**CHAIN})
    first = editor.canvas.locator("[data-canvas-start]")
    first.focus()
    editor.page.keyboard.press("Tab")
    expect(editor.canvas.locator(".react-flow__node:focus")).to_have_count(1)
    editor.page.keyboard.press("l")
    shown(editor, "Link from which port?")
    expect(editor.canvas.locator(".react-flow__node:focus")).to_have_count(1)
    editor.page.keyboard.press("F2")
    shown(editor, "Rename node")


def test_the_view_follows_tab_to_a_card_out_of_sight(tab: Editor) -> None:
    editor = tab.open_link({**CHAIN})
    canvas, focused = box_of(editor.canvas), editor.canvas.locator(".react-flow__node:focus")
    # Cards that have been seen are still there, if only for those who hear the page.
    left, right = canvas["x"] + 40, canvas["x"] + canvas["width"] - 40
    y = canvas["y"] + canvas["height"] - 140
    for _ in range(2):
        drag(editor, (right, y), (left, y))
    editor.drawn()
    expect(editor.card("size")).not_to_be_in_viewport()
    editor.canvas.locator("[data-canvas-start]").focus()
    editor.page.keyboard.press("Tab")
    expect(focused).to_have_attribute("data-id", "size")
    eventually(lambda: middle(focused) == pytest.approx(middle(editor.canvas), abs=2))


def test_the_search_for_what_fits_a_port_has_the_focus(tab: Editor) -> None:
    editor = tab.open_link(text_to_image())
    keyboard = editor.page.keyboard
    editor.click_card("sample")
    keyboard.press("l")
    expect(editor.dialog("Link from which port?").get_by_role("searchbox")).to_be_focused()
    keyboard.type("negative")
    keyboard.press("Enter")
    expect(editor.dialog("Link negative to …").get_by_role("searchbox")).to_be_focused()
    keyboard.type("add a node")
    keyboard.press("Enter")
    search = editor.page.get_by_role("combobox", name="Search nodes")
    expect(search).to_be_focused()
    found = editor.page.get_by_role("listbox", name="Node types").get_by_role("option")
    expect(found.first).to_contain_text("Encode prompt")
    keyboard.press("Enter")
    expect(editor.cards).to_have_count(7)


def test_keys_of_a_tab_leave_the_graph_alone(tab: Editor) -> None:
    editor = tab.open_link(BLOCK)
    editor.click_card("grey")
    editor.open_workflow({**CHAIN})
    own = editor.top.get_by_role("tab", selected=True)
    own.focus()
    editor.page.keyboard.press("F2")
    expect(editor.page.get_by_role("dialog")).to_have_count(1)
    shown(editor, "Rename workflow")
    own.focus()
    editor.page.keyboard.press("Delete")
    current(editor, "Block")
    expect(editor.card("grey")).to_be_visible()


def test_the_menu_of_a_card_opens_by_key(tab: Editor) -> None:
    editor = tab.open_link({**CHAIN})
    muted = mode(editor, "save", "Muted")
    for key, count in (("Shift+F10", 1), ("ContextMenu", 0)):
        editor.click_card("save")
        editor.page.keyboard.press(key)
        menu = editor.page.get_by_role("menu", name="Actions")
        expect(menu.get_by_role("menuitem").first).to_be_focused()
        item = menu.locator("[role^=menuitem]").filter(has_text=re.compile("^Mute"))
        tab_to(editor, item, "ArrowDown")
        editor.page.keyboard.press("Enter")
        expect(menu).to_have_count(0)
        expect(muted).to_have_count(count)
        expect(editor.card("save")).to_be_focused()
