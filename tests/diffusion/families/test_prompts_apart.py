"""A text for each encoder, skipped layers of CLIP and told sizes, as diffusers has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nodegraph.core.file_digests import FileDigests
from nodegraph.core.values import Conditioning
from nodegraph.errors import InvalidValue
from nodegraph.families.conditionings import concatenate
from nodegraph.families.registry import FAMILIES
from nodegraph.models.conditioning import encode_prompt, encode_prompts_per_encoder, with_sizes
from nodegraph.models.derived_components import derive
from nodegraph.models.loading import load_component
from nodegraph.models.model_recipes import open_model
from nodegraph.models.prompt_preprocessing import READERS, with_clip_layer
from tests.diffusion.families.equality import Model, assert_same, stock
from tests.diffusion.families.test_flux import ModelOf, chroma, flux, sd3
from tests.diffusion.families.test_stable_diffusion import refiner, sd1, sdxl
from tests.messages import raises

ONE, TWO, THREE = "a red cat", "a blue dog", "a very green fox"


def skipping(model: Model, layer: int) -> Any:
    recipe = open_model(str(model.folder), [], digests=FileDigests()).text_encoder
    found = with_clip_layer(recipe, layer)
    assert found.base == recipe
    return derive(load_component(recipe, "cpu"), found)


def stock_tensors(pipeline: Any, **options: Any) -> tuple[Any, Any]:
    """Embeddings and the pooled prompt."""
    with torch.no_grad():
        given = {"prompt": ONE, "device": "cpu", "num_images_per_prompt": 1, **options}
        found = pipeline.encode_prompt(**given)
    return found[0], found[1] if type(pipeline).__name__.startswith("Flux") else found[2]


def assert_encoded(found: Conditioning, expected: tuple[Any, Any]) -> None:
    [entry] = found.entries
    assert torch.equal(entry.embeddings, expected[0])
    assert torch.equal(entry.tensors["pooled"], expected[1])


def test_encoders_of_sdxl_read_texts_of_their_own(model_of: ModelOf) -> None:
    pipeline, model = model_of(sdxl)
    found = encode_prompts_per_encoder(model.part("text_encoder"), [ONE, TWO])
    assert_encoded(found, stock_tensors(pipeline, prompt_2=TWO))
    alike = encode_prompts_per_encoder(model.part("text_encoder"), [ONE, ONE])
    plain = encode_prompt(model.part("text_encoder"), ONE)
    assert torch.equal(alike.entries[0].embeddings, plain.entries[0].embeddings)


def test_encoders_of_sd3_read_texts_of_their_own(model_of: ModelOf) -> None:
    pipeline, model = model_of(sd3)
    found = encode_prompts_per_encoder(model.part("text_encoder"), [ONE, TWO, THREE])
    expected = stock_tensors(pipeline, prompt_2=TWO, prompt_3=THREE, max_sequence_length=256)
    assert_encoded(found, expected)


def test_encoders_of_flux_read_texts_of_their_own(model_of: ModelOf) -> None:
    pipeline, model = model_of(flux)
    found = encode_prompts_per_encoder(model.part("text_encoder"), [ONE, TWO])
    assert_encoded(found, stock_tensors(pipeline, prompt_2=TWO, max_sequence_length=512))


def test_schedules_change_the_texts_of_all_encoders(model_of: ModelOf) -> None:
    _, model = model_of(sdxl)
    encoder = model.part("text_encoder")
    found = encode_prompts_per_encoder(encoder, [f"[{ONE}:{THREE}:0.5]", TWO])
    assert [(item.start, item.end) for item in found.entries] == [(0, 0.5), (0.5, 1)]
    for entry, text in zip(found.entries, (ONE, THREE), strict=True):
        [alone] = encode_prompts_per_encoder(encoder, [text, TWO]).entries
        assert torch.equal(entry.embeddings, alone.embeddings)


@pytest.mark.parametrize(("build", "skip"), [(sdxl, 1), (sd3, 1)])
def test_layers_are_skipped_as_in_diffusers(
    model_of: ModelOf, build: Callable[[], Any], skip: int
) -> None:
    pipeline, model = model_of(build)
    # Theirs are counted beyond the one that is taken by itself.
    found = encode_prompt(skipping(model, skip + 2), ONE)
    more: dict[str, Any] = {"prompt_2": ONE}
    if build is sd3:
        more |= {"prompt_3": ONE, "max_sequence_length": 256}
    expected = stock_tensors(pipeline, clip_skip=skip, **more)
    assert_encoded(found, expected)
    assert not torch.equal(expected[0], stock_tensors(pipeline, **more)[0])


def test_layers_of_sd1_are_normalised_as_the_last_is(model_of: ModelOf) -> None:
    pipeline, model = model_of(sd1)
    encoder = pipeline.text_encoder
    tokens = pipeline.tokenizer(ONE, padding="max_length", max_length=77, return_tensors="pt")
    with torch.no_grad():
        states = encoder(tokens.input_ids, output_hidden_states=True).hidden_states
        norm = getattr(encoder, "text_model", encoder).final_layer_norm
        expected = [norm(states[-layer]) for layer in (1, 2)]
    last, earlier = (encode_prompt(skipping(model, layer), ONE) for layer in (1, 2))
    assert torch.equal(last.entries[0].embeddings, expected[0])
    assert torch.equal(earlier.entries[0].embeddings, expected[1])
    assert earlier.unconditional is not None
    empty = encode_prompt(skipping(model, 2), "").entries[0].embeddings
    assert torch.equal(earlier.unconditional.embeddings, empty)


def test_the_layer_is_part_of_the_recipe(model_of: ModelOf) -> None:
    _, model = model_of(sd1)
    recipe = open_model(str(model.folder), [], digests=FileDigests()).text_encoder
    assert with_clip_layer(recipe, 2) != recipe
    assert with_clip_layer(with_clip_layer(recipe, 2), 1) == recipe
    with raises(InvalidValue, port="encoder", given="clip skip 4"):
        encode_prompt(skipping(model, 4), ONE)


@pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")
@pytest.mark.parametrize("build", [sdxl, sd3, flux, chroma])
def test_models_take_prompts_one_after_the_other(
    model_of: ModelOf, build: Callable[[], Any]
) -> None:
    _, model = model_of(build)
    first, second = (model.encode(text) for text in (ONE, TWO))
    joined = concatenate(first, second)
    assert joined.entries[0].embeddings.shape[1] == 2 * first.entries[0].embeddings.shape[1]
    alone = model.make(64, 64, prompt=ONE, cfg=1.0)
    both = model.make(64, 64, prompt=ONE, cfg=1.0, change=lambda given: joined)
    assert both.latents.isfinite().all()
    assert not torch.equal(alone.latents, both.latents)


def test_sizes_are_told_as_in_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(sdxl)
    sizes = {"original_size": (96, 128), "crops_coords_top_left": (8, 4), "target_size": (72, 80)}
    expected = stock(pipeline, width=64, height=64, negative=TWO, guidance_scale=4.0, **sizes)

    def told(given: Conditioning) -> Conditioning:
        return with_sizes(given, original=(128, 96), crop=(4, 8), target=(80, 72))

    assert_same(model.make(64, 64, negative=TWO, cfg=4.0, change=told), expected)
    plain = model.make(64, 64, negative=TWO, cfg=4.0)
    assert not torch.equal(plain.latents, expected.latents)


@pytest.mark.slow
def test_the_refiner_is_told_a_score(model_of: ModelOf) -> None:
    _, model = model_of(refiner)
    usual, same, other = (
        model.make(
            64, 64, cfg=1.0, change=lambda given, score=score: with_sizes(given, score=score)
        )
        for score in (None, 6.0, 9.0)
    )
    assert torch.equal(usual.latents, same.latents)
    assert not torch.equal(usual.latents, other.latents)


def test_what_a_family_has_not_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(sd1)
    encoder = model.part("text_encoder")
    with raises(InvalidValue, port="encoder"):
        encode_prompts_per_encoder(encoder, [ONE])
    with raises(InvalidValue, port="conditioning", given="Stable Diffusion 1.x"):
        with_sizes(encode_prompt(encoder, ONE))


def test_readers_are_the_encoders_in_their_order() -> None:
    for family in FAMILIES.values():
        assert set(family.readers) <= set(READERS)
        # Others read images.
        encoders = [part for part in family.encoders if part.role.startswith("text_encoder")]
        assert not family.readers or len(family.readers) == len(encoders)
