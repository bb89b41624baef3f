"""What each kind of change does to a layer, worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nodegraph.errors import InvalidFile
from nodegraph.models.adapters.adapter_files import FUSED
from nodegraph.models.derived_components import adapt_modules
from tests.messages import raises

from . import files

Tensors = dict[str, Tensor]
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(6, 8),
    "bare": lambda: nn.Linear(6, 8, bias=False),
    "conv": lambda: nn.Conv2d(4, 8, 3, stride=2, padding=1),
    "pointwise": lambda: nn.Conv1d(4, 8, 1),
    "depthwise": lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8),
    "video": lambda: nn.Conv3d(4, 8, (1, 2, 2), stride=(1, 2, 2)),
}


@pytest.fixture
def module() -> nn.ModuleDict:
    torch.manual_seed(0)
    made = nn.ModuleDict({name: make() for name, make in LAYERS.items()})
    made["norm"] = nn.LayerNorm(6)
    return made.requires_grad_(False)


def _put_on(module: nn.Module, tensors: Tensors, folder: Path, **options: Any) -> nn.Module:
    path = files.saved(tensors, folder / "adapter.safetensors", options.pop("metadata", None))
    return adapt_modules({"unet": module}, [files.adapter(path, **options)], dtype="float32")[
        "unet"
    ]


def _given(layer: Any) -> Tensor:
    if isinstance(layer, nn.Linear):
        return torch.randn(2, 5, layer.in_features)
    return torch.randn(2, layer.in_channels, *(4,) * (layer.weight.dim() - 2))


def _check(
    module: nn.ModuleDict, name: str, tensors: Tensors, change: Tensor, folder: Path, **options: Any
) -> None:
    """The layer gives, apart and fused, what it gives with the changed weight."""
    layer: Any = module[name]
    x, own = _given(layer), layer.weight
    for kind in ("lora", FUSED):
        found: Any = _put_on(module, tensors, folder, kind=kind, **options)
        by_hand = type(layer).forward
        layer.weight = nn.Parameter(own + change.reshape(own.shape), requires_grad=False)
        expected = by_hand(layer, x)
        layer.weight = own
        torch.testing.assert_close(found[name](x), expected, atol=1e-5, rtol=1e-5)
        assert not torch.equal(expected, layer(x))


@pytest.mark.parametrize("name", LAYERS)
def test_lora(module: nn.ModuleDict, name: str, tmp_path: Path) -> None:
    shape = module[name].get_parameter("weight").shape
    down, up = torch.randn(2, *shape[1:]), torch.randn(shape[0], 2, *(1 for _ in shape[2:]))
    tensors = {
        f"unet.{name}.lora_down.weight": down,
        f"unet.{name}.lora_up.weight": up,
        f"unet.{name}.alpha": torch.tensor(3.0),
    }
    change = up.flatten(1) @ down.flatten(1) * 1.5
    _check(module, name, tensors, change * 0.5, tmp_path, strength=0.5)


def test_a_pointwise_convolution_that_has_become_linear(
    module: nn.ModuleDict, tmp_path: Path
) -> None:
    down, up = torch.randn(2, 6, 1, 1), torch.randn(8, 2, 1, 1)
    tensors = {"unet.linear.lora_down.weight": down, "unet.linear.lora_up.weight": up}
    _check(module, "linear", tensors, up.flatten(1) @ down.flatten(1), tmp_path)


@pytest.mark.parametrize(
    "parts",
    [
        {"lora_A.weight": (2, 6), "lora_B.weight": (8, 3)},
        {"lora_A.weight": (6,), "lora_B.weight": (8, 2)},
        {"lora_A.weight": (2, 6), "lora_B.weight": (8, 2), "alpha": (2,)},
        {"hada_w1_a": (8, 2), "hada_w1_b": (3, 6), "hada_w2_a": (8, 2), "hada_w2_b": (2, 6)},
        {"lokr_w1_a": (4, 2), "lokr_w1_b": (1, 2), "lokr_w2": (2, 3)},
        {"lokr_w1": (4, 2), "lokr_w2_a": (2, 1), "lokr_w2_b": (2, 3)},
    ],
)
def test_matrices_that_cannot_be_multiplied_are_refused(
    module: nn.ModuleDict, parts: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    tensors = {f"unet.linear.{name}": torch.ones(shape) for name, shape in parts.items()}
    with raises(InvalidFile):
        _put_on(module, tensors, tmp_path)


def test_lora_with_a_core(module: nn.ModuleDict, tmp_path: Path) -> None:
    down, core, up = torch.randn(2, 4, 1, 1), torch.randn(3, 2, 3, 3), torch.randn(8, 3, 1, 1)
    tensors = {
        "unet.conv.lora_down.weight": down,
        "unet.conv.lora_mid.weight": core,
        "unet.conv.lora_up.weight": up,
    }
    change = torch.einsum("pi,ijkl,jr->prkl", up.flatten(1), core, down.flatten(1))
    _check(module, "conv", tensors, change, tmp_path)


def test_loha_with_cores(module: nn.ModuleDict, tmp_path: Path) -> None:
    parts = {
        "hada_t1": torch.randn(2, 2, 3, 3),
        "hada_w1_a": torch.randn(2, 8),
        "hada_w1_b": torch.randn(2, 4),
        "hada_t2": torch.randn(2, 2, 3, 3),
        "hada_w2_a": torch.randn(2, 8),
        "hada_w2_b": torch.randn(2, 4),
        "alpha": torch.tensor(1.0),
    }
    core, a, b, other, c, d, _ = parts.values()
    first = torch.einsum("ijkl,ip,jr->prkl", core, a, b)
    change = first * torch.einsum("ijkl,ip,jr->prkl", other, c, d) / 2
    tensors = {f"unet.conv.{name}": tensor for name, tensor in parts.items()}
    _check(module, "conv", tensors, change, tmp_path)


@pytest.mark.parametrize("name", ["linear", "conv"])
def test_lokr(module: nn.ModuleDict, name: str, tmp_path: Path) -> None:
    kernel = module[name].get_parameter("weight").shape[2:]
    left, right = torch.randn(4, 2), torch.randn(2, 3 if name == "linear" else 2, *kernel)
    tensors = {
        f"unet.{name}.lokr_w1": left,
        f"unet.{name}.lokr_w2": right,
        # Of whole matrices it means nothing.
        f"unet.{name}.alpha": torch.tensor(1000.0),
    }
    change = torch.kron(left.reshape(4, 2, *(1 for _ in kernel)), right)
    _check(module, name, tensors, change, tmp_path)


def test_lokr_of_narrow_matrices(module: nn.ModuleDict, tmp_path: Path) -> None:
    left, a, b = torch.randn(4, 2), torch.randn(2, 1), torch.randn(1, 3)
    tensors = {"unet.linear.lokr_w1": left, "unet.linear.lokr_w2_a": a}
    tensors |= {"unet.linear.lokr_w2_b": b, "unet.linear.alpha": torch.tensor(0.5)}
    _check(module, "linear", tensors, torch.kron(left, a @ b) * 0.5, tmp_path)


@pytest.mark.parametrize("of_rows", [True, False])
@pytest.mark.parametrize("name", ["linear", "conv"])
def test_dora_grows_with_its_strength(
    module: nn.ModuleDict, name: str, of_rows: bool, tmp_path: Path
) -> None:
    weight = module[name].get_parameter("weight")
    down = torch.randn(2, *weight.shape[1:])
    up = torch.randn(weight.shape[0], 2, *(1 for _ in weight.shape[2:]))
    changed = weight + (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    others = [at for at in range(weight.dim()) if at != (0 if of_rows else 1)]
    lengths = torch.rand(1) + changed.pow(2).sum(others, keepdim=True).sqrt() * 0.7
    change = changed * lengths / changed.pow(2).sum(others, keepdim=True).sqrt() - weight
    tensors = {
        f"unet.{name}.lora_down.weight": down,
        f"unet.{name}.lora_up.weight": up,
        f"unet.{name}.dora_scale": lengths,
    }
    _check(module, name, tensors, change * 0.25, tmp_path, strength=0.25)


def test_the_change_itself(module: nn.ModuleDict, tmp_path: Path) -> None:
    change, shift = torch.randn(8, 6), torch.randn(8)
    tensors = {"diffusion_model.linear.diff": change, "diffusion_model.linear.diff_b": shift}
    for kind in ("lora", FUSED):
        found: Any = _put_on(module, tensors, tmp_path, strength=0.5, kind=kind)
        x, own = torch.randn(3, 6), module["linear"]
        expected = own(x) + 0.5 * (x @ change.T + shift)
        torch.testing.assert_close(found["linear"](x), expected, atol=1e-5, rtol=1e-5)


def test_of_a_norm_and_of_a_bias_alone(module: nn.ModuleDict, tmp_path: Path) -> None:
    tensors = {
        "diffusion_model.norm.diff": torch.randn(6),
        "diffusion_model.norm.diff_b": torch.randn(6),
        "diffusion_model.bare.diff_b": torch.randn(8),
    }
    found: Any = _put_on(module, tensors, tmp_path)
    x = torch.randn(3, 6)
    norm: Any = module["norm"]
    plain = nn.functional.layer_norm(x, (6,))
    scaled = plain * (norm.weight + tensors["diffusion_model.norm.diff"])
    shifted = scaled + norm.bias + tensors["diffusion_model.norm.diff_b"]
    torch.testing.assert_close(found["norm"](x), shifted)
    expected = module["bare"](x) + tensors["diffusion_model.bare.diff_b"]
    torch.testing.assert_close(found["bare"](x), expected)


def test_alpha_is_read_from_what_peft_wrote(module: nn.ModuleDict, tmp_path: Path) -> None:
    down, up = torch.randn(4, 6), torch.randn(8, 4)
    tensors = {"unet.linear.lora_A.weight": down, "unet.linear.lora_B.weight": up}
    settings = {"unet.r": 4, "unet.lora_alpha": 2, "unet.use_rslora": True}
    metadata = {"lora_adapter_metadata": json.dumps(settings)}
    _check(module, "linear", tensors, up @ down, tmp_path, metadata=metadata)
    settings = {"unet.lora_alpha": 2, "unet.alpha_pattern": {"linear": 12}}
    metadata = {"lora_adapter_metadata": json.dumps(settings)}
    _check(module, "linear", tensors, 3 * up @ down, tmp_path, metadata=metadata)


def _attention() -> nn.Module:
    layer = nn.ModuleDict({name: nn.Linear(4, 4) for name in ("to_q", "to_k", "to_v")})
    block = nn.ModuleDict({"attn1": layer})
    return nn.ModuleDict({"block": block}).requires_grad_(False)


def test_the_names_that_diffusers_wrote_before_peft(tmp_path: Path) -> None:
    down, up = torch.randn(2, 4), torch.randn(4, 2)
    module, name = _attention(), "unet.block.attn1.processor.to_q_lora"
    found: Any = _put_on(
        module, {f"{name}.down.weight": down, f"{name}.up.weight": up}, tmp_path, kind=FUSED
    )
    weight = module.get_parameter("block.attn1.to_q.weight")
    expected = weight + up @ down
    torch.testing.assert_close(found.get_parameter("block.attn1.to_q.weight"), expected)


class Flux(nn.Module):
    """The parts of a Flux that XLabs' files are for; their names are all that counts."""

    def __init__(self) -> None:
        super().__init__()
        names = ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
        attention = nn.ModuleDict({name: nn.Linear(4, 4) for name in names})
        single = nn.ModuleDict({name: nn.Linear(4, 4) for name in names[:3]})
        self.transformer_blocks = nn.ModuleList([nn.ModuleDict({"attn": attention})])
        self.single_transformer_blocks = nn.ModuleList([nn.ModuleDict({"attn": single})])


