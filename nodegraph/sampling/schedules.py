"""Noise levels and timesteps of a sampling, resolved from a schedule for a model.

A schedule is a name in `SCHEDULES`. Where diffusers has it, the levels are the same to the last
bit; samplers differ there in how they lay their steps: `Grid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.comfyui_sigmas import (
    comfyui_progress,
    nearest_timesteps,
    table_progress,
    table_sigmas,
)
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.families.noise import NoiseSchedule
from nodegraph.families.sampler_names import SCHEDULE_PLUGINS, SPACINGS, check_schedule
from nodegraph.families.schedule_checks import FLOW_LAWS, LEVELS
from nodegraph.families.sigma_curves import check_sigma
from nodegraph.sampling.composed_schedules import Schedule, ScheduleSegment, named_schedule
from nodegraph.sampling.flow_schedules import flow_levels, with_timesteps
from nodegraph.sampling.table_schedules import (
    FURTHER_SCHEDULES,
    SCHEDULES,
    TABLE,
    Grid,
    on_model_grid,
    plugin_table_levels,
)

LEAST_LEVEL = 1e-4
"""What a table model's levels rise from in place of 0, where a slope would have no end."""

_MOST_SHOWN = 8
"""Levels that a message names at most."""


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """The noise levels of one sampling, mostly the highest first.

    Attributes:
        sigmas: Strictly falling, the last is 0, or else strictly rising; float32 on the CPU,
            shape (levels + 1,).
        timesteps: Where the model is asked; int64 if the sampler takes whole ones, else float32;
            on the CPU, shape (levels,).
        first: The level that sampling starts on; above 0 where part of the image is kept.
        spacing: leading, trailing or linspace: how the timesteps lie, or would in the normal
            schedule; of flow models, how the levels do, as `FlowNoise.spread` has it.
        stride: Training timesteps between levels, rounded down, if the levels are evenly spaced by
            a scheduler file's rule; else None.
        last: The level that sampling ends on, where it is stopped before the noise is gone; else
            None.
        whole_range: Where the sampling that this is a part of begins and ends; None if it is all of
            it.
        comfyui_progress: Laid as ComfyUI does, the part of the training timesteps that lies behind
            each level and the end, by which the sampling's parts are told there; shape
            (levels + 1,). Else None: parts are told by steps.
        starts_at_max_sigma: Laid so, whether a table model's latent begins at its greatest noise
            level.
        min_progress: Laid so, the part that counts as behind wherever one begins: above 0 of tables
            that are shorter than ComfyUI takes them to be.
    """

    sigmas: Tensor
    timesteps: Tensor
    first: int
    spacing: str
    stride: int | None = None
    last: int | None = None
    whole_range: tuple[int, int] | None = None
    comfyui_progress: tuple[float, ...] | None = None
    starts_at_max_sigma: bool = False
    min_progress: float = 0.0

    @property
    def level_count(self) -> int:
        """Noise levels above 0, those that are skipped included."""
        return len(self.timesteps)

    @property
    def end(self) -> int:
        """The level that sampling ends on."""
        return self.level_count if self.last is None else self.last

    @property
    def steps(self) -> int:
        """Steps that are walked."""
        return self.end - self.first

    def walked(self, step_index: int) -> int:
        """Steps of the whole sampling that lie behind a level."""
        return step_index - (self.first if self.whole_range is None else self.whole_range[0])

    def progress(self, step_index: int) -> float:
        """Part of the whole sampling that lies behind a level, from 0 on."""
        if self.comfyui_progress is not None:
            return self.comfyui_progress[step_index]
        begin, end = self.whole_range or (self.first, self.level_count)
        return (step_index - begin) / (end - begin)

    def progress_after_step(self, step_index: int) -> float:
        """Part of the whole sampling by which it is told whether the step from a level still lies
        in a part: where it ends; by ComfyUI's convention where it begins."""
        return self.progress(step_index + 1 if self.comfyui_progress is None else step_index)

    def remaining_share(self, step_index: int) -> float:
        """Share of the whole sampling's timesteps that is left at a level, 1 where it begins."""
        begin, _ = self.whole_range or (self.first, self.level_count)
        highest = float(self.timesteps[begin:].max())
        return float(self.timesteps[step_index]) / highest if highest else 1.0

    def point(self, step_index: int) -> tuple[float, int, float]:
        """`progress` and `walked` of a level, and the part up to which those that begin there have
        begun."""
        progress = self.progress(step_index)
        return progress, self.walked(step_index), max(progress, self.min_progress)


