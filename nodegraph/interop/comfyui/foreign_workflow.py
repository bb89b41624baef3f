"""A ComfyUI workflow as data classes, and what became of each node.

Links through reroutes, primitives and set/get pairs are resolved: each link names the output that
its value comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.parts import Mode

CORE_PACK = "comfy-core"
"""What ComfyUI calls what comes along with it."""


@dataclass(frozen=True, slots=True)
class TranslationOutcome:
    """One node.

    Attributes:
        id: Its id there; within a block, after the block's and a colon.
        name: The native node that stands for it; in blocks, ``block/node``. Empty if none does.
        untranslated_reason: Why a placeholder stands for it; empty if it was translated.
        messages: What differs.
        models: Files that it says it needs.
    """

    id: str
    type: str
    name: str = ""
    pack: str = ""
    untranslated_reason: str = ""
    messages: tuple[str, ...] = ()
    models: tuple[ModelFile, ...] = ()

    @property
    def is_placeholder(self) -> bool:
        return bool(self.untranslated_reason)

    def within(self, block: str) -> TranslationOutcome:
        """The same, of a node in a block's definition."""
        return replace(self, name=f"{block}/{self.name}" if self.name else "")


@dataclass(frozen=True, slots=True)
class Source:
    """An output of a node, as a link names it.

    Attributes:
        node: Id of the node; of a block's own input `BLOCK`.
        slot: Which of its outputs, from 0; of the block's inputs.
    """

    node: str
    slot: int


BLOCK = "@block"
"""The node that a source inside a block names for the block's own inputs."""


class DrawnText(str):
    """A text that a seed draws here, and that ComfyUI's page draws from a prompt.

    Attributes:
        prompt: What the page is given; as a text, this is what the seed draws.
    """

    __slots__ = ("prompt",)

    def __new__(cls, text: str, prompt: str) -> DrawnText:
        drawn = super().__new__(cls, text)
        drawn.prompt = prompt
        return drawn

    prompt: str


@dataclass(frozen=True, slots=True)
class ForeignPort:
    """An input or output, as the file tells it.

    Attributes:
        type: Such as ``IMAGE``; empty where the file doesn't say.
        label: What is shown for it, if not its name.
    """

    name: str
    type: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of weights that a node says it needs.

    Attributes:
        name: File name, as the node's widget has it.
        folder: Folder of models that it belongs to, such as ``text_encoders``.
        url: Where it can be had; empty if not told.
        sha256: Digest of the file; empty if not told.
    """

    name: str
    folder: str = ""
    url: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Where something stands on the canvas, in its pixels.

    Attributes:
        width: 0 where the file tells none.
        height: Likewise.
    """

    x: float
    y: float
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True, slots=True)
class ForeignNode:
    """One node.

    Attributes:
        id: Unique in its graph.
        type: Its type there, or the id of one of the workflow's blocks.
        inputs: By name: a `Source`, or a widget's value as it is written. Of types whose signature
            is known, by the signature's names; inputs that are not connected are left out.
        ports: All outputs in order, as far as the file tells them.
        title: If somebody gave it one of its own.
        mode: ``mute``, ``bypass`` or None, as for a native node.
        pack: What it comes from, by the pack's own name; ``comfy-core`` for what comes along, and
            empty where the file doesn't say.
        models: Files that it says it needs.
        control: What happens to its seed after a run (``fixed``, ``increment``, ``decrement``,
            ``randomize``), by input.
        raw: The node's entry as it was written, for the way back.
        unreadable_from: The input from which on the file's values are of another kind than is known
            of the type, so that they are left out; empty if all fit.
        unreadable_inputs: Inputs whose values alone are of another kind, and left out; also those
            of a block's that hold none inside where a use gives none.
        unset_inputs: Inputs that nobody has given a value, so that no default stands for them.
        trial_values: Values in place of the left out ones, to see what they would lead to; None
            where nobody tries that.
        is_undetermined: What the left out values would lead to can't be said by inputs alone.
    """

    id: str
    type: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    ports: tuple[ForeignPort, ...] = ()
    title: str = ""
    mode: Mode | None = None
    pack: str = ""
    models: tuple[ModelFile, ...] = ()
    control: Mapping[str, str] = field(default_factory=dict)
    bounds: Rectangle | None = None
    color: str = ""
    is_collapsed: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)
    unreadable_from: str = ""
    unreadable_inputs: tuple[str, ...] = ()
    unset_inputs: tuple[str, ...] = ()
    trial_values: Mapping[str, Any] | None = None
    is_undetermined: bool = False

    @property
    def has_unreadable_values(self) -> bool:
        """Whether values of it are left out."""
        return bool(self.unreadable_from or self.unreadable_inputs)

    def is_unreadable(self, name: str) -> bool:
        """Whether a widget's value is left out."""
        return name in self.unreadable_inputs or (
            bool(self.unreadable_from) and name not in self.inputs
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """A titled box behind nodes, or a note: what only people read.

    Attributes:
        text: The title, or what the note says.
        title: Of a note, if somebody gave it one of its own.
        kept: The entry as it was written, for the way back.
    """

    text: str
    bounds: Rectangle
    color: str = ""
    title: str = ""
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignGraph:
    """Nodes and what stands around them."""

    nodes: Mapping[str, ForeignNode] = field(default_factory=dict)
    groups: tuple[Frame, ...] = ()
    notes: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignBlock:
    """A sub-graph's definition.

    Attributes:
        inputs: Its own, which sources of `BLOCK` count.
        outputs: With what each gives: a source, or None if nothing leads there.
        exposed: Widgets of inner nodes that its node shows besides, as (inner node, input). What
            a node has for one instead of what it holds inside is in its inputs as ``node.input``.
        ends: Where its inputs and outputs stand, ``inputs`` and ``outputs``.
        defaults: What widgets hold inside that its inputs lead to, by the block's input. Its nodes
            say all their values themselves; this is for new ones.
        kept: Parts of the definition that nothing else here says, for the way back.
    """

    id: str
    name: str
    graph: ForeignGraph
    inputs: tuple[ForeignPort, ...] = ()
    outputs: tuple[tuple[ForeignPort, Source | None], ...] = ()
    exposed: tuple[tuple[str, str], ...] = ()
    ends: Mapping[str, Rectangle] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignWorkflow:
    """A workflow as a whole.

    Attributes:
        format: ``api``, ``0.4`` or ``1.0``.
        blocks: By id; inner blocks stand beside outer ones.
        warnings: What the reading had to leave out or take as it seemed, for people.
        kept: Parts of the file that nothing else here says, for the way back.
    """

    graph: ForeignGraph
    format: str = "api"
    title: str = ""
    blocks: Mapping[str, ForeignBlock] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)
