"""Names of samplers and schedules, allowed combinations, and their names in other tools.

Checks and error messages use these tables; docs/samplers.md explains the same to users.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

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


SPACINGS = ("leading", "trailing", "linspace")
"""Ways to spread whole timesteps over the training range, as scheduler files name them."""

ALIGN_YOUR_STEPS = "align_your_steps"
"""The schedule that was found for single families."""
GITS = "gits"
"""The schedule that was found along the ways of one model."""

TABLE_SCHEDULES = (
    "normal",
    "sgm_uniform",
    "simple",
    "ddim_uniform",
    ALIGN_YOUR_STEPS,
    GITS,
    *SPACINGS,
)
"""Schedules that samplers can follow which take noise levels from the model's own table alone."""

_LEVELS = (
    *("normal", "karras", "exponential", "sgm_uniform", "simple", "beta"),
    *("kl_optimal", "linear_quadratic"),
)

SCHEDULE_NAMES = (*_LEVELS, "ddim_uniform", ALIGN_YOUR_STEPS, GITS, *SPACINGS)

_ANY_LEVEL = (
    "euler",
    "euler_ancestral",
    "heun",
    "heunpp2",
    "restart",
    "dpm_2",
    "dpm_2_ancestral",
    "dpmpp_2s",
    "dpmpp_2s_ancestral",
    "dpmpp_sde",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_3m",
    "dpmpp_3m_sde",
    "res_multistep",
    "res_multistep_ancestral",
    "exp_heun_2_x0",
    "exp_heun_2_x0_sde",
    "seeds_2",
    "seeds_3",
    "er_sde",
    "sa_solver",
    "sa_solver_pece",
    "gradient_estimation",
    "euler_cfg_pp",
    "euler_ancestral_cfg_pp",
    "dpmpp_2s_ancestral_cfg_pp",
    "dpmpp_2m_cfg_pp",
    "gradient_estimation_cfg_pp",
    "uni_pc",
    "uni_pc_bh1",
    "deis",
    "lms",
    "ipndm",
    "ipndm_v",
)
_TABLE_LEVELS = ("ddim", "ddpm", "pndm", "lcm", "tcd")

ALLOWED_SCHEDULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    dict.fromkeys(_ANY_LEVEL, SCHEDULE_NAMES) | dict.fromkeys(_TABLE_LEVELS, TABLE_SCHEDULES)
)
"""By sampler: the schedules it can follow. ddim, ddpm, pndm, lcm and tcd read the model's table
of cumulative alphas, so they can't take noise levels between two of its timesteps."""

SAMPLER_NAMES = tuple(ALLOWED_SCHEDULES)

FLOW_SCHEDULE_NAMES = _LEVELS
"""Schedules that models trained by flow matching can follow: the others spread timesteps of a
table that they don't have."""

CFG_PP_SAMPLERS = frozenset(
    {
        "euler_cfg_pp",
        "euler_ancestral_cfg_pp",
        "dpmpp_2s_ancestral_cfg_pp",
        "dpmpp_2m_cfg_pp",
        "gradient_estimation_cfg_pp",
    }
)
"""Samplers that look at what the model says without guidance: the negative prompt is evaluated
whatever the guidance scale, which is one between two predictions, 0 to 1."""

_ASKED_A_STEP: Mapping[str, int] = MappingProxyType(
    {
        "heun": 2,
        "dpm_2": 2,
        "dpm_2_ancestral": 2,
        "dpmpp_2s_ancestral": 2,
        "dpmpp_2s_ancestral_cfg_pp": 2,
        "dpmpp_sde": 2,
        "exp_heun_2_x0": 2,
        "exp_heun_2_x0_sde": 2,
        "seeds_2": 2,
        "seeds_3": 3,
        "sa_solver_pece": 2,
    }
)
"""By sampler: how often it asks the model in each step but one (the last, or the first), where it
asks once. Others ask once, or as `evaluations` has it."""


def evaluations(sampler: str, steps: int) -> int:
    """How often a sampler asks the model in so many steps down to the end; of `restart`, about.

    Args:
        steps: At least 1.
    """
    if sampler == "restart":
        # how many levels are walked again is the schedule's to say: mostly almost half of them
        return 3 * steps - 1
    if sampler == "heunpp2":
        return max(3 * steps - 3, 1)
    if sampler == "pndm":
        return steps + (steps > 1)
    return _ASKED_A_STEP.get(sampler, 1) * (steps - 1) + 1


_FLOW_SAMPLERS = (*_ANY_LEVEL, "lcm")

