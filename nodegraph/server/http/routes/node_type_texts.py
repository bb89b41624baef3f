"""Texts of node types in a language, as routes send them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec
from nodegraph.packs.translations import Translation, category_parts, port_words
from nodegraph.server.workflows.node_types import DeclaredTypes


class NodeTypeHelp(BaseModel):
    """Texts of a node type for search and help."""

    summary: str = Field(description="One sentence on what the node does.")
    tags: tuple[str, ...] = Field(description="More search words.")
    help: str
    inputs: dict[str, str] = Field(description="By input; inputs without a text are missing.")
    outputs: dict[str, str] = Field(description="By output; outputs without a text are missing.")


class NodeTypeHelpList(BaseModel):
    """Texts of all node types."""

    items: dict[str, NodeTypeHelp] = Field(description="By node type.")


class NodeTypeNames(BaseModel):
    """Names of node types, categories and ports in a language, to be shown.

    Workflows and the API use the English names. A name without a translation is missing.
    """

    language: str = Field(
        description="The language that there is, `en` if there are no translations.",
        examples=["de"],
    )
    types: dict[str, str] = Field(
        description="By node type.", examples=[{"LoadImage": "Bild laden"}]
    )
    categories: dict[str, str] = Field(
        description="By the parts of categories between slashes.", examples=[{"image": "Bild"}]
    )
    ports: dict[str, dict[str, str]] = Field(
        description="Of inputs and outputs, by pack, then by port; an empty name means the "
        "built-in nodes.",
        examples=[{"": {"seed": "Startwert"}}],
    )


def declared_specs(types: DeclaredTypes) -> list[NodeSpec]:
    """All node types, sorted by name."""
    specs = (types.spec(name) for name in types.node_types())
    return [spec for spec in specs if spec is not None]


def help_list(types: DeclaredTypes, language: str) -> dict[str, Any]:
    """A `NodeTypeHelpList`."""
    translation = types.translations.translation(language)
    return {"items": {spec.type: _help(spec, translation) for spec in declared_specs(types)}}


def _help(spec: NodeSpec, translation: Translation) -> dict[str, Any]:
    def text(english: str) -> str:
        return translation.help(spec.pack, english)

    def texts(ports: Sequence[InputSpec] | Sequence[OutputSpec]) -> dict[str, str]:
        return {port.name: text(port.help) for port in ports if port.help}

    return {
        "summary": text(spec.summary),
        "tags": spec.tags,
        "help": text(spec.help),
        "inputs": texts(spec.inputs),
        "outputs": texts(spec.outputs),
    }


def type_names(types: DeclaredTypes, language: str) -> dict[str, Any]:
    """A `NodeTypeNames`."""
    translation = types.translations.translation(language)
    labels: dict[str, str] = {}
    categories: dict[str, str] = {}
    ports: dict[str, dict[str, str]] = {}
    # Built-in types first: a category that several packs use has one name.
    for spec in sorted(declared_specs(types), key=lambda spec: spec.pack):
        label = translation.text(spec.pack, "node name", spec.label)
        if label != spec.label:
            labels[spec.type] = label
        for part in category_parts(spec.category):
            shown = translation.text(spec.pack, "category", part)
            if shown != part:
                categories.setdefault(part, shown)
        ports_of: list[InputSpec | OutputSpec] = [*spec.inputs, *spec.outputs]
        for port in ports_of:
            words = port_words(port.name)
            shown = translation.text(spec.pack, "port name", words)
            if shown != words:
                ports.setdefault(spec.pack, {})[port.name] = shown
    return NodeTypeNames(
        language=language, types=labels, categories=categories, ports=ports
    ).model_dump()
