"""CogVideoX gives what diffusers' pipelines give, to the last bit.

The pipelines draw noise with frames before channels. Here their noise is drawn as nodegraph draws
it and turned, which changes no other bit.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
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
from nodegraph.families.image_conditioning import CONTROL_LATENTS, REFERENCE_LATENT
from nodegraph.families.noise import NoiseSchedule
from nodegraph.media.images.images import to_pil
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import (
    ControlVideo,
    encode_control_video,
    encode_first_frame,
    encode_vace,
)
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
    "diffusers.pipelines.cogvideo.pipeline_cogvideox_fun_control",
    "diffusers.schedulers.scheduling_dpm_cogvideox",
)


@pytest.fixture(autouse=True)
def as_nodegraph_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise in nodegraph's order, and the most likely latents, which draw none."""

    def drawn(shape: Any, generator: Any = None, dtype: Any = None, **_: Any) -> Tensor:
        batch, frames, channels, *sides = shape
        generators = generator if isinstance(generator, list) else [generator]
        each = batch // len(generators)
        parts = [torch.randn((each, channels, frames, *sides), generator=g) for g in generators]
        return torch.cat(parts).transpose(1, 2).contiguous().to(dtype)

    for home in HOMES:
        monkeypatch.setattr(importlib.import_module(home), "randn_tensor", drawn)
    monkeypatch.setattr(
        DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode()
    )


def transformer(
    *, rotary: bool, frames: int | None = None, image: bool = False, follows: bool = False
) -> Any:
    return d.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=32 if image or follows else 16,
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


def fun_control(*, rotary: bool = True, frames: int | None = None) -> Any:
    network = transformer(rotary=rotary, frames=frames, follows=True)
    return d.CogVideoXFunControlPipeline(**parts(network, vae(), schedule(shift=1.0)))


def fun_control_2b() -> Any:
    return fun_control(rotary=False)


def fun_control_one_five() -> Any:
    return fun_control(frames=2)


def unpack(found: Made) -> Callable[[Tensor], Tensor]:
    """Turns a pipeline's latents, which have the frame that is dropped before decoding."""
    frames = found.latents.shape[2]
    return lambda latents: latents.transpose(1, 2)[:, :, -frames:]


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
        pytest.param(
            cogvideox, 80, 17, 3, PROMPT, NEGATIVE, 7.3, id="2b-batch", marks=pytest.mark.slow
        ),
        pytest.param(cogvideox, 48, 1, 1, LONG, "", 1.0, id="2b-image"),
        pytest.param(cogvideox, 48, 8, 1, PROMPT, None, 0.0, id="2b-eight", marks=pytest.mark.slow),
        pytest.param(five_b, 64, 9, 1, PROMPT, None, 6.0, id="5b"),
        pytest.param(five_b, 80, 17, 2, LONG, NEGATIVE, 3.0, id="5b-batch", marks=pytest.mark.slow),
        pytest.param(
            one_five, 80, 16, 1, PROMPT, NEGATIVE, 6.0, id="1.5-even", marks=pytest.mark.slow
        ),
        pytest.param(one_five, 64, 9, 2, PROMPT, NEGATIVE, 6.0, id="1.5"),
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
    assert_same(found, expected, unpack(found), pixels=batch == 1)


def film(frames: int, width: int = 64) -> Tensor:
    drawn = as_tensor(picture(width, 64))
    return torch.cat([drawn.roll(place, 2) for place in range(frames)])


def shown(model: Model, image: Tensor, frames: int) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        return with_tensors(prompt, encode_first_frame(model.part("vae"), prompt, image, frames))

    return change


@pytest.mark.parametrize(
    ("build", "width", "frames", "batch", "cfg"),
    [
        pytest.param(five_b_image, 64, 9, 1, 6.0, id="5b"),
        pytest.param(five_b_image, 64, 17, 1, 1.0, id="5b-long", marks=pytest.mark.slow),
        pytest.param(one_five_image, 64, 9, 1, 6.0, id="1.5"),
        pytest.param(one_five_image, 80, 16, 2, 3.0, id="1.5-batch", marks=pytest.mark.slow),
    ],
)
def test_videos_of_a_first_image_are_those_of_diffusers(
    model_of: ModelOf, build: Callable[[], Any], width: int, frames: int, batch: int, cfg: float
) -> None:
    """Several videos of 5B are one by one: the pipeline fails with several of an image."""
    pipeline, model = model_of(build)
    image = film(1, width)
    both = {"batch": batch, "negative": NEGATIVE, "steps": 3}
    sampler = SAMPLERS.get(build, "ddim")
    change = shown(model, image, frames)
    found = model.make(width, 64, frames=frames, cfg=cfg, sampler=sampler, change=change, **both)
    called = {"width": width, "height": 64, "num_frames": frames, "guidance_scale": cfg}
    called["image"] = to_pil(image) if batch == 1 else [to_pil(image)] * batch
    assert_same(found, by_stock(pipeline, **both, **called), unpack(found), pixels=batch == 1)


