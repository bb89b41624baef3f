"""VAEs of quantized files: their layers stay as stored, and compute as the numbers do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.core.values import Vae
from nodegraph.diffusion import estimate_bytes, load_component, open_model
from nodegraph.families.registry import get_latent_format
from nodegraph.models.facts import weight_bytes
from nodegraph.models.model_sources import locate_model
from nodegraph.models.offloading import offload_layers
from nodegraph.models.vae_files import open_vae, vae_bytes
from nodegraph.residency import component_bytes
from nodegraph.weights.precision.quantized_weights import quantized_shape
from tests.accelerator.card import Card
from tests.diffusion.ldm_export import ldm_checkpoint
from tests.diffusion.test_vae_layouts import BUILDS, built, kl, random_weights, write

from .conftest import Rewritten
from .packed_files import FORMS, Packed, layer_tensors

Tensors = dict[str, Tensor]
Write = Callable[[Tensor], Packed]


def float8(weight: Tensor) -> Packed:
    """One factor for all, as `float8_e4m3fn` has it."""
    factor = (weight.abs().max() / 448).float()
    stored = (weight.float() / factor).to(torch.float8_e4m3fn)
    return {"": stored, "_scale": factor}, {"format": "float8_e4m3fn"}, stored.float() * factor


def int8(weight: Tensor) -> Packed:
    """A factor for each row, as `int8_tensorwise` has it."""
    factors = (weight.flatten(1).abs().amax(1) / 127).float().clamp(min=1e-8)
    rows = factors.view(-1, *[1] * (weight.dim() - 1))
    stored = (weight.float() / rows).round().to(torch.int8)
    return {"": stored, "_scale": factors}, {"format": "int8_tensorwise"}, stored.float() * rows


def packed(tensors: Tensors, write: Write) -> tuple[Tensors, Tensors]:
    """What a file holds with all weights of layers packed, and the numbers that it stands for."""
    stored, numbers = {}, {}
    for name, item in tensors.items():
        if name.endswith(".weight") and item.dim() > 1:
            own = write(item)
            stored |= layer_tensors(name.removesuffix(".weight"), own)
            numbers[name] = own[2]
        else:
            stored[name] = numbers[name] = item
    return stored, numbers


def opened(tensors: Tensors, latents: str, folder: Path, name: str) -> tuple[Vae, Any]:
    write(folder / f"{name}.safetensors", tensors)
    recipe = open_vae(name, [folder], latents=latents)
    return recipe, load_component(recipe, "cpu")


def picture_of(module: Any, latents: str) -> tuple[Tensor, Tensor]:
    """Pixels of a latent, and the latent of those."""
    kind = get_latent_format(latents)
    axes = (1, 2, 2) if kind.temporal else (2, 2)
    latent = torch.randn(1, kind.channels, *axes, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        pixels = kind.decode(module, latent)
        return pixels, kind.encode(module, pixels)


def held(module: Any) -> int:
    return sum(bool(quantized_shape(layer)) for layer in module.modules())


QUICK = ("flux", "wan", "ltx 0.9.1")
SOME = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in BUILDS]


@pytest.mark.parametrize("form", [float8, int8])
@pytest.mark.parametrize("name", SOME)
def test_convolutions_stay_packed_and_compute_as_their_numbers(
    name: str, form: Write, tmp_path: Path
) -> None:
    latents, _, write_out = BUILDS[name]
    narrow, wide = packed(write_out(built(name)), form)
    recipe, found = opened(narrow, latents, tmp_path, "narrow")
    plain, expected = opened(wide, latents, tmp_path, "wide")

    pixels, wanted = picture_of(found.module, latents), picture_of(expected.module, latents)

    assert all(map(torch.equal, pixels, wanted))
    assert held(found.module)
    assert not held(expected.module)
    assert (recipe.option("storage"), plain.option("storage")) == ("stored", "")
    # weights in a quarter of the bytes; biases and norms, many for so few channels, as they were
    small = sum(item.numel() for item in narrow.values() if item.element_size() == 1)
    others = sum(item.nbytes for item in narrow.values() if item.element_size() > 1)
    assert component_bytes(found) == pytest.approx(small + others, rel=0.1)
    assert component_bytes(found) == pytest.approx(estimate_bytes(recipe), rel=0.1)
    assert vae_bytes("narrow", [tmp_path], latents=latents) == estimate_bytes(recipe)
    assert found.dtype == torch.float32


@pytest.mark.parametrize("form", FORMS)
def test_matrices_of_a_vae_stay_packed_in_every_form(form: str, tmp_path: Path) -> None:
    def own(weight: Tensor) -> Packed:
        fits = weight.dim() == 2 and weight.shape[1] % 32 == 0
        return FORMS[form](weight.double()) if fits else float8(weight)

    # its middle attends with linear layers, under the names of diffusers
    tensors = dict(built("flux").state_dict())
    narrow, wide = packed(tensors, own)
    wide = {name: item.float() for name, item in wide.items()}
    _, found = opened(narrow, "flux", tmp_path, "narrow")
    _, expected = opened(wide, "flux", tmp_path, "wide")

    attention = found.module.get_submodule("decoder.mid_block.attentions.0.to_q")

    assert quantized_shape(attention) == (64, 64)
    assert attention.holding.types["stored"] != torch.float8_e4m3fn or form == "mxfp8"
    wanted = picture_of(expected.module, "flux")
    assert all(map(torch.equal, picture_of(found.module, "flux"), wanted))


def repacked_vae(folder: Path, source: Path) -> tuple[Path, Path]:
    """Copies of a model's folder: one with a packed VAE, one with its numbers."""
    paths = []
    for at, name in enumerate(("narrow", "wide")):
        copy = Path(shutil.copytree(source, folder / name))
        (file,) = (copy / "vae").glob("*.safetensors")
        save_file(packed(load_file(file), int8)[at], file, {"format": "pt"})
        paths.append(copy)
    return paths[0], paths[1]


