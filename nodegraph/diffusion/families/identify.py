"""What a file holds, told by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from nodegraph.diffusion.depth.files import is_depth
from nodegraph.diffusion.families.alone import (
    LOAD_INVERSION,
    LOAD_IP_ADAPTER,
    LOAD_LORA,
    LOAD_REDUX,
    LOAD_UPSCALER,
    LOAD_VAE,
    LOAD_VISION,
    PartAlone,
    controls_in,
    parts_in,
)
from nodegraph.diffusion.families.identified import UNKNOWN, Identified
from nodegraph.diffusion.families.registry import BUILT_IN, FAMILIES, try_family
from nodegraph.diffusion.foreground.architectures import is_foreground
from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import KnownShapes
from nodegraph.diffusion.single_files.redux import SIGLIP
from nodegraph.diffusion.single_files.tiny_vae import half_name
from nodegraph.diffusion.single_files.unsupported import unsupported
from nodegraph.diffusion.upscaling.architectures import is_upscaler

_CLIP_WIDTHS = ((768,), (1024,), (1280,))
_MOST_ROWS = 75
"""Tokens that a prompt has room for."""


def identify_tensors(shapes: Shapes) -> Identified:
    """What a single file holds, by the names and shapes of its tensors."""
    shapes = KnownShapes.of(shapes)
    for title, node, matches in _NO_MODELS:
        if matches(shapes):
            return Identified(title, node=node)
    controls = controls_in(shapes)
    if controls:
        return identify_parts(shapes, controls)
    if _any(*_CONTROLS)(shapes):
        return Identified("a ControlNet of a kind that isn't known here")
    for families in (BUILT_IN, FAMILIES):
        for family in families.values():
            if try_family(family, lambda each: each.recognises(shapes), otherwise=False):
                return Identified(family.title, family)
    parts = parts_in(shapes)
    if parts:
        return identify_parts(shapes, parts)
    for title, matches in _OTHERS:
        if matches(shapes):
            return Identified(title)
    return Identified(unsupported(shapes) or _near(shapes))


def identify_parts(shapes: Shapes, parts: Sequence[PartAlone]) -> Identified:
    """What a file holds that has these parts of models."""
    title = " or ".join(dict.fromkeys(part.layout.title for part in parts))
    alone = all(name.startswith(parts[0].prefix) for name in shapes)
    more = "" if alone else " beside parts that make no whole model with it"
    return Identified(f"{title}{more}", node=parts[0].node, parts=parts)


def _near(shapes: Shapes) -> str:
    first = shapes.get("model.diffusion_model.input_blocks.0.0.weight")
    if first is None or len(first) != 4:
        return UNKNOWN
    if first[1] != 4:
        from nodegraph.diffusion.families.unet import more_channels

        return more_channels(first[1], 4)
    parts = {"text encoder": "cond_stage_model.", "VAE": "first_stage_model."}
    missing = [part for part, prefix in parts.items() if not _any(prefix)(shapes)]
    return f"Stable Diffusion 1.x without its {' and its '.join(missing)}"


def _any(*beginnings: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.startswith(beginnings) for name in shapes)


def _any_within(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _bare(*beginnings: str) -> Callable[[Shapes], bool]:
    """A single component saved alone: no name has the prefix of a whole checkpoint."""
    whole = _any("model.diffusion_model.", "cond_stage_model.", "conditioner.")
    starts = _any(*beginnings)
    return lambda shapes: starts(shapes) and not whole(shapes)


def _are_words(shapes: Shapes) -> bool:
    """Whether there is nothing but a few rows as wide as CLIP's embeddings."""
    named = len(shapes) == 1 or shapes.keys() <= {"clip_l", "clip_g"}
    rows = [prod(shape[:-1]) for shape in shapes.values() if shape[-1:] in _CLIP_WIDTHS]
    return named and len(rows) == len(shapes) > 0 and max(rows) <= _MOST_ROWS


Matches = Callable[[Shapes], bool]

_NO_MODELS: tuple[tuple[str, str | None, Matches], ...] = (
    ("a LoRA", LOAD_LORA, _any_within(".lora_up.", ".lora_down.", ".lora_A.", ".lora_B.")),
    ("a LoHa", LOAD_LORA, _any_within(".hada_w1_a")),
    ("a LoKr", LOAD_LORA, _any_within(".lokr_w1", ".lokr_w2")),
    ("Flux.1 Redux", LOAD_REDUX, _any("redux_up.")),
    ("SigLIP's eyes", LOAD_REDUX, lambda shapes: SIGLIP.prefix(shapes) is not None),
    ("an IP-Adapter", LOAD_IP_ADAPTER, _any("ip_adapter.1.")),
    ("a Control-LoRA", None, lambda shapes: "lora_controlnet" in shapes),
    ("a ControlNet-LLLite", None, _any("lllite_")),
    ("a textual inversion", LOAD_INVERSION, _any("emb_params", "string_to_param")),
    ("a textual inversion", LOAD_INVERSION, _are_words),
    ("an upscale model", LOAD_UPSCALER, is_upscaler),
    ("a model that masks the foreground", LOAD_VISION, is_foreground),
    ("Depth Anything", LOAD_VISION, is_depth),
    ("one half of a tiny VAE", LOAD_VAE, lambda shapes: half_name(shapes) is not None),
)
_CONTROLS = (
    "control_model.",
    "controlnet_cond_embedding.",
    "controlnet_down",
    "controlnet_blocks.",
    "control_all_x_embedder.",
    "control_layers.",
)
"""Beginnings of names in control networks."""
_CHANGED = "that is incomplete or was changed"

_OTHERS: tuple[tuple[str, Matches], ...] = (
    (f"Stable Diffusion XL {_CHANGED}", _any("conditioner.embedders.")),
    (f"Stable Diffusion 3 {_CHANGED}", _any_within("joint_blocks.0.context_block.")),
    (f"Flux.1 {_CHANGED}", _any_within("double_blocks.0.img_attn.")),
    (f"Stable Diffusion 2.x {_CHANGED}", _any("cond_stage_model.model.")),
    ("a VAE alone", _bare("decoder.conv_in.", "first_stage_model.")),
    ("a text encoder alone", _bare("text_model.encoder.")),
    ("a UNet alone", _bare("down_blocks.0.", "input_blocks.0.")),
)
