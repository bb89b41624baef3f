"""Interface of table entries: outputs, signals and the node being translated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Untranslatable(Exception):
    """A node can't be said in the other program's words; its text tells people why."""


@dataclass(frozen=True, slots=True)
class MadeOutput:
    """An output of a node that was made.

    Attributes:
        port: Name of a native node's output; of one of ComfyUI's, that of its signature.
    """

    node: str
    port: str


@dataclass(frozen=True, slots=True)
class Signal:
    """What an input is given, or an output gives, in the other program.

    Attributes:
        content: A `MadeOutput`, or a literal.
        carried: What goes along unsaid, until a node is reached that says it. In ComfyUI, patches
            of a model tell how it is to be guided; here the sampling does.
    """

    content: Any
    carried: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_link(self) -> bool:
        return isinstance(self.content, MadeOutput)

    def with_carried(self, **more: Any) -> Signal:
        """The same, with more that goes along."""
        return Signal(self.content, {**self.carried, **more})


class Passage(Protocol):
    """One node on its way into the other program.

    Attributes:
        type: Of the node that is translated.
        inputs: What it is given, by its own names: links as they stand in the graph that is made,
            literals as they were written, and the defaults of inputs that the file leaves out.
            Inputs that are not connected are left out.
        defaults: Of the type's inputs that have one.
        kept: What the way there couldn't say, of a node that comes back.
    """

    type: str
    inputs: Mapping[str, Signal]
    defaults: Mapping[str, Any]
    kept: Mapping[str, Any]

    def literal(self, name: str) -> Any:
        """An input's value.

        Raises:
            Untranslatable: It is linked, and has to be known to be translated.
        """

    def behind(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """Type and inputs of the node that gives an input, where it is one that was made.

        Raises:
            Untranslatable: It is none.
        """

    def add(self, node_type: str, /, **inputs: Any) -> str:
        """Make a node of the other program; returns its name.

        The one that gives the first output, or else the first one, takes over title and place.

        Args:
            inputs: Values, outputs or literals; those that are None are left out.
        """

    def imply(self, node_type: str, /, **inputs: Any) -> str:
        """Make a node that is there for another one only, and nothing by itself.

        On the way back it goes once nothing needs it, such as an empty prompt that ComfyUI has to
        be given where nothing is linked here.
        """

    def give(self, output: str, value: Signal | MadeOutput) -> None:
        """Say what stands for one of the node's outputs."""

    def keep(self, **values: Any) -> None:
        """Keep what can't be said, for the way back."""

    def tell(self, message: str) -> None:
        """Say to people what differs, or is lost."""
