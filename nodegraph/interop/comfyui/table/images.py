"""Images: load, save, preview, batch."""

from __future__ import annotations

import re

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.table.parts import (
    FILES,
    add_list,
    autogrow_inputs,
    color_number,
    color_of,
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
    single = MadeOutput(node.add("ImageList", image=node.inputs["images"]), "images")
    size = node.inputs["batch_size"]
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

ENTRIES: tuple[TableEntry, ...] = (
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
)
