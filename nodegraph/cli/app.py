"""The Typer application and its table of commands, imported when they are used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from nodegraph.cli.argument_scan import scan
from nodegraph.cli.options import (
    CommandFunction,
    CommonOptions,
    ExtraOptions,
    common_options,
    global_callback,
    group_callback,
    typer_callback,
)

if TYPE_CHECKING:
    from nodegraph.cli.options import CommonOptions

COMMANDS: Mapping[str, str] = {
    "run": "Run a workflow.",
    "replay": "Make a file again from the file alone, and check that it is the same.",
    "plan": "Show what a run would do, without running anything.",
    "why": "Show why nodes would run, or which earlier run their results come from.",
    "validate": "Check workflows without running them.",
    "lint": "Find likely mistakes in workflows, and what keeps a result from being made again.",
    "fmt": "Write workflow files in their canonical form.",
    "migrate": "Bring workflow files up to date: the file's format, and the versions of its nodes.",
    "diff": "Show how two workflows differ.",
    "merge": "Merge two versions of a workflow file, also as merge driver of git.",
    "nodes": "List the node types, or show one of them.",
    "models": "List the models, and find, download, check, move, remove and link some.",
    "show": "Show a workflow as a tree or a drawing.",
    "export": "Write a workflow for another program: ComfyUI, or Python.",
    "stubs": "Write type stubs of the available node types, for editors and type checkers.",
    "new": "Start a workflow from the gallery, or from the example of a node.",
    "pack": "Install packs of nodes, manage them, start and test your own.",
    "import": "Import ComfyUI workflows, and images of other tools.",
    "serve": "Run the server: the editor, and jobs, workflows and results over HTTP.",
    "mcp": "Offer apps and workflows to MCP clients as tools, over standard input and output.",
    "token": "Manage the tokens that give access to the server.",
    "secret": "Manage the keys of hosted services, which nodes use by name.",
    "credentials": "Sign files with C2PA, and verify signed files.",
    "bundle": "Pack a workflow with all that it needs into one file, and run such files.",
    "backup": "Back up the home folder into one file, also while a server runs.",
    "restore": "Restore a backup into the home folder.",
    "submit": "Run a workflow on a server.",
    "jobs": "List, show and control the jobs of a server.",
    "queue": "Show and control the queue of a server.",
    "schedules": "Run workflows at times, or again and again, on a server.",
    "webhooks": "Show and test what a server sends to webhooks.",
    "results": "List, sort and find the results of a server.",
    "cluster": "Show the workers of a server and their machines.",
    "watch": "Watch a job of a server until it ends.",
    "cancel": "Cancel jobs of a server.",
    "pull": "Download the files of a job.",
    "cache": "Manage the results that are kept on disk.",
    "runs": "Show earlier runs.",
    "lineage": "Show what a result was made from, what was made from it, and what shares a source.",
    "schema": "Print the JSON Schema of the workflow file.",
    "version": "Print the version.",
    "doctor": "Check the installation: libraries, devices, folders, packs.",
}
"""First line of each command's help, by its name, which is also its module's and function's."""

