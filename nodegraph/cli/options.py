"""Options that commands share, and the session, store or server client that they select."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import typer

from nodegraph.cli.output import BrokenStdout, echo, print_json, print_warnings
from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Client
    from nodegraph.packs.pack import Pack
    from nodegraph.session.session import Session
    from nodegraph.session.settings import Settings
    from nodegraph.store.history import Runs
    from nodegraph.store.store import Store


@contextmanager
def open_session_and_store(common: CommonOptions) -> Iterator[tuple[Session, Store]]:
    """A session and its store, open until the end of the `with`.

    Raises:
        InvalidValue: Nothing is kept on disk.
    """
    with common.session() as session:
        store = session.store
        if store is None:
            raise _no_store_error(session)
        print_warnings(session.problems)
        yield session, store


@contextmanager
def open_store(common: CommonOptions) -> Iterator[Store]:
    """The store in force, open until the end of the `with`.

    Raises:
        InvalidValue: Nothing is kept on disk.
    """
    with open_session_and_store(common) as (_, store):
        yield store


@contextmanager
def open_runs(common: CommonOptions) -> Iterator[Runs]:
    """The records of runs in the store in force, until the end of the `with`.

    Raises:
        InvalidValue: No runs are kept on disk.
    """
    with common.session() as session:
        kept = session.persistence
        if kept is None:
            raise _no_store_error(session)
        print_warnings(session.problems)
        if kept.runs is not None:
            yield kept.runs
        else:
            with _runs_to_read(kept.store) as runs:
                yield runs


@contextmanager
def _runs_to_read(store: Store) -> Iterator[Runs]:
    """The records of runs in a store that can only be read."""
    from nodegraph.store.claims import Claims
    from nodegraph.store.history import Runs

    try:
        claims = Claims(store.folder / "claims")
    except OSError as error:
        raise store.read_only_error() from error
    try:
        yield Runs(store.index, claims)
    finally:
        claims.close()


def _no_store_error(session: Session) -> InvalidValue:
    if session.problems:
        return InvalidValue("\n".join(session.problems))
    return InvalidValue(
        "results are not kept on disk",
        hint="The setting `disk_cache` is 0; see `nodegraph doctor`.",
    )


_CONNECT_TIMEOUT = 2.0
"""Seconds of looking for a server: somebody sits and waits."""

ServerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The address of the server; NODEGRAPH_TOKEN holds the token  [default: "
        "NODEGRAPH_SERVER, or http://127.0.0.1:8420]",
    ),
]


@contextmanager
def open_client(server: str | None) -> Iterator[Client]:
    """A client of a server, until the end of the `with`.

    Raises:
        InvalidValue: The address or the token can't be one.
    """
    from nodegraph.client import Client, Retries

    gc.enable()  # the command line's start turns it off; what follows may take hours
    with Client(server, retries=Retries(connecting=_CONNECT_TIMEOUT)) as client:
        yield client


CommandFunction = Callable[..., int | None]


@dataclass(frozen=True)
class ExtraOptions:
    """Options that a command takes because of what it was given, as `run` those of a workflow.

    Attributes:
        options: As parameters of a function, keyword only.
        values: What was given for them, by name.
        opened: Whatever the command had to find out for it, for later use.
    """

    options: Sequence[Parameter] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    opened: Any = None


def declared_options(function: CommandFunction) -> dict[str, Parameter]:
    """The parameters of a command's function, their annotations read."""
    from inspect import signature
    from typing import get_type_hints

    hints = get_type_hints(function, include_extras=True)
    return {
        name: parameter.replace(annotation=_as_written(hints[name]), kind=Parameter.KEYWORD_ONLY)
        for name, parameter in signature(function).parameters.items()
    }


def _as_written(hint: Any) -> Any:
    """An annotation without the `None` that Python 3.10 adds where that is the default."""
    inner = get_args(hint)
    is_added = get_origin(hint) is Union and len(inner) == 2 and inner[1] is type(None)
    return inner[0] if is_added and get_origin(inner[0]) is Annotated else hint


GLOBAL = "Options of all commands"

JsonOption = Annotated[bool, typer.Option("--json", help="Print only JSON.")]


@dataclass(frozen=True)
class CommonOptions:
    """What was given for the options of every command."""

    home: Path | None = None
    packs: tuple[Path, ...] = ()
    models: tuple[Path, ...] = ()
    device: str | None = None

    def merged(self, later: Mapping[str, Any]) -> CommonOptions:
        """With what was given later added: lists grow, single values are replaced."""
        home = later.get("home")
        return replace(
            self,
            home=_path(home) if home else self.home,
            packs=(*self.packs, *map(_path, later.get("pack") or ())),
            models=(*self.models, *map(_path, later.get("models") or ())),
            device=later.get("device") or self.device,
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
    typer.Option(metavar="DIR", help="Keep all data in this folder.", rich_help_panel=GLOBAL),
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
        metavar="NAME",
        help="Device to compute on: auto, cpu, cuda:0 or mps.",
        rich_help_panel=GLOBAL,
    ),
]
NoColorOption = Annotated[
    bool, typer.Option("--no-color", help="Print without color.", rich_help_panel=GLOBAL)
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

    `nodegraph COMMAND --help` shows more about a command.
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
    """Have everything printed without color."""
    os.environ["NO_COLOR"] = "1"  # rich and the packs' own libraries heed it too


def _common(
    home: HomeOption = None,
    pack: PackOption = None,
    models: ModelsOption = None,
    device: DeviceOption = None,
    no_color: NoColorOption = False,
) -> None:
    """The signature of the options of every command."""


def pop_common(common: CommonOptions, arguments: dict[str, Any]) -> CommonOptions:
    """Take the options of every command out of what was given."""
    options = {name: arguments.pop(name, None) for name in common_options()}
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

    def command(**arguments: Any) -> Any:
        merged = pop_common(common, arguments)
        if "more" in own:
            values = {option.name: arguments.pop(option.name) for option in more.options}
            arguments["more"] = replace(more, values=values)
        try:
            return function(merged, **arguments)
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


def version(common: CommonOptions, json: JsonOption = False) -> int:
    """Print the version.

    `nodegraph doctor` shows more.
    """
    if json:
        python = ".".join(map(str, sys.version_info[:3]))
        print_json({"nodegraph": VERSION, "python": python})
    else:
        echo(f"nodegraph {VERSION}")
    return 0
