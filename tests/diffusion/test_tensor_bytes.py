"""Tensors are read and converted piece by piece, by several threads, to the same bits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from nodegraph.weights.weight_files import RawTensorReader, read_in_threads

SIZES = [0, 1, 32_704, 32_705, 261_632, 600_001]
"""Numbers; among them a piece that is converted at once, and a portion that is read at once."""


@pytest.mark.parametrize("with_preadv", [True, False])
@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        (torch.float16, torch.bfloat16),
        (torch.float32, torch.float16),
        (torch.float64, torch.float32),
        (torch.float8_e4m3fn, torch.bfloat16),
    ],
)
def test_threads_that_share_a_file_get_the_bits_of_a_whole_conversion(
    tmp_path: Path,
    stored: torch.dtype,
    dtype: torch.dtype,
    with_preadv: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not with_preadv:
        monkeypatch.delattr(os, "preadv", raising=False)
    whole = torch.randn(sum(SIZES), generator=torch.Generator().manual_seed(0)).to(stored)
    path = tmp_path / "numbers"
    path.write_bytes(b"head" + whole.view(torch.uint8).numpy().tobytes())
    parts = dict(zip(map(str, SIZES), whole.split(SIZES), strict=True))
    starts = {str(size): 4 + sum(SIZES[:at]) * stored.itemsize for at, size in enumerate(SIZES)}

    with path.open("rb") as file:
        content = RawTensorReader(file)
        kept = read_in_threads(
            lambda name: content.read(starts[name], (int(name),), stored), starts
        )
        converted = read_in_threads(
            lambda name: content.read_as(starts[name], (int(name), 1), stored, dtype), starts
        )

    assert list(converted) == list(kept) == list(starts)
    for name, part in parts.items():
        assert torch.equal(kept[name].float(), part.float())
        assert torch.equal(converted[name], part.to(dtype)[:, None])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_each_number_that_float16_has_is_converted_to_the_same_bits(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    every = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(torch.float16)
    path = tmp_path / "numbers"
    path.write_bytes(every.view(torch.uint8).numpy().tobytes())

    with path.open("rb") as file:
        found = RawTensorReader(file).read_as(0, (2**16,), torch.float16, dtype)

    is_number = ~every.isnan()
    kept = (found[is_number], every.to(dtype)[is_number])
    assert torch.equal(*(item.view(torch.uint8) for item in kept)), "signs of zeros, too"
    assert found[~is_number].isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_file_that_ends_within_a_tensor_is_told(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "short"
    path.write_bytes(bytes(4 * 100))
    with path.open("rb") as file:
        content = RawTensorReader(file)
        assert content.read_as(0, (100,), torch.float32, dtype).shape == (100,)
        with pytest.raises(EOFError):
            content.read_as(0, (101,), torch.float32, dtype)
        with pytest.raises(EOFError):
            content.read(8, (100,), torch.float32)


def test_what_fails_first_by_name_is_raised() -> None:
    def read(name: str) -> torch.Tensor:
        if name in ("b", "c"):
            raise ValueError(name)
        return torch.zeros(1)

    with pytest.raises(ValueError, match="b"):
        read_in_threads(read, ["a", "b", "c", "d"])
