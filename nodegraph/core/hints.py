"""Hints for `Annotated`, editor panels, and checks of the options that packs declare.

Hints become JSON Schema for the input's literal and display options for editors.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_args

from nodegraph.core.digests import LEAVES
from nodegraph.core.parts import in_words
from nodegraph.core.spec import LaneName
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import PackError

if TYPE_CHECKING:
    from nodegraph.core.plugins import PluginGroup


def as_json(owner: str, what: str, value: Any) -> Any:
    """A default, or a schema, as JSON has it.

    Args:
        owner, what: Whose it is, for the message.
    Raises:
        PackError: JSON has nothing for it.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, PurePath):
        return str(value)
    if _is_plain(value):
        return value
    # Seldom: dates, sets, what is in data classes or whatever a pack declares for an input that
    # takes anything.
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(value)
    except ValueError:
        raise PackError(
            f"{owner}: {what} cannot be written in a workflow",
            given=f"of type {type(value).__name__}",
            hint="Change the default or the annotation.",
        ) from None


def check_fields(owner: str, kind: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a spec, which a pack gives: what is wrong would else show far from there.

    Args:
        kind: The class of the spec.
    Raises:
        PackError: A field is of another type.
    """
    checked_fields = {}
    for name, value in options.items():
        says, read = _FIELDS.get(kind.__dataclass_fields__[name].type, ("", lambda value: value))
        try:
            checked_fields[name] = read(value)
        except (TypeError, ValueError):
            raise PackError(f"{owner}: `{name}` must be {says}", given=in_words(value)) from None
    return checked_fields


def _one_of(*kinds: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError
        return value

    return read


def _truth(value: Any) -> bool:
    return (False, True)[(False, True).index(value)]


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise TypeError
    return tuple(map(_one_of(str), value))


def _lane(value: Any) -> Any:
    return _LANES[_LANES.index(value)]


_LANES = get_args(LaneName)
_FIELDS: Mapping[Any, tuple[str, Callable[[Any], Any]]] = {
    "str": ("text", _one_of(str)),
    "int": ("a whole number", _one_of(int)),
    "bool": ("True or False", _truth),
    "float | None": ("a number", _one_of(int, float, type(None))),
    "tuple[str, ...]": ("a tuple of texts", _texts),
    "LaneName": (" or ".join(_LANES), _lane),
}
"""How fields of a type are read, and what is told where they can't be."""


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(type(name) is str and _is_plain(item) for name, item in value.items())
    return type(value) in LEAVES - {bytes}


Kind = TypeVar("Kind")


def _checks_arguments(kind: type[Kind]) -> type[Kind]:
    """Make a class raise a `PackError` for arguments that it doesn't take, as a misspelt one.

    A pack writes these: Python's own error would name neither what is meant nor what there is.
    """
    initialize = kind.__init__
    parameters = [name for name in inspect.signature(initialize).parameters if name != "self"]

    @wraps(initialize)
    def checked(self: Any, *values: Any, **options: Any) -> None:
        try:
            initialize(self, *values, **options)
        except TypeError as error:
            unknown = next((name for name in options if name not in parameters), None)
            expected = ", ".join(parameters) or "no arguments"
            if unknown is None:
                raise PackError(
                    f"a hint `{kind.__name__}` cannot be created: {error}", expected=expected
                ) from None
            raise PackError(
                f"`{kind.__name__}` has no such argument",
                given=unknown,
                expected=expected,
                hint=did_you_mean(unknown, parameters) or f"Write `{kind.__name__}()`.",
            ) from None

    setattr(kind, "__init__", checked)  # noqa: B010 - a type checker sees the one that it wraps
    return kind


_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of the editor, as a variable of a pack's module.

    Attributes:
        name: Of its script: ``tones`` is ``panels/tones.js`` in the pack's folder.
        label: Its title.
        help: One sentence.
    """

    name: str
    label: str
    help: str = ""

    def __post_init__(self) -> None:
        script_name(self.name)
        for what, text in (("label", self.label), ("help", self.help)):
            if not isinstance(text, str):
                raise PackError(f"panel `{self.name}`: `{what}` must be text", given=in_words(text))


def script_name(name: object) -> str:
    """A script's name, which becomes a file's name and part of an address.

    Raises:
        PackError: It can't be one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PackError(
            "this cannot be the name of a widget or panel",
            given=in_words(name) if not isinstance(name, str) else ascii(name[:80]),
            expected="lower-case letters, digits, - and _, starting with a letter",
            hint="Give the script's name without folder and suffix: `curve` for widgets/curve.js.",
        )
    return name


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Range:
    """Smallest and largest allowed number, both included, and the editor's step."""

    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None

    def schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        # JSON has no infinity: without a bound there is none.
        none = (None, float("inf"), float("-inf"))
        return {key: value for key, value in bounds.items() if value not in none}


