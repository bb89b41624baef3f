"""Models of every family make on an accelerator what they make on the CPU: on a pretend one, to the
last bit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import torch
from nodegraph_nodes._sound_facts import music_size
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import (
    FAMILIES,
    decode_latent,
    encode_image,
    encode_video,
    load_component,
    move_component,
    open_model,
    small_footprint,
)
from nodegraph.families.image_conditioning import CONDITION_CLIP, FIRST_FRAME
from nodegraph.families.sampler_names import CFG_PP_SAMPLERS, allowed_schedules
from nodegraph.families.shap_e_renderer import extract_mesh, render_views
from nodegraph.models.conditioning import with_references
from nodegraph.models.driving_video import DrivenSegment
from nodegraph.models.vae import decode_sound, decode_video
from nodegraph.residency import ResidencyManager
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.inpainting import with_tensors
from tests.accelerator.card import Card, real_card
from tests.accelerator.fixtures import MIB, has_real_card, needs_pretending
from tests.accelerator.pretend import PretendAccelerator
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import NEGATIVE, PROMPT, Made, Model, picture
from tests.diffusion.families.image_to_image import as_tensor
from tests.diffusion.families.test_flux import flux, flux_kontext
from tests.diffusion.families.test_flux2 import flux2
from tests.diffusion.families.test_hunyuan_image import hunyuan
from tests.diffusion.families.test_inpainting import filled, flux_fill, sd1_fill
from tests.diffusion.families.test_qwen_image_edit import edit_plus, edited
from tests.diffusion.families.test_shap_e import half_inside_of, shap_e, solid
from tests.diffusion.families.test_stable_cascade import (
    SHOWN,
    following,
    stable_cascade,
    stable_cascade_decoder,
)
from tests.diffusion.families.test_wan_animate2 import shown as driven
from tests.diffusion.families.tiny_models import STAGES, TINY, TINY_SOUND, Tiny
from tests.diffusion.families.video_models import wan
from tests.diffusion.stand_in import ONE_OF_EACH, run
from tests.diffusion.test_samplers import SD1, make

ModelOf = Callable[[Callable[[], Any]], Pair]
SIDE = 64


def quick(*names: str, of: Iterable[str] = TINY) -> list[Any]:
    """All of them to parametrize a test by, with all but these in the long part."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in of]


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning"),
]


@pytest.fixture(scope="module")
def card(little_to_search: None) -> Iterator[Card]:
    """One for all tests here, as they leave nothing on it."""
    if has_real_card():
        with real_card() as found:
            yield found
        return
    needs_pretending()
    with PretendAccelerator(1024 * MIB) as pretend:
        yield Card(pretend)


def as_it_is(prompt: Conditioning) -> Conditioning:
    return prompt


def seeing(family: str, latent: Latent) -> Callable[[Conditioning], Conditioning]:
    """What shows a model an image beside its prompt, or the first one of its video."""
    kind, samples = FAMILIES[family].first_picture, latent.samples
    if not kind:
        return lambda prompt: with_references(prompt, latent)
    assert samples is not None
    first = {FIRST_FRAME if kind == "frame" else CONDITION_CLIP: samples[:, :, :1]}
    return lambda prompt: with_tensors(prompt, first)


def conditioned(model: Model) -> Callable[[Conditioning], Conditioning]:
    """What adds to a prompt all that a model needs beside it."""
    drawn = as_tensor(picture(SIDE, SIDE))
    family = model.part("model").family
    if family == "wan-animate-2":
        return driven(model, DrivenSegment(drawn, drawn, 1))
    if FAMILIES[family].needs_image:
        return seeing(family, encode_image(model.part("vae"), drawn))
    return as_it_is


