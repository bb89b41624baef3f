"""Large graphs: what is seen of them is all there, wherever one looks from."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Error, expect

from tests.editor.editing import Editor, box_of
from tests.editor.graphs import middle
from tests.server.hosting import eventually

pytestmark = pytest.mark.only_edits

CHAINS = 8
_MISSING = """(links) => {
    const canvas = document.querySelector("main[data-canvas]").getBoundingClientRect();
    const isSeen = (node) => {
        const box = document.querySelector(`[data-node="${node}"]`)?.getBoundingClientRect();
        return box !== undefined && box.right > canvas.left + 4 && box.left < canvas.right - 4
            && box.bottom > canvas.top + 4 && box.top < canvas.bottom - 4;
    };
    const drawn = new Set([...document.querySelectorAll("path[data-edge]")]
        .filter((path) => path.getTotalLength() > 0)
        .map((path) => path.dataset.edge));
    const wanted = links.filter(([from, to]) => isSeen(from) || isSeen(to.split(".")[0]));
    return [wanted.length, wanted.filter(([, to]) => !drawn.has(`edge/${to}`)).map(([, to]) => to)];
}"""


def chains(count: int) -> dict[str, Any]:
    """Graphs that make two images each, side by side in one workflow."""
    nodes: dict[str, Any] = {}
    positions: dict[str, list[int]] = {}
    for number in range(count):
        found = _chain(number)
        left, top = number % 3 * 2300, number // 3 * 1100
        for place, name in enumerate(found):
            positions[name] = [left + place // 2 * 440, top + place % 2 * 520]
        nodes |= found
    title = "Chains"
    return {"format": "nodegraph/1", "title": title, "nodes": nodes, "ui": {"positions": positions}}


def _chain(number: int) -> dict[str, Any]:
    def of(name: str, port: str = "") -> dict[str, str]:
        return {"from": f"{name}_{number}" + (f".{port}" if port else "")}

    prompt = {"encoder": of("load", "text_encoder"), "text": "a red apple"}
    led = {"model": of("load", "model"), "positive": of("good"), "negative": of("bad")}
    vae = {"vae": of("load", "vae")}
    found: dict[str, tuple[str, dict[str, Any]]] = {
        "load": ("LoadModel", {"model": "tiny"}),
        "size": ("EmptyLatent", {"width": 64, "height": 64}),
        "good": ("EncodePrompt", prompt),
        "bad": ("EncodePrompt", prompt),
        "first": ("KSampler", {**led, "latent": of("size"), "steps": 1}),
        "second": ("KSampler", {**led, "latent": of("first"), "steps": 1}),
        "decode": ("VAEDecode", {**vae, "latent": of("first")}),
        "other": ("VAEDecode", {**vae, "latent": of("second")}),
        "save": ("SaveImage", {"image": of("decode"), "name": "first"}),
        "keep": ("SaveImage", {"image": of("other"), "name": "second"}),
    }
    return {
        f"{name}_{number}": {"type": kind, "inputs": inputs}
        for name, (kind, inputs) in found.items()
    }


def links_of(workflow: dict[str, Any]) -> list[tuple[str, str]]:
    """The node that each link comes from, and the input that it goes to."""
    return [
        (value["from"].split(".")[0], f"{name}.{port}")
        for name, node in workflow["nodes"].items()
        for port, value in node["inputs"].items()
        if isinstance(value, dict)
    ]


def expect_links(editor: Editor, links: list[tuple[str, str]], least: int) -> None:
    """Wait until all links to and from the cards in sight are drawn, and some are in sight."""
    try:
        editor.page.wait_for_function(
            f"(links) => {{ const [count, missing] = ({_MISSING})(links);"
            f" return count >= {least} && missing.length === 0; }}",
            arg=links,
        )
    except Error:
        count, missing = editor.page.evaluate(_MISSING, links)
        raise AssertionError(f"of {count} links nothing is to be seen of {missing}") from None


def test_all_links_of_what_is_seen_are_drawn_and_from_afar_all_moves_as_one(editor: Editor) -> None:
    workflow = chains(CHAINS)
    links = links_of(workflow)
    editor.drop("chains.json", json.dumps(workflow).encode(), "application/json")
    expect(editor.tab).to_have_text("Chains")
    editor.ready()
    canvas = box_of(editor.canvas)
    x, y = middle(editor.canvas)
    for across, down in ((0.5, 0.5), (0.2, 0.3), (0.8, 0.7)):
        editor.zoom_to_fit()
        # From far all of them are a few lines.
        expect(editor.page.locator("path[data-edge]")).to_have_count(0)
        place = canvas["x"] + across * canvas["width"], canvas["y"] + down * canvas["height"]
        editor.page.mouse.move(*place)
        for _ in range(9):
            editor.page.mouse.wheel(0, -120)
        expect_links(editor, links, 6)
        editor.page.mouse.move(x, y)
        editor.page.mouse.down(button="middle")
        editor.page.mouse.move(x - 300, y + 180, steps=6)
        editor.page.mouse.up(button="middle")
        expect_links(editor, links, 6)

    # From afar all moves as one: a part that the browser puts together by itself, for each card,
    # is what makes it slow.
    editor.zoom_to_fit()
    expect(editor.page.locator("article[data-detail=true]")).to_have_count(0)
    layers: list[int] = []
    browser = editor.page.context.new_cdp_session(editor.page)
    browser.on("LayerTree.layerTreeDidChange", lambda told: layers.append(len(told["layers"])))
    browser.send("DOM.enable")
    browser.send("LayerTree.enable")
    editor.page.mouse.move(x, y)
    editor.page.mouse.down(button="middle")
    editor.page.mouse.move(x + 40, y + 20, steps=4)
    eventually(lambda: editor.page.locator("main[data-moving]").count() == 1 and layers != [])
    layers.clear()
    editor.page.mouse.move(x, y, steps=4)
    eventually(lambda: layers != [])
    editor.page.mouse.up(button="middle")
    assert max(layers) < CHAINS * 2
    browser.detach()


def test_what_comes_into_sight_is_drawn_while_the_view_is_held_and_a_drawing_gets_sharp(
    editor: Editor,
) -> None:
    workflow = chains(CHAINS)
    editor.drop("chains.json", json.dumps(workflow).encode(), "application/json")
    expect(editor.tab).to_have_text("Chains")
    editor.ready()
    editor.zoom_to_fit()
    canvas = editor.page.locator("main[data-canvas]")
    drawing = canvas.locator("[data-far-view] canvas:visible")
    x, y = middle(editor.canvas)
    editor.page.mouse.move(x, y)
    # The picture of all of it is shown larger at first.
    for _ in range(3):
        editor.page.mouse.wheel(0, -100)
    expect(drawing).to_have_attribute("style", re.compile(r"transform: translate\([^)]*\);$"))
    editor.page.keyboard.press("Shift+0")
    expect(drawing).to_have_count(0)
    expect(canvas.locator("article[data-detail=false]")).to_have_count(0)
    editor.page.mouse.down(button="middle")
    editor.page.mouse.move(x - 40, y - 20)
    expect(canvas).to_have_attribute("data-moving", "")
    editor.page.mouse.move(x - 600, y - 350, steps=12)
    expect_links(editor, links_of(workflow), 6)
    # Its lists are lists again, as it rests though it is held.
    expect(canvas).not_to_have_attribute("data-gliding", "")
    expect(canvas).to_have_attribute("data-moving", "")
    editor.page.mouse.up(button="middle")
    expect(canvas).not_to_have_attribute("data-moving", "")