def test_the_vae_of_a_folder_is_packed_by_itself(sd1_folder: Path, tmp_path: Path) -> None:
    narrow, wide = repacked_vae(tmp_path, sd1_folder)
    recipes, plain = open_model(str(narrow), []), open_model(str(wide), [])
    found, expected = (load_component(item.vae, "cpu") for item in (recipes, plain))

    assert recipes.model.option("storage") == ""
    assert recipes.vae.option("storage") == "stored"
    assert held(found.module)
    wanted = picture_of(expected.module, "sd")
    assert all(map(torch.equal, picture_of(found.module, "sd"), wanted))
    told = weight_bytes(locate_model(str(narrow), []))["vae"]
    assert told == pytest.approx(component_bytes(found), rel=0.15)
    assert told < 0.4 * weight_bytes(locate_model(str(wide), []))["vae"]


def test_in_a_file_of_a_whole_model_only_its_own_tensors_count(
    sd1_folder: Path, sd1_pipeline: Any, tmp_path: Path, rewritten: Rewritten
) -> None:
    whole = sd1_pipeline
    vae = random_weights(kl(4, 0.18215))
    tensors = ldm_checkpoint(whole.unet, vae, whole.text_encoder)
    for at, prefix in enumerate(("first_stage_model.", "model.diffusion_model.")):
        own = {name: item for name, item in tensors.items() if name.startswith(prefix)}
        save_file({**tensors, **packed(own, float8)[0]}, tmp_path / f"{at}.safetensors")

    recipes = [
        open_model(str(tmp_path / f"{at}.safetensors"), [sd1_folder.parent]) for at in (0, 1)
    ]

    assert [item.vae.option("storage") for item in recipes] == ["stored", ""]
    modules = [load_component(item.vae, "cpu").module for item in recipes]
    assert [bool(held(module)) for module in modules] == [True, False]
    facts = [weight_bytes(locate_model(item.vae.files[0].path, [])) for item in recipes]
    assert facts[0]["vae"] < 0.5 * facts[1]["vae"]


@pytest.mark.gpu
def test_packed_layers_of_a_vae_are_offloaded_as_they_are(tmp_path: Path, card: Card) -> None:
    narrow, _ = packed(dict(built("wan").state_dict()), int8)
    _, found = opened(narrow, "wan", tmp_path, "narrow")
    latents = get_latent_format("wan")
    latent = torch.randn(1, 16, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = latents.decode(found.module, latent)
        with offload_layers({"vae": found.module}, "cuda:0") as brought:
            pixels = latents.decode(brought.modules["vae"], latent.to("cuda:0"))
            card.assert_as_on_cpu(pixels, expected)
    assert brought.bytes < component_bytes(found)
