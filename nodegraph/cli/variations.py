"""Vary a workflow, by seeds or by the rows of a table, and summarize the results of its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from nodegraph.cli.output import (
    CANCELLED,
    FAILED,
    FINE,
    StyledText,
    echo,
    echo_stderr,
    format_path,
    format_seconds,
    pluralize,
)
from nodegraph.core.hints import Seed
from nodegraph.core.rows import MOST_PROBLEMS, MOST_ROWS, Row, check_columns, row_problems
from nodegraph.core.subgraphs import with_changed_seeds
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, InvalidWorkflow, NodeFailed

if TYPE_CHECKING:
    from nodegraph.cli.run_request import RunRequest
    from nodegraph.core.catalog import Catalog
    from nodegraph.engine.result import RunResult, WrittenFile


@dataclass(frozen=True)
class Variation:
    """One of several runs.

    Attributes:
        seeds: What the seed inputs are set to, by ``node.input``.
        row: Number of its row in a table, from 1; 0 for none.
    """

    workflow: Workflow
    seeds: dict[str, int] = field(default_factory=dict)
    row: int = 0

    @property
    def title(self) -> str:
        """What is different about it, in a few words."""
        if self.row:
            return f"row {self.row}"
        values = sorted(set(self.seeds.values()))
        return f"seed {', '.join(map(str, values))}" if values else ""


def parse_seeds(text: str) -> list[int]:
    """Read ``1,2,5-8``.

    Raises:
        InvalidValue: It isn't of that form.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InvalidValue(f"--seeds {text} does not name a seed", expected="such as 1,2,5-8")
        low, high = int(first), int(last or first)
        if high > Seed.LARGEST:
            raise InvalidValue(f"the seed {high} is too large", expected=f"{Seed.LARGEST} at most")
        if high < low:
            raise InvalidValue(f"--seeds {part}: the range ends before it starts")
        if len(seeds) + high - low >= MOST_ROWS:
            raise InvalidValue("too many seeds", expected=f"{MOST_ROWS} at most")
        seeds.extend(range(low, high + 1))
    return seeds


def with_incremented_seeds(workflow: Workflow, catalog: Catalog, times: int) -> list[Variation]:
    """The workflow several times, its literal seeds raised by one each time.

    Raises:
        InvalidValue: Too many times.
    """
    if times > MOST_ROWS:
        raise InvalidValue(f"--repeat {times} is too large", expected=f"{MOST_ROWS} at most")
    return [
        _variation(workflow, catalog, lambda seed, at=at: (seed + at) % (Seed.LARGEST + 1))  # type: ignore[misc]
        for at in range(times)
    ]


def with_seeds(workflow: Workflow, catalog: Catalog, seeds: Sequence[int]) -> list[Variation]:
    """The workflow once for each seed, which all of its literal seeds are set to.

    Raises:
        InvalidValue: It has no seed to set.
    """
    if not with_changed_seeds(workflow, catalog, lambda seed: seed)[1]:
        raise InvalidValue(
            "--seeds: no node of the workflow has a seed to set",
            hint="Linked seeds come from another node.",
        )
    return [_variation(workflow, catalog, lambda _, seed=seed: seed) for seed in seeds]  # type: ignore[misc]


def _variation(workflow: Workflow, catalog: Catalog, change: Callable[[int], int]) -> Variation:
    return Variation(*with_changed_seeds(workflow, catalog, change))


Prepared = TypeVar("Prepared")


def by_row(
    request: RunRequest,
    workflow: Workflow,
    rows: Sequence[Row],
    prepare: Callable[[RunRequest], Prepared],
) -> list[Prepared]:
    """What is prepared of a request with each row's values.

    Args:
        request: Of all rows. Values of a row take precedence.
        prepare: Raises InvalidWorkflow.
    Raises:
        InvalidWorkflow: Lists what is wrong, with the numbers of the rows.
    """
    check_columns(rows, workflow)
    prepared, problems = [], []
    for number, row in enumerate(rows, 1):
        parameters = {name: text for name, text in row.items() if name in workflow.parameters}
        inputs = [f"{name}={text}" for name, text in row.items() if name not in parameters]
        values = replace(
            request,
            parameters={**request.parameters, **parameters},
            assignments=[*request.assignments, *inputs],
        )
        try:
            prepared.append(prepare(values))
        except InvalidWorkflow as error:
            problems += row_problems(number, error)
            if len(problems) >= MOST_PROBLEMS:
                break
    if problems:
        raise InvalidWorkflow(problems)
    return prepared


RunsByVariation = Sequence[tuple["Variation", "RunResult"]]

_EXIT = {"ok": FINE, "failed": FAILED, "cancelled": CANCELLED}
_TITLES: dict[str, StyledText] = {
    "ok": ("Finished", "green"),
    "failed": ("Failed", "red"),
    "cancelled": ("Cancelled", "yellow"),
}
_WORDS = {
    "ran": "run",
    "memory": "from memory",
    "disk": "from disk",
    "files": "already written",
    "shared": "shared with another run",
    "cached": "from the cache",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "cancelled",
}
"""How nodes fared; those of the cache by where they came from."""

_MIN_SAVED_SECONDS = 1.0
"""Seconds that the cache must have saved."""


