"""The commands there are. Listing them imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from nodegraph.cli.functions import CommandFunction, ExtraOptions

if TYPE_CHECKING:
    from nodegraph.cli.options import CommonOptions

COMMANDS: Mapping[str, str] = {
    "run": "Run a workflow.",
    "plan": "Tell what a run would do, without running anything.",
    "why": "Tell why nodes would run, or which earlier run their results come from.",
    "validate": "Check workflows without running them.",
    "nodes": "List the node types, or show one of them.",
    "models": "List the models, and where to put more.",
    "show": "Show a workflow as a tree or a drawing.",
    "export": "Write a workflow for another program: ComfyUI, or Python.",
    "stubs": "Write stubs of the node types that are there, for editors and type checkers.",
    "new": "Start a workflow from the gallery, or from the example of a node.",
    "pack": "Start a pack of nodes, and test one.",
    "import": "Translate workflows of ComfyUI.",
    "serve": "Run the server: the editor, and jobs, workflows and results over HTTP.",
    "token": "Look after the tokens that let others use the server.",
    "backup": "Pack the home folder into one file, while a server may run.",
    "restore": "Put a backup back into the home folder.",
    "submit": "Have a server run a workflow.",
    "jobs": "List the jobs of a server, show them and steer them.",
    "queue": "Look after the queue of a server.",
    "cluster": "Look at the workers of a server, and the machines that they run on.",
    "watch": "Watch a job of a server until it ends.",
    "cancel": "Cancel jobs of a server.",
    "pull": "Download the files of a job.",
    "cache": "Look after what is kept on disk.",
    "runs": "Look at earlier runs.",
    "schema": "Print the JSON Schema of the workflow file.",
    "version": "Print the version.",
    "doctor": "Check the installation: libraries, devices, folders, packs.",
}
"""First line of each command's help, by its name, which is also its module's and function's."""

GROUPS: Mapping[str, Mapping[str, str]] = {
    "cache": {
        "info": "Tell where it is and how much it holds.",
        "list": "List the results that are kept.",
        "prune": "Remove results.",
        "verify": "Read every file and compare it with its digest.",
        "export": "Pack results into one file, for another machine.",
        "import": "Take in the results of an exported file.",
    },
    "pack": {
        "new": "Start a pack of nodes: a package with a node, its example and its tests.",
        "test": "Try each node of a pack, and judge it.",
    },
    "token": {
        "add": "Make a token.",
        "list": "List the tokens.",
        "revoke": "Take a token back.",
        "rotate": "Make a new token in place of one.",
    },
    "jobs": {
        "list": "List the jobs of a server, the newest first.",
        "show": "Show a job.",
        "retry": "Let jobs that failed or were cancelled wait once more.",
        "hold": "Pause jobs.",
        "unhold": "Let paused jobs go.",
        "move": "Change a waiting job's place in the queue.",
        "delete": "Forget jobs that have ended.",
    },
    "queue": {
        "show": "Tell whether the queue goes on, how much waits, and which jobs come next.",
        "pause": "Begin no more jobs.",
        "resume": "Begin jobs again.",
        "clear": "Cancel all jobs that wait.",
    },
    "cluster": {
        "status": "Tell how the workers of a server are, and on which machines.",
    },
    "runs": {
        "list": "List earlier runs, the last one first.",
        "show": "Show what a run did.",
        "compare": "Tell how two runs differ.",
    },
}
"""The commands that have commands of their own, which are functions of a module of that name."""

DEFAULT_COMMANDS: Mapping[str, str] = {
    "cache": "info",
    "token": "list",
    "jobs": "list",
    "queue": "show",
    "cluster": "status",
    "runs": "list",
}
"""What those do that are asked for most, where none of their commands is named."""

_PYTHON_WORDS = ("list", "import")
"""Words of Python's own: the module and function of such a command end in an underscore."""

_MODULES = {
    "restore": "backup",
    "cache export": "cache_exchange",
    "cache import": "cache_exchange",
}
"""The modules of commands that lie beside what belongs to them."""


def command_names() -> list[str]:
    """Every command that does something, such as ``run`` and ``cache info``."""
    names: list[str] = []
    for name in COMMANDS:
        names += [f"{name} {part}" for part in GROUPS[name]] if name in GROUPS else [name]
    return names


def summary(name: str) -> str:
    """First line of a command's help."""
    group, _, part = name.partition(" ")
    return GROUPS[group][part] if part else COMMANDS[name]


def command_function(name: str) -> CommandFunction:
    """The function behind a command; imports its module."""
    function: CommandFunction = getattr(_module(name), _python_name(name.rpartition(" ")[2]))
    return function


def _module(name: str) -> ModuleType:
    module = _MODULES.get(name) or _python_name(name.partition(" ")[0])
    return import_module(f"nodegraph.cli.{module}")


def _python_name(word: str) -> str:
    return f"{word}_" if word in _PYTHON_WORDS else word


def more_options(name: str, common: CommonOptions, arguments: Sequence[str]) -> ExtraOptions:
    """What a command takes besides the options that it always takes.

    Args:
        arguments: What was given to the command.
    Raises:
        NodegraphError: What decides on the options can't be read.
    """
    module = _module(name)
    find: Callable[[CommonOptions, Sequence[str]], ExtraOptions] | None = getattr(
        module, "more_options", None
    )
    return find(common, arguments) if find and arguments else ExtraOptions()
