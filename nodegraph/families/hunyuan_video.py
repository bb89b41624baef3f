"""HunyuanVideo and SkyReels V1: videos from prompts, or from a first image. Imports no torch.

Source: Kong et al. 2024, arXiv:2412.03603, https://github.com/Tencent-Hunyuan/HunyuanVideo and
https://github.com/SkyworkAI/SkyReels-V1. What no tensor shows is from diffusers'
``HunyuanVideoPipeline``, ``HunyuanSkyreelsImageToVideoPipeline`` and
``scripts/convert_hunyuan_video_to_diffusers.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    BLOCK_CACHES,
    GUIDANCE,
    LITE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.hunyuan_image import REFINER_LAYERS, chat_states
from nodegraph.families.hunyuan_video_15 import clip_and_mask, comfyui_name
from nodegraph.families.hunyuan_video_vae import HUNYUAN_VIDEO as HUNYUAN_VIDEO_LATENTS
from nodegraph.families.image_conditioning import (
    CONDITION_CLIP,
    FILM_AND_MASK,
    check_video_size,
    missing_image_error,
    unused_image_error,
)
from nodegraph.families.layer_names import DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, OriginalNames, Table, count_of
from nodegraph.weights.single_files.clip import clip_layout
from nodegraph.weights.single_files.language import LLAVA_LLAMA3
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_BLOCK, _DOUBLE = "transformer_blocks.*", "double_blocks.*"
_SINGLE_BLOCK, _SINGLE = "single_transformer_blocks.*", "single_blocks.*"
_TIME = "time_text_embed"
_LAYERS: Table = (
    (f"{_BLOCK}.attn.{{to_q,to_k,to_v}}", f"{_DOUBLE}.img_attn_qkv"),
    (f"{_BLOCK}.attn.{{add_q_proj,add_k_proj,add_v_proj}}", f"{_DOUBLE}.txt_attn_qkv"),
    (f"{_BLOCK}.attn.to_out.0", f"{_DOUBLE}.img_attn_proj"),
    (f"{_BLOCK}.attn.to_add_out", f"{_DOUBLE}.txt_attn_proj"),
    (f"{_BLOCK}.attn.norm_q", f"{_DOUBLE}.img_attn_q_norm"),
    (f"{_BLOCK}.attn.norm_k", f"{_DOUBLE}.img_attn_k_norm"),
    (f"{_BLOCK}.attn.norm_added_q", f"{_DOUBLE}.txt_attn_q_norm"),
    (f"{_BLOCK}.attn.norm_added_k", f"{_DOUBLE}.txt_attn_k_norm"),
    (f"{_BLOCK}.norm1.linear", f"{_DOUBLE}.img_mod.linear"),
    (f"{_BLOCK}.norm1_context.linear", f"{_DOUBLE}.txt_mod.linear"),
    (f"{_BLOCK}.ff.net.0.proj", f"{_DOUBLE}.img_mlp.fc1"),
    (f"{_BLOCK}.ff.net.2", f"{_DOUBLE}.img_mlp.fc2"),
    (f"{_BLOCK}.ff_context.net.0.proj", f"{_DOUBLE}.txt_mlp.fc1"),
    (f"{_BLOCK}.ff_context.net.2", f"{_DOUBLE}.txt_mlp.fc2"),
    (f"{_SINGLE_BLOCK}.{{attn.to_q,attn.to_k,attn.to_v,proj_mlp}}", f"{_SINGLE}.linear1"),
    (f"{_SINGLE_BLOCK}.proj_out", f"{_SINGLE}.linear2"),
    (f"{_SINGLE_BLOCK}.norm.linear", f"{_SINGLE}.modulation.linear"),
    (f"{_SINGLE_BLOCK}.attn.norm_q", f"{_SINGLE}.q_norm"),
    (f"{_SINGLE_BLOCK}.attn.norm_k", f"{_SINGLE}.k_norm"),
    *REFINER_LAYERS,
    (f"{_TIME}.timestep_embedder.linear_1", "time_in.mlp.0"),
    (f"{_TIME}.timestep_embedder.linear_2", "time_in.mlp.2"),
    (f"{_TIME}.guidance_embedder.linear_1", "guidance_in.mlp.0"),
    (f"{_TIME}.guidance_embedder.linear_2", "guidance_in.mlp.2"),
    (f"{_TIME}.text_embedder.linear_1", "vector_in.in_layer"),
    (f"{_TIME}.text_embedder.linear_2", "vector_in.out_layer"),
    ("x_embedder.proj", "img_in.proj"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)
_ALL_LAYERS: Table = (
    *_LAYERS,
    *(
        (here, comfyui_name(original))
        for here, original in _LAYERS
        if comfyui_name(original) != original
    ),
)
"""In the original names, and in those of ComfyUI's network."""


