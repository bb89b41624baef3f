"""Prompts that are written as JSON, of boxes with what is to be in each, as Ideogram 4 reads them.

There, such a prompt is a value of its own until it becomes a text; here it is a text all the way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

_SHARES = 1000
"""Places in these prompts are thousandths of a picture's sides."""
_STYLES = {
    "photo": ("aesthetics", "lighting", "photo", "medium"),
    "art_style": ("aesthetics", "lighting", "medium", "art_style"),
}
"""What is said of a style, in the order in which the model was trained on it."""


def elements_text(boxes: Sequence[Mapping[str, Any]], width: float, height: float) -> str:
    """Boxes that were drawn, as the elements of such a prompt.

    Args:
        boxes: Each with ``x``, ``y``, ``width`` and ``height`` in pixels, and ``metadata``.
        width, height: Of the picture, in pixels.
    """
    return json.dumps([_element(box, width, height) for box in boxes], ensure_ascii=False)


def _element(box: Mapping[str, Any], width: float, height: float) -> dict[str, Any]:
    left, top = float(box.get("x", 0)), float(box.get("y", 0))
    right, bottom = left + float(box.get("width", 0)), top + float(box.get("height", 0))
    down, across = _SHARES / max(height, 1), _SHARES / max(width, 1)
    places = (top * down, left * across, bottom * down, right * across)
    metadata = box.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    element: dict[str, Any] = {
        "type": metadata.get("type", "obj"),
        "bbox": [min(max(round(coordinate), 0), _SHARES) for coordinate in places],
    }
    if element["type"] == "text":
        element["text"] = metadata.get("text", "")
    element["desc"] = metadata.get("desc", "")
    if metadata.get("palette"):
        element["color_palette"] = metadata["palette"]
    return element


def _prompt(node: Passage) -> None:
    about, style = node.literal("high_level_description"), node.literal("style")
    whole: dict[str, Any] = {"high_level_description": about} if about else {}
    if style in _STYLES:
        names = ((name, f"style.{name}" if name == style else name) for name in _STYLES[style])
        described = {name: node.literal(key) for name, key in names}
        if colors := node.literal("color_palette"):
            described["color_palette"] = colors
        whole["style_description"] = described
    whole["compositional_deconstruction"] = {"background": node.literal("background")}
    # The elements are another node's text, and come last.
    text = json.dumps(whole, ensure_ascii=False).replace("{", "{{").replace("}", "}}")
    template = text.removesuffix("}}}}") + ', "elements": {a}}}}}'
    name = node.add("FormatText", template=template, a=node.inputs["element"])
    node.give("prompt", MadeOutput(name, "text"))


def _as_text(node: Passage) -> None:
    value = next(node.inputs[name] for name in ("dictionary", "array") if name in node.inputs)
    if not value.is_link:
        raise Untranslatable("what it is to write isn't known")
    indent = node.inputs["indent"].given
    node.keep(indent=indent)
    if indent:
        node.tell("it is written in one line here, not indented")
    node.give("STRING", value)


STRUCTURED_PROMPT_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        'BuildJsonPromptIdeogram(element: ARRAY, high_level_description: STRING = "", '
        'background: STRING = "", style: COMBO = "none", style.photo: STRING = "" @when(photo), '
        'style.art_style: STRING = "" @when(art_style), aesthetics: STRING = "", '
        'lighting: STRING = "", medium: STRING = "", color_palette: COMBO = []) -> prompt: DICT',
        _prompt,
    ),
    entry("ConvertDictionaryToString(dictionary: DICT, indent: INT = 0) -> STRING", _as_text),
    entry("ConvertArrayToString(array: ARRAY, indent: INT = 0) -> STRING", _as_text),
)
