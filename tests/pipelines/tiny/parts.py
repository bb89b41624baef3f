"""Networks that several tiny pipelines have."""

from __future__ import annotations

from typing import Any

import diffusers
import transformers

from tests.pipelines.tiny.base import SIDE, WIDTH


def autoencoder(channels: int = 4, **more: Any) -> Any:
    """Two levels, so that latents have half the side."""
    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        latent_channels=channels,
        sample_size=SIDE,
        **more,
    )


_LEVELS: dict[str, Any] = {"block_out_channels": (16, 32), "layers_per_block": 1}


def unet(channels: int = 4, **more: Any) -> Any:
    """Attention where the image is large, as in the real ones: what is added to it fits so."""
    settings: dict[str, Any] = {
        **_LEVELS,
        "sample_size": SIDE // 2,
        "in_channels": channels,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "norm_num_groups": 8,
        "cross_attention_dim": WIDTH,
        "attention_head_dim": 8,
    }
    return diffusers.UNet2DConditionModel(**{**settings, **more})


def plain_unet() -> Any:
    """Without words."""
    return diffusers.UNet2DModel(
        **_LEVELS,
        sample_size=SIDE,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
    )


def clip_vision(*, projected: bool = True, side: int = SIDE, patch: int = 8) -> Any:
    config = transformers.CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=side,
        patch_size=patch,
    )
    if projected:
        return transformers.CLIPVisionModelWithProjection(config)
    return transformers.CLIPVisionModel(config)


def clip_pixels() -> Any:
    """The kind that needs no torchvision."""
    return transformers.CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )


def betas(kind: Any = diffusers.DDIMScheduler, **more: Any) -> Any:
    """The noise of Stable Diffusion."""
    return kind(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **more)


def flow() -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler()
