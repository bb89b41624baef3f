"""Sana. Imports no torch.

Source: Xie et al. 2024, arXiv:2410.10629.

Source of what no tensor shows: https://github.com/NVlabs/Sana, ``configs``, and diffusers'
``convert_sana_to_diffusers.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    LITE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.dc_vae import SANA as SANA_LATENTS
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN, DIT, DIT_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.language import GEMMA2
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_HEAD = 32
_ACROSS = {2240: 112, 1152: 72}
"""Width of heads that look at the prompt, by the model's."""
_SAMPLE = 32
"""Cells per side of the latents that most were trained on."""
_PLACED = 64
"""The fewest of models that take the position of a cell."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels, patch, _ = shapes["patch_embed.proj.weight"]
    inner = shapes["transformer_blocks.0.ff.conv_point.weight"][1]
    across = _ACROSS.get(width, _HEAD)
    sample = _sample_size(shapes, patch)
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // patch**2,
        "num_attention_heads": width // _HEAD,
        "attention_head_dim": _HEAD,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_cross_attention_heads": width // across,
        "cross_attention_head_dim": across,
        "cross_attention_dim": width,
        "caption_channels": shapes["caption_projection.linear_1.weight"][1],
        "mlp_ratio": inner / width,
        "attention_bias": "transformer_blocks.0.attn1.to_q.bias" in shapes,
        "sample_size": sample,
        "patch_size": patch,
        "norm_elementwise_affine": False,
        "norm_eps": 1e-6,
        "interpolation_scale": sample / _PLACED if sample >= _PLACED else None,
        "qk_norm": (
            "rms_norm_across_heads"
            if "transformer_blocks.0.attn1.norm_q.weight" in shapes
            else None
        ),
        "timestep_scale": 1.0,
    }


def _sample_size(shapes: Shapes, patch: int) -> int:
    """Cells per side, by the table of places: not all files bring it, nor whole."""
    places = shapes.get("pos_embed", ())
    return math.isqrt(places[1]) * patch if len(places) == 3 else _SAMPLE


def _scheduler(config: Config) -> Config:
    return {
        "_class_name": "DPMSolverMultistepScheduler",
        "num_train_timesteps": 1000,
        "prediction_type": "flow_prediction",
        "use_flow_sigmas": True,
        "flow_shift": 6.0 if config["sample_size"] > _PLACED else 3.0,
    }


LAYERS: Table = (
    *DIT,
    # Sana 1.5 has them.
    ("transformer_blocks.*.attn1.norm_q", "blocks.*.attn.q_norm"),
    ("transformer_blocks.*.attn1.norm_k", "blocks.*.attn.k_norm"),
    ("transformer_blocks.*.attn2.norm_q", "blocks.*.cross_attn.q_norm"),
    ("transformer_blocks.*.attn2.norm_k", "blocks.*.cross_attn.k_norm"),
    ("transformer_blocks.*.ff.conv_inverted", "blocks.*.mlp.inverted_conv.conv"),
    ("transformer_blocks.*.ff.conv_depth", "blocks.*.mlp.depth_conv.conv"),
    ("transformer_blocks.*.ff.conv_point", "blocks.*.mlp.point_conv.conv"),
    ("patch_embed.proj", "x_embedder.proj"),
    ("time_embed.emb.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_embed.emb.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("time_embed.linear", "t_block.1"),
    ("caption_norm", "attention_y_norm"),
)


SANA_FILE = denoiser_layout(
    "sana-transformer",
    "the transformer of Sana",
    "SanaTransformer2DModel",
    marks=(
        ("x_embedder.proj.weight", "blocks.0.mlp.inverted_conv.conv.weight"),
        ("patch_embed.proj.weight", "transformer_blocks.0.ff.conv_inverted.weight"),
    ),
    names=OriginalNames(LAYERS),
    config=_config,
    scheduler=_scheduler,
    fits=lambda shapes: len(shapes["patch_embed.proj.weight"]) == 4,
    # Sana Sprint, which takes the guidance as input.
    without=("cfg_embedder.", "time_embed.guidance_embedder."),
    unused=("pos_embed", "y_embedder.y_embedding", "logvar_linear."),
)


_TOKENS = 300

INSTRUCTION = """\
Given a user prompt, generate an 'Enhanced prompt' that provides detailed visual descriptions \
suitable for image generation. Evaluate the level of detail in the user prompt:
- If the prompt is simple, focus on adding specifics about colors, shapes, sizes, textures, and \
spatial relationships to create vivid and concrete scenes.
- If the prompt is already detailed, refine and enhance the existing details slightly without \
overcomplicating.
Here are examples of how to transform or refine prompts:
- User Prompt: A cat sleeping -> Enhanced: A small, fluffy white cat curled up in a round shape, \
sleeping peacefully on a warm sunny windowsill, surrounded by pots of blooming red flowers.
- User Prompt: A busy city street -> Enhanced: A bustling city street scene at dusk, featuring \
glowing street lamps, a diverse crowd of people in colorful clothing, and a double-decker bus \
passing by towering glass skyscrapers.
Please generate only the enhanced description for the prompt below and avoid including any \
additional commentary or evaluations:
User Prompt: """
"""What the encoder reads before a prompt; the model was trained with it, so each letter counts.

