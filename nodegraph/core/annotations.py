"""Map Python annotations to port types, and check that values match a port type."""

from __future__ import annotations

import types as python_types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from nodegraph.core.digests import is_tensor
from nodegraph.core.hints import (
    Advanced,
    Body,
    Choices,
    File,
    Group,
    Hint,
    Multiline,
    MultipleOf,
    PromptText,
    Range,
    Secret,
    Seed,
    Widget,
    script_name,
)
from nodegraph.core.plots import Plot
from nodegraph.core.ports import (
    PORT_ATTRIBUTE,
    Blocked,
    Image,
    Lazy,
    Mask,
    PortType,
    RawLink,
    Subgraph,
)
from nodegraph.core.spatial_values import Mesh, Molecule, PointCloud, Voxels
from nodegraph.core.spec import OF_PACK, BodySpec
from nodegraph.core.training_values import Dataset, Example, TrainedWeights
from nodegraph.core.types import JSON_TYPES, TypeExpr, list_of, named_type, union_of
from nodegraph.core.values import (
    Audio,
    Conditioning,
    ControlNet,
    DiffusionModel,
    ImageEncoder,
    Latent,
    TextEncoder,
    Vae,
    Video,
)


def _tensor_of(dimensions: int) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return is_tensor(value) and value.ndim == dimensions and value.is_floating_point()

    return check


def _is_image(value: Any) -> bool:
    if not (is_tensor(value) and value.ndim == 4 and value.is_floating_point()):
        return False
    _, rows, _, channels = value.shape
    # Else channels come first, as in other libraries: no image of so few rows has more of them.
    return bool(channels <= 4 or rows > 4)


def _instance_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _tensors_of(kind: type, **parts: tuple[int, bool]) -> Callable[[Any], bool]:
    """A check of a class, and of its tensors: how many dimensions, and whether of fractions."""

    def fits(part: Any, dimensions: int, is_fraction: bool) -> bool:
        return (
            is_tensor(part) and part.ndim == dimensions and part.is_floating_point() == is_fraction
        )

    def check(value: Any) -> bool:
        return isinstance(value, kind) and all(
            fits(getattr(value, name), *form) for name, form in parts.items()
        )

    return check


def _is_dataset(value: Any) -> bool:
    return isinstance(value, Dataset) and all(isinstance(each, Example) for each in value.examples)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "int": _instance_of(int),
    "float": _instance_of(int, float),
    "bool": _instance_of(bool),
    "str": _instance_of(str),
    "bytes": _instance_of(bytes),
    "dict": _instance_of(Mapping),
    "Path": _instance_of(Path),
    "Image": _is_image,
    "Mask": _tensor_of(3),
    "Latent": _instance_of(Latent),
    "Video": _instance_of(Video),
    "Audio": _tensors_of(Audio, waveform=(2, True)),
    "Mesh": _tensors_of(Mesh, vertices=(2, True), faces=(2, False)),
    "PointCloud": _tensors_of(PointCloud, points=(2, True)),
    "Voxels": _tensors_of(Voxels, values=(3, True)),
    "Molecule": _tensors_of(
        Molecule, elements=(1, False), bonds=(2, False), orders=(1, False), coordinates=(3, True)
    ),
    "Plot": _instance_of(Plot),
    "TrainedWeights": _instance_of(TrainedWeights),
    "Dataset": _is_dataset,
    "Conditioning": _instance_of(Conditioning),
    "DiffusionModel": _instance_of(DiffusionModel),
    "TextEncoder": _instance_of(TextEncoder),
    "Vae": _instance_of(Vae),
    "ImageEncoder": _instance_of(ImageEncoder),
    "ControlNet": _instance_of(ControlNet),
    "Subgraph": _instance_of(Subgraph),
}
_CLASSES = tuple(
    name
    for name in _CHECKS
    if name not in ("int", "float", "bool", "str", "bytes", "dict", "Path", "Image", "Mask")
)
"""Port types whose values are of a class that no other has."""
_SHAPES = {
    "Image": "Image (float tensor [batch, height, width, channels] in 0..1)",
    "Mask": "Mask (float tensor [batch, height, width] in 0..1)",
    "Audio": "Audio (waveform: float tensor [channels, samples])",
    "Mesh": "Mesh (vertices: float tensor [vertices, 3], faces: integers [faces, 3])",
    "PointCloud": "PointCloud (points: float tensor [points, 3])",
    "Voxels": "Voxels (values: float tensor [depth, height, width])",
}


def is_of_type(value: Any, expr: TypeExpr) -> bool:
    """Whether a value may stand at a port of a type; types of packs are taken at their word.

    A blocked output may be of any.
    """
    if type(value) is Blocked:
        return True
    if expr.kind == "union":
        return any(is_of_type(value, member) for member in expr.members)
    if expr.kind == "list":
        return isinstance(value, (list, tuple))
    check = _CHECKS.get(expr.name)
    return check is None or check(value)


