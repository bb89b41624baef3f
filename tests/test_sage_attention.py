"""The simulated arithmetic of SageAttention: it is attention, and loses what papers say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.sage_attention import KERNELS, SageKernel, attend, key_threads, query_threads

INT8, INT4 = KERNELS["sage 2 int8 fp16"], KERNELS["sage 2 int4 fp8"]


def drawn(queries: int, keys: int, channels: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(4)
    sizes = queries, keys, keys
    query, key, value = (torch.randn(2, 3, rows, channels) for rows in sizes)
    return query, key, value


def error(kernel: SageKernel, query: Tensor, key: Tensor, value: Tensor) -> float:
    exact = scaled_dot_product_attention(query.double(), key.double(), value.double())
    return float((attend(query, key, value, kernel) - exact).norm() / exact.norm())


@pytest.mark.parametrize(("queries", "keys"), [(128, 64), (70, 150), (257, 77)])
@pytest.mark.parametrize("smooth_queries", [False, True])
def test_fine_levels_give_attention(queries: int, keys: int, smooth_queries: bool) -> None:
    """For lengths that fill no block, too."""
    fine = replace(INT8, levels=2**15, smooth_queries=smooth_queries)
    assert error(fine, *drawn(queries, keys)) < 1e-3


@pytest.mark.parametrize("name", KERNELS)
def test_each_kernel_loses_a_little(name: str) -> None:
    most = {"sage 2 int8 fp8": 0.06, "sage 2 int4 fp8": 0.3}.get(name, 0.02)
    assert most / 20 < error(KERNELS[name], *drawn(256, 256)) < most


def test_groups_of_threads_lose_less_than_blocks() -> None:
    """Rows of all sizes: a large one takes levels from those that share its scale."""
    query, key, value = drawn(256, 256)
    query[:, :, ::5] *= 4
    by_block = replace(KERNELS["sage 1 int8 fp16"], values="fp16+fp32")
    assert error(INT8, query, key, value) < error(by_block, query, key, value)


def test_the_mean_of_keys_is_what_would_be_lost() -> None:
    """Channels that all keys have in common change no probability, but take most of the levels."""
    query, key, value = drawn(256, 256)
    key[..., :4] += 30
    rough = error(replace(INT8, smooth_keys=False), query, key, value)
    assert error(INT8, query, key, value) < rough / 5


def test_the_mean_of_queries_is_lost_in_four_bits() -> None:
    query, key, value = drawn(256, 256)
    query[..., :4] += 10
    rough = error(replace(INT4, smooth_queries=False), query, key, value)
    assert error(INT4, query, key, value) < rough / 2


def test_a_thread_has_every_eighth_query_and_pairs_of_keys() -> None:
    assert query_threads(34).tolist()[:10] == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert query_threads(34).tolist()[-2:] == [8, 9]
    assert key_threads(66).tolist()[:10] == [0, 0, 1, 1, 2, 2, 3, 3, 0, 0]
    assert key_threads(66).tolist()[-2:] == [4, 4]
