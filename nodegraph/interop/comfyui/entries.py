"""Table entries: ComfyUI node signatures and their translation both ways.

``KSampler(model: MODEL, seed: INT = 0 @control, cfg: FLOAT = 8.0, vae: VAE?) -> LATENT``

- An input is ``name: TYPE``; ``= value`` (JSON) is its default, ``?`` marks an optional input. An
  output is ``TYPE`` or ``name: TYPE``.
- ``@control`` marks a seed widget that is followed by another widget, which says how the seed
  changes after a run; ``@upload`` a widget that is followed by a button, which is stored as a
  value too; ``@prompt`` a text from which ComfyUI's page removes comments and draws ``{a|b}``;
  ``@socket`` an input that shows no widget, whatever its type.
- ``resize.width: INT = 512 @when(scale dimensions|scale width)`` is there only while ``resize`` has
  one of these values.
- ``images.*: IMAGE?`` stands for the inputs ``images.image0``, ``images.image1`` and so on of a
  node that grows.

Widgets are the inputs of the types in `WIDGETS`; older files list their values in this order,
without names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from types import CodeType, FunctionType, MethodType
from typing import Any, Protocol

from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

WIDGETS = frozenset(("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR"))
"""Types of inputs that have a value of their own where nothing is linked."""

_LINE = re.compile(r"(?P<type>[^(]+)\((?P<inputs>.*)\)\s*(?:->\s*(?P<outputs>.*))?", re.DOTALL)
_INPUT = re.compile(
    r"(?P<name>[^:]+):\s*(?P<type>[A-Z0-9_*|]+)(?P<optional>\?)?"
    r"(?:\s*=\s*(?P<default>.*?))?(?:\s*@(?P<extra>control|upload|prompt|socket))?"
    r"(?:\s*@when\((?P<when>[^)]*)\))?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class InputSignature:
    """One input.

    Attributes:
        default: Of a widget; None where there is none.
        extra: ``control`` or ``upload`` if one more value follows in lists of widgets' values;
            ``prompt`` of a text that ComfyUI's page reads for comments and choices; ``socket`` of
            an input that only links give a value.
        when: Values of what stands before the last dot of its name, of which one lets it be there;
            empty for an input that is always there.
    """

    name: str
    type: str
    default: Any = None
    is_optional: bool = False
    extra: str = ""
    when: tuple[str, ...] = ()

    @property
    def is_widget(self) -> bool:
        return self.type in WIDGETS and self.extra != "socket"

    @property
    def parent(self) -> str:
        """The input whose value decides whether this one is there."""
        return self.name.rpartition(".")[0]

    @property
    def is_autogrow(self) -> bool:
        """Whether it stands for as many inputs as are connected."""
        return self.name.endswith(".*")


@dataclass(frozen=True)
class Signature:
    """A node type's inputs and outputs, in order.

    Attributes:
        outputs: Name and type of each; of those without a name, the type is the name.
    """

    type: str
    inputs: tuple[InputSignature, ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()

    @cached_property
    def by_name(self) -> dict[str, InputSignature]:
        return {taken.name: taken for taken in self.inputs}

    @cached_property
    def widgets(self) -> tuple[InputSignature, ...]:
        return tuple(taken for taken in self.inputs if taken.is_widget)

    def find_input(self, name: str) -> InputSignature | None:
        """The input of a name, be it one of those that stand for as many as are connected."""
        return self.by_name.get(name) or self.by_name.get(f"{name.rpartition('.')[0]}.*")

    def active_widgets(self, values: Mapping[str, Any]) -> Iterator[InputSignature]:
        """Widgets that are there with some values, in order.

        Values may be added on the way: what decides stands before what depends on it.
        """
        for taken in self.widgets:
            deciding = self.by_name.get(taken.parent, taken)
            if not taken.when or values.get(deciding.name, deciding.default) in taken.when:
                yield taken

    def slot(self, output: str) -> int:
        """Which output has a name.

        Raises:
            ValueError: None has.
        """
        return [name for name, _ in self.outputs].index(output)


def parse_signature(line: str) -> Signature:
    """Read a signature.

    Raises:
        ValueError: It isn't written as above.
    """
    matched = _LINE.fullmatch(line.strip())
    if matched is None:
        raise ValueError(f"{line!r} is not a signature")
    outputs = [part.strip() for part in (matched["outputs"] or "").split(",")]
    return Signature(
        matched["type"].strip(),
        tuple(_input(part) for part in _parts(matched["inputs"])),
        tuple(_output(part) for part in outputs if part),
    )


def _parts(text: str) -> list[str]:
    """Parts between commas, but for those within quotes, brackets and braces."""
    matches = re.findall(r'(?:"(?:\\.|[^"\\])*"|\[[^\]]*\]|\{[^}]*\}|[^,"\[{])+', text)
    return [part.strip() for part in matches if part.strip()]


def _input(text: str) -> InputSignature:
    matched = _INPUT.fullmatch(text)
    if matched is None:
        raise ValueError(f"{text!r} is not an input of a signature")
    default = matched["default"]
    return InputSignature(
        matched["name"].strip(),
        matched["type"],
        None if default is None else json.loads(default),
        matched["optional"] is not None,
        matched["extra"] or "",
        tuple((matched["when"] or "").split("|")) if matched["when"] else (),
    )


def _output(text: str) -> tuple[str, str]:
    name, _, type_name = (part.strip() for part in text.partition(":"))
    return name, type_name or name


class LazySignature(Protocol):
    """A signature that is made once it is asked for."""

    @property
    def type(self) -> str:
        """The node type."""

    @property
    def signature(self) -> Signature:
        """Its inputs and outputs."""


class WrittenSignature:
    """A signature that is parsed once it is asked for: a workflow has few of all the types.

    Args:
        node_type: Of a type whose name has brackets, which a line can't have.
    """

    def __init__(self, line: str, node_type: str = "") -> None:
        self.type = node_type or line.partition("(")[0].strip()
        self._line = line

    @cached_property
    def signature(self) -> Signature:
        return replace(parse_signature(self._line), type=self.type)


class Signatures(Mapping[str, Signature]):
    """Those of a table's entries, by type."""

    def __init__(self, entries: Mapping[str, TableEntry]) -> None:
        self._entries = entries

    def __getitem__(self, node_type: str) -> Signature:
        return self._entries[node_type].signature

    def __contains__(self, node_type: object) -> bool:
        return node_type in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


