"""Latents: create, encode, decode, transform."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import Choice, TableEntry, Translate, entry, same
from nodegraph.interop.comfyui.table.carried_values import (
    OPERATION,
    CarriedOperation,
    operation_of,
)
from nodegraph.interop.comfyui.table.image_edit import degrees
from nodegraph.interop.comfyui.table.images import name_of, prefix_of
from nodegraph.interop.comfyui.table.parts import (
    CROP,
    FILES,
    METHODS,
    Turned,
    add_list,
    autogrow_inputs,
    compute_number,
    refuse_others,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_LATENT = {"LATENT": "latent"}
_MOST = 16384
"""Of what is cut there."""
_PATCHES = 32
"""Pixels along the largest patch of a model."""
_TILES = {"tile_size": "tile"}
_TEMPORAL = ("temporal_size", "temporal_overlap")
_TILED = (
    "tile_size: INT = 512, overlap: INT = 64, temporal_size: INT = 64, temporal_overlap: INT = 8"
)


def _empty(
    node_type: str, size: int, cell: int = 8, native: str = "EmptyLatent", more: str = ""
) -> TableEntry:
    """The entry of an empty latent; what sides are divided by there leaves a rest.

    Args:
        more: Inputs between the sides and the batch size, which have one name on both sides.
    """
    sides = f"width: INT = {size}, height: INT = {size}, {more}batch_size: INT = 1"

    def forward(node: Passage) -> None:
        sides = [node.inputs[side] for side in ("width", "height")]
        fits = all(not side.is_link and side.content % cell == 0 for side in sides)
        step = {} if fits else {"multiple_of": cell}
        has_patches = all(not side.is_link and side.content % _PATCHES == 0 for side in sides)
        if native == "EmptyLatent" and not has_patches:
            step["any_size"] = True
            node.tell(
                "a size that the model cannot split into whole patches is sampled at the next "
                "larger one and cropped; ComfyUI repeats rows and columns inside the model"
            )
        node.give("LATENT", MadeOutput(node.add(native, **node.inputs, **step), "latent"))

    def backward(node: Passage) -> None:
        own = ("multiple_of", "any_size")
        taken = {name: signal for name, signal in node.inputs.items() if name not in own}
        node.give("latent", MadeOutput(node.add(node_type, **taken), "LATENT"))

    return entry(f"{node_type}({sides}) -> LATENT", forward, native, backward)


def _empty_video(node_type: str, width: int, height: int, length: int) -> TableEntry:
    return same(
        f"{node_type}(width: INT = {width}, height: INT = {height}, length: INT = {length}, "
        "batch_size: INT = 1) -> LATENT",
        "EmptyVideoLatent",
        {"length": "frames"},
    )


def _whole_frames(a: float) -> int:
    return int((a - 1) // 8 * 8 + 1)


def _empty_ltx(node: Passage) -> None:
    """There, frames beyond a multiple of 8 plus 1 are left out."""
    length = node.inputs["length"]
    frames = compute_number(node, "(a - 1) // 8 * 8 + 1", _whole_frames, a=length)
    if not length.is_link and frames != length.content:
        node.keep(length=length.content)
    values = {name: node.inputs[name] for name in ("width", "height", "batch_size")}
    name = node.add("EmptyVideoLatent", **values, frames=frames)
    node.give("LATENT", MadeOutput(name, "latent"))


def _along_time(node: Passage) -> None:
    if node.literal("dim") != "t":
        raise Untranslatable("CropLatent crops along x and y, by sizes in pixels")


def _cut(node: Passage) -> None:
    _along_time(node)
    latent, start, count = (node.inputs[name] for name in ("samples", "index", "amount"))
    name = node.add("CutLatentFrames", latent=latent, start=start, count=count)
    node.give("LATENT", MadeOutput(name, "latent"))


def _cut_back(node: Passage) -> None:
    latent, index, count = (node.inputs[name] for name in ("latent", "start", "count"))
    # All that come are as many as there can be there.
    amount = _MOST if count.content == 0 else count
    name = node.add("LatentCut", samples=latent, dim="t", index=index, amount=amount)
    node.give("latent", MadeOutput(name, "LATENT"))


def _to_batch(node: Passage) -> None:
    _along_time(node)
    latent, size = node.inputs["samples"], node.inputs["slice_size"]
    name = node.add("LatentFramesToBatch", latent=latent, size=size)
    node.give("LATENT", MadeOutput(name, "latent"))


def _to_batch_back(node: Passage) -> None:
    latent, size = node.inputs["latent"], node.inputs["size"]
    name = node.add("LatentCutToBatch", samples=latent, dim="t", slice_size=size)
    node.give("latent", MadeOutput(name, "LATENT"))


def _upscale(node: Passage) -> None:
    if node.literal("crop") == "center":
        node.tell("nodegraph stretches a latent of other proportions and does not crop it first")
        node.keep(crop="center")
    name = node.add(
        "ResizeLatent",
        latent=node.inputs["samples"],
        width=node.inputs["width"],
        height=node.inputs["height"],
        method=METHODS.ours(node.literal("upscale_method")),
    )
    node.give("LATENT", MadeOutput(name, "latent"))


def _upscale_back(node: Passage) -> None:
    sizes = {side: node.inputs[side] for side in ("width", "height")}
    method = METHODS.theirs(node.literal("method"))
    if not any(signal.is_link or signal.content for signal in sizes.values()):
        factor = node.inputs["factor"]
        made = node.add(
            "LatentUpscaleBy",
            samples=node.inputs["latent"],
            upscale_method=method,
            scale_by=factor,
        )
    else:
        made = node.add(
            "LatentUpscale",
            samples=node.inputs["latent"],
            upscale_method=method,
            **sizes,
            crop=node.kept.get("crop", "disabled"),
        )
    node.give("latent", MadeOutput(made, "LATENT"))


def _composite(node: Passage) -> None:
    name = node.add(
        "CompositeLatent",
        destination=node.inputs["destination"],
        source=node.inputs["source"],
        x=node.inputs["x"],
        y=node.inputs["y"],
        mask=node.inputs.get("mask"),
    )
    if node.literal("resize_source"):
        raise Untranslatable(
            "nodegraph cannot scale the pasted latent to the size of the other one"
        )
    node.give("LATENT", MadeOutput(name, "latent"))


def _composite_back(node: Passage) -> None:
    places = {name: node.inputs[name] for name in ("x", "y")}
    source, destination = node.inputs["source"], node.inputs["destination"]
    if "mask" in node.inputs and node.inputs["mask"].is_link:
        refuse_others(node, {"feather": 0})
        made = node.add(
            "LatentCompositeMasked",
            destination=destination,
            source=source,
            **places,
            resize_source=False,
            mask=node.inputs["mask"],
        )
    else:
        feather = node.inputs["feather"]
        made = node.add(
            "LatentComposite",
            samples_to=destination,
            samples_from=source,
            **places,
            feather=feather,
        )
    node.give("latent", MadeOutput(made, "LATENT"))


def _sum(line: str, scale: float) -> TableEntry:
    names = {"samples1": "first", "samples2": "second"}
    return same(line, "AddLatents", names, _LATENT, fixed={"scale": scale})


def _multiplied(node: Passage) -> None:
    samples = node.inputs["samples"]
    scale = compute_number(node, "a - 1", lambda a: a - 1.0, a=node.inputs["multiplier"])
    name = node.add("AddLatents", first=samples, second=samples, scale=scale)
    node.give("LATENT", MadeOutput(name, "latent"))


def _turned(node: Passage) -> None:
    angle = degrees(node.literal("rotation"))
    if not angle:
        node.give("LATENT", node.inputs["samples"])
        return
    name = node.add("RotateLatent", latent=node.inputs["samples"], angle=str(round(angle)))
    node.give("LATENT", MadeOutput(name, "latent"))


def _turned_back(node: Passage) -> None:
    rotation = f"{node.literal('angle')} degrees"
    name = node.add("LatentRotate", samples=node.inputs["latent"], rotation=rotation)
    node.give("latent", MadeOutput(name, "LATENT"))


def _save(node: Passage) -> None:
    node.add("SaveLatent", latent=node.inputs["samples"], name=name_of(node))
    node.give("samples", node.inputs["samples"])


def _save_back(node: Passage) -> None:
    node.add("SaveLatent", samples=node.inputs["latent"], filename_prefix=prefix_of(node))


def _remainder(value: float) -> float:
    return 1.0 - value


_SHARE = Turned(to=_remainder, back=_remainder)
_FLIPS = Choice({"x-axis: vertically": "vertical", "y-axis: horizontally": "horizontal"})
_SAMPLES = {"samples": "latent"}
_METHOD = 'upscale_method: COMBO = "nearest-exact"'
_PAIR = "samples1: LATENT, samples2: LATENT"


def _operation(name: str, **names: str) -> Translate:
    """An operation on latents, which the node applies that it is linked to.

    Args:
        names: Its inputs here, and what they are called there.
    """

    def forward(node: Passage) -> None:
        inputs = {our: node.inputs[their] for our, their in names.items()}
        node.give("LATENT_OPERATION", Signal(None, {OPERATION: CarriedOperation(name, inputs)}))

    return forward


def _operated(node: Passage) -> None:
    operation = operation_of(node.inputs["operation"])
    name = node.add(f"{operation.name}Latent", latent=node.inputs["samples"], **operation.inputs)
    node.give("LATENT", MadeOutput(name, "latent"))


def _operated_back(there: str, **names: str) -> Translate:
    def backward(node: Passage) -> None:
        operation = node.imply(there, **{their: node.inputs[our] for our, their in names.items()})
        made = MadeOutput(operation, "LATENT_OPERATION")
        name = node.add("LatentApplyOperation", samples=node.inputs["latent"], operation=made)
        node.give("latent", MadeOutput(name, "LATENT"))

    return backward


def _concatenated(node: Passage) -> None:
    axis = str(node.literal("dim"))
    pair = [node.inputs["samples1"], node.inputs["samples2"]]
    first, second = reversed(pair) if axis.startswith("-") else pair
    name = node.add("ConcatLatents", first=first, second=second, axis=axis.removeprefix("-"))
    node.give("LATENT", MadeOutput(name, "latent"))


def _concatenated_back(node: Passage) -> None:
    pair = {"samples1": node.inputs["first"], "samples2": node.inputs["second"]}
    name = node.add("LatentConcat", **pair, dim=node.literal("axis"))
    node.give("latent", MadeOutput(name, "LATENT"))


def _rebatch(node: Passage) -> None:
    single = MadeOutput(node.add("LatentList", latent=node.inputs["latents"]), "latents")
    size = node.inputs["batch_size"]
    if size.content != 1:
        parts = node.add("ChunkList", items=single, size=size)
        single = MadeOutput(node.add("JoinLatents", first=MadeOutput(parts, "output")), "latent")
    node.give("LATENT", single)


def _joined(node: Passage) -> None:
    first, *others = autogrow_inputs(node, "latents")
    second = add_list(node, others) if len(others) > 1 else next(iter(others), None)
    name = node.add("JoinLatents", first=first, second=second)
    node.give("LATENT", MadeOutput(name, "latent"))


_SEEDS = Choice({"fixed": "same", "random": "different"})
_TONE_MAP = {"multiplier": "multiplier"}
_SHARPEN = {"radius": "sharpen_radius", "sigma": "sigma", "amount": "alpha"}
_OPERATIONS = (
    entry(
        "LatentOperationTonemapReinhard(multiplier: FLOAT = 1.0) -> LATENT_OPERATION",
        _operation("ToneMap", **_TONE_MAP),
    ),
    entry(
        "LatentOperationSharpen(sharpen_radius: INT = 9, sigma: FLOAT = 1.0, alpha: FLOAT = 0.1)"
        " -> LATENT_OPERATION",
        _operation("Sharpen", **_SHARPEN),
        "SharpenLatent",
        _operated_back("LatentOperationSharpen", **_SHARPEN),
    ),
    entry(
        "LatentApplyOperation(samples: LATENT, operation: LATENT_OPERATION) -> LATENT",
        _operated,
        "ToneMapLatent",
        _operated_back("LatentOperationTonemapReinhard", **_TONE_MAP),
    ),
)

_CASCADE_SIDE = 8
"""Pixels that sides are multiples of."""


def _side_of_stage_c(a: float, b: float) -> int:
    """Pixels of a latent of stage C with as many cells as there: a cell is 42.67 pixels wide."""
    return int(a // b * 4267 // 800 * _CASCADE_SIDE)


def _empty_cascade(node: Passage) -> None:
    compression, batch = node.inputs["compression"], node.inputs["batch_size"]
    sides: dict[str, Any] = {
        name: compute_number(
            node,
            f"a // b * 4267 // 800 * {_CASCADE_SIDE}",
            _side_of_stage_c,
            a=node.inputs[name],
            b=compression,
        )
        for name in ("width", "height")
    }
    stage_c = node.add("EmptyLatent", **sides, batch_size=batch)
    node.give("stage_c", MadeOutput(stage_c, "latent"))
    whole = {name: node.inputs[name] for name in ("width", "height")}
    stage_b = node.add("EmptyLatent", **whole, batch_size=batch)
    node.give("stage_b", MadeOutput(stage_b, "latent"))


def _encode_cascade(node: Passage) -> None:
    raise Untranslatable(
        "the encoder of images for stage C of Stable Cascade, an EfficientNet, is supported by "
        "ComfyUI alone"
    )


def _enlarge_cascade(node: Passage) -> None:
    raise Untranslatable(
        "the control network for super resolution of Stable Cascade, and the encoder of its "
        "images, are supported by ComfyUI alone"
    )


_COMPRESSION = "compression: INT = 42"

_STABLE_CASCADE: tuple[TableEntry, ...] = (
    entry(
        f"StableCascade_EmptyLatentImage(width: INT = 1024, height: INT = 1024, {_COMPRESSION}, "
        "batch_size: INT = 1) -> stage_c: LATENT, stage_b: LATENT",
        _empty_cascade,
    ),
    same(
        "StableCascade_StageB_Conditioning(conditioning: CONDITIONING, stage_c: LATENT) "
        "-> CONDITIONING",
        "StageBConditioning",
        {"stage_c": "latent"},
    ),
    entry(
        f"StableCascade_StageC_VAEEncode(image: IMAGE, vae: VAE, {_COMPRESSION}) "
        "-> stage_c: LATENT, stage_b: LATENT",
        _encode_cascade,
    ),
    entry(
        "StableCascade_SuperResolutionControlnet(image: IMAGE, vae: VAE) "
        "-> controlnet_input: IMAGE, stage_c: LATENT, stage_b: LATENT",
        _enlarge_cascade,
    ),
)


ENTRIES: tuple[TableEntry, ...] = (
    *_STABLE_CASCADE,
    *_OPERATIONS,
    _empty("EmptyLatentImage", 512),
    _empty("EmptySD3LatentImage", 1024),
    _empty("EmptyFlux2LatentImage", 1024, 16),
    _empty("EmptyChromaRadianceLatentImage", 1024),
    _empty("EmptyHiDreamO1LatentImage", 2048),
    _empty("EmptyHunyuanImageLatent", 2048, 32),
    _empty_video("EmptyHunyuanLatentVideo", 848, 480, 25),
    _empty_video("EmptyHunyuanVideo15Latent", 848, 480, 25),
    entry(
        "EmptyLTXVLatentVideo(width: INT = 768, height: INT = 512, length: INT = 97, "
        "batch_size: INT = 1) -> LATENT",
        _empty_ltx,
    ),
    _empty_video("EmptyMochiLatentVideo", 848, 480, 25),
    _empty_video("EmptyCosmosLatentVideo", 1280, 704, 121),
    _empty(
        "EmptyQwenImageLayeredLatentImage",
        640,
        16,
        native="EmptyLayeredLatent",
        more="layers: INT = 3, ",
    ),
    entry(
        'LatentCut(samples: LATENT, dim: COMBO = "x", index: INT = 0, amount: INT = 1) -> LATENT',
        _cut,
        "CutLatentFrames",
        _cut_back,
    ),
    entry(
        'LatentCutToBatch(samples: LATENT, dim: COMBO = "t", slice_size: INT = 1) -> LATENT',
        _to_batch,
        "LatentFramesToBatch",
        _to_batch_back,
    ),
    same("VAEDecode(samples: LATENT, vae: VAE) -> IMAGE", "VAEDecode", _SAMPLES),
    same(
        "VAEEncode(pixels: IMAGE, vae: VAE) -> LATENT",
        "VAEEncode",
        {"pixels": "image"},
        usual=CROP,
    ),
    same(
        f"VAEDecodeTiled(samples: LATENT, vae: VAE, {_TILED}) -> IMAGE",
        "VAEDecode",
        {**_SAMPLES, **_TILES},
        kept=_TEMPORAL,
    ),
    same(
        f"VAEEncodeTiled(pixels: IMAGE, vae: VAE, {_TILED}) -> LATENT",
        "VAEEncode",
        {"pixels": "image", **_TILES},
        usual=CROP,
        kept=_TEMPORAL,
    ),
    same(
        "VAEEncodeForInpaint(pixels: IMAGE, vae: VAE, mask: MASK, grow_mask_by: INT = 6) -> LATENT",
        "VAEEncodeInpaint",
        {"pixels": "image", "grow_mask_by": "grow"},
        usual=CROP,
    ),
    same(
        "SetLatentNoiseMask(samples: LATENT, mask: MASK) -> LATENT",
        "SetNoiseMask",
        _SAMPLES,
    ),
    entry(
        f"LatentUpscale(samples: LATENT, {_METHOD}, width: INT = 512, height: INT = 512, "
        'crop: COMBO = "disabled") -> LATENT',
        _upscale,
        "ResizeLatent",
        _upscale_back,
    ),
    same(
        f"LatentUpscaleBy(samples: LATENT, {_METHOD}, scale_by: FLOAT = 1.5) -> LATENT",
        "ResizeLatent",
        {**_SAMPLES, "upscale_method": "method", "scale_by": "factor"},
        choices={"upscale_method": METHODS},
    ),
    same(
        "RepeatLatentBatch(samples: LATENT, amount: INT = 1) -> LATENT",
        "RepeatLatent",
        {**_SAMPLES, "amount": "times"},
    ),
    same(
        "LatentFromBatch(samples: LATENT, batch_index: INT = 0, length: INT = 1) -> LATENT",
        "LatentFromBatch",
        {**_SAMPLES, "batch_index": "index"},
    ),
    same(
        f"LatentBatch({_PAIR}) -> LATENT",
        "JoinLatents",
        {"samples1": "first", "samples2": "second"},
    ),
    entry("BatchLatentsNode(latents.*: LATENT?) -> LATENT", _joined),
    entry(
        f'LatentConcat({_PAIR}, dim: COMBO = "x") -> LATENT',
        _concatenated,
        "ConcatLatents",
        _concatenated_back,
    ),
    entry("RebatchLatents(latents: LATENT, batch_size: INT = 1) -> LATENT", _rebatch),
    same(
        'LatentBatchSeedBehavior(samples: LATENT, seed_behavior: COMBO = "fixed") -> LATENT',
        "BatchSeeds",
        {**_SAMPLES, "seed_behavior": "seeds"},
        choices={"seed_behavior": _SEEDS},
    ),
    same(
        "LatentComposite(samples_to: LATENT, samples_from: LATENT, x: INT = 0, y: INT = 0, "
        "feather: INT = 0) -> LATENT",
        "CompositeLatent",
        {"samples_to": "destination", "samples_from": "source"},
    ),
    entry(
        "LatentCompositeMasked(destination: LATENT, source: LATENT, x: INT = 0, y: INT = 0, "
        "resize_source: BOOLEAN = false, mask: MASK?) -> LATENT",
        _composite,
        "CompositeLatent",
        _composite_back,
    ),
    same(
        f"LatentBlend({_PAIR}, blend_factor: FLOAT = 0.5) -> LATENT",
        "BlendLatents",
        {"samples1": "first", "samples2": "second", "blend_factor": "share"},
        choices={"blend_factor": _SHARE},
        fixed={"method": "linear"},
    ),
    same(
        f"LatentInterpolate({_PAIR}, ratio: FLOAT = 1.0) -> LATENT",
        "BlendLatents",
        {"samples1": "first", "samples2": "second", "ratio": "share"},
        choices={"ratio": _SHARE},
        fixed={"method": "spherical"},
    ),
    _sum(f"LatentAdd({_PAIR}) -> LATENT", 1.0),
    _sum(f"LatentSubtract({_PAIR}) -> LATENT", -1.0),
    entry("LatentMultiply(samples: LATENT, multiplier: FLOAT = 1.0) -> LATENT", _multiplied),
    same(
        'LatentFlip(samples: LATENT, flip_method: COMBO = "x-axis: vertically") -> LATENT',
        "FlipLatent",
        {**_SAMPLES, "flip_method": "axis"},
        choices={"flip_method": _FLIPS},
    ),
    entry(
        'LatentRotate(samples: LATENT, rotation: COMBO = "none") -> LATENT',
        _turned,
        "RotateLatent",
        _turned_back,
    ),
    same(
        "LatentCrop(samples: LATENT, width: INT = 512, height: INT = 512, x: INT = 0, "
        "y: INT = 0) -> LATENT",
        "CropLatent",
        _SAMPLES,
    ),
    entry(
        'SaveLatent(samples: LATENT, filename_prefix: STRING = "latents/ComfyUI") '
        "-> samples: LATENT",
        _save,
        "SaveLatent",
        _save_back,
    ),
    same(
        'LoadLatent(latent: COMBO = "") -> LATENT',
        "LoadLatent",
        {"latent": "path"},
        choices={"latent": FILES},
    ),
)
