"""The commands of `nodegraph cache` that look after what is kept here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from time import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nodegraph.cli.options import CommonOptions, JsonOption, open_session_and_store, open_store
from nodegraph.cli.output import (
    FAILED,
    FINE,
    StyledText,
    echo,
    format_age,
    format_path,
    format_seconds,
    format_size,
    format_time,
    pluralize,
    print_json,
    print_table,
)
from nodegraph.cli.progress import bytes_progress
from nodegraph.core.text_format import parse_age, parse_size
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.session.session import Session
    from nodegraph.session.settings import Settings
    from nodegraph.store.info import EntryInfo, EntryOrder, StoreInfo
    from nodegraph.store.pruning import PruneReport, UnusedTrainedFiles
    from nodegraph.store.remote.objects import RemoteReport
    from nodegraph.store.remote.tier import RemoteInfo
    from nodegraph.store.store import Store
    from nodegraph.store.verify import Progress, VerifyReport


def verify(
    common: CommonOptions,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Set damaged files aside; they are computed again."),
    ] = False,
    remote: Annotated[
        bool,
        typer.Option(
            "--remote", help="Also read the remote store; --repair removes damaged files there."
        ),
    ] = False,
    json: JsonOption = False,
) -> int:
    """Read every file and compare it with its digest.

    It exits with 1 if damage remains. Runs may continue meanwhile: they compare each file
    with its digest when they read it, and never use a damaged one.
    """
    from nodegraph.store.verify import verify as check

    with open_store(common) as store, bytes_progress("reading", is_shown=not json) as progress:
        if repair and store.read_only:
            raise store.read_only_error()
        url = "" if store.remote is None else store.remote.storage.url
        if remote and store.remote is None:
            raise InvalidValue(
                "there is no remote store",
                hint="The setting `remote_store` names one, such as s3://bucket/folder.",
            )
        report = check(store, repair=repair, progress=progress)
        shared = _verify_store(store, progress, repair=repair) if remote else None
    is_sound = report.is_sound and (shared is None or shared.is_sound)
    if json:
        about = {} if shared is None else {"remote": asdict(shared)}
        print_json({"sound": is_sound, **asdict(report), **about})
    else:
        _print_verify(report)
        _print_remote(url, shared)
    is_repaired = report.repaired and not report.unreadable
    return FINE if is_sound or is_repaired else FAILED


def _verify_store(store: Store, progress: Progress | None, *, repair: bool) -> RemoteReport:
    from nodegraph.store.remote.objects import verify_storage

    assert store.remote is not None
    return verify_storage(store.remote.storage, repair=repair, progress=progress)


def _print_remote(url: str, report: RemoteReport | None) -> None:
    if report is None:
        if url:
            echo((f"{url} was not read; --remote reads it too.", "dim"))
        return
    for name in report.damaged:
        echo(("damaged: ", "red"), f"{report.url}/{name}")
    if report.missing:
        echo(
            (
                f"{pluralize(report.missing, 'file')} missing there; they are computed again",
                "yellow",
            )
        )
    read = f"{pluralize(report.entries, 'result')} and {pluralize(report.files, 'file')}"
    verdict = (
        ("all intact", "green") if report.is_sound else ("damaged; --repair removes it", "red")
    )
    if report.damaged and report.repaired:
        verdict = ("damaged files are removed and computed again", "yellow")
    echo(f"{read} of {format_size(report.bytes)} read at {report.url}: ", verdict, ".")


def _print_verify(report: VerifyReport) -> None:
    for text in report.index:
        echo(("the index is damaged: ", "red"), text)
    for title, names in (
        ("damaged", report.damaged),
        ("missing", report.missing),
        ("unreadable", report.unreadable),
        ("unreadable entry", report.entries),
    ):
        for name in names:
            echo((f"{title}: ", "red"), name)
    for name in report.unknown:
        echo(("without an entry: ", "yellow"), name)
    if report.count_is_off:
        echo(("the count of bytes was wrong", "red"))
    echo(
        f"{pluralize(report.files, 'file')} of {format_size(report.bytes)} read: ",
        _verdict(report),
        ".",
    )


def _verdict(report: VerifyReport) -> tuple[str, str]:
    if report.is_sound:
        return ("all intact", "green")
    if report.index:
        return ("the index cannot be repaired; remove the folder to start again", "red")
    if report.repaired and report.unreadable:
        return ("unreadable files were not changed, the rest is repaired", "red")
    if report.repaired:
        return ("repaired; damaged results are computed again", "yellow")
    return ("damaged; --repair repairs it", "red")


def prune(
    common: CommonOptions,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Remove results until they take at most this size, such as 2GB."
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Remove results not used for this long, such as 30d."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Remove all results.")] = False,
    trained: Annotated[
        bool,
        typer.Option("--taught", help="Also remove trained weights that no result or run uses."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing; show what would be removed.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Remove results.

    Without options it prunes to the budget, as processes do by themselves. Results that a
    current run needs stay, and so do the records of runs and calls.
    """
    if sum((to is not None, older_than is not None, all_)) > 1:
        raise InvalidValue("--to, --older-than and --all exclude each other", hint="Choose one.")
    size = None if to is None else parse_size(to, "--to")
    age = None if older_than is None else parse_age(older_than, "--older-than")
    with open_session_and_store(common) as (session, store):
        if all_ or age is not None:
            removed = _prune_old(store, age, dry_run=dry_run)
            if all_ and not dry_run:
                store.sweep()  # files that no entry leads to, as the index was removed once
        else:
            removed = _trim_to_size(store, size, dry_run=dry_run)
        unused = _prune_trained_files(session, store, dry_run=dry_run) if trained else []
    if json:
        unused_counts = {"taught": len(unused), "taught_bytes": sum(item.bytes for item in unused)}
        print_json({"dry_run": dry_run, **asdict(removed), **unused_counts})
    else:
        _print_prune(removed, unused, dry_run=dry_run)
    return 0


