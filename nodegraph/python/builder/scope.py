"""Add nodes to a graph or subgraph: a method for each installed node type."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import Parameter, Signature
from threading import Lock
from typing import TYPE_CHECKING, Any

from nodegraph.core.graph import topological_order
from nodegraph.core.links import Link, is_link, live_inputs, read_link
from nodegraph.core.literals import format_repr
from nodegraph.core.parts import NodeEntry, bad_name, is_node_name
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.subgraphs import SpecResolver
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.suggestions import NodeAliases
from nodegraph.core.text_format import snake_case
from nodegraph.core.types import ANY, TypeExpr, fit, list_of, named_type
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, InvalidWorkflow
from nodegraph.packs.registry import Registry
from nodegraph.python.builder.builtin import BuiltinNodes
from nodegraph.python.builder.inputs import CheckedInputs, InnerInput, check_inputs
from nodegraph.python.builder.outputs import AnyNode, BuiltNode, Out, UnknownName, built_node
from nodegraph.session.node_types import NodeTypes
from nodegraph.session.settings import Settings, load_settings

if TYPE_CHECKING:
    from nodegraph.packs.registry import Registry


class InstalledTypes:
    """Those that the settings in force lead to, kept from one question to the next."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._settings: Settings | None = None
        self._types: NodeTypes | None = None

    def read(self) -> NodeTypes:
        """As settings and packs are now."""
        settings = load_settings()
        with self._lock:
            if self._types is None or settings != self._settings:
                self._types, self._settings = NodeTypes(settings), settings
            self._types.refresh()
            return self._types

    @property
    def registry(self) -> Registry:
        """As `read`, for a single question."""
        return self.read().registry


INSTALLED = InstalledTypes()
"""Of this process."""


AddNode = Callable[..., Any]
"""Makes something of a node type, by its name, of the name of a node and of inputs."""


class NodeMethod:
    """Adds nodes of one type; see `Scope.node`."""

    def __init__(self, make: AddNode, spec: NodeSpec) -> None:
        self._make = make
        self._spec = spec
        self.__doc__ = documentation(spec)
        self.__name__ = spec.type
        self.__signature__ = signature(spec)

    def __call__(self, name: Any = None, /, *more: Any, **inputs: Any) -> Any:
        if more:
            raise InvalidValue(
                f"inputs of `{self._spec.type}` are given by name",
                given=f"{1 + len(more)} values without one",
                expected=", ".join(f"{port}=…" for port in self._spec.inputs_by_name),
            )
        return self._make(self._spec.type, name, **inputs)

    def __repr__(self) -> str:
        return f"<node type {self._spec.type}{self.__signature__}>"


class PackNodes:
    """The node types of a pack as methods."""

    def __init__(self, make: AddNode, catalog: Registry, pack: str) -> None:
        self._make = make
        self._catalog = catalog
        self._pack = pack

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        spec = self._catalog.spec(f"{self._pack}:{name}")
        if spec is None:
            raise UnknownName(
                f"pack `{self._pack}` has no node type `{name}`",
                hint=did_you_mean(name, dir(self)),
            )
        return NodeMethod(self._make, spec)

    def __dir__(self) -> Sequence[str]:
        return [name.partition(":")[2] for name in self._catalog.types_of(self._pack)]

    def __repr__(self) -> str:
        return f"<node types of pack {self._pack}>"


def find_node_method(make: AddNode, catalog: Registry, name: str) -> NodeMethod | PackNodes:
    """What is called by a name: a node type of the built-in pack, or the pack of others.

    Raises:
        UnknownName: Nothing is.
    """
    spec = catalog.spec(name)
    if spec is not None:
        return NodeMethod(make, spec)
    packs = {pack.name for pack in catalog.packs if pack.name}
    if name in packs:
        return PackNodes(make, catalog, name)
    raise UnknownName(
        f"there is no node type `{name}`", hint=NodeAliases(catalog).hint(name, packs)
    )


def callable_names(catalog: Registry) -> Sequence[str]:
    """What `called` knows."""
    packs = [pack.name for pack in catalog.packs if pack.name.isidentifier()]
    return [*catalog.types_of(""), *packs]


def signature(spec: NodeSpec) -> Signature:
    """The call that adds a node, for editors that ask at run time."""
    name = Parameter("_name", Parameter.POSITIONAL_ONLY, default=None, annotation="str | None")
    ports = [_parameter(port) for port in spec.inputs if port.name.isidentifier()]
    if spec.body is not None and spec.body.body is not None and spec.body.body.passes_on:
        ports.append(Parameter("_inputs", Parameter.VAR_KEYWORD))
    return Signature([name, *ports])


def _parameter(port: InputSpec) -> Parameter:
    default = Parameter.empty if port.required else port.default
    return Parameter(port.name, Parameter.KEYWORD_ONLY, default=default, annotation=port.type)


