"""The forward process: the noise of each timestep, noise that a seed gives, and conversions.

The conversions are between a network's output, the clean latent and the noise.

Synonyms elsewhere: a timestep's ``alphas_cumprod`` is the paper's alpha bar; ``sigma`` is the
noise's standard deviation on an unscaled latent, sqrt((1 - alpha bar) / alpha bar).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.cosine_time import COSINE_CLASS, TIMESTEPS, CosineTime
from nodegraph.families.scheduler_file import (
    CONTINUOUS_CLASSES,
    EDM_CLASS,
    SNR_SHIFT_CLASSES,
    check_supported,
)

if TYPE_CHECKING:
    from nodegraph.families.base import Family
    from nodegraph.families.model_step import Moment

ZERO_SNR_FLOOR = 2.0**-24
"""Stands for a last alpha bar of 0, so that its sigma is finite (4096); as in diffusers."""


@dataclass(frozen=True, slots=True)
class KarrasRange:
    """Continuous noise levels of a preconditioned model, spaced evenly in sigma ** (1 / rho).

    Source: Karras et al. 2022, arXiv:2206.00364, equation 5.

    Attributes:
        high, low: Greatest and least noise level above 0.
        rho: Exponent of the spacing.
    """

    high: float
    low: float
    rho: float


_EDM_ENTRIES = 1000
"""Levels in the table of a continuous range, which samplers read that follow a table."""


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """A model's training noise: the noise level of each timestep, and the prediction type.

    Attributes:
        kind: One of `nodegraph.families.sampler_names.NOISE_KINDS`.
        betas: Variance added at each training timestep; float32 on the CPU, shape (timesteps,).
        alphas_cumprod: Product of 1 - beta up to each timestep, falling; same shape, on the CPU.
        sigmas: Noise level of each timestep, rising; same shape.
        prediction_type: What the model's output is: the noise (``epsilon``), ``v_prediction``
            (Salimans & Ho 2022, arXiv:2202.00512, section 4) or the clean ``sample``.
        spacing: Timestep spacing of the scheduler file. None if it has none; each sampler then
            uses its default.
        steps_offset: Added to timesteps of leading spacing.
        alpha_to_one: Whether the alpha bar before timestep 0 is 1 rather than timestep 0's own.
        clip: Whether predicted clean samples are clipped to ±clip_range. None if the file does
            not say; each sampler then uses its default.
        clip_range: See clip.
        variance: Variance of `ddpm`, one of `nodegraph.families.scheduler_file.VARIANCES`.
        distilled_steps, timestep_scaling: For latent consistency models: the steps that the model
            was distilled on, and the scale of timesteps in its boundary condition.
        aligned: As `Family.aligned`.
        exact_sigmas: `sigmas` as ComfyUI computes them, in double precision. None for tables that
            ComfyUI computes in another way.
        snr_shifted: Whether the file shifts the signal-to-noise ratio, as of CogVideoX. Then
            `alphas_cumprod` is float64, and DDIM's step is rounded as its scheduler rounds it.
        karras: The range of a preconditioned model, which takes x = latent + sigma · noise at any
            level and whose family predicts the clean latent (`prediction_type` ``sample``). The
            table then has levels of that range, evenly spaced in log sigma. Else None.
        cosine: The continuous time of a model that is asked at any time, whose table then has an
            entry for each 1024th. Else None.
    """

    kind: ClassVar[str] = "discrete"

    betas: Tensor
    alphas_cumprod: Tensor
    sigmas: Tensor
    prediction_type: str = "epsilon"
    spacing: str | None = None
    steps_offset: int = 0
    alpha_to_one: bool = True
    clip: bool | None = None
    clip_range: float = 1.0
    variance: str = "fixed_small"
    distilled_steps: int = 50
    timestep_scaling: float = 10.0
    aligned: tuple[int, ...] = ()
    exact_sigmas: NDArray[np.float64] | None = None
    snr_shifted: bool = False
    karras: KarrasRange | None = None
    cosine: CosineTime | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NoiseSchedule:
        """Read a diffusers scheduler file; missing entries have the defaults of diffusers.

        Only the properties of the model are read. The caller chooses the sampler, its order and
        Karras sigmas; these entries of the file are ignored.

        Raises:
            InvalidFile: It contains an unsupported setting.
        """
        check_supported(config)
        if config.get("_class_name") == EDM_CLASS:
            return cls._preconditioned(config)
        if config.get("_class_name") in CONTINUOUS_CLASSES:
            return cls._between_levels(config)
        if config.get("_class_name") == COSINE_CLASS:
            return cls._of_time(CosineTime.of(config), config)
        zero_snr = bool(config.get("rescale_betas_zero_snr", False))
        snr_shifted = config.get("_class_name") in SNR_SHIFT_CLASSES
        if snr_shifted:
            config = {**_SNR_SHIFT_DEFAULTS, **config}
            alphas_cumprod = _snr_shifted(config, zero_snr)
            betas = (1 - alphas_cumprod / _before(alphas_cumprod)).float()
        else:
            betas = _betas(config)
            if zero_snr:
                betas = _rescaled_to_zero_snr(betas)
            alphas_cumprod = torch.cumprod(1.0 - betas, dim=0)
        sigmas = _sigmas(alphas_cumprod, zero_snr).float()
        _check_levels(sigmas, config)
        return cls(
            betas=betas,
            alphas_cumprod=alphas_cumprod,
            sigmas=sigmas,
            prediction_type=config.get("prediction_type", "epsilon"),
            spacing=config.get("timestep_spacing"),
            steps_offset=int(config.get("steps_offset", 0)),
            alpha_to_one=bool(config.get("set_alpha_to_one", True)),
            clip=config.get("clip_sample"),
            clip_range=float(config.get("clip_sample_range", 1.0)),
            variance=config.get("variance_type") or "fixed_small",
            distilled_steps=int(config.get("original_inference_steps", 50)),
            timestep_scaling=float(config.get("timestep_scaling", 10.0)),
            exact_sigmas=None if zero_snr or snr_shifted else _exact_sigmas(config),
            snr_shifted=snr_shifted,
        )

    @classmethod
    def _preconditioned(cls, config: Mapping[str, Any]) -> NoiseSchedule:
        """The schedule of a preconditioned model."""
        numbers = [float(config.get(key, usual)) for key, usual in _EDM_DEFAULTS.items()]
        high, low, rho = numbers
        if low >= high:
            raise InvalidFile(
                "the model's scheduler file sets sigma_min to a value that gives no noise levels",
                port="model",
                given=f"{low:g}",
                expected=f"below sigma_max, {high:g}",
                hint="Use the scheduler folder of the original model.",
            )
        levels = np.exp(np.linspace(math.log(low), math.log(high), _EDM_ENTRIES))
        sigmas = torch.from_numpy(levels).float()
        kept = 1 / (1 + sigmas**2)
        betas = 1 - torch.cat([kept[:1], kept[1:] / kept[:-1]])
        return cls(
            betas=betas,
            alphas_cumprod=kept,
            sigmas=sigmas,
            prediction_type="sample",
            clip=False,
            exact_sigmas=levels,
            karras=KarrasRange(high, low, rho),
        )

    @classmethod
    def _between_levels(cls, config: Mapping[str, Any]) -> NoiseSchedule:
        """The schedule of a model of any noise level between two: a table over log sigma, as
        ComfyUI lays it.

        Such a model is evaluated at the level itself; the table serves schedules by timestep.
        """
        low, high = float(config.get("sigma_min", 0.3)), float(config.get("sigma_max", 500.0))
        count = int(config.get("num_train_timesteps", 1000))
        exact = np.exp(np.linspace(math.log(low), math.log(high), count))
        exact[0], exact[-1] = low, high
        kept = 1 / (1 + exact**2)
        betas = 1 - kept / np.concatenate([[1.0], kept[:-1]])
        return cls(
            betas=torch.from_numpy(betas.astype(np.float32)),
            alphas_cumprod=torch.from_numpy(kept.astype(np.float32)),
            sigmas=torch.from_numpy(exact.astype(np.float32)),
            prediction_type=config.get("prediction_type", "v_prediction"),
            exact_sigmas=exact,
        )

    @classmethod
    def _of_time(cls, cosine: CosineTime, config: Mapping[str, Any]) -> NoiseSchedule:
        """The schedule of a model of a continuous time; the table serves what reads one."""
        kept = cosine.table()
        return cls(
            betas=1 - torch.cat([kept[:1], kept[1:] / kept[:-1]]),
            alphas_cumprod=kept,
            sigmas=((1 - kept) / kept) ** 0.5,
            prediction_type=config.get("prediction_type", "epsilon"),
            clip=False,
            cosine=cosine,
        )

    @property
    def timesteps(self) -> int:
        """Number of training timesteps."""
        return len(self.betas)

    def alpha_bar_at(self, timestep: Tensor) -> Tensor:
        """Alpha bar of a timestep, which is a whole one unless the time is continuous; both
        0-dimensional."""
        if self.cosine is None:
            return self.alphas_cumprod[timestep]
        return self.cosine.alpha_bar(timestep.reshape(1) / TIMESTEPS)[0]

    def timestep_to_sigma(self, timesteps: NDArray[Any] | float) -> NDArray[np.float64]:
        """Noise levels of timesteps; fractional ones are interpolated linearly."""
        if self.cosine is not None:
            return self.cosine.sigmas(np.asarray(timesteps) / TIMESTEPS)
        table = self.sigmas.numpy()
        return np.asarray(np.interp(timesteps, np.arange(len(table)), table))

    def sigma_to_timestep(self, sigmas: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Timesteps of noise levels, interpolated over log sigma and clamped at both ends.

        It inverts `timestep_to_sigma` at whole timesteps; between them the two interpolate
        differently, as samplers have since k-diffusion's DiscreteSchedule.
        """
        if self.cosine is not None:
            return self.cosine.times(sigmas) * TIMESTEPS
        table = np.log(self.sigmas.numpy())
        wanted = np.log(np.maximum(np.asarray(sigmas, dtype=np.float64), 1e-10))
        low = np.clip(_last_below(table, wanted), 0, len(table) - 2)
        below, above = table[low], table[low + 1]
        # two that are alike are one
        gap = np.where(below == above, -1, below - above)
        share = np.clip((below - wanted) / gap, 0, 1)
        return np.asarray((1 - share) * low + share * (low + 1))

    def scales(
        self, timestep: float | None = None, sigma: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scales of latent and noise at a timestep or noise level; float32, 0-dimensional.

        At whole timesteps alpha bar is the table's, elsewhere 1 / (1 + sigma²).

        Args:
            timestep: 0 (nearly clean) to the number of training timesteps - 1; or give `sigma`.
            sigma: At least 0.
        Raises:
            InvalidValue: One is out of range.
        """
        if self.karras is not None:
            level = float(self.timestep_to_sigma(timestep or 0.0)) if sigma is None else sigma
            check_noise_level(level)
            return torch.tensor(1.0), torch.tensor(level)
        alpha_bar = self._alpha_bar(timestep, sigma)
        return alpha_bar**0.5, (1 - alpha_bar) ** 0.5

    def _alpha_bar(self, timestep: float | None, sigma: float | None) -> Tensor:
        if timestep is not None:
            check_timestep(timestep, self.timesteps - 1)
            if timestep == int(timestep):
                return self.alphas_cumprod[int(timestep)].to(torch.float32)
            sigma = float(self.timestep_to_sigma(timestep))
        assert sigma is not None
        check_noise_level(sigma)
        return torch.tensor(1.0 / (1.0 + sigma**2))


_EDM_DEFAULTS = {"sigma_max": 80.0, "sigma_min": 0.002, "rho": 7.0}
"""Those of diffusers' scheduler."""


def _last_below(table: NDArray[Any], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where the last number of a table is that isn't above one; -1 where there is none."""
    if (np.diff(table) >= 0).all():
        return np.asarray(np.searchsorted(table, wanted, side="right") - 1)
    # of zero terminal SNR: the last level is the floor, which those before it may be above
    below = [np.flatnonzero(table <= level) for level in wanted.ravel()]
    last = [int(indices[-1]) if len(indices) else -1 for indices in below]
    return np.array(last, dtype=np.int64).reshape(wanted.shape)


def check_timestep(timestep: float, last: int) -> None:
    """Refuse a timestep beyond the last.

    Raises:
        InvalidValue: On port ``timestep``.
    """
    if not 0 <= timestep <= last:
        raise InvalidValue(
            "the timestep is outside the model's training range",
            port="timestep",
            given=str(timestep),
            expected=f"0 to {last}",
        )


def check_noise_level(sigma: float, highest: float = math.inf) -> None:
    """Refuse a noise level that there is not.

    Raises:
        InvalidValue: On port ``sigma``.
    """
    if not (math.isfinite(sigma) and 0 <= sigma <= highest):
        raise InvalidValue(
            "a noise level must be at least 0"
            + ("" if highest == math.inf else f" and at most {highest:g}"),
            port="sigma",
            given=str(sigma),
        )


def draw_noise(shape: Sequence[int], seed: int, indices: Sequence[int]) -> Tensor:
    """Standard normal noise in which each item depends on its own seed alone.

    Args:
        shape: Of one item: (channels, height / 8, width / 8).
        seed, indices: Item i is drawn from a generator seeded with seed + indices[i].
    Returns:
        float32 on the CPU, shape (len(indices), *shape).
    """
    return draw_from(item_generators(seed, indices), shape)


def item_generators(seed: int, indices: Sequence[int]) -> list[torch.Generator]:
    """One CPU generator for each item of a batch, seeded with seed + its index, modulo 2**64.

    torch takes the lower 32 bits of it alone.
    """
    return [torch.Generator("cpu").manual_seed((seed + index) % 2**64) for index in indices]


def draw_batch(generators: Sequence[torch.Generator], shape: Sequence[int]) -> Tensor:
    """The next standard normal noise of a batch; float32, of that shape.

    Args:
        generators: One for each item, or one for all of them.
    """
    if len(generators) == 1:
        return torch.randn(tuple(shape), generator=generators[0])
    return draw_from(generators, shape[1:])


def draw_from(generators: Sequence[torch.Generator], shape: Sequence[int]) -> Tensor:
    """The next standard normal noise of each generator; float32, (len(generators), *shape)."""
    drawn = [torch.randn((1, *shape), generator=generator) for generator in generators]
    return torch.cat(drawn)


def _betas(config: Mapping[str, Any]) -> Tensor:
    """float32, computed in the very order diffusers does, so that every bit is the same."""
    trained = config.get("trained_betas")
    if trained is not None:
        return torch.tensor(trained, dtype=torch.float32)
    start, end = config.get("beta_start", 0.0001), config.get("beta_end", 0.02)
    count = config.get("num_train_timesteps", 1000)
    kind = config.get("beta_schedule", "linear")
    if kind == "linear":
        return torch.linspace(start, end, count, dtype=torch.float32)
    if kind == "scaled_linear":
        # linear in sqrt(beta): Rombach et al. 2022, arXiv:2112.10752
        return torch.linspace(start**0.5, end**0.5, count, dtype=torch.float32) ** 2
    return _betas_of(_ALPHA_BARS[kind], count)


def _check_levels(sigmas: Tensor, config: Mapping[str, Any]) -> None:
    """Refuse tables with levels without any noise, or without an end: they have no logarithm."""
    if not (sigmas.isfinite() & (sigmas > 0)).all():
        is_trained = config.get("trained_betas") is not None
        raise InvalidFile(
            "the model's scheduler file gives noise levels that are not finite and above 0",
            port="model",
            given=f"{'trained_betas' if is_trained else 'beta_start'} that give noise levels from "
            f"{float(sigmas[0]):g} to {float(sigmas[-1]):g}",
            expected="variances above 0 and below 1, for example from 0.0001 to 0.02",
            hint="Use the scheduler folder of the original model.",
        )


def _exact_sigmas(config: Mapping[str, Any]) -> NDArray[np.float64] | None:
    kind = config.get("beta_schedule", "linear")
    if config.get("trained_betas") is not None or kind not in ("linear", "scaled_linear"):
        return None
    start, end = config.get("beta_start", 0.0001), config.get("beta_end", 0.02)
    power = 1 if kind == "linear" else 2
    ends = start ** (1 / power), end ** (1 / power)
    betas = torch.linspace(*ends, config.get("num_train_timesteps", 1000), dtype=torch.float64)
    kept = torch.cumprod(1.0 - betas**power, dim=0)
    exact: NDArray[np.float64] = (((1 - kept) / kept) ** 0.5).numpy()
    return exact


def _cosine_alpha_bar(time: float) -> float:
    """Source: Nichol & Dhariwal 2021, arXiv:2102.09672, equation 17."""
    return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2


def _exponential_alpha_bar(time: float) -> float:
    """Source: diffusers, ``schedulers/scheduling_heun_discrete.py``, ``betas_for_alpha_bar``."""
    return math.exp(-12.0 * time)


_ALPHA_BARS = {"squaredcos_cap_v2": _cosine_alpha_bar, "exp": _exponential_alpha_bar}
"""By ``beta_schedule``: alpha bar at a time of the noising, 0 to 1."""


def _betas_of(alpha_bar: Callable[[float], float], count: int, largest: float = 0.999) -> Tensor:
    """Betas by which alpha bar falls as a function of time."""
    ratios = (alpha_bar((i + 1) / count) / alpha_bar(i / count) for i in range(count))
    return torch.tensor([min(1 - ratio, largest) for ratio in ratios], dtype=torch.float32)


_SNR_SHIFT_DEFAULTS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "snr_shift_scale": 3.0,
}
"""Those of diffusers' schedulers of CogVideoX, which differ from the others'."""


def _snr_shifted(config: Mapping[str, Any], zero_snr: bool) -> Tensor:
    """Alpha bar of each timestep, whose signal-to-noise ratio is divided by a factor; float64.

    Source: Yang et al. 2024, arXiv:2408.06072, section 2.3 and appendix; diffusers'
    ``CogVideoXDDIMScheduler``, whose order of operations gives the same bits.
    """
    shift = config["snr_shift_scale"]
    if config["beta_schedule"] == "scaled_linear" and config.get("trained_betas") is None:
        ends = config["beta_start"] ** 0.5, config["beta_end"] ** 0.5
        count = config.get("num_train_timesteps", 1000)
        betas = torch.linspace(*ends, count, dtype=torch.float64) ** 2
    else:
        betas = _betas(config)
    kept = torch.cumprod(1.0 - betas, dim=0)
    shifted: Tensor = kept / (shift + (1 - shift) * kept)
    if zero_snr:
        root = shifted.sqrt()
        first, last = root[0].clone(), root[-1].clone()
        return ((root - last) * (first / (first - last))) ** 2
    return shifted


def _before(alphas_cumprod: Tensor) -> Tensor:
    """Alpha bar of the timestep before each; 1 before the first."""
    return torch.cat([torch.ones_like(alphas_cumprod[:1]), alphas_cumprod[:-1]])


def _rescaled_to_zero_snr(betas: Tensor) -> Tensor:
    """Betas shifted and stretched so that nothing of the image is left at the last timestep.

    Source: Lin et al. 2023, arXiv:2305.08891, algorithm 1.
    """
    root = torch.cumprod(1.0 - betas, dim=0).sqrt()
    first, last = root[0].clone(), root[-1].clone()
    root = (root - last) * (first / (first - last))
    alpha_bar = root**2
    alphas = torch.cat([alpha_bar[:1], alpha_bar[1:] / alpha_bar[:-1]])
    return 1 - alphas


def _sigmas(alphas_cumprod: Tensor, zero_snr: bool) -> Tensor:
    floored = alphas_cumprod.clone()
    if zero_snr:
        floored[-1] = ZERO_SNR_FLOOR
    return ((1 - floored) / floored) ** 0.5


class CleanArithmetic(Protocol):
    """Between a network's output and the clean latent that it says is in x."""

    def to_clean(self, x: Tensor, output: Tensor, moment: Moment) -> Tensor:
        """The clean latent that an output says is in x."""
        ...

    def from_clean(self, x: Tensor, clean: Tensor, moment: Moment) -> Tensor:
        """The output that says so."""
        ...

    def velocity_scales(self, moment: Moment) -> tuple[float, float]:
        """What x and the velocity are multiplied by, of which the clean latent is the difference:
        ``clean = of_x · x - of_velocity · velocity``."""
        ...


def clean_arithmetic(config: Mapping[str, Any], family: Family) -> CleanArithmetic:
    """For a model with a scheduler file."""
    return FlowArithmetic() if family.noise == "flow" else OutputArithmetic.of(config)


@dataclass(frozen=True, slots=True)
class FlowArithmetic:
    """Of flow models: x = (1 - sigma) · clean + sigma · noise, and the output is noise - clean.

    Source: Liu et al. 2022, arXiv:2209.03003, equation 1.
    """

    def to_clean(self, x: Tensor, output: Tensor, moment: Moment) -> Tensor:
        """The clean latent that an output says is in x."""
        return x - moment.timestep_value / moment.training_timesteps * output

    def from_clean(self, x: Tensor, clean: Tensor, moment: Moment) -> Tensor:
        """The output that says so."""
        return (x - clean) * (moment.training_timesteps / moment.timestep_value)

    def velocity_scales(self, moment: Moment) -> tuple[float, float]:
        """As ComfyUI takes it of all models: as if x were clean + sigma · noise."""
        sigma = moment.timestep_value / moment.training_timesteps
        return 1 / (sigma**2 + 1), sigma * (sigma**2 + 1) ** -0.5


@dataclass(frozen=True, slots=True)
class OutputArithmetic:
    """Of models of noise variances: conversions at the timestep that the network is asked at.

    The latent as the network takes it is x = alpha · clean + deviation · noise, with
    alpha² + deviation² = 1. Of the velocity see Salimans & Ho 2022, arXiv:2202.00512, section 4.
    """

    noise: NoiseSchedule

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> OutputArithmetic:
        """For a model with a scheduler file."""
        return cls(NoiseSchedule.from_config(config))

    def scales(self, moment: Moment) -> tuple[float, float]:
        """Of the clean latent and the noise, between whole timesteps by interpolation."""
        sigma = float(self.noise.timestep_to_sigma(moment.timestep_value))
        if self.noise.karras is not None:
            return 1.0, sigma
        alpha = (1 + sigma**2) ** -0.5
        return alpha, sigma * alpha

    def velocity_scales(self, moment: Moment) -> tuple[float, float]:
        """Those of the definition, which are `scales`."""
        return self.scales(moment)

    def to_noise(self, x: Tensor, output: Tensor, moment: Moment) -> Tensor:
        """The noise that an output says is in x."""
        alpha, deviation = self.scales(moment)
        if self.noise.prediction_type == "v_prediction":
            return alpha * output + deviation * x
        if self.noise.prediction_type == "sample":
            return (x - alpha * output) / deviation
        return output

    def to_clean(self, x: Tensor, output: Tensor, moment: Moment) -> Tensor:
        """The clean latent that an output says is in x."""
        alpha, deviation = self.scales(moment)
        if self.noise.prediction_type == "v_prediction":
            return alpha * x - deviation * output
        if self.noise.prediction_type == "sample":
            return output
        return (x - deviation * output) / alpha

    def from_clean(self, x: Tensor, clean: Tensor, moment: Moment) -> Tensor:
        """The output that says that this clean latent is in x."""
        alpha, deviation = self.scales(moment)
        if self.noise.prediction_type == "v_prediction":
            return (alpha * x - clean) / deviation
        if self.noise.prediction_type == "sample":
            return clean
        return (x - alpha * clean) / deviation

    def from_noise_change(self, change: Tensor, moment: Moment) -> Tensor:
        """How the output changes where the noise in x does by so much."""
        alpha, deviation = self.scales(moment)
        if self.noise.prediction_type == "v_prediction":
            return change / alpha
        if self.noise.prediction_type == "sample":
            return -deviation / alpha * change
        return change
