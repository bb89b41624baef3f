"""The loop around samplers: inputs checked, masks kept, steps reported, saved and restored.

That its results are right is shown in test_equality.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.errors import Cancelled, InvalidValue, NumericalError
from nodegraph.families.components import Denoiser
from nodegraph.families.noise import draw_noise
from nodegraph.sampling.denoise import Denoising, StepInfo, sample, sample_steps
from tests.diffusion.conftest import SD1_SCHEDULER
from tests.diffusion.stand_in import ONE_OF_EACH
from tests.messages import raises

EMPTY = Latent(None, 64, 64)
OPTIONS: dict[str, Any] = {
    "seed": 7,
    "steps": 4,
    "cfg": 1.0,
    "sampler": "euler",
    "schedule": "normal",
}


@pytest.fixture(scope="module")
def model() -> Denoiser:
    """Stable Diffusion 1.x with a UNet of a single level."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16,),
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        layers_per_block=1,
        attention_head_dim=2,
        cross_attention_dim=32,
        norm_num_groups=8,
    )
    return Denoiser({"unet": unet.eval()}, "sd1", SD1_SCHEDULER)


def in_precision(model: Denoiser, dtype: torch.dtype) -> Denoiser:
    return replace(model, modules={"unet": deepcopy(model.module).to(dtype)})


@pytest.fixture(scope="module")
def positive() -> Conditioning:
    embeddings = draw_noise((7, 32), 1, [0])
    return Conditioning(
        (ConditioningEntry({"embeddings": embeddings}),),
        "sd1",
        ConditioningEntry({"embeddings": draw_noise((7, 32), 2, [0])}),
    )


def picture(batch: int = 1) -> Latent:
    return Latent(draw_noise((4, 8, 8), 3, range(batch)), 64, 64, batch, format="sd")


def right_half() -> Tensor:
    mask = torch.zeros(1, 64, 64)
    mask[..., 32:] = 1
    return mask


def test_the_result_is_a_latent_of_the_models_format(
    model: Denoiser, positive: Conditioning
) -> None:
    latent = replace(EMPTY, width=96, height=64, batch_size=2)
    found = sample(model, positive, None, latent, **OPTIONS)
    assert found.samples is not None
    assert found.samples.shape == (2, 4, 8, 12)
    assert found.samples.dtype == torch.float32
    assert not found.samples.is_inference()
    assert found.format == "sd"
    assert (found.width, found.height, found.batch_size) == (96, 64, 2)


def test_inputs_are_left_as_they_were(model: Denoiser, positive: Conditioning) -> None:
    latent = picture()
    assert latent.samples is not None
    before = latent.samples.clone()
    sample(model, positive, None, latent, **OPTIONS)
    assert torch.equal(latent.samples, before)


QUICK = ("euler_ancestral", "dpm_2_ancestral", "res_multistep_ancestral", "er_sde", "pndm")
"""For a plain run; those of all samplers are tested on a cheaper model in `test_samplers`."""
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ONE_OF_EACH]


@pytest.mark.parametrize("sampler", EACH)
def test_an_item_is_what_its_batch_index_gives_alone(
    model: Denoiser, positive: Conditioning, sampler: str
) -> None:
    options = OPTIONS | {"sampler": sampler}
    batch = sample(model, positive, None, replace(EMPTY, batch_size=3), **options)
    alone = sample(model, positive, None, replace(EMPTY, batch_index=(2,)), **options)
    # convolutions may sum in another order for another batch size
    torch.testing.assert_close(batch.samples[2:], alone.samples, rtol=1e-4, atol=1e-4)


