"""More samplers by ComfyUI's convention: those that follow a Brownian motion, and multistep ones.

As test_comfyui_numbers, whose levels and models these are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.core.values import Control, ControlNet
from nodegraph.families.comfyui_sigmas import ComfyUIFlow
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.families.model_step import Moment
from nodegraph.families.noise import NoiseSchedule
from nodegraph.sampling.guiders.base import ChangingScale
from nodegraph.sampling.latent_noise import BrownianTree
from nodegraph.sampling.prompts import Prompt
from nodegraph.sampling.samplers import make_sampler
from nodegraph.sampling.schedules import NoiseLevels
from tests.diffusion.stand_in import run
from tests.diffusion.test_comfyui_numbers import (
    FLOW,
    TABLE,
    TABLE_CONFIG,
    ancestral_levels,
    begun,
    flow_denoiser,
    ladder,
    table_denoiser,
)

Denoiser = Callable[[Tensor, Tensor], Tensor]
Moved = Callable[[Tensor, Tensor], Tensor]
Method = Callable[[Denoiser, Tensor, Tensor, Moved], Tensor]
Single = NDArray[np.float32]
SEED = 2**63 + 5
SHORT = NoiseSchedule.from_config({**TABLE_CONFIG, "num_train_timesteps": 501})
LONG = NoiseSchedule.from_config({**TABLE_CONFIG, "num_train_timesteps": 2000})


def dpmpp_sde(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
    """Of k-diffusion, with r = 1/2."""
    for here, to in itertools.pairwise(sigmas):
        found = denoise(x, here)
        if to == 0:
            return found
        middle = (here * to).sqrt()
        down, up = _ancestral(here, middle)
        trial = down / here * x + (1 - down / here) * found + moved(here, middle) * up
        found = denoise(trial, middle)
        down, up = _ancestral(here, to)
        x = down / here * x + (1 - down / here) * found + moved(here, to) * up
    return x


def _ancestral(here: Tensor, to: Tensor) -> tuple[Tensor, Tensor]:
    up = to * (1 - to**2 / here**2).sqrt()
    return (to**2 - up**2).sqrt(), up


def multistep(order: int, *, heun: bool = False, flow: bool = False) -> Method:
    """dpmpp_2m_sde, dpmpp_2m_sde_heun and dpmpp_3m_sde, at eta 1."""

    def walk(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
        known: list[Tensor] = []
        ways: list[Tensor] = []
        for here, to in itertools.pairwise(sigmas):
            found = denoise(x, here)
            if to == 0:
                return found
            alphas = (1 - here, 1 - to) if flow else (torch.tensor(1.0), torch.tensor(1.0))
            way = (here / alphas[0] * alphas[1] / to).log()
            gone = -torch.expm1(-2 * way)
            x = (to / here) * (-way).exp() * x + alphas[1] * gone * found
            linear = alphas[1] * (1 - gone / (2 * way))
            if order == 3 and len(known) > 1:
                near, far = ways[-1] / way, ways[-2] / way
                first, second = (found - known[-1]) / near, (known[-1] - known[-2]) / far
                bend = (first - second) / (near + far)
                slope = first + bend * near
                x = x + linear * slope - (linear / (2 * way) - alphas[1] * 0.5) * bend
            elif known:
                slope = (found - known[-1]) / (ways[-1] / way)
                weight = linear if heun or order == 3 else 0.5 * alphas[1] * gone
                x = x + weight * slope
            x = x + moved(here, to) * to * gone.sqrt()
            known.append(found)
            ways.append(way)
        return x

    return walk


@pytest.mark.parametrize(
    ("sampler", "method", "noise", "bound"),
    [
        # its middle is a time of its own, which the motion knows to a millionth
        ("dpmpp_sde", dpmpp_sde, TABLE, 1e-3),
        ("dpmpp_2m_sde", multistep(2), TABLE, 1e-5),
        ("dpmpp_2m_sde", multistep(2, flow=True), FLOW, 1e-5),
        ("dpmpp_2m_sde_heun", multistep(2, heun=True), TABLE, 1e-5),
        ("dpmpp_3m_sde", multistep(3), TABLE, 1e-5),
        ("dpmpp_3m_sde", multistep(3, flow=True), FLOW, 1e-5),
    ],
)
def test_steps_follow_a_brownian_motion(
    sampler: str, method: Method, noise: ModelNoise, bound: float
) -> None:
    made, x, sigmas = begun("simple", sampler, noise)
    made.use_brownian_noise(SEED, x.shape)
    high = float(sigmas[0]) if noise is TABLE else 1.0
    motion = BrownianTree(SEED, float(sigmas[-2]), high, x.shape)

    def moved(here: Tensor, to: Tensor) -> Tensor:
        return motion.unit(float(here), float(to))

    denoiser = table_denoiser if noise is TABLE else flow_denoiser
    expected = method(denoiser, x, sigmas, moved)
    assert difference(run(made), expected) < bound


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def lms(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
    """Four slopes' polynomial over sigma, integrated over the step."""
    slopes: list[Tensor] = []
    for rung, (here, to) in enumerate(itertools.pairwise(sigmas)):
        found = denoise(x, here)
        if to == 0:
            return found
        slopes = [(x - found) / here, *slopes[:3]]
        known = sigmas[rung - len(slopes) + 1 : rung + 1].double().flip(0).numpy()
        for place, slope in enumerate(slopes):
            others = np.delete(known, place)
            line = np.poly1d(others, r=True) / np.prod(known[place] - others)
            whole = line.integ()
            x = x + float(whole(float(to)) - whole(float(here))) * slope
    return x


