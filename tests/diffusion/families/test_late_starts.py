"""Sampling from sound or from videos, for families without a pipeline that does so.

The reference is the family's own pipeline with the last levels of its scheduler. It starts from a
latent of its own autoencoder, with noise by the scheduler's rule. Nothing of nodegraph's sampling
is in it. The latents of MiniMax H3 and Music 3, and of LTX-2's sound, are random: how they are
encoded is compared in the tests of these families, and Music 3 has no encoder.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.modular_pipelines.minimax_music3 import denoise as music3_denoise
from torch import Tensor

from nodegraph.core.values import Audio, Latent
from nodegraph.diffusion import encode_prompt, encode_video
from nodegraph.families.minimax_music3 import latent_frames
from nodegraph.models.vae import encode_sound

from . import test_ace_step as ace
from . import test_cosmos as cosmos
from . import test_longcat_audio as longcat
from . import test_ltx2
from . import test_minimax_h3 as h3
from . import test_minimax_music3 as music3
from . import test_stable_audio as audio_open
from . import test_stable_audio_3 as audio_3
from .conftest import Pair
from .equality import NEGATIVE, SEED, assert_same, picture, stock
from .h3_models import StockH3
from .image_to_image import as_tensor
from .test_flux2 import tokens

ModelOf = Callable[[Callable[[], Any]], Pair]

STEPS = 8
SHARES = pytest.mark.parametrize(("denoise", "walked"), [(0.13, 1), (0.5, 4), (0.99, 7)])


def late(scheduler: Any, walked: int) -> Any:
    """A scheduler with the last levels alone.

    Pipelines may copy it, and ask for noise levels by the number of the step.
    """
    kind = type(scheduler)

    class Late(kind):  # type: ignore[misc, valid-type]
        asked: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

        @functools.wraps(kind.set_timesteps)  # pipelines look at which arguments there are
        def set_timesteps(self, *args: Any, **options: Any) -> None:
            self.asked = args, options
            kind.set_timesteps(self, *args, **options)
            self.timesteps = self.timesteps[-walked:]
            self.sigmas = self.sigmas[-walked - 1 :]

        @property
        def init_noise_sigma(self) -> float:
            return 1.0  # the latent has its noise

        def noised(self, clean: Tensor, noise: Tensor) -> Tensor:
            """By the scheduler's rule, at the first level of the last run."""
            args, options = self.asked
            self.set_timesteps(*args, **options)
            first = self.timesteps[:1]
            if hasattr(kind, "scale_noise"):
                return torch.as_tensor(self.scale_noise(clean, first, noise))
            return torch.as_tensor(self.add_noise(clean, noise, first))

    return Late.from_config(scheduler.config)


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    """Noise as the pipelines draw it: one after the other by one generator."""
    generator = torch.Generator().manual_seed(SEED)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def waveform(samples: int, channels: int = 2) -> Tensor:
    return torch.rand(channels, samples, generator=torch.Generator().manual_seed(2)) - 0.5


