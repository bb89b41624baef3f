"""The page that generates images without a graph."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.compat.image_metadata.samples import png
from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor, box_of, expect_picture
from tests.editor.faults import bring_axe, check
from tests.editor.serving import Server

PHONE = {"width": 390, "height": 844}
THUMB = 38.0
"""Pixels that what a thumb touches has at least."""
APPLE = Path(__file__).parents[2] / "workflows" / "apple.png"
STYLES = 'name,prompt,negative_prompt\nFilm,"a film still of {prompt}",blurry\n'
TAGS = 'red_apple,0,4350,"malus,pome"\n'


@pytest.fixture
def page(tab: Editor) -> Editor:
    """The page as somebody sees it who was never here."""
    return opened(tab)


def opened(editor: Editor) -> Editor:
    editor.page.goto("/generate")
    # On a phone a dot says it.
    expect(editor.top.get_by_role("status")).to_have_text("Connected")
    expect(field(editor, "Prompt")).to_be_visible()
    return editor


def settings(page: Editor) -> Locator:
    return page.page.get_by_role("region", name="Settings")


def images(page: Editor) -> Locator:
    return page.page.get_by_role("region", name="Images").get_by_role("figure")


def field(page: Editor, label: str) -> Locator:
    return settings(page).get_by_label(label, exact=True)


def with_steps(page: Editor, steps: int) -> None:
    """Few of them: it is about the page."""
    settings(page).get_by_text("Advanced").click()
    field(page, "Steps").fill(str(steps))
    field(page, "Steps").press("Enter")


def nodes_of(page: Editor, job: int = 0) -> dict[str, Any]:
    """What the newest job ran, or one before it."""
    found: dict[str, Any] = page.server.get(f"jobs/{page.server.jobs()[job]['id']}/workflow")
    return found["nodes"]


@pytest.mark.slow
def test_a_prompt_becomes_an_image_that_is_varied_and_opened_as_a_graph(page: Editor) -> None:
    field(page, "Prompt").fill("a red apple on a white background")
    with_steps(page, 2)
    page.page.keyboard.press("ControlOrMeta+Enter")
    expect_picture(images(page).locator("img"))
    made = nodes_of(page)
    assert made["positive"]["inputs"]["text"] == "a red apple on a white background"
    assert "negative" not in made

    images(page).get_by_role("button", name="Vary").click()
    expect(images(page)).to_have_count(2)
    expect_picture(images(page).first.locator("img"))
    varied = nodes_of(page)
    assert varied["sample"]["inputs"]["denoise"] == 0.5
    assert varied["sample"]["inputs"]["seed"] != made["sample"]["inputs"]["seed"]
    assert varied["picture"]["inputs"]["path"].startswith("upload:")

    images(page).last.get_by_role("button", name="Open as graph").click()
    expect(page.field("positive", "Text")).to_have_value("a red apple on a white background")
    page.ready()
    assert page.page.evaluate("location.pathname") == "/"
    # Back at the page, all is as it was, also after it is loaded anew.
    page.page.go_back()
    expect(images(page)).to_have_count(2)
    page.page.reload()
    expect(field(page, "Prompt")).to_have_value("a red apple on a white background")
    expect(images(page)).to_have_count(2)
    expect_picture(images(page).first.locator("img"))
    images(page).last.get_by_role("button", name="Use these settings").click()
    seed = str(made["sample"]["inputs"]["seed"])
    expect(field(page, "Seed")).to_have_value(seed)


@pytest.mark.slow
def test_several_images_have_seeds_of_their_own_and_can_be_cancelled(page: Editor) -> None:
    field(page, "Prompt").fill("a lemon")
    field(page, "Images").fill("3")
    field(page, "Images").press("Enter")
    field(page, "Seed").fill("18446744073709551615")
    with_steps(page, 2)
    settings(page).get_by_role("button", name="Generate 3 images").click()
    expect(images(page)).to_have_count(3)
    seeds = [nodes_of(page, job)["sample"]["inputs"]["seed"] for job in range(3)]
    assert seeds == [1, 0, 2**64 - 1]

    with_many = page.page.get_by_label("Steps", exact=True)
    with_many.fill("10000")
    with_many.press("Enter")
    settings(page).get_by_role("button", name="Generate 3 images").click()
    settings(page).get_by_role("button", name="Cancel").click()
    expect(settings(page).get_by_role("button", name="Cancel")).to_have_count(0)
    assert {job["state"] for job in page.server.jobs()[:3]} == {"cancelled"}
    expect(images(page)).to_have_count(3)


@pytest.mark.slow
def test_an_image_is_enlarged_painted_over_and_cut_out(page: Editor) -> None:
    field(page, "Prompt").fill("a red apple on a white background")
    with_steps(page, 2)
    settings(page).get_by_role("button", name="Generate").click()
    expect_picture(images(page).locator("img"))
    images(page).get_by_role("button", name="Upscale").click()
    expect(images(page)).to_have_count(2)
    assert nodes_of(page)["larger"]["type"] == "UpscaleImage"
    for count, (name, kind) in enumerate(
        [
            ("Remove background", "RemoveBackground"),
            ("White background", "FlattenImage"),
            ("New background from the prompt", "CompositeMasked"),
        ],
        start=3,
    ):
        more(page, "Background", name)
        expect(images(page)).to_have_count(count)
        assert kind in {entry["type"] for entry in nodes_of(page).values()}
    # What the server has no model for says what to do.
    more(page, "Face detail")
    lacking = page.dialog("Face detail")
    expect(lacking.get_by_text("It needs a vision model that finds faces")).to_be_visible()
    lacking.get_by_role("button", name="Close").last.click()
    # What went into the trash stays there, until it is taken out.
    more(page, "Move to trash")
    expect(images(page)).to_have_count(4)
    page.page.reload()
    expect(images(page)).to_have_count(4)
    digest = page.server.get("artifacts", trashed="true")["items"][0]["digest"]
    page.server.client.post("library/restore", json={"digests": [digest]}).raise_for_status()
    page.page.reload()
    expect(images(page)).to_have_count(5)

    images(page).last.get_by_role("button", name="Inpaint").click()
    painter = page.dialog("Paint a mask")
    expect(painter.locator("canvas").first).to_be_visible()
    box = box_of(painter.locator("canvas").first)
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2, steps=4)
    page.page.mouse.up()
    painter.get_by_role("button", name="Use this mask").click()
    expect(settings(page).get_by_text("Only the masked part changes.")).to_be_visible()
    settings(page).get_by_role("button", name="Generate").click()
    expect(images(page)).to_have_count(6)
    assert nodes_of(page)["masked"]["type"] == "SetNoiseMask"


def more(page: Editor, *names: str) -> None:
    """Do what the menu of the first image that was made offers."""
    images(page).last.get_by_role("button", name=re.compile("^More actions")).click()
    for name in names:
        page.page.get_by_role("menuitem", name=name, exact=True).click()


@pytest.mark.slow
def test_presets_styles_and_tags_help_with_prompts(page: Editor, tmp_path: Path) -> None:
    (tmp_path / "styles.csv").write_text(STYLES, encoding="utf-8")
    (tmp_path / "tags.csv").write_text(TAGS, encoding="utf-8")
    chosen(page, "Styles", "Import styles.csv…", tmp_path / "styles.csv")
    settings(page).get_by_role("button", name="Styles").click()
    page.page.get_by_role("menuitemcheckbox", name="Film").click()
    chosen(page, "Tag list", "Choose a CSV file…", tmp_path / "tags.csv")
    expect(page.page.get_by_text("Prompts are completed with tags.csv")).to_be_visible()
    prompt = field(page, "Prompt")
    prompt.press_sequentially("malu")
    expect(page.page.get_by_role("option", name="red apple")).to_be_visible()
    prompt.press("Tab")
    expect(prompt).to_have_value("red apple")

    settings(page).get_by_role("button", name="Presets").click()
    page.page.get_by_role("menuitem", name="Save as preset…").click()
    page.page.get_by_label("Name of the preset").fill("my apple")
    page.page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    expect(page.page.get_by_text("Saved my apple")).to_be_visible()
    saved = page.server.get("workflows/my apple")
    assert saved["nodes"]["positive"]["inputs"]["text"] == "a film still of red apple"
    settings(page).get_by_role("button", name="Start over").click()
    expect(prompt).to_have_value("")
    settings(page).get_by_role("button", name="Presets").click()
    page.page.get_by_role("menuitem", name="my apple").click()
    expect(prompt).to_have_value("red apple")
    expect(settings(page).get_by_role("button", name="Remove Film")).to_be_visible()

    # What is none of them says so.
    (tmp_path / "other.csv").write_text("title,text\na,b\n", encoding="utf-8")
    chosen(page, "Styles", "Import styles.csv…", tmp_path / "other.csv")
    expect(page.page.get_by_text("The column name is missing.")).to_be_visible()
    chosen(page, "Tag list", "Choose a CSV file…", tmp_path / "other.csv")
    expect(page.page.get_by_text("other.csv is not a tag list")).to_be_visible()


def chosen(page: Editor, menu: str, item: str, path: Path) -> None:
    """Choose a file by an entry of a menu beside the prompt."""
    settings(page).get_by_role("button", name=menu, exact=True).click()
    with page.page.expect_file_chooser() as chooser:
        page.page.get_by_role("menuitem", name=item).click()
    chooser.value.set_files(path)


def test_what_is_wrong_is_told_at_its_field(page: Editor) -> None:
    start = page.page.locator("[data-field=start]")
    start.get_by_role("textbox").fill("nothere.png")
    before = len(page.server.jobs())
    settings(page).get_by_role("button", name="Generate").click()
    expect(start.get_by_text(re.compile("There is no file inputs/nothere.png"))).to_be_visible()
    assert len(page.server.jobs()) == before
    # Any change may mend it.
    start.get_by_role("button", name="Remove").click()
    expect(settings(page).get_by_text("See the marked fields above.")).to_have_count(0)
    # A value that is not allowed is refused before.
    settings(page).get_by_text("Advanced").click()
    field(page, "Steps").fill("0")
    settings(page).get_by_role("button", name="Generate").click()
    expect(field(page, "Steps")).to_be_focused()
    expect(field(page, "Steps")).to_have_attribute("aria-invalid", "true")
    assert len(page.server.jobs()) == before


def test_an_image_that_is_dropped_is_started_from_or_brings_its_settings(page: Editor) -> None:
    page.drop("photo.png", APPLE.read_bytes(), "image/png", onto=settings(page))
    expect(field(page, "Strength of change")).to_have_value("0.6")
    expect_picture(page.page.locator("[data-field=start] img"))
    gallery = APPLE.with_name("text_to_image.json")
    workflow = json.loads(gallery.read_text(encoding="utf-8"))
    text = json.dumps(workflow).encode()
    page.drop("apple.json", text, "application/json", onto=settings(page))
    expect(field(page, "Prompt")).to_have_value("a red apple on a white background")
    expect(field(page, "Seed")).to_have_value("7")
    expect(page.page.locator("[data-field=start] img")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(begin_tab: Callable[..., Editor], scheme: str) -> None:
    page = opened(begin_tab(color_scheme=scheme))
    bring_axe(page)
    settings(page).get_by_text("Advanced").click()
    settings(page).get_by_role("switch", name="Hires fix").click()
    page.page.locator("#generate\\/loras").click()
    page.page.get_by_role("listbox").get_by_role("option").first.click()
    check(page, f"the page in {scheme}")
    settings(page).get_by_role("button", name="Styles").click()
    check(page, f"a menu in {scheme}")


def test_on_a_phone_the_button_is_at_hand(server: Server, new_browser: NewBrowser) -> None:
    page = opened(
        new_browser(server, viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    )
    button = settings(page).get_by_role("button", name="Generate")
    for place in ("Prompt", "Seed"):
        field(page, place).scroll_into_view_if_needed()
        box = box_of(button)
        assert box["y"] + box["height"] <= PHONE["height"]
        assert box["height"] >= THUMB
    assert page.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    for control in settings(page).get_by_role("button").all():
        if control.is_visible():
            box = box_of(control)
            assert min(box["width"], box["height"]) >= THUMB, control.inner_text()
    field(page, "Prompt").fill("a lemon")
    with_steps(page, 1)
    button.tap()
    expect_picture(images(page).locator("img"))
    # It is seen without a search for it.
    expect(images(page).locator("img")).to_be_in_viewport()
    page.page.get_by_role("button", name="Go to settings or images").tap()
    expect(field(page, "Prompt")).to_be_in_viewport()


THEIRS = (
    "a (red:1.2) apple\nNegative prompt: blurry\nSteps: 3, Sampler: Euler a, CFG scale: 4.5, Seed: "
    "18446744073709551610, Size: 64x96, Model: tiny, Clip skip: 2, Denoising strength: 0.6, Hires "
    "upscale: 1.5, Hires steps: 2, Hires upscaler: Latent, Version: v1.9.0"
)


@pytest.mark.slow
def test_an_image_of_another_tool_is_made_again(page: Editor, tmp_path: Path) -> None:
    path = tmp_path / "theirs.png"
    png({"parameters": THEIRS})(path)
    page.drop("theirs.png", path.read_bytes(), "image/png", onto=settings(page))

    expect(field(page, "Prompt")).to_have_value("a (red:1.2) apple")
    expect(field(page, "Negative prompt")).to_have_value("blurry")
    expect(field(page, "Seed")).to_have_value("18446744073709551610")
    expect(field(page, "Width in pixels")).to_have_value("64")
    expect(page.page.get_by_text("A1111 draws noise on the GPU")).to_be_visible()
    settings(page).get_by_text("Advanced").click()
    for label, value in (("Steps", "3"), ("CLIP skip", "2"), ("Factor", "1.5")):
        expect(field(page, label)).to_have_value(value)
    settings(page).get_by_role("button", name="Generate").click()
    expect_picture(images(page).locator("img"))
    # The graph of the same file makes the same pixels.
    made = page.server.jobs()[0]["id"]
    texts = {"parameters": THEIRS}
    answer = page.server.client.post("import", json={"texts": texts}).raise_for_status().json()
    assert pixels(page, page.server.submit(answer["workflow"])) == pixels(page, made)


def pixels(page: Editor, job: str) -> tuple[tuple[int, int], bytes]:
    """The size and the pixels of the image of a job."""
    digest = page.server.outputs(job)[0]["digest"]
    data = page.server.client.get(f"artifacts/{digest}").raise_for_status().content
    with Image.open(BytesIO(data)) as image:
        return image.size, image.convert("RGB").tobytes()


def test_pasted_settings_and_images_without_a_place_are_offered(
    page: Editor, tmp_path: Path
) -> None:
    field(page, "Prompt").click()
    page.page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            const init = { clipboardData: data, bubbles: true, cancelable: true };
            document.activeElement.dispatchEvent(new ClipboardEvent("paste", init));
        }""",
        THEIRS,
    )
    page.page.get_by_role("button", name="Use its settings").click()
    expect(field(page, "Prompt")).to_have_value("a (red:1.2) apple")
    expect(field(page, "Seed")).to_have_value("18446744073709551610")

    # What only a graph can hold is told, and one click away.
    path = tmp_path / "units.png"
    units = "Steps: 3, Sampler: Euler, CFG scale: 4, Seed: 5, Size: 64x64, Model: tiny, ControlNet "
    units += '0: "Module: canny, Model: edges [d14c016b], Weight: 0.5", Version: v1.9.0'
    png({"parameters": f"a pear\n{units}"})(path)
    page.drop("units.png", path.read_bytes(), "image/png", onto=settings(page))
    expect(field(page, "Prompt")).to_have_value("a pear")
    expect(page.page.get_by_text("Only in the graph: ")).to_contain_text("ApplyControlNet")
    page.page.get_by_role("button", name="Open as graph").last.click()
    expect(page.tab).to_have_text("units")
    expect(page.dialog("Imported")).to_contain_text("control_image")


