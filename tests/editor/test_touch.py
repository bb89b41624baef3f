"""Fingers on a phone and a tablet, and two of them on a trackpad."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import CDPSession, Locator, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import PLANNED, Editor, box_of, expect_picture
from tests.editor.gates import prompted, text_to_image
from tests.editor.graphs import CHAIN, Point, middle, search, written
from tests.editor.painting import Painter, typed
from tests.editor.serving import Server
from tests.server.hosting import eventually

PHONE = {"width": 390, "height": 844}
TABLET = {"width": 820, "height": 1180}
LEAST = 24
"""Pixels that a target has at least in each direction."""

_SMALL = """(least) => [...document.querySelectorAll(
    "button, a[href], input, select, textarea, [role=tab], [role=slider]"
)].filter((each) => each.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .filter((each) => !each.closest("label, [inert]"))
    .map((each) => [each.ariaLabel ?? each.textContent, each.getBoundingClientRect()])
    .filter(([_, box]) => box.width > 1 && Math.min(box.width, box.height) < least - 0.5)
    .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)"""


class Fingers:
    """Fingers on a page."""

    def __init__(self, editor: Editor) -> None:
        self._page = editor.page
        self._session: CDPSession = editor.page.context.new_cdp_session(editor.page)

    def _send(self, kind: str, places: tuple[Point, ...] = (), **more: float) -> None:
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
        self._session.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points, **more}
        )

    @contextmanager
    def down(self, *places: Point) -> Iterator[None]:
        """Fingers that rest there."""
        self._send("touchStart", places)
        yield
        self._send("touchEnd")

    def drag(self, *ways: tuple[Point, Point], steps: int = 6) -> None:
        """Put fingers down, move them all, and lift them."""
        with self.down(*(start for start, _ in ways)):
            for step in range(1, steps + 1):
                self._send("touchMove", tuple(_between(way, step / steps) for way in ways))

    def pen(self, way: tuple[Point, Point], *, pressure: float = 0.7, steps: int = 6) -> None:
        """Draw a line with a pen."""
        for step in range(steps + 1):
            kind = "mouseMoved" if step else "mousePressed"
            self._pen(kind, _between(way, step / steps), pressure)
        self._pen("mouseReleased", way[1], pressure)

    def _pen(self, kind: str, at: Point, pressure: float) -> None:
        self._session.send(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": at[0], "y": at[1], "button": "left", "buttons": 1}
            | {"clickCount": 1, "pointerType": "pen", "force": pressure},
        )

    def tap(self, place: Point) -> None:
        # Down and up in one: a finger that is down until the page has answered may be resting.
        self._page.touchscreen.tap(*place)

    def double_tap(self, place: Point) -> None:
        # By the clock of a quick hand, as slow as the machine may be.
        start = time.time()
        for at in (start, start + 0.1):
            self._send("touchStart", (place,), timestamp=at)
            self._send("touchEnd", timestamp=at + 0.02)


def _between(way: tuple[Point, Point], share: float) -> Point:
    (x, y), (to_x, to_y) = way
    return x + share * (to_x - x), y + share * (to_y - y)


def head(editor: Editor, node: str) -> Point:
    """A place on a node's head where nothing else is."""
    box = box_of(editor.card(node))
    return box["x"] + box["width"] / 2, box["y"] + 12


def empty(editor: Editor) -> Point:
    """A place of the canvas where nothing is."""
    box = box_of(editor.canvas)
    return box["x"] + 90, box["y"] + 100


def zoom(editor: Editor) -> int:
    """Percent."""
    text = editor.page.get_by_role("button", name=re.compile("^Zoom: ")).inner_text()
    return int(text.removesuffix(" %"))


def opened(begin_tab: Callable[..., Editor], screen: dict[str, int]) -> Editor:
    """The editor with the starter graph on a screen without a mouse."""
    editor = begin_tab(viewport=screen, has_touch=True, is_mobile=True)
    return editor.open_link(text_to_image(), whole=False)


@pytest.fixture
def tablet(begin_tab: Callable[..., Editor]) -> Editor:
    return opened(begin_tab, TABLET)


@pytest.fixture
def phone(begin_tab: Callable[..., Editor]) -> Editor:
    return opened(begin_tab, PHONE)


@pytest.fixture
def fingers(tablet: Editor) -> Fingers:
    return Fingers(tablet)


