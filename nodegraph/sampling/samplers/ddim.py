"""Samplers by the model's table of cumulative alphas: DDPM, DDIM, PNDM, CogVideoX's, TCD and LCM.

TCD and LCM are for models that were distilled for them. LCM also samples flow models.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.families.cosine_time import TIMESTEPS
from nodegraph.families.noise import draw_batch
from nodegraph.sampling.samplers.base import Done, Evaluate, Steps, Walk, sampler
from nodegraph.sampling.samplers.spaces import (
    OF_TABLE,
    ExplodingSpace,
    FlowSpace,
    NoiseLevel,
    NoiseSpace,
    TablePreservingSpace,
)
from nodegraph.sampling.table_schedules import DISTILLED, TABLE

OfTable = Walk[TablePreservingSpace]


@sampler(
    "pndm",
    OF_TABLE,
    TABLE,
    keeps_precision=True,
    order=4,
    elsewhere={"A1111 and Forge": ("PLMS",), "diffusers": ("PNDMScheduler",)},
    evaluations=(1, 1),
)
def pndm(walk: OfTable, x: Tensor) -> Steps:
    """Fourth order in evenly spaced timesteps; the first step is walked again with its end's noise.

    The model is evaluated twice in the first step, else once. What it remembers is the predicted
    noise of earlier steps, ``noise.1`` the latest.

    Source: Liu et al. 2022, arXiv:2202.09778, equations 9 and 12, without its Runge-Kutta steps: as
    diffusers' PNDMScheduler with skip_prk_steps, known as PLMS.
    """
    table, stride = walk.space.noise.alphas_cumprod, walk.noise_levels.stride
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        denoised = here.denoised(output, x)
        known = [output, *(walk.memory[name] for name in sorted(walk.memory))]
        ends = _alpha_bars(walk, here)
        if here.index == walk.noise_levels.first and not walk.is_last(here):
            trial = _moved(walk, x, output, *ends)
            output = yield Evaluate(trial, after)
            denoised = after.denoised(output, trial)
            if stride is not None:  # as in diffusers, the first step is measured from its end
                end = int(after.timestep)
                ends = table[end + stride], table[end]
            stepped = _moved(walk, x, (output + known[0]) / 2, *ends)
        else:
            stepped = _moved(walk, x, _combined(known), *ends)
        walk.memory = {f"noise.{back}": item for back, item in enumerate(known[:3], start=1)}
        x = yield Done(stepped, denoised)


def _final_alpha_bar(walk: OfTable) -> Tensor:
    """Where a schedule ends."""
    noise = walk.space.noise
    return torch.tensor(1.0) if noise.alpha_to_one else noise.alphas_cumprod[0]


def _next_alpha_bar(walk: OfTable, here: NoiseLevel[TablePreservingSpace]) -> Tensor:
    """Alpha bar that a step leads to.

    On evenly spaced schedules it is that of a fixed stride below, as in diffusers. With
    leading spacing this is the next level; with others the two can be some timesteps apart.
    """
    stride, last = walk.noise_levels.stride, _final_alpha_bar(walk)
    if stride is None:
        return walk.space.alpha_bar(here.index + 1, last)
    end = int(here.timestep) - stride
    return walk.space.noise.alphas_cumprod[end] if end >= 0 else last


def _alpha_bars(walk: OfTable, here: NoiseLevel[TablePreservingSpace]) -> tuple[Tensor, Tensor]:
    """Of a step's start and end."""
    return walk.space.alpha_bar(here.index, _final_alpha_bar(walk)), _next_alpha_bar(walk, here)


def _moved(walk: OfTable, x: Tensor, output: Tensor, here: Tensor, following: Tensor) -> Tensor:
    """Equation 9: x at another alpha bar, if the noise in it is the predicted."""
    prediction = walk.space.noise.prediction_type
    if here == 0 and prediction != "epsilon":
        # The equation divides by alpha bar. Where it is 0 (zero terminal SNR), x is the noise,
        # and the output alone tells the latent.
        denoised = -output if prediction == "v_prediction" else output
        return following**0.5 * denoised + (1 - following) ** 0.5 * x
    if prediction == "v_prediction":
        output = (here**0.5) * output + ((1 - here) ** 0.5) * x
    elif prediction == "sample":
        output = (x - here**0.5 * output) / (1 - here) ** 0.5
    divisor = here * (1 - following) ** 0.5 + (here * (1 - here) * following) ** 0.5
    scaled = (following / here) ** 0.5 * x
    return scaled - (following - here) * output / divisor


