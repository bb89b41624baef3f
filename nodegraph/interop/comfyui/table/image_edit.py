"""Image editing: crop, composite, blur, tone curves."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import Choice, TableEntry, entry, same
from nodegraph.interop.comfyui.table.parts import Turned, compute_number, refuse_others
from nodegraph.interop.comfyui.table.resizing import ENTRIES as RESIZING
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

_STRAIGHT = ((0, 0), (1, 1))


def _curve(node: Passage) -> None:
    """Points as text, as AdjustCurves reads them."""
    curve = node.literal("curve")
    drawn: Any = curve.get("points") if isinstance(curve, dict) else curve
    try:
        points = [(float(old), float(new)) for old, new in drawn or _STRAIGHT]
    except (TypeError, ValueError):
        raise Untranslatable("its curve cannot be read") from None
    if isinstance(curve, dict) and curve.get("interpolation") == "linear":
        node.tell("nodegraph smooths the curve between its points, and ComfyUI uses straight lines")
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


_SIDES = {"right": "right", "left": "left", "down": "below", "up": "above"}
_MODES = Choice({"soft_light": "soft light"})
_EDGES = ("left", "top", "right", "bottom")
_CANNY = 8
"""Sobel's gradient there is not brought to a change per pixel: it is so many times larger."""


def _crop(node: Passage) -> None:
    region = node.inputs["crop_region"].content if "crop_region" in node.inputs else None
    names = ("width", "height", "x", "y")
    if isinstance(region, dict):
        values: dict[str, Any] = {name: int(region.get(name, 0)) for name in names}
        node.keep(crop_region=region)
    else:
        values = {name: node.inputs[name] for name in names}
    name = node.add("CropImage", image=node.inputs["image"], anchor="top left", **values)
    node.give("IMAGE", MadeOutput(name, "image"))


def _stitch(node: Passage) -> None:
    if "image2" not in node.inputs:
        node.give("IMAGE", node.inputs["image1"])
        return
    name = node.add(
        "StitchImages",
        image=node.inputs["image1"],
        other=node.inputs["image2"],
        side=_SIDES.get(node.literal("direction"), "right"),
        match_size=node.inputs["match_image_size"],
        gap=node.inputs["spacing_width"],
        color=node.inputs["spacing_color"],
    )
    node.give("IMAGE", MadeOutput(name, "image"))


_STITCH = (
    'ImageStitch(image1: IMAGE, image2: IMAGE?, direction: COMBO = "right", '
    "match_image_size: BOOLEAN = true, spacing_width: INT = 0, "
    'spacing_color: COMBO = "white") -> IMAGE'
)


def _composite(node: Passage) -> None:
    layer, mask = node.inputs["source"], node.inputs.get("mask")
    if node.literal("resize_source"):
        size = node.inputs["destination"]
        scaled = node.add("ResizeImage", image=layer, like=size, method="bilinear")
        layer_given: Any = MadeOutput(scaled, "image")
    else:
        layer_given = layer
    name = node.add(
        "CompositeImage",
        image=node.inputs["destination"],
        layer=layer_given,
        mask=mask,
        x=node.inputs["x"],
        y=node.inputs["y"],
    )
    node.give("IMAGE", MadeOutput(name, "image"))


def _composite_back(node: Passage) -> None:
    refuse_others(node, {"anchor": "top left", "opacity": 1.0, "mode": "normal"})
    mask = {"mask": node.inputs["mask"]} if "mask" in node.inputs else {}
    name = node.add(
        "ImageCompositeMasked",
        destination=node.inputs["image"],
        source=node.inputs["layer"],
        x=node.inputs["x"],
        y=node.inputs["y"],
        **mask,
    )
    node.give("image", MadeOutput(name, "IMAGE"))


def _outpaint(node: Passage) -> None:
    name = node.add(
        "PadForOutpaint",
        image=node.inputs["image"],
        **{edge: node.inputs[edge] for edge in _EDGES},
        feather=node.inputs["feathering"],
        fill="color",
        color="rgb(50%, 50%, 50%)",
        fade="quadratic",
    )
    node.give("IMAGE", MadeOutput(name, "image"))
    node.give("MASK", MadeOutput(name, "mask"))


def _outpaint_back(node: Passage) -> None:
    if node.inputs["fill"].content != "color":
        node.tell(f"ComfyUI fills the new area with gray, not with {node.inputs['fill'].content}")
    feather = node.inputs["feather"]
    name = node.add(
        "ImagePadForOutpaint",
        image=node.inputs["image"],
        **{edge: node.inputs[edge] for edge in _EDGES},
        feathering=feather if feather.is_link else round(feather.content),
    )
    node.give("image", MadeOutput(name, "IMAGE"))
    node.give("mask", MadeOutput(name, "MASK"))


_BLEND = (
    "ImageBlend(image1: IMAGE, image2: IMAGE, blend_factor: FLOAT = 0.5, "
    'blend_mode: COMBO = "normal") -> IMAGE'
)