Flux.__name__ = "FluxTransformer2DModel"


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("double_blocks.0.processor.qkv_lora1", ["to_q", "to_k", "to_v"]),
        ("double_blocks.0.processor.qkv_lora2", ["add_q_proj", "add_k_proj", "add_v_proj"]),
        ("double_blocks.0.processor.proj_lora2", ["to_add_out"]),
        ("single_blocks.0.processor.qkv_lora", ["to_q", "to_k", "to_v"]),
    ],
)
def test_the_names_of_xlabs(name: str, places: list[str], tmp_path: Path) -> None:
    module = Flux().requires_grad_(False)
    down, up = torch.randn(2, 4), torch.randn(4 * len(places), 2)
    tensors = {f"{name}.down.weight": down, f"{name}.up.weight": up}
    path = files.saved(tensors, tmp_path / "adapter.safetensors")
    adapter = files.adapter(path, kind=FUSED)
    found = adapt_modules({"transformer": module}, [adapter], dtype="float32")["transformer"]
    block = "single_transformer_blocks.0" if name.startswith("single") else "transformer_blocks.0"
    for place, rows in zip(places, up.split(4), strict=True):
        weight = f"{block}.attn.{place}.weight"
        expected = module.get_parameter(weight) + rows @ down
        torch.testing.assert_close(found.get_parameter(weight), expected)


