"""Adapters in recipes: named, counted before anything is loaded, and put on what is loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors.torch import save_file

from nodegraph.core.values import Latent, Recipe
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound
from nodegraph.families.components import TextModel
from nodegraph.models.adapters.adapter_files import locate_adapter
from nodegraph.models.adapters.layer_changes import layers_of
from nodegraph.models.adapters.layer_matching import recipe_layers
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.conditioning import encode_prompt
from nodegraph.models.derived_components import derive
from nodegraph.models.loading import load_component
from nodegraph.models.model_recipes import ModelRecipes, open_model
from nodegraph.residency import ResidencyManager
from nodegraph.sampling.denoise import sample
from tests.diffusion.ldm_export import ldm_checkpoint
from tests.messages import raises

from . import files

# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning"),
]


@pytest.fixture
def recipes(sd1_folder: Path) -> ModelRecipes:
    return open_model(str(sd1_folder), [])


@pytest.fixture(scope="module")
def loras(
    sd1_pipeline: StableDiffusionPipeline, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Two of them, for denoiser and text encoder both, as kohya writes them."""
    folder = tmp_path_factory.mktemp("loras")
    torch.manual_seed(5)
    return [
        files.saved(
            {
                **files.flat_file(files.own_pairs(sd1_pipeline.unet), "lora_unet_"),
                **files.flat_file(
                    {
                        f"text_model.{name}": pair
                        for name, pair in files.own_pairs(sd1_pipeline.text_encoder).items()
                        if "layers" in name
                    },
                    "lora_te_",
                ),
            },
            folder / f"{name}.safetensors",
        )
        for name in ("one", "two")
    ]


def _on(recipe: Any, paths: list[Path], strengths: tuple[float, ...]) -> Any:
    for path, strength in zip(paths, strengths, strict=True):
        recipe = OpenedAdapter(path).apply_to(recipe, strength).recipe
    return recipe


def _live(recipe: Recipe) -> Any:
    return derive(load_component(recipe.base, "cpu"), recipe)


def test_a_picture_is_what_the_pipeline_makes_with_the_same_two(
    sd1_folder: Path, recipes: ModelRecipes, loras: list[Path]
) -> None:
    theirs: Any = StableDiffusionPipeline.from_pretrained(sd1_folder, local_files_only=True)
    theirs.set_progress_bar_config(disable=True)
    theirs.scheduler = DDIMScheduler.from_config(theirs.scheduler.config, clip_sample=False)
    for path in loras:
        theirs.load_lora_weights(str(path), adapter_name=path.stem)
    weights = [{"unet": 0.8, "text_encoder": 0.5}, {"unet": -0.4, "text_encoder": 0.3}]
    theirs.set_adapters(["one", "two"], weights)
    expected = theirs(
        "red apple",
        negative_prompt="fox",
        num_inference_steps=3,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
        height=64,
        width=64,
    ).images

    encoder = _live(_on(recipes.text_encoder, loras, (0.5, 0.3)))
    denoiser = _live(_on(recipes.model, loras, (0.8, -0.4)))
    prompts = [encode_prompt(encoder, text) for text in ("red apple", "fox")]
    options = {"steps": 3, "cfg": 4.0, "sampler": "ddim", "schedule": "normal"}
    found = sample(denoiser, *prompts, Latent(None, 64, 64), seed=7, **options).samples
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_layers_are_counted_before_anything_is_loaded(
    recipes: ModelRecipes, loras: list[Path]
) -> None:
    opened = OpenedAdapter(loras[0])
    for recipe in (recipes.model, recipes.text_encoder):
        matched = opened.apply_to(recipe, 1.0).matched
        assert matched is not None
        assert len(matched.applied) == matched.total > 10
        assert matched.elsewhere


@pytest.mark.parametrize("layout", ["folder", "single file"])
def test_a_recipe_has_the_layers_of_what_it_becomes(
    layout: str, sd1_folder: Path, sd1_pipeline: StableDiffusionPipeline, tmp_path: Path
) -> None:
    place = sd1_folder
    if layout == "single file":
        place = tmp_path / "model.safetensors"
        parts = (sd1_pipeline.unet, sd1_pipeline.vae, sd1_pipeline.text_encoder)
        save_file(ldm_checkpoint(*parts), place)
    recipes = open_model(str(place), [])
    found = recipe_layers(recipes.model)
    assert found == {"unet": layers_of(sd1_pipeline.unet)}
    found = recipe_layers(recipes.text_encoder)
    assert found is not None
    expected = layers_of(sd1_pipeline.text_encoder).shapes
    shapes = found["text_encoder"].shapes
    assert {name.removeprefix("text_model."): shape for name, shape in shapes.items()} == expected