@pytest.mark.slow
@SHARES
def test_ltx2_from_a_video_with_sound(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch, denoise: float, walked: int
) -> None:
    pipeline, model = model_of(test_ltx2.ltx2)
    shown = as_tensor(picture(96, 64))
    frames = torch.cat([shown.roll(at, 2) for at in range(9)])
    latent = encode_video(model.part("vae"), frames)
    with torch.no_grad():
        pixels = (frames * 2 - 1).movedim(-1, 0)[None].contiguous()
        mode = pipeline.vae.encode(pixels).latent_dist.mode()
    vae = pipeline.vae
    clean = pipeline._normalize_latents(
        mode, vae.latents_mean, vae.latents_std, vae.config.scaling_factor
    )
    assert torch.equal(latent.samples, clean)
    sound = torch.randn(1, 8, 9, 16, generator=torch.Generator().manual_seed(4))
    start = Latent(clean, 96, 64, 1, frames=9, format="ltx2", sound=sound)
    options: dict[str, Any] = {"cfg": 4.0, "negative": NEGATIVE}
    found = test_ltx2.sampled(
        model, 96, 64, 9, latent=start, steps=STEPS, denoise=denoise, **options
    )
    usual = pipeline.scheduler
    pipeline.scheduler = scheduler = late(usual, walked)
    try:
        sigmas = torch.linspace(1.0, 1 / STEPS, STEPS, dtype=torch.float64).numpy()
        called = {**options, "sigmas": sigmas}
        test_ltx2.stock(pipeline, 96, 64, 9, **called)
        video_noise, sound_noise = drawn(tuple(clean.shape), tuple(sound.shape))
        noisy = scheduler.noised(clean, video_noise), scheduler.noised(sound, sound_noise)
        # The pipeline scales those of the sound itself, which rounds.
        monkeypatch.setattr(pipeline, "_normalize_audio_latents", lambda latents, *_: latents)
        given = {"latents": tokens(noisy[0]), "audio_latents": noisy[1]}
        expected = test_ltx2.stock(pipeline, 96, 64, 9, **called, **given)
    finally:
        pipeline.scheduler = usual
    test_ltx2.assert_equal(test_ltx2.unscaled(pipeline, found), expected)


@pytest.mark.slow
@SHARES
def test_minimax_h3_from_a_video_with_sound(model_of: ModelOf, denoise: float, walked: int) -> None:
    """Equal up to 1e-5: nodegraph carries the sound scaled, and steps in another order; see
    `test_minimax_h3`."""
    pipeline, model = model_of(h3.minimax_h3)
    generator = torch.Generator().manual_seed(5)
    whole = h3.sampled(model, 64, 64)
    assert whole.samples is not None
    assert whole.sound is not None
    clean = torch.randn(whole.samples.shape, generator=generator)
    sound = torch.randn(whole.sound.shape, generator=generator)
    start = Latent(clean, 64, 64, 1, frames=h3.FRAMES, format=whole.format, sound=sound)
    found = h3.sampled(model, 64, 64, latent=start, steps=STEPS, denoise=denoise)
    names = ("scheduler", "audio_scheduler")
    schedulers = {name: late(pipeline.components[name], walked) for name in names}
    other = StockH3({**pipeline.components, **schedulers})
    h3.made_by(other, 64, 64, steps=STEPS)
    noises = drawn(tuple(clean.shape), tuple(sound.shape))
    given = {
        "latents": schedulers["scheduler"].noised(clean, noises[0]),
        "audio_latents": schedulers["audio_scheduler"].noised(sound, noises[1])[0].transpose(1, 2),
    }
    expected = h3.made_by(other, 64, 64, steps=STEPS, **given)
    h3.assert_near(h3.parts_of(found), h3.latents_of(expected))


@pytest.mark.slow
@SHARES
def test_ace_step_from_sound(model_of: ModelOf, denoise: float, walked: int) -> None:
    pipeline, model = model_of(ace.ace_step)
    heard = waveform(25 * ace.HOP)
    latent = encode_sound(model.part("vae"), Audio(heard, ace.RATE))
    with torch.no_grad():
        mode = pipeline.vae.encode(heard[None]).latent_dist.mode()
    clean = mode.transpose(1, 2)
    assert torch.equal(latent.samples[:, 0], clean)
    found = ace.sampled(model, ace.SONG, latent=latent, steps=STEPS, denoise=denoise)
    usual = pipeline.scheduler
    pipeline.scheduler = scheduler = late(usual, walked)
    try:
        ace.stock(pipeline, ace.SONG, cfg=7.0, steps=STEPS)
        noisy = scheduler.noised(clean, *drawn(tuple(clean.shape)))
        expected = ace.stock(pipeline, ace.SONG, cfg=7.0, steps=STEPS, latents=noisy)
    finally:
        pipeline.scheduler = usual
    ace.assert_equal(found, expected)


