"""Port types, checks whether an output fits an input, and conversions of values on links.

A port's type is an expression: a name (``Image``), ``list[Image]`` or a union
(``Image | Mask``). A `TypeTable` holds the names and their supertypes; packs add their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal


def _mask_to_image(mask: Any) -> Any:
    # A view: (batch, height, width) -> (batch, height, width, 3).
    return mask.unsqueeze(-1).expand(-1, -1, -1, 3)


CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "int_to_float": float,
    "mask_to_image": _mask_to_image,
    "str_to_path": Path,
    "one_to_list": lambda value: [value],
}


def convert(value: Any, conversions: tuple[str, ...]) -> Any:
    """Apply conversions to a value, one after the other."""
    for name in conversions:
        value = _convert_one(value, name)
    return value


def _convert_one(value: Any, name: str) -> Any:
    if name.startswith("each:"):
        return [_convert_one(item, name.removeprefix("each:")) for item in value]
    return CONVERT[name](value)


ANY = "Any"
ANY_ITEM = "AnyItem"
"""Type of inputs that take anything except a list: the node is mapped over that."""


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """Description of a named port type for editors and link checks.

    Attributes:
        name: Name of the type in node declarations.
        color: Color of its ports and links, ``#rrggbb``.
        parents: Names of the types whose inputs also accept values of this type.
        description: Description in one sentence.
    """

    name: str
    color: str = "#9aa0a6"
    parents: tuple[str, ...] = ()
    description: str = ""


BUILT_IN = (
    TypeInfo("Any", "#9aa0a6", (), "Anything."),
    TypeInfo("AnyItem", "#9aa0a6", (), "Anything except a list, whose items come one by one."),
    TypeInfo("int", "#7aa2f7", (), "A whole number."),
    TypeInfo("float", "#7dcfff", (), "A number."),
    TypeInfo("bool", "#bb9af7", (), "True or false."),
    TypeInfo("str", "#9ece6a", (), "Text."),
    TypeInfo("bytes", "#9aa0a6", (), "Raw bytes."),
    TypeInfo("dict", "#c0caf5", (), "A JSON object."),
    TypeInfo("Path", "#73daca", (), "A file or folder."),
    TypeInfo("Image", "#64b5f6", (), "float32 [batch, height, width, channels] in 0..1, sRGB."),
    TypeInfo("Mask", "#81c784", (), "float32 [batch, height, width] in 0..1."),
    TypeInfo("Video", "#d9805f", (), "float32 [frames, height, width, 3] in 0..1, rate and audio."),
    TypeInfo("Audio", "#c9c46b", (), "float32 [channels, samples] in -1..1, and their rate."),
    TypeInfo("Mesh", "#8fb58c", (), "A surface of triangles, with colors or a texture."),
    TypeInfo("PointCloud", "#6fb3a8", (), "Points in space, with colors."),
    TypeInfo("Voxels", "#a3b86c", (), "A grid of numbers in space, higher inside solids."),
    TypeInfo("Molecule", "#c58fb0", (), "Atoms, their positions, and bonds."),
    TypeInfo("TrainedWeights", "#8f9be0", (), "The result of a training."),
    TypeInfo("Plot", "#e08fa0", (), "Series of numbers over common axes."),
    TypeInfo("Dataset", "#d4b483", (), "Training examples with their captions."),
    TypeInfo("Latent", "#ff9cf9", (), "Latents of a batch, or the size of a batch to sample."),
    TypeInfo("Conditioning", "#ffa931", (), "Encoded prompts."),
    TypeInfo("DiffusionModel", "#b39ddb", (), "Recipe of a diffusion model."),
    TypeInfo("TextEncoder", "#ffd500", (), "Recipe of a text encoder with its tokenizer."),
    TypeInfo("Vae", "#ff6e6e", (), "Recipe of a variational autoencoder."),
    TypeInfo("ImageEncoder", "#c2a36b", (), "Recipe of an image encoder."),
    TypeInfo("ControlNet", "#00d78d", (), "Recipe of a ControlNet."),
    TypeInfo("Subgraph", "#f7768e", (), "One of the workflow's own subgraphs."),
)


JSON_TYPES: Mapping[str, str] = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "str": "string",
    "dict": "object",
    "Path": "string",
    "Subgraph": "string",
}
"""Types that a workflow can write as a literal, and their names in JSON Schema."""


class TypeTable:
    """Table of the named types: the built-in types and those of packs."""

    def __init__(self, extra: Iterable[TypeInfo] = ()) -> None:
        self._types = {info.name: info for info in BUILT_IN}
        for info in extra:
            self.add(info)

    def add(self, info: TypeInfo) -> None:
        """Add a type.

        Raises:
            ValueError: Another type has this name.
        """
        known = self._types.get(info.name)
        if known is not None and known != info:
            raise ValueError(f"port type `{info.name}` is declared twice, differently")
        self._types[info.name] = info

    def __contains__(self, name: str) -> bool:
        return name in self._types

    def names(self) -> list[str]:
        return sorted(self._types)

    def info(self, name: str) -> TypeInfo:
        """Return the type of a name; for an unknown name, a gray type without parents."""
        return self._types.get(name) or TypeInfo(name)

    def is_subtype(self, name: str, of: str) -> bool:
        """Return whether values of type `name` are values of type `of`."""
        if of in (ANY, name):
            return True
        # Packs may declare parents that lead back to the type itself.
        above = {name: None}
        waiting = [name]
        while waiting:
            new = [parent for parent in self.info(waiting.pop()).parents if parent not in above]
            above.update(dict.fromkeys(new))
            waiting += new
        return of in above


@dataclass(frozen=True, slots=True)
class TypeExpr:
    """Type of a port: a named type, a list or a union.

    Attributes:
        kind: ``name``, ``list`` or ``union``.
        name: Name of the type, for kind ``name``.
        members: The item type of a list, or a union's members.
    """

    kind: Literal["name", "list", "union"]
    name: str = ""
    members: tuple[TypeExpr, ...] = field(default=())

    def __str__(self) -> str:
        if self.kind == "name":
            return self.name
        if self.kind == "list":
            return f"list[{self.members[0]}]"
        return " | ".join(str(member) for member in self.members)

    @property
    def is_list(self) -> bool:
        return self.kind == "list"

    @property
    def item(self) -> TypeExpr:
        """The item type of a list."""
        return self.members[0]

    def type_names(self) -> Iterable[str]:
        """Yield every type name in the expression."""
        if self.kind == "name":
            yield self.name
        for member in self.members:
            yield from member.type_names()


def named_type(name: str) -> TypeExpr:
    return TypeExpr("name", name)


def list_of(item: TypeExpr) -> TypeExpr:
    return TypeExpr("list", members=(item,))


def union_of(members: Iterable[TypeExpr]) -> TypeExpr:
    """Return the flat union of types without duplicates; a single type is returned itself."""
    flat: dict[TypeExpr, None] = {}
    for member in members:
        flat.update(dict.fromkeys(member.members if member.kind == "union" else (member,)))
    flattened = tuple(flat)
    return flattened[0] if len(flattened) == 1 else TypeExpr("union", members=flattened)


MAX_LIST_DEPTH = 16
"""Largest number of lists in one port type, nested or side by side."""
_TOKEN = re.compile(r"\s*(list\[|\]|\||[A-Za-z_][A-Za-z0-9_.:-]*)")


@lru_cache(maxsize=4096)
def parse_type(text: str) -> TypeExpr:
    """Read a type expression such as ``list[Image] | Mask``.

    Raises:
        ValueError: The text is not a type expression.
    """
    tokens = _TOKEN.findall(text)
    if tokens.count("list[") > MAX_LIST_DEPTH:
        raise ValueError(f"a port type with too many lists: {text[:60]!r}…")
    if "".join(tokens) != re.sub(r"\s", "", text) or not tokens:
        raise ValueError(f"not a port type: {text!r}")
    expr, remaining = _parse_union(tokens)
    if remaining:
        raise ValueError(f"not a port type: {text!r}")
    return expr


def _parse_union(tokens: list[str]) -> tuple[TypeExpr, list[str]]:
    member, remaining = _parse_atom(tokens)
    members = [member]
    while remaining and remaining[0] == "|":
        member, remaining = _parse_atom(remaining[1:])
        members.append(member)
    return union_of(members), remaining


def _parse_atom(tokens: list[str]) -> tuple[TypeExpr, list[str]]:
    if not tokens or tokens[0] in ("]", "|"):
        raise ValueError("the port type ends too early")
    if tokens[0] != "list[":
        return named_type(tokens[0]), tokens[1:]
    item, remaining = _parse_union(tokens[1:])
    if not remaining or remaining[0] != "]":
        raise ValueError("a list type has no closing bracket")
    return list_of(item), remaining[1:]


@dataclass(frozen=True, slots=True)
class Fit:
    """Conversion of an output's value for an input.

    Attributes:
        conversions: Names of the conversions to apply, in order.
        map_depth: Number of list levels that the node is mapped over.
    """

    conversions: tuple[str, ...] = ()
    map_depth: int = 0


CONVERSIONS: Mapping[tuple[str, str], str] = {
    ("int", "float"): "int_to_float",
    ("Mask", "Image"): "mask_to_image",
    ("str", "Path"): "str_to_path",
}
"""Safe conversions between named types, by (from, to)."""


def fit(source: TypeExpr, target: TypeExpr, types: TypeTable) -> Fit | None:
    """Return how a value of type `source` fits an input of type `target`, or None if it does not.

    In order of preference: unchanged; converted; a single value wrapped in a list; a list that the
    node is mapped over item by item.
    """
    return _fit(source, target, types, {})


def _fit(
    source: TypeExpr,
    target: TypeExpr,
    types: TypeTable,
    known: dict[tuple[TypeExpr, TypeExpr], Fit | None],
) -> Fit | None:
    # Lists in lists lead to the same pairs many times over: without memory, exponentially many.
    pair = (source, target)
    if pair not in known:
        known[pair] = _find_fit(source, target, types, known)
    return known[pair]


def _find_fit(
    source: TypeExpr,
    target: TypeExpr,
    types: TypeTable,
    known: dict[tuple[TypeExpr, TypeExpr], Fit | None],
) -> Fit | None:
    if is_assignable(source, target, types):
        return Fit()
    conversion = _conversion(source, target, types)
    if conversion is not None:
        return Fit((conversion,))
    if target.is_list and not source.is_list:
        inner = _fit(source, target.item, types, known)
        if inner is not None and not inner.map_depth:
            return Fit((*inner.conversions, "one_to_list"))
    if source.is_list and target.is_list:
        inner = _fit(source.item, target.item, types, known)
        if inner is not None and not inner.map_depth:
            return Fit(tuple(f"each:{name}" for name in inner.conversions))
    if source.is_list:
        inner = _fit(source.item, target, types, known)
        if inner is not None and "one_to_list" not in inner.conversions:
            return Fit(inner.conversions, inner.map_depth + 1)
    return None


def is_assignable(source: TypeExpr, target: TypeExpr, types: TypeTable) -> bool:
    """Return whether values of one type are values of another without conversion."""
    if source.kind == "union":
        return all(is_assignable(member, target, types) for member in source.members)
    if target.kind == "union":
        return any(is_assignable(source, member, types) for member in target.members)
    if target == named_type(ANY) or source == named_type(ANY):
        return True
    if target == named_type(ANY_ITEM):
        return source.kind == "name"
    if source.kind == "list" and target.kind == "list":
        return is_assignable(source.item, target.item, types)
    if source.kind == "name" and target.kind == "name":
        return types.is_subtype(source.name, target.name)
    return False


def _conversion(source: TypeExpr, target: TypeExpr, types: TypeTable) -> str | None:
    if source.kind != "name":
        return None
    members = target.members if target.kind == "union" else (target,)
    for member in members:
        for (start, end), name in CONVERSIONS.items():
            if member == named_type(end) and types.is_subtype(source.name, start):
                return name
    return None


def is_recipe(expr: TypeExpr) -> bool:
    """Whether values of a type are parts of models."""
    from nodegraph.core import values  # only advice needs it

    kind = getattr(values, expr.name, None)
    return isinstance(kind, type) and issubclass(kind, values.Recipe)
