"""A form's texts as the values that an app takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nodegraph.core.literals import parse_literal
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue, InvalidWorkflow, Problem
from nodegraph.server.content.apps.app import App, AppParameter


def values_of(app: App, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The values that the texts of a form stand for.

    A field that was left empty isn't given, unless its parameter is a text that isn't empty
    otherwise.

    Args:
        texts: By field, in the order in which they came.
    Raises:
        InvalidWorkflow: No such parameter, or not such a value; lists all.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, given in texts.items():
        parameter = app.parameter(name)
        if parameter is None:
            problems.append(_unknown(name, app))
            continue
        try:
            # A field for a file in which none was chosen comes empty beside one that names it.
            filled = [text for text in given if text != ""]
            if filled or not _is_left_out(parameter):
                values[name] = _value(parameter, filled or [""])
        except InvalidValue as error:
            place = {"node": parameter.node, "port": parameter.port.name}
            problems.append(replace(error.problem, **place))
    if problems:
        raise InvalidWorkflow(problems)
    return values


def _unknown(name: str, app: App) -> Problem:
    return Problem(
        "unknown-parameter",
        "the app has no such parameter",
        given=ascii(name[:80]),
        hint=did_you_mean(name, [each.name for each in app.parameters]) or "It takes none.",
    )


def _is_left_out(parameter: AppParameter) -> bool:
    """Whether an empty field means that nothing is given."""
    if not _is_text(parameter) or parameter.is_file:
        return True
    return not parameter.is_required and not parameter.default


def _is_text(parameter: AppParameter) -> bool:
    schema = parameter.port.json_schema or {}
    return schema.get("type") == "string" and "enum" not in schema


def _value(parameter: AppParameter, given: Sequence[str]) -> Any:
    port = parameter.port
    schema = port.json_schema or {}
    if len(given) == 1:
        return parse_literal(_lines(given[0]), port)
    if schema.get("type") == "array" and "items" in schema:
        item = port.model_copy(update={"json_schema": schema["items"], "nullable": False})
        return [parse_literal(_lines(text), item) for text in given]
    raise InvalidValue("is given more than once", given=", ".join(given)[:80])


def _lines(text: str) -> str:
    """The text with line ends as other texts have them: a form's are always two characters."""
    return text.replace("\r\n", "\n")