def sigmas_for(
    schedule: str,
    noise: ModelNoise,
    steps: int,
    denoise: float = 1.0,
    *,
    grid: Grid = TABLE,
    tokens: int = 0,
) -> NoiseLevels:
    """The noise levels and timesteps of a sampling, by the name of its schedule.

    Args:
        schedule: One of `SCHEDULES`; with flow models, of `FLOW_SCHEDULES`.
        steps: Steps of the whole schedule, 1 to 10000.
        denoise: Fraction of the schedule that runs, above 0 to 1. Of 20 steps, 0.25 runs the
            last 5: int(steps · denoise), as `strength` does in diffusers' image-to-image
            pipeline. (ComfyUI runs all 20 of a schedule of 80.)
        grid: The sampler's step spacing.
        tokens: Tokens of the latent, as the model's family counts them. They may shift flow models.
    Raises:
        InvalidValue: A number is out of range, the model has too few noise levels, or it cannot
            use the schedule.
    """
    check_schedule(schedule, noise.kind)
    return levels_for(named_schedule(schedule, steps, denoise), noise, grid=grid, tokens=tokens)


def levels_for(
    schedule: Schedule, noise: ModelNoise, *, grid: Grid = TABLE, tokens: int = 0
) -> NoiseLevels:
    """The noise levels and timesteps of a sampling by a schedule.

    Arguments besides it, and errors, are those of `sigmas_for`.
    """
    stretch_levels = [_of_law(stretch, noise, grid, tokens) for stretch in schedule.segments]
    if len(stretch_levels) == 1 and not schedule.rises:
        noise_levels = _stretched(schedule.segments[0], stretch_levels[0])
    else:
        noise_levels = _joined(schedule, stretch_levels, noise)
    return _with_comfyui_progress(noise_levels, noise) if grid.is_comfyui else noise_levels


_NEARLY_FULL = 1 - 1e-5
"""Part of the greatest noise level from which on a latent begins with nothing but noise."""
_NEARLY_ONE = 1 - 1e-6
"""Most of the sampling that lies behind a level where there is noise."""


def _with_comfyui_progress(noise_levels: NoiseLevels, noise: ModelNoise) -> NoiseLevels:
    """The same with what ComfyUI tells by noise levels."""
    levels, timesteps = noise_levels.sigmas.numpy().astype(np.float64), noise_levels.timesteps
    if isinstance(noise, FlowNoise):
        full, least = False, 0.0
        gone = 1 - noise.common.times(levels)
        shares = comfyui_progress(gone, levels, noise.common.sigma_at)
    else:
        shares, least = table_progress(noise, levels)
        timesteps = torch.from_numpy(nearest_timesteps(noise, levels[: len(timesteps)]))
        full = levels[noise_levels.first] >= _NEARLY_FULL * float(noise.sigmas[-1])
    behind = np.where(levels > 0, np.clip(shares, 0, _NEARLY_ONE), 1.0)
    spacing = "leading" if full else "linspace"
    common = replace(
        noise_levels, timesteps=timesteps, comfyui_progress=tuple(behind.tolist()), spacing=spacing
    )
    return replace(common, starts_at_max_sigma=bool(full), min_progress=least)


def _of_law(stretch: ScheduleSegment, noise: ModelNoise, grid: Grid, tokens: int) -> NoiseLevels:
    """All levels of a stretch's law."""
    if stretch.dropped:
        longer = replace(stretch, steps=stretch.steps + 1, dropped=False)
        noise_levels = _of_law(longer, noise, grid, tokens)
        kept = torch.cat([noise_levels.sigmas[:-2], noise_levels.sigmas[-1:]])
        return replace(
            noise_levels, sigmas=kept, timesteps=noise_levels.timesteps[:-1], stride=None
        )
    if stretch.start is not None:
        noise_levels = _of_law(replace(stretch, start=None), noise, grid, tokens)
        return _started(stretch, noise_levels, noise)
    if stretch.factor != 1 and grid.reads_table:
        raise InvalidValue(
            "a sampler that reads the model's sigma table cannot use scaled levels",
            port="schedule",
            hint="Use euler, or remove ScaleSchedule.",
        )
    if isinstance(noise, FlowNoise):
        return _flow_levels(stretch, noise, tokens, grid.flow)
    return _table_levels(stretch, noise, grid)


