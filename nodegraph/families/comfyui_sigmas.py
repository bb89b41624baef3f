"""Sigmas as ComfyUI computes them: the same for all samplers, between a model's ends.

``comfy/samplers.py`` and ``comfy/model_sampling.py``. Table models have a level for each training
timestep, and levels between them on a line over log sigma; the model is asked at the whole
timestep whose log sigma is nearest. Flow models have a table, too, of shifted levels, by which it
lays some schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodegraph.core.values import SPAN_TOLERANCE
from nodegraph.families.noise import NoiseSchedule
from nodegraph.families.scheduler_file import CHOSEN, ENTRIES
from nodegraph.families.sigma_curves import (
    BETA_SHAPE,
    beta_quantiles,
    exponential_levels,
    karras_levels,
    kl_optimal_levels,
    linear_quadratic_levels,
    resolve_sigma_range,
)

FloatArray = NDArray[np.float64]

KARRAS_RHO = 7.0
FIRST_FINITE = 1e-4
"""Part of the way by which samplers that need a finite log-SNR begin below all noise."""

FLOW_SHIFTS: Mapping[str, tuple[float, int]] = MappingProxyType(
    {
        "flux": (float(np.exp(1.15)), 10_000),
        "ltx": (float(np.exp(2.37)), 10_000),
        "qwen-image": (float(np.exp(1.15)), 10_000),
        "qwen-image-edit": (float(np.exp(1.15)), 10_000),
        "qwen-image-edit-plus": (float(np.exp(1.15)), 10_000),
        "qwen-image-layered": (float(np.exp(1.15)), 10_000),
        "flux2": (float(np.exp(2.02)), 10_000),
        "flux2-klein": (float(np.exp(2.02)), 10_000),
        "sd3": (3.0, 1000),
        "z-image": (3.0, 1000),
        "hidream": (3.0, 1000),
        "lumina2": (6.0, 1000),
        "mochi": (6.0, 1000),
        "hunyuan-video-15": (7.0, 1000),
        "chroma": (1.0, 1000),
        "wan": (8.0, 1000),
        "wan22-5b": (8.0, 1000),
    }
)
"""By family: the shift that ComfyUI samples with where no node says another, and how many levels
its table has. Others have what their scheduler file says, and 1000."""

_LAST = 999.0
"""What ComfyUI takes for the last timestep of any table where it tells parts of a sampling."""
_NEAR = 1e-6
"""Shares of the timesteps that are alike up to rounding."""
_OF_FLUX = 10_000
"""Levels of the table of `ModelSamplingFlux`."""

_WHATEVER_THE_FILE_SAYS = frozenset({"wan", "wan22-5b", "mochi"})


def comfyui_flow(config: Mapping[str, Any], family: str, shift: float) -> ComfyUIFlow:
    """How ComfyUI lays levels of a flow model.

    Args:
        config: Its scheduler file.
        family: Its name.
        shift: That the file names.
    """
    if config.get(CHOSEN):
        return ComfyUIFlow(shift, int(config.get(ENTRIES, 1000)))
    if config.get("use_dynamic_shifting") or family in _WHATEVER_THE_FILE_SAYS:
        return ComfyUIFlow(*FLOW_SHIFTS.get(family, (shift, 1000)))
    return ComfyUIFlow(shift)


@dataclass(frozen=True, slots=True)
class ComfyUIFlow:
    """A flow model's noise levels in ComfyUI's way.

    Attributes:
        shift: On sigma / (1 - sigma), above 0; whatever the size of the image.
        entries: Levels of its table.
    """

    shift: float = 1.0
    entries: int = 1000

    def shift_times(self, levels: FloatArray) -> FloatArray:
        """Levels of times, above 0 to 1, rounded as ComfyUI's tensors round them: even schedules
        meet levels by which it tells parts of a sampling, and the last bit says on which side."""
        times, unit = np.asarray(levels).astype(np.float32), np.float32(1)
        if self.shift == 1:
            return times.astype(np.float64)
        shift = np.float32(self.shift)
        if self._is_of_flux:
            # `ModelSamplingFlux` says its shift as e^mu, by its own formula
            shifted = shift * (unit / (shift + (unit / times - unit)))
        else:
            shifted = shift * times / (unit + np.float32(self.shift - 1) * times)
        return shifted.astype(np.float64)

    @property
    def _is_of_flux(self) -> bool:
        return self.entries == _OF_FLUX

    def sigma_at(self, share: float) -> float:
        """The level at which a share of the timesteps lies behind, above 0 to 1."""
        time = 1.0 - share
        if self._is_of_flux:
            return self.shift / (self.shift + (1 / time - 1))
        return self.shift * time / (1 + (self.shift - 1) * time)

    def times(self, levels: FloatArray) -> FloatArray:
        """Times of levels: what `shifted` makes them of."""
        return np.asarray(levels / (self.shift - (self.shift - 1) * levels))

    @property
    def table(self) -> FloatArray:
        """Its levels, lowest first; shape (entries,)."""
        return self.shift_times(np.arange(1, self.entries + 1) / self.entries)

    def levels(self, law: str, steps: int, numbers: Mapping[str, float]) -> FloatArray | None:
        """Falling levels of a law, without the closing 0; None for laws that differ in nothing."""
        lay = _FLOW_LAWS.get(law)
        return None if lay is None else lay(self, steps, **numbers)

    def _ends(self, high: float | None, low: float | None) -> tuple[float, float]:
        return resolve_sigma_range((1.0, float(self.table[0])), 1.0, high, low)


def table_sigmas(law: str, noise: NoiseSchedule, steps: int) -> FloatArray | None:
    """Falling levels of a table model, without the closing 0; None for laws that differ in nothing
    but their ends."""
    if noise.cosine is not None:
        return noise.cosine.comfyui_levels(law, steps)
    if law == "simple":
        skipped = (np.arange(steps) * (noise.timesteps / steps)).astype(np.int64)
        return _table(noise).astype(np.float32).astype(np.float64)[noise.timesteps - 1 - skipped]
    if law not in ("normal", "sgm_uniform"):
        return None
    return _between(noise, _even(noise.timesteps - 1, steps + (law == "sgm_uniform"))[:steps])


def _even(high: int, count: int) -> NDArray[np.float32]:
    """Evenly spaced numbers down to 0, as torch.linspace has them: in single precision from both
    ends to the middle, each rounded once. A single one is the first."""
    if count == 1:
        return np.array([high], np.float32)
    part = float(np.float32(high) / np.float32(count - 1))
    places = np.arange(count)
    falling, rising = high - part * places, part * (count - 1 - places)
    return np.where(places < count // 2, falling, rising).astype(np.float32)


def table_sigma_at(noise: NoiseSchedule, share: float) -> float:
    """A table model's level at which a share of the timesteps lies behind, in single precision as
    its schedules have theirs."""
    # rounded as ComfyUI's tensors are; beyond a shorter table's end is its greatest level
    timestep = min((1.0 - share) * _LAST, noise.timesteps - 1)
    return float(_between(noise, np.array([timestep], np.float32))[0])


def comfyui_progress(
    shares: FloatArray, levels: FloatArray, level_behind: Callable[[float], float]
) -> FloatArray:
    """Shares of the timesteps that lie behind levels, on the side of a thousandth that they meet on
    which ComfyUI, which compares levels, has them. At a level that is just its own, a part that
    begins there has begun, and one that ends there hasn't ended: shares are rounded by as much.

    Args:
        shares: As near as they are known.
        level_behind: Gives a share's level.
    """
    compared = shares.copy()
    for at, (share, level) in enumerate(zip(shares.tolist(), levels.tolist(), strict=True)):
        met = round(share * 1000) / 1000
        if 0 < met < 1 and abs(share - met) < _NEAR:
            bound = level_behind(met)
            before = 10 * SPAN_TOLERANCE if level > bound else SPAN_TOLERANCE / 10
            compared[at] = np.nextafter(met, 1.0) if level < bound else met - before
    return compared


def _between(noise: NoiseSchedule, timesteps: NDArray[np.float32]) -> FloatArray:
    """Levels at timesteps, on a line over log sigma; all is rounded as ComfyUI's tensors are, so
    that even schedules meet `table_sigma_at` where they do there."""
    table = np.log(_table(noise)).astype(np.float32)
    low = np.floor(timesteps).astype(np.int64)
    share = timesteps - low.astype(np.float32)
    logs = (np.float32(1) - share) * table[low] + share * table[np.ceil(timesteps).astype(np.int64)]
    return np.exp(logs.astype(np.float64)).astype(np.float32).astype(np.float64)


def _table(noise: NoiseSchedule) -> FloatArray:
    """A table model's levels, lowest first."""
    exact = noise.exact_sigmas
    return noise.sigmas.numpy().astype(np.float64) if exact is None else exact


