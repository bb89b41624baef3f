"""What kind of model an adapter file seems to be for, by the names and widths of its layers.

Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nodegraph.models.adapters.parts import LayerParts
from nodegraph.models.adapters.stems import parse_layer_name


@dataclass(frozen=True, slots=True)
class AdapterTarget:
    """What a file seems to be for.

    Attributes:
        title: In words.
        classes: Of the denoisers that it may be for.
        families: Names of those that differ in other ways; none if they don't.
    """

    title: str
    classes: frozenset[str]
    families: frozenset[str] = frozenset()


def guess_target(parts: Mapping[str, LayerParts]) -> AdapterTarget | None:
    """What the changes in a file seem to be for; None if nothing tells."""
    stems = map(parse_layer_name, parts)
    flat = [stem.flat for stem in stems if not stem.is_of_encoder]
    shown = (guessed for sign, guessed in _SIGNS if any(map(sign.search, flat)))
    guessed = next(shown, None)
    if guessed is not _UNET:
        return guessed
    if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in parts):
        return _BY_CONTEXT[2048]
    width = context_width(parts)
    return _BY_CONTEXT.get(width or 0, _UNET)


def context_width(parts: Mapping[str, LayerParts]) -> int | None:
    """Width of the text that a UNet's changes take; None if they don't tell."""
    for name, part in parts.items():
        if (
            parse_layer_name(name).flat.endswith(("attn2_to_k", "attn2_to_v"))
            and part.size is not None
        ):
            return part.size[1]
    return None


_UNETS = ("UNet2DConditionModel",)


def _unet(title: str, *families: str) -> AdapterTarget:
    return AdapterTarget(title, frozenset(_UNETS), frozenset(families))


def _guess(title: str, *classes: str) -> AdapterTarget:
    return AdapterTarget(title, frozenset(f"{name}Model" for name in classes))


_UNET = _unet("Stable Diffusion 1.x, 2.x or XL", "sd1", "sd2", "sdxl", "sdxl-refiner")
_BY_CONTEXT = {
    768: _unet("Stable Diffusion 1.x", "sd1"),
    1024: _unet("Stable Diffusion 2.x", "sd2"),
    1280: _unet("the refiner of Stable Diffusion XL", "sdxl-refiner"),
    2048: _unet("Stable Diffusion XL", "sdxl"),
}
_FLUX = (
    "FluxTransformer2D",
    "ChromaTransformer2D",
    "Flux2Transformer2D",
    "HunyuanImageTransformer2D",
)
_LUMINA, _Z_IMAGE = "Lumina2Transformer2D", "ZImageTransformer2D"
_SD3, _QWEN = "SD3Transformer2D", "QwenImageTransformer2D"
_SANA, _PIXART = "SanaTransformer2D", "PixArtTransformer2D"
_SIGNS = tuple(
    (re.compile(pattern), found)
    for pattern, found in (
        (r"^(double|single)_stream_blocks_", _guess("HiDream", "HiDreamImageTransformer2D")),
        (r"^joint_blocks_", _guess("Stable Diffusion 3", _SD3)),
        (r"^transformer_blocks_\d+_(img|txt)_(mlp|mod)_", _guess("Qwen-Image", _QWEN)),
        (
            r"_attn_to_qkv_mlp_proj$|_ff(_context)?_linear_(in|out)$|stream_modulation",
            _guess("Flux.2", "Flux2Transformer2D"),
        ),
        (r"^distilled_guidance_layer", _guess("Chroma", "ChromaTransformer2D")),
        (r"^(double|single)_blocks_|^single_transformer_blocks_", _guess("Flux", *_FLUX)),
        (
            r"^blocks_\d+_(self_attn_|cross_attn_([qkvo]$|norm_|k_img|v_img)|attn[12]_|ffn_)",
            _guess("Wan", "WanTransformer3D"),
        ),
        (
            r"^blocks_\d+_(attn_|mlp_|cross_attn_(q_linear|kv_linear|proj))",
            _guess("Sana or PixArt", _SANA, _PIXART),
        ),
        (r"^(layers|noise_refiner|context_refiner)_\d+_attn_", _guess("Lumina 2", _LUMINA)),
        (
            r"^(layers|noise_refiner|context_refiner)_\d+_attention_to_",
            _guess("Z-Image", _Z_IMAGE),
        ),
        (
            r"^(layers|noise_refiner|context_refiner)_\d+_",
            _guess("Z-Image or Lumina 2", _Z_IMAGE, _LUMINA),
        ),
        (r"^(input_blocks|middle_block|output_blocks)_|^(down|up)_blocks_|^mid_block_", _UNET),
        (
            r"^transformer_blocks_\d+_attn1_",
            _guess("LTX, Sana or PixArt", "LTXVideoTransformer3D", _SANA, _PIXART),
        ),
        (
            r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
            _guess("Stable Diffusion 3 or Flux", _SD3, _QWEN, *_FLUX),
        ),
    )
)
"""The first that some layer of a file shows decides."""


def may_fit(guessed: AdapterTarget, family: str, classes: Collection[str]) -> bool:
    """Whether a file may be for a model, as far as it can be told.

    Args:
        family: The model's, such as ``sd1``.
        classes: That its denoiser may be of.
    """
    known = frozenset().union(_UNETS, *(each.classes for _, each in _SIGNS))
    if not known.intersection(classes):
        # Packages may bring others.
        return True
    if not guessed.classes.intersection(classes):
        return False
    return family not in _UNET.families or family in guessed.families
