"""SD 2.x, SDXL and its refiner in one file: told by names and shapes, all tensors come back."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import (
    estimate_bytes,
    load_component,
    locate_model,
    model_facts,
    open_model,
)
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.vocabulary import WORDS
from nodegraph.models.facts import weight_bytes
from nodegraph.models.vae_files import open_vae
from nodegraph.residency import component_bytes
from tests.diffusion import ldm_export as ldm
from tests.messages import raises

from .parts import clip_text, unet

LEVELS = {"block_out_channels": (64, 128), "layers_per_block": 1, "norm_num_groups": 32}


class Words:
    """As many words as the vocabulary that comes along."""

    bos_token_id, eos_token_id = WORDS - 2, WORDS - 1

    def __len__(self) -> int:
        return WORDS


def autoencoder(scale: float) -> Any:
    return d.AutoencoderKL(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        scaling_factor=scale,
    )


def net(cross: int, depths: tuple[int, int], told: int = 0) -> Any:
    more: dict[str, Any] = {}
    if told:
        more = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": told,
        }
    return unet(
        cross,
        [1, 2],
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True,
        transformer_layers_per_block=list(depths),
        sample_size=128,
        **LEVELS,
        **more,
    )


def one(words: Any = Words()) -> Any:  # noqa: B008
    return clip_text(words, 64)


def two(projection: int | None = 128) -> Any:
    return clip_text(Words(), 128, projection, "gelu")


Parts = dict[str, Any]
Written = Callable[[Parts], dict[str, Tensor]]


def sd2() -> tuple[Parts, dict[str, Tensor]]:
    parts = {"unet": net(128, (1, 1)), "vae": autoencoder(0.18215), "text_encoder": two(None)}
    return parts, ldm.open_clip(parts["text_encoder"], "cond_stage_model.model.", more_layers=1)


def sdxl() -> tuple[Parts, dict[str, Tensor]]:
    parts = {
        "unet": net(64 + 128, (1, 3), 6 * 256 + 128),
        "vae": autoencoder(0.13025),
        "text_encoder": one(),
        "text_encoder_2": two(),
    }
    first = ldm.clip(parts["text_encoder"], "conditioner.embedders.0.transformer.")
    return parts, first | ldm.open_clip(parts["text_encoder_2"], "conditioner.embedders.1.model.")


def refiner() -> tuple[Parts, dict[str, Tensor]]:
    parts = {
        "unet": net(128, (1, 2), 5 * 256 + 128),
        "vae": autoencoder(0.13025),
        "text_encoder_2": two(),
    }
    return parts, ldm.open_clip(parts["text_encoder_2"], "conditioner.embedders.0.model.")


BUILDS = {"sd2": sd2, "sdxl": sdxl, "sdxl-refiner": refiner}
Files = Callable[[str], tuple[Path, Parts]]
each = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name != "sdxl" else ()) for name in BUILDS],
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("models")

    @cache
    def made(name: str) -> tuple[Path, Parts]:
        torch.manual_seed(0)
        parts, encoders = BUILDS[name]()
        tensors = ldm.pictures(parts["unet"], parts["vae"]) | encoders
        path = folder / f"{name}.safetensors"
        save_file({key: item.detach().clone().contiguous() for key, item in tensors.items()}, path)
        return path, parts

    return made


OPTIONS = {"sd2": {"prediction_type": "v_prediction"}}


@each
def test_every_tensor_comes_back(files: Files, name: str) -> None:
    path, parts = files(name)
    recipes = open_model(str(path), [], **OPTIONS.get(name, {}))
    assert recipes.model.family == name
    modules = {}
    for recipe in recipes:
        component = load_component(recipe, "cpu")
        modules |= component.modules
    assert modules.keys() == parts.keys()
    for role, module in modules.items():
        expected, found = parts[role].state_dict(), module.state_dict()
        assert expected.keys() == found.keys(), role
        assert all(torch.equal(found[key], item) for key, item in expected.items()), role
    expected_bytes = {
        port: component_bytes(load_component(recipe, "cpu"))
        for port, recipe in zip(recipes._fields, recipes, strict=True)
    }
    source = locate_model(str(path), [])
    for port, size in weight_bytes(source).items():
        assert size == pytest.approx(expected_bytes[port], rel=0.2)


@each
def test_its_unet_computes_the_same(files: Files, name: str) -> None:
    """What no tensor shows, such as the heads, is as it was."""
    path, parts = files(name)
    recipes = open_model(str(path), [], **OPTIONS.get(name, {}))
    module = load_component(recipes.model, "cpu").module
    width = module.config.cross_attention_dim
    told = module.config.get("projection_class_embeddings_input_dim")
    sizes = 0 if told is None else (told - 128) // 256
    given = {
        "encoder_hidden_states": torch.randn(1, 7, width),
        "added_cond_kwargs": {"text_embeds": torch.randn(1, 128), "time_ids": torch.ones(1, sizes)},
    }
    x, step = torch.randn(1, 4, 8, 8), torch.tensor(500)
    with torch.no_grad():
        expected = parts["unet"].eval().requires_grad_(False)(x, step, **given).sample
        assert torch.equal(module(x, step, **given).sample, expected)


@each
def test_its_words_come_along(files: Files, name: str) -> None:
    recipes = open_model(str(files(name)[0]), [], **OPTIONS.get(name, {}))
    tokenizers = load_component(recipes.text_encoder, "cpu").tokenizers
    for role, words in tokenizers.items():
        found = words("a photo of an astronaut", padding="max_length", max_length=77).input_ids
        # As OpenAI's CLIP has it: https://github.com/openai/CLIP/blob/main/clip/simple_tokenizer.py
        assert found[:7] == [49406, 320, 1125, 539, 550, 18376, 49407]
        assert found[-1] == (49407 if role == "tokenizer" and name == "sdxl" else 0)


def test_what_an_sd2_predicts_has_to_be_said(files: Files) -> None:
    with raises(InvalidValue, port="prediction_type", given="auto"):
        open_model(str(files("sd2")[0]), [])


def test_what_is_known_without_loading(files: Files) -> None:
    facts = model_facts(locate_model(str(files("sdxl")[0]), []))
    assert (facts["family"], facts["format"], facts["latent_channels"]) == ("sdxl", "sdxl", 4)
    assert (facts["width"], facts["context_width"]) == (1024, 64 + 128)


@pytest.mark.parametrize(
    ("naming", "prefix"),
    [("original", "first_stage_model."), ("diffusers", ""), ("diffusers", "vae.")],
)
def test_a_vae_by_itself(tmp_path: Path, naming: str, prefix: str) -> None:
    torch.manual_seed(0)
    expected = autoencoder(0.13025).eval()
    tensors = expected.state_dict() if naming == "diffusers" else ldm._vae_tensors(expected)
    save_file(
        {f"{prefix}{name}": item.clone().contiguous() for name, item in tensors.items()},
        tmp_path / "vae.safetensors",
    )
    with raises(InvalidValue, port="latents", given="auto"):
        open_vae("vae", [tmp_path])
    recipe = open_vae("vae", [tmp_path], latents="sdxl")
    module = load_component(recipe, "cpu").module
    found = module.state_dict()
    assert all(torch.equal(found[name], item) for name, item in expected.state_dict().items())
    assert module.config.scaling_factor == 0.13025
    assert estimate_bytes(recipe) == component_bytes(load_component(recipe, "cpu"))


def test_a_vae_in_a_folder_of_its_own(tmp_path: Path) -> None:
    autoencoder(0.13025).save_pretrained(tmp_path / "vae")
    recipe = open_vae("vae", [tmp_path])
    assert recipe.family == "sdxl"
    assert load_component(recipe, "cpu").module.config.scaling_factor == 0.13025
    with raises(InvalidValue, port="latents", given="sd"):
        open_vae("vae", [tmp_path], latents="sd")


def test_the_vae_of_a_whole_model(files: Files) -> None:
    """Two models that share a VAE share it in memory: its recipe is the model's own."""
    path, _ = files("sdxl")
    assert open_vae(str(path), []) == open_model(str(path), []).vae


def test_what_holds_no_vae_is_refused(tmp_path: Path) -> None:
    save_file({"anything": torch.zeros(1)}, tmp_path / "none.safetensors")
    with raises(InvalidFile):
        open_vae("none", [tmp_path])


def test_a_file_without_an_encoder_is_refused(files: Files, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    kept = {
        name: item
        for name, item in load_file(files("sdxl")[0]).items()
        if not name.startswith("conditioner.embedders.1.")
    }
    save_file(kept, tmp_path / "half.safetensors")
    with raises(InvalidFile):
        locate_model(str(tmp_path / "half.safetensors"), [])
