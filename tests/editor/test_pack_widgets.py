"""Widgets and panels that packs bring: frames that drive inputs, look at results, and may fail."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Locator, expect

from tests.editor.conftest import NewBrowser, knowing_home
from tests.editor.editing import Editor, box_of
from tests.editor.faults import AXE
from tests.editor.graphs import middle, written
from tests.editor.serving import Server
from tests.server.hosting import eventually

TONES = Path(__file__).parents[2] / "examples" / "packs" / "tones" / "src" / "tones"
BROKEN = '''
from typing import Annotated
from nodegraph import Widget, node

@node
def Bend(
    thrown: Annotated[list[float], Widget("thrown")] = (0.5,),
    lost: Annotated[list[float], Widget("lost")] = (0.5,),
) -> float:
    """Bend."""
    return sum(thrown)
'''
GRAPH: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Tones",
    "nodes": {
        "picture": {
            "type": "GradientImage",
            "inputs": {"width": 64, "height": 64, "colors": "black white"},
        },
        "tones": {"type": "tones:ToneCurve", "inputs": {"image": {"from": "picture"}}},
        "show": {"type": "SaveImage", "inputs": {"image": {"from": "tones"}}},
    },
    "ui": {"positions": {"picture": [0, 0], "tones": [320, 0], "show": [700, 0]}},
}


@pytest.fixture(scope="module")
def server(
    browser: object, tmp_path_factory: pytest.TempPathFactory, known_specs: Path
) -> Iterator[Server]:
    """One with the example pack, and a pack whose widgets are broken."""
    home = knowing_home(tmp_path_factory.mktemp("widgets"), known_specs)
    with Server(home) as server:
        packs = home / "packs"
        shutil.copytree(TONES, packs / "tones", ignore=shutil.ignore_patterns("__pycache__"))
        (packs / "broken" / "widgets").mkdir(parents=True)
        (packs / "broken" / "nodes.py").write_text(BROKEN)
        script = 'export default () => { throw new Error("nothing works"); };'
        (packs / "broken" / "widgets" / "thrown.js").write_text(script)
        yield server


def frame(editor: Editor) -> FrameLocator:
    return editor.card("tones").frame_locator("iframe")


def point(editor: Editor, number: int) -> Locator:
    return frame(editor).get_by_role("slider").nth(number - 1)


def curve(editor: Editor) -> Any:
    return written(editor)["nodes"]["tones"]["inputs"].get("curve")


def test_a_curve_is_drawn_and_the_run_gives_another_picture(tab: Editor) -> None:
    editor = tab.open_link(GRAPH)
    expect(frame(editor).get_by_role("slider")).to_have_count(2)
    editor.run()
    expect(editor.results("show")).to_have_count(1)
    before = editor.results("show").get_attribute("src")

    # A press between the points makes one, and the drag that follows is the same step to undo.
    square = frame(editor).locator("rect")
    box_of(editor.card("tones").locator("iframe"))
    x, y = middle(square)
    editor.page.mouse.move(x, y)
    editor.page.mouse.down()
    editor.page.mouse.move(x, y + 20, steps=4)
    editor.page.mouse.move(x, y + 30, steps=4)
    editor.page.mouse.up()
    expect(point(editor, 2)).to_have_attribute("aria-label", "Point 2 of 3")
    # The frame tells the page in messages, the last of them when the button is let go.
    told = point(editor, 2).get_attribute("aria-valuenow")
    eventually(lambda: len(found := curve(editor) or ()) == 3 and str(found[1][1]) == told)
    (_, dragged, _) = curve(editor)
    assert dragged[0] == pytest.approx(0.5, abs=0.02)
    assert dragged[1] < 0.45

    # Keys move it, each a step to undo; undoing goes on within the frame.
    point(editor, 2).press("Shift+ArrowUp")
    expect(point(editor, 2)).to_have_attribute("aria-valuenow", str(round(dragged[1] + 0.1, 3)))
    point(editor, 2).press("ControlOrMeta+z")
    expect(point(editor, 2)).to_have_attribute("aria-valuenow", str(dragged[1]))
    # Who searches from within it and thinks better of it is there again.
    field = editor.search()
    field.press("Escape")
    expect(point(editor, 2)).to_be_focused()
    point(editor, 2).press("Escape")
    # While what is in a frame has the focus, `:focus` finds no frame.
    eventually(lambda: editor.page.evaluate("document.activeElement.tagName") != "IFRAME")

    editor.run()
    expect(editor.results("show")).not_to_have_attribute("src", before or "")
    editor.canvas.press("ControlOrMeta+z")
    expect(frame(editor).get_by_role("slider")).to_have_count(2)
    assert curve(editor) is None

    # A panel looks at the newest image.
    panel = editor.show("Pack panels")
    inner = panel.frame_locator("iframe")
    expect(inner.get_by_role("img", name="Tones of the image of show")).to_be_visible()


def test_a_widget_that_fails_or_lacks_gives_way_to_the_plain_field(editor: Editor) -> None:
    graph = {
        "format": "nodegraph/1",
        "title": "Broken",
        "nodes": {"bend": {"type": "broken:Bend"}},
        "ui": {"positions": {"bend": [0, 0]}},
    }
    with editor.watch.allowing("nothing works"):
        editor.open_workflow(graph)
        card = editor.card("bend")
        expect(
            card.get_by_text("failed, so the plain field is shown: Error: nothing")
        ).to_be_visible()
        expect(card.get_by_text("“lost” is missing, so the plain field is shown")).to_be_visible()
        field = card.locator("textarea").first
        field.fill("[0.25]")
        field.blur()
        assert written(editor)["nodes"]["bend"]["inputs"] == {"thrown": [0.25]}


def test_it_looks_as_the_editor_does_and_can_be_used_by_all(
    new_browser: NewBrowser, server: Server
) -> None:
    if not AXE.exists():
        pytest.skip("the editor's packages aren't installed")
    editor = new_browser(server, bypass_csp=True).open_link(GRAPH)
    expect(point(editor, 1)).to_be_visible()
    inner = next(each for each in editor.page.frames if "/packs/" in each.url)
    inner.evaluate(AXE.read_text(encoding="utf-8"))

    def faults() -> list[str]:
        found = inner.evaluate("async () => (await axe.run(document)).violations")
        return [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")]

    for scheme in ("light", "dark"):
        editor.page.emulate_media(color_scheme=scheme)
        inner.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        for _ in range(20):  # colors fade
            if not faults():
                break
            editor.page.wait_for_timeout(100)
        assert faults() == [], scheme
