"""Resize, scale and pad images and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodegraph.interop.comfyui.entries import (
    Choice,
    TableEntry,
    Translate,
    WrittenSignature,
    entry,
    same,
)
from nodegraph.interop.comfyui.import_context import compose
from nodegraph.interop.comfyui.table.parts import METHODS, compute_number, refuse_others
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_BY = {
    "scale by multiplier": ("factor", "multiplier"),
    "scale longer dimension": ("longer side", "longer_size"),
    "scale shorter dimension": ("shorter side", "shorter_size"),
    "scale width": ("width", "width"),
    "scale height": ("height", "height"),
    "scale total pixels": ("megapixels", "megapixels"),
}
"""Ways of ResizeImageMaskNode: what ScaleImage calls them, and whose number it takes."""
_WIDGETS = "resize_type."
_CROPS = Choice({"disabled": "stretch", "center": "crop"})


def _is_mask(value: Any) -> bool:
    source = getattr(value, "content", value)
    return isinstance(source, MadeOutput) and source.port in ("mask", "masks")


def _resize(node: Passage) -> None:
    source = node.inputs["input"]
    if not _is_mask(source):
        node.give("resized", _resized(node, source))
        return
    picture = MadeOutput(node.add("MaskToImage", mask=source), "image")
    made = _resized(node, picture)
    name = node.add("MaskFromChannel", image=made, channel="red")
    node.give("resized", MadeOutput(name, "mask"))


def _resized(node: Passage, image: Any) -> MadeOutput:
    how, method = node.literal("resize_type"), METHODS.ours(node.literal("scale_method"))
    if how in _BY:
        by, number = _BY[how]
        amount = node.inputs[_WIDGETS + number]
        return _made(node, "ScaleImage", image=image, by=by, amount=amount, method=method)
    if how == "scale dimensions":
        size = {side: node.inputs[_WIDGETS + side] for side in ("width", "height")}
        return _made(node, "ResizeImage", image=image, **size, method=method, fit=_fit(node))
    if how == "match size":
        like: Any = node.inputs[f"{_WIDGETS}match"]
        if _is_mask(like):
            like = _made(node, "MaskToImage", mask=like)
        return _made(node, "ResizeImage", image=image, like=like, method=method, fit=_fit(node))
    if how == "scale to multiple":
        return _to_multiple(node, image, method)
    raise Untranslatable(f"its resize mode, `{how}`, is not known")


def _fit(node: Passage) -> Any:
    name = f"{_WIDGETS}crop"
    return _CROPS.ours(node.literal(name) if name in node.inputs else "center")


def _to_multiple(node: Passage, image: Any, method: str) -> MadeOutput:
    size = node.add("ImageSize", image=image)
    multiple = node.inputs[f"{_WIDGETS}multiple"]
    sides = {
        side: compute_number(node, "a // b * b", _floored, a=MadeOutput(size, side), b=multiple)
        for side in ("width", "height")
    }
    return _made(node, "ResizeImage", image=image, **sides, method=method, fit="crop")


def _floored(a: int, b: int) -> int:
    return a // b * b


def _made(node: Passage, native: str, **inputs: Any) -> MadeOutput:
    return MadeOutput(node.add(native, **inputs), "image")


def _resize_back(node: Passage) -> None:
    """Of a native ResizeImage that no older node says."""
    refuse_others(node, {"multiple_of": 1})
    fit = node.inputs["fit"].content
    if fit not in ("stretch", "crop"):
        raise Untranslatable(f"ComfyUI cannot fit images by `{fit}`")
    crop = _CROPS.theirs(fit)
    values: dict[str, Any] = {"resize_type": "scale dimensions", "resize_type.crop": crop}
    if "like" in node.inputs and node.inputs["like"].is_link:
        values |= {"resize_type": "match size", "resize_type.match": node.inputs["like"]}
    else:
        values |= {f"resize_type.{side}": node.inputs[side] for side in ("width", "height")}
    _give_back(node, values)


def _scale_back(node: Passage) -> None:
    refuse_others(node, {"multiple_of": 1})
    by = node.literal("by")
    how, number = next((how, name) for how, (our, name) in _BY.items() if our == by)
    amount = node.inputs["amount"]
    is_whole = by not in ("factor", "megapixels") and not amount.is_link
    values = {f"resize_type.{number}": round(amount.content) if is_whole else amount}
    _give_back(node, {"resize_type": how, **values})


def _give_back(node: Passage, values: dict[str, Any]) -> None:
    method = METHODS.theirs(node.literal("method"))
    name = node.add(
        "ResizeImageMaskNode", input=node.inputs["image"], **values, scale_method=method
    )
    node.give("image", MadeOutput(name, "resized"))


def _padded(node: Passage) -> None:
    made = _made(
        node,
        "ResizeImage",
        image=node.inputs["image"],
        width=node.inputs["target_width"],
        height=node.inputs["target_height"],
        method=METHODS.ours(node.literal("interpolation")),
        fit="pad",
        fill=node.inputs["padding_color"],
    )
    node.give("IMAGE", made)


def _padded_back(node: Passage) -> None:
    refuse_others(node, {"multiple_of": 1, "fit": "pad"})
    name = node.add(
        "ResizeAndPadImage",
        image=node.inputs["image"],
        target_width=node.inputs["width"],
        target_height=node.inputs["height"],
        padding_color=node.inputs["fill"],
        interpolation=METHODS.theirs(node.literal("method")),
    )
    node.give("image", MadeOutput(name, "IMAGE"))


def _to_training_size(node: Passage) -> None:
    size = node.add("Resolution", family="flux-kontext", like=node.inputs["image"])
    made = _made(
        node,
        "ResizeImage",
        image=node.inputs["image"],
        width=MadeOutput(size, "width"),
        height=MadeOutput(size, "height"),
        method="lanczos",
        fit="crop",
    )
    node.give("IMAGE", made)


def _center_crop(node: Passage) -> None:
    size = {side: node.inputs[side] for side in ("width", "height")}
    name = node.add("CropImage", image=node.inputs["images"], anchor="center", **size)
    node.give("images", MadeOutput(name, "image"))


def _by_edge(edge: str) -> Callable[[Passage], None]:
    def forward(node: Passage) -> None:
        amount, port = node.inputs[f"{edge}_edge"], f"{edge} side"
        made = _made(node, "ScaleImage", image=node.inputs["images"], by=port, amount=amount)
        node.give("images", made)

    return forward


def _scaling(line: str, by: str, amount: str, more: dict[str, str] | None = None) -> TableEntry:
    return same(
        line,
        "ScaleImage",
        {"upscale_method": "method", amount: "amount", **(more or {})},
        choices={"upscale_method": METHODS},
        fixed={"by": by},
    )


_KEEPING = {
    "stretch": "stretch", "resize": "inside", "pad": "pad", "pad_edge": "pad",
    "pad_edge_pixel": "pad", "crop": "crop",
    "keep proportion": "inside", "fill / crop": "crop", "True": "inside", "False": "stretch",
}  # fmt: skip
"""How packs call what becomes of an image's proportions."""
_BIGGER, _SMALLER = ("a > c or b > d", "a > c and b > d"), ("a < c or b < d", "a < c and b < d")
_CONDITIONS = {
    "downscale if bigger": _BIGGER, "upscale if smaller": _SMALLER,
    "if bigger area": ("a * b > c * d",) * 2, "if smaller area": ("a * b < c * d",) * 2,
}  # fmt: skip
"""Formulas of an image's sides and the wanted ones: of one that is stretched or fitted, and of one
whose larger, or smaller, side decides."""