def documentation(spec: NodeSpec) -> str:
    """What a node type is for, and its ports."""
    lines = [spec.help or spec.summary]
    for title, ports in (("Args", spec.inputs), ("Outputs", spec.outputs)):
        if ports:
            lines += ["", f"{title}:"]
            lines += [f"    {port.name}: {port.type}. {port.help}".rstrip() for port in ports]
    return "\n".join(lines)


class Scope(BuiltinNodes):
    """Node types as methods: each adds a node, and gives it back."""

    takes_values = True
    """Whether its nodes may be given live values."""

    _depths: dict[str, int]
    """Levels of lists that nodes are mapped over, as far as they were looked at."""

    @property
    def workflow(self) -> Workflow:
        """The whole."""
        raise NotImplementedError

    @property
    def catalog(self) -> Registry:
        """The node types there are."""
        raise NotImplementedError

    def _entries(self) -> dict[str, NodeEntry]:
        raise NotImplementedError

    def inner_type(self, name: str) -> TypeExpr:
        """Of an input of the subgraph, for the nodes in it."""
        raise NotImplementedError

    def _record_inner_inputs(self, node: str, checked: CheckedInputs) -> None:
        """Note which inputs of a node the subgraph's own inputs lead to."""

    if not TYPE_CHECKING:  # there the stubs say which types there are

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return self._find_node_method(name)

    def _find_node_method(self, name: str) -> NodeMethod | PackNodes:
        return find_node_method(self.node, self.catalog, name)

    def __dir__(self) -> Sequence[str]:
        return [*super().__dir__(), *callable_names(self.catalog)]

    def node(
        self,
        node_type: str | Scope | Callable[..., Any],
        name: str | None = None,
        /,
        **inputs: Any,
    ) -> Any:
        """Add a node of any type, also of those whose names are no attributes.

        Args:
            node_type: A node type, ``pack:Type`` for those of packs, a function with ``@node`` that
                the session has, or a subgraph.
            name: Its name; made of the type if not given.
            inputs: Values, and outputs of other nodes.
        Returns:
            The node, with its outputs as attributes.
        Raises:
            UnknownName: There is no such type.
            InvalidWorkflow: An input is wrong; lists all that are.
            InvalidValue: There is a node of that name already.
        """
        kind = _type_called(node_type)
        entry = NodeEntry(type=kind)
        name = self._free_name(kind) if name is None else self._checked_name(name, kind)
        self._set_entry(name, entry, inputs, is_new=True)
        return built_node(self, name)

    def set(self, node: AnyNode, /, **inputs: Any) -> None:
        """Give a node other inputs; those that aren't named stay.

        Raises:
            UnknownName: There is no such node.
            InvalidWorkflow: An input is wrong; lists all that are.
        """
        name = self._name_of(node)
        self._set_entry(name, self._entries()[name], inputs, is_new=False)

    def entry(self, node: AnyNode, /) -> NodeEntry:
        """What the workflow says of a node: its label, note, mode and the rest, to be changed.

        Raises:
            UnknownName: There is no such node.
        """
        return self._entries()[self._name_of(node)]

    def __getitem__(self, name: str) -> Any:
        """A node by its name.

        Raises:
            UnknownName: There is none of that name.
        """
        return built_node(self, self._name_of(name))

    def __contains__(self, name: object) -> bool:
        return str(name) in self._entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def _name_of(self, node: AnyNode) -> str:
        if not isinstance(node, (BuiltNode, Out, str)):
            raise InvalidValue(
                "this is not a node of the graph",
                given=format_repr(node),
                expected="a node, one of its outputs, or its name",
            )
        if not isinstance(node, str) and node._owner is not self:
            raise UnknownName(f"`{node}` is a node of another graph, or of another subgraph")
        name, entries = _name(node), self._entries()
        if name not in entries:
            hint = did_you_mean(name, entries) or "There are no nodes yet."
            raise UnknownName(f"there is no node `{name}`", hint=hint)
        return name

    def _free_name(self, node_type: str) -> str:
        base = snake_case(node_type.rpartition(":")[2])
        base = base.replace(".", "_").replace("/", "_") or "node"
        entries, most = self._entries(), 2
        if base not in entries:
            return base
        # By halves: of thousands of a kind, each would look at all before it.
        while f"{base}_{most}" in entries:
            most *= 2
        counts = range(2, most)
        free = bisect_left(counts, True, key=lambda count: f"{base}_{count}" not in entries)
        return f"{base}_{2 + free}"

    def _checked_name(self, name: Any, node_type: str) -> str:
        if not isinstance(name, str):
            raise InvalidValue(
                f"the first argument in a call of `{node_type}` is the node's name",
                given=format_repr(name),
                expected="inputs by their names: `image=picture`",
            )
        if not is_node_name(name):
            raise InvalidWorkflow([bad_name(name)])
        if name in self._entries():
            raise InvalidValue(f"there is already a node `{name}`")
        return name

    def _set_entry(
        self, name: str, entry: NodeEntry, inputs: dict[str, Any], *, is_new: bool
    ) -> None:
        inputs = {
            port: str(value) if isinstance(value, Scope) else value
            for port, value in inputs.items()
        }
        checked = check_inputs(self, name, self._spec(name, entry, inputs), inputs, is_new=is_new)
        entries = self._entries()
        if is_new:
            entries[name] = entry  # so that no node that is added on the way takes its name
        checked.link()
        if is_new:
            entries[name] = entries.pop(name)  # behind those
        kept = {
            port: value for port, value in entry.inputs.items() if port not in checked.inner_inputs
        }
        entry.inputs = kept | checked.written
        self._record_inner_inputs(name, checked)
        if is_new:
            self._depths[name] = checked.depth
        else:
            self._depths.clear()

    def _spec(self, name: str, entry: NodeEntry, inputs: dict[str, Any]) -> NodeSpec:
        """What a node declares that is given these inputs, one of which may name a subgraph."""
        texts = {port: value for port, value in inputs.items() if isinstance(value, str)}
        spec = self._declared(replace(entry, inputs=entry.inputs | texts))
        if spec is None:
            raise UnknownName(
                f"there is no node type `{entry.type}`",
                node=name,
                hint=NodeAliases(self.catalog).hint(entry.type, self.workflow.subgraphs),
            )
        return spec

    def _declared(self, entry: NodeEntry) -> NodeSpec | None:
        return SpecResolver(self.workflow, self.catalog).resolve(entry)

    def spec_of(self, node: str) -> NodeSpec | None:
        """What a node's type declares; None if there is no such node or type."""
        entry = self._entries().get(node)
        return None if entry is None else self._declared(entry)

    def type_of(self, output: Out[Any]) -> TypeExpr:
        """What an output gives: a list for each level that its node is mapped over."""
        if isinstance(output, InnerInput):
            return self.inner_type(output.name)
        if output._known_type is not None:
            return output._known_type
        return self._linked_type(output._link)

    def _linked_type(self, link: Link) -> TypeExpr:
        spec = self.spec_of(link.node)
        ports = spec.outputs_by_name if spec else {}
        port = ports.get(link.port) or (next(iter(ports.values())) if len(ports) == 1 else None)
        expr = named_type(ANY) if port is None else port.expr
        for _ in range(self._depth(link.node)):
            expr = list_of(expr)
        return expr

    def available_outputs(self, node: str) -> Iterator[tuple[TypeExpr, bool]]:
        """Types of what could be linked, and whether it could be to a node without a cycle."""
        entries = self._entries()
        dependents = _dependents(node, entries)
        for name in entries:
            spec = self.spec_of(name)
            for port in spec.outputs if spec else ():
                yield port.expr, name not in dependents

    def _depth(self, node: str) -> int:
        entries = self._entries()
        if node not in self._depths and node in entries:
            links = {name: list(_links(entry)) for name, entry in entries.items()}
            needs = {
                name: [link.node for _, link in node_links if link.node in entries]
                for name, node_links in links.items()
            }
            self._depths = dict.fromkeys(entries, 0)
            for name in topological_order(needs)[0]:
                spec = self.spec_of(name)
                input_types = [(port, self._linked_type(link)) for port, link in links[name]]
                input_types += _value_types(entries[name])
                for port, expr in input_types if spec else ():
                    target = spec and spec.inputs_by_name.get(port)
                    fitted = target and fit(expr, target.expr, self.catalog.types)
                    self._depths[name] = max(self._depths[name], fitted.map_depth if fitted else 0)
        return self._depths.get(node, 0)


