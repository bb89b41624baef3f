"""Table entries for the node types of installed ComfyUI packs, made from their declarations.

With them, ComfyUI's workflows are imported with the nodes of the packs, and exported again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nodegraph.core.spec import NodeSpec
from nodegraph.core.types import ANY, ANY_ITEM
from nodegraph.interop.comfyui.entries import (
    WIDGETS,
    InputSignature,
    Signature,
    TableEntry,
)
from nodegraph.interop.comfyui.packs import type_map
from nodegraph.interop.comfyui.packs.type_map import (
    AUTOGROW,
    DYNAMIC_COMBO,
    DYNAMIC_SLOT,
    PortNames,
)
from nodegraph.interop.comfyui.packs.v1_classes import (
    NATIVE_NAMES,
    DeclaredInput,
    declared_parts,
    listed_entries,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal

_SOCKET = "SOCKET"
"""Member of the type of an input that has no widget, though its type has one."""
_UPLOADS = ("image_upload", "animated_image_upload", "video_upload", "audio_upload", "file_upload")
_CONVERT: Mapping[str, type] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
"""ComfyUI converts constants so before it checks them."""
_INPUT_FOLDER = " [input]"


def pack_entries(specs: Iterable[NodeSpec]) -> Iterator[TableEntry]:
    """Iterate over entries for the node types that were read from classes of ComfyUI."""
    for spec in specs:
        if "input" in spec.foreign and "output" in spec.foreign:
            yield pack_entry(spec)


def pack_entry(spec: NodeSpec) -> TableEntry:
    """Return the entry for a node type that was read from a class of ComfyUI."""
    written = ForeignSignature(spec)
    passes = _Pass(written)
    return TableEntry(
        written,
        passes.forward,
        spec.type,
        passes.backward,
        is_output=bool(spec.foreign.get("output_node")),
    )


@dataclass(frozen=True)
class ForeignSignature:
    """Signature of a class of ComfyUI, made once it is asked for."""

    spec: NodeSpec

    @property
    def type(self) -> str:
        """Id of the class."""
        return str(self.spec.foreign.get("name") or self.spec.type.partition(":")[2])

    @cached_property
    def ports(self) -> dict[str, str]:
        """Native inputs by the class's names."""
        names: Mapping[str, str] = self.spec.foreign.get(NATIVE_NAMES) or {}
        return {names.get(port.name, port.name): port.name for port in self.spec.inputs}

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Native outputs by names that are unique among the class's."""
        labels: Sequence[Any] = self.spec.foreign.get("output_name") or ()
        names = _UniqueNames()
        return {
            names.reserve(str(labels[at]) if at < len(labels) else port.name): port.name
            for at, port in enumerate(self.spec.outputs)
        }

    @cached_property
    def signature(self) -> Signature:
        listed = self.spec.foreign.get("output") or ()
        kinds = [type_map.type_text(kind) for kind in listed]
        return Signature(
            self.type,
            tuple(self._inputs()),
            tuple(zip(self.outputs, kinds, strict=False)),
        )

    def _inputs(self) -> Iterator[InputSignature]:
        for group, name, declared, options in listed_entries(self.spec.foreign["input"]):
            is_required = group == "required"
            if declared == AUTOGROW:
                yield from self._grown(name, options)
            elif declared == DYNAMIC_COMBO:
                yield from self._choice(name, options, is_required=is_required)
            elif declared == DYNAMIC_SLOT:
                for each in declared_parts(name, declared, options, is_required=is_required):
                    yield self._input(each, is_optional=True)
            else:
                each = DeclaredInput(name, declared, options, is_required)
                yield self._input(each, is_optional=not is_required)
        hidden = self.spec.foreign["input"].get("hidden") or {}
        for _, name, declared, _options in listed_entries({"optional": hidden}):
            if name in self.ports:
                kind = _without_widget(type_map.type_text(declared))
                yield InputSignature(name, kind, is_optional=True)

    def _grown(self, name: str, options: Mapping[str, Any]) -> Iterator[InputSignature]:
        parts = list(declared_parts(name, AUTOGROW, options, is_required=False))
        kind = type_map.type_text(parts[0].type) if parts else type_map.WILDCARD
        yield InputSignature(f"{name}.*", _without_widget(kind), is_optional=True)

    def _choice(
        self, name: str, options: Mapping[str, Any], *, is_required: bool
    ) -> Iterator[InputSignature]:
        branches = options.get("options") or ()
        keys = [branch.get("key") for branch in branches]
        choice = DeclaredInput(name, keys, options, is_required)
        yield self._input(choice, is_optional=not is_required)
        when: dict[str, list[str]] = {}
        parts: dict[str, DeclaredInput] = {}
        for branch in branches:
            branch_options = {"options": [branch]}
            for each in declared_parts(name, DYNAMIC_COMBO, branch_options, is_required=False):
                if each.name != name:
                    parts.setdefault(each.name, each)
                    when.setdefault(each.name, []).append(str(branch.get("key")))
        for each in parts.values():
            is_direct = each.name.count(".") == name.count(".") + 1
            values = tuple(when[each.name]) if is_direct else ()
            yield self._input(each, is_optional=True, when=values)

    def _input(
        self, each: DeclaredInput, *, is_optional: bool, when: tuple[str, ...] = ()
    ) -> InputSignature:
        kind = type_map.type_text(each.type)
        options = each.options
        if options.get("forceInput") or options.get("defaultInput") or options.get("rawLink"):
            kind = _without_widget(kind)
        port = self.spec.inputs_by_name.get(self.ports.get(each.name, ""))
        takes_any = port is not None and port.type in (ANY_ITEM, f"list[{ANY}]")
        kind = type_map.WILDCARD if takes_any and kind not in WIDGETS else kind
        default = port.default if port is not None and not is_optional else None
        return InputSignature(
            each.name,
            kind,
            default if kind in WIDGETS else None,
            is_optional,
            _extra(each.name, kind, options),
            when,
        )


