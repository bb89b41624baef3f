"""SkyReels V2: Wan's architecture, trained further, also by diffusion forcing. Imports no torch.

Source: Chen et al. 2025, arXiv:2504.13074; https://github.com/SkyworkAI/SkyReels-V2. What no tensor
shows is from diffusers' ``convert_skyreelsv2_to_diffusers.py`` and the examples of its pipelines.

A file of a text-to-video or an image-to-video model has no tensor that Wan 2.1 lacks, nor another
shape, so it is identified as Wan. A folder names its pipeline. Of the models with diffusion forcing
only that of 1.3B has an embedding of the frame rate, by which its file is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import ATTENTION_CACHES, LITE, RATE, Config, Part, Resolutions
from nodegraph.families.frame_steps import check_blocks
from nodegraph.families.image_conditioning import (
    FIRST_FRAME,
    IMAGE_EMBEDS,
    LAST_LATENT,
    with_first_frame,
)
from nodegraph.families.model_step import Batch, FrameSteps, Moment
from nodegraph.families.wan import COMMON_PARTS, WAN_FILE, WAN_LAYERS, WanFamily, wan_config
from nodegraph.families.wan_inputs import by_image, wan_video_inputs, with_conditions
from nodegraph.families.wan_vae import WAN as WAN_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, OriginalNames, Table
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.components import Denoiser

_CLASS = "SkyReelsV2Transformer3DModel"
_FPS = "fps_embedding.weight"
_LAYERS: Table = (
    *WAN_LAYERS,
    ("fps_projection.net.0.proj", "fps_projection.0"),
    ("fps_projection.net.2", "fps_projection.2"),
)


def _config(shapes: Shapes) -> dict[str, Any]:
    return {**wan_config(shapes), "inject_sample_info": _FPS in shapes, "num_frame_per_block": 1}


def _schedule(shift: float) -> Config:
    return {
        "_class_name": "UniPCMultistepScheduler",
        "num_train_timesteps": 1000,
        "prediction_type": "flow_prediction",
        "use_flow_sigmas": True,
        "flow_shift": shift,
    }


def _like_wan(name: str) -> FileLayout:
    """The layout of a transformer whose file is one of Wan by all its tensors, so that its title
    says no more."""
    return replace(
        WAN_FILE,
        name=f"{name}-transformer",
        class_name=_CLASS,
        config=lambda shapes: {
            **WAN_FILE.config(shapes),
            "inject_sample_info": False,
            "num_frame_per_block": 1,
        },
        # 8 for prompts, 5 for a first image
        scheduler=lambda config: _schedule(
            8.0 if config["in_channels"] == config["out_channels"] else 5.0
        ),
        settings=lambda _: {},
    )


SKYREELS_FILE = _like_wan("skyreels-v2")
SKYREELS_DF_FILE = _like_wan("skyreels-v2-df")
SKYREELS_DF_RATE_FILE = denoiser_layout(
    "skyreels-v2-df-rate-transformer",
    "a transformer of SkyReels V2 with diffusion forcing",
    _CLASS,
    marks=(
        (_FPS, "patch_embedding.weight", "head.modulation", "head.head.weight"),
        (_FPS, "condition_embedder.time_proj.weight", "proj_out.weight"),
    ),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler=_schedule(8.0),
)

_SLOW_RATE = 16
"""Frames per second of the first of the two embeddings; all other rates have the second."""


@dataclass(frozen=True)
class SkyReels(WanFamily):
    """Text-to-video and image-to-video models: Wan's, with another size and shift."""

    landscape: tuple[int, int] = (960, 544)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            hidden_states=with_conditions(x.to(model.dtype), batch),
            timestep=moment.timestep.expand(len(x)),
            encoder_hidden_states=batch["embeddings"],
            encoder_hidden_states_image=by_image(model.config, batch.get(IMAGE_EMBEDS)),
            return_dict=False,
        )[0]
        return output


