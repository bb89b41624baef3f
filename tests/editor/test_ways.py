"""Nothing covers anything: links keep clear of cards, and cards of each other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, expect

from tests.editor.editing import Editor, box_of
from tests.editor.graphs import CHAIN, drag, middle, written
from tests.server.hosting import eventually

pytestmark = pytest.mark.only_edits

WORKFLOWS = Path(__file__).parents[2] / "workflows"
GALLERY = sorted(
    path
    for path in WORKFLOWS.glob("*.json")
    # Some have a node in a file beside them, which isn't there.
    if not path.with_suffix(".py").exists()
)
HIDDEN: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Hidden",
    "nodes": {
        "picture": {"type": "LoadImage", "inputs": {"path": "apple.png"}},
        "scale": {"type": "ResizeImage"},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "picture.image"}}},
    },
    "ui": {"positions": {"picture": [0, 0], "scale": [400, -20], "save": [760, 0]}},
}
"""Somebody put a card where a link runs."""
_CURVES = "(path) => path.getAttribute('d').split('C').length - 1"
_BEHIND = """() => {
    const cards = [...document.querySelectorAll("article[data-node]")].map((card) => {
        const { left, right, top, bottom } = card.getBoundingClientRect();
        return { name: card.dataset.node, left, right, top, bottom };
    });
    const found = [];
    for (const path of document.querySelectorAll("path[data-edge]")) {
        const link = path.closest(".react-flow__edge").getAttribute("aria-label");
        const length = path.getTotalLength(), seen = path.getScreenCTM();
        for (let at = 0; at < length; at += 3) {
            const { x, y } = path.getPointAtLength(at).matrixTransform(seen);
            const card = cards.find((each) => x > each.left - 2 && x < each.right + 2
                && y > each.top - 2 && y < each.bottom + 2);
            const ends = /from (.+) to (.+)$/.exec(link).slice(1);
            if (card && !ends.includes(card.name)) { found.push(`${link}: ${card.name}`); break; }
        }
    }
    return found;
}"""
_COVERED = """() => {
    // A margin of the graph's own, however small it is shown.
    const seen = new DOMMatrix(
        getComputedStyle(document.querySelector(".react-flow__viewport")).transform);
    const room = 8 * Math.min(1, seen.a);
    const boxes = [...document.querySelectorAll("article[data-node]")].map((card) =>
        [card.dataset.node, card.getBoundingClientRect()]);
    return boxes.flatMap(([a, one]) => boxes
        .filter(([b, other]) => a < b
            && one.left < other.right + room && other.left < one.right + room
            && one.top < other.bottom + room && other.top < one.bottom + room)
        .map(([b]) => `${a} ${b}`));
}"""


def expect_none(editor: Editor, finder: str) -> None:
    """Wait until nothing of the kind is found."""
    try:
        # Not at each frame: it takes longer than one.
        editor.page.wait_for_function(f"() => ({finder})().length === 0", polling=100)
    except Error:
        found = editor.page.evaluate(finder)
        raise AssertionError(f"{editor.tab.inner_text()}: there is {found}") from None


def test_no_link_of_the_gallery_runs_behind_a_card(editor: Editor) -> None:
    for path in GALLERY:
        workflow = json.loads(path.read_text(encoding="utf-8"))
        editor.drop(path.name, json.dumps(workflow).encode(), "application/json")
        expect(editor.tab).to_have_text(workflow["title"])
        editor.ready()
        expect(editor.page.locator("article[data-detail=true]").first).to_be_visible()
        expect_none(editor, _BEHIND)
        expect_none(editor, _COVERED)
        editor.command("Arrange automatically")
        expect_none(editor, _BEHIND)


def test_no_link_in_the_body_of_a_loop_runs_behind_a_card(tab: Editor) -> None:
    workflow = json.loads((WORKFLOWS / "prompt_walk.json").read_text(encoding="utf-8"))
    editor = tab.open_link(workflow)
    editor.card("walk").get_by_role("article").dblclick(position={"x": 150, "y": 60})
    expect(editor.link("end/inputs", "decode")).to_have_count(1)
    expect(editor.page.locator("article[data-detail=true]").first).to_be_visible()
    expect_none(editor, _BEHIND)
    x, y = middle(editor.card("decode"))
    drag(editor, (x, y - 20), (x - 40, y - 180))
    expect_none(editor, _BEHIND)


def test_links_run_around_a_new_card_in_one_of_them(tab: Editor) -> None:
    workflow = json.loads((WORKFLOWS / "text_to_image.json").read_text(encoding="utf-8"))
    del workflow["ui"]
    editor = tab.open_link(workflow)
    before = written(editor)
    palette = editor.show("Nodes")
    editor.zoom_to_fit()
    palette.get_by_role("searchbox").fill("latent from batch")
    row = palette.get_by_role("treeitem", name=re.compile("^Latent from batch"))
    row.hover()
    end = middle(editor.link("size", "sample").locator("path[data-edge]"))
    drag(editor, middle(row), end)
    expect(editor.link("size", "latent_from_batch")).to_have_count(1)
    expect_none(editor, _BEHIND)
    expect_none(editor, _COVERED)
    editor.page.keyboard.press("ControlOrMeta+z")
    expect(editor.card("latent_from_batch")).to_have_count(0)
    assert written(editor) == before


def test_links_run_around_cards_that_somebody_placed(tab: Editor) -> None:
    editor = tab.open_link(HIDDEN)
    line = editor.link("picture", "save").locator("path[data-edge]")
    expect_none(editor, _BEHIND)
    eventually(lambda: line.evaluate(_CURVES) > 1)
    box = box_of(editor.card("scale"))
    grip = (box["x"] + 90, box["y"] + 12)
    drag(editor, grip, (grip[0], grip[1] + box["height"] + 60))
    eventually(lambda: line.evaluate(_CURVES) == 1)
    assert "reroutes" not in written(editor)["ui"]
    editor.page.keyboard.press("ControlOrMeta+z")
    expect_none(editor, _BEHIND)
    assert written(editor)["ui"] == HIDDEN["ui"]


def test_a_card_put_into_a_link_covers_no_other(tab: Editor) -> None:
    nodes = {**CHAIN["nodes"], "more": {"type": "ResizeImage"}}
    places = {**CHAIN["ui"]["positions"], "more": [600, 420]}
    editor = tab.open_link({**CHAIN, "nodes": nodes, "ui": {"positions": places}})
    box = box_of(editor.card("more"))
    end = middle(editor.link("decode", "wait").locator("path[data-edge]"))
    grip = (box["x"] + 90, box["y"] + 12)
    # Its middle comes to lie on the link.
    by = box["x"] + box["width"] / 2 - grip[0], box["y"] + box["height"] / 2 - grip[1]
    drag(editor, grip, (end[0] - by[0], end[1] - by[1]))
    expect(editor.link("decode", "more")).to_have_count(1)
    expect(editor.link("more", "wait")).to_have_count(1)
    expect_none(editor, _COVERED)
    left, right = box_of(editor.card("wait")), box_of(editor.card("save"))
    assert left["x"] + left["width"] < right["x"]
