"""A sampling that stops anywhere and goes on in another process gives the bits of one in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.noise import draw_noise
from nodegraph.families.sampler_names import ALLOWED_SCHEDULES, SAMPLER_NAMES
from nodegraph.families.schedule_checks import last_step
from nodegraph.families.scheduler_file import PREDICTION_TYPES
from nodegraph.sampling.denoise import Denoising
from tests.diffusion.conftest import SD1_SCHEDULER, tiny_unet
from tests.diffusion.stand_in import ONE_OF_EACH
from tests.messages import raises
from tests.properties import examples

pytestmark = pytest.mark.slow

PROMPT = Conditioning(
    (ConditioningEntry({"embeddings": draw_noise((7, 32), 1, [0])}),),
    "sd1",
    ConditioningEntry({"embeddings": draw_noise((7, 32), 2, [0])}),
)
LATE = ConditioningEntry({"embeddings": draw_noise((7, 32), 4, [0])}, start=0.4)


@cache
def model(dtype: torch.dtype, prediction: str) -> Denoiser:
    state = torch.get_rng_state()
    torch.manual_seed(0)
    unet = tiny_unet().eval().to(dtype)
    torch.set_rng_state(state)
    return Denoiser({"unet": unet}, "sd1", SD1_SCHEDULER | {"prediction_type": prediction})


def halves(soft: bool) -> Tensor:
    mask = torch.full((1, 64, 64), 0.25 if soft else 0.0)
    mask[..., 32:] = 1
    return mask


@st.composite
def samplings(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of a `Denoising`."""
    sampler = draw(st.sampled_from(SAMPLER_NAMES))
    batch = draw(st.integers(1, 3))
    samples = draw_noise((4, 8, 8), 3, range(batch)) if draw(st.booleans()) else None
    mask = draw(st.sampled_from([None, halves(soft=False), halves(soft=True)]))
    entries = (*PROMPT.entries, LATE) if draw(st.booleans()) else PROMPT.entries
    steps = draw(st.integers(2, 7))
    return {
        "model": model(
            draw(st.sampled_from([torch.float32, torch.bfloat16])),
            draw(st.sampled_from(PREDICTION_TYPES)),
        ),
        "positive": replace(PROMPT, entries=entries),
        "negative": None,
        "latent": Latent(samples, 64, 64, batch, mask, "sd" if samples is not None else None),
        "seed": draw(st.integers(0, 2**64 - 1)),
        "steps": steps,
        "cfg": draw(st.sampled_from([1.0, 5.0])),
        "sampler": sampler,
        "schedule": draw(st.sampled_from(ALLOWED_SCHEDULES[sampler])),
        "denoise": draw(st.sampled_from([1.0, 0.7])),
    }


def in_one_go(arguments: dict[str, Any]) -> Tensor:
    denoising = Denoising.named(**arguments)
    for _ in denoising:
        pass
    return samples(denoising)


def samples(denoising: Denoising) -> Tensor:
    found = denoising.result().samples
    assert found is not None
    return found


def same(found: Tensor, expected: Tensor) -> bool:
    """Bit for bit, a NaN among them too."""
    return torch.equal(found.view(torch.int32), expected.view(torch.int32))


def with_stops(arguments: dict[str, Any], stops: Sequence[int]) -> Tensor:
    """Stopped after each of some steps, written to a file, and taken up by another `Denoising`."""
    denoising = Denoising.named(**arguments)
    for stop in sorted(stops):
        while denoising.step < min(stop, denoising.total):
            denoising.advance()
        written = save(denoising.state())
        while denoising.step < denoising.total:
            denoising.advance()  # what is saved must not follow
        step, denoising = min(stop, denoising.total), Denoising.named(**arguments)
        denoising.restore(load(written))
        assert denoising.step == step
    while denoising.step < denoising.total:
        denoising.advance()
    return samples(denoising)


