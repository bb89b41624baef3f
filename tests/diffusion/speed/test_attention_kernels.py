"""Attention kernels of packages get what they can compute, as they take it; torch does the others.

The packages are for CUDA. Here plain functions with their signatures stand in for them, on a
pretend card if there is no real one; the kernels themselves are not tested.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nodegraph.core.values import DiffusionModel, RecipeFile
from nodegraph.errors import InvalidValue
from nodegraph.families import speed_options
from nodegraph.families.speed_options import (
    SpeedOptions,
    kernel_version,
    speed_text,
    usable_attention,
    with_speed,
)
from nodegraph.models.attention import using_attention
from tests.accelerator.card import real_card
from tests.accelerator.fixtures import MIB, has_real_card, needs_pretending
from tests.accelerator.pretend import PretendAccelerator
from tests.messages import raises

KERNELS = ("sage", "flash_attn", "xformers")
VERSION = "9.8.7"
RECIPE = DiffusionModel("sd1", (RecipeFile("unet", "nowhere", "0" * 64),))


@pytest.fixture
def cuda() -> Iterator[str]:
    if has_real_card():
        with real_card():
            yield "cuda:0"
        return
    needs_pretending()
    with PretendAccelerator(64 * MIB):
        yield "cuda:0"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Packages that are installed, and which of them were called."""
    found: list[str] = []

    def plain(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        # Without what the `with` of the caller replaces.
        with torch._C.DisableTorchFunction():
            return scaled_dot_product_attention(q, k, v, **options)

    def sageattn(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        tensor_layout: str = "NHD",
        is_causal: bool = False,
        sm_scale: float | None = None,
    ) -> Tensor:
        found.append("sage")
        assert tensor_layout == "HND"
        return plain(q, k, v, is_causal=is_causal, scale=sm_scale)

    def flash_attn_func(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        dropout_p: float = 0.0,
        softmax_scale: float | None = None,
        causal: bool = False,
    ) -> Tensor:
        found.append("flash_attn")
        q, k, v = (item.transpose(1, 2) for item in (q, k, v))
        return plain(q, k, v, is_causal=causal, scale=softmax_scale).transpose(1, 2)

    def memory_efficient_attention(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_bias: Tensor | None = None,
        p: float = 0.0,
        scale: float | None = None,
    ) -> Tensor:
        found.append("xformers")
        q, k, v = (item.transpose(1, 2) for item in (query, key, value))
        if attn_bias is not None:
            assert attn_bias.shape == (*q.shape[:3], k.shape[2])
            assert attn_bias.stride(-2) % 8 == 0
            assert attn_bias.dtype == q.dtype
        return plain(q, k, v, attn_mask=attn_bias, scale=scale).transpose(1, 2)

    modules: Mapping[str, tuple[str, Any]] = {
        "sageattention": ("sageattn", sageattn),
        "flash_attn": ("flash_attn_func", flash_attn_func),
        "xformers.ops": ("memory_efficient_attention", memory_efficient_attention),
    }
    monkeypatch.setitem(sys.modules, "xformers", ModuleType("xformers"))
    for name, (function, value) in modules.items():
        module = ModuleType(name)
        setattr(module, function, value)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(speed_options, "version", lambda package: VERSION)
    return found


def drawn(*shape: int, dtype: torch.dtype = torch.bfloat16) -> list[Tensor]:
    return list(torch.randn(3, *shape, generator=torch.Generator().manual_seed(7)).to(dtype))


@pytest.mark.gpu
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("options", "takers"),
    [
        ({}, KERNELS),
        ({"scale": 0.3}, KERNELS),
        ({"is_causal": True}, ("sage", "flash_attn")),
        ({"mask": "boolean"}, ("xformers",)),
        ({"mask": "added"}, ("xformers",)),
        ({"width": 40}, ("flash_attn", "xformers")),
        ({"width": 20}, ("xformers",)),
        ({"dtype": torch.float32}, ("xformers",)),
        ({"learns": True}, ()),
        ({"away": True}, ()),
    ],
)
def test_a_kernel_takes_what_it_can(
    cuda: str, calls: list[str], kernel: str, options: Mapping[str, Any], takers: tuple[str, ...]
) -> None:
    width, dtype = options.get("width", 64), options.get("dtype", torch.bfloat16)
    tensors = drawn(2, 3, 5, width, dtype=dtype)
    mask = torch.tensor([True, True, False, True, True]).expand(2, 1, 5, 5)
    if options.get("mask") == "added":
        mask = torch.zeros(1, 1, 5, 5, dtype=dtype).masked_fill(~mask[:1], -1e4)
    asked: dict[str, Any] = {
        name: options[name] for name in ("scale", "is_causal") if name in options
    }
    expected = scaled_dot_product_attention(
        *tensors, attn_mask=mask if "mask" in options else None, **asked
    )
    where = "cpu" if "away" in options else cuda
    query, key, value = (item.to(where).requires_grad_("learns" in options) for item in tensors)
    if "mask" in options:
        asked["attn_mask"] = mask.to(where)
    with using_attention(kernel):
        found = scaled_dot_product_attention(query, key, value, **asked)
    assert calls == ([kernel] if kernel in takers else [])
    torch.testing.assert_close(found.detach().cpu(), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_package_that_cannot_be_imported_is_named(
    cuda: str, calls: list[str], kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"sage": "sageattention", "flash_attn": "flash_attn", "xformers": "xformers.ops"}
    monkeypatch.setitem(sys.modules, module[kernel], None)
    tensors = [item.to(cuda) for item in drawn(2, 3, 5, 64)]
    with using_attention(kernel), raises(InvalidValue, given=f"attention {kernel}"):
        scaled_dot_product_attention(*tensors)
    assert calls == []


def test_without_the_package_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(speed_options, "version", missing)
    query, key, value = drawn(1, 2, 3, 64)
    for kernel in KERNELS:
        assert kernel_version(kernel) == ""
        assert usable_attention(kernel) == "auto"
        with using_attention(kernel):
            found = scaled_dot_product_attention(query, key, value)
        assert torch.equal(found, scaled_dot_product_attention(query, key, value))


@pytest.mark.usefixtures("calls")
def test_a_recipe_notes_the_version() -> None:
    recipe = with_speed(RECIPE, SpeedOptions(attention="sage"))
    assert speed_text(recipe) == f"attention sage, attention version {VERSION}"
    assert with_speed(recipe, SpeedOptions()) == RECIPE
