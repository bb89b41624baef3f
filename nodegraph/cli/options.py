"""Options that every command takes, before or after its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.functions import CommandFunction, ExtraOptions, declared_options
from nodegraph.cli.output import BrokenStdout

if TYPE_CHECKING:
    from nodegraph.packs.pack import Pack
    from nodegraph.session.session import Session
    from nodegraph.session.settings import Settings

GLOBAL = "Options of every command"

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


@dataclass(frozen=True)
class CommonOptions:
    """What was given for the options of every command."""

    home: Path | None = None
    packs: tuple[Path, ...] = ()
    models: tuple[Path, ...] = ()
    device: str | None = None

    def merged(self, given: Mapping[str, Any]) -> CommonOptions:
        """With what was given later added: lists grow, single values are replaced."""
        home = given.get("home")
        return replace(
            self,
            home=_path(home) if home else self.home,
            packs=(*self.packs, *map(_path, given.get("pack") or ())),
            models=(*self.models, *map(_path, given.get("models") or ())),
            device=given.get("device") or self.device,
        )

    def settings(self, **flags: Any) -> Settings:
        """The settings in force; models folders given here go before the configured ones.

        Raises:
            InvalidFile: The config file or a variable is at fault.
        """
        from nodegraph.session.settings import load_settings

        overrides = {"home": self.home, "device": self.device, **flags}
        settings = load_settings(
            {key: value for key, value in overrides.items() if value is not None}
        )
        return replace(settings, models=(*self.models, *settings.models))

    def pack_list(self) -> list[Pack]:
        """The packs in use: installed ones, those of the settings' folders, and those given here.

        Raises:
            InvalidFile: See `settings`.
            PackError: There is no pack where one was said to be.
        """
        from nodegraph.packs.pack import pack_at
        from nodegraph.session.node_types import all_packs

        return all_packs(self.settings(), [pack_at(path) for path in self.packs])

    def session(
        self, *, inputs: Path | None = None, use_cache: bool = True, **flags: Any
    ) -> Session:
        """A session with these settings and packs.

        Raises:
            InvalidFile: See `settings`.
            PackError: There is no pack where one was said to be.
        """
        from nodegraph.session.session import Session

        settings = self.settings(**flags)
        return Session(settings, packs=self.packs, inputs=inputs, use_cache=use_cache)


def _path(text: str) -> Path:
    # Absolute, so that it still holds if a node changes the current folder.
    return Path(text).expanduser().absolute()


HomeOption = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Keep everything in this folder.", rich_help_panel=GLOBAL),
]
PackOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="Add a node pack, a folder or a .py file; may be repeated.",
        rich_help_panel=GLOBAL,
    ),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIR",
        help="Search this folder for models first; may be repeated.",
        rich_help_panel=GLOBAL,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Compute on it: auto, cpu, cuda:0, mps.", rich_help_panel=GLOBAL
    ),
]
NoColorOption = Annotated[
    bool, typer.Option("--no-color", help="Print without colour.", rich_help_panel=GLOBAL)
]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from nodegraph.core.version import VERSION

        print(f"nodegraph {VERSION}")
        raise typer.Exit


def global_callback(
    ctx: typer.Context,
    home: HomeOption = None,
    pack: PackOption = None,
    models: ModelsOption = None,
    device: DeviceOption = None,
    no_color: NoColorOption = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Run diffusion pipelines that are described as node graphs.

    `nodegraph COMMAND --help` tells more of a command.
    """
    if no_color:
        forbid_color()
    if ctx.invoked_subcommand is None:
        raise MissingCommand(ctx.get_help())


def group_callback(
    ctx: typer.Context,
    home: HomeOption = None,
    pack: PackOption = None,
    models: ModelsOption = None,
    device: DeviceOption = None,
    no_color: NoColorOption = False,
) -> None:
    """A command was named that has commands of its own."""
    if no_color:
        forbid_color()
    if ctx.invoked_subcommand is None:
        raise MissingCommand(ctx.get_help())


class MissingCommand(Exception):
    """Only options were given; the text is the help."""


def forbid_color() -> None:
    """Have everything printed without colour."""
    os.environ["NO_COLOR"] = "1"  # rich and the packs' own libraries heed it too


def _common(
    home: HomeOption = None,
    pack: PackOption = None,
    models: ModelsOption = None,
    device: DeviceOption = None,
    no_color: NoColorOption = False,
) -> None:
    """The signature of the options of every command."""


def pop_common(common: CommonOptions, given: dict[str, Any]) -> CommonOptions:
    """Take the options of every command out of what was given."""
    options = {name: given.pop(name, None) for name in common_options()}
    if options["no_color"]:
        forbid_color()
    return common.merged(options)


def common_options() -> dict[str, Parameter]:
    """The options of every command, as parameters of a function."""
    return declared_options(_common)


def typer_callback(
    function: CommandFunction, common: CommonOptions, more: ExtraOptions
) -> Callable[..., Any]:
    """A command's function as Typer takes it.

    Args:
        function: Its parameter `common` gets the options of every command, and its parameter
            `more`, if it has one, what was given for the options in `more`.
        common: What was given before the command's name.
    """

    def command(**given: Any) -> Any:
        merged = pop_common(common, given)
        if "more" in own:
            values = {option.name: given.pop(option.name) for option in more.options}
            given["more"] = replace(more, values=values)
        try:
            return function(merged, **given)
        except BrokenPipeError as error:
            raise BrokenStdout from error

    own = declared_options(function)
    parameters = [own[name] for name in own if name not in ("common", "more")]
    parameters += [*more.options, *common_options().values()]
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return command
