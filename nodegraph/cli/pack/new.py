"""`nodegraph pack new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from nodegraph.cli.options import Common
from nodegraph.cli.output import say, shown_path
from nodegraph.core.files import write_file
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue


def new(
    common: Common,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the pack, such as my-nodes.")],
    folder: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where to  [default: a folder called as the pack]"),
    ] = None,
    license_: Annotated[
        str,
        typer.Option("--license", metavar="NAME", help="MIT, BSD-3-Clause or none"),
    ] = "MIT",
    author: Annotated[
        str, typer.Option(metavar="TEXT", help="Whom the licence names  [default: its authors]")
    ] = "",
) -> int:
    """Start a pack of nodes: a package with a node, its example and its tests.

    It installs with `pip install -e .`, and `pytest` and `nodegraph pack test` pass at once.
    """
    from nodegraph.packs.beginning import pack_files, package_name

    package = package_name(name)
    place = Path(folder or package.replace("_", "-"))
    files = pack_files(name, _license(license_), author or f"the authors of {package}")
    _refuse_others(place, list(files))
    for inner, text in files.items():
        path = place / inner
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text.encode())
    say(f"Wrote {len(files)} files into {shown_path(place)}.")
    say("Go on there: pip install -e . && nodegraph pack test")
    return 0


def _license(name: str) -> Any:
    from nodegraph.packs.beginning import License

    known = {each.casefold(): each for each in get_args(License)}
    if name.casefold() not in known:
        hint = did_you_mean(name, known.values(), listed=len(known))
        raise InvalidValue(f"there is no text of the licence `{name}` here", hint=hint)
    return known[name.casefold()]


def _refuse_others(place: Path, files: list[str]) -> None:
    """Raise if files would be lost.

    Raises:
        InvalidFile: There are files of that name.
    """
    taken = [name for name in files if (place / name).exists()]
    if taken or (place.exists() and not place.is_dir()):
        found = ", ".join(str(place / name) for name in taken) or str(place)
        raise InvalidFile(f"{found} exists already", hint="Give another name or --folder.")
