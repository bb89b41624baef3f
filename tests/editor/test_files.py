"""Workflows that come and go: saved, dropped, kept, shared, exported; and images with masks."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Download, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor, box_of, expect_picture
from tests.editor.graphs import drag, made, middle, saved, written
from tests.editor.serving import Server
from tests.server.hosting import eventually
from tests.server.talking import talk

WORKFLOWS = Path(__file__).parents[2] / "workflows"
TEXT_TO_IMAGE = (WORKFLOWS / "text_to_image.json").read_text(encoding="utf-8")
SMALL = TEXT_TO_IMAGE.replace('"steps": 20', '"steps": 3').replace(": 128", ": 64")


def open_text(editor: Editor, text: str) -> None:
    """Drop a workflow file."""
    count = editor.tabs.count()
    editor.drop("given.json", text.encode(), "application/json")
    expect(editor.tabs).to_have_count(count + 1)
    editor.drawn()


def export(editor: Editor, kind: str) -> Download:
    """What comes of the file menu's "Share and export"."""
    editor.menu("File", "Share and export")
    dialog = editor.dialog("Share and export")
    with editor.page.expect_download() as download:
        dialog.get_by_role("button", name=re.compile(f"^{kind}")).click()
    return download.value


def pixels(picture: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=float)


def test_every_version_can_be_opened_again(editor: Editor, server: Server) -> None:
    expect(editor.tab).to_have_text("Text to image")
    editor.save_as("versions")
    # What was a template is called as it is saved.
    expect(editor.tab).to_have_text("versions")
    assert json.loads(saved(server, "versions"))["title"] == "versions"
    editor.fill("positive", "Text", "a blue boat")
    editor.menu("File", "Save")
    expect(editor.notice("Version 2")).to_be_visible()
    editor.menu("File", "Open…")
    dialog = editor.dialog("Open a workflow")
    dialog.get_by_role("button", name="Versions of “versions”").click()
    old = dialog.get_by_role("listitem").filter(has_text="Version 1").last
    old.get_by_role("button", name="Open", exact=True).click()
    expect(dialog).to_have_count(0)
    expect(editor.field("positive", "Text")).to_have_value("a red apple on a white background")
    editor.menu("File", "Open…")
    dialog.get_by_role("button", name=re.compile("^versions")).click()
    expect(editor.field("positive", "Text")).to_have_value("a blue boat")


def test_work_of_others_is_not_overwritten(editor: Editor, server: Server) -> None:
    open_text(editor, SMALL)
    editor.save_as("shared")
    editor.fill("positive", "Text", "mine")
    with talk(server) as other:
        eventually(lambda: "mine" in other.ask("draft.join", name="shared")["text"])
    theirs = SMALL.replace("a red apple", "a yellow duck")
    etag = server.client.get("workflows/shared").headers["etag"]
    headers = {"if-match": etag, "content-type": "application/json"}
    server.client.put("workflows/shared", content=theirs, headers=headers).raise_for_status()
    editor.menu("File", "Save")
    question = editor.dialog("Another person saved a version")
    expect(question).to_be_visible()
    assert "a yellow duck" in saved(server, "shared")
    question.get_by_role("button", name="Save as newest version").click()
    expect(question).to_have_count(0)
    # That it was saved the first time may still be told of.
    expect(editor.notice("Version 3")).to_be_visible()
    assert "mine" in saved(server, "shared")


def test_pictures_of_each_kind_open_the_workflow_that_made_them(
    editor: Editor, server: Server
) -> None:
    steps = editor.field("sample", "Steps")
    for kind in ("png", "webp", "jpeg"):
        given = SMALL.replace('"name": "apple"', f'"name": "kinds", "format": "{kind}"')
        open_text(editor, given)
        editor.run()
        expect_picture(editor.results("save"))
        picture = made(server)
        count = editor.tabs.count()
        editor.drop(f"kinds.{kind}", picture, f"image/{kind}")
        expect(editor.tabs).to_have_count(count + 1)
        expect(editor.cards).to_have_count(6)
        expect(steps).to_have_value("3")
        nodes = written(editor)["nodes"]
        assert all(node["version"] >= 1 for node in nodes.values())
        for node in nodes.values():
            del node["version"]
        assert nodes == json.loads(given)["nodes"]

    count = editor.tabs.count()
    editor.drop("broken.json", b'{"format": "nodegraph/1",\n "nodes": {', "application/json")
    expect(editor.notice("Could not open “broken.json”")).to_be_visible()
    expect(editor.notice(re.compile("^Line 2, column"))).to_be_visible()
    expect(editor.tabs).to_have_count(count)


