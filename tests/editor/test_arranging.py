"""Putting a graph in order: places, sizes, names, colors, groups and notes; each is one step."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor, box_of
from tests.editor.graphs import CHAIN, Point, drag, middle, written
from tests.server.hosting import eventually

pytestmark = pytest.mark.only_edits

Places = dict[str, list[float]]


@pytest.fixture
def chain(tab: Editor) -> Editor:
    return tab.open_link({**CHAIN})


def layout(editor: Editor) -> dict[str, Any]:
    """What the file says of the canvas."""
    found: dict[str, Any] = written(editor).get("ui", {})
    return found


def corner(place: Locator) -> Point:
    """The lower right one, a little inside."""
    box = box_of(place)
    return box["x"] + box["width"] - 5, box["y"] + box["height"] - 5


def zoom(editor: Editor) -> float:
    """How large the canvas is drawn."""
    text = editor.page.get_by_role("button", name=re.compile("^Zoom: ")).inner_text()
    return int(text.removesuffix(" %")) / 100


def pull(editor: Editor, start: Point, by: Point) -> None:
    drag(editor, start, (start[0] + by[0], start[1] + by[1]))


def choose(editor: Editor, *items: str) -> None:
    """Go through the open menu."""
    for item in items:
        editor.page.get_by_role("menuitem", name=item).click()


def gaps(at: Places, axis: int) -> list[float]:
    """Between the places of all nodes, in order."""
    ordered = sorted(place[axis] for place in at.values())
    return [after - before for before, after in pairwise(ordered)]


LEFT, TOP, RIGHT, MIDDLE = range(4)


def are_one(axis: int) -> Callable[[Places], bool]:
    """Whether it is the same for all, but for what is lost in rounding."""
    return lambda at: max(values := [place[axis] for place in at.values()]) - min(values) <= 2


def edges(places: Places, widths: dict[str, float]) -> Places:
    """With the right edge and the middle of each card behind its place."""
    return {
        name: [left, top, left + widths[name], left + widths[name] / 2]
        for name, (left, top) in places.items()
    }


IN_ORDER: dict[str, Callable[[Places], bool]] = {
    "Align left edges": are_one(LEFT),
    "Align right edges": are_one(RIGHT),
    "Align horizontal centers": are_one(MIDDLE),
    "Align top edges": are_one(TOP),
    "Distribute horizontally": lambda at: max(gaps(at, 0)) - min(gaps(at, 0)) <= 1,
}
"""Commands for what is selected, and what is so afterwards."""


def test_places_are_put_in_order_each_time_in_one_step(chain: Editor) -> None:
    before = layout(chain)["positions"]
    widths = {name: box_of(chain.card(name))["width"] / zoom(chain) for name in before}
    chain.click_card("size")
    chain.page.keyboard.press("ControlOrMeta+a")
    for command, is_so in IN_ORDER.items():
        assert not is_so(edges(before, widths))
        chain.command(command)
        assert is_so(edges(layout(chain)["positions"], widths)), command
        chain.page.keyboard.press("ControlOrMeta+z")
        assert layout(chain)["positions"] == before, command
    chain.page.keyboard.press("Shift+A")
    # What arranges is fetched when it is first asked for.
    eventually(lambda: layout(chain)["positions"] != before)
    after = layout(chain)["positions"]
    assert after["decode"][0] < after["wait"][0] < after["save"][0]
    chain.page.keyboard.press("ControlOrMeta+z")
    assert layout(chain)["positions"] == before
    chain.click_card("save")
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        chain.page.keyboard.press(key)
    place = layout(chain)["positions"]["save"]
    assert place[0] - before["save"][0] == 20
    assert place[1] - before["save"][1] == 50


def test_a_node_gets_a_label_a_colour_and_a_width(chain: Editor) -> None:
    title = chain.card("decode").get_by_text("VAE decode")
    title.dblclick()
    expect(chain.card("decode").locator("header input")).to_be_focused()
    chain.page.keyboard.type("Nothing")
    chain.page.keyboard.press("Escape")
    expect(title).to_be_visible()
    assert "label" not in written(chain)["nodes"]["decode"]
    title.dblclick()
    expect(chain.card("decode").locator("header input")).to_be_focused()
    chain.page.keyboard.type("The image")
    chain.page.keyboard.press("Enter")
    expect(chain.card("VAE decode").get_by_text("The image")).to_be_visible()
    assert written(chain)["nodes"]["decode"]["label"] == "The image"
    chain.page.keyboard.press("ControlOrMeta+z")
    expect(title).to_be_visible()

    chain.card("decode").locator("header").click(button="right")
    choose(chain, "Color", "Green")
    assert layout(chain)["colors"] == {"decode": "green"}
    chain.page.keyboard.press("ControlOrMeta+z")
    assert "colors" not in layout(chain)

    card = chain.card("decode").get_by_role("article")
    box = box_of(card)
    pull(chain, corner(card), (60, 0))
    width = layout(chain)["sizes"]["decode"][0]
    assert width == pytest.approx(box["width"] / zoom(chain) + 60 / zoom(chain), abs=8)
    chain.canvas.press("ControlOrMeta+z")
    assert "sizes" not in layout(chain)
    chain.click_card("decode")
    expect_sized_by_keys(chain, chain.card("decode"))


def test_a_group_gets_a_colour_and_a_size_and_takes_along_what_is_in_it(chain: Editor) -> None:
    group = grouped(chain)
    group.get_by_role("button").first.click(button="right")
    choose(chain, "Color", "Red")
    assert layout(chain)["groups"][0]["color"] == "red"
    chain.page.keyboard.press("ControlOrMeta+z")
    assert layout(chain)["groups"][0].get("color") != "red"

    expect_sized_by_mouse(chain, group, "groups")
    expect_sized_by_keys(chain, group)

    group.get_by_role("button", name="Group title: Group").dblclick()
    expect(group.get_by_role("textbox")).to_be_focused()
    chain.page.keyboard.type("The end")
    chain.page.keyboard.press("Enter")
    expect(chain.canvas.get_by_role("region", name="Group The end")).to_be_visible()
    before = layout(chain)
    pull(chain, middle(chain.canvas.get_by_role("button", name="Group title")), (0, 60))
    after = layout(chain)
    assert after["groups"][0]["title"] == "The end"
    moved = after["groups"][0]["box"][1] - before["groups"][0]["box"][1]
    assert moved > 0
    assert after["positions"]["save"][1] - before["positions"]["save"][1] == moved


def test_a_note_shows_marked_up_text_runs_nothing_in_it_and_gets_a_size(chain: Editor) -> None:
    text = "# Steps\n\n- **first** a seed\n- see [the docs](https://example.org)"
    text += "\n\n<img src=x onerror=alert(1)> [click](javascript:alert(1))"
    note = noted(chain, text)
    assert [note["text"] for note in layout(chain)["notes"]] == [text]
    expect(note.get_by_role("heading", name="Steps")).to_be_visible()
    expect(note.get_by_role("listitem")).to_have_count(2)
    expect(note.locator("strong")).to_have_text("first")
    expect(note).to_contain_text("<img src=x")
    link = note.get_by_role("link")
    expect(link).to_have_count(1)
    expect(link).to_have_text("the docs")
    expect(link).to_have_attribute("href", "https://example.org")

    expect_sized_by_mouse(chain, note, "notes")
    expect_sized_by_keys(chain, note)


def expect_sized_by_mouse(chain: Editor, item: Locator, kind: str) -> None:
    """Its corner is dragged, in one step."""
    before = layout(chain)[kind][0]["box"]
    pull(chain, corner(item), (50, 40))
    after = layout(chain)[kind][0]["box"]
    assert after[2] > before[2]
    assert after[3] > before[3]
    assert after[:2] == before[:2]
    chain.canvas.press("ControlOrMeta+z")
    assert layout(chain)[kind][0]["box"] == before


def expect_sized_by_keys(chain: Editor, item: Locator) -> None:
    """Keys make what is selected wider and taller, each in one step."""
    box_of(item)
    before = size(item)
    for side, key in enumerate(("ArrowRight", "ArrowDown")):
        chain.page.keyboard.press(f"ControlOrMeta+Shift+{key}")
        eventually(lambda side=side: size(item)[side] > before[side])
        chain.page.keyboard.press("ControlOrMeta+z")
        eventually(lambda: size(item) == before)


def size(item: Locator) -> Point:
    box = item.bounding_box()
    assert box is not None
    return box["width"], box["height"]


def test_a_view_is_of_what_is_selected_or_where_the_minimap_is_clicked(chain: Editor) -> None:
    before = zoom(chain)
    chain.click_card("save")
    chain.page.keyboard.press(".")
    expect(chain.page.get_by_role("button", name=f"Zoom: {before:.0%}")).to_have_count(0)
    assert zoom(chain) > before
    # The cards may be drawn there a frame after the percentage is said.
    canvas = pytest.approx(middle(chain.canvas), abs=4)
    eventually(lambda: middle(chain.card("save")) == canvas)
    chain.page.get_by_role("button", name="Zoom in").click()
    small = chain.page.get_by_role("application", name=re.compile("^Minimap"))
    expect(small).to_have_count(0)
    chain.page.get_by_role("button", name="Minimap").click()
    box = box_of(small)
    chain.page.mouse.click(box["x"] + box["width"] - 12, box["y"] + box["height"] / 2)
    expect(chain.card("save")).to_be_in_viewport()
    expect(chain.card("size")).not_to_be_in_viewport()


def grouped(chain: Editor) -> Locator:
    """A group around the last two nodes; it is selected."""
    chain.click_card("wait")
    chain.click_card("save", "ControlOrMeta")
    chain.page.keyboard.press("ControlOrMeta+g")
    group = chain.canvas.get_by_role("region", name="Group Group")
    expect(group).to_be_visible()
    return group


def noted(chain: Editor, text: str) -> Locator:
    """A note with a text; it is selected."""
    chain.click_card("save")
    chain.page.keyboard.press("n")
    chain.canvas.get_by_role("button", name=re.compile("^Note")).dblclick()
    note = chain.canvas.locator("[data-id^='note/']")
    expect(note.get_by_role("textbox")).to_be_focused()
    chain.page.keyboard.insert_text(text)
    chain.page.keyboard.press("ControlOrMeta+Enter")
    expect(note.get_by_role("textbox")).to_have_count(0)
    return note


def test_a_dragged_card_goes_as_far_as_the_pointer(chain: Editor) -> None:
    """Also where the first event that moves it comes late, as on a busy machine."""
    before = box_of(chain.card("save"))
    x, y = before["x"] + 90, before["y"] + 12
    mouse = chain.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 40, y + 64)

    def moved() -> bool:
        now = box_of(chain.card("save"))
        return abs(now["x"] - before["x"] - 40) < 2 and abs(now["y"] - before["y"] - 64) < 2

    eventually(moved)
    mouse.move(x + 60, y + 80)
    mouse.up()
    eventually(lambda: abs(box_of(chain.card("save"))["y"] - before["y"] - 80) < 2)
