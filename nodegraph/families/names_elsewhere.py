"""What samplers are called in other tools, and which of ours they are. Imports no torch.

docs/samplers.md has the same, for people; here it is for messages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

ELSEWHERE: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ComfyUI": MappingProxyType(
            {
                "dpmpp_sde_gpu": "dpmpp_sde",
                "dpmpp_2m_sde_gpu": "dpmpp_2m_sde",
                "dpmpp_2m_sde_heun_gpu": "dpmpp_2m_sde_heun",
                "dpmpp_3m_sde_gpu": "dpmpp_3m_sde",
                "uni_pc_bh2": "uni_pc",
            }
        ),
        "A1111 and Forge": MappingProxyType(
            {
                "Euler a": "euler_ancestral",
                "LMS": "lms",
                "Heun": "heun",
                "DPM2": "dpm_2",
                "DPM2 a": "dpm_2_ancestral",
                "DPM++ 2S a": "dpmpp_2s_ancestral",
                "DPM++ 2M": "dpmpp_2m",
                "DPM++ SDE": "dpmpp_sde",
                "DPM++ 2M SDE": "dpmpp_2m_sde",
                "DPM++ 2M SDE Heun": "dpmpp_2m_sde_heun",
                "DPM++ 3M SDE": "dpmpp_3m_sde",
                "DDIM CFG++": "euler_cfg_pp",
                "PLMS": "pndm",
                "UniPC": "uni_pc",
                "HeunPP2": "heunpp2",
            }
        ),
        "InvokeAI": MappingProxyType(
            {
                "euler_a": "euler_ancestral",
                "kdpm_2": "dpm_2",
                "kdpm_2_a": "dpm_2_ancestral",
            }
        ),
        "diffusers": MappingProxyType(
            {
                "CosineDPMSolverMultistepScheduler": "dpmpp_2m_sde",
                "DDIMScheduler": "ddim",
                "DDIMParallelScheduler": "ddim",
                "DDPMScheduler": "ddpm",
                "DDPMParallelScheduler": "ddpm",
                "DEISMultistepScheduler": "deis",
                "DPMSolverMultistepScheduler": "dpmpp_2m",
                "DPMSolverSDEScheduler": "dpmpp_sde",
                "DPMSolverSinglestepScheduler": "dpmpp_2s",
                "EDMDPMSolverMultistepScheduler": "dpmpp_2m",
                "EDMEulerScheduler": "euler",
                "EulerAncestralDiscreteScheduler": "euler_ancestral",
                "EulerDiscreteScheduler": "euler",
                "FlowMatchEulerDiscreteScheduler": "euler",
                "FlowMatchHeunDiscreteScheduler": "heun",
                "FlowMatchLCMScheduler": "lcm",
                "HeunDiscreteScheduler": "heun",
                "IPNDMScheduler": "ipndm",
                "KDPM2AncestralDiscreteScheduler": "dpm_2_ancestral",
                "KDPM2DiscreteScheduler": "dpm_2",
                "LCMScheduler": "lcm",
                "LMSDiscreteScheduler": "lms",
                "LTXEulerAncestralRFScheduler": "euler_ancestral",
                "PNDMScheduler": "pndm",
                "SASolverScheduler": "sa_solver",
                "TCDScheduler": "tcd",
                "UniPCMultistepScheduler": "uni_pc",
            }
        ),
    }
)
"""By tool: its name of a sampler, and ours, where the two aren't written alike."""

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {name: here for names in ELSEWHERE.values() for name, here in names.items()}
)
"""Names of any other tool, and ours."""

NOT_HERE: Mapping[str, str] = MappingProxyType(
    {
        "dpm_fast": "takes levels of its own and no schedule; seeds_3 is of its order",
        "dpm_adaptive": "chooses its steps as it goes, so that their number isn't known before",
        "res_multistep_cfg_pp": "weighs guidance by another rule in each step but the first; "
        "dpmpp_2m_cfg_pp is near it",
        "res_multistep_ancestral_cfg_pp": "weighs guidance by another rule in each step but the "
        "first; euler_ancestral_cfg_pp is near it",
        "ar_video": "is a way to walk a video block by block",
    }
)
"""Samplers of other tools that aren't here: why."""

_COMFYUI_SAME = MappingProxyType(
    {"ddim": "euler", "ddpm": "euler_ancestral", "uni_pc": "uni_pc_bh1"}
)
"""ComfyUI's samplers of a name that is another's here: its ddim takes Euler's steps, its ddpm
draws from the posterior, which is what an ancestral step of Euler with eta 1 does, and its uni_pc
is variant B1."""


def comfyui_sampler(name: str, ours: Collection[str]) -> str | None:
    """The sampler that steps as ComfyUI's of a name does; None if there is none here.

    Args:
        ours: Our own samplers.
    """
    sampler = _COMFYUI_SAME.get(name) or ELSEWHERE["ComfyUI"].get(name, name)
    return sampler if sampler in ours else None


_SCHEDULE_ENDINGS = {"_karras": "karras", "_exponential": "exponential", "_k": "karras"}


def suggest_sampler(name: str, ours: Collection[str]) -> str | None:
    """What to choose for a sampler's name in another tool, as a sentence; None: it isn't known.

    Schedules in a name, such as of ``DPM++ 2M Karras``, are told apart.

    Args:
        ours: Our own samplers.
    """
    plain = _plain(name)
    if plain in NOT_HERE:
        return f"It isn't here, as it {NOT_HERE[plain]}."
    match = _known(plain, ours)
    if match:
        return f"Here it is `{match}`."
    for ending, schedule in _SCHEDULE_ENDINGS.items():
        match = _known(plain.removesuffix(ending), ours) if plain.endswith(ending) else None
        if match:
            return f"Here it is `{match}` with schedule `{schedule}`."
    return None


def _known(plain: str, ours: Collection[str]) -> str | None:
    known = {_plain(name): here for name, here in SYNONYMS.items()}
    return known.get(plain) or (plain if plain in ours else None)


def _plain(name: str) -> str:
    """Without what tools write differently."""
    plain = name.strip().lower().replace("dpm++", "dpmpp").replace("cfg++", "cfg_pp")
    return plain.replace(" ", "_").replace("-", "_").removeprefix("k_")
