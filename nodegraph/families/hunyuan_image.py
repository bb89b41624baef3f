"""HunyuanImage 2.1. Imports no torch.

Source: https://github.com/Tencent-Hunyuan/HunyuanImage-2.1

Source of what no tensor shows: https://github.com/Tencent-Hunyuan/HunyuanImage-2.1,
``hunyuanimage_pipeline.py`` and its configurations, and diffusers'
``convert_hunyuan_image_to_diffusers.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    BLOCK_CACHES,
    LITE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.dc_vae import HUNYUAN_IMAGE as HUNYUAN_IMAGE_LATENTS
from nodegraph.families.layer_names import DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.language import BYT5, QWEN25, QWEN25_GGUF, QWEN25_VL
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_GUIDER: Mapping[str, Any] = {
    "_class_name": "AdaptiveProjectedMixGuidance",
    "guidance_scale": 3.5,
    "adaptive_projected_guidance_scale": 10.0,
    "adaptive_projected_guidance_momentum": -0.5,
    "adaptive_projected_guidance_rescale": 10.0,
    "eta": 0.0,
}


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels, *patch = shapes["x_embedder.proj.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    cells = patch[0] * patch[1]
    embedders = "time_guidance_embed"
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // cells,
        "num_attention_heads": width // head,
        "attention_head_dim": head,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "num_refiner_layers": count_of(
            shapes, r"context_embedder\.token_refiner\.refiner_blocks\.(\d+)\."
        ),
        "mlp_ratio": shapes["transformer_blocks.0.ff.net.2.weight"][1] / width,
        "patch_size": tuple(patch),
        "qk_norm": "rms_norm",
        "guidance_embeds": f"{embedders}.guidance_embedder.linear_1.weight" in shapes,
        "text_embed_dim": shapes["context_embedder.proj_in.weight"][1],
        "text_embed_2_dim": shapes["context_embedder_2.linear_1.weight"][1],
        "rope_theta": 256.0,
        "rope_axes_dim": (head // 2, head // 2),
        "use_meanflow": f"{embedders}.timestep_embedder_r.linear_1.weight" in shapes,
    }


def _scheduler(config: Config) -> Config:
    return {**EULER_FLOW, "shift": 4.0 if config["guidance_embeds"] else 5.0}


def _settings(config: Config) -> Config:
    """How it is led: in another way from the sixth step on, or later where letters are drawn."""
    if config["guidance_embeds"]:
        return {}
    starts = {"guider": 5, "ocr_guider": 38}
    return {
        name: {**_GUIDER, "adaptive_projected_guidance_start_step": step}
        for name, step in starts.items()
    }


_REFINER, _REFINED = (
    "context_embedder.token_refiner.refiner_blocks.*",
    "txt_in.individual_token_refiner.blocks.*",
)

REFINER_LAYERS: Table = (
    ("context_embedder.proj_in", "txt_in.input_embedder"),
    (
        "context_embedder.time_text_embed.timestep_embedder.linear_1",
        "txt_in.t_embedder.mlp.0",
    ),
    (
        "context_embedder.time_text_embed.timestep_embedder.linear_2",
        "txt_in.t_embedder.mlp.2",
    ),
    (
        "context_embedder.time_text_embed.text_embedder.linear_1",
        "txt_in.c_embedder.linear_1",
    ),
    (
        "context_embedder.time_text_embed.text_embedder.linear_2",
        "txt_in.c_embedder.linear_2",
    ),
    (f"{_REFINER}.attn.{{to_q,to_k,to_v}}", f"{_REFINED}.self_attn_qkv"),
    (f"{_REFINER}.attn.to_out.0", f"{_REFINED}.self_attn_proj"),
    (f"{_REFINER}.norm1", f"{_REFINED}.norm1"),
    (f"{_REFINER}.norm2", f"{_REFINED}.norm2"),
    (f"{_REFINER}.ff.net.0.proj", f"{_REFINED}.mlp.fc1"),
    (f"{_REFINER}.ff.net.2", f"{_REFINED}.mlp.fc2"),
    (f"{_REFINER}.norm_out.linear", f"{_REFINED}.adaLN_modulation.1"),
)
"""Of what refines a prompt, as HunyuanVideo has it, too."""

_LAYERS: Table = (
    ("transformer_blocks.*.attn.{to_q,to_k,to_v}", "double_blocks.*.img_attn_qkv"),
    (
        "transformer_blocks.*.attn.{add_q_proj,add_k_proj,add_v_proj}",
        "double_blocks.*.txt_attn_qkv",
    ),
    ("transformer_blocks.*.attn.to_q", "double_blocks.*.img_attn_q"),
    ("transformer_blocks.*.attn.to_k", "double_blocks.*.img_attn_k"),
    ("transformer_blocks.*.attn.to_v", "double_blocks.*.img_attn_v"),
    ("transformer_blocks.*.attn.add_q_proj", "double_blocks.*.txt_attn_q"),
    ("transformer_blocks.*.attn.add_k_proj", "double_blocks.*.txt_attn_k"),
    ("transformer_blocks.*.attn.add_v_proj", "double_blocks.*.txt_attn_v"),
    ("transformer_blocks.*.attn.to_out.0", "double_blocks.*.img_attn_proj"),
    ("transformer_blocks.*.attn.to_add_out", "double_blocks.*.txt_attn_proj"),
    ("transformer_blocks.*.norm1.linear", "double_blocks.*.img_mod.linear"),
    ("transformer_blocks.*.norm1_context.linear", "double_blocks.*.txt_mod.linear"),
    ("transformer_blocks.*.ff.net.0.proj", "double_blocks.*.img_mlp.fc1"),
    ("transformer_blocks.*.ff.net.2", "double_blocks.*.img_mlp.fc2"),
    ("transformer_blocks.*.ff_context.net.0.proj", "double_blocks.*.txt_mlp.fc1"),
    ("transformer_blocks.*.ff_context.net.2", "double_blocks.*.txt_mlp.fc2"),
    (
        "single_transformer_blocks.*.{attn.to_q,attn.to_k,attn.to_v,proj_mlp}",
        "single_blocks.*.linear1",
    ),
    ("single_transformer_blocks.*.attn.to_q", "single_blocks.*.linear1_q"),
    ("single_transformer_blocks.*.attn.to_k", "single_blocks.*.linear1_k"),
    ("single_transformer_blocks.*.attn.to_v", "single_blocks.*.linear1_v"),
    ("single_transformer_blocks.*.proj_mlp", "single_blocks.*.linear1_mlp"),
    ("single_transformer_blocks.*.proj_out", "single_blocks.*.linear2"),
    ("single_transformer_blocks.*.proj_out", "single_blocks.*.linear2.fc"),
    ("single_transformer_blocks.*.norm.linear", "single_blocks.*.modulation.linear"),
    ("transformer_blocks.*.attn.norm_q", "double_blocks.*.img_attn_q_norm"),
    ("transformer_blocks.*.attn.norm_k", "double_blocks.*.img_attn_k_norm"),
    ("transformer_blocks.*.attn.norm_added_q", "double_blocks.*.txt_attn_q_norm"),
    ("transformer_blocks.*.attn.norm_added_k", "double_blocks.*.txt_attn_k_norm"),
    ("single_transformer_blocks.*.attn.norm_q", "single_blocks.*.q_norm"),
    ("single_transformer_blocks.*.attn.norm_k", "single_blocks.*.k_norm"),
    *REFINER_LAYERS,
    ("context_embedder_2.norm", "byt5_in.layernorm"),
    ("context_embedder_2.linear_1", "byt5_in.fc1"),
    ("context_embedder_2.linear_2", "byt5_in.fc2"),
    ("context_embedder_2.linear_3", "byt5_in.fc3"),
    ("time_guidance_embed.timestep_embedder.linear_1", "time_in.mlp.0"),
    ("time_guidance_embed.timestep_embedder.linear_2", "time_in.mlp.2"),
    ("time_guidance_embed.timestep_embedder_r.linear_1", "time_r_in.mlp.0"),
    ("time_guidance_embed.timestep_embedder_r.linear_2", "time_r_in.mlp.2"),
    ("time_guidance_embed.guidance_embedder.linear_1", "guidance_in.mlp.0"),
    ("time_guidance_embed.guidance_embedder.linear_2", "guidance_in.mlp.2"),
    ("x_embedder.proj", "img_in.proj"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)


HUNYUAN_IMAGE_FILE = denoiser_layout(
    "hunyuan-image-transformer",
    "the transformer of HunyuanImage 2.1",
    "HunyuanImageTransformer2DModel",
    marks=(
        (
            "txt_in.individual_token_refiner.blocks.0.norm1.weight",
            "byt5_in.fc1.weight",
            "img_in.proj.weight",
        ),
        (
            "context_embedder.token_refiner.refiner_blocks.0.norm1.weight",
            "context_embedder_2.linear_1.weight",
            "x_embedder.proj.weight",
        ),
    ),
    names=OriginalNames(_LAYERS, swaps_output=True),
    config=_config,
    scheduler=_scheduler,
    settings=_settings,
    # Those of HunyuanVideo have patches of several frames.
    fits=lambda shapes: len(shapes["x_embedder.proj.weight"]) == 4,
    without=("vision_in.", "vector_in."),
)


GUIDANCE = 3.25
"""Scale that guidance-distilled models get where the conditioning says none."""

_CHAT = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, "
    "quantity, text, spatial relationships of the objects and background:<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>"
)
_BEFORE = 34
"""Tokens of what stands before a prompt, in Qwen's vocabulary."""
TEXT_TOKENS = 1000
"""Of a prompt, at most."""
_GLYPHS = 128
_LAYER = -3