def _by_pack(
    method: str, keeping: str, multiple: str, condition: str = "", like: str = ""
) -> Translate:
    """The way here of a pack's node that resizes images.

    Args:
        method: Its inputs for the interpolation,
        keeping: for the proportions,
        multiple: for what sides are multiples of,
        condition: for when it is done, if it has one,
        like: and for an image whose size is taken.
    """

    def forward(node: Passage) -> None:
        image, how = node.inputs["image"], str(node.literal(keeping))
        if how == "total_pixels":
            _give_sized(node, _to_pixels(node, method, multiple), "inside")
            return
        if how not in _KEEPING:
            raise Untranslatable(f"nodegraph cannot fit images by `{keeping}` {how!r}")
        fit = _KEEPING[how]
        values: dict[str, Any] = {side: node.inputs[side] for side in ("width", "height")}
        if like and like in node.inputs:
            values = {"like": node.inputs[like]}
        if fit == "pad":
            values |= _filled(node, how)
        made: Any = _made(
            node,
            "ResizeImage",
            image=image,
            **values,
            method=METHODS.ours(node.literal(method)),
            fit=fit,
            multiple_of=max(1, int(node.literal(multiple))),
        )
        when = str(node.literal(condition)) if condition else "always"
        if when != "always":
            made = _resized_if(node, when, fit, made)
        _give_sized(node, made, fit)

    return forward


def _give_sized(node: Passage, image: MadeOutput, fit: str) -> None:
    """Give an image with its sides, and its mask where that goes along."""
    node.give("IMAGE", image)
    if "mask" in node.inputs and fit in ("stretch", "inside"):
        sized = node.add("ResizeMask", mask=node.inputs["mask"], image=image)
        node.give("mask", MadeOutput(sized, "mask"))
    size = node.add("ImageSize", image=image)
    for side in ("width", "height"):
        node.give(side, MadeOutput(size, side))