_LONGEST_WORD = 40
_TABLE = f"{__package__}.table"


def code_texts(forward: Callable[[Passage], None], signature: Signature) -> tuple[str, ...]:
    """Texts that what translates a type can tell apart: those that its code holds.

    A choice has no list of options here, and one that is kept by hand may lack one.
    """
    words: dict[str, None] = {}
    visited: set[int] = set()
    waiting: list[Any] = [forward]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            words[value] = None
        elif id(value) not in visited:
            visited.add(id(value))
            waiting += _held(value, is_first=value is forward)
    names = {name for each in signature.inputs for name in (each.name, each.type)}
    return tuple(word for word in words if word and len(word) < _LONGEST_WORD and word not in names)


def _held(value: Any, *, is_first: bool) -> Sequence[Any]:
    """What a value holds that may be compared with others."""
    match value:
        case MethodType():
            return [value.__self__, value.__func__]
        case CodeType():
            return value.co_consts
        case FunctionType() if is_first or value.__module__.startswith(_TABLE):
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            usual = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
            named = [value.__globals__.get(name) for name in _named(value.__code__)]
            return [value.__code__, *cells, *usual, *named]
        case Mapping():
            return list(value)
        case list() | tuple() | set() | frozenset():
            return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, each.name) for each in fields(value)]
    return []