def _blur(node: Passage) -> None:
    node.keep(blur_radius=node.inputs["blur_radius"].content)
    sigma = node.inputs["sigma"]
    name = node.add("BlurImage", image=node.inputs["image"], radius=sigma)
    node.give("IMAGE", MadeOutput(name, "image"))


def _blur_back(node: Passage) -> None:
    refuse_others(node, {"kind": "gaussian"})
    sigma = node.literal("radius")
    radius = node.kept.get("blur_radius", max(1, min(31, round(3 * sigma))))
    name = node.add("ImageBlur", image=node.inputs["image"], blur_radius=radius, sigma=sigma)
    node.give("image", MadeOutput(name, "IMAGE"))


def _sharpen(node: Passage) -> None:
    node.keep(sharpen_radius=node.inputs["sharpen_radius"].content)
    amount = compute_number(node, "a * 10", lambda a: min(a * 10.0, 10.0), a=node.inputs["alpha"])
    name = node.add(
        "SharpenImage", image=node.inputs["image"], amount=amount, radius=node.inputs["sigma"]
    )
    node.tell("its sharpening strength is close, but not identical")
    node.give("IMAGE", MadeOutput(name, "image"))


def _quantize(node: Passage) -> None:
    dither = str(node.literal("dither"))
    if dither.startswith("bayer"):
        node.keep(dither=dither)
        node.tell(f"its dither {dither} uses an ordered pattern of another size in nodegraph")
    name = node.add(
        "QuantizeImage",
        image=node.inputs["image"],
        colors=node.inputs["colors"],
        dither="ordered" if dither.startswith("bayer") else dither,
    )
    node.give("IMAGE", MadeOutput(name, "image"))


def _quantize_back(node: Passage) -> None:
    refuse_others(node, {"palette": ""})
    dither = node.inputs["dither"].content
    name = node.add(
        "ImageQuantize",
        image=node.inputs["image"],
        colors=node.inputs["colors"],
        dither=node.kept.get("dither", "bayer-4") if dither == "ordered" else dither,
    )
    node.give("image", MadeOutput(name, "IMAGE"))


def _flip(value: Any) -> str:
    return "vertical" if str(value).startswith("x") else "horizontal"


def _flip_back(value: Any) -> str:
    if value == "both":
        raise Untranslatable("one node flips one axis in ComfyUI")
    return "x-axis: vertically" if value == "vertical" else "y-axis: horizontally"


def degrees(value: Any) -> float:
    """Of a rotation that is called ``90 degrees``."""
    text = str(value).partition(" ")[0]
    return float(text) if text.isdigit() else 0.0


def rotation(value: Any) -> str:
    """The reverse of `degrees`.

    Raises:
        Untranslatable: It is no right angle.
    """
    if float(value) % 90:
        raise Untranslatable(f"ComfyUI rotates images by right angles only, not by {value} degrees")
    return f"{int(value) % 360} degrees" if float(value) % 360 else "none"


def _transfer(node: Passage) -> None:
    method = str(node.literal("method"))
    ours = {"histogram": "histogram", "mkl_lab": "covariance"}.get(method, "mean and spread")
    if ours == "mean and spread" and method != "reinhard_lab":
        node.tell(f"nodegraph matches colors by {ours}, not by {method}")
    node.keep(method=method, source_stats=node.inputs["source_stats"].content)
    name = node.add(
        "MatchColors",
        image=node.inputs["image_target"],
        reference=node.inputs["image_ref"],
        method=ours,
        amount=node.inputs["strength"],
    )
    node.give("image", MadeOutput(name, "image"))


def _cut_to_mask(node: Passage) -> None:
    raise Untranslatable("CropToMask takes a margin in pixels, not a share of the mask's box")


def _canny(node: Passage) -> None:
    low, high = (
        compute_number(
            node, f"a / {_CANNY}", lambda a: a / _CANNY, a=node.inputs[f"{name}_threshold"]
        )
        for name in ("low", "high")
    )
    name = node.add("CannyEdges", image=node.inputs["image"], low=low, high=high)
    node.give("IMAGE", MadeOutput(name, "image"))


def _canny_back(node: Passage) -> None:
    low, high = (min(0.99, max(0.01, node.literal(name) * _CANNY)) for name in ("low", "high"))
    image = node.inputs["image"]
    name = node.add("Canny", image=image, low_threshold=low, high_threshold=high)
    node.give("image", MadeOutput(name, "IMAGE"))


def _no_alpha(node: Passage) -> None:
    parts = node.add("SplitChannels", image=node.inputs["image"])
    ports = ("first", "second", "third")
    name = node.add("JoinChannels", **{port: MadeOutput(parts, port) for port in ports})
    node.give("IMAGE", MadeOutput(name, "image"))