def _config(shapes: Shapes, condition: str | None = None) -> dict[str, Any]:
    width, channels, frames, patch, _ = shapes["x_embedder.proj.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // (frames * patch * patch),
        "num_attention_heads": width // head,
        "attention_head_dim": head,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "num_refiner_layers": count_of(
            shapes, r"context_embedder\.token_refiner\.refiner_blocks\.(\d+)\."
        ),
        "mlp_ratio": shapes["transformer_blocks.0.ff.net.2.weight"][1] / width,
        "patch_size": patch,
        "patch_size_t": frames,
        "qk_norm": "rms_norm",
        "guidance_embeds": f"{_TIME}.guidance_embedder.linear_1.weight" in shapes,
        "text_embed_dim": shapes["context_embedder.proj_in.weight"][1],
        "pooled_projection_dim": shapes[f"{_TIME}.text_embedder.linear_1.weight"][1],
        "rope_theta": 256.0,
        # 16, 56 and 56 of 128.
        "rope_axes_dim": (head // 8, head * 7 // 16, head * 7 // 16),
        "image_condition_type": condition,
    }


def transformer_layout(
    name: str, title: str, condition: str | None, channels: tuple[int, ...]
) -> FileLayout:
    """The layout of a transformer in a file of its own.

    Args:
        condition: The entry ``image_condition_type`` of its configuration.
        channels: Input channels that such models have, in latents of 16 channels.
    """
    return denoiser_layout(
        name,
        f"the transformer of {title}",
        "HunyuanVideoTransformer3DModel",
        marks=(
            (
                "txt_in.individual_token_refiner.blocks.0.norm1.weight",
                "vector_in.in_layer.weight",
                "img_in.proj.weight",
            ),
            (
                "context_embedder.token_refiner.refiner_blocks.0.norm1.weight",
                f"{_TIME}.text_embedder.linear_1.weight",
                "x_embedder.proj.weight",
            ),
        ),
        names=OriginalNames(_ALL_LAYERS, swaps_output=True),
        config=lambda shapes: _config(shapes, condition),
        scheduler={**EULER_FLOW, "shift": 7.0},
        fits=lambda shapes: (
            len(shapes["x_embedder.proj.weight"]) == 5
            and shapes["x_embedder.proj.weight"][1] in channels
        ),
        # FramePack's, which look at frames that were made before.
        without=("clean_x_embedder.", "image_projection."),
    )


HUNYUAN_VIDEO_FILE = transformer_layout("hunyuan-video-transformer", "HunyuanVideo", None, (16, 32))

_CHAT = (
    "<|start_header_id|>system<|end_header_id|>\n\nDescribe the video by detailing the following "
    "aspects: 1. The main content and theme of the video."
    "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects."
    "3. Actions, events, behaviors temporal relationships, physical movement changes of the "
    "objects."
    "4. background environment, light, style and atmosphere."
    "5. camera angles, movements, and transitions used in the video:<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
)
_BEFORE = 95
"""Tokens before a prompt in the template, in Llama 3's vocabulary."""
PROMPT_TOKENS = 256
"""Tokens of a prompt, at most."""
_CLIP_TOKENS = 77

_DEFAULT_GUIDANCE = 6.0
"""Scale that guidance-distilled models get if the conditioning has none."""


def pooled_prompt(model: TextModel, text: str) -> Tensor:
    """CLIP's pooled prompt; float32 on the CPU, shape (1, width)."""
    from nodegraph.families.text_encoders import clip_pooled, tokenize_padded

    tokens = tokenize_padded(model.tokenizers["tokenizer_2"], text, _CLIP_TOKENS)
    return clip_pooled(model.modules["text_encoder_2"], tokens)


class HunyuanVideo(Family):
    """A transformer of two streams, led by Llama 3 and by CLIP's pooled prompt.

    SkyReels V1 from images takes the latent of the first image beside the noise.
    """

    def channels(self, config: Config) -> int:
        return int(config["out_channels"])

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 1280, 720

    def context_width(self, config: Config) -> int | None:
        return int(config["text_embed_dim"])

    def default_guidance(self, config: Config) -> float:
        """The embedded scale of the pipeline: SkyReels is guided by its negative prompt."""
        return 1.0 if _takes_image(config) else _DEFAULT_GUIDANCE

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_apart(model, [text, text], warn)

    def encode_apart(
        self, model: TextModel, texts: Sequence[str], warn: Warn | None = None
    ) -> ConditioningEntry:
        for_llama, for_clip = texts
        chat = _CHAT.format(for_llama)
        states = chat_states(model, chat, _BEFORE, warn, tokens=PROMPT_TOKENS)
        return encoded({**states, "pooled": pooled_prompt(model, for_clip)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        if model.config["guidance_embeds"]:
            scale = self.default_guidance(model.config)
            fitted.setdefault(GUIDANCE, torch.tensor([scale]))
        else:
            fitted.pop(GUIDANCE, None)
        return self.with_image(model, fitted, request)

    def with_image(
        self, model: Denoiser, fitted: dict[str, Tensor], request: SamplingRequest
    ) -> dict[str, Tensor]:
        """Return the tensors of a prompt with the first image as the model takes it.

        Raises:
            InvalidValue: The model needs an image and there is none, or the other way round.
        """
        first = fitted.pop(CONDITION_CLIP, None)
        if not _takes_image(model.config):
            if first is not None:
                raise unused_image_error(request)
            return fitted
        if first is None:
            raise missing_image_error(request)
        latents = clip_and_mask(first, request)[:, :-1]
        return {**fitted, FILM_AND_MASK: latents}

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        condition, guidance = batch.get(FILM_AND_MASK), batch.get(GUIDANCE)
        hidden = x if condition is None else torch.cat([x, condition.to(x.dtype)], 1)
        output: Tensor = model.module(
            hidden_states=hidden,
            timestep=moment.timestep.expand(len(x)).to(x.dtype),
            encoder_hidden_states=batch["embeddings"],
            encoder_attention_mask=batch["mask"],
            pooled_projections=batch["pooled"],
            guidance=None if guidance is None else guidance * 1000.0,
            return_dict=False,
        )[0]
        return output


def _takes_image(config: Config) -> bool:
    return int(config["in_channels"]) > int(config["out_channels"])


COMMON: Mapping[str, Any] = {
    "latent": HUNYUAN_VIDEO_LATENTS,
    "noise": "flow",
    "spread": "open",
    "multiple": 16,
    "held": TokenMemory(16, PROMPT_TOKENS, patch=2),
    "needs_negative": False,
    "joint": False,
    "readers": ("llama", "clip_l"),
    "speedups": ATTENTION_CACHES | BLOCK_CACHES | LITE,
    "lora_signs": (DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN),
}
"""What all families of this network share."""


def _video_inputs(config: Config) -> frozenset[str]:
    """Return what a model takes of `VIDEO_MEDIA`."""
    return frozenset({"first image"} if _takes_image(config) else ())


CLIP_PART = Part("text_encoder_2", ("CLIPTextModel",), files=(clip_layout("CLIP-L"),))

HUNYUAN_VIDEO = HunyuanVideo(
    "hunyuan-video",
    "HunyuanVideo",
    pipelines=("HunyuanVideoPipeline", "HunyuanSkyreelsImageToVideoPipeline"),
    denoisers=(
        Part("transformer", ("HunyuanVideoTransformer3DModel",), files=(HUNYUAN_VIDEO_FILE,)),
    ),
    encoders=(Part("text_encoder", ("LlamaModel",), files=(LLAVA_LLAMA3,)), CLIP_PART),
    tokenizers=(
        Part("tokenizer", ("PreTrainedTokenizerFast",), vocabulary="llava-llama3"),
        Part("tokenizer_2", ("CLIPTokenizer",), vocabulary="clip-l"),
    ),
    first_picture="still",
    video_inputs=_video_inputs,
    needs_media=True,
    resolutions={
        "hunyuan-video-540p": Resolutions(960 * 544, 16),
        "hunyuan-video-720p": Resolutions(1280 * 720, 16),
    },
    comfyui_type="hunyuan_video",
    **COMMON,
)