def type_of_value(value: Any) -> str:
    """The port type of a value, as far as its class tells; empty if it doesn't."""
    port = getattr(type(value), PORT_ATTRIBUTE, None)
    if port is not None:
        return str(port.info.name)
    return next((name for name in _CLASSES if _CHECKS[name](value)), "")


def is_builtin_type(name: str) -> bool:
    """Whether values of a port type are known by `is_of_type`."""
    return name in _CHECKS


def describe_type(expr: TypeExpr) -> str:
    """A type for an error message."""
    return _SHAPES.get(str(expr), str(expr))


_NAMED: Mapping[Any, str] = {
    Any: "Any",
    object: "Any",
    int: "int",
    float: "float",
    bool: "bool",
    str: "str",
    bytes: "bytes",
    dict: "dict",
    Path: "Path",
    Image: "Image",
    Mask: "Mask",
    Latent: "Latent",
    Video: "Video",
    Audio: "Audio",
    Mesh: "Mesh",
    PointCloud: "PointCloud",
    Voxels: "Voxels",
    Molecule: "Molecule",
    Plot: "Plot",
    TrainedWeights: "TrainedWeights",
    Dataset: "Dataset",
    Conditioning: "Conditioning",
    DiffusionModel: "DiffusionModel",
    TextEncoder: "TextEncoder",
    Vae: "Vae",
    ControlNet: "ControlNet",
    ImageEncoder: "ImageEncoder",
    Subgraph: "Subgraph",
}
_NONE = type(None)


@dataclass(frozen=True)
class Annotation:
    """An annotation, read.

    Attributes:
        expr: The port type.
        nullable: None is allowed.
        lazy: It was wrapped in `Lazy`.
        raw_link: It was wrapped in `RawLink`.
        json_schema: Schema of a literal; None if the type can only be linked.
        hints: The `Annotated` hints.
        enum: The Enum class that literals are turned into.
        ports: Port types of packs that occur in it.
    """

    expr: TypeExpr
    nullable: bool = False
    lazy: bool = False
    raw_link: bool = False
    json_schema: dict[str, Any] | None = None
    hints: tuple[Hint, ...] = ()
    enum: type[Enum] | None = None
    ports: tuple[PortType, ...] = ()


