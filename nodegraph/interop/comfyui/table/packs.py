"""Everyday nodes of packs that many have: rgthree, KJNodes, Essentials, pysssss, Easy-Use, WAS."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, same
from nodegraph.interop.comfyui.signatures import InputSignature, Signature, parse_signature
from nodegraph.interop.comfyui.table.parts import METHODS
from nodegraph.interop.comfyui.table.values import checked_expression
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal

_KEEPING = {
    "stretch": "stretch", "resize": "inside", "pad": "pad", "pad_edge": "pad", "crop": "crop",
    "keep proportion": "inside", "fill / crop": "crop",
}  # fmt: skip


def _named(type_name: str, line: str, forward: Translate) -> TableEntry:
    """An entry for a type whose name has brackets."""
    signature = parse_signature(f"X{line}")
    return TableEntry(Signature(type_name, signature.inputs, signature.outputs), forward)


def _any(node: Passage) -> None:
    signals = [node.inputs[name] for name in sorted(node.inputs) if name.startswith("any_")]
    node.give("*", signals[0] if signals else Signal(None))


def _loras(node: Passage) -> None:
    model, clip = node.inputs["model"], node.inputs.get("clip")
    rows = [signal.given for signal in node.inputs.values() if isinstance(signal.given, dict)]
    for row in rows:
        lora, strength = row.get("lora"), row.get("strength", 1.0)
        if not row.get("on") or lora in (None, "None", ""):
            continue
        second = row.get("strengthTwo")
        name = node.add(
            "LoadLora",
            model=model,
            text_encoder=clip,
            lora=lora,
            strength_model=strength,
            strength_encoder=strength if second is None else second,
        )
        model = Signal(MadeOutput(name, "model"), model.carried)
        if clip is not None:
            clip = Signal(MadeOutput(name, "text_encoder"), clip.carried)
    node.keep(rows=rows)
    node.give("MODEL", model)
    if clip is not None:
        node.give("CLIP", clip)


def _compare(node: Passage) -> None:
    view = node.add("SplitView", image=node.inputs["image_a"], other=node.inputs["image_b"])
    node.add("PreviewImage", image=MadeOutput(view, "image"))


def _show(port: str, output: str) -> Translate:
    def forward(node: Passage) -> None:
        node.add("ShowValue", value=node.inputs[port])
        if output:
            node.give(output, node.inputs[port])

    return forward


def _resize(method: str, keeping: str, multiple: str) -> Translate:
    def forward(node: Passage) -> None:
        values: dict[str, Any] = {side: node.inputs[side] for side in ("width", "height")}
        if _KEEPING.get(str(node.literal(keeping))) == "pad":
            values |= _filled(node, str(node.literal(keeping)))
        name = node.add(
            "ResizeImage",
            image=node.inputs["image"],
            **values,
            method=METHODS.ours(node.literal(method)),
            fit=_KEEPING.get(str(node.literal(keeping)), "stretch"),
            multiple_of=max(1, int(node.literal(multiple))),
        )
        node.give("IMAGE", MadeOutput(name, "image"))
        size = node.add("ImageSize", image=MadeOutput(name, "image"))
        for side in ("width", "height"):
            node.give(side, MadeOutput(size, side))

    return forward


def _filled(node: Passage, keeping: str) -> dict[str, Any]:
    """What is put around a picture, where that isn't black."""
    if keeping == "pad_edge":
        node.tell("what is put around pictures is black here, not the color of their edges")
        return {}
    color = node.inputs.get("pad_color")
    parts = str(color.given).split(",") if color is not None else ["0"] * 3
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        node.tell(f"`pad_color` is {parts} there, which can't be read here: it is black")
        return {}
    levels = [int(part) for part in parts]
    return {"fill": f"rgb({', '.join(map(str, levels))})"} if any(levels) else {}


def _math(node: Passage) -> None:
    letters = {name: node.inputs[name] for name in "abc" if name in node.inputs}
    expression = checked_expression(node.literal("value"))
    name = node.add("Formula", expression=expression, whole="cut off", **letters)
    node.give("INT", MadeOutput(name, "integer"))
    node.give("FLOAT", MadeOutput(name, "number"))


def _constant(line: str, native: str, port: str = "value") -> TableEntry:
    signature = parse_signature(line)
    (taken,), ((output, _),) = signature.inputs, signature.outputs
    native_outputs = {"Integer": "number", "Number": "number", "Seed": "number", "Boolean": "value"}
    return same(line, native, {taken.name: port}, {output: native_outputs.get(native, "text")})


_PICTURE = "image: IMAGE, width: INT = 512, height: INT = 512"
_SIZED = "IMAGE, width: INT, height: INT"
_LORA_ROWS = tuple(InputSignature(f"row_{number}", "COMBO") for number in range(1, 25))
_LORAS = parse_signature("X(model: MODEL, clip: CLIP?) -> MODEL, CLIP")

ENTRIES: tuple[TableEntry, ...] = (
    _named("Any Switch (rgthree)", "(any_01: *?, any_02: *?, any_03: *?, any_04: *?) -> *", _any),
    TableEntry(
        Signature("Power Lora Loader (rgthree)", _LORAS.inputs + _LORA_ROWS, _LORAS.outputs), _loras
    ),
    _named("Image Comparer (rgthree)", "(image_a: IMAGE, image_b: IMAGE)", _compare),
    _named("Display Any (rgthree)", "(source: *)", _show("source", "")),
    _constant("INTConstant(value: INT = 0) -> value: INT", "Integer"),
    _constant("FloatConstant(value: FLOAT = 0.0) -> value: FLOAT", "Number"),
    _constant("BOOLConstant(value: BOOLEAN = true) -> value: BOOLEAN", "Boolean"),
    _constant('StringConstant(string: STRING = "") -> STRING', "Text", "text"),
    _constant("easy int(value: INT = 0) -> int: INT", "Integer"),
    _constant("easy float(value: FLOAT = 0.0) -> float: FLOAT", "Number"),
    _constant("easy boolean(value: BOOLEAN = false) -> boolean: BOOLEAN", "Boolean"),
    _constant('easy string(value: STRING = "") -> string: STRING', "Text", "text"),
    _constant('Text Multiline(text: STRING = "") -> STRING', "Text", "text"),
    TableEntry(parse_signature("ShowText|pysssss(text: *) -> STRING"), _show("text", "STRING")),
    TableEntry(
        parse_signature(
            f'ImageResizeKJv2({_PICTURE}, upscale_method: COMBO = "nearest-exact", '
            'keep_proportion: COMBO = "stretch", pad_color: STRING = "0, 0, 0", '
            'crop_position: COMBO = "center", divisible_by: INT = 2, mask: MASK?, '
            f'device: COMBO = "cpu") -> {_SIZED}, mask: MASK'
        ),
        _resize("upscale_method", "keep_proportion", "divisible_by"),
    ),
    TableEntry(
        parse_signature(
            f'ImageResize+({_PICTURE}, interpolation: COMBO = "nearest", '
            'method: COMBO = "stretch", condition: COMBO = "always", multiple_of: INT = 0) '
            f"-> {_SIZED}"
        ),
        _resize("interpolation", "method", "multiple_of"),
    ),
    same(
        "GetImageSize+(image: IMAGE) -> width: INT, height: INT, count: INT",
        "ImageSize",
        outputs={"count": "batch"},
    ),
    TableEntry(
        parse_signature('SimpleMath+(value: STRING = "0", a: *?, b: *?, c: *?) -> INT, FLOAT'),
        _math,
    ),
)