def _prune_trained_files(
    session: Session, store: Store, *, dry_run: bool
) -> list[UnusedTrainedFiles]:
    from nodegraph.store.pruning import remove_trained_files, unused_trained_files

    store.flush()
    unused = unused_trained_files(store, session.settings.data_folder / "taught")
    if not dry_run:
        remove_trained_files(unused)
    return unused


def _prune_old(store: Store, age: float | None, *, dry_run: bool) -> PruneReport:
    from nodegraph.store.pruning import prune as remove

    moment = float("inf") if age is None else time() - age
    return remove(store, moment, dry_run=dry_run)


def _trim_to_size(store: Store, size: int | None, *, dry_run: bool) -> PruneReport:
    from nodegraph.store.pruning import PruneReport, preview_trim

    if dry_run:
        return preview_trim(store, store.budget if size is None else size)
    gone = store.trim(size)
    return PruneReport(gone.artifacts, gone.bytes, gone.entries)


def _print_prune(
    removed: PruneReport, unused: Sequence[UnusedTrainedFiles], *, dry_run: bool
) -> None:
    would = "Would remove" if dry_run else "Removed"
    parts = [f"{pluralize(removed.artifacts, 'value')} of {format_size(removed.bytes)}"]
    if removed.entries:
        parts.append(f"the records of {pluralize(removed.entries, 'call')}")
    if removed.checkpoints:
        size = format_size(removed.checkpoint_bytes)
        parts.append(f"{pluralize(removed.checkpoints, 'checkpoint')} of {size}")
    if unused:
        size = format_size(sum(item.bytes for item in unused))
        parts.append(f"{pluralize(len(unused), 'taught model')} of {size}")
    is_something = any(asdict(removed).values()) or bool(unused)
    echo(f"{would} {', '.join(parts)}." if is_something else f"{would} nothing.")


_ORDERS: dict[str | None, EntryOrder] = {
    None: "newest",
    "bytes": "largest",
    "seconds": "slowest",
    "age": "oldest",
}