Source: ``chi_prompt`` in the configurations of https://github.com/NVlabs/Sana.
"""


@dataclass(frozen=True)
class Sana(Family):
    """A transformer that is conditioned on Gemma 2.

    Prompts to lead to are read after the instruction, those to lead away from alone; as nobody
    knows what a prompt is for when it is encoded, both are done.

    Attributes:
        instruction: What the encoder reads before a prompt.
    """

    instruction: str = INSTRUCTION

    def context_width(self, config: Config) -> int | None:
        return int(config["caption_channels"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        tokenizer = model.tokenizers["tokenizer"]
        prompt = text.lower().strip()
        plain, plain_mask = _states(model, prompt, _TOKENS, warn)
        # Only the first and the last places are looked at, of so many that just these are prompt.
        room = len(tokenizer.encode(self.instruction)) + _TOKENS - 2
        states, mask = _states(model, self.instruction + prompt, room)
        kept = [0, *range(room - _TOKENS + 1, room)]
        tensors = {"embeddings": states[:, kept], "mask": mask[:, kept]}
        return encoded({**tensors, "plain_embeddings": plain, "plain_mask": plain_mask})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        prefix = "plain_" if request.side == "negative" else ""
        tensors = entry.tensors
        taken = {name: item for name, item in tensors.items() if not name.startswith("plain_")}
        taken |= {name: tensors[prefix + name] for name in ("embeddings", "mask")}
        return super().fit(model, replace(entry, tensors=taken), request)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            x.to(model.dtype),
            encoder_hidden_states=batch["embeddings"],
            encoder_attention_mask=batch["mask"],
            timestep=moment.timestep.expand(len(x)) * model.config["timestep_scale"],
            return_dict=False,
        )[0]
        # some give its variance beside the velocity
        return torch.split(output.float(), x.shape[1], dim=1)[0]


def _states(
    model: TextModel, text: str, length: int, warn: Warn | None = None
) -> tuple[Tensor, Tensor]:
    from nodegraph.families.text_encoders import hidden_states, tokenize_padded

    tokens = tokenize_padded(
        model.tokenizers["tokenizer"], text, length, warn, padding_side="right"
    )
    return hidden_states(model.modules["text_encoder"], tokens, layer=-1), tokens["attention_mask"]


ENCODER = Part("text_encoder", ("Gemma2Model",), files=(GEMMA2,))
TOKENIZER = Part("tokenizer", ("GemmaTokenizer",), vocabulary="gemma2")

SANA = Sana(
    "sana",
    "Sana",
    latent=SANA_LATENTS,
    pipelines=("SanaPipeline",),
    denoisers=(Part("transformer", ("SanaTransformer2DModel",), files=(SANA_FILE,)),),
    encoders=(ENCODER,),
    tokenizers=(TOKENIZER,),
    noise="flow",
    multiple=32,
    held=TokenMemory(13, 48, patch=1),
    wide=True,
    speedups=ATTENTION_CACHES | LITE,
    resolutions={"sana": Resolutions(1024 * 1024, 32)},
    perturbs_attention=False,
    block_outputs={"SanaTransformerBlock": (0, None)},
    lora_signs=(
        DIT_SIGN,
        CROSS_ATTENTION_SIGN,
    ),
    comfyui_type="lumina2",
)
