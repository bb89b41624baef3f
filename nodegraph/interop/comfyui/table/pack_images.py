"""Images and masks of Essentials, KJNodes, Impact and WAS: crop, flip, match, grow, blur."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import (
    Choice,
    TableEntry,
    Translate,
    entry,
    same,
    type_entry,
)
from nodegraph.interop.comfyui.table.parts import add_list, compute_number
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

_SIDES = Choice({"right": "right", "left": "left", "down": "below", "up": "above"})


_ANCHORS = {
    "top-left": "top left", "top-center": "top", "top-right": "top right", "left-center": "left",
    "center": "center", "right-center": "right", "bottom-left": "bottom left",
    "bottom-center": "bottom", "bottom-right": "bottom right",
}  # fmt: skip


def _cropped_at(node: Passage) -> None:
    """A crop whose offsets go right and down, from edges on the other side as well."""
    where = str(node.literal("position"))
    if where not in _ANCHORS:
        raise Untranslatable(f"nodegraph cannot crop at `position` {where!r}")
    offsets = {}
    for axis, far in (("x", "right"), ("y", "bottom")):
        offset: Any = node.inputs[f"{axis}_offset"]
        is_far = far in where
        offsets[axis] = compute_number(node, "-a", lambda a: -a, a=offset) if is_far else offset
    sides = {side: node.inputs[side] for side in ("width", "height")}
    name = node.add(
        "CropImage", image=node.inputs["image"], **sides, anchor=_ANCHORS[where], **offsets
    )
    node.give("IMAGE", MadeOutput(name, "image"))


_AXES = Choice({"x": "horizontal", "y": "vertical", "xy": "both"})
_GRAYS = {
    "luminance (Rec.601)": "luma", "luminance (Rec.709)": "luminance", "average": "average",
    "lightness": "lightness",
}  # fmt: skip


def _desaturated(node: Passage) -> None:
    method = str(node.literal("method"))
    if method not in _GRAYS:
        raise Untranslatable(f"nodegraph has no gray by {method!r}")
    if method == "luminance (Rec.709)":
        node.tell("luminance is computed from light, not from the values in files: grays differ")
    image, factor = node.inputs["image"], node.inputs["factor"]
    made = MadeOutput(node.add("Grayscale", image=image, method=_GRAYS[method]), "image")
    if factor.is_link or factor.content != 1:
        made = MadeOutput(node.add("BlendImages", image=image, other=made, opacity=factor), "image")
    node.give("IMAGE", made)


def _offset_composite(node: Passage) -> None:
    places = {
        axis: compute_number(
            node,
            "a + b",
            lambda a, b: a + b,
            a=node.inputs[axis],
            b=node.inputs[f"offset_{axis}"],
        )
        for axis in ("x", "y")
    }
    name = node.add(
        "CompositeImage",
        image=node.inputs["destination"],
        layer=node.inputs["source"],
        mask=node.inputs.get("mask"),
        **places,
    )
    node.give("IMAGE", MadeOutput(name, "image"))


_MATCHED = {"mkl": "covariance", "hm": "histogram", "reinhard": "mean and spread"}
_MATCHED["reinhard_lab_gpu"] = "mean and spread"


def _matched(node: Passage) -> None:
    method, strength = str(node.literal("method")), node.inputs["strength"]
    if method not in _MATCHED:
        raise Untranslatable(f"nodegraph cannot match colors by {method!r}")
    if not strength.is_link and strength.content > 1:
        raise Untranslatable(f"colors are matched by at most 1, not by {strength.content}")
    name = node.add(
        "MatchColors",
        image=node.inputs["image_target"],
        reference=node.inputs["image_ref"],
        method=_MATCHED[method],
        amount=strength,
    )
    node.tell("colors are matched in nodegraph's own way: results are close, not identical")
    node.give("image", MadeOutput(name, "image"))


def _some_images(first: str, count: str, output: str = "IMAGE", source: str = "image") -> Translate:
    """The way here of a node that takes images from a batch; as many as -1 are all."""

    def forward(node: Passage) -> None:
        start: Any = node.inputs[first]
        length: Any = node.inputs[count]
        if not length.is_link and int(length.content) < 0:
            length = 0
        if not start.is_link and int(start.content) < 0:
            start = -int(node.literal(count))
        name = node.add("ImageFromBatch", image=node.inputs[source], index=start, length=length)
        node.give(output, MadeOutput(name, "image"))

    return forward


def _bridge(node: Passage) -> None:
    """A preview on which people paint a mask there: what they painted isn't in the file."""
    if "block" in node.inputs and node.literal("block"):
        raise Untranslatable("it holds back what follows until people paint: `block` is on")
    node.add("PreviewImage", image=node.inputs["images"])
    node.give("IMAGE", node.inputs["images"])


