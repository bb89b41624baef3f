"""Names of samplers and schedules, allowed combinations, and their names in other tools.

The properties of a sampler are declared next to its function in `nodegraph.sampling.samplers`.
docs/generate_samplers.py writes them to ``samplers.json``, for checks that run without torch.
Checks and error messages use these tables; docs/samplers.md explains them to users.
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
"""Properties of the built-in samplers by name, in display order; see `Method.record`."""
SAMPLER_NAMES = tuple(SAMPLER_RECORDS)
"""Names of the built-in samplers."""

SAMPLER_PLUGINS = PluginGroup("nodegraph.samplers", SAMPLER_NAMES)
"""Samplers of packages and packs, made by `nodegraph.sampling.samplers.sampler`."""


def all_sampler_names() -> tuple[str, ...]:
    """Return the names of the built-in samplers, then those of packages and packs."""
    return (*SAMPLER_NAMES, *SAMPLER_PLUGINS)


def sampler_record(name: str) -> Mapping[str, Any] | None:
    """Return the properties of a sampler, or None if there is no sampler of this name.

    Packages are loaded only for a name that no built-in sampler has.
    """
    if name in SAMPLER_RECORDS:
        return SAMPLER_RECORDS[name]
    plugin = SAMPLER_PLUGINS.get(name)
    return None if plugin is None else plugin.record


def sampler_release(name: str) -> str:
    """Return the package of a sampler, its version and the digest of its code, as text.

    Empty for built-in samplers.
    """
    plugin = SAMPLER_PLUGINS.get(name)
    return "" if plugin is None else plugin.read_release()


def asks_unguided(name: str | None) -> bool:
    """Return whether a sampler uses the model's prediction without guidance (CFG++).

    For such a sampler the negative prompt is evaluated at every guidance scale. The scale
    interpolates between two predictions, 0 to 1.
    """
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
"""Samplers with other names in other tools: by tool, its name and the name here."""

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {name: here for names in ELSEWHERE.values() for name, here in names.items()}
)
"""Names of samplers in any other tool, with the name here."""

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
"""Samplers of other tools that are not available here, with the reason."""

_COMFYUI_SAME: Mapping[str, str] = MappingProxyType(
    {there: name for name, record in SAMPLER_RECORDS.items() for there in record["also_comfyui"]}
)
"""ComfyUI's samplers whose name belongs to another sampler here: its ddim takes Euler's steps, its
ddpm draws from the posterior, as an ancestral Euler step with eta 1 does, and its uni_pc is variant
B1."""


def comfyui_sampler(name: str, ours: Collection[str]) -> str | None:
    """Return the sampler that computes the same as ComfyUI's sampler of a name, or None.

    Args:
        name: Name of the sampler in ComfyUI.
        ours: Names of the samplers here.
    """
    sampler = _COMFYUI_SAME.get(name) or ELSEWHERE["ComfyUI"].get(name, name)
    return sampler if sampler in ours else None


_SCHEDULE_ENDINGS = {
    "_karras": "karras",
    "_exponential": "exponential",
    "_k": "karras",
    "_sgmuniform": "sgm_uniform",
    "_trailing": "trailing",
    "_ays": "align_your_steps",
}


def find_sampler(name: str, ours: Collection[str]) -> tuple[str, str] | None:
    """Return the sampler here for a name in any tool, and the schedule in that name.

    Args:
        name: Name of the sampler, such as ``DPM++ 2M Karras``.
        ours: Names of the samplers here.
    Returns:
        The schedule is empty if the name has none. None if there is no such sampler.
    """
    plain = _plain(name)
    match = _known(plain, ours)
    if match:
        return match, ""
    for ending, schedule in _SCHEDULE_ENDINGS.items():
        match = _known(plain.removesuffix(ending), ours) if plain.endswith(ending) else None
        if match:
            return match, schedule
    return None


def missing_sampler_reason(name: str) -> str:
    """Return why a sampler of other tools is not available here; empty if unknown."""
    return NOT_HERE.get(_plain(name), "")


def suggest_sampler(name: str, ours: Collection[str]) -> str | None:
    """Return a sentence that names the sampler here for a name in another tool, or None.

    A schedule in the name, as in ``DPM++ 2M Karras``, is named separately.

    Args:
        name: Name of the sampler in another tool.
        ours: Names of the samplers here.
    """
    reason = missing_sampler_reason(name)
    if reason:
        return f"It is not available here: it {reason}."
    match = find_sampler(name, ours)
    if match is None:
        return None
    schedule = f", with schedule `{match[1]}`" if match[1] else ""
    return f"It is called `{match[0]}` here{schedule}."


def _known(plain: str, ours: Collection[str]) -> str | None:
    known = {_plain(name): here for name, here in SYNONYMS.items()}
    return known.get(plain) or (plain if plain in ours else None)


def _plain(name: str) -> str:
    """Return a name without the spelling differences between tools."""
    plain = name.strip().lower().replace("dpm++", "dpmpp").replace("cfg++", "cfg_pp")
    return plain.replace(" ", "_").replace("-", "_").removeprefix("k_")


SPACINGS = ("leading", "trailing", "linspace")
"""Timestep spacings over the training range, as in scheduler configuration files."""

ALIGN_YOUR_STEPS = "align_your_steps"
"""Align Your Steps: a schedule published for individual families."""
GITS = "gits"
"""GITS: a schedule found from the sampling trajectories of one model."""

TABLE_SCHEDULES = (
    "normal",
    "sgm_uniform",
    "simple",
    "ddim_uniform",
    ALIGN_YOUR_STEPS,
    GITS,
    *SPACINGS,
)
"""Schedules for samplers that only use noise levels of the model's own table."""

