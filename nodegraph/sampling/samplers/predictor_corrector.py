"""Predictor-corrector methods: UniPC and, for the reverse SDE, SA-Solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.families.comfyui_sigmas import table_sigma_at
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.sampling.samplers.base import NOISY, Done, Evaluate, Steps, Walk, sampler
from nodegraph.sampling.samplers.dpmpp import Step
from nodegraph.sampling.samplers.spaces import PRESERVING, UNMIXED, NoiseSpace
from nodegraph.sampling.table_schedules import CORRECTED, MULTISTEP

_BEFORE = ("earlier", "earliest")
"""Names of the predictions before the latest."""
Scale = Callable[[Tensor], Tensor]
"""B in the paper, which scales changes. Its argument is -h: the model's output is turned into a
prediction of the clean latent."""


def _uni_pc(walk: Walk[NoiseSpace], x: Tensor, scale: Scale) -> Steps:
    """Each step evaluates the model, corrects x with that prediction, and predicts the next x from
    the corrected one. The last x is not corrected.

    It remembers the last predictions, as many as the option order, and the corrected x that the
    step started from.
    """
    for here, _ in walk.steps():
        output = yield Evaluate(x, here)
        denoised = here.denoised(output, x)
        if "start" in walk.memory:
            # It goes again from the last step's start, so a part that a mask restored is restored
            # once more after this step.
            x = _corrected(walk, here.index - 1, denoised, scale)
        older = [walk.memory[name] for name in ("denoised", *_BEFORE) if name in walk.memory]
        walk.memory = {"start": x, "denoised": denoised}
        walk.memory |= dict(zip(_BEFORE, older[: walk.options.order - 1], strict=False))
        change = _predicted_change(walk, here.index, scale)
        x = yield Done(_advanced(walk, x, denoised, here.index, change, scale), denoised)


def _order(walk: Walk[NoiseSpace], index: int) -> int:
    """Order of the step from a level: lower in the first and the last ones."""
    return min(walk.options.order, walk.count - index, index - walk.noise_levels.first + 1)


def _corrected(walk: Walk[NoiseSpace], start_index: int, denoised: Tensor, scale: Scale) -> Tensor:
    """x again, from the last step's start, now that the prediction at its end is known.

    The memory still holds the predictions up to that start.
    """
    order, latest = _order(walk, start_index), walk.memory["denoised"]
    # In a first-order step the authors take 1/2, for either B.
    weights = _solved(walk, start_index, order, scale) if order > 1 else torch.tensor([0.5])
    change = weights[-1].to(denoised.dtype) * (denoised - latest)
    for weight, slope in zip(weights[:-1], _slopes(walk, start_index, order), strict=True):
        change = weight.to(denoised.dtype) * slope + change
    return _advanced(walk, walk.memory["start"], latest, start_index, change, scale)


def _predicted_change(walk: Walk[NoiseSpace], index: int, scale: Scale) -> Tensor | None:
    """What the predictor expects the prediction to change by."""
    order = _order(walk, index)
    slopes = _slopes(walk, index, order)
    if order <= 2:
        return 0.5 * slopes[0] if slopes else None  # the weight that the authors take
    weights = _solved(walk, index, order, scale, predicts=True)
    parts = (weight.to(item.dtype) * item for weight, item in zip(weights, slopes, strict=True))
    return torch.stack(list(parts)).sum(0)


def _slopes(walk: Walk[NoiseSpace], index: int, order: int) -> list[Tensor]:
    """(D_{i-m} - D_i) / r_m in the paper, for m = 1, 2: D_i is the prediction at `index`."""
    latest = walk.memory["denoised"]
    return [
        (walk.memory[name] - latest) / _ratio(walk, index, back)
        for back, name in enumerate(_BEFORE[: order - 1], start=1)
    ]


def _ratio(walk: Walk[NoiseSpace], index: int, back: int) -> Tensor:
    """r_m in the paper: log-SNR of the level `back` before, less that of `index`, over the step's
    h; negative."""
    start = walk.level(index).log_snr
    return (walk.level(index - back).log_snr - start) / (walk.level(index + 1).log_snr - start)


def _advanced(
    walk: Walk[NoiseSpace],
    x: Tensor,
    denoised: Tensor,
    index: int,
    change: Tensor | None,
    scale: Scale,
) -> Tensor:
    """From x at a level to the next.

    Args:
        denoised: The prediction at the level.
        change: Of the prediction, weighed; None in a first-order step.
    """
    step = Step(walk.level(index), walk.level(index + 1))
    minus_h, alpha = -step.h, step.after.alpha
    stepped = step.noise_ratio * x - alpha * torch.expm1(minus_h) * denoised
    if change is not None:
        stepped = stepped - alpha * scale(minus_h) * change
    return stepped.to(x.dtype)  # x keeps its precision, as with diffusers


def _solved(
    walk: Walk[NoiseSpace], index: int, order: int, scale: Scale, *, predicts: bool = False
) -> Tensor:
    """Weights rho of the changes: R rho = b, the paper's equation 11; float32.

    Args:
        predicts: Without the point that the step leads to: the last row and column.
    """
    minus_h = -Step(walk.level(index), walk.level(index + 1)).h
    ratios = [_ratio(walk, index, back) for back in range(1, order)]
    points = torch.stack([*ratios, torch.ones(())])
    # b_k = k! · h · phi_{k+1}(-h) / B(-h); phi by its recursion.
    h_phi_k, factorial, values = torch.expm1(minus_h) / minus_h - 1, 1, []
    for power in range(1, order + 1):
        values.append(h_phi_k * factorial / scale(minus_h))
        factorial *= power + 1
        h_phi_k = h_phi_k / minus_h - 1 / factorial
    system = torch.stack([points**power for power in range(order)])
    known = torch.stack(values)
    if predicts:
        system, known = system[:-1, :-1], known[:-1]
    weights: Tensor = torch.linalg.solve(system, known)
    return weights


@sampler(
    "uni_pc",
    PRESERVING,
    CORRECTED,
    comfyui_spaces=UNMIXED,
    keeps_precision=True,
    order=2,
    options={"order": 2},
    comfyui_options={"order": 3},
    highest_order=3,
    elsewhere={
        "ComfyUI": ("uni_pc_bh2",),
        "A1111 and Forge": ("UniPC",),
        "diffusers": ("UniPCMultistepScheduler",),
    },
)
def uni_pc(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """Predictor and corrector on the predicted latent, B(z) = exp(z) - 1 at z = -h.

    Source: Zhao et al. 2023, arXiv:2302.04867, algorithms 5 to 8 (variant B2).
    """
    return _uni_pc(walk, x, torch.expm1)


@sampler(
    "uni_pc_bh1",
    PRESERVING,
    CORRECTED,
    comfyui_spaces=UNMIXED,
    keeps_precision=True,
    order=3,
    options={"order": 3},
    highest_order=3,
    also_comfyui=("uni_pc",),
)
def uni_pc_bh1(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """The same with B(z) = z, which suits few steps.

    Source: Zhao et al. 2023, arXiv:2302.04867, section 3.3 (variant B1).
    """
    return _uni_pc(walk, x, lambda h: h)


DRAWN_BETWEEN = (0.2, 0.8)
"""Part of the training timesteps between which noise is drawn anew, as the authors have it."""

_MOST = 4
"""Predictions that a step looks at, at most."""
_NODES, _SHARES = np.polynomial.legendre.leggauss(24)


def _sa_solver(walk: Walk[NoiseSpace], x: Tensor, *, evaluates_twice: bool) -> Steps:
    """What it remembers: the last predictions, ``denoised.1`` the latest, the point that the last
    step ``start``ed from and its ``noise``."""
    most, corrector = _orders(walk)
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        x = x.to(torch.float32)
        denoised = here.denoised(output, x).to(torch.float32)
        if "start" in walk.memory:
            known = [denoised, *_known(walk)]
            order = min(corrector, len(known))
            if walk.is_comfyui:
                order = min(order, _left(walk, here.index))
            places = [here.index - back for back in range(order)]
            x = _sa_stepped(walk, here.index - 1, places, known)
            if evaluates_twice:
                x = walk.kept(x)
                output = yield Evaluate(x, here)
                x = x.to(torch.float32)
                denoised = here.denoised(output, x).to(torch.float32)
        known = [denoised, *_known(walk)]
        kept = known[: max(most, corrector, 2)]
        walk.memory = {f"denoised.{back}": item for back, item in enumerate(kept, start=1)}
        walk.memory["start"] = x
        if _is_noisy(walk, here.index):
            walk.memory["noise"] = walk.noise(output).to(torch.float32)
        stepped = denoised
        if after.sigma > 0:
            order = min(most, _left(walk, here.index) - walk.is_comfyui, len(known))
            places = [here.index - back for back in range(order)]
            stepped = _sa_stepped(walk, here.index, places, known)
        x = yield Done(stepped, denoised)


def _orders(walk: Walk[NoiseSpace]) -> tuple[int, int]:
    """Of predictor and corrector, once there are predictions enough."""
    order = walk.options.order
    return (order, min(order + 1, _MOST)) if walk.is_comfyui else (order, order)


def _left(walk: Walk[NoiseSpace], index: int) -> int:
    """Steps down to no noise, which lower the order; ComfyUI sees none in a part of a schedule
    that ends above it."""
    if walk.is_comfyui and walk.noise_levels.last is not None:
        return walk.count
    return walk.count - index


def _known(walk: Walk[NoiseSpace]) -> list[Tensor]:
    names = sorted(name for name in walk.memory if name.startswith("denoised."))
    return [walk.memory[name] for name in names]


def _sa_stepped(
    walk: Walk[NoiseSpace], index: int, places: Sequence[int], known: Sequence[Tensor]
) -> Tensor:
    """From the start at a level to the next, by predictions at some levels.

    Args:
        places: The levels, latest first; a correction has the one that it leads to, too.
    """
    here, after = walk.level(index), walk.level(index + 1)
    start, end = float(here.log_snr), float(after.log_snr)
    tau = _tau(walk, index)
    rate, step = 1 + tau**2, end - start
    x = after.deviation / here.deviation * math.exp(-(tau**2) * step) * walk.memory["start"]
    points = [float(walk.level(at).log_snr) for at in places]
    simplified = len(points) == 2 and not walk.is_comfyui
    weigh = _simplified_weights if simplified else _weights
    for weight, denoised in zip(weigh(points, start, end, rate), known, strict=False):
        x = x + after.alpha * weight * denoised
    if "noise" not in walk.memory:
        return x
    drawn = math.sqrt(-math.expm1(-2 * tau**2 * step))
    return x + after.deviation * drawn * walk.memory["noise"]


def _is_noisy(walk: Walk[NoiseSpace], index: int) -> bool:
    """Whether the step from a level draws noise; diffusers' draws in each, also what counts for
    nothing."""
    if not walk.is_comfyui:
        return True
    leaves_noise = bool(walk.noise_levels.sigmas[index + 1] > 0)
    return leaves_noise and _tau(walk, index) > 0 and walk.options.s_noise > 0


def _sa_draws(walk: Walk[NoiseSpace], index: int) -> int:
    return int(_is_noisy(walk, index))


def _tau(walk: Walk[NoiseSpace], index: int) -> float:
    """The paper's tau in the step from a level."""
    low, high = DRAWN_BETWEEN
    noise, levels = walk.space.noise, walk.noise_levels
    if walk.is_comfyui:
        highest, least = (_level_behind(noise, share) for share in DRAWN_BETWEEN)
        is_noisy = highest >= float(levels.sigmas[index + 1]) >= least
    else:
        is_noisy = low <= float(levels.timesteps[index]) / noise.timesteps <= high
    return walk.options.eta if is_noisy else 0.0