def edits(pipeline: Any) -> Any:
    """The pipeline of the same model for videos."""
    made = d.CogVideoXVideoToVideoPipeline(**pipeline.components)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize(
    ("build", "strength", "frames"),
    [
        pytest.param(cogvideox, 0.13, 9, id="2b-little", marks=pytest.mark.slow),
        pytest.param(cogvideox, 0.5, 17, id="2b-half"),
        pytest.param(cogvideox, 0.99, 9, id="2b-most", marks=pytest.mark.slow),
        pytest.param(five_b, 0.5, 9, id="5b", marks=pytest.mark.slow),
        pytest.param(one_five, 0.5, 16, id="1.5", marks=pytest.mark.slow),
    ],
)
def test_videos_of_videos_are_those_of_diffusers(
    model_of: ModelOf, build: Callable[[], Any], strength: float, frames: int
) -> None:
    pipeline, model = model_of(build)
    video = film(frames)
    latent = encode_video(model.part("vae"), video)
    sampler = SAMPLERS.get(build, "ddim")
    options = {"negative": NEGATIVE, "steps": 8}
    found = model.make(64, 64, latent=latent, cfg=4.0, sampler=sampler, denoise=strength, **options)
    called = {"width": 64, "height": 64, "guidance_scale": 4.0, "strength": strength}
    called["video"] = [to_pil(frame[None]) for frame in video]
    assert_same(found, by_stock(edits(pipeline), **options, **called), unpack(found), pixels=True)


@pytest.mark.slow
@pytest.mark.parametrize("build", [cogvideox, five_b])
def test_bfloat16_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    _, model = model_of(build)
    pipeline = d.CogVideoXPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    options: dict[str, Any] = {"negative": NEGATIVE, "steps": 3}
    sampler = SAMPLERS.get(build, "ddim")
    coarse = Model(model.folder, "bfloat16")
    found = coarse.make(64, 64, frames=9, cfg=6.0, sampler=sampler, **options)
    called = {"width": 64, "height": 64, "num_frames": 9, "guidance_scale": 6.0}
    expected = by_stock(pipeline, **options, **called)
    assert torch.equal(found.latents, unpack(found)(expected.latents).float())


@pytest.mark.parametrize("kind", [d.CogVideoXDDIMScheduler, d.CogVideoXDPMScheduler])
@pytest.mark.parametrize("zero_snr", [True, False])
def test_noise_levels_are_those_of_diffusers(kind: Any, zero_snr: bool) -> None:
    named = {"_class_name": kind.__name__}
    for shift in (1.0, 3.0):
        stock_scheduler = kind(rescale_betas_zero_snr=zero_snr, snr_shift_scale=shift)
        noise = NoiseSchedule.from_config({**stock_scheduler.config, **named})
        assert torch.equal(noise.alphas_cumprod, stock_scheduler.alphas_cumprod)
    assert torch.equal(NoiseSchedule.from_config(named).alphas_cumprod, kind().alphas_cumprod)


def test_what_is_encoded_is_the_most_likely(model_of: ModelOf) -> None:
    pipeline, model = model_of(cogvideox)
    pixels = (film(9) * 2 - 1).movedim(-1, 0)[None].contiguous()
    with torch.no_grad():
        mode = pipeline.vae.encode(pixels).latent_dist.mode()
    found = encode_video(model.part("vae"), film(9)).samples
    assert found is not None
    assert torch.equal(found, mode * 1.15258426)


@pytest.mark.parametrize("frames", [1, 8, 9, 16, 17, 24, 25])
def test_frames_come_back_in_the_same_number(model_of: ModelOf, frames: int) -> None:
    _, model = model_of(cogvideox)
    latent = encode_video(model.part("vae"), film(frames, 16)[:, :16])
    assert latent.samples is not None
    assert latent.samples.shape[2] == COGVIDEOX_LATENTS.latent_frames(frames)
    assert COGVIDEOX_LATENTS.pixel_frames(latent.samples.shape[2]) == frames
    assert Made(latent.samples, lambda: model._films(latent)).pixels.shape[1] == frames


