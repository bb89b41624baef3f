"""Facts and checks of the pipeline nodes. Imports neither torch nor diffusers.

Each class has separate hooks: ``Class.validate``, ``Class.infer``, ``Class.estimate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from nodegraph import Estimate, Facts, Finding, HookInputs, InvalidValue
from nodegraph.core.hooks import EstimateHook, InferHook, ValidateHook
from nodegraph.interop.pipelines.checks import PIPELINE, class_faults, count_faults
from nodegraph.interop.pipelines.classes import PipelineClass

from ._catalog import find_class
from ._types import output_names

_SIZED = ("image", "video")
_FRAMES, _RATES = ("num_frames", "video_length", "frames"), ("frame_rate", "fps")
_BATCH = ("num_images_per_prompt", "num_videos_per_prompt", "batch_size")


@dataclass(frozen=True)
class ClassHooks:
    """The hooks of one class's node type."""

    validate: ValidateHook
    infer: InferHook
    estimate: EstimateHook


def __getattr__(name: str) -> ClassHooks:
    if name.startswith("_") or find_class(name) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return hooks_of(name)


@cache
def hooks_of(name: str) -> ClassHooks:
    """The hooks of a pipeline class. The class is read when one of them is first called."""

    def read() -> PipelineClass:
        pipeline_class = find_class(name)
        assert pipeline_class is not None
        return pipeline_class

    def validate(inputs: HookInputs) -> Iterable[Finding]:
        return list(validate_inputs(read(), inputs))

    def infer(inputs: HookInputs) -> Mapping[str, Facts]:
        return output_facts(read(), inputs)

    def estimate(inputs: HookInputs) -> Estimate:
        return estimate_passes(read(), inputs)

    for hook in (validate, infer, estimate):
        hook.__qualname__ = f"{name}.{hook.__name__}"
    return ClassHooks(validate, infer, estimate)


def validate_inputs(pipeline_class: PipelineClass, inputs: HookInputs) -> Iterator[Finding]:
    """Problems known now that keep a pipeline from running with these inputs."""
    yield from _class_findings(pipeline_class, inputs)
    yield from _missing_alternatives(pipeline_class, inputs)
    yield from _sizes(pipeline_class, inputs)
    yield from map(_finding, count_faults(pipeline_class, inputs.literals))


def _class_findings(pipeline_class: PipelineClass, inputs: HookInputs) -> Iterator[Finding]:
    """Check the class of the folder. Another class is valid if the folder has all parts."""
    class_name, parts = inputs.fact(PIPELINE, "pipeline"), inputs.fact(PIPELINE, "parts")
    is_known = class_name is not None and parts is not None
    names = frozenset(parts if is_known else (part.name for part in pipeline_class.parts))
    yield from map(
        _finding,
        class_faults(pipeline_class, class_name if is_known else pipeline_class.name, names),
    )


def _finding(fault: InvalidValue) -> Finding:
    problem = fault.problem
    return Finding(
        problem.port or "", problem.message, problem.given, problem.expected, problem.hint
    )


def _missing_alternatives(pipeline_class: PipelineClass, inputs: HookInputs) -> Iterator[Finding]:
    """Find groups of optional inputs of which at least one is required."""
    ports = {port.name: port for port in pipeline_class.inputs}
    for names in pipeline_class.settings.get("one_of", ()):
        shown = [name for name in names if name in ports]
        if len(names) == 1 or any(ports[name].required for name in shown):
            # A single one may have a default in the pipeline's folder. Missing required inputs
            # are reported by the check of links and literals.
            continue
        if shown and not any(_is_given(inputs, name) for name in names):
            either = f", or {_join_alternatives(shown[1:])} instead" if shown[1:] else ""
            yield Finding(shown[0], f"the input is required{either}", code="missing-input")


def _is_given(inputs: HookInputs, name: str) -> bool:
    return name in inputs.facts or inputs.literals.get(name) is not None


def _sizes(pipeline_class: PipelineClass, inputs: HookInputs) -> Iterator[Finding]:
    for port in pipeline_class.inputs:
        size = inputs.literals.get(port.name)
        if port.multiple_of and isinstance(size, int) and size % port.multiple_of:
            low = max(size // port.multiple_of, 1) * port.multiple_of
            yield Finding(
                port.name,
                f"the size is not a multiple of {port.multiple_of}",
                given=str(size),
                hint=f"Use {low} or {low + port.multiple_of}.",
            )


def output_facts(pipeline_class: PipelineClass, inputs: HookInputs) -> dict[str, dict[str, Any]]:
    """Size and number of the images or frames, if the inputs say."""
    size = {"width": inputs.literals.get("width"), "height": inputs.literals.get("height")}
    film = {"frames": _first_literal(inputs, _FRAMES), "rate": _first_literal(inputs, _RATES)}
    batch = {"batch": _first_literal(inputs, _BATCH)}
    by_kind: dict[str, dict[str, Any]] = {"image": size | batch, "video": size | film}
    return {
        name: {fact: value for fact, value in by_kind[port.kind].items() if value is not None}
        for name, port in zip(
            output_names(pipeline_class.outputs), pipeline_class.outputs, strict=True
        )
        if port.kind in _SIZED
    }


def _first_literal(inputs: HookInputs, names: Iterable[str]) -> Any:
    return next((v for name in names if (v := inputs.literals.get(name)) is not None), None)


def estimate_passes(pipeline_class: PipelineClass, inputs: HookInputs) -> Estimate:
    """Approximate number of passes over the weights: one per step."""
    steps = [inputs.literals.get(name) for name in pipeline_class.settings.get("steps", ())]
    counted = [step for step in steps if isinstance(step, int)]
    return Estimate(passes=sum(counted) if counted else None)


def _join_alternatives(names: Iterable[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)
