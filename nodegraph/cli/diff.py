"""`nodegraph diff` and `nodegraph merge`: differences of workflows, and git's merge driver."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from nodegraph.cli.options import (
    CommonOptions,
    JsonOption,
    ServerOption,
    open_client,
    open_runs,
)
from nodegraph.cli.output import FINE, echo, echo_stderr, pluralize, print_json
from nodegraph.cli.workflow_source import (
    STDIN,
    is_foreign,
    open_workflow,
    translate_workflow,
    workflow_document,
)
from nodegraph.core.files import write_file
from nodegraph.core.migrations import FORMAT
from nodegraph.core.workflow import Workflow, read_document
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, NodegraphError

if TYPE_CHECKING:
    from nodegraph.core.comparison.changes import WorkflowChange
    from nodegraph.core.comparison.three_way_merge import MergeConflict

DIFFERENT = 1
"""Exit code of `diff --exit-code` with differences, and of `merge` with conflicts, as git wants."""
_GIT_ARGUMENTS = (7, 9)
"""Arguments that git gives to an external diff: path, then file, digest and mode of both sides; a
renamed file has its new name and a header, too."""
_COLORS = {"added": "green", "removed": "red", "renamed": "cyan", "changed": "yellow"}
_MOST_CONFLICTS = 127
"""Largest exit code by which `git merge-file` counts conflicts; others are errors."""
_NO_FILE = ("/dev/null", "nul")
_DIGEST_SHOWN = 12


def diff(
    common: CommonOptions,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="A B",
            help="Workflow files, files that carry a workflow, ids of runs (also last) or of a "
            "server's jobs (job_…), or - for stdin. With --git, the arguments of an external diff, "
            "or one file to print.",
        ),
    ],
    layout: Annotated[
        bool,
        typer.Option(
            "--layout",
            help="Also list positions and the like, and versions that only one side states.",
        ),
    ] = False,
    html: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the differences side by side as an HTML page."),
    ] = None,
    git: Annotated[
        bool, typer.Option("--git", help="Run as external diff or textconv of git.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if the workflows differ.")
    ] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Show how two workflows differ.

    Nodes are matched by name, then by structure, so a renamed node is one line. Layout is
    counted, and listed with `--layout`. The order of nodes has no meaning and is not compared.
    """
    if git:
        return _git_diff(common, sources)
    if len(sources) != 2:
        raise InvalidValue(
            "diff compares two workflows",
            given=pluralize(len(sources), "argument"),
            expected="two files or ids of runs",
        )
    first, second = (_document(common, name, server) for name in sources)
    changes = _changes(first, second)
    note = _model_note(first, second)
    if html is not None:
        from nodegraph.core.comparison.descriptions import html_page

        write_file(Path(html), html_page(changes, sources[0], sources[1], note).encode())
    if json:
        from nodegraph.core.comparison.fields import plain_document

        models = {
            side: _pinned(plain_document(each))
            for side, each in (("first", first), ("second", second))
        }
        print_json({"changes": [each.as_dict() for each in changes], "models": models})
    elif html is None:
        _print(changes, note, with_layout=layout)
    return DIFFERENT if exit_code and changes else FINE


def _changes(first: Any, second: Any) -> list[WorkflowChange]:
    from nodegraph.core.comparison.changes import diff as difference

    return difference(first, second)


def _document(common: CommonOptions, name: str, server: str | None) -> Any:
    """The workflow in a file, on stdin, of a run, or of a job of a server with its parameters."""
    if name.startswith("job_") and not Path(name).exists():
        from nodegraph.cli.job_selection import find_job

        with open_client(server) as client:
            return dict(client.workflow(find_job(client, name), is_filled=True))
    if name != STDIN and not Path(name).exists() and not Path(name).suffix:
        with open_runs(common) as runs:
            run = runs.get(name)
        if "workflow" not in run.record:
            raise InvalidValue(f"the workflow of the run {run.id} is not kept")
        return run.record["workflow"]
    return open_workflow(name, common).workflow


