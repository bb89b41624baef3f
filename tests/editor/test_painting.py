"""A workflow as a canvas: painting on layers, what the model makes of them, and what survives."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from io import BytesIO
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, expect

from nodegraph.families.embedded_models import embedded_folder
from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor, box_of
from tests.editor.faults import bring_axe, check
from tests.editor.gates import prompted
from tests.editor.graphs import go_to, made, written
from tests.editor.painting import Painter, nodes, typed
from tests.editor.serving import DOT, Server
from tests.editor.watching import UNREACHED
from tests.nodes.conftest import write_adapter
from tests.server.hosting import eventually

ACTIONS = 60
ENDS = (9, 20, 31, 42, 53)
"""Actions after which something dies: the page, or the server under it."""


def test_what_is_painted_is_sampled_and_a_candidate_becomes_a_layer(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    painter.stroke((0.4, 0.4), (0.6, 0.6))
    bring_axe(editor)
    check(editor, "the canvas")
    painter.add("Mask")
    painter.stroke((0.5, 0.4), (0.5, 0.6))
    painter.button("Generate").click()
    candidates = editor.page.get_by_role("region", name="Candidates")
    expect(candidates).to_be_visible()
    check(editor, "candidates")
    candidates.get_by_role("button", name="Accept").click()
    expect(painter.rows()).to_have_count(2)
    expect(candidates).to_have_count(0)
    # All of it is in the graph.
    [box] = typed(editor, "BoundingBox")
    assert (box["inputs"]["width"], box["inputs"]["height"]) == (64, 64)
    assert len(typed(editor, "AddLayer")) == 3
    assert len(typed(editor, "SetNoiseMask")) == 1
    # And what is changed there is seen here.
    [painted, *_] = [name for name, node in nodes(editor).items() if node["type"] == "AddLayer"]
    editor.page.keyboard.press("Alt+c")
    go_to(editor, painted)
    editor.fill(painted, "Opacity", "0.5")
    painter.open()
    painter.rows().last.click()
    expect(editor.page.get_by_label("Opacity").last).to_have_value("50")


def test_undo_takes_back_a_stroke_at_once(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    before = written(editor)["nodes"]
    painter.stroke((0.4, 0.4), (0.6, 0.6))
    editor.page.keyboard.press("ControlOrMeta+z")
    expect(painter.button("Redo")).to_be_enabled()
    assert written(editor)["nodes"] == before
    painter.button("Redo").click()
    expect(painter.button("Redo")).to_be_disabled()
    assert written(editor)["nodes"] != before


def test_a_box_is_dragged_in_a_view_that_stays_and_each_drag_is_a_step(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.button("Box to generate").click()

    def place() -> tuple[int, int]:
        [box] = typed(editor, "BoundingBox")
        return box["inputs"].get("x", 0), box["inputs"].get("y", 0)

    frame = editor.page.locator("[data-box]")
    before = box_of(frame)
    painter.stroke((0.5, 0.5), (0.4, 0.5))
    # What is dragged follows the pointer, as the view does not follow what is dragged.
    assert box_of(frame)["x"] < before["x"]
    first = place()
    painter.stroke((0.4, 0.5), (0.5, 0.4))
    assert place() != first
    editor.page.keyboard.press("ControlOrMeta+z")
    expect(painter.button("Redo")).to_be_enabled()
    assert place() == first


def test_a_group_is_merged_with_what_it_holds(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    painter.stroke((0.4, 0.4), (0.6, 0.4))
    painter.add("Empty layer")
    painter.stroke((0.4, 0.7), (0.6, 0.7))
    painter.button("Put into a group").click()
    [*_, upper] = [node["inputs"] for node in typed(editor, "AddLayer")]
    painter.button("More for layers").click()
    editor.page.get_by_role("menuitem", name="Merge with the layer below").click()
    expect(painter.rows()).to_have_count(1)
    [merged] = [node["inputs"] for node in typed(editor, "AddLayer")]
    # As far down as the lower stroke, which was in the group.
    assert merged["y"] + merged["height"] == upper["y"] + upper["height"]
    assert merged["y"] < upper["y"]


def test_a_stroke_counts_in_the_run_that_follows_at_once(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    editor.page.get_by_label("Color", exact=True).fill("#00ff00")
    painter.stroke((0.4, 0.4), (0.6, 0.6))
    editor.page.keyboard.press("ControlOrMeta+Enter")
    candidates = editor.page.get_by_role("region", name="Candidates")
    expect(candidates).to_be_visible()
    job = editor.server.client.get("jobs").json()["items"][0]["id"]
    ran = editor.server.client.get(f"jobs/{job}/workflow").json()
    pictures = {n["inputs"]["path"] for n in ran["nodes"].values() if n["type"] == "LoadImage"}
    assert pictures == {node["inputs"]["path"] for node in typed(editor, "LoadImage")}
    # Two clicks take it once, and it is what is painted on next.
    candidates.get_by_role("button", name="Accept").dblclick()
    expect(painter.rows()).to_have_count(2)
    expect(painter.rows().first).to_have_attribute("aria-pressed", "true")


def test_an_object_is_selected_and_cut_to_a_layer_in_one_step(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    editor.page.get_by_label("Color", exact=True).fill("#cc2200")
    painter.stroke((0.4, 0.5), (0.6, 0.5))
    painter.button("Select an object").click()
    # No segmentation model is installed: that is said, with a way to get one.
    expect(painter.button("Get models")).to_be_visible()
    painter.click((0.5, 0.5))
    painter.button("Cut to a new layer").click()
    eventually(lambda: painter.names() == ["Selected", "Layer"])
    bring_axe(editor)
    check(editor, "a selected object")
    upper, lower = (node["inputs"] for node in reversed(typed(editor, "AddLayer")))
    # The object is what was painted, but for its soft edge, which stays.
    assert upper["width"] > 4
    assert lower["width"] >= upper["width"]
    editor.page.keyboard.press("ControlOrMeta+z")
    eventually(lambda: painter.names() == ["Layer"])
    assert len(typed(editor, "AddLayer")) == 1


def test_what_is_selected_is_moved_put_back_by_escape_and_put_down_by_enter(
    painter: Painter,
) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    painter.stroke((0.4, 0.5), (0.6, 0.5))
    painter.button("Select a rectangle").click()
    painter.stroke((0.5, 0.4), (0.7, 0.6))
    painter.button("Move and transform").click()
    before = written(editor)["nodes"]
    [placed] = typed(editor, "AddLayer")
    painter.stroke((0.55, 0.5), (0.55, 0.65))
    painter.stage.press("Escape")
    assert written(editor)["nodes"] == before
    painter.stroke((0.55, 0.5), (0.55, 0.65))
    painter.stage.press("Enter")
    expect(painter.button("Redo")).to_be_disabled()
    eventually(lambda: written(editor)["nodes"] != before)
    [moved] = typed(editor, "AddLayer")
    # One half stays where it was, the other is further down.
    assert moved["inputs"]["y"] == placed["inputs"]["y"]
    assert moved["inputs"]["height"] > placed["inputs"]["height"]
    editor.page.keyboard.press("ControlOrMeta+z")
    eventually(lambda: written(editor)["nodes"] == before)


def test_a_layer_whose_transparency_is_locked_is_painted_only_where_it_has_paint(
    painter: Painter,
) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    painter.stroke((0.4, 0.5), (0.6, 0.5))
    # A stroke is in the workflow once its picture is kept.
    eventually(lambda: typed(editor, "AddLayer")[0]["inputs"]["width"] > 0)
    [before] = typed(editor, "AddLayer")
    painter.button("Lock the transparency of Layer").click()
    editor.page.get_by_label("Color", exact=True).fill("#00cc00")
    picture = typed(editor, "LoadImage")[0]["inputs"]["path"]
    painter.stroke((0.5, 0.3), (0.5, 0.7))
    eventually(lambda: typed(editor, "LoadImage")[0]["inputs"]["path"] != picture)
    [after] = typed(editor, "AddLayer")
    assert after == before
    painter.button("Eraser").click()
    painter.stroke((0.4, 0.5), (0.6, 0.5))
    expect(
        painter.editor.page.get_by_text("The transparency of this layer is locked.")
    ).to_be_visible()


def test_a_layer_is_dragged_below_another_in_one_step(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    painter.add("Empty layer")
    painter.rename(painter.rows().first, "Upper")
    names = painter.names()
    assert names == ["Upper", "Layer"]
    rows = painter.layers.locator("li")
    rows.first.drag_to(rows.last, target_position={"x": 60, "y": box_of(rows.last)["height"] - 4})
    eventually(lambda: painter.names() == ["Layer", "Upper"])
    editor.page.keyboard.press("ControlOrMeta+z")
    eventually(lambda: painter.names() == names)


def test_a_stroke_right_before_a_reload_is_there_after_it_and_so_is_the_canvas(
    painter: Painter,
) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    painter.stroke((0.4, 0.4), (0.6, 0.4))
    before = [node["inputs"] for node in typed(editor, "AddLayer")]
    painter.button("Move the view").click()
    painter.stroke((0.5, 0.5), (0.55, 0.45))
    painter.button("Brush").click()
    frame = box_of(editor.page.locator("[data-box]"))
    editor.page.wait_for_timeout(400)
    painter.stroke((0.4, 0.6), (0.6, 0.6))
    editor.page.reload()
    expect(painter.stage).to_be_visible()
    expect(painter.button("Brush")).to_have_attribute("aria-pressed", "true")
    assert box_of(editor.page.locator("[data-box]")) == frame
    # It is drawn anew once its layer is loaded.
    eventually(lambda: [node["inputs"] for node in typed(editor, "AddLayer")] != before)
    [painted] = typed(editor, "AddLayer")
    assert painted["inputs"]["height"] > before[0]["height"]


def test_a_stroke_hides_the_candidate_that_lies_on_it_until_it_is_wanted_again(
    painter: Painter,
) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    painter.stroke((0.4, 0.4), (0.6, 0.6))
    stage = box_of(painter.stage)
    painter.button("Generate").click()
    candidate = editor.page.locator("[data-candidate]")
    expect(candidate).to_be_visible()
    # What is offered lies on the canvas, which keeps its size.
    assert box_of(painter.stage) == stage
    painter.stroke((0.4, 0.5), (0.6, 0.5))
    expect(candidate).to_have_count(0)
    painter.button("Show the candidate").click()
    expect(candidate).to_be_visible()
    editor.page.get_by_label("Opacity of the candidate").fill("40")
    expect(candidate).to_have_css("opacity", "0.4")
    painter.stage.focus()
    editor.page.keyboard.down("p")
    expect(candidate).to_have_count(0)
    editor.page.keyboard.up("p")
    expect(candidate).to_be_visible()


def test_what_the_box_holds_beyond_the_layers_is_filled_and_sampled(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    editor.page.get_by_label("Color", exact=True).fill("#203090")
    painter.button("Select a rectangle").click()
    painter.stage.focus()
    editor.page.keyboard.press("ControlOrMeta+a")
    editor.page.keyboard.press("f")
    expect(painter.button("Undo")).to_be_enabled()
    editor.page.keyboard.press("ControlOrMeta+d")
    assert typed(editor, "FillMasked") == []
    # The box by keys: half of it lies beyond what is painted.
    editor.page.keyboard.press("c")
    for _ in range(4):
        editor.page.keyboard.press("ArrowRight")
    eventually(lambda: len(typed(editor, "FillMasked")) == 1)
    names = {node["type"]: name for name, node in nodes(editor).items()}
    [encode] = typed(editor, "VAEEncode")
    assert encode["inputs"]["image"] == {"from": names["FillMasked"]}
    [_, sampler] = typed(editor, "KSampler")
    assert sampler["inputs"]["denoise"] == 1
    for name, value in (("Steps", "4"), ("Denoise", "0.5")):
        field = editor.page.get_by_role("spinbutton", name=name)
        field.fill(value)
        field.press("Enter")
    painter.button("Generate").click()
    candidates = editor.page.get_by_role("region", name="Candidates")
    candidates.get_by_role("button", name="Accept").click()
    expect(painter.rows()).to_have_count(2)
    # The accepted layer covers the box: there is nothing to fill any more.
    eventually(lambda: typed(editor, "FillMasked") == [])


def test_candidates_are_offered_beside_the_canvas_and_cover_nothing_of_the_box(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server)
    painter = Painter(editor.open_link(prompted("a brass kettle", name="kettle"), anew=True))
    painter.open()
    painter.start(64, 64)
    before = box_of(painter.stage)
    painter.button("Generate").click()
    strip = editor.page.get_by_role("region", name="Candidates")
    expect(strip).to_be_visible()
    # It does not move the canvas under somebody who paints.
    assert box_of(painter.stage) == before
    frame = editor.page.locator("[data-box]")
    for width, height in ((1440, 900), (1000, 520), (390, 800)):
        editor.page.set_viewport_size({"width": width, "height": height})
        eventually(lambda: bottom(frame) <= box_of(strip)["y"])
        accept = box_of(strip.get_by_role("button", name="Accept"))
        assert accept["x"] + accept["width"] <= width


def bottom(element: Locator) -> float:
    box = box_of(element)
    return box["y"] + box["height"]


def test_a_live_canvas_makes_candidates_of_strokes_and_runs_nothing_else(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    painter.button("Generate after each change").click()
    painter.stroke((0.4, 0.4), (0.6, 0.4))
    painter.stroke((0.4, 0.6), (0.6, 0.6))
    expect(editor.page.get_by_role("region", name="Candidates")).to_be_visible()
    # What the workflow saves is for whoever presses the button. A later stroke cancels the run of
    # an earlier one that isn't at its end.
    server = editor.server
    jobs = [job["id"] for job in server.jobs() if "on-change" in job["tags"]]

    def states() -> dict[str, str]:
        return {job: server.get(f"jobs/{job}")["state"] for job in jobs}

    eventually(lambda: set(states().values()) <= {"finished", "cancelled"})
    ended = [job for job, state in states().items() if state == "finished"]
    assert {file["kind"] for job in ended for file in server.outputs(job)} == {"preview"}


def test_problems_and_results_are_shown_beside_the_canvas(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    editor.status.get_by_role("button", name=re.compile("problems?$")).click()
    expect(editor.panel("Problems")).to_contain_text("far from the training size")
    editor.status.get_by_role("button", name="Results").click()
    expect(editor.panel("Results")).to_be_visible()
    editor.status.get_by_role("button", name="Results").click()
    expect(editor.panel("Results")).to_have_count(0)


def test_undoing_a_move_of_pixels_selects_them_where_they_were(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    painter.stroke((0.45, 0.45), (0.5, 0.5))
    painter.button("Select a rectangle").click()
    painter.stroke((0.42, 0.42), (0.52, 0.52))
    outline = editor.page.locator("[data-stage] svg g path").first
    before = outline.get_attribute("d")
    painter.stage.focus()
    editor.page.keyboard.press("v")
    for _ in range(3):
        editor.page.keyboard.press("Shift+ArrowRight")
    editor.page.keyboard.press("Enter")
    expect(outline).not_to_have_attribute("d", before or "")
    moved = outline.get_attribute("d")
    editor.page.keyboard.press("ControlOrMeta+z")
    expect(outline).to_have_attribute("d", before or "")
    editor.page.keyboard.press("ControlOrMeta+Shift+z")
    expect(outline).to_have_attribute("d", moved or "")


def test_layers_that_have_no_box_are_made_a_canvas(tab: Editor) -> None:
    graph = prompted("a brass kettle", name="kettle")
    empty = {"type": "EmptyImage", "inputs": {"width": 64, "height": 64}}
    layer = {"type": "AddLayer", "inputs": {"image": {"from": "blank"}, "width": 64, "height": 64}}
    graph["nodes"] |= {"blank": empty, "layer": layer}
    painter = Painter(tab.open_link(graph))
    painter.open()
    painter.editor.page.get_by_role("button", name="Make it a canvas").click()
    expect(painter.stage).to_be_visible()
    [box] = typed(painter.editor, "BoundingBox")
    assert (box["inputs"]["width"], box["inputs"]["height"]) == (64, 64)


def test_a_control_layer_without_a_model_says_so_before_a_run(painter: Painter) -> None:
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    with editor.page.expect_file_chooser() as chooser:
        painter.add("Image as a control layer…")
    chooser.value.set_files(
        {"name": "edges.png", "mimeType": "image/png", "buffer": b64decode(DOT)}
    )
    expect(painter.rows_of("edges")).to_be_visible()
    expect(editor.page.get_by_text("needs a model")).to_have_count(0)
    # What the control net takes of it is shown, before any run.
    expect(editor.page.get_by_alt_text("Image for the control net")).to_be_visible()
    [name] = [name for name, node in nodes(editor).items() if node["type"] == "LoadControlNet"]
    graph = written(editor)
    del graph["nodes"][name]["inputs"]["control_net"]
    again = Painter(editor.open_link(graph))
    again.open()
    lacking = again.editor.page.get_by_role("alert").filter(has_text="“edges” needs a model")
    lacking.get_by_role("button", name="Choose a model").click()
    expect(again.editor.page.get_by_label("Control net", exact=False).first).to_be_visible()
    expect(again.editor.page.get_by_role("button", name="Get models", exact=True)).to_be_visible()


def test_a_reference_layer_leads_as_strongly_as_its_weight_says(tab: Editor) -> None:
    write_adapter(tab.server.home / "models", embedded_folder())
    editor = tab.open_link(prompted("a brass kettle", name="kettle"))
    editor.show("Models")
    expect(editor.panel("Models").get_by_text("ip", exact=True)).to_be_visible()
    painter = Painter(editor)
    painter.open()
    painter.start(64, 64)
    painter.add("Empty layer")
    editor.page.get_by_role("button", name=re.compile("^Seed on each run")).click()
    editor.page.get_by_role("menuitemcheckbox", name="Fixed").click()

    def candidate() -> NDArray[np.int16]:
        """The pixels of what is generated."""
        painter.button("Generate").click()
        candidates = editor.page.get_by_role("region", name="Candidates")
        candidates.get_by_role("button", name="Discard", exact=True).click()
        expect(candidates).to_have_count(0)
        return np.asarray(Image.open(BytesIO(made(editor.server)))).astype(np.int16)

    without = candidate()
    with editor.page.expect_file_chooser() as chooser:
        painter.add("Image as a reference…")
    chooser.value.set_files(
        {"name": "shown.png", "mimeType": "image/png", "buffer": b64decode(DOT)}
    )
    expect(painter.rows_of("shown")).to_be_visible()
    assert np.abs(candidate() - without).max() > 8
    weight = editor.page.get_by_role("spinbutton", name="Weight")
    weight.fill("0")
    weight.press("Enter")
    assert np.abs(candidate() - without).max() <= 1


# -- a sitting


def actions(painter: Painter, seed: int) -> Iterator[Callable[[], None]]:
    """What somebody does, one after the other; the same for the same seed."""
    draw = Random(seed)
    page = painter.editor.page
    layers = 1

    def point() -> tuple[float, float]:
        return 0.3 + 0.4 * draw.random(), 0.3 + 0.4 * draw.random()

    def stroke(tool: str) -> Callable[[], None]:
        start, end, color = point(), point(), f"#{draw.randrange(1 << 24):06x}"

        def act() -> None:
            painter.rows().first.click()
            page.get_by_label("Color", exact=True).fill(color)
            painter.button(tool).click()
            painter.stroke(start, end)

        return act

    for _ in range(ACTIONS):
        kind = draw.choice(["Brush", "Brush", "Brush", "Eraser", "Fill", "opacity", "hide", "add"])
        if kind == "add" and layers < 5:
            layers += 1
            yield lambda: painter.add("Empty layer")
        elif kind == "opacity":
            value = str(draw.randrange(20, 100))

            def fade(value: str = value) -> None:
                painter.rows().last.click()
                page.get_by_label("Opacity").last.fill(value)

            yield fade
        elif kind == "hide":
            # Twice, so that what is painted on is seen.
            def hide() -> None:
                row = painter.rows().last.locator("xpath=ancestor::li")
                row.get_by_role("button", name=re.compile("^Hide")).click()
                row.get_by_role("button", name=re.compile("^Show")).click()

            yield hide
        else:
            yield stroke(kind if kind in ("Brush", "Eraser", "Fill") else "Brush")


def sit(painter: Painter, server: Server, seed: int, *, dying: bool) -> list[dict[str, Any]]:
    """A whole sitting; gives what is on the canvas at its end."""
    editor = painter.editor
    painter.start(64, 64)
    painter.add("Empty layer")
    for number, act in enumerate(actions(painter, seed)):
        act()
        if not dying or number not in ENDS:
            continue
        editor.written()
        if number % 2:
            editor.page.reload()
            expect(editor.status.get_by_text("Connected", exact=True)).to_be_visible()
        else:
            with editor.watch.allowing(*UNREACHED):
                server.kill()
                server.start()
                expect(editor.status.get_by_text("Connected", exact=True)).to_be_visible()
        expect(painter.stage).to_be_visible()
    return [
        {"type": node["type"], "inputs": node["inputs"]}
        for node in nodes(editor).values()
        if node["type"] in ("AddLayer", "LoadImage", "FlattenLayers", "BoundingBox")
    ]


@pytest.mark.slow
def test_a_sitting_survives_reloads_and_a_server_that_dies(
    painter: Painter, server: Server
) -> None:
    whole = sit(painter, server, 7, dying=False)
    tab = painter.editor.open_link(prompted("a brass kettle", name="again"))
    again = Painter(tab)
    again.open()
    broken = sit(again, server, 7, dying=True)
    # Files are named by their content: the same names are the same pixels.
    assert broken == whole
    for node in broken:
        value = str(node["inputs"].get("path", ""))
        if value.startswith("upload:"):
            digest = value.removeprefix("upload:").partition("/")[0]
            server.client.get(f"uploads/{digest}").raise_for_status()
