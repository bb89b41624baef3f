"""CogVideoX gives what diffusers' pipelines give, to the last bit.

The pipelines draw noise with frames before channels. Here their noise is drawn as nodegraph draws
it and turned, which changes no other bit.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import encode_video, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.cogvideox_vae import COGVIDEOX_LATENTS
from nodegraph.families.identification import identify_tensors
from nodegraph.families.noise import NoiseSchedule
from nodegraph.media.images.images import to_pil
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .parts import t5_text
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]
LONG = "a red cat " * 200
HOMES = (
    "diffusers.pipelines.cogvideo.pipeline_cogvideox",
    "diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video",
    "diffusers.pipelines.cogvideo.pipeline_cogvideox_video2video",
    "diffusers.schedulers.scheduling_dpm_cogvideox",
)


@pytest.fixture(autouse=True)
def as_nodegraph_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise in nodegraph's order, and the most likely latents, which draw none."""

    def drawn(shape: Any, generator: Any = None, **_: Any) -> Tensor:
        batch, frames, channels, *sides = shape
        generators = generator if isinstance(generator, list) else [generator]
        each = batch // len(generators)
        parts = [torch.randn((each, channels, frames, *sides), generator=g) for g in generators]
        return torch.cat(parts).transpose(1, 2).contiguous()

    for home in HOMES:
        monkeypatch.setattr(importlib.import_module(home), "randn_tensor", drawn)
    monkeypatch.setattr(
        DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode()
    )


def transformer(*, rotary: bool, frames: int | None = None, image: bool = False) -> Any:
    return d.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=32 if image else 16,
        out_channels=16,
        time_embed_dim=16,
        ofs_embed_dim=16 if image and frames else None,
        text_embed_dim=32,
        num_layers=2,
        sample_width=16 if frames else 8,
        sample_height=16 if frames else 8,
        sample_frames=9,
        patch_size_t=frames,
        patch_bias=frames is None,
        use_rotary_positional_embeddings=rotary,
        use_learned_positional_embeddings=image and not frames,
    )


def vae(scale: float = 0.7, *, inverts: bool = False) -> Any:
    return d.AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        scaling_factor=scale,
        invert_scale_latents=inverts,
    )


def schedule(kind: Any = d.CogVideoXDDIMScheduler, shift: float = 3.0) -> Any:
    return kind(
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        clip_sample=False,
        timestep_spacing="trailing",
        snr_shift_scale=shift,
    )


def parts(network: Any, coder: Any, scheduler: Any) -> dict[str, Any]:
    words = t5_words(226)
    return {
        "tokenizer": words,
        "text_encoder": t5_text(words),
        "vae": coder,
        "transformer": network,
        "scheduler": scheduler,
    }


def cogvideox() -> Any:
    """2B."""
    return d.CogVideoXPipeline(**parts(transformer(rotary=False), vae(1.15258426), schedule()))


def five_b() -> Any:
    scheduler = schedule(d.CogVideoXDPMScheduler, 1.0)
    return d.CogVideoXPipeline(**parts(transformer(rotary=True), vae(), scheduler))


def five_b_image() -> Any:
    network = transformer(rotary=True, image=True)
    scheduler = schedule(d.CogVideoXDPMScheduler, 1.0)
    return d.CogVideoXImageToVideoPipeline(**parts(network, vae(), scheduler))


def one_five() -> Any:
    network = transformer(rotary=True, frames=2)
    return d.CogVideoXPipeline(**parts(network, vae(), schedule(shift=1.0)))


def one_five_image() -> Any:
    network = transformer(rotary=True, frames=2, image=True)
    coder = vae(inverts=True)
    return d.CogVideoXImageToVideoPipeline(**parts(network, coder, schedule(shift=1.0)))


def unpack(latents: Tensor) -> Tensor:
    return latents.transpose(1, 2)


SAMPLERS = {five_b: "cogvideox_dpm", five_b_image: "cogvideox_dpm"}


def by_stock(pipeline: Any, *, batch: int = 1, negative: str | None = None, **called: Any) -> Made:
    """Several videos are several prompts: the pipelines make one of each."""
    prompt = called.pop("prompt", PROMPT)
    called |= {"num_videos_per_prompt": 1, "prompt": [prompt] * batch}
    called["negative_prompt"] = negative and [negative] * batch
    return stock(pipeline, out="frames", batch=batch, **called)


@pytest.mark.parametrize(
    ("build", "width", "frames", "batch", "prompt", "negative", "cfg"),
    [
        pytest.param(cogvideox, 64, 9, 1, PROMPT, None, 6.0, id="2b"),
        pytest.param(cogvideox, 80, 17, 3, PROMPT, NEGATIVE, 7.3, id="2b-batch"),
        pytest.param(cogvideox, 48, 1, 1, LONG, "", 1.0, id="2b-image"),
        pytest.param(cogvideox, 48, 8, 1, PROMPT, None, 0.0, id="2b-eight"),
        pytest.param(five_b, 64, 9, 1, PROMPT, None, 6.0, id="5b"),
        pytest.param(five_b, 80, 17, 2, LONG, NEGATIVE, 3.0, id="5b-batch"),
        pytest.param(one_five, 80, 16, 1, PROMPT, NEGATIVE, 6.0, id="1.5"),
    ],
)
def test_videos_are_those_of_diffusers(
    model_of: ModelOf,
    build: Callable[[], Any],
    width: int,
    frames: int,
    batch: int,
    prompt: str,
    negative: str | None,
    cfg: float,
) -> None:
    pipeline, model = model_of(build)
    both = {"batch": batch, "prompt": prompt, "negative": negative, "steps": 4}
    sampler = SAMPLERS.get(build, "ddim")
    found = model.make(width, 64, frames=frames, cfg=cfg, sampler=sampler, **both)
    called = {"width": width, "height": 64, "num_frames": frames, "guidance_scale": cfg}
    expected = by_stock(pipeline, **both, **called)
    assert_same(found, expected, unpack, pixels=batch == 1)