def list_(
    common: CommonOptions,
    type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Only results of this node type; * matches anything."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="List at most this many", min=1)] = 20,
    sort: Annotated[
        Literal["bytes", "seconds", "age"] | None,
        typer.Option(
            metavar="bytes|seconds|age",
            help="The largest, slowest or oldest first  [default: the newest]",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """List the results that are kept.

    For each call: its node type, the size of its outputs on disk, and the seconds that it took.
    """
    from nodegraph.store.info import list_entries

    with open_store(common) as store:
        entries = list_entries(store, node_type=type or "*", order=_ORDERS[sort], limit=limit)
    if json:
        print_json({"entries": [asdict(entry) for entry in entries]})
    else:
        _print_list(entries)
    return 0


def _print_list(entries: Sequence[EntryInfo]) -> None:
    if not entries:
        echo("No results.")
        return
    heads = [(head, "bold") for head in ("node type", "key", "on disk", "took", "age", "used", "")]
    print_table([heads, *(_row(entry) for entry in entries)])


def _row(entry: EntryInfo) -> list[StyledText]:
    return [
        entry.node_type,
        entry.key[:12],
        format_size(entry.bytes),
        format_seconds(entry.seconds),
        format_age(entry.created),
        f"{format_age(entry.used)} ago",
        "" if entry.is_whole else ("only the digest is known", "dim"),
    ]


_MOST_TYPES = 12
"""Node types that are listed."""


def info(common: CommonOptions, json: JsonOption = False) -> int:
    """Show the location and size of the cache.

    A process keeps results in memory, and on disk for later and other processes. Beyond a
    budget it drops results that are fast to compute for their size.
    """
    from nodegraph.store.info import describe

    with open_session_and_store(common) as (session, store):
        store_info = describe(store)
        if json:
            print_json(_document(store_info, session.settings))
        else:
            _print_info(store_info, session.settings)
    return 0


def _document(info: StoreInfo, settings: Settings) -> dict[str, Any]:
    return {
        **asdict(info),
        "memory_budget": settings.memory_budget,
        "others": [str(folder) for folder in settings.stores],
    }


def _print_info(info: StoreInfo, settings: Settings) -> None:
    echo(("Store", "bold"), f"  {format_path(info.folder)}")
    echo()
    print_table(list(_tiers(info, settings)), indent=2)
    if info.types:
        _print_types(info)


def _tiers(info: StoreInfo, settings: Settings) -> list[tuple[StyledText, ...]]:
    rows: list[tuple[StyledText, ...]] = [
        ("memory", "", f"up to {format_size(settings.memory_budget)} in each process"),
        (
            "disk",
            format_size(info.artifact_bytes),
            f"of {format_size(info.budget)}, {pluralize(info.artifacts, 'file')}",
        ),
        ("entries", str(info.entries), _about_entries(info)),
        ("index", format_size(info.index_bytes), f"with {pluralize(info.runs, 'run')}"),
    ]
    if info.checkpoints:
        of = f"of {pluralize(info.checkpoints, 'unfinished call')}"
        rows.append(("checkpoints", format_size(info.checkpoint_bytes), of))
    if info.quarantined:
        of = f"{pluralize(info.quarantined, 'damaged file')}, kept for inspection"
        rows.append(("quarantine", format_size(info.quarantine_bytes), of))
    if info.remote is not None:
        rows.append(("remote", format_size(info.remote.bytes), _about_remote(info.remote)))
    return rows + [("read only", "", format_path(folder)) for folder in settings.stores]


def _about_remote(remote: RemoteInfo) -> str:
    """The sizes are of what is known here: a bucket of millions isn't listed for it."""
    words = [f"in {pluralize(remote.files, 'file')} known here, {remote.url}"]
    if remote.waiting:
        words.append(f"{pluralize(remote.waiting, 'result')} waiting for upload")
    if remote.reason:
        words.append(f"it cannot be reached: {remote.reason}")
    return "; ".join(words)


def _about_entries(info: StoreInfo) -> str:
    if not info.entries:
        return ""
    since = f", since {format_time(info.oldest)}" if info.oldest is not None else ""
    return f"{info.whole} can be loaded and save {format_seconds(info.seconds)}{since}"


def _print_types(info: StoreInfo) -> None:
    echo()
    heads = [(head, "bold") for head in ("node type", "entries", "size", "saves")]
    rows = [
        (item.node_type, str(item.entries), format_size(item.bytes), format_seconds(item.seconds))
        for item in info.types[:_MOST_TYPES]
    ]
    print_table([heads, *rows])
    if len(info.types) > _MOST_TYPES:
        echo((f"and {len(info.types) - _MOST_TYPES} more", "dim"))
