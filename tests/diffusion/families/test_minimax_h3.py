"""MiniMax H3 gives what diffusers' modular pipeline gives: the video and its sound.

The pipeline's scheduler writes a step of Euler's method as a blend of the latent and the
prediction, and walks along two lists of noise levels. nodegraph's samplers walk along one, with the
sound scaled (see `nodegraph.families.minimax_h3`). Both are the same numbers but for rounding. So
there are two comparisons: with the pipeline as it is, up to 1e-5; and to the last bit with the
pipeline whose two schedulers step as nodegraph's `euler` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import numpy as np
import pytest
import torch
from diffusers.loaders import single_file_utils as converters
from diffusers.modular_pipelines.minimax_h3 import (
    MiniMaxH3AudioReference,
    MiniMaxH3ImageReference,
    MiniMaxH3VideoReference,
)
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Audio, Conditioning, Latent
from nodegraph.diffusion import (
    decode_latent,
    decode_video,
    encode_prompt,
    load_component,
    sample,
)
from nodegraph.errors import InvalidValue
from nodegraph.families.identification import identify_tensors
from nodegraph.families.image_conditioning import MediaCondition
from nodegraph.families.minimax_h3 import MINIMAX_H3, sound_length
from nodegraph.families.minimax_h3_latents import MINIMAX_H3_LATENTS
from nodegraph.families.minimax_h3_rows import frames_of_latents, packed_rows
from nodegraph.families.minimax_h3_vae_files import SOUND_DEVIATION, SOUND_MEAN
from nodegraph.families.model_step import SoundLayout
from nodegraph.models.conditioning import encode_edit, encode_media
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.models.media_conditions import (
    MediaReference,
    fit_references,
    keyframe_tensors,
    reference_tensors,
)
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.models.vae import decode_sound, encode_sound
from nodegraph.models.vae_files import open_vae
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .checks import assert_refuses
from .conftest import Pair
from .equality import PROMPT, SEED, Model, picture
from .h3_models import StockH3, minimax_h3, sound_vae, transformer
from .image_to_image import as_tensor
from .language_files import qwen3_vl
from .video_models import ltx

ModelOf = Callable[[Callable[[], Any]], Pair]
Pictured = tuple[Tensor, Tensor]
"""A video and its sound, in latents as the pipeline has them."""

__all__ = ["minimax_h3"]

FRAMES = 22


class EulerOfVideo(d.MiniMaxH3Scheduler):
    """Steps by the difference of the noise levels."""

    def step(
        self, model_output: Tensor, timestep: Tensor, sample: Tensor, **_: Any
    ) -> tuple[Tensor]:
        at = self.index_for_timestep(timestep)
        return (sample + (self.sigmas[at + 1] - self.sigmas[at]) * -model_output,)


class EulerOfSound(d.MiniMaxH3Scheduler):
    """Steps along the levels of the video, with the latents scaled by the ratio of the shifts."""

    video_shift = 12.0

    def set_timesteps(self, steps: int, device: Any = None) -> None:  # type: ignore[override]
        base = torch.linspace(1.0, 0.0, steps)
        shift = self.video_shift
        self.sigmas = shift * base / (1 + (shift - 1) * base)
        bases = [level / (shift + level * (1 - shift)) for level in self.sigmas.tolist()]
        self.levels = [self.shift * each / (1 + (self.shift - 1) * each) for each in bases]
        self.timesteps = 1.0 - torch.tensor(self.levels[:-1], dtype=torch.float64)
        self.carried: Tensor | None = None
        self.at = 0

    def step(
        self, model_output: Tensor, timestep: Tensor, sample: Tensor, **_: Any
    ) -> tuple[Tensor]:
        scale, level = self.video_shift / self.shift, self.levels[self.at]
        carried = sample if self.carried is None else self.carried
        slope = (1 - scale) * sample - (1 + (scale - 1) * level) * model_output
        following = self.sigmas[self.at + 1]
        self.carried = carried + (following - self.sigmas[self.at]) * slope
        self.at += 1
        if following == 0:
            return (self.carried / scale,)
        return (self.carried * (self.levels[self.at] / following.item()),)


def stepping(stock: StockH3) -> StockH3:
    """The stock pipeline with the steps of nodegraph's `euler`."""
    parts = {
        **stock.components,
        "scheduler": EulerOfVideo(shift=12.0),
        "audio_scheduler": EulerOfSound(shift=3.0),
    }
    return StockH3(parts)


