"""Masks whose gray parts begin to change in later steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nodegraph_nodes.latent import ClearNoiseMask
from nodegraph_nodes.latent_mask import GradualMask
from torch import Tensor

from nodegraph import Conditioning, ConditioningEntry, Latent
from nodegraph.families.noise import draw_noise
from nodegraph.sampling.denoise import Denoising, StepInfo
from nodegraph.sampling.regions import step_mask
from tests.nodes.sampling_graphs import denoiser

STEPS = 5
RAMP = torch.linspace(0, 1, 8).repeat_interleave(8).expand(1, 64, 64)
PICTURE = Latent(draw_noise((4, 8, 8), 3, [0]), 64, 64, format="sd", noise_mask=RAMP)


def walked(latent: Latent, sampler: str = "euler") -> tuple[list[StepInfo], Tensor]:
    """Each step, and the result."""
    entry = ConditioningEntry({"embeddings": draw_noise((7, 32), 1, [0])})
    prompt = Conditioning((entry,), "sd1", entry)
    options = {"seed": 5, "steps": STEPS, "cfg": 1.0, "schedule": "normal"}
    denoising = Denoising.named(denoiser(), prompt, None, latent, sampler=sampler, **options)  # type: ignore[arg-type]
    steps = list(denoising)
    found = denoising.result().samples
    assert found is not None
    return steps, found


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m"])
def test_gray_begins_to_change_when_as_much_is_left(sampler: str) -> None:
    steps, found = walked(GradualMask(PICTURE), sampler)
    columns = RAMP[0, 0, ::8].tolist()
    left = [info.timestep / steps[0].timestep for info in steps]
    expected = [[gray < share or gray == 0 for gray in columns] for share in left]
    changed = [*(info.denoised for info in steps), found]
    kept = [(item == PICTURE.samples).all(2).all(1)[0].tolist() for item in changed]
    assert kept == [*expected, expected[-1]]
    assert sum(kept[0]) == 7


def test_black_and_white_are_as_ever() -> None:
    hard = replace(PICTURE, noise_mask=(RAMP > 0.5).float())
    assert torch.equal(walked(GradualMask(hard))[1], walked(hard)[1])
    assert torch.equal(walked(GradualMask(PICTURE, 0.0))[1], walked(PICTURE)[1])


def test_strength_mixes_both() -> None:
    mask = torch.tensor([0.0, 0.4, 0.6, 1.0])
    found = step_mask(mask, 0.25, 0.5)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.3, 0.7, 1.0]))


def test_a_latent_without_a_mask_stays_as_it_is() -> None:
    plain = replace(PICTURE, noise_mask=None)
    assert GradualMask(plain) is plain
    assert ClearNoiseMask(GradualMask(PICTURE)).gradual == 0