@dataclass(frozen=True)
class SkyReelsForcing(SkyReels):
    """Models that were trained by diffusion forcing: each latent frame has its own noise level.

    So the first frames of a video, and the last one, may be known: their timestep is 0. The node
    SampleDiffusionForcing also denoises blocks of frames one after the other.
    """

    forces_frames: bool = True

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        first, last = batch.get(FIRST_FRAME), batch.get(LAST_LATENT)
        hidden, steps = with_first_frame(x, first), moment.frames
        if steps is None:
            # In training, each item has its own.
            timesteps = moment.timestep.reshape(-1, 1).repeat(1, x.shape[2])
            timesteps[:, : 0 if first is None else first.shape[2]] = 0
            steps = FrameSteps(timesteps)
        timesteps = steps.timesteps.reshape(-1, x.shape[2])
        if last is not None:
            # The known last frame stands behind those that are sampled.
            hidden = torch.cat([hidden, last.to(hidden.dtype)], 2)
            timesteps = torch.cat([timesteps, timesteps.new_zeros(len(timesteps), 1)], 1)
        block = model.config.get("num_frame_per_block", 1) if steps.block is None else steps.block
        check_blocks(hidden.shape[2], block, "latent")
        output = _forced(model, hidden.to(model.dtype), timesteps, block, batch)
        return output[:, :, : x.shape[2]]


def _forced(model: Denoiser, hidden: Tensor, timesteps: Tensor, block: int, batch: Batch) -> Tensor:
    """The output for frames with a timestep each.

    Args:
        hidden: Shape (n, channels, frames, height, width).
        timesteps: Shape (1 or n, frames).
        block: As of `FrameSteps`.
    """
    network, embeddings = model.module, batch["embeddings"]
    own = network.config.num_frame_per_block
    # The network reads the blocks of its mask from its configuration.
    network.register_to_config(num_frame_per_block=block)
    try:
        if not model.config.get("inject_sample_info"):
            return _call(network, hidden, timesteps, embeddings, None)
        # The embedding of the rate has no axis of a batch among frames.
        rates = [_rate_index(batch, item) for item in range(len(hidden))]
        rows = timesteps.expand(len(hidden), -1)
        items = zip(hidden[:, None], rows[:, None], embeddings[:, None], rates, strict=True)
        return torch.cat([_call(network, x, row, text, [rate]) for x, row, text, rate in items])
    finally:
        network.register_to_config(num_frame_per_block=own)


def _call(
    network: Any, hidden: Tensor, timesteps: Tensor, embeddings: Tensor, rates: list[int] | None
) -> Tensor:
    output: Tensor = network(
        hidden_states=hidden,
        timestep=timesteps.expand(len(hidden), -1),
        encoder_hidden_states=embeddings,
        enable_diffusion_forcing=True,
        fps=rates,
        return_dict=False,
    )[0]
    return output


def _rate_index(batch: Batch, item: int) -> int:
    """Which of the two embeddings of frame rates counts; without a rate that of 24 per second."""
    if RATE not in batch:
        return 1
    numerator, denominator = batch[RATE][item].tolist()
    return int(numerator != _SLOW_RATE * denominator)


_RESOLUTIONS: Mapping[str, Resolutions] = {"skyreels-v2": Resolutions(960 * 544, 16)}
_SPEEDUPS = ATTENTION_CACHES | LITE


def _denoiser(*files: FileLayout) -> tuple[Part, ...]:
    return (Part("transformer", (_CLASS,), files=files),)


_SHARED: Config = {
    **COMMON_PARTS,
    "settings": {},
    "speedups": _SPEEDUPS,
    "perturbs_attention": False,
    "comfyui_type": "wan",
    # Read by the same encoder, in the same way.
    "accepts_prompts_of": ("wan",),
    "block_outputs": {"SkyReelsV2TransformerBlock": (0, None)},
}

SKYREELS_V2 = SkyReels(
    "skyreels-v2",
    "SkyReels V2",
    latent=WAN_LATENTS,
    pipelines=("SkyReelsV2Pipeline", "SkyReelsV2ImageToVideoPipeline"),
    denoisers=_denoiser(SKYREELS_FILE),
    multiple=16,
    first_picture="film",
    video_inputs=wan_video_inputs,
    needs_media=True,
    resolutions=_RESOLUTIONS,
    **_SHARED,
)
SKYREELS_V2_DF = SkyReelsForcing(
    "skyreels-v2-df",
    "SkyReels V2 with diffusion forcing",
    latent=WAN_LATENTS,
    pipelines=(
        "SkyReelsV2DiffusionForcingPipeline",
        "SkyReelsV2DiffusionForcingImageToVideoPipeline",
        "SkyReelsV2DiffusionForcingVideoToVideoPipeline",
    ),
    denoisers=_denoiser(SKYREELS_DF_RATE_FILE, SKYREELS_DF_FILE),
    multiple=16,
    first_picture="frames",
    video_inputs=lambda config: frozenset({"first image"}),
    resolutions=_RESOLUTIONS,
    **_SHARED,
)
