"""Flatten a workflow: inline subgraphs, apply mute and bypass, migrate older nodes."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.bodies import Bodies
from nodegraph.core.catalog import Catalog, KnowsFaults, loaded_node_types, pack_finder_of
from nodegraph.core.flat_workflow import (
    NOTHING_TO_PASS,
    REPORTED_AT_OUTERMOST,
    Block,
    CrossedInput,
    FlatNode,
    FlatWorkflow,
    InputLocation,
    InputValue,
    Output,
)
from nodegraph.core.hooks import Finding, finding_problem
from nodegraph.core.links import Link, is_link, parse_target, read_link, read_literal
from nodegraph.core.migrations import NodeMigration, migrate_inputs
from nodegraph.core.pack_faults import hook_problems, watch_hook
from nodegraph.core.parts import PLACEHOLDER, NodeEntry, Subgraph
from nodegraph.core.spec import NodeSpec
from nodegraph.core.subgraphs import declared_type, inlinable_subgraphs, with_more_inputs
from nodegraph.core.suggest import port_hint
from nodegraph.core.suggestions import NodeAliases
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem


def exclude_muted(flat: FlatWorkflow) -> None:
    """Take out of a workflow what depends on muted nodes.

    An input that is linked from a node that is left out counts as not given: one that is required
    leaves its node out as well. Likewise counts as not given what a bypassed node has nothing to
    stand for, but that is a fault where it is required.
    """
    if flat.excluded or flat.bypassed:
        _MutedExclusion(flat).run()
        _check_bypassed(flat)


class _MutedExclusion:
    def __init__(self, flat: FlatWorkflow) -> None:
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
        while node.name not in self._flat.excluded:
            input_value = node.inputs.get(port)
            if input_value is None or input_value.link is None:
                return
            source = self._flat.output(input_value.link)
            if isinstance(source, Output) and source.node not in self._flat.excluded:
                self._users[source.node].append((node, port))
                return
            is_missing = isinstance(source, Finding) and source.code == NOTHING_TO_PASS
            if not is_missing and not isinstance(source, Output):
                return
            if input_value.fallback is not None:
                node.inputs[port] = input_value.fallback
                continue
            spec = node.spec.inputs_by_name.get(port) if node.spec else None
            if spec is None or not spec.required:
                del node.inputs[port]
            elif isinstance(source, Output):
                self._flat.exclude(node.name, self._flat.excluded[source.node])
                self._waiting.append(node.name)
            return


def _check_bypassed(flat: FlatWorkflow) -> None:
    """Tell of links of bypassed nodes that lead nowhere; nobody else looks at them."""
    for node in flat.bypassed.values():
        for port, input_value in node.inputs.items():
            source = flat.output(input_value.link) if input_value.link else None
            if (
                input_value.link
                and isinstance(source, Finding)
                and source.code not in REPORTED_AT_OUTERMOST
            ):
                finding = replace(flat.with_hint(source, input_value.link, node.name), port=port)
                node.problems.append(finding_problem(finding, node.name, node.type))


_MOST_FAULTS = 3
"""Faults of a pack that stand in a hint."""
_LEAVE_OUT = "Replace it with another node, or bypass it."


@dataclass(slots=True)
class _BlockInputs:
    """What a block's inputs bring to one inner node, and where they could have brought more."""

    inputs: dict[str, InputValue] = field(default_factory=dict)
    missing: dict[str, InputLocation] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)


def _unknown(node_type: str) -> str:
    name = node_type.removeprefix(PLACEHOLDER)
    if name != node_type:
        return f"`{name}` of ComfyUI could not be translated, so nodes that need it do not run"
    return f"there is no node type `{node_type}`"


def _missing_pack(pack: str) -> str:
    return f"No pack `{pack}` is loaded. Install it, or give its file or folder with --pack."


