"""The commands there are. Listing them imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from inspect import Parameter
from typing import TYPE_CHECKING, Any

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

Function = Callable[..., int | None]


def command_function(name: str) -> Function:
    """The function behind a command; imports its module."""
    function: Function = getattr(import_module(f"nodegraph.cli.{name}"), name)
    return function


@dataclass(frozen=True)
class More:
    """Options that a command takes because of what it was given, as `run` those of a workflow.

    Attributes:
        options: As parameters of a function, keyword only.
        values: What was given for them, by name.
        found: Whatever the command had to find out for it, for later use.
    """

    options: Sequence[Parameter] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    found: Any = None


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


def declared_options(function: Function) -> dict[str, Parameter]:
    """The parameters of a command's function, their annotations read."""
    from inspect import signature
    from typing import get_type_hints

    hints = get_type_hints(function, include_extras=True)
    return {
        name: parameter.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY)
        for name, parameter in signature(function).parameters.items()
    }
