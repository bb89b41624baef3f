"""Lack of memory is told from other faults, whatever library says it, and explained."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.residency import OutOfMemory, ResidencyManager, is_out_of_memory, memory_of
from nodegraph.residency.memory import explain_out_of_memory
from tests.residency.support import Machine, recipe_of

CUDA = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 7.79 GiB of "
    "which 1.20 GiB is free."
)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError(CUDA),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB). Tried to allocate 2.00 GB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OutOfMemory("it doesn't fit"),
    ],
)
def test_what_says_so_is_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)
    wrapped = NodegraphError("the node failed")
    wrapped.__cause__ = error
    assert is_out_of_memory(wrapped)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), InvalidFile("out of memory.png is damaged"), None]
)
def test_other_faults_are_not(error: Exception | None) -> None:
    assert not is_out_of_memory(error)


def test_what_torch_and_numpy_really_raise_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as by_torch:
        torch.empty(2**50, dtype=torch.uint8)
    with pytest.raises(MemoryError) as by_numpy:
        np.empty(2**50, dtype=np.uint8)

    for error in (by_torch.value, by_numpy.value):
        assert is_out_of_memory(error)
        assert "1.1 PB more were needed" in str(explain_out_of_memory(error, "cpu", 0))


def test_the_explanation_tells_what_was_needed_and_what_there_was() -> None:
    manager = ResidencyManager(Machine().load)
    with manager.use(recipe_of("a", 3 * 2**20), "cuda:0"):
        said = str(manager.explain(torch.OutOfMemoryError(CUDA), "cuda:0"))

    assert "out of memory on cuda:0: 2.7 GB more were needed" in said
    assert "weights hold 3.1 MB" in said
    assert "smaller image" in said


def test_what_little_was_missing_is_told_and_its_cause_kept() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 KiB. GPU 0 has")
    found = explain_out_of_memory(error, "cuda:0", 3 * 2**10)
    assert "20.5 kB more were needed; weights hold 3.1 kB" in str(found)
    assert found.__cause__ is error
    assert explain_out_of_memory(found, "cuda:0", 0) is found


def test_of_the_host_all_else_is_one() -> None:
    said = str(explain_out_of_memory(MemoryError(), "cpu", 0))
    size = r"[\d.]+ [MGT]B"
    assert re.search(rf"{size} of {size} are free, weights hold 0 B, all else {size}", said)


def test_an_error_without_an_amount_is_explained_too() -> None:
    assert "more was needed than there is" in str(explain_out_of_memory(MemoryError(), "cuda:0", 0))


def test_the_memory_of_the_host_is_known() -> None:
    found = memory_of("cpu")

    assert found is not None
    assert 0 < found.free <= found.total


def test_the_memory_of_what_is_not_there_is_not() -> None:
    assert memory_of("fpga:7") is None
