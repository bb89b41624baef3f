"""Samplers as values, with their options."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Choices, Range, node
from nodegraph.families.sampler_names import (
    SAMPLER_NAMES,
    SAMPLER_PLUGINS,
    SCHEDULE_NAMES,
    SCHEDULE_PLUGINS,
    SYNONYMS,
    sampler_release,
)
from nodegraph.sampling.sampler_options import SamplerOptions, resolve_options
from nodegraph.sampling.sampling_parts import SamplerChoice

from ._part_facts import check_options

SamplerName = Annotated[str, Choices(SAMPLER_NAMES, SYNONYMS, plugins=SAMPLER_PLUGINS)]
ScheduleName = Annotated[str, Choices(SCHEDULE_NAMES, plugins=SCHEDULE_PLUGINS)]


@node(
    category="sampling",
    facts={"sampler": {"sampler": "sampler", "s_churn": "s_churn"}},
    validate=check_options,
    tags=(
        "KSamplerSelect",
        "SamplerEulerAncestral",
        "SamplerLCM",
        "SamplerER_SDE",
        "eta",
        "churn",
        "SampleCustom",
    ),
)
def SelectSampler(
    sampler: SamplerName = "dpmpp_2m",
    eta: Annotated[float | None, Range(0, 1, step=0.01)] = None,
    s_noise: Annotated[float | None, Range(0, 10, step=0.01)] = None,
    s_churn: Annotated[float | None, Range(0, 1000, step=0.1), Advanced()] = None,
    s_tmin: Annotated[float | None, Range(0, 1e6), Advanced()] = None,
    s_tmax: Annotated[float | None, Range(0, 1e6), Advanced()] = None,
    order: Annotated[int | None, Range(1, 4), Advanced()] = None,
    gamma: Annotated[float | None, Range(1, 5, step=0.1), Advanced()] = None,
    repeats: Annotated[int | None, Range(0, 20), Advanced()] = None,
    s_noise_end: Annotated[float | None, Range(0, 10, step=0.01), Advanced()] = None,
    noise_clip: Annotated[float | None, Range(0, 10, step=0.1), Advanced()] = None,
) -> SamplerChoice:
    """Choose a sampler and its options for SampleCustom.

    An option that is left out keeps the default of the sampler.

    Args:
        sampler: The sampling method. Methods of packs and installed packages are included.
        eta: Share of the noise that is drawn anew in each step. 0 draws none.
        s_noise: Factor on all noise that is drawn during sampling.
        s_churn: Noise that is added before steps, in total over the sampling.
        s_tmin, s_tmax: Range of noise levels in which noise is added or steps are repeated.
        order: Order of the method: how many predictions each step uses.
        gamma: Weight of the extrapolation from the previous slope.
        repeats: How often the steps between s_tmax and s_tmin are repeated.
        s_noise_end: Value that s_noise reaches in the last step.
        noise_clip: Limit of the noise, in standard deviations. 0 does not clip.
    """
    options = SamplerOptions(
        eta, s_noise, s_churn, s_tmin, s_tmax, order, gamma, repeats, s_noise_end, noise_clip
    )
    resolve_options(sampler, options)
    return SamplerChoice(sampler, options, sampler_release(sampler))
