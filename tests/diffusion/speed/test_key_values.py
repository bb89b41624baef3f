"""Kept keys and values: the pipelines' numbers with their own caches, and nothing stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import diffusers as d
import pytest
import torch
from PIL import Image
from torch import Tensor

from nodegraph.core.values import Conditioning, DiffusionModel, Latent, RecipeFile
from nodegraph.diffusion import open_model
from nodegraph.errors import InvalidValue
from nodegraph.families import qwen_image_21 as qwen_image_21_family
from nodegraph.families.components import Denoiser
from nodegraph.families.flux2 import FLUX2_LATENTS
from nodegraph.families.speed_options import (
    HOST,
    KeyValues,
    SpeedOptions,
    check_caching,
    with_caching,
)
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.derived_components import derive
from nodegraph.models.speed.speed_support import check_recipe, missing_compiler
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.added_guidance import PerturbedAttention, SkippedLayers
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
)
from tests.diffusion.adapters.files import own_pairs, peft_file, saved
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import NEGATIVE, PROMPT, Model, picture, stock
from tests.diffusion.families.language import qwen3_text
from tests.diffusion.families.parts import dynamic_flow
from tests.diffusion.families.test_flux2 import denormalised, normed_vae
from tests.diffusion.families.test_qwen_image_21 import (
    edited,
    in_planes,  # noqa: F401 - a fixture
    qwen_image_21,
    small_area,  # noqa: F401 - a fixture
    unpack,
)
from tests.diffusion.families.words import qwen_words
from tests.messages import raises

from .speedy import sampling, sped_up, through_a_file, walked

ModelOf = Callable[[Callable[[], Any]], Pair]
SIZES = ((100, 80), (96, 64), (50, 90))


def klein_kv() -> Any:
    words = qwen_words()
    network = d.Flux2Transformer2DModel(
        patch_size=1,
        in_channels=128,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * 32,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    parts = (dynamic_flow(), normed_vae(), qwen3_text(words, layers=28), words, network)
    return d.Flux2KleinKVPipeline(*parts)


def keeping(model: Model, memory: str = "device") -> Model:
    """The model of a folder with kept keys and values, over the same weights."""
    denoiser = sped_up(model, KeyValues(memory))
    return replace(model, loaded={**model.loaded, "model": denoiser})


def referring(pipeline: Any, model: Model, pictures: Sequence[Image.Image]) -> Any:
    """What adds reference images to a prompt of Klein."""
    pixels = [pipeline.image_processor.preprocess(item) for item in pictures]
    with torch.no_grad():
        latents = [FLUX2_LATENTS.encode(model.part("vae").module, item) for item in pixels]

    def change(prompts: Conditioning) -> Conditioning:
        entries = (replace(entry, references=tuple(latents)) for entry in prompts.entries)
        return replace(prompts, entries=tuple(entries))

    return change


@pytest.mark.parametrize(
    ("cfg", "batch"), [(1.0, 1), (4.0, 3), pytest.param(7.3, 1, marks=pytest.mark.slow)]
)
def test_qwen_image_21_is_the_pipeline_with_its_cache(
    model_of: ModelOf,  # noqa: F811 - the fixture
    cfg: float,
    batch: int,
) -> None:
    """Without the cache, the latents are the same to the last bit, too."""
    pipeline, model = model_of(qwen_image_21)
    away = NEGATIVE if cfg > 1 else None
    options: dict[str, Any] = {"batch": batch, "negative": away, "cfg": cfg, "steps": 4}
    found = keeping(model).make(96, 64, **options)
    called = {"width": 96, "height": 64, "true_cfg_scale": cfg, "negative": away, "steps": 4}
    expected = stock(pipeline, batch=batch, **called)
    assert torch.equal(found.latents, unpack(96, 64)(expected.latents))
    assert torch.equal(found.latents, model.make(96, 64, **options).latents)


@pytest.mark.usefixtures("small_area", "in_planes")
@pytest.mark.parametrize(
    ("count", "batch"),
    [
        (1, 1),
        pytest.param(2, 3, marks=pytest.mark.slow),
        pytest.param(3, 1, marks=pytest.mark.slow),
    ],
)
def test_edited_pictures_are_the_pipelines_with_its_cache(
    model_of: ModelOf,  # noqa: F811
    count: int,
    batch: int,
) -> None:
    pipeline, model = model_of(qwen_image_21)
    drawn = [picture(*size) for size in SIZES[:count]]
    sizes = [qwen_image_21_family.seen_size(*item.size, 0) for item in drawn]
    brought = [
        item.resize(size, resample=Image.Resampling.LANCZOS)
        for item, size in zip(drawn, sizes, strict=True)
    ]
    found = [
        edited(each, drawn, brought, batch=batch, steps=4).latents
        for each in (keeping(model), keeping(model, HOST))
    ]
    called = {"width": 96, "height": 64, "true_cfg_scale": 4.0, "negative": NEGATIVE, "steps": 4}
    expected = stock(pipeline, image=drawn, batch=batch, **called)
    for latents in found:
        assert torch.equal(latents, unpack(96, 64)(expected.latents))


@pytest.mark.slow
def test_bfloat16_is_the_pipelines(model_of: ModelOf) -> None:  # noqa: F811
    pipeline, model = model_of(qwen_image_21)
    half = Model(model.folder, "bfloat16")
    found = keeping(half).make(64, 64, cfg=1.0)
    networks = {
        role: type(part).from_pretrained(model.folder / role, dtype=torch.bfloat16).eval()
        for role, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    loaded = type(pipeline)(**{**pipeline.components, **networks})
    loaded.set_progress_bar_config(disable=True)
    expected = stock(loaded, width=64, height=64)
    assert torch.equal(found.latents, unpack(64, 64)(expected.latents).float())


@pytest.mark.parametrize(
    ("count", "batch"),
    [(0, 1), (1, 3), (2, 1), pytest.param(3, 1, marks=pytest.mark.slow)],
)
def test_klein_kv_is_the_pipeline(
    model_of: ModelOf,  # noqa: F811
    count: int,
    batch: int,
) -> None:
    """From its folder without the cache, too, but for rounding."""
    pipeline, model = model_of(klein_kv)
    pictures = [picture(96, 64), picture(64, 80), picture(80, 64)][:count]
    change = referring(pipeline, model, pictures)
    options: dict[str, Any] = {"batch": batch, "cfg": 1.0, "steps": 4, "change": change}
    called = {"width": 96, "height": 64, "steps": 4, "batch": batch}
    expected = stock(pipeline, image=pictures or None, **called).latents
    pack = denormalised(pipeline.vae)
    for each in (keeping(model), keeping(model, HOST)):
        assert torch.equal(pack(each.make(96, 64, **options).latents), expected)
    found = pack(model.make(96, 64, **options).latents)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


KEPT = [
    pytest.param(qwen_image_21, id="qwen-image-21"),
    pytest.param(klein_kv, id="klein-kv", marks=pytest.mark.slow),
]


def prompts_of(pipeline: Any, model: Model) -> tuple[Conditioning, Conditioning]:
    """A positive and a negative prompt; those of Klein have a reference image."""
    positive, negative = model.encode(PROMPT), model.encode(NEGATIVE)
    assert positive is not None
    assert negative is not None
    if isinstance(pipeline, d.Flux2KleinKVPipeline):
        refer = referring(pipeline, model, [picture(64, 64)])
        positive, negative = refer(positive), refer(negative)
    return positive, negative


def begun(denoiser: Denoiser, prompts: tuple[Conditioning, Conditioning], **more: Any) -> Denoising:
    options: dict[str, Any] = {"seed": 7, "steps": 5, "cfg": 3.0, "sampler": "euler"}
    options |= {"schedule": "normal", **more}
    start = Latent(None, 64, 64, options.pop("batch", 1))
    return Denoising.named(denoiser, *prompts, start, **options)


@pytest.mark.parametrize("sampler", ["euler", pytest.param("heun", marks=pytest.mark.slow)])
@pytest.mark.parametrize("build", KEPT)
def test_a_sampling_goes_on_from_any_step_to_the_same_bits(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
    sampler: str,
) -> None:
    pipeline, model = model_of(build)
    prompts, denoiser = prompts_of(pipeline, model), sped_up(model, KeyValues())
    through = begun(denoiser, prompts, sampler=sampler)
    states = []
    for _ in through:
        assert through.is_savable
        states.append(through_a_file(through.state()))
    expected = through.result().samples
    assert expected is not None
    assert "calls of the network reused keys and values" in through.reuse
    # A checkpoint holds none of them.
    plain = begun(model.part("model"), prompts, sampler=sampler)
    plain.advance()
    (added,) = states[0].keys() - plain.state().keys()
    assert added.endswith("filled")
    for state in states[:-1]:
        later = begun(denoiser, prompts, sampler=sampler)
        later.restore(state)
        assert torch.equal(walked(later), expected)
        assert later.reuse == through.reuse


def test_a_damaged_state_is_refused(model_of: ModelOf) -> None:  # noqa: F811
    _, model = model_of(qwen_image_21)
    denoising = sampling(model, sped_up(model, KeyValues()))
    denoising.advance()
    state = denoising.state()
    name = next(name for name in state if name.endswith("filled"))
    with pytest.raises(ValueError, match="damaged"):
        denoising.restore({**state, name: state[name][:-1]})


@pytest.mark.parametrize("build", KEPT)
def test_nothing_is_left_for_another_sampling(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
) -> None:
    """Neither for a later one of the same names, nor for one at the same time."""
    pipeline, model = model_of(build)
    prompts, denoiser = prompts_of(pipeline, model), sped_up(model, KeyValues())
    turned = prompts[::-1]
    alone = [walked(begun(sped_up(model, KeyValues()), each)) for each in (prompts, turned)]
    both = [begun(denoiser, each) for each in (prompts, turned)]
    for _ in range(3):
        for each in both:
            each.advance()
    assert all(map(torch.equal, map(walked, both), alone))
    assert torch.equal(walked(begun(denoiser, turned)), alone[1])
    assert not torch.equal(*alone)


@pytest.mark.parametrize("build", KEPT)
def test_items_that_are_evaluated_one_by_one_share_keys_and_values(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
) -> None:
    """As in a retry with less memory."""
    pipeline, model = model_of(build)
    prompts, denoiser = prompts_of(pipeline, model), sped_up(model, KeyValues())
    expected = walked(begun(denoiser, prompts, batch=3))
    one_by_one = begun(replace(denoiser, one_by_one=True), prompts, batch=3)
    torch.testing.assert_close(walked(one_by_one), expected, rtol=1e-4, atol=1e-4)
    # Of 5 steps with 3 items and 2 prompts, all but the first call for each prompt.
    assert one_by_one.reuse.startswith("28 of 30")


@pytest.mark.parametrize("memory", ["device", "host"])
def test_items_with_references_of_their_own_have_keys_and_values_of_their_own(
    model_of: ModelOf,  # noqa: F811
    memory: str,
) -> None:
    """Also if they are evaluated one by one."""
    _, model = model_of(klein_kv)
    references = torch.randn(2, 128, 4, 4, generator=torch.Generator().manual_seed(3)) * 9

    def prompts_with(latents: Tensor) -> tuple[Conditioning, Conditioning]:
        sides = [model.encode(text) for text in (PROMPT, NEGATIVE)]
        positive, negative = (
            replace(side, entries=tuple(replace(e, references=(latents,)) for e in side.entries))
            for side in sides
            if side is not None
        )
        return positive, negative

    prompts = prompts_with(references)
    expected = walked(begun(model.part("model"), prompts, batch=2))
    one_by_one = replace(sped_up(model, KeyValues(memory)), one_by_one=True)
    denoising = begun(one_by_one, prompts, batch=2)
    torch.testing.assert_close(walked(denoising), expected, rtol=1e-5, atol=1e-5)
    # Of 5 steps with 2 items and 2 prompts, all but the first call for each item and prompt.
    assert denoising.reuse.startswith("16 of 20")
    swapped = walked(begun(model.part("model"), prompts_with(references.flip(0)), batch=2))
    assert not torch.allclose(swapped, expected, rtol=1e-5, atol=1e-5)


def joined(prompts: Sequence[Conditioning], **changes: Any) -> Conditioning:
    """Several prompts in one; the last one is changed."""
    entries = [entry for each in prompts for entry in each.entries]
    entries[-1] = replace(entries[-1], **changes)
    return replace(prompts[0], entries=tuple(entries))


@pytest.mark.parametrize(
    "changes", [{}, {"start": 0.5}, {"mask": torch.eye(64)[None]}], ids=["all", "late", "masked"]
)
def test_several_prompts_have_their_own(
    model_of: ModelOf,  # noqa: F811
    changes: dict[str, Any],
) -> None:
    pipeline, model = model_of(qwen_image_21)
    positive, negative = prompts_of(pipeline, model)
    prompts = joined([positive, negative], **changes), negative
    found = walked(begun(sped_up(model, KeyValues()), prompts))
    assert torch.equal(found, walked(begun(model.part("model"), prompts)))
    assert not torch.equal(found, walked(begun(model.part("model"), (positive, negative))))


def modes(denoiser: Denoiser) -> list[str | None]:
    """How each call of a network uses its cache, from now on."""
    found: list[str | None] = []
    denoiser.module.register_forward_pre_hook(
        lambda _, __, options: found.append(options.get("kv_cache_mode")), with_kwargs=True
    )
    return found


def own(model: Model, *options: KeyValues | SpeedOptions) -> Denoiser:
    """A denoiser whose network is no one else's."""
    return sped_up(Model(model.folder), *options)