def status_of(runs: RunsByVariation, planned: int) -> str:
    """How the runs ended as a whole.

    Args:
        planned: How many runs there were to be; fewer have run if one failed or all were cancelled.
    """
    statuses = {result.status for _, result in runs}
    if "failed" in statuses:
        return "failed"
    return "ok" if statuses == {"ok"} and len(runs) == planned else "cancelled"


def exit_code(runs: RunsByVariation, planned: int) -> int:
    """The exit code that tells how the runs ended.

    What wasn't the user's own wish, such as a deadline that has passed, is a failure.
    """
    return FAILED if _reason(runs) else _EXIT[status_of(runs, planned)]


def _reason(runs: RunsByVariation) -> str:
    """Why the last run was cancelled, unless the user did it."""
    return next((result.reason for _, result in runs if result.status == "cancelled"), "")


def print_errors(runs: RunsByVariation) -> None:
    """Print what went wrong in nodes, each with its inputs and the pack's traceback."""
    for error in _errors(runs):
        _print_error(error)
    if _reason(runs):
        echo_stderr(("cancelled:", "red"), f" {_reason(runs)}")


def _print_error(error: NodeFailed) -> None:
    problem = error.problem
    kind = f" ({problem.node_type})" if problem.node_type else ""
    echo_stderr()
    echo_stderr("node ", (f"`{problem.node}`", "bold"), kind, (" failed", "red"))
    port = f"input `{problem.port}`: " if problem.port else ""
    for line in f"{port}{problem.message}".splitlines():
        echo_stderr("  ", line)
    for label, value in (("given", problem.given), ("expected", problem.expected)):
        if value:
            echo_stderr(f"  {label}: {value}")
    if problem.hint:
        echo_stderr("  ", (problem.hint, "cyan"))
    if error.inputs:
        echo_stderr("  inputs:")
        width = max(map(len, error.inputs))
        for name, text in error.inputs.items():
            echo_stderr(f"    {name.ljust(width)}  {text}")
    if error.trace:
        echo_stderr("  in the code of the pack:")
        for line in error.trace.rstrip().splitlines():
            echo_stderr("  ", (line, "dim"))


def print_summary(runs: RunsByVariation, planned: int) -> None:
    """Print how the runs ended, what was run and where the files are."""
    status = status_of(runs, planned)
    seconds = sum(result.seconds for _, result in runs)
    times = f" {len(runs)} of {planned} runs" if planned > 1 else ""
    word = "in" if status == "ok" else "after"
    echo(
        _TITLES[status], times, f" {word} {format_seconds(seconds)}: {_counts(runs)}{_saved(runs)}."
    )
    print_files(runs, indent="  ")


def print_files(runs: RunsByVariation, *, indent: str = "") -> None:
    """Print the files' paths, a line each."""
    for file in _files(runs):
        note = ("  (already there, unchanged)", "dim") if file.existed and indent else ""
        echo(indent, format_path(file.path), note)


def _counts(runs: RunsByVariation) -> str:
    reports = [report for _, result in runs for report in result.nodes.values()]
    counts: Counter[str] = Counter(
        report.source or report.status if report.status == "cached" else report.status
        for report in reports
    )
    parts = [(word, counts[fared]) for fared, word in _WORDS.items() if counts[fared]]
    if not parts:
        return "no node was run"
    (word, number), *remaining = parts
    first = f"{pluralize(number, 'node')} {word}"
    return ", ".join([first, *(f"{number} {word}" for word, number in remaining)])


def _saved(runs: RunsByVariation) -> str:
    seconds = sum(report.saved for _, result in runs for report in result.nodes.values())
    return f"; the cache saved {format_seconds(seconds)}" if seconds > _MIN_SAVED_SECONDS else ""


def _errors(runs: RunsByVariation) -> Iterable[NodeFailed]:
    return (error for _, result in runs for error in result.errors)


def _files(runs: RunsByVariation) -> Iterable[WrittenFile]:
    return (file for _, result in runs for file in result.files)


def runs_document(runs: RunsByVariation, planned: int) -> dict[str, Any]:
    """The JSON document of one run, or of several with what they have in common."""
    status = status_of(runs, planned)
    if planned == 1 and runs:
        return _document(*runs[0])
    return {
        "status": status,
        "seconds": sum(result.seconds for _, result in runs),
        "files": [_file(file) for file in _files(runs)],
        "errors": [_error(error) for error in _errors(runs)],
        "runs": [{**_difference(run), **_document(run, result)} for run, result in runs],
    }


def _difference(run: Variation) -> dict[str, Any]:
    return {"row": run.row} if run.row else {"seeds": run.seeds}


def _document(_: Variation, result: RunResult) -> dict[str, Any]:
    return {
        "status": result.status,
        **({"reason": result.reason} if result.reason else {}),
        "seconds": result.seconds,
        "files": [_file(file) for file in result.files],
        "nodes": {
            name: {
                "status": report.status,
                "seconds": report.seconds,
                "calls": report.calls,
                "cached": report.cached,
                "source": report.source,
                "saved": report.saved,
                "warnings": list(report.warnings),
            }
            for name, report in result.nodes.items()
        },
        "errors": [_error(error) for error in result.errors],
    }


def _file(file: WrittenFile) -> dict[str, Any]:
    return {
        "path": str(file.path.absolute()),
        "node": file.node,
        "kind": file.kind,
        "existed": file.existed,
    }


def _error(error: NodeFailed) -> dict[str, Any]:
    return {**error.problem.as_dict(), "inputs": error.inputs, "trace": error.trace}