def sampled(model: Model, width: int, height: int, **options: Any) -> Latent:
    """A video with sound by nodegraph."""
    frames, batch = options.pop("frames", FRAMES), options.pop("batch", 1)
    positive = options.pop("positive", None) or model.encode(PROMPT)
    start = options.pop("latent", None) or Latent(None, width, height, batch, frames=frames)
    usual = {"seed": SEED, "steps": 3, "sampler": "euler", "schedule": "normal", "cfg": 1.0}
    return sample(model.part("model"), positive, None, start, **{**usual, **options})


def made_by(stock: StockH3, width: int, height: int, *, steps: int = 3, **options: Any) -> Any:
    """The state of the stock pipeline, whose steps include the end."""
    called = {
        "prompt": PROMPT,
        "width": width,
        "height": height,
        "num_frames": FRAMES,
        "num_inference_steps": steps + 1,
        "generator": torch.Generator().manual_seed(SEED),
        "output_type": "pt",
    }
    return stock(**{**called, **options})


def latents_of(state: Any) -> Pictured:
    return state.get("latents"), state.get("audio_latents")


def parts_of(latent: Latent) -> Pictured:
    assert latent.samples is not None
    assert latent.sound is not None
    return latent.samples, latent.sound[0].transpose(1, 2)


def assert_equal(found: Pictured, expected: Pictured) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.std() > 1e-2
        assert torch.equal(ours, theirs), (ours - theirs).abs().max()


def assert_near(found: Pictured, expected: Pictured) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.std() > 1e-2
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_videos_with_sound_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(minimax_h3)
    found = sampled(model, 96, 64)
    assert_near(parts_of(found), latents_of(made_by(pipeline, 96, 64)))
    assert_equal(parts_of(found), latents_of(made_by(stepping(pipeline), 96, 64)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "height", "frames", "steps", "prompt"),
    [
        (32, 160, 39, 2, PROMPT),
        (64, 64, 22, 7, "cat " * 300),
        (224, 32, 124, 2, "a"),
    ],
)
def test_other_sizes_and_prompts_are_those_of_diffusers(
    model_of: ModelOf, width: int, height: int, frames: int, steps: int, prompt: str
) -> None:
    pipeline, model = model_of(minimax_h3)
    given = {"width": width, "height": height, "steps": steps}
    found = sampled(model, frames=frames, positive=model.encode(prompt), **given)
    expected = made_by(stepping(pipeline), num_frames=frames, prompt=prompt, **given)
    assert_equal(parts_of(found), latents_of(expected))


def test_one_step_is_that_of_the_pipeline_as_it_is(model_of: ModelOf) -> None:
    pipeline, model = model_of(minimax_h3)
    found = sampled(model, 96, 64, steps=1)
    expected = made_by(pipeline, 96, 64, steps=1)
    assert torch.equal(parts_of(found)[0], latents_of(expected)[0])
    assert_near(parts_of(found), latents_of(expected))


def test_pictures_and_sound_are_decoded_as_by_diffusers(model_of: ModelOf) -> None:
    """Here colors go through -1..1 and back, which rounds their last bits."""
    pipeline, model = model_of(minimax_h3)
    state = made_by(stepping(pipeline), 96, 64)
    latent, vae = sampled(model, 96, 64), model.part("vae")
    frames = decode_video(vae, latent).movedim(-1, 1)[None]
    torch.testing.assert_close(frames, state.get("videos"), rtol=0, atol=1e-6)
    audio = decode_sound(vae, latent)
    assert audio.rate == state.get("sampling_rate") == 32_000
    assert torch.equal(audio.waveform[None], state.get("audio"))


def test_a_batch_is_its_videos_one_by_one(model_of: ModelOf) -> None:
    _, model = model_of(minimax_h3)
    whole = sampled(model, 64, 64, batch=3)
    for item in range(3):
        alone = sampled(model, 64, 64, seed=SEED + item)
        assert torch.equal(whole.samples[item : item + 1], alone.samples)
        assert torch.equal(whole.sound[item : item + 1], alone.sound)


