"""Resize, scale and pad images and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodegraph.interop.comfyui.entries import Choice, TableEntry, entry, same
from nodegraph.interop.comfyui.table.parts import METHODS, compute_number, refuse_others
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

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
    entry("FluxKontextImageScale(image: IMAGE) -> IMAGE", _to_training_size),
    entry(
        "CenterCropImages(images: IMAGE, width: INT = 512, height: INT = 512) -> images: IMAGE",
        _center_crop,
    ),
)
