"""Workflows of ComfyUI open translated, and what lacks is told in a dialog."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import expect

from nodegraph.interop.comfyui.importer import import_document, node_table
from tests.editor.editing import Editor, box_of

pytestmark = pytest.mark.only_edits

PICTURES = Path(__file__).parents[2] / "editor" / "src" / "model" / "fixtures" / "pictures"
DRAWN = {
    "version": 0.4,
    "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"], [3, 4, 0, 2, 1, "VAE"]],
    "nodes": [
        {
            "id": 1,
            "type": "LoadImage",
            "pos": [0, 0],
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
            "widgets_values": ["pear.png", "image"],
        },
        {
            "id": 2,
            "type": "SparkleFilter",
            "title": "Sparkles",
            "pos": [400, 0],
            "inputs": [
                {"name": "image", "type": "IMAGE", "link": 1},
                {"name": "vae", "type": "VAE", "link": 3},
            ],
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [2]}],
            "widgets_values": [0.5, "soft"],
            "properties": {"cnr_id": "glitter-pack"},
        },
        {
            "id": 3,
            "type": "SaveImage",
            "pos": [800, 0],
            "inputs": [{"name": "images", "type": "IMAGE", "link": 2}],
            "widgets_values": ["out"],
        },
        {
            "id": 4,
            "type": "VAELoader",
            "pos": [0, 400],
            "outputs": [{"name": "VAE", "type": "VAE", "links": [3]}],
            "widgets_values": ["clear.safetensors"],
            "properties": {
                "models": [
                    {
                        "name": "clear.safetensors",
                        "url": "https://example.com/clear.safetensors",
                        "directory": "vae",
                    }
                ]
            },
        },
    ],
}


def test_a_drawing_opens_with_placeholders_and_says_what_lacks(editor: Editor) -> None:
    editor.drop("glitter.json", json.dumps(DRAWN).encode(), "application/json")
    dialog = editor.dialog("Imported")
    expect(dialog).to_contain_text("3 of 4 nodes were converted")
    row = dialog.get_by_role("listitem").filter(has_text="SparkleFilter")
    expect(row).to_contain_text("glitter-pack")
    model = dialog.get_by_role("listitem").filter(has_text="clear.safetensors")
    expect(model).to_contain_text("goes into the folder “vae”")
    expect(model.get_by_role("link", name="Download")).to_have_attribute(
        "href", "https://example.com/clear.safetensors"
    )
    row.get_by_role("button", name="Show “sparkles”").click()
    expect(dialog).to_have_count(0)
    card = editor.canvas.get_by_role("group", name="Sparkles, ComfyUI")
    expect(card).to_be_focused()
    expect(card).to_contain_text("The ComfyUI node “SparkleFilter” could not be converted")
    expect(editor.tab).to_have_text("glitter")
    # Its placeholders aren't taken for nodes of a pack that could be installed.
    expect(editor.page.get_by_role("dialog")).to_have_count(0)

    # What cannot be read says why, and opens nothing.
    document = {**DRAWN, "version": 7}
    before = editor.tab.inner_text()
    with editor.watch.allowing("status of 4"):
        editor.drop("odd.json", json.dumps(document).encode(), "application/json")
        expect(editor.page.get_by_text("Could not open “odd.json”")).to_be_visible()
    expect(editor.page.get_by_text("`version` is not supported")).to_be_visible()
    expect(editor.tab).to_have_text(before)


def test_the_dialog_opens_files_pictures_and_videos(editor: Editor, tmp_path: Path) -> None:
    drawing = tmp_path / "glitter.json"
    drawing.write_text(json.dumps(DRAWN), "utf-8")
    # Without it the page asks for the file in a way that a browser without a window shows nobody.
    editor.page.evaluate("delete window.showOpenFilePicker")
    with editor.page.expect_file_chooser() as asked:
        editor.menu("File", "Open file or image…")
    assert asked.value.is_multiple()
    asked.value.set_files([PICTURES / "comfyui.webp", PICTURES / "comfyui.mp4", drawing])
    dialog = editor.dialog("Imported")
    report = dialog.get_by_role("region", name="glitter.json")
    expect(report).to_contain_text("3 of 4 nodes were converted")
    row = report.get_by_role("listitem").filter(has_text="SparkleFilter")
    expect(row).to_contain_text("glitter-pack")
    for name in ("comfyui.webp", "comfyui.mp4"):
        other = dialog.get_by_role("region", name=name)
        expect(other).to_contain_text("Its one node was converted")
    dialog.get_by_role("button", name="Go to the workflows").click()
    # Each has a tab of its own, and the last one is shown.
    expect(editor.tab).to_have_text("glitter")
    expect(editor.cards).to_have_count(4)
    expect(editor.page.get_by_role("tab", name="comfyui")).to_have_count(2)
    # What lacks nothing opens without a word.
    count = editor.tabs.count()
    editor.drop("comfyui.webp", (PICTURES / "comfyui.webp").read_bytes(), "image/webp")
    expect(editor.tabs).to_have_count(count + 1)
    expect(editor.tab).to_have_text("comfyui")
    expect(editor.cards).to_have_count(1)


CLOSE = {
    "version": 0.4,
    "links": [[1, 1, 1, 2, 0, "CLIP"], [2, 1, 1, 3, 0, "CLIP"]],
    "nodes": [
        {
            "id": 1,
            "type": "CheckpointLoaderSimple",
            "pos": [0, 0],
            "size": [315, 98],
            "outputs": [
                {"name": "MODEL", "type": "MODEL", "links": []},
                {"name": "CLIP", "type": "CLIP", "links": [1, 2]},
                {"name": "VAE", "type": "VAE", "links": []},
            ],
            "widgets_values": ["nowhere.safetensors"],
        },
        *(
            {
                "id": number,
                "type": "CLIPTextEncode",
                "pos": [20 * number, 150 * (number - 1)],
                "size": [300, 90],
                "inputs": [{"name": "clip", "type": "CLIP", "link": number - 1}],
                "outputs": [{"name": "CONDITIONING", "type": "CONDITIONING", "links": []}],
                "widgets_values": [text],
            }
            for number, text in ((2, "a red apple"), (3, "blurry"))
        ),
    ],
}


@pytest.mark.parametrize("by", ["editor", "command"])
def test_cards_stay_clear_of_each_other_when_one_says_what_lacks(editor: Editor, by: str) -> None:
    translated = import_document(CLOSE, node_table()).workflow.to_json()
    text = json.dumps(CLOSE) if by == "editor" else translated
    editor.drop("close.json", text.encode(), "application/json")
    dialog = editor.page.get_by_role("dialog")
    expect(dialog).to_contain_text("nowhere.safetensors")
    editor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(editor.cards).to_have_count(3)
    expect(editor.cards.filter(has_text="nowhere.safetensors")).to_contain_text("There is no model")
    boxes = sorted((box_of(card) for card in editor.cards.all()), key=lambda box: box["y"])
    for above, below in pairwise(boxes):
        assert above["y"] + above["height"] <= below["y"]