def test_steps_are_reported_in_order(model: Denoiser, positive: Conditioning) -> None:
    seen: list[StepInfo] = []
    found = sample(model, positive, None, EMPTY, callback=seen.append, **OPTIONS)
    assert [(info.step, info.total) for info in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [info.timestep for info in seen] == [751, 501, 251, 1]
    assert seen[0].sigma > seen[-1].sigma > 0
    assert torch.equal(seen[-1].latent, found.samples)
    assert seen[0].denoised.shape == (1, 4, 8, 8)
    assert not seen[0].denoised.is_inference()


def test_heun_reports_steps_not_evaluations(model: Denoiser, positive: Conditioning) -> None:
    seen: list[StepInfo] = []
    options = OPTIONS | {"sampler": "heun"}
    sample(model, positive, None, EMPTY, callback=seen.append, **options)
    assert [info.step for info in seen] == [1, 2, 3, 4]


def test_what_the_callback_raises_ends_the_sampling(
    model: Denoiser, positive: Conditioning
) -> None:
    def stop(info: StepInfo) -> None:
        if info.step == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        sample(model, positive, None, EMPTY, callback=stop, **OPTIONS)


def test_sample_steps_ends_in_the_result(model: Denoiser, positive: Conditioning) -> None:
    steps = list(sample_steps(model, positive, None, EMPTY, **OPTIONS))
    assert len(steps) == 4
    assert all(step.format == "sd" for step in steps)
    final = sample(model, positive, None, EMPTY, **OPTIONS)
    torch.testing.assert_close(steps[-1].samples, final.samples)


@pytest.mark.parametrize("sampler", EACH)
def test_an_interrupted_sampling_goes_on_to_the_same_bits(
    model: Denoiser, positive: Conditioning, sampler: str
) -> None:
    latent = replace(picture(2), noise_mask=right_half())
    options = OPTIONS | {"sampler": sampler}
    whole = sample(model, positive, None, latent, **options).samples
    interrupted = Denoising.named(model, positive, None, latent, **options)
    states = [interrupted.state()]
    for _ in range(3):
        interrupted.advance()
        states.append(interrupted.state())
    for after in (0, 1, 3) if sampler == "euler" else (1, 3):
        resumed = Denoising.named(model, positive, None, latent, **options)
        resumed.restore(states[after])
        assert resumed.step == after
        assert [info.step for info in resumed] == list(range(after + 1, 5))
        assert torch.equal(resumed.result().samples, whole), after


@pytest.mark.parametrize("sampler", ["dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"])
def test_one_that_follows_a_motion_goes_on_to_the_same_bits(
    model: Denoiser, positive: Conditioning, sampler: str
) -> None:
    def made(draw: str = "per batch") -> Denoising:
        options = {**OPTIONS, "steps": 4, "sampler": sampler, "draw": draw, "convention": "comfyui"}
        return Denoising.named(model, positive, None, Latent(None, 64, 64, 2), **options)  # type: ignore[arg-type]

    whole, interrupted, resumed, other = made(), made(), made(), made("per item")
    for denoising, steps in ((whole, 4), (interrupted, 2), (other, 4)):
        for _ in range(steps):
            denoising.advance()
    resumed.restore(interrupted.state())
    list(resumed)
    found = resumed.result().samples
    assert found is not None
    assert torch.equal(found, whole.result().samples)  # type: ignore[arg-type]
    assert not torch.allclose(found, other.result().samples)  # type: ignore[arg-type]


def test_denoise_below_1_stays_near_the_picture(model: Denoiser, positive: Conditioning) -> None:
    latent = picture()
    distances = []
    for denoise in (0.25, 1.0):
        found = sample(model, positive, None, latent, **OPTIONS, denoise=denoise)
        distances.append(float((found.samples - latent.samples).abs().mean()))
    assert distances[0] < 0.5 * distances[1]


def test_an_empty_latent_with_denoise_below_1_stands_for_zeros(
    model: Denoiser, positive: Conditioning
) -> None:
    zeros = replace(EMPTY, samples=torch.zeros(1, 4, 8, 8))
    found, expected = (
        sample(model, positive, None, latent, **OPTIONS, denoise=0.5) for latent in (EMPTY, zeros)
    )
    assert torch.equal(found.samples, expected.samples)


@pytest.mark.parametrize("sampler", ONE_OF_EACH)
def test_the_masked_part_is_kept_exactly(
    model: Denoiser, positive: Conditioning, sampler: str
) -> None:
    latent = replace(picture(2), noise_mask=right_half())
    found = sample(model, positive, None, latent, **OPTIONS | {"sampler": sampler})
    assert torch.equal(found.samples[..., :4], latent.samples[..., :4])
    assert not torch.equal(found.samples[..., 4:], latent.samples[..., 4:])


def test_a_mask_of_ones_changes_nothing(model: Denoiser, positive: Conditioning) -> None:
    latent = picture()
    masked = replace(latent, noise_mask=torch.ones(1, 64, 64))
    plain, found = (sample(model, positive, None, item, **OPTIONS) for item in (latent, masked))
    assert torch.equal(plain.samples, found.samples)


def test_the_kept_part_is_exact_in_lower_precision_too(
    model: Denoiser, positive: Conditioning
) -> None:
    latent = replace(picture(), noise_mask=right_half())
    found = sample(in_precision(model, torch.bfloat16), positive, None, latent, **OPTIONS)
    assert torch.equal(found.samples[..., :4], latent.samples[..., :4])


def test_a_soft_mask_blends_once_a_step(model: Denoiser, positive: Conditioning) -> None:
    latent = replace(picture(), noise_mask=torch.full((1, 64, 64), 0.5))
    denoising = Denoising.named(model, positive, None, latent, **OPTIONS)
    last = list(denoising)[-1]
    assert torch.equal(denoising.result().samples, last.latent)
    # Euler's last step ends on its prediction
    torch.testing.assert_close(last.latent, last.denoised)


def test_a_cell_is_kept_only_if_all_its_pixels_are(model: Denoiser, positive: Conditioning) -> None:
    mask = torch.zeros(1, 64, 64)
    mask[0, 20, 20] = 1
    latent = replace(picture(), noise_mask=mask)
    found = sample(model, positive, None, latent, **OPTIONS)
    changed = (found.samples != latent.samples).any(1).nonzero()
    assert changed.tolist() == [[0, 2, 2]]


@pytest.mark.parametrize("cfg", [7.0, 1.0])
def test_infinities_are_told_with_the_step(
    model: Denoiser, positive: Conditioning, cfg: float
) -> None:
    """Guidance is blamed only where there is some."""
    broken = ConditioningEntry({"embeddings": torch.full((1, 7, 32), float("inf"))})
    with raises(NumericalError, port="model", given="a model in float32") as caught:
        sample(model, replace(positive, entries=(broken,)), None, EMPTY, **{**OPTIONS, "cfg": cfg})
    assert ("cfg" in (caught.value.problem.hint or "")) == (cfg > 1)


def test_float16_overflow_is_told_with_the_way_out(model: Denoiser, positive: Conditioning) -> None:
    half = in_precision(model, torch.float16)
    with torch.no_grad():
        half.module.conv_out.weight.fill_(60000.0)
    with raises(NumericalError, port="model", given="a model in float16"):
        sample(half, positive, None, EMPTY, **OPTIONS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_lower_precision_gives_nearly_the_same(
    model: Denoiser, positive: Conditioning, dtype: torch.dtype
) -> None:
    low = sample(in_precision(model, dtype), positive, None, EMPTY, **OPTIONS)
    full = sample(model, positive, None, EMPTY, **OPTIONS)
    assert low.samples.dtype == torch.float32
    # bfloat16 has 8 bits of mantissa
    torch.testing.assert_close(low.samples, full.samples, rtol=0.05, atol=0.2)


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "no steps": ("steps", {"steps": 0}),
    "too many steps": ("steps", {"steps": 10_001}),
    "too many steps for the model": ("steps", {"steps": 2000, "schedule": "simple"}),
    "denoise above 1": ("denoise", {"denoise": 1.1}),
    "denoise that leaves no step": ("denoise", {"denoise": 0.1}),
    "unknown sampler": ("sampler", {"sampler": "eular"}),
    "unknown schedule": ("schedule", {"schedule": "karas"}),
    "sampler and schedule": ("schedule", {"sampler": "ddim", "schedule": "karras"}),
    "negative seed": ("seed", {"seed": -1}),
    "huge seed": ("seed", {"seed": 2**64}),
    "cfg": ("cfg", {"cfg": float("nan")}),
}


@pytest.mark.parametrize(("port", "change"), REFUSED.values(), ids=REFUSED)
def test_options_out_of_range_name_their_port(
    model: Denoiser, positive: Conditioning, port: str, change: dict[str, Any]
) -> None:
    with pytest.raises(InvalidValue) as caught:
        sample(model, positive, None, EMPTY, **OPTIONS | change)
    assert caught.value.problem.port == port


Change = Callable[[Latent], Latent]
LATENTS: dict[str, tuple[str, Change]] = {
    "width": ("multiples of 8", lambda latent: replace(latent, samples=None, width=60)),
    "no height": ("multiples of 8", lambda latent: replace(latent, samples=None, height=0)),
    "channels": (
        "does not fit",
        lambda latent: replace(latent, samples=torch.zeros(1, 16, 8, 8)),
    ),
    "size": ("does not fit", lambda latent: replace(latent, width=128)),
    "batch": ("does not fit", lambda latent: replace(latent, batch_size=2)),
    "indices": ("batch index", lambda latent: replace(latent, batch_index=(0, 1))),
    "no items": ("at least one", lambda latent: replace(latent, samples=None, batch_size=0)),
    "format": ("format sd,", lambda latent: replace(latent, format="sdxl")),
    "mask": ("mask", lambda latent: replace(latent, noise_mask=torch.zeros(3, 64, 64))),
}


@pytest.mark.parametrize(("message", "change"), LATENTS.values(), ids=LATENTS)
def test_latents_that_do_not_fit_are_refused(
    model: Denoiser, positive: Conditioning, message: str, change: Change
) -> None:
    with pytest.raises(InvalidValue, match=message) as caught:
        sample(model, positive, None, change(picture()), **OPTIONS)
    assert caught.value.problem.port == "latent"


@pytest.mark.parametrize("port", ["positive", "negative"])
def test_prompts_of_another_family_are_refused(
    model: Denoiser, positive: Conditioning, port: str
) -> None:
    prompts = {"positive": positive, "negative": positive}
    prompts[port] = replace(positive, family="sdxl")
    with raises(InvalidValue, given="sdxl") as caught:
        sample(model, **prompts, latent=EMPTY, **OPTIONS)
    assert caught.value.problem.port == port


def test_a_prompt_for_part_of_the_sampling_needs_the_empty_prompt(
    model: Denoiser, positive: Conditioning
) -> None:
    late = replace(positive.entries[0], start=0.5)
    with raises(InvalidValue, port="positive"):
        sample(model, Conditioning((late,)), None, EMPTY, **OPTIONS)
    sample(model, replace(positive, entries=(late,)), None, EMPTY, **OPTIONS)


def test_what_there_is_no_memory_for_is_not_begun(model: Denoiser, positive: Conditioning) -> None:
    # 4096 images of 16384 x 16384 pixels: more than any machine has.
    with raises(InvalidValue, port="latent"):
        Denoising.named(model, positive, None, Latent(None, 16384, 16384, 4096), **OPTIONS)