@pytest.mark.parametrize("kind", ["lora", FUSED])
def test_a_kronecker_product_over_joined_layers_is_split_among_them(
    kind: str, tmp_path: Path
) -> None:
    module = Flux().requires_grad_(False)
    left, right = torch.randn(6, 2), torch.randn(2, 2)
    name = "diffusion_model.double_blocks.0.img_attn.qkv"
    tensors = {f"{name}.lokr_w1": left, f"{name}.lokr_w2": right}
    path = files.saved(tensors, tmp_path / "adapter.safetensors")
    adapter = files.adapter(path, kind=kind)
    found = adapt_modules({"transformer": module}, [adapter], dtype="float32")["transformer"]
    x = torch.randn(3, 4)
    for place, rows in zip(("to_q", "to_k", "to_v"), torch.kron(left, right).split(4), strict=True):
        path_here = f"transformer_blocks.0.attn.{place}"
        expected = module.get_submodule(path_here)(x) + x @ rows.T
        torch.testing.assert_close(found.get_submodule(path_here)(x), expected)


def test_lengths_of_the_columns_of_joined_layers_are_refused(tmp_path: Path) -> None:
    name = "diffusion_model.double_blocks.0.img_attn.qkv"
    tensors = {
        f"{name}.lora_down.weight": torch.randn(2, 4),
        f"{name}.lora_up.weight": torch.randn(12, 2),
        f"{name}.dora_scale": torch.rand(1, 4),
    }
    path = files.saved(tensors, tmp_path / "adapter.safetensors")
    with raises(InvalidFile):
        adapt_modules({"transformer": Flux()}, [files.adapter(path)], dtype="float32")