GROUPS: Mapping[str, Mapping[str, str]] = {
    "cache": {
        "info": "Show the location and size of the cache.",
        "list": "List the results that are kept.",
        "prune": "Remove results.",
        "verify": "Read every file and compare it with its digest.",
        "export": "Pack results into one file, for another machine.",
        "import": "Import the results of an exported file.",
    },
    "bundle": {
        "create": "Pack a workflow, or what made a result, into a bundle.",
        "show": "Show what is in a bundle.",
        "run": "Run a bundle; with --verify, compare its outputs with those it states.",
        "unpack": "Unpack a bundle into a folder.",
    },
    "models": {
        "list": "List the models, and where to put more.",
        "search": "Search Hugging Face and Civitai for models.",
        "add": "Download models from Hugging Face, Civitai or any address.",
        "starter": "List well-known models to start with, and which of them fit this machine.",
        "downloads": "List, pause, continue or cancel downloads, also those of a running server.",
        "info": "Show what is known about a model, here or at its source.",
        "verify": "Read models and compare them with the digests of their sources.",
        "move": "Move a model to another name in its folder, with its notes and its image.",
        "remove": "Remove models from the disk, with the notes and images beside them.",
        "link": "Use the models of ComfyUI, A1111 or InvokeAI where they are.",
    },
    "pack": {
        "new": "Start a pack of nodes: a package with a node, its example and its tests.",
        "test": "Test each node, sampler, schedule and guider of a pack.",
        "add": "Install a pack from a folder, a git address, a wheel or an index.",
        "list": "List the installed packs.",
        "info": "Show an installed pack: source, node types, environment, earlier versions.",
        "search": "Search the indexes for packs.",
        "update": "Update packs to their newest versions.",
        "rollback": "Use the former version of a pack again.",
        "disable": "Leave out the node types of a pack.",
        "enable": "Offer the node types of a pack again.",
        "remove": "Remove a pack with its environment.",
        "lock": "Write a file with which others install the packs of a workflow exactly.",
        "sync": "Install the packs of a lock: the same files and versions.",
        "index": "Write the index of a folder of packs, for others to install from.",
    },
    "token": {
        "add": "Make a token.",
        "list": "List the tokens.",
        "revoke": "Revoke a token.",
        "rotate": "Replace a token with a new one.",
        "webhook": "Set the webhook of a token's jobs.",
    },
    "secret": {
        "set": "Store a secret, such as the key of a service.",
        "list": "List the names and hosts of the secrets. Values are never shown.",
        "remove": "Remove a secret.",
    },
    "credentials": {
        "sign": "Sign copies of files with C2PA (Content Credentials).",
        "verify": "Show who signed files, and whether they changed since.",
        "certificate": "Make an own certificate and its key, for signing.",
    },
    "jobs": {
        "list": "List the jobs of a server, the newest first.",
        "show": "Show a job.",
        "retry": "Queue failed or cancelled jobs again.",
        "hold": "Pause jobs.",
        "unhold": "Release paused jobs.",
        "move": "Change a waiting job's place in the queue.",
        "delete": "Delete jobs that have ended.",
    },
    "queue": {
        "show": "Show whether the queue runs, how many jobs wait, and which come next.",
        "pause": "Start no more jobs.",
        "resume": "Start jobs again.",
        "clear": "Cancel all jobs that wait.",
    },
    "schedules": {
        "add": "Run a workflow again and again: at times, or without end.",
        "list": "List the schedules of a server.",
        "pause": "Have schedules start no more jobs.",
        "resume": "Have paused schedules start jobs again, from their next time on.",
        "remove": "Remove schedules. Their jobs stay.",
        "run": "Start the next job of schedules now.",
    },
    "webhooks": {
        "list": "List deliveries to webhooks, the newest first.",
        "show": "Show what became of a delivery.",
        "replay": "Deliver once more, from now on.",
        "test": "Send a test event to a webhook now, and show how it went.",
        "secret": "Make a new secret for your webhooks, and show it once.",
    },
    "results": {
        "list": "List the results of a server, the newest first.",
        "star": "Give results stars.",
        "tag": "Add or remove tags of results, or list all tags.",
        "board": "Put results on a board, or list, make, rename or delete boards.",
        "note": "Note something about results.",
        "trash": "Put results into the trash, or empty it.",
        "restore": "Take results out of the trash, with their stars, tags, notes and boards.",
    },
    "cluster": {
        "status": "Show the workers of a server and their machines.",
    },
    "runs": {
        "list": "List earlier runs, the last one first.",
        "show": "Show what a run did.",
        "compare": "Show how two runs differ.",
    },
}
"""The commands that have commands of their own, which are functions of a module of that name."""