def _to_pixels(node: Passage, method: str, multiple: str) -> MadeOutput:
    """An image of as many pixels as the sides have together, with its own proportions."""
    amount = compute_number(
        node,
        f"a * b / {_MEGA}",
        lambda a, b: a * b / _MEGA,
        a=node.inputs["width"],
        b=node.inputs["height"],
    )
    return _made(
        node,
        "ScaleImage",
        image=node.inputs["image"],
        by="megapixels",
        amount=amount,
        method=METHODS.ours(node.literal(method)),
        multiple_of=max(1, int(node.literal(multiple))),
    )


_MEGA = 1024 * 1024


def _resized_if(node: Passage, when: str, fit: str, resized: MadeOutput) -> MadeOutput:
    """An image that is resized only if its size asks for it."""
    if when not in _CONDITIONS:
        raise Untranslatable(f"nodegraph has no condition {when!r}")
    image = node.inputs["image"]
    size = node.add("ImageSize", image=image)
    sides = {
        "a": MadeOutput(size, "width"),
        "b": MadeOutput(size, "height"),
        "c": node.inputs["width"],
        "d": node.inputs["height"],
    }
    all_sides = (fit == "crop") == (when == "downscale if bigger")
    needs_all = fit in ("crop", "inside", "pad") and all_sides
    expression = _CONDITIONS[when][int(needs_all)]
    test = MadeOutput(node.add("Formula", expression=expression, **sides), "truth")
    chosen = node.add("Switch", condition=test, on_true=resized, on_false=image)
    return MadeOutput(chosen, "output")


def _filled(node: Passage, keeping: str) -> dict[str, Any]:
    """What is put around an image, where that isn't black."""
    if keeping.startswith("pad_edge"):
        node.tell(f"`keep_proportion` is {keeping!r}: nodegraph pads with black, not by the edges")
        return {}
    color = node.inputs.get("pad_color")
    parts = str(color.content).split(",") if color is not None else ["0"] * 3
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        node.tell(f"`pad_color` is {parts} in ComfyUI, which cannot be read: black is used")
        return {}
    levels = [int(part) for part in parts]
    return {"fill": f"rgb({', '.join(map(str, levels))})"} if any(levels) else {}


def _kj_resize(node: Passage) -> None:
    """The older node, whose sides may be linked besides."""
    linked = {side: node.inputs.get(f"{side}_input") for side in ("width", "height")}
    sides = {side: signal for side, signal in linked.items() if signal is not None}
    if "crop" in node.inputs and node.literal("crop") not in ("disabled", 0, "0", None):
        if node.literal("keep_proportion"):
            raise Untranslatable("nodegraph cannot keep an image's proportions and crop it")
        sides["keep_proportion"] = Signal("crop")
    resize = TableEntry(
        WrittenSignature(
            f'ImageResizeKJ({_PICTURE}, upscale_method: COMBO = "nearest-exact", '
            'keep_proportion: COMBO = "False", divisible_by: INT = 2, '
            f"get_image_size: IMAGE?) -> {_SIZED}"
        ),
        _by_pack("upscale_method", "keep_proportion", "divisible_by", like="get_image_size"),
    )
    for name, signal in compose(node, resize, {**node.inputs, **sides}).items():
        node.give(name, signal)


_CELL = 8
"""Pixels that WAS rounds sides up to multiples of."""


def _was_resize(node: Passage) -> None:
    """By a factor, whose rest is cut off, or to sides that are rounded up."""
    image, mode = node.inputs["image"], str(node.literal("mode"))
    if mode == "rescale":
        size = node.add("ImageSize", image=image)
        sides = {
            side: MadeOutput(
                node.add(
                    "Formula",
                    expression="a * b",
                    whole="cut off",
                    a=MadeOutput(size, side),
                    b=node.inputs["rescale_factor"],
                ),
                "integer",
            )
            for side in ("width", "height")
        }
    elif mode == "resize":
        sides = {
            side: compute_number(
                node, f"ceil(a / {_CELL}) * {_CELL}", _up, a=node.inputs[f"resize_{side}"]
            )
            for side in ("width", "height")
        }
    else:
        raise Untranslatable(f"nodegraph cannot resize images by `mode` {mode!r}")
    if str(node.literal("supersample")) == "true":
        node.tell("the image is resized at once, not by way of one eight times as large")
    method = METHODS.ours(node.literal("resampling"))
    node.give("IMAGE", _made(node, "ResizeImage", image=image, **sides, method=method))