def test_fingers_move_the_view_zoom_select_and_drag(tablet: Editor, fingers: Fingers) -> None:
    x, y = head(tablet, "load")
    start = empty(tablet)
    fingers.drag((start, (start[0] + 60, start[1] + 110)))
    expect_at(tablet, "load", (x + 60, y + 110))
    before = zoom(tablet)
    x, y = empty(tablet)
    fingers.drag(((x - 60, y), (x - 20, y)), ((x + 60, y), (x + 20, y)))
    eventually(lambda: zoom(tablet) < before / 2)
    fingers.drag(((x - 20, y), (x - 60, y)), ((x + 20, y), (x + 60, y)))
    eventually(lambda: zoom(tablet) == pytest.approx(before, abs=3))

    x, y = head(tablet, "load")
    fingers.drag(((x, y), (x + 40, y - 120)), steps=40)
    # how far a finger goes before it counts as moving is the browser's affair
    expect_at(tablet, "load", (x + 40, y - 120), off=30)
    tablet.page.keyboard.press("ControlOrMeta+z")
    expect_at(tablet, "load", (x, y))

    fingers.tap(head(tablet, "load"))
    tablet.page.get_by_role("button", name="Show the inspector").tap()
    label = tablet.panel("Inspector").get_by_role("textbox", name="Label")
    expect(label).to_be_visible()
    fingers.tap(empty(tablet))
    expect(label).to_have_count(0)


def test_fingers_open_menus_look_for_nodes_and_draw_links(tablet: Editor, fingers: Fingers) -> None:
    item = tablet.page.get_by_role("menuitemcheckbox", name=re.compile("^Bypass"))
    with fingers.down(head(tablet, "load")):
        expect(item).to_be_visible()
    expect(item).to_be_visible()
    item.tap()
    expect(tablet.state("load", "Bypassed")).to_be_visible()
    with fingers.down(empty(tablet)):
        expect(tablet.page.get_by_role("menuitem", name=re.compile("^Add a node"))).to_be_visible()
    tablet.page.keyboard.press("Escape")
    # It presses no button.
    fold = tablet.card("load").get_by_role("button", name="Collapse")
    with fingers.down(middle(fold)):
        expect(tablet.page.get_by_role("menu")).to_be_visible()
    expect(tablet.field("load", "Model")).to_be_visible()
    tablet.page.keyboard.press("Escape")

    fingers.double_tap(empty(tablet))
    search(tablet).fill("save image")
    options = tablet.page.get_by_role("listbox", name="Node types").get_by_role("option")
    options.filter(has_text="Save image").first.tap()
    expect(tablet.card("save_image")).to_be_visible()

    given = {
        **CHAIN,
        "ui": {"positions": {"size": [0, 0], "load": [0, 240], "decode": [320, 120]}},
    }
    given["nodes"] = {name: CHAIN["nodes"][name] for name in ("size", "load", "decode")}
    given["nodes"]["decode"] = {"type": "VAEDecode"}
    tablet.open_workflow(given)
    ends = [
        middle(tablet.port("load", "outputs", "vae")),
        middle(tablet.port("decode", "takes", "vae")),
    ]
    # a finger is not as exact as a mouse
    (x, y), (to_x, to_y) = ends
    fingers.drag(((x + 12, y + 2), (to_x - 10, to_y + 4)))
    expect(tablet.link("load", "decode")).to_have_count(1)


def test_two_fingers_on_cards_move_and_zoom_the_view_and_drag_nothing(
    tablet: Editor, fingers: Fingers
) -> None:
    before = zoom(tablet)
    (x, y), (x2, y2) = head(tablet, "load"), head(tablet, "positive")
    fingers.drag(((x, y), (x + 50, y + 60)), ((x2, y2), (x2 + 50, y2 + 60)))
    expect_at(tablet, "load", (x + 50, y + 60), off=4)
    expect_at(tablet, "positive", (x2 + 50, y2 + 60), off=4)
    middle_x, middle_y = (x + x2) / 2, (y + y2) / 2
    (x, y), (x2, y2) = head(tablet, "load"), head(tablet, "positive")
    fingers.drag(((x, y), _between(((x, y), (middle_x, middle_y)), 0.5)), ((x2, y2), (x2, y2)))
    eventually(lambda: zoom(tablet) < before)
    # Nothing was done to the graph.
    tablet.show("History")
    options = tablet.panel("History").get_by_role("option")
    expect(options.first).to_be_visible()
    assert len(options.all_inner_texts()) == 1, options.all_inner_texts()


def test_taps_with_two_and_three_fingers_undo_and_redo(tablet: Editor, fingers: Fingers) -> None:
    tablet.fill("positive", "Text", "a medlar")
    text = tablet.field("positive", "Text")
    at, card = empty(tablet), head(tablet, "positive")
    with fingers.down(at, card):
        pass
    expect(text).to_have_value("a red apple on a white background")
    with fingers.down(at, (at[0] + 60, at[1]), card):
        pass
    expect(text).to_have_value("a medlar")