@pytest.mark.parametrize(
    ("frames", "nearest"), [(5, "1 or 8"), (13, "9 or 16"), (48, None), (50, "49 or 56")]
)
def test_other_numbers_of_frames_are_refused(
    model_of: ModelOf, frames: int, nearest: str | None
) -> None:
    _, model = model_of(cogvideox)
    if nearest is None:
        assert COGVIDEOX_LATENTS.nearest_frames(frames) == (frames,)
        return
    with pytest.raises(InvalidValue, match=rf"8k or 8k \+ 1 frames.*expected: {nearest}"):
        model.make(64, 64, frames=frames, cfg=1.0)


def test_what_does_not_fit_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(cogvideox)
    assert_refuses(model, near="64 x 64")
    image = film(1)
    with pytest.raises(InvalidValue, match="text-to-video, and the conditioning has a first image"):
        model.make(64, 64, frames=9, cfg=1.0, change=shown(model, image, 9))
    _, of_images = model_of(five_b_image)
    with pytest.raises(
        InvalidValue, match="image-to-video, and the conditioning has no first image"
    ):
        of_images.make(64, 64, frames=9, cfg=1.0)
    change = shown(of_images, film(1, 80), 9)
    with pytest.raises(InvalidValue, match=r"learned the positions of one size.*expected: 64 x 64"):
        of_images.make(80, 64, frames=9, cfg=1.0, change=change)


def test_videos_of_an_odd_length_start_from_noise_in_1_5(model_of: ModelOf) -> None:
    """So it is in the pipeline, which refuses them, too."""
    _, model = model_of(one_five)
    latent = encode_video(model.part("vae"), film(9))
    with pytest.raises(InvalidValue, match=r"starts from an empty latent.*the latent of 8 frames"):
        model.make(64, 64, latent=latent, cfg=1.0, denoise=0.5)


def test_kept_parts_stay(model_of: ModelOf) -> None:
    _, model = model_of(cogvideox)
    latent = encode_video(model.part("vae"), film(9))
    mask = torch.zeros(1, 64, 64)
    mask[..., 32:] = 1
    masked: Latent = replace(latent, noise_mask=mask)
    found = model.make(64, 64, latent=masked, cfg=4.0, sampler="ddim", steps=3).latents
    assert latent.samples is not None
    difference = (found - latent.samples).abs()
    kept, changed = difference[..., :4], difference[..., 4:]
    assert float(kept.max()) < 1e-6 < float(changed.mean())


@pytest.mark.slow
def test_other_samplers(model_of: ModelOf) -> None:
    _, model = model_of(cogvideox)
    named = {"dpmpp_2m": "normal", "euler": "karras", "heun": "beta", "uni_pc": "sgm_uniform"}
    assert_samples_by(model, {**named, "cogvideox_dpm": "simple", "ddpm": "normal"})


@pytest.mark.parametrize("build", [five_b, five_b_image, fun_control, one_five, one_five_image])
def test_a_transformer_in_one_file_is_read(tmp_path: Path, build: Callable[[], Any]) -> None:
    network = build().transformer
    tensors = dict(network.state_dict())
    if network.config.use_learned_positional_embeddings:
        # As published, of 49 frames of 720 x 480.
        tensors["patch_embed.pos_embedding"] = torch.rand(1, 226 + 13 * 30 * 45, 32)
    tensors = {f"model.diffusion_model.{name}": item for name, item in tensors.items()}
    file = tmp_path / "cogvideox.safetensors"
    save_file(tensors, file)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of CogVideoX 5B or 1.5"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu").module
    for name, value in network.config.items():
        if not name.startswith(("_", "sample_")):
            assert loaded.config[name] == value, name
    for name, item in loaded.state_dict().items():
        assert torch.equal(item, tensors[f"model.diffusion_model.{name}"]), name


def led(model: Model, video: Tensor, frames: int) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        return with_tensors(prompt, encode_control_video(model.part("vae"), prompt, video, frames))

    return change


