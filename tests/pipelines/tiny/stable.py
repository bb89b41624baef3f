"""Stable Diffusion 1 and XL, and what was made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffusers

from tests.pipelines.tiny.base import SIDE, SIZED, TEXT, WIDTH, Tiny, mask, picture
from tests.pipelines.tiny.parts import autoencoder, betas, unet
from tests.pipelines.tiny.words import clip_text, clip_tokenizer

UNCHECKED = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}


def parts(channels: int = 4, **more: Any) -> dict[str, Any]:
    """Of a pipeline of Stable Diffusion 1."""
    return {
        "vae": autoencoder(),
        "text_encoder": clip_text(),
        "tokenizer": clip_tokenizer(),
        "unet": unet(channels),
        "scheduler": betas(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        **more,
    }


def _sd(name: str, call: Mapping[str, Any], channels: int = 4, **more: Any) -> Tiny:
    made = getattr(diffusers, name)(**parts(channels, **{**UNCHECKED, **more}))
    return Tiny(made, dict(call))


def _control() -> Any:
    return diffusers.ControlNetModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        # As many as halve the image as often as the autoencoder does, and one.
        conditioning_embedding_out_channels=(8, 16),
    )


def _upscaler() -> Tiny:
    # Seven channels: noise and the small image; classes are levels of its noise.
    made = diffusers.StableDiffusionUpscalePipeline(
        **parts(
            vae=autoencoder(scaling_factor=0.08333),
            unet=unet(7, num_class_embeds=1000, out_channels=4),
            low_res_scheduler=diffusers.DDPMScheduler(),
        )
    )
    return Tiny(made, {**TEXT, "image": picture(side=16)})


def _marigold(name: str, kind: str) -> Tiny:
    made = getattr(diffusers, name)(
        **parts(8, unet=unet(8, out_channels=4)),
        prediction_type=kind,
        default_denoising_steps=2,
        default_processing_resolution=SIDE,
    )
    return Tiny(made, {"image": picture(), "num_inference_steps": 2})


def _xl(name: str, call: Mapping[str, Any]) -> Tiny:
    # Both encoders side by side; six sizes of eight numbers, and the pooled text.
    backbone = unet(
        cross_attention_dim=2 * WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        use_linear_projection=True,
    )
    made = getattr(diffusers, name)(
        **parts(unet=backbone, scheduler=betas(diffusers.EulerDiscreteScheduler)),
        text_encoder_2=clip_text(projected=True),
        tokenizer_2=clip_tokenizer(),
        add_watermarker=False,
    )
    return Tiny(made, dict(call))


_AGAIN = {**TEXT, "image": picture(), "strength": 1.0}
_OVER = {**TEXT, "image": picture()}

PIPELINES: Mapping[str, Callable[[], Tiny]] = {
    "StableDiffusionPipeline": lambda: _sd("StableDiffusionPipeline", SIZED),
    "StableDiffusionImg2ImgPipeline": lambda: _sd("StableDiffusionImg2ImgPipeline", _AGAIN),
    "StableDiffusionInpaintPipeline": lambda: _sd(
        "StableDiffusionInpaintPipeline",
        {**SIZED, "image": picture(), "mask_image": mask()},
        # Noise, the mask, and the rest of the image.
        unet=unet(9, out_channels=4),
    ),
    "StableDiffusionInstructPix2PixPipeline": lambda: _sd(
        "StableDiffusionInstructPix2PixPipeline", _OVER, unet=unet(8, out_channels=4)
    ),
    "StableDiffusionControlNetPipeline": lambda: _sd(
        "StableDiffusionControlNetPipeline", _OVER, controlnet=_control()
    ),
    "StableDiffusionAdapterPipeline": lambda: _sd(
        "StableDiffusionAdapterPipeline",
        {**SIZED, "image": picture()},
        adapter=diffusers.T2IAdapter(channels=[16, 32], num_res_blocks=1, downscale_factor=2),
    ),
    "StableDiffusionUpscalePipeline": _upscaler,
    "StableDiffusionPAGPipeline": lambda: _sd("StableDiffusionPAGPipeline", SIZED),
    "StableDiffusionSAGPipeline": lambda: _sd("StableDiffusionSAGPipeline", SIZED),
    "LatentConsistencyModelPipeline": lambda: _sd(
        "LatentConsistencyModelPipeline",
        {**SIZED, "num_inference_steps": 4},
        unet=unet(time_cond_proj_dim=32),
        scheduler=betas(diffusers.LCMScheduler),
    ),
    "MarigoldDepthPipeline": lambda: _marigold("MarigoldDepthPipeline", "depth"),
    "MarigoldNormalsPipeline": lambda: _marigold("MarigoldNormalsPipeline", "normals"),
    "StableDiffusionXLPipeline": lambda: _xl("StableDiffusionXLPipeline", SIZED),
    "StableDiffusionXLImg2ImgPipeline": lambda: _xl("StableDiffusionXLImg2ImgPipeline", _AGAIN),
}
