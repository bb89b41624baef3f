"""Specs of node types: inputs, outputs, hooks and options.

A spec is plain data. It is read from the function's signature once and cached on disk, so that
listing nodes and validating workflows never imports a pack.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache, cached_property
from typing import Any, Literal, TypeVar

from nodegraph.core.types import TypeExpr, list_of, parse_type

R = TypeVar("R")
LaneName = Literal["gpu", "cpu", "io"]
HookName = Literal["infer", "validate", "fingerprint", "estimate"]
RunFact = Literal["node", "workflow", "metadata", "graph"]
"""What a node may ask of the run around it; see `core.ports.run_fact`."""


@dataclass(frozen=True, kw_only=True)
class BodySpec:
    """The interface of a node to the subgraph that one of its inputs names.

    Attributes:
        inputs: Subgraph inputs that the node sets, with the node input that provides the values.
            Empty for values that the node makes itself, which the subgraph need not use. With
            `passes_on`, the other subgraph inputs are inputs of the node, too.
        outputs: Outputs that the subgraph must have, with the node outputs that are made from each;
            none for outputs that only the node itself reads.
        passes_on: Whether the node's function accepts further inputs and passes them on.
    """

    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    passes_on: bool = False


_SCALARS = frozenset((str, int, float, bool, type(None)))
OF_PACK = "pack:"
"""Prefix of the name of a widget from the node's pack."""
_WITH_MODELS = frozenset({"file:model", "file:lora", "file:embedding"})


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """A typed input.

    Attributes:
        type: Type expression, such as ``Image`` or ``list[int]``.
        required: Whether it must be linked or given.
        nullable: Whether ``null`` is allowed, which means "not given".
        lazy: Whether it is evaluated only if the node requests it.
        raw_link: Whether the node receives the link itself, a `core.ports.RawLink`, not its value.
        default: Value if none is given.
        json_schema: JSON Schema of a literal; None for types that can only be linked.
        widget: Widget in an editor: ``multiline``, ``seed``, ``file:image``, ``pack:curve`` for the
            pack's own ``widgets/curve.js``; empty for the default widget of the type.
        step: Step of a number's widget.
        advanced, group: Position in an editor.
        prompt: Whether it is a prompt, which files of results may leave out.
        help: Help text, one sentence.
        body: Interface to the subgraph that the input names, if the node runs one.
        passed_on: Whether it is an input of that subgraph. The node's function receives it in its
            ``**inputs``, if it is given.
    """

    name: str
    type: str
    required: bool = True
    nullable: bool = False
    lazy: bool = False
    raw_link: bool = False
    default: Any = None
    json_schema: dict[str, Any] | None = None
    widget: str = ""
    step: float | None = None
    advanced: bool = False
    group: str = ""
    prompt: bool = False
    help: str = ""
    body: BodySpec | None = None
    passed_on: bool = False

    @property
    def choice_schema(self) -> dict[str, Any]:
        """JSON Schema with the choices: its own, or that of its items."""
        schema = self.json_schema or {}
        items = schema.get("items")
        return items if isinstance(items, dict) else schema

    @property
    def is_model_file(self) -> bool:
        """Whether it names a file in the models folders, which is not uploaded."""
        return self.widget in _WITH_MODELS

    @cached_property
    def expr(self) -> TypeExpr:
        """The type, parsed."""
        return parse_type(self.type)


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """A typed output.

    Attributes:
        nullable: Whether the value may be None.
        is_joined: Whether the lists of a mapped node's calls are joined to one list; else there is
            a list of lists.
    """

    name: str
    type: str
    nullable: bool = False
    is_joined: bool = False
    help: str = ""

    @cached_property
    def expr(self) -> TypeExpr:
        """The type, parsed."""
        return parse_type(self.type)

    def mapped(self, depth: int) -> TypeExpr:
        """The type of what the output gives if its node is mapped over levels of lists."""
        expr = self.expr
        for _ in range(depth - 1 if self.is_joined and depth else depth):
            expr = list_of(expr)
        return expr


