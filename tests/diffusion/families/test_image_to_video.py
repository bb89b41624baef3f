"""Videos of a first image are those of diffusers' pipelines, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from copy import copy
from types import SimpleNamespace
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Area, Conditioning
from nodegraph.errors import InvalidValue
from nodegraph.families.conditionings import combine, with_area
from nodegraph.families.image_conditioning import (
    CONDITION_VIDEO,
    FIRST_FRAME,
    IMAGE_EMBEDS,
    mask_and_video,
)
from nodegraph.families.model_step import Moment
from nodegraph.media.images.images import to_pil
from nodegraph.models.image_to_video import (
    embed_first_frame,
    encode_control_video,
    encode_first_frame,
)
from nodegraph.models.loading import load_component
from nodegraph.models.model_recipes import open_model
from nodegraph.models.offloading import small_footprint
from nodegraph.models.vae import encode_video
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.sampling_parts import GuiderChoice
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, assert_same, stock
from .video_models import (
    ltx_i2v,
    wan,
    wan22_5b_i2v,
    wan22_5b_inpaint,
    wan22_i2v,
    wan_control,
    wan_flf,
    wan_i2v,
)

ModelOf = Callable[[Callable[[], Any]], Pair]


def picture(width: int, height: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (1, height, width, 3), generator=generator) / 255


def shown(
    model: Model, image: Tensor, frames: int, *, eye: bool = False, last: Tensor | None = None
) -> Callable[[Conditioning], Conditioning]:
    def change(given: Conditioning) -> Conditioning:
        tensors = encode_first_frame(model.part("vae"), given, image, frames, last)
        if eye:
            tensors |= embed_first_frame(model.part("text_encoder"), image, last)
        return with_tensors(given, tensors)

    return change


@pytest.mark.parametrize(
    ("build", "side", "batch"),
    [
        (wan_i2v, 16, 1),
        pytest.param(wan22_i2v, 16, 2, marks=pytest.mark.slow),
        (wan22_5b_i2v, 32, 1),
        pytest.param(wan22_5b_i2v, 32, 3, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "cases",
    [
        ((6, 9, NEGATIVE, 5.0), (4, 5, None, 1.0)),
        pytest.param(((5, 9, NEGATIVE, 7.3), (7, 5, NEGATIVE, 0.0)), marks=pytest.mark.slow),
    ],
)
def test_videos_of_wan(
    model_of: ModelOf, build: Callable[[], Any], side: int, batch: int, cases: Any
) -> None:
    pipeline, model = model_of(build)
    for columns, frames, negative, cfg in cases:
        width, height = columns * side, 4 * side
        image = picture(width, height)
        change = shown(model, image, frames, eye=build is wan_i2v)
        options = {"batch": batch, "negative": negative, "steps": 3}
        found = model.make(
            width, height, frames=frames, cfg=cfg, sampler="uni_pc", change=change, **options
        )
        size = {"width": width, "height": height, "num_frames": frames}
        options |= {"guidance_scale": cfg, "image": to_pil(image)}
        expected = stock(pipeline, out="frames", **size, **options)
        assert_same(found, expected, pixels=frames == 5)


@pytest.mark.slow
@pytest.mark.parametrize(("build", "side"), [(wan22_i2v, 64), (wan22_5b_i2v, 128)])
def test_in_bfloat16_as_diffusers(model_of: ModelOf, build: Callable[[], Any], side: int) -> None:
    _, model = model_of(build)
    pipeline = d.WanImageToVideoPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    half, image = Model(model.folder, "bfloat16"), picture(side, side)
    options = {"negative": NEGATIVE, "steps": 3}
    change = shown(half, image, 5)
    found = half.make(side, side, frames=5, cfg=5.0, sampler="uni_pc", change=change, **options)
    size = {"width": side, "height": side, "num_frames": 5, "guidance_scale": 5.0}
    expected = stock(pipeline, out="frames", image=to_pil(image), **size, **options)
    assert torch.equal(found.latents, expected.latents.float())


@pytest.mark.parametrize("build", [wan_flf, pytest.param(wan22_i2v, marks=pytest.mark.slow)])
def test_videos_between_two_images(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    image, last = picture(96, 64), picture(96, 64).flip(1)
    for frames, negative, cfg in ((9, NEGATIVE, 5.0), (5, None, 1.0)):
        change = shown(model, image, frames, eye=build is wan_flf, last=last)
        options = {"batch": 1, "negative": negative, "steps": 3}
        found = model.make(
            96, 64, frames=frames, cfg=cfg, sampler="uni_pc", change=change, **options
        )
        size = {"width": 96, "height": 64, "num_frames": frames}
        images = {"image": to_pil(image), "last_image": to_pil(last)}
        expected = stock(pipeline, out="frames", guidance_scale=cfg, **size, **options, **images)
        assert_same(found, expected, pixels=frames == 5)


class WithFilm(torch.nn.Module):
    """A network that is shown a film after its mask, which the stock pipeline doesn't know."""

    def __init__(self, network: Any, film: Tensor, seen: Tensor | None = None) -> None:
        super().__init__()
        self.network, self.film, self.seen = network, film, seen
        self.dtype, self.device = network.dtype, network.device
        made = {"in_channels": network.config["out_channels"]}
        self.config = SimpleNamespace(**{**network.config, **made})
        self.cache_context = network.cache_context

    def forward(self, hidden_states: Tensor, **options: Any) -> Any:
        shown = self.film.expand(len(hidden_states), -1, -1, -1, -1)
        if self.seen is not None:
            options["encoder_hidden_states_image"] = self.seen
        return self.network(hidden_states=torch.cat([hidden_states, shown], 1), **options)


