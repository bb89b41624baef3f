"""Making and changing graphs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.editor.conftest import NewBrowser
from tests.editor.editing import Editor, box_of, expect_picture
from tests.editor.gates import gated, text_to_image
from tests.editor.graphs import (
    CHAIN,
    add,
    drag,
    give,
    go_to,
    link,
    made,
    middle,
    new_tab,
    pick,
    ran,
    saved,
    scroll_to,
    search,
    written,
)
from tests.editor.serving import Server
from tests.server.hosting import eventually

PROMPT = "a red apple on a white background"


def save_as(editor: Editor, name: str) -> None:
    """Save by keyboard under a new name."""
    editor.page.keyboard.press("ControlOrMeta+s")
    field = editor.dialog("Save workflow").get_by_label("Name on the server")
    expect(field).to_be_focused()
    editor.page.keyboard.press("ControlOrMeta+a")
    editor.page.keyboard.type(name)
    editor.page.keyboard.press("Enter")
    expect(editor.notice(f"Saved “{name}”")).to_be_visible()


def slide(editor: Editor, node: str, label: str, share: float) -> None:
    """Click on an input's slider, at a share of its way."""
    slider = editor.card(node).get_by_role("slider", name=re.compile(label, re.IGNORECASE))
    box = box_of(slider)
    editor.page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


class TestFromNothing:
    """A graph built in an empty workflow, and run here and by the command line."""

    def test_by_keyboard(
        self, editor: Editor, server: Server, tmp_path: Path, known_specs: Path
    ) -> None:
        new_tab(editor)
        add(editor, "load model", "load_model")
        add(editor, "encode prompt", "encode_prompt")
        add(editor, "empty latent", "empty_latent")
        add(editor, "ksampler", "ksampler")
        add(editor, "vae decode", "vae_decode")
        add(editor, "save image", "save_image")
        link(editor, "image", "image", "VAE decode")
        go_to(editor, "vae_decode")
        link(editor, "latent", "latent", "KSampler")
        link(editor, "vae", "vae", "Load model")
        go_to(editor, "ksampler")
        link(editor, "model", "model", "Load model")
        link(editor, "positive", "conditioning", "Encode prompt")
        link(editor, "latent input", "latent", "Empty latent")
        give(editor, "ksampler", {"Seed": "7", "Steps": "4", "Cfg": "4"})
        go_to(editor, "empty_latent")
        give(editor, "empty_latent", {"Width": "64", "Height": "64"})
        go_to(editor, "encode_prompt")
        link(editor, "encoder", "text encoder", "Load model")
        give(editor, "encode_prompt", {"Text": PROMPT})
        save_as(editor, "by keyboard")
        editor.page.keyboard.press("ControlOrMeta+Enter")
        go_to(editor, "save_image")
        expect_picture(editor.results("save_image"))
        assert ran(saved(server, "by keyboard"), tmp_path, known_specs) == made(server)

    def test_by_mouse(self, editor: Editor, server: Server) -> None:
        """But for the words, nothing is typed; each node is found from a port of another."""
        new_tab(editor)
        page = editor.page
        box = box_of(editor.canvas)

        def at(x: float, y: float) -> tuple[float, float]:
            return box["x"] + x, box["y"] + y

        for _ in range(2):
            editor.canvas.get_by_role("button", name="Zoom out").click()
        page.mouse.dblclick(*at(30, 60))
        expect(search(editor)).to_be_visible()
        scroll_to(editor, "Load model")
        pick(editor, "Load model")
        # from what gives to what takes, and the other way round
        for start, side, port, end, label, name in (
            ("load_model", "outputs", "text encoder", (240, 60), "Encode prompt", "encode_prompt"),
            ("encode_prompt", "outputs", "conditioning", (470, 60), "KSampler", "ksampler"),
            ("ksampler", "takes", "latent", (240, 420), "Empty latent", "empty_latent"),
            ("ksampler", "outputs", "latent", (700, 60), "VAE decode", "vae_decode"),
            ("vae_decode", "outputs", "image", (700, 300), "Save image", "save_image"),
        ):
            drag(editor, middle(editor.port(start, side, port)), at(*end))
            expect(search(editor)).to_be_visible()
            scroll_to(editor, label)
            pick(editor, label)
            expect(editor.card(name)).to_be_visible()
        for target, port in (("ksampler", "model"), ("vae_decode", "vae")):
            drag(
                editor,
                middle(editor.port("load_model", "outputs", port)),
                middle(editor.port(target, "takes", port)),
            )
            expect(editor.link("load_model", target)).to_have_count(1)
        for node, label in (("empty_latent", "Width"), ("empty_latent", "Height")):
            slide(editor, node, label, 0.1)
        slide(editor, "ksampler", "Steps", 0.05)
        editor.fill("encode_prompt", "Text", PROMPT)
        editor.menu("File", "Save")
        dialog = editor.dialog("Save workflow")
        dialog.get_by_label("Name on the server").fill("by mouse")
        dialog.get_by_role("button", name="Save", exact=True).click()
        expect(editor.notice("Saved “by mouse”")).to_be_visible()
        editor.run()
        expect_picture(editor.results("save_image"))
        nodes = json.loads(saved(server, "by mouse"))["nodes"]
        links = {
            (value["from"], f"{name}.{port}")
            for name, node in nodes.items()
            for port, value in node.get("inputs", {}).items()
            if isinstance(value, dict)
        }
        assert links == {
            ("load_model.text_encoder", "encode_prompt.encoder"),
            ("encode_prompt", "ksampler.positive"),
            ("empty_latent", "ksampler.latent"),
            ("load_model.model", "ksampler.model"),
            ("load_model.vae", "vae_decode.vae"),
            ("ksampler", "vae_decode.latent"),
            ("vae_decode", "save_image.image"),
        }


