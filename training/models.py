"""The networks, all of stock diffusers and transformers classes, in their untrained state."""

from contextlib import AbstractContextManager
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from nodegraph.weights.numerics import cpu_has_bfloat16
from training.config import Config

SCALING_FACTOR = 0.18215
"""Latents are stored so that this factor gives them unit variance: Stable Diffusion 1's format."""
_LOG_VARIANCE_AT_START = -6.0


def build_vae(config: Config) -> AutoencoderKL:
    """Autoencoder: RGB in -1..1, (n, 3, h, w), to latents, (n, 4, h / 8, w / 8)."""
    settings = config.vae
    levels = len(settings.channels)
    vae = AutoencoderKL(
        sample_size=config.data.resolution,
        block_out_channels=settings.channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        latent_channels=settings.latent_channels,
        norm_num_groups=settings.groups,
        scaling_factor=SCALING_FACTOR,
    )
    # With unit variance at the start the decoder sees mostly noise and learns to ignore it.
    bias = vae.quant_conv.bias.detach()
    bias[settings.latent_channels :] = _LOG_VARIANCE_AT_START
    return vae


def build_unet(config: Config) -> UNet2DConditionModel:
    """Denoiser of scaled latents, conditioned on text states, (n, max_length, width)."""
    settings = config.unet
    down = tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in settings.attention)
    up = tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(settings.attention))
    return UNet2DConditionModel(
        sample_size=config.latent_size,
        in_channels=config.vae.latent_channels,
        out_channels=config.vae.latent_channels,
        block_out_channels=settings.channels,
        down_block_types=down,
        up_block_types=up,
        layers_per_block=settings.layers,
        cross_attention_dim=config.text.width,
        # diffusers takes this as the number of heads, whatever its name says.
        attention_head_dim=settings.heads,
        norm_num_groups=settings.groups,
    )


def build_text_encoder(config: Config, vocabulary: int, bos: int, eos: int) -> CLIPTextModel:
    """CLIP text encoder for a tokenizer of `vocabulary` entries that pads with `eos`."""
    settings = config.text
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=settings.width,
            intermediate_size=4 * settings.width,
            projection_dim=settings.width,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            max_position_embeddings=settings.max_length,
            bos_token_id=bos,
            eos_token_id=eos,
            pad_token_id=eos,
        )
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion 1's noise levels, with the denoiser predicting v (arXiv:2202.00512)."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing",
    )


class _WideGroupNorm(nn.GroupNorm):
    def forward(self, input: Tensor) -> Tensor:
        """Normalise in float32, give back what came in."""
        return super().forward(input.float()).to(input.dtype)


def hasten(model: nn.Module) -> None:
    """Choose the ways of computing that train fastest on a CPU; the results are the same.

    In bfloat16 torch's group norm there takes three to seven times as long as in float32 with
    both conversions, and its fused attention trains slower than plain matrix products.
    """
    for module in model.modules():
        if type(module) is nn.GroupNorm:
            module.__class__ = _WideGroupNorm
        if isinstance(module, UNet2DConditionModel):
            module.set_attn_processor(AttnProcessor())


def in_half(device: torch.device, *, wanted: bool = True) -> AbstractContextManager[Any]:
    """Computing in bfloat16 where the device does that; it takes a CPU that doesn't far longer."""
    does = device.type != "cpu" or cpu_has_bfloat16()
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and does)


def seeded(seed: int) -> None:
    """Fix the initial weights of the networks built next."""
    torch.manual_seed(seed)
