"""Tables whose rows are values of a workflow: CSV with column names, or a JSON object per line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidWorkflow, Problem

Row = dict[str, str]
"""Texts of parameters, or of inputs (``node.input``), by the names of the columns."""
MOST_ROWS = 100_000
MOST_PROBLEMS = 20
"""Problems after which rows are looked at no more."""
_LARGEST = 64 << 20
_DELIMITERS = ",;\t"


def read_rows(path: Path) -> list[Row]:
    """Read a table from a file; one that ends in ``.jsonl`` has JSON. See `parse_rows`.

    Raises:
        InvalidFile: It can't be read, is too large or is no such table.
    """
    source = str(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise _bad_table(source, "it is larger than 64 MiB")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise _bad_table(source, str(error.strerror or error)) from error
    except UnicodeDecodeError as error:
        raise _bad_table(source, "it is not UTF-8 text") from error
    return parse_rows(text, source, is_json=path.suffix.lower() in (".jsonl", ".ndjson"))


def parse_rows(text: str, source: str, *, is_json: bool | None = None) -> list[Row]:
    """Parse a table: CSV with a line of column names, or a JSON object per line.

    An empty cell of CSV, and null in JSON, leaves the value of the workflow.

    Args:
        source: What it is, for errors.
        is_json: Whether it is JSON; by default, whether it begins like a JSON object.
    Raises:
        InvalidFile: It is no such table.
    """
    if is_json is None:
        is_json = text.lstrip("\ufeff \t\r\n").startswith("{")
    text = text.removeprefix("\ufeff")
    return _checked(source, _json_rows(source, text) if is_json else _csv_rows(source, text))


def rows_from_objects(objects: Iterable[Mapping[str, Any]], source: str) -> list[Row]:
    """The rows of JSON objects; null leaves the value of the workflow.

    Raises:
        InvalidFile: There are none, or too many.
    """
    return _checked(source, map(_row, objects))


def check_columns(rows: Iterable[Row], workflow: Workflow) -> None:
    """Refuse columns that are neither a parameter of a workflow nor an input of one of its nodes.

    Raises:
        InvalidWorkflow: Lists them, each with the first row that has it.
    """
    first: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        for name in row:
            first.setdefault(name, number)
    problems = []
    for name, number in first.items():
        node, dot, port = name.partition(".")
        is_input = bool(dot and port) and node in workflow.nodes
        if name not in workflow.parameters and not is_input:
            known = workflow.parameter_problem(name)
            problems.append(
                Problem(
                    "unknown-column",
                    f"row {number}: the column `{name[:80]}` is no parameter of the workflow",
                    expected=", ".join(workflow.parameters)
                    or "inputs, as the workflow declares no parameters",
                    hint=f"{known.hint if known and workflow.parameters else ''} A column can also "
                    "be an input, such as `sampler.seed`.".strip(),
                )
            )
    if problems:
        raise InvalidWorkflow(problems[:MOST_PROBLEMS])


def row_problems(number: int, error: InvalidWorkflow) -> list[Problem]:
    """What is wrong with a row, by its number."""
    return [replace(each, message=f"row {number}: {each.message}") for each in error.problems]


def _checked(source: str, rows: Iterable[Row]) -> list[Row]:
    listed: list[Row] = []
    for row in rows:
        if len(listed) == MOST_ROWS:
            raise _bad_table(source, f"it has more than {MOST_ROWS} rows")
        listed.append(row)
    if not listed:
        raise _bad_table(source, "it has no rows")
    return listed


def _csv_rows(source: str, text: str) -> Iterator[Row]:
    head = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip() for name in next(filter(any, reader), [])]
        if not all(columns) or len(set(columns)) < len(columns):
            raise _bad_table(source, "its first line does not name each column once")
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) > len(columns):
                raise _bad_table(
                    source, f"line {reader.line_num} has more cells than there are columns"
                )
            yield {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
    except csv.Error as error:
        raise _bad_table(source, f"line {reader.line_num}: {error}") from error


def _json_rows(source: str, text: str) -> Iterator[Row]:
    # Not `splitlines`: JSON may have other ends of lines inside a text, such as U+2028.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _bad_table(source, f"line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise _bad_table(source, f"line {number} is not a JSON object")
        yield _row(row)


def _row(values: Mapping[str, Any]) -> Row:
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value is not None
    }


def _bad_table(source: str, reason: str) -> InvalidFile:
    return InvalidFile(
        f"{source} cannot be read as a table: {reason}",
        expected="CSV with the names of the columns first, or a JSON object per line (.jsonl)",
        hint="Columns are parameters of the workflow, or inputs such as `sampler.seed`.",
    )
