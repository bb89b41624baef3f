"""`nodegraph cache export` and `nodegraph cache import`: results for another machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import CommonOptions, JsonOption, open_session_and_store, open_store
from nodegraph.cli.output import (
    echo,
    format_path,
    format_size,
    pluralize,
    print_json,
    print_warnings,
    warn,
)
from nodegraph.cli.progress import bytes_progress
from nodegraph.cli.workflow_source import open_workflow
from nodegraph.core.keys import Key
from nodegraph.core.workflow import Workflow
from nodegraph.engine.planning.prediction import PlannedNode
from nodegraph.errors import InvalidValue
from nodegraph.store.store import Store

if TYPE_CHECKING:
    from nodegraph.session.session import Session
    from nodegraph.store.archive import ArchiveImport, ExportReport


def planned_keys(predicted: Mapping[str, PlannedNode]) -> list[Key]:
    """Every key that a run would look up, as far as it is known; see `Plan.predicted`.

    The key of a call comes after those that lead to it.
    """
    keys: dict[Key, None] = {}
    for planned in predicted.values():
        for call in planned.each_call():
            if call.key is not None:
                keys.update(dict.fromkeys((*call.passed, call.key)))
    return list(keys)


def keys_of_run(store: Store, run: str) -> list[Key]:
    """Keys of what a run computed, not of what it found computed already.

    Args:
        run: Its whole id.
    """
    store.flush()
    with store.index.reading() as connection:
        rows = connection.execute("SELECT key FROM entries WHERE run = ?", (run,)).fetchall()
    return [key.hex() for (key,) in rows]


def import_(
    common: CommonOptions,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that `cache export` wrote.")],
    json: JsonOption = False,
) -> int:
    """Import the results of an exported file.

    Existing results stay. Import only files that you trust: the file cannot prove that a
    result is right.
    """
    from nodegraph.store.archive import import_archive as take_in

    with (
        open_store(common) as store,
        bytes_progress("importing", is_shown=not json) as progress,
    ):
        imported = take_in(store, Path(file).expanduser(), progress=progress)
    if json:
        print_json(asdict(imported))
    else:
        _print_import(imported)
    return 0


def _print_import(imported: ArchiveImport) -> None:
    known = f", {imported.known_entries} already known" if imported.known_entries else ""
    echo(
        f"{pluralize(imported.entries, 'result')} with {pluralize(imported.artifacts, 'value')} "
        f"of {format_size(imported.bytes)} imported{known}."
    )
    if imported.damaged:
        warn(f"{pluralize(imported.damaged, 'value')} left out: damaged in the file")
    if imported.evicted:
        warn(f"{pluralize(imported.evicted, 'value')} were removed to free space")


_ARCHIVE = b"PK"
"""How such a file begins."""


def export(
    common: CommonOptions,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The file to write; it replaces an earlier export."),
    ],
    workflows: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORKFLOW",
            help="Only the results that these workflows need  [default: all results]",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Only the results that this run computed or found in the cache; `last` is the "
            "last run.",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Pack results into one file, for another machine.

    It takes the results of the workflows as their files are; add --run for other values of
    parameters. It holds no models and no written files.
    """
    from nodegraph.store.archive import export_archive as pack

    if workflows and run is not None:
        raise InvalidValue("workflows and --run cannot be combined", hint="Choose one of them.")
    target = Path(file).expanduser()
    _check(target)
    with open_session_and_store(common) as (session, store):
        keys: list[Key] | None = None
        if run is not None:
            keys = _run_keys(session, store, run)
        elif workflows:
            keys = _workflow_keys(session, workflows)
        with bytes_progress("packing", is_shown=not json) as progress:
            exported = pack(store, target, keys=keys, progress=progress)
        size = target.stat().st_size
    if json:
        print_json({"file": str(target.absolute()), "size": size, **asdict(exported)})
    else:
        _print_export(target, size, exported)
    return 0


def _check(target: Path) -> None:
    """Nothing but an earlier archive is replaced: the first name may be meant for a workflow.

    Raises:
        InvalidValue: There is something else.
    """
    try:
        with target.open("rb") as file:
            start = file.read(len(_ARCHIVE))
    except OSError:
        return  # nothing is there, or writing tells
    if start and start != _ARCHIVE:
        raise InvalidValue(
            "the file to write already exists and is not an exported one",
            given=str(target),
            hint="Name the archive first: nodegraph cache export results.zip workflow.json",
        )


def _workflow_keys(session: Session, names: list[str]) -> list[Key]:
    """Keys of all that the workflows need.

    Raises:
        InvalidWorkflow: They can't run, so it can't be told.
    """
    print_warnings(session.registry.problems)
    keys: list[Key] = []
    for name in names:
        opened_file = open_workflow(name)
        session.graph(opened_file.workflow)  # so that all that is wrong is told
        keys += _planned(session, opened_file.workflow)
    return keys


def _planned(session: Session, workflow: Workflow) -> list[Key]:
    return planned_keys(session.plan(workflow).predicted)


def _run_keys(session: Session, store: Store, name: str) -> list[Key]:
    from nodegraph.store.history import Runs

    if store.claims is None:
        raise store.read_only_error()
    run = Runs(store.index, store.claims).get(name)
    nodes = run.record.get("nodes", {}).values()
    keys: list[Key] = [*keys_of_run(store, run.id), *(node["key"] for node in nodes)]
    if "workflow" in run.record:
        # A node that was called several times has no single key in the record.
        keys += _planned(session, Workflow.from_dict(run.record["workflow"]))
    return [key for key in keys if key]


def _print_export(target: Path, size: int, total: ExportReport) -> None:
    echo(
        f"{pluralize(total.entries, 'result')} with {pluralize(total.artifacts, 'value')} packed "
        f"into {format_path(target)}, {format_size(size)}."
    )
    if total.left_out:
        warn(f"{pluralize(total.left_out, 'value')} left out: damaged or missing")
    if not total.entries:
        warn("none of these results is kept here; run the workflow first")