_SHOWN = "strength: FLOAT = 1.0, multithread: BOOLEAN? = true"

PACK_IMAGE_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "ImageCrop+(image: IMAGE, width: INT = 256, height: INT = 256, "
        'position: COMBO = "top-left", x_offset: INT = 0, y_offset: INT = 0) '
        "-> IMAGE, x: INT, y: INT",
        _cropped_at,
    ),
    same(
        'ImageFlip+(image: IMAGE, axis: COMBO = "x") -> IMAGE', "FlipImage", choices={"axis": _AXES}
    ),
    entry(
        "ImageDesaturate+(image: IMAGE, factor: FLOAT = 1.0, "
        'method: COMBO = "luminance (Rec.709)") -> IMAGE',
        _desaturated,
    ),
    entry(
        "ImageComposite+(destination: IMAGE, source: IMAGE, x: INT = 0, y: INT = 0, "
        "offset_x: INT = 0, offset_y: INT = 0, mask: MASK?) -> IMAGE",
        _offset_composite,
    ),
    entry(
        "ImageFromBatch+(image: IMAGE, start: INT = 0, length: INT = -1) -> IMAGE",
        _some_images("start", "length"),
    ),
    entry(
        "GetImageRangeFromBatch(start_index: INT = 0, num_frames: INT = 1, images: IMAGE?, "
        "masks: MASK?) -> IMAGE, MASK",
        _some_images("start_index", "num_frames", source="images"),
    ),
    type_entry(
        "ColorMatch",
        f'(image_ref: IMAGE, image_target: IMAGE, method: COMBO = "mkl", {_SHOWN}) -> image: IMAGE',
        _matched,
        ("multithread",),
    ),
    type_entry(
        "ColorMatchV2",
        f'(image_target: IMAGE, image_ref: IMAGE, method: COMBO = "mkl", {_SHOWN}) -> image: IMAGE',
        _matched,
        ("multithread",),
    ),
    same(
        "Image Blend(image_a: IMAGE, image_b: IMAGE, blend_percentage: FLOAT = 0.5) -> IMAGE",
        "BlendImages",
        {"image_a": "image", "image_b": "other", "blend_percentage": "opacity"},
        fixed={"mode": "normal"},
    ),
    same(
        'ImageConcanate(image1: IMAGE, image2: IMAGE, direction: COMBO = "right", '
        "match_image_size: BOOLEAN = true) -> IMAGE",
        "StitchImages",
        {
            "image1": "image",
            "image2": "other",
            "direction": "side",
            "match_image_size": "match_size",
        },
        choices={"direction": _SIDES},
        fixed={"color": "black"},
    ),
    same(
        "ImageUpscaleWithModelBatched(upscale_model: UPSCALE_MODEL, images: IMAGE, "
        "per_batch: INT = 16) -> IMAGE",
        "UpscaleImage",
        {"upscale_model": "model", "images": "image"},
        kept=("per_batch",),
    ),
    type_entry(
        "PreviewBridge",
        '(images: IMAGE, image: STRING = "", block: BOOLEAN? = false, '
        'restore_mask: COMBO? = "never") -> IMAGE, MASK',
        _bridge,
        ("image", "restore_mask"),
    ),
)