def test_links_are_refused_with_a_reason_replaced_and_bent(tab: Editor) -> None:
    inputs = {"vae": {"from": "load.vae"}, "image": {"from": "decode"}}
    nodes = {**CHAIN["nodes"], "encode": {"type": "VAEEncode", "inputs": inputs}}
    editor = tab.open_link({**CHAIN, "nodes": nodes})
    latent = middle(editor.port("decode", "takes", "latent"))
    drag(editor, middle(editor.port("load", "outputs", "vae")), latent)
    expect(editor.notice("Cannot create this link")).to_be_visible()
    expect(editor.notice(re.compile("takes Latent, but the output is Vae"))).to_be_visible()
    drag(editor, middle(editor.port("encode", "outputs", "latent")), latent)
    expect(editor.notice("The node would need its own result.")).to_be_visible()
    assert written(editor)["nodes"] == nodes

    # A point is put in, moved and taken out.
    start, end = (
        middle(editor.port("wait", "outputs", "image")),
        middle(editor.port("save", "takes", "image")),
    )
    between = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    editor.page.mouse.dblclick(*between)
    point = editor.canvas.locator("[data-id^='reroute/']")
    expect(point).to_have_count(1)
    [[_, before]] = written(editor)["ui"]["reroutes"]["save.image"]
    drag(editor, middle(point), (between[0], between[1] + 120))
    [[_, after]] = written(editor)["ui"]["reroutes"]["save.image"]
    assert after > before + 50
    point.click(button="right")
    editor.page.get_by_role("menuitem", name="Remove the reroute point").click()
    assert "reroutes" not in written(editor)["ui"]

    drag(editor, middle(editor.port("decode", "outputs", "image")), end)
    expect(editor.link("decode", "save")).to_have_count(1)
    expect(editor.link("wait", "save")).to_have_count(0)


def test_says_what_was_done_and_a_snapshot_comes_back(editor: Editor) -> None:
    editor.command("Take a snapshot")
    dialog = editor.dialog("Take a snapshot")
    dialog.get_by_label("Name").fill("before")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    editor.fill("sample", "Steps", "30")
    history = editor.show("History")
    expect(history.get_by_role("option").first).to_contain_text("sample: steps 20 → 30")
    history.get_by_role("button", name="Compare before with the current state").click()
    since = history.get_by_role("list", name="Changes since the snapshot")
    expect(since).to_have_text("sample: steps 20 → 30")
    history.get_by_role("button", name="Restore before").click()
    expect(editor.field("sample", "Steps")).to_have_value("20")
    # It is kept with the document.
    editor.wait_until_kept("before restored")
    editor.reload()
    history = editor.show("History")
    expect(history.get_by_role("option").first).to_contain_text("before restored")
    expect(
        history.get_by_role("button", name="Compare before with the current state")
    ).to_be_visible()
    editor.command("Undo")
    expect(editor.field("sample", "Steps")).to_have_value("30")