def _type_called(node_type: str | Scope | Callable[..., Any]) -> str:
    if not callable(node_type):
        return str(node_type)
    from nodegraph.core.node import definition_of  # few give a function

    return definition_of(node_type).spec.type


def _name(node: AnyNode) -> str:
    if isinstance(node, BuiltNode):
        return node._name
    return node._link.node if isinstance(node, Out) else node


def _links(entry: NodeEntry) -> Iterator[tuple[str, Link]]:
    for port, written in entry.inputs.items():
        if is_link(written):
            try:
                yield port, read_link(written)
            except ValueError:  # broken in the file, and told of where it is checked
                continue


def _dependents(node: str, entries: Mapping[str, NodeEntry]) -> set[str]:
    """A node, and all that need it."""
    users: dict[str, list[str]] = {}
    for name, entry in entries.items():
        for _, link in _links(entry):
            users.setdefault(link.node, []).append(name)
    visited, waiting = {node}, [node]
    while waiting:
        fresh = {*users.get(waiting.pop(), ())} - visited
        visited |= fresh
        waiting += fresh
    return visited


def _value_types(entry: NodeEntry) -> Iterator[tuple[str, TypeExpr]]:
    """Inputs that are given live values, and their types as far as they are known."""
    for port, value in live_inputs(entry.inputs):
        if value.port_type is not None:
            yield port, value.port_type


def check_text(what: str, value: object) -> None:
    """Check what has to be a text, such as a name.

    Raises:
        InvalidValue: It is something else.
    """
    if not isinstance(value, str):
        raise InvalidValue(f"{what} is a text", given=format_repr(value))
