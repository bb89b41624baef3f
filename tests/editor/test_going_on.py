"""What a workflow gave becomes an input: by its menus, by dragging it, in the list of files."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.editor.editing import Editor, expect_picture
from tests.editor.faults import bring_axe, check
from tests.editor.gates import prompted
from tests.editor.graphs import drag, middle, written
from tests.editor.serving import Server


@pytest.fixture(scope="module")
def picture(server: Server) -> dict[str, Any]:
    """An image that the server has already, of the workflow that `made` opens."""
    return server.outputs(server.submit(kettle()))[0]


def kettle() -> dict[str, Any]:
    """An image of a few steps, so that half of them can be taken again."""
    found = prompted("a brass kettle", name="kettle")
    found["nodes"]["sample"]["inputs"]["steps"] = 4
    return found


@pytest.fixture
def made(tab: Editor, picture: dict[str, Any]) -> Editor:
    """With the workflow and the image that it gave, in its card."""
    editor = tab.open_link(kettle())
    expect_picture(editor.results("save"))
    return editor


def go_on(editor: Editor, item: str) -> None:
    """Choose what to do with the image in the card."""
    editor.card("save").get_by_role("button", name=re.compile("^Continue with kettle")).click()
    editor.page.get_by_role("menuitem", name=item).click()


def nodes(editor: Editor) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = written(editor)["nodes"]
    return found


def test_a_result_is_loaded_varied_and_made_larger_each_in_one_step(
    made: Editor, picture: dict[str, Any]
) -> None:
    go_on(made, "Use as input")
    expect_picture(made.card("load_image").get_by_role("img", name="Image kettle"))
    value = f"upload:{picture['digest']}/{picture['name']}"
    assert nodes(made)["load_image"]["inputs"] == {"path": value}
    made.page.keyboard.press("ControlOrMeta+z")
    expect(made.card("load_image")).to_have_count(0)
    go_on(made, "Upscale")
    expect(made.card("upscale_image")).to_be_visible()
    made.page.keyboard.press("ControlOrMeta+z")
    expect(made.card("upscale_image")).to_have_count(0)
    # What was added is gone, and the rest is seen again.
    expect(made.card("positive")).to_be_in_viewport(ratio=0.9)
    go_on(made, "Vary")
    expect(made.card("ksampler")).to_be_visible()
    found = nodes(made)
    assert found["ksampler"]["inputs"]["positive"] == {"from": "positive"}
    assert found["ksampler"]["inputs"]["denoise"] == 0.5
    made.run()
    expect_picture(made.results("save_image"))


def test_what_is_painted_over_is_sampled_anew(made: Editor, picture: dict[str, Any]) -> None:
    go_on(made, "Inpaint")
    dialog = made.dialog("Paint a mask")
    made.page.mouse.click(*middle(dialog.get_by_label(re.compile("^Mask of kettle"))))
    dialog.get_by_role("button", name="Use").click()
    expect(dialog).to_have_count(0)
    expect(made.card("composite_masked")).to_be_visible()
    found = nodes(made)
    assert f"{picture['name'].removesuffix('.png')}_masked" in found["load_image"]["inputs"]["path"]
    assert found["set_noise_mask"]["inputs"]["mask"] == {"from": "load_image.mask"}
    made.run()
    expect_picture(made.results("save_image"))


def test_the_gallery_and_the_viewer_go_on_with_a_result(made: Editor) -> None:
    panel = made.show("Results")
    cell = panel.get_by_role("gridcell", name=re.compile("^kettle"))
    cell.last.click(button="right")
    bring_axe(made)
    check(made, "the menu of a result")
    made.page.get_by_role("menuitem", name="Use as input").click()
    expect(made.card("load_image")).to_be_visible()
    cell.last.focus()
    made.page.keyboard.press("u")
    expect(made.card("load_image_2")).to_be_visible()
    cell.last.click()
    made.dialog(re.compile("^kettle")).get_by_role(
        "button", name="Continue with this result"
    ).click()
    made.page.get_by_role("menuitem", name="Use as input").click()
    expect(made.card("load_image_3")).to_be_visible()

    # They are among the files to choose from.
    card = made.card("load_image")
    card.get_by_role("textbox", name="Path").fill("")
    card.get_by_role("button", name="Choose a file").click()
    found = made.page.get_by_label("Files").get_by_role("region", name="Results")
    found.get_by_role("button", name=re.compile("^kettle")).first.click()
    expect_picture(card.get_by_role("img", name="Image kettle"))


def test_a_result_is_dragged_onto_the_canvas_and_onto_a_port(made: Editor) -> None:
    thumbnail = made.card("save").get_by_role("button", name=re.compile("^Show kettle"))
    x, y = middle(made.card("positive"))
    drag(made, middle(thumbnail), (x, y + 260))
    expect(made.card("load_image")).to_be_visible()
    port = made.port("save", "takes", "image")
    drag(made, middle(thumbnail), middle(port))
    expect(made.card("load_image_2")).to_be_visible()
    assert nodes(made)["save"]["inputs"]["image"] == {"from": "load_image_2.image"}


def test_it_is_sent_to_a_saved_workflow_and_to_one_of_another_tab(
    made: Editor, server: Server
) -> None:
    workflow = {
        "format": "nodegraph/1",
        "title": "Smaller",
        "parameters": {"picture": "load.path"},
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {"path": "apple.png"}},
            "show": {"type": "PreviewImage", "inputs": {"image": {"from": "load.image"}}},
        },
    }
    server.client.put("workflows/smaller", json=workflow).raise_for_status()
    own = made.tab.get_attribute("data-tab")
    go_on(made, "Send to workflow…")
    dialog = made.dialog("Send to a workflow")
    expect(dialog.get_by_label("Image to replace")).to_have_text("picture")
    dialog.get_by_role("button", name="Open").click()
    expect(made.tab).to_have_text(re.compile("Smaller"))
    expect_picture(made.card("load").get_by_role("img", name="Image kettle"))

    # Or to one of another tab.
    given = {"load": {"type": "LoadImage", "inputs": {"path": "apple.png"}}}
    made.open_workflow({"format": "nodegraph/1", "title": "Elsewhere", "nodes": given})
    made.page.locator(f"[data-tab='{own}']").click()
    go_on(made, "Send to workflow…")
    dialog = made.dialog("Send to a workflow")
    dialog.get_by_label("Workflow", exact=True).click()
    made.page.get_by_role("option", name="Elsewhere (open tab)").click()
    dialog.get_by_role("button", name="Open").click()
    expect(made.tab).to_have_text("Elsewhere")
    expect_picture(made.card("load").get_by_role("img", name="Image kettle"))