def nearest_timesteps(noise: NoiseSchedule, levels: FloatArray) -> NDArray[Any]:
    """The timesteps that a table model is asked at: those whose log sigma is nearest in single
    precision, the lowest of those that are as near; 0 without noise. Of a continuous time they are
    the levels' own, and no whole ones.

    Args:
        levels: Shape (levels,).
    """
    if noise.cosine is not None:
        return noise.sigma_to_timestep(levels).astype(np.float32)
    logs = np.log(_table(noise)).astype(np.float32)
    single = np.maximum(levels, 1e-10).astype(np.float32)
    wanted = np.log(single.astype(np.float64)).astype(np.float32)
    # one by one, as the table of zero terminal SNR need not rise at its end
    return np.array([np.abs(level - logs).argmin() for level in wanted], dtype=np.int64)


def table_progress(noise: NoiseSchedule, levels: FloatArray) -> tuple[FloatArray, float]:
    """Shares of the timesteps that lie behind a table model's levels, and what counts as behind
    wherever a part begins: where the table is shorter than ComfyUI takes it to be, all parts that
    begin beyond its end do so at its greatest level, and none of them has ended there.
    """
    if noise.cosine is not None:
        cosine = noise.cosine
        shares = cosine.comfyui_shares(levels)
        at = lambda share: float(cosine.comfyui_sigmas(1.0 - share))  # noqa: E731
        return comfyui_progress(shares, levels, at), 0.0
    shares = 1 - noise.sigma_to_timestep(levels) / _LAST
    shares = comfyui_progress(shares, levels, partial(table_sigma_at, noise))
    least = 1 - (noise.timesteps - 1) / _LAST
    if least <= 0:
        return shares, 0.0
    greatest = table_sigma_at(noise, 0.0)
    shares[levels >= greatest] = 0.0
    return shares, least if levels.max() <= greatest else 0.0