def _print(
    changes: Sequence[WorkflowChange], note: Callable[[Any], str], *, with_layout: bool
) -> None:
    from nodegraph.core.comparison.descriptions import change_text

    shown = [each for each in changes if with_layout or not _is_minor(each)]
    for change in shown:
        style = "dim" if change.is_quiet else _COLORS[change.verb]
        echo((f"{change.verb:<8}", style), change_text(change, note))
    hidden = len(changes) - len(shown)
    if not changes:
        echo("No differences.")
    elif hidden:
        more = pluralize(hidden, "more change" if shown else "change")
        echo((f"{more} of layout or stated versions; --layout lists them.", "dim"))


def _is_minor(change: WorkflowChange) -> bool:
    return change.is_quiet or (change.kind == "version" and change.verb != "changed")


def _pinned(document: Any) -> dict[str, str]:
    """The SHA-256 digests that a workflow states for models, by their names."""
    if "sha256" not in str(document):
        return {}  # without importing what reads them
    from nodegraph.models.remote.declared_models import pinned_digests

    return pinned_digests(document)


def _model_note(first: Any, second: Any) -> Callable[[Any], str]:
    from nodegraph.core.comparison.fields import plain_document

    documents = [plain_document(each) for each in (first, second)]
    digests = {name: digest for each in documents for name, digest in _pinned(each).items()}

    def note(value: Any) -> str:
        digest = digests.get(value, "")
        return f" (sha256 {digest[:_DIGEST_SHOWN]}…)" if digest else ""

    return note


# git


def _git_diff(common: CommonOptions, sources: Sequence[str]) -> int:
    if len(sources) == 1:
        _print_for_git(common, sources[0])
        return FINE
    if len(sources) not in _GIT_ARGUMENTS:
        raise InvalidValue(
            "these are not the arguments of an external diff of git",
            given=pluralize(len(sources), "argument"),
            expected="path, old file, digest and mode, new file, digest and mode",
            hint='Set it by `git config diff.nodegraph.command "nodegraph diff --git"`.',
        )
    name, old, new = sources[0], sources[1], sources[4]
    echo((f"nodegraph diff {name}", "bold"))
    try:
        first, second = (_or_empty(common, each) for each in (old, new))
        changes = _changes(first, second)
        note = _model_note(first, second)
    except NodegraphError:
        _print_lines(name, old, new)  # git stops at a failing command
        return FINE
    _print(changes, note, with_layout=False)
    return FINE


def _or_empty(common: CommonOptions, name: str) -> Any:
    path = Path(name)
    if name.lower() in _NO_FILE or not path.exists() or path.stat().st_size == 0:
        return {"format": FORMAT, "nodes": {}}
    document = workflow_document(name)
    if is_foreign(document):
        return translate_workflow(document, name, common).workflow
    return document


def _print_for_git(common: CommonOptions, name: str) -> None:
    """Print the workflow of a file, such as a picture, for git to compare by lines."""
    try:
        workflow = Workflow.of(_or_empty(common, name))
        sys.stdout.write(workflow.to_json())
    except NodegraphError as error:
        # Without the name: git gives each version a temporary one, which would be a difference.
        echo(str(error).replace(name, "This file"))


def _print_lines(name: str, old: str, new: str) -> None:
    from difflib import unified_diff

    for line in unified_diff(_lines(old), _lines(new), f"a/{name}", f"b/{name}", lineterm=""):
        echo(line)


def _lines(name: str) -> list[str]:
    path = Path(name)
    is_file = name.lower() not in _NO_FILE and path.is_file()
    return path.read_text("utf-8", "replace").splitlines() if is_file else []


