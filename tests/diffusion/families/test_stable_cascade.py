"""Both stages of Stable Cascade give what diffusers' pipelines give, to the last bit.

Text to image by both stages one after the other, images as prompts, odd sizes, batches, guidance of
0, 1 and 7.3, negative prompts, bfloat16, and image to image of stage B at any strength. Longer
prompts than 77 tokens are cut by the pipelines; here they take more windows, as of other families
with CLIP.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import diffusers as d
import numpy as np
import pytest
import torch
import transformers as tf
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
from diffusers.pipelines.stable_cascade import (
    pipeline_stable_cascade,
    pipeline_stable_cascade_prior,
)
from diffusers.schedulers import scheduling_ddpm_wuerstchen
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import encode_image, open_model
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.components import Component
from nodegraph.families.identification import identify_folder
from nodegraph.families.stable_cascade_prompts import with_image_prompt, with_stage_c
from nodegraph.models.ip_adapters.image_prompts import embed_images
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture
from .parts import clip_text
from .words import clip_words

ModelOf = Callable[[Callable[[], Any]], Pair]
_BLOCKS = ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock")


def stage_c_network(**more: Any) -> Any:
    options: dict[str, Any] = {
        "conditioning_dim": 64,
        "block_out_channels": (64, 128),
        "num_attention_heads": (1, 2),
        "down_num_layers_per_block": (1, 2),
        "up_num_layers_per_block": (2, 1),
        "clip_text_in_channels": 32,
        "clip_text_pooled_in_channels": 32,
        "clip_image_in_channels": 24,
        "timestep_ratio_embedding_dim": 16,
        "switch_level": (False,),
    }
    return d.StableCascadeUNet(**{**options, **more})


def stage_b_network(**more: Any) -> Any:
    options: dict[str, Any] = {
        "in_channels": 4,
        "out_channels": 4,
        "patch_size": 2,
        "conditioning_dim": 64,
        "block_out_channels": (32, 64, 64, 128),
        "num_attention_heads": (-1, -1, 1, 2),
        "down_num_layers_per_block": (1, 2, 2, 1),
        "up_num_layers_per_block": (1, 2, 2, 1),
        "down_blocks_repeat_mappers": (1, 1, 1, 1),
        "up_blocks_repeat_mappers": (3, 3, 2, 2),
        "block_types_per_layer": (_BLOCKS[:2], _BLOCKS[:2], _BLOCKS, _BLOCKS),
        "clip_text_pooled_in_channels": 32,
        "effnet_in_channels": 16,
        "pixel_mapper_in_channels": 3,
        "timestep_ratio_embedding_dim": 16,
        "dropout": (0.1, 0.1, 0.1, 0.1),
        "timestep_conditioning_type": ("sca",),
    }
    return d.StableCascadeUNet(**{**options, **more})


def eyes() -> Any:
    """An image encoder with a projection of 24 numbers."""
    return tf.CLIPVisionModelWithProjection(
        tf.CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
            projection_dim=24,
        )
    )


def _text() -> tuple[Any, Any]:
    words = clip_words()
    return words, clip_text(words, 32, 32, "gelu")


def stable_cascade() -> Any:
    words, text = _text()
    return d.StableCascadePriorPipeline(
        tokenizer=words,
        text_encoder=text,
        prior=stage_c_network(),
        scheduler=d.DDPMWuerstchenScheduler(),
        feature_extractor=tf.CLIPImageProcessor(size=32, crop_size=32),
        image_encoder=eyes(),
    )


def stable_cascade_decoder() -> Any:
    words, text = _text()
    return d.StableCascadeDecoderPipeline(
        decoder=stage_b_network(),
        tokenizer=words,
        text_encoder=text,
        scheduler=d.DDPMWuerstchenScheduler(),
        vqgan=PaellaVQModel(
            bottleneck_blocks=2, embed_dim=32, num_vq_embeddings=16, scale_factor=0.43
        ),
    )


def prior(pipeline: Any, **options: Any) -> Made:
    """The latent of stage C by the stock pipeline."""
    batch = options.pop("batch", 1)
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    options.setdefault("num_inference_steps", 3)
    with torch.no_grad():
        found = pipeline(
            PROMPT, num_images_per_prompt=batch, generator=generators, output_type="pt", **options
        )
    return Made(found.image_embeddings, lambda: torch.empty(0))


def test_stage_c_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(stable_cascade)
    for width, height, batch, negative, cfg in (
        (1024, 1024, 1, None, 4.0),
        (1000, 640, 3, NEGATIVE, 7.3),
        (512, 512, 1, None, 1.0),
    ):
        found = model.make(
            width, height, batch=batch, negative=negative, cfg=cfg, sampler="ddpm", steps=3
        )
        expected = prior(
            pipeline,
            width=width,
            height=height,
            batch=batch,
            guidance_scale=cfg,
            negative_prompt=negative,
        )
        assert_same(found, expected)


SHOWN = torch.randn(3, 16, 3, 4, generator=torch.Generator().manual_seed(5))
"""Latents of stage C."""


def following(latents: Tensor) -> Callable[[Conditioning], Conditioning]:
    """Give prompts a latent of stage C."""
    latent = Latent(latents, 128, 128, len(latents), format="stable-cascade")
    return lambda prompt: with_stage_c(prompt, latent)


def decoder(pipeline: Any, latents: Tensor, *, steps: int = 3, **options: Any) -> Made:
    """What stage B makes of latents of stage C by the stock pipeline."""

    def run(kind: str) -> Tensor:
        generators = [torch.Generator().manual_seed(SEED + item) for item in range(len(latents))]
        with torch.no_grad():
            answer = pipeline(
                latents,
                options.get("prompt", PROMPT),
                num_inference_steps=steps,
                generator=generators,
                output_type=kind,
                **{name: item for name, item in options.items() if name != "prompt"},
            )
        return torch.as_tensor(answer.images)

    return Made(run("latent"), lambda: run("pt"))


@pytest.mark.parametrize(
    ("batch", "negative", "cfg"),
    [
        (1, None, 4.5),
        pytest.param(1, NEGATIVE, 7.3, marks=pytest.mark.slow),
        pytest.param(3, NEGATIVE, 1.1, marks=pytest.mark.slow),
        pytest.param(3, None, 1.0, marks=pytest.mark.slow),
    ],
)
def test_stage_b_is_diffusers(
    model_of: ModelOf, batch: int, negative: str | None, cfg: float
) -> None:
    """With a latent of stage C for each image. Pixels are brought to -1..1 and back, which may
    round their last bit."""
    pipeline, model = model_of(stable_cascade_decoder)
    shown = SHOWN[:batch]
    # Of 3 and 4 cells the pipeline makes 32 and 42.
    found = model.make(
        168,
        128,
        batch=batch,
        negative=negative,
        cfg=cfg,
        sampler="ddpm",
        steps=3,
        change=following(shown),
    )
    expected = decoder(pipeline, shown, guidance_scale=cfg, negative_prompt=negative)
    assert_same(found, expected)
    if batch == 1:
        torch.testing.assert_close(found.pixels, expected.pixels, rtol=0, atol=2**-23)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_any_number_of_steps_is_diffusers(model_of: ModelOf, steps: int) -> None:
    pipeline, model = model_of(stable_cascade)
    found = model.make(512, 256, cfg=1.0, sampler="ddpm", steps=steps)
    called: dict[str, Any] = {"width": 512, "height": 256, "num_inference_steps": steps}
    assert_same(found, prior(pipeline, guidance_scale=1.0, **called))


@pytest.mark.slow
@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_images_as_prompts_are_diffusers(model_of: ModelOf, cfg: float) -> None:
    pipeline, model = model_of(stable_cascade)
    images = [picture(40, 32), picture(32, 48)]
    pixels = [torch.from_numpy(np.array(image))[None].float() / 255 for image in images]
    encoder = Component({"image_encoder": pipeline.image_encoder}, "clip")
    shown = [embed_images(encoder, item, reads_patches=False)[0][0] for item in pixels]

    def seeing(prompt: Conditioning) -> Conditioning:
        for item in shown:
            prompt = with_image_prompt(prompt, item, 1.0, adds=True)
        return prompt

    found = model.make(
        512, 512, negative=NEGATIVE, cfg=cfg, sampler="ddpm", steps=3, change=seeing, batch=2
    )
    expected = prior(
        pipeline,
        images=images,
        width=512,
        height=512,
        guidance_scale=cfg,
        negative_prompt=NEGATIVE,
        batch=2,
    )
    assert_same(found, expected)


@pytest.mark.slow
def test_both_stages_are_diffusers(model_of: ModelOf) -> None:
    """As ``StableCascadeCombinedPipeline`` has them, one after the other."""
    pipelines, models = zip(
        *(model_of(each) for each in (stable_cascade, stable_cascade_decoder)), strict=True
    )
    latents = models[0].make(256, 256, cfg=4.0, sampler="ddpm", steps=3).latents
    expected_latents = prior(pipelines[0], width=256, height=256, guidance_scale=4.0).latents
    found = models[1].make(256, 256, cfg=1.1, sampler="ddpm", steps=3, change=following(latents))
    assert_same(found, decoder(pipelines[1], expected_latents, guidance_scale=1.1))


@pytest.mark.slow
@pytest.mark.parametrize("denoise", [0.13, 0.5, 0.99])
def test_stage_b_of_images_is_diffusers(model_of: ModelOf, denoise: float) -> None:
    """diffusers has no such pipeline: its own one walks the last times from a noised latent."""
    pipeline, model = model_of(stable_cascade_decoder)
    pixels = torch.from_numpy(np.array(picture(168, 128)))[None].float() / 255
    latent = encode_image(model.part("vae"), pixels)
    assert latent.samples is not None
    with torch.no_grad():
        encoded = pipeline.vqgan.encode(pixels.movedim(-1, 1)).latents / 0.43
    torch.testing.assert_close(latent.samples, encoded, rtol=1e-5, atol=1e-5)
    options: dict[str, Any] = {"steps": 8, "change": following(SHOWN[:1])}
    found = model.make(168, 128, latent=latent, denoise=denoise, cfg=1.1, sampler="ddpm", **options)
    scheduler, walked = pipeline.scheduler, int(8 * denoise)
    usual = scheduler.set_timesteps

    def late(steps: int, **how: Any) -> None:
        usual(steps, **how)
        scheduler.timesteps = scheduler.timesteps[steps - walked :]

    late(8)
    noise = torch.randn(1, 4, 32, 42, generator=torch.Generator().manual_seed(SEED))
    noised = scheduler.add_noise(latent.samples, noise, scheduler.timesteps[:1])
    generator = torch.Generator().manual_seed(SEED)
    torch.randn(1, 4, 32, 42, generator=generator)  # the noise that was added
    scheduler.set_timesteps = late
    try:
        with torch.no_grad():
            expected = pipeline(
                SHOWN[:1],
                PROMPT,
                num_inference_steps=8,
                guidance_scale=1.1,
                latents=noised,
                generator=generator,
                output_type="latent",
            ).images
    finally:
        del scheduler.set_timesteps
    assert_same(found, Made(expected, lambda: expected))


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are rounded to bfloat16, too. Noise is drawn in float32 here, so the pipelines get such
    noise."""

    def drawn(shape: Any, generator: Any, device: Any, dtype: Any) -> Tensor:
        return torch.cat(
            [torch.randn((1, *shape[1:]), generator=each).to(dtype) for each in generator]
        )

    for module in (scheduling_ddpm_wuerstchen, pipeline_stable_cascade_prior):
        monkeypatch.setattr(module, "randn_tensor", drawn)
    monkeypatch.setattr(pipeline_stable_cascade, "randn_tensor", drawn)
    loaded = []
    for build in (stable_cascade, stable_cascade_decoder):
        pipeline, model = model_of(build)
        # diffusers saves folders of stage B that it does not find the autoencoder's class for.
        parts = {
            name: deepcopy(part).bfloat16() if isinstance(part, torch.nn.Module) else part
            for name, part in pipeline.components.items()
        }
        half = type(pipeline)(**parts)
        half.set_progress_bar_config(disable=True)
        loaded.append((half, Model(model.folder, "bfloat16")))
    (first, stage_c), (second, stage_b) = loaded
    expected = prior(first, width=256, height=256, guidance_scale=4.0)
    found = stage_c.make(256, 256, cfg=4.0, sampler="ddpm", steps=3)
    assert torch.equal(found.latents, expected.latents.float())
    change = following(found.latents)
    decoded = decoder(second, expected.latents, guidance_scale=1.1)
    found = stage_b.make(256, 256, cfg=1.1, sampler="ddpm", steps=3, change=change)
    assert torch.equal(found.latents, decoded.latents.float())


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["diffusers", "comfyui"])
def test_other_samplers_sample_both_stages(model_of: ModelOf, convention: str) -> None:
    for build, size, change in (
        (stable_cascade, (512, 256), lambda prompt: prompt),
        (stable_cascade_decoder, (168, 128), following(SHOWN[:1])),
    ):
        _, model = model_of(build)
        for sampler, schedule in (
            ("euler_ancestral", "simple"),
            ("dpmpp_2m", "karras"),
            ("ddim", "normal"),
            ("pndm", "normal"),
            ("tcd", "simple"),
        ):
            if convention == "comfyui" and sampler in ("pndm", "tcd"):
                continue
            made = model.make(
                *size,
                cfg=3.0,
                steps=4,
                sampler=sampler,
                schedule=schedule,
                convention=convention,
                change=change,
            )
            assert torch.isfinite(made.latents).all()
            assert made.latents.std() > 1e-4


