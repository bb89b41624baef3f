"""Specs of node types: inputs, outputs, hooks and options, as plain data.

A spec is plain data. It is read from the function's signature once and cached on disk, so that
listing nodes and validating workflows never imports a pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache, cached_property
from typing import Any, Literal, TypeVar

from nodegraph.core.types import TypeExpr, parse_type

R = TypeVar("R")
LaneName = Literal["gpu", "cpu", "io"]
HookName = Literal["infer", "validate", "fingerprint", "estimate"]


@dataclass(frozen=True, kw_only=True)
class BodySpec:
    """How a node uses the subgraph that one of its inputs names.

    Attributes:
        inputs: The subgraph's inputs that the node itself gives, and the node's input that each
            takes its values from; empty for values of the node's own making, which the subgraph
            need not take. Its other inputs are inputs of the node too, if `passes_on`.
        outputs: The outputs that the subgraph must have, and the node's outputs that are made of
            each; none for those that only the node itself looks at.
        passes_on: The node's function takes further inputs and hands them on.
    """

    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    passes_on: bool = False


_SCALARS = frozenset((str, int, float, bool, type(None)))
OF_PACK = "pack:"
"""Before the name of a widget that the node's pack brings."""
_WITH_MODELS = frozenset({"file:model", "file:lora", "file:embedding"})


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """A typed input.

    Attributes:
        type: Type expression, such as ``Image`` or ``list[int]``.
        required: It must be linked or given.
        nullable: ``null`` is allowed and means "not given".
        lazy: It is evaluated only if the node asks for it.
        default: Used where nothing is given.
        json_schema: JSON Schema of a literal; None for types that can only be linked.
        widget: How an editor shows it: ``multiline``, ``seed``, ``file:image``, ``pack:curve`` for
            the pack's own ``widgets/curve.js``; empty for the type's usual one.
        step: Step of a number's widget.
        advanced, group: Where an editor puts it.
        help: One sentence.
        body: For an input that names a subgraph which the node runs.
        passed_on: It is an input of that subgraph; the node's function takes it as one of its
            ``**inputs``, if it is given.
    """

    name: str
    type: str
    required: bool = True
    nullable: bool = False
    lazy: bool = False
    default: Any = None
    json_schema: dict[str, Any] | None = None
    widget: str = ""
    step: float | None = None
    advanced: bool = False
    group: str = ""
    help: str = ""
    body: BodySpec | None = None
    passed_on: bool = False

    @property
    def choice_schema(self) -> dict[str, Any]:
        """The JSON Schema that says what may be chosen: its own, or that of its items."""
        schema = self.json_schema or {}
        items = schema.get("items")
        return items if isinstance(items, dict) else schema

    @property
    def is_model_file(self) -> bool:
        """Whether it names a file in the folders of models, which nobody brings along."""
        return self.widget in _WITH_MODELS

    @cached_property
    def expr(self) -> TypeExpr:
        """The type, parsed."""
        return parse_type(self.type)


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """A typed output.

    Attributes:
        nullable: The value may be None.
    """

    name: str
    type: str
    nullable: bool = False
    help: str = ""

    @cached_property
    def expr(self) -> TypeExpr:
        """The type, parsed."""
        return parse_type(self.type)


@dataclass(frozen=True, kw_only=True)
class HookRef:
    """Where a hook function lies; importing it need not import the node's own module."""

    module: str
    name: str


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """A node type.

    Attributes:
        type: Name in workflows: the function's name, ``pack:Name`` outside the built-in pack.
        version: Raised when behavior changes.
        lane: Where it runs: ``gpu`` (the serial compute lane), ``cpu`` (a pool of threads), or
            ``io`` (a pool for waiting; async functions run on the event loop).
        deterministic: Equal inputs give equal outputs; False is never cached across jobs.
        output: A sink that acts on the outside world: always run, and what a run is for.
        output_files: A sink whose only effect are the files that it reports: while those lie there
            unchanged it need not run again.
        numerics: The result may differ in its last bits with device, precision or library version.
        continues: Inputs that only say where to stop: what was saved of a call with others of
            them is taken up by one that goes on further.
        facts: Facts of outputs copied from inputs, by output: ``{"latent": {"width": "width"}}``
            takes the literal `width`, ``"latent.width"`` a fact of the linked `latent`.
        hooks: Functions of the pack for what data can't say.
        module, qualname: Where the function lies.
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
    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    hooks: dict[HookName, HookRef] = field(default_factory=dict)
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
        """The inputs that name files."""
        return tuple(port.name for port in self.inputs if port.widget.startswith("file:"))

    @cached_property
    def plugin_ports(self) -> dict[str, tuple[str, frozenset[str]]]:
        """By input that offers plugins: their group, and the names that are no built-in ones."""
        schemas = {port.name: port.choice_schema for port in self.inputs}
        return {
            name: (schema["entryPoints"], frozenset(schema["plugins"]))
            for name, schema in schemas.items()
            if schema.get("plugins")
        }

    @cached_property
    def output_indices(self) -> dict[str, int]:
        """Which output, from 0, by name."""
        return {port.name: at for at, port in enumerate(self.outputs)}

    @cached_property
    def outputs_by_name(self) -> dict[str, OutputSpec]:
        return {port.name: port for port in self.outputs}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> NodeSpec:
        """A spec of what `to_document` tells of it.

        Raises:
            TypeError, ValueError: It isn't that of one.
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
    """A dataclass of what `to_document` tells of it.

    Args:
        several: Fields that are tuples, which JSON has as lists.
    """
    return kind(
        **{**document, **{name: tuple(document[name]) for name in several if name in document}}
    )


def to_document(instance: Any) -> dict[str, Any]:
    """What a dataclass says beyond its defaults, as JSON has it."""
    document = {}
    kind: type = type(instance)
    for name, default, make in _defaults(kind):
        value = getattr(instance, name)
        if value != (default if make is None else make()):
            document[name] = _plain(value)
    return document


@cache
def _defaults(kind: type) -> tuple[tuple[str, Any, Callable[[], Any] | None], ...]:
    """A dataclass's fields with their defaults, or what makes those.

    Of each class only once, as a server says hundreds of specs before it answers.
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
