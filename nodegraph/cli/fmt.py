"""`nodegraph fmt` and `nodegraph migrate`: rewrite workflow files in place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    BAD_INPUT,
    FINE,
    echo,
    echo_stderr,
    print_json,
    print_problems,
    print_warnings,
)
from nodegraph.cli.workflow_source import STDIN, is_foreign, workflow_document
from nodegraph.core.files import write_file
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, NodegraphError, Problem

if TYPE_CHECKING:
    from nodegraph.core.upgrades import NodeUpgrade
    from nodegraph.packs.registry import Registry

UNTIDY = 1
"""Exit code of ``--check`` for files that would change."""

FilesArgument = Annotated[
    list[str], typer.Argument(metavar="FILE", help="Workflow files, or - for stdin to stdout.")
]


@dataclass(frozen=True)
class _Rewrite:
    """What came of one file.

    Attributes:
        text: The file's new content; None if it could not be read.
        is_changed: Whether it differs from what the file has.
    """

    file: str
    text: str | None = None
    is_changed: bool = False
    nodes: Sequence[NodeUpgrade] = ()
    problems: Sequence[Problem] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "changed": self.is_changed,
            "nodes": [node.as_dict() for node in self.nodes],
            "problems": [problem.as_dict() for problem in self.problems],
        }


def fmt(
    common: CommonOptions,
    files: FilesArgument,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Write workflow files in their canonical form.

    Keys have a fixed order, short objects take one line, `ui` is sorted. Nodes keep their order,
    and the workflow stays the same.
    """
    rewrites = [_rewrite(name, lambda workflow: (workflow, (), ())) for name in files]
    return _finish(rewrites, check=check, as_json=json, word="formatted")


def migrate(
    common: CommonOptions,
    files: FilesArgument,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if a file is out of date.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Bring workflow files up to date: the file's format, and the versions of its nodes.

    Nodes that state an older version get today's inputs. Nodes without a version stay as they
    are. A file that is up to date is not written.
    """
    registry = common.session().registry
    if not json:
        print_warnings(registry.problems)
    rewrites = [_migrated(name, registry) for name in files]
    return _finish(rewrites, check=check, as_json=json, word="migrated")


def _migrated(name: str, registry: Registry) -> _Rewrite:
    from nodegraph.core.upgrades import upgrade_workflow

    def upgrade(workflow: Workflow) -> tuple[Workflow, Any, Any]:
        upgraded = upgrade_workflow(workflow, registry)
        return upgraded.workflow, upgraded.nodes, upgraded.problems

    return _rewrite(name, upgrade, is_layout_kept=True)


def _rewrite(
    name: str,
    convert: Callable[[Workflow], tuple[Workflow, Sequence[NodeUpgrade], Sequence[Problem]]],
    *,
    is_layout_kept: bool = False,
) -> _Rewrite:
    """The new content of a file.

    Args:
        convert: Gives the new workflow, migrated nodes, and problems.
        is_layout_kept: Leave a file as it is that only its layout as text would change in.
    """
    try:
        if name != STDIN and Path(name).suffix.lower() not in (".json", ""):
            raise InvalidFile(
                f"{name} is no workflow file",
                expected="a JSON file",
                hint="A file that carries a workflow, such as a picture, stays as it is.",
            )
        document = workflow_document(name)
        if is_foreign(document):
            raise InvalidFile(
                f"{name} is a workflow of another program",
                hint="`nodegraph import` makes a workflow file of it.",
            )
        before = document.get("format") if isinstance(document, dict) else None
        workflow, nodes, problems = convert(Workflow.from_dict(document))
        text = workflow.to_json()
    except NodegraphError as error:
        return _Rewrite(name, problems=error.problems)
    if is_layout_kept:
        is_changed = bool(nodes) or before != workflow.format
    else:
        is_changed = name == STDIN or Path(name).read_bytes() != text.encode()
    return _Rewrite(name, text, is_changed, nodes, problems)


def _finish(rewrites: Sequence[_Rewrite], *, check: bool, as_json: bool, word: str) -> int:
    if not check:
        for each in rewrites:
            if each.text is None:
                continue
            if each.file == STDIN:
                sys.stdout.write(each.text)
            elif each.is_changed:
                write_file(Path(each.file), each.text.encode())
    if as_json and not any(each.file == STDIN for each in rewrites):
        print_json({"files": [each.as_dict() for each in rewrites]})
    else:
        for each in rewrites:
            _print(each, f"would be {word}" if check else word)
    if any(each.problems for each in rewrites):
        return BAD_INPUT
    return UNTIDY if check and any(each.is_changed for each in rewrites) else FINE


def _print(rewrite: _Rewrite, word: str) -> None:
    if rewrite.problems:
        echo_stderr((rewrite.file, "bold"), ":")
        print_problems(rewrite.problems, count=False)
    if rewrite.file == STDIN:
        return
    if rewrite.is_changed:
        echo((rewrite.file, "bold"), f": {word}")
    for node in rewrite.nodes:
        echo(f"  node `{node.node}` ({node.type}): version {node.first} → {node.second}")
