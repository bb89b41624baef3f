"""Primitive values, math, switches and lists."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry, same
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


def _loop(node: Passage) -> None:
    """Leave the node as it is. Once its graph is translated, `loop_import` replaces it."""
    raise Untranslatable("in nodegraph a loop runs a subgraph")


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
        "mode.num_iterations: INT = 4 @when(simple), "
        "mode.start_iteration_index: INT = 0 @when(For), mode.max_iteration: INT = 4 @when(For), "
        "mode.step: INT = 1 @when(For), mode.list: * @when(List), "
        "cache_iterations: BOOLEAN = false) -> "
        "iteration_index: INT, is_first: BOOLEAN, is_last: BOOLEAN, list_item: *, "
        "current_iteration_value: *",
        _loop,
    ),
    entry(
        "EndLoop(output_value: *?, next_iteration_value: *?, terminations.*: *?, "
        "accumulate: BOOLEAN = false) -> outputs: *",
        _loop,
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


_FUNCTIONS = frozenset(
    ("abs", "min", "max", "clamp", "round", "int", "float", "pow", "floor", "ceil", "sqrt", "exp")
) | {"log", "log2", "log10", "sin", "cos", "tan", "pi", "tau", "e", "true", "false"}
"""Names that a formula knows besides its letters."""


def _with_sizes(
    node: Passage, expression: str, letters: Mapping[str, Signal]
) -> tuple[str, dict[str, Signal | MadeOutput]]:
    """An expression that means the same here, and values of its letters.

    Packs' expressions may read the sizes of images: ``a.width``. Here these are letters, too.

    Args:
        letters: What the letters of the expression are there.
    Raises:
        Untranslatable: It has another meaning here, can't be read, or has too many values.
    """
    names = _names(expression)
    values: dict[str, Signal | MadeOutput] = {}
    sizes = _SIZE.findall(expression)
    for name, side in dict.fromkeys(sizes):
        if name not in letters or side not in ("width", "height"):
            raise Untranslatable(f"its expression reads `{name}.{side}`, which is not known here")
        size = node.add("ImageSize", image=letters[name])
        free = next((each for each in _LETTERS if each not in {*names, *values}), None)
        if free is None:
            raise Untranslatable(f"Formula has {len(_LETTERS)} variables, and this needs more")
        values[free] = MadeOutput(size, side)
        expression = re.sub(rf"\b{name}\s*\.\s*{side}\b", free, expression)
    for name in sorted(_names(expression) - set(values)):
        if name in letters:
            values[name] = letters[name]
        elif name in "abc" or name not in _FUNCTIONS:
            raise Untranslatable(f"its expression has `{name}`, which is not connected or known")
    return expression, values


_SIZE = re.compile(r"\b([A-Za-z_]\w*)\s*\.\s*([A-Za-z_]\w*)")


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
    """Inputs that have no value there."""
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


_OPERATIONS = {
    "add": "a + b", "subtract": "a - b", "multiply": "a * b", "divide": "a / b",
    "modulo": "a % b", "power": "a ** b", "addition": "a + b", "subtraction": "a - b",
    "multiplication": "a * b", "division": "a / b", "floor division": "a // b",
    "exponentiation": "a ** b", "modulus": "a % b", "greater-than": "a > b",
    "greater-than or equals": "a >= b", "less-than": "a < b", "less-than or equals": "a <= b",
    "equals": "a == b", "does not equal": "a != b",
}  # fmt: skip
"""Operations of packs' nodes, as a formula says them."""


def _operated(a: str, b: str, outputs: dict[str, str], operation: str = "operation") -> Translate:
    """The way here of a node that computes with two numbers.

    Args:
        outputs: Its outputs, and those of a formula.
    """

    def forward(node: Passage) -> None:
        how = str(node.literal(operation))
        if how not in _OPERATIONS:
            raise Untranslatable(f"nodegraph has no operation {how!r}")
        numbers = {"a": node.inputs[a], "b": node.inputs[b]}
        made = node.add("Formula", expression=_OPERATIONS[how], whole="cut off", **numbers)
        for their, our in outputs.items():
            node.give(their, MadeOutput(made, our))

    return forward


def _formula(port: str, outputs: dict[str, str]) -> Translate:
    """The way here of a formula of the letters a, b and c, or of sizes of what these are."""

    def forward(node: Passage) -> None:
        letters = {name: node.inputs[name] for name in "abc" if name in node.inputs}
        expression, values = _with_sizes(node, str(node.literal(port)), letters)
        made = node.add("Formula", expression=expression, whole="cut off", **values)
        for their, our in outputs.items():
            node.give(their, MadeOutput(made, our))

    return forward


def _extreme(node: Passage) -> None:
    function = "max" if node.literal("mode") else "min"
    numbers = {name: node.inputs[name] for name in "ab"}
    made = node.add("Formula", expression=f"{function}(a, b)", whole="cut off", **numbers)
    node.give("INT", MadeOutput(made, "integer"))


