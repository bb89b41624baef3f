"""Samplings by ComfyUI's convention are what its formulas give: levels, steps and noise.

The formulas are written here over plain sigmas and a function that predicts the clean latent.
docs/comfyui.md, "Numbers", has the bounds that are asserted here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.families.comfyui_sigmas import ComfyUIFlow
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.families.noise import NoiseSchedule
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.schedules import NoiseLevels, levels_for
from tests.diffusion.stand_in import SHAPE, model, run

TABLE_CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
TABLE = NoiseSchedule.from_config(TABLE_CONFIG)
FLOW = FlowNoise(shift=1.0, common=ComfyUIFlow(3.0))
Denoiser = Callable[[Tensor, Tensor], Tensor]
Method = Callable[[Denoiser, Tensor, Tensor, Callable[[], Tensor]], Tensor]


# Levels, over the table of sigmas or over the shifted times of a flow.


def table_sigma(timestep: float) -> float:
    low = min(int(timestep), 998)
    share = timestep - low
    logs = TABLE.sigmas.double().log()
    return math.exp((1 - share) * logs[low] + share * logs[low + 1])


def shifted(time: float, shift: float = 3.0) -> float:
    return shift * time / (1 + (shift - 1) * time)


def levels(name: str, steps: int, *, flow: bool) -> list[float]:
    """Falling sigmas, closed by a 0."""
    entries = [shifted((i + 1) / 1000) if flow else float(TABLE.sigmas[i]) for i in range(1000)]
    high, low = entries[-1], entries[0]
    ramp = [i / (steps - 1) for i in range(steps)]
    found = {
        "normal": lambda: [
            shifted(1 + (low - 1) * at) if flow else table_sigma(999 * (1 - at)) for at in ramp
        ],
        "sgm_uniform": lambda: [
            shifted(1 + (low - 1) * i / steps) if flow else table_sigma(999 * (1 - i / steps))
            for i in range(steps)
        ],
        "simple": lambda: [entries[-1 - int(i * 1000 / steps)] for i in range(steps)],
        "karras": lambda: [
            (high ** (1 / 7) + at * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for at in ramp
        ],
        "exponential": lambda: [
            math.exp(math.log(high) + at * math.log(low / high)) for at in ramp
        ],
        "kl_optimal": lambda: [
            math.tan(at * math.atan(low) + (1 - at) * math.atan(high)) for at in ramp
        ],
    }[name]()
    return [*found, 0.0]


def ladder(name: str, sampler: str, steps: int, noise: ModelNoise, **how: Any) -> NoiseLevels:
    grid = SAMPLERS[sampler].grid_for("comfyui")
    return levels_for(named_schedule(name, steps, **how), noise, grid=grid)


@pytest.mark.parametrize("noise", [TABLE, FLOW], ids=["table", "flow"])
@pytest.mark.parametrize(
    "name", ["normal", "sgm_uniform", "simple", "karras", "exponential", "kl_optimal"]
)
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "lcm"])
def test_levels_are_alike_for_all_samplers(name: str, sampler: str, noise: ModelNoise) -> None:
    expected = levels(name, 7, flow=noise is FLOW)
    found = ladder(name, sampler, 7, noise).sigmas.tolist()
    assert found == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("noise", [TABLE, FLOW], ids=["table", "flow"])
@pytest.mark.parametrize(
    "name",
    [
        *("normal", "sgm_uniform", "simple", "karras", "exponential"),
        *("beta", "kl_optimal", "linear_quadratic"),
    ],
)
def test_a_single_step_begins_at_the_greatest_level(name: str, noise: ModelNoise) -> None:
    found = ladder(name, "euler", 1, noise).sigmas.tolist()
    greatest = 1.0 if noise is FLOW else float(TABLE.sigmas[-1])
    assert found == pytest.approx([greatest, 0.0], rel=1e-6)


def test_the_model_is_asked_at_the_timestep_whose_log_sigma_is_nearest() -> None:
    found = ladder("karras", "euler", 9, TABLE)
    logs = TABLE.sigmas.log()
    nearest = [int((logs - sigma.log()).abs().argmin()) for sigma in found.sigmas[:-1]]
    assert found.timesteps.tolist() == nearest
    flow = ladder("karras", "euler", 9, FLOW)
    torch.testing.assert_close(flow.timesteps, flow.sigmas[:-1] * 1000)


def test_denoise_takes_the_end_of_a_longer_schedule() -> None:
    found = ladder("karras", "euler", 6, TABLE, denoise=0.4, counted="all")
    expected = levels("karras", 15, flow=False)[-7:]
    assert found.sigmas[found.first :].tolist() == pytest.approx(expected, rel=1e-5)
    assert found.steps == 6


def test_a_level_more_is_laid_and_the_last_one_left_out() -> None:
    found = ladder("normal", "dpm_2", 5, TABLE, dropped=True).sigmas.tolist()
    whole = levels("normal", 6, flow=False)
    assert found == pytest.approx([*whole[:5], 0.0], rel=1e-5)


def test_parts_of_the_sampling_are_told_by_timesteps() -> None:
    found = ladder("karras", "euler", 8, TABLE)
    behind = [found.progress(rung) for rung in range(9)]
    assert behind == pytest.approx(
        [*(1 - TABLE.sigma_to_timestep(found.sigmas[:-1].double().numpy()) / 999), 1.0], abs=1e-5
    )
    assert behind[-2] < 1
    flow = ladder("simple", "euler", 8, FLOW)
    assert [flow.progress(rung) for rung in range(8)] == pytest.approx(
        [rung / 8 for rung in range(8)], abs=1e-5
    )


# Steps, in k-diffusion's form.


def euler(denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        x = x + (x - denoise(x, here)) / here * (to - here)
    return x


def heun(denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        slope = (x - denoise(x, here)) / here
        trial = x + slope * (to - here)
        if to > 0:
            slope = (slope + (trial - denoise(trial, to)) / to) / 2
        x = x + slope * (to - here)
    return x


def dpm_2(denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        slope = (x - denoise(x, here)) / here
        if to > 0:
            middle = (here * to).sqrt()
            trial = x + slope * (middle - here)
            slope = (trial - denoise(trial, middle)) / middle
        x = x + slope * (to - here)
    return x


def dpmpp_2m(denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    before, last = None, torch.tensor(0.0)
    for here, to in itertools.pairwise(sigmas):
        found = denoise(x, here)
        led = found
        if before is not None and to > 0:
            ratio = (last / here).log() / (here / to).log()
            led = (1 + 1 / (2 * ratio)) * found - 1 / (2 * ratio) * before
        x = to / here * x + (1 - to / here) * led
        before, last = found, here
    return x


def res_multistep(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]
) -> Tensor:
    before, last = None, torch.tensor(0.0)
    for here, to in itertools.pairwise(sigmas):
        found = denoise(x, here)
        if before is None or to == 0:
            x = to / here * x + (1 - to / here) * found
        else:
            step, back = (here / to).log(), -(last / here).log() / (here / to).log()
            first = torch.expm1(-step) / -step
            second = (first - 1) / -step
            x = to / here * x + step * ((first - second / back) * found + second / back * before)
        before, last = found, here
    return x


def lcm(denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        x = denoise(x, here)
        if to > 0:
            x = x + to * draw()
    return x


def euler_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]
) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        found = denoise(x, here)
        up = to * (1 - to**2 / here**2).sqrt()
        down = (to**2 - up**2).sqrt()
        x = x + (x - found) / here * (down - here) + (draw() * up if to > 0 else 0)
    return x


def ancestral_levels(here: Tensor, to: Tensor) -> tuple[Tensor, Tensor]:
    """The noise that is drawn, and the level to step to: 0 where float32 rounds the rest away."""
    up = torch.minimum(to, (to**2 * (here**2 - to**2) / here**2).sqrt())
    return up, (to**2 - up**2).sqrt()


def dpm_2_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]
) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        slope = (x - denoise(x, here)) / here
        up, down = ancestral_levels(here, to)
        if down > 0:
            middle = (here * down).sqrt()
            trial = x + slope * (middle - here)
            slope = (trial - denoise(trial, middle)) / middle
        x = x + slope * (down - here) + (draw() * up if to > 0 else 0)
    return x


def dpmpp_2s_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]
) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        up, down = ancestral_levels(here, to)
        found = denoise(x, here)
        if down > 0:
            middle = (here * down).sqrt()
            trial = middle / here * x + (1 - middle / here) * found
            found = denoise(trial, middle)
        x = down / here * x + (1 - down / here) * found + (draw() * up if to > 0 else 0)
    return x


def gradient_estimation(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]
) -> Tensor:
    before: Tensor | None = None
    for here, to in itertools.pairwise(sigmas):
        slope = (x - denoise(x, here)) / here
        led = slope if before is None or to == 0 else 2 * slope - before
        x, before = x + led * (to - here), slope
    return x


def posterior(denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    """ddpm: the posterior of Ho et al. 2020, on the scale on which x has variance 1."""
    for here, to in itertools.pairwise(sigmas):
        bar, bar_to = 1 / (1 + here**2), 1 / (1 + to**2)
        alpha = bar / bar_to
        noise = (x - denoise(x, here)) / here
        mean = (x * bar.sqrt() - (1 - alpha) * noise / (1 - bar).sqrt()) / alpha.sqrt()
        if to > 0:
            mean = mean + ((1 - alpha) * (1 - bar_to) / (1 - bar)).sqrt() * draw()
        x = mean / bar_to.sqrt()
    return x


def flow_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]
) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        found, down = denoise(x, here), to**2 / here
        x = down / here * x + (1 - down / here) * found
        if to > 0:
            scale = (1 - to) / (1 - down)
            x = scale * x + draw() * (to**2 - down**2 * scale**2).sqrt()
    return x


def flow_lcm(denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        x = denoise(x, here)
        if to > 0:
            x = to * draw() + (1 - to) * x
    return x


def flow_levels(here: Tensor, to: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of a flow: the level to step to, the scale of what is there, and the noise that is drawn."""
    down = to**2 / here
    scale = (1 - to) / (1 - down)
    return down, scale, (to**2 - down**2 * scale**2).sqrt()