def _normal(flow: ComfyUIFlow, steps: int) -> FloatArray:
    """Evenly spaced from 1 to the least level, which is shifted once more with all others."""
    return flow.shift_times(np.linspace(1.0, float(flow.table[0]), steps))


def _sgm_uniform(flow: ComfyUIFlow, steps: int) -> FloatArray:
    return flow.shift_times(np.linspace(1.0, float(flow.table[0]), steps + 1)[:-1])


def _simple(flow: ComfyUIFlow, steps: int) -> FloatArray:
    skipped = (np.arange(steps) * (flow.entries / steps)).astype(np.int64)
    return flow.table[flow.entries - 1 - skipped]


def _karras(
    flow: ComfyUIFlow,
    steps: int,
    *,
    rho: float = KARRAS_RHO,
    high: float | None = None,
    low: float | None = None,
) -> FloatArray:
    return karras_levels(*flow._ends(high, low), steps, rho)


def _exponential(
    flow: ComfyUIFlow, steps: int, *, high: float | None = None, low: float | None = None
) -> FloatArray:
    return exponential_levels(*flow._ends(high, low), steps)


def _beta(
    flow: ComfyUIFlow, steps: int, *, alpha: float = BETA_SHAPE, beta: float = BETA_SHAPE
) -> FloatArray:
    chances = 1 - np.linspace(0, 1, steps, endpoint=False)
    places = beta_quantiles(chances, alpha, beta) * (flow.entries - 1)
    whole = np.rint(places)
    if (np.diff(whole) < 0).all():
        return flow.table[whole.astype(np.int64)]
    # there, those that fall on one place are one; here, there are as many steps as asked for
    return np.interp(places, np.arange(flow.entries), flow.table)


def _kl_optimal(flow: ComfyUIFlow, steps: int) -> FloatArray:
    return kl_optimal_levels(*flow._ends(None, None), steps)


def _linear_quadratic(flow: ComfyUIFlow, steps: int) -> FloatArray:
    return linear_quadratic_levels(steps)


_FLOW_LAWS: Mapping[str, Callable[..., FloatArray]] = MappingProxyType(
    {
        "normal": _normal,
        "sgm_uniform": _sgm_uniform,
        "simple": _simple,
        "karras": _karras,
        "exponential": _exponential,
        "beta": _beta,
        "kl_optimal": _kl_optimal,
        "linear_quadratic": _linear_quadratic,
    }
)
