"""Images: load, save, preview, batch. Masks: create, combine, transform, preview."""

from __future__ import annotations

import re
from typing import Any

from nodegraph.interop.comfyui.entries import Choice, TableEntry, Translate, entry, same
from nodegraph.interop.comfyui.table.parts import (
    FILES,
    add_list,
    autogrow_inputs,
    color_number,
    color_of,
    file_path,
    refuse_others,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal

_WORDS = {"%batch_num%": "%index%"}
_NO_NAME = re.compile(r'[<>:"|?*\x00-\x1f]+(?![^%]*%)')


def name_of(node: Passage, port: str = "filename_prefix") -> Signal:
    """What files are called, with our words between percent signs."""
    signal = node.inputs[port]
    if signal.is_link or not isinstance(signal.content, str):
        return signal
    name = signal.content.replace("\\", "/").strip("/ ")
    for their, our in _WORDS.items():
        name = name.replace(their, our)
    return Signal(_NO_NAME.sub("_", name) or "ComfyUI")


def prefix_of(node: Passage, port: str = "name") -> Signal:
    """The reverse of `name_of`."""
    signal = node.inputs[port]
    if signal.is_link:
        return signal
    name = str(signal.content)
    for their, our in _WORDS.items():
        name = name.replace(our, their)
    return Signal(name)


def _save(node: Passage) -> None:
    node.add("SaveImage", image=node.inputs["images"], name=name_of(node), rounding="down")
    node.give("images", node.inputs["images"])


def _save_back(node: Passage) -> None:
    refuse_others(node, {"bits": "8"})
    if node.inputs["format"].content != "png":
        node.tell(f"ComfyUI saves images as PNG, not as {node.inputs['format'].content}")
    node.add("SaveImage", images=node.inputs["image"], filename_prefix=prefix_of(node))


def _save_advanced(node: Passage) -> None:
    bits = "16" if str(node.inputs["format.bit_depth"].content).startswith("16") else "8"
    if node.literal("format") == "exr":
        node.tell("nodegraph does not write EXR: it writes a 16-bit PNG instead")
        bits = "16"
    node.add("SaveImage", image=node.inputs["images"], name=name_of(node), bits=bits)
    names = ("format", "format.bit_depth", "format.input_color_space")
    node.keep(**{name: node.inputs[name].content for name in names if name in node.inputs})
    node.give("images", node.inputs["images"])


def _save_advanced_back(node: Passage) -> None:
    values = {
        "format": "png",
        "format.bit_depth": "16-bit" if node.inputs["bits"].content == "16" else "8-bit",
        "format.input_color_space": "sRGB",
        **node.kept,
    }
    images, name = node.inputs["image"], prefix_of(node)
    node.add("SaveImageAdvanced", images=images, filename_prefix=name, **values)


def _preview(node: Passage) -> None:
    node.add("PreviewImage", image=node.inputs["images"])
    node.give("images", node.inputs["images"])


def _preview_alone(node: Passage) -> None:
    """An image that ComfyUI sends to its clients; here, previews are sent."""
    node.add("PreviewImage", image=node.inputs["images"])


def _preview_back(node: Passage) -> None:
    node.add("PreviewImage", images=node.inputs["image"])


def _compare(node: Passage) -> None:
    pictures = [node.inputs[name] for name in ("image_a", "image_b") if name in node.inputs]
    shown = pictures[0] if pictures else node.inputs["image_a"]
    if len(pictures) == 2:
        view = node.add("SplitView", image=pictures[0], other=pictures[1])
        node.add("PreviewImage", image=MadeOutput(view, "image"))
    else:
        node.add("PreviewImage", image=shown)


def _animation(node: Passage) -> None:
    is_webp = node.type == "SaveAnimatedWEBP"
    quality = 100 if not is_webp or node.literal("lossless") else node.inputs["quality"]
    node.add(
        "SaveAnimation",
        image=node.inputs["images"],
        rate=node.inputs["fps"],
        name=name_of(node),
        format="webp" if is_webp else "png",
        quality=quality,
    )
    names = ("lossless", "method", "compress_level", "quality")
    node.keep(**{name: node.inputs[name].content for name in names if name in node.inputs})


def _animation_back(node: Passage) -> None:
    refuse_others(node, {"format": "webp", "loop": True})
    quality = node.inputs["quality"].content
    values = {"lossless": quality == 100, "quality": min(int(quality), 100), **node.kept}
    node.add(
        "SaveAnimatedWEBP",
        images=node.inputs["image"],
        filename_prefix=prefix_of(node),
        fps=node.inputs["rate"],
        **values,
    )


def _join(node: Passage) -> None:
    pictures = autogrow_inputs(node, "images") or [
        node.inputs[name] for name in ("image1", "image2") if name in node.inputs
    ]
    made = pictures[0].content if len(pictures) == 1 else None
    while made is None:
        name = node.add("JoinImages", images=add_list(node, pictures[:8]), fit="crop")
        made = MadeOutput(name, "image")
        if len(pictures) > 8:
            pictures, made = [Signal(made), *pictures[8:]], None
    node.give("IMAGE", Signal(made))


def _rebatch(node: Passage) -> None:
    size = node.inputs["batch_size"]
    images: Signal | MadeOutput = node.inputs["images"]
    if size.content != 1:
        # ComfyUI joins the items of a list first.
        images = MadeOutput(node.add("JoinImages", images=images), "image")
    single = MadeOutput(node.add("ImageList", image=images), "images")
    if size.content != 1:
        parts = node.add("ChunkList", items=single, size=size)
        single = MadeOutput(node.add("JoinImages", images=MadeOutput(parts, "output")), "image")
    node.give("IMAGE", single)


def _empty(node: Passage) -> None:
    name = node.add(
        "EmptyImage",
        width=node.inputs["width"],
        height=node.inputs["height"],
        color=color_of(node, "color"),
        batch=node.inputs["batch_size"],
    )
    node.give("IMAGE", MadeOutput(name, "image"))


def _empty_back(node: Passage) -> None:
    name = node.add(
        "EmptyImage",
        width=node.inputs["width"],
        height=node.inputs["height"],
        batch_size=node.inputs["batch"],
        color=color_number(node.literal("color")),
    )
    node.give("image", MadeOutput(name, "IMAGE"))


_PREFIX = 'filename_prefix: STRING = "ComfyUI"'


_OPERATIONS = {
    "multiply": "multiply", "add": "add", "subtract": "subtract", "and": "intersect",
    "or": "union", "xor": "xor",
}  # fmt: skip
_EDGES = ("left", "top", "right", "bottom")
_ABOVE = 1e-6
"""A mask counts there above a value, and here from it up."""


def _as_image(node: Passage, mask: Any) -> MadeOutput:
    return MadeOutput(node.add("MaskToImage", mask=mask), "image")


def _as_mask(node: Passage, image: Any) -> MadeOutput:
    return MadeOutput(node.add("MaskFromChannel", image=image, channel="red"), "mask")


def _composite(node: Passage) -> None:
    name = node.add(
        "CombineMasks",
        first=node.inputs["destination"],
        second=node.inputs["source"],
        how=_OPERATIONS.get(node.literal("operation"), "multiply"),
        fit="place",
        x=node.inputs["x"],
        y=node.inputs["y"],
    )
    node.give("MASK", MadeOutput(name, "mask"))


def _composite_back(node: Passage) -> None:
    how = node.literal("how")
    if node.inputs["fit"].content != "place":
        node.tell("in ComfyUI the second mask must be as large as the first one")
    name = node.add(
        "MaskComposite",
        destination=node.inputs["first"],
        source=node.inputs["second"],
        x=node.inputs["x"],
        y=node.inputs["y"],
        operation=next(their for their, our in _OPERATIONS.items() if our == how),
    )
    node.give("mask", MadeOutput(name, "MASK"))


def _threshold(node: Passage) -> None:
    value = node.literal("value")
    node.keep(value=value)
    name = node.add("ThresholdMask", mask=node.inputs["mask"], low=min(1.0, value + _ABOVE))
    node.give("MASK", MadeOutput(name, "mask"))


def _threshold_back(node: Passage) -> None:
    refuse_others(node, {"high": 1.0})
    low = node.literal("low")
    value = node.kept.get("value", max(0.0, low - _ABOVE))
    is_kept = abs(min(1.0, value + _ABOVE) - low) < _ABOVE / 10
    name = node.add("ThresholdMask", mask=node.inputs["mask"], value=value if is_kept else low)
    node.give("mask", MadeOutput(name, "MASK"))


def _crop(node: Passage) -> None:
    sizes = {name: node.inputs[name] for name in ("width", "height", "x", "y")}
    image = _as_image(node, node.inputs["mask"])
    name = node.add("CropImage", image=image, anchor="top left", **sizes)
    node.give("MASK", _as_mask(node, MadeOutput(name, "image")))


def _from_color(node: Passage) -> None:
    color = color_of(node, "color")
    name = node.add("MaskFromColor", image=node.inputs["image"], color=color, tolerance=0.0)
    node.give("MASK", MadeOutput(name, "mask"))


def _from_color_back(node: Passage) -> None:
    refuse_others(node, {"tolerance": 0.0, "softness": 0.0})
    color = color_number(node.literal("color"))
    name = node.add("ImageColorToMask", image=node.inputs["image"], color=color)
    node.give("mask", MadeOutput(name, "MASK"))


def _preview_mask(node: Passage) -> None:
    node.add("PreviewImage", image=_as_image(node, node.inputs["mask"]))
    node.give("mask", node.inputs["mask"])


def _load(node: Passage) -> None:
    channel = node.literal("channel")
    path = file_path(node.literal("image"))
    ours = "transparency" if channel == "alpha" else channel
    node.give("MASK", MadeOutput(node.add("LoadMask", path=path, channel=ours), "mask"))


def _load_back(node: Passage) -> None:
    channel = node.literal("channel")
    ours = {"transparency": "alpha", "brightness": "red", "auto": "alpha"}.get(channel, channel)
    if channel in ("brightness", "auto"):
        node.tell(f"ComfyUI reads a mask from the channel {ours}, not from {channel}")
    path = FILES.theirs(node.literal("path"))
    name = node.add("LoadImageMask", image=path, channel=ours)
    node.give("mask", MadeOutput(name, "MASK"))


def _split_alpha(node: Passage) -> None:
    image = node.inputs["image"]
    parts = node.add("SplitChannels", image=image)
    ports = ("first", "second", "third")
    name = node.add("JoinChannels", **{port: MadeOutput(parts, port) for port in ports})
    alpha = MadeOutput(node.add("MaskFromChannel", image=image, channel="alpha"), "mask")
    node.give("IMAGE", MadeOutput(name, "image"))
    node.give("MASK", MadeOutput(node.add("InvertMask", mask=alpha), "mask"))


def _batch(node: Passage) -> None:
    pictures = [_as_image(node, mask) for mask in autogrow_inputs(node, "masks")]
    joined = node.add("JoinImages", images=add_list(node, pictures), fit="crop")
    node.give("MASK", _as_mask(node, MadeOutput(joined, "image")))


def _paint(node: Passage) -> None:
    painted = str(node.literal("mask")).strip()
    size: Any = {side: node.inputs[side] for side in ("width", "height")}
    if "image" in node.inputs:
        picture: Any = node.inputs["image"]
    else:
        color = node.inputs["bg_color"]
        picture = MadeOutput(node.add("EmptyImage", **size, color=color), "image")
    node.keep(mask=painted, bg_color=node.inputs["bg_color"].content)
    if not painted:
        mask = node.add("SolidMask", image=picture, value=0.0)
        node.give("IMAGE", Signal(picture.content) if isinstance(picture, Signal) else picture)
        node.give("MASK", MadeOutput(mask, "mask"))
        return
    strokes = node.add("LoadImage", path=file_path(painted))
    inverted = node.add("InvertMask", mask=MadeOutput(strokes, "mask"))
    mask = node.add("ResizeMask", mask=MadeOutput(inverted, "mask"), image=picture)
    over = node.add(
        "CompositeMasked",
        base=picture,
        overlay=MadeOutput(strokes, "image"),
        mask=MadeOutput(mask, "mask"),
    )
    node.give("IMAGE", MadeOutput(over, "image"))
    node.give("MASK", MadeOutput(mask, "mask"))


_FEATHER = "left: INT = 0, top: INT = 0, right: INT = 0, bottom: INT = 0"


def _combined_masks(how: str) -> Translate:
    def forward(node: Passage) -> None:
        first, second = node.inputs["mask1"], node.inputs["mask2"]
        if how != "add":
            node.tell("soft parts of the masks are combined in another way")
        name = node.add("CombineMasks", first=first, second=second, how=how)
        node.give("MASK", MadeOutput(name, "mask"))

    return forward


_MASKS = "mask1: MASK, mask2: MASK"

ENTRIES: tuple[TableEntry, ...] = (
    entry(f"BitwiseAndMask({_MASKS}) -> MASK", _combined_masks("intersect")),
    entry(f"SubtractMask({_MASKS}) -> MASK", _combined_masks("subtract")),
    entry(f"AddMask({_MASKS}) -> MASK", _combined_masks("add")),
    same(
        'LoadImage(image: COMBO = "example.png" @upload) -> IMAGE, MASK',
        "LoadImage",
        {"image": "path"},
        choices={"image": FILES},
    ),
    same(
        'LoadImageOutput(image: COMBO = "" @upload) -> IMAGE, MASK',
        "LoadImage",
        {"image": "path"},
        choices={"image": FILES},
    ),
    entry(f"SaveImage(images: IMAGE, {_PREFIX}) -> images: IMAGE", _save, "SaveImage", _save_back),
    entry(
        f'SaveImageAdvanced(images: IMAGE, {_PREFIX}, format: COMBO = "png", '
        'format.bit_depth: COMBO = "8-bit" @when(png|exr), '
        'format.input_color_space: COMBO = "sRGB" @when(png|exr)) -> images: IMAGE',
        _save_advanced,
        "SaveImage",
        _save_advanced_back,
    ),
    entry("PreviewImage(images: IMAGE) -> images: IMAGE", _preview, "PreviewImage", _preview_back),
    entry("SaveImageWebsocket(images: IMAGE)", _preview_alone),
    entry("ImageCompare(image_a: IMAGE?, image_b: IMAGE?)", _compare),
    entry(
        f"SaveAnimatedWEBP(images: IMAGE, {_PREFIX}, fps: FLOAT = 6.0, lossless: BOOLEAN = true, "
        'quality: INT = 80, method: COMBO = "default") -> images: IMAGE',
        _animation,
        "SaveAnimation",
        _animation_back,
    ),
    entry(
        f"SaveAnimatedPNG(images: IMAGE, {_PREFIX}, fps: FLOAT = 6.0, compress_level: INT = 4)",
        _animation,
    ),
    entry("BatchImagesNode(images.*: IMAGE?) -> IMAGE", _join),
    entry("ImageBatch(image1: IMAGE, image2: IMAGE) -> IMAGE", _join),
    entry("RebatchImages(images: IMAGE, batch_size: INT = 1) -> IMAGE", _rebatch),
    same(
        "ImageFromBatch(image: IMAGE, batch_index: INT = 0, length: INT = 1) -> IMAGE",
        "ImageFromBatch",
        {"batch_index": "index"},
    ),
    same(
        "RepeatImageBatch(image: IMAGE, amount: INT = 1) -> IMAGE",
        "RepeatImage",
        {"amount": "times"},
    ),
    entry(
        "EmptyImage(width: INT = 512, height: INT = 512, batch_size: INT = 1, color: INT = 0) "
        "-> IMAGE",
        _empty,
        "EmptyImage",
        _empty_back,
    ),
    same(
        "SolidMask(value: FLOAT = 1.0, width: INT = 512, height: INT = 512) -> MASK",
        "SolidMask",
    ),
    same("InvertMask(mask: MASK) -> MASK", "InvertMask"),
    same(
        "GrowMask(mask: MASK, expand: INT = 0, tapered_corners: BOOLEAN = true) -> MASK",
        "GrowMask",
        {"expand": "pixels", "tapered_corners": "corners"},
        choices={"tapered_corners": Choice({True: "diamond", False: "square"})},
    ),
    same(f"FeatherMask(mask: MASK, {_FEATHER}) -> MASK", "FadeMaskBorders"),
    entry(
        "ThresholdMask(mask: MASK, value: FLOAT = 0.5) -> MASK",
        _threshold,
        "ThresholdMask",
        _threshold_back,
    ),
    entry(
        "MaskComposite(destination: MASK, source: MASK, x: INT = 0, y: INT = 0, "
        'operation: COMBO = "multiply") -> MASK',
        _composite,
        "CombineMasks",
        _composite_back,
    ),
    entry(
        "CropMask(mask: MASK, x: INT = 0, y: INT = 0, width: INT = 512, height: INT = 512) -> MASK",
        _crop,
    ),
    same("MaskToImage(mask: MASK) -> IMAGE", "MaskToImage"),
    same('ImageToMask(image: IMAGE, channel: COMBO = "red") -> MASK', "MaskFromChannel"),
    entry(
        "ImageColorToMask(image: IMAGE, color: INT = 0) -> MASK",
        _from_color,
        "MaskFromColor",
        _from_color_back,
    ),
    entry(
        'LoadImageMask(image: COMBO = "" @upload, channel: COMBO = "alpha") -> MASK',
        _load,
        "LoadMask",
        _load_back,
    ),
    entry("MaskPreview(mask: MASK) -> mask: MASK", _preview_mask),
    same(
        "JoinImageWithAlpha(image: IMAGE, alpha: MASK) -> IMAGE",
        "SetAlpha",
        {"alpha": "mask"},
        fixed={"masked": "transparent"},
    ),
    entry("SplitImageWithAlpha(image: IMAGE) -> IMAGE, MASK", _split_alpha),
    entry("BatchMasksNode(masks.*: MASK?) -> MASK", _batch),
    entry(
        'Painter(image: IMAGE?, mask: STRING = "", width: INT = 512, height: INT = 512, '
        'bg_color: COLOR = "#000000") -> IMAGE, MASK',
        _paint,
    ),
)
