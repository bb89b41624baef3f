"""Links by mouse and by keyboard: taken along, put through nodes, chosen from far, and deleted."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor, box_of
from tests.editor.graphs import CHAIN, Point, drag, middle, written
from tests.editor.serving import Server
from tests.server.hosting import eventually

pytestmark = pytest.mark.only_edits

PAIR: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Pair",
    "nodes": {
        "picture": {"type": "LoadImage", "inputs": {"path": "apple.png"}},
        "first": {"type": "SaveImage", "inputs": {"image": {"from": "picture.image"}}},
        "second": {"type": "SaveImage"},
        "scale": {"type": "ResizeImage"},
    },
    "ui": {
        "positions": {
            "picture": [0, 0],
            "first": [680, 0],
            "second": [1040, 0],
            "scale": [300, -340],
        }
    },
}
"""Two nodes that take an image, one of them linked, and one that stands on its own.

It stands above them: held at a window's edge, a card would take the view along.
"""
INSIDE: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Inside",
    "subgraphs": {
        "Grey": {
            "inputs": {"latent": {"to": ["decode.latent"]}},
            "outputs": {"image": "decode"},
            "nodes": {
                "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
                "decode": {"type": "VAEDecode", "inputs": {"vae": {"from": "load.vae"}}},
            },
        }
    },
    "nodes": {"grey": {"type": "Grey"}},
}


@pytest.fixture
def pair(tab: Editor) -> Editor:
    return tab.open_link(PAIR)


def taken_by(editor: Editor, node: str) -> dict[str, Any]:
    found: dict[str, Any] = written(editor)["nodes"][node].get("inputs", {})
    return found


def head(editor: Editor, node: str) -> Point:
    """A place that a card is dragged by."""
    box = box_of(editor.card(node))
    return box["x"] + 90, box["y"] + 12


def undo(editor: Editor) -> None:
    editor.page.keyboard.press("ControlOrMeta+z")


def way(editor: Editor, start: str, end: str, share: float = 0.5) -> Point:
    """A place on the way of a link, in the window, once the view stands still."""
    line = editor.link(start, end).locator("path[data-edge]")
    x, y = line.evaluate(
        """async (path, share) => {
            const seen = () => {
                const at = path.getPointAtLength(path.getTotalLength() * share);
                return new DOMPoint(at.x, at.y).matrixTransform(path.getScreenCTM());
            };
            let last = seen();
            for (let still = 0; still < 5; ) {
                // A page at rest may be given no frame any more, unless a timer wakes it.
                await new Promise((done) => {
                    requestAnimationFrame(done);
                    setTimeout(done, 300);
                });
                const now = seen();
                still = now.x === last.x && now.y === last.y ? still + 1 : 0;
                last = now;
            }
            return [last.x, last.y];
        }""",
        share,
    )
    return x, y


def test_one_dragged_from_its_input_is_taken_along(pair: Editor) -> None:
    start = middle(pair.port("first", "takes", "image"))
    drag(pair, start, middle(pair.port("second", "takes", "image")))
    expect(pair.link("picture", "second")).to_have_count(1)
    expect(pair.link("picture", "first")).to_have_count(0)
    assert taken_by(pair, "second")["image"] == {"from": "picture.image"}
    undo(pair)
    expect(pair.link("picture", "first")).to_have_count(1)
    expect(pair.link("picture", "second")).to_have_count(0)

    x, y = middle(pair.port("first", "takes", "image"))
    drag(pair, (x, y), (x - 120, y + 250))
    expect(pair.link("picture", "first")).to_have_count(0)
    expect(pair.page.get_by_role("combobox", name="Search nodes")).to_have_count(0)
    assert "image" not in taken_by(pair, "first")
    undo(pair)
    expect(pair.link("picture", "first")).to_have_count(1)

    # Onto a card whose port fits.
    start = middle(pair.port("first", "takes", "image"))
    drag(pair, start, head(pair, "second"))
    expect(pair.link("picture", "second")).to_have_count(1)
    expect(pair.link("picture", "first")).to_have_count(0)
    undo(pair)
    expect(pair.link("picture", "first")).to_have_count(1)

    # And back without a trace.
    before = written(pair)
    x, y = middle(pair.port("first", "takes", "image"))
    pair.page.mouse.move(x, y)
    pair.page.mouse.down()
    pair.page.mouse.move(x - 80, y + 80, steps=4)
    pair.page.mouse.move(x, y, steps=4)
    pair.page.mouse.up()
    assert written(pair) == before

    # An input without a link begins one.
    start = middle(pair.port("second", "takes", "image"))
    drag(pair, start, middle(pair.port("picture", "outputs", "image")))
    expect(pair.link("picture", "second")).to_have_count(1)
    expect(pair.link("picture", "first")).to_have_count(1)


def test_nodes_dragged_with_alt_leave_the_originals(tab: Editor) -> None:
    editor = tab.open_link({**CHAIN})
    before = written(editor)
    start = head(editor, "decode")
    editor.page.keyboard.down("Alt")
    drag(editor, start, (start[0] + 30, start[1] + 260))
    editor.page.keyboard.up("Alt")
    expect(editor.cards).to_have_count(6)
    for source in ("size", "load"):
        expect(editor.link(source, "decode_2")).to_have_count(1)
    expect(editor.link("decode", "wait")).to_have_count(1)
    after = written(editor)
    assert after["nodes"]["decode_2"] == before["nodes"]["decode"]
    places = after["ui"]["positions"]
    assert places["decode"] == before["ui"]["positions"]["decode"]
    assert places["decode_2"][1] > places["decode"][1] + 200
    undo(editor)
    expect(editor.cards).to_have_count(5)
    assert written(editor) == before

    # Several, with the links among them.
    editor.click_card("wait")
    editor.click_card("save", "ControlOrMeta")
    start = head(editor, "save")
    editor.page.keyboard.down("Alt")
    drag(editor, start, (start[0], start[1] + 300))
    editor.page.keyboard.up("Alt")
    expect(editor.cards).to_have_count(7)
    expect(editor.link("wait_2", "save_2")).to_have_count(1)
    expect(editor.link("decode", "wait_2")).to_have_count(1)
    editor.page.keyboard.press("Delete")
    expect(editor.cards).to_have_count(5)
    expect(editor.link("wait", "save")).to_have_count(1)


def taking(editor: Editor, start: str, end: str) -> Locator:
    """A link that shows that it would take in what is being dragged."""
    return editor.link(start, end).locator("[data-taking]")


def put_in(pair: Editor, across: float = 0.5, down: float = 0.5) -> None:
    """Drop the card that stands above with a part of it on the link."""
    start, end = head(pair, "scale"), way(pair, "picture", "first")
    box = box_of(pair.card("scale"))
    grip = (start[0] - box["x"], start[1] - box["y"])
    to = (end[0] - box["width"] * across + grip[0], end[1] - box["height"] * down + grip[1])
    pair.page.mouse.move(*start)
    pair.page.mouse.down()
    # A card follows from where its drag was first noticed, which a hand does within a few pixels.
    pair.page.mouse.move(start[0], start[1] + 4)
    pair.page.mouse.move(*to, steps=8)
    expect(taking(pair, "picture", "first")).to_have_count(1)
    pair.page.mouse.up()


def test_a_node_that_is_dropped_on_a_link_comes_to_stand_in_between(pair: Editor) -> None:
    put_in(pair)
    expect(pair.link("picture", "scale")).to_have_count(1)
    expect(pair.link("scale", "first")).to_have_count(1)
    expect(pair.link("picture", "first")).to_have_count(0)
    undo(pair)
    expect(pair.link("picture", "first")).to_have_count(1)
    assert written(pair)["ui"]["positions"]["scale"] == PAIR["ui"]["positions"]["scale"]

    # One that only touches the link.
    put_in(pair, 0.95, 0.95)
    expect(pair.link("picture", "scale")).to_have_count(1)
    expect(pair.link("scale", "first")).to_have_count(1)
    undo(pair)

    # One from the palette.
    hold_over_link(pair, "Resize image")
    expect(taking(pair, "picture", "first")).to_have_count(1)
    pair.page.mouse.up()
    expect(pair.link("picture", "resize_image")).to_have_count(1)
    expect(pair.link("resize_image", "first")).to_have_count(1)
    undo(pair)
    expect(pair.card("resize_image")).to_have_count(0)
    expect(pair.link("picture", "first")).to_have_count(1)

    # One that doesn't fit lies beside.
    hold_over_link(pair, "Load model")
    expect(taking(pair, "picture", "first")).to_have_count(0)
    pair.page.mouse.up()
    expect(pair.card("load_model")).to_be_visible()
    expect(pair.link("picture", "first")).to_have_count(1)


def test_what_makes_room_for_one_in_between_stays_seen(
    new_browser: NewBrowser, server: Server
) -> None:
    positions = {**PAIR["ui"]["positions"], "first": [480, 0], "last": [840, 0]}
    nodes = {**PAIR["nodes"], "last": {"type": "EmptyLatent"}}
    del nodes["second"], positions["second"]
    editor = new_browser(server, viewport={"width": 1100, "height": 900})
    editor.open_link({**PAIR, "nodes": nodes, "ui": {"positions": positions}})
    last = editor.card("last")
    expect(last).to_be_in_viewport(ratio=0.99)
    put_in(editor)
    expect(editor.link("scale", "first")).to_have_count(1)
    expect(last).to_be_in_viewport(ratio=0.99)


def hold_over_link(pair: Editor, label: str) -> None:
    """Drag a node from the palette onto the link, without letting go."""
    palette = pair.show("Nodes")
    palette.get_by_role("searchbox").fill(label.lower())
    palette.get_by_role("treeitem", name=re.compile(f"^{label}")).hover()
    pair.page.mouse.down()
    pair.page.mouse.move(*way(pair, "picture", "first", 0.3), steps=4)
    pair.page.mouse.move(*way(pair, "picture", "first"), steps=4)


def test_a_line_drawn_with_ctrl_takes_away_the_links_that_it_crosses(tab: Editor) -> None:
    editor = tab.open_link({**CHAIN})
    before = written(editor)
    box = box_of(editor.card("decode"))
    x, top, bottom = box["x"] - 14, box["y"] - 30, box["y"] + box["height"] + 30
    mouse = editor.page.mouse
    editor.page.keyboard.down("Control")
    mouse.move(x, top)
    mouse.down()
    mouse.move(x, bottom, steps=8)
    expect(editor.canvas.locator("[data-cut-line]")).to_have_count(1)
    expect(editor.canvas.locator("path[data-cut]")).to_have_count(2)
    mouse.up()
    editor.page.keyboard.up("Control")
    expect(editor.canvas.locator("[data-cut-line]")).to_have_count(0)
    for source in ("size", "load"):
        expect(editor.link(source, "decode")).to_have_count(0)
    expect(editor.link("decode", "wait")).to_have_count(1)
    undo(editor)
    assert written(editor) == before

    # It is called off by Escape.
    x, y = way(editor, "wait", "save")
    editor.page.keyboard.down("Control")
    editor.page.mouse.move(x, y - 60)
    editor.page.mouse.down()
    editor.page.mouse.move(x, y + 60, steps=4)
    expect(editor.canvas.locator("path[data-cut]")).to_have_count(1)
    editor.page.keyboard.press("Escape")
    editor.page.mouse.up()
    editor.page.keyboard.up("Control")
    expect(editor.link("wait", "save")).to_have_count(1)


def test_a_link_stays_where_it_fits_no_port_and_is_bridged_with_its_node(tab: Editor) -> None:
    editor = tab.open_link({**CHAIN})
    start = middle(editor.port("save", "takes", "image"))
    drag(editor, start, middle(editor.port("decode", "takes", "latent")))
    expect(editor.notice(re.compile("The link does not fit there"))).to_be_visible()
    expect(editor.link("wait", "save")).to_have_count(1)

    editor.click_card("wait")
    x, y = way(editor, "wait", "save")
    editor.page.keyboard.down("ControlOrMeta")
    editor.page.mouse.click(x, y)
    editor.page.keyboard.up("ControlOrMeta")
    editor.page.keyboard.press("Shift+Delete")
    expect(editor.card("wait")).to_have_count(0)
    expect(editor.link("decode", "save")).to_have_count(1)


WIDTH = 248
"""Of a card, in the canvas' own pixels."""


