"""Videos, sounds, shapes, molecules and plots: played, turned and read in the page."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from tests.editor.conftest import NewBrowser, knowing_home
from tests.editor.editing import Editor, box_of
from tests.editor.faults import bring_axe, check
from tests.editor.serving import Server
from tests.server.hosting import eventually

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
PACK = f'''
import json
import time
from pathlib import Path

from nodegraph import Context, Plot, Series, node

PLOT = json.loads({json.dumps(json.dumps(PLOT))})


@node(output="files")
def KeepPlot(ctx: Context) -> None:
    """Writes a plot."""
    path = ctx.environment.outputs / "loss_00001.json"
    path.write_text(json.dumps(PLOT))
    ctx.wrote(path, kind="plot")


@node(output=True)
def Learn(ctx: Context, until: str = "") -> None:
    """Shows a plot that grows until a file of that name lies in the server's home folder."""
    steps = 0
    while not (Path(__file__).parents[1] / until).exists():
        ctx.check_cancelled()
        steps += 10
        xs = range(1, steps + 1)
        series = Series("Loss", xs, [1 / x for x in xs])
        ctx.preview(Plot("Learning", "Step", "Loss", (series,)))
        time.sleep(0.05)
'''

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
    "loss": {"save": {"type": "trials:KeepPlot"}},
}


@pytest.fixture(scope="module")
def server(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, known_specs: Path
) -> Iterator[Server]:
    """A server whose jobs gave a file of each kind."""
    home = knowing_home(tmp_path_factory.mktemp("viewers"), known_specs)
    (home / "inputs").mkdir()
    for name in ("rolling.mp4", "chime.flac", "ring.ply", "caffeine.sdf"):
        shutil.copy(GIVEN / name, home / "inputs")
    with Server(home, PACK) as server:
        jobs = [server.submit(workflow(name)) for name in WORKFLOWS]
        for job in jobs:
            server.outputs(job)
        yield server


@pytest.fixture
def editor(new_browser: NewBrowser, server: Server) -> Iterator[Editor]:
    """In a small window: what is in space is drawn by the processor, pixel by pixel."""
    yield new_browser(server, viewport={"width": 1024, "height": 700}).open()
    server.cancel_all()


def workflow(name: str) -> dict[str, Any]:
    return {"format": "nodegraph/1", "title": name, "nodes": WORKFLOWS[name]}


def view(editor: Editor, name: str) -> Locator:
    """The viewer of a file, from the panel of results."""
    editor.show("Results").get_by_role("gridcell", name=re.compile(f"^{name}")).first.click()
    dialog = editor.dialog(re.compile(f"^{name}"))
    return dialog.get_by_role("group", name=re.compile(name, re.IGNORECASE))


def colors(seen: Locator) -> int:
    """How many colours something shows."""
    picture = Image.open(BytesIO(seen.screenshot())).convert("RGB").resize((200, 200))
    return len(set(picture.get_flattened_data()))


class TestVideo:
    def test_is_stepped_through_frame_by_frame(self, editor: Editor) -> None:
        player = view(editor, r"rolling.*mp4")
        told = player.get_by_role("status").first
        expect(told).to_contain_text("Frame 1 of 16")
        expect(told).to_contain_text("8 frames a second")
        step = player.get_by_role("button", name="A frame on")
        step.click()
        step.click()
        expect(told).to_contain_text("Frame 3 of 16")
        video = player.locator("video")
        eventually(lambda: abs(video.evaluate("it => it.currentTime") - 2.5 / 8) < 0.01)
        player.get_by_role("button", name="A frame back").click()
        expect(told).to_contain_text("Frame 2 of 16")

    def test_takes_keys(self, editor: Editor) -> None:
        player = view(editor, r"rolling.*mp4")
        told = player.get_by_role("status").first
        expect(told).to_contain_text("of 16")
        player.press("End")
        expect(told).to_contain_text("Frame 16 of 16")
        player.press("ArrowLeft")
        expect(told).to_contain_text("Frame 15 of 16")
        player.press("Shift+ArrowLeft")
        expect(told).to_contain_text("Frame 5 of 16")
        # So that it doesn't come to its end meanwhile.
        player.get_by_role("button", name="Play again and again").click()
        player.press("Space")
        expect(player.get_by_role("button", name="Pause")).to_be_visible()
        player.get_by_label("Speed").select_option("0.25")
        expect(player.locator("video")).to_have_js_property("playbackRate", 0.25)
        player.press("k")
        expect(player.get_by_role("button", name="Play", exact=True)).to_be_visible()


@pytest.mark.parametrize("name", ["wheel.*gif", "wheel.*webp", "wheel.*png"])
def test_a_picture_that_moves_is_stepped_through_frame_by_frame(editor: Editor, name: str) -> None:
    steps = view(editor, name)
    told = steps.get_by_role("status").first
    expect(told).to_contain_text("Frame 1 of 16")
    drawn = editor.page.get_by_role("dialog").locator("canvas")
    first = drawn.screenshot()
    steps.get_by_role("button", name="A frame on").click()
    expect(told).to_contain_text("Frame 2 of 16")
    eventually(lambda: drawn.screenshot() != first)
    steps.press("Home")
    eventually(lambda: drawn.screenshot() == first)
    steps.get_by_role("button", name="Play", exact=True).click()
    expect(told).to_contain_text(re.compile("Frame ([4-9]|1.) of 16"))


def test_a_sound_is_seen_and_sought_in(editor: Editor) -> None:
    player = view(editor, r"chime.*flac")
    place = player.get_by_role("slider", name="Place in the sound")
    expect(place.locator("path").first).to_be_visible()
    box = box_of(place)
    editor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    length = float(place.get_attribute("aria-valuemax") or 0)
    eventually(lambda: abs(float(place.get_attribute("aria-valuenow") or 0) - length / 2) < 0.05)
    place.press("Home")
    expect(place).to_have_attribute("aria-valuenow", "0")
    player.get_by_role("button", name="Show the spectrogram").click()
    spectrogram = player.get_by_role("img", name=re.compile("^Spectrogram"))
    eventually(lambda: colors(spectrogram) > 100)
    player.get_by_role("button", name="Play", exact=True).click()
    eventually(lambda: float(place.get_attribute("aria-valuenow") or 0) > 0.1)


class TestSpace:
    def test_shows_meshes_and_points(self, editor: Editor) -> None:
        for name, told in (
            ("ring.*glb", "200 corners, 400 triangles"),
            ("cloud.*ply", "200 points"),
        ):
            seen = view(editor, name)
            canvas = seen.get_by_role("img")
            expect(canvas).to_have_attribute("data-drawn", "true")
            expect(seen).to_contain_text(told)
            eventually(lambda canvas=canvas: colors(canvas) > 50)
            editor.page.keyboard.press("Escape")

    def test_is_turned_moved_and_drawn_otherwise(self, editor: Editor) -> None:
        seen = view(editor, "ring.*glb")
        canvas = seen.get_by_role("img")
        expect(canvas).to_have_attribute("data-drawn", "true")
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
        seen.get_by_role("button", name="See all of it from the front").click()
        canvas.blur()
        eventually(lambda: _alike(canvas.screenshot(), first))

    def test_is_fetched_only_then(self, editor: Editor) -> None:
        asked: list[str] = []
        editor.page.on("request", lambda request: asked.append(request.url))
        seen = view(editor, r"rolling.*mp4")
        expect(seen.get_by_role("button", name="Play", exact=True)).to_be_visible()
        assert not [url for url in asked if "/engine-" in url]
        editor.page.keyboard.press("Escape")
        expect(view(editor, "ring.*glb").get_by_role("img")).to_have_attribute("data-drawn", "true")
        assert [url for url in asked if "/engine-" in url]


def _alike(one: bytes, other: bytes) -> bool:
    pictures = [Image.open(BytesIO(each)).convert("L").resize((32, 32)) for each in (one, other)]
    pixels = zip(*(each.get_flattened_data() for each in pictures), strict=True)
    return max(abs(a - b) for a, b in pixels) < 24


def test_a_molecule_is_told_of_and_seen_in_space(editor: Editor) -> None:
    editor.show("Results").get_by_role("gridcell", name=re.compile("^caffeine.*sdf")).click()
    dialog = editor.dialog(re.compile("^caffeine"))
    dialog.get_by_role("tab", name="Drawing").click()
    expect(dialog).to_contain_text("C8H10N4O2")
    expect(dialog).to_contain_text("Cn1c(=O)c2c(ncn2C)n(C)c1=O")
    dialog.get_by_role("tab", name="In space").click()
    seen = dialog.get_by_role("group", name=re.compile("^3-D view"))
    expect(seen.get_by_role("img")).to_have_attribute("data-drawn", "true")
    expect(seen).to_contain_text("24 atoms, 25 bonds")
    eventually(lambda: colors(seen.get_by_role("img")) > 50)


class TestPlot:
    def test_is_read_by_pointer_and_by_keys(self, editor: Editor) -> None:
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

    def test_series_are_left_out_and_parts_seen(self, editor: Editor) -> None:
        plot = view(editor, "(Training|loss)")
        room = plot.get_by_role("img")
        plot.get_by_role("button", name="Validation").click()
        expect(plot.get_by_role("button", name="Validation")).to_have_attribute(
            "aria-pressed", "false"
        )
        expect(room).to_contain_text("200")
        box = box_of(room)
        y = box["y"] + box["height"] / 2
        editor.page.mouse.move(box["x"] + 100, y)
        editor.page.mouse.down()
        editor.page.mouse.move(box["x"] + 260, y, steps=4)
        editor.page.mouse.up()
        expect(room).not_to_contain_text("200")
        plot.get_by_role("button", name="See all of it").click()
        expect(room).to_contain_text("200")

    def test_is_spaced_otherwise_and_seen_as_numbers(self, editor: Editor) -> None:
        plot = view(editor, "(Training|loss)")
        log = plot.get_by_role("button", name="log y")
        before = plot.get_by_role("img").text_content() or ""
        log.click()
        expect(log).to_have_attribute("aria-pressed", "true")
        expect(plot.get_by_role("img")).not_to_have_text(before)
        plot.get_by_role("button", name="Show the numbers").click()
        table = plot.get_by_role("table")
        expect(table.get_by_role("columnheader").nth(2)).to_have_text("Validation")
        expect(table.get_by_role("row").nth(20)).to_contain_text("0.3")


def test_all_are_for_everybodys_eyes_and_hands(editor: Editor) -> None:
    bring_axe(editor)
    for theme in ("Light", "Dark"):
        editor.command(theme)
        for name in (r"rolling.*mp4", r"chime.*flac", "ring.*glb", "(Training|loss)"):
            expect(view(editor, name)).to_be_visible()
            check(editor, f"{name}, {theme}", "dialog[open]")
            editor.page.keyboard.press("Escape")
        editor.show("Results").get_by_role("gridcell", name=re.compile("^caffeine.*sdf")).click()
        for tab in ("Drawing", "In space"):
            editor.dialog(re.compile("^caffeine")).get_by_role("tab", name=tab).click()
            check(editor, f"caffeine, {tab}, {theme}", "dialog[open]")
        editor.page.keyboard.press("Escape")


def test_a_form_shows_them_at_once(editor: Editor) -> None:
    results = editor.page.get_by_role("region", name="Results")
    seen = {
        "rolling": results.get_by_role("button", name="A frame on"),
        "chime": results.get_by_role("slider", name="Place in the sound"),
        "ring": results.get_by_role("button", name="Wireframe"),
        "caffeine": results.get_by_role("tab", name="In space"),
        "loss": results.get_by_role("button", name="Show the numbers"),
    }
    for name, part in seen.items():
        editor.open_workflow(workflow(name))
        editor.top.get_by_role("button", name="Form of the parameters").click()
        expect(part).to_be_visible()
        if name == "rolling":
            expect(results.get_by_role("status")).to_contain_text("Frame 1 of 16")
        # The picture of it that was written beside tells nothing more.
        expect(results.get_by_role("listitem")).to_have_count(1)
        editor.top.get_by_role("button", name="Graph", exact=True).click()


class TestWhileItRuns:
    @pytest.fixture
    def learning(self, editor: Editor, request: pytest.FixtureRequest) -> tuple[Editor, str]:
        """A node that shows a plot until a file of this name is there."""
        gate = f"{request.node.name}.end"
        nodes = {"learn": {"type": "trials:Learn", "inputs": {"until": gate}}}
        editor.open_workflow({"format": "nodegraph/1", "title": "Learning", "nodes": nodes})
        return editor, gate

    def test_a_plot_grows_in_its_card_and_in_full(self, learning: tuple[Editor, str]) -> None:
        editor, gate = learning
        editor.run()
        editor.card("learn").get_by_role("button", name=re.compile("^Plot of")).click()
        room = editor.page.get_by_role("dialog").get_by_role("img", name="Plot Learning")
        for least in (50, 100):
            eventually(lambda least=least: last_mark(room) >= least)
        editor.server.let(gate)
        eventually(lambda: editor.server.jobs()[0]["state"] == "finished")
        expect(room).to_be_visible()

    def test_a_plot_grows_in_the_form(self, learning: tuple[Editor, str]) -> None:
        editor, gate = learning
        editor.top.get_by_role("button", name="Form of the parameters").click()
        editor.page.get_by_role("region", name="Parameters").get_by_role(
            "button", name="Run"
        ).click()
        room = editor.page.get_by_role("region", name="Results").get_by_role(
            "img", name="Plot Learning"
        )
        eventually(lambda: last_mark(room) >= 50)
        editor.server.let(gate)
        expect(room).to_have_count(0)


def last_mark(plot: Locator) -> float:
    """The greatest number at a plot's edges."""
    marks = plot.locator("text").all_text_contents()
    return max([float(mark) for mark in marks if re.fullmatch(r"[\d.]+", mark)], default=0)
