"""HunyuanVideo 1.5: videos from prompts, first images or videos. Imports no torch.

Source: https://github.com/Tencent-Hunyuan/HunyuanVideo-1.5. What no tensor shows is from diffusers'
``HunyuanVideo15Pipeline`` and ``HunyuanVideo15ImageToVideoPipeline``, and from its
``scripts/convert_hunyuan_video1_5_to_diffusers.py``.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
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
from nodegraph.families.hunyuan_image import (
    REFINER_LAYERS,
    TEXT_TOKENS,
    chat_states,
    glyph_states,
)
from nodegraph.families.hunyuan_video_15_vae import HUNYUAN_VIDEO_15_LATENTS
from nodegraph.families.image_conditioning import (
    CONDITION_CLIP,
    FILM_AND_MASK,
    IMAGE_EMBEDS,
    check_video_size,
    missing_image_error,
    unused_image_error,
)
from nodegraph.families.layer_names import DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.clip import SIGLIP
from nodegraph.weights.single_files.language import BYT5, QWEN25, QWEN25_GGUF, QWEN25_VL
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_BLOCK, _ORIGINAL = "transformer_blocks.*", "double_blocks.*"
_LAYERS: Table = (
    (f"{_BLOCK}.attn.to_q", f"{_ORIGINAL}.img_attn_q"),
    (f"{_BLOCK}.attn.to_k", f"{_ORIGINAL}.img_attn_k"),
    (f"{_BLOCK}.attn.to_v", f"{_ORIGINAL}.img_attn_v"),
    (f"{_BLOCK}.attn.add_q_proj", f"{_ORIGINAL}.txt_attn_q"),
    (f"{_BLOCK}.attn.add_k_proj", f"{_ORIGINAL}.txt_attn_k"),
    (f"{_BLOCK}.attn.add_v_proj", f"{_ORIGINAL}.txt_attn_v"),
    (f"{_BLOCK}.attn.to_out.0", f"{_ORIGINAL}.img_attn_proj"),
    (f"{_BLOCK}.attn.to_add_out", f"{_ORIGINAL}.txt_attn_proj"),
    (f"{_BLOCK}.attn.norm_q", f"{_ORIGINAL}.img_attn_q_norm"),
    (f"{_BLOCK}.attn.norm_k", f"{_ORIGINAL}.img_attn_k_norm"),
    (f"{_BLOCK}.attn.norm_added_q", f"{_ORIGINAL}.txt_attn_q_norm"),
    (f"{_BLOCK}.attn.norm_added_k", f"{_ORIGINAL}.txt_attn_k_norm"),
    (f"{_BLOCK}.norm1.linear", f"{_ORIGINAL}.img_mod.linear"),
    (f"{_BLOCK}.norm1_context.linear", f"{_ORIGINAL}.txt_mod.linear"),
    (f"{_BLOCK}.ff.net.0.proj", f"{_ORIGINAL}.img_mlp.fc1"),
    (f"{_BLOCK}.ff.net.2", f"{_ORIGINAL}.img_mlp.fc2"),
    (f"{_BLOCK}.ff_context.net.0.proj", f"{_ORIGINAL}.txt_mlp.fc1"),
    (f"{_BLOCK}.ff_context.net.2", f"{_ORIGINAL}.txt_mlp.fc2"),
    *REFINER_LAYERS,
    ("context_embedder_2.norm", "byt5_in.layernorm"),
    ("context_embedder_2.linear_1", "byt5_in.fc1"),
    ("context_embedder_2.linear_2", "byt5_in.fc2"),
    ("context_embedder_2.linear_3", "byt5_in.fc3"),
    ("image_embedder.norm_in", "vision_in.proj.0"),
    ("image_embedder.linear_1", "vision_in.proj.1"),
    ("image_embedder.linear_2", "vision_in.proj.3"),
    ("image_embedder.norm_out", "vision_in.proj.4"),
    ("cond_type_embed", "cond_type_embedding"),
    ("time_embed.timestep_embedder.linear_1", "time_in.mlp.0"),
    ("time_embed.timestep_embedder.linear_2", "time_in.mlp.2"),
    ("time_embed.timestep_embedder_r.linear_1", "time_r_in.mlp.0"),
    ("time_embed.timestep_embedder_r.linear_2", "time_r_in.mlp.2"),
    ("x_embedder.proj", "img_in.proj"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)
_JOINED: Table = (
    (f"{_BLOCK}.attn.{{to_q,to_k,to_v}}", f"{_ORIGINAL}.img_attn_qkv"),
    (f"{_BLOCK}.attn.{{add_q_proj,add_k_proj,add_v_proj}}", f"{_ORIGINAL}.txt_attn_qkv"),
)
"""Queries, keys and values in one tensor, as ComfyUI's network has them."""