def test_guidance_and_negative_prompts_change_nothing(model_of: ModelOf) -> None:
    _, model = model_of(minimax_h3)
    found, guided = (
        sample(
            model.part("model"),
            model.encode(PROMPT),
            model.encode("blurry"),
            Latent(None, 64, 64, frames=5),
            seed=SEED,
            steps=2,
            sampler="euler",
            schedule="normal",
            cfg=cfg,
        )
        for cfg in (0.0, 7.3)
    )
    assert torch.equal(found.samples, guided.samples)


def shown(model: Model, first: Any, last: Any = None, frames: int = FRAMES) -> Conditioning:
    """A prompt with the first and the last image, as the nodes make it."""
    images = [as_tensor(item) for item in (first, last) if item is not None]
    positive = encode_edit(model.part("text_encoder"), PROMPT, images)
    end = None if last is None else images[1]
    return with_tensors(
        positive, encode_first_frame(model.part("vae"), positive, images[0], frames, end)
    )


@pytest.mark.parametrize("has_last", [False, True])
def test_videos_of_first_and_last_images_are_those_of_diffusers(
    model_of: ModelOf, has_last: bool
) -> None:
    """The pipeline draws the little noise of the images from the generator of the request, before
    that of the video. Here it is of a fixed seed, and the noise of the video of its own."""
    pipeline, model = model_of(minimax_h3)
    image = picture(96, 64)
    last = image.transpose(1) if has_last else None
    found = sampled(model, 96, 64, positive=shown(model, image, last))
    generator = torch.Generator().manual_seed(SEED)
    noise = {
        "latents": torch.randn(1, 24, 7, 4, 6, generator=generator),
        "audio_latents": torch.randn(2, sound_length(FRAMES), 32, generator=generator),
    }
    noise["audio_latents"] = noise["audio_latents"].transpose(1, 2)
    state = made_by(
        stepping(pipeline),
        96,
        64,
        image=image,
        last_image=last,
        generator=torch.Generator().manual_seed(0),
        **noise,
    )
    assert_equal(parts_of(found), latents_of(state))
    plain = sampled(model, 96, 64)
    assert not torch.allclose(found.samples, plain.samples, atol=1e-3)


def test_keyframes_stand_at_their_time() -> None:
    """As in ComfyUI: 5/3 units of time per frame from the start of the video, and both channels of
    the sound at the outermost columns."""
    tags = torch.ones(3, dtype=torch.int64)
    image, clip = torch.zeros(1, 24, 1, 4, 4), torch.zeros(1, 24, 2, 4, 4)
    sound = torch.zeros(1, 2, 5, 32)
    rows = packed_rows(
        tags,
        [MediaCondition(image, frame=0), MediaCondition(clip, sound, 17)],
        (7, 4, 4),
        37,
        (2, 2),
    )
    times = rows.positions[:, 0]
    assert times[:3].tolist() == [0, 1, 2]
    assert rows.video_conditions == 4 + 8
    assert rows.sound_conditions == 10
    assert times[rows.video[:4]].tolist() == [3.0] * 4
    begin = 3 + 17 * 5 / 3
    assert times[rows.video[4:12]].tolist() == pytest.approx([begin] * 4 + [begin + 5 / 3] * 4)
    assert times[rows.sound[:5]].tolist() == pytest.approx([begin + at for at in range(5)])
    assert times[rows.video[12:16]].tolist() == [3.0] * 4
    sides = rows.positions[rows.sound[:10], 2]
    assert sides.tolist() == [0.0] * 5 + [16.0] * 5


def test_a_keyframe_in_between_leads_the_video(model_of: ModelOf) -> None:
    _, model = model_of(minimax_h3)
    positive, vae = model.encode(PROMPT), model.part("vae")
    assert positive is not None
    latent, image = Latent(None, 64, 64, frames=39), as_tensor(picture(80, 64))
    tone = Audio(torch.rand(1, 32_000, generator=torch.Generator().manual_seed(1)), 32_000)
    once = with_tensors(
        positive, keyframe_tensors(positive, latent, 20, autoencoder=vae, images=image)
    )
    more = {"sound_autoencoder": vae, "audio": tone}
    clip = image.expand(25, -1, -1, -1)
    tensors = keyframe_tensors(once, latent, -22, autoencoder=vae, images=clip, **more)
    twice = with_tensors(once, tensors)
    assert tensors["condition 1 video"].shape == (1, 24, 7, 4, 4)
    # 22 frames to the end are 37 latent frames of sound.
    assert tensors["condition 1 sound"].shape == (1, 2, 37, 32)
    made = [sampled(model, 64, 64, frames=39, positive=each) for each in (positive, once, twice)]
    assert not torch.allclose(made[0].samples, made[1].samples, atol=1e-4)
    assert not torch.allclose(made[1].sound, made[2].sound, atol=1e-4)