def test_half_precision_stays_half(module: nn.ModuleDict, tmp_path: Path) -> None:
    half = module.to(torch.bfloat16)
    tensors = {
        "unet.linear.lora_A.weight": torch.randn(2, 6),
        "unet.linear.lora_B.weight": torch.randn(8, 2),
    }
    path = files.saved(tensors, tmp_path / "adapter.safetensors")
    for kind in ("lora", FUSED):
        found: Any = adapt_modules(
            {"unet": half}, [files.adapter(path, kind=kind)], dtype="bfloat16"
        )
        assert found["unet"]["linear"](torch.randn(1, 6).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["lora", "dora-rows", "dora-cols", "dora"])
@pytest.mark.parametrize("name", ["linear", "pointwise"])
def test_the_format_of_the_trainer_of_stable_audio(
    module: nn.ModuleDict, name: str, kind: str, tmp_path: Path
) -> None:
    """Its first files name no axis of DoRA's lengths, which then lie along it."""
    weight = module[name].get_parameter("weight")
    flat = weight.flatten(1)
    down, up = torch.randn(2, flat.shape[1]), torch.randn(8, 2)
    stem = f"unet.{name}.parametrizations.weight.0."
    tensors = {f"{stem}lora_A": down, f"{stem}lora_B": up}
    changed = flat + up @ down * 1.5
    if kind != "lora":
        axis = 1 if kind == "dora-rows" else 0
        lengths = torch.rand(flat.shape[1 - axis]) + 0.5
        changed = changed / changed.norm(dim=axis, keepdim=True) * lengths.unsqueeze(axis)
        tensors[f"{stem}magnitude"] = lengths[None] if kind == "dora" else lengths
        tensors[f"{stem}baked_vnorm_row"] = torch.ones(8)
    settings = {"lora_config": json.dumps({"rank": 2, "alpha": 3, "adapter_type": kind})}
    change = (changed - flat).view_as(weight)
    _check(module, name, tensors, change, tmp_path, metadata=settings)