def test_what_does_not_fit_is_refused(model_of: ModelOf) -> None:
    _, stage_c = model_of(stable_cascade)
    _, stage_b = model_of(stable_cascade_decoder)
    prompt = stage_c.encode(PROMPT)
    assert prompt is not None
    with raises(InvalidValue):
        stage_b.make(128, 128, cfg=1.0)
    with raises(InvalidValue):
        stage_b.make(128, 128, cfg=1.0, batch=3, change=following(SHOWN[:2]))
    with raises(InvalidValue):
        stage_b.make(132, 128, cfg=1.0, change=following(SHOWN[:1]))
    with raises(InvalidValue):
        with_stage_c(prompt, Latent(None, 128, 128))
    with raises(InvalidValue):
        with_stage_c(prompt, Latent(torch.zeros(1, 4, 32, 32), 128, 128, format="sd"))
    with raises(InvalidValue):
        with_stage_c(replace(prompt, family="flux"), Latent(SHOWN, 128, 128, 3))
    with raises(InvalidValue):
        with_image_prompt(prompt, torch.zeros(1, 24), 1.0, noise=0.5)
    with raises(InvalidValue):
        wide = with_image_prompt(prompt, torch.zeros(1, 7), 1.0)
        stage_c.make(256, 256, cfg=1.0, change=lambda _: wide)
    with raises(InvalidValue):
        stage_c.part("vae")


