"""Paint regions of an image at full size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from nodegraph import (
    Advanced,
    Conditioning,
    DiffusionModel,
    Expand,
    Image,
    InvalidValue,
    PromptText,
    Range,
    Seed,
    TextEncoder,
    Vae,
    Value,
    node,
)
from nodegraph.families.schedule_checks import MAX_STEPS
from nodegraph.media.images.regions import Region
from nodegraph.sampling.sampling_parts import GuiderChoice

from ._mask_facts import IMAGE_FACTS
from ._region_facts import check_detail
from ._region_prompts import RegionPrompt, assign_prompts
from .regions import Feather, Softness
from .sampler import SamplerName, ScheduleName
from .sampling import Convention, DenoiseSteps, Draw

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry, Control

_Size = Annotated[float, Range(8, 16384, step=8)]
_SEEDS = 1 << 64
_Side = Annotated[int, Range(0, 16384, step=8), Advanced()]


class Detailed(NamedTuple):
    """The image, and the painted part of each region."""

    image: Image
    parts: list[Image]


@node(
    category="sampling",
    facts={"image": IMAGE_FACTS},
    validate=check_detail,
    tags=(
        *("FaceDetailer", "DetailerForEach", "SEGSDetailer", "MaskDetailerPipe", "adetailer"),
        *("Impact Pack detailer", "face fix", "hand fix", "inpaint only masked", "hires"),
        *("UltimateSDUpscale",),
    ),
)
def DetailRegions(
    model: DiffusionModel,
    vae: Vae,
    image: Image,
    regions: list[Region],
    positive: Conditioning | None = None,
    negative: Conditioning | None = None,
    guider: GuiderChoice | None = None,
    encoder: TextEncoder | None = None,
    *,
    seed: Annotated[int, Seed()] = 0,
    steps: Annotated[int, Range(1, MAX_STEPS)] = 20,
    cfg: Annotated[float, Range(0, 100, step=0.1)] = 7.0,
    sampler: SamplerName = "dpmpp_2m",
    schedule: ScheduleName = "karras",
    denoise: Annotated[float, Range(0, 1, step=0.01)] = 0.5,
    size: _Size = 512.0,
    size_of: Literal["box", "crop"] = "box",
    largest: _Size = 1024.0,
    width: _Side = 0,
    height: _Side = 0,
    large: Literal["paint", "skip"] = "paint",
    feather: Feather = 5,
    softness: Softness = 10.0,
    masked: bool = True,
    mask_feather: Annotated[int, Range(0, 1024), Advanced()] = 0,
    inpainting: Annotated[bool, Advanced()] = False,
    cycles: Annotated[int, Range(1, 100), Advanced()] = 1,
    seeds: Annotated[Literal["next", "same"], Advanced()] = "next",
    paste: Annotated[bool, Advanced()] = True,
    tile: _Side = 0,
    denoise_steps: DenoiseSteps = "share",
    draw: Draw = "per item",
    convention: Convention = "diffusers",
    prompts: Annotated[str, PromptText()] = "",
) -> Detailed:
    """Paint regions of an image at full size, one after the other, for example faces.

    Each region is cropped, enlarged, sampled with its mask, and pasted back. Later regions see what
    was painted before. All pixels that no softened mask reaches stay bit-identical. Control images,
    masks and areas of the prompts are those of the whole image, and are cropped.

    Args:
        model: The diffusion model.
        vae: VAE of the model.
        image: One image.
        regions: Regions from DetectRegions, RegionsFromMask or TileRegions.
        positive: The prompt: what the regions should show.
        negative: The negative prompt. If not linked, the empty prompt is used.
        guider: A guider that is used instead of the prompts and of cfg.
        encoder: Text encoder of the model, for prompts.
        seed: Seed of the first region.
        steps, cfg, sampler, schedule, denoise: As for KSampler.
        size: Length in pixels to which the shorter side is enlarged.
        size_of: Whether this is the side of the object's box, or of the whole region.
        largest: Longest side of an enlarged region in pixels.
        width, height: Fixed size at which all regions are painted. 0 follows from size.
        large: Whether to paint regions, without a change of their size, that are larger than size,
            or to skip them.
        feather: Pixels over which the edge of the mask fades when the part is pasted back.
        softness: Deviation of the Gaussian that softens this edge, in pixels.
        masked: Keep what lies outside the mask while sampling. If off, the whole region is sampled.
        mask_feather: Pixels over which the edge of the mask fades for sampling, in which softer
            parts change later (GradualMask).
        inpainting: The model is an inpainting model, see InpaintConditioning.
        cycles: How often each region is sampled, each time with the next seed.
        seeds: Whether each region has the next seed, or all have the same.
        paste: Paste the parts. If off, the image stays, and all parts are made of it.
        tile: Tile size of the VAE in pixels, as for VAEDecode.
        denoise_steps, draw, convention: As for KSampler.
        prompts: Positive prompts of single regions, with [SEP] between them. After the last one,
            the first follows again. [ASC], [DSC], [ASC-SIZE], [DSC-SIZE] or [RND] at the beginning
            sorts the regions from left to right, from right to left, by size, or randomly. [LAB]
            at the beginning takes prompts by label: [ALL] red hair, [face] smiling. [SKIP] leaves
            a region out, [STOP] it and all that follow. [CONCAT] adds a prompt to positive.
            Choices are drawn as by RandomPrompt.
    """
    from nodegraph.perception.vision.detection import check_single_image

    _check_prompts(positive, guider, encoder, prompts)
    check_single_image(image)
    settings = _Settings(
        guided={"positive": positive, "negative": negative, "cfg": cfg},
        guider=guider,
        encoder=encoder,
        model=model,
        vae=vae,
        sampled={
            "steps": steps,
            "schedule": schedule,
            "denoise": denoise,
            "denoise_steps": denoise_steps,
        },
        sampler=sampler,
        draw=draw,
        convention=convention,
        masked=masked,
        mask_feather=mask_feather,
        inpainting=inpainting,
        cycles=cycles,
        tile=tile,
    )
    sizes = _Sizes(width, height, size, size_of, largest, skips=large == "skip")
    pasting = {"feather": feather, "softness": softness} if paste else None
    fitted = [_fitted(region, image) for region in regions]
    plan = assign_prompts(prompts, fitted, seed)
    own_seeds = [(seed + at) % _SEEDS if seeds == "next" else seed for at in range(len(plan))]
    steps_of = list(zip(plan, own_seeds, strict=True))
    return _expansion(image, fitted, steps_of, sizes, pasting, settings)


def _check_prompts(
    positive: Conditioning | None,
    guider: GuiderChoice | None,
    encoder: TextEncoder | None,
    prompts: str,
) -> None:
    if positive is None and guider is None:
        raise InvalidValue(
            "there is no prompt", port="positive", hint="Link a prompt, or a guider."
        )
    if prompts.strip() and encoder is None:
        raise InvalidValue(
            "prompts of single regions need a text encoder",
            port="encoder",
            hint="Link the text encoder of the model.",
        )
    if prompts.strip() and guider is not None:
        raise InvalidValue(
            "prompts of single regions cannot be used with a guider, which has prompts already",
            port="prompts",
            hint="Link prompts to positive and negative, and no guider.",
        )


def _expansion(
    image: Image,
    regions: Sequence[Region],
    plan: Sequence[tuple[RegionPrompt, int]],
    sizes: _Sizes,
    pasting: Mapping[str, Any] | None,
    settings: _Settings,
) -> Detailed:
    """The nodes that paint regions one after the other.

    Args:
        plan: Prompt and seed of each region, in the order of painting.
        pasting: How parts are pasted; None if they are not.
    """
    from nodegraph.families.registry import get_family

    cell = get_family(settings.model.family).latent.spatial
    nodes: dict[str, dict[str, Any]] = {}
    parts: dict[int, Any] = {}
    current: Any = Value(image)
    for prompt, seed in plan:
        at, region = prompt.index, regions[prompt.index]
        target = sizes.of(region, cell)
        nodes[f"crop_{at}"] = _call("CropRegion", image=current, region=Value(region))
        if target is None or not prompt.is_painted or not bool(region.mask.any()):
            parts[at] = f"crop_{at}.image"
            continue
        parts[at] = f"{_paint(nodes, prompt, region, target, seed, settings)}.image"
        if pasting is not None:
            nodes[f"paste_{at}"] = _call(
                "PasteRegions",
                image=current,
                regions=Value([region]),
                parts={"from": parts[at]},
                **pasting,
            )
            current = {"from": f"paste_{at}.image"}
    last = current if isinstance(current, Value) else current["from"]
    return Expand(nodes, {"image": last, "parts": [parts[at] for at in range(len(regions))]})


class _Sizes(NamedTuple):
    """At which size regions are painted; see DetailRegions."""

    width: int
    height: int
    size: float
    size_of: str
    largest: float
    skips: bool

    def of(self, region: Region, cell: int) -> tuple[int, int] | None:
        """Width and height in pixels, a latent cell at least; None for a region that is skipped."""
        target: tuple[int, int] | None = self.width, self.height
        if not (self.width and self.height):
            target = detail_size(region, self.size, self.size_of, self.largest, skips=self.skips)
        return target and (max(cell, target[0]), max(cell, target[1]))


class _Settings(NamedTuple):
    """What all regions are painted with."""

    guided: Mapping[str, Any]
    guider: GuiderChoice | None
    encoder: TextEncoder | None
    model: DiffusionModel
    vae: Vae
    sampled: Mapping[str, Any]
    sampler: str
    draw: str
    convention: str
    masked: bool
    mask_feather: int
    inpainting: bool
    cycles: int
    tile: int


def _call(node_type: str, **inputs: Any) -> dict[str, Any]:
    values = {name: value for name, value in inputs.items() if value is not None}
    return {"type": node_type, "inputs": values}


def _fitted(region: Region, image: Image) -> Region:
    from nodegraph.media.images.inpainting import fit_region

    return fit_region(region, (image.shape[2], image.shape[1]))


def detail_size(
    region: Region, size: float, of: str, largest: float, *, skips: bool
) -> tuple[int, int] | None:
    """Width and height at which a region is painted. None for one that is skipped.

    Args:
        size: To which the shorter side of the box or crop is enlarged.
        skips: Whether regions that are large enough are skipped; if not, they keep their size.
    """
    own = region.width, region.height
    box = region.object_box[2:]
    if skips and min(box) >= size:
        return None
    scale = size / max(1e-6, min(box if of == "box" else own))
    wide, high = (int(side * scale) for side in own)
    if max(wide, high) > largest:
        scale *= largest / max(wide, high)
        wide, high = (int(side * scale) for side in own)
    if scale <= 1 or not wide or not high:
        return None if skips else own
    return wide, high


def _paint(
    nodes: dict[str, dict[str, Any]],
    prompt: RegionPrompt,
    region: Region,
    target: tuple[int, int],
    seed: int,
    settings: _Settings,
) -> str:
    """Add the nodes that paint one region; returns the one whose image has the region's size."""
    import torch

    from nodegraph.media.images.mask_morphology import soften_mask

    at = prompt.index
    image: Any = {"from": f"crop_{at}.image"}
    if target != (region.width, region.height):
        nodes[f"enlarge_{at}"] = _call(
            "ResizeImage", image=image, width=target[0], height=target[1]
        )
        image = {"from": f"enlarge_{at}"}
    soft = soften_mask(region.mask, settings.mask_feather, _MASK_SOFTNESS)
    mask = Value(soft if settings.masked else torch.ones_like(soft))
    shared = _cropped(settings.guided["positive"], region, target)
    positive = _own_prompt(nodes, prompt, shared, seed, settings)
    latent = _encoded(nodes, at, image, mask, positive, settings)
    prompts = {
        "positive": {"from": f"encode_{at}.conditioning"} if settings.inpainting else positive,
        "negative": _cropped(settings.guided["negative"], region, target),
    }
    for cycle in range(settings.cycles):
        latent = _sampled(
            nodes, f"{at}_{cycle}", latent, (seed + cycle) % _SEEDS, prompts, settings
        )
    nodes[f"decode_{at}"] = _call(
        "VAEDecode", vae=Value(settings.vae), latent=latent, tile=settings.tile
    )
    nodes[f"part_{at}"] = _call(
        "ResizeImage",
        image={"from": f"decode_{at}"},
        width=region.width,
        height=region.height,
    )
    return f"part_{at}"


