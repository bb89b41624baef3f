"""Impact Pack's detailers, and Ultimate SD Upscale: regions that are sampled one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.carried_values import (
    PatchedModel,
    conditioned_model,
    guider,
)
from nodegraph.interop.comfyui.table.conditioning import SYNTAX
from nodegraph.interop.comfyui.table.parts import compute_number, flag, literal_flag
from nodegraph.interop.comfyui.table.pipes import Pipe, give_pipe, pipe_of
from nodegraph.interop.comfyui.table.regions import (
    BASIC,
    CONTROLS,
    IMAGE,
    PARTS,
    detected,
    held,
    limited,
    mask_of,
    refuse_connected,
    sam_masks,
    segs,
)
from nodegraph.interop.comfyui.table.samplers_schedules import native_sampler
from nodegraph.interop.comfyui.table.sampling import CONVENTION, DRAW
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_REFUSED_MEMBERS = ("detailer_hook", "refiner_model")


def _members(node: Passage) -> Pipe:
    """What a detailer is given, by its inputs or by a pipe.

    Raises:
        Untranslatable: There is a hook or a refiner.
    """
    names = (*BASIC, "bbox_detector", "sam_model_opt", "segm_detector_opt", "wildcard")
    own = {name: node.inputs[name] for name in names if name in node.inputs}
    for name in ("basic_pipe", "detailer_pipe"):
        if name in node.inputs:
            own = {**pipe_of(node, name).members, **own}
    refuse_connected(node, "detailer_hook", "refiner_basic_pipe_opt", "scheduler_func_opt")
    for name in _REFUSED_MEMBERS:
        member = own.get(name)
        if member is not None and (member.is_link or member.carried):
            raise Untranslatable(f"nodegraph has nothing like the `{name}` of its pipe")
    return Pipe(own)


_SIGNS = ("[", "<", "{", "__", "|")
"""What begins something in a wildcard text that is more than words."""
_UNREAD = re.compile(r"<lora:|\[SEP:")
"""Parts of a wildcard text that prompts of regions do not have."""
_CONCAT = "[CONCAT]"


def _with_wildcard(node: Passage, pipe: Pipe) -> Signal:
    """The positive prompt, or that which a wildcard text of mere words replaces it by."""
    positive, written = held(pipe, "positive"), pipe.get("wildcard")
    if written is None or not isinstance(written.content, str) or _region_prompts(node, pipe):
        return positive
    joins = written.content.startswith(_CONCAT)
    text = written.content.removeprefix(_CONCAT).strip()
    if not text:
        return positive
    prompt = node.add("EncodePrompt", encoder=held(pipe, "clip"), text=text, **SYNTAX)
    made = MadeOutput(prompt, "conditioning")
    if joins:
        both = node.add("ConcatenateConditioning", first=positive, second=made)
        made = MadeOutput(both, "conditioning")
    return Signal(made, positive.carried)


def _region_prompts(node: Passage, pipe: Pipe) -> dict[str, Any]:
    """A wildcard text that has prompts of single regions, choices, or is linked; empty for others.

    Raises:
        Untranslatable: It loads LoRAs or sets seeds.
    """
    written = pipe.get("wildcard")
    if written is None or written.content in (None, ""):
        return {}
    text = written.content
    if isinstance(text, str):
        if not any(sign in text.strip().removeprefix(_CONCAT) for sign in _SIGNS):
            return {}
        if _UNREAD.search(text):
            raise Untranslatable("nodegraph loads no LoRAs and sets no seeds for each region")
    return {"encoder": held(pipe, "clip"), "prompts": written}


_UNLIKE = ("ModelNoiseScale",)


def _prompts(node: Passage, leads: PatchedModel) -> dict[str, Any]:
    """How a node that samples is guided: by prompts, or by a guider if the model has patches."""
    for model_patch in leads.patches:
        if model_patch.type in _UNLIKE:
            raise Untranslatable(f"nodegraph cannot apply {model_patch.type} in a detailer")
    if leads.patches:
        return {"guider": guider(node, leads, node.inputs["cfg"])}
    return {
        "positive": leads.positive,
        "negative": leads.negative,
        "cfg": node.inputs["cfg"],
    }


def _detail(
    node: Passage,
    pipe: Pipe,
    regions: Signal,
    *,
    masked: Any,
    large: str,
    settings: Mapping[str, Any],
) -> str:
    """The node that paints regions.

    Args:
        settings: Further inputs of the native node.
    """
    image = node.inputs["image"]
    positive, prompts = _with_wildcard(node, pipe), _region_prompts(node, pipe)
    positive, negative = _controlled(node, regions, positive, held(pipe, "negative"))
    leads = conditioned_model(node, held(pipe, "model"), positive, negative)
    if prompts and leads.patches:
        raise Untranslatable("nodegraph has no prompts of single regions for a patched model")
    if prompts:
        node.tell("words that a seed draws, and a random order, are other ones than in ComfyUI")
    optional = {"inpainting": "inpaint_model", "mask_feather": "noise_mask_feather"}
    further = {our: node.inputs[their] for our, their in optional.items() if their in node.inputs}
    if "feather" in node.inputs:
        further["feather"] = node.inputs["feather"]
    inputs = {
        "model": leads.model,
        "vae": held(pipe, "vae"),
        "image": image,
        "regions": Signal(regions.content),
        **_prompts(node, leads),
        "seed": node.inputs["seed"],
        "steps": node.inputs["steps"],
        "sampler": native_sampler(node),
        "schedule": node.inputs["scheduler"],
        "denoise": node.inputs["denoise"],
        "size": node.inputs["guide_size"],
        "size_of": "box" if literal_flag(node, "guide_size_for") else "crop",
        "largest": node.inputs["max_size"],
        "large": large,
        "masked": masked,
        "cycles": node.inputs["cycle"],
        "denoise_steps": "all",
        **prompts,
        **further,
        **CONVENTION,
        **DRAW,
    }
    return node.add("DetailRegions", **{**inputs, **settings})


def _controlled(
    node: Passage, regions: Signal, positive: Signal, negative: Signal
) -> tuple[Signal, Signal]:
    """Prompts with the control images of SEGS, of which a detailer crops each region's part."""
    for inputs in regions.carried.get(CONTROLS, ()):
        image = inputs.get("image") or node.inputs["image"]
        made = node.add(
            "ApplyControlNet", positive=positive, negative=negative, **{**inputs, "image": image}
        )
        positive = Signal(MadeOutput(made, "positive"), positive.carried)
        negative = Signal(MadeOutput(made, "negative"), negative.carried)
    return positive, negative