_STITCHED = same(
    _STITCH,
    "StitchImages",
    {
        "image1": "image",
        "image2": "other",
        "direction": "side",
        "match_image_size": "match_size",
        "spacing_width": "gap",
        "spacing_color": "color",
    },
    choices={"direction": Choice(_SIDES)},
)

_MORPHOLOGY = Choice({"top_hat": "top hat", "bottom_hat": "bottom hat"})


def _radius(size: int) -> int:
    if size % 2 == 0:
        raise Untranslatable("nodegraph has squares with an odd side only")
    return size // 2


def _kernel_size(radius: int) -> int:
    return 2 * radius + 1


ENTRIES: tuple[TableEntry, ...] = (
    *RESIZING,
    entry(_STITCH, _stitch, "StitchImages", _STITCHED.backward),
    same("ImageInvert(image: IMAGE) -> IMAGE", "InvertImage"),
    same(
        "ImageCrop(image: IMAGE, width: INT = 512, height: INT = 512, x: INT = 0, y: INT = 0) "
        "-> IMAGE",
        "CropImage",
        fixed={"anchor": "top left"},
    ),
    entry(
        "ImageCropV2(image: IMAGE, crop_region: COMBO?, x: INT = 0, y: INT = 0, "
        "width: INT = 512, height: INT = 512) -> IMAGE",
        _crop,
    ),
    entry(
        "ImagePadForOutpaint(image: IMAGE, left: INT = 0, top: INT = 0, right: INT = 0, "
        "bottom: INT = 0, feathering: INT = 40) -> IMAGE, MASK",
        _outpaint,
        "PadForOutpaint",
        _outpaint_back,
    ),
    entry(
        "ImageCompositeMasked(destination: IMAGE, source: IMAGE, mask: MASK?, x: INT = 0, "
        "y: INT = 0, resize_source: BOOLEAN = false) -> IMAGE",
        _composite,
        "CompositeImage",
        _composite_back,
    ),
    same(
        _BLEND,
        "BlendImages",
        {"image1": "image", "image2": "other", "blend_factor": "opacity", "blend_mode": "mode"},
        choices={"blend_mode": _MODES},
    ),
    entry(
        "ImageBlur(image: IMAGE, blur_radius: INT = 1, sigma: FLOAT = 1.0) -> IMAGE",
        _blur,
        "BlurImage",
        _blur_back,
    ),
    entry(
        "ImageSharpen(image: IMAGE, sharpen_radius: INT = 1, sigma: FLOAT = 1.0, "
        "alpha: FLOAT = 1.0) -> IMAGE",
        _sharpen,
    ),
    entry(
        'ImageQuantize(image: IMAGE, colors: INT = 256, dither: COMBO = "none") -> IMAGE',
        _quantize,
        "QuantizeImage",
        _quantize_back,
    ),
    same(
        "ImageAddNoise(image: IMAGE, seed: INT = 0 @control, strength: FLOAT = 0.5) -> IMAGE",
        "AddImageNoise",
        usual={"draw": "per batch"},
    ),
    same(
        'Morphology(image: IMAGE, operation: COMBO = "erode", kernel_size: INT = 3) -> IMAGE',
        "MorphImage",
        {"kernel_size": "radius"},
        choices={"operation": _MORPHOLOGY, "kernel_size": Turned(to=_radius, back=_kernel_size)},
    ),
    same(
        'ImageFlip(image: IMAGE, flip_method: COMBO = "x-axis: vertically") -> IMAGE',
        "FlipImage",
        {"flip_method": "axis"},
        choices={"flip_method": Turned(to=_flip, back=_flip_back)},
    ),
    same(
        'ImageRotate(image: IMAGE, rotation: COMBO = "none") -> IMAGE',
        "RotateImage",
        {"rotation": "angle"},
        choices={"rotation": Turned(to=degrees, back=rotation)},
    ),
    entry(
        "Canny(image: IMAGE, low_threshold: FLOAT = 0.4, high_threshold: FLOAT = 0.8) -> IMAGE",
        _canny,
        "CannyEdges",
        _canny_back,
    ),
    entry(
        'ColorTransfer(image_target: IMAGE, image_ref: IMAGE, method: COMBO = "reinhard_lab", '
        'source_stats: COMBO = "per_frame", strength: FLOAT = 1.0) -> image: IMAGE',
        _transfer,
        "MatchColors",
    ),
    entry(
        "ImageCropToMask(images: IMAGE, masks: MASK, width: INT = 1024, height: INT = 1024, "
        'pad_factor: FLOAT = 1.1, grow_mask: INT = 0, background: COLOR = "#000000") '
        "-> images: IMAGE",
        _cut_to_mask,
    ),
    entry("ImageRemoveAlpha+(image: IMAGE) -> IMAGE", _no_alpha),
    same(
        "ImageUpscaleWithModel(upscale_model: UPSCALE_MODEL, image: IMAGE) -> IMAGE",
        "UpscaleImage",
        {"upscale_model": "model"},
    ),
    *CURVE_ENTRIES,
)
