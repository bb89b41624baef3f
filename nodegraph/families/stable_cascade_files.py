"""Stable Cascade in files: its two UNets, its text encoder and its autoencoder. No torch.

Sources of the names: diffusers, ``loaders/single_file_utils.py``,
``convert_stable_cascade_unet_single_file_to_diffusers``; ComfyUI ``comfy/supported_models.py``,
``Stable_Cascade_C``, and ``comfy/sd.py``. Source of what no tensor shows, the width of attention
heads, the patches of stage B and the factor of its latents: ComfyUI ``comfy/model_detection.py``
and ``comfy/ldm/cascade/stage_a.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import PREFIXES as VAE_PREFIXES
from nodegraph.weights.single_files.base import (
    Config,
    FileLayout,
    OriginalNames,
    Table,
    Tensors,
    count_of,
)
from nodegraph.weights.single_files.clip import clip_layout
from nodegraph.weights.single_files.renamed_layouts import PREFIXES, rename_tensors

if TYPE_CHECKING:
    from torch import Tensor

UNET_CLASS = "StableCascadeUNet"
"""Class of diffusers."""
PAELLA_CLASS = "PaellaVQModel"
"""Class of diffusers."""

_HEAD = 64
"""Width of an attention head in the published models."""
_PATCH = 2
"""Cells along the side of what stage B joins to one; stage C joins none."""
_SCALE = 0.43
"""Factor of stage B's latents, before they are decoded."""
_MOST_BLOCKS = 100
"""Of one level; the published ones have 84 at most."""

_PARTS = ("to_q", "to_k", "to_v")
_LAYERS: Table = (
    *(
        (
            f"{side}_blocks.*.{at}.attention.{here}",
            f"{side}_blocks.*.{at}.attention.attn.{original}",
        )
        for side in ("down", "up")
        for at in range(_MOST_BLOCKS)
        for here, original in (*zip(_PARTS, _PARTS, strict=True), ("to_out.0", "out_proj"))
    ),
    ("clip_txt_pooled_mapper", "clip_mapper"),
)
NAMES = OriginalNames(_LAYERS)
"""Of both UNets. Queries, keys and values are apart, as in adapters; in files they are joined."""

_JOINED = re.compile(r"attn\.in_proj_(weight|bias)$")
_KINDS = {
    "depthwise.weight": "SDCascadeResBlock",
    "mapper.weight": "SDCascadeTimestepBlock",
    "attention.to_q.weight": "SDCascadeAttnBlock",
}
"""Blocks by a tensor that tells them."""
_CONDITIONS = ("sca", "crp")
"""Numbers that a UNet may take beside the time, in their order."""


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    apart: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if match := _JOINED.search(name):
            begin = f"{name[: match.start()]}attn."
            rows = zip(_PARTS, tensor.chunk(3), strict=True)
            apart |= {f"{begin}{part}.{match[1]}": item for part, item in rows}
        else:
            apart[name] = tensor
    return rename_tensors(apart, NAMES)


def _has(shapes: Shapes, start: str, tensor: str) -> bool:
    original = {"attention.to_q.weight": "attention.attn.in_proj_weight"}.get(tensor, "")
    return f"{start}{tensor}" in shapes or f"{start}{original}" in shapes


def _kinds(shapes: Shapes, level: str) -> list[str]:
    """The kinds of blocks of a level, such as ``down_blocks.0``, in their order."""
    count = count_of(shapes, rf"{re.escape(level)}\.(\d+)\.")
    return [
        next(kind for tensor, kind in _KINDS.items() if _has(shapes, f"{level}.{at}.", tensor))
        for at in range(count)
    ]


def _unet_config(shapes: Shapes) -> dict[str, Any]:
    levels = count_of(shapes, r"down_blocks\.(\d+)\.")
    first, inputs = shapes["embedding.1.weight"][:2]
    has_stage_c = "effnet_mapper.0.weight" in shapes
    patch = _PATCH if has_stage_c else 1
    resampled = "down_downscalers.1.1.blocks.0.weight" in shapes
    scaler = (
        "down_downscalers.{}.1.blocks.0.weight" if resampled else "down_downscalers.{}.1.weight"
    )
    widths = [first, *(shapes[scaler.format(at)][0] for at in range(1, levels))]
    kinds = [_kinds(shapes, f"down_blocks.{at}") for at in range(levels)]
    patterns = [_pattern(each) for each in kinds]
    ups = [len(_kinds(shapes, f"up_blocks.{at}")) for at in range(levels)]
    condition = next(shape for name, shape in shapes.items() if name.endswith("kv_mapper.1.weight"))
    pooled = shapes.get("clip_txt_pooled_mapper.weight") or shapes["clip_mapper.weight"]
    time = next(name for name in shapes if name.endswith(".mapper.weight"))
    mappers = {name.rpartition(".mapper_")[2].partition(".")[0] for name in shapes}

    def repeats(side: str, level: int) -> int:
        return 1 + count_of(shapes, rf"{side}_repeat_mappers\.{level}\.(\d+)\.")

    def width_of(name: str) -> int | None:
        return shapes[name][1] if name in shapes else None

    return {
        "in_channels": inputs // patch**2,
        "out_channels": shapes["clf.1.weight"][0] // patch**2,
        "timestep_ratio_embedding_dim": shapes[time][1],
        "patch_size": patch,
        "conditioning_dim": condition[1],
        "block_out_channels": widths,
        "num_attention_heads": [
            width // _HEAD if "SDCascadeAttnBlock" in pattern else -1
            for width, pattern in zip(widths, patterns, strict=True)
        ],
        "down_num_layers_per_block": [
            len(each) // len(pattern) for each, pattern in zip(kinds, patterns, strict=True)
        ],
        # The way up begins at the last level.
        "up_num_layers_per_block": [
            count // len(pattern) for count, pattern in zip(ups, patterns[::-1], strict=True)
        ],
        "down_blocks_repeat_mappers": [repeats("down", at) for at in range(levels)],
        "up_blocks_repeat_mappers": [repeats("up", at) for at in range(levels)],
        "block_types_per_layer": patterns,
        "clip_text_in_channels": width_of("clip_txt_mapper.weight"),
        "clip_text_pooled_in_channels": pooled[1],
        "clip_image_in_channels": width_of("clip_img_mapper.weight"),
        "clip_seq": pooled[0] // condition[1],
        "effnet_in_channels": width_of("effnet_mapper.0.weight"),
        "pixel_mapper_in_channels": width_of("pixels_mapper.0.weight"),
        "kernel_size": shapes["down_blocks.0.0.depthwise.weight"][-1],
        # As diffusers has it; it counts in training alone.
        "dropout": [0.1] * levels,
        "self_attn": True,
        "timestep_conditioning_type": [name for name in _CONDITIONS if name in mappers],
        "switch_level": [False] * (levels - 1) if resampled else None,
    }


