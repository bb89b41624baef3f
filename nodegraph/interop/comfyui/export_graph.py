"""Graphs of ComfyUI's nodes while they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nodegraph.core.parts import NodeEntry
from nodegraph.interop.comfyui.foreign import BLOCK, ForeignNode, ForeignPort, Source
from nodegraph.interop.comfyui.signatures import InputSignature, Signature
from nodegraph.interop.comfyui.translating import MadeOutput, Untranslatable

_KINDS: Mapping[str, tuple[type, ...]] = {
    "BOOLEAN": (bool,),
    "INT": (int,),
    "FLOAT": (int, float),
    "STRING": (str,),
}


def _check_literal(taken: InputSignature, value: Any) -> None:
    # What shows no widget holds no value in a file; of several types, one may show one.
    if not taken.is_widget and "|" not in taken.type:
        raise Untranslatable(f"`{taken.name}` has to be linked there")
    kinds = _KINDS.get(taken.type)
    if kinds and (not isinstance(value, kinds) or (type(value) is bool and bool not in kinds)):
        raise Untranslatable(f"`{taken.name}` can't be {value!r} there")


class ExportGraph:
    """Nodes of ComfyUI while they are made.

    Attributes:
        nodes: By id, in the order in which they were made.
        entries: The native nodes that are translated.
        block_inputs: Names of the block's own inputs, if it is one's graph.
    """

    def __init__(
        self,
        entries: Mapping[str, NodeEntry],
        signatures: Mapping[str, Signature],
        block_inputs: Iterable[str] = (),
        taken: Iterable[str] = (),
    ) -> None:
        self.nodes: dict[str, ForeignNode] = {}
        self.entries = entries
        self.block_inputs = list(block_inputs)
        self._signatures = signatures
        self._wanted = set(taken)
        self._ports: dict[str, list[str]] = {}
        self._last = 0

    def add(
        self,
        node_type: str,
        inputs: Mapping[str, Any],
        wanted: str,
        ports: Iterable[str] | None = None,
    ) -> str:
        """Make a node; returns its id.

        Args:
            wanted: Its id, if that is free; empty for any.
            ports: Its outputs, of one that stays what it is; None: those of its signature.
        Raises:
            Untranslatable: An input can't be given such a value.
        """
        # Ids of nodes in blocks that were put in place have several parts, which no file takes.
        is_free = wanted.isdecimal() and wanted not in self.nodes
        name = wanted if is_free else self._next()
        signature = self._signatures.get(node_type) if ports is None else None
        for port, value in inputs.items() if signature else ():
            taken = signature.find_input(port) if signature else None
            if taken is not None and not isinstance(value, MadeOutput):
                _check_literal(taken, value)
        outputs = signature.outputs if signature else [(port, "*") for port in ports or ()]
        self._ports[name] = [port for port, _ in outputs]
        self.nodes[name] = ForeignNode(
            name,
            node_type,
            {port: self._input(value) for port, value in inputs.items()},
            tuple(ForeignPort(*output) for output in outputs),
        )
        return name

    def _next(self) -> str:
        self._last += 1
        while str(self._last) in self.nodes or str(self._last) in self._wanted:
            self._last += 1
        return str(self._last)

    def source(self, output: MadeOutput) -> Source:
        """An output as links name it.

        Raises:
            Untranslatable: There is no such output.
        """
        if output.node == BLOCK:
            return Source(BLOCK, self.block_inputs.index(output.port))
        names = self._ports[output.node]
        if output.port not in names:
            raise Untranslatable(f"`{self.nodes[output.node].type}` gives no `{output.port}`")
        return Source(output.node, names.index(output.port))

    def _input(self, value: Any) -> Any:
        return self.source(value) if isinstance(value, MadeOutput) else value

    def remove(self, name: str) -> None:
        """Take back a node that nothing is linked to."""
        del self.nodes[name]