@pytest.mark.slow
def test_images_are_not_sampled_one_by_one_after_several(model_of: ModelOf) -> None:
    _, model = model_of(stable_cascade_decoder)
    single = Model(model.folder, loaded=dict(model.loaded))
    single.loaded["model"] = replace(model.part("model"), one_by_one=True)
    with raises(InvalidValue):
        single.make(128, 128, cfg=1.0, batch=2, change=following(SHOWN[:2]))
    found = single.make(128, 128, cfg=1.0, batch=2, sampler="ddpm", change=following(SHOWN[:1]))
    assert torch.isfinite(found.latents).all()


def test_a_prompt_of_stage_c_leads_stage_b(model_of: ModelOf) -> None:
    """Both have the same text encoder, so that a workflow encodes its prompt once."""
    _, stage_c = model_of(stable_cascade)
    _, stage_b = model_of(stable_cascade_decoder)
    prompt = stage_c.encode(PROMPT)
    assert prompt is not None
    found = stage_b.make(
        128, 128, cfg=1.0, sampler="ddpm", change=lambda _: following(SHOWN[:1])(prompt)
    )
    assert torch.isfinite(found.latents).all()


def test_a_scheduler_of_a_table_is_refused(model_of: ModelOf, tmp_path: Path) -> None:
    _, model = model_of(stable_cascade)
    folder = tmp_path / "prior"
    copytree(model.folder, folder)
    d.DDPMScheduler().save_pretrained(folder / "scheduler")
    with raises(InvalidFile):
        open_model(str(folder), [])


def test_a_wuerstchen_is_told(model_of: ModelOf) -> None:
    for name, role in (
        ("StableCascadePriorPipeline", "prior"),
        ("StableCascadeDecoderPipeline", "decoder"),
    ):
        found = identify_folder(name, {role: {"in_channels": 4}})
        assert found.family is None
        assert "Würstchen" in found.refusal