@pytest.mark.parametrize("build", KEPT)
def test_a_resumed_sampling_fills_each_cache_once(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
) -> None:
    """By calls of their own: the output of a call that fills one may differ in the last bits."""
    pipeline, model = model_of(build)
    prompts, denoiser = prompts_of(pipeline, model), own(model, KeyValues())
    calls = modes(denoiser)
    denoising = begun(denoiser, prompts, steps=3)
    denoising.advance()
    state = denoising.state()
    later = begun(denoiser, prompts, steps=3)
    later.restore(state)
    walked(later)
    assert calls[:2] == ["extract", "extract"]
    assert calls[2:] == ["extract", "cached", "extract", "cached", "cached", "cached"]


@pytest.mark.parametrize("build", KEPT)
def test_a_lora_works_with_them(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
    tmp_path: Path,
) -> None:
    pipeline, model = model_of(build)
    prompts = prompts_of(pipeline, model)
    pairs = own_pairs(model.part("model").module)
    path = saved(peft_file(pairs, "transformer."), tmp_path / "style.safetensors")
    recipe = with_caching(open_model(str(model.folder), []).model, KeyValues())
    adapted = OpenedAdapter(path).apply_to(recipe, 1.0).recipe
    plain = replace(
        adapted, options=tuple(item for item in adapted.options if "cache" not in item[0])
    )
    found, expected = (
        walked(begun(cast("Denoiser", derive(model.part("model"), each)), prompts))
        for each in (adapted, plain)
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, walked(begun(model.part("model"), prompts)), atol=1e-2)


