"""Curves of tones and what they are drawn over, which there are values of their own."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

_STRAIGHT = ((0, 0), (1, 1))


def _curve(node: Passage) -> None:
    """Points as text, as AdjustCurves reads them."""
    curve = node.literal("curve")
    drawn: Any = curve.get("points") if isinstance(curve, dict) else curve
    try:
        points = [(float(old), float(new)) for old, new in drawn or _STRAIGHT]
    except (TypeError, ValueError):
        raise Untranslatable("its curve can't be read") from None
    if isinstance(curve, dict) and curve.get("interpolation") == "linear":
        node.tell("the curve is smooth between its points here, not straight")
    text = " ".join(f"{old:.6g},{new:.6g}" for old, new in points)
    node.keep(curve=curve)
    node.give("curve", MadeOutput(node.add("Text", text=text), "text"))


def _histogram(node: Passage) -> None:
    drawn = MadeOutput(node.add("ImageHistogram", image=node.inputs["image"]), "image")
    node.add("PreviewImage", image=drawn)
    for name in ("rgb", "luminance", "red", "green", "blue"):
        node.give(name, drawn)


CURVE_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "CurveEditor(histogram: HISTOGRAM?, curve: COMBO = []) -> curve: CURVE",
        _curve,
    ),
    entry(
        "ImageHistogram(image: IMAGE) -> rgb: HISTOGRAM, luminance: HISTOGRAM, red: HISTOGRAM, "
        "green: HISTOGRAM, blue: HISTOGRAM",
        _histogram,
    ),
)