def _control_segs(node: Passage) -> None:
    refuse_connected(node, "segs_preprocessor")
    regions, image = node.inputs["segs"], node.inputs.get("control_image")
    inputs = {"control_net": node.inputs["control_net"], "strength": node.inputs["strength"]}
    for ours, theirs in (("start", "start_percent"), ("end", "end_percent")):
        if theirs in node.inputs:
            inputs[ours] = node.inputs[theirs]
    vae = node.inputs.get("vae")
    if vae is not None and vae.is_link:
        inputs["vae"] = vae
    if image is not None and image.is_link:
        inputs["image"] = image
    controls = (*regions.carried.get(CONTROLS, ()), inputs)
    node.give("SEGS", regions.with_carried(**{CONTROLS: controls}))


def _uncontrolled_segs(node: Passage) -> None:
    regions = node.inputs["segs"]
    carried = {name: item for name, item in regions.carried.items() if name != CONTROLS}
    node.give("SEGS", Signal(regions.content, carried))


def _large(node: Passage) -> str:
    return "paint" if literal_flag(node, "force_inpaint") else "skip"


_TILED = ("tiled_encode", "tiled_decode")


def _tiles(node: Passage) -> dict[str, Any]:
    """Whether the VAE works in tiles."""
    return {"tile": 512} if any(literal_flag(node, name) for name in _TILED) else {}


def _give_parts(node: Passage, name: str, regions: Signal) -> None:
    """The painted parts, plain and with the masks of their regions as transparency."""
    parts = MadeOutput(name, "parts")
    node.give("cropped_refined", parts)
    cropped = node.add("CropRegion", image=node.inputs["image"], region=Signal(regions.content))
    node.give("cropped", MadeOutput(cropped, "image"))
    cut = node.add("SetAlpha", image=parts, mask=MadeOutput(cropped, "mask"))
    for output in ("cropped_refined_alpha", "cropped_enhanced_alpha"):
        node.give(output, MadeOutput(cut, "image"))


