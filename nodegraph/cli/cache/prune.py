"""`nodegraph cache prune`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from time import time
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.kept import opened
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import counted, print_json, say, shown_size
from nodegraph.core.quantities import parse_age, parse_size
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.session.session import Session
    from nodegraph.store.pruning import Pruned
    from nodegraph.store.store import Store
    from nodegraph.store.taught import UnusedTaught


def prune(
    common: Common,
    to: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Until results take no more than this, such as 2GB."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="What wasn't used for so long, such as 30d."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All results.")] = False,
    taught: Annotated[
        bool,
        typer.Option(
            "--taught", help="Also what was taught and no result and no run speaks of any more."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing; tell what would be.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Remove results.

    Without options, down to the budget, which happens by itself, too. What a run needs that goes
    on stays. Runs' records and what calls take are not results: they stay.
    """
    if sum((to is not None, older_than is not None, all_)) > 1:
        raise InvalidValue("--to, --older-than and --all exclude each other", hint="Choose one.")
    size = None if to is None else parse_size(to, "--to")
    age = None if older_than is None else parse_age(older_than, "--older-than")
    with opened(common) as (session, store):
        if all_ or age is not None:
            found = _pruned(store, age, dry_run=dry_run)
            if all_ and not dry_run:
                store.sweep()  # files that no entry leads to, as the index was removed once
        else:
            found = _trimmed(store, size, dry_run=dry_run)
        unused = _unlearned(session, store, dry_run=dry_run) if taught else []
    if json:
        told = {"taught": len(unused), "taught_bytes": sum(item.bytes for item in unused)}
        print_json({"dry_run": dry_run, **asdict(found), **told})
    else:
        _print(found, unused, dry_run=dry_run)
    return 0


def _unlearned(session: Session, store: Store, *, dry_run: bool) -> list[UnusedTaught]:
    from nodegraph.store.taught import remove_taught, unused_taught

    store.flush()
    found = unused_taught(store, session.settings.data_folder / "taught")
    if not dry_run:
        remove_taught(found)
    return found


def _pruned(store: Store, age: float | None, *, dry_run: bool) -> Pruned:
    from nodegraph.store.pruning import prune as remove

    moment = float("inf") if age is None else time() - age
    return remove(store, moment, dry_run=dry_run)


def _trimmed(store: Store, size: int | None, *, dry_run: bool) -> Pruned:
    from nodegraph.store.pruning import Pruned, would_trim

    if dry_run:
        return would_trim(store, store.budget if size is None else size)
    gone = store.trim(size)
    return Pruned(gone.artifacts, gone.bytes, gone.entries)


def _print(found: Pruned, unused: Sequence[UnusedTaught], *, dry_run: bool) -> None:
    would = "Would remove" if dry_run else "Removed"
    parts = [f"{counted(found.artifacts, 'value')} of {shown_size(found.bytes)}"]
    if found.entries:
        parts.append(f"what is known of {counted(found.entries, 'call')}")
    if found.checkpoints:
        size = shown_size(found.checkpoint_bytes)
        parts.append(f"{counted(found.checkpoints, 'checkpoint')} of {size}")
    if unused:
        size = shown_size(sum(item.bytes for item in unused))
        parts.append(f"{counted(len(unused), 'taught model')} of {size}")
    is_something = any(asdict(found).values()) or bool(unused)
    say(f"{would} {', '.join(parts)}." if is_something else f"{would} nothing.")
