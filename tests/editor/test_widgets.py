"""Fields of nodes, used by mouse and by keys; each change is one step to undo."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timezone
from typing import Any

import pytest
from playwright.sync_api import Locator, expect
from safetensors import safe_open
from safetensors.torch import save_file

from nodegraph.diffusion.models import embedded_folder
from tests.editor.editing import _DROP, Editor, expect_picture
from tests.editor.gates import TEMPLATES
from tests.editor.graphs import middle, written
from tests.editor.serving import Server
from tests.server.hosting import eventually

APPLE = (TEMPLATES / "apple.png").read_bytes()

FIELDS: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Fields",
    "nodes": {
        "gate": {"type": "Gate", "inputs": {"value": 1}},
        "tint": {"type": "trials:Tint"},
        "picture": {"type": "LoadImage"},
    },
    "ui": {"positions": {"gate": [0, 0], "tint": [320, 0], "picture": [640, 0]}},
}

_PASTE = """(target, [name, type, data]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name, { type }));
    target.dispatchEvent(new ClipboardEvent("paste", {
        bubbles: true, cancelable: true, clipboardData: carried,
    }));
}"""


def inputs(editor: Editor, node: str) -> dict[str, Any]:
    """What a node is given, as the file has it."""
    found: dict[str, Any] = written(editor)["nodes"][node].get("inputs", {})
    return found


def undo(editor: Editor) -> None:
    editor.canvas.press("ControlOrMeta+z")


def stop_clock(editor: Editor) -> None:
    """However long it takes, what is done from now on is done in one go."""
    editor.page.clock.set_fixed_time(datetime.now(timezone.utc))


class TestPrompt:
    def test_words_are_weighed_by_arrow_keys(self, editor: Editor) -> None:
        field = editor.field("positive", "Text")
        field.fill("a red apple")
        field.press("Home")
        for _ in range(3):
            field.press("ArrowRight")
        field.press("ControlOrMeta+ArrowUp")
        expect(field).to_have_value("a (red:1.1) apple")
        # the same word is still chosen
        field.press("ControlOrMeta+ArrowUp")
        expect(field).to_have_value("a (red:1.2) apple")
        for _ in range(2):
            field.press("ControlOrMeta+ArrowDown")
        expect(field).to_have_value("a red apple")

    def test_words_of_the_model_are_proposed(self, editor: Editor) -> None:
        field = editor.field("positive", "Text")
        field.fill("a big ")
        field.press_sequentially("yel")
        expect(editor.page.get_by_role("option", name=re.compile("^yellow"))).to_be_visible()
        field.press("Tab")
        expect(field).to_have_value("a big yellow")
        expect(field).to_be_focused()
        field.press("Tab")
        expect(field).not_to_be_focused()

    def test_a_lora_is_taken_as_a_node_in_one_step(self, editor: Editor) -> None:
        field = editor.field("positive", "Text")
        field.fill("a fox face, ")
        field.press_sequentially("style")
        option = editor.page.get_by_role("option", name=re.compile("^style_lora"))
        expect(option).to_contain_text("LoRA")
        option.click()
        expect(field).to_have_value("a fox face, ")
        expect(field).to_be_focused()
        expect(editor.notice("The LoRA style_lora is on the model now")).to_be_visible()
        expect(editor.card("load_lora")).to_be_visible()
        encoder, model = {"from": "load_lora.text_encoder"}, {"from": "load_lora.model"}
        assert inputs(editor, "load_lora")["lora"] == "tiny/style_lora"
        assert inputs(editor, "positive")["encoder"] == encoder
        assert inputs(editor, "sample")["model"] == model
        field.press("ControlOrMeta+z")
        expect(field).to_have_value("a fox face, style")
        expect(editor.card("load_lora")).to_have_count(0)
        editor.canvas.press("ControlOrMeta+Shift+z")
        last = editor.show("History").get_by_role("option").first
        expect(last).to_have_text(re.compile("^Put the LoRA style_lora on the model"))

    def test_a_lora_is_put_on_once_and_its_words_are_written(self, editor: Editor) -> None:
        folder = editor.server.home / "models"
        folder.mkdir(exist_ok=True)
        lora = embedded_folder().parent / "companions/style_lora/pytorch_lora_weights.safetensors"
        with safe_open(lora, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        said = {"modelspec.trigger_phrase": "ink drawing"}
        save_file(tensors, folder / "sketch.safetensors", said)
        editor.reload()
        field = editor.field("positive", "Text")
        option = editor.page.get_by_role("option", name=re.compile("^sketch"))
        for text in ("a fox, ink drawing", "a fox, ink drawing, ink drawing"):
            field.press("End")
            field.fill(text.removesuffix("ink drawing"))
            field.press_sequentially("<lora:ske")
            expect(option).to_be_visible()
            field.press("Tab")
            expect(field).to_have_value(text)
        expect(editor.notice("The LoRA sketch is on the model already")).to_be_visible()
        expect(editor.cards).to_have_count(7)

    def test_what_was_done_in_one_go_is_one_step(self, editor: Editor) -> None:
        field = editor.field("positive", "Text")
        before = field.input_value()
        stop_clock(editor)
        field.press("End")
        field.press("ControlOrMeta+ArrowUp")
        field.press("ControlOrMeta+ArrowUp")
        expect(field).to_have_value(re.compile(r"\(background:1\.2\)$"))
        field.blur()
        undo(editor)
        expect(field).to_have_value(before)


class TestNumbers:
    def test_keys_step_within_the_range(self, editor: Editor) -> None:
        stop_clock(editor)
        steps = editor.field("sample", "Steps")
        steps.press("ArrowUp")
        expect(steps).to_have_value("21")
        steps.press("Shift+ArrowDown")
        expect(steps).to_have_value("11")
        for _ in range(2):
            steps.press("PageDown")
        expect(steps).to_have_value("1")
        steps.blur()
        undo(editor)
        expect(steps).to_have_value("20")

    def test_a_slider_goes_by_keys(self, editor: Editor) -> None:
        slider = editor.card("sample").get_by_role("slider", name="denoise, slider")
        slider.press("Home")
        expect(editor.field("sample", "Denoise")).to_have_value("0")
        slider.press("ArrowRight")
        expect(editor.field("sample", "Denoise")).to_have_value(re.compile(r"^0\.0\d*[1-9]$"))

    def test_what_is_out_of_range_is_told_and_not_taken(self, editor: Editor) -> None:
        before = inputs(editor, "sample")["steps"]
        field = editor.field("sample", "Steps")
        field.fill("-3")
        expect(field).to_have_attribute("aria-invalid", "true")
        field.press("Escape")
        expect(field).to_have_value(str(before))

    def test_a_number_is_dragged(self, editor: Editor) -> None:
        x, y = middle(editor.field("sample", "Steps"))
        editor.page.mouse.move(x, y)
        editor.page.mouse.down()
        editor.page.mouse.move(x + 60, y, steps=6)
        editor.page.mouse.up()
        assert inputs(editor, "sample")["steps"] > 20
        undo(editor)
        expect(editor.field("sample", "Steps")).to_have_value("20")


class TestSeed:
    def test_is_drawn(self, editor: Editor) -> None:
        seed = editor.field("sample", "Seed")
        editor.card("sample").get_by_role("button", name="Draw another seed").click()
        expect(seed).not_to_have_value("7")
        undo(editor)
        expect(seed).to_have_value("7")

    def test_counts_up_with_each_run(self, editor: Editor) -> None:
        editor.fill("sample", "Steps", "2")
        mode = editor.card("sample").get_by_role("button", name="Seed with each run")
        mode.click()
        editor.page.get_by_role("menuitemcheckbox", name="Counts up").click()
        expect(mode).to_have_accessible_name("Seed with each run: Counts up")
        editor.run()
        expect_picture(editor.results("save"))
        expect(editor.field("sample", "Seed")).to_have_value("7")
        editor.run()
        expect(editor.field("sample", "Seed")).to_have_value("8")

    def test_stays(self, editor: Editor) -> None:
        editor.fill("sample", "Steps", "2")
        editor.run()
        expect_picture(editor.results("save"))
        expect(editor.field("sample", "Seed")).to_have_value("7")


class TestChoices:
    def test_many_are_searched_by_typing(self, editor: Editor) -> None:
        field = editor.field("sample", "Sampler")
        field.press("Enter")
        expect(editor.page.locator("input[type=search]:focus")).to_have_count(1)
        editor.page.keyboard.type("heun")
        options = editor.page.get_by_role("listbox", name="Choose…").get_by_role("option")
        expect(options.first).to_have_text("heun")
        editor.page.keyboard.press("Enter")
        expect(field).to_have_text("heun")
        assert inputs(editor, "sample")["sampler"] == "heun"
        undo(editor)
        expect(field).to_have_text("dpmpp_2m")

    def test_models_are_listed(self, editor: Editor) -> None:
        field = editor.field("load", "Model")
        field.click()
        option = editor.page.get_by_role("option", name=re.compile("^tiny sd1"))
        expect(option).to_contain_text("built in")
        option.click()
        expect(field).to_have_text("tiny")


class TestOthers:
    @pytest.fixture
    def fields(self, editor: Editor) -> Editor:
        editor.open_workflow(json.loads(json.dumps(FIELDS)))
        return editor

    def test_a_toggle(self, fields: Editor) -> None:
        toggle = fields.card("gate").get_by_role("switch")
        expect(toggle).to_be_checked()
        toggle.press("Space")
        expect(toggle).not_to_be_checked()
        assert inputs(fields, "gate")["open"] is False
        undo(fields)
        expect(toggle).to_be_checked()

    def test_a_colour_is_picked_or_written(self, fields: Editor) -> None:
        picker = fields.card("tint").get_by_label("Pick color")
        picker.fill("#336699")
        expect(fields.field("tint", "Color")).to_have_value("#336699")
        fields.fill("tint", "Color", "F80")
        assert inputs(fields, "tint")["color"] == "#f80"
        expect(picker).to_have_value("#ff8800")
        undo(fields)
        expect(fields.field("tint", "Color")).to_have_value("#336699")

    @pytest.mark.parametrize("way", [_DROP, _PASTE], ids=["dropped", "pasted"])
    def test_a_picture_is_brought(self, fields: Editor, way: str) -> None:
        field = fields.card("picture").get_by_role("textbox", name="Path")
        field.evaluate(way, ["pear.png", "image/png", base64.b64encode(APPLE).decode()])
        expect_picture(fields.card("picture").get_by_role("img", name="Picture pear.png"))
        assert re.fullmatch(r"upload:[0-9a-f]{64}/pear\.png", inputs(fields, "picture")["path"])
        expect(fields.tabs).to_have_count(2)
        undo(fields)
        expect(field).to_have_value("")

    def test_one_that_was_brought_before_is_chosen(self, fields: Editor, server: Server) -> None:
        given = {"file": ("plum.png", APPLE, "image/png")}
        server.client.post("uploads", files=given).raise_for_status()
        fields.card("picture").get_by_role("button", name="Choose a file").click()
        files = fields.page.get_by_role("dialog", name="Files")
        files.get_by_role("searchbox").fill("plum")
        choice = files.get_by_role("button", name="plum.png")
        expect_picture(choice.locator("img"))
        choice.click()
        expect_picture(fields.card("picture").get_by_role("img", name="Picture plum.png"))

    def test_one_of_the_inputs_folder(self, fields: Editor, server: Server) -> None:
        folder = server.home / "inputs" / "fruit"
        folder.mkdir(parents=True)
        (folder / "fig.png").write_bytes(APPLE)
        path = fields.card("picture").get_by_role("textbox", name="Path")
        path.fill("fruit/fig.png")
        path.press("Enter")
        seen = fields.card("picture").get_by_role("img", name="Picture fig.png")
        expect_picture(seen)
        (folder / "date.png").write_bytes(APPLE)
        fields.card("picture").get_by_role("button", name="Choose a file").click()
        files = fields.page.get_by_role("region", name="In the inputs folder")
        files.get_by_role("button", name="fruit/date.png").click()
        expect_picture(fields.card("picture").get_by_role("img", name="Picture date.png"))
        assert inputs(fields, "picture")["path"] == "fruit/date.png"


class TestPorts:
    """A field that becomes a port, and back."""

    def test_its_value_is_kept(self, editor: Editor) -> None:
        convert(editor, "sample", "Denoise", "Make it a port")
        expect(editor.port("sample", "takes", "denoise")).to_be_visible()
        convert(editor, "sample", "Steps", "Make it a port")
        assert inputs(editor, "sample")["steps"] == 20
        port = editor.port("sample", "takes", "steps")
        port.click(button="right")
        editor.page.get_by_role("menuitem", name="Make it a field").click()
        expect(editor.field("sample", "Steps")).to_have_value("20")
        expect(editor.port("sample", "takes", "steps")).to_have_count(0)

    def test_each_is_one_step(self, editor: Editor) -> None:
        convert(editor, "sample", "Steps", "Make it a port")
        undo(editor)
        expect(editor.field("sample", "Steps")).to_have_value("20")


def convert(editor: Editor, node: str, label: str, item: str) -> None:
    """Choose from the menu of an input."""
    editor.card(node).get_by_role("button", name=f"More for {label}").click()
    editor.page.get_by_role("menuitem", name=item).click()


class TestMask:
    @pytest.fixture
    def dialog(self, editor: Editor) -> Locator:
        editor.open_workflow(json.loads(json.dumps(FIELDS)))
        field = editor.card("picture").get_by_role("textbox", name="Path")
        field.evaluate(_DROP, ["apple.png", "image/png", base64.b64encode(APPLE).decode()])
        picture = editor.card("picture")
        expect_picture(picture.get_by_role("img", name="Picture apple.png"))
        picture.get_by_role("button", name="Paint a mask").click()
        dialog = editor.dialog("Paint a mask")
        expect(dialog.get_by_label("Mask of apple.png")).to_be_visible()
        return dialog

    def test_by_mouse(self, editor: Editor, dialog: Locator) -> None:
        easel = middle(dialog.get_by_label("Mask of apple.png"))
        editor.page.mouse.click(*easel)
        small = masked(dialog)
        dialog.get_by_role("button", name="Undo").click()
        expect(dialog.get_by_text("0 % masked", exact=True)).to_be_visible()
        dialog.get_by_label("Size").press("End")
        editor.page.mouse.click(*easel)
        eventually(lambda: masked(dialog) > small > 0)
        large = masked(dialog)
        dialog.get_by_label("Eraser").click()
        dialog.get_by_label("Size").fill("40")
        editor.page.mouse.click(*easel)
        eventually(lambda: 0 < masked(dialog) < large)
        dialog.get_by_role("button", name="Clear the mask").click()
        expect(dialog.get_by_text("0 % masked", exact=True)).to_be_visible()
        dialog.get_by_role("button", name="Undo").click()
        eventually(lambda: 0 < masked(dialog) < large)

    def test_by_keys(self, editor: Editor, dialog: Locator) -> None:
        keys = editor.page.keyboard
        dialog.get_by_label("Feather").press("Home")
        dialog.get_by_label("Mask of apple.png").focus()
        keys.press("Enter")
        keys.press("Enter")
        small = masked(dialog)
        for _ in range(10):
            keys.press("]")
        keys.press("Enter")
        keys.press("Enter")
        eventually(lambda: masked(dialog) > small > 0)
        keys.press("ControlOrMeta+z")
        eventually(lambda: masked(dialog) == small)
        keys.press("ControlOrMeta+Shift+z")
        eventually(lambda: masked(dialog) > small)
        for _ in range(5):
            keys.press("]")
        keys.press("e")
        keys.press("Enter")
        keys.press("Enter")
        expect(dialog.get_by_text("0 % masked", exact=True)).to_be_visible()
        keys.press("i")
        expect(dialog.get_by_text("100 % masked")).to_be_visible()
        keys.press("Delete")
        expect(dialog.get_by_text("0 % masked", exact=True)).to_be_visible()


def masked(dialog: Locator) -> float:
    """Percent of the picture that is painted over, once anything is."""
    text = dialog.get_by_text(re.compile("% masked"))
    expect(text).to_have_text(re.compile("[1-9]"))
    return float(text.inner_text().split(" %")[0].split()[-1])
