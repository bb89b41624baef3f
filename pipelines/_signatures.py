"""A pipeline class as a function with a signature, from which `@node` makes a node type."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from nodegraph import BLOCKED, Context, node
from nodegraph.interop.pipelines.classes import Pipeline, PipelineClass, PipelineInput
from nodegraph.interop.pipelines.rates import with_audio_rate_input

from ._checks import hooks_of
from ._dataclasses import port_class, to_fields
from ._types import default_of, input_annotation, output_annotation, output_names
from ._words import docstring, in_order, label_of, port_names

CATEGORY = "pipelines"
_DEPRECATED = "Diffusers means to drop it."


def pipeline_node(pipeline_class: PipelineClass, module: str) -> Callable[..., Any]:
    """The function of a pipeline class, as a node type.

    Args:
        module: Module that contains the node under the class's name.
    """

    pipeline_class = with_audio_rate_input(pipeline_class)
    shown = port_names(pipeline_class.inputs)
    taken = {shown[port.name]: port for port in pipeline_class.inputs}

    def run(ctx: Context, pipeline: Pipeline, **inputs: Any) -> Any:
        from nodegraph.interop.pipelines.pipeline_call import run_pipeline

        arguments = {
            taken[name].name: to_fields(value)
            for name, value in inputs.items()
            if not _is_output_form(taken[name], value)
        }
        gives = run_pipeline(ctx, pipeline_class, pipeline, arguments)
        # Outputs that are missing this time, for example the image if latents were requested.
        outputs = tuple(BLOCKED if value is None else value for value in gives)
        return outputs[0] if len(outputs) == 1 else outputs

    ports = _parameters(pipeline_class)
    run.__name__ = run.__qualname__ = pipeline_class.name
    run.__module__ = module
    summary = f"Run the pipeline {label_of(pipeline_class.name)} of diffusers."
    run.__doc__ = docstring(
        pipeline_class, summary, {"pipeline": "The pipeline, from LoadPipeline."}
    )
    returned = _return_annotation(pipeline_class)
    annotations = {port.name: port.annotation for port in ports}
    run.__annotations__ = {**annotations, "return": returned}
    run.__signature__ = inspect.Signature(ports, return_annotation=returned)  # type: ignore[attr-defined]
    hooks = hooks_of(pipeline_class.name)
    return node(
        category=f"{CATEGORY}/{pipeline_class.makes}",
        label=label_of(pipeline_class.name),
        tags=_tags(pipeline_class),
        deprecated=_DEPRECATED if pipeline_class.settings.get("deprecated") else "",
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


def _is_output_form(port: PipelineInput, value: Any) -> bool:
    """Whether the input is an output format at its default, which is not passed on.

    With it, diffusers would round images to 8 bits, but the caller needs numbers.
    """
    return port.name == "output_type" and value == port.default


def _return_annotation(pipeline_class: PipelineClass) -> Any:
    names = output_names(pipeline_class.outputs)
    ports = zip(names, map(output_annotation, pipeline_class.outputs), strict=True)
    return NamedTuple(f"{pipeline_class.name}Result", list(ports))


def _tags(pipeline_class: PipelineClass) -> tuple[str, ...]:
    folders = pipeline_class.module.split(".")[2:-1]
    family = folders[-1] if folders else ""
    return tuple(dict.fromkeys(filter(None, (family.replace("_", " "), "diffusers", "pipeline"))))