def test_the_gallery_shows_what_each_template_makes_and_one_runs_at_once(
    editor: Editor, server: Server
) -> None:
    editor.menu("File", "Templates")
    dialog = editor.dialog("Open a workflow")
    for template in server.get("templates")["items"]:
        # A slash would end the pattern in the page.
        title = template["title"].replace("/", ".")
        card = dialog.get_by_role("button", name=re.compile(f"^{title}"))
        card.scroll_into_view_if_needed()
        expect_picture(card.locator("img"))
    dialog.get_by_role("searchbox").fill("seed grid")
    expect(dialog.get_by_role("button", name=re.compile("^Seed grid"))).to_be_visible()
    expect(dialog.get_by_role("button", name=re.compile("^Prompt walk"))).to_have_count(0)
    dialog.get_by_role("searchbox").fill("")
    dialog.get_by_role("button", name=re.compile("^Image to image")).click()
    expect(dialog).to_have_count(0)
    expect_picture(editor.card("picture").get_by_role("img", name="Image apple.png"))
    editor.fill("sample", "Steps", "3")
    editor.run()
    expect_picture(editor.results("save"))


def test_a_python_script_makes_the_same_picture(
    editor: Editor, server: Server, tmp_path: Path, known_specs: Path
) -> None:
    open_text(editor, SMALL)
    editor.run()
    expect_picture(editor.results("save"))
    download = export(editor, "Python script")
    assert download.suggested_filename == "text_to_image.py"
    script = tmp_path / download.suggested_filename
    download.save_as(script)
    shutil.copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    known = {"NODEGRAPH_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        check=True,
        env={**os.environ, **known},
        timeout=300,
    )
    [picture] = tmp_path.rglob("apple*.png")
    assert np.array_equal(pixels(picture.read_bytes()), pixels(made(server)))


def test_a_link_opens_the_same_elsewhere(
    editor: Editor, server: Server, new_browser: NewBrowser
) -> None:
    editor.fill("positive", "Text", "zwölf Boxkämpfer 🦆")
    editor.menu("File", "Share and export")
    link = editor.dialog("Share and export").get_by_role("textbox", name="Link").input_value()
    editor.page.keyboard.press("Escape")
    assert link.startswith(f"{server.url}/#w=")
    other = new_browser(server)
    other.page.goto(link)
    other.ready()
    expect(other.field("positive", "Text")).to_have_value("zwölf Boxkämpfer 🦆")
    assert written(other) == written(editor)
    expect(other.page).not_to_have_url(re.compile("#"))

    # And the graph as an image.
    download = export(editor, "Image")
    assert download.suggested_filename == "text_to_image.svg"
    root = ElementTree.parse(download.path()).getroot()
    words = "".join(root.itertext())
    for title in ("Load model", "KSampler", "Save image", "zwölf Boxkämpfer"):
        assert title in words
    assert not root.findall(".//{*}script")


INPAINT: dict[str, Any] = json.loads((WORKFLOWS / "image_to_image.json").read_text())


@pytest.fixture
def painting(editor: Editor) -> Editor:
    workflow = json.loads(json.dumps(INPAINT))
    nodes = workflow["nodes"]
    nodes["picture"]["inputs"] = {}
    nodes["positive"]["inputs"]["text"] = "a blue banana on a red background"
    nodes["cover"] = {
        "type": "SetNoiseMask",
        "inputs": {"latent": {"from": "encode"}, "mask": {"from": "picture.mask"}},
    }
    nodes["sample"]["inputs"] |= {"latent": {"from": "cover"}, "denoise": 1.0, "steps": 8}
    editor.open_workflow(workflow)
    picture = editor.card("picture")
    picture.get_by_label("Upload a file").last.set_input_files(WORKFLOWS / "apple.png")
    expect_picture(picture.get_by_role("img", name="Image apple.png"))
    picture.get_by_role("button", name="Paint a mask").click()
    expect(editor.dialog("Paint a mask").get_by_label("Mask of apple.png")).to_be_visible()
    return editor


def test_only_the_part_that_is_painted_over_is_made_anew(painting: Editor, server: Server) -> None:
    dialog = painting.dialog("Paint a mask")
    easel = dialog.get_by_label("Mask of apple.png")
    # the right half of the image, with a brush half as wide
    dialog.get_by_label("Hardness").fill("100")
    dialog.get_by_label("Size").fill("64")
    x, y = middle(easel)
    side = box_of(dialog.locator("[data-box]"))["width"]
    drag(painting, (x + 0.4 * side, y - 0.45 * side), (x + 0.4 * side, y + 0.45 * side))
    expect(dialog.get_by_text(re.compile("[1-9].* % masked"))).to_be_visible()
    dialog.get_by_role("button", name="Use this mask").click()
    expect(dialog).to_have_count(0)
    painting.run()
    expect_picture(painting.results("save"))
    before = pixels((WORKFLOWS / "apple.png").read_bytes())
    after = pixels(made(server))
    assert before.shape == after.shape
    change = np.abs(before - after).mean(axis=(0, 2))
    assert change[-16:].mean() > 3 * change[:16].mean()