def _detail_each(node: Passage) -> None:
    pipe, regions = _members(node), node.inputs["segs"]
    name = _detail(
        node,
        pipe,
        regions,
        masked=flag(node, "noise_mask"),
        large=_large(node),
        settings=_tiles(node),
    )
    node.give("image", MadeOutput(name, "image"))
    node.give("IMAGE", MadeOutput(name, "image"))
    carried = {IMAGE: node.inputs["image"], PARTS: MadeOutput(name, "parts")}
    node.give("segs", Signal(regions.content, carried))
    _give_parts(node, name, regions)
    if "basic_pipe" in node.inputs:
        node.give("basic_pipe", node.inputs["basic_pipe"])
    _keep_ratio(node)


def _keep_ratio(node: Passage) -> None:
    """The share of a refiner, which has no effect without one."""
    if "refiner_ratio" in node.inputs:
        node.keep(refiner_ratio=node.inputs["refiner_ratio"].content)


_FACE_SAM = {
    "hint": "sam_detection_hint",
    "negative": "sam_mask_hint_use_negative",
    "threshold": "sam_threshold",
    "expand": "sam_bbox_expansion",
    "grow": "sam_dilation",
    "mask_threshold": "sam_mask_hint_threshold",
}


def _faces(node: Passage, pipe: Pipe) -> Signal:
    """Regions of faces, limited by SAM or by a model that segments."""
    image = node.inputs["image"]
    inputs = {
        "threshold": node.inputs["bbox_threshold"],
        "dilation": node.inputs["bbox_dilation"],
        "crop_factor": node.inputs["bbox_crop_factor"],
        "drop_size": node.inputs["drop_size"],
    }
    regions, _ = detected(node, held(pipe, "bbox_detector"), image, **inputs)
    sam, segm = pipe.get("sam_model_opt"), pipe.get("segm_detector_opt")
    if sam is not None and sam.is_link:
        name = sam_masks(node, sam, regions, image, _FACE_SAM)
        return limited(node, regions, MadeOutput(name, "mask"))
    if segm is not None and segm.is_link:
        finer, _ = detected(node, segm, image, **inputs)
        return limited(node, regions, mask_of(node, finer))
    node.keep(**{name: node.inputs[name].content for name in _FACE_SAM.values()})
    return regions


def _face_detailer(node: Passage) -> None:
    pipe = _members(node)
    regions = _faces(node, pipe)
    name = _detail(
        node,
        pipe,
        regions,
        masked=flag(node, "noise_mask"),
        large=_large(node),
        settings=_tiles(node),
    )
    node.give("image", MadeOutput(name, "image"))
    node.give("mask", mask_of(node, regions))
    _give_parts(node, name, regions)
    give_pipe(node, "detailer_pipe", pipe)
    _keep_ratio(node)


def _mask_detailer(node: Passage) -> None:
    pipe = _members(node)
    if node.literal("batch_size") != 1:
        raise Untranslatable("nodegraph makes one image of each, not a batch: use several nodes")
    made = node.add(
        "RegionsFromMask",
        mask=node.inputs["mask"],
        crop=node.inputs["crop_factor"],
        smallest=node.inputs["drop_size"],
        boxes=node.inputs["bbox_fill"],
        fill_holes=node.inputs["contour_fill"],
        order="from the bottom",
    )
    regions = segs(made, node.inputs["image"], "")
    masked = flag(node, "mask_mode")
    name = _detail(node, pipe, regions, masked=masked, large="paint", settings=_tiles(node))
    node.give("image", MadeOutput(name, "image"))
    _give_parts(node, name, regions)
    node.give("basic_pipe", node.inputs["basic_pipe"])
    _keep_ratio(node)