@pytest.mark.parametrize("build", KEPT)
@pytest.mark.parametrize("is_own", [False, True])
def test_a_guider_that_skips_blocks_works_with_them(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
    is_own: bool,
) -> None:
    """Its worse network has none. Also if the model is in parts, as one use's own."""
    pipeline, model = model_of(build)
    prompts = prompts_of(pipeline, model)
    guider = GuiderChoice(*prompts, 3.0, added=(SkippedLayers(2.0, 0.0, 1.0, ("0",)),))
    parts = SamplingParts(
        SamplingNoise(7), guider, SamplerChoice("euler"), named_schedule("normal", 4)
    )
    denoiser = replace(own(model, KeyValues()), is_own=is_own)
    calls = modes(denoiser)
    found = Denoising(denoiser, Latent(None, 64, 64), parts)
    exact = Denoising(model.part("model"), Latent(None, 64, 64), parts)
    torch.testing.assert_close(walked(found), walked(exact), rtol=1e-4, atol=1e-4)
    assert calls.count("cached") == 3 * 2


def test_a_guider_that_replaces_attention_is_refused(model_of: ModelOf) -> None:  # noqa: F811
    """References and the image would attend to each other as always."""
    pipeline, model = model_of(klein_kv)
    guider = GuiderChoice(
        *prompts_of(pipeline, model), 3.0, added=(PerturbedAttention(2.0, 0.0, 1.0),)
    )
    parts = SamplingParts(
        SamplingNoise(7), guider, SamplerChoice("euler"), named_schedule("normal", 4)
    )
    with raises(InvalidValue, port="guider"):
        walked(Denoising(sped_up(model, KeyValues()), Latent(None, 64, 64), parts))


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler("cpu") is not None, reason="there is no C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*complex operators:UserWarning")
@pytest.mark.parametrize("build", KEPT)
def test_compiled_blocks_keep_them(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
) -> None:
    pipeline, model = model_of(build)
    prompts = prompts_of(pipeline, model)
    denoiser = own(model, KeyValues(), SpeedOptions(compiled=True))
    denoising = begun(denoiser, prompts)
    expected = walked(begun(model.part("model"), prompts))
    torch.testing.assert_close(walked(denoising), expected, rtol=1e-3, atol=1e-3)
    assert denoising.reuse.startswith("8 of 10")


