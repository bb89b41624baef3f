"""The transformer of Stable Diffusion 3 and 3.5 in a file of its own. Imports no torch.

Source of what no tensor shows: ``sd3_impls.py`` of https://github.com/Stability-AI/sd3.5, and
``scheduler_config.json`` of https://huggingface.co/stabilityai/stable-diffusion-3.5-medium
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import Config, Tensors, count_of
from nodegraph.diffusion.single_files.denoisers import EULER_FLOW, denoiser_layout
from nodegraph.diffusion.single_files.renaming import swapped

if TYPE_CHECKING:
    from torch import Tensor

_HEAD = 64
_SAMPLE = 128
"""Cells per side of the latents that it was trained on."""
_PLACES, _PLACES_HERE = "pos_embed", "pos_embed.pos_embed"
"""The table of places, in the file and here."""
_LAST = r"joint_blocks\.(\d+)\.context_block\.adaLN_modulation\.1\.(weight|bias)"


def _config(shapes: Shapes) -> dict[str, Any]:
    width, taken, patch, _ = shapes["pos_embed.proj.weight"]
    (head,) = shapes.get("transformer_blocks.0.attn.norm_q.weight", (_HEAD,))
    caption, joint = shapes["context_embedder.weight"]
    places = shapes.get(_PLACES_HERE) or shapes[_PLACES]
    twice = (re.match(r"transformer_blocks\.(\d+)\.attn2\.", name) for name in shapes)
    return {
        "sample_size": _SAMPLE,
        "patch_size": patch,
        "in_channels": taken,
        "out_channels": shapes["proj_out.weight"][0] // patch**2,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": joint,
        "caption_projection_dim": caption,
        "pooled_projection_dim": shapes["time_text_embed.text_embedder.linear_1.weight"][1],
        "pos_embed_max_size": math.isqrt(places[1]),
        "dual_attention_layers": tuple(sorted({int(match[1]) for match in twice if match})),
        "qk_norm": ("rms_norm" if "transformer_blocks.0.attn.norm_q.weight" in shapes else None),
    }


def _fits(shapes: Shapes) -> bool:
    """Whether it takes a latent alone; those that fill masked pictures take more."""
    taken, given = shapes.get("pos_embed.proj.weight", ()), shapes.get("proj_out.weight", ())
    return len(taken) == 4 and len(given) == 2 and given[0] == taken[1] * taken[2] * taken[3]


_NAMED = denoiser_layout(
    "sd3-transformer",
    "the transformer of Stable Diffusion 3",
    "SD3Transformer2DModel",
    marks=(
        ("x_embedder.proj.weight", "joint_blocks.0.context_block.adaLN_modulation.1.weight"),
        ("pos_embed.proj.weight", "transformer_blocks.0.norm1_context.linear.weight"),
    ),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 3.0},
    fits=_fits,
)


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """As the names say; the text's last modulation, which is that of an output, has scale and shift
    the other way round here."""
    given = dict(tensors)
    for name in tensors:
        match = re.fullmatch(_LAST, name)
        if match and int(match[1]) == config["num_layers"] - 1:
            given[name] = swapped(given[name])
    if _PLACES in given:
        given[_PLACES_HERE] = given.pop(_PLACES)
    return _NAMED.convert(given, config)


SD3 = replace(_NAMED, convert=_convert)
