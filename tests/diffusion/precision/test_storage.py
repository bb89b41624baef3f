"""Weights kept in few bits: the libraries' own numbers, less memory, and all around them holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from diffusers import StableDiffusionPipeline
from torch import Tensor, nn

from nodegraph.core.values import Latent
from nodegraph.diffusion import (
    ModelRecipes,
    encode_prompt,
    load_component,
    move_component,
    open_model,
    sample,
)
from nodegraph.errors import InvalidValue
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.derived_components import adapt_modules, derive
from nodegraph.models.facts import weight_bytes
from nodegraph.models.loading import compact_bytes, estimate_bytes
from nodegraph.models.model_sources import locate_model
from nodegraph.models.offloading import offload_layers
from nodegraph.residency import component_bytes
from nodegraph.weights.precision.groupwise_int4 import quantize_groupwise_int4
from nodegraph.weights.precision.module_quantization import apply_storage, iter_quantizable
from nodegraph.weights.precision.quantized_weights import (
    NF4,
    concatenate_rows,
    quantize_int4,
    quantize_int8,
    quantized_shape,
)
from nodegraph.weights.precision.storage import bytes_in_memory
from tests.accelerator.card import Card
from tests.diffusion.adapters import files
from tests.diffusion.single_files.models import SMALL
from tests.diffusion.single_files.originals import WRITERS
from tests.messages import raises

# Of classes of diffusers that are found at another place in a later version.
pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

CHOICES = [("float8", 0.12), ("int8", 0.05), ("int4", 0.5), ("uint4", 0.5)]
"""What is asked for, and how far results may be off, as a share of their size: these models are
small and untrained, and have little that could make up for an error."""


def denoised(recipes: ModelRecipes) -> list[Tensor]:
    denoiser: Any = load_component(recipes.model, "cpu")
    encoder: Any = load_component(recipes.text_encoder, "cpu")
    prompt = encode_prompt(encoder, "a red apple")
    latent = sample(
        denoiser, prompt, None, Latent(None, 64, 64),
        seed=1, steps=2, cfg=4.0, sampler="euler", schedule="karras",
    )  # fmt: skip
    assert latent.samples is not None
    return [prompt.entries[0].embeddings, latent.samples]


@pytest.mark.parametrize(
    ("storage", "tolerance"),
    [*(pytest.param(*choice, marks=pytest.mark.slow) for choice in CHOICES[:2]), CHOICES[2]],
)
def test_results_are_close_and_repeat_themselves(
    storage: str, tolerance: float, sd1_folder: Path
) -> None:
    expected = denoised(open_model(str(sd1_folder), []))
    recipes = open_model(str(sd1_folder), [], storage=storage)

    found = denoised(recipes)

    assert all(map(torch.equal, found, denoised(recipes)))
    for one, other in zip(found, expected, strict=True):
        assert 0 < (one - other).norm() < tolerance * other.norm()


@pytest.mark.parametrize(("storage", "tolerance"), CHOICES)
def test_memory_is_what_was_expected(storage: str, tolerance: float) -> None:
    recipes = open_model("tiny", [], storage=storage, dtype="bfloat16")
    full = open_model("tiny", [], dtype="bfloat16")
    told = weight_bytes(locate_model("tiny", []), storage=storage, dtype="bfloat16")

    for port in ("model", "text_encoder"):
        recipe = getattr(recipes, port)
        component = load_component(recipe, "cpu")
        assert component.dtype == torch.bfloat16
        assert component_bytes(component) == pytest.approx(estimate_bytes(recipe), rel=0.05)
        assert told[port] == estimate_bytes(recipe)
        # Half of the rows in the embedded text encoder are no whole groups of uint4.
        share = 0.9 if storage == "uint4" else 0.85
        assert component_bytes(component) < share * estimate_bytes(getattr(full, port))
        assert compact_bytes(replace(recipe, dtype="float32")) is None


@pytest.mark.parametrize("name", ["wan", "flux2", "qwen-image", "hunyuan-image", "lumina2"])
def test_names_in_files_tell_what_stays_at_published_widths(name: str) -> None:
    module = SMALL[name].on_meta()
    settled = {f"{path}.weight" for path, _ in iter_quantizable(module, "int8")}
    expected = sum(
        item.numel() * (1 if key in settled else 2) for key, item in module.named_parameters()
    )

    for tensors in (module.state_dict(), WRITERS[SMALL[name].writer](module.state_dict())):
        told = [(key, tuple(item.shape), "BF16") for key, item in tensors.items()]
        assert bytes_in_memory(told, "bfloat16", "int8") == pytest.approx(expected, rel=0.08)


def test_numbers_that_float8_has_no_room_for_stay_as_they_are() -> None:
    module: Any = nn.ModuleDict({"large": nn.Linear(8, 8), "usual": nn.Linear(8, 8)})
    nn.init.constant_(module["large"].weight, 500.0)

    apply_storage(module, "float8", torch.float32)

    assert quantized_shape(module["large"]) is None
    assert quantized_shape(module["usual"]) == (8, 8)


def test_recipes_tell_it_but_those_of_autoencoders(sd1_folder: Path) -> None:
    usual, kept = (open_model(str(sd1_folder), [], storage=name) for name in ("auto", "int8"))

    assert usual == open_model(str(sd1_folder), [], storage="full")
    assert kept.vae == usual.vae
    assert kept.model != usual.model
    assert kept.text_encoder.option("storage") == "int8"


def test_what_is_no_choice_is_named(sd1_folder: Path) -> None:
    with raises(InvalidValue, port="storage", given="int2"):
        open_model(str(sd1_folder), [], storage="int2")


def flux(blocks: int = 1) -> tuple[Any, Mapping[str, Any]]:
    module = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=blocks,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )
    return module, {
        "hidden_states": torch.randn(1, 6, 4),
        "encoder_hidden_states": torch.randn(1, 5, 32),
        "pooled_projections": torch.randn(1, 32),
        "timestep": torch.tensor([0.5]),
        "guidance": torch.tensor([3.5]),
        "img_ids": torch.zeros(6, 3),
        "txt_ids": torch.zeros(5, 3),
    }


def wan() -> tuple[Any, Mapping[str, Any]]:
    module = diffusers.WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
    )
    return module, {
        "hidden_states": torch.randn(1, 4, 1, 4, 4),
        "encoder_hidden_states": torch.randn(1, 5, 16),
        "timestep": torch.tensor([500]),
    }


def unet() -> tuple[Any, Mapping[str, Any]]:
    module = diffusers.UNet2DConditionModel(
        block_out_channels=(32,),
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=8,
    )
    return module, {
        "sample": torch.randn(1, 4, 8, 8),
        "encoder_hidden_states": torch.randn(1, 5, 16),
        "timestep": torch.tensor(500),
    }


@pytest.mark.parametrize("make", [flux, wan, unet])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_float8_is_the_layerwise_casting_of_diffusers(
    make: Callable[[], tuple[Any, Mapping[str, Any]]], dtype: torch.dtype
) -> None:
    torch.manual_seed(3)
    module, inputs = make()
    module = module.to(dtype).eval()
    given = {
        name: item.to(dtype) if item.is_floating_point() else item for name, item in inputs.items()
    }
    twin = deepcopy(module)
    twin.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)

    apply_storage(module, "float8", dtype)

    assert module.dtype == dtype
    assert any(quantized_shape(layer) for layer in module.modules())
    assert torch.equal(module(**given).sample, twin(**given).sample)


@torch.inference_mode()
def test_t5_asks_its_layers_what_they_compute_in() -> None:
    config = transformers.T5Config(
        vocab_size=20, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
        feed_forward_proj="gated-gelu", is_encoder_decoder=False,
    )  # fmt: skip
    module: Any = transformers.T5EncoderModel(config).eval()
    rounded = deepcopy(module)
    for layer in rounded.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.copy_(layer.weight.to(torch.float8_e4m3fn))
    tokens = torch.arange(5)[None]

    apply_storage(module, "float8", torch.float32)

    assert quantized_shape(module.encoder.block[0].layer[1].DenseReluDense.wo) == (16, 32)
    assert torch.equal(module(tokens)[0], rounded(tokens)[0])


NOT_NEEDED = "nodegraph does without, and what it gave is recorded"


@pytest.mark.filterwarnings("ignore::Warning")  # what others' packages warn of on import
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_is_that_of_torchao(dtype: torch.dtype) -> None:
    quantization = pytest.importorskip("torchao.quantization", reason=NOT_NEEDED)
    layer = nn.Linear(48, 40, dtype=dtype).requires_grad_(False)
    weight = layer.weight.clone()

    quantization.quantize_(layer, quantization.Int8WeightOnlyConfig())

    packed = quantize_int8(weight)
    assert torch.equal(packed.stored, layer.weight.qdata)
    assert torch.equal(packed.dequantize(dtype), layer.weight.dequantize())


def test_int8_is_what_torchao_gave() -> None:
    weight = torch.tensor([[0.1, -0.25, 0.7, 0.33], [1.5, -2.0, 0.01, 0.6]], dtype=torch.bfloat16)

    packed = quantize_int8(weight)

    # By torchao 0.18.
    assert packed.stored.tolist() == [[18, -46, 127, 60], [95, -127, 1, 38]]
    assert packed.parts["scale"].flatten().tolist() == [0.0054931640625, 0.0157470703125]
    assert packed.dequantize(torch.bfloat16)[0].tolist() == [
        0.0986328125, -0.251953125, 0.69921875, 0.330078125
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::Warning")  # as above
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int4_is_that_of_bitsandbytes(dtype: torch.dtype) -> None:
    functional = pytest.importorskip("bitsandbytes.functional", reason=NOT_NEEDED)
    # Of rows that don't end with a block its kernel for CPUs reads other factors than it wrote.
    weight = torch.randn(40, 128, dtype=dtype)
    stored, state = functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")

    packed = quantize_int4(weight)

    assert torch.equal(packed.stored, stored.flatten())
    assert torch.equal(packed.dequantize(dtype), functional.dequantize_4bit(stored, state))


def test_int4_takes_the_nearest_level() -> None:
    weight = torch.randn(6, 32)
    levels = torch.tensor(NF4)
    blocks = weight.view(3, 64)
    largest = blocks.abs().amax(1, keepdim=True)
    nearest = (blocks[..., None] / largest[..., None] - levels).abs().argmin(-1)

    found = quantize_int4(weight).dequantize(torch.float32)

    assert torch.equal(found, (levels[nearest] * largest).view(6, 32))


def test_uint4_is_the_nearest_of_sixteen_even_levels_of_each_group() -> None:
    weight = torch.linspace(-1, 2, 256).sin().view(2, 128)
    groups = weight.view(2, 2, 64)
    step = (groups.amax(-1) - groups.amin(-1)) / 15

    packed = quantize_groupwise_int4(weight)

    found = packed.dequantize(torch.float32)
    # Half a step, and what rounding the scale and the zero point to bfloat16 adds.
    assert ((found - weight).abs().view(2, 2, 64) < 0.6 * step[..., None]).all()
    assert sum(part.nbytes for part in packed.parts.values()) == 4.5 / 8 * weight.numel()
    pieces = [packed.rows(0, 1), packed.rows(1, 2)]
    joined = concatenate_rows(pieces)
    assert joined is not None
    assert torch.equal(joined.dequantize(torch.float32), found)


@pytest.mark.parametrize("storage", ["float8", "int8", "int4", "uint4"])
@torch.inference_mode()
def test_copies_share_what_is_stored(storage: str) -> None:
    module, inputs = flux()
    apply_storage(module, storage, torch.float32)

    twin = structural_copy(module)

    there = {item.data_ptr() for item in module.parameters()}
    assert {item.data_ptr() for item in twin.parameters()} == there
    assert torch.equal(twin(**inputs).sample, module(**inputs).sample)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "storage",
    ["", "float8", *(pytest.param(name, marks=pytest.mark.slow) for name in ("int8", "int4"))],
)
def test_weights_are_brought_to_an_accelerator_as_they_are_stored(storage: str, card: Card) -> None:
    module, inputs = flux(blocks=6)
    apply_storage(module.eval().requires_grad_(False), storage, torch.float32)
    parts = {name: item.to("cuda:0") for name, item in inputs.items()}
    before = card.used()

    with (
        torch.inference_mode(),
        offload_layers({"net": module}, "cuda:0", in_blocks=True) as brought,
    ):
        twin = brought.modules["net"]
        assert (str(twin.device), twin.dtype) == ("cuda:0", torch.float32)
        card.assert_as_on_cpu(twin(**parts).sample, module(**inputs).sample)
        assert card.used() - before <= brought.bytes + 4096

    assert brought.bytes < component_bytes(module) / 2


@pytest.mark.gpu
@pytest.mark.parametrize(
    "storage",
    ["int4", *(pytest.param(name, marks=pytest.mark.slow) for name in ("float8", "int8"))],
)
def test_an_accelerator_computes_with_the_same_numbers(storage: str, card: Card) -> None:
    recipes = open_model("tiny", [], storage=storage)
    found, expected = (
        [load_component(recipe, device) for recipe in (recipes.model, recipes.text_encoder)]
        for device in ("cuda:0", "cpu")
    )
    assert found[0].device.type == "cuda"

    card.assert_as_on_cpu(*(latent_of(*parts) for parts in (found, expected)))


def latent_of(denoiser: Any, encoder: Any) -> Tensor:
    latent = sample(
        denoiser, encode_prompt(encoder, "a red apple"), None, Latent(None, 64, 64),
        seed=1, steps=1, cfg=2.0, sampler="euler", schedule="karras",
    )  # fmt: skip
    assert latent.samples is not None
    return latent.samples


def test_all_that_is_stored_is_moved(sd1_folder: Path) -> None:
    component = load_component(open_model(str(sd1_folder), [], storage="int8").model, "cpu")

    move_component(component, "meta")

    assert component.device.type == "meta"
    assert {item.device.type for item in component.module.parameters()} == {"meta"}


@pytest.fixture
def lora(sd1_pipeline: StableDiffusionPipeline, tmp_path: Path) -> Path:
    torch.manual_seed(5)
    pairs = files.flat_file(files.own_pairs(sd1_pipeline.unet), "lora_unet_")
    return files.saved(pairs, tmp_path / "lora.safetensors")


@torch.inference_mode()
def test_adapters_work_over_what_is_stored(lora: Path, sd1_folder: Path) -> None:
    recipe = open_model(str(sd1_folder), [], storage="int8").model
    adapted_recipe = OpenedAdapter(lora).apply_to(recipe, 0.7).recipe
    base = load_component(recipe, "cpu")
    # The same numbers, as they are computed with.
    plain: Any = load_component(open_model(str(sd1_folder), []).model, "cpu").module
    for path, layer in base.module.named_modules():
        if quantized_shape(layer):
            plain.get_submodule(path).weight = nn.Parameter(layer.weight, requires_grad=False)
    expected = adapt_modules({"unet": plain}, adapted_recipe.adapters, dtype="float32")["unet"]
    inputs = (torch.randn(1, 4, 8, 8), 500, torch.randn(1, 5, plain.config.cross_attention_dim))

    found = derive(base, adapted_recipe).module

    assert torch.equal(found(*inputs).sample, expected(*inputs).sample)
    assert component_bytes(derive(base, adapted_recipe), besides=base) < 0.5 * component_bytes(base)


def test_adapters_are_not_fused_with_what_is_stored(lora: Path, sd1_folder: Path) -> None:
    recipe = open_model(str(sd1_folder), [], storage="float8").model

    with raises(InvalidValue, port="fused"):
        OpenedAdapter(lora, fused=True).apply_to(recipe, 1.0)


@torch.inference_mode()
def test_an_adapter_changes_a_transposed_convolution_over_what_is_stored(tmp_path: Path) -> None:
    torch.manual_seed(5)
    module: Any = nn.ModuleDict({"up": nn.ConvTranspose1d(4, 6, 2), "flat": nn.Linear(4, 4)})
    apply_storage(module.requires_grad_(False), "int8", torch.float32)
    stored, x = module["up"].weight, torch.randn(1, 4, 5)
    down, up = torch.randn(2, 6, 2), torch.randn(4, 2, 1)
    path = files.saved(files.peft_file({"up": (down, up)}, "unet."), tmp_path / "lora.safetensors")

    adapted: Any = adapt_modules({"unet": module}, [files.adapter(path)], dtype="float32")["unet"]

    change = (up.flatten(1) @ down.flatten(1)).view(4, 6, 2)
    bias = module["up"].bias
    expected = nn.functional.conv_transpose1d(x, stored + change, bias)
    torch.testing.assert_close(adapted["up"](x), expected)
    assert torch.equal(module["up"](x), nn.functional.conv_transpose1d(x, stored, bias))
    assert quantized_shape(adapted["flat"]) is not None