def _named(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _named(inner)


_ENDS = (
    "Save", "Preview", "MaskPreview", "ShowText", "Display", "ImageHistogram", "VHS_VideoCombine",
    "SEGSPreview",
    "easy kSampler", "easy fullkSampler", "easy showAnything", "KSampler (Efficient)",
    "KSampler Adv. (Efficient)", "KSampler SDXL (Eff.)", "ImageAndMaskPreview", "Text to Console",
    "easy loadImageBase64",
)  # fmt: skip
"""What types begin with that hand on what they save or show."""

_NEUTRAL = frozenset(("device", "backend", "attention", "verbose"))
"""Inputs that change where and how something is computed, not what comes of it."""

Translate = Callable[[Passage], None]


@dataclass(frozen=True)
class TableEntry:
    """A node type of ComfyUI.

    Attributes:
        forward: Makes native nodes of one. It gives each output of the signature that it can.
        native: The native node type that `backward` is for; empty for those of which nothing goes
            back. Where several entries name one, the first whose `backward` doesn't refuse stands
            for it, unless the node is known to have been another's.
        backward: Makes nodes of ComfyUI of a native one.
        is_built_in: Whether the entry isn't a pack's.
        neutral: Inputs that change no result.
        unused: Inputs that nothing here stands for, though they change something there.
        is_output: Whether ComfyUI runs such nodes for themselves; None if it is not known.
    """

    written: Signature | LazySignature
    forward: Translate
    native: str = ""
    backward: Translate | None = None
    is_built_in: bool = False
    neutral: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    is_output: bool | None = None

    def is_idle(self, name: str) -> bool:
        """Whether nothing here depends on an input."""
        return name in self.neutral or name in self.unused or name in _NEUTRAL

    @cached_property
    def signature(self) -> Signature:
        """Its inputs and outputs.

        Raises:
            ValueError: They aren't written as above.
        """
        written = self.written
        return written if isinstance(written, Signature) else written.signature

    @cached_property
    def code_texts(self) -> tuple[str, ...]:
        """Options of the type's choices, among other texts, that `forward` tells apart."""
        return code_texts(self.forward, self.signature)

    @property
    def type(self) -> str:
        return self.written.type

    @property
    def renames(self) -> Mapping[str, str]:
        """Native inputs by the type's own, of a type that is a native one but for names."""
        owner = getattr(self.forward, "__self__", None)
        return owner.inputs if isinstance(owner, _Renames) else {}

    @property
    def choices(self) -> Mapping[str, Choice]:
        """How the values of such a type's inputs are called in both programs."""
        owner = getattr(self.forward, "__self__", None)
        return owner.choices if isinstance(owner, _Renames) else {}

    @property
    def is_end(self) -> bool:
        """Whether ComfyUI runs such nodes for themselves, as far as is known here."""
        if self.is_output is not None:
            return self.is_output
        is_known = self.is_built_in and bool(self.signature.outputs)
        return not is_known or self.type.startswith(_ENDS)


@dataclass(frozen=True)
class Choice:
    """How the values of an input are called in both programs.

    Attributes:
        names: Theirs to ours. Others are taken as they are.
    """

    names: Mapping[Any, Any] = field(default_factory=dict)

    def ours(self, value: Any) -> Any:
        return self.names.get(value, value) if isinstance(value, (str, int, bool)) else value

    def theirs(self, value: Any) -> Any:
        return next((their for their, our in self.names.items() if our == value), value)


def entry(
    line: str, forward: Translate, native: str = "", backward: Translate | None = None
) -> TableEntry:
    """An entry that says both ways by functions."""
    return TableEntry(WrittenSignature(line), forward, native, backward)


def type_entry(
    node_type: str, line: str, forward: Translate, neutral: tuple[str, ...] = ()
) -> TableEntry:
    """An entry of a pack's type that nothing goes back to, by its name and the rest of its line.

    Args:
        line: Its inputs and outputs, from the bracket on.
        neutral: Inputs that change no result.
    """
    return TableEntry(WrittenSignature(f"X{line}", node_type), forward, neutral=neutral)


def same(
    line: str,
    native: str,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    *,
    choices: Mapping[str, Choice] | None = None,
    fixed: Mapping[str, Any] | None = None,
    usual: Mapping[str, Any] | None = None,
    kept: tuple[str, ...] = (),
) -> TableEntry:
    """An entry for a node type that is, but for names, a native one.

    Args:
        line: Its signature, see `signatures`.
        inputs: Their names to ours, of those that are not called alike.
        outputs: Likewise. A type with one output needs none if the native one has one as well.
        choices: How values are called, by their input.
        fixed: Native inputs that always have one value. A native node with another one is not
            this node.
        usual: Native inputs that this node always has so, without the native one being another's
            where they differ.
        kept: Inputs of theirs that have no counterpart, and change no result.
    """
    written = WrittenSignature(line)
    renames = _Renames(
        written,
        native,
        inputs or {},
        outputs or {},
        choices or {},
        fixed or {},
        usual or {},
        kept,
    )
    return TableEntry(written, renames.forward, native, renames.backward, neutral=kept)


@dataclass(frozen=True)
class _Renames:
    written: WrittenSignature
    native: str
    renamed_inputs: Mapping[str, str]
    renamed_outputs: Mapping[str, str]
    choices: Mapping[str, Choice]
    fixed: Mapping[str, Any]
    usual: Mapping[str, Any]
    kept: tuple[str, ...]

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Their names to ours, of those that have one here."""
        taken = self.written.signature.inputs
        return {each.name: each.name for each in taken if each.name not in self.kept} | dict(
            self.renamed_inputs
        )

    @cached_property
    def outputs(self) -> dict[str, str]:
        outputs = self.written.signature.outputs
        ports = {name: "" if len(outputs) == 1 else name.lower() for name, _ in outputs}
        return ports | dict(self.renamed_outputs)

    @cached_property
    def required(self) -> frozenset[str]:
        return frozenset(
            each.name
            for each in self.written.signature.inputs
            if not (each.is_widget or each.is_optional or each.is_autogrow)
        )

    def forward(self, node: Passage) -> None:
        taken = {
            our: self._renamed(node, their, their, ours=True)
            for their, our in self.inputs.items()
            if their in node.inputs
        }
        name = node.add(self.native, **taken, **self.fixed, **self.usual)
        node.keep(**{key: node.inputs[key].content for key in self.kept if key in node.inputs})
        for their, our in self.outputs.items():
            node.give(their, MadeOutput(name, our))

    def backward(self, node: Passage) -> None:
        for our, value in node.inputs.items():
            if our not in self.inputs.values() and our not in self.usual:
                expected = self.fixed.get(our, node.defaults.get(our))
                if value.content != expected:
                    raise Untranslatable(f"ComfyUI has no value {value.content!r} for `{our}`")
        taken = {
            their: self._renamed(node, their, our, ours=False)
            for their, our in self.inputs.items()
            if our in node.inputs
        }
        for their, our in self.inputs.items():
            # What may be left open here and not there; what may not be here either is unfinished.
            if their in self.required and our not in node.inputs and our in node.defaults:
                raise Untranslatable(f"ComfyUI requires a value for `{our}`")
        back = {key: node.kept[key] for key in self.kept if key in node.kept}
        name = node.add(self.written.type, **taken, **back)
        for their, our in self.outputs.items():
            node.give(our, MadeOutput(name, their))

    def _renamed(self, node: Passage, their: str, native_name: str, *, ours: bool) -> Signal:
        """What an input is given, by the other program's name for it."""
        choice, value = self.choices.get(their), node.inputs[native_name]
        if choice is None:
            return value
        known = node.literal(native_name)
        return Signal(choice.ours(known) if ours else choice.theirs(known), value.carried)
