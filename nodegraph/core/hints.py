"""Hints for `Annotated`, editor panels, and checks of the options that packs declare.

Hints set the JSON Schema of an input's literal, and how editors display the input.
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
    """Convert a default or a schema to JSON values.

    Args:
        owner, what: Owner and name of the value, for the message.
        value: The value.
    Raises:
        PackError: JSON cannot represent the value.
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
    """Check and return fields of a spec that a pack defines, so that errors name the pack's code.

    Args:
        owner: Node or input that has the fields, for the message.
        kind: Class of the spec.
        options: The fields.
    Raises:
        PackError: A field has another type.
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
"""For each field type: its description for messages, and the function that reads it."""


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(type(name) is str and _is_plain(item) for name, item in value.items())
    return type(value) in LEAVES - {bytes}


Kind = TypeVar("Kind")


def _checks_arguments(kind: type[Kind]) -> type[Kind]:
    """Make a class raise a `PackError` for unknown arguments, such as a misspelled one.

    Packs write these arguments. Python's error would not suggest the correct name.
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
    """A panel that a pack adds to the editor; assign it to a variable of the pack's module.

    Attributes:
        name: Name of its script. ``tones`` means ``panels/tones.js`` in the pack's folder.
        label: Title of the panel.
        help: Description in one sentence.
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
    """Check and return the name of a script, which becomes a file name and part of a URL.

    Raises:
        PackError: The name is not valid.
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
    """Smallest and largest allowed number.

    Attributes:
        minimum: Smallest allowed number. None for no limit.
        maximum: Largest allowed number. None for no limit.
        step: Step of the number field in editors.
    """

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
    """Restriction of a number to multiples of `value`.

    Attributes:
        value: The allowed numbers are multiples of it.
    """

    value: int

    def schema(self) -> dict[str, Any]:
        return {"multipleOf": self.value}


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Choices:
    """Allowed values of an input, in display order.

    Attributes:
        values: The allowed values.
        synonyms: Other names of values, such as those of other tools, each with the value that it
            means. They are not accepted as input, but the error message names the value to use.
        entry_points: Entry point group through which installed packages add values. The pack is
            read again when these packages change.
        plugins: Names of the plugins that are also allowed, from installed packages and from packs.
            The constructor takes a plugin group. Cache keys contain the release of the chosen
            plugin.
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
    """Marker of a text input that editors show as a box of several lines."""


@_checks_arguments
@dataclass(frozen=True, slots=True)
class PromptText:
    """Marker of a text input that is a prompt. Editors show it as a box of several lines.

    Files of results leave prompts out if the setting ``metadata_prompts`` is off.
    """


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Seed:
    """Marker of a seed input, 0 to `LARGEST`, that editors can randomize or increment between runs.

    Incrementing the largest seed gives 0.

    Attributes:
        LARGEST: Largest seed, 2**64 - 1, the limit of torch and of other tools.
    """

    LARGEST: ClassVar[int] = 2**64 - 1

    def schema(self) -> dict[str, Any]:
        return {"minimum": 0, "maximum": self.LARGEST}


@_checks_arguments
@dataclass(frozen=True, slots=True)
class File:
    """Marker of an input that is the path of a file to read.

    Attributes:
        kind: Content of the file: ``image``, ``video``, ``audio``, ``plot``, ``model``,
            ``lora``, ``embedding``, ``any``. Editors treat an unknown kind as ``any``.
    """

    kind: str = "any"


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Secret:
    """Marker of an input that names a secret of the installation.

    The value of the secret is never part of a workflow.
    """


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Widget:
    """Custom widget of the node's pack that editors use for an input.

    Attributes:
        name: Name of its script. ``curve`` means ``widgets/curve.js`` in the pack's folder.
    """

    name: str


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Advanced:
    """Marker of an input that editors hide until the user opens the advanced inputs."""


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Group:
    """Group of inputs that editors show together under its name.

    Attributes:
        name: Displayed name; inputs with equal names form one group.
    """

    name: str


@_checks_arguments
@dataclass(frozen=True, slots=True)
class Body:
    """Interface between a node and the subgraph that it runs, as a loop does.

    It is a hint of the input that names the subgraph. If the node's function takes ``**inputs``,
    the other inputs of the subgraph become inputs of the node.

    Attributes:
        inputs: Inputs of the subgraph, each with the node's input that supplies its values. The
            type of the subgraph's input replaces ``Any`` in the type of the node's input. An empty
            name means that the node computes the value itself, such as a loop index; the subgraph
            does not need to have this input.
        outputs: Outputs that the subgraph must have, each with the node's outputs that are computed
            from it. The output's type replaces ``Any`` in their types. An empty sequence means that
            only the node itself uses the output.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, Sequence[str]]


Hint = (
    Range
    | MultipleOf
    | Choices
    | Multiline
    | PromptText
    | Seed
    | File
    | Secret
    | Widget
    | Advanced
    | Group
    | Body
)
