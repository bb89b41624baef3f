"""Mochi 1 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from diffusers.loaders import single_file_utils as converters
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import encode_video, load_component
from nodegraph.families.identification import identify_tensors
from nodegraph.families.mochi import MOCHI
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser

from .checks import assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .late_start import LateScheduler
from .parts import flow, t5_text
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def transformer(layers: int = 2) -> Any:
    return d.MochiTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=layers,
        pooled_projection_dim=24,
        text_embed_dim=32,
        time_embed_dim=16,
    )


def vae() -> Any:
    return d.AutoencoderKLMochi(
        encoder_block_out_channels=(32, 32, 32, 64),
        decoder_block_out_channels=(32, 32, 32, 64),
        layers_per_block=(1, 1, 1, 1, 1),
        add_attention_block=(False, True, True, True, True),
    )


def mochi(*, zeros: bool = False) -> Any:
    words = t5_words(256)
    parts = flow(invert_sigmas=True), vae(), t5_text(words), words, transformer()
    return d.MochiPipeline(*parts, force_zeros_for_empty_prompt=zeros)


def mochi_zeros() -> Any:
    return mochi(zeros=True)


@pytest.mark.parametrize("build", [mochi, mochi_zeros])
def test_videos_are_those_of_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    for width, frames, batch, negative, cfg in (
        (64, 7, 1, None, 4.5),
        (96, 13, 2, NEGATIVE, 3.0),
        (64, 7, 1, None, 1.0),
    ):
        options = {"batch": batch, "negative": negative, "steps": 4}
        found = model.make(width, 64, frames=frames, cfg=cfg, **options)
        options |= {"width": width, "height": 64, "num_frames": frames, "guidance_scale": cfg}
        expected = stock(pipeline, out="frames", **options)
        assert_same(found, expected, pixels=cfg == 4.5 and build is mochi)


@pytest.mark.parametrize("steps", [2, 5, 9])
def test_levels_of_any_count_are_those_of_diffusers(model_of: ModelOf, steps: int) -> None:
    pipeline, model = model_of(mochi)
    found = model.make(32, 32, frames=7, cfg=1.0, steps=steps)
    called = {"width": 32, "height": 32, "num_frames": 7, "guidance_scale": 1.0}
    assert_same(found, stock(pipeline, out="frames", steps=steps, **called))


def test_bfloat16_is_diffusers_but_for_latents_that_stay_in_float32(model_of: ModelOf) -> None:
    """The pipeline rounds them to the model's precision after each step."""
    _, model = model_of(mochi)
    pipeline = d.MochiPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 12, 2, 4, 8, generator=torch.Generator().manual_seed(SEED))
    pipeline.prepare_latents = lambda *_: noise
    narrowed = ("hidden_states", "timestep")
    pipeline.transformer.register_forward_pre_hook(
        lambda _, args, more: (args, more | {name: more[name].bfloat16() for name in narrowed}),
        with_kwargs=True,
    )
    found = Model(model.folder, "bfloat16").make(64, 32, frames=7, cfg=4.5)
    called = {"width": 64, "height": 32, "num_frames": 7, "guidance_scale": 4.5}
    assert_same(found, stock(pipeline, out="frames", **called))


def film() -> Tensor:
    drawn = as_tensor(picture(64, 32))
    return torch.cat([drawn.roll(place, 2) for place in range(7)])


def by_stock(pipeline: Any, latent: Tensor, walked: int, **called: Any) -> Made:
    """The last steps by the pipeline. Its scheduler's own rule for noise would mix up noise
    and latent, as its levels go the other way: 0 is noise."""
    usual = pipeline.scheduler
    scheduler = LateScheduler(type(usual).from_config(usual.config), walked)
    pipeline.scheduler = scheduler
    try:
        stock(pipeline, out="frames", **called)
        level = 1 - scheduler.scheduler.sigmas[-walked - 1]
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(SEED))
        start = (1 - level) * latent + level * noise
        return stock(pipeline, out="frames", latents=start, **called)
    finally:
        pipeline.scheduler = usual


