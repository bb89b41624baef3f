"""Scan command-line arguments before all options are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer

from nodegraph.errors import Problem

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow


_OPTIONS = """
    bypass check-mutation cluster deadline device dry-run events get help home json metadata models
    mute no-cache no-color no-prompts out pack quiet repeat rows seeds set sidecar to trace
"""
RUN_OPTIONS = frozenset(f"--{name}" for name in _OPTIONS.split())
"""What `run` has itself, for those who don't import it; a test keeps them alike.

`plan` and `why` have no others.
"""
_SUBMIT_OPTIONS = """
    at bypass deadline device events help hold home in json key metadata models mute name no-color
    no-prompts out pack priority quiet rows saved server set sidecar tag to watch webhook
    webhook-event
"""
SUBMIT_OPTIONS = frozenset(f"--{name}" for name in _SUBMIT_OPTIONS.split())
"""What `submit` has itself, likewise."""
_TAKEN: Mapping[str, Set[str]] = {"run": RUN_OPTIONS, "submit": SUBMIT_OPTIONS}
"""Options by command that takes parameters as options."""
_WRITABLE = re.compile(r"[A-Za-z][\w-]*", re.ASCII)


@dataclass
class Scan:
    """What a command line says, as far as one can tell.

    Attributes:
        positional: What is no option, nor the value of one.
        ambiguous: What follows an unknown option, and may be its value.
        values: Values of known options, by the function's parameter.
    """

    positional: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)


def scan(arguments: Sequence[str], declared: Mapping[str, Parameter]) -> Scan:
    """Look at a command line whose options are known only in part.

    Args:
        declared: The known options and arguments, by the function's parameter.
    """
    valued, flags = _names(declared)
    scanned = Scan()
    waiting = list(reversed(arguments))
    while waiting:
        item = waiting.pop()
        name, has_value, value = item.partition("=")
        if item == "--":
            scanned.positional += reversed(waiting)
            return scanned
        if not item.startswith("-") or item == "-":
            scanned.positional.append(item)
        elif name in valued:
            if not has_value and waiting:
                value = waiting.pop()
            scanned.values.setdefault(valued[name], []).append(value)
        elif name not in flags and not has_value and waiting and _is_value(waiting[-1]):
            scanned.ambiguous.append(waiting.pop())
    return scanned


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
    return _typer_metadata(parameter, type(typer.Option()))


def argument_of(parameter: Parameter) -> Any:
    """Typer's description of an argument; None if the parameter is none."""
    return _typer_metadata(parameter, type(typer.Argument()))


def _typer_metadata(parameter: Parameter, kind: type) -> Any:
    if get_origin(parameter.annotation) is not Annotated:
        return None
    return next((item for item in get_args(parameter.annotation) if isinstance(item, kind)), None)


def declarations(name: str, option: Any) -> list[str]:
    """How an option is written on the command line."""
    # In `Annotated`, Typer keeps the first name where a default would stand.
    first = [option.default] if isinstance(option.default, str) else []
    return [*first, *(option.param_decls or ())] or [f"--{name.replace('_', '-')}"]


def option_spellings(workflow: Workflow, taken: Set[str]) -> dict[str, list[str]]:
    """What the options of parameters are called, without dashes, by parameter.

    One that is called like an option of `run` itself, such as `color` because of `--no-color`, is
    ``parameter-color``. There is none for what no shell writes, which ``--set`` reaches.

    Args:
        taken: Options that `run` has itself.
    """
    used = set(taken)
    by_parameter: dict[str, list[str]] = {name: [] for name in workflow.parameters}
    ways: tuple[Callable[[str], Sequence[str]], ...] = (
        lambda name: (name.replace("_", "-"), name),
        lambda name: (_hyphenated(name),),
        lambda name: (f"parameter-{_hyphenated(name)}",),
    )
    for spellings in ways:
        for name in by_parameter:
            if by_parameter[name]:
                continue
            by_parameter[name] = [
                text
                for text in dict.fromkeys(spellings(name))
                if _WRITABLE.fullmatch(text) and not {f"--{text}", f"--no-{text}"} & used
            ]
            used.update(
                f"{start}{text}" for text in by_parameter[name] for start in ("--", "--no-")
            )
    return by_parameter


def _hyphenated(name: str) -> str:
    return name.replace("_", "-").replace(" ", "-")


def parameter_warnings(workflow: Workflow) -> list[Problem]:
    """Parameters whose options aren't called as they are, and how they are set."""
    by_command = {command: option_spellings(workflow, taken) for command, taken in _TAKEN.items()}
    problems = []
    for name in workflow.parameters:
        for command, spellings_of in by_command.items():
            spellings = spellings_of[name]
            if _hyphenated(name) in spellings:
                continue
            if spellings:
                message = (
                    f"the parameter `{name}` has the same name as an option of `nodegraph "
                    f"{command}`"
                )
                hint = f"Set it there by `--{spellings[0]}`, or rename it."
            else:
                message = f"the parameter `{name}` has a name that cannot be an option"
                hint = f'Set it by `--set "{name}=…"`, or rename it.'
            problems.append(Problem("parameter-name", message, hint=hint))
            break
    return problems