def _segs_detailer(node: Passage) -> None:
    """Regions with images that replace their parts; the image itself stays."""
    pipe, regions = _members(node), node.inputs["segs"]
    if node.literal("batch_size") != 1:
        raise Untranslatable("nodegraph makes one image of each region, not a batch")
    if PARTS in regions.carried:
        raise Untranslatable("nodegraph cannot detail images that replace parts of the original")
    name = _detail(
        node,
        pipe,
        regions,
        masked=flag(node, "noise_mask"),
        large=_large(node),
        settings={
            **_tiles(node),
            "paste": False,
            "seeds": "same",
            # There, the seed rises before it is used.
            "seed": compute_number(node, "a + 1", lambda a: a + 1, a=node.inputs["seed"]),
        },
    )
    carried = {IMAGE: node.inputs["image"], PARTS: MadeOutput(name, "parts")}
    node.give("segs", Signal(regions.content, carried))
    _keep_ratio(node)


_SIZES = "guide_size: FLOAT = 512.0, guide_size_for: COMBO = true, max_size: FLOAT = 1024.0, "
_SAMPLED = (
    "seed: INT = 0 @control, steps: INT = 20, cfg: FLOAT = 8.0, "
    'sampler_name: COMBO = "euler", scheduler: COMBO = "normal", '
)
_MODELS = "model: MODEL, clip: CLIP, vae: VAE, "
_LEAD = "positive: CONDITIONING, negative: CONDITIONING, "
_MASKED = (
    "denoise: FLOAT = 0.5, feather: INT = 5, noise_mask: COMBO = true, "
    "force_inpaint: COMBO = true, "
)
_LAST = "inpaint_model: BOOLEAN = false, noise_mask_feather: INT = 0"
_TILES = "tiled_encode: BOOLEAN = false, tiled_decode: BOOLEAN = false"
_HOOKED = "detailer_hook: DETAILER_HOOK?, scheduler_func_opt: SCHEDULER_FUNC?"
_FINDING = (
    "bbox_threshold: FLOAT = 0.5, bbox_dilation: INT = 10, bbox_crop_factor: FLOAT = 3.0, "
    'sam_detection_hint: COMBO = "center-1", sam_dilation: INT = 0, sam_threshold: FLOAT = 0.93, '
    "sam_bbox_expansion: INT = 0, sam_mask_hint_threshold: FLOAT = 0.7, "
    'sam_mask_hint_use_negative: COMBO = "False", drop_size: INT = 10, '
)
_WORDS = 'wildcard: STRING = "", '
_FACE_OUT = (
    "-> image: IMAGE, cropped_refined: IMAGE, cropped_enhanced_alpha: IMAGE, mask: MASK, "
    "detailer_pipe: DETAILER_PIPE, cnet_images: IMAGE"
)
_EACH = f"image: IMAGE, segs: SEGS, {_MODELS}{_SIZES}{_SAMPLED}{_LEAD}{_MASKED}{_WORDS}"
_EACH_PIPE = (
    f"image: IMAGE, segs: SEGS, {_SIZES}{_SAMPLED}{_MASKED}basic_pipe: BASIC_PIPE, {_WORDS}"
    f"refiner_ratio: FLOAT = 0.2, cycle: INT = 1, {_HOOKED}, "
    f"refiner_basic_pipe_opt: BASIC_PIPE?, {_LAST}, {_TILES}"
)

_CONTROL = (
    "segs: SEGS, control_net: CONTROL_NET, strength: FLOAT = 1.0, {}"
    "segs_preprocessor: SEGS_PREPROCESSOR?, control_image: IMAGE?"
)

