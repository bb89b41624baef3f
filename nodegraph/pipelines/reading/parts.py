"""What a pipeline is made of: its components, and the plain values beside them."""

from __future__ import annotations

import ast

from nodegraph.pipelines.classes import PipelinePart
from nodegraph.pipelines.reading.annotations import read_annotation
from nodegraph.pipelines.reading.code import arguments, defaults
from nodegraph.pipelines.reading.lineage import PipelineSource
from nodegraph.pipelines.reading.modules import walk


def read_parts(source: PipelineSource) -> tuple[tuple[PipelinePart, ...], tuple[str, ...]]:
    """Components in the order of the constructor, and names of its plain values.

    A component is what the constructor registers as a module; one is optional if it says so in
    ``_optional_components`` or has a default.
    """
    built = source.method("__init__")
    if built is None:
        return (), ()
    registered = _registered(source)
    optional = _optional(source)
    with_default = set(defaults(built[1]))
    parts: list[PipelinePart] = []
    config: list[str] = []
    for item in arguments(built[1]):
        if item.arg not in registered:
            config.append(item.arg)
            continue
        annotation = read_annotation(source.package, built[0].module, item.annotation, follow=False)
        classes = tuple(sorted(annotation.kinds))
        left_out = item.arg in optional or item.arg in with_default
        parts.append(PipelinePart(item.arg, classes, left_out))
    known = {part.name for part in parts}
    parts += [PipelinePart(name, (), name in optional) for name in registered if name not in known]
    return tuple(parts), tuple(config)


def _registered(source: PipelineSource) -> list[str]:
    """Words of ``register_modules`` in its constructor and those that this one calls."""
    found: dict[str, None] = {}
    for item in source.lineage:
        built = item.methods.get("__init__")
        if built is None:
            continue
        for node in walk(built):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "register_modules"
            ):
                found |= dict.fromkeys(word.arg for word in node.keywords if word.arg)
        if "super().__init__(" not in ast.unparse(built):
            break
    return list(found)


def _optional(source: PipelineSource) -> set[str]:
    value = source.attribute("_optional_components")
    if not isinstance(value, ast.List | ast.Tuple | ast.Set):
        return set()
    return {str(item.value) for item in value.elts if isinstance(item, ast.Constant)}
