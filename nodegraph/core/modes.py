"""Leaving out muted nodes, and what can't do without them."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace

from nodegraph.core.facts import finding_problem
from nodegraph.core.flat import NO_STAND_IN, OUTERMOST, Flat, FlatNode, Output
from nodegraph.core.hooks import Finding


def leave_out_muted(flat: Flat) -> None:
    """Take out of a workflow what depends on muted nodes.

    An input that is linked from a node that is left out counts as not given: one that is required
    leaves its node out as well. Likewise counts as not given what a bypassed node has nothing to
    stand for, but that is a fault where it is required.
    """
    if flat.left_out or flat.bypassed:
        _LeaveOut(flat).run()
        _check_bypassed(flat)


class _LeaveOut:
    def __init__(self, flat: Flat) -> None:
        self._flat = flat
        self._users: dict[str, list[tuple[FlatNode, str]]] = defaultdict(list)
        self._waiting: deque[str] = deque()

    def run(self) -> None:
        for node in tuple(self._flat.nodes.values()):
            for port in tuple(node.inputs):
                self._settle(node, port)
        while self._waiting:
            for node, port in self._users.pop(self._waiting.popleft(), ()):
                self._settle(node, port)

    def _settle(self, node: FlatNode, port: str) -> None:
        """Note who gives an input, or that nobody does."""
        while node.name not in self._flat.left_out:
            given = node.inputs.get(port)
            if given is None or given.link is None:
                return
            found = self._flat.output(given.link)
            if isinstance(found, Output) and found.node not in self._flat.left_out:
                self._users[found.node].append((node, port))
                return
            is_missing = isinstance(found, Finding) and found.code == NO_STAND_IN
            if not is_missing and not isinstance(found, Output):
                return
            if given.otherwise is not None:
                node.inputs[port] = given.otherwise
                continue
            spec = node.spec.inputs_by_name.get(port) if node.spec else None
            if spec is None or not spec.required:
                del node.inputs[port]
            elif isinstance(found, Output):
                self._flat.leave_out(node.name, self._flat.left_out[found.node])
                self._waiting.append(node.name)
            return


def _check_bypassed(flat: Flat) -> None:
    """Tell of links of bypassed nodes that lead nowhere; nobody else looks at them."""
    for node in flat.bypassed.values():
        for port, given in node.inputs.items():
            found = flat.output(given.link) if given.link else None
            if given.link and isinstance(found, Finding) and found.code not in OUTERMOST:
                finding = replace(flat.hinted(found, given.link, node.name), port=port)
                node.problems.append(finding_problem(finding, node.name, node.type))
