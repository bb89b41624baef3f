"""`nodegraph cache verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.exits import FAILED, FINE
from nodegraph.cli.kept import opened_store
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import counted, print_json, say, shown_size
from nodegraph.cli.watching import bytes_progress

if TYPE_CHECKING:
    from nodegraph.store.verify import VerifyReport


def verify(
    common: Common,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Set damaged files aside; they are computed again."),
    ] = False,
    json: JsonOption = False,
) -> int:
    """Read every file and compare it with its digest.

    Exits with 1 if there is damage that wasn't repaired. Runs may go on meanwhile; they never use
    a damaged file, as each is compared with its digest whenever it is read.
    """
    from nodegraph.store.verify import verify as check

    with opened_store(common) as store, bytes_progress("reading", is_shown=not json) as progress:
        if repair and store.read_only:
            raise store.only_read()
        found = check(store, repair=repair, progress=progress)
    if json:
        print_json({"sound": found.is_sound, **asdict(found)})
    else:
        _print(found)
    is_repaired = found.repaired and not found.unreadable
    return FINE if found.is_sound or is_repaired else FAILED


def _print(found: VerifyReport) -> None:
    for text in found.index:
        say(("the index is damaged: ", "red"), text)
    for title, names in (
        ("damaged", found.damaged),
        ("missing", found.missing),
        ("unreadable", found.unreadable),
        ("unreadable entry", found.entries),
    ):
        for name in names:
            say((f"{title}: ", "red"), name)
    for name in found.unknown:
        say(("of no entry: ", "yellow"), name)
    if found.count_is_off:
        say(("the count of bytes was wrong", "red"))
    say(f"{counted(found.files, 'file')} of {shown_size(found.bytes)} read: ", _verdict(found), ".")


def _verdict(found: VerifyReport) -> tuple[str, str]:
    if found.is_sound:
        return ("all sound", "green")
    if found.index:
        return ("the index can't be repaired; remove the folder to start afresh", "red")
    if found.repaired and found.unreadable:
        return ("what can't be read was left as it is, the rest is repaired", "red")
    if found.repaired:
        return ("repaired; what was damaged will be computed again", "yellow")
    return ("damaged; --repair mends it", "red")
