"""The functions behind commands, and the options that they declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Annotated, Any, Union, get_args, get_origin

CommandFunction = Callable[..., int | None]


@dataclass(frozen=True)
class ExtraOptions:
    """Options that a command takes because of what it was given, as `run` those of a workflow.

    Attributes:
        options: As parameters of a function, keyword only.
        values: What was given for them, by name.
        opened: Whatever the command had to find out for it, for later use.
    """

    options: Sequence[Parameter] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    opened: Any = None


def declared_options(function: CommandFunction) -> dict[str, Parameter]:
    """The parameters of a command's function, their annotations read."""
    from inspect import signature
    from typing import get_type_hints

    hints = get_type_hints(function, include_extras=True)
    return {
        name: parameter.replace(annotation=_as_written(hints[name]), kind=Parameter.KEYWORD_ONLY)
        for name, parameter in signature(function).parameters.items()
    }


def _as_written(hint: Any) -> Any:
    """An annotation without the `None` that Python 3.10 adds where that is the default."""
    inner = get_args(hint)
    is_added = get_origin(hint) is Union and len(inner) == 2 and inner[1] is type(None)
    return inner[0] if is_added and get_origin(inner[0]) is Annotated else hint
