"""Samplers and schedules of other tools, as they are called in nodegraph."""

from __future__ import annotations

from collections.abc import Mapping

from nodegraph.families.sampler_names import (
    ELSEWHERE,
    SAMPLER_NAMES,
    SCHEDULE_NAMES,
    comfyui_sampler,
    find_sampler,
    missing_sampler_reason,
)
from nodegraph.interop.image_metadata.generation import Generation, shorten

DEFAULT_SAMPLER, DEFAULT_SCHEDULE = "dpmpp_2m", "karras"
_NEAREST: Mapping[str, str] = {"dpm_fast": "seeds_3", "dpm_adaptive": "dpm_2"}
"""Samplers without a counterpart, and one of the same order."""

_SCHEDULES: Mapping[str, str] = {
    **{name.replace("_", " "): name for name in SCHEDULE_NAMES},
    "uniform": "normal",
    "native": "normal",
    "ddim": "ddim_uniform",
    "polyexponential": "exponential",  # A1111's exponent is 1, with which they are equal
    "align your steps gits": "gits",
    "align your steps 11": "align_your_steps",
    "align your steps 32": "align_your_steps",
    "linear": "normal",
    "default": "normal",
}
_APPROXIMATE: Mapping[str, str] = {
    "turbo": "sgm_uniform",
    "beta57": "beta",
    "bong tangent": "beta",
    "cosine": "normal",
    "cosine-exponential blend": "exponential",
    "phi": "karras",
    "laplace": "karras",
    "karras dynamic": "karras",
    "lcm": "sgm_uniform",
    "tcd": "trailing",
    "edm playground v2.5": "karras",
    "ltxv": "sgm_uniform",
    "ltxv-image": "sgm_uniform",
    "flux2": "simple",
}
"""Schedules without a counterpart among KSampler's, and a similar one."""

_AUTOMATIC: Mapping[str, str] = {
    **dict.fromkeys(
        ("dpmpp_2m", "dpmpp_sde", "dpmpp_2s_ancestral", "dpm_2", "dpm_2_ancestral", "restart"),
        "karras",
    ),
    **dict.fromkeys(("dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"), "exponential"),
}
"""What A1111 from version 1.9 takes for the schedule type *Automatic*; others take *Uniform*."""


def read_schedule(generation: Generation, name: str) -> str:
    """Return the schedule here for one of another tool; empty if there is none, with a finding."""
    plain = " ".join(name.replace("_", " ").split()).lower()
    if plain in _SCHEDULES:
        return _SCHEDULES[plain]
    similar = _APPROXIMATE.get(plain, "")
    instead = f"`{similar}` is used, which is similar" if similar else "the usual one is used"
    generation.report(f"KSampler has no schedule `{shorten(name)}`: {instead}.")
    return similar


def read_sampler(
    generation: Generation, name: str, schedule: str = "", *, is_comfyui: bool = False
) -> tuple[str, str]:
    """Return sampler and schedule here for names of another tool; both may be empty.

    Args:
        schedule: Name of the schedule, if it is not part of the sampler's.
        is_comfyui: Whether the names are ComfyUI's, of which some mean another sampler.
    """
    if not name.strip():
        if schedule:
            return "", read_schedule(generation, schedule)
        return "", ""
    match = match_sampler(name, is_comfyui=is_comfyui)
    if match is None:
        reason = missing_sampler_reason(name)
        plain = name.strip().lower().replace(" ", "_")
        instead = _NEAREST.get(plain, DEFAULT_SAMPLER)
        why = f", as it {reason}" if reason else ""
        generation.report(f"There is no sampler `{shorten(name)}`{why}: `{instead}` is used.")
        match = instead, ""
    sampler, own = match
    if schedule.strip().lower() == "automatic":
        return sampler, own or _AUTOMATIC.get(sampler, "normal")
    if schedule:
        return sampler, read_schedule(generation, schedule) or own
    return sampler, own


def match_sampler(name: str, *, is_comfyui: bool = False) -> tuple[str, str] | None:
    """Return sampler and schedule here for a name of another tool; None if there is none."""
    plain = name.strip()
    if is_comfyui:
        sampler = comfyui_sampler(plain, SAMPLER_NAMES)
        if sampler:
            return sampler, ""
    for words in (" SMEA", " Substep", " Turbo", " Dy", " RaDaR", " (Forge)"):
        plain = plain.removesuffix(words)
    if plain in ELSEWHERE["A1111 and Forge"]:
        return ELSEWHERE["A1111 and Forge"][plain], ""
    plain = plain.removesuffix("_v3")
    return find_sampler(plain, SAMPLER_NAMES) or find_sampler(
        {"plms": "pndm", "kdpm_2": "dpm_2", "kdpm_2_a": "dpm_2_ancestral"}.get(plain, plain),
        SAMPLER_NAMES,
    )
