"""InjectNoise, AddScheduleNoise and the seeds of items."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from nodegraph_nodes.latent_noise import AddScheduleNoise, BatchSeeds, InjectNoise, SetItemSeeds

from nodegraph import DiffusionModel, InvalidValue, Latent
from nodegraph.core.values import Leftover
from nodegraph.families.noise import draw_noise
from nodegraph.families.scheduler_file import scheduler_option
from nodegraph.sampling.composed_schedules import listed_schedule
from nodegraph.sampling.latent_noise import draw_sampling_noise
from nodegraph.sampling.sampling_parts import SamplingNoise
from tests.diffusion.conftest import SD1_SCHEDULER
from tests.messages import raises
from tests.nodes.sampling_graphs import link, sampler, value


def test_the_noise_is_the_seeds_times_the_strength() -> None:
    latent = Latent(draw_noise((4, 6, 8), 0, range(3)), 64, 48, 3)
    found = InjectNoise(latent, 0.25, 5).samples
    torch.testing.assert_close(found - latent.samples, 0.25 * draw_noise((4, 6, 8), 5, range(3)))
    assert torch.equal(InjectNoise(latent, 0.0, 5).samples, latent.samples)


@pytest.mark.parametrize("frames", [0, 3])
def test_outside_of_the_mask_no_bit_changes(frames: int) -> None:
    shape = (4, *([frames] if frames else []), 6, 8)
    latent = Latent(draw_noise(shape, 0, [0]), 64, 48, frames=max(1, frames))
    mask = torch.zeros(1, 48, 64)
    mask[:, :16] = 1
    found = InjectNoise(latent, 1.0, 1, mask).samples
    assert torch.equal(found[..., 2:, :], latent.samples[..., 2:, :])
    assert (found[..., :2, :] != latent.samples[..., :2, :]).all()
    assert torch.equal(InjectNoise(latent, 1.0, 1, 0 * mask).samples, latent.samples)


def test_an_empty_latent_and_a_mask_of_another_batch_are_refused() -> None:
    with raises(InvalidValue, port="latent"):
        InjectNoise(Latent(None, 64, 64))
    with raises(InvalidValue, port="mask", given="shape (2, 64, 64)"):
        InjectNoise(Latent(torch.zeros(1, 4, 8, 8), 64, 64), mask=torch.ones(2, 64, 64))


def test_each_item_is_sampled_as_alone_with_its_seed() -> None:
    nodes: dict[str, Any] = {
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "seeds": {"type": "SeedRange", "inputs": {"start": 11, "count": 3}},
        "seeded": {
            "type": "SetItemSeeds",
            "inputs": {"latent": link("size"), "seeds": link("seeds")},
        },
        "batch": sampler(latent=link("seeded"), seed=0),
        "alone": sampler(latent=link("size"), seed=12),
    }
    batch, alone = value(nodes, "batch.latent"), value(nodes, "alone.latent")
    assert batch.batch_size == 3
    torch.testing.assert_close(batch.samples[1:2], alone.samples, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("seeds", "batch"), [([], 1), ([1, 2], 3), ([1, -1], 2), ([2**64], 1)])
def test_seeds_that_dont_fit_are_refused(seeds: list[int], batch: int) -> None:
    with raises(InvalidValue, port="seeds"):
        SetItemSeeds(Latent(None, 64, 64, batch), seeds)


def test_noise_is_stronger_by_a_factor() -> None:
    nodes = {
        "noise": {"type": "RandomNoise", "inputs": {"seed": 3}},
        "once": {"type": "ScaleNoise", "inputs": {"noise": link("noise"), "strength": 0.5}},
        "twice": {"type": "ScaleNoise", "inputs": {"noise": link("once"), "strength": 3.0}},
    }
    shape = (2, 4, 6, 5)
    plain, found = (
        draw_sampling_noise(value(nodes, f"{name}.noise"), Latent(None, 40, 48, 2), shape)
        for name in ("noise", "twice")
    )
    assert torch.equal(found.first, plain.first * 1.5)
    states = [[item.get_state() for item in drawn.generators] for drawn in (plain, found)]
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))


@pytest.mark.parametrize("draw", ["per item", "per batch"])
def test_items_with_the_same_seed_draw_the_same_noise(draw: str) -> None:
    latent = Latent(None, 64, 64, 3)
    noise, shape = SamplingNoise(5, draw=draw), (3, 4, 8, 8)
    same = draw_sampling_noise(noise, BatchSeeds(latent), shape).first
    first = draw_sampling_noise(noise, latent, shape).first[:1]
    assert torch.equal(same, first.expand(shape))
    apart = BatchSeeds(BatchSeeds(latent), "different")
    assert torch.equal(
        draw_sampling_noise(noise, apart, shape).first,
        draw_sampling_noise(noise, latent, shape).first,
    )


def noisy(sigmas: list[float], family: str, latent: Latent) -> Latent:
    flow = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
    config = flow if family == "flux" else SD1_SCHEDULER
    model = DiffusionModel(family, (), options=(scheduler_option(config),))
    schedule = listed_schedule(sigmas)
    return AddScheduleNoise(model, SamplingNoise(3, draw="per batch"), schedule, latent, "comfyui")


def test_a_schedule_s_noise_is_that_between_its_ends() -> None:
    latent = Latent(draw_noise((4, 6, 8), 0, range(2)), 64, 48, 2)
    noise = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(3))
    for sigmas, level in (([7.0, 3.0, 0.0], 7.0), ([7.0, 2.5], 4.5)):
        added = noisy(sigmas, "sd1", latent)
        torch.testing.assert_close(added.samples, latent.samples + level * noise)
        assert added.leftover == Leftover(level, "exploding")


def test_a_sampling_without_noise_goes_on_from_what_was_added() -> None:
    """Both together are the sampling that begins with this noise."""
    parts: dict[str, Any] = {
        "guider": {"type": "BasicGuider", "inputs": {"conditioning": link("positive")}},
        "euler": {"type": "SelectSampler", "inputs": {"sampler": "euler"}},
        "levels": {"type": "ListedSchedule", "inputs": {"sigmas": "6, 2, 0"}},
        "noise": {"type": "RandomNoise", "inputs": {"seed": 4}},
        "none": {"type": "NoNoise", "inputs": {"seed": 4}},
        "noisy": {
            "type": "AddScheduleNoise",
            "inputs": {
                "model": link("model"),
                "noise": link("noise"),
                "schedule": link("levels"),
                "latent": link("picture"),
            },
        },
    }

    def sampled(noise: str, latent: str) -> Any:
        inputs = {"model": "model", "guider": "guider", "sampler": "euler", "schedule": "levels"}
        inputs |= {"noise": noise, "latent": latent}
        nodes = {name: link(source) for name, source in inputs.items()}
        return value(
            {**parts, "sample": {"type": "SampleCustom", "inputs": nodes}}, "sample.latent"
        )

    at_once, after = sampled("noise", "picture").samples, sampled("none", "noisy").samples
    torch.testing.assert_close(after, at_once, rtol=1e-4, atol=1e-4)


def test_flow_models_mix_the_noise_in() -> None:
    latent = Latent(draw_noise((16, 6, 8), 0, range(2)), 64, 48, 2)
    noise = torch.randn(2, 16, 6, 8, generator=torch.Generator().manual_seed(3))
    added = noisy([0.75, 0.5, 0.0], "flux", latent)
    torch.testing.assert_close(added.samples, 0.25 * latent.samples + 0.75 * noise)
    assert added.leftover == Leftover(0.75, "mixing")


def test_nothing_is_added_to_an_empty_latent() -> None:
    with raises(InvalidValue, port="latent"):
        noisy([2.0, 0.0], "sd1", Latent(None, 64, 64))