def test_copies_go_from_one_window_to_another_as_text(editor: Editor) -> None:
    editor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.click_card("decode")
    editor.click_card("save", "ControlOrMeta")
    expect(editor.page.locator(".react-flow__node.selected")).to_have_count(2)
    editor.page.keyboard.press("ControlOrMeta+c")
    copied = "navigator.clipboard.readText()"
    eventually(lambda: '"format": "nodegraph/1"' in editor.page.evaluate(copied))
    other = Editor(editor.page.context.new_page(), editor.server, editor.watch)
    other.page.goto("/")
    other.drawn()
    other.page.keyboard.press("ControlOrMeta+v")
    expect(other.cards).to_have_count(2)
    expect(other.link("decode", "save")).to_have_count(1)
    assert set(written(other)["nodes"]) == {"decode", "save"}


class TestNodes:
    @pytest.fixture
    def chain(self, tab: Editor) -> Editor:
        return tab.open_link({**CHAIN})

    def test_bypassed_and_run_without(self, tab: Editor) -> None:
        editor = tab.open_link(gated("a file that never comes"))
        editor.click_card("wait")
        editor.page.keyboard.press("b")
        expect(editor.card("wait").get_by_role("img", name=re.compile("^Bypassed"))).to_be_visible()
        editor.run()
        expect_picture(editor.results("save"))
        assert written(editor)["nodes"]["wait"]["mode"] == "bypass"

    def test_chosen_by_clicks_and_by_a_box_and_moved_together(self, chain: Editor) -> None:
        before = written(chain)["ui"]["positions"]
        chain.click_card("wait")
        chain.click_card("save", "ControlOrMeta")
        x, _ = middle(chain.card("wait").get_by_role("article"))
        head = box_of(chain.card("wait"))
        drag(chain, (x, head["y"] + 12), (x + 40, head["y"] + 92))
        after = written(chain)["ui"]["positions"]
        moved = [after["wait"][axis] - before["wait"][axis] for axis in (0, 1)]
        assert moved[1] > moved[0] > 0
        assert [after["save"][axis] - before["save"][axis] for axis in (0, 1)] == moved
        assert after["decode"] == before["decode"]
        # A click on one of them leaves it alone.
        chain.click_card("save")
        expect(selected(chain)).to_have_count(1)
        chain.page.keyboard.press("ControlOrMeta+z")
        assert written(chain)["ui"]["positions"] == before

        chain.click_card("decode")
        chain.click_card("wait", "Shift")
        chain.click_card("load", "Shift")
        expect(selected(chain)).to_have_count(3)
        chain.click_card("load", "Shift")
        expect(selected(chain)).to_have_count(2)

        chain.page.keyboard.press("ControlOrMeta+Alt+a")
        expect(selected(chain)).to_have_count(0)
        first, last = box_of(chain.card("decode")), box_of(chain.card("wait"))
        chain.page.keyboard.down("Shift")
        drag(
            chain,
            (first["x"] - 10, first["y"] - 30),
            (last["x"] + last["width"] + 5, last["y"] + last["height"] + 10),
        )
        chain.page.keyboard.up("Shift")
        chain.page.keyboard.press("Delete")
        expect(chain.cards).to_have_count(3)
        assert set(written(chain)["nodes"]) == {"size", "load", "save"}

    def test_unfolded_renamed_and_not_taken_for_the_canvas(self, chain: Editor) -> None:
        chain.click_card("save")
        chain.page.keyboard.press("c")
        expect(chain.field("save", "Name")).to_have_count(0)
        assert written(chain)["ui"]["collapsed"] == ["save"]
        chain.card("save").get_by_role("button", name=re.compile("^Expand")).click()
        expect(chain.field("save", "Name")).to_be_visible()

        chain.click_card("decode")
        chain.page.keyboard.press("F2")
        field = chain.dialog("Rename node").get_by_role("textbox")
        expect(field).to_be_focused()
        field.fill("picture")
        field.press("Enter")
        expect(chain.card("picture")).to_be_visible()
        nodes = written(chain)["nodes"]
        assert nodes["wait"]["inputs"]["image"] == {"from": "picture"}
        assert "decode" not in nodes

        chain.card("picture").get_by_role("article").dblclick(position={"x": 120, "y": 70})
        expect(search(chain)).to_have_count(0)
        x, y = middle(chain.card("picture"))
        chain.page.mouse.dblclick(x, y + 200)
        expect(search(chain)).to_be_visible()


