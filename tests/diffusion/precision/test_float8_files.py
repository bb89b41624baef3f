"""Files of 8-bit weights: read as what they stand for, kept as they are, and told about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nodegraph.core.values import Latent
from nodegraph.diffusion import ModelRecipes, encode_prompt, load_component, open_model, sample
from nodegraph.diffusion.compact import compact_bytes
from nodegraph.diffusion.loading import estimate_bytes
from nodegraph.diffusion.opening import storage_told
from nodegraph.diffusion.precision.forms import FLOAT8, Narrow
from nodegraph.diffusion.precision.layers import held_shape
from nodegraph.diffusion.weight_files import read_tensors
from nodegraph.errors import InvalidFile
from nodegraph.residency import component_bytes
from tests.diffusion.ldm_export import ldm_checkpoint
from tests.messages import raises

from .conftest import Change, Rewritten, in_float8, scaled, scaled_by_row, widened_by_hand

WRITERS = pytest.mark.parametrize("write", [in_float8, scaled, scaled_by_row])


def results(recipes: ModelRecipes) -> list[torch.Tensor]:
    denoiser: Any = load_component(recipes.model, "cpu")
    encoder: Any = load_component(recipes.text_encoder, "cpu")
    prompt = encode_prompt(encoder, "a red apple")
    latent = sample(
        denoiser, prompt, None, Latent(None, 64, 64),
        seed=1, steps=2, cfg=4.0, sampler="euler", schedule="karras",
    )  # fmt: skip
    assert latent.samples is not None
    return [prompt.entries[0].embeddings, latent.samples]


@WRITERS
@pytest.mark.parametrize("storage", ["auto", pytest.param("full", marks=pytest.mark.slow)])
def test_results_are_those_of_weights_widened_by_hand(
    write: Change, storage: str, sd1_folder: Path, rewritten: Rewritten
) -> None:
    folder = rewritten(sd1_folder, write)
    expected = results(open_model(str(rewritten(folder, widened_by_hand)), []))

    found = results(open_model(str(folder), [], storage=storage))

    assert all(map(torch.equal, found, expected))


@WRITERS
def test_the_bits_of_the_file_are_kept(
    write: Change, sd1_folder: Path, rewritten: Rewritten
) -> None:
    recipes = open_model(str(rewritten(sd1_folder, write)), [])
    whole = open_model(str(sd1_folder), [])

    for recipe, full in ((recipes.model, whole.model), (recipes.text_encoder, whole.text_encoder)):
        component = load_component(recipe, "cpu")
        held = [layer.holding for layer in component.module.modules() if held_shape(layer)]
        assert held
        assert {item.types["stored"] for item in held} <= FLOAT8
        assert component.dtype == torch.float32
        assert component_bytes(component) == pytest.approx(estimate_bytes(recipe), rel=0.12)
        # Of this tiny encoder the words, which stay as they are, are the most.
        assert component_bytes(component) < 0.7 * estimate_bytes(full)
        assert compact_bytes(recipe) is None
    assert recipes.vae == open_model(str(recipes.vae.files[0].path).rsplit("/", 2)[0], []).vae


def test_auto_computes_in_bfloat16_on_accelerators(sd1_folder: Path, rewritten: Rewritten) -> None:
    recipes = open_model(str(rewritten(sd1_folder, scaled)), [], device="cuda")

    assert recipes.model.dtype == recipes.text_encoder.dtype == "bfloat16"
    assert recipes.model.option("storage") == "stored"
    assert recipes.vae.dtype == "float32"
    assert recipes.vae.options == ()


def test_a_single_file_of_original_names_is_kept_too(
    sd1_folder: Path, sd1_pipeline: Any, tmp_path: Path, rewritten: Rewritten
) -> None:
    whole = sd1_pipeline
    tensors = ldm_checkpoint(whole.unet, whole.vae, whole.text_encoder)
    own = "model.diffusion_model."
    unet = {name: item for name, item in tensors.items() if name.startswith(own)}
    rest = {name: item for name, item in tensors.items() if name not in unet}
    for name, part in (("narrow", scaled(unet)), ("wide", widened_by_hand(scaled(unet)))):
        save_file({**rest, **part}, tmp_path / f"{name}.safetensors")
    narrow, wide = (
        open_model(str(tmp_path / f"{name}.safetensors"), [sd1_folder.parent])
        for name in ("narrow", "wide")
    )

    denoiser = load_component(narrow.model, "cpu")

    expected = load_component(wide.model, "cpu").module.state_dict()
    layer = denoiser.module.get_submodule("mid_block.attentions.0.transformer_blocks.0.attn1.to_q")
    assert layer.holding.types["stored"] == torch.float8_e4m3fn
    assert torch.equal(
        layer.weight, expected["mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight"]
    )
    assert component_bytes(denoiser) == pytest.approx(estimate_bytes(narrow.model), rel=0.12)


def test_what_the_further_tensors_are_is_told(sd1_folder: Path, rewritten: Rewritten) -> None:
    folder = rewritten(sd1_folder, scaled)

    factors, besides = storage_told(str(folder), [])

    assert "multiplied by their scale_weight" in factors
    assert "scale_input, scaled_fp8" in besides
    assert storage_told(str(sd1_folder), []) == []


def test_forms_that_are_not_known_are_refused_by_name(tmp_path: Path) -> None:
    packed = torch.zeros(4, 2, dtype=torch.uint8)
    path = tmp_path / "fp4.safetensors"
    save_file({"a.weight": packed, "a.weight_scale_2": torch.ones(1)}, path)

    with raises(InvalidFile):
        read_tensors([path], "float32")


def test_factors_that_fit_nothing_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    weight = torch.zeros(4, 2, dtype=torch.float8_e4m3fn)
    save_file({"a.weight": weight, "a.weight_scale": torch.ones(3)}, path)

    with raises(InvalidFile):
        read_tensors([path], "float32")


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_each_number_of_8_bits_is_read_as_torch_reads_it(
    kind: torch.dtype, dtype: torch.dtype
) -> None:
    every = torch.arange(256, dtype=torch.uint8).view(kind)

    found = Narrow().wide({"stored": every}, (256,), dtype)

    assert found.dtype == dtype
    assert torch.equal(found.nan_to_num(nan=12345.0), every.to(dtype).nan_to_num(nan=12345.0))
