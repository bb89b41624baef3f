"""What nodes of language models know and check before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Finding, HookInputs, NodegraphError
from nodegraph.perception.languages.language_model import (
    LanguageFolder,
    find_language_folder,
    language_bytes,
    language_stamp,
)

from ._facts import check_dtype, error_to_finding

_PORT = "language_model"
"""Of LoadLanguageModel, that the model comes out of."""


def _find_folder(inputs: HookInputs) -> LanguageFolder | None:
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return None
    return find_language_folder(name, environment.models, allow_pickle=environment.allow_pickle)


def check_language_model(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no model, and folders that are damaged, refused or of something else."""
    try:
        _find_folder(inputs)
    except NodegraphError as error:
        yield error_to_finding("model", error)
    yield from check_dtype(inputs)


def language_state(inputs: HookInputs) -> str:
    """Changes when a file of the model does."""
    environment = inputs.environment
    return language_stamp(
        inputs.literals["model"],
        environment.models,
        allow_pickle=environment.allow_pickle,
        device=environment.device,
    )


def language_weights(inputs: HookInputs) -> Estimate:
    """What the model takes in memory once a node needs it, about: as much as on disk."""
    try:
        folder = _find_folder(inputs)
    except NodegraphError:
        # `check_language_model` tells.
        return Estimate()
    return Estimate(memory=0, weights={} if folder is None else {_PORT: language_bytes(folder)})