DEFAULT_COMMANDS: Mapping[str, str] = {
    "cache": "info",
    "models": "list",
    "token": "list",
    "secret": "list",
    "jobs": "list",
    "queue": "show",
    "schedules": "list",
    "webhooks": "list",
    "results": "list",
    "cluster": "status",
    "runs": "list",
}
"""What those do that are asked for most, where none of their commands is named."""

_PYTHON_WORDS = ("list", "import", "set")
"""Words of Python's own: the module and function of such a command end in an underscore."""

_MODULES = {
    "restore": "backup",
    "cache export": "cache_exchange",
    "cache import": "cache_exchange",
    "models search": "model_downloads",
    "models add": "model_downloads",
    "models starter": "model_downloads",
    "models downloads": "model_downloads",
    **dict.fromkeys(
        (
            *("pack add", "pack list", "pack info", "pack search", "pack update", "pack rollback"),
            *("pack disable", "pack enable", "pack remove", "pack lock", "pack sync", "pack index"),
        ),
        "pack_install",
    ),
    "cancel": "jobs",
    "cluster status": "queue",
    "webhooks list": "schedules",
    "webhooks show": "schedules",
    "webhooks replay": "schedules",
    "webhooks test": "schedules",
    "webhooks secret": "schedules",
    "version": "options",
    "mcp": "serve",
    "merge": "diff",
    "migrate": "fmt",
    "pull": "jobs",
    "schema": "nodes",
    "stubs": "nodes",
}
"""The modules of commands that lie beside what belongs to them."""

_FUNCTIONS = {
    "webhooks list": "list_deliveries",
    "webhooks show": "show_delivery",
    "webhooks test": "send_test",
}
"""The functions of commands whose module has another one of their name."""


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
    function: CommandFunction = getattr(
        _module(name), _FUNCTIONS.get(name) or _python_name(name.rpartition(" ")[2])
    )
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


Context = Any
Formatter = Any
"""Click's. Older versions of Typer depend on click and newer ones bring a copy of their own, so
there is no one place to import them from."""

EXIT_CODES = """Exit codes: 0 success, 1 a run failed, 2 bad input, 130 cancelled."""

_OF_IDS = ("jobs", "runs")
"""Groups whose `show` takes an id."""
_ID = re.compile(r"\d")
"""What ids have, and no command's name has."""
_NO_BRACES = str.maketrans("", "", "{}")
_CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def application() -> Any:
    """The whole command line as one command, ready for its `main`."""
    return _group(global_callback, add_completion=True)


def _group(callback: Callable[..., None], *, add_completion: bool, **options: Any) -> Any:
    app = typer.Typer(
        cls=CommandGroup,
        context_settings=_CONTEXT,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=add_completion,
        invoke_without_command=True,
        subcommand_metavar="COMMAND ...",
    )
    app.callback(epilog=EXIT_CODES, **options)(callback)
    return typer.main.get_command(app)


def command(name: str, common: CommonOptions | None = None, arguments: Sequence[str] = ()) -> Any:
    """One command, with the options that it takes for these arguments.

    Args:
        name: As it is written: ``run``, ``cache``, ``cache info``.
    """
    common = common or CommonOptions()
    if name in GROUPS:
        group = _group(group_callback, add_completion=False, help=COMMANDS[name])
        group.path, group.common = name, common
        return group
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    function = typer_callback(command_function(name), common, more_options(name, common, arguments))
    app.command(name, cls=Command, context_settings=_CONTEXT, epilog=EXIT_CODES)(function)
    return typer.main.get_command(app)


def _lighter(options: list[Any]) -> list[Any]:
    """The same options, which convert only what is given and is no text.

    For each option, given or not, Typer has pydantic build what converts its value: most of a
    millisecond for each of some twenty, and importing pydantic takes longer than a check.
    """
    for option in options:
        # Other releases of Typer keep the type elsewhere: there it converts all of them itself.
        is_known = hasattr(option, "type_descriptor")
        if is_known and not isinstance(option.process_value, _Converting):
            option.process_value = _Converting(option)
    return options


