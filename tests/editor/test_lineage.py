"""The lineage of results in the viewer: from real runs, by pointer and by keyboard."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.editor.editing import Editor
from tests.editor.faults import bring_axe, check
from tests.editor.serving import Server
from tests.server.resources import picture


def edit(source: str, kind: str, name: str, **inputs: Any) -> dict[str, Any]:
    """A workflow that changes an image."""
    return {
        "format": "nodegraph/1",
        "title": name,
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {"path": source}},
            "edit": {"type": kind, "inputs": {"image": {"from": "load.image"}, **inputs}},
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "edit"}, "name": name}},
        },
    }


def made_twice(server: Server) -> None:
    """A photo, an image that was made from it, and another one made from that."""
    data = picture(120, 90, color=(200, 120, 30))
    photo = server.client.post("uploads", params={"name": "photo.png"}, content=data).json()
    job = server.submit(edit(photo["value"], "InvertImage", "inverted"))
    (inverted,) = server.outputs(job)
    again = server.client.post(f"uploads/artifacts/{inverted['digest']}").json()
    server.outputs(server.submit(edit(again["value"], "RotateImage", "turned", angle=30)))


def test_a_result_leads_to_what_it_was_made_from_and_used_in(
    editor: Editor, server: Server
) -> None:
    made_twice(server)
    page = editor.page
    panel = editor.show("Results")
    panel.get_by_role("gridcell", name=re.compile("^turned")).dblclick()
    viewer = editor.dialog(re.compile("^turned"))
    viewer.get_by_role("tab", name="Lineage").click()
    # Both steps: the image before it, and the photo that this one was made from.
    expect(viewer.get_by_role("heading", name="Made from")).to_be_visible()
    steps = viewer.get_by_role("tabpanel").get_by_role("button")
    expect(steps).to_have_text([re.compile("^inverted"), re.compile("^photo.png")])
    bring_axe(editor)
    check(editor, "the lineage of a result", "[data-modal]")

    # By keyboard to the image before it, which was used in the first one.
    viewer.get_by_role("tab", name="Lineage").focus()
    steps.first.focus()
    page.keyboard.press("Enter")
    before = editor.dialog(re.compile("^inverted"))
    expect(before.get_by_role("heading", name="Used in")).to_be_visible()
    expect(before.get_by_role("button", name=re.compile("^turned.*result"))).to_be_visible()

    # An input is no result: its lineage is shown in place.
    before.get_by_role("button", name=re.compile("^photo.png")).click()
    back = before.get_by_role("button", name=re.compile("^Back to inverted"))
    expect(back).to_be_visible()
    expect(before.get_by_role("button", name=re.compile("^inverted.*result"))).to_be_visible()
    back.click()
    expect(before.get_by_role("heading", name="Made from")).to_be_visible()

    # The details are still there, and arrows go on between files.
    before.get_by_role("tab", name="Details").click()
    expect(before.get_by_role("heading", name="File", exact=True)).to_be_visible()
