"""The commands there are. Listing them imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from nodegraph.cli.functions import Function, More

if TYPE_CHECKING:
    from nodegraph.cli.options import Common

COMMANDS: Mapping[str, str] = {
    "run": "Run a workflow.",
    "validate": "Check workflows without running them.",
    "nodes": "List the node types, or show one of them.",
    "models": "List the models, and where to put more.",
    "show": "Show a workflow as a tree or a drawing.",
    "new": "Start a workflow from the gallery.",
    "schema": "Print the JSON Schema of the workflow file.",
    "version": "Print the version.",
    "doctor": "Check the installation: libraries, devices, folders, packs.",
}
"""First line of each command's help, by its name, which is also its module's and function's."""


def command_function(name: str) -> Function:
    """The function behind a command; imports its module."""
    function: Function = getattr(import_module(f"nodegraph.cli.{name}"), name)
    return function


def more_options(name: str, common: Common, arguments: Sequence[str]) -> More:
    """What a command takes besides the options that it always takes.

    Args:
        arguments: What was given to the command.
    Raises:
        NodegraphError: What decides on the options can't be read.
    """
    module = import_module(f"nodegraph.cli.{name}")
    find: Callable[[Common, Sequence[str]], More] | None = getattr(module, "more_options", None)
    return find(common, arguments) if find and arguments else More()
