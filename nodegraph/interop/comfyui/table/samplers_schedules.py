"""Samplers by name with options, and noise schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nodegraph.families.sampler_names import SAMPLER_NAMES, SAMPLER_PLUGINS
from nodegraph.interop.comfyui.entries import Choice, TableEntry, Translate, entry, same
from nodegraph.interop.comfyui.table.carried_values import (
    SCHEDULE,
    BuildSchedule,
    only_back,
    refuse_unsupported,
    warn_conventions,
)
from nodegraph.interop.comfyui.table.parts import known_literal
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

SAMPLERS = Choice(
    {
        "ddim": "euler",
        "ddpm": "euler_ancestral",
        "uni_pc": "uni_pc_bh1",
        "uni_pc_bh2": "uni_pc",
        "dpmpp_sde_gpu": "dpmpp_sde",
        "dpmpp_2m_sde_gpu": "dpmpp_2m_sde",
        "dpmpp_2m_sde_heun_gpu": "dpmpp_2m_sde_heun",
        "dpmpp_3m_sde_gpu": "dpmpp_3m_sde",
    }
)
"""Samplers' names there, and what gives their results here."""

_NONE = frozenset(
    (
        "dpm_fast",
        "dpm_adaptive",
        "res_multistep_cfg_pp",
        "res_multistep_ancestral_cfg_pp",
        "ar_video",
    )
)


_ONLY_HERE = frozenset(("restart", "dpmpp_2s", "dpmpp_3m", "pndm", "tcd"))
_OTHERWISE = frozenset(("uni_pc", "uni_pc_bh1"))
"""Names that are another sampler's there."""
SCHEDULERS = (
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
)
"""All of ComfyUI's own."""
COMFYUI_SAMPLERS = tuple(
    dict.fromkeys(
        (
            *(name for name in SAMPLER_NAMES if name not in {*_ONLY_HERE, *_OTHERWISE}),
            *SAMPLERS.names,
        )
    )
)
"""ComfyUI's names of the samplers that there are here."""


def native_sampler(node: Passage, name: str = "sampler_name") -> Any:
    """A sampler as it is called here.

    Raises:
        Untranslatable: There is none.
    """
    signal = node.inputs[name]
    sampler = comfyui_sampler(node, name)
    if sampler in _NONE and sampler not in SAMPLER_PLUGINS:
        raise Untranslatable(f"there is no sampler {sampler}")
    ours = SAMPLERS.ours(sampler)
    return signal if ours == known_literal(node, name) else ours


def comfyui_sampler(node: Passage, name: str = "sampler_name") -> Any:
    """The sampler that an input names, as it is called there today; None if that isn't known.

    Files of the first weeks of 2023 say ``sample_euler`` for ``euler``.
    """
    sampler = known_literal(node, name)
    return sampler.removeprefix("sample_") if isinstance(sampler, str) else sampler


def keep_name(node: Passage) -> None:
    """Names that several samplers there share one of ours with are kept."""
    value = node.inputs["sampler_name"].content
    named = value.removeprefix("sample_") if isinstance(value, str) else ""
    if SAMPLERS.ours(named) != named:
        node.keep(sampler_name=named)


def exported_sampler(node: Passage) -> Any:
    """The sampler's name there; that which was imported where it is still the same."""
    sampler = node.inputs["sampler"]
    kept = node.kept.get("sampler_name")
    if kept is not None and SAMPLERS.ours(kept) == sampler.content:
        return kept
    if sampler.content in _ONLY_HERE:
        raise Untranslatable(f"ComfyUI has no sampler {sampler.content}")
    if not sampler.is_link and sampler.content not in SAMPLER_NAMES:
        node.tell(
            f"ComfyUI has no sampler {sampler.content}: choose another there, or install a pack "
            "that has it"
        )
    return SAMPLERS.theirs(sampler.content) if sampler.content in _OTHERWISE else sampler


def exported_schedule(node: Passage) -> Signal:
    """The schedule's name, which is the same there; tells people if ComfyUI has none of it."""
    schedule = node.inputs["schedule"]
    if not schedule.is_link and schedule.content not in SCHEDULERS:
        node.tell(
            f"ComfyUI has no scheduler {schedule.content}: choose another one there "
            f"({', '.join(SCHEDULERS)}), or install a pack that has it"
        )
    return schedule


