"""Noise schedules of flow matching models that depend on steps and size only."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Latent, Range, node
from nodegraph.families.flow_shift import (
    LTX_TOKENS,
    flux2_levels,
    logit_normal_levels,
    ltx_levels,
)
from nodegraph.families.schedule_checks import MAX_STEPS
from nodegraph.sampling.composed_schedules import Schedule, listed_schedule

from ._part_facts import levels_facts

Steps = Annotated[int, Range(1, MAX_STEPS)]
Side = Annotated[int, Range(16, 16384)]
Log = Annotated[float, Range(-10, 10, step=0.01)]
_STEPS = {"schedule": {"steps": "steps"}}
_TAGS = ("sigma", "sigmas", "SampleCustom", "flow")


@node(
    category="schedule",
    label="Flux.2 schedule",
    facts=_STEPS,
    infer=levels_facts,
    tags=(*_TAGS, "Flux2Scheduler"),
)
def Flux2Schedule(steps: Steps = 20, width: Side = 1024, height: Side = 1024) -> Schedule:
    """Noise schedule of Flux.2 for an image size and a number of steps.

    Args:
        steps: Number of steps.
        width, height: Size of the image, in pixels.
    """
    return listed_schedule(flux2_levels(steps, width, height))


@node(
    category="schedule",
    label="LTX-Video schedule",
    facts=_STEPS,
    infer=levels_facts,
    tags=(*_TAGS, "LTXVScheduler", "video"),
)
def LTXSchedule(
    steps: Steps = 20,
    latent: Latent | None = None,
    max_shift: Log = 2.05,
    base_shift: Log = 0.95,
    stretch: bool = True,
    terminal: Annotated[float, Range(0, 0.99, step=0.01), Advanced()] = 0.1,
) -> Schedule:
    """Noise schedule of LTX-Video for a video size and length.

    Args:
        steps: Number of steps.
        latent: The video latent. If not linked, 4096 tokens are assumed.
        max_shift: Logarithm of the shift at 4096 tokens.
        base_shift: Logarithm of the shift at 1024 tokens.
        stretch: Whether to stretch the levels so that the last level above 0 equals terminal.
        terminal: The last level above 0, if stretched.
    """
    from nodegraph.families.registry import get_family
    from nodegraph.sampling.preflight import tokens_of

    tokens = LTX_TOKENS[1] if latent is None else tokens_of(get_family("ltx"), latent)
    levels = ltx_levels(
        steps,
        tokens,
        base_shift=base_shift,
        max_shift=max_shift,
        terminal=terminal if stretch else None,
    )
    return listed_schedule(levels)


@node(
    category="schedule",
    label="Logit-normal schedule",
    facts=_STEPS,
    infer=levels_facts,
    tags=(*_TAGS, "Ideogram4Scheduler", "Ideogram"),
)
def LogitNormalSchedule(
    steps: Steps = 20,
    width: Side = 1024,
    height: Side = 1024,
    mu: Log = 0.0,
    std: Annotated[float, Range(0.1, 5, step=0.05)] = 1.75,
) -> Schedule:
    """Logit-normal noise schedule for an image size, as Ideogram 4 uses it.

    Args:
        steps: Number of steps.
        width, height: Size of the image, in pixels. A larger image gets higher noise levels.
        mu: Mean of the logits of the levels, for 512 x 512.
        std: Standard deviation of the logits of the levels.
    """
    return listed_schedule(logit_normal_levels(steps, width, height, mu=mu, std=std))