def _up(a: int) -> int:
    return -(-a // _CELL) * _CELL


_PICTURE = "image: IMAGE, width: INT = 512, height: INT = 512"
_SIZED = "IMAGE, width: INT, height: INT"
_METHOD = 'upscale_method: COMBO = "nearest-exact"'

ENTRIES: tuple[TableEntry, ...] = (
    same(
        f"ImageScale(image: IMAGE, {_METHOD}, width: INT = 512, height: INT = 512, "
        'crop: COMBO = "disabled") -> IMAGE',
        "ResizeImage",
        {"upscale_method": "method", "crop": "fit"},
        choices={"upscale_method": METHODS, "crop": _CROPS},
    ),
    _scaling(
        f"ImageScaleBy(image: IMAGE, {_METHOD}, scale_by: FLOAT = 1.0) -> IMAGE",
        "factor",
        "scale_by",
    ),
    _scaling(
        f"ImageScaleToTotalPixels(image: IMAGE, {_METHOD}, megapixels: FLOAT = 1.0, "
        "resolution_steps: INT = 1) -> IMAGE",
        "megapixels",
        "megapixels",
        {"resolution_steps": "multiple_of"},
    ),
    _scaling(
        'ImageScaleToMaxDimension(image: IMAGE, upscale_method: COMBO = "area", '
        "largest_size: INT = 512) -> IMAGE",
        "longer side",
        "largest_size",
    ),
    entry(
        'ResizeImageMaskNode(input: *, resize_type: COMBO = "scale dimensions", '
        "resize_type.width: INT = 512 @when(scale dimensions|scale width), "
        "resize_type.height: INT = 512 @when(scale dimensions|scale height), "
        "resize_type.multiplier: FLOAT = 1.0 @when(scale by multiplier), "
        "resize_type.longer_size: INT = 512 @when(scale longer dimension), "
        "resize_type.shorter_size: INT = 512 @when(scale shorter dimension), "
        "resize_type.megapixels: FLOAT = 1.0 @when(scale total pixels), "
        "resize_type.multiple: INT = 8 @when(scale to multiple), "
        "resize_type.match: *? @when(match size), "
        'resize_type.crop: COMBO = "center" @when(scale dimensions|match size), '
        'scale_method: COMBO = "area") -> resized: *',
        _resize,
        "ResizeImage",
        _resize_back,
    ),
    entry(
        "ResizeImagesByLongerEdge(images: IMAGE, longer_edge: INT = 1024) -> images: IMAGE",
        _by_edge("longer"),
        "ScaleImage",
        _scale_back,
    ),
    entry(
        "ResizeImagesByShorterEdge(images: IMAGE, shorter_edge: INT = 512) -> images: IMAGE",
        _by_edge("shorter"),
    ),
    entry(
        "ResizeAndPadImage(image: IMAGE, target_width: INT = 512, target_height: INT = 512, "
        'padding_color: COMBO = "white", interpolation: COMBO = "area") -> IMAGE',
        _padded,
        "ResizeImage",
        _padded_back,
    ),
    entry(
        f'ImageResizeKJv2({_PICTURE}, upscale_method: COMBO = "nearest-exact", '
        'keep_proportion: COMBO = "stretch", pad_color: STRING = "0, 0, 0", '
        'crop_position: COMBO = "center", divisible_by: INT = 2, mask: MASK?, '
        f'device: COMBO = "cpu") -> {_SIZED}, mask: MASK',
        _by_pack("upscale_method", "keep_proportion", "divisible_by"),
    ),
    entry(
        f'ImageResizeKJ({_PICTURE}, upscale_method: COMBO = "nearest-exact", '
        "keep_proportion: BOOLEAN = false, divisible_by: INT = 2, width_input: INT? @socket, "
        'height_input: INT? @socket, get_image_size: IMAGE?, crop: COMBO? = "disabled") '
        f"-> {_SIZED}",
        _kj_resize,
    ),
    entry(
        f'ImageResize+({_PICTURE}, interpolation: COMBO = "nearest", '
        'method: COMBO = "stretch", condition: COMBO = "always", multiple_of: INT = 0) '
        f"-> {_SIZED}",
        _by_pack("interpolation", "method", "multiple_of", "condition"),
    ),
    entry(
        'Image Resize(image: IMAGE, mode: COMBO = "rescale", supersample: COMBO = "true", '
        'resampling: COMBO = "lanczos", rescale_factor: FLOAT = 2.0, resize_width: INT = 1024, '
        "resize_height: INT = 1536) -> IMAGE",
        _was_resize,
    ),
    entry("FluxKontextImageScale(image: IMAGE) -> IMAGE", _to_training_size),
    entry(
        "CenterCropImages(images: IMAGE, width: INT = 512, height: INT = 512) -> images: IMAGE",
        _center_crop,
    ),
)
