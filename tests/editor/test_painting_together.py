"""Two windows that paint on one canvas: no stroke is lost without a word, and both see the same."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from playwright.sync_api import expect

from tests.editor.conftest import NewBrowser
from tests.editor.gates import prompted
from tests.editor.painting import Painter, nodes, typed
from tests.editor.serving import Server
from tests.editor.watching import UNREACHED
from tests.server.hosting import eventually

COLORS = ("#cc0000", "#0000cc")
HEIGHTS = ((0.4, 0.45), (0.5, 0.55), (0.6, 0.65))
"""Of the strokes of both windows, in parts of the stage's size."""


def two(new_browser: NewBrowser, server: Server, name: str) -> tuple[Painter, Painter]:
    """Windows with the same workflow, each with a thin brush on its only layer.

    Args:
        name: Of the workflow, whose draft outlives a test.
    """
    workflow = {**prompted("a brass kettle", name="kettle"), "title": "Together"}
    server.client.put(f"workflows/{name}", json=workflow).raise_for_status()
    mine, theirs = Painter(new_browser(server)), Painter(new_browser(server))
    for painter in (mine, theirs):
        editor = painter.editor
        editor.open()
        editor.page.keyboard.press("ControlOrMeta+o")
        dialog = editor.dialog("Open a workflow")
        dialog.get_by_role("button", name=name).first.click()
        expect(dialog).to_have_count(0)
        editor.drawn()
    mine.open()
    mine.start(64, 64)
    mine.add("Empty layer")
    theirs.open()
    for painter, color in zip((mine, theirs), COLORS, strict=True):
        expect(painter.rows_of("Layer")).to_have_count(1)
        painter.rows_of("Layer").click()
        painter.button("Brush").click()
        painter.editor.page.get_by_label("Color", exact=True).fill(color)
        painter.editor.page.get_by_label("Size", exact=True).fill("3")
    return mine, theirs


def begin_stroke(painter: Painter, height: float) -> None:
    x, y, width = across(painter, height)
    mouse = painter.editor.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + width, y, steps=4)


def across(painter: Painter, height: float) -> tuple[float, float, float]:
    box = painter.stage.bounding_box()
    assert box is not None
    return box["x"] + 0.42 * box["width"], box["y"] + height * box["height"], 0.16 * box["width"]


