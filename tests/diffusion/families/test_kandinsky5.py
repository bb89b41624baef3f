"""Kandinsky 5 gives what diffusers' pipelines give, to the last bit.

The pipelines draw noise with channels last; they get it here as it is drawn for other models, with
channels first. They draw a random latent of an image, and get the most likely one here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Area, Conditioning, Latent
from nodegraph.diffusion import encode_image, encode_prompt, encode_video, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.conditionings import combine, with_area
from nodegraph.families.identification import identify_tensors
from nodegraph.families.kandinsky5_transformer import neighbours
from nodegraph.models.conditioning import (
    encode_edit,
    encode_prompts_per_encoder,
    with_references,
)
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.latents.video_frames import match_first_frames
from tests.messages import raises

from .checks import assert_like_stock, assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen_vl_text
from .late_start import late_start
from .parts import clip_text, flow, flux_vae
from .test_qwen_image_edit import PictureProcessor
from .words import clip_words, qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
PIPELINES = (
    *(d.Kandinsky5T2IPipeline, d.Kandinsky5I2IPipeline),
    *(d.Kandinsky5T2VPipeline, d.Kandinsky5I2VPipeline),
)


def transformer(*, visual_cond: bool = True, width: int = 64, **more: Any) -> Any:
    return d.Kandinsky5Transformer3DModel(
        in_visual_dim=16,
        in_text_dim=32,
        in_text_dim2=24,
        time_dim=16,
        out_visual_dim=16,
        model_dim=width,
        ff_dim=48,
        num_text_blocks=1,
        num_visual_blocks=2,
        axes_dims=(8, 12, 12),
        visual_cond=visual_cond,
        **more,
    )


def video_vae() -> Any:
    return d.AutoencoderKLHunyuanVideo(
        block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=4
    )


def pipeline_of(kind: Any, net: Any, vae: Any, shift: float) -> Any:
    words, clip = qwen_words(), clip_words()
    eye = tf.Qwen2VLImageProcessorPil(min_pixels=3136, max_pixels=12845056)
    processor = PictureProcessor(eye, words)
    encoders = qwen_vl_text(words), processor, clip_text(clip, 24), clip
    pipeline = kind(net, vae, *encoders, flow(shift=shift))
    if hasattr(pipeline, "resolutions"):
        pipeline.resolutions = [(64, 64), (96, 64), (64, 112)]
    return pipeline


def kandinsky5_image() -> Any:
    net = transformer(visual_cond=False)
    return pipeline_of(d.Kandinsky5T2IPipeline, net, flux_vae(), 3.0)


def kandinsky5_edit() -> Any:
    return pipeline_of(d.Kandinsky5I2IPipeline, transformer(), flux_vae(), 3.0)


def kandinsky5_video() -> Any:
    return pipeline_of(d.Kandinsky5T2VPipeline, transformer(), video_vae(), 5.0)


def plain_video() -> Any:
    """A model that takes the latent alone."""
    net = transformer(visual_cond=False)
    return pipeline_of(d.Kandinsky5T2VPipeline, net, video_vae(), 5.0)


def kandinsky5_i2v() -> Any:
    return pipeline_of(d.Kandinsky5I2VPipeline, transformer(), video_vae(), 5.0)


@pytest.fixture(autouse=True)
def noise_with_channels_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in PIPELINES:
        home = sys.modules[kind.__module__]
        usual = home.randn_tensor

        def drawn(shape: tuple[int, ...], usual: Any = usual, **options: Any) -> Tensor:
            return usual((shape[0], shape[-1], *shape[1:-1]), **options).movedim(1, -1).contiguous()

        monkeypatch.setattr(home, "randn_tensor", drawn)


class MostLikely:
    """An autoencoder of a stock pipeline that gives the most likely latent of each image."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def encode(self, pixels: Tensor) -> SimpleNamespace:
        modes = [self._vae.encode(item[None].contiguous()).latent_dist.mode() for item in pixels]
        mode = torch.cat(modes)
        return SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda generator: mode))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)


def as_images(pipeline: Any) -> Any:
    """A pipeline whose output has the usual name."""
    return lambda **called: SimpleNamespace(images=pipeline(**called).image)


def unpack_image(tokens: Tensor) -> Tensor:
    return tokens[:, 0].permute(0, 3, 1, 2)