@pytest.mark.parametrize("has_last", [False, True])
def test_a_film_and_a_kept_first_frame(model_of: ModelOf, has_last: bool) -> None:
    # Of Wan 2.2 5B's Fun inpaint model, in which its makers keep the first frame, too.
    pipeline, model = model_of(wan22_5b_inpaint)
    image = picture(128, 64)
    last = image.flip(1) if has_last else None
    prompt = model.encode(PROMPT)
    assert prompt is not None
    tensors = encode_first_frame(model.part("vae"), prompt, image, 5, last, as_film=True)
    film = mask_and_video(tensors[CONDITION_VIDEO], 4, has_last=has_last)
    found = model.make(
        128,
        64,
        frames=5,
        cfg=5.0,
        sampler="uni_pc",
        change=lambda each: with_tensors(each, tensors),
    )
    shown = copy(pipeline)
    shown.transformer = WithFilm(pipeline.transformer, film)
    size = {"width": 128, "height": 64, "num_frames": 5}
    assert_same(found, stock(shown, out="frames", guidance_scale=5.0, image=to_pil(image), **size))


def test_a_control_video_and_a_first_image(model_of: ModelOf) -> None:
    # Of Wan 2.1's Fun control model, for which diffusers has no pipeline.
    pipeline, model = model_of(wan_control)
    image, video = picture(64, 48), picture(64, 48).repeat(7, 1, 1, 1)
    prompt, vae = model.encode(PROMPT), model.part("vae")
    assert prompt is not None
    tensors = encode_control_video(vae, prompt, video, 9, image)
    seen = embed_first_frame(model.part("text_encoder"), image)
    options = {"frames": 9, "cfg": 5.0, "sampler": "uni_pc"}
    found = model.make(
        64, 48, change=lambda each: with_tensors(each, {**tensors, **seen}), **options
    )
    control, first = encode_video(vae, video[:5]).samples, encode_video(vae, image).samples
    assert control is not None
    assert first is not None
    zeros = torch.zeros_like(control)
    shown = torch.cat([torch.cat([each, zeros], 2)[:, :, :3] for each in (control, first)], 1)
    network = WithFilm(pipeline.transformer, shown, seen[IMAGE_EMBEDS])
    parts = (pipeline.tokenizer, pipeline.text_encoder, pipeline.vae, pipeline.scheduler)
    stock_pipeline = pipeline_of_prompts(*parts)
    stock_pipeline.transformer = network
    size = {"width": 64, "height": 48, "num_frames": 9}
    assert_same(found, stock(stock_pipeline, out="frames", guidance_scale=5.0, **size))


