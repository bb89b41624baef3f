"""Live values of a workflow's inputs: each is linked from a node that has given it already.

So keys are made of a value's digest as of one that came by a link, and links' conversions and
mapping over lists apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

from nodegraph.core.analysis import Analysis, all_needed, analyse
from nodegraph.core.annotations import describe_type, is_builtin_type, is_of_type, type_of_value
from nodegraph.core.catalog import Catalog, ExtendedCatalog
from nodegraph.core.context import Environment
from nodegraph.core.copies import isolated_output, snapshot
from nodegraph.core.digests import LEAVES, Undigestable, digest_value, is_tensor
from nodegraph.core.flat_workflow import value_name
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.graph_builder import graph_of
from nodegraph.core.hooks import Finding, finding_problem
from nodegraph.core.keys import opaque_digest
from nodegraph.core.links import (
    Handle,
    Value,
    is_array,
    is_live,
    is_too_large,
    plain_value,
    to_live,
    write_literal,
)
from nodegraph.core.parts import NodeEntry
from nodegraph.core.ports import PORT_ATTRIBUTE
from nodegraph.core.spec import InputSpec
from nodegraph.core.subgraphs import SpecResolver
from nodegraph.core.suggestions import NodeTypeSuggestions
from nodegraph.core.summary import size_in_bytes, summarize
from nodegraph.core.types import (
    ANY,
    TypeExpr,
    TypeTable,
    convert,
    fit,
    list_of,
    named_type,
    union_of,
)
from nodegraph.core.workflow import Workflow
from nodegraph.engine.fragments import OUTPUT, ValueNodes, value_facts
from nodegraph.engine.product import Digesters, Product, leaves, listed
from nodegraph.errors import InvalidValue, Problem
from nodegraph.packs.registry import Registry
from nodegraph.store.entries import UNLOADED

_PICTURES = ("Image", "Mask")
_CHANNELS = (1, 3, 4)


class AcceptedValue(NamedTuple):
    """A value as an input takes it: an image as a tensor, and its type."""

    value: Any
    expr: TypeExpr


# Whether a value fits an input


def accept_value(value: Any, expr: TypeExpr, types: TypeTable) -> AcceptedValue | None:
    """A value as an input of a type takes it; None if it takes none such, or it isn't certain how.

    An image of PIL or an array is taken as in `media.images.pillow_conversion`. A list for
    an input that takes one item is taken as a list, over which its node is mapped.

    Raises:
        InvalidValue: An image can't be read.
    """
    members = expr.members if expr.kind == "union" else (expr,)
    for member in members:
        accepted = _as_member(value, member, types)
        if accepted is not None:
            return accepted
    if isinstance(value, (list, tuple)):
        return _as_list(value, expr, types)
    for member in members:
        accepted = accept_value(value, member.item, types) if member.is_list else None
        if accepted is not None and accepted.expr == named_type(ANY):
            # By its type alone it could be such a list already.
            return AcceptedValue([accepted.value], list_of(accepted.expr))
        if accepted is not None:
            return accepted
    return None


def _as_member(value: Any, member: TypeExpr, types: TypeTable) -> AcceptedValue | None:
    if isinstance(value, Handle):
        return None  # an output of a graph has no value yet
    if member.is_list:
        is_list = isinstance(value, (list, tuple))
        return _as_list(value, member.item, types) if is_list else None
    if member.name == ANY:
        if _is_picture(value):
            _check_readable(value)
        return AcceptedValue(value, list_of(member) if type(value) is list else member)
    if member.name in _PICTURES:
        return _as_picture(value, member.name)
    own = type_of_value(value)
    if own:
        return _as_declared(value, own, member, types)
    is_foreign = is_array(value) or _is_picture(value)
    if isinstance(value, (list, tuple)) or (is_foreign and is_builtin_type(member.name)):
        return None
    return AcceptedValue(value, member) if value is not None and is_of_type(value, member) else None


def _as_declared(value: Any, own: str, member: TypeExpr, types: TypeTable) -> AcceptedValue | None:
    """A value whose class says its type; types that no node gives or takes aren't in the table."""
    if own in types:
        return AcceptedValue(value, named_type(own)) if types.is_subtype(own, member.name) else None
    above = getattr(type(value), PORT_ATTRIBUTE).info.parents
    is_one = any(types.is_subtype(parent, member.name) for parent in above)
    return AcceptedValue(value, member) if is_one else None


