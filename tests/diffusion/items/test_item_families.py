"""Things that are no images are sampled by all that samples images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.items.transformer import MoleculeTransformer
from nodegraph.families.registry import get_latent_format
from nodegraph.families.sampler_names import allowed_schedules
from nodegraph.models.denoiser_files import DenoiserRequest, denoiser_facts, open_denoiser
from nodegraph.models.loading import load_component
from nodegraph.models.model_sources import describe_model, locate_model
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.base import GuidanceMethod
from nodegraph.sampling.guiders.checks import PERTURBED, SKIPPED, UNET_ATTENTION, check_addable
from nodegraph.sampling.guiders.methods import (
    Adaptive,
    Damped,
    DefaultGuidance,
    Dual,
    Frequency,
    Projected,
    Tangential,
    Thresholded,
    ZeroStar,
)
from nodegraph.sampling.sampling_parts import build_sampling_parts
from tests.diffusion.conftest import one_thread  # noqa: F401 - a fixture
from tests.messages import raises

from .making import asked, molecule_folder, molecule_model, sampled


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return molecule_folder(tmp_path_factory.mktemp("items") / "random")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Denoiser:
    return molecule_model(tmp_path_factory.mktemp("items") / "random")


def by_hand(network: MoleculeTransformer, x: Tensor, numbers: Tensor, steps: int) -> Tensor:
    """Euler's method, with the levels of diffusers' scheduler shifted by 2."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler(shift=2.0)
    scheduler.set_timesteps(steps)
    nothing = torch.zeros(len(x), 0, dtype=torch.int64)
    for timestep in scheduler.timesteps:
        share = (timestep / 1000).expand(len(x))
        flow = network(x, share, nothing, numbers.expand(len(x), -1))
        x = scheduler.step(flow, timestep, x).prev_sample
    return x


@torch.no_grad()
def test_the_sampler_walks_as_a_plain_loop_does(model: Denoiser) -> None:
    noise = [torch.randn(1, 1, 9, 37, generator=torch.Generator().manual_seed(s)) for s in (3, 4)]
    numbers = torch.tensor([[1.0, float("nan"), 2.0, float("nan")]])
    expected = by_hand(model.module, torch.cat(noise)[:, 0], numbers, 4)
    found = sampled(model, asked(1.0, None, 2.0, None), batch=2)
    torch.testing.assert_close(found[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_items_of_a_batch_are_those_made_alone(model: Denoiser) -> None:
    both = sampled(model, batch=3, cfg=2.0)
    alone = sampled(model, latent=Latent(None, 37, 9, 1, batch_index=(2,)), cfg=2.0)
    torch.testing.assert_close(both[2:], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampler", allowed_schedules("flow"))
def test_every_sampler_of_flows_walks(model: Denoiser, sampler: str) -> None:
    found = sampled(model, sampler=sampler, cfg=2.0, steps=3)
    assert found.shape == (1, 1, 9, 37)
    assert found.isfinite().all()


def test_what_is_asked_leads_and_guidance_leads_further(model: Denoiser) -> None:
    free, led = sampled(model), sampled(model, asked(3.0, None, None, None))
    further = sampled(model, asked(3.0, None, None, None), cfg=3.0)
    assert not torch.equal(free, led)
    assert not torch.equal(led, further)
    # where nothing is asked, both sides of guidance say the same
    torch.testing.assert_close(sampled(model, cfg=3.0), free, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "method",
    [
        *(
            DefaultGuidance(),
            Dual(asked(0.0, None, None, None)),
            Projected(),
            ZeroStar(),
            Tangential(),
        ),
        *(Frequency(), Damped(), Adaptive(), Thresholded()),
    ],
    ids=lambda method: method.title,
)
def test_every_guider_leads(model: Denoiser, method: GuidanceMethod) -> None:
    given = build_sampling_parts(
        asked(1.0, None, None, None),
        None,
        seed=1,
        steps=3,
        cfg=3.0,
        sampler="euler",
        schedule="normal",
    )
    for limits in ({}, {"start": 0.2, "end": 0.6}, {"rescale": 0.7}, {"norm": 1.0}):
        guider = replace(given.guider, method=method, **limits)
        sampling = Denoising(model, Latent(None, 37, 9, 2), replace(given, guider=guider))
        for _ in sampling:
            pass
        assert sampling.result().samples is not None


def test_guidance_that_weakens_networks_is_refused() -> None:
    for kind in (PERTURBED, SKIPPED, UNET_ATTENTION):
        with raises(InvalidValue, port="guider"):
            check_addable(kind, "molecules")


def test_it_is_shown_while_it_is_sampled(model: Denoiser) -> None:
    pictures = get_latent_format("molecules").pictures(sampled(model, batch=2))
    assert pictures is not None
    assert pictures.shape == (2, 3, 128, 128)


def test_a_mask_keeps_atoms(model: Denoiser) -> None:
    kept = sampled(model, seed=1)
    mask = torch.ones(1, 9, 37)
    mask[:, :3] = 0
    start = Latent(kept, 37, 9, format="molecules", noise_mask=mask)
    found = sampled(model, latent=start)
    assert torch.equal(found[:, :, :3], kept[:, :, :3])
    assert not torch.equal(found[:, :, 3:], kept[:, :, 3:])


def test_a_sampling_goes_on_to_the_same_bits(model: Denoiser) -> None:
    def begun() -> Denoising:
        options = {"seed": 1, "steps": 4, "cfg": 2.0, "sampler": "dpmpp_2m", "schedule": "simple"}
        latent = Latent(None, 37, 9, 2)
        return Denoising.named(model, asked(1.0, None, None, None), None, latent, **options)

    whole, first, second = begun(), begun(), begun()
    for _ in whole:
        pass
    first.advance()
    second.restore(first.state())
    for _ in second:
        pass
    assert torch.equal(second.result().samples, whole.result().samples)  # type: ignore[arg-type]


def test_latents_of_pictures_are_refused(model: Denoiser) -> None:
    with raises(InvalidValue, port="latent", given="64 x 64"):
        sampled(model, latent=Latent(None, 64, 64))


def test_prompts_of_pictures_are_refused(model: Denoiser) -> None:
    words = ConditioningEntry({"embeddings": torch.zeros(1, 4, 8)})
    with raises(InvalidValue, port="positive"):
        sampled(model, Conditioning((words,)))
    with raises(InvalidValue, port="positive", given="sd1"):
        sampled(model, Conditioning((words,), "sd1"))


def test_a_folder_says_what_it_is(folder: Path) -> None:
    found = describe_model("random", folder, "diffusers")
    assert (found.family, found.node) == ("molecules", "LoadDiffusionModel")
    facts = denoiser_facts(DenoiserRequest(str(folder)), [])
    assert (facts["width"], facts["height"], facts["noise"]) == (37, 9, "flow")
    with raises(InvalidFile):
        locate_model(str(folder), [])


def test_its_weights_alone_are_as_good_as_the_folder(model: Denoiser, folder: Path) -> None:
    file = folder / "diffusion_pytorch_model.safetensors"
    recipe = open_denoiser(DenoiserRequest(str(file)), [])
    alone = load_component(recipe, "cpu")
    told = {name: value for name, value in model.config.items() if not name.startswith("_")}
    assert {name: alone.config[name] for name in told} == told
    assert isinstance(alone, Denoiser)
    assert torch.equal(sampled(alone), sampled(replace(model)))