def _select(native: str, **inputs: str) -> Translate:
    """A sampler with options, whatever it is called here.

    Args:
        inputs: Native options, and what they are called there.
    """

    def forward(node: Passage) -> None:
        taken = {our: node.inputs[their] for our, their in inputs.items() if their in node.inputs}
        node.give(
            "SAMPLER", MadeOutput(node.add("SelectSampler", sampler=native, **taken), "sampler")
        )

    return forward


def _ksampler_select(node: Passage) -> None:
    name = node.add("SelectSampler", sampler=native_sampler(node))
    keep_name(node)
    node.give("SAMPLER", MadeOutput(name, "sampler"))


def _dpmpp_2m_sde(node: Passage) -> None:
    heun = node.literal("solver_type") == "heun"
    native = "dpmpp_2m_sde_heun" if heun else "dpmpp_2m_sde"
    _select(native, eta="eta", s_noise="s_noise")(node)


def _euler_cfg_pp(node: Passage) -> None:
    if (version := node.literal("version")) != "regular":
        raise Untranslatable(f"nodegraph has no {version} form of euler_cfg_pp")
    _select("euler_cfg_pp")(node)


def _er_sde(node: Passage) -> None:
    kind = node.literal("solver_type")
    if kind != "ER-SDE":
        node.tell(f"er_sde uses its own noise in nodegraph, not that of {kind}")
    # its eta counts for other kinds alone
    _select("er_sde", order="max_stage", s_noise="s_noise")(node)


_OPTIONED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "euler_ancestral": ("SamplerEulerAncestral", {"eta": "eta", "s_noise": "s_noise"}),
    "euler_ancestral_cfg_pp": ("SamplerEulerAncestralCFGPP", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_2s_ancestral": ("SamplerDPMPP_2S_Ancestral", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_2m_sde": ("SamplerDPMPP_2M_SDE", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_2m_sde_heun": ("SamplerDPMPP_2M_SDE", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_3m_sde": ("SamplerDPMPP_3M_SDE", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_sde": ("SamplerDPMPP_SDE", {"eta": "eta", "s_noise": "s_noise"}),
    "lms": ("SamplerLMS", {"order": "order"}),
    "er_sde": ("SamplerER_SDE", {"order": "max_stage", "s_noise": "s_noise"}),
    "lcm": (
        "SamplerLCM",
        {"s_noise": "s_noise", "s_noise_end": "s_noise_end", "noise_clip": "noise_clip_std"},
    ),
}


def sampler_back(node: Passage) -> None:
    """SelectSampler: by name alone, or with the options that some have there."""
    options = {
        name: signal
        for name, signal in node.inputs.items()
        if name != "sampler" and signal.content is not None
    }
    if not options:
        name = node.add("KSamplerSelect", sampler_name=exported_sampler(node))
        node.give("sampler", MadeOutput(name, "SAMPLER"))
        return
    method = node.literal("sampler")
    there, names = _OPTIONED.get(method, ("", {}))
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise Untranslatable(f"in ComfyUI {method} has no option {', '.join(unknown)}")
    taken = {names[our]: signal for our, signal in options.items()}
    if there == "SamplerDPMPP_2M_SDE":
        taken["solver_type"] = Signal("heun" if method.endswith("heun") else "midpoint")
    node.give("sampler", MadeOutput(node.add(there, **taken), "SAMPLER"))


_NOISY = "eta: FLOAT = 1.0, s_noise: FLOAT = 1.0"

SAMPLER_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        'KSamplerSelect(sampler_name: COMBO = "euler") -> SAMPLER',
        _ksampler_select,
        "SelectSampler",
        sampler_back,
    ),
    entry(
        f"SamplerEulerAncestral({_NOISY}) -> SAMPLER",
        _select("euler_ancestral", eta="eta", s_noise="s_noise"),
    ),
    entry(
        f"SamplerEulerAncestralCFGPP({_NOISY}) -> SAMPLER",
        _select("euler_ancestral_cfg_pp", eta="eta", s_noise="s_noise"),
    ),
    entry(
        f"SamplerDPMPP_2S_Ancestral({_NOISY}) -> SAMPLER",
        _select("dpmpp_2s_ancestral", eta="eta", s_noise="s_noise"),
    ),
    entry(
        f'SamplerDPMPP_2M_SDE(solver_type: COMBO = "midpoint", {_NOISY}, '
        'noise_device: COMBO = "gpu") -> SAMPLER',
        _dpmpp_2m_sde,
    ),
    entry(
        f'SamplerDPMPP_3M_SDE({_NOISY}, noise_device: COMBO = "gpu") -> SAMPLER',
        _select("dpmpp_3m_sde", eta="eta", s_noise="s_noise"),
    ),
    entry(
        f'SamplerDPMPP_SDE({_NOISY}, r: FLOAT = 0.5, noise_device: COMBO = "gpu") -> SAMPLER',
        _select("dpmpp_sde", eta="eta", s_noise="s_noise"),
    ),
    entry("SamplerLMS(order: INT = 4) -> SAMPLER", _select("lms", order="order")),
    entry('SamplerEulerCFGpp(version: COMBO = "regular") -> SAMPLER', _euler_cfg_pp),
    entry(
        "SamplerLCM(s_noise: FLOAT = 1.0, s_noise_end: FLOAT = 1.0, noise_clip_std: FLOAT = 0.0)"
        " -> SAMPLER",
        _select("lcm", s_noise="s_noise", s_noise_end="s_noise_end", noise_clip="noise_clip_std"),
    ),
    entry(
        'SamplerER_SDE(solver_type: COMBO = "ER-SDE", max_stage: INT = 3, eta: FLOAT = 1.0, '
        "s_noise: FLOAT = 1.0) -> SAMPLER",
        _er_sde,
    ),
)


