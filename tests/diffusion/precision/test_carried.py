"""Tensors that are carried in the form that they are stored in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nodegraph.weights.precision.quantized_weights import (
    QuantizedTensor,
    QuantizedWeight,
    ScaledNarrow,
    dequantize,
    find_quantized,
)


def carry(seed: int, rows: int = 6, *, by_row: bool = False) -> QuantizedTensor:
    torch.manual_seed(seed)
    stored = torch.randn(rows, 4).to(torch.float8_e4m3fn)
    scale = torch.rand(rows, 1) if by_row else torch.rand(())
    packed = QuantizedWeight(ScaledNarrow(), {"stored": stored, "scale": scale}, (rows, 4))
    return QuantizedTensor(packed, torch.float32)


KEEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "chunk": lambda given: given.chunk(3)[1],
    "split": lambda given: given.split([1, 3, 2])[1],
    "slice": lambda given: given[2:5],
    "cat": lambda given: torch.cat([given[3:], given[:3]]),
    "detach": lambda given: given.detach().clone(),
    "half": lambda given: given.to(torch.bfloat16),
}
NEEDS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda given: given.T.contiguous(),
    "columns": lambda given: given[:, 1:3],
    "columns joined": lambda given: torch.cat([given, given], dim=1),
    "with others": lambda given: torch.cat([given, torch.ones(1, 4)]),
    "computed": lambda given: given * 2 + 1,
    "one number": lambda given: given[:, 0][2],
}


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("name", KEEPS)
def test_rows_stay_as_they_are_stored(name: str, by_row: bool) -> None:
    tensor = carry(1, by_row=by_row)

    found = KEEPS[name](tensor)

    packed = find_quantized(found)
    assert packed is not None
    assert packed.stored.dtype == torch.float8_e4m3fn
    assert torch.equal(dequantize(found), KEEPS[name](dequantize(tensor)))


@pytest.mark.parametrize("name", NEEDS)
def test_all_else_is_worked_out_on_the_numbers(name: str) -> None:
    tensor = carry(1)

    found = NEEDS[name](tensor)

    assert find_quantized(found) is None
    assert torch.equal(found, NEEDS[name](dequantize(tensor)))


def test_layers_of_different_factors_are_joined_exactly() -> None:
    one, two = carry(1), carry(2, rows=3)

    found = torch.cat([one, two])

    assert find_quantized(found) is not None
    assert torch.equal(dequantize(found), torch.cat([dequantize(one), dequantize(two)]))


def test_parameters_and_modules_take_them() -> None:
    layer = torch.nn.Linear(4, 6, bias=False, device="meta")
    tensor = carry(1)

    layer.load_state_dict({"weight": tensor}, assign=True)

    assert find_quantized(layer.weight) is not None
    assert torch.equal(layer(torch.ones(1, 4)), dequantize(tensor).sum(1)[None])