def merge(
    common: CommonOptions,
    base: Annotated[str, typer.Argument(metavar="BASE", help="The common earlier version.")],
    ours: Annotated[
        str, typer.Argument(metavar="OURS", help="This side's version; gets the result.")
    ],
    theirs: Annotated[str, typer.Argument(metavar="THEIRS", help="The other side's version.")],
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the result here instead; - prints it."),
    ] = None,
    git: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Run as merge driver of git for the file of this path. A file that is no "
            "workflow is merged by lines.",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Merge two versions of a workflow file, also as merge driver of git.

    Changes of both sides are kept where they differ in place. Where both changed the same, the
    file keeps ours, the conflicts are listed with both values, and the exit code is 1.
    """
    if json and out == STDIN:
        raise InvalidValue(
            "--json and --out - cannot be combined", hint="Write the workflow to a file."
        )
    if git is not None and (json or out is not None):
        other = "--json" if json else "--out"
        raise InvalidValue(f"--git and {other} cannot be combined", hint="Remove one.")
    try:
        merged = _merged(base, ours, theirs, git)
    except NodegraphError as error:
        if git is None or (count := _merge_lines(base, ours, theirs)) is None:
            raise
        echo_stderr(("note: ", "dim"), f"{git} was merged by lines. {error}")
        return DIFFERENT if count else FINE
    workflow = Workflow.from_dict(merged.document)
    if out == STDIN:
        sys.stdout.write(workflow.to_json())
    elif out is not None or merged.is_changed:
        write_file(Path(out or ours), workflow.to_json().encode())
    if json:
        print_json({"conflicts": [each.as_dict() for each in merged.conflicts]})
    else:
        _print_conflicts(merged.conflicts, git)
    return DIFFERENT if any(not each.is_quiet for each in merged.conflicts) else FINE


class _MergedFile(NamedTuple):
    """A merged workflow, and whether ours is another one."""

    document: dict[str, Any]
    conflicts: Sequence[MergeConflict]
    is_changed: bool


def _merged(base: str, ours: str, theirs: str, path: str | None) -> _MergedFile:
    from nodegraph.core.comparison.fields import canonical, same
    from nodegraph.core.comparison.three_way_merge import merge as merge_documents

    sides = (("base", base), ("ours", ours), ("theirs", theirs))
    documents = [
        _merge_side(name, name if path is None else f"{path} ({side})") for side, name in sides
    ]
    merged = merge_documents(*documents)
    is_changed = not same(canonical(documents[1]), merged.document)
    return _MergedFile(merged.document, merged.conflicts, is_changed)


def _merge_side(name: str, shown: str) -> Any:
    """The document of a version; one that is empty, as of a file that is new, has no nodes."""
    path = Path(name)
    if path.is_file() and path.stat().st_size == 0:
        return {"format": FORMAT, "nodes": {}}
    document = read_document(path, shown)
    if is_foreign(document):
        raise InvalidFile(
            f"{shown} is not a nodegraph workflow, so it is not merged",
            hint="Let git merge it by lines, or import it first: `nodegraph import`.",
        )
    try:
        return Workflow.from_dict(document).to_dict()
    except NodegraphError as error:
        raise InvalidWorkflow(
            [replace(each, message=f"{shown}: {each.message}") for each in error.problems]
        ) from error


def _merge_lines(base: str, ours: str, theirs: str) -> int | None:
    """Let git merge three files into ours by lines.

    Returns:
        How many conflicts there are, or None if git cannot merge these files.
    """
    import subprocess  # only git without a workflow needs it
    from shutil import which

    if (program := which("git")) is None:
        return None
    labels = [text for side in ("ours", "base", "theirs") for text in ("-L", side)]
    command = [program, "merge-file", "-q", *labels, "--", ours, base, theirs]
    count = subprocess.run(command, check=False).returncode  # noqa: S603 - git, by its own path
    return count if 0 <= count <= _MOST_CONFLICTS else None


def _print_conflicts(conflicts: Sequence[MergeConflict], path: str | None) -> None:
    from nodegraph.core.comparison.descriptions import conflict_text

    prefix = "" if path is None else f"{path}: "
    for conflict in conflicts:
        first, *more = conflict_text(conflict)
        word = ("note: ", "dim") if conflict.is_quiet else ("conflict: ", "red")
        echo_stderr(word, f"{prefix}{first}")
        for line in more:
            echo_stderr(line)
