"""Facts and checks of the language model nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Finding, HookInputs, NodegraphError
from nodegraph.perception.language_model import (
    LanguageFolder,
    find_language_folder,
    language_bytes,
    language_stamp,
)

from ._facts import check_dtype, error_to_finding, loading_device

_PORT = "language_model"
"""Output of LoadLanguageModel."""


def _find_folder(inputs: HookInputs) -> LanguageFolder | None:
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return None
    return find_language_folder(name, environment.models, allow_pickle=environment.allow_pickle)


def check_language_model(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing models, and folders that are damaged, refused or of another kind."""
    try:
        _find_folder(inputs)
    except NodegraphError as error:
        yield error_to_finding("model", error)
    yield from check_dtype(inputs)


def language_state(inputs: HookInputs) -> str:
    """A stamp that changes when a file of the model changes."""
    environment = inputs.environment
    return language_stamp(
        inputs.literals["model"],
        environment.models,
        allow_pickle=environment.allow_pickle,
        device=loading_device(inputs),
    )


def language_weights(inputs: HookInputs) -> Estimate:
    """Approximate memory of the loaded model: its size on disk."""
    try:
        folder = _find_folder(inputs)
    except NodegraphError:
        # `check_language_model` reports it.
        return Estimate()
    return Estimate(memory=0, weights={} if folder is None else {_PORT: language_bytes(folder)})
