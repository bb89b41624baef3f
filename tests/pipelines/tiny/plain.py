"""Pipelines that read no words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import diffusers

from tests.pipelines.tiny.base import SIDE, Tiny
from tests.pipelines.tiny.parts import autoencoder, plain_unet


def _ddpm() -> Tiny:
    made = diffusers.DDPMPipeline(plain_unet(), diffusers.DDPMScheduler())
    return Tiny(made, {"num_inference_steps": 3})


def _dit() -> Tiny:
    backbone = diffusers.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        sample_size=SIDE // 2,
        num_embeds_ada_norm=1000,  # the class of no class comes after these
        norm_num_groups=1,
    )
    made = diffusers.DiTPipeline(backbone, autoencoder(), diffusers.DDIMScheduler())
    return Tiny(made, {"class_labels": [3], "num_inference_steps": 2})


def _consistency() -> Tiny:
    schedule = diffusers.CMStochasticIterativeScheduler(num_train_timesteps=40)
    made = diffusers.ConsistencyModelPipeline(plain_unet(), schedule)
    return Tiny(made, {"num_inference_steps": 1})


def _score() -> Tiny:
    made = diffusers.ScoreSdeVePipeline(plain_unet(), diffusers.ScoreSdeVeScheduler())
    return Tiny(made, {"num_inference_steps": 2})


PIPELINES: Mapping[str, Callable[[], Tiny]] = {
    "DDPMPipeline": _ddpm,
    "DiTPipeline": _dit,
    "ConsistencyModelPipeline": _consistency,
    "ScoreSdeVePipeline": _score,
}