_ALLOWED: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "discrete": ALLOWED_SCHEDULES,
        "flow": MappingProxyType(dict.fromkeys(_FLOW_SAMPLERS, FLOW_SCHEDULE_NAMES)),
    }
)

NOISE_KINDS = tuple(_ALLOWED)
"""Kinds of noise that models are trained on: a variance for each of a number of timesteps
(``discrete``), or a straight way from the picture to the noise (``flow``, flow matching)."""


def allowed_schedules(kind: str) -> Mapping[str, tuple[str, ...]]:
    """By sampler that models of a kind of noise can be sampled with: the schedules to follow."""
    return _ALLOWED[kind]


def check_sampler(sampler: str, kind: str) -> None:
    """Refuse unknown samplers and those that can't sample models of a kind of noise.

    Raises:
        InvalidValue: On port ``sampler``, naming those that can.
    """
    if sampler not in SAMPLER_NAMES:
        raise _unknown("sampler", sampler, SAMPLER_NAMES, suggest_sampler(sampler, SAMPLER_NAMES))
    if sampler not in _ALLOWED[kind]:
        raise InvalidValue(
            f"sampler {sampler} can't sample {_MODELS[kind]}",
            port="sampler",
            given=sampler,
            expected=", ".join(_ALLOWED[kind]),
            hint="Choose euler, which samples models of every kind.",
        )


_MODELS = {
    "discrete": "models of a table of noise levels",
    "flow": "models trained by flow matching",
}


FREED = frozenset({"lcm"})
"""Samplers that read the model's table, but not by ComfyUI's convention."""


def follows_any_level(sampler: str, kind: str, convention: str = "diffusers") -> bool:
    """Whether a sampler takes noise levels between two of a table's timesteps.

    Args:
        kind: One of `NOISE_KINDS`.
        convention: One of `nodegraph.sampling.sampling_parts_estimate.CONVENTIONS`.
    """
    if convention == "comfyui" and sampler in FREED:
        return True
    return "karras" in _ALLOWED[kind][sampler]


def check_combination(
    sampler: str, schedule: str, kind: str = "discrete", convention: str = "diffusers"
) -> None:
    """Refuse unknown names, and what doesn't go together.

    Args:
        kind: One of `NOISE_KINDS`: what the model is trained on.
        convention: As of `follows_any_level`.
    Raises:
        InvalidValue: On port ``sampler`` or ``schedule``, naming what is allowed.
    """
    check_sampler(sampler, kind)
    check_schedule(schedule, kind)
    allowed = _ALLOWED[kind][sampler]
    if schedule not in allowed and not follows_any_level(sampler, kind, convention):
        raise InvalidValue(
            f"sampler {sampler} can't follow the {schedule} schedule",
            port="schedule",
            given=schedule,
            expected=", ".join(allowed),
            hint=f"`{sampler}` needs noise levels from the model's own table: choose normal.",
        )


def check_schedule(schedule: str, kind: str) -> None:
    """Refuse unknown schedules and those that no model of a kind of noise can follow.

    Raises:
        InvalidValue: On port ``schedule``, naming what is allowed.
    """
    if schedule not in SCHEDULE_NAMES:
        raise _unknown("schedule", schedule, SCHEDULE_NAMES)
    if kind == "flow" and schedule not in FLOW_SCHEDULE_NAMES:
        raise InvalidValue(
            f"{_MODELS[kind]} can't follow the {schedule} schedule",
            port="schedule",
            given=schedule,
            expected=", ".join(FLOW_SCHEDULE_NAMES),
            hint="Choose normal, which is the model's own.",
        )


def check_align_your_steps(aligned: Sequence[int], title: str = "the model") -> None:
    """Refuse `ALIGN_YOUR_STEPS` with a family that it wasn't found for.

    Args:
        aligned: The timesteps that were found for the family, if any.
    Raises:
        InvalidValue: On port ``schedule``.
    """
    if not aligned:
        raise InvalidValue(
            f"no {ALIGN_YOUR_STEPS} schedule was published for {title}",
            port="schedule",
            given=ALIGN_YOUR_STEPS,
            expected="another schedule, or Stable Diffusion 1.x or XL",
            hint="Choose normal, which is the model's own.",
        )


def _unknown(port: str, name: str, names: tuple[str, ...], hint: str | None = None) -> InvalidValue:
    return InvalidValue(
        f"there is no {port} `{name}`",
        port=port,
        given=name,
        expected=", ".join(names),
        hint=hint or did_you_mean(name, names),
    )
