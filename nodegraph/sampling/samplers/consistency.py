"""LCM and TCD: samplers of consistency-distilled models."""

from __future__ import annotations

import torch
from torch import Tensor

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
from nodegraph.sampling.table_schedules import DISTILLED

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
    table = walk.space.noise.alphas_cumprod
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        denoised = here.denoised(output, x)
        epsilon = here.space.to_noise(output, x, here.index)
        following = torch.tensor(0) if walk.is_last(here) else after.timestep
        below = table[torch.floor((1 - walk.options.eta) * following).to(torch.int64)]
        stepped = below.sqrt() * denoised + (1 - below).sqrt() * epsilon
        if not walk.is_last(here):
            kept = table[following] / below
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
