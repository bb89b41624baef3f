"""EmptyLatent, SetNoiseMask, AddNoise and LatentFromBatch in a graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from nodegraph_nodes.latent import EmptyLatent, LatentFromBatch, SetNoiseMask

from nodegraph import InvalidValue, Latent
from nodegraph.families.noise import NoiseSchedule, draw_noise
from nodegraph.media.images import memory_checks as room
from nodegraph.sampling.latent_noise import add_noise
from tests.messages import raises
from tests.nodes.sampling_graphs import denoiser, link, problems, sampler, value


def test_an_empty_latent_is_only_a_size() -> None:
    nodes = {
        "empty": {"type": "EmptyLatent", "inputs": {"width": 96, "height": 64, "batch_size": 3}}
    }
    assert value(nodes, "empty.latent") == Latent(None, 96, 64, 3)


@pytest.mark.parametrize("size", [{"width": 100}, {"height": 0}, {"batch_size": 0}])
def test_sizes_that_no_model_takes_are_found_before_running(size: dict[str, int]) -> None:
    (problem,) = problems({"empty": {"type": "EmptyLatent", "inputs": size}}, "empty")
    assert problem.port in size


@pytest.mark.parametrize(("side", "is_refused"), [(512, False), (16384, True)])
def test_a_size_beyond_the_memory_is_found_where_it_is_given(
    side: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only there; of a batch few may be taken, so it isn't what counts."""
    monkeypatch.setattr(room, "total_memory", lambda: 8 << 30)
    size = {"width": side, "height": side, "batch_size": 4096}
    few = {"latent": link("empty"), "length": 1}
    nodes = {
        "empty": {"type": "EmptyLatent", "inputs": size},
        "few": {"type": "LatentFromBatch", "inputs": few},
        "sample": sampler(latent=link("few")),
    }
    told = [(x.code, x.node, x.port) for x in problems(nodes, "sample")]
    assert told == ([("too-large", "empty", "width")] if is_refused else [])


def test_a_noise_mask_is_set_without_touching_the_latent() -> None:
    latent, mask = Latent(None, 64, 64, 2), torch.ones(1, 64, 64)
    assert SetNoiseMask(latent, mask).noise_mask is mask
    assert latent.noise_mask is None


@pytest.mark.parametrize("shape", [(64, 64), (3, 64, 64)])
def test_a_mask_of_another_batch_is_refused(shape: tuple[int, ...]) -> None:
    with raises(InvalidValue, port="mask"):
        SetNoiseMask(Latent(None, 64, 64, 2), torch.ones(shape))


def test_a_mask_with_nan_is_told_before_it_spoils_a_sampling() -> None:
    mask = torch.ones(1, 64, 64)
    mask[0, 3, 4] = float("nan")
    with raises(InvalidValue, port="mask"):
        SetNoiseMask(Latent(None, 64, 64, 2), mask)


def test_add_noise_follows_the_models_schedule() -> None:
    inputs = {"model": link("model"), "latent": link("picture"), "timestep": 250, "seed": 4}
    found = value({"noisy": {"type": "AddNoise", "inputs": inputs}}, "noisy.latent")
    picture = Latent(draw_noise((4, 8, 8), 3, [0]), 64, 64)
    schedule = NoiseSchedule.from_config(denoiser().scheduler_config)
    expected = add_noise(picture, schedule, seed=4, timestep=250)
    assert torch.equal(found.samples, expected.samples)


def test_add_noise_runs_once_for_each_timestep_of_a_list() -> None:
    inputs = {"model": link("model"), "latent": link("picture"), "timestep": link("times")}
    nodes: dict[str, Any] = {
        "times": {"type": "Timesteps", "inputs": {"model": link("model"), "steps": 3}},
        "noisy": {"type": "AddNoise", "inputs": inputs},
    }
    found = value(nodes, "noisy.latent")
    original = draw_noise((4, 8, 8), 3, [0])
    distances = [float((latent.samples - original).std()) for latent in found]
    assert distances == sorted(distances, reverse=True)


def test_an_item_alone_is_sampled_as_in_its_batch() -> None:
    nodes: dict[str, Any] = {
        "three": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64, "batch_size": 3}},
        "third": {"type": "LatentFromBatch", "inputs": {"latent": link("three"), "index": 2}},
        "batch": sampler(latent=link("three")),
        "alone": sampler(latent=link("third")),
    }
    batch, alone = value(nodes, "batch.latent"), value(nodes, "alone.latent")
    # convolutions may sum in another order for another batch size, and guidance amplifies it
    torch.testing.assert_close(alone.samples, batch.samples[2:], rtol=1e-3, atol=1e-3)


def test_items_keep_their_masks_and_indices() -> None:
    latent = Latent(draw_noise((4, 8, 8), 0, range(4)), 64, 64, 4, torch.rand(4, 64, 64), "sd1")
    found = LatentFromBatch(LatentFromBatch(latent, 1, 3), 1, 2)
    assert found.noise_indices == (2, 3)
    assert torch.equal(found.samples, latent.samples[2:])
    assert torch.equal(found.noise_mask, latent.noise_mask[2:])


def test_items_beyond_the_batch_are_refused() -> None:
    with raises(InvalidValue, port="index", given="items 1 to 2"):
        LatentFromBatch(EmptyLatent(64, 64, 2), 1, 2)