def unpack_video(tokens: Tensor) -> Tensor:
    return tokens.permute(0, 4, 1, 2, 3)


def in_bfloat16(pipeline: Any, folder: Path) -> Any:
    """The stock pipeline with the networks of a folder."""
    networks = {
        role: type(part).from_pretrained(folder / role, dtype=torch.bfloat16).eval()
        for role, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    loaded = type(pipeline)(**{**pipeline.components, **networks})
    loaded.set_progress_bar_config(disable=True)
    if hasattr(pipeline, "resolutions"):
        loaded.resolutions = pipeline.resolutions
    return loaded


def test_images_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(kandinsky5_image)
    cases = (
        (64, 64, 1, None, 4.5),
        (96, 64, 3, NEGATIVE, 7.3),
        (64, 112, 1, None, 1.0),
    )
    assert_like_stock((as_images(pipeline), model), cases, unpack=lambda *_: unpack_image)


@pytest.mark.parametrize(
    "build", [kandinsky5_video, pytest.param(plain_video, marks=pytest.mark.slow)]
)
def test_videos_are_those_of_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    """The pipeline has a negative prompt of its own where there is none.

    It encodes a prompt once for several videos, which gives other last bits than one for each, as
    the pipeline of videos from images has it.
    """
    pipeline, model = model_of(build)
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    for width, frames, batch, negative, cfg in (
        (64, 5, 1, None, 5.0),
        (96, 9, 3, NEGATIVE, 7.3),
        (80, 1, 1, None, 1.0),
    ):
        options = {"batch": batch, "negative": negative}
        found = model.make(width, 64, frames=frames, cfg=cfg, **options)
        options |= {"width": width, "height": 64, "num_frames": frames, "guidance_scale": cfg}
        other.encode_prompt = partial(pipeline.encode_prompt, num_videos_per_prompt=batch)
        expected = stock(other, out="frames", **options)
        assert_same(found, expected, unpack_video, pixels=cfg == 5.0)


def shown(model: Model, image: Tensor, frames: int) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        tensors = encode_first_frame(model.part("vae"), prompt, image, frames)
        return with_tensors(prompt, tensors)

    return change


def test_videos_of_a_first_image_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(kandinsky5_i2v)
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.vae = MostLikely(pipeline.vae)
    other.normalize_first_frame = lambda latents: latents
    for width, frames, batch, cfg in ((64, 9, 1, 5.0), (96, 5, 3, 1.0)):
        drawn = picture(width, 64)
        change = shown(model, as_tensor(drawn), frames)
        found = model.make(
            width, 64, frames=frames, cfg=cfg, batch=batch, negative=NEGATIVE, change=change
        )
        size = {"width": width, "height": 64, "num_frames": frames}
        options = {"image": drawn, "guidance_scale": cfg, "negative": NEGATIVE, "batch": batch}
        expected = stock(other, out="frames", **size, **options)
        assert_same(found, expected, unpack_video, pixels=batch == 1)


def test_first_frames_are_matched_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(kandinsky5_i2v)
    drawn = picture(64, 64)
    change = shown(model, as_tensor(drawn), 25)
    found = model.make(64, 64, frames=25, cfg=1.0, change=change)
    latent = Latent(found.latents, 64, 64, frames=25, format="hunyuan-video")
    matched = match_first_frames(latent).samples
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.vae = MostLikely(pipeline.vae)
    size = {"width": 64, "height": 64, "num_frames": 25}
    expected = stock(other, out="frames", image=drawn, guidance_scale=1.0, **size)
    assert matched is not None
    assert torch.equal(matched, unpack_video(expected.latents))
    assert not torch.equal(matched, found.latents)


def edited(model: Model, drawn: Image.Image, size: tuple[int, int], **options: Any) -> Made:
    """An image made of one, as the nodes do it."""
    encoder, vae = model.part("text_encoder"), model.part("vae")
    sides = [encode_edit(encoder, text, [as_tensor(drawn)]) for text in (PROMPT, NEGATIVE)]
    brought = drawn.resize(size, resample=Image.Resampling.LANCZOS)
    latent = encode_image(vae, as_tensor(brought))
    positive, negative = (with_references(side, latent) for side in sides)
    return model.make(*size, change=lambda _: positive, away=negative, **options)


def test_an_area_that_is_sampled_alone_edits_its_part_of_the_image(model_of: ModelOf) -> None:
    """The transformer takes the image beside the latent, so both are cropped."""
    _, model = model_of(kandinsky5_edit)
    encoder, vae = model.part("text_encoder"), model.part("vae")
    drawn = as_tensor(picture(64, 64))
    prompt = with_references(encode_edit(encoder, PROMPT, [drawn]), encode_image(vae, drawn))
    part = with_area(prompt, Area(0.5, 0.0, 0.5, 1.0, "shares", 0.0, "area"))
    both = combine([prompt, part])
    plain, found = (
        model.make(64, 64, cfg=1.0, change=lambda _, each=each: each) for each in (prompt, both)
    )
    half = plain.latents.shape[-1] // 2
    assert torch.isfinite(found.latents).all()
    assert not torch.equal(found.latents[..., half:], plain.latents[..., half:])


@pytest.mark.parametrize(
    ("drawn", "size", "batch", "cfg"),
    [
        ((130, 90), (96, 64), 1, 4.0),
        pytest.param((64, 64), (64, 64), 3, 7.3, marks=pytest.mark.slow),
        pytest.param((90, 160), (64, 112), 1, 1.0, marks=pytest.mark.slow),
    ],
)
def test_edited_images_are_those_of_diffusers(
    model_of: ModelOf, drawn: tuple[int, int], size: tuple[int, int], batch: int, cfg: float
) -> None:
    """The pipeline makes one image of one, so several of them get as many images, one of which the
    encoder looks at."""
    pipeline, model = model_of(kandinsky5_edit)
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.vae, other.resolutions = MostLikely(pipeline.vae), pipeline.resolutions
    image = picture(*drawn)
    found = edited(model, image, size, batch=batch, cfg=cfg)
    called = {"guidance_scale": cfg, "negative": NEGATIVE, "batch": batch}
    other.encode_prompt = lambda image, **more: pipeline.encode_prompt(image=image[:1], **more)
    expected = stock(as_images(other), image=[image] * batch, **called)
    assert_same(found, expected, unpack_image, pixels=batch == 1 and cfg > 1)


STRENGTHS = (
    pytest.param(0.13, 1, marks=pytest.mark.slow),
    (0.5, 4),
    pytest.param(0.99, 7, marks=pytest.mark.slow),
)
"""How much of eight steps is walked, and how many that are."""


@pytest.mark.parametrize(("denoise", "walked"), STRENGTHS)
def test_the_last_steps_from_an_image_are_diffusers(
    model_of: ModelOf, denoise: float, walked: int
) -> None:
    pipeline, model = model_of(kandinsky5_image)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    assert latent.samples is not None
    found = model.make(96, 64, latent=latent, cfg=4.0, steps=8, denoise=denoise)
    called = {"width": 96, "height": 64, "guidance_scale": 4.0, "steps": 8}
    with late_start(pipeline, walked) as noised:
        stock(as_images(pipeline), **called)
        start = noised(latent.samples)[:, None].permute(0, 1, 3, 4, 2)
        expected = stock(as_images(pipeline), latents=start.contiguous(), **called)
    assert_same(found, expected, unpack_image)


def film() -> Tensor:
    drawn = as_tensor(picture(96, 64))
    return torch.cat([drawn.roll(shift, 2) for shift in range(9)])


@pytest.mark.parametrize(("denoise", "walked"), STRENGTHS)
def test_the_last_steps_from_a_video_are_diffusers(
    model_of: ModelOf, denoise: float, walked: int
) -> None:
    pipeline, model = model_of(kandinsky5_video)
    latent = encode_video(model.part("vae"), film())
    assert latent.samples is not None
    found = model.make(96, 64, latent=latent, cfg=4.0, steps=8, denoise=denoise)
    called = {"width": 96, "height": 64, "num_frames": 9, "guidance_scale": 4.0, "steps": 8}
    with late_start(pipeline, walked) as noised:
        stock(pipeline, out="frames", **called)
        start = noised(latent.samples).permute(0, 2, 3, 4, 1)
        # The pipeline adds an empty image and mask to noise alone.
        start = torch.cat([start, torch.zeros_like(start), torch.zeros_like(start[..., :1])], -1)
        expected = stock(pipeline, out="frames", latents=start, **called)
    assert_same(found, expected, unpack_video)


@pytest.mark.parametrize(
    "text",
    ["", "cat " * 600, "a &amp; b\n\n  c", "ein schöner “Tag”"],
    ids=["empty", "long", "entities", "unicode"],
)
@pytest.mark.parametrize("build", [kandinsky5_image, kandinsky5_video])
def test_prompts_are_read_as_by_diffusers(
    model_of: ModelOf, build: Callable[[], Any], text: str
) -> None:
    pipeline, model = model_of(build)
    warnings: list[str] = []
    with torch.no_grad():
        states, pooled, _ = pipeline.encode_prompt(text)
    (entry,) = encode_prompt(model.part("text_encoder"), text, warn=warnings.append).entries
    assert torch.equal(entry.embeddings, states)
    assert torch.equal(entry.tensors["pooled"], pooled)
    if build is kandinsky5_image:
        assert len(warnings) == (len(text) > 600)


def test_a_long_prompt_beside_an_image_is_cut_before_the_image(model_of: ModelOf) -> None:
    """The pipeline cuts the image's own tokens away, and fails."""
    _, model = model_of(kandinsky5_edit)
    warnings: list[str] = []
    image = [as_tensor(picture(64, 64))]
    encoder = model.part("text_encoder")
    (entry,) = encode_edit(encoder, "cat " * 1000, image, warn=warnings.append).entries
    assert entry.embeddings.shape[1] == 1024
    assert len(warnings) == 1


def assert_like_bfloat16(model: Model, loaded: Any, width: int, **options: Any) -> None:
    """A video or an image in bfloat16, as the stock pipeline makes it."""
    frames = options.pop("frames", None)
    called = {"width": width, "height": 64, "guidance_scale": 4.5, "negative": NEGATIVE, **options}
    size = {} if frames is None else {"frames": frames}
    found = Model(model.folder, "bfloat16").make(width, 64, cfg=4.5, negative=NEGATIVE, **size)
    if frames is None:
        expected = unpack_image(stock(as_images(loaded), **called).latents)
    else:
        called["num_frames"] = frames
        expected = unpack_video(stock(loaded, out="frames", **called).latents)
    assert torch.equal(found.latents, expected.float())


@pytest.mark.parametrize(("build", "frames"), [(kandinsky5_image, None), (kandinsky5_video, 5)])
def test_bfloat16_is_diffusers(
    model_of: ModelOf, build: Callable[[], Any], frames: int | None
) -> None:
    pipeline, model = model_of(build)
    assert_like_bfloat16(model, in_bfloat16(pipeline, model.folder), 64, frames=frames)


def flexible(**more: Any) -> Any:
    """A transformer that attends by FlexAttention."""
    net = transformer(**more)
    for block in net.visual_transformer_blocks:
        block.self_attention.processor._attention_backend = "flex"
    return net


def long_video() -> Any:
    """A model of long videos, which attends to a part of the video."""
    net = flexible(
        attention_type="nabla",
        attention_P=0.3,
        attention_wT=3,
        attention_wH=1,
        attention_wW=1,
        attention_add_sta=True,
        attention_method="topcdf",
    )
    return pipeline_of(d.Kandinsky5T2VPipeline, net, video_vae(), 5.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:flex_attention called without")
def test_long_videos_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(long_video)
    found = model.make(256, 128, frames=9, cfg=4.0, negative=NEGATIVE)
    called = {"width": 256, "height": 128, "num_frames": 9, "guidance_scale": 4.0}
    expected = stock(pipeline, out="frames", negative=NEGATIVE, **called)
    assert_same(found, expected, unpack_video)
    other = type(pipeline)(**{**pipeline.components, "transformer": flexible()})
    other.transformer.load_state_dict(pipeline.transformer.state_dict())
    other.set_progress_bar_config(disable=True)
    whole = stock(other, out="frames", negative=NEGATIVE, **called)
    assert not torch.equal(found.latents, unpack_video(whole.latents))
    with raises(InvalidValue, port="latent", given="144 x 128"):
        model.make(144, 128, frames=9, cfg=1.0)


def test_blocks_have_the_neighbours_of_diffusers() -> None:
    for blocks, reach in (((4, 3, 5), (3, 1, 3)), ((2, 1, 1), (11, 3, 3)), ((5, 4, 2), (1, 3, 1))):
        found = neighbours(blocks, reach, torch.device("cpu"))
        expected = d.Kandinsky5T2VPipeline.fast_sta_nabla(*blocks, *reach, device="cpu")
        assert torch.equal(found, expected)


def test_what_does_not_fit_is_refused(model_of: ModelOf) -> None:
    _, images = model_of(kandinsky5_image)
    _, edits = model_of(kandinsky5_edit)
    _, plain = model_of(plain_video)
    _, videos = model_of(kandinsky5_video)
    assert_samples_by(images, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(images, near="64 x 64")
    with raises(InvalidValue, port="positive", given="0 reference latents"):
        edits.make(64, 64, cfg=1.0)
    with raises(InvalidValue, port="positive", given="(8, 8) in latent cells"):
        edited(edits, picture(64, 64), (64, 64), latent=Latent(None, 96, 64), cfg=1.0)
    with raises(InvalidValue, port="images", given="2 images"):
        encode_edit(edits.part("text_encoder"), PROMPT, [torch.zeros(2, 64, 64, 3)])
    with raises(InvalidValue, port="text", given="<|image_pad|>"):
        encode_edit(edits.part("text_encoder"), "<|image_pad|>", [torch.zeros(1, 64, 64, 3)])
    with raises(InvalidValue, port="latent"):
        images.make(4096, 64, cfg=1.0)
    change = shown(plain, as_tensor(picture(64, 64)), 5)
    with raises(InvalidValue, port="positive"):
        plain.make(64, 64, frames=5, cfg=1.0, change=change)
    with raises(InvalidValue, port="positive"):
        videos.make(96, 64, frames=5, cfg=1.0, change=shown(videos, torch.zeros(1, 64, 64, 3), 5))


def test_a_video_goes_on_from_several_frames(model_of: ModelOf) -> None:
    _, model = model_of(kandinsky5_i2v)
    begin = film()[:5]
    change = shown(model, begin, 9)
    found = model.make(96, 64, frames=9, cfg=1.0, change=change).latents
    kept = encode_video(model.part("vae"), begin).samples
    assert kept is not None
    assert torch.equal(found[:, :, :2], kept)


def test_each_encoder_may_read_a_text_of_its_own(model_of: ModelOf) -> None:
    _, model = model_of(kandinsky5_image)
    encoder = model.part("text_encoder")
    (both,) = encode_prompts_per_encoder(encoder, ["cat", "dog"]).entries
    (cat,), (dog,) = (encode_prompt(encoder, text).entries for text in ("cat", "dog"))
    assert torch.equal(both.embeddings, cat.embeddings)
    assert torch.equal(both.tensors["pooled"], dog.tensors["pooled"])


@pytest.mark.parametrize(
    ("build", "title"),
    [
        (kandinsky5_image, "the transformer of Kandinsky 5 Image"),
        (kandinsky5_video, "the transformer of Kandinsky 5 Video"),
    ],
)
def test_a_file_of_its_transformer_is_the_folders(
    model_of: ModelOf, tmp_path: Path, build: Callable[[], Any], title: str
) -> None:
    """Published files and those for ComfyUI have diffusers' names."""
    _, model = model_of(build)
    own = model.part("model").module
    tensors = own.state_dict()
    file = tmp_path / "kandinsky5.safetensors"
    save_file(tensors, file)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == title
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    found = loaded.module.state_dict()
    assert found.keys() == tensors.keys()
    assert all(torch.equal(item, tensors[name]) for name, item in found.items())
    stated = [name for name in own.config if not name.startswith(("_", "attention_"))]
    for name in stated:
        value = loaded.config[name]
        assert (list(value) if isinstance(value, tuple) else value) == own.config[name], name
    assert loaded.scheduler_config["shift"] == (3.0 if build is kandinsky5_image else 10.0)


def test_a_wide_transformer_that_takes_an_image_is_for_edits() -> None:
    with torch.device("meta"):
        net = transformer(width=2560)
    shapes = {name: tuple(item.shape) for name, item in net.state_dict().items()}
    assert identify_tensors(shapes).title == "the transformer of Kandinsky 5 Edit"
