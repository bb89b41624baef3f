"""Schedules: the noise levels that are walked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry, same
from nodegraph.interop.comfyui.table.returning import (
    SCHEDULE,
    BuildSchedule,
    refuse_unsupported,
    warn_conventions,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_PARTS = {"high": "high_sigmas", "low": "low_sigmas"}


def sigmas_for(schedule: Signal, model: Signal | MadeOutput) -> Signal | MadeOutput:
    """A schedule, of which some there want to know the model."""
    lay = schedule.carried.get(SCHEDULE)
    return schedule if lay is None else lay(model)


def _along(node: Passage, lay: BuildSchedule, output: str = "schedule") -> None:
    """Let a schedule go along; it is made once for each model."""
    made: dict[Any, MadeOutput] = {}

    def once(model: Signal | MadeOutput) -> MadeOutput:
        key = model.given if isinstance(model, Signal) else model
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
    if node.inputs["schedule"].given == "align_your_steps":
        kind = node.kept.get("model_type", "SD1")
        name = node.add("AlignYourStepsScheduler", model_type=kind, **taken)
        node.give("schedule", MadeOutput(name, "SIGMAS"))
        return
    warn_conventions(node)
    taken["scheduler"] = node.inputs["schedule"]
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
            key = model.given if isinstance(model, Signal) else model
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
        node.tell(f"its `model_type` is {kind!r} there: the schedule is that of the model here")
    taken = {"steps": node.inputs["steps"], "denoise": node.inputs["denoise"]}
    node.keep(model_type=node.inputs["model_type"].given)
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
        if at.given == whole:
            node.tell("nothing is left before the cut: all goes on")
            node.give("low_sigmas", node.inputs["sigmas"])
            return
        made = node.add(native, schedule=node.inputs["sigmas"], **{name: at})
        for our, their in _PARTS.items():
            node.give(their, MadeOutput(made, our))

    return forward


def _beta(node: Passage) -> None:
    for name in ("alpha", "beta"):
        if not 0.05 <= (value := float(node.literal(name))) <= 1:
            raise Untranslatable(f"`{name}` goes from 0.05 to 1 here, not to {value:g}")
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


_STEPS = "steps: INT = 20"
_BETWEEN = "sigma_max: FLOAT = 14.614642, sigma_min: FLOAT = 0.0291675"
_WHOLE = {"schedule": "SIGMAS"}

ENTRIES: tuple[TableEntry, ...] = (
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