def test_without_strength_the_recipe_is_the_same(recipes: ModelRecipes, loras: list[Path]) -> None:
    assert OpenedAdapter(loras[0]).apply_to(recipes.model, 0.0).recipe == recipes.model


def test_the_file_and_its_strength_tell_recipes_apart(
    recipes: ModelRecipes, loras: list[Path]
) -> None:
    made = [
        _on(recipes.model, loras[:1], (1.0,)),
        _on(recipes.model, loras[:1], (0.5,)),
        _on(recipes.model, loras[1:], (1.0,)),
        _on(recipes.model, loras, (1.0, 1.0)),
        _on(recipes.model, loras[::-1], (1.0, 1.0)),
        OpenedAdapter(loras[0], fused=True).apply_to(recipes.model, 1.0).recipe,
    ]
    assert len(set(made)) == len(made)
    assert {recipe.base for recipe in made} == {recipes.model}


def test_another_lora_loads_no_model(recipes: ModelRecipes, loras: list[Path]) -> None:
    loaded: list[Recipe] = []

    def load(recipe: Recipe, where: str) -> Any:
        loaded.append(recipe)
        return load_component(recipe, where)

    manager = ResidencyManager(load, derive=derive)
    for strength in (1.0, 0.5):
        for path in loras:
            with manager.use(_on(recipes.model, [path], (strength,)), "cpu"):
                pass
    assert loaded == [recipes.model]
    own, *derived = sorted((item.bytes for item in manager.resident()), reverse=True)
    assert all(size < own / 2 for size in derived)


def test_the_empty_prompt_is_not_that_of_the_encoder_without(
    recipes: ModelRecipes, loras: list[Path]
) -> None:
    base: TextModel = load_component(recipes.text_encoder, "cpu")  # type: ignore[assignment]
    plain = encode_prompt(base, "fox").unconditional
    recipe = _on(recipes.text_encoder, loras[:1], (1.0,))
    changed = encode_prompt(derive(base, recipe), "fox").unconditional
    assert plain is not None
    assert changed is not None
    assert not torch.equal(plain.embeddings, changed.embeddings)


def test_loading_alone_puts_no_adapters_on(recipes: ModelRecipes, loras: list[Path]) -> None:
    with raises(InvalidValue):
        load_component(_on(recipes.model, loras[:1], (1.0,)), "cpu")


def test_a_file_for_neither_part_is_refused(recipes: ModelRecipes, tmp_path: Path) -> None:
    pairs = {"joint_blocks.0.x_block.attn.qkv": (torch.zeros(2, 8), torch.zeros(24, 2))}
    path = files.saved(files.dotted_file(pairs, "diffusion_model."), tmp_path / "a.safetensors")
    opened = OpenedAdapter(path)
    found = [opened.apply_to(recipe, 1.0) for recipe in recipes[:2]]
    assert [item.recipe for item in found] == [*recipes[:2]]
    with raises(InvalidFile, port="lora", given="probably one for Stable Diffusion 3"):
        opened.check_applies([item.matched for item in found])


def test_what_comes_along_has_names_of_its_own(tmp_path: Path) -> None:
    path = locate_adapter("tiny/style_lora", [tmp_path])
    assert (path.parent.name, path.name) == ("style_lora", "pytorch_lora_weights.safetensors")


@pytest.mark.parametrize("name", ["styles/ink", "styles/ink.safetensors", "folder", "wash"])
def test_names_are_looked_for_below_the_models_folders(name: str, tmp_path: Path) -> None:
    for file in ("styles/ink.safetensors", "folder/adapter_model.safetensors", "loras/wash.sft"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).touch()
    assert locate_adapter(name, [tmp_path / "none", tmp_path]).is_file()


def test_a_name_that_is_nearly_right_is_told(tmp_path: Path) -> None:
    (tmp_path / "ink.safetensors").touch()
    with raises(ModelNotFound, given="inc"):
        locate_adapter("inc", [tmp_path])
    with raises(ModelNotFound, given="tiny/lcm-lora"):
        locate_adapter("tiny/lcm-lora", [tmp_path])
    (tmp_path / "wash.sft").touch()
    with raises(ModelNotFound, given="wasch"):
        locate_adapter("wasch", [tmp_path])
