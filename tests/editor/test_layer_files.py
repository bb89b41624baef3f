"""Files of layers on the canvas: saved, opened again, and what cannot be kept of them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.editor.painting import Painter, typed
from tests.server.hosting import eventually


def scene() -> bytes:
    """A Photoshop file with a group, a hidden layer, and two parts that layers do not have."""
    psd_tools = pytest.importorskip("psd_tools")
    from psd_tools.constants import BlendMode, Tag

    document = psd_tools.PSDImage.new("RGBA", (60, 40))

    def add(name: str, side: int, **more: Any) -> Any:
        image = Image.new("RGBA", (side, side), (200, 120, 30, 255))
        return document.create_pixel_layer(image, name=name, **more)

    sun = add("Sun", 9, left=20, top=10, blend_mode=BlendMode.SCREEN, opacity=102)
    document.create_group([sun], name="Sky", blend_mode=BlendMode.NORMAL)
    add("Note", 5).visible = False
    add("Burn", 7, left=1, blend_mode=BlendMode.LINEAR_BURN)
    inverted = add("Curves 1", 1)
    inverted.tagged_blocks.set_data(Tag.INVERT)
    inverted._record.right = inverted._record.bottom = 0
    buffer = BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_a_photoshop_file_is_opened_as_layers_and_what_it_loses_is_named(
    painter: Painter,
) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.stage.focus()
    editor.page.keyboard.press("c")
    editor.page.keyboard.press("ArrowRight")
    eventually(lambda: typed(editor, "BoundingBox")[0]["inputs"].get("x", 0) > 0)
    corner = typed(editor, "BoundingBox")[0]["inputs"]["x"]
    content = scene()
    painter.open_file("scene.psd", content)
    expect(painter.rows_of("Sky")).to_be_visible()
    assert painter.names() == ["Burn", "Note", "Sky", "Sun"]
    sun, note, burn = (node["inputs"] for node in typed(editor, "AddLayer"))
    assert (sun["x"], sun["y"], sun["width"], sun["height"]) == (corner + 20, 10, 9, 9)
    assert (sun["opacity"], sun["mode"]) == (0.4, "screen")
    assert (note["visible"], burn["mode"]) == (False, "normal")
    notices = editor.page.get_by_role("region", name="Notices")
    expect(notices).to_contain_text("scene.psd is open. Not everything could be kept")
    expect(notices).to_contain_text("'Burn' has the blend mode linear burn")
    expect(notices).to_contain_text("'Curves 1' has no pixels of its own (invert)")
    # Nothing of the conversion stays, and one step takes all of the layers back.
    eventually(lambda: editor.server.jobs() == [])
    painter.button("Undo").click()
    eventually(lambda: painter.names() == [])
    # In colors that are not read, or no such file at all.
    painter.open_file("print.psd", content[:24] + b"\0\4" + content[26:])
    expect(notices).to_contain_text("print.psd could not be opened")
    expect(notices).to_contain_text("The colors of print.psd are not read")
    painter.open_file("text.psd", b"Not a picture at all.")
    expect(notices).to_contain_text("text.psd could not be opened")
    assert painter.names() == []


def test_a_saved_file_is_opened_again_as_layers(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    for name, end in (("Sea", (0.6, 0.6)), ("Sky", (0.6, 0.4))):
        painter.add("Empty layer")
        painter.stroke((0.4, 0.5), end)
        painter.rename(painter.rows().first, name)
    before = [node["inputs"] for node in typed(editor, "AddLayer")]
    painter.button("More for layers").click()
    editor.page.get_by_role("menuitem", name="Save as OpenRaster (.ora)").click()
    with editor.page.expect_download() as download:
        editor.page.get_by_role("button", name="Download", exact=True).click()
    painter.open_file("again.ora", download.value.path().read_bytes())
    expect(painter.rows_of("Sky")).to_have_count(2)
    assert painter.names() == ["Sky", "Sea", "Sky", "Sea"]
    after = [node["inputs"] for node in typed(editor, "AddLayer")][2:]
    sides = ("x", "y", "width", "height")
    assert [[one[key] for key in sides] for one in after] == [
        [one[key] for key in sides] for one in before
    ]
