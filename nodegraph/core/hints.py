"""What `Annotated` can say about an input besides its type.

Hints become JSON Schema for the input's literal and display options for editors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


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


@dataclass(frozen=True, slots=True)
class MultipleOf:
    """The number must be a multiple of `value`."""

    value: int

    def schema(self) -> dict[str, Any]:
        return {"multipleOf": self.value}


@dataclass(frozen=True, slots=True)
class Choices:
    """The allowed values, in display order.

    Attributes:
        synonyms: What people may give instead, such as another tool's names, and the value that it
            stands for. It isn't taken, but the message says what to write.
        entry_points: Group of the entry points by which installed packages bring values. The pack
            is read again when these packages change.
    """

    values: tuple[str | int | float, ...]
    synonyms: tuple[tuple[str, str], ...] = ()
    entry_points: str = ""

    def __init__(
        self,
        values: Sequence[str | int | float],
        synonyms: Mapping[str, str] | None = None,
        *,
        entry_points: str = "",
    ) -> None:
        object.__setattr__(self, "values", tuple(values))
        object.__setattr__(self, "synonyms", tuple((synonyms or {}).items()))
        object.__setattr__(self, "entry_points", entry_points)

    def schema(self) -> dict[str, Any]:
        extras: dict[str, Any] = {"synonyms": dict(self.synonyms)} if self.synonyms else {}
        if self.entry_points:
            extras["entryPoints"] = self.entry_points
        return {"enum": list(self.values), **extras}


@dataclass(frozen=True, slots=True)
class Multiline:
    """Text that editors show in a box of several lines."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A number that editors can randomise or increment between runs; 0 to `LARGEST`.

    Where seeds are counted up, 0 comes after the largest.

    Attributes:
        LARGEST: What torch takes, and other tools draw.
    """

    LARGEST: ClassVar[int] = 2**64 - 1

    def schema(self) -> dict[str, Any]:
        return {"minimum": 0, "maximum": self.LARGEST}


@dataclass(frozen=True, slots=True)
class File:
    """A path to a file that is read.

    Attributes:
        kind: What it holds: ``image``, ``video``, ``audio``, ``plot``, ``model``,
            ``lora``, ``embedding``, ``any``; what an editor doesn't know is any file to it.
    """

    kind: str = "any"


@dataclass(frozen=True, slots=True)
class Widget:
    """Editors show the input by a widget that the node's pack brings.

    Attributes:
        name: Of its script: ``curve`` is ``widgets/curve.js`` in the pack's folder.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """Editors fold this input away."""


@dataclass(frozen=True, slots=True)
class Group:
    """Editors show inputs of one group together under its name."""

    name: str


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
