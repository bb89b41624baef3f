"""Images of other tools open as workflows of their settings, and are made again."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.compat.image_metadata.samples import infotext, png, stealth
from tests.editor.editing import Editor, expect_picture

THEIRS = infotext(
    "a red apple",
    "blurry",
    "Steps: 4, Sampler: Euler a, CFG scale: 4, Seed: 5, Size: 64x64, Model: {model}, Odd: 1, "
    "Version: v1.9.0",
)


def test_an_image_of_another_tool_opens_and_says_what_lacks(editor: Editor, tmp_path: Path) -> None:
    path = tmp_path / "theirs.png"
    png({"parameters": THEIRS.format(model="dreamshaper_8")})(path)
    editor.drop("theirs.png", path.read_bytes(), "image/png")
    dialog = editor.dialog("Imported")
    expect(dialog).to_contain_text("All 7 nodes were converted")
    model = dialog.get_by_role("listitem").filter(has_text="dreamshaper_8")
    expect(model).to_contain_text("goes into the folder “checkpoints”")
    expect(dialog).to_contain_text("Not used: `Odd` (1).")
    dialog.get_by_role("button", name="Go to the workflow").click()
    expect(editor.tab).to_have_text("theirs")
    expect(editor.cards).to_have_count(7)


def test_an_image_with_hidden_settings_is_made_again(editor: Editor, tmp_path: Path) -> None:
    path = tmp_path / "hidden.png"
    stealth(THEIRS.format(model="tiny"))(path)
    editor.drop("hidden.png", path.read_bytes(), "image/png")
    expect(editor.tab).to_have_text("hidden")
    editor.page.get_by_role("button", name="Show differences").last.click()
    expect(editor.dialog("Imported")).to_contain_text("A1111 draws noise on the GPU")
    editor.page.keyboard.press("Escape")
    editor.zoom_to_fit()
    editor.run()
    expect_picture(editor.results("save").first)


def test_an_image_without_settings_becomes_a_node(editor: Editor, tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    png({"Comment": "Created with GIMP"})(path)
    count = editor.cards.count()
    editor.drop("plain.png", path.read_bytes(), "image/png")
    expect(editor.cards).to_have_count(count + 1)