def scale(editor: Editor) -> float:
    """How large the canvas is drawn, which may come a frame after the percentage is said."""
    return box_of(editor.card("picture"))["width"] / WIDTH


def far(editor: Editor) -> None:
    """Zoom out until nothing can be read."""
    while (before := scale(editor)) > 0.4:
        editor.page.keyboard.press("-")
        eventually(lambda before=before: scale(editor) < 0.85 * before)


def between(editor: Editor) -> Point:
    """The middle of the way from the image's first port to that of the node beside it."""
    start, end = box_of(editor.card("picture")), box_of(editor.card("first"))
    y = start["y"] + 52 * start["width"] / WIDTH
    return (start["x"] + start["width"] + end["x"]) / 2, y


def test_from_far_a_click_selects_one_and_its_menu_is_there(pair: Editor) -> None:
    far(pair)
    pair.page.mouse.click(*between(pair))
    inspector = pair.show("Inspector")
    expect(inspector.get_by_role("heading", name="Link")).to_be_visible()
    pair.page.keyboard.press("Delete")
    expect(inspector.get_by_role("heading", name="Link")).to_have_count(0)
    assert "image" not in taken_by(pair, "first")
    undo(pair)
    pair.command("Inspector")
    expect(inspector).to_have_count(0)
    pair.page.mouse.click(*between(pair), button="right")
    pair.page.get_by_role("menuitem", name="Add a reroute point").click()
    [[x, _]] = written(pair)["ui"]["reroutes"]["first.image"]
    assert WIDTH < x < 680