def _started(stretch: ScheduleSegment, noise_levels: NoiseLevels, noise: ModelNoise) -> NoiseLevels:
    """With another level where the stretch begins; the model is asked there as near as it can be.

    Raises:
        InvalidValue: The next level isn't below it, or a flow model knows none as high.
    """
    start, at = stretch.start, stretch.first
    assert start is not None
    if isinstance(noise, FlowNoise):
        check_sigma(start, 1.0, "schedule")
    if start <= float(noise_levels.sigmas[at + 1]):
        raise InvalidValue(
            "the first level that was set is not above the next one",
            port="schedule",
            given=_levels_text(torch.tensor([start, float(noise_levels.sigmas[at + 1])])),
            hint="Set a higher level.",
        )
    sigmas, timesteps = noise_levels.sigmas.clone(), noise_levels.timesteps.clone()
    sigmas[at] = start
    start_timestep = torch.from_numpy(np.atleast_1d(noise.sigma_to_timestep(np.array([start]))))
    whole = not timesteps.is_floating_point()
    timesteps[at] = (start_timestep.round() if whole else start_timestep).to(timesteps.dtype)[0]
    return replace(noise_levels, sigmas=sigmas, timesteps=timesteps, stride=None)


def _flow_levels(
    stretch: ScheduleSegment, noise: FlowNoise, tokens: int, custom: str
) -> NoiseLevels:
    steps, numbers = stretch.steps, dict(stretch.numbers)
    if stretch.law == LEVELS:
        levels, timesteps = with_timesteps(_listed_levels(stretch, 1.0), noise, custom)
    elif stretch.law in FLOW_LAWS or stretch.law in SCHEDULE_PLUGINS:
        levels, timesteps = flow_levels(stretch.law, noise, steps, tokens, custom, numbers)
    else:
        raise _unfit(stretch.law, FLOW_LAWS)
    if stretch.factor != 1:
        scaled = levels[:-1].astype(np.float64) * stretch.factor
        levels, timesteps = with_timesteps(scaled, noise, custom)
    check_sigma(float(levels[0]), 1.0, "schedule")
    _check_falling(stretch, timesteps, levels, noise.timesteps, noise.timesteps)
    return NoiseLevels(torch.from_numpy(levels), torch.from_numpy(timesteps), 0, noise.spread)


def _table_levels(stretch: ScheduleSegment, noise: NoiseSchedule, grid: Grid) -> NoiseLevels:
    law, steps = stretch.law, stretch.steps
    if noise.cosine is not None:
        # Any time is a timestep.
        grid = replace(grid, integer_timesteps=False, reads_table=False)
    # too many steps show as levels that don't fall, which is refused below
    with np.errstate(divide="ignore", invalid="ignore"):
        if law == LEVELS:
            listed_sigmas = _listed_levels(stretch, float(noise.sigmas[-1]))
            timesteps, sigmas = on_model_grid(noise, listed_sigmas, grid)
        elif grid.is_comfyui and (common := table_sigmas(law, noise, steps)) is not None:
            timesteps, sigmas = on_model_grid(noise, common, grid)
        else:
            if law in SCHEDULE_PLUGINS:
                timesteps, sigmas = plugin_table_levels(law, noise, steps, grid)
            else:
                lay = SCHEDULES.get(law) or FURTHER_SCHEDULES[law]
                timesteps, sigmas = lay(noise, steps, grid, **dict(stretch.numbers))
            if grid.is_comfyui:
                timesteps, sigmas = on_model_grid(noise, sigmas, grid)
        if stretch.factor != 1:
            timesteps, sigmas = on_model_grid(noise, sigmas * stretch.factor, grid)
    check_sigma(float(sigmas[0]), float(noise.sigmas[-1]), "schedule")
    levels = np.concatenate([sigmas, [0.0]]).astype(np.float32)
    _check_falling(stretch, timesteps, levels, noise.timesteps, noise.timesteps - 1)
    is_of_file = not grid.distilled and noise.karras is None and noise.cosine is None
    even = law in SPACINGS or (law == "normal" and is_of_file)
    return NoiseLevels(
        sigmas=torch.from_numpy(levels),
        timesteps=torch.from_numpy(
            timesteps.astype(np.int64 if grid.integer_timesteps else np.float32)
        ),
        first=0,
        spacing=law if law in SPACINGS else noise.spacing or grid.spacing,
        stride=noise.timesteps // steps if even and stretch.factor == 1 else None,
    )


def _listed_levels(stretch: ScheduleSegment, greatest: float) -> NDArray[np.float64]:
    """Levels that were named one by one, without a closing 0.

    Args:
        greatest: That the model knows.
    """
    check_sigma(stretch.levels[0], greatest, "sigmas")
    return np.array([level for level in stretch.levels if level > 0])


def _stretched(stretch: ScheduleSegment, noise_levels: NoiseLevels) -> NoiseLevels:
    """A part of a law's levels."""
    whole = stretch.begin, stretch.steps
    if not stretch.closed:
        last = None if stretch.last == noise_levels.level_count else stretch.last
        return replace(noise_levels, first=stretch.first, last=last, whole_range=whole)
    sigmas = torch.cat([noise_levels.sigmas[: stretch.last], torch.zeros(1)])
    timesteps = noise_levels.timesteps[: stretch.last]
    closed = replace(noise_levels, sigmas=sigmas, timesteps=timesteps, stride=None)
    return replace(closed, first=stretch.first, whole_range=whole)