@pytest.mark.slow
@SHARES
def test_stable_audio_from_sound(model_of: ModelOf, denoise: float, walked: int) -> None:
    """Equal but for rounding, as the whole sampling is: see `test_stable_audio.assert_close`."""
    pipeline, model = model_of(audio_open.stable_audio)
    heard = waveform(audio_open.FRAMES * pipeline.vae.hop_length)
    latent = encode_sound(model.part("vae"), Audio(heard, audio_open.RATE))
    with torch.no_grad():
        clean = pipeline.vae.encode(heard[None]).latent_dist.mode()
    assert torch.equal(latent.samples[:, 0], clean)
    seconds = audio_open.FRAMES * pipeline.vae.hop_length / audio_open.RATE
    found = audio_open.sampled(
        model.part("model"),
        audio_open.prompt(model, seconds),
        latent=latent,
        steps=STEPS,
        denoise=denoise,
    )
    usual = pipeline.scheduler
    pipeline.scheduler = scheduler = late(usual, walked)
    try:
        audio_open.stock(pipeline, seconds, steps=STEPS)
        noisy = scheduler.noised(clean, *drawn(tuple(clean.shape)))
        expected = audio_open.stock(pipeline, seconds, steps=STEPS, latents=noisy)
    finally:
        pipeline.scheduler = usual
    audio_open.assert_close(found, expected)


