"""A pipeline class as a function with a signature, of which `@node` makes a node type."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from nodegraph import BLOCKED, Context, node
from nodegraph.interop.pipelines.classes import PipelineClass, PipelineInput
from nodegraph.interop.pipelines.rates import asking_audio_rate
from nodegraph.interop.pipelines.values import Pipeline

from ._checks import hooks_of
from ._dataclasses import plain, port_class
from ._types import default_of, input_annotation, output_annotation, output_names
from ._words import docstring, in_order, label_of, port_names

CATEGORY = "pipelines"
_DEPRECATED = "Diffusers means to drop it."


def pipeline_node(found: PipelineClass, module: str) -> Callable[..., Any]:
    """The function of a pipeline class, as a node type.

    Args:
        module: In which it is to be found by the class's name.
    """

    found = asking_audio_rate(found)
    shown = port_names(found.inputs)
    taken = {shown[port.name]: port for port in found.inputs}

    def run(ctx: Context, pipeline: Pipeline, **inputs: Any) -> Any:
        from nodegraph.interop.pipelines.calling import run_pipeline

        arguments = {
            taken[name].name: plain(value)
            for name, value in inputs.items()
            if not _is_usual_form(taken[name], value)
        }
        gives = run_pipeline(ctx, found, pipeline, arguments)
        # What it doesn't give this time, such as a picture where latents were asked for.
        outputs = tuple(BLOCKED if value is None else value for value in gives)
        return outputs[0] if len(outputs) == 1 else outputs

    ports = _parameters(found)
    run.__name__ = run.__qualname__ = found.name
    run.__module__ = module
    summary = f"The pipeline {label_of(found.name)} of diffusers."
    run.__doc__ = docstring(found, summary, {"pipeline": "From LoadPipeline."})
    returned = _returned(found)
    annotations = {port.name: port.annotation for port in ports}
    run.__annotations__ = {**annotations, "return": returned}
    run.__signature__ = inspect.Signature(ports, return_annotation=returned)  # type: ignore[attr-defined]
    hooks = hooks_of(found.name)
    return node(
        category=f"{CATEGORY}/{found.makes}",
        label=label_of(found.name),
        tags=_tags(found),
        deprecated=_DEPRECATED if found.settings.get("deprecated") else "",
        lane="gpu",
        numerics=True,
        validate=hooks.validate,
        infer=hooks.infer,
        estimate=hooks.estimate,
    )(run)


def _parameters(pipeline_class: PipelineClass) -> list[inspect.Parameter]:
    names = port_names(pipeline_class.inputs)
    parameter = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    first = [
        parameter("ctx", annotation=Context),
        parameter("pipeline", annotation=Pipeline),
    ]
    return first + [
        parameter(
            names[port.name],
            annotation=input_annotation(port, port_class),
            default=inspect.Parameter.empty if port.required else default_of(port),
        )
        for port in in_order(pipeline_class.inputs)
    ]


def _is_usual_form(port: PipelineInput, value: Any) -> bool:
    """Whether it says in which form to give the result, and says what is done anyway.

    Diffusers would round pictures to 8 bits; whoever calls it asks for numbers.
    """
    return port.name == "output_type" and value == port.default


def _returned(pipeline_class: PipelineClass) -> Any:
    names = output_names(pipeline_class.outputs)
    ports = zip(names, map(output_annotation, pipeline_class.outputs), strict=True)
    return NamedTuple(f"{pipeline_class.name}Result", list(ports))


def _tags(pipeline_class: PipelineClass) -> tuple[str, ...]:
    folders = pipeline_class.module.split(".")[2:-1]
    family = folders[-1] if folders else ""
    return tuple(dict.fromkeys(filter(None, (family.replace("_", " "), "diffusers", "pipeline"))))