def read_annotation(annotation: Any) -> Annotation:
    """What an annotation says about a port.

    Raises:
        TypeError: It names a class that is no port type.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return _annotated(*get_args(annotation))
    if origin is Lazy:
        return replace(read_annotation(get_args(annotation)[0]), lazy=True)
    if origin is RawLink:
        # Only a link: there is no literal to pass.
        inner = read_annotation(get_args(annotation)[0])
        return replace(inner, raw_link=True, json_schema=None, enum=None)
    if origin in (typing.Union, python_types.UnionType):
        return _union(get_args(annotation))
    if origin is Literal:
        return _choices(list(get_args(annotation)))
    if origin in (list, tuple, Sequence):
        return _list(_item_types(annotation))
    if origin in (dict, Mapping):
        return _plain("dict")
    return _class(annotation)


def _annotated(inner: Any, *metadata: Any) -> Annotation:
    declared = next((item for item in metadata if isinstance(item, PortType)), None)
    base = _port(declared) if declared else read_annotation(inner)
    hints = tuple(item for item in metadata if isinstance(item, Hint))
    for item in metadata:
        if isinstance(item, type) and issubclass(item, Hint):
            raise TypeError(f"the hint `{item.__name__}` has no parentheses")
    for hint in hints:
        _check_fits(hint, base.expr)
    schema = base.json_schema
    for hint in hints:
        if isinstance(hint, (Range, MultipleOf, Choices, Seed)) and schema is not None:
            schema = {**schema, **hint.schema()}
    return replace(base, hints=base.hints + hints, json_schema=schema)


_KINDS: Mapping[type, tuple[str, frozenset[str]]] = {
    Range: ("a number", frozenset({"int", "float"})),
    MultipleOf: ("a number", frozenset({"int", "float"})),
    Seed: ("a whole number", frozenset({"int"})),
    Multiline: ("a text", frozenset({"str"})),
    PromptText: ("a text", frozenset({"str"})),
    Secret: ("a text", frozenset({"str"})),
    File: ("a text or a path", frozenset({"str", "Path"})),
    Choices: ("a text or a number", frozenset({"str", "int", "float"})),
}
"""What each hint is for: in words, and names of types."""
_CHOICES: Mapping[str, type | tuple[type, ...]] = {"str": str, "int": int, "float": (int, float)}


def _check_fits(hint: Hint, expr: TypeExpr) -> None:
    """Refuse a hint that would say nothing of values of a type.

    Raises:
        TypeError: It is such.
    """
    name = type(hint).__name__
    words, kinds = _KINDS.get(type(hint), ("", frozenset[str]()))
    members = expr.members if expr.kind == "union" else (expr,)
    if kinds and not any(member.name in {*kinds, "Any"} for member in members):
        inner = expr.item if expr.is_list else expr
        more = f"; apply it to the items: `list[Annotated[{inner}, {name}(…)]]`"
        raise TypeError(
            f"the hint `{name}` is for {words}, but the type is {expr}"
            + (more if expr.is_list and inner.name in kinds else "")
        )
    of = _CHOICES.get(expr.name) if isinstance(hint, Choices) else None
    if of is not None:
        for value in hint.values:  # type: ignore[union-attr]
            if not isinstance(value, of):
                raise TypeError(f"its `Choices` have {value!r}, but the type is {expr}")


def _union(members: tuple[Any, ...]) -> Annotation:
    read = [read_annotation(member) for member in members if member is not _NONE]
    schemas = [member.json_schema for member in read]
    joined: dict[str, Any] | None = None
    if all(schema is not None for schema in schemas):
        joined = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    elif any(schema is not None for schema in schemas):
        joined = {"anyOf": [schema for schema in schemas if schema is not None]}
    return Annotation(
        union_of(member.expr for member in read),
        nullable=_NONE in members or any(member.nullable for member in read),
        lazy=any(member.lazy for member in read),
        raw_link=any(member.raw_link for member in read),
        json_schema=joined,
        hints=tuple(hint for member in read for hint in member.hints),
        enum=next((member.enum for member in read if member.enum), None),
        ports=tuple(port for member in read for port in member.ports),
    )


def _choices(values: list[Any]) -> Annotation:
    choices = [value for value in values if value is not None]
    kinds = {type(value) for value in choices}
    name = "str" if kinds == {str} else "int" if kinds == {int} else "Any"
    return Annotation(
        named_type(name), nullable=len(choices) < len(values), json_schema={"enum": choices}
    )


def _item_types(annotation: Any) -> tuple[Any, ...]:
    """The type of a list's items; of a tuple that says each one's, what they have in common.

    Raises:
        TypeError: They are of several types, of which a list's items would lose all but one.
    """
    items = get_args(annotation)
    if get_origin(annotation) is tuple and len({*map(str, items)} - {"Ellipsis"}) > 1:
        raise TypeError(
            f"{annotation} has items of several types; use one input for each item, or declare a "
            "class with @port_type()"
        )
    return items


def _list(arguments: tuple[Any, ...]) -> Annotation:
    item = read_annotation(arguments[0]) if arguments else _plain("Any")
    schema = None
    if item.json_schema is not None:
        schema = {"type": "array", "items": item.json_schema}
    return Annotation(list_of(item.expr), json_schema=schema, enum=item.enum, ports=item.ports)


def _class(annotation: Any) -> Annotation:
    if annotation in (list, tuple):
        return _list(())
    if isinstance(annotation, type):
        # Not inherited: a subclass of a port type is its own, undeclared, class.
        declared = annotation.__dict__.get(PORT_ATTRIBUTE)
        if declared is not None:
            return _port(declared)
        if issubclass(annotation, Enum):
            values = [member.value for member in annotation]
            return replace(_choices(values), enum=annotation)
    name = _NAMED.get(annotation) if _hashable(annotation) else None
    if name is None:
        raise TypeError(
            f"{annotation!r} is not a port type; use a built-in one, or declare the class with "
            "@port_type()"
        )
    return _plain(name)


def _port(port: PortType) -> Annotation:
    return Annotation(named_type(port.info.name), ports=(port,))


def _plain(name: str) -> Annotation:
    if name == "Any":
        return Annotation(named_type(name), json_schema={})
    kind = JSON_TYPES.get(name)
    return Annotation(named_type(name), json_schema={"type": kind} if kind else None)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def widget(hints: tuple[Hint, ...]) -> dict[str, Any]:
    """The display options that hints give an input.

    Raises:
        PackError: A widget's name can't be that of a script.
    """
    shown: dict[str, Any] = {}
    for hint in hints:
        if isinstance(hint, Range) and hint.step is not None:
            shown["step"] = hint.step
        elif isinstance(hint, Multiline):
            shown["widget"] = "multiline"
        elif isinstance(hint, PromptText):
            shown |= {"widget": "multiline", "prompt": True}
        elif isinstance(hint, Secret):
            shown["widget"] = "secret"
        elif isinstance(hint, Seed):
            shown["widget"] = "seed"
        elif isinstance(hint, File):
            shown["widget"] = f"file:{hint.kind}"
        elif isinstance(hint, Widget):
            shown["widget"] = f"{OF_PACK}{script_name(hint.name)}"
        elif isinstance(hint, Advanced):
            shown["advanced"] = True
        elif isinstance(hint, Group):
            shown["group"] = hint.name
        elif isinstance(hint, Body):
            shown["widget"] = "subgraph"
            outputs = {port: tuple(own) for port, own in hint.outputs.items()}
            shown["body"] = BodySpec(inputs=dict(hint.inputs), outputs=outputs)
    return shown