def test_a_finger_that_rests_on_a_link_opens_its_menu(tablet: Editor, fingers: Fingers) -> None:
    line = tablet.link("load", "sample").locator("path").first
    at = line.evaluate(
        """(path) => {
            const half = path.getPointAtLength(path.getTotalLength() / 2);
            const { x, y } = half.matrixTransform(path.getScreenCTM());
            return [x, y];
        }"""
    )
    with fingers.down(tuple(at)):
        expect(tablet.page.get_by_role("menuitem", name="Remove the link")).to_be_visible()


@pytest.fixture
def painter(begin_tab: Callable[..., Editor]) -> Painter:
    """An empty canvas on a screen that knows fingers."""
    editor = begin_tab(has_touch=True).open_link(prompted("a brass kettle", name="kettle"))
    found = Painter(editor)
    found.open()
    found.start(256, 256)
    found.add("Empty layer")
    return found


def test_fingers_paint_pinch_undo_and_redo(painter: Painter) -> None:
    fingers = Fingers(painter.editor)
    frame, (x, y) = painter.editor.page.locator("[data-box]"), middle(painter.stage)
    width = box_of(frame)["width"]
    fingers.drag(((x - 40, y), (x - 90, y)), ((x + 40, y), (x + 90, y)))
    eventually(lambda: box_of(frame)["width"] > 1.8 * width)
    left = box_of(frame)["x"]
    fingers.drag(((x - 40, y), (x, y)), ((x + 40, y), (x + 80, y)))
    eventually(lambda: abs(box_of(frame)["x"] - left - 40) < 3)
    before = written(painter.editor)["nodes"]
    fingers.drag(((x - 20, y), (x + 20, y + 20)))
    eventually(lambda: written(painter.editor)["nodes"] != before)
    painted = written(painter.editor)["nodes"]
    # The first finger of a tap with two leaves nothing behind.
    with fingers.down((x, y), (x + 60, y)):
        pass
    expect(painter.button("Redo")).to_be_enabled()
    assert written(painter.editor)["nodes"] == before
    with fingers.down((x, y), (x + 60, y), (x - 60, y)):
        pass
    expect(painter.button("Redo")).to_be_disabled()
    assert written(painter.editor)["nodes"] == painted


def test_a_pen_draws_and_from_then_on_a_finger_moves_the_view(painter: Painter) -> None:
    fingers = Fingers(painter.editor)
    frame, (x, y) = painter.editor.page.locator("[data-box]"), middle(painter.stage)
    before = written(painter.editor)["nodes"]
    fingers.pen(((x - 20, y), (x + 20, y + 20)))
    eventually(lambda: written(painter.editor)["nodes"] != before)
    drawn = written(painter.editor)["nodes"]
    left = box_of(frame)["x"]
    fingers.drag(((x, y), (x + 50, y)))
    eventually(lambda: abs(box_of(frame)["x"] - left - 50) < 3)
    assert written(painter.editor)["nodes"] == drawn


def test_the_pressure_of_a_pen_is_the_opacity_of_its_stroke(painter: Painter) -> None:
    fingers, (x, y) = Fingers(painter.editor), middle(painter.stage)
    line = (x - 20, y), (x + 20, y)
    by = painter.editor.page.get_by_label("Pressure of the pen")
    by.select_option("Pressure: opacity")
    fingers.pen(line, pressure=0.25)
    eventually(lambda: opacity(painter.editor) == pytest.approx(0.25, abs=0.01))
    by.select_option("Pressure: none")
    fingers.pen(line, pressure=0.25)
    eventually(lambda: opacity(painter.editor) == 1)


def opacity(editor: Editor) -> float:
    """Of the most opaque pixel of the only layer; 0 until its picture is on the server."""
    [picture] = typed(editor, "LoadImage")
    digest = re.split("[:/]", picture["inputs"]["path"])[1]
    answer = editor.server.client.get(f"uploads/{digest}")
    if answer.status_code == 404:
        return 0
    alpha = np.asarray(Image.open(BytesIO(answer.content)).convert("RGBA"))[..., 3]
    return float(alpha.max()) / 255


def test_a_newcomer_with_a_phone_skips_the_tour(new_browser: NewBrowser, server: Server) -> None:
    phone = new_browser(server, viewport=PHONE, has_touch=True, is_mobile=True)
    phone.page.goto("/")
    phone.dialog(re.compile("")).get_by_role("button", name="Skip").tap()
    expect(phone.status.get_by_text(PLANNED)).to_be_visible()
    phone.drawn()