def _as_image(node: Passage, mask: Any) -> MadeOutput:
    return MadeOutput(node.add("MaskToImage", mask=mask), "image")


def _as_mask(node: Passage, image: Any) -> MadeOutput:
    return MadeOutput(node.add("MaskFromChannel", image=image, channel="red"), "mask")


def _batched(pattern: str, output: str = "IMAGE") -> Translate:
    """The way here of a node that joins as many images, or masks, as are connected."""

    def forward(node: Passage) -> None:
        names = [name for name in node.inputs if name.startswith(pattern)]
        names = [name for name in names if name.removeprefix(pattern).strip("_").isdigit()]
        parts: list[Any] = [node.inputs[name] for name in sorted(names, key=_number)]
        if output == "MASK":
            parts = [_as_image(node, part) for part in parts]
        made: Any = parts[0] if len(parts) == 1 else None
        while made is None:
            joined = node.add("JoinImages", images=add_list(node, parts[:_MOST]), fit="crop")
            made = MadeOutput(joined, "image")
            if len(parts) > _MOST:
                parts, made = [made, *parts[_MOST:]], None
        node.give(output, _as_mask(node, made) if output == "MASK" else made)

    return forward


_MOST = 8
"""Items of a list."""


def _number(name: str) -> int:
    return int("".join(sign for sign in name if sign.isdigit()))


def _joined(port: str) -> Translate:
    def forward(node: Passage) -> None:
        made = node.add("JoinImages", images=node.inputs[port], fit="crop")
        node.give("IMAGE", MadeOutput(made, "image"))

    return forward


def _blurred(node: Passage, mask: Any, sigma: Any) -> MadeOutput:
    """A mask, blurred by a Gaussian; nodegraph takes twice its standard deviation."""
    radius = compute_number(node, "a * 2", lambda a: a * 2.0, a=sigma)
    return MadeOutput(node.add("FeatherMask", mask=mask, radius=radius), "mask")


def _kernel_sigma(size: int) -> float:
    """The standard deviation that torchvision takes for a kernel of so many pixels."""
    odd = size + 1 - size % 2
    return 0.3 * ((odd - 1) * 0.5 - 1) + 0.8


def _blur(node: Passage) -> None:
    amount = int(node.literal("amount"))
    mask: Any = node.inputs["mask"]
    node.give("MASK", _blurred(node, mask, _kernel_sigma(amount)) if amount else mask)


def _smooth(node: Passage) -> None:
    amount = int(node.literal("amount"))
    mask: Any = node.inputs["mask"]
    if amount:
        hard = MadeOutput(node.add("ThresholdMask", mask=mask, low=_ABOVE_HALF), "mask")
        mask = _blurred(node, hard, _kernel_sigma(amount))
    node.give("MASK", mask)


_ABOVE_HALF = 0.500001


def _fix(node: Passage) -> None:
    for name in ("fill_holes", "remove_isolated_pixels"):
        if node.literal(name):
            raise Untranslatable(f"nodegraph has no equivalent for its `{name}`")
    mask: Any = node.inputs["mask"]
    pixels = int(node.literal("erode_dilate"))
    if pixels:
        mask = _grown(node, mask, pixels)
    if node.literal("smooth"):
        hard = MadeOutput(node.add("ThresholdMask", mask=mask, low=_ABOVE_HALF), "mask")
        mask = _blurred(node, hard, _kernel_sigma(int(node.literal("smooth"))))
    if node.literal("blur"):
        mask = _blurred(node, mask, _kernel_sigma(int(node.literal("blur"))))
    node.give("MASK", mask)


def _grown(node: Passage, mask: Any, size: int) -> MadeOutput:
    """A mask that grows, or shrinks, by a square of so many pixels."""
    pixels = abs(size) // 2 * (1 if size > 0 else -1)
    return MadeOutput(node.add("GrowMask", mask=mask, pixels=pixels, corners="square"), "mask")