def whole_way(model: Model, tiny: Tiny) -> Sequence[Tensor]:
    """An image or video encoded, painted over half, decoded, and decoded in tiles."""
    drawn = as_tensor(picture(SIDE, SIDE)).expand(tiny.frames, -1, -1, -1)
    vae, is_film = model.part("vae"), tiny.frames > 1
    start = encode_video(vae, drawn) if is_film else encode_image(vae, drawn)
    options = {"steps": 4, "sampler": tiny.sampler, "cfg": 3.0}
    change, denoiser = conditioned(model), model.part("model")
    # A model with frames before the video starts from an empty latent.
    if not FAMILIES[denoiser.family].leading_frames(denoiser.config, 1):
        options |= {"latent": start, "denoise": 0.5}
    negative = model.encode(NEGATIVE)
    assert negative is not None
    made = model.make(SIDE, SIDE, change=change, away=change(negative), **options)
    decode = decode_video if is_film else decode_latent
    wide = enlarged(replace(start, samples=made.latents))
    assert start.samples is not None
    return start.samples, made.latents, made.pixels, decode(replace(vae, tiled=True), wide)


def enlarged(latent: Latent) -> Latent:
    """A latent of 18 x 2 cells, which are decoded as two tiles."""
    assert latent.samples is not None
    samples = torch.cat([latent.samples] * 9, -1)[..., :2, :18]
    cell = latent.width // latent.samples.shape[-1]
    return replace(latent, samples=samples, width=18 * cell, height=2 * cell)


@pytest.mark.parametrize("family", quick("sd1", "flux", "wan"))
def test_a_family_goes_the_whole_way_there(
    model_of: ModelOf,  # noqa: F811 - the fixture
    card: Card,
    family: str,
) -> None:
    _, model = model_of(TINY[family].build)
    expected = whole_way(model, TINY[family])
    there = Model(model.folder, device="cuda:0")
    found = whole_way(there, TINY[family])
    for one, other in zip(found, expected, strict=True):
        card.assert_as_on_cpu(one, other)
    assert there.part("model").family == family
    for part in there.loaded.values():
        move_component(part, "cpu")
    assert card.is_empty()


def heard(model: Model, tiny: Tiny) -> Sequence[Tensor]:
    """A second of sound by prompts, decoded."""
    family = FAMILIES[model.part("model").family]
    width, height = music_size(family.name, 1.0)
    latent, options = Latent(None, width, height), {"sampler": tiny.sampler, "cfg": 3.0}
    made = model.make(width, height, latent=latent, negative=NEGATIVE, **options)
    sound = replace(latent, samples=made.latents, format=family.latent.name)
    return made.latents, decode_sound(model.part("vae"), sound).waveform


@pytest.mark.parametrize("family", quick("stable-audio-3", of=TINY_SOUND))
def test_a_family_of_sound_goes_the_whole_way_there(
    model_of: ModelOf,  # noqa: F811
    card: Card,
    family: str,
) -> None:
    """Also with its layers brought there one by one."""
    tiny = TINY_SOUND[family]
    _, model = model_of(tiny.build)
    expected = heard(model, tiny)
    there = Model(model.folder, device="cuda:0")
    for one, other in zip(heard(there, tiny), expected, strict=True):
        card.assert_as_on_cpu(one, other)
    for part in there.loaded.values():
        move_component(part, "cpu")
    assert card.is_empty()
    with ExitStack() as small:
        there = Model(model.folder)
        for name in ("model", "text_encoder"):
            part = small_footprint(model.part(name), "cuda:0")
            there.loaded[name] = small.enter_context(part)
        there.loaded["vae"] = model.part("vae")
        found, _ = heard(there, tiny)
    # where sigma begins at hundreds, other last bits grow
    card.assert_as_on_cpu(found, expected[0], rounding=3e-4)
    del there, part, found
    assert card.is_empty()


@pytest.mark.slow
def test_both_stages_of_stable_cascade_go_the_whole_way_there(
    model_of: ModelOf,  # noqa: F811
    card: Card,
) -> None:
    stages = ((stable_cascade, as_it_is), (stable_cascade_decoder, following(SHOWN[:2])))
    for build, change in stages:
        _, model = model_of(build)
        there = Model(model.folder, device="cuda:0")
        for sampler in ("ddpm", "tcd", "dpmpp_2m"):
            expected, found = (
                each.make(168, 128, batch=2, cfg=3.0, sampler=sampler, steps=3, change=change)
                for each in (model, there)
            )
            card.assert_as_on_cpu(found.latents, expected.latents)
        if change is not as_it_is:
            card.assert_as_on_cpu(found.pixels, expected.pixels)
        for part in there.loaded.values():
            move_component(part, "cpu")
        assert card.is_empty()


