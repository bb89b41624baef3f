"""Making and changing graphs."""

from __future__ import annotations

import re
from json import dumps
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.editor.editing import Editor, box_of, expect_picture
from tests.editor.gates import gated
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

    def test_by_keyboard(self, editor: Editor, server: Server, tmp_path: Path) -> None:
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
        assert ran(saved(server, "by keyboard"), tmp_path) == made(server)

    def test_by_mouse(self, editor: Editor, server: Server, tmp_path: Path) -> None:
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
            ("load_model", "gives", "text encoder", (240, 60), "Encode prompt", "encode_prompt"),
            ("encode_prompt", "gives", "conditioning", (470, 60), "KSampler", "ksampler"),
            ("ksampler", "takes", "latent", (240, 420), "Empty latent", "empty_latent"),
            ("ksampler", "gives", "latent", (700, 60), "VAE decode", "vae_decode"),
            ("vae_decode", "gives", "image", (700, 300), "Save image", "save_image"),
        ):
            drag(editor, middle(editor.port(start, side, port)), at(*end))
            expect(search(editor)).to_be_visible()
            scroll_to(editor, label)
            pick(editor, label)
            expect(editor.card(name)).to_be_visible()
        for target, port in (("ksampler", "model"), ("vae_decode", "vae")):
            drag(
                editor,
                middle(editor.port("load_model", "gives", port)),
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
        assert ran(saved(server, "by mouse"), tmp_path) == made(server)

    def test_from_the_palette(self, editor: Editor) -> None:
        new_tab(editor)
        palette = editor.show("Nodes")
        palette.get_by_role("searchbox").fill("save image")
        row = palette.get_by_role("treeitem", name=re.compile("^Save image"))
        row.drag_to(editor.canvas, target_position={"x": 300, "y": 200})
        expect(editor.card("save_image")).to_be_visible()
        row.press("Enter")
        expect(editor.cards).to_have_count(2)


class TestLinks:
    def test_an_invalid_one_is_refused_with_its_reason(self, editor: Editor) -> None:
        before = written(editor)
        drag(
            editor,
            middle(editor.port("load", "gives", "vae")),
            middle(editor.port("sample", "takes", "latent")),
        )
        expect(editor.notice("This link can’t be made")).to_be_visible()
        reason = re.compile("takes Latent, but the output gives Vae")
        expect(editor.notice(reason)).to_be_visible()
        assert written(editor) == before

    def test_a_circle_is_refused(self, editor: Editor) -> None:
        inputs = {"vae": {"from": "load.vae"}, "image": {"from": "decode"}}
        given = {
            **CHAIN,
            "nodes": {**CHAIN["nodes"], "encode": {"type": "VAEEncode", "inputs": inputs}},
        }
        editor.open_workflow(given)
        drag(
            editor,
            middle(editor.port("encode", "gives", "latent")),
            middle(editor.port("decode", "takes", "latent")),
        )
        expect(editor.notice("The node would need its own result.")).to_be_visible()
        assert written(editor)["nodes"] == given["nodes"]

    def test_one_dropped_into_the_empty_shows_what_fits(self, editor: Editor) -> None:
        editor.open_workflow({**CHAIN})
        x, y = middle(editor.port("decode", "gives", "image"))
        drag(editor, (x, y), (x + 40, y + 250))
        expect(search(editor)).to_be_focused()
        types = editor.page.get_by_role("listbox", name="Node types")
        search(editor).fill("vae")
        expect(types.get_by_role("option", name=re.compile("^VAE encode")).first).to_be_visible()
        expect(types.get_by_role("option", name=re.compile("^VAE decode"))).to_have_count(0)
        pick(editor, "VAE encode")
        expect(editor.link("decode", "vae_encode")).to_have_count(1)
        made = written(editor)["nodes"]["vae_encode"]
        assert made == {"type": "VAEEncode", "inputs": {"image": {"from": "decode"}}}

    def test_an_end_is_moved_and_taken_off(self, editor: Editor) -> None:
        editor.open_workflow({**CHAIN})
        end = middle(editor.port("save", "takes", "image"))
        x, y = middle(editor.port("decode", "gives", "image"))
        drag(editor, (x, y), end)
        expect(editor.link("decode", "save")).to_have_count(1)
        expect(editor.link("wait", "save")).to_have_count(0)
        drag(editor, (end[0] - 14, end[1]), (end[0] - 30, end[1] + 200))
        expect(editor.link("decode", "save")).to_have_count(0)
        expect(search(editor)).to_have_count(0)
        assert "image" not in written(editor)["nodes"]["save"].get("inputs", {})

    def test_a_conversion_is_shown(self, editor: Editor) -> None:
        editor.open_workflow(
            {
                "format": "nodegraph/1",
                "title": "Mask",
                "nodes": {
                    "picture": {"type": "LoadImage", "inputs": {"path": "apple.png"}},
                    "save": {"type": "SaveImage", "inputs": {"image": {"from": "picture.mask"}}},
                },
            }
        )
        mark = editor.canvas.get_by_role("img", name="The mask becomes a grey picture.")
        expect(mark).to_be_visible()

    def test_a_point_is_put_in_and_taken_out(self, editor: Editor) -> None:
        editor.open_workflow({**CHAIN})
        start, end = (
            middle(editor.port("wait", "gives", "image")),
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
        editor.page.get_by_role("menuitem", name="Remove the point").click()
        assert "reroutes" not in written(editor)["ui"]


class TestUndo:
    def test_every_step_goes_back_and_forth(self, editor: Editor) -> None:
        before = written(editor)
        editor.fill("positive", "Text", "a duck")
        editor.click_card("decode")
        editor.page.keyboard.press("Delete")
        expect(editor.card("decode")).to_have_count(0)
        editor.page.keyboard.press("ControlOrMeta+z")
        expect(editor.card("decode")).to_be_visible()
        expect(editor.link("decode", "save")).to_have_count(1)
        expect(editor.field("positive", "Text")).to_have_value("a duck")
        editor.page.keyboard.press("ControlOrMeta+z")
        expect(editor.field("positive", "Text")).to_have_value(PROMPT)
        assert written(editor) == before
        editor.page.keyboard.press("ControlOrMeta+Shift+z")
        expect(editor.field("positive", "Text")).to_have_value("a duck")
        editor.page.keyboard.press("ControlOrMeta+y")
        expect(editor.card("decode")).to_have_count(0)

    def test_what_was_undone_stays_in_the_tree(self, editor: Editor) -> None:
        editor.fill("positive", "Text", "a duck")
        editor.click_card("decode")
        editor.page.keyboard.press("ControlOrMeta+z")
        editor.fill("positive", "Text", "a fox")
        states = editor.show("History").get_by_role("option")
        expect(states).to_have_count(3)
        states.nth(1).click()
        expect(editor.field("positive", "Text")).to_have_value("a duck")
        states.nth(0).click()
        expect(editor.field("positive", "Text")).to_have_value("a fox")

    def test_says_what_was_done_and_a_snapshot_comes_back(self, editor: Editor) -> None:
        editor.command("Take a snapshot")
        dialog = editor.dialog("Take a snapshot")
        dialog.get_by_label("Name").fill("before")
        dialog.get_by_role("button", name="Keep").click()
        expect(dialog).to_have_count(0)
        editor.fill("sample", "Steps", "30")
        history = editor.show("History")
        expect(history.get_by_role("option").first).to_contain_text("sample: steps 20 → 30")
        history.get_by_role("button", name="Compare before to now").click()
        since = history.get_by_role("list", name="Changed since then")
        expect(since).to_have_text("sample: steps 20 → 30")
        history.get_by_role("button", name="Restore before").click()
        expect(editor.field("sample", "Steps")).to_have_value("20")
        # It is kept with the document.
        editor.wait_until_kept("before restored")
        editor.reload()
        history = editor.show("History")
        expect(history.get_by_role("option").first).to_contain_text("before restored")
        expect(history.get_by_role("button", name="Compare before to now")).to_be_visible()
        editor.command("Undo")
        expect(editor.field("sample", "Steps")).to_have_value("30")


class TestCopies:
    @pytest.fixture
    def editor(self, editor: Editor) -> Editor:
        editor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        return editor

    def test_go_from_one_window_to_another_as_text(self, editor: Editor) -> None:
        editor.click_card("decode")
        editor.click_card("save", "ControlOrMeta")
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

    def test_come_with_their_links(self, editor: Editor) -> None:
        editor.click_card("decode")
        editor.page.keyboard.press("ControlOrMeta+d")
        expect(editor.cards).to_have_count(7)
        nodes = written(editor)["nodes"]
        [copy] = [name for name in nodes if name.startswith("decode") and name != "decode"]
        assert nodes[copy] == nodes["decode"]
        editor.page.keyboard.press("ControlOrMeta+z")
        expect(editor.cards).to_have_count(6)


class TestNodes:
    @pytest.fixture
    def chain(self, editor: Editor) -> Editor:
        editor.open_workflow({**CHAIN})
        return editor

    def test_deleted_with_their_links_closed(self, chain: Editor) -> None:
        chain.click_card("wait")
        chain.page.keyboard.press("Shift+Delete")
        expect(chain.card("wait")).to_have_count(0)
        expect(chain.link("decode", "save")).to_have_count(1)
        assert written(chain)["nodes"]["save"]["inputs"]["image"] == {"from": "decode"}

    def test_bypassed_and_run_without(self, editor: Editor) -> None:
        editor.open_workflow(gated("a file that never comes"))
        editor.click_card("wait")
        editor.page.keyboard.press("b")
        expect(editor.card("wait").get_by_role("img", name=re.compile("^Bypassed"))).to_be_visible()
        editor.run()
        expect_picture(editor.results("save"))
        assert written(editor)["nodes"]["wait"]["mode"] == "bypass"

    def test_muted(self, chain: Editor) -> None:
        chain.click_card("wait")
        chain.page.keyboard.press("m")
        expect(chain.card("wait").get_by_role("img", name=re.compile("^Muted"))).to_be_visible()
        assert written(chain)["nodes"]["wait"]["mode"] == "mute"
        chain.page.keyboard.press("m")
        assert "mode" not in written(chain)["nodes"]["wait"]

    def test_collapsed(self, chain: Editor) -> None:
        chain.click_card("save")
        chain.page.keyboard.press("c")
        expect(chain.field("save", "Name")).to_have_count(0)
        assert written(chain)["ui"]["collapsed"] == ["save"]
        chain.card("save").get_by_role("button", name=re.compile("^Unfold")).click()
        expect(chain.field("save", "Name")).to_be_visible()

    def test_renamed_with_all_that_names_them(self, chain: Editor) -> None:
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

    def test_moved_by_mouse_and_by_keys_together(self, chain: Editor) -> None:
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
        # a click on one of them leaves it alone
        chain.click_card("save")
        inspector = chain.show("Inspector")
        expect(inspector.get_by_role("textbox", name="Label")).to_be_visible()
        chain.page.keyboard.press("ControlOrMeta+z")
        assert written(chain)["ui"]["positions"] == before

    def test_chosen_one_after_the_other_with_shift(self, chain: Editor) -> None:
        chain.click_card("decode")
        chain.click_card("wait", "Shift")
        chain.click_card("load", "Shift")
        chain.click_card("load", "Shift")
        chain.page.keyboard.press("Delete")
        expect(chain.cards).to_have_count(3)
        assert set(written(chain)["nodes"]) == {"size", "load", "save"}

    def test_a_double_click_on_one_is_not_meant_for_the_canvas(self, chain: Editor) -> None:
        chain.card("decode").get_by_role("article").dblclick(position={"x": 120, "y": 70})
        expect(search(chain)).to_have_count(0)
        x, y = middle(chain.card("decode"))
        chain.page.mouse.dblclick(x, y + 200)
        expect(search(chain)).to_be_visible()

    def test_chosen_with_a_box(self, chain: Editor) -> None:
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


class TestBesidesNodes:
    def test_groups_hold_what_is_in_them(self, editor: Editor) -> None:
        editor.click_card("decode")
        editor.click_card("save", "ControlOrMeta")
        editor.page.keyboard.press("ControlOrMeta+g")
        group = editor.canvas.get_by_role("region", name="Group Group")
        expect(group).to_be_visible()
        title = group.get_by_role("button", name="Title of the group: Group")
        title.dblclick()
        expect(group.get_by_role("textbox")).to_be_focused()
        editor.page.keyboard.type("The end")
        editor.page.keyboard.press("Enter")
        expect(editor.canvas.get_by_role("region", name="Group The end")).to_be_visible()
        before = written(editor)["ui"]
        x, y = middle(editor.canvas.get_by_role("button", name="Title of the group"))
        drag(editor, (x, y), (x, y + 60))
        after = written(editor)["ui"]
        assert after["groups"][0]["title"] == "The end"
        moved = after["groups"][0]["box"][1] - before["groups"][0]["box"][1]
        assert moved > 0
        assert after["positions"]["save"][1] - before["positions"]["save"][1] == moved

    def test_notes_are_written(self, editor: Editor) -> None:
        editor.click_card("save")
        editor.page.keyboard.press("n")
        note = editor.canvas.get_by_role("button", name=re.compile("^Note"))
        note.dblclick()
        expect(editor.canvas.locator("[data-id^='note/'] textarea")).to_be_focused()
        editor.page.keyboard.type("Mind the gap")
        editor.page.keyboard.press("ControlOrMeta+Enter")
        expect(note).to_have_text("Mind the gap")
        assert [note["text"] for note in written(editor)["ui"]["notes"]] == ["Mind the gap"]

    def test_an_input_becomes_a_port_and_a_parameter(self, editor: Editor) -> None:
        more = editor.card("sample").get_by_role("button", name="More for Denoise")
        more.click()
        editor.page.get_by_role("menuitem", name=re.compile("port", re.IGNORECASE)).first.click()
        expect(editor.port("sample", "takes", "denoise")).to_be_visible()
        assert written(editor)["ui"]["shown"] == {"sample": ["denoise"]}


def test_the_inspector_has_one_scroll_bar(editor: Editor) -> None:
    editor.page.set_viewport_size({"width": 1200, "height": 500})
    editor.click_card("sample")
    inspector = editor.show("Inspector")
    expect(inspector.get_by_role("textbox", name="Label")).to_be_visible()
    bars = """(panel) => [...panel.querySelectorAll("*")].filter((each) =>
        each.scrollHeight > each.clientHeight + 1 && each.tagName !== "TEXTAREA"
        && /auto|scroll/.test(getComputedStyle(each).overflowY)).length"""
    eventually(lambda: inspector.evaluate(bars) == 1)


class TestBlocks:
    def test_entered_with_a_double_click_and_nothing_else(self, editor: Editor) -> None:
        inner = {"latent": {"type": "EmptyLatent"}}
        block = {"inputs": {}, "outputs": {"latent": "latent"}, "nodes": inner}
        title = "Inner"
        nodes = {"inner": {"type": "Box"}}
        file = {"format": "nodegraph/1", "title": title, "subgraphs": {"Box": block}}
        editor.drop("inner.json", dumps({**file, "nodes": nodes}).encode(), "application/json")
        expect(editor.tab).to_have_text(title)
        card = editor.card("inner").get_by_role("article")
        box = box_of(card)
        card.dblclick(position={"x": box["width"] / 2, "y": box["height"] - 12})
        expect(editor.card("latent")).to_be_visible()
        editor.drawn()
        expect(search(editor)).to_have_count(0)

    def test_made_entered_and_given_a_port(self, editor: Editor, server: Server) -> None:
        editor.run()
        expect_picture(editor.results("save"))
        plain = made(server)
        editor.click_card("size")
        editor.click_card("sample", "ControlOrMeta")
        editor.page.keyboard.press("ControlOrMeta+Shift+g")
        field = editor.dialog("Make a block of the selected nodes").get_by_role("textbox")
        expect(field).to_be_focused()
        field.fill("Draw")
        field.press("Enter")
        expect(editor.cards).to_have_count(5)
        [block] = [name for name, node in nodes_of(editor).items() if node["type"] == "Draw"]

        # the same picture comes of it
        editor.run()
        expect(editor.state("save", "Done")).to_be_visible()
        assert strip(made(server)) == strip(plain)

        # in
        editor.click_card(block)
        editor.page.keyboard.press("Shift+Enter")
        path = editor.page.get_by_role("navigation", name="Where you are")
        expect(path).to_contain_text("Draw")
        expect(editor.card("size")).to_be_visible()
        expect(editor.cards).to_have_count(2)
        editor.drawn()

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
    """A picture's pixels, without the workflow that made it."""
    return picture[picture.index(b"IDAT") :]
