"""The JSON Schema of the workflow file."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from nodegraph.core.json_schema import DIALECT, workflow_json_schema
from nodegraph.core.parts import NodeEntry, Parameter, Subgraph, SubgraphInput
from nodegraph.core.workflow import Workflow
from tests.core.support import DIFFUSION


def resolved(schema: dict[str, Any], reference: str) -> dict[str, Any]:
    """What a reference within the schema leads to."""
    found = schema
    for part in reference.removeprefix("#/").replace("%20", " ").split("/"):
        found = found[part]
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for item in value.values() for found in references(item)]


def test_it_describes_every_key_of_the_format() -> None:
    schema = workflow_json_schema()
    parts = {
        Workflow: schema,
        NodeEntry: schema["$defs"]["node"],
        Subgraph: schema["$defs"]["subgraph"],
        SubgraphInput: schema["$defs"]["subgraphInput"],
        Parameter: schema["$defs"]["parameter"]["anyOf"][1],
    }
    for model, described in parts.items():
        assert set(described["properties"]) - {"default"} == {
            item.name for item in fields(model)
        } - {"extra"}


def test_every_reference_leads_somewhere() -> None:
    schema = workflow_json_schema(DIFFUSION)
    assert schema["$schema"] == DIALECT
    assert all(resolved(schema, reference) for reference in references(schema))
    assert json.loads(json.dumps(schema)) == schema


def test_inputs_are_described_by_the_nodes_type() -> None:
    schema = workflow_json_schema(DIFFUSION)
    (rule,) = (
        rule
        for rule in schema["$defs"]["node"]["allOf"]
        if rule["if"]["properties"]["type"]["const"] == "KSampler"
    )
    inputs = resolved(schema, rule["then"]["properties"]["inputs"]["$ref"])
    steps = inputs["properties"]["steps"]
    assert {"type": "integer", "minimum": 1, "maximum": 100} in steps["anyOf"]
    assert steps["default"] == 20
    assert inputs["properties"]["model"]["anyOf"] == [{"$ref": "#/$defs/link"}]
    assert {"type": "null"} in inputs["properties"]["negative"]["anyOf"]
    assert inputs["additionalProperties"] is False


def test_types_are_completed_but_subgraphs_stay_allowed() -> None:
    known, other = workflow_json_schema(DIFFUSION)["$defs"]["node"]["properties"]["type"]["anyOf"]
    assert known["enum"] == DIFFUSION.node_types()
    assert other == {"type": "string"}
