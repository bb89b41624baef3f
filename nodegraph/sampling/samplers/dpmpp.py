"""DPM-Solver++ (2M, 2S, 3M and their SDE forms) and RES multistep.

Each integrates the prediction over log-SNR. In the last step the noise level is 0 and log-SNR
infinite, so that step is of first order. `walk.memory` holds the predictions before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import NOISY, Done, Evaluate, Steps, Walk, sampler
from nodegraph.sampling.samplers.spaces import PRESERVING, UNMIXED, NoiseLevel, NoiseSpace
from nodegraph.sampling.table_schedules import MULTISTEP

FEW = 15
"""Steps below which diffusers lowers the order of the last but one, too."""


class Step(NamedTuple):
    """A step from one level to another."""

    here: NoiseLevel[NoiseSpace]
    after: NoiseLevel[NoiseSpace]

    @property
    def h(self) -> Tensor:
        """Its length in log-SNR."""
        return self.after.log_snr - self.here.log_snr

    @property
    def noise_ratio(self) -> Tensor:
        """Noise after it over noise before: sigma_t / sigma_s in the papers."""
        return self.after.deviation / self.here.deviation

    def advanced(self, x: Tensor, denoised: Tensor, change: Tensor | None = None) -> Tensor:
        """x after the step.

        Args:
            denoised: The prediction before it.
            change: By how much the prediction changes over it: half of that is added to the
                prediction. None: it is constant.
        """
        weight = self.after.alpha * (torch.exp(-self.h) - 1.0)
        stepped = self.noise_ratio * x - weight * denoised
        return stepped if change is None else stepped - 0.5 * weight * change


def decay_factor(rate: float, h: Tensor) -> Tensor:
    """exp(-rate · h).

    Args:
        rate: 0 or more; at 0 it is 1, for an infinite h, too, where 0 · h is NaN.
        h: Length of a step, above 0; 0-dimensional, float32.
    """
    return torch.exp(-rate * h) if rate else torch.ones_like(h)


def _change(walk: Walk[NoiseSpace], denoised: Tensor, step: Step) -> Tensor | None:
    """Forecast of the prediction's change over a step: (D - D_previous) · h / h_previous. None in
    first-order steps: the first and the last."""
    if "denoised" not in walk.memory or walk.is_last(step.here):
        return None
    previous_h = step.here.log_snr - walk.level(step.here.index - 1).log_snr
    # 1 / r of the paper, which rounds as diffusers' does.
    return (1.0 / (previous_h / step.h)) * (denoised - walk.memory["denoised"])


@sampler(
    "dpmpp_2m",
    PRESERVING,
    MULTISTEP,
    comfyui_spaces=UNMIXED,
    keeps_precision=True,
    order=2,
    elsewhere={
        "A1111 and Forge": ("DPM++ 2M",),
        "diffusers": (
            "DPMSolverMultistepScheduler",
            "EDMDPMSolverMultistepScheduler",
        ),
    },
)
def dpmpp_2m(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """Extrapolates the predicted latent from this evaluation and the one before.

    First order in the first and the last step. Source: Lu et al. 2022, arXiv:2211.01095,
    algorithm 2.
    """
    for step in map(Step._make, walk.steps()):
        output = yield Evaluate(x, step.here)
        denoised = step.here.denoised(output, x)
        change = _change(walk, denoised, step)
        walk.memory["denoised"] = denoised
        x = yield Done(step.advanced(x.to(torch.float32), denoised, change), denoised)


@sampler(
    "dpmpp_2s",
    PRESERVING,
    MULTISTEP,
    comfyui_spaces=UNMIXED,
    keeps_precision=True,
    order=2,
    elsewhere={"diffusers": ("DPMSolverSinglestepScheduler",)},
)
def dpmpp_2s(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """Pairs of steps: the first is a trial whose end is asked, the second walks both anew.

    One evaluation a step. The last step, and of an even number the last but one, are of first
    order.

    Source: Lu et al. 2022, arXiv:2211.01095, algorithm 1; in pairs as diffusers'
    DPMSolverSinglestepScheduler at solver_order 2.
    """
    for step in map(Step._make, walk.steps()):
        here = step.here
        output = yield Evaluate(x, here)
        denoised = here.denoised(output, x)
        if here.index % 2 == 0 or walk.is_last(here) or "start" not in walk.memory:
            stepped = step.advanced(x.to(torch.float32), denoised)
        else:
            before, earlier = walk.level(here.index - 1), walk.memory["denoised"]
            both = Step(before, step.after)
            share = (here.log_snr - before.log_snr) / both.h
            change = (1.0 / share) * (denoised - earlier)
            stepped = both.advanced(walk.memory["start"], earlier, change)
        walk.memory = {"denoised": denoised, "start": x}
        x = yield Done(stepped, denoised)


@sampler(
    "res_multistep", PRESERVING, MULTISTEP, comfyui_spaces=UNMIXED, keeps_precision=True, order=2
)
def res_multistep(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """Second order: integrates the line over log-SNR through the last two predictions.

    DPM-Solver++ 2M weighs the second of them by half a step instead; diffusers has both, this one
    as its solver_type ``heun``. First order in the first and the last step.

    Source: Zhang et al. 2023, arXiv:2308.02157.
    """
    for step in map(Step._make, walk.steps()):
        output = yield Evaluate(x, step.here)
        denoised = step.here.denoised(output, x)
        change = _change(walk, denoised, step)
        walk.memory["denoised"] = denoised
        stepped = step.advanced(x.to(torch.float32), denoised)
        if change is not None:
            line = step.after.alpha * ((torch.exp(-step.h) - 1.0) / step.h + 1.0)
            stepped = stepped + line * change
        x = yield Done(stepped, denoised)


@sampler(
    "res_multistep_ancestral",
    PRESERVING,
    MULTISTEP,
    comfyui_spaces=UNMIXED,
    keeps_precision=True,
    order=2,
    options=NOISY,
)
def res_multistep_ancestral(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """The same to below the next noise level, then noise up to it.

    With eta 1 it is `dpmpp_2m_sde_heun`. Source: ComfyUI's sample_res_multistep_ancestral
    (``comfy/k_diffusion/sampling.py``), which adds noise to flow models as to table models; here
    by its convention alone, as that leaves more noise than the level says.
    """
    for step in map(Step._make, walk.steps()):
        output = yield Evaluate(x, step.here)
        denoised = step.here.denoised(output, x)
        change = _change(walk, denoised, step)
        walk.memory["denoised"] = denoised
        x, alpha, deviation = x.to(torch.float32), step.after.alpha, step.after.deviation
        # parts of the next level's noise: drawn anew, and of before
        drawn = walk.options.eta * (1.0 - torch.exp(-2.0 * step.h)) ** 0.5
        kept = (1.0 - drawn**2) ** 0.5
        left = torch.exp(-step.h) * kept
        stepped = (step.noise_ratio * kept) * x + (alpha * (1.0 - left)) * denoised
        if change is not None:
            # the line is followed over all of the way down
            stepped = stepped + (alpha * (1.0 + (1.0 - left) / torch.log(left))) * change
        x = yield Done(stepped + (deviation * drawn) * walk.noise(x), denoised)


def _slope_and_bend(
    walk: Walk[NoiseSpace], denoised: Tensor, step: Step, *, ends_lower: bool
) -> tuple[Tensor, Tensor] | None:
    """First and half the second change of the prediction, scaled to the coming step; None in steps
    of lower order.

    Args:
        ends_lower: Whether of few steps the last but one is of lower order, too.
    """
    left, memory = walk.count - step.here.index, walk.memory
    if "earlier" not in memory or left == 1 or (left == 2 and ends_lower and walk.count < FEW):
        return None
    last, first = (walk.level(step.here.index - back).log_snr for back in (1, 2))
    r0, r1 = (step.here.log_snr - last) / step.h, (last - first) / step.h
    latest = (1.0 / r0) * (denoised - memory["denoised"])
    before = (1.0 / r1) * (memory["denoised"] - memory["earlier"])
    slope = latest + (r0 / (r0 + r1)) * (latest - before)
    return slope, (1.0 / (r0 + r1)) * (latest - before)


def _remember(walk: Walk[NoiseSpace], denoised: Tensor) -> None:
    """Keep the last two predictions."""
    if "denoised" in walk.memory:
        walk.memory["earlier"] = walk.memory["denoised"]
    walk.memory["denoised"] = denoised


@sampler("dpmpp_3m", PRESERVING, MULTISTEP, comfyui_spaces=UNMIXED, keeps_precision=True, order=2)
def dpmpp_3m(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """Extrapolates the predicted latent from this evaluation and the two before.

    Of lower order in the first two steps, the last and, if there are few, the last but one.
    Source: Lu et al. 2022, arXiv:2211.01095; weights as diffusers' at solver_order 3, which are
    the authors' own. They count but half of the prediction's second difference: strictly, the
    order is two.
    """
    for step in map(Step._make, walk.steps()):
        output = yield Evaluate(x, step.here)
        denoised = step.here.denoised(output, x)
        changes = _slope_and_bend(walk, denoised, step, ends_lower=True)
        x = x.to(torch.float32)
        if changes is None:
            stepped = step.advanced(x, denoised, _change(walk, denoised, step))
        else:
            slope, bend = changes
            alpha, h, decay = step.after.alpha, step.h, torch.exp(-step.h) - 1.0
            stepped = step.noise_ratio * x - (alpha * decay) * denoised
            stepped = stepped + (alpha * (decay / h + 1.0)) * slope
            stepped = stepped - (alpha * ((decay + h) / h**2 - 0.5)) * bend
        _remember(walk, denoised)
        x = yield Done(stepped, denoised)


ChangeWeight = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Weight of the prediction's change in a step of the reverse SDE, from the prediction's own weight,
the alpha after the step, and (1 + eta) · h."""


