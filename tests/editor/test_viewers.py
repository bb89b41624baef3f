"""Videos, sounds, shapes, molecules and plots: played, turned and read in the page."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Request, expect

from nodegraph.media.shapes.encoding import encode_mesh
from tests.editor.editing import Editor, box_of, expect_picture
from tests.editor.faults import bring_axe, check
from tests.editor.gates import text_to_image
from tests.editor.serving import Server
from tests.server.hosting import eventually
from tests.shapes.making import square

GIVEN = Path(__file__).parents[2] / "workflows"
PLOT = {
    "format": "nodegraph/plot/1",
    "title": "Training",
    "x_label": "Step",
    "y_label": "Loss",
    "x_scale": "linear",
    "y_scale": "linear",
    "notes": ["Bands are one standard deviation of three runs."],
    "series": [
        {
            "name": "Loss",
            "kind": "line",
            "x": list(range(1, 201)),
            "y": [1 / step**0.5 + 0.04 * (step * 7919 % 13 - 6) / 6 for step in range(1, 201)],
        },
        {
            "name": "Validation",
            "kind": "line",
            "x": [20, 60, 100, 140, 180],
            "y": [0.30, 0.21, 0.17, 0.155, 0.15],
            "low": [0.26, 0.18, 0.15, 0.14, 0.138],
            "high": [0.34, 0.24, 0.19, 0.17, 0.162],
        },
    ],
}
pytestmark = pytest.mark.slow


def saved(load: str, file: str, save: str, port: str, **inputs: Any) -> dict[str, Any]:
    """Two nodes: one that reads a file, one that writes what it held."""
    return {
        "load": {"type": load, "inputs": {"path": file}},
        "save": {"type": save, "inputs": {port: {"from": "load"}, **inputs}},
    }


WORKFLOWS: dict[str, dict[str, Any]] = {
    "rolling": saved("LoadVideo", "rolling.mp4", "SaveVideo", "video", name="rolling"),
    "chime": saved("LoadAudio", "chime.flac", "SaveAudio", "audio", name="chime"),
    "ring": saved("LoadMesh", "ring.ply", "SaveMesh", "mesh", name="ring"),
    "board": saved("LoadMesh", "board.glb", "SaveMesh", "mesh", name="board"),
    "cloud": saved("LoadPointCloud", "ring.ply", "SavePointCloud", "point_cloud", name="cloud"),
    "caffeine": saved("LoadMolecule", "caffeine.sdf", "SaveMolecule", "molecule", name="caffeine"),
    "moving": {
        "load": {"type": "LoadVideo", "inputs": {"path": "rolling.mp4"}},
        "frames": {"type": "ImagesFromVideo", "inputs": {"video": {"from": "load"}}},
    }
    | {
        kind: {
            "type": "SaveAnimation",
            "inputs": {"image": {"from": "frames.image"}, "name": "wheel", "format": kind},
        }
        for kind in ("gif", "webp", "png")
    },
    "loss": {"save": {"type": "trials:KeepPlot", "inputs": {"plot": json.dumps(PLOT)}}},
}


@pytest.fixture(scope="module")
def server(server: Server) -> Server:
    """A server whose jobs gave a file of each kind."""
    (server.home / "inputs").mkdir()
    for name in ("rolling.mp4", "chime.flac", "ring.ply", "caffeine.sdf"):
        shutil.copy(GIVEN / name, server.home / "inputs")
    (server.home / "inputs" / "board.glb").write_bytes(encode_mesh(square()))
    for job in [server.submit(workflow(name)) for name in WORKFLOWS]:
        server.outputs(job)
    return server


@pytest.fixture
def tab(begin_tab: Callable[..., Editor], server: Server) -> Editor:
    """In a small window: what is in space is drawn by the processor, pixel by pixel."""
    return begin_tab(viewport={"width": 1024, "height": 700})


def workflow(name: str) -> dict[str, Any]:
    return {"format": "nodegraph/1", "title": name, "nodes": WORKFLOWS[name]}


def view(editor: Editor, name: str) -> Locator:
    """The viewer of a file, from the panel of results."""
    editor.show("Results").get_by_role("gridcell", name=re.compile(f"^{name}")).first.click()
    dialog = editor.dialog(re.compile(f"^{name}"))
    return dialog.get_by_role("group", name=re.compile(name, re.IGNORECASE))


def colors(seen: Locator) -> int:
    """How many colors something shows."""
    picture = Image.open(BytesIO(seen.screenshot())).convert("RGB").resize((200, 200))
    return len(set(picture.get_flattened_data()))


def test_a_video_is_played_and_stepped_through_by_buttons_and_by_keys(editor: Editor) -> None:
    cell = editor.show("Results").get_by_role("gridcell", name=re.compile("^rolling.*mp4"))
    expect_picture(cell.locator("img").first)
    player = view(editor, r"rolling.*mp4")
    told = player.get_by_role("status").first
    expect(told).to_contain_text("Frame 1 of 16")
    expect(told).to_contain_text("8 frames per second")
    step = player.get_by_role("button", name="Next frame")
    step.click()
    step.click()
    expect(told).to_contain_text("Frame 3 of 16")
    video = player.locator("video")
    eventually(lambda: abs(video.evaluate("it => it.currentTime") - 2.5 / 8) < 0.01)
    player.get_by_role("button", name="Previous frame").click()
    expect(told).to_contain_text("Frame 2 of 16")
    player.press("End")
    expect(told).to_contain_text("Frame 16 of 16")
    player.press("ArrowLeft")
    expect(told).to_contain_text("Frame 15 of 16")
    player.press("Shift+ArrowLeft")
    expect(told).to_contain_text("Frame 5 of 16")
    # So that it doesn't come to its end meanwhile.
    player.get_by_role("button", name="Loop").click()
    player.press("Space")
    expect(player.get_by_role("button", name="Pause")).to_be_visible()
    player.get_by_label("Speed").select_option("0.25")
    expect(player.locator("video")).to_have_js_property("playbackRate", 0.25)
    player.press("k")
    expect(player.get_by_role("button", name="Play", exact=True)).to_be_visible()
    video.evaluate("video => video.pause()")
    # All of it can be played.
    expect(video).to_have_js_property("readyState", 4)
    assert video.evaluate("video => video.duration") == pytest.approx(2, abs=0.01)


def test_pictures_that_move_are_stepped_through_frame_by_frame(editor: Editor) -> None:
    for name in ("wheel.*gif", "wheel.*webp", "wheel.*png"):
        steps = view(editor, name)
        told = steps.get_by_role("status").first
        expect(told).to_contain_text("Frame 1 of 16")
        drawn = editor.page.get_by_role("dialog").locator("canvas")
        first = drawn.screenshot()
        steps.get_by_role("button", name="Next frame").click()
        expect(told).to_contain_text("Frame 2 of 16")
        eventually(lambda drawn=drawn, first=first: drawn.screenshot() != first)
        steps.press("Home")
        eventually(lambda drawn=drawn, first=first: drawn.screenshot() == first)
        steps.get_by_role("button", name="Play", exact=True).click()
        expect(told).to_contain_text(re.compile("Frame ([4-9]|1.) of 16"))
        editor.page.keyboard.press("Escape")


def test_a_sound_is_seen_and_sought_in(editor: Editor) -> None:
    player = view(editor, r"chime.*flac")
    place = player.get_by_role("slider", name="Audio position")
    expect(place.locator("path").first).to_be_visible()
    box = box_of(place)
    editor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    length = float(place.get_attribute("aria-valuemax") or 0)
    eventually(lambda: abs(float(place.get_attribute("aria-valuenow") or 0) - length / 2) < 0.05)
    place.press("Home")
    expect(place).to_have_attribute("aria-valuenow", "0")
    player.get_by_role("button", name="Show spectrogram").click()
    spectrogram = player.get_by_role("img", name=re.compile("^Spectrogram"))
    eventually(lambda: colors(spectrogram) > 100)
    player.get_by_role("button", name="Play", exact=True).click()
    eventually(lambda: float(place.get_attribute("aria-valuenow") or 0) > 0.1)


def test_shapes_are_turned_moved_and_drawn_otherwise(tab: Editor) -> None:
    """What draws them is fetched only then."""
    editor = tab.open_link(text_to_image(), anew=True)
    asked: list[str] = []

    def listen(request: Request) -> None:
        asked.append(request.url)

    editor.page.on("request", listen)
    seen = view(editor, r"rolling.*mp4")
    expect(seen.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert not [url for url in asked if "/engine-" in url]
    editor.page.keyboard.press("Escape")

    seen = view(editor, "ring.*glb")
    canvas = seen.get_by_role("img")
    expect(canvas).to_have_attribute("data-drawn", "true")
    assert [url for url in asked if "/engine-" in url]
    editor.page.remove_listener("request", listen)
    expect(seen).to_contain_text("200 vertices, 400 triangles")
    eventually(lambda: colors(canvas) > 50)
    first = canvas.screenshot()
    for act in ("ArrowUp", "Shift+ArrowRight", "+"):
        before = canvas.screenshot()
        canvas.press(act)
        eventually(lambda before=before: canvas.screenshot() != before)
    for button in ("Wireframe", "Points", "Surface", "Light or dark background"):
        before = canvas.screenshot()
        seen.get_by_role("button", name=button, exact=True).click()
        eventually(lambda before=before: canvas.screenshot() != before)
    seen.get_by_role("button", name="Light or dark background").click()
    seen.get_by_role("button", name="Fit front view").click()
    canvas.blur()
    eventually(lambda: _alike(canvas.screenshot(), first))
    editor.page.keyboard.press("Escape")

    seen = view(editor, "cloud.*ply")
    expect(seen.get_by_role("img")).to_have_attribute("data-drawn", "true")
    expect(seen).to_contain_text("200 points")
    eventually(lambda: colors(seen.get_by_role("img")) > 50)


def test_a_texture_is_seen_as_it_lies(tab: Editor) -> None:
    """Red on the left, blue on the right, dark above."""
    canvas = view(tab.open_link(text_to_image(), anew=True), "board.*glb").get_by_role("img")
    expect(canvas).to_have_attribute("data-drawn", "true")

    def reds_and_blues() -> list[tuple[int, int]]:
        picture = Image.open(BytesIO(canvas.screenshot())).convert("RGB")
        width, height = picture.size
        near = width // 2 - height // 8, width // 2 + height // 8
        places = [
            (x, y) for y in (height // 2 - height // 8, height // 2 + height // 8) for x in near
        ]
        pixels = [picture.getpixel(place) for place in places]
        return [(pixel[0], pixel[2]) for pixel in pixels if isinstance(pixel, tuple)]

    eventually(lambda: colors(canvas) > 3)
    (dark_red, dark_blue, red, blue) = reds_and_blues()
    assert red[0] > 3 * red[1]
    assert blue[1] > 3 * blue[0]
    assert red[0] > 1.5 * dark_red[0] > 1.5 * dark_red[1]
    assert blue[1] > 1.5 * dark_blue[1] > 1.5 * dark_blue[0]


def _alike(one: bytes, other: bytes) -> bool:
    pictures = [Image.open(BytesIO(each)).convert("L").resize((32, 32)) for each in (one, other)]
    pixels = zip(*(each.get_flattened_data() for each in pictures), strict=True)
    return max(abs(a - b) for a, b in pixels) < 24


def test_a_molecule_is_told_of_and_seen_in_space(editor: Editor) -> None:
    editor.show("Results").get_by_role("gridcell", name=re.compile("^caffeine.*sdf")).click()
    dialog = editor.dialog(re.compile("^caffeine"))
    dialog.get_by_role("tab", name="2D drawing").click()
    expect(dialog).to_contain_text("C8H10N4O2")
    expect(dialog).to_contain_text("Cn1c(=O)c2c(ncn2C)n(C)c1=O")
    dialog.get_by_role("tab", name="3D view").click()
    seen = dialog.get_by_role("group", name=re.compile("^3D view"))
    expect(seen.get_by_role("img")).to_have_attribute("data-drawn", "true")
    expect(seen).to_contain_text("24 atoms, 25 bonds")
    eventually(lambda: colors(seen.get_by_role("img")) > 50)


def test_a_plot_is_read_in_parts_and_as_numbers(editor: Editor) -> None:
    plot = view(editor, "(Training|loss)")
    room = plot.get_by_role("img")
    room.press("Home")
    said = plot.get_by_role("status")
    expect(said).to_contain_text("Step 1")
    expect(said).to_contain_text("Loss")
    for _ in range(19):
        room.press("ArrowRight")
    expect(said).to_contain_text("0.3 (0.26 to 0.34)")
    room.blur()
    expect(said).to_have_count(0)
    room.hover()
    expect(said).to_contain_text("Step 9")

    expect(room).to_contain_text("200")
    box = box_of(room)
    y = box["y"] + box["height"] / 2
    editor.page.mouse.move(box["x"] + 100, y)
    editor.page.mouse.down()
    editor.page.mouse.move(box["x"] + 260, y, steps=4)
    editor.page.mouse.up()
    expect(room).not_to_contain_text("200")
    plot.get_by_role("button", name="Fit plot").click()
    expect(room).to_contain_text("200")

    editor.page.mouse.move(0, 0)
    log = plot.get_by_role("button", name="log y")
    before = room.text_content() or ""
    log.click()
    expect(log).to_have_attribute("aria-pressed", "true")
    expect(room).not_to_have_text(before)
    plot.get_by_role("button", name="Show the numbers").click()
    table = plot.get_by_role("table")
    expect(table.get_by_role("columnheader").nth(2)).to_have_text("Validation")
    expect(table.get_by_role("row").nth(20)).to_contain_text("0.3")
    left_out = plot.get_by_role("button", name="Validation")
    left_out.click()
    expect(left_out).to_have_attribute("aria-pressed", "false")


def test_all_are_for_everybodys_eyes_and_hands(editor: Editor) -> None:
    bring_axe(editor)
    for theme in ("Light", "Dark"):
        editor.command(theme)
        look = partial(check, editor, within="[data-modal]", only_colours=theme != "Light")
        for name in (r"rolling.*mp4", r"chime.*flac", "ring.*glb", "(Training|loss)"):
            expect(view(editor, name)).to_be_visible()
            look(f"{name}, {theme}")
            editor.page.keyboard.press("Escape")
        editor.show("Results").get_by_role("gridcell", name=re.compile("^caffeine.*sdf")).click()
        for tab in ("2D drawing", "3D view"):
            editor.dialog(re.compile("^caffeine")).get_by_role("tab", name=tab).click()
            look(f"caffeine, {tab}, {theme}")
        editor.page.keyboard.press("Escape")


def test_a_form_shows_them_at_once(editor: Editor) -> None:
    results = editor.page.get_by_role("region", name="Results")
    seen = {
        "rolling": results.get_by_role("button", name="Next frame"),
        "chime": results.get_by_role("slider", name="Audio position"),
        "ring": results.get_by_role("button", name="Wireframe"),
        "caffeine": results.get_by_role("tab", name="3D view"),
        "loss": results.get_by_role("button", name="Show the numbers"),
    }
    for name, part in seen.items():
        editor.open_workflow(workflow(name))
        editor.top.get_by_role("button", name="Parameter form").click()
        expect(part).to_be_visible()
        if name == "rolling":
            expect(results.get_by_role("status")).to_contain_text("Frame 1 of 16")
        # The image of it that was written beside tells nothing more.
        expect(results.get_by_role("listitem")).to_have_count(1)
        editor.top.get_by_role("button", name="Graph", exact=True).click()


def test_a_plot_grows_in_its_card_in_full_and_in_the_form(editor: Editor) -> None:
    nodes = {"learn": {"type": "trials:Learn", "inputs": {"until": "learnt"}}}
    editor.open_workflow({"format": "nodegraph/1", "title": "Learning", "nodes": nodes})
    editor.run()
    editor.card("learn").get_by_role("button", name=re.compile("^Open the plot of")).click()
    dialog = editor.page.get_by_role("dialog")
    room = dialog.get_by_role("img", name="Plot Learning")
    for least in (50, 100):
        eventually(lambda least=least: last_mark(room) >= least)
    editor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    editor.top.get_by_role("button", name="Parameter form").click()
    results = editor.page.get_by_role("region", name="Results")
    room = results.get_by_role("img", name="Plot Learning")
    least = last_mark(room) + 50
    eventually(lambda: last_mark(room) >= least)
    editor.server.let("learnt")
    expect(room).to_have_count(0)


def last_mark(plot: Locator) -> float:
    """The greatest number at a plot's edges."""
    marks = plot.locator("text").all_text_contents()
    return max([float(mark) for mark in marks if re.fullmatch(r"[\d.]+", mark)], default=0)
