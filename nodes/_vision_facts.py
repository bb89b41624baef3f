"""Facts and checks of the vision model nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.families.helper_networks import TASKS, Task
from nodegraph.perception.vision.vision_model import (
    NODE_BY_TASK,
    check_runtime,
    class_labels,
    find_tagger,
    find_vision_folder,
    tagger_stamp,
    vision_bytes,
    vision_stamp,
)

from ._facts import check_dtype, error_to_finding
from ._mask_facts import check_points

_PORT = "vision_model"
"""Output of LoadVisionModel."""


def vision_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Task of the model, and its classes. Empty if it cannot be loaded."""
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return {}
    try:
        folder = find_vision_folder(name, environment.models, allow_pickle=environment.allow_pickle)
        return {_PORT: {"task": TASKS[folder.class_name], "labels": class_labels(folder.config)}}
    except NodegraphError:
        # `check_vision_model` reports it.
        return {}


def check_vision_model(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing models, and models that are damaged, refused or not supported."""
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is not None:
        try:
            find_vision_folder(name, environment.models, allow_pickle=environment.allow_pickle)
        except NodegraphError as error:
            yield error_to_finding("model", error)
    yield from check_dtype(inputs)


def vision_state(inputs: HookInputs) -> str:
    """A stamp that changes when a file of the model changes."""
    environment = inputs.environment
    return vision_stamp(
        inputs.literals["model"],
        environment.models,
        allow_pickle=environment.allow_pickle,
        device=environment.device,
    )


def vision_weights(inputs: HookInputs) -> Estimate:
    """Approximate memory of the loaded model: its size on disk."""
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return Estimate()
    byte_count = vision_bytes(name, environment.models, allow_pickle=environment.allow_pickle)
    return Estimate(memory=0, weights={} if byte_count is None else {_PORT: byte_count})


def check_task(inputs: HookInputs, task: Task) -> Iterator[Finding]:
    """Find models for another task."""
    model_task = inputs.fact("model", "task")
    if model_task is not None and model_task != task:
        yield Finding(
            "model",
            "the model is for another task",
            f"a model for {NODE_BY_TASK[model_task]}",
            f"a model for {NODE_BY_TASK[task]}",
        )


def check_anything(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task, and texts that are not points or boxes."""
    yield from check_task(inputs, "points")
    yield from check_points(inputs)
    texts = [inputs.literals.get(port, "linked") for port in ("points", "boxes")]
    if not any(text.strip() for text in texts):
        yield Finding("points", "no point and no box is given")


def check_text(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task."""
    yield from check_task(inputs, "text")


def check_classes(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task, and classes that the model does not have."""
    yield from check_task(inputs, "classes")
    yield from _check_labels(inputs)


def check_things(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task, and classes that the model does not have."""
    yield from check_task(inputs, "boxes")
    yield from _check_labels(inputs)


def _check_labels(inputs: HookInputs) -> Iterator[Finding]:
    """Find classes that the model does not have."""
    known, text = inputs.fact("model", "labels"), inputs.literals.get("labels")
    if known and text is not None:
        names = [name.strip() for name in text.split(",") if name.strip()]
        plain = {name.lower() for name in known}
        for name in names:
            if name.lower() not in plain:
                some = ", ".join(known[:40])
                yield Finding("labels", "the model does not have this class", name, some)


def check_matting(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task."""
    yield from check_task(inputs, "matting")


def check_foreground(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task."""
    yield from check_task(inputs, "foreground")


def check_depth(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task."""
    yield from check_task(inputs, "depth")


def check_pose(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task, and texts that are not boxes."""
    yield from check_task(inputs, "pose")
    yield from check_points(inputs)


def check_captions(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task."""
    yield from check_task(inputs, "captions")


def check_tagger(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing taggers, damaged folders, and a missing package."""
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is not None:
        try:
            find_tagger(name, environment.models)
            check_runtime()
        except NodegraphError as error:
            yield error_to_finding("model", error)


def tagger_state(inputs: HookInputs) -> str:
    """A stamp that changes when a file of the tagger changes."""
    return tagger_stamp(inputs.literals["model"], inputs.environment.models)
