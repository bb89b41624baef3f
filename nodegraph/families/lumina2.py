"""Lumina-Image 2.0. Imports no torch.

Source: Qin et al. 2025, arXiv:2503.21758.

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/Alpha-VLLM/Lumina-Image-2.0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.latent_formats import FLUX as FLUX_LATENTS
from nodegraph.families.layer_names import REFINED_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest, norm_preserving_guidance
from nodegraph.families.position_limits import PositionLimits
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.language import GEMMA2
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2


def _config(shapes: Shapes) -> dict[str, Any]:
    width, patch = shapes["x_embedder.weight"]
    (head,) = shapes["layers.0.attn.norm_q.weight"]
    return {
        "sample_size": 128,
        "patch_size": _PATCH,
        "in_channels": patch // _PATCH**2,
        "out_channels": shapes["norm_out.linear_2.weight"][0] // _PATCH**2,
        "hidden_size": width,
        "num_layers": count_of(shapes, r"layers\.(\d+)\."),
        "num_refiner_layers": count_of(shapes, r"noise_refiner\.(\d+)\."),
        "num_attention_heads": width // head,
        "num_kv_heads": shapes["layers.0.attn.to_k.weight"][0] // head,
        "multiple_of": 256,
        "ffn_dim_multiplier": None,
        "norm_eps": 1e-5,
        "scaling_factor": 1.0,
        "axes_dim_rope": (head // 3,) * 3,
        "axes_lens": (300, 512, 512),
        "cap_feat_dim": shapes["time_caption_embed.caption_embedder.1.weight"][1],
    }


_LAYERS: Table = (
    ("@.*.attn.{to_q,to_k,to_v}", "@.*.attention.qkv"),
    ("@.*.attn.to_out.0", "@.*.attention.out"),
    ("@.*.attn.norm_q", "@.*.attention.q_norm"),
    ("@.*.attn.norm_k", "@.*.attention.k_norm"),
    ("@.*.feed_forward.linear_1", "@.*.feed_forward.w1"),
    ("@.*.feed_forward.linear_2", "@.*.feed_forward.w2"),
    ("@.*.feed_forward.linear_3", "@.*.feed_forward.w3"),
    ("@.*.norm1.linear", "@.*.adaLN_modulation.1"),
    ("layers.*.norm1.norm", "layers.*.attention_norm1"),
    ("noise_refiner.*.norm1.norm", "noise_refiner.*.attention_norm1"),
    # It takes no time, so its norms are plain.
    ("context_refiner.*.norm1", "context_refiner.*.attention_norm1"),
    ("@.*.norm2", "@.*.attention_norm2"),
    ("time_caption_embed.caption_embedder.*", "cap_embedder.*"),
    ("time_caption_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_caption_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("norm_out.linear_1", "final_layer.adaLN_modulation.1"),
    ("norm_out.linear_2", "final_layer.linear"),
)


LUMINA2_FILE = denoiser_layout(
    "lumina2-transformer",
    "the transformer of Lumina 2",
    "Lumina2Transformer2DModel",
    marks=(
        ("cap_embedder.1.weight", "layers.0.adaLN_modulation.1.weight"),
        ("time_caption_embed.caption_embedder.1.weight", "layers.0.norm1.linear.weight"),
    ),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 6.0},
    # NewBie reads a prompt with CLIP, too.
    without=("clip_text_pooled_proj.",),
    unused=("norm_final.",),
)


_TOKENS = 256

INSTRUCTION = (
    "You are an assistant designed to generate superior images with the superior degree of "
    "image-text alignment based on textual prompts or user prompts. <Prompt Start> "
)
"""What the encoder reads before a prompt; the model was trained with it, so each letter counts.

Source: https://github.com/Alpha-VLLM/Lumina-Image-2.0, ``system_prompt``.
"""


class Lumina2(Family):
    """A transformer led by Gemma 2, which counts time from noise to image.

    Prompts to lead to are read after `INSTRUCTION`, those to lead away from alone; as nobody knows
    what a prompt is for when it is encoded, both are done.
    """

    def position_limits(self, config: Config) -> PositionLimits:
        _, rows, columns = config["axes_lens"]
        return PositionLimits(_PATCH * int(rows), _PATCH * int(columns))

    def context_width(self, config: Config) -> int | None:
        return int(config["cap_feat_dim"])

    def tokens(self, shape: Sequence[int]) -> int:
        """The channels, of all things: so does the stock pipeline, and hence no size shifts more
        than another."""
        return int(shape[1])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        states, mask = _states(model, INSTRUCTION + text, warn)
        plain, plain_seen = _states(model, text)
        return encoded(
            {
                "embeddings": states,
                "mask": mask,
                "plain_embeddings": plain,
                "plain_mask": plain_seen,
            }
        )

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        prefix = "plain_" if request.side == "negative" else ""
        taken = {name: entry.tensors[prefix + name] for name in ("embeddings", "mask")}
        return super().fit(model, replace(entry, tensors=taken), request)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            hidden_states=x,
            timestep=(1 - moment.timestep / moment.training_timesteps).expand(len(x)),
            encoder_hidden_states=batch["embeddings"],
            encoder_attention_mask=batch["mask"],
            return_dict=False,
        )[0]
        return -output

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Each row of cells stays as long as the positive prompt alone has it."""
        return norm_preserving_guidance(towards, away, cfg)


def _states(model: TextModel, text: str, warn: Warn | None = None) -> tuple[Tensor, Tensor]:
    from nodegraph.families.text_encoders import hidden_states, tokenize_padded

    tokens = tokenize_padded(
        model.tokenizers["tokenizer"], text, _TOKENS, warn, padding_side="right"
    )
    return hidden_states(model.modules["text_encoder"], tokens, layer=-2), tokens["attention_mask"]


LUMINA2 = Lumina2(
    "lumina2",
    "Lumina 2",
    latent=FLUX_LATENTS,
    pipelines=("Lumina2Pipeline", "Lumina2Text2ImgPipeline"),
    denoisers=(Part("transformer", ("Lumina2Transformer2DModel",), files=(LUMINA2_FILE,)),),
    encoders=(Part("text_encoder", ("Gemma2Model",), files=(GEMMA2,)),),
    tokenizers=(Part("tokenizer", ("GemmaTokenizer",), vocabulary="gemma2"),),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=16,
    held=TokenMemory(18, 256),
    joint=False,
    resolutions={"lumina2": Resolutions(1024 * 1024, 16)},
    block_outputs={"Lumina2TransformerBlock": (0, None)},
    lora_signs=(
        LoraSign(r"^(layers|noise_refiner|context_refiner)_\d+_attn_", "Lumina 2"),
        REFINED_SIGN,
    ),
    comfyui_type="lumina2",
)
