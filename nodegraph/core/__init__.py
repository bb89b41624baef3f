"""Values and rules: port types, node specs, the workflow file, validation, the graph.

Names are imported when first used, so that code that needs one module does not pay for all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nodegraph.core.analysis import Analysis, analyse, check_workflow, workflow_warnings
    from nodegraph.core.catalog import Catalog
    from nodegraph.core.context import Context, Environment, Preview
    from nodegraph.core.declarations import input_spec, with_texts, with_versions
    from nodegraph.core.graph import CheckedGraph, GraphNode, LinkSource
    from nodegraph.core.graph_builder import build_graph
    from nodegraph.core.json_schema import workflow_json_schema
    from nodegraph.core.links import Link
    from nodegraph.core.literals import check_literal, convert_literal, parse_literal
    from nodegraph.core.migrations import FORMAT
    from nodegraph.core.parts import NodeEntry, Parameter, Subgraph, SubgraphInput
    from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec
    from nodegraph.core.subgraphs import node_spec, subgraph_spec
    from nodegraph.core.types import TypeExpr, TypeInfo, TypeTable, fit, parse_type
    from nodegraph.core.workflow import Workflow

__all__ = [
    "FORMAT",
    "Analysis",
    "Catalog",
    "CheckedGraph",
    "Context",
    "Environment",
    "GraphNode",
    "InputSpec",
    "Link",
    "LinkSource",
    "NodeEntry",
    "NodeSpec",
    "OutputSpec",
    "Parameter",
    "Preview",
    "Subgraph",
    "SubgraphInput",
    "TypeExpr",
    "TypeInfo",
    "TypeTable",
    "Workflow",
    "analyse",
    "build_graph",
    "check_literal",
    "check_workflow",
    "convert_literal",
    "fit",
    "input_spec",
    "node_spec",
    "parse_literal",
    "parse_type",
    "subgraph_spec",
    "with_texts",
    "with_versions",
    "workflow_json_schema",
    "workflow_warnings",
]

_HOMES = {
    "analysis": ("Analysis", "analyse", "check_workflow", "workflow_warnings"),
    "graph_builder": ("build_graph",),
    "catalog": ("Catalog",),
    "context": ("Context", "Environment", "Preview"),
    "graph": ("CheckedGraph", "GraphNode", "LinkSource"),
    "json_schema": ("workflow_json_schema",),
    "links": ("Link",),
    "literals": ("check_literal", "convert_literal", "parse_literal"),
    "migrations": ("FORMAT",),
    "declarations": ("input_spec", "with_texts", "with_versions"),
    "parts": ("NodeEntry", "Parameter", "Subgraph", "SubgraphInput"),
    "spec": ("InputSpec", "NodeSpec", "OutputSpec"),
    "subgraphs": ("node_spec", "subgraph_spec"),
    "types": ("TypeExpr", "TypeInfo", "TypeTable", "fit", "parse_type"),
    "workflow": ("Workflow",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