def _dilated(node: Passage) -> None:
    mask: Any = node.inputs["mask"]
    size = int(node.literal("dilation"))
    node.give("MASK", _grown(node, mask, size) if size else mask)


def _gaussian(node: Passage) -> None:
    node.tell(
        f"the blur fades out by its sigma, not at {node.inputs['kernel_size'].content} pixels"
    )
    node.give("MASK", _blurred(node, node.inputs["mask"], node.inputs["sigma"]))


def _flipped(node: Passage) -> None:
    axis = _AXES.ours(node.literal("axis"))
    image = _as_image(node, node.inputs["mask"])
    name = node.add("FlipImage", image=image, axis=axis)
    node.give("MASK", _as_mask(node, MadeOutput(name, "image")))


def _show_mask(node: Passage) -> None:
    node.add("PreviewImage", image=_as_image(node, node.inputs["mask"]))


def _of_color(node: Passage) -> None:
    levels = [int(node.literal(name)) for name in ("red", "green", "blue")]
    tolerance = compute_number(node, "a / 255", lambda a: a / 255.0, a=node.inputs["threshold"])
    color = "#" + "".join(f"{level:02x}" for level in levels)
    image = node.inputs["image"]
    name = node.add("MaskFromColor", image=image, color=color, tolerance=tolerance)
    node.give("MASK", MadeOutput(name, "mask"))


def _bounds(node: Passage) -> None:
    """The box of a mask, and what is in it."""
    if node.literal("blur"):
        raise Untranslatable("nodegraph finds the box of a mask as it is: blur it before")
    mask = node.inputs["mask"]
    box = node.add("MaskBounds", mask=mask, margin=node.inputs["padding"])
    sides = {side: MadeOutput(box, side) for side in ("x", "y", "width", "height")}
    for side, output in sides.items():
        node.give(side, output)
    shown: Any = node.inputs.get("image_optional") or _as_image(node, mask)
    cropped = node.add("CropImage", image=shown, anchor="top left", **sides)
    node.give("IMAGE", MadeOutput(cropped, "image"))
    inner = node.add("CropImage", image=_as_image(node, mask), anchor="top left", **sides)
    node.give("MASK", _as_mask(node, MadeOutput(inner, "image")))


def _grow_and_blur(node: Passage) -> None:
    for name, usual in (("incremental_expandrate", 0), ("lerp_alpha", 1), ("decay_factor", 1)):
        if name in node.inputs and node.literal(name) != usual:
            raise Untranslatable(
                f"nodegraph changes each mask of a batch alike: `{name}` is {node.literal(name)}"
            )
    mask: Any = node.inputs["mask"]
    if node.literal("flip_input"):
        mask = MadeOutput(node.add("InvertMask", mask=mask), "mask")
    expand, radius = node.inputs["expand"], node.inputs["blur_radius"]
    if expand.is_link or expand.content:
        corners = "diamond" if node.literal("tapered_corners") else "square"
        grown = node.add("GrowMask", mask=mask, pixels=expand, corners=corners)
        mask = MadeOutput(grown, "mask")
    if "fill_holes" in node.inputs and node.literal("fill_holes"):
        mask = MadeOutput(node.add("FillMaskHoles", mask=mask), "mask")
    if radius.is_link or radius.content:
        mask = _blurred(node, mask, radius)
    node.give("mask", mask)
    node.give("mask_inverted", MadeOutput(node.add("InvertMask", mask=mask), "mask"))


def _sized_mask(node: Passage) -> None:
    if node.literal("keep_proportions"):
        raise Untranslatable("nodegraph scales masks to both sides: `keep_proportions` is on")
    sides = {side: node.inputs[side] for side in ("width", "height")}
    method = {"nearest-exact": "nearest"}.get(str(node.literal("upscale_method")))
    name = node.add(
        "ResizeMask",
        mask=node.inputs["mask"],
        **sides,
        method=method or node.literal("upscale_method"),
    )
    node.give("mask", MadeOutput(name, "mask"))
    for side, signal in sides.items():
        node.give(side, signal)