def test_styles_and_tags_are_shared_by_browsers(
    page: Editor, server: Server, new_browser: NewBrowser, tmp_path: Path
) -> None:
    (tmp_path / "styles.csv").write_text(STYLES, encoding="utf-8")
    (tmp_path / "tags.csv").write_text(TAGS, encoding="utf-8")
    chosen(page, "Styles", "Import styles.csv…", tmp_path / "styles.csv")
    expect(page.page.get_by_text("1 style added")).to_be_visible()
    chosen(page, "Tag list", "Choose a CSV file…", tmp_path / "tags.csv")
    expect(page.page.get_by_text("Prompts are completed with tags.csv")).to_be_visible()
    # Of a list that is broken the row is named.
    (tmp_path / "bad.csv").write_text(TAGS + "pear,0,5\nonly a name\n", encoding="utf-8")
    with page.watch.allowing("422"):
        chosen(page, "Tag list", "Choose a CSV file…", tmp_path / "bad.csv")
        expect(page.page.get_by_text("row 3")).to_be_visible()

    other = opened(new_browser(server))
    settings(other).get_by_role("button", name="Styles").click()
    other.page.get_by_role("menuitemcheckbox", name="Film").click()
    expect(settings(other).get_by_role("button", name="Remove Film")).to_be_visible()
    settings(other).get_by_role("button", name="Tag list").click()
    other.page.get_by_role("menuitemcheckbox", name="tags · 1 tag").click()
    field(other, "Prompt").press_sequentially("malu")
    expect(other.page.get_by_role("option", name="red apple")).to_be_visible()


def test_the_address_opens_what_was_chosen(page: Editor) -> None:
    page.page.evaluate("localStorage.clear()")
    page.page.goto("/")
    expect(page.page.get_by_role("button", name="Graph")).to_have_attribute("aria-pressed", "true")
    page.page.evaluate(
        """localStorage.setItem("nodegraph.settings", JSON.stringify({ startPage: "generate" }))"""
    )
    page.page.goto("/")
    expect(field(page, "Prompt")).to_be_visible()
    assert page.page.evaluate("location.pathname") == "/generate"