def _half(weight: Tensor, alpha: Tensor, eta_h: Tensor) -> Tensor:
    return 0.5 * weight


def _line(weight: Tensor, alpha: Tensor, eta_h: Tensor) -> Tensor:
    """The line through the last two predictions is integrated exactly."""
    return alpha * ((1.0 - torch.exp(-eta_h)) / (-eta_h) + 1.0)


def _sde_step(
    walk: Walk[NoiseSpace], x: Tensor, denoised: Tensor, step: Step, weigh: ChangeWeight
) -> Tensor:
    """x after a second-order step of the reverse SDE, first order in the first and the last step.

    x' = sigma'/sigma · exp(-eta h) · x + w · D + w_change · change + noise, where
    w = alpha' · (1 - exp(-(1 + eta) h)), and sigma is the noise's deviation.
    """
    eta, h, alpha = walk.options.eta, step.h, step.after.alpha
    # The memory still holds the previous step's prediction.
    change = _change(walk, denoised, step)
    weight = alpha * (1 - decay_factor(1 + eta, h))
    stepped = (step.noise_ratio * decay_factor(eta, h)) * x + weight * denoised
    if change is not None:
        stepped = stepped + weigh(weight, alpha, (1 + eta) * h) * change
    return stepped + _drawn(walk, x, step)