_PARTS = {"high": "high_sigmas", "low": "low_sigmas"}


def sigmas_for(schedule: Signal, model: Signal | MadeOutput | None) -> Signal | MadeOutput:
    """A schedule, of which some there want to know the model.

    Raises:
        Untranslatable: This one does, and the model is not known.
    """
    lay = schedule.carried.get(SCHEDULE)
    if lay is not None and model is None:
        raise Untranslatable("its schedule needs a model there, and a pack's guider shows none")
    return schedule if lay is None else lay(model)


def _along(node: Passage, lay: BuildSchedule, output: str = "schedule") -> None:
    """Let a schedule go along; it is made once for each model."""
    made: dict[Any, MadeOutput] = {}

    def once(model: Signal | MadeOutput) -> MadeOutput:
        key = model.content if isinstance(model, Signal) else model
        if key not in made:
            made[key] = lay(model)
        return made[key]

    node.give(output, Signal(None, {SCHEDULE: once}))


def level_back(there: str, *names: str) -> Translate:
    """The way back of a schedule that asks for its model there."""

    def backward(node: Passage) -> None:
        refuse_unsupported(node, *names)
        taken = {name: node.inputs[name] for name in names if name in node.inputs}
        _along(node, lambda model: MadeOutput(node.add(there, model=model, **taken), "SIGMAS"))

    return backward


def basic_schedule_back(node: Passage) -> None:
    taken = {"steps": node.inputs["steps"], "denoise": node.inputs["denoise"]}
    if node.inputs["schedule"].content == "align_your_steps":
        kind = node.kept.get("model_type", "SD1")
        name = node.add("AlignYourStepsScheduler", model_type=kind, **taken)
        node.give("schedule", MadeOutput(name, "SIGMAS"))
        return
    warn_conventions(node)
    taken["scheduler"] = exported_schedule(node)
    _along(
        node,
        lambda model: MadeOutput(node.add("BasicScheduler", model=model, **taken), "SIGMAS"),
    )


def changed_back(there: str, outputs: Mapping[str, str], **names: str) -> Translate:
    """The way back of what makes schedules of another one.

    Args:
        outputs: Native ones to theirs.
        names: Their inputs, but for the schedule, and what they are called here.
    """

    def backward(node: Passage) -> None:
        refuse_unsupported(node, "schedule", *names.values())
        schedule = node.inputs["schedule"]
        taken = {their: node.inputs[our] for their, our in names.items()}
        made: dict[Any, str] = {}

        def lay(model: Signal | MadeOutput) -> str:
            key = model.content if isinstance(model, Signal) else model
            if key not in made:
                made[key] = node.add(there, sigmas=sigmas_for(schedule, model), **taken)
            return made[key]

        if SCHEDULE not in schedule.carried:
            name = node.add(there, sigmas=schedule, **taken)
            for our, their in outputs.items():
                node.give(our, MadeOutput(name, their))
            return
        for our, their in outputs.items():
            _along(node, partial(_of_both, lay, their), our)

    return backward


