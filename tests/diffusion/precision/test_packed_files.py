"""Files in ComfyUI's packed forms: read as what their settings say, and kept packed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import estimate_bytes, load_component, open_model
from nodegraph.errors import InvalidFile
from nodegraph.models.adapters.layer_matching import recipe_layers
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.derived_components import derive
from nodegraph.models.model_recipes import scale_warnings, storage_warnings
from nodegraph.residency import component_bytes
from nodegraph.weights.precision.quantized_weights import (
    QuantizedTensor,
    dequantize,
    find_quantized,
    quantized_shape,
)
from nodegraph.weights.safetensors_header import read_header, read_open_header
from nodegraph.weights.weight_files import read_tensors
from tests.diffusion.adapters import files
from tests.diffusion.families.text_files import clip, clip_file
from tests.diffusion.ldm_export import ldm_checkpoint
from tests.messages import raises

from .conftest import Rewritten
from .packed_files import (
    FORMS,
    grouped,
    integers,
    layer_tensors,
    mxfp8,
    named_tensors,
    nvfp4,
    nvfp4_awq,
    pack_matrices,
    settings_tensor,
    smoothing,
)
from .test_float8_files import results
from .test_gguf import flux
from .test_text_encoder_files import embeddings, opened

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

EACH = pytest.mark.parametrize("form", FORMS)


def matrix(rows: int = 130, columns: int = 96, seed: int = 0) -> Tensor:
    """Numbers whose sizes differ from block to block; a block and a row are zeros."""
    drawing = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, columns, generator=drawing, dtype=torch.float64)
    numbers *= torch.rand(rows, columns // 16, generator=drawing).repeat_interleave(16, 1)
    numbers[1] = 0
    numbers[0, :32] = 0
    return numbers


def save_layers(path: Path, **layers: dict[str, Tensor]) -> Path:
    save_file({name: item for part in layers.values() for name, item in part.items()}, path)
    return path


@EACH
def test_each_number_is_that_of_the_description(form: str, tmp_path: Path) -> None:
    packed = FORMS[form](matrix())
    bias, wide = torch.randn(130), torch.randn(4, 6).to(torch.bfloat16)
    path = save_layers(
        tmp_path / "layers.safetensors",
        one=layer_tensors("blocks.one", packed),
        rest={
            "blocks.one.bias": bias,
            "blocks.one.input_scale": torch.ones(()),
            "two.weight": wide,
        },
    )

    kept = read_tensors([path], "float32", as_stored=True)
    widened = read_tensors([path], "float32")

    weight = kept["blocks.one.weight"]
    assert kept.keys() == {"blocks.one.weight", "blocks.one.bias", "two.weight"}
    assert isinstance(weight, QuantizedTensor)
    assert weight.shape == (130, 96)
    assert torch.equal(dequantize(weight), packed[2].float())
    assert torch.equal(widened["blocks.one.weight"], packed[2].float())
    assert torch.equal(kept["two.weight"], wide.float())
    # nothing is wider in memory than in the file
    held = weight.packed.parts
    assert held["stored"].nbytes == packed[0][""].nbytes
    small = read_tensors([path], "bfloat16", as_stored=True)["blocks.one.weight"]
    assert torch.equal(dequantize(small), packed[2].float().to(torch.bfloat16))


@EACH
def test_the_metadata_say_the_same(form: str, tmp_path: Path) -> None:
    tensors, settings, numbers = FORMS[form](matrix())
    stored = named_tensors("a", tensors)
    metadata = {"_quantization_metadata": json.dumps({"layers": {"a": settings}})}
    save_file(stored, tmp_path / "a.safetensors", metadata)
    both = {**stored, "a.comfy_quant": settings_tensor(settings)}
    save_file(both, tmp_path / "both.safetensors", metadata)

    for name in ("a", "both"):
        read = read_tensors([tmp_path / f"{name}.safetensors"], "float32")
        assert torch.equal(read["a.weight"], numbers.float())


@EACH
def test_the_metadata_may_name_layers_without_their_prefix(form: str, tmp_path: Path) -> None:
    # ComfyUI removes a diffusion model's prefix before it looks up its layers.
    tensors, settings, numbers = FORMS[form](matrix())
    path = tmp_path / "a.safetensors"
    save_file(
        named_tensors("model.diffusion_model.x.a", tensors),
        path,
        {"_quantization_metadata": json.dumps({"layers": {"x.a": settings}})},
    )

    read = read_tensors([path], "float32")

    assert torch.equal(read["model.diffusion_model.x.a.weight"], numbers.float())


@EACH
def test_settings_of_layers_that_the_file_lacks_are_refused(form: str, tmp_path: Path) -> None:
    # Rotated integers would be read as plain ones.
    tensors, settings, _ = FORMS[form](matrix())
    path = tmp_path / "a.safetensors"
    save_file(
        named_tensors("a", tensors),
        path,
        {"_quantization_metadata": json.dumps({"layers": {"model.a": settings}})},
    )

    with raises(InvalidFile):
        read_tensors([path], "float32")


@EACH
def test_numbers_are_the_same_in_mixed_precision_and_whatever_the_default_type_is(
    form: str, tmp_path: Path
) -> None:
    packed = FORMS[form](matrix())
    path = save_layers(tmp_path / "a.safetensors", a=layer_tensors("a", packed))

    with torch.autocast("cpu", torch.bfloat16):
        mixed = read_tensors([path], "float32")["a.weight"]
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        narrow = read_tensors([path], "float32")["a.weight"]
    finally:
        torch.set_default_dtype(usual)

    assert torch.equal(mixed, packed[2].float())
    assert torch.equal(narrow, packed[2].float())


@EACH
def test_rows_are_split_and_joined_as_they_are_stored(form: str, tmp_path: Path) -> None:
    one, two = FORMS[form](matrix(seed=1)), FORMS[form](matrix(16, seed=2) * 7)
    path = save_layers(
        tmp_path / "a.safetensors", a=layer_tensors("a", one), b=layer_tensors("b", two)
    )
    read = read_tensors([path], "float32", as_stored=True)
    first, second = read["a.weight"], read["b.weight"]

    parts = first.split([33, 96, 1])
    joined = torch.cat([parts[1], second, parts[0]])

    assert find_quantized(joined) is not None
    numbers, others = one[2].float(), two[2].float()
    assert all(
        torch.equal(dequantize(part), rows)
        for part, rows in zip(parts, numbers.split([33, 96, 1]), strict=True)
    )
    assert torch.equal(dequantize(joined), torch.cat([numbers[33:129], others, numbers[:33]]))
    # what is stored otherwise is joined by its numbers
    unlike = torch.cat([first, torch.ones(2, 96)])
    assert torch.equal(unlike[:130], numbers)


def test_inputs_of_smoothed_layers_are_multiplied_first(tmp_path: Path) -> None:
    numbers = matrix()
    plain = nvfp4(numbers / smoothing(96).double())[2]
    path = save_layers(tmp_path / "a.safetensors", a=layer_tensors("a", nvfp4_awq(numbers)))
    inputs = torch.randn(5, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    weight = read_tensors([path], "float32", as_stored=True)["a.weight"]

    expected = (inputs * smoothing(96).double()) @ plain.T
    found = inputs @ dequantize(weight).double().T
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    # kept in 4 bits beside the factors
    held = sum(part.nbytes for name, part in weight.packed.parts.items() if name != "pairs")
    assert held == 130 * 96 / 2 + 130 * 96 / 16 + 96 * 4 + 4


def test_rows_of_different_smoothing_are_joined_by_their_numbers(tmp_path: Path) -> None:
    one, two = nvfp4_awq(matrix(32)), nvfp4_awq(matrix(32, seed=2))
    two[0][".pre_quant_scale"] = two[0][".pre_quant_scale"] * 2
    path = save_layers(
        tmp_path / "a.safetensors", a=layer_tensors("a", one), b=layer_tensors("b", two)
    )
    read = read_tensors([path], "float32", as_stored=True)

    joined = torch.cat([read["a.weight"], read["b.weight"]])

    assert torch.equal(joined, torch.cat([one[2].float(), 2 * two[2].float()]))


def test_rows_of_different_codebooks_are_joined_by_their_numbers(tmp_path: Path) -> None:
    write = FORMS["w4a8 with a codebook"]
    one, two = write(matrix(32)), write(matrix(32, seed=2))
    two[0]["_codebook"] *= 2
    path = save_layers(
        tmp_path / "a.safetensors", a=layer_tensors("a", one), b=layer_tensors("b", two)
    )
    read = read_tensors([path], "float32", as_stored=True)

    joined = torch.cat([read["a.weight"], read["b.weight"]])

    assert torch.equal(joined[:32], one[2].float())
    assert torch.equal(joined[32:], dequantize(read["b.weight"]))


OTHER_WRITERS = {
    "int8, 256 together": integers(8, 256),
    "w4a4, 64 together": integers(4, 64),
    "w4a8, groups of 4": grouped(4, 64, 4),
    "w4a8, groups of 32": grouped(4, 256, 32, has_codebook=True),
    "w6a8, groups of 64": grouped(6, 64, 64),
}


@pytest.mark.parametrize("form", OTHER_WRITERS)
def test_sizes_of_groups_are_those_of_the_settings(form: str, tmp_path: Path) -> None:
    packed = OTHER_WRITERS[form](matrix(20, 512))
    path = save_layers(tmp_path / "a.safetensors", a=layer_tensors("a", packed))

    read = read_tensors([path], "float32")["a.weight"]

    assert torch.equal(read, packed[2].float())


def as_bytes(packed: tuple[dict[str, Tensor], dict[str, Any], Tensor], end: str) -> Any:
    tensors, settings, numbers = packed
    return {**tensors, end: tensors[end].view(torch.uint8)}, settings, numbers


def with_settings(packed: Any, **settings: Any) -> Any:
    return packed[0], {**packed[1], **settings}, packed[2]


def nested(packed: Any) -> Any:
    form = packed[1]["format"]
    own = {name: value for name, value in packed[1].items() if name != "format"}
    return packed[0], {"format": form, "params": own}, packed[2]


SPELLINGS = {
    "nvfp4 with factors as bytes": as_bytes(nvfp4(matrix()), "_scale"),
    "mxfp8 with factors of their type": (
        lambda packed: (
            {**packed[0], "_scale": packed[0]["_scale"].view(torch.float8_e8m0fnu)},
            *packed[1:],
        )
    )(mxfp8(matrix())),
    "nvfp4 of its usual group": with_settings(nvfp4(matrix()), group_size=16),
    "w4a8 with factors as bytes": as_bytes(FORMS["w4a8"](matrix()), "_s_rel"),
    "w4a8 with codes as bytes": as_bytes(FORMS["w4a8"](matrix()), ""),
    "w4a8 that says that it is rotated": with_settings(FORMS["w4a8"](matrix()), convrot=True),
    "nested settings": nested(FORMS["w4a8"](matrix())),
    "nested rotation": nested(FORMS["int8 with convrot"](matrix())),
    "for computing": with_settings(
        FORMS["w4a4"](matrix()), linear_dtype="int8", full_precision_matrix_mult=True
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_of_the_same_are_read(spelling: str, tmp_path: Path) -> None:
    packed = SPELLINGS[spelling]
    path = save_layers(tmp_path / "a.safetensors", a=layer_tensors("a", packed))

    assert torch.equal(read_tensors([path], "float32")["a.weight"], packed[2].float())


def faulty(form: str, change: Any) -> dict[str, Tensor]:
    tensors, settings, numbers = FORMS[form](matrix())
    change(tensors, settings)
    return layer_tensors("a", (tensors, settings, numbers))


FAULTS = {
    "nvfp4 without its blocks' factors": ("nvfp4", lambda t, s: t.pop("_scale")),
    "nvfp4 without the factor of all": ("nvfp4", lambda t, s: t.pop("_scale_2")),
    "nvfp4 with untiled factors": ("nvfp4", lambda t, s: t.update(_scale=torch.ones(130, 6))),
    "nvfp4 with factors of another shape": (
        "nvfp4",
        lambda t, s: t.update(_scale=torch.ones(128, 8).to(torch.float8_e4m3fn)),
    ),
    "nvfp4 in floats": ("nvfp4", lambda t, s: t.update({"": torch.ones(130, 48)})),
    "nvfp4 of another group": ("nvfp4", lambda t, s: s.update(group_size=32)),
    "nvfp4 that is rotated": ("nvfp4", lambda t, s: s.update(convrot=True)),
    "smoothed nvfp4": ("nvfp4", lambda t, s: t.update({"_pre": torch.ones(96)})),
    "nvfp4 smoothed for another layer": (
        "nvfp4",
        lambda t, s: t.update({".pre_quant_scale": torch.ones(95)}),
    ),
    "nvfp4 smoothed by whole numbers": (
        "nvfp4",
        lambda t, s: t.update({".pre_quant_scale": torch.ones(96, dtype=torch.int32)}),
    ),
    "smoothed mxfp8": ("mxfp8", lambda t, s: t.update({".pre_quant_scale": torch.ones(96)})),
    "mxfp8 without factors": ("mxfp8", lambda t, s: t.pop("_scale")),
    "mxfp8 with one factor": ("mxfp8", lambda t, s: t.update(_scale=torch.ones(()))),
    "rotated without factors": ("int8 with convrot", lambda t, s: t.pop("_scale")),
    "rotated by what is no matrix": (
        "int8 with convrot",
        lambda t, s: s.update(convrot_groupsize=48),
    ),
    "rotated by more than a row": (
        "int8 with convrot",
        lambda t, s: s.update(convrot_groupsize=64),
    ),
    "rotated convolution": (
        "int8 with convrot",
        lambda t, s: t.update({"": torch.zeros(130, 16, 3, 3, dtype=torch.int8)}),
    ),
    "w4a4 of another group": ("w4a4", lambda t, s: s.update(quant_group_size=32)),
    "w4a8 without its rows' factors": ("w4a8", lambda t, s: t.pop("_s_channel")),
    "w4a8 without its groups' factors": ("w4a8", lambda t, s: t.pop("_s_rel")),
    "w4a8 of another group": ("w4a8", lambda t, s: s.update(group_size=8)),
    "w4a8 of no group": ("w4a8", lambda t, s: s.update(group_size=12)),
    "w4a8 that is not rotated": ("w4a8", lambda t, s: s.update(convrot=False)),
    "w4a8 with a correction": ("w4a8", lambda t, s: t.update(_correction=torch.ones(6, 130))),
    "w4a8 with a short codebook": ("w4a8", lambda t, s: t.update(_codebook=torch.ones(8))),
    "w6a8 with a codebook": ("w6a8", lambda t, s: t.update(_codebook=torch.ones(16))),
    "an unknown form": ("nvfp4", lambda t, s: s.update(format="svdquant_w4a4")),
    "settings of later": ("mxfp8", lambda t, s: s.update(clipping=0.5)),
    "nested settings that are none": ("mxfp8", lambda t, s: s.update(params=3)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_its_form_is_refused_by_name(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    save_file({**faulty(*FAULTS[fault]), "b.weight": torch.ones(2, 2)}, path)

    with raises(InvalidFile):
        read_tensors([path], "float32")
    with raises(InvalidFile):
        scale_warnings([path])

    assert set(read_tensors([path], "float32", prefix="b.")) == {"b.weight"}


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    tensors, settings, numbers = FORMS["int8 with convrot"](matrix())
    other = {"layers": {"a": {**settings, "convrot_groupsize": 4}}}
    path = tmp_path / "odd.safetensors"
    metadata = {"_quantization_metadata": json.dumps(other)}
    save_file(layer_tensors("a", (tensors, settings, numbers)), path, metadata)

    with raises(InvalidFile):
        read_tensors([path], "float32")


def test_a_header_alone_tells_shapes_and_forms(tmp_path: Path) -> None:
    layers = {name: layer_tensors(name, write(matrix())) for name, write in FORMS.items()}
    path = save_layers(tmp_path / "a.safetensors", **layers)

    header = read_header(path)

    assert set(header.shapes.values()) == {(130, 96)}
    assert header.dtypes == {
        "nvfp4.weight": "NVFP4",
        "nvfp4 with AWQ.weight": "NVFP4",
        "mxfp8.weight": "MXFP8",
        "int8 with convrot.weight": "I8",
        "w4a4.weight": "W4A4",
        "w4a8.weight": "W4A8",
        "w4a8 with a codebook.weight": "W4A8",
        "w6a8.weight": "W6A8",
    }


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(form, marks=() if form == "int8 with convrot" else pytest.mark.slow)
        for form in FORMS
    ],
)
def test_results_are_those_of_the_numbers(
    form: str, sd1_folder: Path, rewritten: Rewritten
) -> None:
    narrow = rewritten(sd1_folder, lambda tensors: pack_matrices(tensors, FORMS[form])[0])
    wide = rewritten(sd1_folder, lambda tensors: pack_matrices(tensors, FORMS[form])[1])
    recipes = open_model(str(narrow), [])

    assert all(map(torch.equal, results(recipes), results(open_model(str(wide), []))))

    assert recipes.model.option("storage") == "stored"
    for recipe in (recipes.model, recipes.text_encoder):
        component = load_component(recipe, "cpu")
        assert any(quantized_shape(layer) for layer in component.module.modules())
    assert (
        f"in ComfyUI's {FORMS[form](matrix())[1]['format']}" in storage_warnings(str(narrow), [])[0]
    )


@pytest.mark.parametrize("form", ["nvfp4", pytest.param("w4a8", marks=pytest.mark.slow)])
def test_fused_layers_of_a_single_file_are_split_as_they_are_stored(
    form: str, tmp_path: Path
) -> None:
    tensors = {f"model.diffusion_model.{name}": item for name, item in flux().items()}
    narrow, wide = pack_matrices(tensors, FORMS[form])
    save_file(narrow, tmp_path / "narrow.safetensors")
    save_file(wide, tmp_path / "wide.safetensors")
    recipes = [
        open_denoiser(DenoiserRequest(str(tmp_path / f"{name}.safetensors")), [])
        for name in ("narrow", "wide")
    ]

    component, expected = (load_component(recipe, "cpu") for recipe in recipes)

    query = component.module.get_submodule("transformer_blocks.0.attn.to_q")
    assert quantized_shape(query) == (256, 256)
    for path, layer in expected.module.named_modules():
        if hasattr(layer, "weight") and layer.weight is not None:
            assert torch.equal(component.module.get_submodule(path).weight, layer.weight), path
    assert component_bytes(component) == pytest.approx(estimate_bytes(recipes[0]), rel=0.1)
    assert component_bytes(component) < 0.3 * component_bytes(expected)
    assert recipe_layers(recipes[0]) == recipe_layers(recipes[1])


def test_forms_are_mixed_in_one_file_with_its_text_encoder(
    sd1_folder: Path, sd1_pipeline: Any, tmp_path: Path
) -> None:
    whole = sd1_pipeline
    tensors = ldm_checkpoint(whole.unet, whole.vae, whole.text_encoder)
    writers = list(FORMS.values())
    narrow: dict[str, Tensor] = {}
    wide: dict[str, Tensor] = {}
    for at, (name, item) in enumerate(sorted(tensors.items())):
        # each matrix in another form; the autoencoder as it is
        is_vae = name.startswith("first_stage_model.")
        one, two = (
            ({name: item},) * 2
            if is_vae
            else pack_matrices({name: item}, writers[at % len(writers)])
        )
        narrow |= one
        wide |= two
    for name, part in (("narrow", narrow), ("wide", wide)):
        save_file(part, tmp_path / f"{name}.safetensors")

    first, second = (
        results(open_model(str(tmp_path / f"{name}.safetensors"), [sd1_folder.parent]))
        for name in ("narrow", "wide")
    )

    assert all(map(torch.equal, first, second))


@pytest.mark.slow
def test_a_text_encoder_of_its_own_file_is_kept_packed(tmp_path: Path) -> None:
    narrow, wide = pack_matrices(clip_file(clip()), FORMS["int8 with convrot"])
    outcomes = []
    for name, tensors in (("narrow", narrow), ("wide", wide)):
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "clip_l.safetensors")
        recipe = opened("sd1", tmp_path / name)
        outcomes.append(embeddings(recipe))
        assert recipe.option("storage") == ("stored" if name == "narrow" else "")

    assert torch.equal(*outcomes)


def test_the_header_of_a_file_that_is_elsewhere_tells_the_same(tmp_path: Path) -> None:
    layers = {name: layer_tensors(name, write(matrix())) for name, write in FORMS.items()}
    path = save_layers(tmp_path / "a.safetensors", **layers)
    content = path.read_bytes()
    only = content[: 8 + int.from_bytes(content[:8], "little")]

    header = read_open_header(io.BytesIO(only), len(content), "a.safetensors")

    assert header.shapes == read_header(path).shapes
    assert header.dtypes == read_header(path).dtypes


@EACH
def test_what_the_metadata_say_goes_before_what_is_guessed(form: str, tmp_path: Path) -> None:
    tensors, settings, numbers = FORMS[form](matrix())
    metadata = {"_quantization_metadata": json.dumps({"layers": {"a": settings}})}
    save_file(
        layer_tensors("a", (tensors, settings, numbers)), tmp_path / "a.safetensors", metadata
    )
    content = (tmp_path / "a.safetensors").read_bytes()
    only = content[: 8 + int.from_bytes(content[:8], "little")]

    header = read_open_header(io.BytesIO(only), len(content), "a.safetensors")

    assert header.scales == read_header(tmp_path / "a.safetensors").scales


@torch.no_grad()
def test_adapters_work_over_packed_weights(
    sd1_folder: Path, sd1_pipeline: Any, rewritten: Rewritten, tmp_path: Path
) -> None:
    drawn = files.flat_file(files.own_pairs(sd1_pipeline.unet), "lora_unet_")
    lora = OpenedAdapter(files.saved(drawn, tmp_path / "lora.safetensors"))
    inputs = (torch.randn(1, 4, 8, 8), 500, torch.randn(1, 5, 32))
    samples = []
    for at in (0, 1):
        folder = rewritten(sd1_folder, lambda each, at=at: pack_matrices(each, FORMS["w4a8"])[at])
        recipe = open_model(str(folder), []).model
        base = load_component(recipe, "cpu")
        adapted = derive(base, lora.apply_to(recipe, 0.7).recipe).module
        samples.append((base.module(*inputs).sample, adapted(*inputs).sample))

    (base, narrow), (_, wide) = samples
    assert torch.equal(narrow, wide)
    assert not torch.equal(narrow, base)


@pytest.mark.slow
def test_another_storage_is_worked_out_from_the_numbers(
    sd1_folder: Path, rewritten: Rewritten
) -> None:
    narrow = rewritten(sd1_folder, lambda tensors: pack_matrices(tensors, FORMS["nvfp4"])[0])
    wide = rewritten(sd1_folder, lambda tensors: pack_matrices(tensors, FORMS["nvfp4"])[1])

    found, expected = (
        load_component(open_model(str(folder), [], storage="int8").model, "cpu").module
        for folder in (narrow, wide)
    )

    for path, layer in expected.named_modules():
        if quantized_shape(layer):
            assert torch.equal(found.get_submodule(path).weight, layer.weight), path
