"""Facts and checks of loading pipelines. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.errors import at_port
from nodegraph.interop.pipelines.folders import PipelineFolder, read_folder
from nodegraph.interop.pipelines.pipeline_recipes import pipeline_stamp, pipeline_weights
from nodegraph.interop.pipelines.schedulers import CLASS, OWN, replace_scheduler
from nodegraph.models.adapters.adapter_files import locate_adapter, read_adapter
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_sources import find_path
from nodegraph.weights.precision.storage import check_storage

_PORT = "pipeline"


def _folder(inputs: HookInputs) -> PipelineFolder:
    environment = inputs.environment
    with at_port(_PORT):
        path = find_path(inputs.literals[_PORT], environment.models)
        return read_folder(path, allow_pickle=environment.allow_pickle)


def pipeline_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Class and parts of the pipeline of LoadPipeline. Empty if it cannot be loaded."""
    if inputs.literals.get(_PORT) is None:
        return {}
    try:
        folder = _folder(inputs)
    except NodegraphError:
        # `check_pipeline` reports it.
        return {}
    return {_PORT: {"pipeline": folder.class_name, "parts": sorted(folder.parts)}}


def check_pipeline(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing pipelines, incomplete folders, and schedulers that do not match."""
    if inputs.literals.get(_PORT) is None:
        return
    try:
        folder = _folder(inputs)
        _check_scheduler(folder, inputs.literals.get("scheduler", OWN))
        check_storage(inputs.literals.get("storage") or "auto")
    except NodegraphError as error:
        yield finding_of(error.problem.port or _PORT, error)


def _check_scheduler(folder: PipelineFolder, wanted: str) -> None:
    part = folder.parts.get("scheduler")
    replace_scheduler({CLASS: part.class_name if part else "none"}, wanted)


def finding_of(port: str, error: NodegraphError) -> Finding:
    """Convert an error to a finding at an input."""
    problem = error.problem
    return Finding(
        port,
        problem.message,
        problem.given,
        problem.expected,
        problem.hint,
        code=problem.code,
    )


def pipeline_state(inputs: HookInputs) -> str:
    """A stamp that changes when a file of the pipeline changes."""
    environment = inputs.environment
    return pipeline_stamp(
        inputs.literals[_PORT],
        environment.models,
        allow_pickle=environment.allow_pickle,
        device=environment.device,
    )


def weights_of_pipeline(inputs: HookInputs) -> Estimate:
    """Memory of the loaded parts of a pipeline."""
    name, environment = inputs.literals.get(_PORT), inputs.environment
    if name is None:
        return Estimate()
    weights = pipeline_weights(
        name,
        environment.models,
        dtype=computed_dtype(inputs.literals.get("dtype") or "auto", environment.device),
        storage=inputs.literals.get("storage") or "auto",
        allow_pickle=environment.allow_pickle,
        device=environment.device,
    )
    whole = sum(part.bytes for part in weights.values())
    in_parts = sum(part.parts for part in weights.values())
    return Estimate(memory=0, weights={_PORT: whole}, parts={_PORT: in_parts})


def adapted_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the pipeline, passed on unchanged."""
    known: dict[str, Any] = dict(inputs.facts.get(_PORT, {}))
    return {_PORT: known}


def check_adapter(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing files, and files without a LoRA."""
    name = inputs.literals.get("lora")
    if name is not None:
        try:
            read_adapter(locate_adapter(name, inputs.environment.models))
        except NodegraphError as error:
            yield finding_of("lora", error)


def adapter_state(inputs: HookInputs) -> str:
    """A stamp that changes when the file changes."""
    return file_stamp(locate_adapter(inputs.literals["lora"], inputs.environment.models))


def adapter_weights(inputs: HookInputs) -> Estimate:
    """Memory that the LoRA adds to the parts of the pipeline."""
    name = inputs.literals.get("lora")
    if name is None:
        return Estimate()
    try:
        file = read_adapter(locate_adapter(name, inputs.environment.models))
    except NodegraphError:
        # `check_adapter` reports it.
        return Estimate()
    added = sum(file.bytes(of_encoders=of_encoders) for of_encoders in (False, True))
    return Estimate(memory=0, weights={_PORT: added}, shares={_PORT: _PORT})
