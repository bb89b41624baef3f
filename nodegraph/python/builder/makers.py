"""A node type as a method, and the node types of a pack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from nodegraph.core.node_aliases import NodeAliases
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue
from nodegraph.python.builder.outputs import UnknownName

if TYPE_CHECKING:
    from nodegraph.packs.registry import Registry

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