DETAILER_ENTRIES: tuple[TableEntry, ...] = (
    entry(f"ImpactControlNetApplySEGS({_CONTROL.format('')}) -> SEGS", _control_segs),
    entry(
        "ImpactControlNetApplyAdvancedSEGS("
        f"{_CONTROL.format('start_percent: FLOAT = 0.0, end_percent: FLOAT = 1.0, ')}, "
        "vae: VAE?) -> SEGS",
        _control_segs,
    ),
    entry("ImpactControlNetClearSEGS(segs: SEGS) -> SEGS", _uncontrolled_segs),
    entry(
        f"DetailerForEach({_EACH}cycle: INT = 1, {_HOOKED}, {_LAST}, {_TILES}) -> IMAGE",
        _detail_each,
    ),
    entry(
        f"DetailerForEachDebug({_EACH}cycle: INT = 1, {_HOOKED}, {_LAST}, {_TILES}) "
        "-> image: IMAGE, cropped: IMAGE, cropped_refined: IMAGE, cropped_refined_alpha: IMAGE, "
        "cnet_images: IMAGE",
        _detail_each,
    ),
    entry(
        f"DetailerForEachPipe({_EACH_PIPE}) -> image: IMAGE, segs: SEGS, basic_pipe: BASIC_PIPE, "
        "cnet_images: IMAGE",
        _detail_each,
    ),
    entry(
        f"DetailerForEachDebugPipe({_EACH_PIPE}) -> image: IMAGE, segs: SEGS, "
        "basic_pipe: BASIC_PIPE, cropped: IMAGE, cropped_refined: IMAGE, "
        "cropped_refined_alpha: IMAGE, cnet_images: IMAGE",
        _detail_each,
    ),
    entry(
        f"FaceDetailer(image: IMAGE, {_MODELS}{_SIZES}{_SAMPLED}{_LEAD}{_MASKED}{_FINDING}"
        f"bbox_detector: BBOX_DETECTOR, {_WORDS}cycle: INT = 1, sam_model_opt: SAM_MODEL?, "
        f"segm_detector_opt: SEGM_DETECTOR?, {_HOOKED}, {_LAST}, {_TILES}) {_FACE_OUT}",
        _face_detailer,
    ),
    entry(
        f"FaceDetailerPipe(image: IMAGE, detailer_pipe: DETAILER_PIPE, {_SIZES}{_SAMPLED}{_MASKED}"
        f"{_FINDING}refiner_ratio: FLOAT = 0.2, cycle: INT = 1, "
        f"scheduler_func_opt: SCHEDULER_FUNC?, {_LAST}, {_TILES}) {_FACE_OUT}",
        _face_detailer,
    ),
    entry(
        f"MaskDetailerPipe(image: IMAGE, mask: MASK, basic_pipe: BASIC_PIPE, {_SIZES}"
        f"mask_mode: COMBO = true, {_SAMPLED}denoise: FLOAT = 0.5, feather: INT = 5, "
        "crop_factor: FLOAT = 3.0, drop_size: INT = 10, refiner_ratio: FLOAT = 0.2, "
        "batch_size: INT = 1, cycle: INT = 1, refiner_basic_pipe_opt: BASIC_PIPE?, "
        f"{_HOOKED}, {_LAST}, bbox_fill: BOOLEAN = false, contour_fill: BOOLEAN = true, {_TILES}) "
        "-> image: IMAGE, cropped_refined: IMAGE, cropped_enhanced_alpha: IMAGE, "
        "basic_pipe: BASIC_PIPE, refiner_basic_pipe_opt: BASIC_PIPE",
        _mask_detailer,
    ),
    entry(
        f"SEGSDetailer(image: IMAGE, segs: SEGS, {_SIZES}{_SAMPLED}denoise: FLOAT = 0.5, "
        "noise_mask: COMBO = true, force_inpaint: COMBO = true, basic_pipe: BASIC_PIPE, "
        "refiner_ratio: FLOAT = 0.2, batch_size: INT = 1, cycle: INT = 1, "
        "refiner_basic_pipe_opt: BASIC_PIPE?, scheduler_func_opt: SCHEDULER_FUNC?, "
        f"{_LAST}, {_TILES}) -> segs: SEGS, cnet_images: IMAGE",
        _segs_detailer,
    ),
)


_PIXELS = 8
"""Sides of tiles are multiples of it."""