_MASK_SOFTNESS = 10.0
"""Deviation in pixels of the Gaussian that softens masks for sampling."""


def _own_prompt(
    nodes: dict[str, dict[str, Any]],
    prompt: RegionPrompt,
    shared: Value | None,
    seed: int,
    settings: _Settings,
) -> Any:
    """Add the nodes of a region's own prompt; returns it, or the prompt that all regions share."""
    if not prompt.text:
        return shared
    text: Any = prompt.text
    if prompt.is_drawn:
        nodes[f"draw_{prompt.index}"] = _call("RandomPrompt", text=text, seed=seed)
        text = {"from": f"draw_{prompt.index}"}
    syntax = "comfyui" if settings.convention == "comfyui" else None
    nodes[f"words_{prompt.index}"] = _call(
        "EncodePrompt", encoder=Value(settings.encoder), text=text, syntax=syntax
    )
    own = {"from": f"words_{prompt.index}"}
    if not prompt.is_joined:
        return own
    nodes[f"join_{prompt.index}"] = _call("ConcatenateConditioning", first=shared, second=own)
    return {"from": f"join_{prompt.index}"}


def _cropped(
    conditioning: Conditioning | None, region: Region, target: tuple[int, int]
) -> Value | None:
    """Prompts whose masks, areas and control images are cut to a region.

    Args:
        target: Width and height at which it is painted.
    """
    if conditioning is None:
        return None
    entries = [_cropped_entry(entry, region, target) for entry in conditioning.entries]
    present = [entry for entry in entries if entry is not None]
    empty = conditioning.unconditional
    empty = None if empty is None else _cropped_entry(empty, region, target)
    if not present:
        # no area reaches the region
        present = [empty or replace(conditioning.entries[0], areas=())]
    return Value(replace(conditioning, entries=tuple(present), unconditional=empty))