def test_keyframes_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(minimax_h3)
    positive, vae = model.encode(PROMPT), model.part("vae")
    assert positive is not None
    image = as_tensor(picture(64, 64))
    latent = Latent(None, 64, 64, frames=22)
    with raises(InvalidValue, port="frame", given="22"):
        keyframe_tensors(positive, latent, 22, autoencoder=vae, images=image)
    with raises(InvalidValue, port="frame", given="5 frames at frame 18"):
        keyframe_tensors(positive, latent, 18, autoencoder=vae, images=image.expand(5, -1, -1, -1))
    with raises(InvalidValue, port="image"):
        keyframe_tensors(positive, latent, 0)
    tensors = keyframe_tensors(positive, latent, 21, autoencoder=vae, images=image)
    with raises(InvalidValue, port="positive", given="frame 21, (4, 4) in latent cells"):
        sampled(model, 64, 64, frames=5, positive=with_tensors(positive, tensors))
    with raises(InvalidValue, port="conditioning", given="wan"):
        keyframe_tensors(replace(positive, family="wan"), latent, 0)


class VideoProcessor:
    """Patches of a video as transformers' `Qwen3VLVideoProcessor` makes them, which needs
    torchvision: of two frames each, of colors in -1..1."""

    temporal_patch_size = 2

    def __call__(self, videos: list[Any], **_: Any) -> dict[str, Tensor]:
        (video,) = videos
        colours = torch.from_numpy(video).permute(0, 3, 1, 2).float() / 127.5 - 1
        count, _, height, width = colours.shape
        rows, columns = height // 16, width // 16
        cut = colours.reshape(count // 2, 2, 3, rows // 2, 2, 16, columns // 2, 2, 16)
        patches = cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(-1, 3 * 2 * 16 * 16)
        grid = torch.tensor([[count // 2, rows, columns]])
        return {"pixel_values_videos": patches, "video_grid_thw": grid}


def referring(stock: StockH3) -> StockH3:
    """The stock pipeline for references, of tiny sizes."""
    stepped = stepping(stock).components
    made = StockH3({**stepped, "transformer_ref": stepped["transformer"]})
    made.pipeline.update_components(reference_image_short_edge=64, canvas_short_edge=64)
    made.pipeline.processor.video_processor = VideoProcessor()
    return made


def test_videos_of_references_are_those_of_diffusers(model_of: ModelOf) -> None:
    """Up to the rounding of the colors of the reference video, which both compute another way."""
    pipeline, model = model_of(minimax_h3)
    image, wave = picture(96, 64), torch.rand(2, 8000, generator=torch.Generator().manual_seed(4))
    dots = np.random.default_rng(5).integers(0, 256, (27, 64, 64, 3), dtype=np.uint8)
    noise = torch.Generator().manual_seed(SEED)
    video = torch.randn(1, 24, 7, 4, 6, generator=noise)
    sound = torch.randn(2, sound_length(FRAMES), 32, generator=noise).transpose(1, 2)
    stock = referring(pipeline)
    for with_video in (False, True):
        theirs = [MiniMaxH3ImageReference(image=image)]
        ours = [MediaReference(as_tensor(image))]
        if with_video:
            theirs.append(MiniMaxH3VideoReference(frames=dots, audio=wave[:, :4000]))
            clip = torch.from_numpy(dots).float() / 255
            ours.append(MediaReference(clip, is_video=True, audio=Audio(wave[:, :4000], 32_000)))
        theirs.append(MiniMaxH3AudioReference(audio=wave))
        ours.append(MediaReference(None, audio=Audio(wave, 32_000)))
        state = made_by(
            stock,
            96,
            64,
            references=theirs,
            generator=torch.Generator().manual_seed(0),
            latents=video,
            audio_latents=sound,
        )
        fitted = fit_references(ours, Latent(None, 96, 64, frames=FRAMES), full_images=False)
        encoder, vae = model.part("text_encoder"), model.part("vae")
        positive = encode_media(encoder, PROMPT, [item.media for item in fitted])
        positive = with_tensors(positive, reference_tensors(fitted, vae, vae))
        found = sampled(model, 96, 64, positive=positive)
        compare = assert_near if with_video else assert_equal
        compare(parts_of(found), latents_of(state))


def test_references_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(ltx)
    latent, image = Latent(None, 64, 64, frames=22), torch.zeros(1, 64, 64, 3)
    sound = MediaReference(None, audio=Audio(torch.zeros(1, 100), 100))
    with raises(InvalidValue, port="images"):
        fit_references([sound], latent, full_images=False)
    with raises(InvalidValue, port="videos", given="4 frames"):
        short = MediaReference(image.expand(4, -1, -1, -1), is_video=True)
        fit_references([short], latent, full_images=False)
    with raises(InvalidValue, port="images", given="10"):
        fit_references([MediaReference(image)] * 10, latent, full_images=False)
    with raises(InvalidValue, port="encoder"):
        encode_media(model.part("text_encoder"), PROMPT, [])


@pytest.mark.parametrize(
    ("size", "is_video", "is_full", "fitted"),
    [
        ((640, 320), False, False, (96, 32)),
        ((32, 64), False, False, (32, 64)),
        ((96, 64), False, True, (3072, 2048)),
        ((64, 32), True, False, (64, 32)),
        ((1920, 1080), True, False, (1344, 768)),
    ],
)
def test_references_are_scaled(
    size: tuple[int, int], is_video: bool, is_full: bool, fitted: tuple[int, int]
) -> None:
    width, height = size
    frames = torch.zeros(5 if is_video else 1, height, width, 3)
    latent = Latent(None, 64, 64, frames=22)
    (found,) = fit_references([MediaReference(frames, is_video)], latent, full_images=is_full)
    assert found.frames is not None
    assert (found.frames.shape[2], found.frames.shape[1]) == fitted


def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(minimax_h3)
    parts = dict(stepping(pipeline).components)
    for name in ("text_encoder", "transformer"):
        kind = type(parts[name])
        parts[name] = kind.from_pretrained(model.folder, subfolder=name, dtype=torch.bfloat16)
    found = sampled(Model(model.folder, "bfloat16"), 64, 64)
    assert_equal(parts_of(found), latents_of(made_by(StockH3(parts), 64, 64)))


def test_images_are_videos_of_one_frame(model_of: ModelOf) -> None:
    _, model = model_of(minimax_h3)
    latent = sampled(model, 64, 64, frames=1)
    assert latent.samples is not None
    assert latent.samples.shape == (1, 24, 1, 4, 4)
    images = decode_latent(model.part("vae"), latent)
    assert images.shape == (1, 64, 64, 3)
    assert images.std() > 1e-3


def test_short_videos_are_decoded(model_of: ModelOf) -> None:
    """The stock autoencoder decodes no video of less than 22 frames."""
    _, model = model_of(minimax_h3)
    frames = decode_video(model.part("vae"), sampled(model, 64, 64, frames=5))
    assert frames.shape == (5, 64, 64, 3)


@pytest.mark.parametrize(
    ("frames", "latents"), [(1, 1), (5, 2), (22, 7), (39, 12), (124, 37), (362, 107)]
)
def test_frames_and_latent_frames(frames: int, latents: int) -> None:
    assert MINIMAX_H3_LATENTS.latent_frames(frames) == latents
    assert MINIMAX_H3_LATENTS.pixel_frames(latents) == frames_of_latents(latents) == frames
    assert MINIMAX_H3_LATENTS.nearest_frames(frames) == (frames,)


def test_other_numbers_of_frames_are_refused(model_of: ModelOf) -> None:
    assert MINIMAX_H3_LATENTS.nearest_frames(3) == (5, 22)
    assert MINIMAX_H3_LATENTS.nearest_frames(25) == (22, 39)
    _, model = model_of(minimax_h3)
    with raises(InvalidValue, port="latent", given="25 frames", expected="22 or 39"):
        sampled(model, 64, 64, frames=25)


def test_what_does_not_fit_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(minimax_h3)
    assert_refuses(model, near="64 x 64")
    prompt = model.encode(PROMPT)
    assert prompt is not None
    (entry,) = prompt.entries
    bare = replace(entry, tensors={"embeddings": entry.embeddings})
    with raises(InvalidValue, port="positive"):
        sampled(model, 64, 64, positive=replace(prompt, entries=(bare,)))
    sound = torch.zeros(1, 2, 37, 16)
    with raises(InvalidValue, port="latent", given="sound latents of shape (1, 2, 37, 16)"):
        sampled(model, 64, 64, latent=Latent(None, 64, 64, frames=22, sound=sound))


def test_sound_of_other_sizes_than_cells_fills_frames() -> None:
    layout = SoundLayout(2, 9, 2, 32)
    assert layout.joined_shape((1, 24, 2, 2, 2)) == (1, 24, 2 + 6, 2, 2)
    video, sound = torch.randn(1, 24, 2, 2, 2), torch.randn(1, 2, 9, 32)
    joined = layout.join(video, sound)
    assert joined.shape == (1, 24, 8, 2, 2)
    for found, expected in zip(layout.split(joined), (video, sound), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral", "heun", "uni_pc"])
def test_other_samplers_walk_video_and_sound(model_of: ModelOf, sampler: str) -> None:
    _, model = model_of(minimax_h3)
    for part in parts_of(sampled(model, 64, 64, sampler=sampler)):
        assert torch.isfinite(part).all()
        assert part.std() > 0.1


def test_video_and_sound_start_from_those_of_the_latent(model_of: ModelOf) -> None:
    _, model = model_of(minimax_h3)
    start = sampled(model, 64, 64)
    for before, near, far in zip(
        parts_of(start),
        *(
            parts_of(sampled(model, 64, 64, latent=start, denoise=share, seed=1, steps=8))
            for share in (0.125, 1.0)
        ),
        strict=True,
    ):
        assert (near - before).abs().mean() < (far - before).abs().mean() / 1.2


def test_sound_is_encoded_and_decoded(model_of: ModelOf) -> None:
    pipeline, model = model_of(minimax_h3)
    waveform = torch.rand(2, 4000, generator=torch.Generator().manual_seed(2)) - 0.5
    latent = encode_sound(model.part("vae"), Audio(waveform, 32_000))
    assert latent.sound is not None
    vae = pipeline.components["audio_vae"]
    mode = vae.encode(waveform[:, None]).latent_dist.mode()
    mean, deviation = (
        torch.tensor(vae.config[name]).view(1, -1, 1) for name in ("latents_mean", "latents_std")
    )
    assert torch.equal(latent.sound[0].transpose(1, 2), (mode - mean) / deviation)


def test_the_vae_of_sound_is_read_from_a_file_of_its_own(tmp_path: Path) -> None:
    """In ComfyUI's file, weights are not split into directions and lengths."""
    vae = sound_vae(latents_mean=SOUND_MEAN, latents_std=SOUND_DEVIATION).eval()
    vae.requires_grad_(False)
    tensors = {name: item.clone() for name, item in vae.state_dict().items()}
    for layer in vae.modules():
        if "weight_g" in layer._parameters:
            torch.nn.utils.remove_weight_norm(layer)
    whole = {**vae.state_dict(), "latents_mean": torch.tensor(SOUND_MEAN)}
    sound = torch.randn(1, 2, 3, 32, generator=torch.Generator().manual_seed(1))
    mean, deviation = (torch.tensor(each).view(1, -1, 1) for each in (SOUND_MEAN, SOUND_DEVIATION))
    expected = vae.decode(sound[0].transpose(1, 2) * deviation + mean).sample.permute(1, 0, 2)
    for name, items in (("folded", whole), ("split", tensors)):
        save_file(
            {key: item.contiguous() for key, item in items.items()},
            tmp_path / f"{name}.safetensors",
        )
        loaded = load_component(open_vae(name, [tmp_path]), "cpu")
        latent = Latent(None, 0, 0, format="minimax-h3", sound=sound)
        waveform = decode_sound(loaded, latent).waveform[None]
        torch.testing.assert_close(waveform, expected, rtol=0, atol=1e-6)
        assert waveform.std() > 1e-4


def test_an_encoder_cut_off_behind_the_layer_that_is_read_gives_the_same(tmp_path: Path) -> None:
    """As in ComfyUI's file of 50 layers, which needs no norm behind them."""
    whole = qwen3_vl(51).eval()
    layers = re.compile(r"layers\.(\d+)\.")
    tensors = {
        name: item.clone()
        for name, item in whole.state_dict().items()
        if not name.startswith("lm_head") and not name.endswith("language_model.norm.weight")
    }
    for name, most in (("cut", 50), ("short", 49)):
        kept = {
            key: item
            for key, item in tensors.items()
            if not (match := layers.search(key)) or int(match[1]) < most or "visual" in key
        }
        save_file(kept, tmp_path / f"{name}.safetensors")
    recipe = open_text_encoder("minimax-h3", {"file": "cut"}, [tmp_path], dtype="float32")
    encoder = load_component(recipe, "cpu")
    (entry,) = encode_prompt(encoder, f"{PROMPT} <d>hi</d>").entries
    ids = encoder.tokenizers["tokenizer"](f"{PROMPT} <d>hi</d>", add_special_tokens=False)
    tokens = torch.tensor([ids["input_ids"]])
    # MiniMax's own marks for speech are a token each.
    assert {151669, 151670} <= set(ids["input_ids"])
    with torch.no_grad():
        states = whole.base_model(tokens, output_hidden_states=True).hidden_states
    assert torch.equal(entry.embeddings, states[50])
    short = open_text_encoder("minimax-h3", {"file": "short"}, [tmp_path], dtype="float32")
    with raises(InvalidValue, port="encoder", given="49 layers"):
        encode_prompt(load_component(short, "cpu"), PROMPT)


def original(name: str) -> str:
    """The original name of a transformer's tensor."""
    block = next((part for part in name.split(".") if part.isdecimal()), "")
    for here, theirs in MINIMAX_H3.denoisers[0].files[0].names.table:
        layer = here.replace("*", block)
        if name == layer or name.startswith(f"{layer}."):
            return theirs.replace("*", block) + name.removeprefix(layer)
    return name


def written(network: Any) -> dict[str, Tensor]:
    """A transformer's tensors in the names of ComfyUI's file."""
    tensors: dict[str, Tensor] = {}
    parts: dict[str, list[Tensor]] = {}
    for name, item in network.state_dict().items():
        layer = name.removesuffix(".weight")
        if layer.endswith((".to_q", ".to_k", ".to_v")):
            parts.setdefault(f"{layer[:-5]}.{{to_q,to_k,to_v}}.weight", []).append(item)
        elif layer.endswith("ff.net.0.proj"):
            tensors[original(name)] = torch.cat(item.chunk(2)[::-1])
        else:
            tensors[original(name)] = item
    for name, items in parts.items():
        tensors[original(name)] = torch.cat(items)
    return {**tensors, "rope.inv_freq": network.rope.inv_freq}


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_file_of_the_original_names_is_read_as_diffusers_reads_it(
    tmp_path: Path, prefix: str
) -> None:
    network = transformer().eval()
    tensors = written(network)
    expected = converters.convert_minimax_h3_transformer_checkpoint_to_diffusers(
        dict(tensors), network.config
    )
    assert expected.keys() == network.state_dict().keys()
    prefixed = {f"{prefix}{name}": item.contiguous() for name, item in tensors.items()}
    save_file(prefixed, tmp_path / "h3.safetensors")
    shapes = {name: tuple(item.shape) for name, item in prefixed.items()}
    assert identify_tensors(shapes).title == "the transformer of MiniMax H3"
    request = DenoiserRequest(str(tmp_path / "h3.safetensors"))
    loaded = load_component(open_denoiser(request, []), "cpu").module
    for name, item in network.state_dict().items():
        assert torch.equal(expected[name], item), name
        assert torch.equal(loaded.state_dict()[name], item), name
    for name in network.config.keys() - {"_use_default_values"}:
        assert loaded.config[name] == network.config[name], name
