"""Files of 8-bit weights: read as what they stand for, kept as they are, and told about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nodegraph.core.values import Latent
from nodegraph.diffusion import ModelRecipes, encode_prompt, load_component, open_model, sample
from nodegraph.errors import InvalidFile
from nodegraph.models.loading import compact_bytes, estimate_bytes
from nodegraph.models.model_recipes import storage_warnings
from nodegraph.residency import component_bytes
from nodegraph.weights.precision.quantized_weights import FLOAT8, ScaledNarrow, quantized_shape
from nodegraph.weights.weight_files import read_tensors
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
        held = [layer.holding for layer in component.module.modules() if quantized_shape(layer)]
        assert held
        assert {item.types["stored"] for item in held} <= FLOAT8
        assert component.dtype == torch.float32
        # An estimate leaves out factors, of which narrow rows have many for their size.
        assert component_bytes(component) == pytest.approx(estimate_bytes(recipe), rel=0.13)
        assert component_bytes(component) < 0.4 * estimate_bytes(full)
        assert compact_bytes(recipe) is None
    assert recipes.vae == open_model(str(recipes.vae.files[0].path).rsplit("/", 2)[0], []).vae


@WRITERS
def test_weights_load_where_gradients_are_switched_off(
    write: Change, sd1_folder: Path, rewritten: Rewritten
) -> None:
    recipe = open_model(str(rewritten(sd1_folder, write)), []).model
    with torch.inference_mode():
        component = load_component(recipe, "cpu")
    assert not any(part.is_inference() for part in component.module.parameters())


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

    factors, besides = storage_warnings(str(folder), [])

    assert "multiplied by their scale_weight" in factors
    assert "scale_input, scaled_fp8" in besides
    assert storage_warnings(str(sd1_folder), []) == []


I8 = torch.zeros(4, 2, dtype=torch.int8)
U8 = I8.to(torch.uint8)
F8 = I8.to(torch.float8_e4m3fn)
ROWS = {"b.weight_scale": torch.ones(4, 1)}
ONE = {"b.weight_scale": torch.ones(())}


def quant(**config: Any) -> dict[str, torch.Tensor]:
    """What ComfyUI's files say of a layer."""
    return {"b.comfy_quant": torch.tensor(list(json.dumps(config).encode()), dtype=torch.uint8)}


def layer_settings(**config: Any) -> dict[str, str]:
    """The same in the file's metadata."""
    found = {"format_version": "1.0", "layers": {"b": config}}
    return {"_quantization_metadata": json.dumps(found)}


READ = [
    ({"b.weight": I8, **ROWS, **quant(format="int8_tensorwise")}, {}),
    ({"b.weight": I8, **ONE, **quant(format="int8_tensorwise", convrot=False)}, {}),
    ({"b.weight": F8, **ONE, **quant(format="float8_e4m3fn", full_precision_matrix_mult=True)}, {}),
    ({"b.weight": F8, **ONE}, layer_settings(format="float8_e4m3fn")),
    ({"b.weight": F8, "b.running_mean": torch.zeros(4)}, {}),
    ({"b.weight": I8, **ROWS, "b.bias": torch.zeros(4), "b.input_scale": torch.ones(1)}, {}),
    ({"b.position": U8, "c.weight": torch.zeros(4, dtype=torch.uint8)}, {}),
]