@settings(max_examples=examples(60), deadline=None)
@given(samplings(), st.lists(st.integers(0, 7), min_size=1, max_size=3, unique=True))
def test_stopped_anywhere_it_gives_the_same_bits(
    arguments: dict[str, Any], stops: list[int]
) -> None:
    assert same(with_stops(arguments, stops), in_one_go(arguments))


@pytest.mark.parametrize("mask", [None, halves(soft=False)], ids=["unmasked", "masked"])
@pytest.mark.parametrize("sampler", ONE_OF_EACH)
def test_every_sampler_after_every_step(sampler: str, mask: Tensor | None) -> None:
    arguments = {
        "model": model(torch.float32, "epsilon"),
        "positive": PROMPT,
        "negative": None,
        "latent": Latent(draw_noise((4, 8, 8), 3, [0]), 64, 64, noise_mask=mask, format="sd"),
        "seed": 7,
        "steps": 5,
        "cfg": 2.0,
        "sampler": sampler,
        "schedule": "normal",
    }
    expected = in_one_go(arguments)
    for stop in range(6):
        assert same(with_stops(arguments, [stop]), expected), f"after step {stop}"


def euler(**changes: Any) -> Denoising:
    arguments: dict[str, Any] = {
        "model": model(torch.float32, "epsilon"),
        "positive": PROMPT,
        "negative": None,
        "latent": Latent(None, 64, 64),
        "seed": 7,
        "steps": 4,
        "cfg": 1.0,
        "sampler": "uni_pc",
        "schedule": "normal",
    }
    return Denoising.named(**arguments | changes)


DAMAGE: dict[str, tuple[str, Any]] = {
    "no latent": ("another batch", lambda state: state.pop("x")),
    "no step": ("another batch", lambda state: state.pop("step")),
    "no generator": ("another batch", lambda state: state.pop("generator.0")),
    "one generator more": (
        "another batch",
        lambda state: state.update({"generator.1": state["generator.0"]}),
    ),
    "something more": ("another batch", lambda state: state.update(y=state["x"])),
    "another size": ("another batch", lambda state: state.update(x=torch.zeros(1, 4, 9, 8))),
    "another precision": ("precision", lambda state: state.update(x=state["x"].half())),
    "no tensor": ("something else", lambda state: state.update(x="abc")),
    "steps": ("damaged", lambda state: state.update(step=torch.tensor([1, 2]))),
    "a step that there isn't": ("schedule", lambda state: state.update(step=torch.tensor(9))),
    "a step below": ("schedule", lambda state: state.update(step=torch.tensor(-1))),
    "history": ("damaged", lambda state: state.update({"memory.denoised": torch.zeros(3)})),
    "a generator cut off": (
        "generator",
        lambda state: state.update({"generator.0": state["generator.0"][:9]}),
    ),
    "a generator of another type": (
        "generator",
        lambda state: state.update({"generator.0": torch.zeros(2)}),
    ),
}


@pytest.mark.parametrize(("message", "harm"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_state_is_refused_and_nothing_is_changed(message: str, harm: Any) -> None:
    denoising = euler()
    for _ in range(3):
        denoising.advance()
    state = denoising.state()
    harm(state)
    fresh = euler()
    with pytest.raises(ValueError, match=message):
        fresh.restore(state)
    assert fresh.step == 0
    for _ in fresh:
        pass
    whole = euler()
    for _ in whole:
        pass
    assert same(samples(fresh), samples(whole))


def test_where_a_sampling_stops() -> None:
    assert last_step(20, 1.0, None) == 20
    assert last_step(20, 0.5, None) == 10
    assert last_step(20, 0.5, 10) == 10
    assert last_step(20, 1.0, 1) == 1


@pytest.mark.parametrize(("denoise", "end"), [(1.0, 0), (1.0, 21), (0.5, 11), (1.0, -1)])
def test_a_step_that_is_not_walked_is_no_end(denoise: float, end: int) -> None:
    with raises(InvalidValue, port="end_step"):
        last_step(20, denoise, end)
