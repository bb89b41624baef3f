"""PixArt-Σ. Imports no torch.

Source: Chen et al. 2024, arXiv:2403.04692.

Source of what no tensor shows: https://github.com/PixArt-alpha/PixArt-sigma and diffusers'
``convert_pixart_sigma_to_diffusers.py``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    BLOCK_CACHES,
    FUSED,
    LITE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.latent_formats import SDXL
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN, DIT, DIT_SIGN
from nodegraph.families.model_step import Batch, Moment
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.language import T5, T5_GGUF
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_HEAD = 72
_SAMPLE = 128
"""Cells per side of the latents that most were trained on."""
_PLAIN = 64
"""Those by which places are counted as they are."""
_ALPHA_TOKENS = 120
"""Of PixArt-α's prompts; Σ's have 300."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels, patch, _ = shapes["pos_embed.proj.weight"]
    places = shapes.get("pos_embed", ())
    sample = math.isqrt(places[1]) * patch if len(places) == 3 else _SAMPLE
    return {
        "num_attention_heads": width // _HEAD,
        "attention_head_dim": _HEAD,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // patch**2,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "cross_attention_dim": shapes["transformer_blocks.0.attn2.to_k.weight"][1],
        "attention_bias": "transformer_blocks.0.attn1.to_q.bias" in shapes,
        "sample_size": sample,
        "patch_size": patch,
        "activation_fn": "gelu-approximate",
        "num_embeds_ada_norm": 1000,
        "norm_type": "ada_norm_single",
        "norm_elementwise_affine": False,
        "norm_eps": 1e-6,
        "interpolation_scale": sample / _PLAIN,
        "use_additional_conditions": False,
        "caption_channels": shapes["caption_projection.linear_1.weight"][1],
    }


_LAYERS: Table = (
    *DIT,
    ("transformer_blocks.*.ff.net.0.proj", "blocks.*.mlp.fc1"),
    ("transformer_blocks.*.ff.net.2", "blocks.*.mlp.fc2"),
    ("pos_embed.proj", "x_embedder.proj"),
    ("adaln_single.emb.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("adaln_single.emb.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("adaln_single.linear", "t_block.1"),
)


PIXART_SIGMA_FILE = denoiser_layout(
    "pixart-sigma-transformer",
    "the transformer of PixArt-Σ",
    "PixArtTransformer2DModel",
    marks=(
        ("t_block.1.weight", "blocks.0.mlp.fc1.weight", "blocks.0.cross_attn.q_linear.weight"),
        ("adaln_single.linear.weight", "pos_embed.proj.weight"),
    ),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler={
        "_class_name": "DPMSolverMultistepScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.0001,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "prediction_type": "epsilon",
    },
    fits=lambda shapes: shapes.get("y_embedder.y_embedding", ())[:1] != (_ALPHA_TOKENS,),
    # PixArt-α, which takes sizes.
    without=("csize_embedder.", "ar_embedder.", "adaln_single.emb.resolution_embedder."),
    unused=("pos_embed", "y_embedder.y_embedding"),
)


_TOKENS = 300


class PixArt(Family):
    """A transformer led by T5, whose prompts are read in small letters.

    It was trained on images of several shapes and its stock pipeline brings what is asked for
    to the nearest of them; here images have the size that is asked for.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["caption_channels"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], text.lower().strip(), _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens, masked=True)
        return encoded({"embeddings": states, "mask": tokens["attention_mask"]})

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            x,
            encoder_hidden_states=batch["embeddings"],
            encoder_attention_mask=batch["mask"],
            timestep=moment.timestep.expand(len(x)),
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
            return_dict=False,
        )[0]
        # the noise, and beside it its variance, which no sampler here asks for
        return torch.split(output, x.shape[1], dim=1)[0]


PIXART_SIGMA = PixArt(
    "pixart-sigma",
    "PixArt-Σ",
    latent=SDXL,
    pipelines=("PixArtSigmaPipeline",),
    denoisers=(Part("transformer", ("PixArtTransformer2DModel",), files=(PIXART_SIGMA_FILE,)),),
    encoders=(Part("text_encoder", ("T5EncoderModel",), files=(T5, T5_GGUF)),),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    multiple=16,
    held=TokenMemory(12, 32),
    speedups=ATTENTION_CACHES | BLOCK_CACHES | LITE | FUSED,
    resolutions={"pixart-sigma": Resolutions(1024 * 1024, 32)},
    lora_signs=(
        DIT_SIGN,
        CROSS_ATTENTION_SIGN,
    ),
    comfyui_type="pixart",
)