def _pattern(kinds: list[str]) -> list[str]:
    """What a level's blocks repeat."""
    return list(dict.fromkeys(kinds))


def unet_layout(
    name: str, title: str, marks: tuple[tuple[str, ...], ...], shift: float
) -> FileLayout:
    """The layout of one of both UNets in a file.

    Args:
        name, title, marks: As of `FileLayout`.
        shift: That ComfyUI samples it with.
    """
    schedule = {
        "_class_name": "DDPMWuerstchenScheduler",
        "scaler": 1,
        "s": 0.008,
        "comfyui_shift": shift,
    }
    return FileLayout(
        name,
        title,
        UNET_CLASS,
        lambda shapes: any(all(mark in shapes for mark in group) for group in marks),
        _unet_config,
        _convert,
        PREFIXES,
        scheduler=lambda _: schedule,
        marks=marks,
        names=NAMES,
    )


STAGE_C_FILE = unet_layout(
    "stable-cascade-stage-c",
    "stage C of Stable Cascade",
    (("clip_txt_mapper.weight", "clip_txt_pooled_mapper.weight", "clf.1.weight"),),
    2.0,
)
STAGE_B_FILE = unet_layout(
    "stable-cascade-stage-b",
    "stage B of Stable Cascade",
    (
        ("clip_mapper.weight", "effnet_mapper.0.weight"),
        ("clip_txt_pooled_mapper.weight", "effnet_mapper.0.weight"),
    ),
    1.0,
)


# The text encoder

_PROJECTION = "text_projection"
_POSITIONS = "transformer.text_model.embeddings.position_embedding.weight"
ENCODER_PREFIX = "text_encoder.clip_g."
"""Before the names of its tensors in files with a whole stage."""
CLIP_G = clip_layout("CLIP-G", "CLIPTextModelWithProjection", kind="bigG")


def _plain(items: Mapping[str, Any]) -> dict[str, Any]:
    """Names without the level that ComfyUI's files have before those of transformers."""
    return {name.removeprefix("transformer."): item for name, item in items.items()}


def _convert_encoder(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    plain = _plain(tensors)
    if _PROJECTION in plain:
        plain[f"{_PROJECTION}.weight"] = plain.pop(_PROJECTION).T.contiguous()
    return CLIP_G.convert(plain, config)


WHOLE_CLIP_G = replace(
    CLIP_G,
    name="stable-cascade-clip-g",
    matches=lambda shapes: {_PROJECTION, _POSITIONS} <= shapes.keys(),
    config=lambda shapes: CLIP_G.config(_plain(shapes)),
    convert=_convert_encoder,
    prefixes=(ENCODER_PREFIX,),
)
"""In a file with a whole stage, where its projection is the transpose of transformers'."""


# The autoencoder

_CODEBOOK = {"vquantizer.codebook.weight": "vquantizer.embedding.weight"}
_WIDTH = "in_block.1.weight"


def _paella_config(shapes: Shapes) -> dict[str, Any]:
    first, inputs = shapes[_WIDTH][:2]
    levels = 1 + sum(
        name.startswith("down_blocks.") and name.endswith(".weight") and shape[2:] == (4, 4)
        for name, shape in shapes.items()
    )
    blocks = sum(name.startswith("up_blocks.") and name.endswith(".gammas") for name in shapes)
    book = next(shapes[name] for pair in _CODEBOOK.items() for name in pair if name in shapes)
    side = round((inputs / 3) ** 0.5)
    return {
        "in_channels": inputs // side**2,
        "out_channels": shapes["out_block.0.weight"][0] // side**2,
        "up_down_scale_factor": side,
        "levels": levels,
        "bottleneck_blocks": blocks - (levels - 1),
        "embed_dim": first * 2 ** (levels - 1),
        "latent_channels": book[1],
        "num_vq_embeddings": book[0],
        "scale_factor": _SCALE,
    }


PAELLA_FILE = FileLayout(
    "stable-cascade-vae",
    "the VAE of Stable Cascade (stage A)",
    PAELLA_CLASS,
    lambda shapes: (
        _WIDTH in shapes and any(name in shapes for pair in _CODEBOOK.items() for name in pair)
    ),
    _paella_config,
    lambda tensors, _: {_CODEBOOK.get(name, name): item for name, item in tensors.items()},
    VAE_PREFIXES,
)
