"""Weights that stay in half precision give the results of widened ones, bit for bit."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.core.file_digests import FileDigests
from nodegraph.core.values import Latent, Recipe
from nodegraph.diffusion import (
    ModelRecipes,
    decode_latent,
    encode_image,
    encode_prompt,
    estimate_bytes,
    load_component,
    open_model,
    sample,
)
from nodegraph.errors import InvalidFile
from nodegraph.models.loading import compact_bytes, load_compact
from nodegraph.residency import component_bytes
from nodegraph.session.settings import Settings
from nodegraph.session.weights import residency_manager
from tests.messages import raises

UNET = "unet/diffusion_pytorch_model.safetensors"


def stored(folder: Path, source: Path, dtype: torch.dtype) -> Path:
    """A copy of a model's folder with weights of another type."""
    shutil.copytree(source, folder)
    for file in folder.glob("*/*.safetensors"):
        tensors = load_file(file)
        save_file({name: item.to(dtype) for name, item in tensors.items()}, file, {"format": "pt"})
    return folder


@pytest.fixture(
    scope="module", params=[pytest.param("float16", marks=pytest.mark.slow), "bfloat16"]
)
def halves(
    request: pytest.FixtureRequest, sd1_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> ModelRecipes:
    folder = tmp_path_factory.mktemp("models") / "halves"
    return recipes_of(stored(folder, sd1_folder, getattr(torch, request.param)))


def recipes_of(model: Path | str, dtype: str = "float32") -> ModelRecipes:
    return open_model(str(model), [], dtype=dtype, digests=FileDigests())


def picture(denoiser: Any, text: Any, autoencoder: Any, seed: int = 1) -> tuple[Tensor, ...]:
    """A prompt, a latent and an image, and what becomes of the image as a latent."""
    prompt = encode_prompt(text, "a red apple")
    latent = sample(
        denoiser, prompt, None, Latent(None, 64, 64),
        seed=seed, steps=3, cfg=4.0, sampler="dpmpp_2m", schedule="karras",
    )  # fmt: skip
    image = decode_latent(autoencoder, latent)
    again = encode_image(autoencoder, image)
    assert latent.samples is not None
    assert again.samples is not None
    return prompt.entries[0].embeddings, latent.samples, image, again.samples


def assert_equal(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def assert_same(
    found: Iterable[tuple[str, Tensor]], expected: Iterable[tuple[str, Tensor]]
) -> None:
    one, other = dict(found), dict(expected)
    assert list(one) == list(other)
    assert_equal(tuple(one.values()), tuple(other.values()))


def test_results_are_those_of_widened_weights(halves: ModelRecipes) -> None:
    expected = picture(*(load_component(recipe, "cpu") for recipe in order(halves)))

    assert_equal(picture(*(load_compact(recipe) for recipe in order(halves))), expected)


@pytest.mark.slow
def test_the_embedded_model_gives_the_same() -> None:
    recipes = recipes_of("tiny")
    expected = picture(*(load_component(recipe, "cpu") for recipe in order(recipes)))

    assert_equal(picture(*(load_compact(recipe) for recipe in order(recipes))), expected)


def test_threads_share_a_component(halves: ModelRecipes) -> None:
    parts = [load_compact(recipe) for recipe in order(halves)]
    expected = [picture(*parts, seed=seed) for seed in range(3)]

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda seed: picture(*parts, seed=seed), range(3)))

    for one, other in zip(found, expected, strict=True):
        assert_equal(one, other)


def test_they_take_about_half_and_as_much_as_is_told(halves: ModelRecipes) -> None:
    for recipe in halves:
        component = load_compact(recipe)
        # Buffers, such as position ids, are not in the files.
        assert compact_bytes(recipe) == pytest.approx(component_bytes(component), rel=0.01)
        assert component_bytes(component) < 0.6 * estimate_bytes(recipe)