def rows_painted(painter: Painter) -> int:
    """Strokes across the middle of the layer's picture, by their colors: red counts 1, blue 10."""
    [path] = {node["inputs"]["path"] for node in typed(painter.editor, "LoadImage")}
    digest = path.removeprefix("upload:").partition("/")[0]
    answer = painter.editor.server.client.get(f"uploads/{digest}")
    if answer.status_code != 200:  # it is on its way
        return -1
    with Image.open(BytesIO(answer.content)) as opened:
        picture = opened.convert("RGBA")
    found, before = 0, 0
    for y in range(picture.height):
        red, _, blue, alpha = picture.getpixel((picture.width // 2, y))
        now = 0 if alpha < 200 else 1 if red > blue else 10
        found += now if now != before else 0
        before = now
    return found


def settled(mine: Painter, theirs: Painter, rows: int) -> None:
    def is_so() -> bool:
        if nodes(mine.editor) != nodes(theirs.editor):
            return False
        return rows_painted(mine) == rows

    eventually(is_so)


def test_strokes_of_two_windows_at_once_all_stay(new_browser: NewBrowser, server: Server) -> None:
    mine, theirs = two(new_browser, server, "at once")
    for count, heights in enumerate(HEIGHTS, 1):
        for painter, height in zip((mine, theirs), heights, strict=True):
            begin_stroke(painter, height)
        for painter in (mine, theirs):
            painter.editor.page.mouse.up()
        settled(mine, theirs, 11 * count)


def test_a_window_that_was_away_draws_its_strokes_on_what_the_other_has_painted(
    new_browser: NewBrowser, server: Server
) -> None:
    mine, theirs = two(new_browser, server, "away")
    with mine.editor.watch.allowing(*UNREACHED):
        mine.editor.page.context.set_offline(True)
        for height in (0.4, 0.5):
            mine.stroke((0.42, height), (0.58, height))
        for height in (0.45, 0.55):
            theirs.stroke((0.42, height), (0.58, height))
        eventually(lambda: rows_painted(theirs) == 20)
        mine.editor.page.context.set_offline(False)
        settled(mine, theirs, 22)
    # One after the other, and those of the other window stay.
    for rows in (21, 20):
        mine.editor.page.keyboard.press("ControlOrMeta+z")
        settled(mine, theirs, rows)


def test_who_paints_on_a_layer_that_another_window_deletes_hears_of_it(
    new_browser: NewBrowser, server: Server
) -> None:
    mine, theirs = two(new_browser, server, "deleted")
    theirs.add("Empty layer")
    expect(mine.rows_of("Layer")).to_have_count(1)
    mine.rows_of("Layer").click()
    with mine.editor.watch.allowing(*UNREACHED):
        mine.editor.page.context.set_offline(True)
        mine.stroke((0.42, 0.5), (0.58, 0.5))
        theirs.rows_of("Layer").click()
        theirs.button("Delete layer").click()
        expect(theirs.rows_of("Layer")).to_have_count(0)
        mine.editor.page.context.set_offline(False)
        lost = "“Layer” was deleted elsewhere, with your last strokes"
        expect(mine.editor.notice(lost)).to_be_visible()
    eventually(lambda: nodes(mine.editor) == nodes(theirs.editor))


def test_a_stroke_on_a_layer_that_is_deleted_meanwhile_says_so(
    new_browser: NewBrowser, server: Server
) -> None:
    mine, theirs = two(new_browser, server, "deleted meanwhile")
    theirs.add("Empty layer")
    expect(mine.rows_of("Layer")).to_have_count(1)
    mine.rows_of("Layer").click()
    begin_stroke(mine, 0.5)
    theirs.rows_of("Layer").click()
    theirs.button("Delete layer").click()
    expect(mine.rows_of("Layer")).to_have_count(0)
    mine.editor.page.mouse.up()
    expect(mine.editor.page.get_by_text("This layer was deleted.")).to_be_visible()
    eventually(lambda: nodes(mine.editor) == nodes(theirs.editor))


def test_strokes_while_the_server_is_dead_all_stay(new_browser: NewBrowser, server: Server) -> None:
    mine, theirs = two(new_browser, server, "dead server")
    with mine.editor.watch.allowing(*UNREACHED), theirs.editor.watch.allowing(*UNREACHED):
        server.kill()
        mine.stroke((0.42, 0.4), (0.58, 0.4))
        theirs.stroke((0.42, 0.45), (0.58, 0.45))
        mine.stroke((0.42, 0.5), (0.58, 0.5))
        server.start()
        settled(mine, theirs, 12)


def test_undo_takes_back_a_stroke_that_another_window_has_painted_on(
    new_browser: NewBrowser, server: Server
) -> None:
    mine, theirs = two(new_browser, server, "undo under")
    mine.stroke((0.42, 0.4), (0.58, 0.4))
    settled(mine, theirs, 1)
    theirs.stroke((0.42, 0.5), (0.58, 0.5))
    settled(mine, theirs, 11)
    steps = (
        (mine, "ControlOrMeta+z", 10),
        (mine, "ControlOrMeta+Shift+z", 11),
        (mine, "ControlOrMeta+z", 10),
        (theirs, "ControlOrMeta+z", 0),
        (mine, "ControlOrMeta+Shift+z", 1),
        (theirs, "ControlOrMeta+Shift+z", 11),
    )
    for painter, keys, rows in steps:
        painter.editor.page.keyboard.press(keys)
        settled(mine, theirs, rows)
