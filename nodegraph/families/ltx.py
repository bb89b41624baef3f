"""LTX-Video: videos from prompts, and from prompts and a first picture. Imports no torch.

Source: HaCohen et al. 2024, arXiv:2501.00103; https://github.com/Lightricks/LTX-Video

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/Lightricks/LTX-Video
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import RATE, Config, Family, Part, Warn, encoded
from nodegraph.families.first_picture import (
    FIRST_FRAME,
    check_video_size,
    denoise_mask,
    with_first_frame,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.pipeline_classes import PIPELINE_CLASSES
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import CodingMemory, TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import count_of
from nodegraph.weights.single_files.denoisers import DYNAMIC_FLOW, denoiser_layout
from nodegraph.weights.single_files.ltx_vae import LTX_VAE
from nodegraph.weights.single_files.t5 import T5, T5_GGUF

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel


class LTXFormat(LatentFormat):
    """Videos whose autoencoder holds a mean and a deviation for each channel beside its weights.

    Those of later versions end the denoising as they decode, at a timestep; here at its end, 0.
    """

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        widths = config.get("decoder_block_out_channels") or (128,)
        return CodingMemory(0.6, 0.3, 0.27).times(widths[0])

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        widths = config.get("block_out_channels") or (128,)
        return CodingMemory(0.8, 0.4, 0.41).times(widths[0])

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        mode: Tensor = vae.encode(pixels).latent_dist.mode()
        mean, deviation = _buffers(vae, mode)
        scaled: Tensor = (mode - mean) * vae.config.scaling_factor / deviation
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _buffers(vae, latents)
        inputs = latents * deviation / vae.config.scaling_factor + mean
        timed = vae.config.timestep_conditioning
        timestep = torch.zeros(len(inputs), device=inputs.device, dtype=inputs.dtype)
        with _same_noise(vae):
            pixels: Tensor = vae.decode(inputs, timestep if timed else None, return_dict=False)[0]
        return pixels


@contextmanager
def _same_noise(vae: Any) -> Iterator[None]:
    """Inside the `with`, a decoder that adds noise between its layers (0.9.1's) draws the same each
    time; who draws after it gets what they would have."""
    if not any(vae.config.decoder_inject_noise):
        yield
        return
    kind = vae.device.type
    with torch.random.fork_rng([] if kind == "cpu" else [vae.device], device_type=kind):
        torch.manual_seed(0)
        yield


def _buffers(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    # They may lie elsewhere, where weights are brought along a layer at a time.
    mean, deviation = (
        item.view(1, -1, 1, 1, 1).to(like.device, like.dtype)
        for item in (vae.latents_mean, vae.latents_std)
    )
    return mean, deviation


LTX_LATENTS = LTXFormat(
    "ltx",
    128,
    spatial=32,
    temporal=8,
    autoencoders=("AutoencoderKLLTXVideo",),
    files=(LTX_VAE,),
)
"""LTX-Video."""


_HEADS = 32
"""Of 2B and of 13B, whose heads are twice as wide."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["proj_in.weight"]
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "patch_size": 1,
        "patch_size_t": 1,
        "num_attention_heads": _HEADS,
        "attention_head_dim": width // _HEADS,
        "cross_attention_dim": shapes["transformer_blocks.0.attn2.to_k.weight"][1],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "activation_fn": "gelu-approximate",
        "qk_norm": "rms_norm_across_heads",
        "norm_elementwise_affine": False,
        "norm_eps": 1e-6,
        "caption_channels": shapes["caption_projection.linear_1.weight"][1],
        "attention_bias": "transformer_blocks.0.attn1.to_q.bias" in shapes,
        "attention_out_bias": "transformer_blocks.0.attn1.to_out.0.bias" in shapes,
    }


LTX_FILE = denoiser_layout(
    "ltx-transformer",
    "the transformer of LTX-Video",
    "LTXVideoTransformer3DModel",
    marks=(
        ("patchify_proj.weight", "adaln_single.linear.weight", "scale_shift_table"),
        ("proj_in.weight", "time_embed.linear.weight", "scale_shift_table"),
    ),
    config=_config,
    scheduler={
        **DYNAMIC_FLOW,
        "base_image_seq_len": 1024,
        "base_shift": 0.95,
        "max_shift": 2.05,
        "shift": 1.0,
        "shift_terminal": 0.1,
    },
    # LTX-2, which makes sound, too.
    without=("audio_",),
)


USUAL_RATE = 25
"""Frames a second that a video is to have where the conditioning doesn't say."""

_TOKENS = 128


class LTXVideo(Family):
    """A transformer led by T5, that is told which tokens are padding. Each cell is a token."""

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 704, 512

    def context_width(self, config: Config) -> int | None:
        return int(config["caption_channels"])

    def tokens(self, shape: Sequence[int]) -> int:
        return math.prod(shape[2:])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.encoders import t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens)
        return encoded({"embeddings": states, "mask": tokens["attention_mask"].bool()})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        frames, height, width = x.shape[2:]
        first, temporal, spatial = batch.get(FIRST_FRAME), self.latent.temporal, self.latent.spatial
        tokens = with_first_frame(x, first).flatten(2).transpose(1, 2).contiguous().to(model.dtype)
        timestep = moment.timestep.expand(len(x))
        if first is not None:
            timestep = timestep.unsqueeze(-1) * denoise_mask(x, first).flatten()
        rate = batch[RATE][0].float() if RATE in batch else (USUAL_RATE, 1)
        output: Tensor = model.module(
            hidden_states=tokens,
            encoder_hidden_states=batch["embeddings"],
            timestep=timestep,
            encoder_attention_mask=batch["mask"],
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=(temporal * rate[1] / rate[0], spatial, spatial),
            return_dict=False,
        )[0]
        # guidance adds up in float32, as the pipeline does
        return output.float().transpose(1, 2).reshape(x.shape)


LTX = LTXVideo(
    "ltx",
    "LTX-Video",
    latent=LTX_LATENTS,
    pipelines=PIPELINE_CLASSES["ltx"],
    denoisers=(Part("transformer", ("LTXVideoTransformer3DModel",), files=(LTX_FILE,)),),
    encoders=(Part("text_encoder", ("T5EncoderModel",), files=(T5, T5_GGUF)),),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=32,
    held=TokenMemory(15, 24, patch=1),
    first_picture="frame",
    wide=True,
)