def test_nothing_is_gained_on_weights_that_are_not_widened(
    sd1_folder: Path, halves: ModelRecipes, tmp_path: Path
) -> None:
    mixed = Path(shutil.copytree(sd1_folder, tmp_path / "mixed"))
    tensors = load_file(mixed / UNET)
    first = min(tensors)
    save_file({**tensors, first: tensors[first].half()}, mixed / UNET, {"format": "pt"})

    for recipe in (
        recipes_of(sd1_folder).model,
        recipes_of(mixed).model,
        replace(halves.model, dtype="bfloat16"),
    ):
        assert compact_bytes(recipe) is None
        with raises(InvalidFile):
            load_compact(recipe)


def test_whole_numbers_beside_the_weights_do_not_matter(tmp_path: Path, sd1_folder: Path) -> None:
    folder = stored(tmp_path / "old", sd1_folder, torch.float16)
    file = folder / "text_encoder" / "model.safetensors"
    ids = {"text_model.embeddings.position_ids": torch.arange(77)[None]}
    save_file({**load_file(file), **ids}, file, {"format": "pt"})
    recipe = recipes_of(folder).text_encoder

    expected = encode_prompt(load_component(recipe, "cpu"), "a red apple")
    found = encode_prompt(load_compact(recipe), "a red apple")

    assert compact_bytes(recipe) is not None
    assert torch.equal(found.entries[0].embeddings, expected.entries[0].embeddings)


def test_a_file_that_became_another_is_refused(tmp_path: Path, sd1_folder: Path) -> None:
    folder = stored(tmp_path / "model", sd1_folder, torch.float16)
    recipe = recipes_of(folder).model
    tensors = load_file(folder / UNET)
    save_file({name: -item for name, item in tensors.items()}, folder / UNET, {"format": "pt"})

    with raises(InvalidFile):
        load_compact(recipe)


@pytest.mark.slow
def test_two_models_by_turns_stay_where_only_one_fits_in_full(
    tmp_path: Path, sd1_folder: Path, sd1_v_folder: Path
) -> None:
    models = [
        recipes_of(stored(tmp_path / source.name, source, torch.float16))
        for source in (sd1_folder, sd1_v_folder)
    ]
    expected = [
        picture(*(load_component(item, "cpu") for item in order(model))) for model in models
    ]
    budget = int(sum(estimate_bytes(item) for model in models for item in model) * 0.7)
    manager = residency_manager(Settings(host_weights_budget=budget), "cpu")

    given = []
    for turn in range(8):
        with ExitStack() as held:
            uses = (manager.use(item, "cpu", calls_only=True) for item in order(models[turn % 2]))
            given.append([held.enter_context(use) for use in uses])
        assert_equal(picture(*given[-1]), expected[turn % 2])

    there = manager.resident()
    assert len(there) == 6
    assert sum(item.bytes for item in there) <= budget
    assert all(one is other for one, other in zip(given[6], given[4], strict=True))
    assert all(one is other for one, other in zip(given[7], given[5], strict=True))


def test_who_looks_into_a_model_finds_what_a_usual_one_holds(halves: ModelRecipes) -> None:
    recipe = halves.model
    manager = residency_manager(
        Settings(host_weights_budget=int(estimate_bytes(recipe) * 0.7)), "cpu"
    )
    for _ in range(2):  # it has to go after the first
        with manager.use(recipe, "cpu", calls_only=True):
            pass
    assert manager.resident()[0].bytes < 0.6 * estimate_bytes(recipe)

    with manager.use(recipe, "cpu") as found:
        usual = load_component(recipe, "cpu")
        assert found.module.dtype == torch.float32
        assert_same(found.module.named_parameters(), usual.module.named_parameters())
        assert_same(found.module.state_dict().items(), usual.module.state_dict().items())


def order(recipes: ModelRecipes) -> tuple[Recipe, ...]:
    return recipes.model, recipes.text_encoder, recipes.vae
