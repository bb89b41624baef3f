"""Fields of nodes whose use needs a real page: dragged, painted on, filled by the server."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, expect
from safetensors import safe_open
from safetensors.torch import save_file

from nodegraph.families.embedded_models import embedded_folder
from tests.editor.editing import _DROP, Editor, expect_picture
from tests.editor.gates import TEMPLATES, prompted, text_to_image
from tests.editor.graphs import Point, middle, written
from tests.editor.serving import Server
from tests.server.hosting import eventually

APPLE = (TEMPLATES / "apple.png").read_bytes()

PICTURE: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Picture",
    "nodes": {
        "picture": {"type": "LoadImage"},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "picture.mask"}}},
    },
}


def inputs(editor: Editor, node: str) -> dict[str, Any]:
    """What a node is given, as the file has it."""
    found: dict[str, Any] = written(editor)["nodes"][node].get("inputs", {})
    return found


def undo(editor: Editor) -> None:
    editor.canvas.press("ControlOrMeta+z")


def test_a_seed_is_seen_whole(tab: Editor) -> None:
    workflow = text_to_image()
    workflow["nodes"]["sample"]["inputs"]["seed"] = 2**64 - 1
    workflow["nodes"]["draw"] = {"type": "RandomPrompt", "inputs": {"seed": 2**64 - 1}}
    editor = tab.open_link(workflow)
    for node in ("sample", "draw"):
        field = editor.field(node, "Seed")
        expect(field).to_have_value(str(2**64 - 1))
        eventually(lambda field=field: field.evaluate("(it) => it.scrollWidth <= it.clientWidth"))


@pytest.mark.parametrize("width", [176, 248, 284])
def test_the_label_of_a_seed_is_seen_whole_beside_it_or_above(tab: Editor, width: int) -> None:
    workflow = text_to_image()
    workflow["ui"]["sizes"]["sample"] = [width]
    editor = tab.open_link(workflow)
    field = editor.field("sample", "Seed")
    label = editor.card("sample").locator("label", has_text="Seed")
    eventually(lambda: label.evaluate("(it) => it.scrollWidth <= it.clientWidth"))
    above, below = label.bounding_box(), field.bounding_box()
    assert above is not None
    assert below is not None
    is_beside = above["x"] + above["width"] <= below["x"]
    assert is_beside == (width == 284)
    assert is_beside or above["y"] + above["height"] <= below["y"]


class TestPrompt:
    def test_words_are_proposed_and_a_lora_is_taken_as_a_node_in_one_step(
        self, editor: Editor
    ) -> None:
        field = editor.field("positive", "Text")
        field.fill("a big ")
        field.press_sequentially("yel")
        expect(editor.page.get_by_role("option", name=re.compile("^yellow"))).to_be_visible()
        field.press("Tab")
        expect(field).to_have_value("a big yellow")
        expect(field).to_be_focused()
        field.press_sequentially(", style")
        option = editor.page.get_by_role("option", name=re.compile("^style_lora"))
        expect(option).to_contain_text("LoRA")
        option.click()
        expect(field).to_have_value("a big yellow, ")
        expect(field).to_be_focused()
        expect(editor.notice("The LoRA style_lora was applied to the model")).to_be_visible()
        expect(editor.card("load_lora")).to_be_visible()
        encoder, model = {"from": "load_lora.text_encoder"}, {"from": "load_lora.model"}
        assert inputs(editor, "load_lora")["lora"] == "tiny/style_lora"
        assert inputs(editor, "positive")["encoder"] == encoder
        assert inputs(editor, "sample")["model"] == model
        field.press("ControlOrMeta+z")
        expect(field).to_have_value("a big yellow, style")
        expect(editor.card("load_lora")).to_have_count(0)
        editor.canvas.press("ControlOrMeta+Shift+z")
        last = editor.show("History").get_by_role("option").first
        expect(last).to_have_text(re.compile("^Apply the LoRA style_lora to the model"))

    def test_a_lora_is_put_on_once_and_its_words_are_written(self, editor: Editor) -> None:
        folder = editor.server.home / "models"
        folder.mkdir(exist_ok=True)
        lora = embedded_folder().parent / "companions/style_lora/pytorch_lora_weights.safetensors"
        with safe_open(lora, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        said = {"modelspec.trigger_phrase": "ink drawing"}
        save_file(tensors, folder / "sketch.safetensors", said)
        field = editor.field("positive", "Text")
        option = editor.page.get_by_role("option", name=re.compile("^sketch"))
        editor.reload()
        for text in ("a fox, ink drawing", "a fox, ink drawing, ink drawing"):
            field.press("End")
            field.fill(text.removesuffix("ink drawing"))
            field.press_sequentially("<lora:ske")
            expect(option).to_be_visible()
            field.press("Tab")
            expect(field).to_have_value(text)
        expect(editor.notice("The LoRA sketch is already applied to the model")).to_be_visible()
        expect(editor.cards).to_have_count(7)


def test_a_number_is_dragged_or_slid_and_becomes_a_port_and_back(editor: Editor) -> None:
    steps = editor.field("sample", "Steps")
    x, y = middle(steps)
    editor.page.mouse.move(x, y)
    editor.page.mouse.down()
    editor.page.mouse.move(x + 60, y, steps=6)
    editor.page.mouse.up()
    assert inputs(editor, "sample")["steps"] > 20
    undo(editor)
    expect(steps).to_have_value("20")

    slider = editor.card("sample").get_by_role("slider", name="denoise, slider")
    slider.press("Home")
    expect(editor.field("sample", "Denoise")).to_have_value("0")
    slider.press("ArrowRight")
    expect(editor.field("sample", "Denoise")).to_have_value(re.compile(r"^0\.0\d*[1-9]$"))

    convert(editor, "sample", "Steps", "Convert to port")
    port = editor.port("sample", "takes", "steps")
    expect(port).to_be_visible()
    assert inputs(editor, "sample")["steps"] == 20
    port.click(button="right")
    editor.page.get_by_role("menuitem", name="Convert to field").click()
    expect(steps).to_have_value("20")
    expect(port).to_have_count(0)


def convert(editor: Editor, node: str, label: str, item: str) -> None:
    """Choose from the menu of an input."""
    editor.card(node).get_by_role("button", name=f"More actions for {label}").click()
    editor.page.get_by_role("menuitem", name=item).click()


class TestPicture:
    @pytest.fixture
    def fields(self, tab: Editor) -> Editor:
        return tab.open_link(PICTURE)

    def test_one_is_brought_and_others_are_chosen(self, fields: Editor, server: Server) -> None:
        conversion = fields.canvas.get_by_role(
            "img", name="The mask is converted to a grayscale image."
        )
        expect(conversion).to_be_visible()
        card = fields.card("picture")
        field = card.get_by_role("textbox", name="Path")
        field.evaluate(_DROP, ["pear.png", "image/png", base64.b64encode(APPLE).decode()])
        expect_picture(card.get_by_role("img", name="Image pear.png"))
        assert re.fullmatch(r"upload:[0-9a-f]{64}/pear\.png", inputs(fields, "picture")["path"])
        expect(fields.tabs).to_have_count(1)
        undo(fields)
        expect(field).to_have_value("")

        given = {"file": ("plum.png", APPLE, "image/png")}
        server.client.post("uploads", files=given).raise_for_status()
        card.get_by_role("button", name="Choose a file").click()
        files = fields.page.get_by_role("dialog", name="Files")
        files.get_by_role("searchbox").fill("plum")
        choice = files.get_by_role("button", name="plum.png")
        expect_picture(choice.locator("img"))
        choice.click()
        expect_picture(card.get_by_role("img", name="Image plum.png"))

    def test_one_of_the_inputs_folder(self, tab: Editor, server: Server) -> None:
        # A page that has listed the folder before doesn't look at once for what came since.
        fields = tab.open_link(PICTURE, anew=True)
        folder = server.home / "inputs" / "fruit"
        folder.mkdir(parents=True)
        (folder / "fig.png").write_bytes(APPLE)
        path = fields.card("picture").get_by_role("textbox", name="Path")
        path.fill("fruit/fig.png")
        path.press("Enter")
        expect_picture(fields.card("picture").get_by_role("img", name="Image fig.png"))
        (folder / "date.png").write_bytes(APPLE)
        fields.card("picture").get_by_role("button", name="Choose a file").click()
        files = fields.page.get_by_role("region", name="In the inputs folder")
        files.get_by_role("button", name="fruit/date.png").click()
        expect_picture(fields.card("picture").get_by_role("img", name="Image date.png"))
        assert inputs(fields, "picture")["path"] == "fruit/date.png"

    def test_a_mask_is_painted_by_mouse_and_by_keys(self, fields: Editor) -> None:
        card = fields.card("picture")
        field = card.get_by_role("textbox", name="Path")
        field.evaluate(_DROP, ["apple.png", "image/png", base64.b64encode(APPLE).decode()])
        expect_picture(card.get_by_role("img", name="Image apple.png"))
        card.get_by_role("button", name="Paint a mask").click()
        dialog = fields.dialog("Paint a mask")
        easel = dialog.get_by_label("Mask of apple.png")
        expect(easel).to_be_visible()
        paint_by_mouse(fields, dialog, middle(easel))
        dialog.get_by_role("button", name="Clear the mask").click()
        dialog.get_by_label("Hardness").press("End")
        easel.focus()
        paint_by_keys(fields, dialog)
        fields.page.keyboard.press("Escape")
        question = fields.dialog("Close without using the mask?")
        question.get_by_text("Close", exact=True).click()
        expect(dialog).to_have_count(0)
        assert inputs(fields, "picture")["path"].endswith("/apple.png")


def paint_by_mouse(editor: Editor, dialog: Locator, easel: Point) -> None:
    none = dialog.get_by_text("0 % masked", exact=True)
    editor.page.mouse.click(*easel)
    small = masked(dialog)
    dialog.get_by_role("button", name="Undo").click()
    expect(none).to_be_visible()
    dialog.get_by_label("Size").press("End")
    editor.page.mouse.click(*easel)
    eventually(lambda: masked(dialog) > small > 0)
    large = masked(dialog)
    dialog.get_by_role("button", name="Eraser").click()
    dialog.get_by_label("Size").fill("40")
    editor.page.mouse.click(*easel)
    eventually(lambda: 0 < masked(dialog) < large)
    dialog.get_by_role("button", name="Clear the mask").click()
    expect(none).to_be_visible()
    dialog.get_by_role("button", name="Undo").click()
    eventually(lambda: 0 < masked(dialog) < large)


def paint_by_keys(editor: Editor, dialog: Locator) -> None:
    """With the eraser at first, and nothing masked."""
    none = dialog.get_by_text("0 % masked", exact=True)
    keys = editor.page.keyboard
    keys.press("b")
    for key in ("Enter", *["ArrowRight"] * 4, "Enter"):
        keys.press(key)
    small = masked(dialog)
    for key in (*["]"] * 10, "Enter", *["ArrowLeft"] * 4, "Enter"):
        keys.press(key)
    eventually(lambda: masked(dialog) > small > 0)
    keys.press("ControlOrMeta+z")
    eventually(lambda: masked(dialog) == small)
    keys.press("ControlOrMeta+Shift+z")
    eventually(lambda: masked(dialog) > small)
    for key in (*["]"] * 8, "e", "Enter", *["ArrowRight"] * 4, "Enter"):
        keys.press(key)
    expect(none).to_be_visible()
    keys.press("i")
    expect(dialog.get_by_text("100 % masked")).to_be_visible()
    keys.press("Delete")
    expect(none).to_be_visible()


def masked(dialog: Locator) -> float:
    """Percent of the image that is painted over, once anything is."""
    text = dialog.get_by_text(re.compile("% masked"))
    expect(text).to_have_text(re.compile("[1-9]"))
    return float(text.inner_text().split(" %")[0].split()[-1])


def test_values_of_a_node_are_kept_under_a_name_and_given_to_others(tab: Editor) -> None:
    editor = tab.open_link(prompted("a cup", name="presets"))
    editor.fill("sample", "Steps", "7")
    editor.click_card("sample")
    editor.command("Presets…")
    dialog = editor.page.get_by_role("dialog", name="Presets of KSampler")
    dialog.get_by_role("button", name="Save as preset").click()
    question = editor.page.get_by_role("dialog", name="Save as preset")
    question.get_by_label("Name of the preset").fill("Quick")
    question.get_by_role("button", name="Save", exact=True).click()
    expect(dialog.get_by_role("button", name="Quick", exact=True)).to_be_visible()
    editor.page.keyboard.press("Escape")
    editor.fill("sample", "Steps", "3")
    editor.command("Presets…")
    dialog.get_by_role("button", name="Quick", exact=True).click()
    expect(dialog).to_have_count(0)
    expect(editor.field("sample", "Steps")).to_have_value("7")