def _slider(*axes: str) -> Translate:
    """The way here of sliders, which hold a whole number and a fraction each."""

    def forward(node: Passage) -> None:
        for axis in axes:
            kind = "f" if node.literal(f"isfloat{axis}") else "i"
            value = node.inputs[f"{axis}{kind}"]
            native = "Number" if kind == "f" else "Integer"
            node.give(axis, MadeOutput(node.add(native, value=value), "number"))

    return forward


def _typed_number(node: Passage) -> None:
    """One number in three kinds; that of the pack's own is a number here."""
    kind = str(node.literal("number_type"))
    native = {"integer": "Integer", "float": "Number", "bool": "Integer"}.get(kind)
    if native is None:
        raise Untranslatable(f"nodegraph has no number of the type {kind!r}")
    value: Any = node.inputs["number"]
    if kind == "integer":
        value = compute_number(node, "int(a)", _whole, a=value)
    elif kind == "bool":
        value = compute_number(node, "a > 0", lambda a: int(a > 0), a=value)
    made = MadeOutput(node.add(native, value=value), "number")
    for output in ("NUMBER", "FLOAT", "INT"):
        node.give(output, made)


def _whole(a: float) -> int:
    return int(a)


def _number_as(output: str, native: str) -> Translate:
    def forward(node: Passage) -> None:
        whole = {"whole": "cut off"} if native == "ToInteger" else {}
        made = node.add(native, value=node.inputs["number"], **whole)
        node.give(output, MadeOutput(made, "number"))

    return forward


def _sizes(*kinds: str) -> Translate:
    """The way here of a node that gives an image's sides, in several kinds of numbers."""

    def forward(node: Passage) -> None:
        made = node.add("ImageSize", image=node.inputs["image"])
        for side in ("width", "height"):
            for kind in kinds:
                node.give(f"{side}{kind}", MadeOutput(made, side))

    return forward


def _passing_sizes(node: Passage) -> None:
    made = node.add("ImageSize", image=node.inputs["image"])
    node.give("image", node.inputs["image"])
    for output, port in (("width", "width"), ("height", "height"), ("count", "batch")):
        node.give(output, MadeOutput(made, port))


NUMBERS = "a: FLOAT @socket, b: FLOAT @socket"
_BOTH = 'a: INT = 0, b: INT = 0, operation: COMBO = "add"'

NUMBER_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "ImpactMinMax(mode: BOOLEAN = true, a: FLOAT @socket, b: FLOAT @socket) -> INT", _extreme
    ),
    entry(f"easy mathInt({_BOTH}) -> INT", _operated("a", "b", {"INT": "integer"})),
    entry(
        f"easy mathFloat({_BOTH.replace('INT = 0', 'FLOAT = 0.0')}) -> FLOAT",
        _operated("a", "b", {"FLOAT": "number"}),
    ),
    entry(
        'Number Operation(number_a: NUMBER, number_b: NUMBER, operation: COMBO = "addition") '
        "-> NUMBER, FLOAT, INT",
        _operated(
            "number_a", "number_b", {"NUMBER": "number", "FLOAT": "number", "INT": "integer"}
        ),
    ),
    entry(
        'Constant Number(number_type: COMBO = "integer", number: FLOAT = 0.0) '
        "-> NUMBER, FLOAT, INT",
        _typed_number,
    ),
    entry("Number to Int(number: NUMBER) -> INT", _number_as("INT", "ToInteger")),
    entry("Number to Float(number: NUMBER) -> FLOAT", _number_as("FLOAT", "ToNumber")),
    entry("mxSlider(Xi: INT = 20, Xf: FLOAT = 20.0, isfloatX: INT = 0) -> X: *", _slider("X")),
    entry(
        "mxSlider2D(Xi: INT = 512, Xf: FLOAT = 512.0, Yi: INT = 512, Yf: FLOAT = 512.0, "
        "isfloatX: INT = 0, isfloatY: INT = 0) -> X: *, Y: *",
        _slider("X", "Y"),
    ),
    entry(
        'MathExpression|pysssss(expression: STRING = "0", a: *?, b: *?, c: *?) -> INT, FLOAT',
        _formula("expression", {"INT": "integer", "FLOAT": "number"}),
    ),
    entry(
        'SimpleMath+(value: STRING = "0", a: *?, b: *?, c: *?) -> INT, FLOAT',
        _formula("value", {"INT": "integer", "FLOAT": "number"}),
    ),
    entry(
        "Image Size to Number(image: IMAGE) -> width_num: NUMBER, height_num: NUMBER, "
        "width_float: FLOAT, height_float: FLOAT, width_int: INT, height_int: INT",
        _sizes("_num", "_float", "_int"),
    ),
    entry("easy imageSize(image: IMAGE) -> width_int: INT, height_int: INT", _sizes("_int")),
    entry(
        "GetImageSizeAndCount(image: IMAGE) -> image: IMAGE, width: INT, height: INT, count: INT",
        _passing_sizes,
    ),
)

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
    *NUMBER_ENTRIES,
)
