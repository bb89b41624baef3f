"""What kind of model an adapter file seems to be for, by the names and widths of its layers.

Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nodegraph.diffusion.adapters.parts import LayerParts
from nodegraph.diffusion.adapters.stems import take_apart


@dataclass(frozen=True, slots=True)
class Guess:
    """What a file seems to be for.

    Attributes:
        title: In words.
        families: Names of all that it may be for.
    """

    title: str
    families: frozenset[str]


def guess(parts: Mapping[str, LayerParts]) -> Guess | None:
    """What the changes in a file seem to be for; None if nothing tells."""
    stems = map(take_apart, parts)
    flat = [stem.flat for stem in stems if not stem.is_of_encoder]
    shown = (found for sign, found in _SIGNS if any(map(sign.search, flat)))
    found = next(shown, None)
    if found is not _UNET:
        return found
    if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in parts):
        return _BY_CONTEXT[2048]
    width = context_width(parts)
    return _BY_CONTEXT.get(width or 0, _UNET)


def context_width(parts: Mapping[str, LayerParts]) -> int | None:
    """Width of the text that a UNet's changes take; None if they don't tell."""
    for name, part in parts.items():
        if take_apart(name).flat.endswith(("attn2_to_k", "attn2_to_v")) and part.size is not None:
            return part.size[1]
    return None


def _guess(title: str, *families: str) -> Guess:
    return Guess(title, frozenset(families))


_UNET = _guess("Stable Diffusion 1.x, 2.x or XL", "sd1", "sd2", "sdxl", "sdxl_refiner")
_BY_CONTEXT = {
    768: _guess("Stable Diffusion 1.x", "sd1"),
    1024: _guess("Stable Diffusion 2.x", "sd2"),
    1280: _guess("the refiner of Stable Diffusion XL", "sdxl_refiner"),
    2048: _guess("Stable Diffusion XL", "sdxl"),
}
_FLUX = ("flux", "chroma", "flux2", "hunyuan_image")
_SIGNS = tuple(
    (re.compile(pattern), found)
    for pattern, found in (
        (r"^(double|single)_stream_blocks_", _guess("HiDream", "hidream")),
        (r"^joint_blocks_", _guess("Stable Diffusion 3", "sd3")),
        (
            r"^transformer_blocks_\d+_(img|txt)_(mlp|mod)_",
            _guess("Qwen-Image", "qwen_image"),
        ),
        (
            r"_attn_to_qkv_mlp_proj$|_ff(_context)?_linear_(in|out)$|stream_modulation",
            _guess("Flux.2", "flux2"),
        ),
        (r"^distilled_guidance_layer", _guess("Chroma", "chroma")),
        (r"^(double|single)_blocks_|^single_transformer_blocks_", _guess("Flux", *_FLUX)),
        (r"^blocks_\d+_(self_attn|cross_attn_[qkvo]$|attn[12]_|ffn_)", _guess("Wan", "wan")),
        (r"^blocks_\d+_(attn|cross_attn|mlp)_", _guess("Sana or PixArt", "sana", "pixart")),
        (r"^(layers|noise_refiner|context_refiner)_\d+_attn_", _guess("Lumina 2", "lumina2")),
        (
            r"^(layers|noise_refiner|context_refiner)_\d+_attention_to_",
            _guess("Z-Image", "z_image"),
        ),
        (
            r"^(layers|noise_refiner|context_refiner)_\d+_",
            _guess("Z-Image or Lumina 2", "z_image", "lumina2"),
        ),
        (r"^(input_blocks|middle_block|output_blocks)_|^(down|up)_blocks_|^mid_block_", _UNET),
        (
            r"^transformer_blocks_\d+_attn1_",
            _guess("LTX, Sana or PixArt", "ltx", "sana", "pixart"),
        ),
        (
            r"^transformer_blocks_\d+_",
            _guess("Stable Diffusion 3 or Flux", "sd3", "qwen_image", *_FLUX),
        ),
    )
)
"""The first that some layer of a file shows decides."""


def is_told_apart(family: str | None) -> bool:
    """Whether a family is one that guesses are made for; packages may bring others."""
    known = [_UNET, *_BY_CONTEXT.values(), *(found for _, found in _SIGNS)]
    return any(family in found.families for found in known)