def _as_list(value: Sequence[Any], item: TypeExpr, types: TypeTable) -> AcceptedValue | None:
    items = [accept_value(each, item, types) for each in value]
    accepted = [each for each in items if each is not None]
    if len(accepted) < len(items) or not accepted:
        return None
    kinds = {each.expr for each in accepted}
    if kinds == {named_type("Image"), named_type("Mask")}:
        # Each by the conversion of a link, as one list can't have two.
        accepted = [
            each if each.expr == named_type("Image") else _as_image(each) for each in accepted
        ]
        kinds = {named_type("Image")}
    return AcceptedValue(
        [each.value for each in accepted], list_of(union_of(sorted(kinds, key=str)))
    )


def _as_image(mask: AcceptedValue) -> AcceptedValue:
    return AcceptedValue(convert(mask.value, ("mask_to_image",)), named_type("Image"))


def _check_readable(picture: Any) -> None:
    """Read an image of PIL that was opened and not read yet.

    Raises:
        InvalidValue: Its file is damaged, or closed by now.
    """
    from nodegraph.media.images.pillow_files import DAMAGED

    try:
        picture.load()
    except (*DAMAGED, AssertionError) as error:
        reason = str(error) or "its file is closed"
        raise InvalidValue(f"the image cannot be read: {reason}") from error


def _as_picture(value: Any, kind: str) -> AcceptedValue | None:
    from nodegraph.media.images.pillow_conversion import to_image_tensor

    if is_of_type(value, named_type(kind)):
        return AcceptedValue(value, named_type(kind))
    if _is_picture(value):
        _check_readable(value)
    tensor = to_image_tensor(value, "Image" if kind == "Image" else "Mask")
    if tensor is not None:
        return AcceptedValue(tensor, named_type(kind))
    is_mask = kind == "Image" and is_of_type(value, named_type("Mask"))
    return AcceptedValue(value, named_type("Mask")) if is_mask and _is_surely_mask(value) else None


def _is_surely_mask(tensor: Any) -> bool:
    """Whether three dimensions can't be a single image, whose channels come last or first."""
    return tensor.shape[-1] not in _CHANNELS and tensor.shape[0] not in _CHANNELS[1:]


def _is_picture(value: Any) -> bool:
    from nodegraph.media.images.pillow_conversion import is_pil_image

    return is_pil_image(value)


def mismatch_finding(port: str, expr: TypeExpr, value: Any, catalog: Catalog) -> Finding:
    """What is told of a value that `taken` refuses."""
    from nodegraph.media.images.pillow_conversion import conversion_hint, summarize_picture

    if isinstance(value, (list, tuple)):
        item = expr.item if expr.is_list else expr
        wrong = [each for each in value if accept_value(each, item, catalog.types) is None]
        if wrong:
            return mismatch_finding(port, item, wrong[0], catalog)
    kinds = [kind for kind in _PICTURES if kind in expr.type_names()]
    hint = ""
    if len(kinds) == 1:
        hint = conversion_hint(value, "Image" if kinds[0] == "Image" else "Mask", "Write")
    own = type_of_value(value)
    if not hint and own:
        hint = NodeTypeSuggestions(catalog).converter_hint(named_type(own), expr)
    if not hint and isinstance(value, Handle):
        hint = "Link it in the graph that it was added to."
    return Finding(
        port,
        "is given a value that does not fit",
        summarize_picture(value) if kinds else summarize(value),
        describe_type(expr),
        hint or None,
        "wrong-type",
    )


class FittedInput(NamedTuple):
    """What an input is given that a live value was given to.

    Attributes:
        written: As a workflow holds it: a `Value` of a known type, or a literal.
        depth: Levels of lists that the node is mapped over.
        finding: Why it doesn't fit.
    """

    written: Any
    depth: int = 0
    finding: Finding | None = None


def to_workflow_value(value: Any, port: InputSpec) -> Any:
    """A Python value that is no link as a workflow holds it for an input; see `write_literal`."""
    if port.json_schema is None and is_array(value):
        return to_live(value)  # whatever it holds, it is no list of numbers
    return write_literal(value)


def fit_value(live: Value, port: InputSpec, catalog: Catalog) -> FittedInput:
    """A live value as an input takes it, by the input's type."""
    kinds = {*port.expr.type_names()}
    if port.json_schema and kinds.isdisjoint(_PICTURES):
        plain = _listed(live.value, takes_tensors=ANY not in kinds)
        if not is_live(plain):
            return FittedInput(write_literal(plain))
    try:
        accepted = accept_value(live.value, port.expr, catalog.types)
    except InvalidValue as error:
        return FittedInput(live, 0, _unreadable(port, live, error.problem))
    how = None if accepted is None else fit(accepted.expr, port.expr, catalog.types)
    if accepted is None or how is None:
        return FittedInput(live, 0, mismatch_finding(port.name, port.expr, live.value, catalog))
    return FittedInput(Value.own(accepted.value, accepted.expr), how.map_depth)


