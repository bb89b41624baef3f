"""Quantized weights multiplied by torchao: what they lose, what stays, what is refused."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from nodegraph.core.file_digests import FileDigests
from nodegraph.core.values import DiffusionModel
from nodegraph.diffusion import load_component, open_model
from nodegraph.errors import InvalidValue
from nodegraph.families import speed_options
from nodegraph.families.components import Denoiser
from nodegraph.families.speed_options import SpeedOptions, with_speed
from nodegraph.models.derived_components import derive
from nodegraph.models.offloading import offload_layers
from nodegraph.models.speed.speed_support import check_recipe
from nodegraph.residency import component_bytes
from nodegraph.weights.precision import quantized_matmul
from nodegraph.weights.precision.groupwise_int4 import quantize_groupwise_int4
from nodegraph.weights.precision.module_quantization import apply_storage
from nodegraph.weights.precision.quantized_matmul import FEWEST_ROWS, multiply_by_torchao
from nodegraph.weights.precision.storage import with_storage

if TYPE_CHECKING:
    from tests.accelerator.pretend import PretendAccelerator

BY_TORCHAO = SpeedOptions(matmul="torchao")
HAS_TORCHAO = importlib.util.find_spec("torchao") is not None


class _FakeWeight:
    """A weight of torchao, by its documented arithmetic: each row of the input by itself."""

    largest: float

    def __init__(self, stored: Tensor, factors: Tensor, block: list[int], *more: Any, **_: Any):
        assert block == [1, stored.shape[1]]
        assert factors.shape == (stored.shape[0], 1)
        assert factors.dtype == torch.float32
        self.stored, self.factors = stored, factors

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Tensor:
        assert func is linear
        x, weight, bias = args
        scale = x.float().abs().amax(-1, keepdim=True) / weight.largest
        rounded = weight.rounded(x.float() / scale) * scale
        product = rounded @ (weight.stored.float() * weight.factors).T
        return (product if bias is None else product + bias.float()).to(x.dtype)

    def rounded(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class _FakeInt8(_FakeWeight):
    largest = 127.0

    def rounded(self, x: Tensor) -> Tensor:
        return x.round()


class _FakeFloat8(_FakeWeight):
    largest = 448.0

    def rounded(self, x: Tensor) -> Tensor:
        return x.to(torch.float8_e4m3fn).float()


class _FakeInt4:
    """torchao's tensor of 4 bits on a CPU: the same operation of torch."""

    def __init__(self, packed: Tensor, factors: Tensor, block: list[int], shape: torch.Size):
        rows, columns = shape
        assert block == [1, 64]
        assert packed.dtype == torch.uint8
        assert packed.shape == (rows, columns // 2)
        assert factors.shape == (columns // 64, rows, 2)
        assert factors.is_contiguous()
        self.packed, self.factors = packed, factors

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Tensor:
        assert func is linear
        x, weight, bias = args
        product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            x.reshape(-1, x.shape[-1]), weight.packed, 64, weight.factors
        )
        product = product.reshape(*x.shape[:-1], -1)
        return product if bias is None else product + bias


class _FakeTiles:
    """torchao's tensor of 4 bits on CUDA, by its documented arithmetic. Its bytes are those that
    are handed to the operation that arranges them."""

    def __init__(self, tiles: Tensor, factors: Tensor, block: list[int], shape: torch.Size):
        assert block == [1, 64]
        assert tiles.shape[1] * 2 % 1024 == 0
        assert factors.shape == (tiles.shape[1] * 2 // 64, shape[0], 2)
        assert factors.is_contiguous()
        self.tiles, self.factors = tiles, factors

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Tensor:
        assert func is linear
        x, weight, bias = args
        scale, zero = (item.T.repeat_interleave(64, 1) for item in weight.factors.unbind(-1))
        first, second = weight.tiles >> 4, weight.tiles & 15
        numbers = (torch.stack([first, second], -1).flatten(1) - 8.0) * scale + zero
        product = pad(x, (0, numbers.shape[1] - x.shape[-1])) @ numbers.to(x.dtype).T
        return product if bias is None else product + bias


def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package torchao that has just the names that are used."""

    def named(**options: Any) -> dict[str, Any]:
        return options

    contents: dict[str, dict[str, Any]] = {
        "torchao": {},
        "torchao.float8": {},
        "torchao.float8.inference": {"Float8MMConfig": named},
        "torchao.quantization": {
            "Int8Tensor": _FakeInt8,
            "Float8Tensor": _FakeFloat8,
            "PerRow": object,
            "Int4TilePackedTo4dTensor": _FakeTiles,
        },
        "torchao.prototype": {},
        "torchao.prototype.quantization": {},
        "torchao.prototype.quantization.int4": {"Int4OpaqueTensor": _FakeInt4},
        "torchao.quantization.quantize_": {},
        "torchao.quantization.quantize_.workflows": {
            "QuantizeTensorToInt8Kwargs": named,
            "QuantizeTensorToFloat8Kwargs": named,
        },
    }
    for name, attributes in contents.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(params=["stand-in", "torchao"])
def package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """torchao, or what stands in for it."""
    if request.param == "stand-in":
        _stand_in(monkeypatch)
    elif not HAS_TORCHAO:
        pytest.skip("torchao is not installed: pip install nodegraph[torchao]")
    monkeypatch.setattr(speed_options, "version", lambda name: "0.18.0")
    loaded = (quantized_matmul._kernels, quantized_matmul._int4_tensors)
    for each in loaded:
        each.cache_clear()
    yield request.param
    for each in loaded:
        each.cache_clear()


def layer(storage: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(64, 48)).to(dtype)
    module.requires_grad_(False)
    apply_storage(module, storage, dtype)
    return module


def relative(actual: Tensor, expected: Tensor) -> float:
    return float((actual.float() - expected.float()).norm() / expected.float().norm())


def recipe(storage: str, dtype: str = "float32") -> DiffusionModel:
    model = open_model("tiny", [], digests=FileDigests()).model
    return replace(with_storage(model, storage), dtype=dtype)


def denoiser(storage: str, *options: SpeedOptions, dtype: str = "float32") -> Denoiser:
    found = load_component(recipe(storage, dtype), "cpu")
    for each in options:
        found = derive(found, with_speed(recipe(storage, dtype), each))
    assert isinstance(found, Denoiser)
    return found


def predicted(model: Denoiser, device: str = "cpu") -> Tensor:
    torch.manual_seed(5)
    unet = model.module
    x = torch.randn(2, unet.config.in_channels, 16, 16)
    text = torch.randn(2, 77, unet.config.cross_attention_dim)
    with torch.no_grad():
        noise, prompt = x.to(device, unet.dtype), text.to(device, unet.dtype)
        result: Tensor = unet(noise, torch.tensor(500).to(device), prompt).sample
    return result


@pytest.mark.parametrize(
    ("storage", "dtype", "loss"),
    [
        ("int8", torch.float32, 0.015),
        ("int8", torch.bfloat16, 0.015),
        ("int8", torch.float16, 0.015),
        ("float8", torch.float32, 0.05),
        ("float8", torch.bfloat16, 0.05),
    ],
)
def test_a_product_loses_what_rounding_the_input_does(
    package: str, storage: str, dtype: torch.dtype, loss: float
) -> None:
    """Against the widened weights, which are the same numbers."""
    module = layer(storage, dtype)
    x = torch.randn(2, 40, 64).to(dtype)
    widened = module(x)
    assert multiply_by_torchao(module) == 1
    with torch.no_grad():
        product = module(x)
    assert product.dtype == dtype
    assert 0 < relative(product, widened) < loss


def test_groupwise_int4_multiplies_without_rounding_the_input(package: str) -> None:
    """The product is that of the widened weights, but for the rounding of bfloat16."""
    module = layer("uint4", torch.bfloat16)
    x = torch.randn(2, 40, 64).bfloat16()
    widened = module(x)
    assert multiply_by_torchao(module) == 1
    with torch.no_grad():
        product = module(x)
    assert product.dtype == torch.bfloat16
    assert relative(product, widened) < 0.006


def test_groupwise_int4_computes_other_precisions_as_before(package: str) -> None:
    """torchao's kernels for them are slower than widening, or missing."""
    module = layer("uint4")
    x = torch.randn(40, 64)
    widened = module(x)
    multiply_by_torchao(module)
    assert torch.equal(module(x), widened)


def test_groupwise_int4_on_cuda_is_filled_to_whole_tiles(
    monkeypatch: pytest.MonkeyPatch, pretend: PretendAccelerator
) -> None:
    """A card multiplies rows of a multiple of 1024 columns."""
    _stand_in(monkeypatch)
    tiles: list[int] = []

    def arrange(stored: Tensor, count: int) -> Tensor:
        tiles.append(count)
        return stored

    monkeypatch.setattr(torch.ops.aten, "_convert_weight_to_int4pack", arrange)
    quantized_matmul._int4_tensors.cache_clear()
    module = layer("uint4", torch.bfloat16)
    x = torch.randn(40, 64).bfloat16()
    widened = module(x)
    multiply_by_torchao(module)
    with torch.no_grad():
        product = module.to("cuda:0")(x.to("cuda:0"))
    quantized_matmul._int4_tensors.cache_clear()
    assert tiles == [8]
    assert relative(product.cpu(), widened) < 0.006


def test_groupwise_int4_is_as_near_as_that_of_torchao() -> None:
    quantization = pytest.importorskip(
        "torchao.prototype.quantization.int4", reason="torchao is not installed"
    )
    torch.manual_seed(2)
    weight = torch.randn(64, 128).bfloat16()
    x = torch.randn(40, 128).bfloat16()
    theirs = linear(x, quantization.Int4OpaqueTensor.from_hp(weight, [1, 64]))
    own = linear(x, quantize_groupwise_int4(weight).dequantize(torch.bfloat16))
    exact = linear(x.double(), weight.double())
    assert relative(own, exact) < 1.02 * relative(theirs, exact)


def test_few_rows_are_computed_as_before(package: str) -> None:
    """CUDA multiplies so few in int8 on no device."""
    module = layer("int8")
    x = torch.randn(FEWEST_ROWS - 1, 64)
    widened = module(x)
    multiply_by_torchao(module)
    assert torch.equal(module(x), widened)


def test_weights_of_other_sizes_and_forms_stay_as_they_are(package: str) -> None:
    odd = nn.Sequential(nn.Linear(60, 48)).requires_grad_(False)
    apply_storage(odd, "int8", torch.float32)
    assert multiply_by_torchao(odd) == 0
    few = nn.Sequential(nn.Linear(64, 40)).requires_grad_(False)
    apply_storage(few, "uint4", torch.float32)
    assert multiply_by_torchao(few) == 0
    assert multiply_by_torchao(layer("int4")) == 0
    assert multiply_by_torchao(nn.Sequential(nn.Linear(64, 48))) == 0


@pytest.mark.parametrize(
    ("storage", "dtype", "loss"),
    [("int8", "float32", 0.06), ("float8", "float32", 0.15), ("uint4", "bfloat16", 0.24)],
)
def test_products_lose_little_more_than_the_storage(
    package: str, storage: str, dtype: str, loss: float
) -> None:
    """Of the embedded model, compared with the unquantized one in float32."""
    plain, widened = predicted(denoiser("full")), predicted(denoiser(storage, dtype=dtype))
    product = predicted(denoiser(storage, BY_TORCHAO, dtype=dtype))
    assert not torch.equal(product, widened)
    assert relative(product, plain) < min(loss, 1.3 * relative(widened, plain))


def test_the_weights_are_shared_with_the_model_without(package: str) -> None:
    base = denoiser("int8")
    before = predicted(base)
    derived = derive(base, with_speed(recipe("int8"), BY_TORCHAO))
    assert component_bytes(derived, besides=base) == 0
    assert torch.equal(predicted(base), before)


def test_offloaded_weights_give_the_same_bits(package: str, pretend: PretendAccelerator) -> None:
    """They come to the device layer by layer, in the form that they are stored in."""
    model = denoiser("int8", BY_TORCHAO)
    expected = predicted(model)
    most = component_bytes(denoiser("int8")) / 2
    with offload_layers(model.modules, "cuda:0") as offloaded:
        device_model = replace(model, modules=offloaded.modules)
        assert torch.equal(predicted(device_model, "cuda:0").cpu(), expected)
    assert offloaded.bytes < most


def test_a_lora_computes_beside_the_products(package: str) -> None:
    from nodegraph.models.adapters.layer_changes import LowRank, with_changes

    module = layer("int8")
    multiply_by_torchao(module)
    x = torch.randn(40, 64)
    down, up = torch.randn(4, 64), torch.randn(48, 4)
    adapted = with_changes(module, {"0": [LowRank(down, up)]})
    with torch.no_grad():
        assert torch.allclose(adapted(x), module(x) + x @ down.T @ up.T, atol=1e-4)


def test_the_version_is_part_of_the_recipe(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = with_speed(recipe("int8"), BY_TORCHAO)
    monkeypatch.setattr(speed_options, "version", lambda name: "0.19.0")
    assert with_speed(recipe("int8"), BY_TORCHAO) != before


@pytest.mark.parametrize("storage", ["full", "int4"])
def test_other_weights_are_refused(package: str, storage: str) -> None:
    with pytest.raises(InvalidValue, match="int8, float8 or uint4") as caught:
        check_recipe(with_speed(recipe(storage), BY_TORCHAO), "cpu")
    assert caught.value.problem.port == "matmul"


def test_levels_of_nf4_are_refused_with_what_to_use(package: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_recipe(with_speed(recipe("int4"), BY_TORCHAO), "cpu")
    assert "uint4" in (caught.value.problem.hint or "")


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_groupwise_int4_wants_bfloat16(package: str, device: str) -> None:
    with pytest.raises(InvalidValue, match="bfloat16 only"):
        check_recipe(with_speed(recipe("uint4"), BY_TORCHAO), device)


def test_groupwise_int4_is_accepted_in_bfloat16(package: str) -> None:
    check_recipe(with_speed(recipe("uint4", "bfloat16"), BY_TORCHAO), "cpu")


def test_compiling_is_refused(package: str) -> None:
    both = SpeedOptions(compiled=True, matmul="torchao")
    with pytest.raises(InvalidValue, match="cannot be compiled"):
        check_recipe(with_speed(recipe("int8"), both), "cpu")


def test_devices_without_kernels_are_refused(package: str) -> None:
    with pytest.raises(InvalidValue, match="the device is mps"):
        check_recipe(with_speed(recipe("int8"), BY_TORCHAO), "mps")


def test_float8_on_cuda_wants_bfloat16(package: str) -> None:
    with pytest.raises(InvalidValue, match="bfloat16 only"):
        check_recipe(with_speed(recipe("float8"), BY_TORCHAO), "cuda:0")


@pytest.mark.parametrize(("storage", "capability"), [("float8", (8, 0)), ("uint4", (7, 5))])
def test_an_older_card_does_not_multiply(
    package: str, monkeypatch: pytest.MonkeyPatch, storage: str, capability: tuple[int, int]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "an older one")
    model = recipe(storage, "bfloat16")
    with pytest.raises(InvalidValue, match=f"does not multiply in {storage}"):
        check_recipe(with_speed(model, BY_TORCHAO), "cuda:0")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(speed_options, "version", missing)
    with pytest.raises(InvalidValue, match="torchao is not installed"):
        check_recipe(with_speed(recipe("int8"), BY_TORCHAO), "cpu")


def test_a_package_without_the_kernels_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(monkeypatch)
    monkeypatch.delattr(importlib.import_module("torchao.quantization"), "Int8Tensor")
    with pytest.raises(InvalidValue, match="lacks what is needed"):
        multiply_by_torchao(layer("int8"))


def test_a_package_without_the_kernels_for_int4_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(monkeypatch)
    name = "torchao.prototype.quantization.int4"
    monkeypatch.delattr(importlib.import_module(name), "Int4OpaqueTensor")
    assert multiply_by_torchao(layer("int8")) == 1
    with pytest.raises(InvalidValue, match="lacks what is needed"):
        multiply_by_torchao(layer("uint4"))