@pytest.mark.parametrize(
    ("denoise", "steps", "walked"),
    [
        pytest.param(0.13, 8, 1, marks=pytest.mark.slow),
        (0.5, 4, 2),
        pytest.param(0.99, 8, 7, marks=pytest.mark.slow),
    ],
)
def test_the_last_steps_from_a_video_are_diffusers(
    model_of: ModelOf, denoise: float, steps: int, walked: int
) -> None:
    pipeline, model = model_of(mochi)
    latent = encode_video(model.part("vae"), film())
    assert latent.samples is not None
    found = model.make(64, 32, latent=latent, cfg=4.0, steps=steps, denoise=denoise)
    called = {"width": 64, "height": 32, "num_frames": 7, "guidance_scale": 4.0}
    assert_same(found, by_stock(pipeline, latent.samples, walked, steps=steps, **called))


def test_what_is_encoded_is_the_most_likely(model_of: ModelOf) -> None:
    pipeline, model = model_of(mochi)
    pixels = (film() * 2 - 1).movedim(-1, 0)[None].contiguous()
    with torch.no_grad():
        mode = pipeline.vae.encode(pixels).latent_dist.mode()
    config = pipeline.vae.config
    mean, deviation = (
        torch.tensor(config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std")
    )
    found = encode_video(model.part("vae"), film()).samples
    assert found is not None
    assert torch.equal(found, (mode - mean) * config.scaling_factor / deviation)


def test_kept_parts_stay(model_of: ModelOf) -> None:
    _, model = model_of(mochi)
    latent = encode_video(model.part("vae"), film())
    mask = torch.zeros(1, 32, 64)
    mask[..., 32:] = 1
    masked: Latent = replace(latent, noise_mask=mask)
    found = model.make(64, 32, latent=masked, cfg=4.0, steps=3).latents
    assert latent.samples is not None
    difference = (found - latent.samples).abs()
    kept, changed = difference[..., :4], difference[..., 4:]
    assert float(kept.max()) < 1e-6 < float(changed.mean())


def test_other_samplers(model_of: ModelOf) -> None:
    _, model = model_of(mochi)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})


def original(tensors: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """A transformer's tensors under the names of the original code."""
    written: dict[str, Tensor] = {}
    for here, theirs in MOCHI.denoisers[0].files[0].names.table:
        before, _, remaining = here.partition("{")
        joined, _, after = remaining.partition("}")
        for block in range(layers if "*" in here else 1):
            names = [
                f"{before}{part}{after}".replace("*", str(block)) for part in joined.split(",")
            ]
            for end in ("weight", "bias"):
                parts = [tensors[f"{name}.{end}"] for name in names if f"{name}.{end}" in tensors]
                if parts:
                    halves = here.endswith(("net.0.proj", "norm_out.linear"))
                    tensor = torch.cat(parts[0].chunk(2)[::-1] if halves else parts)
                    written[f"{theirs.replace('*', str(block))}.{end}"] = tensor
    return written | {"pos_frequencies": tensors["pos_frequencies"]}


def test_a_file_of_the_original_names_is_read_as_diffusers_reads_it(tmp_path: Path) -> None:
    network = transformer(48).eval()
    tensors = original(network.state_dict(), 48)
    expected = converters.convert_mochi_transformer_checkpoint_to_diffusers(dict(tensors))
    assert expected.keys() == network.state_dict().keys()
    file = tmp_path / "mochi.safetensors"
    save_file({f"model.diffusion_model.{name}": item for name, item in tensors.items()}, file)
    shapes = {f"model.diffusion_model.{name}": tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of Mochi 1"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu").module
    stated = {**network.config, "out_channels": 12}
    names = [name for name in stated if not name.startswith("_")]
    assert [loaded.config[name] for name in names] == [stated[name] for name in names]
    for name, item in loaded.state_dict().items():
        assert torch.equal(item, expected[name]), name