def pipeline_of_prompts(*parts: Any) -> Any:
    pipeline = d.WanPipeline(*parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_control_videos_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(wan_control)
    _, plain = model_of(wan)
    prompt, video = model.encode(PROMPT), picture(64, 48)
    assert prompt is not None
    options = {"cfg": 1.0, "sampler": "uni_pc", "frames": 5}
    tensors = encode_control_video(model.part("vae"), prompt, video, 5)
    with raises(InvalidValue, port="positive"):
        model.make(64, 48, **options)
    with raises(InvalidValue, port="positive"):
        model.make(64, 48, change=lambda each: with_tensors(each, tensors), **options)
    with raises(InvalidValue, port="positive"):
        plain.make(64, 48, change=lambda each: with_tensors(each, tensors), **options)
    with raises(InvalidValue, port="image"):
        encode_control_video(model.part("vae"), prompt, video, 5, picture(48, 48))


def test_a_film_is_the_first_frame_of_a_model_that_takes_no_film(model_of: ModelOf) -> None:
    _, model = model_of(wan22_5b_i2v)
    prompt, image = model.encode(PROMPT), picture(64, 64)
    assert prompt is not None
    found, expected = (
        model.make(
            *(64, 64),
            frames=5,
            cfg=1.0,
            sampler="uni_pc",
            change=lambda each, as_film=as_film: with_tensors(
                each, encode_first_frame(model.part("vae"), each, image, 5, as_film=as_film)
            ),
        )
        for as_film in (True, False)
    )
    assert torch.equal(found.latents, expected.latents)


def test_images_that_a_model_cannot_end_with_are_refused(model_of: ModelOf) -> None:
    _, between = model_of(wan_flf)
    _, from_one = model_of(wan22_5b_i2v)
    image, options = picture(64, 64), {"cfg": 1.0, "sampler": "uni_pc", "frames": 5}
    with raises(InvalidValue, port="positive"):
        between.make(64, 64, change=shown(between, image, 5, eye=True), **options)
    with raises(InvalidValue, port="positive"):
        from_one.make(64, 64, change=shown(from_one, image, 5, last=image), **options)
    for model, last, frames, port in (
        (between, picture(64, 32), 5, "last_image"),
        (between, image, 1, "frames"),
    ):
        given = model.encode(PROMPT)
        assert given is not None
        with raises(InvalidValue, port=port):
            encode_first_frame(model.part("vae"), given, image, frames, last)


@pytest.mark.parametrize(
    "cases",
    [
        ((96, 17, NEGATIVE, 3.0), (64, 9, None, 1.0)),
        pytest.param(((160, 17, NEGATIVE, 7.3), (96, 9, NEGATIVE, 0.0)), marks=pytest.mark.slow),
    ],
)
def test_videos_of_ltx(model_of: ModelOf, cases: Any) -> None:
    pipeline, model = model_of(ltx_i2v)
    for width, frames, negative, cfg in cases:
        image = picture(width, 64)
        change, options = shown(model, image, frames), {"negative": negative}
        found = model.make(width, 64, frames=frames, cfg=cfg, change=change, **options)
        # The pipeline starts from a drawn latent of the image, here from the most likely one.
        cells = (frames - 1) // 8 + 1, 2, width // 32
        noise = torch.randn(1, 128, *cells, generator=torch.Generator().manual_seed(SEED))
        seen = change(model.encode("")).entries[0].tensors[FIRST_FRAME]  # type: ignore[arg-type]
        start = torch.cat([seen, noise[:, :, 1:]], 2).flatten(2).transpose(1, 2)
        size = {"width": width, "height": 64, "num_frames": frames, "latents": start}
        options |= {"guidance_scale": cfg, "image": to_pil(image)}
        expected = stock(pipeline, out="frames", **size, **options)
        unpack = lambda tokens: tokens.mT.reshape(1, -1, *cells)  # noqa: B023, E731
        assert_same(found, expected, unpack, pixels=frames == 9)


@pytest.mark.parametrize(
    ("build", "side", "frames"), [(wan_i2v, 16, 5), (wan22_5b_i2v, 32, 5), (ltx_i2v, 32, 9)]
)
@torch.no_grad()
def test_an_area_that_is_sampled_alone_begins_with_its_part_of_the_picture(
    model_of: ModelOf, build: Callable[[], Any], side: int, frames: int
) -> None:
    _, model = model_of(build)
    width, height = 4 * side, 2 * side
    plain = model.encode(PROMPT)
    assert plain is not None
    given = shown(model, picture(width, height), frames, eye=build is wan_i2v)(plain)
    tensors = given.entries[0].tensors
    (film,) = (tensors[name] for name in (FIRST_FRAME, CONDITION_VIDEO) if name in tensors)
    denoiser, columns = model.part("model"), film.shape[-1]
    shape = (1, film.shape[1], 2, *film.shape[3:])
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    moment = Moment(torch.tensor(500.0), torch.tensor(0.0), 1000, 0.0, 500.0)

    def answer(prompt: Conditioning, wide: int, x: Tensor) -> Tensor:
        choice = GuiderChoice(prompt, None, 1.0)
        how = {"width": wide, "height": height, "shape": x.shape}
        return Guidance(denoiser, choice, **how)(x, moment)

    starts = (0.0, 0.5)
    halves = [with_area(given, Area(at, 0, 0.5, 1, "shares", 0.0, "area")) for at in starts]
    found = answer(combine(halves), width, x)
    for at in starts:
        part = slice(int(at * columns), int(at * columns) + columns // 2)
        own = {name: item[..., part] for name, item in tensors.items() if item is film}
        expected = answer(with_tensors(given, own), width // 2, x[..., part])
        torch.testing.assert_close(found[..., part], expected, rtol=1e-4, atol=1e-4)


def test_models_and_prompts_that_do_not_go_together_are_refused(model_of: ModelOf) -> None:
    _, with_eye = model_of(wan_i2v)
    _, of_prompts = model_of(wan)
    image, options = picture(64, 64), {"cfg": 1.0, "sampler": "uni_pc", "frames": 5}
    change = shown(with_eye, image, 5)
    with raises(InvalidValue, port="positive"):
        with_eye.make(64, 64, **options)
    with raises(InvalidValue, port="positive"):
        with_eye.make(64, 64, change=change, **options)
    with raises(InvalidValue, port="positive", given="(2, 8, 8) in latent cells"):
        with_eye.make(96, 64, change=change, **options)
    with raises(InvalidValue, port="positive"):
        of_prompts.make(64, 64, change=change, **options)
    with raises(InvalidValue, port="encoder"):
        embed_first_frame(of_prompts.part("text_encoder"), image)


def same_on(there: Model, model: Model, *, eye: bool) -> None:
    image, options = picture(64, 64), {"frames": 9, "cfg": 4.0, "steps": 3, "sampler": "uni_pc"}
    found, expected = (
        each.make(64, 64, change=shown(each, image, 9, eye=eye), **options)
        for each in (there, model)
    )
    torch.testing.assert_close(found.latents, expected.latents, rtol=0, atol=1e-3)
    torch.testing.assert_close(found.pixels, expected.pixels, rtol=0, atol=1e-2)


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("build", [wan_i2v, wan22_5b_i2v, ltx_i2v])
def test_an_accelerator_makes_the_same(model_of: ModelOf, build: Callable[[], Any]) -> None:
    _, model = model_of(build)
    recipes = open_model(str(model.folder), [], dtype="float32")
    there = Model(model.folder)
    there.loaded = {name: load_component(item, "cuda") for name, item in recipes._asdict().items()}
    same_on(there, model, eye=build is wan_i2v)


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(
    "build",
    [
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in (wan_i2v, wan22_i2v, wan22_5b_i2v)
        ),
        ltx_i2v,
    ],
)
def test_so_does_one_with_little_memory(model_of: ModelOf, build: Callable[[], Any]) -> None:
    _, model = model_of(build)
    with ExitStack() as small:
        there = Model(model.folder)
        for name in ("model", "text_encoder", "vae"):
            part = small_footprint(model.part(name), "cuda")
            there.loaded[name] = small.enter_context(part)
        same_on(there, model, eye=build is wan_i2v)