def _joined(
    schedule: Schedule, stretch_levels: Sequence[NoiseLevels], noise: ModelNoise
) -> NoiseLevels:
    """Parts of laws one after the other: each gives the levels that its steps begin at."""
    if len({stretch.rises for stretch in schedule.segments}) > 1:
        raise InvalidValue(
            "a descending schedule cannot be joined with an ascending one", port="schedule"
        )
    least = 0.0 if isinstance(noise, FlowNoise) else LEAST_LEVEL
    stretches, (*_, final) = schedule.segments, schedule.segments
    parts = [_ordered(*pair, least=least) for pair in zip(stretches, stretch_levels, strict=True)]
    lengths = [*(stretch.length for stretch in stretches[:-1]), None]
    sigmas = [item[:length] for (item, _), length in zip(parts, lengths, strict=True)]
    timesteps = [item[:length] for (_, item), length in zip(parts, lengths, strict=True)]
    if final.closed:
        sigmas[-1] = torch.cat([sigmas[-1][: final.length], torch.zeros(1)])
        timesteps[-1] = timesteps[-1][: final.length]
    levels, joined_timesteps = torch.cat(sigmas), torch.cat(timesteps)
    falls = levels.diff()
    if not ((falls > 0) if schedule.rises else (falls < 0)).all():
        raise InvalidValue(
            "the noise levels of joined schedules do not continue in the same direction",
            port="schedule",
            given=_levels_text(levels),
            hint="Join them in the other order, or split them where they meet.",
        )
    _check_open(stretches, [levels for levels, _ in parts])
    last = None if len(joined_timesteps) == schedule.steps else schedule.steps
    return NoiseLevels(
        levels, joined_timesteps, 0, stretch_levels[-1].spacing, None, last, (0, schedule.steps)
    )


def _check_open(stretches: Sequence[ScheduleSegment], parts: Sequence[Tensor]) -> None:
    """Refuse stretches after one that takes all noise away: there is nothing left to walk.

    Args:
        parts: Levels from where each begins, at least to where it ends.
    """
    for stretch, levels in zip(stretches[:-1], parts, strict=False):
        if not stretch.rises and (stretch.closed or levels[stretch.length] == 0):
            raise InvalidValue(
                "a schedule that ends at zero noise cannot be followed by another one",
                port="schedule",
                given=_levels_text(levels),
                hint="Use the first output of SplitSchedule, or join them in the other order.",
            )


def _ordered(
    stretch: ScheduleSegment, noise_levels: NoiseLevels, *, least: float
) -> tuple[Tensor, Tensor]:
    """Levels from where a stretch begins, and their timesteps, in the order of its steps.

    A falling one continues to the end of its law, a rising one to where it ends.

    Args:
        least: What a rising one begins with in place of no noise at all.
    """
    if not stretch.rises:
        return noise_levels.sigmas[stretch.first :], noise_levels.timesteps[stretch.first :]
    closing = torch.cat([noise_levels.timesteps, noise_levels.timesteps.new_zeros(1)])
    window = slice(stretch.first, stretch.last + 1)
    sigmas = noise_levels.sigmas.clamp(min=least)[window].flip(0)
    return sigmas, closing[window].flip(0)[:-1]


def _unfit(law: str, able: Sequence[str]) -> InvalidValue:
    return InvalidValue(
        "the sampler cannot use such a schedule with this model",
        port="schedule",
        given=law,
        expected=", ".join(able),
        hint="Use normal, which is the model's own schedule.",
    )


def _levels_text(levels: Tensor) -> str:
    """Some levels as text."""
    numbers = [f"{level:.4g}" for level in levels.tolist()]
    return ", ".join(
        numbers if len(numbers) <= _MOST_SHOWN else [*numbers[: _MOST_SHOWN - 1], "…", numbers[-1]]
    )


def _check_falling(
    stretch: ScheduleSegment,
    timesteps: NDArray[Any],
    levels: NDArray[np.float32],
    count: int,
    last: int,
) -> None:
    # A flow's shift of all noise may round to a hair above it, as it does in diffusers.
    in_range = timesteps.max() <= last * (1 + 4 * np.finfo(np.float32).eps)
    if in_range and np.isfinite(levels).all() and (np.diff(levels) < 0).all():
        return
    raise InvalidValue(
        f"the {stretch.law} schedule cannot place {stretch.steps} steps on {count} noise levels",
        port="steps",
        given=str(stretch.steps),
        hint="Use fewer steps.",
    )