def _shown_over(node: Passage) -> None:
    """An image with its mask over it, or one of both."""
    image, mask = node.inputs.get("image"), node.inputs.get("mask")
    shown: Any = image
    if mask is not None and image is not None:
        parts = [int(part) for part in str(node.literal("mask_color")).split(",")]
        if len(parts) != 3:
            raise Untranslatable(f"`mask_color` is {node.literal('mask_color')!r}, which is none")
        color = "#" + "".join(f"{level:02x}" for level in parts)
        opacity = node.inputs["mask_opacity"]
        over = node.add("MaskOverlay", image=image, mask=mask, color=color, opacity=opacity)
        shown = MadeOutput(over, "image")
    elif mask is not None:
        shown = _as_image(node, mask)
    if shown is None:
        raise Untranslatable("neither its image nor its mask is connected")
    if not node.literal("pass_through"):
        node.add("PreviewImage", image=shown)
    node.give("composite", shown)


def _combined(how: str) -> Translate:
    def forward(node: Passage) -> None:
        pair = {"first": node.inputs["mask1"], "second": node.inputs["mask2"]}
        node.give("MASK", MadeOutput(node.add("CombineMasks", how=how, **pair), "mask"))

    return forward


def _binary(node: Passage) -> None:
    low = compute_number(
        node, "(a + 0.5) / 255", lambda a: (a + 0.5) / 255.0, a=node.inputs["threshold"]
    )
    name = node.add("ThresholdMask", mask=node.inputs["mask"], low=low)
    node.give("MASK", MadeOutput(name, "mask"))


def _by_factor(node: Passage) -> None:
    if node.literal("align") == "true" and node.literal("mode") in ("bilinear", "bicubic"):
        node.tell("`align` is 'true' in ComfyUI, where corners stay in place: results differ")
    name = node.add(
        "ResizeLatent",
        latent=node.inputs["samples"],
        factor=node.inputs["factor"],
        method=node.literal("mode"),
    )
    node.give("LATENT", MadeOutput(name, "latent"))


def _without_noise_mask(node: Passage) -> None:
    name = node.add("ClearNoiseMask", latent=node.inputs["samples"])
    node.give("LATENT", MadeOutput(name, "latent"))


def _image_info(node: Passage) -> None:
    name = node.add("ImageSize", image=node.inputs["value"])
    outputs = {"batch": "batch", "height": "height", "width": "width", "channel": "channels"}
    for their, our in outputs.items():
        node.give(their, MadeOutput(name, our))


def _numbered(prefix: str, kind: str, count: int = 16) -> str:
    return ", ".join(f"{prefix}{at}: {kind}?" for at in range(1, count + 1))


_PAIR = "mask1: MASK, mask2: MASK"