class _UniqueNames:
    def __init__(self) -> None:
        self._taken: set[str] = set()

    def reserve(self, name: str) -> str:
        unique, count = name, 2
        while unique in self._taken:
            unique, count = f"{name} {count}", count + 1
        self._taken.add(unique)
        return unique


def _without_widget(kind: str) -> str:
    return f"{kind}|{_SOCKET}" if kind in WIDGETS else kind


def _extra(name: str, kind: str, options: Mapping[str, Any]) -> str:
    """What else follows the value of a widget in lists of values; see `InputSignature`."""
    is_seed = kind == "INT" and name.rpartition(".")[2] in ("seed", "noise_seed")
    if kind in ("INT", "COMBO") and (is_seed or options.get("control_after_generate")):
        return "control"
    if kind == "COMBO" and any(options.get(key) for key in _UPLOADS):
        return "upload"
    is_drawn = options.get("dynamicPrompts", bool(options.get("multiline")))
    return "prompt" if kind == "STRING" and is_drawn else ""


@dataclass(frozen=True)
class _Pass:
    """Translation of one class, both ways."""

    written: ForeignSignature

    def forward(self, node: Passage) -> None:
        ports, spec = self.written.ports, self.written.spec
        taken: dict[str, Any] = {}
        more = PortNames(tuple(ports.values()))
        for name, signal in node.inputs.items():
            port = ports.get(name)
            if port is not None:
                taken[port] = self._value(name, signal)
            elif spec.takes_more and signal.is_link:
                # Only links reach a function that does not declare them: constants are dropped.
                taken[more.reserve(name)] = signal
            elif signal.is_link:
                node.tell(f"input `{name}` is left out: the node type does not have it")
        made = node.add(spec.type, **taken)
        for name, port in self.written.outputs.items():
            node.give(name, MadeOutput(made, port))

    def _value(self, name: str, signal: Signal) -> Signal:
        if signal.is_link:
            return signal
        value = signal.content
        if isinstance(value, dict) and set(value) == {"__value__"}:
            value = value["__value__"]
        taken = self.written.signature.by_name.get(name)
        kind = _CONVERT.get(taken.type) if taken is not None else None
        if kind is not None and value is not None and not isinstance(value, kind):
            try:
                value = kind(value)
            except (TypeError, ValueError, OverflowError):
                return signal  # the check of the workflow says what is wrong
        if isinstance(value, str) and taken is not None and taken.extra == "upload":
            value = value.removesuffix(_INPUT_FOLDER)
        return signal if value is signal.content else Signal(value, signal.carried)

    def backward(self, node: Passage) -> None:
        names = {port: name for name, port in self.written.ports.items()}
        taken = {
            names.get(port, port): signal
            for port, signal in node.inputs.items()
            if signal.content is not None
        }
        made = node.add(self.written.type, **taken)
        for name, port in self.written.outputs.items():
            node.give(port, MadeOutput(made, name))