@pytest.mark.parametrize("way", ["math", "sliced"])
def test_other_attention_keeps_them(model_of: ModelOf, way: str) -> None:  # noqa: F811
    pipeline, model = model_of(klein_kv)
    prompts = prompts_of(pipeline, model)
    found = walked(begun(sped_up(model, KeyValues(), SpeedOptions(attention=way)), prompts))
    expected = walked(begun(model.part("model"), prompts))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_klein_kv_with_fused_projections(model_of: ModelOf) -> None:  # noqa: F811
    pipeline, model = model_of(klein_kv)
    prompts = prompts_of(pipeline, model)
    found = walked(begun(sped_up(model, KeyValues(), SpeedOptions(fused=True)), prompts))
    expected = walked(begun(model.part("model"), prompts))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_prompts_that_change_with_the_timestep_are_refused(
    model_of: ModelOf,  # noqa: F811
) -> None:
    def changing() -> Any:
        pipeline = qwen_image_21()
        network = pipeline.transformer
        config = {name: value for name, value in network.config.items() if name[0] != "_"}
        changed = type(network)(**{**config, "causal_condition": False})
        return d.QwenImage21Pipeline(**{**pipeline.components, "transformer": changed})

    _, model = model_of(changing)
    walked(sampling(model, model.part("model"), steps=1))
    with raises(InvalidValue, port="model"):
        walked(sampling(model, sped_up(model, KeyValues())))


def test_other_families_refuse_them() -> None:
    for family in ("sd1", "flux", "flux2", "qwen-image"):
        recipe = DiffusionModel(family, (RecipeFile("unet", "nowhere", "0" * 64),))
        with raises(InvalidValue, port="model") as caught:
            check_recipe(with_caching(recipe, KeyValues()), "cpu")
        assert "does not support a key-value cache" in str(caught.value)
    with raises(InvalidValue, port="memory", given="disk"):
        check_caching(KeyValues("disk"))