@pytest.mark.slow
def test_stable_audio_from_sound_at_the_highest_level(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a pipeline for this alone. It draws a random latent of the sound, which is replaced
    by one that is as large as the noise."""
    pipeline, model = model_of(audio_open.stable_audio)
    heard = waveform(audio_open.FRAMES * pipeline.vae.hop_length)
    clean = 300 * torch.randn(1, 64, audio_open.FRAMES, generator=torch.Generator().manual_seed(4))
    known = SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda _: clean))
    seconds = audio_open.FRAMES * pipeline.vae.hop_length / audio_open.RATE
    start = Latent(clean[:, None], audio_open.FRAMES, 64, 1, format="stable-audio")
    prompt = audio_open.prompt(model, seconds)
    found, plain = (
        audio_open.sampled(model.part("model"), prompt, latent=latent)
        for latent in (start, audio_open.empty())
    )
    monkeypatch.setattr(pipeline.vae, "encode", lambda _: known)
    options = {"initial_audio_waveforms": heard[None], "initial_audio_sampling_rate": 44_100}
    expected = audio_open.stock(pipeline, seconds, **options)
    assert not torch.allclose(found, plain, atol=0.1)
    audio_open.assert_close(found, expected)


@pytest.mark.slow
@SHARES
def test_stable_audio_3_from_sound(model_of: ModelOf, denoise: float, walked: int) -> None:
    """diffusers' pipeline for sound to sound is no reference: from a level below 1, its first
    levels rise, as its makers' do."""
    pipeline, model = model_of(audio_3.stable_audio_3)
    heard = waveform(8 * audio_3.HOP_HERE)
    latent = encode_sound(model.part("vae"), Audio(heard, audio_3.RATE))
    with torch.no_grad():
        clean = pipeline.vae.encode(heard[None]).latents
    assert torch.equal(latent.samples[:, 0], clean)
    seconds = audio_3.seconds_of(8)
    found = audio_3.sampled(
        model.part("model"),
        audio_3.prompt(model, seconds),
        latent=latent,
        steps=STEPS,
        denoise=denoise,
    )
    usual = pipeline.scheduler
    pipeline.scheduler = scheduler = late(usual, walked)
    try:
        audio_3.stock(pipeline, seconds, steps=STEPS)
        noisy = scheduler.noised(clean, *drawn(tuple(clean.shape)))
        expected = audio_3.stock(pipeline, seconds, steps=STEPS, latents=noisy)
    finally:
        pipeline.scheduler = usual
    audio_3.assert_equal(found, expected)


@pytest.mark.slow
@SHARES
def test_longcat_audio_from_sound(model_of: ModelOf, denoise: float, walked: int) -> None:
    """Its time runs from noise to sound, so that its level is the share of the sound."""
    pipeline, model = model_of(longcat.longcat_audio)
    heard = waveform(8 * longcat.HOP, 1)
    latent = encode_sound(model.part("vae"), Audio(heard, longcat.RATE))
    with torch.no_grad():
        mode = pipeline.vae.encode(heard[None], sample_posterior=False).latents
    clean = mode.transpose(1, 2)
    assert torch.equal(latent.samples[:, 0], clean)
    positive = encode_prompt(model.part("text_encoder"), longcat.TEXT)
    found = longcat.sampled(
        model.part("model"), positive, latent=latent, steps=STEPS, denoise=denoise
    )
    usual = pipeline.scheduler
    pipeline.scheduler = scheduler = late(usual, walked)
    try:
        longcat.stock(pipeline, 8, steps=STEPS)
        share = scheduler.sigmas[0]
        noisy = (1 - share) * drawn(tuple(clean.shape))[0] + share * clean
        expected = longcat.stock(pipeline, 8, steps=STEPS, latents=noisy)
    finally:
        pipeline.scheduler = usual
    longcat.assert_equal(found, expected)


@pytest.mark.slow
@SHARES
def test_minimax_music3_from_sound(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch, denoise: float, walked: int
) -> None:
    """Its time runs from noise to sound, too."""
    pipeline, model = model_of(music3.minimax_music3)
    positive = music3.song(model)
    states = positive.entries[0].embeddings
    frames = latent_frames(states.shape[1])
    clean = torch.randn(1, 128, frames, generator=torch.Generator().manual_seed(4))
    latent = Latent(clean[:, None], frames, 128, 1, format="minimax-music3")
    found = music3.sampled(model, positive, latent=latent, steps=STEPS, denoise=denoise)
    usual = pipeline.inner.scheduler
    scheduler = late(usual, walked)
    pipeline.inner.update_components(scheduler=scheduler)
    try:
        music3.stock_sound(pipeline, states, steps=STEPS)
        share = scheduler.sigmas[0]
        noisy = (1 - share) * drawn(tuple(clean.shape))[0] + share * clean
        monkeypatch.setattr(music3_denoise, "randn_tensor", lambda *_, **__: noisy)
        (expected,) = music3.stock_sound(pipeline, states, steps=STEPS)
    finally:
        pipeline.inner.update_components(scheduler=usual)
    music3.assert_equal(found, expected)


@pytest.mark.slow
@SHARES
@pytest.mark.parametrize("build", [cosmos.cosmos, cosmos.cosmos_predict2])
def test_cosmos_from_a_video(
    model_of: ModelOf,
    monkeypatch: pytest.MonkeyPatch,
    build: Callable[[], Any],
    denoise: float,
    walked: int,
) -> None:
    """Their latents are not mixed with noise, but have it added."""
    pipeline, model = model_of(build)
    is_video = build is cosmos.cosmos
    frames = 9 if is_video else 1
    shown = as_tensor(picture(96, 64))
    latent = encode_video(model.part("vae"), torch.cat([shown.roll(at, 2) for at in range(frames)]))
    clean = latent.samples
    assert clean is not None
    both = {"negative": NEGATIVE, "steps": STEPS}
    found = model.make(96, 64, frames=frames, latent=latent, denoise=denoise, cfg=5.0, **both)
    scheduler = late(pipeline.scheduler, walked)
    monkeypatch.setattr(pipeline, "scheduler", scheduler)
    called = {"width": 96, "height": 64, "guidance_scale": 4.0, **both}
    if is_video:
        called |= {"num_frames": frames, "out": "frames"}
    stock(pipeline, **called)
    noisy = clean + scheduler.sigmas[0] * drawn(tuple(clean.shape))[0]
    monkeypatch.setattr(pipeline, "prepare_latents", lambda *_: noisy)
    expected = stock(pipeline, **called)
    assert_same(found, expected if is_video else cosmos.images(expected))