def _combined(known: list[Tensor]) -> Tensor:
    """Adams and Bashforth's sum of outputs, the latest first, in diffusers' order."""
    if len(known) == 1:
        return known[0]
    if len(known) == 2:
        return (3 * known[0] - known[1]) / 2
    if len(known) == 3:
        return (23 * known[0] - 16 * known[1] + 5 * known[2]) / 12
    return (1 / 24) * (55 * known[0] - 59 * known[1] + 37 * known[2] - 9 * known[3])


LARGE = ("fixed_large", "fixed_large_log")
"""Variances of scheduler files that are the larger bound."""


@sampler(
    "ddpm",
    OF_TABLE,
    TABLE,
    keeps_precision=True,
    elsewhere={
        "diffusers": (
            "DDPMScheduler",
            "DDPMParallelScheduler",
            "DDPMWuerstchenScheduler",
        )
    },
)
def ddpm(walk: OfTable, x: Tensor) -> Steps:
    """Draws from the posterior of the next noise level.

    Its variance is what the model's scheduler file says: the smaller or the larger of two bounds,
    or between them where a model tells it, in as many channels more as the latent has.

    Source: Ho et al. 2020, arXiv:2006.11239, equations 6 and 7; of learned variances Nichol &
    Dhariwal 2021, arXiv:2102.09672, equation 15.
    """
    final_alpha_bar = torch.tensor(1.0)
    for step in walk.steps():
        level, variance = step[0], None
        output = yield Evaluate(x, level)
        if output.shape[1] == 2 * x.shape[1]:
            output, variance = output.chunk(2, dim=1)
        denoised = walk.space.clipped(level.denoised(output, x), by_default=True)
        if walk.space.noise.cosine is not None:
            x = yield Done(_in_continuous_time(walk, x, output, step), denoised)
            continue
        here, following = (walk.space.alpha_bar(item.index, final_alpha_bar) for item in step)
        beta_bar, following_beta_bar = 1 - here, 1 - following
        alpha = here / following
        beta = 1 - alpha
        mean = (following**0.5 * beta) / beta_bar * denoised
        mean = mean + alpha**0.5 * following_beta_bar / beta_bar * x
        if level.timestep > 0:
            # never quite 0, as in diffusers, where it passes through a logarithm
            small = (following_beta_bar / beta_bar * beta).clamp(min=1e-20)
            spread = _spread(walk.space.noise.variance, small, beta, variance)
            mean = mean + spread * walk.noise(output)
        x = yield Done(mean, denoised)


def _in_continuous_time(
    walk: OfTable, x: Tensor, output: Tensor, step: tuple[NoiseLevel[TablePreservingSpace], ...]
) -> Tensor:
    """A step of models of a continuous time, which ends at time 0 and not without any noise.

    The time that the model was asked at is rounded to its precision, and all is computed in
    float32.

    Source: diffusers' ``DDPMWuerstchenScheduler``, whose order of operations gives the same bits.
    """
    level, after = step
    cosine, is_end = walk.space.noise.cosine, after.index == walk.noise_levels.level_count
    assert cosine is not None
    time = level.timestep.reshape(1) / TIMESTEPS
    next_time = torch.zeros(1) if is_end else after.timestep.reshape(1) / TIMESTEPS
    here, following = (
        cosine.alpha_bar(item).view(1, 1, 1, 1).to(x.device)
        for item in (time.to(output.dtype).float(), next_time)
    )
    epsilon = walk.space.to_noise(output, x, level.index)
    alpha = here / following
    mean = (1.0 / alpha).sqrt() * (x - (1 - alpha) * epsilon / (1 - here).sqrt())
    if not is_end:
        spread = ((1 - alpha) * (1.0 - following) / (1.0 - here)).sqrt()
        mean = mean + spread * walk.noise(output)
    return mean.to(output.dtype)


def _spread(kind: str, small: Tensor, large: Tensor, predicted: Tensor | None) -> Tensor:
    """Standard deviation of what is drawn.

    Args:
        kind: The variance of the scheduler file.
        small, large: Bounds of it.
        predicted: What the model says of it.
    """
    if kind == "learned" and predicted is not None:
        return predicted**0.5
    if kind == "learned_range" and predicted is not None:
        share = (predicted + 1) / 2
        return torch.exp(0.5 * (share * torch.log(large) + (1 - share) * torch.log(small)))
    if kind == "fixed_small_log":
        return torch.exp(0.5 * torch.log(small))
    return (large if kind in LARGE else small) ** 0.5