def flow_dpm_2_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]
) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        found = denoise(x, here)
        if to == 0:
            return found
        down, scale, up = flow_levels(here, to)
        middle = (here * down).sqrt()
        trial = x + (x - found) / here * (middle - here)
        slope = (trial - denoise(trial, middle)) / middle
        x = scale * (x + slope * (down - here)) + up * draw()
    return x


def flow_dpmpp_2s_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]
) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        found = denoise(x, here)
        if to == 0:
            return found
        down, scale, up = flow_levels(here, to)
        # halfway in log-SNR
        middle = torch.sigmoid((torch.logit(here) + torch.logit(down)) / 2)
        trial = middle / here * x + (1 - middle / here) * found
        x = down / here * x + (1 - down / here) * denoise(trial, middle)
        x = scale * x + up * draw()
    return x


def uni_pc(*, b1: bool) -> Method:
    """Of order 3, down to sigma 0.001 in place of 0, where ComfyUI ends."""

    def walk(denoise: Denoiser, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        sigmas = torch.cat([sigmas[:-1], torch.tensor([0.001])]).double()
        logs, steps = -sigmas.log(), len(sigmas) - 1
        known = [denoise(x, sigmas[0].float())]
        for step in range(1, steps + 1):
            order = min(3, steps - 1, step, steps + 1 - step)
            h = logs[step - 1] - logs[step]
            scale = h if b1 else torch.expm1(h)
            ratios = [
                float(logs[step - 1 - i] - logs[step - 1]) / -float(h) for i in range(1, order)
            ]
            points = torch.tensor([*ratios, 1.0], dtype=torch.float64)
            system = torch.stack([points**power for power in range(order)])
            rest, values = torch.expm1(h) / h - 1, []
            for power in range(1, order + 1):
                values.append(rest * math.factorial(power) / scale)
                rest = rest / h - 1 / math.factorial(power + 1)
            right = torch.stack(values)
            slopes = [(known[-1 - i] - known[-1]) / ratios[i - 1] for i in range(1, order)]
            base = sigmas[step] / sigmas[step - 1] * x - torch.expm1(h) * known[-1]
            led = torch.linalg.solve(system[:-1, :-1], right[:-1]) if order > 2 else [0.5]
            trial = base - scale * sum(w * item for w, item in zip(led, slopes, strict=False))
            if step == steps:
                return trial.float()
            found = denoise(trial.float(), sigmas[step].float())
            mended = torch.linalg.solve(system, right) if order > 1 else [0.5]
            parts = zip(mended, [*slopes, found - known[-1]], strict=True)
            x = (base - scale * sum(weight * item for weight, item in parts)).float()
            known.append(found)
        return x

    return walk


def table_denoiser(x: Tensor, sigma: Tensor) -> Tensor:
    timestep = (TABLE.sigmas.log() - sigma.log()).abs().argmin()
    return x - sigma * model(x / (sigma**2 + 1).sqrt(), timestep)


def flow_denoiser(x: Tensor, sigma: Tensor) -> Tensor:
    return x - sigma * model(x, sigma * 1000)


def begun(name: str, sampler: str, noise: ModelNoise) -> tuple[Sampler, Tensor, Tensor]:
    """A sampler at its beginning, what it begins with in k-diffusion's form, and its sigmas."""
    laid_out = ladder(name, sampler, 6, noise)
    drawn = torch.randn((2, *SHAPE), generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(4)
    made = make_sampler(sampler, laid_out, noise, [generator], convention="comfyui")
    sigmas = laid_out.sigmas
    assert laid_out.starts_at_max_sigma == (noise is TABLE)
    made.start(made.pure_noise(drawn))
    factor = (1 + sigmas[0] ** 2).sqrt() if noise is TABLE else sigmas[0]
    return made, drawn * factor, sigmas


@pytest.mark.parametrize(
    ("sampler", "method", "noise", "bound"),
    [
        ("euler", euler, TABLE, 1e-6),
        ("heun", heun, TABLE, 1e-6),
        ("dpm_2", dpm_2, TABLE, 1e-6),
        ("dpmpp_2m", dpmpp_2m, TABLE, 1e-6),
        ("res_multistep", res_multistep, TABLE, 1e-6),
        ("lcm", lcm, TABLE, 1e-6),
        ("euler_ancestral", euler_ancestral, TABLE, 1e-6),
        ("euler_ancestral", posterior, TABLE, 1e-6),
        ("dpm_2_ancestral", dpm_2_ancestral, TABLE, 1e-6),
        ("dpmpp_2s_ancestral", dpmpp_2s_ancestral, TABLE, 1e-6),
        ("gradient_estimation", gradient_estimation, TABLE, 1e-6),
        ("gradient_estimation", gradient_estimation, FLOW, 1e-6),
        ("uni_pc_bh1", uni_pc(b1=True), TABLE, 5e-4),
        ("uni_pc", uni_pc(b1=False), TABLE, 5e-4),
        ("uni_pc_bh1", uni_pc(b1=True), FLOW, 5e-4),
        ("uni_pc", uni_pc(b1=False), FLOW, 5e-4),
        ("euler", euler, FLOW, 1e-6),
        ("heun", heun, FLOW, 1e-6),
        ("dpmpp_2m", dpmpp_2m, FLOW, 1e-6),
        ("res_multistep", res_multistep, FLOW, 1e-6),
        ("euler_ancestral", flow_ancestral, FLOW, 1e-6),
        ("dpm_2_ancestral", flow_dpm_2_ancestral, FLOW, 1e-5),
        ("dpmpp_2s_ancestral", flow_dpmpp_2s_ancestral, FLOW, 1e-5),
        ("lcm", flow_lcm, FLOW, 1e-6),
    ],
)
def test_steps_are_those_of_the_formulas(
    sampler: str, method: Method, noise: ModelNoise, bound: float
) -> None:
    made, x, sigmas = begun("simple", sampler, noise)
    drawing = torch.Generator().manual_seed(4)

    def draw() -> Tensor:
        return torch.randn(x.shape, generator=drawing)

    expected = method(table_denoiser if noise is TABLE else flow_denoiser, x, sigmas, draw)
    difference = (run(made) - expected).abs().max() / expected.abs().max()
    assert float(difference) < bound