def _tiled_upscale(node: Passage) -> None:
    """Tiles that are sampled one after the other, each with its surroundings."""
    if node.literal("seam_fix_mode") != "None":
        raise Untranslatable(f"nodegraph has no seam fix {node.literal('seam_fix_mode')}")
    refuse_connected(node, "custom_sampler", "custom_sigmas")
    if "batch_size" in node.inputs and node.literal("batch_size") != 1:
        raise Untranslatable("nodegraph samples one tile after the other")
    image = node.inputs["upscaled_image" if "upscaled_image" in node.inputs else "image"]
    node.keep(**{name: node.inputs[name].content for name in node.inputs if "seam_fix" in name})
    larger = _upscaled_once(node, image)
    if node.literal("mode_type") == "None":
        node.give("IMAGE", larger)
        return
    padding, blur = int(node.literal("tile_padding")), int(node.literal("mask_blur"))
    tile = {side: int(node.literal(f"tile_{side}")) for side in ("width", "height")}
    order = "checkerboard" if node.literal("mode_type") == "Chess" else "rows"
    regions = node.add(
        "TileRegions",
        image=larger,
        tile_width=tile["width"],
        tile_height=tile["height"],
        padding=padding,
        order=order,
    )
    fixed = {side: ceil((pixels + padding) / _PIXELS) * _PIXELS for side, pixels in tile.items()}
    is_uniform = literal_flag(node, "force_uniform_tiles")
    leads = conditioned_model(
        node, node.inputs["model"], node.inputs["positive"], node.inputs["negative"]
    )
    node.tell("edges of tiles differ by a pixel")
    name = node.add(
        "DetailRegions",
        model=leads.model,
        vae=node.inputs["vae"],
        image=larger,
        regions=MadeOutput(regions, ""),
        **_prompts(node, leads),
        seed=node.inputs["seed"],
        steps=node.inputs["steps"],
        sampler=native_sampler(node),
        schedule=node.inputs["scheduler"],
        denoise=node.inputs["denoise"],
        **(fixed if is_uniform else {"size": float(_PIXELS)}),
        feather=3 * blur,
        softness=float(max(blur, 1)),
        masked=False,
        seeds="same",
        **({"tile": 512} if literal_flag(node, "tiled_decode") else {}),
        denoise_steps="all",
        **CONVENTION,
        **DRAW,
    )
    node.give("IMAGE", MadeOutput(name, "image"))


def _upscaled_once(node: Passage, image: Signal) -> Any:
    if "upscale_by" not in node.inputs:
        return image
    factor, model = node.inputs["upscale_by"], node.inputs.get("upscale_model")
    if model is not None and model.is_link:
        name = node.add("UpscaleImage", model=model, image=image, factor=factor)
    else:
        name = node.add("ScaleImage", image=image, amount=factor)
    return MadeOutput(name, "image")


_TILED_UPSCALE = (
    "model: MODEL, positive: CONDITIONING, negative: CONDITIONING, vae: VAE, {0}"
    "seed: INT = 0 @control, steps: INT = 20, cfg: FLOAT = 8.0, "
    'sampler_name: COMBO = "euler", scheduler: COMBO = "normal", denoise: FLOAT = 0.2, {1}'
    'mode_type: COMBO = "Linear", tile_width: INT = 512, tile_height: INT = 512, '
    "mask_blur: INT = 8, tile_padding: INT = 32, "
    'seam_fix_mode: COMBO = "None", seam_fix_denoise: FLOAT = 1.0, seam_fix_width: INT = 64, '
    "seam_fix_mask_blur: INT = 8, seam_fix_padding: INT = 16, "
    "force_uniform_tiles: COMBO = true, tiled_decode: BOOLEAN = false{2}"
)
_BY = "upscale_by: FLOAT = 2.0, "

TILE_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f"UltimateSDUpscale(image: IMAGE, "
        f"{_TILED_UPSCALE.format(_BY, 'upscale_model: UPSCALE_MODEL, ', ', batch_size: INT = 1')}) "
        "-> IMAGE",
        _tiled_upscale,
    ),
    entry(
        "UltimateSDUpscaleNoUpscale(upscaled_image: IMAGE, "
        f"{_TILED_UPSCALE.format('', '', ', batch_size: INT = 1')}) -> IMAGE",
        _tiled_upscale,
    ),
    entry(
        "UltimateSDUpscaleCustomSample(image: IMAGE, "
        f"{_TILED_UPSCALE.format(_BY, '', '')}, upscale_model: UPSCALE_MODEL?, "
        "custom_sampler: SAMPLER?, custom_sigmas: SIGMAS?, batch_size: INT = 1) -> IMAGE",
        _tiled_upscale,
    ),
)

ENTRIES: tuple[TableEntry, ...] = (*DETAILER_ENTRIES, *TILE_ENTRIES)
