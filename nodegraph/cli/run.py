"""`nodegraph run`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.event_lines import EventLines
from nodegraph.cli.functions import More, declared_options
from nodegraph.cli.interrupt import Interrupts
from nodegraph.cli.opening import STDIN, Opened, open_workflow
from nodegraph.cli.options import Common, JsonOption, common_options
from nodegraph.cli.output import print_json
from nodegraph.cli.parameters import assignments, given_texts, parameter_options
from nodegraph.cli.problems import print_warnings
from nodegraph.cli.progress import Silent
from nodegraph.cli.scan import option_names, scan
from nodegraph.cli.seeds import Variation, counted_up, parse_seeds, with_seeds
from nodegraph.cli.summary import (
    exit_code,
    print_errors,
    print_files,
    print_summary,
    runs_document,
    status_of,
)
from nodegraph.cli.watching import progress_for
from nodegraph.core.overrides import with_texts
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, InvalidWorkflow, NodegraphError

if TYPE_CHECKING:
    from nodegraph.core.events import Event
    from nodegraph.engine.result import RunResult
    from nodegraph.session import Session


def run(
    common: Common,
    more: More,
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW", help="A JSON file, a picture by nodegraph, or - (stdin)."
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NODE.INPUT=VALUE", help="Give an input a value; may be repeated."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write files here  [default: output]"),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="Run this node and what it needs; may be repeated."),
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option(metavar="N", help="Run N times, the seeds one higher each time.", min=1),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Run once for each of these seeds, such as 1,2,5-8."),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Compute everything anew.")] = False,
    json: JsonOption = False,
    events: Annotated[
        bool, typer.Option("--events", help="Print what happens as lines of JSON.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but the files' paths and errors.")
    ] = False,
) -> int:
    """Run a workflow.

    The workflow's named parameters are options too: `nodegraph run WORKFLOW --help` lists them.
    Ctrl-C stops the run at the next step; what is finished stays.
    """
    if json and events:
        raise InvalidValue("--json and --events both want stdout", hint="Choose one of them.")
    opened = _opened(workflow, more)
    flags = {"outputs": Path(out).expanduser().absolute()} if out else {}
    with common.session(inputs=opened.folder, use_cache=not no_cache, **flags) as session:
        print_warnings(session.registry.problems)
        wish = _Wish(target or None, set_ or (), given_texts(opened.workflow, more.values))
        prepared = _prepared(session, opened.workflow, wish)
        variations = _variations(session, prepared, repeat, seeds)
        shown = progress_for(sys.stderr, _types(prepared), quiet=quiet or events)
        runner = _Runner(session, wish.targets, shown, EventLines() if events else None)
        runs = runner.run_all(variations, keep_stdout_clean=json or events)
    if json:
        print_json(runs_document(runs, len(variations)))
    else:
        print_errors(runs)
        _print_closing(runs, len(variations), quiet=quiet, events=events)
    return exit_code(status_of(runs, len(variations)))


def more_options(common: Common, arguments: Sequence[str]) -> More:
    """The parameters of the workflow that the arguments name.

    Raises:
        NodegraphError: The workflow can't be read.
    """
    declared = {**declared_options(run), **common_options()}
    seen = scan(arguments, declared)
    name = _named_workflow(seen.positional, seen.doubtful)
    if name is None:
        return More()
    try:
        opened = open_workflow(name)
    except NodegraphError:
        if {"-h", "--help"} & set(arguments):
            return More()
        raise
    if not opened.workflow.parameters:
        return More(found=opened)
    lists = {key: seen.values.get(key) for key in ("pack", "models")}
    single = {key: seen.values.get(key, [None])[-1] for key in ("home", "device")}
    catalog = common.merged({**lists, **single}).session().registry
    options = parameter_options(opened.workflow, catalog, option_names(declared))
    return More(options, found=opened)


def _named_workflow(positional: Sequence[str], doubtful: Sequence[str]) -> str | None:
    if positional:
        return positional[0]
    # After an unknown flag the workflow looks like the flag's value.
    return next((text for text in doubtful if text == STDIN or Path(text).is_file()), None)


def _opened(name: str, more: More) -> Opened:
    # Standard input can be read only once.
    found = more.found
    return found if isinstance(found, Opened) and found.name == name else open_workflow(name)


@dataclass(frozen=True)
class _Wish:
    """What is to be run, and with which values."""

    targets: Sequence[str] | None
    assignments: Sequence[str]
    parameters: dict[str, str]


def _prepared(session: Session, workflow: Workflow, wish: _Wish) -> Workflow:
    """The workflow with its values set.

    Raises:
        InvalidWorkflow: Lists all that is wrong with the values and with the workflow.
    """
    given = assignments(workflow, wish.assignments)
    problems = given.problems
    try:
        workflow = with_texts(
            workflow,
            session.registry,
            parameters={**wish.parameters, **given.parameters},
            inputs=given.inputs,
        )
    except InvalidWorkflow as error:
        problems += error.problems
    problems += session.check(workflow, targets=wish.targets)
    if problems:
        raise InvalidWorkflow(problems)
    return workflow


def _variations(
    session: Session, workflow: Workflow, repeat: int | None, seeds: str | None
) -> list[Variation]:
    if repeat is not None and seeds is not None:
        raise InvalidValue("--repeat and --seeds can't be combined", hint="Choose one of them.")
    if seeds is not None:
        return with_seeds(workflow, session.registry, parse_seeds(seeds))
    if repeat is not None and repeat > 1:
        return counted_up(workflow, session.registry, repeat)
    return [Variation(workflow)]


def _types(workflow: Workflow) -> dict[str, str]:
    return {name: node.type for name, node in workflow.nodes.items()}


class _Runner:
    """Runs variations one after the other, until one fails or the user has had enough."""

    def __init__(
        self,
        session: Session,
        targets: Sequence[str] | None,
        shown: Silent,
        lines: EventLines | None,
    ) -> None:
        self._session = session
        self._targets = targets
        self._shown = shown
        self._lines = lines

    def run_all(
        self, variations: Sequence[Variation], *, keep_stdout_clean: bool
    ) -> list[tuple[Variation, RunResult]]:
        """Run them; `keep_stdout_clean` sends what nodes print to stderr."""
        import asyncio

        gc.enable()  # the command line's start turns it off
        with ExitStack() as stack:
            if keep_stdout_clean:
                stack.enter_context(redirect_stdout(sys.stderr))
            stack.enter_context(self._shown)
            interrupts = stack.enter_context(Interrupts(self._shown.say))
            return asyncio.run(self._run_all(variations, interrupts))

    async def _run_all(
        self, variations: Sequence[Variation], interrupts: Interrupts
    ) -> list[tuple[Variation, RunResult]]:
        from nodegraph.engine.cancel import CancelToken

        runs: list[tuple[Variation, RunResult]] = []
        for at, variation in enumerate(variations):
            token = CancelToken()
            with interrupts.stopping(token):
                if interrupts.came:
                    break
                self._announce(at, variation, len(variations))
                result = await self._session.run_async(
                    variation.workflow, targets=self._targets, listener=self._show, cancel=token
                )
            runs.append((variation, result))
            if not result.is_ok:
                break
        return runs

    def _announce(self, at: int, variation: Variation, planned: int) -> None:
        if self._lines is not None:
            self._lines.run = at
        several = f"run {at + 1} of {planned}"
        title = f"{several}, {variation.title}" if variation.title else several
        self._shown.start(title if planned > 1 else "")

    def _show(self, event: Event) -> None:
        self._shown.show(event)
        if self._lines is not None:
            self._lines.show(event)


def _print_closing(
    runs: Sequence[tuple[Variation, RunResult]], planned: int, *, quiet: bool, events: bool
) -> None:
    # Beside events, stdout has no room for people.
    with redirect_stdout(sys.stderr if events else sys.stdout):
        if quiet:
            print_files(runs)
        else:
            print_summary(runs, planned)