def _cropped_entry(
    entry: ConditioningEntry, region: Region, target: tuple[int, int]
) -> ConditioningEntry | None:
    """A prompt in a region; None if one of its areas lies outside."""
    from nodegraph.families.image_conditioning import mask_names
    from nodegraph.media.images.inpainting import cut_region
    from nodegraph.media.images.masks import resize_mask
    from nodegraph.sampling.cropped_conditioning import crop_area
    from nodegraph.sampling.regions import Window

    size = region.picture_width, region.picture_height

    def cut(mask: Tensor) -> Tensor:
        return cut_region(resize_mask(mask, *size)[..., None], region)[0][..., 0]

    window = Window(region.y, region.x, region.height, region.width)
    scale = target[0] / region.width, target[1] / region.height
    areas = [crop_area(area, window, size, scale) for area in entry.areas]
    present = tuple(area for area in areas if area is not None)
    if len(present) < len(areas):
        return None
    masks = {name: cut(entry.tensors[name][0])[None] for name in mask_names(entry.tensors)}
    return replace(
        entry,
        mask=None if entry.mask is None else cut(entry.mask),
        areas=present,
        controls=tuple(_cropped_control(control, region) for control in entry.controls),
        tensors={**entry.tensors, **masks},
    )


def _cropped_control(control: Control, region: Region) -> Control:
    """A control image in a region; one in latent cells stays whole, as cells cannot be enlarged."""
    from nodegraph.media.images.inpainting import cut_region
    from nodegraph.sampling.controls.files import recipe_kind
    from nodegraph.sampling.cropped_conditioning import covering_control

    if recipe_kind(control.model).sees_latents:
        return control
    covering = covering_control(control, (region.picture_width, region.picture_height))
    hint, mask = cut_region(covering.hint, region)[0], covering.mask
    if mask is not None:
        mask = cut_region(mask[..., None], region)[0][..., 0]
    return replace(control, hint=hint, mask=mask)


