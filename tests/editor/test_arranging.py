"""Putting a graph in order: places, sizes, names, colours, groups and notes; each is one step."""

from __future__ import annotations

import json
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
def chain(editor: Editor) -> Editor:
    editor.open_workflow(json.loads(json.dumps(CHAIN)))
    return editor


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
    "Align centres": are_one(MIDDLE),
    "Align top edges": are_one(TOP),
    "Distribute across": lambda at: max(gaps(at, 0)) - min(gaps(at, 0)) <= 1,
}
"""Commands for what is selected, and what is so afterwards."""


class TestPlaces:
    def test_of_several_are_put_in_order(self, chain: Editor) -> None:
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

    def test_arranging_is_one_step(self, chain: Editor) -> None:
        before = layout(chain)["positions"]
        chain.page.keyboard.press("Shift+A")
        after = layout(chain)["positions"]
        assert after != before
        assert after["decode"][0] < after["wait"][0] < after["save"][0]
        chain.page.keyboard.press("ControlOrMeta+z")
        assert layout(chain)["positions"] == before

    def test_arrows_move_what_is_selected(self, chain: Editor) -> None:
        before = layout(chain)["positions"]["save"]
        chain.click_card("save")
        for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown"):
            chain.page.keyboard.press(key)
        after = layout(chain)["positions"]["save"]
        assert after[0] - before[0] == 20
        assert after[1] - before[1] == 50


class TestSizes:
    def test_of_a_node(self, chain: Editor) -> None:
        card = chain.card("decode").get_by_role("article")
        box = box_of(card)
        pull(chain, corner(card), (60, 0))
        width = layout(chain)["sizes"]["decode"][0]
        assert width == pytest.approx(box["width"] / zoom(chain) + 60 / zoom(chain), abs=8)
        chain.canvas.press("ControlOrMeta+z")
        assert "sizes" not in layout(chain)

    def test_of_a_group(self, chain: Editor) -> None:
        group = grouped(chain)
        before = layout(chain)["groups"][0]["box"]
        pull(chain, corner(group), (50, 40))
        after = layout(chain)["groups"][0]["box"]
        assert after[2] > before[2]
        assert after[3] > before[3]
        assert after[:2] == before[:2]
        chain.canvas.press("ControlOrMeta+z")
        assert layout(chain)["groups"][0]["box"] == before

    def test_of_a_note(self, chain: Editor) -> None:
        note = noted(chain, "Mind the gap")
        before = layout(chain)["notes"][0]["box"]
        pull(chain, corner(note), (50, 40))
        after = layout(chain)["notes"][0]["box"]
        assert after[2] > before[2]
        assert after[3] > before[3]
        chain.canvas.press("ControlOrMeta+z")
        assert layout(chain)["notes"][0]["box"] == before

    @pytest.mark.parametrize("kind", ["node", "group", "note"])
    def test_by_keys(self, chain: Editor, kind: str) -> None:
        if kind == "node":
            chain.click_card("decode")
            item = chain.card("decode")
        elif kind == "group":
            item = grouped(chain)
        else:
            item = noted(chain, "Mind the gap")
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


class TestNames:
    def test_a_double_click_on_the_title_gives_a_label(self, chain: Editor) -> None:
        chain.card("decode").get_by_text("VAE decode").dblclick()
        expect(chain.card("decode").locator("header input")).to_be_focused()
        chain.page.keyboard.type("The picture")
        chain.page.keyboard.press("Enter")
        expect(chain.card("VAE decode").get_by_text("The picture")).to_be_visible()
        assert written(chain)["nodes"]["decode"]["label"] == "The picture"
        chain.page.keyboard.press("ControlOrMeta+z")
        expect(chain.card("decode").get_by_text("VAE decode")).to_be_visible()

    def test_escape_leaves_it(self, chain: Editor) -> None:
        chain.card("decode").get_by_text("VAE decode").dblclick()
        expect(chain.card("decode").locator("header input")).to_be_focused()
        chain.page.keyboard.type("Nothing")
        chain.page.keyboard.press("Escape")
        expect(chain.card("decode").get_by_text("VAE decode")).to_be_visible()
        assert "label" not in written(chain)["nodes"]["decode"]


class TestColours:
    def test_of_a_node_and_back(self, chain: Editor) -> None:
        chain.card("decode").locator("header").click(button="right")
        choose(chain, "Colour", "Green")
        assert layout(chain)["colors"] == {"decode": "green"}
        chain.page.keyboard.press("ControlOrMeta+z")
        assert "colors" not in layout(chain)

    def test_of_a_group(self, chain: Editor) -> None:
        group = grouped(chain)
        group.get_by_role("button").first.click(button="right")
        choose(chain, "Colour", "Red")
        assert layout(chain)["groups"][0]["color"] == "red"
        chain.page.keyboard.press("ControlOrMeta+z")
        assert layout(chain)["groups"][0].get("color") != "red"


class TestNotes:
    def test_show_marked_up_text(self, chain: Editor) -> None:
        note = noted(chain, "# Steps\n\n- **first** a seed\n- see [the docs](https://example.org)")
        expect(note.get_by_role("heading", name="Steps")).to_be_visible()
        expect(note.get_by_role("listitem")).to_have_count(2)
        expect(note.locator("strong")).to_have_text("first")
        link = note.get_by_role("link", name="the docs")
        expect(link).to_have_attribute("href", "https://example.org")

    def test_run_nothing_that_stands_in_them(self, chain: Editor) -> None:
        text = "<img src=x onerror=alert(1)> [click](javascript:alert(1))"
        note = noted(chain, text)
        expect(note).to_contain_text("<img src=x")
        expect(note.get_by_role("link")).to_have_count(0)


class TestViews:
    def test_of_what_is_selected(self, chain: Editor) -> None:
        before = zoom(chain)
        chain.click_card("save")
        chain.page.keyboard.press(".")
        expect(chain.page.get_by_role("button", name=f"Zoom: {before:.0%}")).to_have_count(0)
        assert zoom(chain) > before
        # The cards may be drawn there a frame after the percentage is said.
        canvas = pytest.approx(middle(chain.canvas), abs=4)
        eventually(lambda: middle(chain.card("save")) == canvas)

    def test_a_click_on_the_minimap_goes_there(self, chain: Editor) -> None:
        for _ in range(3):
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
