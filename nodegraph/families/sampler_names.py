"""Names of samplers and schedules, allowed combinations, and their names in other tools.

What is known of a sampler stands beside its function in `nodegraph.sampling.samplers`;
``samplers.json`` is made of it (docs/generate_samplers.py), for checks where there is no torch.
Checks and error messages use these tables; docs/samplers.md explains the same to users.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nodegraph.core.plugins import PluginGroup
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

SAMPLER_RECORDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    json.loads((Path(__file__).parent / "samplers.json").read_text("utf-8"))
)
"""By name, in the order in which they are offered: see `Method.record`."""
SAMPLER_NAMES = tuple(SAMPLER_RECORDS)
"""The built-in samplers."""

SAMPLER_PLUGINS = PluginGroup("nodegraph.samplers", SAMPLER_NAMES)
"""The samplers of packages and packs: what `nodegraph.sampling.samplers.sampler` makes."""


def all_sampler_names() -> tuple[str, ...]:
    """The built-in samplers, then those of packages and packs."""
    return (*SAMPLER_NAMES, *SAMPLER_PLUGINS)


def sampler_record(name: str) -> Mapping[str, Any] | None:
    """What is known of a sampler; None if there is none of that name. Packages are loaded only for
    a name that no built-in sampler has."""
    if name in SAMPLER_RECORDS:
        return SAMPLER_RECORDS[name]
    plugin = SAMPLER_PLUGINS.get(name)
    return None if plugin is None else plugin.record


def sampler_release(name: str) -> str:
    """The package that brings a sampler, its version, and a digest of its code; empty for built-in
    samplers."""
    plugin = SAMPLER_PLUGINS.get(name)
    return "" if plugin is None else plugin.read_release()


def asks_unguided(name: str | None) -> bool:
    """Whether a sampler looks at what the model says without guidance: the negative prompt is
    evaluated whatever the guidance scale, which is one between two predictions, 0 to 1."""
    record = sampler_record(name or "")
    return record is not None and bool(record["asks_unguided"])


_TOOLS = ("ComfyUI", "A1111 and Forge", "InvokeAI", "diffusers")
ELSEWHERE: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        tool: MappingProxyType(
            {
                there: name
                for name, record in SAMPLER_RECORDS.items()
                for there in record["elsewhere"].get(tool, ())
            }
        )
        for tool in _TOOLS
    }
)
"""By tool: its name of a sampler, and ours, where the two aren't written alike."""

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {name: here for names in ELSEWHERE.values() for name, here in names.items()}
)
"""Names of any other tool, and ours."""

NOT_HERE: Mapping[str, str] = MappingProxyType(
    {
        "dpm_fast": "has its own sigmas instead of a schedule; seeds_3 has the same order",
        "dpm_adaptive": "chooses its steps adaptively, so their number is not known in advance",
        "res_multistep_cfg_pp": "uses another guidance formula in all steps except the "
        "first; dpmpp_2m_cfg_pp is similar",
        "res_multistep_ancestral_cfg_pp": "uses another guidance formula in all steps "
        "except the first; euler_ancestral_cfg_pp is similar",
        "ar_video": "is a method to sample a video block by block",
    }
)
"""Samplers of other tools that aren't here: why."""

_COMFYUI_SAME: Mapping[str, str] = MappingProxyType(
    {there: name for name, record in SAMPLER_RECORDS.items() for there in record["also_comfyui"]}
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
        return f"It is not available here: it {NOT_HERE[plain]}."
    match = _known(plain, ours)
    if match:
        return f"It is called `{match}` here."
    for ending, schedule in _SCHEDULE_ENDINGS.items():
        match = _known(plain.removesuffix(ending), ours) if plain.endswith(ending) else None
        if match:
            return f"It is called `{match}` here, with schedule `{schedule}`."
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

FLOW_SCHEDULE_NAMES = _LEVELS
"""Schedules that models trained by flow matching can follow: the others spread timesteps of a
table that they don't have."""

FURTHER_LAWS = ("polyexponential", "laplace", "vp", "sd_turbo", "levels")
"""Schedules that nodes of their own make, with numbers."""

SCHEDULE_PLUGINS = PluginGroup("nodegraph.schedules", (*SCHEDULE_NAMES, *FURTHER_LAWS))
"""The schedules of packages and packs: what `nodegraph.families.sigma_curves.schedule` makes."""


def all_schedule_names() -> tuple[str, ...]:
    """The built-in schedules that have a name, then those of packages and packs."""
    return (*SCHEDULE_NAMES, *SCHEDULE_PLUGINS)


CFG_PP_SAMPLERS = frozenset(
    name for name, record in SAMPLER_RECORDS.items() if record["asks_unguided"]
)
"""Samplers that look at what the model says without guidance: the negative prompt is evaluated
whatever the guidance scale, which is one between two predictions, 0 to 1."""


def evaluations(sampler: str, steps: int) -> int:
    """How often a sampler asks the model in so many steps down to the end; of `restart`, about.

    Args:
        steps: At least 1.
    """
    record = sampler_record(sampler)
    times, more = (1, 0) if record is None else record["evaluations"]
    return int(times * steps + more) if steps > 1 else 1


def _schedules(record: Mapping[str, Any] | None, kind: str) -> tuple[str, ...]:
    """Those that a sampler follows with models of a kind of noise; none if it can't sample them."""
    if record is None or kind not in record["kinds"]:
        return ()
    if kind == "flow":
        return FLOW_SCHEDULE_NAMES
    return TABLE_SCHEDULES if record["reads_table"] else SCHEDULE_NAMES


_ALLOWED: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        kind: MappingProxyType(
            {
                name: schedules
                for name, record in SAMPLER_RECORDS.items()
                if (schedules := _schedules(record, kind))
            }
        )
        for kind in ("discrete", "flow")
    }
)
ALLOWED_SCHEDULES = _ALLOWED["discrete"]
"""By sampler: the schedules it can follow. Those that read the model's table of cumulative alphas
can't take noise levels between two of its timesteps."""