def _encoded(
    nodes: dict[str, dict[str, Any]],
    at: int,
    image: Any,
    mask: Value,
    positive: Any,
    settings: _Settings,
) -> Any:
    """Add the nodes that encode a region; returns a link to its latent."""
    vae = Value(settings.vae)
    if settings.inpainting:
        if positive is None:
            raise InvalidValue(
                "an inpainting model needs a prompt, not a guider",
                port="positive",
                hint="Link the prompt to positive.",
            )
        nodes[f"encode_{at}"] = _call(
            "InpaintConditioning", conditioning=positive, vae=vae, image=image, mask=mask, crop=True
        )
        latent: Any = {"from": f"encode_{at}.latent"}
    else:
        nodes[f"encode_{at}"] = _call(
            "VAEEncode", vae=vae, image=image, crop=True, tile=settings.tile
        )
        latent = {"from": f"encode_{at}"}
    if not settings.masked:
        return latent
    nodes[f"mask_{at}"] = _call("SetNoiseMask", latent=latent, mask=mask)
    if not settings.mask_feather:
        return {"from": f"mask_{at}"}
    nodes[f"gradual_{at}"] = _call("GradualMask", latent={"from": f"mask_{at}"})
    return {"from": f"gradual_{at}"}


def _sampled(
    nodes: dict[str, dict[str, Any]],
    name: str,
    latent: Any,
    seed: int,
    prompts: Mapping[str, Any],
    settings: _Settings,
) -> Any:
    """Add the nodes that sample a latent; returns a link to the result."""
    common = {"model": Value(settings.model), "latent": latent, "convention": settings.convention}
    if settings.guider is None:
        nodes[f"sample_{name}"] = _call(
            "KSampler",
            **common,
            **prompts,
            **settings.sampled,
            seed=seed,
            cfg=settings.guided["cfg"],
            sampler=settings.sampler,
            draw=settings.draw,
        )
        return {"from": f"sample_{name}"}
    nodes[f"noise_{name}"] = _call("RandomNoise", seed=seed, draw=settings.draw)
    nodes[f"sampler_{name}"] = _call("SelectSampler", sampler=settings.sampler)
    nodes[f"schedule_{name}"] = _call("BasicSchedule", **settings.sampled)
    nodes[f"sample_{name}"] = _call(
        "SampleCustom",
        **common,
        guider=Value(settings.guider),
        noise={"from": f"noise_{name}"},
        sampler={"from": f"sampler_{name}"},
        schedule={"from": f"schedule_{name}"},
    )
    return {"from": f"sample_{name}.latent"}