def test_a_phone_shows_the_beginning_one_panel_at_a_time_and_a_form_that_runs(
    phone: Editor,
) -> None:
    assert zoom(phone) == 100
    box = box_of(phone.card("load"))
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    phone.page.get_by_role("button", name="Show the inspector").tap()
    expect(phone.panel("Inspector")).to_be_visible()
    phone.panel("Inspector").get_by_role("button", name="Close panel").tap()
    rail = phone.page.get_by_role("navigation", name="Panels")
    rail.get_by_role("button", name="Nodes").tap()
    expect(phone.panel("Nodes")).to_be_visible()
    expect(phone.panel("Inspector")).to_have_count(0)
    phone.page.touchscreen.tap(200, 70)
    expect(phone.panel("Nodes")).to_have_count(0)

    phone.top.get_by_role("button", name="Parameter form").tap()
    form = phone.page.get_by_role("region", name="Parameters")
    form.get_by_label("Steps").last.fill("2")
    phone.page.get_by_role("button", name="Run", exact=True).last.tap()
    expect_picture(phone.page.get_by_role("region", name="Outputs").locator("img"))


@pytest.mark.parametrize("screen", [PHONE, TABLET], ids=["phone", "tablet"])
def test_everything_can_be_hit_and_nothing_sticks_out(
    begin_tab: Callable[..., Editor], server: Server, screen: dict[str, int]
) -> None:
    server.outputs(server.submit(prompted("a brass kettle", name="kettle")))
    editor = opened(begin_tab, screen)
    found: dict[str, Any] = {"the graph": editor.page.evaluate(_SMALL, LEAST)}
    for panel in ("Nodes panel", "History panel", "Inspector", "Parameters", "Results", "Queue"):
        editor.command(panel)
        if panel == "Results":
            expect_picture(editor.panel(panel).locator("img").first)
        found[panel] = editor.page.evaluate(_SMALL, LEAST)
    assert {place: small for place, small in found.items() if small} == {}
    assert editor.page.evaluate("document.documentElement.scrollWidth") == screen["width"]


def test_a_trackpad_pinches_scrolls_long_texts_and_moves_the_view(editor: Editor) -> None:
    place = head(editor, "sample")
    before = zoom(editor)
    editor.page.mouse.move(*place)
    editor.page.keyboard.down("Control")
    editor.page.mouse.wheel(0, 60)
    editor.page.keyboard.up("Control")
    expect(editor.page.get_by_role("button", name=f"Zoom: {before} %")).to_have_count(0)
    share = zoom(editor) / before
    # The cards may be drawn there a frame after the percentage is said.
    expect_at(editor, "sample", place, down=12 * share)

    editor.fill("positive", "Text", "\n".join(map(str, range(40))))
    field = editor.field("positive", "Text")
    before = zoom(editor)
    editor.page.mouse.move(*middle(field))
    editor.page.mouse.wheel(0, 120)
    expect_scrolled(field)
    assert zoom(editor) == before

    editor.command("Settings")
    dialog = editor.dialog("Settings")
    dialog.get_by_role("tab", name="Canvas").click()
    dialog.get_by_label("Wheel or two fingers").select_option(label="Pan")
    editor.page.keyboard.press("Escape")
    x, y = head(editor, "load")
    editor.page.mouse.move(*empty(editor))
    editor.page.mouse.wheel(-40, 70)
    expect_at(editor, "load", (x + 40, y - 70))
    before = zoom(editor)
    editor.page.keyboard.down("Control")
    editor.page.mouse.wheel(0, -60)
    editor.page.keyboard.up("Control")
    expect(editor.page.get_by_role("button", name=f"Zoom: {before} %")).to_have_count(0)
    assert zoom(editor) > before


def expect_at(editor: Editor, node: str, place: Point, off: float = 2, down: float = 12) -> None:
    """Wait until a node's head is there, but for some pixels.

    Args:
        down: How far below its upper edge.
    """
    editor.page.wait_for_function(
        """([node, x, y, off, down]) => {
            const box = document.querySelector(`.react-flow__node[data-id="${node}"]`)
                .getBoundingClientRect();
            return Math.hypot(box.x + box.width / 2 - x, box.y + down - y) < off;
        }""",
        arg=[node, *place, off, down],
    )


def expect_scrolled(field: Locator) -> None:
    """Wait until a field shows another part of its text."""
    expect(field).not_to_have_js_property("scrollTop", 0)