@sampler(
    "ddim",
    OF_TABLE,
    TABLE,
    keeps_precision=True,
    order=1,
    options={"eta": 0.0},
    elsewhere={
        "diffusers": (
            "DDIMScheduler",
            "DDIMParallelScheduler",
            "CogVideoXDDIMScheduler",
        )
    },
)
def ddim(walk: OfTable, x: Tensor) -> Steps:
    """The predicted latent and noise are mixed anew for the next noise level.

    Deterministic of itself; with eta, part of the noise is drawn anew instead: 1 draws as much as
    `ddpm` does.

    Source: Song et al. 2021, arXiv:2010.02502, equations 12 and 16.
    """
    eta, final_alpha_bar = walk.options.eta, torch.tensor(1.0)
    for here, _ in walk.steps():
        output = yield Evaluate(x, here)
        alpha_bar, following = (
            walk.space.alpha_bar(here.index, final_alpha_bar),
            _next_alpha_bar(walk, here),
        )
        if walk.space.noise.snr_shifted and eta == 0:
            denoised = _clean(walk, output, x, alpha_bar)
            kept = ((1 - following) / (1 - alpha_bar)) ** 0.5
            stepped = kept * x + (following**0.5 - alpha_bar**0.5 * kept) * denoised
            x = yield Done(stepped, denoised)
            continue
        epsilon = walk.space.to_noise(output, x, here.index)
        denoised = walk.space.clipped(here.denoised(output, x), by_default=True)
        variance = ((1 - following) / (1 - alpha_bar)) * (1 - alpha_bar / following)
        sigma = eta * variance**0.5
        direction = (1 - following - sigma**2) ** 0.5 * epsilon
        stepped = following**0.5 * denoised + direction
        if eta > 0:
            stepped = stepped + sigma * walk.noise(output)
        x = yield Done(stepped, denoised)


def _clean(walk: OfTable, output: Tensor, x: Tensor, alpha_bar: Tensor) -> Tensor:
    """The predicted latent, by the table's own precision, as CogVideoX's schedulers compute it."""
    alpha, deviation = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    prediction = walk.space.noise.prediction_type
    if prediction == "v_prediction":
        return alpha * x - deviation * output
    return output if prediction == "sample" else (x - deviation * output) / alpha


@sampler(
    "cogvideox_dpm",
    OF_TABLE,
    TABLE,
    keeps_precision=True,
    draws=lambda walk, step_index: 1 if _is_first_order(walk, step_index) else 2,
    elsewhere={"diffusers": ("CogVideoXDPMScheduler",)},
)
def cogvideox_dpm(walk: OfTable, x: Tensor) -> Steps:
    """Second-order DPM-Solver++ with fresh noise in each step, on the model's own table.

    As `dpmpp_2m_sde` with other weights: the correction is added to the latest prediction in whole.
    Steps of second order draw twice and use what is drawn last, as CogVideoXDPMScheduler of
    diffusers does. ``denoised`` is the last prediction.

    Source: Lu et al. 2022, arXiv:2211.01095, SDE-DPM-Solver++(2M); diffusers'
    ``CogVideoXDPMScheduler``.
    """
    for here, _ in walk.steps():
        output = yield Evaluate(x, here)
        alpha_bar, following = _alpha_bars(walk, here)
        denoised = _clean(walk, output, x, alpha_bar)
        half_log_snr, following_half = _half_log_snr(alpha_bar), _half_log_snr(following)
        length = following_half - half_log_snr
        scale = ((1 - following) / (1 - alpha_bar)) ** 0.5 * (-length).exp()
        weight = (-2 * length).expm1() * following**0.5
        deviation = (1 - following) ** 0.5 * (1 - (-2 * length).exp()) ** 0.5
        noise, target = walk.noise(x), denoised
        if not _is_first_order(walk, here.index):
            back = walk.space.alpha_bar(here.index - 1, following)
            ratio = (half_log_snr - _half_log_snr(back)) / length
            target = (1 + 1 / (2 * ratio)) * denoised - 1 / (2 * ratio) * walk.memory["denoised"]
            noise = walk.noise(x)
        walk.memory = {"denoised": denoised}
        x = yield Done(scale * x - weight * target + deviation * noise, denoised)


