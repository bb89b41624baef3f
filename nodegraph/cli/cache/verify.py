"""`nodegraph cache verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.kept import opened_store
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import FAILED, FINE, counted, print_json, say, shown_size
from nodegraph.cli.watching import bytes_progress
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.store.remote.verify import RemoteReport
    from nodegraph.store.store import Store
    from nodegraph.store.verify import Progress, VerifyReport


def verify(
    common: Common,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Set damaged files aside; they are computed again."),
    ] = False,
    remote: Annotated[
        bool,
        typer.Option(
            "--remote", help="Read what other machines share, too; --repair removes damage there."
        ),
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
        url = "" if store.remote is None else store.remote.place.url
        if remote and store.remote is None:
            raise InvalidValue(
                "there is no remote store",
                hint="The setting `remote_store` names one, such as s3://bucket/folder.",
            )
        found = check(store, repair=repair, progress=progress)
        shared = _verified(store, progress, repair=repair) if remote else None
    is_sound = found.is_sound and (shared is None or shared.is_sound)
    if json:
        about = {} if shared is None else {"remote": asdict(shared)}
        print_json({"sound": is_sound, **asdict(found), **about})
    else:
        _print(found)
        _print_remote(url, shared)
    is_repaired = found.repaired and not found.unreadable
    return FINE if is_sound or is_repaired else FAILED


def _verified(store: Store, progress: Progress | None, *, repair: bool) -> RemoteReport:
    from nodegraph.store.remote.verify import verify_place

    assert store.remote is not None
    return verify_place(store.remote.place, repair=repair, progress=progress)


def _print_remote(url: str, found: RemoteReport | None) -> None:
    if found is None:
        if url:
            say((f"{url} was not read; --remote reads it, too.", "dim"))
        return
    for name in found.damaged:
        say(("damaged: ", "red"), f"{found.url}/{name}")
    if found.missing:
        say((f"{counted(found.missing, 'file')} gone there; they are computed again", "yellow"))
    read = f"{counted(found.entries, 'result')} and {counted(found.files, 'file')}"
    verdict = ("all sound", "green") if found.is_sound else ("damaged; --repair removes it", "red")
    if found.damaged and found.repaired:
        verdict = ("what was damaged is removed, and will be computed again", "yellow")
    say(f"{read} of {shown_size(found.bytes)} read at {found.url}: ", verdict, ".")


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