_QUOTED = (r"'(.*?)'", r'"(.*?)"', "‘(.*?)’", "“(.*?)”")
"""Between such marks stands what is to be written in the image."""


class HunyuanImage(Family):
    """A transformer led by Qwen 2.5, and by the letters of what is quoted in a prompt.

    Guided by a guider of the model's own, which may be another where letters are to be drawn.
    Models of mean flow also get the level that the step leads to.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["text_embed_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        quoted = [written for marks in _QUOTED for written in re.findall(marks, text)]
        line = "".join(f'Text "{written}". ' for written in quoted)
        states = chat_states(model, _CHAT.format(text), _BEFORE, warn)
        return encoded(states | glyph_states(model, line, _GLYPHS, warn))

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        if model.config["guidance_embeds"]:
            fitted.setdefault("guidance", torch.tensor([GUIDANCE]))
        else:
            fitted.pop("guidance", None)
        return fitted

    def guides_itself(self, config: Config, settings: Config) -> bool:
        return bool(config.get("guidance_embeds"))

    def guider_config(
        self, model: Denoiser, prompts: Sequence[Mapping[str, Tensor]]
    ) -> Config | None:
        writes = any(bool(prompt["glyphs"].any()) for prompt in prompts)
        config = model.settings.get("ocr_guider") if writes else None
        return config or model.settings.get("guider") or None

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        guidance = batch.get("guidance")
        following = moment.following.expand(len(x)).to(x.dtype)
        output: Tensor = model.module(
            hidden_states=x,
            timestep=moment.timestep.expand(len(x)).to(x.dtype),
            timestep_r=following if model.config["use_meanflow"] else None,
            guidance=None if guidance is None else guidance * 1000.0,
            encoder_hidden_states=batch["embeddings"],
            encoder_attention_mask=batch["mask"],
            encoder_hidden_states_2=batch["glyphs"],
            encoder_attention_mask_2=batch["glyph_mask"],
            return_dict=False,
        )[0]
        return output


def chat_states(
    model: TextModel, chat: str, before: int, warn: Warn | None, *, tokens: int = TEXT_TOKENS
) -> dict[str, Tensor]:
    """What a language model makes of a prompt: ``embeddings`` and the ``mask`` of its tokens.

    Args:
        chat: The prompt in its template.
        before: Tokens of the template before the prompt, which are cut off.
        tokens: Tokens of the prompt, at most. Shorter ones are padded.
    """
    from nodegraph.families.text_encoders import layer_states, tokenize_padded

    padded = tokenize_padded(model.tokenizers["tokenizer"], chat, tokens + before, warn)
    (states,) = layer_states(model.modules["text_encoder"], padded, [_LAYER])
    return {"embeddings": states[:, before:], "mask": padded["attention_mask"][:, before:]}


def glyph_states(model: TextModel, line: str, length: int, warn: Warn | None) -> dict[str, Tensor]:
    """What ByT5 makes of quoted texts, letter by letter: ``glyphs`` and their ``glyph_mask``.

    Args:
        line: All quoted texts in one line. Zeros stand for an empty one.
        length: Bytes of the line at most.
    """
    from nodegraph.families.text_encoders import t5_states, tokenize_padded

    encoder = model.modules["text_encoder_2"]
    if not line:
        glyphs = torch.zeros(1, length, encoder.config.d_model)
        return {"glyphs": glyphs, "glyph_mask": torch.zeros(1, length, dtype=torch.int64)}
    tokens = tokenize_padded(model.tokenizers["tokenizer_2"], line, length, warn)
    glyphs = t5_states(encoder, tokens, masked=True)
    return {"glyphs": glyphs, "glyph_mask": tokens["attention_mask"]}


HUNYUAN_IMAGE = HunyuanImage(
    "hunyuan-image",
    "HunyuanImage 2.1",
    latent=HUNYUAN_IMAGE_LATENTS,
    pipelines=("HunyuanImagePipeline",),
    denoisers=(
        Part("transformer", ("HunyuanImageTransformer2DModel",), files=(HUNYUAN_IMAGE_FILE,)),
    ),
    encoders=(
        Part(
            "text_encoder",
            ("Qwen2_5_VLForConditionalGeneration",),
            files=(QWEN25_VL, QWEN25, QWEN25_GGUF),
        ),
        Part("text_encoder_2", ("T5EncoderModel",), files=(BYT5,)),
    ),
    tokenizers=(
        Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen2.5-vl"),
        Part("tokenizer_2", ("ByT5Tokenizer",), vocabulary="byt5"),
    ),
    noise="flow",
    spread="open",
    extra_configs=("guider/guider_config.json", "ocr_guider/guider_config.json"),
    multiple=32,
    held=TokenMemory(16, 1500, patch=1),
    size=2048,
    joint=False,
    speedups=ATTENTION_CACHES | BLOCK_CACHES | LITE,
    resolutions={"hunyuan-image": Resolutions(2048 * 2048, 32)},
    lora_signs=(
        DOUBLE_STREAM_SIGN,
        JOINT_ATTENTION_SIGN,
    ),
    comfyui_type="hunyuan_image",
)