def _unreadable(port: InputSpec, live: Value, problem: Problem) -> Finding:
    return Finding(
        port.name,
        f"is given a value that cannot be read: {problem.message}",
        summarize(live.value),
        describe_type(port.expr),
        problem.hint,
        "unreadable-picture",
    )


def _listed(value: Any, *, takes_tensors: bool) -> Any:
    """Arrays and tensors of numbers as lists, or as numbers."""
    if isinstance(value, (list, tuple)):
        return [_listed(item, takes_tensors=takes_tensors) for item in value]
    if is_array(value) or (is_tensor(value) and (takes_tensors or not value.ndim)):
        return value.tolist()
    return plain_value(value)


# A workflow with live values


class SharedValues:
    """What runs that begin together make of the values that they share: each once for all."""

    def __init__(self) -> None:
        self._live: dict[int, tuple[Any, Value]] = {}
        self._fitted: dict[tuple[int, str, str, bool], tuple[Value, FittedInput]] = {}
        self._products: dict[int, tuple[Value, Product]] = {}

    def copy_parameters(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Parameters in which live values are copied already, each object once."""
        return {name: self._copied(value) for name, value in parameters.items()}

    def _copied(self, value: Any) -> Any:
        if id(value) not in self._live:
            # What is too large is told where it is checked.
            if not is_live(value) or is_too_large(value):
                return value
            # Held beside its copy, so that no other object has its id meanwhile.
            self._live[id(value)] = value, to_live(value)
        return self._live[id(value)][1]

    def fitted(self, live: Value, port: InputSpec, catalog: Catalog) -> FittedInput:
        """As `fitted` of the module."""
        key = id(live), port.name, port.type, bool(port.json_schema)
        if key not in self._fitted:
            self._fitted[key] = live, fit_value(live, port, catalog)
        return self._fitted[key][1]

    def product(self, value: Value, digesters: Digesters) -> Product:
        """A value as a product. One whose content has no digest is another each time."""
        if id(value) in self._products:
            return self._products[id(value)][1]
        new_product = _product(value.value, value.port_type or named_type(ANY), digesters)
        if all(
            isinstance(each.loader, _FromValue) and each.loader.has_content
            for each in leaves((new_product,))
        ):
            self._products[id(value)] = value, new_product
        return new_product


@dataclass(frozen=True)
class LiveWorkflow:
    """A workflow with live values, ready to be checked and run.

    Attributes:
        given: As it was given, but with literals for values that are some.
        problems: Values that don't fit.
    """

    workflow: Workflow
    problems: tuple[Problem, ...]
    _linked: Workflow
    _catalog: ExtendedCatalog
    _values: Mapping[str, Value]
    _digesters: Digesters
    _shared: SharedValues

    @classmethod
    def of(
        cls, workflow: Workflow, registry: Registry, shared: SharedValues | None = None
    ) -> LiveWorkflow | None:
        """A workflow with its values looked at; None if it has no live ones.

        Args:
            shared: What other runs that begin with it made of their values.
        """
        values = workflow.live_inputs()
        if not values:
            return None
        return _LiveValueSplitter(workflow, registry, shared or SharedValues()).parted(values)

    @property
    def document(self) -> Workflow:
        """As it is kept with what it makes: without its values, which parameters name."""
        return self.workflow.without_values()

    def analysed(self, environment: Environment, targets: Sequence[str] | None = None) -> Analysis:
        """It, checked; see `nodegraph.core.analysis.analyse`."""
        analysis = analyse(self._linked, self._catalog, environment, targets=targets)
        problems = self.problems
        if targets is not None:
            needed = all_needed(analysis.flat, analysis.targets)
            problems = tuple(each for each in problems if each.node in needed)
        warnings = tuple(each for each in analysis.warnings if each.node not in self._values)
        return replace(analysis, problems=(*problems, *analysis.problems), warnings=warnings)

    def graph(self, environment: Environment, targets: Sequence[str] | None = None) -> CheckedGraph:
        """The graph of what the targets need.

        Raises:
            InvalidWorkflow: Something is wrong with it; carries all of it.
        """
        return self.with_values(graph_of(self.analysed(environment, targets)))

    def with_values(self, graph: CheckedGraph) -> CheckedGraph:
        """A graph of its nodes with the values of those that stand for some."""
        values = {
            name: self._shared.product(value, self._digesters)
            for name, value in self._values.items()
            if name in graph.nodes
        }
        for name, product in values.items():
            self._values[name].digest = product.digest  # for the document
        return replace(graph, values=values)


class _LiveValueSplitter:
    """Parts the values of a workflow from it."""

    def __init__(self, workflow: Workflow, registry: Registry, shared: SharedValues) -> None:
        self._workflow = workflow
        self._registry = registry
        self._shared = shared
        self._specs = SpecResolver(workflow, registry)
        self._taken = {*workflow.nodes, *workflow.subgraphs}
        self._problems: list[Problem] = []

    def parted(self, values: Sequence[tuple[str, str, Value]]) -> LiveWorkflow:
        kept, linked, nodes = {}, {}, ValueNodes()
        for node, port, value in values:
            target = f"{node}.{port}"
            written = self._written(node, port, value)
            kept[target] = written
            if isinstance(written, Value):
                expr = written.port_type or named_type(ANY)
                facts = value_facts(written.value)
                written = nodes.link(self._name(node, port), written, expr, facts)
            linked[target] = written
        parted = _rewritten(self._workflow, linked)
        entries = {name: NodeEntry(type=name) for name in nodes.values}
        return LiveWorkflow(
            _rewritten(self._workflow, kept),
            tuple(self._problems),
            parted._with_nodes({**entries, **parted.nodes}),
            nodes.catalog(self._registry),
            nodes.values,
            self._registry.digesters,
            self._shared,
        )

    def _written(self, node: str, port: str, live: Value) -> Any:
        """What an input is given: a literal, or a `Value` of the type that it was taken as."""
        entry = self._workflow.nodes[node]
        spec = self._specs.resolve(entry)
        known = None if spec is None else spec.inputs_by_name.get(port)
        if known is None:
            return live  # which is told where the inputs are checked
        fitting = self._shared.fitted(live, known, self._registry)
        if fitting.finding is not None:
            self._problems.append(finding_problem(fitting.finding, node, entry.type))
        return fitting.written

    def _name(self, node: str, port: str) -> str:
        """A name for the node that stands for a value."""
        base = value_name(node, port)
        name = next(
            each for each in (f"{base}{'′' * at}" for at in count()) if each not in self._taken
        )
        self._taken.add(name)
        return name


def _rewritten(workflow: Workflow, written: Mapping[str, Any]) -> Workflow:
    """A workflow in which inputs are given something else, as it is written."""
    nodes = dict(workflow.nodes)
    for target, value in written.items():
        node, _, port = target.partition(".")
        nodes[node] = replace(nodes[node], inputs=nodes[node].inputs | {port: value})
    return workflow._with_nodes(nodes)


# As products


class _FromValue:
    """Gives copies of a value, so that a node which changes what it is handed changes it alone.

    Attributes:
        has_content: The value has a digest; one without may differ each time.
    """

    __slots__ = ("_value", "has_content")

    def __init__(self, value: Any, *, has_content: bool) -> None:
        self._value = value
        self.has_content = has_content

    def __call__(self) -> Any:
        return isolated_output(snapshot(self._value))

    def is_there(self) -> bool:
        return True


def _product(value: Any, expr: TypeExpr, digesters: Digesters) -> Product:
    if expr.is_list:
        return listed([_product(item, expr.item, digesters) for item in value])
    try:
        form = _picture_form(value) if _is_picture(value) else value
        digest, has_content = digest_value(form, digesters), True
    except (Undigestable, RecursionError):
        digest, has_content = opaque_digest(uuid4().hex, OUTPUT), False
    loader = _FromValue(value, has_content=has_content)
    return Product(UNLOADED, digest, size_in_bytes(value), None, loader)


def _picture_form(picture: Any) -> tuple[Any, ...]:
    """An image of PIL, which an input of any type keeps, as values that have a digest."""
    palette = picture.palette and (picture.palette.mode, picture.palette.tobytes())
    pixels = (picture.mode, picture.size, picture.tobytes(), palette)
    # Fractions of PIL's, such as resolutions, have no digest of their own.
    texts = {
        str(name): value if type(value) in LEAVES else repr(value)
        for name, value in picture.info.items()
    }
    return ("PIL", picture.format, *pixels, texts)