def flatten(workflow: Workflow, catalog: Catalog, bodies: Bodies) -> FlatWorkflow:
    """The workflow's nodes with blocks inlined, without those that muted ones leave out.

    A recursive or huge block is left out.

    Args:
        bodies: The subgraphs that nodes run.
    """
    flat = _Flattener(workflow, catalog, bodies).flatten()
    exclude_muted(flat)
    return flat


class _Flattener:
    def __init__(self, workflow: Workflow, catalog: Catalog, bodies: Bodies) -> None:
        self._workflow = workflow
        self._catalog = catalog
        self._bodies = bodies
        self._expandable = inlinable_subgraphs(workflow)
        self._nodes: list[FlatNode] = []
        self._blocks: dict[str, Block] = {}
        self._hints: dict[tuple[str, str], str] = {}
        self._parameters: dict[str, dict[str, str]] = {}
        for name, parameter in workflow.parameters.items():
            node, _, port = parameter.input.partition(".")
            self._parameters.setdefault(node, {})[port] = name
        self._aliases = NodeAliases(catalog)

    def flatten(self) -> FlatWorkflow:
        self._scope("", self._workflow.nodes, {}, "")
        return FlatWorkflow(self._nodes, self._blocks, self._catalog.types)

    def _scope(
        self,
        prefix: str,
        entries: Mapping[str, NodeEntry],
        fed: Mapping[str, _BlockInputs],
        subgraph: str,
    ) -> None:
        """Take in the nodes of the workflow, or of one block."""
        for name, entry in entries.items():
            node = FlatNode(
                prefix + name,
                entry.type,
                None,
                entry.always,
                origin=(subgraph, name) if subgraph else None,
                mode=entry.mode,
                unread=entry.unread,
                unread_as=entry.unread_as,
            )
            if not prefix and name in self._parameters:
                self._varied(node, self._parameters[name])
            definition = self._workflow.subgraphs.get(entry.type)
            inputs = entry.inputs if definition else self._typed(node, entry)
            node.inputs = self._read(node, prefix, inputs)
            if definition is None:
                self._with_body(node, fed.get(name))
                self._with_more(node, fed.get(name))
            elif entry.mode is not None:
                # Not inlined: just its ports count.
                node.spec = self._bodies.specs.subgraph(entry.type)
            if name in fed:
                self._take(node, fed[name])
            self._nodes.append(node)
            if definition is not None and entry.mode is None and entry.type in self._expandable:
                self._block(node, definition)

    def _varied(self, node: FlatNode, parameters: Mapping[str, str]) -> None:
        """Note the parameters of a node's inputs."""
        declared = self._workflow.parameters
        node.parameters = parameters
        node.required = [port for port, name in parameters.items() if declared[name].required]

    def _with_body(self, node: FlatNode, fed: _BlockInputs | None) -> None:
        """Give a node that runs a subgraph that one's types and inputs."""
        port = node.spec.body if node.spec else None
        if node.spec is None or port is None:
            return
        body_input = (fed.inputs.get(port.name) if fed else None) or node.inputs.get(port.name)
        if body_input is not None and isinstance(body_input.literal, str):
            node.spec = self._bodies.extended_spec(node, node.spec, body_input.literal)

    def _with_more(self, node: FlatNode, fed: _BlockInputs | None) -> None:
        """Give a node whose type takes undeclared inputs those that it has."""
        if node.spec is not None and node.spec.takes_more:
            node.spec = with_more_inputs(node.spec, [*node.inputs, *(fed.inputs if fed else ())])

    def _take(self, node: FlatNode, fed: _BlockInputs) -> None:
        """Give an inner node what its block's inputs bring."""
        block = self._workflow.subgraphs.get(node.type)
        known = block.inputs if block else node.spec.inputs_by_name if node.spec else {}
        # That an input of the block leads to none of these is reported at its definition.
        for port, got in fed.inputs.items():
            if port in known:
                own = node.inputs.get(port)
                is_last = own is not None and got.link is not None and got.fallback is None
                node.inputs[port] = replace(got, fallback=own) if is_last else got
        node.missing = fed.missing
        # What stands inside is a default alone.
        node.inputs = {port: own for port, own in node.inputs.items() if port not in fed.unread}
        node.unread = [*node.unread, *sorted(fed.unread & {*known})]

    def _typed(self, node: FlatNode, entry: NodeEntry) -> Mapping[str, Any]:
        """Find a node's spec; returns its inputs as today's version of the type takes them."""
        spec = self._catalog.spec(entry.type)
        if spec is None:
            _report(
                node,
                "unknown-node-type",
                _unknown(entry.type),
                hint=self._type_hint(entry),
            )
            return entry.inputs
        version = spec.version if entry.version is None else entry.version
        if version > spec.version:
            _report(
                node,
                "newer-node-version",
                "was written for a newer version of its node type",
                given=f"version {version}",
                expected=f"version {spec.version} or older",
                hint=f"Update the pack `{spec.pack}`." if spec.pack else "Update nodegraph.",
            )
            return entry.inputs
        if version == spec.version:
            node.spec = spec
            return entry.inputs
        return self._migrated(node, entry, spec, version)

    def _migrated(
        self, node: FlatNode, entry: NodeEntry, spec: NodeSpec, version: int
    ) -> Mapping[str, Any]:
        try:
            migrations = self._catalog.migrations(entry.type)
            with watch_hook(node.name, spec.type, "migration"):
                inputs, unread = _migrated(entry, version, spec, migrations)
        except Exception as error:  # noqa: BLE001 - the pack's code may raise anything
            node.problems += hook_problems(error, "migration", node.name, spec)
            return entry.inputs
        node.spec, node.unread = spec, list(unread)
        node.unread_as = {
            port: "` and `".join(theirs)
            for port, names in unread.items()
            if (theirs := [entry.unread_as[name] for name in names if name in entry.unread_as])
        }
        return inputs

    def _type_hint(self, entry: NodeEntry) -> str:
        key = (entry.type, entry.pack)
        if key not in self._hints:
            sentences = [f"It belongs to the pack `{entry.pack}`."] if entry.pack else []
            self._hints[key] = " ".join([*sentences, self._alias_hint(entry)]).strip()
        return self._hints[key]

    def _alias_hint(self, entry: NodeEntry) -> str:
        node_type = entry.type
        # The pack that its prefix names has been read by now.
        names = [*loaded_node_types(self._catalog), *self._workflow.subgraphs]
        if node_type.startswith(PLACEHOLDER):
            command = self._command(node_type.removeprefix(PLACEHOLDER))
            hint = f"{command} Then import the workflow again." if command else ""
            return hint or self._replacement_hint(self._aliases.of(node_type)) or _LEAVE_OUT
        pack, colon, own_name = node_type.rpartition(":")
        is_missing = colon and not any(name.startswith(f"{pack}:") for name in names)
        catalog = self._catalog
        faults = catalog.faults(pack) if colon and isinstance(catalog, KnowsFaults) else ()
        refused = [fault for fault in faults if f"node {own_name}:" in fault]
        if refused:
            return f"It was left out: {refused[0]}"
        if faults:
            return f"Only a part of it could be read: {'; '.join(faults[:_MOST_FAULTS])}"
        command = self._command(node_type) if is_missing or not colon else ""
        if command:
            return command
        if not is_missing:
            return self._aliases.hint(node_type, self._workflow.subgraphs)
        replacements = self._aliases.of(node_type)
        if entry.pack:
            return self._replacement_hint(replacements)
        # A similar node type is no help to a user who has the pack.
        same = [name for name in replacements if name.rpartition(":")[2] == own_name]
        return f"{_missing_pack(pack)} {self._replacement_hint(same)}".strip()

    def _command(self, node_type: str) -> str:
        """A sentence with the command that installs the pack of a node type; empty if not known."""
        finder = pack_finder_of(self._catalog)
        known = None if finder is None else finder.type_command(node_type)
        return f"Run `{known}`." if known else ""

    @staticmethod
    def _replacement_hint(names: Sequence[str]) -> str:
        alternatives = " or ".join(f"`{name}`" for name in names)
        return f"Possible replacements: {alternatives}." if names else ""

    def _read(
        self, node: FlatNode, prefix: str, inputs: Mapping[str, Any]
    ) -> dict[str, InputValue]:
        input_values: dict[str, InputValue] = {}
        for port, written in inputs.items():
            if not is_link(written):
                input_values[port] = InputValue(literal=read_literal(written))
                continue
            try:
                link = read_link(written)
                _refuse_inner(link)
                input_values[port] = InputValue(Link(prefix + link.node, link.port))
            except ValueError as error:
                _report(
                    node,
                    "bad-link",
                    f"its link cannot be read: {error}",
                    port=port,
                    expected='{"from": "node.port"}, or {"value": …} for a literal',
                )
                input_values[port] = InputValue(is_broken=True)
        return input_values

    def _block(self, block: FlatNode, definition: Subgraph) -> None:
        """Take in a block's nodes, with what its inputs were given."""
        for name in dict.fromkeys((*block.inputs, *block.unread)):
            if name not in definition.inputs:
                hint = port_hint(name, definition.inputs) or "This subgraph has no inputs."
                _report(block, "unknown-input", "has no such input", port=name, hint=hint)
        fed: dict[str, _BlockInputs] = {}
        for name, port in definition.inputs.items():
            location = InputLocation(block.name, block.type, name)
            default = InputValue(literal=read_literal(port.default)) if port.has_default else None
            input_value = block.inputs.get(name)
            if input_value is not None:
                crossing = CrossedInput(location, declared_type(port, self._catalog.types))
                input_value = replace(
                    input_value,
                    location=input_value.location or location,
                    crossed=(*input_value.crossed, crossing),
                    fallback=input_value.fallback or (default if input_value.link else None),
                )
            else:
                input_value = None if name in block.unread else default
            for target in port.to:
                inner = self._feed(fed, target, input_value, block.missing.get(name, location))
                if input_value is None and name in block.unread and inner is not None:
                    inner[0].unread.add(inner[1])
        self._blocks[block.name] = Block(block, definition)
        self._scope(f"{block.name}/", definition.nodes, fed, block.type)

    @staticmethod
    def _feed(
        fed: dict[str, _BlockInputs],
        target: str,
        input_value: InputValue | None,
        location: InputLocation,
    ) -> tuple[_BlockInputs, str] | None:
        """Note what an inner input is given, and where; None if the target is none."""
        try:
            node, port = parse_target(target)
        except ValueError:
            return None  # reported at the definition
        into = fed.setdefault(node, _BlockInputs())
        if input_value is None:
            into.missing[port] = location
        else:
            into.inputs[port] = input_value
        return into, port


def _refuse_inner(link: Link) -> None:
    # Full names of inlined nodes would resolve, and tie users of a block to its inside.
    if "/" in link.node:
        raise ValueError(f"`{link}` is inside a block; link an output of the block")


def _report(
    node: FlatNode,
    code: str,
    message: str,
    *,
    port: str | None = None,
    given: str | None = None,
    expected: str | None = None,
    hint: str = "",
) -> None:
    node.problems.append(
        Problem(code, message, node.name, node.type, port, given, expected, hint or None)
    )


def _migrated(
    entry: NodeEntry, version: int, spec: NodeSpec, migrations: Mapping[int, NodeMigration]
) -> tuple[Mapping[str, Any], Mapping[str, list[str]]]:
    """A node's inputs today, and those that may depend on values that could not be read."""
    if not entry.unread:
        return migrate_inputs(entry.inputs, version, spec.version, migrations), {}
    from nodegraph.core.migrations import migrate_unread  # few files need it

    ports = [port.name for port in spec.inputs]
    return migrate_unread(entry.inputs, entry.unread, version, spec.version, migrations, ports)
