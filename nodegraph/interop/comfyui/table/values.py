"""Numbers, truths and what is worked out of them."""

from __future__ import annotations

import ast

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.table.parts import color_text, compute_number
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_LETTERS = "abcd"
_MEGA = 1.048576
"""Millions of pixels in one megapixel of theirs, which has 1024 by 1024."""


def _math(node: Passage) -> None:
    expression = node.literal("expression")
    values = {name.partition(".")[2]: name for name in node.inputs if name.startswith("values.")}
    used = _names(expression) & set(values)
    if len(used) > len(_LETTERS):
        raise Untranslatable(f"Formula has {len(_LETTERS)} letters, and this takes {len(used)}")
    letters = _lettered(used)
    name = node.add(
        "Formula",
        expression=_renamed(expression, letters),
        whole="cut off",
        **{letters[letter]: node.inputs[values[letter]] for letter in sorted(used)},
    )
    for their, our in (("FLOAT", "number"), ("INT", "integer"), ("BOOL", "truth")):
        node.give(their, MadeOutput(name, our))


def _names(expression: str) -> set[str]:
    try:
        tree = ast.parse(" ".join(expression.split()), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Untranslatable("its expression can't be read") from None
    if any(isinstance(part, ast.BitXor) for part in ast.walk(tree)):
        raise Untranslatable("in its expression, ^ is said of bits, and here of powers")
    return {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}


def checked_expression(expression: str) -> str:
    """An expression that means the same here.

    Raises:
        Untranslatable: It doesn't, or can't be read.
    """
    _names(expression)
    return expression


def _lettered(used: set[str]) -> dict[str, str]:
    """Our letters of theirs: the same ones where that can be."""
    if used <= set(_LETTERS):
        return {letter: letter for letter in used}
    return dict(zip(sorted(used), _LETTERS, strict=False))


def _renamed(expression: str, letters: dict[str, str]) -> str:
    if all(their == our for their, our in letters.items()):
        return expression
    tree = ast.parse(" ".join(expression.split()), mode="eval")
    for part in ast.walk(tree):
        if isinstance(part, ast.Name):
            part.id = letters.get(part.id, part.id)
    return ast.unparse(tree)


def _math_back(node: Passage) -> None:
    expression = node.literal("expression").replace("^", "**")
    if node.inputs["whole"].given != "cut off":
        node.tell("parts after the point are cut off of its whole number there, not rounded")
    used = sorted(_names(expression) & set(_LETTERS))
    values = {f"values.{letter}": _as_link(node, letter) for letter in used}
    name = node.add("ComfyMathExpression", expression=expression, **values)
    for our, their in (("number", "FLOAT"), ("integer", "INT"), ("truth", "BOOL")):
        node.give(our, MadeOutput(name, their))


def _as_link(node: Passage, letter: str) -> Signal | MadeOutput:
    """Such inputs there have no value of their own."""
    signal = node.inputs[letter]
    if signal.is_link:
        return signal
    return MadeOutput(node.add("PrimitiveFloat", value=float(signal.given)), "FLOAT")


def _number(node: Passage) -> None:
    value = node.inputs["value"]
    node.give("FLOAT", MadeOutput(node.add("ToNumber", value=value), "number"))
    node.give("INT", MadeOutput(node.add("ToInteger", value=value, whole="cut off"), "number"))


def _resolution(node: Passage) -> None:
    aspect = str(node.literal("aspect_ratio"))
    across, _, down = aspect.partition(" ")[0].partition(":")
    if not (across.isdigit() and down.isdigit()):
        raise Untranslatable(f"`{aspect}` is no proportion")
    portrait = int(across) < int(down)
    mega = node.inputs["megapixels"]
    name = node.add(
        "Resolution",
        aspect=f"{down}:{across}" if portrait else f"{across}:{down}",
        portrait=portrait,
        megapixels=compute_number(node, f"a * {_MEGA}", lambda a: a * _MEGA, a=mega),
        multiple=node.inputs["multiple"],
    )
    node.keep(aspect_ratio=aspect)
    for port in ("width", "height"):
        node.give(port, MadeOutput(name, port))


def _color(node: Passage) -> None:
    text = color_text(node.literal("color"))
    node.give("rgb_int", Signal(int(text[1:7], 16)))
    node.give("hex", Signal(text[:7]))
    node.give("alpha", Signal(int(text[7:9] or "ff", 16) / 255))


ENTRIES: tuple[TableEntry, ...] = (
    same("PrimitiveInt(value: INT = 0 @control) -> INT", "Integer", outputs={"INT": "number"}),
    same("PrimitiveFloat(value: FLOAT = 0.0) -> FLOAT", "Number", outputs={"FLOAT": "number"}),
    same(
        "PrimitiveBoolean(value: BOOLEAN = false) -> BOOLEAN",
        "Boolean",
        outputs={"BOOLEAN": "value"},
    ),
    same(
        'PrimitiveStringMultiline(value: STRING = "") -> STRING',
        "Text",
        {"value": "text"},
        {"STRING": "text"},
    ),
    same(
        'PrimitiveString(value: STRING = "") -> STRING',
        "Text",
        {"value": "text"},
        {"STRING": "text"},
    ),
    same("SeedNode(seed: INT = 0 @control) -> seed: INT", "Seed", outputs={"seed": "number"}),
    entry(
        'ComfyMathExpression(expression: STRING = "a + b", values.*: FLOAT?) '
        "-> FLOAT, INT, BOOL: BOOLEAN",
        _math,
        "Formula",
        _math_back,
    ),
    entry("ComfyNumberConvert(value: *) -> FLOAT, INT", _number),
    entry(
        'ResolutionSelector(aspect_ratio: COMBO = "1:1 (Square)", megapixels: FLOAT = 1.0, '
        "multiple: INT = 8) -> width: INT, height: INT",
        _resolution,
    ),
    same(
        "GetImageSize(image: IMAGE) -> width: INT, height: INT, batch_size: INT",
        "ImageSize",
        outputs={"batch_size": "batch"},
    ),
    entry(
        'ColorToRGBInt(color: COLOR = "#ffffff") -> rgb_int: INT, hex: COLOR, alpha: FLOAT',
        _color,
    ),
)