def _half_log_snr(alpha_bar: Tensor) -> Tensor:
    return ((alpha_bar / (1 - alpha_bar)) ** 0.5).log()


def _is_first_order(walk: OfTable, step_index: int) -> bool:
    """Whether a step of `cogvideox_dpm` knows no earlier prediction, or goes to the end."""
    levels, stride = walk.noise_levels, walk.noise_levels.stride
    if step_index == levels.first:
        return True
    if stride is None:
        return step_index + 1 == levels.level_count
    return int(levels.timesteps[step_index]) - stride < 0


SIGMA_DATA = 0.5


@sampler(
    "tcd",
    OF_TABLE,
    DISTILLED,
    keeps_precision=True,
    options={"eta": 0.3},
    elsewhere={"diffusers": ("TCDScheduler",)},
)
def tcd(walk: Walk[TablePreservingSpace], x: Tensor) -> Steps:
    """Steps to below the next noise level at once, then noises up to it.

    The option eta is the paper's gamma: the part of the way to timestep 0 that each step goes too
    far, and back with fresh noise.

    For models distilled for it, in few steps. Like diffusers' it ends at the noise of timestep 0,
    which is hardly any. Source: Zheng et al. 2024, arXiv:2402.19159
    (strategic stochastic sampling).
    """
    noise = walk.space.noise
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        denoised = here.denoised(output, x)
        epsilon = here.space.to_noise(output, x, here.index)
        following = torch.tensor(0) if walk.is_last(here) else after.timestep
        between = torch.floor((1 - walk.options.eta) * following).to(torch.int64)
        below = noise.alphas_cumprod[between]
        stepped = below.sqrt() * denoised + (1 - below).sqrt() * epsilon
        if not walk.is_last(here):
            kept = noise.alpha_bar_at(following) / below
            stepped = kept.sqrt() * stepped + (1 - kept).sqrt() * walk.noise(stepped)
        x = yield Done(stepped, denoised)


@sampler(
    "lcm",
    {"discrete": TablePreservingSpace, "flow": FlowSpace},
    DISTILLED,
    comfyui_spaces={"discrete": ExplodingSpace},
    options={"s_noise": 1.0, "s_noise_end": 1.0, "noise_clip": 0.0},
    elsewhere={
        "diffusers": (
            "FlowMatchLCMScheduler",
            "LCMScheduler",
        )
    },
)
def lcm(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """Predicts the clean latent at once, then noises it to the next level, and again.

    For models distilled for it, in 2 to 8 steps. Source: Luo et al. 2023, arXiv:2310.04378,
    algorithm 3; in models of a table of noise levels with the boundary condition of Song et al.
    2023, arXiv:2303.01469, appendix C.
    """
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        x = walk.space.widened(x)
        denoised = walk.space.clipped(here.denoised(output, x), by_default=False)
        if isinstance(walk.space, TablePreservingSpace):
            # near no noise x itself is all but clean
            scaled = here.timestep * walk.space.noise.timestep_scaling
            skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
            out = scaled / (scaled**2 + SIGMA_DATA**2) ** 0.5
            denoised = out * denoised + skip * x
        stepped = denoised
        if not walk.is_last(here):
            # Also where a part of a schedule ends: the next part continues from that noise.
            # In float32, unlike `add_noise`: 1 - alpha bar loses what is left of it in half
            # precision.
            stepped = after.alpha * denoised + after.deviation * _noise(walk, here, denoised)
        x = yield Done(stepped, denoised)


def _noise(walk: Walk[NoiseSpace], here: NoiseLevel[NoiseSpace], like: Tensor) -> Tensor:
    """Noise whose strength runs from s_noise to s_noise_end, held within noise_clip."""
    options = walk.options
    drawn = draw_batch(walk.generators, like.shape).to(like.device, like.dtype)
    if options.noise_clip:
        most = float(drawn.std()) * options.noise_clip
        drawn = drawn.clamp(-most, most)
    begin, end = walk.whole_range
    gone = (here.index - begin) / max(end - begin - 1, 1)
    scale = options.s_noise + (options.s_noise_end - options.s_noise) * gone
    return drawn if scale == 1 else drawn * scale