@_checks_arguments
@dataclass(frozen=True, slots=True)
class MultipleOf:
    """The number must be a multiple of `value`."""

    value: int

    def schema(self) -> dict[str, Any]:
        return {"multipleOf": self.value}


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Choices:
    """The allowed values, in display order.

    Attributes:
        synonyms: What people may give instead, such as another tool's names, and the value that it
            stands for. It isn't taken, but the message says what to write.
        entry_points: Group of the entry points by which installed packages bring values. The pack
            is read again when these packages change.
        plugins: Offers the plugins of a group, too: those of installed packages and of packs. Keys
            of results contain the release of the one that is chosen.
    """

    values: tuple[str | int | float, ...]
    synonyms: tuple[tuple[str, str], ...] = ()
    entry_points: str = ""
    plugins: tuple[str, ...] | None = None

    def __init__(
        self,
        values: Sequence[str | int | float],
        synonyms: Mapping[str, str] | None = None,
        *,
        entry_points: str = "",
        plugins: PluginGroup | None = None,
    ) -> None:
        installed = None if plugins is None else plugins.installed
        if plugins is not None:
            entry_points, values = plugins.name, (*values, *plugins.installed)
        object.__setattr__(self, "plugins", installed)
        object.__setattr__(self, "values", tuple(values))
        object.__setattr__(self, "synonyms", tuple((synonyms or {}).items()))
        object.__setattr__(self, "entry_points", entry_points)

    def schema(self) -> dict[str, Any]:
        extras: dict[str, Any] = {"synonyms": dict(self.synonyms)} if self.synonyms else {}
        if self.entry_points:
            extras["entryPoints"] = self.entry_points
        if self.plugins is not None:
            extras["plugins"] = list(self.plugins)
        return {"enum": list(self.values), **extras}


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Multiline:
    """Text that editors show in a box of several lines."""


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Seed:
    """A number that editors can randomize or increment between runs; 0 to `LARGEST`.

    Where seeds are counted up, 0 comes after the largest.

    Attributes:
        LARGEST: What torch takes, and other tools draw.
    """

    LARGEST: ClassVar[int] = 2**64 - 1

    def schema(self) -> dict[str, Any]:
        return {"minimum": 0, "maximum": self.LARGEST}


@_checks_arguments
@dataclass(frozen=True, slots=True)
class File:
    """A path to a file that is read.

    Attributes:
        kind: What it holds: ``image``, ``video``, ``audio``, ``plot``, ``model``,
            ``lora``, ``embedding``, ``any``; what an editor doesn't know is any file to it.
    """

    kind: str = "any"


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Widget:
    """Editors show the input by a widget that the node's pack brings.

    Attributes:
        name: Of its script: ``curve`` is ``widgets/curve.js`` in the pack's folder.
    """

    name: str


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Advanced:
    """Editors fold this input away."""


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Group:
    """Editors show inputs of one group together under its name."""

    name: str


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Body:
    """What the node gives to the subgraph that the input names, and what it expects back.

    The subgraph's other inputs become inputs of the node, if its function takes ``**inputs``.

    Attributes:
        inputs: Inputs of the subgraph, and the node's input that each takes its values from; that
            one has its type: ``Any`` in the node's type stands for it. Empty for what the node
            makes itself, such as a number that counts; the subgraph need not take that.
        outputs: Outputs that the subgraph must have, and the node's outputs that are made of each,
            which have its type likewise; none for what only the node itself looks at.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, Sequence[str]]


Hint = Range | MultipleOf | Choices | Multiline | Seed | File | Widget | Advanced | Group | Body