def _of_both(
    lay: Callable[[Signal | MadeOutput], str],
    output: str,
    model: Signal | MadeOutput,
) -> MadeOutput:
    return MadeOutput(lay(model), output)


def _basic_schedule(node: Passage) -> None:
    taken: dict[str, Any] = {"schedule": node.inputs["scheduler"], "steps": node.inputs["steps"]}
    taken |= {"denoise": node.inputs["denoise"], "denoise_steps": "all"}
    _add_schedule(node, "BasicSchedule", **taken)


def _add_schedule(node: Passage, native: str, **inputs: Any) -> None:
    node.give("SIGMAS", MadeOutput(node.add(native, **inputs), "schedule"))


def _align_your_steps(node: Passage) -> None:
    kind = node.literal("model_type")
    if kind == "SVD":
        raise Untranslatable("there is no such schedule for Stable Video Diffusion")
    if kind not in ("SD1", "SDXL"):
        node.tell(
            f"its `model_type` is {kind!r} in ComfyUI: nodegraph uses the schedule of the "
            "linked model"
        )
    taken = {"steps": node.inputs["steps"], "denoise": node.inputs["denoise"]}
    node.keep(model_type=node.inputs["model_type"].content)
    _add_schedule(
        node, "BasicSchedule", schedule="align_your_steps", denoise_steps="share", **taken
    )


def _split(native: str, name: str, whole: float) -> Translate:
    """A schedule that is cut in two.

    Args:
        name: Of what says where.
        whole: With this value, all is in the second part.
    """

    def forward(node: Passage) -> None:
        at = node.inputs[name]
        if at.content == whole:
            node.tell("the first part is empty: the second part is the whole schedule")
            node.give("low_sigmas", node.inputs["sigmas"])
            return
        made = node.add(native, schedule=node.inputs["sigmas"], **{name: at})
        for our, their in _PARTS.items():
            node.give(their, MadeOutput(made, our))

    return forward


def _beta(node: Passage) -> None:
    for name in ("alpha", "beta"):
        if not 0.05 <= (value := float(node.literal(name))) <= 1:
            raise Untranslatable(f"in nodegraph `{name}` ranges from 0.05 to 1, not to {value:g}")
    taken = {name: node.inputs[name] for name in ("steps", "alpha", "beta")}
    _add_schedule(node, "BetaSchedule", **taken)


def _changed(line: str, native: str, outputs: Mapping[str, str], **names: str) -> TableEntry:
    """What makes schedules of another one.

    Args:
        outputs: Native ones to theirs.
        names: Their inputs, but for the schedule, and what they are called here.
    """

    def forward(node: Passage) -> None:
        taken = {our: node.inputs[their] for their, our in names.items()}
        name = node.add(native, schedule=node.inputs["sigmas"], **taken)
        for our, their in outputs.items():
            node.give(their, MadeOutput(name, our))

    return entry(line, forward, native, changed_back(line.partition("(")[0], outputs, **names))


def _schedule(line: str, native: str, **names: str) -> TableEntry:
    """A schedule of one node here as there; a model that it is given is that of the sampling."""
    inputs = {their: our for our, their in names.items()}
    return same(line, native, inputs, {"SIGMAS": "schedule"})


def _predict_image_back(node: Passage) -> None:
    model = node.add(
        "ModelSamplingAuraFlow", model=node.inputs["model"], sampling="img_to_img_velocity"
    )
    prompt = node.inputs["conditioning"]
    guider = node.add("BasicGuider", model=MadeOutput(model, "MODEL"), conditioning=prompt)
    name = node.add(
        "SamplerCustomAdvanced",
        noise=MadeOutput(node.add("DisableNoise"), "NOISE"),
        guider=MadeOutput(guider, "GUIDER"),
        sampler=MadeOutput(node.add("KSamplerSelect", sampler_name="euler"), "SAMPLER"),
        sigmas=sigmas_for(node.inputs["schedule"], node.inputs["model"]),
        latent_image=node.inputs["latent"],
    )
    node.give("latent", MadeOutput(name, "output"))


_STEPS = "steps: INT = 20"
_BETWEEN = "sigma_max: FLOAT = 14.614642, sigma_min: FLOAT = 0.0291675"
_WHOLE = {"schedule": "SIGMAS"}

