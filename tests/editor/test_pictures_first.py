"""Images come first: they fill their cards, stand beside the graph, and a key shows any value."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.editor.editing import Editor, box_of, expect_picture
from tests.editor.graphs import drag, middle, written
from tests.server.hosting import eventually

_SMALLEST = """() => {
    const canvas = document.querySelector("main[data-canvas]");
    const zoom = new DOMMatrix(
        getComputedStyle(canvas.querySelector(".react-flow__viewport")).transform).a;
    const parts = [...canvas.querySelectorAll(".react-flow__node *")];
    const isText = (part) => part.matches("input, textarea, select")
        || [...part.childNodes].some((each) => each.nodeType === 3 && each.data.trim() !== "");
    const shown = parts.filter((part) => isText(part) && part.offsetParent !== null);
    return Math.min(...shown.map((part) => parseFloat(getComputedStyle(part).fontSize) * zoom));
}"""

_DRAWN = """(card) => {
    const view = document.querySelector("[data-far-view] canvas:not([hidden])");
    const copy = new OffscreenCanvas(view.width, view.height).getContext("2d");
    copy.drawImage(view, 0, 0);
    const [own, all] = [card.getBoundingClientRect(), view.getBoundingClientRect()];
    const at = [own.x + own.width / 2 - all.x, own.y + own.height * 0.9 - all.y];
    const part = view.width / all.width;
    const pixel = copy.getImageData(at[0] * part, at[1] * part, 1, 1);
    return [...pixel.data];
}"""


def test_the_starter_fills_the_window_and_can_be_read(editor: Editor) -> None:
    expect(editor.page.locator("article[data-detail=true]")).to_have_count(6)
    canvas, cards = box_of(editor.canvas), [box_of(card) for card in editor.cards.all()]
    left, right = min(box["x"] for box in cards), max(box["x"] + box["width"] for box in cards)
    assert right - left > 0.85 * canvas["width"]
    assert left >= canvas["x"]
    assert right <= canvas["x"] + canvas["width"]
    assert editor.page.evaluate(_SMALLEST) >= 10

    # From afar cards are colored blocks with titles, which are drawn into one picture.
    editor.page.mouse.move(*middle(editor.canvas))
    for _ in range(6):
        editor.page.keyboard.press("-")
    sampler = editor.card("sample").get_by_role("article")
    expect(editor.page.locator("article[data-detail=true]")).to_have_count(0)
    expect(editor.card("sample")).to_have_attribute("aria-label", re.compile("KSampler"))
    expect(sampler.locator("input, textarea, button")).to_have_count(0)
    others = editor.card("load").get_by_role("article")
    eventually(lambda: 0 not in (sampler.evaluate(_DRAWN)[3], others.evaluate(_DRAWN)[3]))
    assert sampler.evaluate(_DRAWN) != others.evaluate(_DRAWN)


def test_a_picture_fills_its_card_and_grows_with_it(editor: Editor) -> None:
    editor.fill("sample", "Steps", "2")
    editor.run()
    picture = editor.results("save")
    expect_picture(picture)
    card, before = box_of(editor.cards.last), box_of(picture)
    assert before["width"] > 0.9 * card["width"]
    # By the left edge, then by the upper one: the other sides stay where they are.
    left, middle_y = card["x"] + 1, card["y"] + card["height"] / 2
    editor.page.mouse.move(left, middle_y)
    expect(editor.card("save").locator(".react-flow__resize-control.left.line")).to_be_visible()
    drag(editor, (left, middle_y), (left - 60, middle_y))
    eventually(lambda: box_of(picture)["width"] == pytest.approx(before["width"] + 60, abs=2))
    wide = box_of(editor.cards.last)
    assert wide["x"] + wide["width"] == pytest.approx(card["x"] + card["width"], abs=2)
    middle_x, top = wide["x"] + wide["width"] / 2, wide["y"] + 1
    drag(editor, (middle_x, top), (middle_x, top - 80))
    eventually(lambda: box_of(editor.cards.last)["y"] == pytest.approx(wide["y"] - 80, abs=2))
    high = box_of(editor.cards.last)
    assert high["height"] == pytest.approx(wide["height"] + 80, abs=3)
    [width, height] = written(editor)["ui"]["sizes"]["save"]
    assert width / height == pytest.approx(high["width"] / high["height"], rel=0.02)
    for _ in range(2):
        editor.page.keyboard.press("ControlOrMeta+z")
    eventually(lambda: box_of(editor.cards.last)["width"] == pytest.approx(card["width"], abs=2))
    assert len(written(editor)["ui"]["sizes"]["save"]) == 1


def test_several_wide_pictures_are_as_wide_as_their_card(tab: Editor) -> None:
    wide = {"type": "NoiseImage", "inputs": {"width": 192, "height": 64, "batch": 3}}
    shown = {"type": "PreviewImage", "inputs": {"image": {"from": "wide.image"}}}
    nodes = {"wide": wide, "shown": shown}
    editor = tab.open_link({"format": "nodegraph/1", "title": "Wide", "nodes": nodes})
    editor.run()
    pictures = editor.results("shown")
    expect(pictures).to_have_count(3)
    card = box_of(editor.card("shown"))
    for picture in pictures.all():
        assert box_of(picture)["width"] > 0.9 * card["width"]


def test_the_newest_result_stands_beside_the_graph(editor: Editor) -> None:
    # As the starter opens, earlier pages of the server may have run it: its image would be there.
    graph = written(editor)
    graph["nodes"]["sample"]["inputs"]["seed"] = 20
    editor.open_workflow(graph)
    editor.page.keyboard.press("Alt+r")
    pane = editor.panel("Last result")
    expect(pane.get_by_text("No result yet")).to_be_visible()
    for number in ("21", "22"):
        editor.fill("sample", "Seed", number)
        editor.fill("sample", "Steps", "2")
        editor.run()
        expect(editor.status).to_contain_text("Nothing to compute: everything is cached")
    expect(pane.get_by_text("2 of 2")).to_be_visible()
    expect_picture(pane.locator("img"))
    newest = pane.locator("img").get_attribute("src")
    assert box_of(pane.locator("img"))["width"] > 300
    expect(pane.get_by_role("button", name=re.compile("^Go to Save image"))).to_be_visible()
    pane.get_by_role("button", name="Previous result", exact=True).click()
    expect(pane.locator("img")).not_to_have_attribute("src", newest or "")
    expect(pane.get_by_text("From an earlier run")).to_be_visible()
    pane.get_by_role("button", name="Next result").press("ArrowRight")
    expect(pane.locator("img")).to_have_attribute("src", newest or "")
    pane.get_by_role("button", name="Show at the bottom").click()
    eventually(lambda: box_of(pane)["width"] > box_of(editor.canvas)["width"] - 2)
    editor.reload()
    expect_picture(pane.locator("img"))
    pane.get_by_role("button", name="Compare with the previous result").click()
    expect(editor.page.get_by_role("slider", name="Divider position")).to_be_visible()
    editor.page.keyboard.press("Escape")
    editor.page.keyboard.press("Alt+r")
    expect(pane).to_have_count(0)


def test_a_key_shows_what_comes_out_of_a_node_or_runs_through_a_link(editor: Editor) -> None:
    page = editor.page
    editor.fill("sample", "Seed", "33")
    editor.fill("sample", "Steps", "3")
    editor.card("decode").hover()
    page.keyboard.press("v")
    expect(editor.notice(re.compile("has no output yet"))).to_be_visible()
    editor.run()
    expect(editor.status).to_contain_text("Nothing to compute: everything is cached")
    expect_picture(editor.results("save"))
    viewer = page.get_by_role("dialog")
    editor.card("save").hover()
    page.keyboard.press("v")
    expect_picture(viewer.locator("img").first)
    expect(editor.dialog(re.compile("^apple"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    # No node has written these: they are fetched from what is cached.
    page.mouse.move(*middle(editor.link("decode", "save").locator("path[data-edge]")))
    page.keyboard.press("v")
    expect_picture(viewer.locator("img").first)
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    editor.click_card("positive")
    page.mouse.move(0, 0)
    page.keyboard.press("v")
    expect(viewer.locator("pre")).to_contain_text(re.compile("[0-9]"))
