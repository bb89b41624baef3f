"""A first look at a command line, before all of its options are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Annotated, Any, get_args, get_origin

import typer


@dataclass
class Scan:
    """What a command line says, as far as one can tell.

    Attributes:
        positional: What is no option, nor the value of one.
        doubtful: What follows an unknown option, and may be its value.
        values: Values of known options, by the function's parameter.
    """

    positional: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)


def scan(arguments: Sequence[str], declared: Mapping[str, Parameter]) -> Scan:
    """Look at a command line whose options are known only in part.

    Args:
        declared: The known options and arguments, by the function's parameter.
    """
    valued, flags = _names(declared)
    found = Scan()
    waiting = list(reversed(arguments))
    while waiting:
        item = waiting.pop()
        name, has_value, value = item.partition("=")
        if item == "--":
            found.positional += reversed(waiting)
            return found
        if not item.startswith("-") or item == "-":
            found.positional.append(item)
        elif name in valued:
            if not has_value and waiting:
                value = waiting.pop()
            found.values.setdefault(valued[name], []).append(value)
        elif name not in flags and not has_value and waiting and _is_value(waiting[-1]):
            found.doubtful.append(waiting.pop())
    return found


def _is_value(text: str) -> bool:
    """Whether a text may be an option's value: it is no option, but may be a negative number."""
    return not text.startswith("-") or text[1:2].isdecimal()


def option_names(declared: Mapping[str, Parameter]) -> set[str]:
    """Every way to write the options, such as ``--out`` and ``-o``."""
    valued, flags = _names(declared)
    return {*valued, *flags}


def _names(declared: Mapping[str, Parameter]) -> tuple[dict[str, str], set[str]]:
    """Options that take a value, with their parameter; and those that take none."""
    valued: dict[str, str] = {}
    flags = {"-h", "--help"}
    for name, parameter in declared.items():
        option = option_of(parameter)
        if option is None:
            continue
        written = declarations(name, option)
        if get_args(parameter.annotation)[0] is bool:
            flags.update(part for text in written for part in text.split("/"))
        else:
            valued.update(dict.fromkeys(written, name))
    return valued, flags


def option_of(parameter: Parameter) -> Any:
    """Typer's description of an option; None if the parameter is none."""
    return _described(parameter, type(typer.Option()))


def argument_of(parameter: Parameter) -> Any:
    """Typer's description of an argument; None if the parameter is none."""
    return _described(parameter, type(typer.Argument()))


def _described(parameter: Parameter, kind: type) -> Any:
    if get_origin(parameter.annotation) is not Annotated:
        return None
    return next((item for item in get_args(parameter.annotation) if isinstance(item, kind)), None)


def declarations(name: str, option: Any) -> list[str]:
    """How an option is written on the command line."""
    # In `Annotated`, Typer keeps the first name where a default would stand.
    first = [option.default] if isinstance(option.default, str) else []
    return [*first, *(option.param_decls or ())] or [f"--{name.replace('_', '-')}"]
