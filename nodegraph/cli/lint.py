"""`nodegraph lint`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import FINE, echo, pluralize, print_json, print_problems, print_warnings
from nodegraph.cli.workflow_source import open_workflow
from nodegraph.errors import InvalidValue, NodegraphError, Problem

if TYPE_CHECKING:
    from nodegraph.session.session import Session

FINDINGS = 1
"""Exit code with findings."""


def lint(
    common: CommonOptions,
    workflows: Annotated[
        list[str],
        typer.Argument(
            metavar="WORKFLOW", help="JSON files, output files of nodegraph, or - for stdin."
        ),
    ],
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Leave out findings of this code; may be repeated."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Find likely mistakes in workflows, and what keeps a result from being made again.

    Unused nodes, outputs that reach nothing, deprecated types, models without a digest, seeds that
    change, and all that `validate` reports, such as unknown types and missing files. Each finding
    has a code and a hint.
    """
    session = common.session()
    by_file = {name: _findings(common, session, name) for name in workflows}
    _check_codes(ignore or (), by_file.values())
    kept = {
        name: [each for each in findings if each.code not in (ignore or ())]
        for name, findings in by_file.items()
    }
    if json:
        files = [
            {"file": name, "findings": [each.as_dict() for each in findings]}
            for name, findings in kept.items()
        ]
        print_json({"files": files, "pack_problems": list(session.registry.problems)})
    else:
        print_warnings(session.registry.problems)
        for name, findings in kept.items():
            count = pluralize(len(findings), "finding") if findings else "no findings"
            echo((name, "bold"), ": ", (count, "red" if findings else "green"))
            coded = [_with_code(each) for each in findings]
            print_problems(coded, line=echo, count=False)
    return FINDINGS if any(kept.values()) else FINE


def _findings(common: CommonOptions, session: Session, name: str) -> list[Problem]:
    from nodegraph.session.lint import lint_workflow

    try:
        opened = open_workflow(name, common)
    except NodegraphError as error:
        return list(error.problems)
    # `Session.environment` would look for accelerators, for which it may import torch.
    environment = session.settings.environment(inputs=opened.folder)
    return lint_workflow(opened.workflow, session.registry, environment)


def _check_codes(ignored: Collection[str], by_file: Collection[Sequence[Problem]]) -> None:
    """Refuse a code that no finding has, and that none could have: it may be misspelled."""
    from nodegraph.core.suggest import did_you_mean
    from nodegraph.session.lint import LINT_CODES

    known = {*LINT_CODES, *(each.code for findings in by_file for each in findings)}
    for code in ignored:
        near = did_you_mean(code, known)
        if code not in known and near.startswith("Did"):
            raise InvalidValue(f"there is no finding of the code `{code}`", hint=near)


def _with_code(problem: Problem) -> Problem:
    from dataclasses import replace

    return replace(problem, message=f"{problem.message} [{problem.code}]")