@pytest.mark.parametrize(("tensors", "metadata"), READ)
def test_forms_that_are_understood_are_read(
    tensors: dict[str, torch.Tensor], metadata: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "known.safetensors"
    save_file({"a.weight": torch.zeros(2, 2), **tensors}, path, metadata)

    assert "a.weight" in read_tensors([path], "float32")


ROTATED = {"format": "int8_tensorwise", "convrot": True, "convrot_groupsize": 256}
NOT_READ = {
    "rotated": ({"b.weight": I8, **ROWS, **quant(**ROTATED)}, {}),
    "rotated, as the metadata say": ({"b.weight": I8, **ROWS}, layer_settings(**ROTATED)),
    "rotated 4 bits": ({"b.weight": U8, **ROWS, **quant(format="convrot_w4a4")}, {}),
    "nvfp4": ({"b.weight": U8, **ROWS, **quant(format="nvfp4")}, {}),
    "fp4 of two factors": ({"b.weight": U8, "b.weight_scale_2": torch.ones(1)}, {}),
    "a setting of later": ({"b.weight": I8, **ROWS, **quant(format="int8_tensorwise", x=1)}, {}),
    "of another type": ({"b.weight": U8, **ONE, **quant(format="float8_e4m3fn")}, {}),
    "no settings": ({"b.weight": I8, **ROWS, "b.comfy_quant": U8}, {}),
    "settings of what is whole": ({"b.weight": torch.ones(4, 2), **quant(format="nvfp4")}, {}),
    "metadata of later": ({"b.weight": I8, **ROWS}, {"_quantization_metadata": '{"all": 1}'}),
    "smoothed": ({"b.weight": F8, **ONE, "b.pre_quant_scale": torch.ones(2)}, {}),
    "a zero point": ({"b.weight": I8, **ROWS, "b.weight_zero_point": torch.ones(4)}, {}),
    "what nobody knows": ({"b.weight": I8, **ROWS, "b.svd_up": torch.ones(4, 1)}, {}),
    "whole numbers": ({"b.weight": I8}, {}),
    "packed": ({"b.weight": U8}, {}),
    "bitsandbytes": ({"b.weight": U8, "b.weight.quant_map": torch.ones(16)}, {}),
    "gptq": ({"b.qweight": U8, "b.qzeros": U8 + 1, "b.scales": torch.ones(4)}, {}),
    "svdquant": ({"b.qweight": I8, "b.wscales": torch.ones(4), "b.smooth": torch.ones(2)}, {}),
    "compressed": ({"b.weight_packed": U8, "b.weight_global_scale": torch.ones(1)}, {}),
    "quanto": ({"b.weight._data": I8, "b.weight._scale": torch.ones(4)}, {}),
}


@pytest.mark.parametrize("form", NOT_READ)
def test_forms_that_are_not_known_are_refused_by_name(form: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    tensors, metadata = NOT_READ[form]
    save_file({"a.weight": torch.zeros(2, 2), **tensors}, path, metadata)

    with raises(InvalidFile):
        read_tensors([path], "float32")

    assert set(read_tensors([path], "float32", prefix="a.")) == {"a.weight"}


@pytest.mark.parametrize(
    "tensors",
    [
        {"b.weight": I8},
        {"b.weight": F8, "b.scale_weight": torch.ones(())},
        {"b.weight": U8, "b.weight.absmax": torch.ones(1)},
    ],
)
def test_forms_of_few_bits_are_not_read_from_pickles(
    tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "odd.ckpt"
    torch.save({"a.weight": F8, "a.running_mean": torch.zeros(4), **tensors}, path)

    with raises(InvalidFile):
        read_tensors([path], "float32")

    assert set(read_tensors([path], "float32", prefix="a.")) == {"a.weight", "a.running_mean"}


def test_a_model_in_a_form_that_is_not_known_is_refused_as_it_is_opened(
    sd1_folder: Path, rewritten: Rewritten
) -> None:
    def rotated(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        found = scaled_by_row(tensors)
        factors = [name for name in found if name.endswith(".weight_scale")]
        config = json.dumps({"format": "float8_e5m2", "convrot": True}).encode()
        for name in factors:
            mark = name.replace("weight_scale", "comfy_quant")
            found[mark] = torch.tensor(list(config), dtype=torch.uint8)
        return found

    with raises(InvalidFile, given='"convrot": true'):
        storage_warnings(str(rewritten(sd1_folder, rotated)), [])


@pytest.mark.parametrize("shape", [(3,), (2, 2), (1, 4)])
def test_factors_that_fit_nothing_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    weight = torch.zeros(4, 2, dtype=torch.float8_e4m3fn)
    save_file({"a.weight": weight, "a.weight_scale": torch.ones(shape)}, path)

    with raises(InvalidFile):
        read_tensors([path], "float32")


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_each_number_of_8_bits_is_read_as_torch_reads_it(
    kind: torch.dtype, dtype: torch.dtype
) -> None:
    every = torch.arange(256, dtype=torch.uint8).view(kind)

    found = ScaledNarrow().dequantize({"stored": every}, (256,), dtype)

    assert found.dtype == dtype
    assert torch.equal(found.nan_to_num(nan=12345.0), every.to(dtype).nan_to_num(nan=12345.0))
