"""AuraFlow. Imports no torch.

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/fal/AuraFlow
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    FUSED,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.latent_formats import SDXL
from nodegraph.families.layer_names import DOUBLE_STREAM_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment
from nodegraph.families.position_limits import PositionLimits, square_limits
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2
_HEAD = 256
_TOKENS = 256
_SIDE = 1024
"""Pixels per side that the pipeline makes; the configuration's ``sample_size`` says half of it."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, taken = shapes["pos_embed.proj.weight"]
    caption, joint = shapes["context_embedder.weight"]
    return {
        "sample_size": 64,
        "patch_size": _PATCH,
        "in_channels": taken // _PATCH**2,
        "out_channels": shapes["proj_out.weight"][0] // _PATCH**2,
        "num_mmdit_layers": count_of(shapes, r"joint_transformer_blocks\.(\d+)\."),
        "num_single_dit_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": _HEAD,
        "num_attention_heads": width // _HEAD,
        "joint_attention_dim": joint,
        "caption_projection_dim": caption,
        "pos_embed_max_size": shapes["pos_embed.pos_embed"][1],
    }


_LAYERS: Table = (
    ("pos_embed.proj", "init_x_linear"),
    ("pos_embed.pos_embed", "positional_encoding"),
    ("context_embedder", "cond_seq_linear"),
    ("time_step_proj.linear_1", "t_embedder.mlp.0"),
    ("time_step_proj.linear_2", "t_embedder.mlp.2"),
    ("joint_transformer_blocks.*.attn.to_q", "double_layers.*.attn.w2q"),
    ("joint_transformer_blocks.*.attn.to_k", "double_layers.*.attn.w2k"),
    ("joint_transformer_blocks.*.attn.to_v", "double_layers.*.attn.w2v"),
    ("joint_transformer_blocks.*.attn.to_out.0", "double_layers.*.attn.w2o"),
    ("joint_transformer_blocks.*.attn.add_q_proj", "double_layers.*.attn.w1q"),
    ("joint_transformer_blocks.*.attn.add_k_proj", "double_layers.*.attn.w1k"),
    ("joint_transformer_blocks.*.attn.add_v_proj", "double_layers.*.attn.w1v"),
    ("joint_transformer_blocks.*.attn.to_add_out", "double_layers.*.attn.w1o"),
    ("joint_transformer_blocks.*.ff.linear_1", "double_layers.*.mlpX.c_fc1"),
    ("joint_transformer_blocks.*.ff.linear_2", "double_layers.*.mlpX.c_fc2"),
    ("joint_transformer_blocks.*.ff.out_projection", "double_layers.*.mlpX.c_proj"),
    ("joint_transformer_blocks.*.ff_context.linear_1", "double_layers.*.mlpC.c_fc1"),
    ("joint_transformer_blocks.*.ff_context.linear_2", "double_layers.*.mlpC.c_fc2"),
    ("joint_transformer_blocks.*.ff_context.out_projection", "double_layers.*.mlpC.c_proj"),
    ("joint_transformer_blocks.*.norm1.linear", "double_layers.*.modX.1"),
    ("joint_transformer_blocks.*.norm1_context.linear", "double_layers.*.modC.1"),
    ("single_transformer_blocks.*.attn.to_q", "single_layers.*.attn.w1q"),
    ("single_transformer_blocks.*.attn.to_k", "single_layers.*.attn.w1k"),
    ("single_transformer_blocks.*.attn.to_v", "single_layers.*.attn.w1v"),
    ("single_transformer_blocks.*.attn.to_out.0", "single_layers.*.attn.w1o"),
    ("single_transformer_blocks.*.ff.linear_1", "single_layers.*.mlp.c_fc1"),
    ("single_transformer_blocks.*.ff.linear_2", "single_layers.*.mlp.c_fc2"),
    ("single_transformer_blocks.*.ff.out_projection", "single_layers.*.mlp.c_proj"),
    ("single_transformer_blocks.*.norm1.linear", "single_layers.*.modCX.1"),
    ("norm_out.linear", "modF.1"),
    ("proj_out", "final_linear"),
)
_FILE = denoiser_layout(
    "auraflow-transformer",
    "the transformer of AuraFlow",
    "AuraFlowTransformer2DModel",
    marks=(
        ("double_layers.0.attn.w1q.weight", "positional_encoding"),
        ("joint_transformer_blocks.0.attn.add_q_proj.weight", "pos_embed.pos_embed"),
    ),
    names=OriginalNames(_LAYERS, swaps_output=True),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 1.73},
)


class AuraFlow(Family):
    """A transformer guided by UMT5, which reads no more of a prompt than its tokens: padding is
    zeros."""

    def trained_size(self, config: Config) -> tuple[int, int]:
        return _SIDE, _SIDE

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens, masked=True)
        return encoded({"embeddings": states * tokens["attention_mask"][..., None]})

    def position_limits(self, config: Config) -> PositionLimits:
        # diffusers would take wrong rows of the table for larger latents.
        return square_limits(_PATCH * isqrt(int(config["pos_embed_max_size"])))

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            x,
            encoder_hidden_states=batch["embeddings"],
            timestep=(moment.timestep / 1000).expand(len(x)).to(x.dtype),
            return_dict=False,
        )[0]
        return output


AURAFLOW = AuraFlow(
    "auraflow",
    "AuraFlow",
    latent=SDXL,
    pipelines=("AuraFlowPipeline",),
    denoisers=(Part("transformer", ("AuraFlowTransformer2DModel",), files=(_FILE,)),),
    encoders=(Part("text_encoder", ("UMT5EncoderModel",)),),
    tokenizers=(Part("tokenizer", ("LlamaTokenizer", "T5Tokenizer")),),
    noise="flow",
    multiple=16,
    held=TokenMemory(16, 256),
    block_stacks=("joint_transformer_blocks", "single_transformer_blocks"),
    block_outputs={
        "AuraFlowJointTransformerBlock": (1, 0),
        "AuraFlowSingleTransformerBlock": (0, None),
    },
    speedups=ATTENTION_CACHES | FUSED,
    lora_signs=(
        LoraSign(r"^joint_transformer_blocks_|^(double|single)_layers_", "AuraFlow"),
        DOUBLE_STREAM_SIGN,
    ),
    resolutions={"auraflow": Resolutions(_SIDE * _SIDE, 16)},
)