@pytest.mark.parametrize(
    "family",
    quick("flux", "wan", of=("flux", "chroma", "flux2", "hunyuan-image", "qwen-image", "wan")),
)
def test_a_step_brings_nothing_there_and_waits_for_nothing(
    model_of: ModelOf,  # noqa: F811
    card: Card,
    family: str,
) -> None:
    """But for diffusers' own parts."""
    tiny = TINY[family]
    _, model = model_of(tiny.build)
    there = Model(model.folder, device="cuda:0")
    prompt, size = there.encode(PROMPT), Latent(None, SIDE, SIDE, frames=tiny.frames)
    assert prompt is not None
    options = {"seed": 7, "steps": 3, "cfg": 1.0, "schedule": "normal", "sampler": tiny.sampler}
    sampling = Denoising.named(there.part("model"), prompt, None, size, **options)
    sampling.advance()
    with card.waits() as places:
        sampling.advance()
    ours = [f"nodegraph/{room}/" for room in ("weights", "families", "models", "sampling")]
    assert [place for place in places if any(room in place for room in ours)] == []


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_solids_are_made_there(
    model_of: ModelOf,  # noqa: F811
    card: Card,
) -> None:
    pipeline, model = model_of(shap_e)
    there = Model(model.folder, device="cuda:0")
    options = {"sampler": "heun", "schedule": "karras", "cfg": 4.0}
    found, expected = (each.make(1024, 1024, **options).latents for each in (there, model))
    card.assert_as_on_cpu(found, expected)
    renderer = half_inside_of(pipeline.shap_e_renderer)
    views, mesh = (
        render_views(renderer, solid(), views=1, size=4),
        extract_mesh(renderer, solid(), grid=8),
    )
    moved, latent = copy.deepcopy(renderer).to("cuda:0"), solid().to("cuda:0")
    card.assert_as_on_cpu(render_views(moved, latent, views=1, size=4), views)
    shape = extract_mesh(moved, latent, grid=8)
    assert mesh is not None
    assert shape is not None
    assert shape.colors is not None
    assert mesh.colors is not None
    card.assert_as_on_cpu(shape.vertices, mesh.vertices)
    card.assert_as_on_cpu(shape.colors, mesh.colors)


def test_they_are_all_here() -> None:
    pictures = {name for name, family in FAMILIES.items() if family.latent.only_size is None}
    pictures -= {name for name, family in FAMILIES.items() if family.latent.is_sound}
    assert TINY.keys() | STAGES == pictures


