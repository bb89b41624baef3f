"""`nodegraph cache import`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.kept import opened_store
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import counted, print_json, say, shown_size, warn
from nodegraph.cli.watching import bytes_progress

if TYPE_CHECKING:
    from nodegraph.store.archive import Imported


def import_(
    common: Common,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `cache export` has written.")],
    json: JsonOption = False,
) -> int:
    """Take in the results of an exported file.

    What is here already stays as it is. Take in only what you trust as you trust results computed
    here: that a result is right can't be seen from the file.
    """
    from nodegraph.store.archive import import_ as take_in

    with (
        opened_store(common) as store,
        bytes_progress("taking in", is_shown=not json) as progress,
    ):
        found = take_in(store, Path(file).expanduser(), progress=progress)
    if json:
        print_json(asdict(found))
    else:
        _print(found)
    return 0


def _print(found: Imported) -> None:
    known = f", {found.known_entries} known already" if found.known_entries else ""
    say(
        f"{counted(found.entries, 'result')} with {counted(found.artifacts, 'value')} of "
        f"{shown_size(found.bytes)} taken in{known}."
    )
    if found.damaged:
        warn(f"{counted(found.damaged, 'value')} left out: damaged in the file")
    if found.evicted:
        warn(f"{counted(found.evicted, 'value')} had to go to make room")
