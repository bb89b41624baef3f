"""A form's fields: one for each parameter of an app."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nodegraph.core.uploads import digest_of
from nodegraph.server.content.apps.app import AppParameter
from nodegraph.server.content.pages.html import Child, Markup, Value, element, joined

_ACCEPTED = {"file:image": "image/png,image/jpeg,image/webp,image/gif"}


def field(parameter: AppParameter, texts: Sequence[str] | None, wrong: str = "") -> Markup:
    """What a parameter is entered with.

    Args:
        texts: What was entered before; None shows what the workflow itself gives.
        wrong: What is wrong with that.
    """
    place = f"field-{parameter.name}"
    text = _shown(parameter.default) if texts is None else "\n".join(texts)
    described = f"{place}-help" if parameter.help else None
    shared: dict[str, Value] = {
        "id": place,
        "name": parameter.name,
        "required": parameter.is_required and not parameter.is_file,
        "aria_describedby": described,
        "aria_invalid": "true" if wrong else None,
    }
    parts = [element("label", parameter.label, for_=place), _control(parameter, text, shared)]
    if parameter.help:
        parts.append(element("p", parameter.help, class_="help", id=described))
    if wrong:
        parts.append(element("p", wrong, class_="wrong"))
    return element("div", *parts)


def _control(parameter: AppParameter, text: str, shared: dict[str, Value]) -> Markup:
    port, schema = parameter.port, parameter.port.json_schema or {}
    kind = schema.get("type")
    if "enum" in schema:
        return _select([_shown(choice) for choice in schema["enum"]], text, parameter, shared)
    if kind == "boolean":
        return _select(["true", "false"], text, parameter, shared)
    if parameter.is_file:
        return _file(parameter, text, shared)
    if kind in ("integer", "number"):
        return _number(schema, text, shared)
    if kind == "string" and port.widget != "multiline":
        return element("input", type="text", value=text, autocomplete="off", **shared)
    spelling = None if kind == "string" else "false"
    # A line break right after the tag is no part of the text.
    return element("textarea", f"\n{text}", spellcheck=spelling, **shared)


def _select(
    choices: Sequence[str], text: str, parameter: AppParameter, shared: dict[str, Value]
) -> Markup:
    options: list[Child] = []
    if not parameter.is_required and (parameter.port.nullable or text not in choices):
        options.append(element("option", "as it is", value="", selected=text not in choices))
    options += [
        element("option", choice, value=choice, selected=choice == text) for choice in choices
    ]
    return element("select", *options, **shared)


def _file(parameter: AppParameter, text: str, shared: dict[str, Value]) -> Markup:
    accept = _ACCEPTED.get(parameter.port.widget)
    chooser = element("input", type="file", accept=accept, **shared)
    if not text:
        return chooser
    # What was brought already needn't be chosen again.
    kept = element("input", type="hidden", name=parameter.name, value=text)
    name = text.partition("/")[2] if digest_of(text) else text
    return joined([kept, chooser, element("p", f"Otherwise {name}.", class_="help")])


def _number(schema: dict[str, Any], text: str, shared: dict[str, Value]) -> Markup:
    # Its editor's step isn't the rule: it would keep a browser from sending other numbers.
    usual: Value = "any" if schema.get("type") == "number" else 1
    multiple = schema.get("multipleOf")
    return element(
        "input",
        type="number",
        value=text,
        min=schema.get("minimum"),
        max=schema.get("maximum"),
        step=multiple if multiple and not schema.get("minimum", 0) % multiple else usual,
        **shared,
    )


def _shown(value: Any) -> str:
    """A value as it is entered."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