PACK_MASK_ENTRIES: tuple[TableEntry, ...] = (
    type_entry(
        "ImageBatchMulti",
        f"(inputcount: INT = 2, {_numbered('image_', 'IMAGE')}) -> images: IMAGE",
        _batched("image_", "images"),
        ("inputcount",),
    ),
    entry(f"ImpactMakeImageBatch({_numbered('image', 'IMAGE')}) -> IMAGE", _batched("image")),
    type_entry(
        "ImageBatchMultiple+",
        f'(image_1: IMAGE, method: COMBO = "lanczos", '
        f"{_numbered('image_', 'IMAGE', 5).partition(', ')[2]}) -> IMAGE",
        _batched("image_"),
        ("method",),
    ),
    entry("ImageListToImageBatch(images: IMAGE) -> IMAGE", _joined("images")),
    entry("ImageListToBatch+(image: IMAGE) -> IMAGE", _joined("image")),
    type_entry(
        "MaskBlur+",
        '(mask: MASK, amount: INT = 6, device: COMBO = "auto") -> MASK',
        _blur,
        ("device",),
    ),
    entry("MaskSmooth+(mask: MASK, amount: INT = 0) -> MASK", _smooth),
    entry(
        "MaskFix+(mask: MASK, erode_dilate: INT = 0, fill_holes: INT = 0, "
        "remove_isolated_pixels: INT = 0, smooth: INT = 0, blur: INT = 0) -> MASK",
        _fix,
    ),
    entry('MaskFlip+(mask: MASK, axis: COMBO = "x") -> MASK', _flipped),
    entry("MaskPreview+(mask: MASK)", _show_mask),
    entry(f"MaskBatch+({_PAIR}) -> MASK", _batched("mask", "MASK")),
    entry(
        "MaskFromColor+(image: IMAGE, red: INT = 255, green: INT = 255, blue: INT = 255, "
        "threshold: INT = 0) -> MASK",
        _of_color,
    ),
    entry(
        "MaskBoundingBox+(mask: MASK, padding: INT = 0, blur: INT = 0, image_optional: IMAGE?) "
        "-> MASK, IMAGE, x: INT, y: INT, width: INT, height: INT",
        _bounds,
    ),
    entry(
        "GrowMaskWithBlur(mask: MASK, expand: INT = 0, incremental_expandrate: FLOAT = 0.0, "
        "tapered_corners: BOOLEAN = true, flip_input: BOOLEAN = false, "
        "blur_radius: FLOAT = 0.0, lerp_alpha: FLOAT = 1.0, decay_factor: FLOAT = 1.0, "
        "fill_holes: BOOLEAN? = false) -> mask: MASK, mask_inverted: MASK",
        _grow_and_blur,
    ),
    entry(
        "ResizeMask(mask: MASK, width: INT = 512, height: INT = 512, "
        'keep_proportions: BOOLEAN = false, upscale_method: COMBO = "nearest-exact", '
        'crop: COMBO = "disabled") -> mask: MASK, width: INT, height: INT',
        _sized_mask,
    ),
    type_entry(
        "ImageAndMaskPreview",
        '(mask_opacity: FLOAT = 1.0, mask_color: STRING = "255, 255, 255", '
        "pass_through: BOOLEAN = false, image: IMAGE?, mask: MASK?) -> composite: IMAGE",
        _shown_over,
    ),
    entry(f"AddMask({_PAIR}) -> MASK", _combined("add")),
    entry(f"SubtractMask({_PAIR}) -> MASK", _combined("subtract")),
    entry(f"BitwiseAndMask({_PAIR}) -> MASK", _combined("intersect")),
    entry("ToBinaryMask(mask: MASK, threshold: INT = 20) -> MASK", _binary),
    entry("ImpactDilateMask(mask: MASK, dilation: INT = 10) -> MASK", _dilated),
    type_entry(
        "ImpactGaussianBlurMask",
        "(mask: MASK, kernel_size: INT = 10, sigma: FLOAT = 10.0) -> MASK",
        _gaussian,
        ("kernel_size",),
    ),
)

PACK_LATENT_ENTRIES: tuple[TableEntry, ...] = (
    type_entry(
        "Latent Upscale by Factor (WAS)",
        '(samples: LATENT, mode: COMBO = "area", factor: FLOAT = 2.0, align: COMBO = "true") '
        "-> LATENT",
        _by_factor,
    ),
    entry("RemoveNoiseMask(samples: LATENT) -> LATENT", _without_noise_mask),
    entry(
        "ImpactImageInfo(value: IMAGE) -> batch: INT, height: INT, width: INT, channel: INT",
        _image_info,
    ),
)

ENTRIES: tuple[TableEntry, ...] = (*PACK_IMAGE_ENTRIES, *PACK_MASK_ENTRIES, *PACK_LATENT_ENTRIES)
