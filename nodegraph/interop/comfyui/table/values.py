"""Primitive values, math, switches and lists."""

from __future__ import annotations

import ast
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.table.parts import (
    add_list,
    autogrow_inputs,
    color_text,
    compute_number,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_SIDES = ("on_true", "on_false")


def _switch(node: Passage) -> None:
    signals = {side: node.inputs[side] for side in _SIDES if side in node.inputs}
    carried = [signal.carried for signal in signals.values()]
    if any(each != carried[0] for each in carried):
        _choose(node, signals)
        return
    name = node.add("Switch", condition=node.inputs["switch"], **signals)
    node.give("output", Signal(MadeOutput(name, "output"), carried[0] if carried else {}))


def _switch_back(node: Passage) -> None:
    """There, both values are linked: one that is written here is a node's there."""
    sides: dict[str, Any] = {side: node.inputs[side] for side in _SIDES if side in node.inputs}
    for side, signal in sides.items():
        if not signal.is_link:
            sides[side] = _written(node, side, signal)
    if len(sides) < len(_SIDES):
        sides = _both(node, sides)
    name = node.add("ComfySwitchNode", switch=node.inputs["condition"], **sides)
    node.give("output", MadeOutput(name, "output"))


def _both(node: Passage, sides: dict[str, Any]) -> dict[str, Any]:
    """Both sides of a switch that is given one here: that one, which is the chosen one."""
    chosen = _SIDES[0] if node.literal("condition") else _SIDES[1]
    if chosen not in sides:
        raise Untranslatable(f"ComfyUI requires a value for `{chosen}`")
    return dict.fromkeys(_SIDES, sides[chosen])


_THERE: tuple[tuple[type, str, str], ...] = (
    (bool, "PrimitiveBoolean", "BOOLEAN"),
    (int, "PrimitiveInt", "INT"),
    (float, "PrimitiveFloat", "FLOAT"),
    (str, "PrimitiveStringMultiline", "STRING"),
)
"""What gives a written value there, by the first type that it is of, and its output."""


def _written(node: Passage, side: str, signal: Signal) -> MadeOutput:
    for kind, there, output in _THERE:
        if isinstance(signal.content, kind):
            return MadeOutput(node.imply(there, value=signal), output)
    raise Untranslatable(f"ComfyUI requires a link to `{side}`")


def _choose(node: Passage, signals: dict[str, Signal]) -> None:
    """Of values that are sampled in different ways, the one that is chosen.

    Raises:
        Untranslatable: Which one it is will be known when it runs.
    """
    side = _SIDES[0] if node.literal("switch") else _SIDES[1]
    if side not in signals:
        raise Untranslatable(f"its input `{side}` is not connected")
    node.tell(f"stays at `{side}`: its two values have different sampling settings")
    node.give("output", signals[side])


_CONSTANTS: dict[type, str] = {bool: "Boolean", int: "Integer", float: "Number"}


def _primitive(node: Passage) -> None:
    value = node.inputs["value"]
    native = next(
        (name for kind, name in _CONSTANTS.items() if isinstance(value.content, kind)), None
    )
    if native is None:
        # Of texts, most are one of an input's choices, which a link can't give.
        node.give("*", Signal(value.content))
        return
    port = "value" if native == "Boolean" else "number"
    node.give("*", MadeOutput(node.add(native, value=value), port))


def _create_list(node: Passage) -> None:
    node.give("list", Signal(add_list(node, autogrow_inputs(node, "inputs"))))


def _list_back(node: Passage) -> None:
    items = [node.inputs[name] for name in sorted(node.inputs)]
    name = node.add("CreateList", **{f"inputs.input{at}": item for at, item in enumerate(items)})
    node.give("output", MadeOutput(name, "list"))


def _no_loop(node: Passage) -> None:
    raise Untranslatable("in nodegraph a loop is a block, for example that of Repeat or ForEach")


LOGIC_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "ComfySwitchNode(on_false: *, on_true: *, switch: BOOLEAN = false) -> output: *",
        _switch,
        "Switch",
        _switch_back,
    ),
    entry('PrimitiveNode(value: COMBO = "") -> *', _primitive),
    entry("CreateList(inputs.*: *?) -> list: *", _create_list, "List", _list_back),
    same(
        "GetItemFromList(list: *, index: INT = 0) -> *",
        "Item",
        {"list": "items"},
        {"*": "output"},
    ),
    entry(
        'StartLoop(parent_iteration: INT?, initial_iteration_value: *?, mode: COMBO = "simple", '
        "mode.num_iterations: INT = 1 @when(simple), "
        "mode.start_iteration_index: INT = 0 @when(For), mode.max_iteration: INT = 1 @when(For), "
        "mode.step: INT = 1 @when(For), cache_iterations: BOOLEAN = false) -> "
        "iteration_index: INT, is_first: BOOLEAN, is_last: BOOLEAN, list_item: *, "
        "current_iteration_value: *",
        _no_loop,
    ),
    entry(
        "EndLoop(output_value: *?, next_iteration_value: *?, terminations.*: *?, "
        "accumulate: BOOLEAN = false) -> outputs: *",
        _no_loop,
    ),
)


_LETTERS = "abcd"
_MEGA = 1.048576
"""Millions of pixels in one megapixel of theirs, which has 1024 by 1024."""


def _math(node: Passage) -> None:
    expression = node.literal("expression")
    values = {name.partition(".")[2]: name for name in node.inputs if name.startswith("values.")}
    used = _names(expression) & set(values)
    if len(used) > len(_LETTERS):
        raise Untranslatable(f"Formula has {len(_LETTERS)} variables, and this needs {len(used)}")
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
        raise Untranslatable("its expression cannot be read") from None
    if any(isinstance(part, ast.BitXor) for part in ast.walk(tree)):
        raise Untranslatable(
            "its expression uses ^ for bits, and in nodegraph it stands for powers"
        )
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
    if node.inputs["whole"].content != "cut off":
        node.tell(
            "ComfyUI truncates the digits after the point of its whole number and does not round"
        )
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
    return MadeOutput(node.add("PrimitiveFloat", value=float(signal.content)), "FLOAT")


def _number(node: Passage) -> None:
    value = node.inputs["value"]
    node.give("FLOAT", MadeOutput(node.add("ToNumber", value=value), "number"))
    node.give("INT", MadeOutput(node.add("ToInteger", value=value, whole="cut off"), "number"))


def _resolution(node: Passage) -> None:
    aspect = str(node.literal("aspect_ratio"))
    across, _, down = aspect.partition(" ")[0].partition(":")
    if not (across.isdigit() and down.isdigit()):
        raise Untranslatable(f"`{aspect}` is not an aspect ratio")
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
    *LOGIC_ENTRIES,
)