def selected(editor: Editor) -> Locator:
    return editor.canvas.locator(".react-flow__node.selected")


def test_the_inspector_has_one_scroll_bar(new_browser: NewBrowser, server: Server) -> None:
    window = {"width": 1200, "height": 500}
    editor = new_browser(server, viewport=window).open_link(text_to_image())
    editor.click_card("sample")
    inspector = editor.show("Inspector")
    expect(inspector.get_by_role("textbox", name="Label")).to_be_visible()
    bars = """(panel) => [...panel.querySelectorAll("*")].filter((each) =>
        each.scrollHeight > each.clientHeight + 1 && each.tagName !== "TEXTAREA"
        && /auto|scroll/.test(getComputedStyle(each).overflowY)).length"""
    eventually(lambda: inspector.evaluate(bars) == 1)


def test_a_block_is_made_entered_and_given_a_port(editor: Editor, server: Server) -> None:
    editor.fill("sample", "Steps", "2")
    editor.fill("sample", "Seed", "41")
    editor.run()
    expect_picture(editor.results("save"))
    plain = made(server)
    editor.click_card("size")
    editor.click_card("sample", "ControlOrMeta")
    editor.page.keyboard.press("ControlOrMeta+Shift+g")
    field = editor.dialog("Convert the selected nodes to a subgraph").get_by_role("textbox")
    expect(field).to_be_focused()
    field.fill("Draw")
    field.press("Enter")
    expect(editor.cards).to_have_count(5)
    [block] = [name for name, node in nodes_of(editor).items() if node["type"] == "Draw"]

    # the same image comes of it
    before = len(server.jobs())
    editor.run()
    eventually(lambda: len(server.jobs()) == before + 1)
    eventually(lambda: server.jobs()[0]["state"] == "finished")
    assert strip(made(server)) == strip(plain)

    # in
    card = editor.card(block).get_by_role("article")
    box = box_of(card)
    # Between the ports of its first row.
    card.dblclick(position={"x": box["width"] / 2, "y": box["width"] / 5})
    path = editor.page.get_by_role("navigation", name="Current location")
    expect(path).to_contain_text("Draw")
    expect(editor.card("size")).to_be_visible()
    expect(editor.cards).to_have_count(2)
    editor.drawn()
    expect(search(editor)).to_have_count(0)

    # a port of a node inside becomes one of the block
    editor.page.keyboard.press("f")
    editor.click_card("size")
    link(editor, "width", "New", "")
    path.get_by_role("button", name="Text to image").click()
    expect(path).to_have_count(0)
    editor.drawn()
    file = written(editor)
    assert "width" in file["subgraphs"]["Draw"]["inputs"]
    editor.fill(block, "Width", "64")
    assert written(editor)["nodes"][block]["inputs"]["width"] == 64

    # and out of one again
    editor.click_card(block)
    editor.page.keyboard.press("ControlOrMeta+Shift+u")
    expect(editor.card("sample")).to_be_visible()
    assert written(editor)["nodes"]["size"]["inputs"]["width"] == 64


def nodes_of(editor: Editor) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = written(editor)["nodes"]
    return found


def strip(picture: bytes) -> bytes:
    """An image's pixels, without the workflow that made it."""
    return picture[picture.index(b"IDAT") :]