ENTRIES: tuple[TableEntry, ...] = (
    *SAMPLER_ENTRIES,
    only_back("PredictImage", _predict_image_back),
    entry(
        f'BasicScheduler(model: MODEL, scheduler: COMBO = "simple", {_STEPS}, '
        "denoise: FLOAT = 1.0) -> SIGMAS",
        _basic_schedule,
        "BasicSchedule",
        basic_schedule_back,
    ),
    _schedule(
        f"KarrasScheduler({_STEPS}, {_BETWEEN}, rho: FLOAT = 7.0) -> SIGMAS", "KarrasSchedule"
    ),
    _schedule(f"ExponentialScheduler({_STEPS}, {_BETWEEN}) -> SIGMAS", "ExponentialSchedule"),
    _schedule(
        f"PolyexponentialScheduler({_STEPS}, {_BETWEEN}, rho: FLOAT = 1.0) -> SIGMAS",
        "PolyexponentialSchedule",
    ),
    _schedule(
        f"LaplaceScheduler({_STEPS}, {_BETWEEN}, mu: FLOAT = 0.0, beta: FLOAT = 0.5) -> SIGMAS",
        "LaplaceSchedule",
        scale="beta",
    ),
    _schedule(
        f"VPScheduler({_STEPS}, beta_d: FLOAT = 19.9, beta_min: FLOAT = 0.1, "
        "eps_s: FLOAT = 0.001) -> SIGMAS",
        "VPSchedule",
        beta_range="beta_d",
        least="eps_s",
    ),
    entry(
        f"BetaSamplingScheduler(model: MODEL, {_STEPS}, alpha: FLOAT = 0.6, beta: FLOAT = 0.6)"
        " -> SIGMAS",
        _beta,
        "BetaSchedule",
        level_back("BetaSamplingScheduler", "steps", "alpha", "beta"),
    ),
    entry(
        "SDTurboScheduler(model: MODEL, steps: INT = 1, denoise: FLOAT = 1.0) -> SIGMAS",
        lambda node: _add_schedule(
            node, "SDTurboSchedule", steps=node.inputs["steps"], denoise=node.inputs["denoise"]
        ),
        "SDTurboSchedule",
        level_back("SDTurboScheduler", "steps", "denoise"),
    ),
    entry(
        'AlignYourStepsScheduler(model_type: COMBO = "SD1", steps: INT = 10, '
        "denoise: FLOAT = 1.0) -> SIGMAS",
        _align_your_steps,
    ),
    _schedule(
        "Flux2Scheduler(steps: INT = 20, width: INT = 1024, height: INT = 1024) -> SIGMAS",
        "Flux2Schedule",
    ),
    _schedule(
        "Ideogram4Scheduler(steps: INT = 20, width: INT = 1024, height: INT = 1024, "
        "mu: FLOAT = 0.0, std: FLOAT = 1.75) -> SIGMAS",
        "LogitNormalSchedule",
    ),
    _schedule(
        "LTXVScheduler(steps: INT = 20, max_shift: FLOAT = 2.05, base_shift: FLOAT = 0.95, "
        "stretch: BOOLEAN = true, terminal: FLOAT = 0.1, latent: LATENT?) -> SIGMAS",
        "LTXSchedule",
    ),
    _schedule('ManualSigmas(sigmas: STRING = "1, 0.5") -> SIGMAS', "ListedSchedule"),
    _changed("FlipSigmas(sigmas: SIGMAS) -> SIGMAS", "FlipSchedule", _WHOLE),
    _changed(
        "SetFirstSigma(sigmas: SIGMAS, sigma: FLOAT = 136.0) -> SIGMAS",
        "SetFirstLevel",
        _WHOLE,
        sigma="sigma",
    ),
    entry(
        "SplitSigmas(sigmas: SIGMAS, step: INT = 0) -> high_sigmas: SIGMAS, low_sigmas: SIGMAS",
        _split("SplitSchedule", "step", 0),
        "SplitSchedule",
        changed_back("SplitSigmas", _PARTS, step="step"),
    ),
    entry(
        "SplitSigmasDenoise(sigmas: SIGMAS, denoise: FLOAT = 1.0)"
        " -> high_sigmas: SIGMAS, low_sigmas: SIGMAS",
        _split("SplitScheduleAtDenoise", "denoise", 1.0),
        "SplitScheduleAtDenoise",
        changed_back("SplitSigmasDenoise", _PARTS, denoise="denoise"),
    ),
)