def looking(model: Model) -> Made:
    """By an encoder and a transformer that see two images."""
    two = [picture(SIDE, SIDE), picture(SIDE, SIDE // 2)]
    return edited(model, two, two, NEGATIVE)


def with_picture(model: Model) -> Made:
    """By a transformer that sees one."""
    seen = encode_image(model.part("vae"), as_tensor(picture(SIDE, SIDE)))
    return model.make(SIDE, SIDE, cfg=1.0, change=seeing(model.part("model").family, seen))


def filling(model: Model) -> Made:
    """By one that sees what is left of one."""
    found, _ = filled(model, cfg=1.0, sampler="ddim" if "sd1" in model.folder.name else "euler")
    return found


@pytest.mark.parametrize(
    ("build", "make"),
    [
        pytest.param(edit_plus, looking, marks=pytest.mark.slow),
        (flux_kontext, with_picture),
        pytest.param(flux2, with_picture, marks=pytest.mark.slow),
        (sd1_fill, filling),
        pytest.param(flux_fill, filling, marks=pytest.mark.slow),
    ],
)
def test_what_models_see_is_seen_there(
    model_of: ModelOf,  # noqa: F811
    card: Card,
    build: Callable[[], Any],
    make: Callable[[Model], Made],
) -> None:
    _, model = model_of(build)
    found, expected = make(Model(model.folder, device="cuda:0")), make(model)
    card.assert_as_on_cpu(found.latents, expected.latents)
    card.assert_as_on_cpu(found.pixels, expected.pixels)


@pytest.mark.parametrize("sampler", ONE_OF_EACH)
def test_every_sampler_walks_there(card: Card, sampler: str) -> None:
    """With a plain function in the model's place."""
    here, there = (make(sampler, "normal", SD1, 3) for _ in range(2))
    there.start(there.x.to("cuda:0"))
    card.assert_as_on_cpu(run(there), run(here))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd1", "flux"])
@pytest.mark.parametrize("sampler", ONE_OF_EACH)
def test_every_sampler_walks_with_a_model_there(
    model_of: ModelOf,  # noqa: F811
    card: Card,
    family: str,
    sampler: str,
) -> None:
    """Over timesteps, and through a flow where it can."""
    if family == "flux" and sampler not in allowed_schedules("flow"):
        return
    _, model = model_of(TINY[family].build)
    both = (model, Model(model.folder, device="cuda:0"))
    away = "a dog" if sampler in CFG_PP_SAMPLERS else None
    found = [
        each.make(SIDE, SIDE, steps=3, cfg=1.0, sampler=sampler, negative=away) for each in both
    ]
    card.assert_as_on_cpu(found[1].latents, found[0].latents)


@pytest.mark.parametrize(
    ("build", "sampler"),
    [
        (flux, "euler_ancestral"),
        pytest.param(wan, "uni_pc", marks=pytest.mark.slow),
        pytest.param(hunyuan, "dpmpp_2m", marks=pytest.mark.slow),
    ],
)
def test_a_sampling_that_stopped_goes_on_there_to_the_same_bits(
    model_of: ModelOf,  # noqa: F811
    card: Card,
    build: Callable[[], Any],
    sampler: str,
) -> None:
    _, model = model_of(build)
    there = Model(model.folder, device="cuda:0")

    def sampling(which: Model) -> Denoising:
        prompts = which.encode(PROMPT), which.encode(NEGATIVE)
        assert prompts[0] is not None
        start = Latent(None, SIDE, SIDE)
        options = {"seed": 7, "steps": 4, "cfg": 3.0, "schedule": "normal", "sampler": sampler}
        return Denoising.named(which.part("model"), *prompts, start, **options)

    on_cpu, whole, first, second = sampling(model), *(sampling(there) for _ in range(3))
    for _ in range(2):
        first.advance()
    second.restore(first.state())
    for each in (on_cpu, whole, second):
        list(each)
    assert torch.equal(second.result().samples, whole.result().samples)
    card.assert_as_on_cpu(second.result().samples, on_cpu.result().samples)


@pytest.mark.parametrize("family", quick("sd1", "flux"))
def test_a_family_makes_it_with_little_memory(
    model_of: ModelOf,  # noqa: F811
    card: Card,
    family: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tiny = TINY[family]
    _, model = model_of(tiny.build)
    with ExitStack() as small:
        there = Model(model.folder)
        for name in ("model", "text_encoder"):
            part = small_footprint(model.part(name), "cuda:0")
            there.loaded[name] = small.enter_context(part)
        there.loaded["vae"] = model.part("vae")
        options = {"sampler": tiny.sampler, "cfg": 3.0, "frames": tiny.frames, "steps": 1}
        change = conditioned(model)
        found, expected = (
            each.make(SIDE, SIDE, change=change, **options) for each in (there, model)
        )
    # prompts are evaluated one by one, which moves last bits
    card.assert_as_on_cpu(found.latents, expected.latents, rounding=1e-5)
    assert "not executed" not in caplog.text, "nobody can do anything about it"
    del there, part, found  # what was made keeps the model that would decode it
    assert card.is_empty()


def test_a_model_that_makes_room_and_comes_back(
    model_of: ModelOf,  # noqa: F811
    card: Card,
) -> None:
    _, model = model_of(flux)
    recipe = open_model(str(model.folder), [], dtype="float32").model
    manager = ResidencyManager(load_component, {"cuda:0": 1024 * MIB}, move=move_component)
    expected = model.make(SIDE, SIDE, cfg=1.0)
    for _ in range(2):
        with manager.use(recipe, "cuda:0") as loaded:
            there = Model(model.folder, loaded=model.loaded | {"model": loaded})
            card.assert_as_on_cpu(there.make(SIDE, SIDE, cfg=1.0).latents, expected.latents)
        del there, loaded
        assert card.used() > 0
        manager.relieve("cuda:0")
        assert card.is_empty()
    manager.release_all()
