"""`nodegraph cache info`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nodegraph.cli.kept import opened
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import (
    StyledText,
    counted,
    print_json,
    print_table,
    say,
    shown_path,
    shown_seconds,
    shown_size,
)
from nodegraph.cli.times import shown_time

if TYPE_CHECKING:
    from nodegraph.session.settings import Settings
    from nodegraph.store.info import StoreInfo
    from nodegraph.store.remote.tier import RemoteInfo

_MOST_TYPES = 12
"""Node types that are listed."""


def info(common: Common, json: JsonOption = False) -> int:
    """Tell where it is and how much it holds.

    Results are kept in memory while a process lasts, and on disk for later ones and for other
    processes. Beyond a budget those go that are quick to compute again for their size.
    """
    from nodegraph.store.info import describe

    with opened(common) as (session, store):
        found = describe(store)
        if json:
            print_json(_document(found, session.settings))
        else:
            _print(found, session.settings)
    return 0


def _document(found: StoreInfo, settings: Settings) -> dict[str, Any]:
    return {
        **asdict(found),
        "memory_budget": settings.memory_budget,
        "others": [str(folder) for folder in settings.stores],
    }


def _print(found: StoreInfo, settings: Settings) -> None:
    say(("Store", "bold"), f"  {shown_path(found.folder)}")
    say()
    print_table(list(_tiers(found, settings)), indent=2)
    if found.types:
        _print_types(found)


def _tiers(found: StoreInfo, settings: Settings) -> list[tuple[StyledText, ...]]:
    rows: list[tuple[StyledText, ...]] = [
        ("memory", "", f"up to {shown_size(settings.memory_budget)} in each process"),
        (
            "disk",
            shown_size(found.artifact_bytes),
            f"of {shown_size(found.budget)}, {counted(found.artifacts, 'file')}",
        ),
        ("entries", str(found.entries), _about_entries(found)),
        ("index", shown_size(found.index_bytes), f"with {counted(found.runs, 'run')}"),
    ]
    if found.checkpoints:
        of = f"of {counted(found.checkpoints, 'unfinished call')}"
        rows.append(("checkpoints", shown_size(found.checkpoint_bytes), of))
    if found.quarantined:
        of = f"{counted(found.quarantined, 'damaged file')}, kept for a look"
        rows.append(("quarantine", shown_size(found.quarantine_bytes), of))
    if found.remote is not None:
        rows.append(("remote", shown_size(found.remote.bytes), _about_remote(found.remote)))
    return rows + [("read only", "", shown_path(folder)) for folder in settings.stores]


def _about_remote(remote: RemoteInfo) -> str:
    """The sizes are of what is known here: a bucket of millions isn't listed for it."""
    words = [f"in {counted(remote.files, 'file')} known here, {remote.url}"]
    if remote.waiting:
        words.append(f"{counted(remote.waiting, 'result')} still to go there")
    if remote.reason:
        words.append(f"it can't be reached: {remote.reason}")
    return "; ".join(words)


def _about_entries(found: StoreInfo) -> str:
    if not found.entries:
        return ""
    since = f", since {shown_time(found.oldest)}" if found.oldest is not None else ""
    return f"{found.whole} can be loaded and stand for {shown_seconds(found.seconds)}{since}"


def _print_types(found: StoreInfo) -> None:
    say()
    heads = [(head, "bold") for head in ("node type", "entries", "size", "stand for")]
    rows = [
        (item.node_type, str(item.entries), shown_size(item.bytes), shown_seconds(item.seconds))
        for item in found.types[:_MOST_TYPES]
    ]
    print_table([heads, *rows])
    if len(found.types) > _MOST_TYPES:
        say((f"and {len(found.types) - _MOST_TYPES} more", "dim"))
