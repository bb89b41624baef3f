"""Masks of pictures, painted on the stage of the canvas: exact pixels, its tools and its undo."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.editor.editing import _DROP, Editor, box_of, expect_picture
from tests.editor.graphs import Point, drag, written

SIDE = 96
PICTURE: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Masked",
    "nodes": {
        "picture": {"type": "LoadImage"},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "picture.mask"}}},
    },
}


def colors() -> NDArray[np.uint8]:
    """RGBA of a picture that has a soft mask already, with colors under what is transparent."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    alpha = np.where(x < SIDE / 4, y * 255 // (SIDE - 1), 255)
    return np.stack([x * 2, y * 2, 255 - x, alpha], axis=-1).astype(np.uint8)


@pytest.fixture
def masking(tab: Editor) -> Editor:
    editor = tab.open_link(PICTURE)
    file = io.BytesIO()
    Image.fromarray(colors()).save(file, "PNG")
    card = editor.card("picture")
    field = card.get_by_role("textbox", name="Path")
    field.evaluate(_DROP, ["soft.png", "image/png", base64.b64encode(file.getvalue()).decode()])
    expect_picture(card.get_by_role("img", name="Image soft.png"))
    card.get_by_role("button", name="Paint a mask").click()
    expect(dialog_of(editor).locator("[data-box]")).to_be_visible()
    return editor


def dialog_of(editor: Editor) -> Locator:
    return editor.dialog("Paint a mask")


def at(editor: Editor, x: float, y: float) -> Point:
    """Where a point of the picture is on the screen."""
    box = box_of(dialog_of(editor).locator("[data-box]"))
    return box["x"] + x * box["width"] / SIDE, box["y"] + y * box["height"] / SIDE


def used(editor: Editor) -> NDArray[np.uint8]:
    """RGBA of the file that the card gets."""
    dialog_of(editor).get_by_role("button", name="Use this mask").click()
    expect(dialog_of(editor)).to_have_count(0)
    value = written(editor)["nodes"]["picture"]["inputs"]["path"]
    assert value.endswith("/soft_masked.png")
    digest = re.split("[:/]", value)[1]
    data = editor.server.client.get(f"uploads/{digest}").raise_for_status().content
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def test_a_stroke_masks_what_it_covers_and_nothing_else(masking: Editor) -> None:
    dialog = dialog_of(masking)
    dialog.get_by_label("Hardness").fill("100")
    dialog.get_by_label("Size").fill("20")
    drag(masking, at(masking, 48, 30), at(masking, 48, 66))
    expect(dialog.get_by_role("button", name="Undo")).to_be_enabled()
    after, before = used(masking), colors()
    np.testing.assert_array_equal(after[..., :3], before[..., :3])
    # The distance of each pixel to the line; the last half pixel is neither in nor out.
    x, y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    away = np.hypot(x - 48, y - np.clip(y, 30, 66))
    assert (after[..., 3][away < 9] == 0).all()
    outside = away > 11
    np.testing.assert_array_equal(after[..., 3][outside], before[..., 3][outside])
    edge = after[..., 3][(away > 9.5) & (away < 10.5)]
    assert ((edge > 0) & (edge < 255)).mean() > 0.5


def test_what_is_undone_leaves_every_bit(masking: Editor) -> None:
    keys, dialog = masking.page.keyboard, dialog_of(masking)
    undo = dialog.get_by_role("button", name="Undo")
    drag(masking, at(masking, 10, 10), at(masking, 80, 80))
    expect(undo).to_be_enabled()
    keys.press("i")
    keys.press("Delete")
    expect(dialog.get_by_text("0 % masked", exact=True)).to_be_visible()
    for _ in range(3):
        keys.press("ControlOrMeta+z")
    expect(undo).to_be_disabled()
    np.testing.assert_array_equal(used(masking), colors())


def test_inverting_turns_every_pixel_around(masking: Editor) -> None:
    dialog_of(masking).get_by_role("button", name="Invert", exact=True).click()
    expect(dialog_of(masking).get_by_role("button", name="Undo")).to_be_enabled()
    after, before = used(masking), colors()
    np.testing.assert_array_equal(after[..., 3], 255 - before[..., 3])
    np.testing.assert_array_equal(after[..., :3], before[..., :3])


def test_the_tools_of_the_canvas_select_and_fill_a_mask(masking: Editor) -> None:
    dialog, keys = dialog_of(masking), masking.page.keyboard
    keys.press("m")
    drag(masking, at(masking, 40, 20), at(masking, 80, 50))
    keys.press("f")
    expect(dialog.get_by_role("button", name="Undo")).to_be_enabled()
    # What a mask has no use for stays away, by key too.
    for key in ("v", "c"):
        keys.press(key)
    expect(dialog.get_by_role("button", name="Rectangle")).to_have_attribute("aria-pressed", "true")
    expect(dialog.get_by_role("button", name="Move", exact=True)).to_have_count(0)
    alpha = used(masking)[..., 3]
    assert (alpha[22:48, 42:78] == 0).all()
    assert (alpha[:18, 30:] == 255).all()


def test_a_window_that_gets_another_size_shows_the_whole_picture(masking: Editor) -> None:
    for width, height in ((390, 844), (844, 390)):
        masking.page.set_viewport_size({"width": width, "height": height})
        frame = dialog_of(masking).locator("[data-box]")
        expect(frame).to_be_in_viewport(ratio=1)
        # What always applies is in sight however many settings the tool has.
        for name in ("Invert", "Fit to window"):
            button = dialog_of(masking).get_by_role("button", name=name, exact=True)
            expect(button).to_be_in_viewport(ratio=1)
        expect(dialog_of(masking).get_by_text("% masked")).to_be_in_viewport(ratio=1)