def _drawn(walk: Walk[NoiseSpace], x: Tensor, step: Step) -> Tensor:
    """The noise of the reverse SDE that is drawn anew in a step.

    In the step to no noise h is infinite and the deviation 0: the noise counts for nothing.
    """
    scale = step.after.deviation * torch.sqrt(1.0 - decay_factor(2 * walk.options.eta, step.h))
    return scale * walk.noise_between(x, step.here.sigma, step.after.sigma)


def _sde_2m(walk: Walk[NoiseSpace], x: Tensor, weigh: ChangeWeight) -> Steps:
    for step in map(Step._make, walk.steps()):
        output = yield Evaluate(x, step.here)
        denoised = step.here.denoised(output, x)
        stepped = _sde_step(walk, x.to(torch.float32), denoised, step, weigh)
        walk.memory["denoised"] = denoised
        x = yield Done(stepped, denoised)


@sampler(
    "dpmpp_2m_sde",
    PRESERVING,
    MULTISTEP,
    uses_brownian_noise=True,
    keeps_precision=True,
    order=2,
    options=NOISY,
    elsewhere={
        "ComfyUI": ("dpmpp_2m_sde_gpu",),
        "A1111 and Forge": ("DPM++ 2M SDE",),
        "diffusers": ("CosineDPMSolverMultistepScheduler",),
    },
)
def dpmpp_2m_sde(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """`dpmpp_2m` for the reverse SDE: part of the noise is drawn anew in every step.

    Source: Lu et al. 2022, arXiv:2211.01095, appendix C (SDE-DPM-Solver++(2M)): half the change
    counts. The paper has eta 1; others are k-diffusion's. The first and the last step are of first
    order.
    """
    return _sde_2m(walk, x, _half)


@sampler(
    "dpmpp_2m_sde_heun",
    PRESERVING,
    MULTISTEP,
    uses_brownian_noise=True,
    keeps_precision=True,
    order=2,
    options=NOISY,
    elsewhere={"ComfyUI": ("dpmpp_2m_sde_heun_gpu",), "A1111 and Forge": ("DPM++ 2M SDE Heun",)},
)
def dpmpp_2m_sde_heun(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """The same, but the line through the last two predictions is integrated exactly.

    Source: as `dpmpp_2m_sde`; diffusers' solver_type ``heun``.
    """
    return _sde_2m(walk, x, _line)


@sampler(
    "dpmpp_3m_sde",
    PRESERVING,
    MULTISTEP,
    uses_brownian_noise=True,
    keeps_precision=True,
    order=2,
    options=NOISY,
    elsewhere={"ComfyUI": ("dpmpp_3m_sde_gpu",), "A1111 and Forge": ("DPM++ 3M SDE",)},
)
def dpmpp_3m_sde(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """`dpmpp_3m` for the reverse SDE: part of the noise is drawn anew in every step.

    Source: k-diffusion, sample_dpmpp_3m_sde, but with `dpmpp_2m_sde`'s steps of lower order; by
    ComfyUI's convention with its own. diffusers' sde-dpmsolver++ at solver_order 3 has the bend's
    1/2 with the other sign, which no longer is the integral that the method stands for.
    """
    eta, lower = walk.options.eta, _line if walk.is_comfyui else _half
    for step in map(Step._make, walk.steps()):
        output = yield Evaluate(x, step.here)
        denoised = step.here.denoised(output, x)
        changes = _slope_and_bend(walk, denoised, step, ends_lower=not walk.is_comfyui)
        x = x.to(torch.float32)
        if changes is None:
            stepped = _sde_step(walk, x, denoised, step, lower)
        else:
            (slope, bend), alpha, longer = changes, step.after.alpha, (1.0 + eta) * step.h
            gone = 1.0 - torch.exp(-longer)
            stepped = step.noise_ratio * decay_factor(eta, step.h) * x + (alpha * gone) * denoised
            stepped = stepped + (alpha * (1.0 - gone / longer)) * slope
            stepped = stepped + (alpha * ((gone - longer) / longer**2 + 0.5)) * bend
            stepped = stepped + _drawn(walk, x, step)
        _remember(walk, denoised)
        x = yield Done(stepped, denoised)
