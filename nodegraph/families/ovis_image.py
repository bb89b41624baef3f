"""Ovis-Image. Imports no torch.

Source: diffusers' pipeline ``OvisImagePipeline`` and its transformer, by the Ovis team;
https://github.com/AIDC-AI/Ovis-Image

Source of what no tensor shows: the defaults of diffusers' classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.latent_formats import FLUX as FLUX_LATENTS
from nodegraph.families.layer_names import DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN
from nodegraph.families.model_step import Batch, Moment
from nodegraph.families.patches import pack_latents, token_positions, unpack_latents
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import count_of
from nodegraph.weights.single_files.language import QWEN3, QWEN3_GGUF
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2
_TOKENS = 256
_INSTRUCTION = (
    "Describe the image by detailing the color, quantity, text, shape, size, texture, spatial "
    "relationships of the objects and background: "
)
"""Text before a prompt. The model was trained with it, so each letter counts.

Source: diffusers' pipeline.
"""
_INSTRUCTION_TOKENS = 28
"""Its tokens with the beginning of the chat, by Qwen's vocabulary."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedder.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        # 16, 56 and 56 of 128
        "axes_dims_rope": (head // 8, 7 * head // 16, 7 * head // 16),
    }


_FILE = denoiser_layout(
    "ovis-image-transformer",
    "the transformer of Ovis-Image",
    "OvisImageTransformer2DModel",
    marks=(
        (
            "context_embedder_norm.weight",
            "transformer_blocks.0.attn.add_q_proj.weight",
            "single_transformer_blocks.0.proj_mlp.weight",
        ),
    ),
    config=_config,
    scheduler=DYNAMIC_FLOW,
)


class OvisImage(Family):
    """A transformer like Flux.1's, guided by Qwen3, without a guidance scale as an input."""

    def channels(self, config: Config) -> int:
        return int(config["in_channels"]) // _PATCH**2

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import hidden_states, tokenize_padded

        tokenizer = model.tokenizers["tokenizer"]
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": _INSTRUCTION + text}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        length = _TOKENS + _INSTRUCTION_TOKENS
        tokens = tokenize_padded(tokenizer, chat, length, warn, add_special_tokens=False)
        states = hidden_states(model.modules["text_encoder"], tokens, layer=-1)
        states = states * tokens["attention_mask"][..., None]
        return encoded({"embeddings": states[:, _INSTRUCTION_TOKENS:]})

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        height, width = x.shape[-2:]
        states = batch["embeddings"]
        cells = token_positions(height // _PATCH, width // _PATCH, x.device)
        words = torch.zeros(states.shape[1], 3, device=x.device)
        words[:, 1:] = torch.arange(states.shape[1], device=x.device)[:, None]
        output: Tensor = model.module(
            hidden_states=pack_latents(x),
            timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
            encoder_hidden_states=states,
            txt_ids=words.to(x.dtype),
            img_ids=cells.to(x.dtype),
            return_dict=False,
        )[0]
        return unpack_latents(output, height, width)


OVIS_IMAGE = OvisImage(
    "ovis-image",
    "Ovis-Image",
    latent=FLUX_LATENTS,
    pipelines=("OvisImagePipeline",),
    denoisers=(Part("transformer", ("OvisImageTransformer2DModel",), files=(_FILE,)),),
    encoders=(Part("text_encoder", ("Qwen3Model",), files=(QWEN3, QWEN3_GGUF)),),
    tokenizers=(Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen3"),),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=16,
    held=TokenMemory(22, _TOKENS),
    joint=False,
    block_stacks=("transformer_blocks", "single_transformer_blocks"),
    block_outputs={
        "OvisImageTransformerBlock": (1, 0),
        "OvisImageSingleTransformerBlock": (1, 0),
    },
    speedups=ATTENTION_CACHES,
    resolutions={"ovis-image": Resolutions(1024 * 1024, 16)},
    lora_signs=(DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN),
    comfyui_type="ovis",
)