def deis(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
    """Three slopes' polynomial over the time of a process that keeps variance, from sigma 0.002 at
    0.001 to 80 at 1; summed over 10,000 parts."""
    low, high = (math.log(level**2 + 1) for level in (0.002, 80.0))
    rise = 2 * (low / 1e-3 - high) / (1e-3 - 1)
    rate = high - rise / 2
    times = ((rate**2 + 2 * rise * (sigmas.double() ** 2 + 1).log()).sqrt() - rate) / rise
    slopes: list[Tensor] = []
    for rung, (here, to) in enumerate(itertools.pairwise(sigmas)):
        found = denoise(x, here)
        if to == 0:
            return found
        slopes = [(x - found) / here, *slopes[:2]]
        if len(slopes) == 1:
            x = x + (to - here) * slopes[0]
            continue
        known = times[rung - len(slopes) + 1 : rung + 1].flip(0)
        taus = torch.linspace(float(times[rung]), float(times[rung + 1]), 10_000).double()
        part = (times[rung + 1] - times[rung]) / 10_000
        bar = (-0.5 * taus**2 * rise - taus * rate).exp()
        speed = 0.5 * (taus * rise + rate) / (bar * (1 - bar)).sqrt()
        for place, slope in enumerate(slopes):
            line = torch.ones_like(taus) * speed
            for other in range(len(slopes)):
                if other != place:
                    line = line * (taus - known[other]) / (known[place] - known[other])
            x = x + float((line * part).sum()) * slope
    return x


def ipndm(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
    weights = ([1], [3, -1], [23, -16, 5], [55, -59, 37, -9])
    slopes: list[Tensor] = []
    for here, to in itertools.pairwise(sigmas):
        found = denoise(x, here)
        if to == 0:
            return found
        slopes = [(x - found) / here, *slopes[:3]]
        used = weights[len(slopes) - 1]
        led = sum(weight * slope for weight, slope in zip(used, slopes, strict=True)) / sum(used)
        x = x + (to - here) * led
    return x


def ipndm_v(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
    """Weights of steps of any length, as ComfyUI has them."""
    slopes: list[Tensor] = []
    for rung, (here, to) in enumerate(itertools.pairwise(sigmas)):
        found = denoise(x, here)
        if to == 0:
            return found
        slopes = [(x - found) / here, *slopes[:3]]
        h = [float(sigmas[rung + 1 - back] - sigmas[rung - back]) for back in range(len(slopes))]
        led = [1.0]
        if len(h) > 1:
            led = [1 + h[0] / h[1] / 2, -h[0] / h[1] / 2]
        if len(h) > 2:
            inner = h[0] / (3 * (h[0] + h[1])) * (h[0] * (h[0] + h[1])) / (h[1] * (h[1] + h[2]))
            bend, ratio = (1 - inner) / 2, h[1] / h[2]
            led = [led[0] + bend, led[1] - (1 + ratio) * bend, ratio * bend]
        if len(h) > 3:
            whole = h[0] * (h[0] + h[1]) * (h[0] + h[1] + h[2])
            whole /= h[1] * (h[1] + h[2]) * (h[1] + h[2] + h[3])
            turn = (1 - h[0] / (3 * (h[0] + h[1]))) / 2
            turn += (1 - h[0] / (2 * (h[0] + h[1]))) * h[0] / (6 * (h[0] + h[1] + h[2]))
            turn *= whole
            wide = h[1] * (h[1] + h[2]) / (h[2] * (h[2] + h[3]))
            led = [
                led[0] + turn,
                led[1] - (1 + ratio + wide) * turn,
                led[2] + (ratio + wide * (1 + h[2] / h[3])) * turn,
                -turn * wide * h[1] / h[2],
            ]
        x = x + h[0] * sum(weight * slope for weight, slope in zip(led, slopes, strict=True))
    return x


@dataclass
class Levels:
    """A model's levels in ComfyUI's arithmetic, which is single where its tensors are.

    Attributes:
        table: Its levels, lowest first.
        at: The level at a timestep; `ends` are the timesteps of the highest and the lowest level.
        behind: The level at which a share of the timesteps lies behind (`percent_to_sigma`).
    """

    table: Single
    at: Callable[[Single], Single]
    ends: tuple[float, float]
    behind: Callable[[float], float]

    def laid(self, law: str, steps: int) -> list[float]:
        if law == "simple":
            skipped = len(self.table) / steps
            return [float(self.table[-(1 + int(at * skipped))]) for at in range(steps)]
        count = steps + (law == "sgm_uniform")
        high, low = np.float32(self.ends[0]), np.float32(self.ends[1])
        part = float((low - high) / np.float32(count - 1))
        # as torch.linspace: from both ends to the middle, a product and a sum rounded at once
        first = [float(high) + part * at for at in range(count // 2)]
        last = [float(low) - part * (count - 1 - at) for at in range(count // 2, count)]
        places = np.array([*first, *last], dtype=np.float32)[:steps]
        return [float(level) for level in self.at(places)]


def of_table(count: int = 1000) -> Levels:
    betas = np.linspace(0.00085**0.5, 0.012**0.5, count) ** 2
    kept = np.cumprod(1 - betas)
    sigmas = ((1 - kept) / kept) ** 0.5
    logs = np.log(sigmas).astype(np.float32)

    def at(timesteps: Single) -> Single:
        low = np.floor(timesteps).astype(int)
        share = timesteps - low.astype(np.float32)
        up = np.ceil(timesteps).astype(int)
        between = (np.float32(1) - share) * logs[low] + share * logs[up]
        return np.array([math.exp(log) for log in between.tolist()], np.float32)

    def behind(share: float) -> float:
        timestep = min((1.0 - share) * 999.0, count - 1)
        return float(at(np.array([timestep], np.float32))[0])

    return Levels(sigmas.astype(np.float32), at, (count - 1, 0), behind)


def of_flow(shift: float, multiplier: float = 1000.0) -> Levels:
    def at(timesteps: Single) -> Single:
        times = timesteps / np.float32(multiplier)
        return np.float32(shift) * times / (np.float32(1) + np.float32(shift - 1) * times)

    def behind(share: float) -> float:
        return shift * (1.0 - share) / (1 + (shift - 1) * (1.0 - share))

    even = np.arange(1, 1001, dtype=np.float32) / np.float32(1000) * np.float32(multiplier)
    table = at(even)
    ends = (float(table[-1]) * multiplier, float(table[0] * np.float32(multiplier)))
    return Levels(table, at, ends, behind)


def of_flux(mu: float) -> Levels:
    def at(times: Single) -> Single:
        one, shift = np.float32(1), np.float32(math.exp(mu))
        return shift * (one / (shift + (one / times - one)))

    def behind(share: float) -> float:
        return math.exp(mu) / (math.exp(mu) + (1 / (1.0 - share) - 1))

    table = at(np.arange(1, 10_001, dtype=np.float32) / np.float32(10_000))
    return Levels(table, at, (float(table[-1]), float(table[0])), behind)


MODELS = pytest.mark.parametrize(
    ("levels", "noise"),
    [
        (of_table(), TABLE),
        (of_flow(3.0), FLOW),
        (of_flow(3.0, 1.0), FLOW),
        (of_flow(8.0), FlowNoise(shift=1.0, common=ComfyUIFlow(8.0))),
        (of_flux(1.15), FlowNoise(shift=1.0, common=ComfyUIFlow(math.exp(1.15), 10_000))),
    ],
    ids=["table", "flow", "times from 0 to 1", "wan", "flux"],
)


@pytest.mark.parametrize("law", ["simple", "normal", "sgm_uniform"])
def test_levels_of_table_models_are_those_of_comfyui_to_the_last_bit(law: str) -> None:
    for steps in range(4, 42):
        expected = [*of_table().laid(law, steps), 0.0]
        assert ladder(law, "euler", steps, TABLE).sigmas.tolist() == expected


def asked_at(sigmas: list[float]) -> list[int]:
    """`timestep`: the first of those whose log sigma is nearest, in single precision."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    logs = np.log(((1 - kept) / kept) ** 0.5).astype(np.float32)
    return [int(np.abs(np.float32(math.log(sigma)) - logs).argmin()) for sigma in sigmas]


@pytest.mark.parametrize("law", ["simple", "normal", "sgm_uniform"])
def test_the_model_is_asked_at_the_first_of_two_timesteps_that_are_as_near(law: str) -> None:
    for steps in range(4, 42):
        expected = asked_at(of_table().laid(law, steps))
        assert ladder(law, "euler", steps, TABLE).timesteps.tolist() == expected, steps


def test_the_model_is_asked_at_the_nearest_timestep_of_a_table_that_does_not_rise() -> None:
    """Of zero terminal SNR, whose last level is a floor that those before it are above."""
    config = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    noise = NoiseSchedule.from_config(config)
    logs = noise.sigmas.log().numpy()
    for law in ("simple", "karras"):
        found = ladder(law, "euler", 5, noise)
        nearest = [
            int(np.abs(np.log(sigma) - logs).argmin()) for sigma in found.sigmas[:-1].tolist()
        ]
        assert found.timesteps.tolist() == nearest
        assert nearest[0] == 999


@pytest.mark.parametrize(
    ("levels", "noise"),
    [*MODELS.args[1], (of_table(501), SHORT), (of_table(2000), LONG)],
    ids=[*MODELS.kwargs["ids"], "shorter table", "longer table"],
)
@pytest.mark.parametrize("law", ["simple", "normal", "sgm_uniform"])
@pytest.mark.parametrize(
    ("start", "end"), [(0.2, 0.5), (0.25, 0.8), (0.5, 0.9), (0.1, 0.6), (0.0, 0.3), (0.1, 0.4)]
)
def test_prompts_control_pictures_and_guiders_apply_at_the_steps_at_which_they_do_in_comfyui(
    levels: Levels, noise: ModelNoise, law: str, start: float, end: float
) -> None:
    prompt = Prompt({}, torch.tensor(1.0), start, end)
    control = Control(ControlNet("sd1", ()), torch.zeros(1), start=start, end=end)
    changing = ChangingScale(2.0, "within", start, end)
    for steps in range(4, 42):
        laid_out = ladder(law, "euler", steps, noise)
        for rung, sigma in enumerate(levels.laid(law, steps)):
            begins = start == 0 or levels.behind(start) >= sigma
            applies = begins and sigma >= levels.behind(end)
            moment = moment_at(laid_out, rung)
            assert prompt.applies(*laid_out.point(rung)) == applies, (steps, rung)
            assert control.applies(moment.begun, moment.progress_after) == applies, (steps, rung)
            assert (changing.at(1.0, moment) == 2.0) == applies, (steps, rung)


@pytest.mark.parametrize(("levels", "noise"), [*MODELS.args[1], (of_table(501), SHORT)])
@pytest.mark.parametrize("law", ["simple", "normal", "sgm_uniform"])
def test_sa_solver_draws_where_comfyui_does(levels: Levels, noise: ModelNoise, law: str) -> None:
    for steps in range(4, 42):
        laid_out = ladder(law, "sa_solver", steps, noise)
        made = make_sampler("sa_solver", laid_out, noise, [torch.Generator()], convention="comfyui")
        reached = levels.laid(law, steps)[1:]
        noisy = [levels.behind(0.2) >= sigma >= levels.behind(0.8) for sigma in reached]
        assert [made.draws(rung) for rung in range(steps)] == [*noisy, False], steps


def moment_at(laid_out: NoiseLevels, rung: int) -> Moment:
    """Where a sampling is at a rung, for guiders."""
    shares = {
        "progress": laid_out.progress(rung),
        "progress_after": laid_out.progress_after_step(rung),
    }
    return Moment(
        torch.tensor(0), torch.tensor(0), 1000, **shares, min_progress=laid_out.min_progress
    )


def sa_solver(*, pece: bool = False, flow: bool = False) -> Method:
    """Predictor of order 3 and corrector of order 4; integrals are sums of 20,000 parts."""

    table = of_flow(3.0) if flow else of_table()

    def weights(known: Tensor, start: Tensor, end: Tensor, tau: float) -> Tensor:
        points = torch.linspace(float(start), float(end), 20_001).double()
        rate = 1 + tau**2
        kernel = rate * (rate * (points - end)).exp()
        found = []
        for place, one in enumerate(known):
            others = torch.cat([known[:place], known[place + 1 :]])
            line = ((points[:, None] - others) / (one - others)).prod(1)
            found.append(torch.trapezoid(kernel * line, points))
        return torch.stack(found)

    def walk(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
        levels = sigmas.double()
        alphas = 1 - levels if flow else torch.ones_like(levels)
        lambdas, steps = (alphas / levels).log(), len(sigmas) - 1
        known: list[Tensor] = []
        trial, noise, tau = x, torch.zeros_like(x), 0.0

        def stepped(start: Tensor, rung: int, places: range) -> Tensor:
            way = lambdas[rung] - lambdas[rung - 1]
            led = weights(lambdas[list(places)], lambdas[rung - 1], lambdas[rung], tau)
            predictions = torch.stack(known[len(known) - len(places) :]).double()
            kept = levels[rung] / levels[rung - 1] * (-(tau**2) * way).exp() * start
            made: Tensor = kept + alphas[rung] * torch.tensordot(led, predictions, 1) + noise
            return made.float()

        for rung, to in enumerate(sigmas[1:]):
            found = denoise(trial, sigmas[rung])
            known = [*known, found][-4:]
            corrects = rung > 0 and (pece or bool(to > 0))
            if corrects:
                order = min(4, len(known), steps - rung)
                x = stepped(x, rung, range(rung - order + 1, rung + 1))
            else:
                x = trial
            if corrects and pece:
                found = denoise(x, sigmas[rung])
                known[-1] = found
            if to == 0:
                return found
            tau = 1.0 if table.behind(0.2) >= to.item() >= table.behind(0.8) else 0.0
            noise = torch.zeros_like(x)
            if tau:
                way = lambdas[rung + 1] - lambdas[rung]
                noise = moved(sigmas[rung], to) * float(to * (-(-2 * way).expm1()).sqrt())
            order = min(3, len(known), steps - 1 - rung)
            trial = stepped(x, rung + 1, range(rung - order + 1, rung + 1))
        return trial

    return walk


def er_sde(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
    """Of third order, with integrals as sums of 200 parts."""

    def scaler(level: Tensor) -> Tensor:
        return level * ((level**0.3).exp() + 10)

    known: list[tuple[Tensor, Tensor, Tensor]] = []
    for here, to in itertools.pairwise(sigmas):
        found = denoise(x, here)
        if to == 0:
            return found
        ratio, way = scaler(to) / scaler(here), to - here
        x = ratio * x + (1 - ratio) * found
        slope = torch.zeros_like(x)
        if known:
            part = -way / 200
            places = to + torch.arange(200) * part
            scaled = scaler(places)
            before, level, steeper = known[-1]
            slope = (found - before) / (here - level)
            x = x + (way + (1 / scaled).sum() * part * scaler(to)) * slope
            if len(known) > 1:
                bend = (slope - steeper) / ((here - known[-2][1]) / 2)
                area = ((places - here) / scaled).sum() * part
                x = x + (way**2 / 2 + area * scaler(to)) * bend
        x = x + moved(here, to) * (to**2 - here**2 * ratio**2).sqrt()
        known.append((found, here, slope))
    return x


def log_snr(level: Tensor, *, flow: bool) -> Tensor:
    return ((1 - level) / level).log() if flow else -level.log()


def seeds(*parts: float, flow: bool = False) -> Method:
    """seeds_2 and seeds_3, at eta 1."""

    def walk(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
        for here, to in itertools.pairwise(sigmas):
            known = [denoise(x, here)]
            if to == 0:
                return known[0]
            start, end = log_snr(here, flow=flow), log_snr(to, flow=flow)
            way, noise = end - start, torch.zeros_like(x)
            for at, before in zip((*parts, 1.0), (0.0, *parts), strict=True):
                reached = start + at * way
                level = torch.sigmoid(-reached) if flow else (-reached).exp()
                alpha = level * reached.exp()
                faded = ((before - at) * way).exp()
                noise = noise * faded + (1 - faded**2).sqrt() * moved(level, to)
                gone = -torch.expm1(-2 * at * way)
                stepped = level / here * (-at * way).exp() * x + level * noise
                if len(known) == 1:
                    stepped = stepped + alpha * gone * known[0]
                elif len(parts) == 1:
                    stepped = stepped + alpha * gone * known[1]
                else:
                    bend = (1 - gone / (2 * at * way)) * at / before
                    stepped = stepped + alpha * ((gone - bend) * known[0] + bend * known[-1])
                if at < 1:
                    known.append(denoise(stepped, level))
            x = stepped
        return x

    return walk


def exp_heun(*, eta: float, flow: bool = False) -> Method:
    """exp_heun_2_x0 and exp_heun_2_x0_sde: the line through the predictions at both ends."""

    def walk(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
        for here, to in itertools.pairwise(sigmas):
            found = denoise(x, here)
            if to == 0:
                return found
            end = log_snr(to, flow=flow)
            way = end - log_snr(here, flow=flow)
            alpha, longer = to * end.exp(), (1 + eta) * way
            kept, gone = to / here * (-eta * way).exp() * x, -torch.expm1(-longer)
            noise = torch.zeros_like(x)
            if eta:
                noise = (-torch.expm1(-2 * eta * way)).sqrt() * to * moved(here, to)
            second = denoise(kept + alpha * gone * found + noise, to)
            bend = 1 - gone / longer
            x = kept + alpha * ((gone - bend) * found + bend * second) + noise
        return x

    return walk


def heunpp2(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
    """Slopes at this level and the next two, the later ones weighed by their noise."""
    last = len(sigmas) - 1
    for rung in range(last):
        ahead = min(3, last - rung)
        slopes: list[Tensor] = []
        trial = x
        for at in range(rung, rung + ahead):
            slopes.append((trial - denoise(trial, sigmas[at])) / sigmas[at])
            trial = trial + (sigmas[at + 1] - sigmas[at]) * slopes[-1]
        shares = [sigmas[at] / (ahead * sigmas[0]) for at in range(rung + 1, rung + ahead)]
        led = (1 - sum(shares)) * slopes[0]
        led = led + sum(share * slope for share, slope in zip(shares, slopes[1:], strict=True))
        x = x + (sigmas[rung + 1] - sigmas[rung]) * led
    return x


def res_multistep_ancestral(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
    """At eta 1, of flow models as of table models."""
    before, reached = torch.zeros_like(x), sigmas[0]
    for rung, (here, to) in enumerate(itertools.pairwise(sigmas)):
        found = denoise(x, here)
        up, down = ancestral_levels(here, to)
        if down == 0 or rung == 0:
            x = x + (x - found) / here * (down - here)
        else:
            way = (here / down).log()
            back = (reached / sigmas[rung - 1]).log() / way
            first = torch.expm1(-way) / -way
            second = (first - 1) / -way
            x = (-way).exp() * x + way * ((first - second / back) * found + second / back * before)
        if to > 0:
            x = x + up * moved(here, to)
        before, reached = found, down
    return x


@pytest.mark.parametrize(
    ("sampler", "method", "noise", "bound"),
    [
        ("lms", lms, TABLE, 1e-5),
        ("lms", lms, FLOW, 1e-5),
        ("ipndm", ipndm, TABLE, 1e-5),
        ("ipndm", ipndm, FLOW, 1e-5),
        ("ipndm_v", ipndm_v, TABLE, 1e-5),
        ("ipndm_v", ipndm_v, FLOW, 1e-5),
        ("sa_solver", sa_solver(), TABLE, 1e-5),
        ("sa_solver", sa_solver(flow=True), FLOW, 1e-5),
        ("sa_solver_pece", sa_solver(pece=True), TABLE, 1e-5),
        ("sa_solver_pece", sa_solver(pece=True, flow=True), FLOW, 1e-5),
        # sums in place of integrals
        ("deis", deis, TABLE, 5e-4),
        ("deis", deis, FLOW, 5e-4),
        ("er_sde", er_sde, TABLE, 5e-4),
        ("seeds_2", seeds(1 / 2), TABLE, 1e-5),
        ("seeds_2", seeds(1 / 2, flow=True), FLOW, 1e-5),
        ("seeds_3", seeds(1 / 3, 2 / 3), TABLE, 1e-5),
        ("seeds_3", seeds(1 / 3, 2 / 3, flow=True), FLOW, 1e-5),
        ("exp_heun_2_x0", exp_heun(eta=0.0), TABLE, 1e-4),
        ("exp_heun_2_x0", exp_heun(eta=0.0, flow=True), FLOW, 1e-4),
        ("exp_heun_2_x0_sde", exp_heun(eta=1.0), TABLE, 1e-4),
        ("exp_heun_2_x0_sde", exp_heun(eta=1.0, flow=True), FLOW, 1e-4),
        ("heunpp2", heunpp2, TABLE, 1e-5),
        ("heunpp2", heunpp2, FLOW, 1e-5),
        ("res_multistep_ancestral", res_multistep_ancestral, TABLE, 1e-5),
        ("res_multistep_ancestral", res_multistep_ancestral, FLOW, 1e-5),
    ],
)
def test_multistep_and_exponential_steps_are_those_of_the_formulas(
    sampler: str, method: Method, noise: ModelNoise, bound: float
) -> None:
    made, x, sigmas = begun("simple", sampler, noise)
    drawing = torch.Generator().manual_seed(4)

    def moved(here: Tensor, to: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=drawing)

    denoiser = table_denoiser if noise is TABLE else flow_denoiser
    found, expected = run(made), method(denoiser, x, sigmas, moved)
    assert difference(found, expected) < bound