@pytest.mark.parametrize(
    ("build", "width", "frames", "batch", "prompt", "negative", "cfg"),
    [
        pytest.param(fun_control, 64, 9, 1, PROMPT, None, 6.0, id="5b"),
        pytest.param(
            fun_control, 80, 17, 3, LONG, NEGATIVE, 7.3, id="5b-batch", marks=pytest.mark.slow
        ),
        pytest.param(fun_control, 48, 8, 1, PROMPT, "", 1.0, id="5b-1", marks=pytest.mark.slow),
        pytest.param(fun_control, 48, 1, 1, PROMPT, None, 0.0, id="5b-0", marks=pytest.mark.slow),
        pytest.param(fun_control_2b, 80, 9, 1, PROMPT, NEGATIVE, 6.0, id="2b"),
        pytest.param(fun_control_one_five, 80, 16, 1, PROMPT, NEGATIVE, 6.0, id="1.5"),
        pytest.param(
            fun_control_one_five, 64, 8, 2, PROMPT, None, 3.0, id="1.5-two", marks=pytest.mark.slow
        ),
    ],
)
def test_videos_of_control_videos_are_those_of_diffusers(
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
    video = film(frames, width)
    both = {"batch": batch, "prompt": prompt, "negative": negative, "steps": 3}
    change = led(model, video, frames)
    found = model.make(width, 64, frames=frames, cfg=cfg, sampler="ddim", change=change, **both)
    called = {"width": width, "height": 64, "guidance_scale": cfg}
    called["control_video"] = [[to_pil(frame[None]) for frame in video]] * batch
    assert_same(found, by_stock(pipeline, **both, **called), unpack(found), pixels=batch == 1)


@pytest.mark.slow
def test_control_videos_in_bfloat16_are_those_of_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(fun_control)
    pipeline = d.CogVideoXFunControlPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    coarse, video = Model(model.folder, "bfloat16"), film(9)
    options: dict[str, Any] = {"negative": NEGATIVE, "steps": 3}
    change = led(coarse, video, 9)
    found = coarse.make(64, 64, frames=9, cfg=6.0, sampler="ddim", change=change, **options)
    called = {"width": 64, "height": 64, "guidance_scale": 6.0}
    called["control_video"] = [to_pil(frame[None]) for frame in video]
    expected = by_stock(pipeline, **options, **called)
    assert torch.equal(found.latents, unpack(found)(expected.latents).float())


def test_a_short_control_video_ends_in_zeros(model_of: ModelOf) -> None:
    _, model = model_of(fun_control)
    prompt, coder = model.encode(PROMPT), model.part("vae")
    assert prompt is not None
    latents = encode_control_video(coder, prompt, film(12), 17)[CONTROL_LATENTS]
    assert latents.shape == (1, 16, 5, 8, 8)
    assert torch.equal(latents[:, :, :3], encode_video(coder, film(9)).samples)
    assert not latents[:, :, 3:].any()


def test_control_videos_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(fun_control)
    with pytest.raises(InvalidValue, match="follows a control video, and the conditioning has non"):
        model.make(64, 64, frames=9, cfg=1.0)
    with pytest.raises(InvalidValue, match=r"another size or length.*expected: \(3, 8, 8\)"):
        model.make(64, 64, frames=9, cfg=1.0, change=led(model, film(9, 80), 9))
    _, one = model_of(fun_control_one_five)
    with pytest.raises(InvalidValue, match=r"1\.5 follows control videos of an even number"):
        one.make(64, 64, frames=9, cfg=1.0, change=led(one, film(9), 9))


@pytest.mark.parametrize("build", [cogvideox, five_b_image, one_five_image])
def test_other_models_refuse_control_videos(model_of: ModelOf, build: Callable[[], Any]) -> None:
    _, model = model_of(build)
    change = led(model, film(8), 8)
    with pytest.raises(InvalidValue, match="follows no control video, and the conditioning has o"):
        model.make(64, 64, frames=8, cfg=1.0, change=change)


@pytest.mark.parametrize("port", ["image", "reference"])
def test_control_videos_have_no_images_beside_them(model_of: ModelOf, port: str) -> None:
    _, model = model_of(fun_control)
    prompt, coder = model.encode(PROMPT), model.part("vae")
    assert prompt is not None
    with raises(InvalidValue, port=port):
        encode_control_video(coder, prompt, film(9), 9, **{port: film(1)})


def test_control_models_refuse_other_conditions(model_of: ModelOf) -> None:
    _, model = model_of(fun_control)
    prompt, coder = model.encode(PROMPT), model.part("vae")
    assert prompt is not None
    follows = encode_control_video(coder, prompt, film(9), 9)
    others = {
        "is text-to-video, and the cond": encode_first_frame(coder, prompt, film(1), 9),
        "is not Wan VACE": encode_vace(coder, prompt, ControlVideo(64, 64, 9)),
        "takes no reference image": {REFERENCE_LATENT: torch.zeros(1, 16, 1, 8, 8)},
    }
    for message, tensors in others.items():
        both = partial(with_tensors, tensors={**follows, **tensors})
        with pytest.raises(InvalidValue, match=message):
            model.make(64, 64, frames=9, cfg=1.0, change=both)
