"""Checks of the random prompt nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph import Environment, Finding, HookInputs, NodegraphError

from ._facts import error_to_finding

if TYPE_CHECKING:
    from nodegraph.sampling.wildcards import WildcardFiles


def wildcards(
    environment: Environment, reading: Callable[[Path], object] = lambda path: path
) -> WildcardFiles:
    """The wildcards of the inputs folder.

    Args:
        reading: Called with each file before it is read.
    """
    from nodegraph.sampling.wildcards import WildcardFiles

    # Users of a server must not learn about files of others.
    return WildcardFiles(environment.inputs, environment.readable is None, reading)


def check_choices(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid choices, and wildcards without a file."""
    from nodegraph.sampling.comfyui_prompts import check_prompt
    from nodegraph.sampling.wildcards import parse_choices, wildcard_names

    text, syntax = inputs.literals.get("text"), inputs.literals.get("syntax")
    if text is None or syntax is None:
        return
    try:
        if syntax == "comfyui":
            check_prompt(text)
            return
        files = wildcards(inputs.environment)
        for name in wildcard_names(parse_choices(text)):
            files(name)
    except NodegraphError as error:
        yield error_to_finding("text", error)