_LEVELS = (
    *("normal", "karras", "exponential", "sgm_uniform", "simple", "beta"),
    *("kl_optimal", "linear_quadratic"),
)

SCHEDULE_NAMES = (*_LEVELS, "ddim_uniform", ALIGN_YOUR_STEPS, GITS, *SPACINGS)
"""Names of the built-in schedules."""

FLOW_SCHEDULE_NAMES = _LEVELS
"""Schedules for flow-matching models. The other schedules need a timestep table, which these models
do not have."""

FURTHER_LAWS = ("polyexponential", "laplace", "vp", "sd_turbo", "levels")
"""Schedules with parameters, each of which has a node."""

SCHEDULE_PLUGINS = PluginGroup("nodegraph.schedules", (*SCHEDULE_NAMES, *FURTHER_LAWS))
"""Schedules of packages and packs, made by `nodegraph.families.sigma_curves.schedule`."""


def all_schedule_names() -> tuple[str, ...]:
    """Return the names of the built-in schedules, then those of packages and packs."""
    return (*SCHEDULE_NAMES, *SCHEDULE_PLUGINS)


CFG_PP_SAMPLERS = frozenset(
    name for name, record in SAMPLER_RECORDS.items() if record["asks_unguided"]
)
"""Samplers that use the model's prediction without guidance (CFG++); see `asks_unguided`."""


def evaluations(sampler: str, steps: int) -> int:
    """Return how many times a sampler evaluates the model; approximate for ``restart``.

    Args:
        sampler: Name of the sampler.
        steps: Number of steps down to the end, at least 1.
    """
    record = sampler_record(sampler)
    times, more = (1, 0) if record is None else record["evaluations"]
    return int(times * steps + more) if steps > 1 else 1


def _schedules(record: Mapping[str, Any] | None, kind: str) -> tuple[str, ...]:
    """Return a sampler's schedules for models of a noise kind; empty if it cannot sample them."""
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
"""Schedules that each sampler supports. Samplers that read the model's table of cumulative alphas
cannot use noise levels between two of its timesteps."""

NOISE_KINDS = tuple(_ALLOWED)
"""Noise kinds of models: ``discrete``, a variance for each training timestep, or ``flow``, a
straight path from the image to the noise (flow matching)."""


def allowed_schedules(kind: str) -> Mapping[str, tuple[str, ...]]:
    """Return the supported schedules of each sampler that can sample models of a noise kind."""
    return _ALLOWED[kind]


def check_sampler(sampler: str, kind: str) -> None:
    """Raise if a sampler is unknown or cannot sample models of a noise kind.

    Raises:
        InvalidValue: It is; on port ``sampler``. The error names the samplers that can.
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
    """Return whether a sampler can use noise levels between two timesteps of a table.

    Args:
        sampler: Name of the sampler.
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
    """Raise if a sampler or a schedule is unknown, or if they cannot be combined.

    Args:
        sampler: Name of the sampler.
        schedule: Name of the schedule.
        kind: Noise kind of the model, one of `NOISE_KINDS`.
        convention: The same as in `follows_any_level`.
    Raises:
        InvalidValue: They do not fit; on port ``sampler`` or ``schedule``. The error names the
            allowed values.
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
    """Raise if a schedule is unknown, or if models of a noise kind cannot use it.

    Args:
        schedule: Name of the schedule.
        kind: One of `NOISE_KINDS`. Empty for any.
    Raises:
        InvalidValue: It does not fit; on port ``schedule``. The error names the allowed values.
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
    """Raise if no Align Your Steps schedule was published for a family.

    Args:
        aligned: The published timesteps for the family. Empty if there are none.
        title: Display name of the family.
    Raises:
        InvalidValue: There are none; on port ``schedule``.
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