class _Converting:
    """How what is given for an option is converted; see `process_value` of Click's parameters."""

    def __init__(self, option: Any) -> None:
        self._option = option
        self._convert = option.process_value
        self._kind = option.type_descriptor.annotation

    def __call__(self, ctx: Context, value: Any) -> Any:
        option = self._option
        if value and self._kind in (str, list[str]) and option.callback is None:
            return value if isinstance(value, str) else list(value)
        if value is option.default and type(value) is self._kind:
            return value
        if value is not None or option.required:
            return self._convert(ctx, value)
        nothing = () if option.multiple or option.nargs == -1 else None
        return nothing if option.callback is None else option.callback(ctx, option, nothing)


class Command(TyperCommand):
    """A command whose help lists its options in sections."""

    def get_params(self, ctx: Context) -> list[Any]:
        return _lighter(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        # Typer puts braces around what is required.
        return [piece.translate(_NO_BRACES) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Context, formatter: Formatter) -> None:
        _format_options(self, ctx, formatter)


class CommandGroup(TyperGroup):
    """The group of all commands, or one of those within it.

    Attributes:
        path: What its commands' names start with: ``cache``; empty for the group of all.
        common: What was given before its name.
    """

    path = ""
    common = CommonOptions()

    @property
    def _summaries(self) -> Mapping[str, str]:
        return GROUPS[self.path] if self.path else COMMANDS

    def _full(self, name: str) -> str:
        return f"{self.path} {name}".lstrip()

    def get_params(self, ctx: Context) -> list[Any]:
        return _lighter(super().get_params(ctx))

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        alone = DEFAULT_COMMANDS.get(self.path)
        if alone is not None and not ctx.resilient_parsing and self._names_none(args):
            args = [alone, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def _names_none(self, args: Sequence[str]) -> bool:
        """Whether the arguments name no command, and don't begin by asking for help."""
        scanned = scan(args, common_options())
        named = scanned.positional or self._summaries.keys() & set(scanned.ambiguous)
        return not named and args[:1] not in (["-h"], ["--help"])

    def list_commands(self, ctx: Context) -> list[str]:
        return list(self._summaries)

    def get_command(self, ctx: Context, cmd_name: str) -> Any:
        return command(self._full(cmd_name)) if cmd_name in self._summaries else None

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, *remaining = args
        if name in self._summaries:
            return (
                name,
                command(self._full(name), self.common.merged(ctx.params), remaining),
                remaining,
            )
        if ctx.resilient_parsing:  # the shell asks for completions of what isn't written yet
            return None, None, remaining
        ctx.fail(f"there is no command `{self._full(name)}`. {self._hint(name)}".rstrip())
        raise AssertionError("unreachable: `fail` raises")

    def _hint(self, name: str) -> str:
        if self.path and name in COMMANDS:
            return f"Did you mean `nodegraph {name}`?"
        if self.path in _OF_IDS and (name == "last" or _ID.search(name)):
            return f"Did you mean `nodegraph {self._full('show')} {name}`?"
        if not self.path and Path(name).suffix in (".json", ".png") and Path(name).is_file():
            return f"To run a workflow, use `nodegraph run {name}`."
        from nodegraph.core.suggest import did_you_mean

        return did_you_mean(name, self._summaries, listed=len(self._summaries))

    def format_options(self, ctx: Context, formatter: Formatter) -> None:
        # Commands come first: they are what people look for.
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
        _format_options(self, ctx, formatter)


def _format_options(shown: Any, ctx: Context, formatter: Formatter) -> None:
    """List arguments and options, those of one panel under its name."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for option in shown.get_params(ctx):
        record = option.get_help_record(ctx)
        if record is not None:
            name, about = record
            if option.param_type_name == "argument":
                sections["Arguments"].append((name.partition(" <")[0], about))
            else:
                panel = getattr(option, "rich_help_panel", None) or "Options"
                sections.setdefault(panel, []).append(record)
    for name, records in sections.items():
        if records:
            with formatter.section(name):
                formatter.write_dl(records)