def test_ones_at_the_ports_of_a_block_are_deleted(tab: Editor) -> None:
    inside = tab.open_link(INSIDE)
    inside.click_card("grey")
    inside.page.keyboard.press("Shift+Enter")
    expect(inside.card("decode")).to_be_visible()
    inside.drawn()
    inside.zoom_to_fit()
    line = inside.link("end/inputs", "decode")
    for key in ("Delete", "Backspace"):
        # Its middle lies behind a card.
        inside.page.mouse.click(*way(inside, "end/inputs", "decode", 0.15))
        inside.page.keyboard.press(key)
        expect(line).to_have_count(0)
        assert not written(inside)["subgraphs"]["Grey"]["inputs"]["latent"].get("to")
        undo(inside)
        expect(line).to_have_count(1)

    inside.page.mouse.click(*way(inside, "decode", "end/outputs"))
    inside.page.keyboard.press("Delete")
    expect(inside.link("decode", "end/outputs")).to_have_count(0)
    assert not written(inside)["subgraphs"]["Grey"].get("outputs")
    undo(inside)
    expect(inside.link("decode", "end/outputs")).to_have_count(1)


def test_one_is_selected_bent_and_deleted_by_keyboard(pair: Editor) -> None:
    pair.click_card("first")
    pair.page.keyboard.press("l")
    ports = pair.dialog("Link from which port?")
    expect(ports.get_by_role("searchbox")).to_be_focused()
    pair.page.keyboard.type("image")
    pair.page.keyboard.press("Enter")
    targets = pair.dialog(re.compile("^Link .+ to …$"))
    expect(targets.get_by_role("searchbox")).to_be_focused()
    pair.page.keyboard.type("select the link")
    pair.page.keyboard.press("Enter")
    expect(targets).to_have_count(0)
    expect(pair.show("Inspector").get_by_role("heading", name="Link")).to_be_visible()
    pair.command("Add a reroute point")
    expect(pair.canvas.locator("[data-id^='reroute/']")).to_have_count(1)
    pair.page.keyboard.press("Delete")
    expect(pair.link("picture", "first")).to_have_count(0)