NOISE_KINDS = tuple(_ALLOWED)
"""Kinds of noise that models are trained on: a variance for each of a number of timesteps
(``discrete``), or a straight way from the image to the noise (``flow``, flow matching)."""


def allowed_schedules(kind: str) -> Mapping[str, tuple[str, ...]]:
    """By sampler that models of a kind of noise can be sampled with: the schedules to follow."""
    return _ALLOWED[kind]


def check_sampler(sampler: str, kind: str) -> None:
    """Refuse unknown samplers and those that can't sample models of a kind of noise.

    Raises:
        InvalidValue: On port ``sampler``, naming those that can.
    """
    record = sampler_record(sampler)
    if record is None:
        names = all_sampler_names()
        raise _unknown("sampler", sampler, names, suggest_sampler(sampler, names))
    if not _schedules(record, kind):
        raise InvalidValue(
            f"sampler {sampler} cannot sample {_MODELS[kind]}",
            port="sampler",
            given=sampler,
            expected=", ".join(_ALLOWED[kind]),
            hint="Use euler, which samples models of every kind.",
        )


_MODELS = {
    "discrete": "models with a sigma table",
    "flow": "flow-matching models",
}


def follows_any_level(sampler: str, kind: str, convention: str = "diffusers") -> bool:
    """Whether a sampler takes noise levels between two of a table's timesteps.

    Args:
        kind: One of `NOISE_KINDS`.
        convention: One of `nodegraph.sampling.sampling_parts_estimate.CONVENTIONS`.
    """
    record = sampler_record(sampler)
    if convention == "comfyui" and record is not None and record["reads_table"]:
        return not record["reads_table_as_comfyui"]
    return "karras" in _schedules(record, kind)


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
    allowed = _schedules(sampler_record(sampler), kind)
    if schedule not in allowed and not follows_any_level(sampler, kind, convention):
        raise InvalidValue(
            f"sampler {sampler} cannot use the {schedule} schedule",
            port="schedule",
            given=schedule,
            expected=", ".join(allowed),
            hint=f"`{sampler}` needs noise levels from the model's own sigma table: use normal.",
        )


def check_schedule(schedule: str, kind: str = "") -> None:
    """Refuse unknown schedules and those that no model of a kind of noise can follow.

    Args:
        kind: One of `NOISE_KINDS`; empty for any.
    Raises:
        InvalidValue: On port ``schedule``, naming what is allowed.
    """
    if schedule in SCHEDULE_NAMES:
        fits = kind != "flow" or schedule in FLOW_SCHEDULE_NAMES
    elif schedule in SCHEDULE_PLUGINS:
        fits = not kind or kind in SCHEDULE_PLUGINS[schedule].record["kinds"]
    else:
        raise _unknown("schedule", schedule, all_schedule_names())
    if not fits:
        raise InvalidValue(
            f"{_MODELS[kind]} cannot use the {schedule} schedule",
            port="schedule",
            given=schedule,
            expected=", ".join(FLOW_SCHEDULE_NAMES if kind == "flow" else SCHEDULE_NAMES),
            hint="Use normal, which is the model's own schedule.",
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
            hint="Use normal, which is the model's own schedule.",
        )


def _unknown(port: str, name: str, names: tuple[str, ...], hint: str | None = None) -> InvalidValue:
    return InvalidValue(
        f"there is no {port} `{name}`",
        port=port,
        given=name,
        expected=", ".join(names),
        hint=hint or did_you_mean(name, names),
    )