_COMFYUI = (
    ("_attn_qkv", "_attn.qkv"),
    ("_attn_proj", "_attn.proj"),
    ("_attn_q_norm", "_attn.norm.query_norm"),
    ("_attn_k_norm", "_attn.norm.key_norm"),
    (".q_norm", ".norm.query_norm"),
    (".k_norm", ".norm.key_norm"),
    ("_mod.linear", "_mod.lin"),
    (".modulation.linear", ".modulation.lin"),
    ("mlp.fc1", "mlp.0"),
    ("mlp.fc2", "mlp.2"),
    ("_embedder.mlp.0", "_embedder.in_layer"),
    ("_embedder.mlp.2", "_embedder.out_layer"),
    ("c_embedder.linear_1", "c_embedder.in_layer"),
    ("c_embedder.linear_2", "c_embedder.out_layer"),
    ("_in.mlp.0", "_in.in_layer"),
    ("_in.mlp.2", "_in.out_layer"),
)
"""Parts of original names, and how ComfyUI calls them inside: ``comfy/supported_models.py``,
``HunyuanVideo.process_unet_state_dict``. HunyuanVideo 1.0 has the same."""


def comfyui_name(name: str) -> str:
    """Return the name of a layer in ComfyUI's network, by its original name."""
    for original, new in _COMFYUI:
        if original in name:
            return name.replace(original, new)
    return name


_ALL_LAYERS: Table = (
    *_LAYERS,
    *_JOINED,
    *(
        (here, comfyui_name(original))
        for here, original in (*_LAYERS, *_JOINED)
        if comfyui_name(original) != original
    ),
)


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels, frames, patch, _ = shapes["x_embedder.proj.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "in_channels": channels,
        "out_channels": _output_channels(shapes),
        "num_attention_heads": width // head,
        "attention_head_dim": head,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_refiner_layers": count_of(
            shapes, r"context_embedder\.token_refiner\.refiner_blocks\.(\d+)\."
        ),
        "mlp_ratio": shapes["transformer_blocks.0.ff.net.2.weight"][1] / width,
        "patch_size": patch,
        "patch_size_t": frames,
        "qk_norm": "rms_norm",
        "text_embed_dim": shapes["context_embedder.proj_in.weight"][1],
        "text_embed_2_dim": shapes["context_embedder_2.linear_1.weight"][1],
        "image_embed_dim": shapes["image_embedder.norm_in.weight"][0],
        "rope_theta": 256.0,
        "rope_axes_dim": (head // 8, head * 7 // 16, head * 7 // 16),
        # No tensor tells models for prompts from those for first images, and some are for both.
        "task_type": "",
        "use_meanflow": "time_embed.timestep_embedder_r.linear_1.weight" in shapes,
    }


def _output_channels(shapes: Shapes) -> int:
    return shapes["proj_out.weight"][0] // prod(shapes["x_embedder.proj.weight"][2:])


def _is_generator(shapes: Shapes) -> bool:
    """Whether it is no model of super resolution, which also gets the small video."""
    return shapes["x_embedder.proj.weight"][1] == 2 * _output_channels(shapes) + 1


