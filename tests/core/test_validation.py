"""A workflow is checked as a whole: every problem at once, none twice, none that misleads.

Single faults and their messages are in broken/.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.api import Image, Latent, node
from nodegraph.core.analysis import check_workflow, workflow_warnings
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.errors import NodegraphError
from tests.core.support import (
    DIFFUSION,
    ENVIRONMENT,
    Functions,
    Invert,
    SaveImage,
    VAEDecode,
    check,
    text_to_image,
    texts,
    written,
)
from tests.properties import examples


def codes(workflow: Workflow, *functions: Any, **options: Any) -> list[str]:
    return [problem.code for problem in check(workflow, *functions, **options)]


def test_a_valid_workflow_has_no_problems() -> None:
    assert check(text_to_image()) == []


def test_every_fault_is_told_in_the_order_of_the_file() -> None:
    workflow = text_to_image().with_inputs(
        {"load.model": 3, "positive.txt": "x", "sample.steps": 0, "sample.sampler": "x"}
    )
    workflow.nodes["again"] = NodeEntry(type="SaveImage", inputs={"image": "decode"})
    problems = check(workflow)
    assert [(problem.node, problem.port, problem.code) for problem in problems] == [
        ("load", "model", "wrong-literal"),
        ("positive", "txt", "unknown-input"),
        ("sample", "steps", "out-of-range"),
        ("sample", "sampler", "not-a-choice"),
        ("again", "image", "link-needed"),
    ]


def test_inputs_whose_values_were_not_read_have_to_be_given() -> None:
    workflow = text_to_image()
    sample = workflow.nodes["sample"]
    sample.inputs.pop("steps", None)
    sample.unread = ["steps"]
    again = Workflow.from_json(workflow.to_json())
    (problem,) = check(again)
    assert (problem.node, problem.port, problem.code) == ("sample", "steps", "values-not-read")
    assert check(again.with_inputs({"sample.steps": 20})) == []


@node(
    version=2,
    output=True,
    migrations={
        1: lambda old: {"size" if name == "radius" else name: value for name, value in old.items()}
    },
)
def Sized(size: float = 1.0) -> None: ...


def test_inputs_that_were_not_read_are_asked_for_by_the_names_of_today() -> None:
    workflow = written({"a": {"type": "Sized", "version": 1, "unread": ["radius"]}})
    (problem,) = check(workflow, Sized)
    assert (problem.node, problem.port, problem.code) == ("a", "size", "values-not-read")
    given = written({"a": {"type": "Sized", "version": 1, "unread": ["radius"], "inputs": {
        "radius": 2.0
    }}})  # fmt: skip
    assert check(given, Sized) == []
    assert check(workflow.with_inputs({"a.size": 2.0}), Sized) == []


@node(version=2, output=True, migrations={1: lambda old: {"is_large": old["w"] * old["h"] > 10**9}})
def Large(is_large: bool = False) -> None: ...


def test_names_that_the_other_program_has_are_told_of_the_inputs_of_today() -> None:
    old = {"type": "Large", "version": 1, "unread": ["w", "h"]}
    names = {"unread_as": {"w": "Wide", "h": "High"}}
    (problem,) = check(written({"a": {**old, **names}}), Large)
    assert (problem.port, problem.code) == ("is_large", "values-not-read")
    assert "`Wide` and `High`" in (problem.hint or "")


def test_names_of_inputs_that_were_not_read_are_checked() -> None:
    (problem,) = check(written({"a": {"type": "Sized", "unread": ["sise"]}}), Sized)
    assert (problem.port, problem.code) == ("sise", "unknown-input")
    assert "`size`" in (problem.hint or "")


def test_an_input_of_a_subgraph_that_was_not_read_has_to_be_given() -> None:
    block = {
        "inputs": {"size": {"to": ["inner.size"], "default": 2.0}},
        "nodes": {"inner": {"type": "Sized", "inputs": {"size": 3.0}}},
    }
    workflow = written({"a": {"type": "Block", "unread": ["size"]}}, subgraphs={"Block": block})
    (problem,) = check(workflow, Sized)
    assert (problem.node, problem.port, problem.code) == ("a", "size", "values-not-read")
    assert check(workflow.with_inputs({"a.size": 4.0}), Sized) == []


def test_what_was_not_read_inside_a_subgraph_is_given_inside_it() -> None:
    inner = {"nodes": {"sized": {"type": "Sized", "unread": ["size"]}}}
    outer = {"nodes": {"inner": {"type": "Inner"}}}
    nodes = {"a": {"type": "Outer"}}
    workflow = written(nodes, subgraphs={"Outer": outer, "Inner": inner})
    (problem,) = check(workflow, Sized)
    assert (problem.node, problem.port) == ("a/inner/sized", "size")
    assert "`subgraphs.Inner.nodes.sized.inputs`" in (problem.hint or "")

    document = workflow.to_dict()
    document["subgraphs"]["Inner"]["nodes"]["sized"]["inputs"] = {"size": 2.0}
    assert check(Workflow.from_dict(document), Sized) == []

    # An input that leads there is asked for where it can be given: again inside, one level up.
    document = workflow.to_dict()
    document["subgraphs"]["Inner"]["inputs"] = {"size": {"to": ["sized.size"]}}
    (problem,) = check(Workflow.from_dict(document), Sized)
    assert (problem.node, problem.port) == ("a/inner", "size")
    assert "`subgraphs.Outer.nodes.inner.inputs`" in (problem.hint or "")


def test_an_unknown_type_is_told_once_and_hides_nothing_else() -> None:
    workflow = text_to_image().with_inputs({"sample.steps": 0})
    workflow.nodes["load"].type = "LoadModl"
    workflow.nodes["decode"].inputs["latent"] = {"from": "load.anything"}
    assert codes(workflow) == ["unknown-node-type", "out-of-range"]


def test_a_cycle_through_an_unknown_type_is_told_too() -> None:
    workflow = written(
        {
            "a": {"type": "Unknown", "inputs": {"x": {"from": "b"}}},
            "b": {"type": "Invert", "inputs": {"image": {"from": "a"}}},
        }
    )
    assert codes(workflow) == ["cycle", "unknown-node-type"]


def test_inputs_of_nodes_in_a_cycle_are_checked_too() -> None:
    workflow = text_to_image().with_inputs({"sample.steps": 0})
    workflow.nodes["size"].type = "Invert"
    workflow.nodes["size"].inputs = {"image": {"from": "decode"}}
    assert codes(workflow) == ["cycle", "wrong-type", "out-of-range"]


def test_a_missing_link_is_never_mended_by_a_cycle() -> None:
    workflow = written(
        {
            "first": {"type": "Invert"},
            "second": {"type": "Invert", "inputs": {"image": {"from": "first"}}},
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "second"}}},
        }
    )
    (problem,) = check(workflow, Invert, SaveImage, VAEDecode)
    assert problem.hint == "Add a node that outputs Image, such as VAEDecode."


def test_the_mend_between_is_a_node_type_that_exists() -> None:
    @node
    def Develop(negative: Latent) -> Image: ...

    @node(deprecated="Use Develop.")
    def A(negative: Latent) -> Image: ...

    @node
    def Start() -> Latent: ...

    workflow = written(
        {
            "start": {"type": "Start"},
            "invert": {"type": "Invert", "inputs": {"image": {"from": "start"}}},
        }
    )
    (problem,) = check(workflow, Develop, A, Start, Invert, targets=["invert"])
    assert problem.hint == "Put a Develop between them."

    @node
    def Bleach(negative: Latent, strength: float = 1.0) -> Image: ...

    (problem,) = check(workflow, Bleach, Develop, Start, Invert, targets=["invert"])
    assert problem.hint == "Put a Develop between them."  # with no settings: the plainer way


def test_without_any_node_type_the_hints_are_silent() -> None:
    workflow = written({"a": {"type": "A"}})
    assert texts(check_workflow(workflow, Functions(), ENVIRONMENT)) == [
        "node `a` (A): there is no node type `A`"
    ]


def test_an_empty_workflow_has_nothing_to_run() -> None:
    assert codes(Workflow()) == ["no-output"]
    assert codes(Workflow(), targets=[]) == []


def test_lists_within_lists_have_an_end() -> None:
    @node
    def Split(value: int) -> list[int]: ...

    nodes = {"split0": {"type": "Split", "inputs": {"value": 1}}}
    for at in range(12):
        nodes[f"split{at + 1}"] = {"type": "Split", "inputs": {"value": {"from": f"split{at}"}}}
    problems = check(written(nodes), Split, targets=["split12"])
    assert problems[0].code == "too-deep"
    assert problems[0].given == "9 levels"


def test_deprecated_types_and_unused_nodes_are_warnings() -> None:
    @node(deprecated="Use Invert.")
    def Negate(image: Image) -> Image: ...

    @node
    def Load() -> Image: ...

    catalog = Functions(Negate, Load, SaveImage)
    loaded = {"image": {"from": "load"}}
    nodes = {
        "load": {"type": "Load"},
        "negate": {"type": "Negate", "inputs": loaded},
        "save": {"type": "SaveImage", "inputs": loaded},
    }
    workflow = written(nodes)
    assert check_workflow(workflow, catalog, ENVIRONMENT) == []
    assert texts(workflow_warnings(workflow, catalog, ENVIRONMENT)) == [
        "node `negate` (Negate): its type is deprecated. Use Invert.",
        "node `negate` (Negate): no node that runs needs it, so it does not run",
    ]


JUNK = st.sampled_from(
    [None, True, -1, 2.5, "", "x", "load", "load.vae", [], [1], {}, {"from": "sample"},
     {"from": "load.vae"}, {"from": 3}, {"from": ""}, {"value": {"from": 1}}, "\ud800", 10**400]
)  # fmt: skip


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_whatever_a_file_says_is_told_never_raised(data: st.DataObject) -> None:
    document = text_to_image().to_dict()
    document["subgraphs"] = {
        "Block": {
            "inputs": {"in": {"type": "Image", "to": ["one.image"]}},
            "outputs": {"out": "one"},
            "nodes": {"one": {"type": "Invert"}, "two": {"type": "Block"}},
        }
    }
    document["nodes"]["block"] = {"type": "Block", "inputs": {"in": {"from": "decode"}}}
    document["parameters"] = {"seed": "sample.seed"}
    for _ in range(data.draw(st.integers(1, 4))):
        place: Any = document
        while isinstance(place, dict) and place:
            key = data.draw(st.sampled_from([*place, "new"]))
            if key == "new" or not isinstance(place[key], dict) or data.draw(st.booleans()):
                place[key] = deepcopy(data.draw(JUNK))
                break
            place = place[key]
    try:
        workflow = Workflow.from_dict(document)
        workflow.to_json()
    except NodegraphError:
        return
    problems = check_workflow(workflow, DIFFUSION, ENVIRONMENT)
    assert len(set(problems)) == len(problems)
    assert all(str(problem) for problem in problems)