@sampler(
    "sa_solver",
    PRESERVING,
    MULTISTEP,
    draws=_sa_draws,
    order=2,
    options={**NOISY, "order": 2},
    comfyui_options={"order": 3},
    elsewhere={"diffusers": ("SASolverScheduler",)},
)
def sa_solver(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """Predictor and corrector of second order: polynomials over log-SNR through the predictions.

    The option eta is the paper's tau between `DRAWN_BETWEEN` of the timesteps; elsewhere nothing is
    drawn. Another order than 2 is that of both. The last step ends on the prediction, without
    noise.

    Source: Xue et al. 2023, arXiv:2309.05019, algorithm 1; weights at order 2 as the authors'
    simplified ones, which diffusers' SASolverScheduler has too.

    By ComfyUI's convention the corrector's order is one above the predictor's, which the option
    says, weights at order 2 are exact, both orders fall towards the end, and whether noise is drawn
    is told by the level that a step leads to. Source: ComfyUI's sample_sa_solver
    (``comfy/k_diffusion/sampling.py``, ``sa_solver.py``).
    """
    return _sa_solver(walk, x, evaluates_twice=False)


@sampler(
    "sa_solver_pece",
    PRESERVING,
    MULTISTEP,
    draws=_sa_draws,
    order=2,
    options={**NOISY, "order": 2},
    comfyui_options={"order": 3},
    evaluations=(2, -1),
)
def sa_solver_pece(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """The same, but each corrected point is asked about: two evaluations a step, one in the first.

    Source: Xue et al. 2023, arXiv:2309.05019, section 5 (PECE), as ComfyUI's sample_sa_solver_pece
    (``comfy/k_diffusion/sampling.py``).
    """
    return _sa_solver(walk, x, evaluates_twice=True)


def _level_behind(noise: ModelNoise, share: float) -> float:
    """The level at which ComfyUI says that a share of the timesteps lies behind."""
    if isinstance(noise, FlowNoise):
        return noise.common.sigma_at(share)
    return table_sigma_at(noise, share)


def _weights(points: Sequence[float], start: float, end: float, rate: float) -> list[float]:
    """What each prediction makes of a step in log-SNR, whose exponential fades at a rate.

    Args:
        points: Where the predictions are, latest first; at most 4.
    """
    step = end - start
    at = start + step * (_NODES + 1) / 2
    kernel = rate * np.exp(rate * (at - end)) * _SHARES * step / 2
    return [float(kernel @ _polynomial(points, index, at)) for index in range(len(points))]


def _simplified_weights(
    points: Sequence[float], start: float, end: float, rate: float
) -> list[float]:
    """The same for two predictions, with a bend that is right up to terms of higher order."""
    total, step = -math.expm1(-rate * (end - start)), end - start
    bend = rate * step**2 / 2 / (points[0] - points[1])
    return [bend, total - bend] if points[0] == end else [total + bend, -bend]


def _polynomial(
    points: Sequence[float], index: int, at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Lagrange's: 1 at one of the points, 0 at the others."""
    product = np.ones_like(at)
    for other, point in enumerate(points):
        if other != index:
            product = product * (at - point) / (points[index] - point)
    return product