HUNYUAN_VIDEO_15_FILE = denoiser_layout(
    "hunyuan-video-15-transformer",
    "the transformer of HunyuanVideo 1.5",
    "HunyuanVideo15Transformer3DModel",
    marks=(
        ("byt5_in.fc1.weight", "vision_in.proj.0.weight", "cond_type_embedding.weight"),
        (
            "context_embedder_2.linear_1.weight",
            "image_embedder.norm_in.weight",
            "cond_type_embed.weight",
        ),
    ),
    names=OriginalNames(_ALL_LAYERS, swaps_output=True, equal_rows=True),
    config=_config,
    # Published: 5 for 480 lines, 9 and 7 for 720 lines of prompts and of images, which no tensor
    # tells apart. ComfyUI samples all of them with 7 unless a node says another.
    scheduler={**EULER_FLOW, "shift": 7.0},
    fits=_is_generator,
)


_CHAT = (
    "<|im_start|>system\nYou are a helpful assistant. Describe the video by detailing the "
    "following aspects:"
    "         1. The main content and theme of the video."
    "         2. The color, shape, size, texture, quantity, text, and spatial relationships of the "
    "objects."
    "         3. Actions, events, behaviors temporal relationships, physical movement changes of "
    "the objects."
    "         4. background environment, light, style and atmosphere."
    "         5. camera angles, movements, and transitions used in the video.<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""The spaces are those that the model is asked with."""
_BEFORE = 108
"""Tokens of what stands before a prompt, in Qwen's vocabulary."""
_GLYPHS = 256
_PATCHES = 729
"""Tokens of an image in SigLIP; as many zeros stand for no image."""

_QUOTED = r"\"(.*?)\"|“(.*?)”"
"""Between such marks stands what is to be written in the video."""


class HunyuanVideo15(Family):
    """A transformer led by Qwen 2.5, the letters of what is quoted, and what SigLIP sees.

    Latents of a first image, or of a video to edit, lie beside the noise with a mask of them.
    Models of mean flow also get the level that the step leads to.
    """

    def channels(self, config: Config) -> int:
        return int(config["out_channels"])

    def trained_size(self, config: Config) -> tuple[int, int]:
        return (1280, 720) if int(config.get("target_size") or 0) > 640 else (848, 480)

    def context_width(self, config: Config) -> int | None:
        return int(config["text_embed_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        # Each quoted text once.
        quoted = dict.fromkeys(straight or curly for straight, curly in re.findall(_QUOTED, text))
        line = "".join(f'Text "{written}". ' for written in quoted)
        states = chat_states(model, _CHAT.format(text or " "), _BEFORE, warn)
        return encoded(states | glyph_states(model, line, _GLYPHS, warn))

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        first, task = fitted.pop(CONDITION_CLIP, None), model.config.get("task_type")
        if first is None and task == "i2v":
            raise missing_image_error(request)
        if first is not None and task == "t2v":
            raise unused_image_error(request)
        if first is None:
            fitted.pop(IMAGE_EMBEDS, None)
            return fitted
        _check_embeddings(model.config, fitted.get(IMAGE_EMBEDS), request)
        fitted[FILM_AND_MASK] = clip_and_mask(first, request)
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        condition, embeds = batch.get(FILM_AND_MASK), batch.get(IMAGE_EMBEDS)
        if condition is None:
            condition = x.new_zeros(len(x), x.shape[1] + 1, *x.shape[2:])
        if embeds is None:
            embeds = x.new_zeros(len(x), _PATCHES, model.config["image_embed_dim"])
        following = moment.following.expand(len(x)).to(x.dtype)
        output: Tensor = model.module(
            hidden_states=torch.cat([x, condition.to(x.dtype)], 1),
            timestep=moment.timestep.expand(len(x)).to(x.dtype),
            timestep_r=following if model.config["use_meanflow"] else None,
            encoder_hidden_states=batch["embeddings"],
            encoder_attention_mask=batch["mask"],
            encoder_hidden_states_2=batch["glyphs"],
            encoder_attention_mask_2=batch["glyph_mask"],
            image_embeds=embeds,
            return_dict=False,
        )[0]
        return output


def clip_and_mask(first: Tensor, request: SamplingRequest) -> Tensor:
    """Latents of the first frames with zeros after them, and a channel that is 1 at those frames.

    Args:
        first: Shape (1, channels, frames, height, width), of as many frames as the video or fewer.
    """
    missing = request.shape[2] - first.shape[2]
    if missing < 0:
        raise InvalidValue(
            "the conditioning has more frames than the video",
            port=request.side,
            given=f"{first.shape[2]} latent frames",
            expected=f"at most {request.shape[2]}",
            hint="Sample the latent output of ImageToVideoConditioning.",
        )
    condition = torch.cat([first, torch.ones_like(first[:, :1])], 1)
    padded: Tensor = torch.nn.functional.pad(condition, (0, 0, 0, 0, 0, missing))
    return padded


def _check_embeddings(config: Config, embeds: Tensor | None, request: SamplingRequest) -> None:
    if embeds is not None and embeds.shape[-1] != config["image_embed_dim"]:
        raise InvalidValue(
            "the image embeddings do not fit the model",
            port=request.side,
            given=f"{embeds.shape[-1]} wide",
            expected=f"{config['image_embed_dim']} wide",
            hint="Use SigLIP's vision model (sigclip_vision_patch14_384) as the image encoder.",
        )


def _video_inputs(config: Config) -> frozenset[str]:
    """Return what a model takes of `VIDEO_MEDIA`."""
    return frozenset(() if config.get("task_type") == "t2v" else {"first image"})


HUNYUAN_VIDEO_15 = HunyuanVideo15(
    "hunyuan-video-15",
    "HunyuanVideo 1.5",
    latent=HUNYUAN_VIDEO_15_LATENTS,
    pipelines=("HunyuanVideo15Pipeline", "HunyuanVideo15ImageToVideoPipeline"),
    denoisers=(
        Part("transformer", ("HunyuanVideo15Transformer3DModel",), files=(HUNYUAN_VIDEO_15_FILE,)),
    ),
    encoders=(
        Part(
            "text_encoder",
            ("Qwen2_5_VLTextModel", "Qwen2_5_VLForConditionalGeneration"),
            files=(QWEN25_VL, QWEN25, QWEN25_GGUF),
        ),
        Part("text_encoder_2", ("T5EncoderModel",), files=(BYT5,)),
        Part("image_encoder", ("SiglipVisionModel",), optional=True, files=(SIGLIP,)),
    ),
    tokenizers=(
        Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen2.5-vl"),
        Part("tokenizer_2", ("ByT5Tokenizer",), vocabulary="byt5"),
        Part(
            "feature_extractor",
            ("SiglipImageProcessor",),
            optional=True,
            vocabulary="siglip-pictures",
        ),
    ),
    noise="flow",
    spread="open",
    extra_configs=("guider/guider_config.json",),
    multiple=16,
    held=TokenMemory(16, TEXT_TOKENS + _GLYPHS + _PATCHES, patch=1),
    joint=False,
    first_picture="clip",
    video_inputs=_video_inputs,
    # Its blocks compute attention by a class that no hook of the guiders knows.
    perturbs_attention=False,
    block_outputs={"HunyuanVideo15TransformerBlock": (0, 1)},
    speedups=ATTENTION_CACHES | LITE,
    resolutions={
        "hunyuan-video-15-480p": Resolutions(848 * 480, 16),
        "hunyuan-video-15-720p": Resolutions(1280 * 720, 16),
    },
    lora_signs=(
        DOUBLE_STREAM_SIGN,
        JOINT_ATTENTION_SIGN,
    ),
    comfyui_type="hunyuan_video_15",
)
