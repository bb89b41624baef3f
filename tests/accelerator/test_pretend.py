"""What tests with the pretend accelerator rest on."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, scaled_dot_product_attention

from tests.accelerator.card import Card, TensorBytes
from tests.accelerator.fixtures import MIB
from tests.accelerator.pretend import PretendAccelerator


def test_tensors_say_where_they_are_and_come_back(pretend: PretendAccelerator) -> None:
    given = torch.randn(3, 4)
    there = given.to("cuda:1")
    assert type(there) is torch.Tensor
    assert there.device == torch.device("cuda", 1)
    assert torch.equal(there.cpu(), given)
    assert given.to("cuda").device.index == 0
    with pytest.raises(TypeError, match="can't convert"):
        there.numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_gives_the_bits_of_the_cpu(
    pretend: PretendAccelerator, dtype: torch.dtype
) -> None:
    parts = [nn.Conv2d(4, 32, 3), nn.GroupNorm(8, 32), nn.SiLU(), nn.Flatten(2), nn.Linear(36, 64)]
    net = nn.Sequential(*parts).to(dtype)
    given = torch.randn(2, 4, 8, 8, dtype=dtype)

    def output(device: str) -> Tensor:
        hidden = net.to(device)(given.to(device))
        return scaled_dot_product_attention(hidden, hidden, hidden)

    with torch.inference_mode():
        expected, found = output("cpu"), output("cuda:0")
    assert found.device.type == "cuda"
    assert torch.equal(found.cpu(), expected)


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: torch.cat([there, here]),
        lambda here, there: there @ here,
        lambda here, there: embedding(torch.tensor([1]), there),
        lambda here, there: here[torch.zeros(1, dtype=torch.long, device="cuda")],
        lambda here, there: there + there.to("cuda:1"),
        lambda here, there: torch.randn(2, device="cuda", generator=torch.Generator()),
    ],
)
def test_devices_do_not_mix(
    pretend: PretendAccelerator, mix: Callable[[Tensor, Tensor], Tensor]
) -> None:
    here = torch.ones(2, 2)
    with pytest.raises(RuntimeError, match="device"):
        mix(here, here.to("cuda:0"))


def test_numbers_and_indices_may_come_from_the_cpu(pretend: PretendAccelerator) -> None:
    there = torch.arange(6.0, device="cuda").view(2, 3)
    assert (there * torch.tensor(2.0)).device.type == "cuda"
    assert there[torch.tensor([1])].tolist() == [[3, 4, 5]]
    there[:, 1:] += 1
    assert there.t()[2].tolist() == [3, 6]


def test_memory_is_told_to_the_byte_and_ends(pretend: PretendAccelerator) -> None:
    first = torch.zeros(20 * MIB, dtype=torch.uint8, device="cuda:1")
    view = first[::2]
    assert (pretend.used(0), pretend.used(1)) == (0, 20 * MIB)
    for size, tried in ((16 * MIB, r"allocate 16\.00 MiB"), (2**50, "allocate")):
        with pytest.raises(torch.OutOfMemoryError, match=tried):
            torch.empty(size, dtype=torch.uint8, device="cuda:1")
    del first
    assert pretend.used(1) == 20 * MIB, "a view keeps the bytes"
    del view
    assert (pretend.used(1), pretend.peak(1)) == (0, 20 * MIB)
    assert torch.cuda.mem_get_info("cuda:1") == (12 * MIB, 32 * MIB)
    torch.cuda.empty_cache()
    assert torch.cuda.mem_get_info("cuda:1") == (32 * MIB, 32 * MIB)


def test_bytes_are_counted_alike_by_operations(pretend: PretendAccelerator) -> None:
    """As they are on a real card, whose libraries take memory of their own."""
    net = nn.Sequential(nn.Conv2d(4, 32, 3), nn.SiLU(), nn.Flatten(2), nn.Linear(900, 64))
    net.requires_grad_(False).to("cuda:0")
    given = torch.randn(2, 4, 32, 32, device="cuda:0")
    with TensorBytes(given.device) as counted:
        output = net(given)
        assert torch.equal(output, net(given))
    assert counted.peak == Card(pretend).held_by(lambda: torch.equal(net(given), output)) + (
        output.nbytes
    )


def test_marks_of_memory_are_there_once_a_device_was_used(pretend: PretendAccelerator) -> None:
    assert not torch.cuda.is_initialized()
    with pytest.raises(RuntimeError, match="did you call init"):
        torch.cuda.reset_peak_memory_stats("cuda:0")
    assert torch.cuda.memory_allocated("cuda:0") == 0
    torch.zeros(1, device="cuda:0")
    torch.cuda.reset_peak_memory_stats("cuda:0")
    assert torch.cuda.is_initialized()


def test_a_process_may_be_allowed_less_than_there_is(pretend: PretendAccelerator) -> None:
    torch.cuda.set_per_process_memory_fraction(0.25, "cuda:1")
    assert torch.cuda.mem_get_info("cuda:1") == (32 * MIB, 32 * MIB)
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(9 * MIB, dtype=torch.uint8, device="cuda:1")
    torch.cuda.set_per_process_memory_fraction(1.0, "cuda:1")
    torch.empty(9 * MIB, dtype=torch.uint8, device="cuda:1")


def test_a_module_that_moves_leaves_nothing_behind(pretend: PretendAccelerator) -> None:
    net = nn.Linear(64, 64).requires_grad_(False)
    for device, there in (("cuda:0", [0]), ("cuda:1", [1]), ("cpu", [])):
        net.to(device)
        gc.collect()
        assert [index for index in range(2) if pretend.used(index)] == there


def test_what_makes_the_host_wait_is_noted_with_its_place(pretend: PretendAccelerator) -> None:
    there = torch.ones(8, device="cuda")
    pretend.log.clear()
    assert bool(torch.isfinite(there).all())
    there.cpu()
    (wait,), (copy,) = pretend.transfers("wait"), pretend.transfers("to host", within=__file__)
    assert wait.place.rpartition(":")[0] == __file__
    assert copy.bytes == 32
    assert not pretend.transfers("to device")


def test_it_works_in_threads(pretend: PretendAccelerator) -> None:
    def work(at: int) -> float:
        with torch.inference_mode():
            return float((torch.full((64,), float(at), device=f"cuda:{at % 2}") * 2).sum())

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, range(32))) == [128.0 * at for at in range(32)]
    assert (pretend.used(0), pretend.used(1)) == (0, 0)


def test_seeds_repeat(pretend: PretendAccelerator) -> None:
    torch.manual_seed(3)
    first = torch.randn(4, device="cuda")
    torch.manual_seed(3)
    assert torch.equal(torch.randn(4, device="cuda"), first)


def test_afterwards_it_is_gone(pretend: PretendAccelerator) -> None:
    survivor = torch.ones(2, device="cuda")
    pretend.__exit__()
    assert not torch.cuda.is_available()
    assert "is_initialized" in vars(torch.cuda)
    assert torch.accelerator.device_count() == 0
    with pytest.raises((AssertionError, NotImplementedError)):
        torch.zeros(1, device="cuda")
    del survivor
    assert pretend.used() == 0
