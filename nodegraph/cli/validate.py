"""`nodegraph validate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.argument_scan import parameter_warnings
from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    BAD_INPUT,
    FINE,
    echo,
    pluralize,
    print_json,
    print_problems,
    print_warnings,
)
from nodegraph.cli.workflow_source import open_workflow
from nodegraph.errors import NodegraphError, Problem

if TYPE_CHECKING:
    from nodegraph.session.session import Session


@dataclass(frozen=True)
class _Report:
    """What was found about one file."""

    file: str
    nodes: int = 0
    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "valid": not self.problems,
            "nodes": self.nodes,
            "problems": [problem.as_dict() for problem in self.problems],
            "warnings": [problem.as_dict() for problem in self.warnings],
        }


def validate(
    common: CommonOptions,
    workflows: Annotated[
        list[str],
        typer.Argument(
            metavar="WORKFLOW", help="JSON files, output files of nodegraph, or - for stdin."
        ),
    ],
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE",
            help="Check only this node and the nodes that it needs; may be repeated.",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Check workflows without running them.

    It reports every problem at once. No node runs, and neither torch nor a model is loaded.
    """
    session = common.session()
    reports = [_check(common, session, name, to or None) for name in workflows]
    packs = session.registry.problems
    if json:
        _print_json(reports, packs)
    else:
        print_warnings(packs)
        for report in reports:
            _print(report)
    return BAD_INPUT if any(report.problems for report in reports) else FINE


def _check(
    common: CommonOptions, session: Session, name: str, targets: Sequence[str] | None
) -> _Report:
    from nodegraph.core.analysis import analyse

    try:
        opened = open_workflow(name, common)
    except NodegraphError as error:
        return _Report(name, problems=error.problems)
    # `Session.environment` would look for accelerators, for which it may import torch.
    environment = session.settings.environment(inputs=opened.folder)
    analysis = analyse(opened.workflow, session.registry, environment, targets=targets)
    problems = tuple(analysis.problems)
    warnings = (*analysis.warnings, *parameter_warnings(opened.workflow))
    return _Report(name, len(opened.workflow.nodes), problems, warnings)


def _print(report: _Report) -> None:
    if report.problems:
        echo((report.file, "bold"), ": ", (pluralize(len(report.problems), "problem"), "red"))
        print_problems(report.problems, line=echo, count=False)
    else:
        echo(
            (report.file, "bold"), ": ", ("valid", "green"), f", {pluralize(report.nodes, 'node')}"
        )
    for warning in report.warnings:
        echo(("warning:", "yellow"), f" {warning}")


def _print_json(reports: Sequence[_Report], packs: Sequence[str]) -> None:
    problems = [
        {"file": report.file, **problem.as_dict()}
        for report in reports
        for problem in report.problems
    ]
    print_json(
        {
            "valid": not problems,
            "problems": problems,
            "files": [report.as_dict() for report in reports],
            "pack_problems": list(packs),
        }
    )