@dataclass(frozen=True, kw_only=True)
class HookRef:
    """The location of a hook function, which may be outside the node's own module."""

    module: str
    name: str


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """A node type.

    Attributes:
        type: Name in workflows: the function's name, ``pack:Name`` outside the built-in pack.
        version: Number that increases when the behavior changes.
        lane: Lane that it runs in: ``gpu`` (the serial compute lane), ``cpu`` (a pool of threads),
            or ``io`` (a pool for waiting; async functions run on the event loop).
        deterministic: Whether equal inputs give equal outputs. If False, results are never cached
            across jobs.
        output: Whether it is a sink that acts on the outside world. Sinks always run.
        output_files: Whether it is a sink whose only effect is the files that it reports. While
            these are unchanged, it does not run again.
        numerics: Whether the last bits of the result may differ with device, precision or library
            version.
        continues: Inputs that only set where to stop. A call with a later stop continues from the
            saved state of a call that differs only in these inputs.
        skips_blocked: Whether blocked items are left out of lists that the function receives as
            such; else one blocks the call.
        takes_more: Whether the function takes inputs that are not declared, of any type.
        facts: Facts of outputs copied from inputs, by output: ``{"latent": {"width": "width"}}``
            takes the literal `width`, ``"latent.width"`` a fact of the linked `latent`.
        hidden: What the function receives of the run around it, by parameter. It is part of the
            cache key.
        hooks: Functions of the pack for rules that plain data cannot express.
        foreign: Declaration in the form of another tool, for node types that come from its packs.
            JSON values.
        module, qualname: Location of the function.
    """

    type: str
    pack: str = ""
    version: int = 1
    label: str = ""
    category: str = ""
    summary: str = ""
    help: str = ""
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    lane: LaneName = "cpu"
    is_async: bool = False
    deterministic: bool = True
    output: bool = False
    output_files: bool = False
    numerics: bool = False
    continues: tuple[str, ...] = ()
    deprecated: str = ""
    experimental: bool = False
    tags: tuple[str, ...] = ()
    skips_blocked: bool = True
    takes_more: bool = False
    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    hidden: dict[str, RunFact] = field(default_factory=dict)
    hooks: dict[HookName, HookRef] = field(default_factory=dict)
    foreign: dict[str, Any] = field(default_factory=dict)
    module: str = ""
    qualname: str = ""

    @cached_property
    def inputs_by_name(self) -> dict[str, InputSpec]:
        return {port.name: port for port in self.inputs}

    @cached_property
    def body(self) -> InputSpec | None:
        """The input that names the subgraph which the node runs, if there is one."""
        return next((port for port in self.inputs if port.body is not None), None)

    @cached_property
    def file_ports(self) -> tuple[str, ...]:
        """Inputs that name files."""
        return tuple(port.name for port in self.inputs if port.widget.startswith("file:"))

    @cached_property
    def lazy_ports(self) -> frozenset[str]:
        """Inputs that are evaluated only if the node requests them."""
        return frozenset([port.name for port in self.inputs if port.lazy])

    @cached_property
    def raw_ports(self) -> frozenset[str]:
        """Inputs that the function receives as a link."""
        return frozenset([port.name for port in self.inputs if port.raw_link])

    @cached_property
    def reads_graph(self) -> bool:
        """Whether the function may read the graph of the run, or return links into it."""
        return bool(self.raw_ports) or "graph" in self.hidden.values()

    @cached_property
    def plugin_ports(self) -> dict[str, tuple[str, frozenset[str]]]:
        """Group and names of plugins that are not built in, by input that offers plugins."""
        schemas = {port.name: port.choice_schema for port in self.inputs}
        return {
            name: (schema["entryPoints"], frozenset(schema["plugins"]))
            for name, schema in schemas.items()
            if schema.get("plugins")
        }

    @cached_property
    def digest(self) -> str:
        """Changes when anything in it does."""
        from nodegraph.core.digests import digest_bytes  # only servers compare specs

        return digest_bytes(json.dumps(to_document(self)).encode())

    @cached_property
    def output_indices(self) -> dict[str, int]:
        """Index of each output from 0, by name."""
        return {port.name: at for at, port in enumerate(self.outputs)}

    @cached_property
    def outputs_by_name(self) -> dict[str, OutputSpec]:
        return {port.name: port for port in self.outputs}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> NodeSpec:
        """Return the spec of a document from `to_document`.

        Raises:
            TypeError, ValueError: The document is not that of a spec.
        """
        parts = {
            "inputs": tuple(map(_input, document.get("inputs", ()))),
            "outputs": tuple(OutputSpec(**port) for port in document.get("outputs", ())),
            "hooks": {name: HookRef(**hook) for name, hook in document.get("hooks", {}).items()},
        }
        return from_document(cls, {**document, **parts}, "continues", "tags")


def _input(document: Mapping[str, Any]) -> InputSpec:
    body = document.get("body")
    if body is None:
        return InputSpec(**document)
    outputs = {name: tuple(own) for name, own in body.get("outputs", {}).items()}
    return InputSpec(**{**document, "body": BodySpec(**{**body, "outputs": outputs})})


def from_document(kind: type[R], document: Mapping[str, Any], *several: str) -> R:
    """Return a dataclass of a document from `to_document`.

    Args:
        several: Fields that are tuples, which are lists in JSON.
    """
    return kind(
        **{**document, **{name: tuple(document[name]) for name in several if name in document}}
    )


def to_document(instance: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, as JSON values."""
    document = {}
    kind: type = type(instance)
    for name, default, make in _defaults(kind):
        value = getattr(instance, name)
        if value != (default if make is None else make()):
            document[name] = _plain(value)
    return document


@cache
def _defaults(kind: type) -> tuple[tuple[str, Any, Callable[[], Any] | None], ...]:
    """Return a dataclass's fields with their defaults or default factories.

    It is cached by class, because a server converts hundreds of specs before it answers.
    """
    return tuple(
        (item.name, item.default, None)
        if item.default_factory is MISSING
        else (item.name, None, item.default_factory)
        for item in fields(kind)
    )


def _plain(value: Any) -> Any:
    if type(value) in _SCALARS:
        return value
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return to_document(value) if is_dataclass(value) else value
