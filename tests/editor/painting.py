"""Somebody who paints: what tests do on the canvas of a workflow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, expect

from tests.editor.editing import Editor, box_of
from tests.editor.graphs import written


@dataclass(frozen=True)
class Painter:
    """Somebody at the canvas of the open workflow."""

    editor: Editor

    @property
    def stage(self) -> Locator:
        return self.editor.page.get_by_role("application", name=re.compile("^Canvas,"))

    def button(self, name: str) -> Locator:
        return self.editor.page.locator("[data-painting]").get_by_role(
            "button", name=name, exact=True
        )

    def rows(self) -> Locator:
        layers = self.editor.page.get_by_role("region", name="Layers", exact=True)
        # What was accepted is called by its prompt and seed.
        name = re.compile(r"^Layer|^\d+ · ")
        return layers.locator("li").get_by_role("button", name=name)

    @property
    def layers(self) -> Locator:
        return self.editor.page.get_by_role("region", name="Layers", exact=True)

    def rows_of(self, name: str) -> Locator:
        return self.layers.locator("li").get_by_role("button", name=name, exact=True)

    def names(self) -> list[str]:
        """Of all layers, the uppermost first."""
        return self.layers.locator("li button[aria-pressed]").all_inner_texts()

    def rename(self, row: Locator, name: str) -> None:
        row.dblclick()
        field = self.editor.page.get_by_label("Name of the layer")
        field.fill(name)
        field.press("Enter")

    def click(self, at: tuple[float, float]) -> None:
        """On a point, in parts of the stage's size."""
        box = box_of(self.stage)
        x, y = box["x"] + box["width"] * at[0], box["y"] + box["height"] * at[1]
        self.editor.page.mouse.click(x, y)

    def open(self) -> None:
        self.editor.page.keyboard.press("Alt+c")
        expect(self.editor.page.locator("[data-painting]")).to_be_visible()

    def start(self, width: int, height: int) -> None:
        for label, side in (("Width", width), ("Height", height)):
            field = self.editor.page.get_by_label(label, exact=True)
            field.fill(str(side))
            field.press("Enter")
        self.editor.page.get_by_role("button", name="Empty canvas").click()
        expect(self.stage).to_be_visible()
        # The browser keeps the tool of whoever painted before.
        self.button("Brush").click()

    def add(self, kind: str) -> None:
        count = self.rows().count()
        self.button("Add a layer").click()
        self.editor.page.get_by_role("menuitem", name=kind, exact=True).click()
        if kind == "Empty layer":
            expect(self.rows()).to_have_count(count + 1)

    def open_file(self, name: str, content: bytes) -> None:
        """A file with layers."""
        self.button("More for layers").click()
        with self.editor.page.expect_file_chooser() as chooser:
            item = "Open an OpenRaster or Photoshop file…"
            self.editor.page.get_by_role("menuitem", name=item).click()
        mime = "application/octet-stream"
        chooser.value.set_files({"name": name, "mimeType": mime, "buffer": content})

    def stroke(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """From one point to another, in parts of the stage's size."""
        box = box_of(self.stage)
        (x, y), (to_x, to_y) = (
            (box["x"] + box["width"] * across, box["y"] + box["height"] * down)
            for across, down in (start, end)
        )
        mouse = self.editor.page.mouse
        mouse.move(x, y)
        mouse.down()
        mouse.move(to_x, to_y, steps=6)
        mouse.up()


def nodes(editor: Editor) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = written(editor)["nodes"]
    return found


def typed(editor: Editor, kind: str) -> list[dict[str, Any]]:
    return [node for node in nodes(editor).values() if node["type"] == kind]
