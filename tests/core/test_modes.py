"""Muted and bypassed nodes: what is left out, what stands for what, and what is told."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from nodegraph.api import Image, Mask, node
from nodegraph.core.analysis import analyse
from nodegraph.core.graph import LinkSource
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow
from tests.core.support import ENVIRONMENT, Functions, build, check, texts, written


class Both(NamedTuple):
    image: Image
    mask: Mask


@node
def Load(name: str = "x") -> Image: ...


@node
def Blur(image: Image, radius: float = 1.0) -> Image: ...


@node
def Overlay(image: Image, over: Image | None = None) -> Image: ...


@node
def Split(image: Image, mask: Mask) -> Both: ...


@node
def ToMask(image: Image) -> Mask: ...


@node
def Measure(image: Image) -> float: ...


@node(output=True)
def Save(image: Image, name: str = "x") -> None: ...


NODES = (Load, Blur, Overlay, Split, ToMask, Measure, Save)


def link(text: str) -> dict[str, str]:
    return {"from": text}


def chain(mode: str, node: str = "blur") -> Workflow:
    """Load, blur, save; one of them in some mode."""
    nodes: dict[str, Any] = {
        "load": {"type": "Load"},
        "blur": {"type": "Blur", "inputs": {"image": link("load")}},
        "save": {"type": "Save", "inputs": {"image": link("blur")}},
        "other": {"type": "Save", "inputs": {"image": link("load"), "name": "y"}},
    }
    nodes[node]["mode"] = mode
    return written(nodes)


def test_what_needs_a_muted_node_is_left_out() -> None:
    graph = build(chain("mute"), *NODES)
    assert list(graph.nodes) == ["load", "other"]
    assert graph.targets == ("other",)


def test_an_optional_input_from_a_muted_node_counts_as_not_given() -> None:
    workflow = written(
        {
            "load": {"type": "Load"},
            "top": {"type": "Load", "mode": "mute"},
            "both": {"type": "Overlay", "inputs": {"image": link("load"), "over": link("top")}},
            "save": {"type": "Save", "inputs": {"image": link("both")}},
        }
    )
    graph = build(workflow, *NODES)
    assert graph.nodes["both"].literals["over"] is None
    assert list(graph.nodes["both"].links) == ["image"]


def test_a_bypassed_node_hands_on_its_input() -> None:
    graph = build(chain("bypass"), *NODES)
    assert graph.nodes["save"].links["image"] == LinkSource("load", "image")
    assert "blur" not in graph.nodes


def test_each_output_of_a_bypassed_node_stands_for_an_input_of_its_type() -> None:
    workflow = written(
        {
            "load": {"type": "Load"},
            "mask": {"type": "ToMask", "inputs": {"image": link("load")}},
            "split": {
                "type": "Split",
                "inputs": {"mask": link("mask"), "image": link("load")},
                "mode": "bypass",
            },
            "a": {"type": "Save", "inputs": {"image": link("split.image")}},
            "b": {"type": "Save", "inputs": {"image": link("split.mask")}},
        }
    )
    graph = build(workflow, *NODES)
    assert graph.nodes["a"].links["image"].node == "load"
    assert graph.nodes["b"].links["image"].node == "mask"


def test_the_first_of_two_fitting_inputs_counts_in_the_types_order() -> None:
    workflow = written(
        {
            "one": {"type": "Load"},
            "two": {"type": "Load", "inputs": {"name": "y"}},
            "both": {
                "type": "Overlay",
                "inputs": {"over": link("two"), "image": link("one")},
                "mode": "bypass",
            },
            "save": {"type": "Save", "inputs": {"image": link("both")}},
        }
    )
    assert build(workflow, *NODES).nodes["save"].links["image"].node == "one"


def test_a_needed_output_that_nothing_stands_for_is_told_with_how_to_mend_it() -> None:
    workflow = written(
        {
            "load": {"type": "Load"},
            "mask": {"type": "ToMask", "inputs": {"image": link("load")}, "mode": "bypass"},
            "split": {"type": "Split", "inputs": {"image": link("load"), "mask": link("mask")}},
            "save": {"type": "Save", "inputs": {"image": link("split.image")}},
        }
    )
    [problem] = check(workflow, *NODES)
    assert str(problem) == (
        "node `split` (Split), input `mask`: is linked to `mask.mask`, but `mask` is "
        "bypassed, and none of its linked inputs can replace that output (expected: a linked "
        "input of type Mask). Link such an input of `mask`, or remove its `mode`."
    )


def test_an_output_that_nothing_stands_for_counts_as_not_given_where_that_is_allowed() -> None:
    workflow = written(
        {
            "load": {"type": "Load"},
            "top": {"type": "Load", "mode": "bypass"},
            "both": {"type": "Overlay", "inputs": {"image": link("load"), "over": link("top")}},
            "save": {"type": "Save", "inputs": {"image": link("both")}},
        }
    )
    assert build(workflow, *NODES).nodes["both"].literals["over"] is None


def test_what_is_wrong_with_a_muted_node_is_not_told() -> None:
    workflow = written(
        {
            "load": {"type": "Load"},
            "gone": {"type": "NotInstalled", "inputs": {"x": link("load")}, "mode": "mute"},
            "blur": {"type": "Blur", "inputs": {"image": link("gone.image")}},
            "late": {"type": "Save", "inputs": {"image": link("blur")}},
            "save": {"type": "Save", "inputs": {"image": link("load")}},
        }
    )
    assert texts(check(workflow, *NODES)) == []


def test_a_broken_link_of_a_bypassed_node_is_told_at_that_node() -> None:
    workflow = chain("bypass").with_inputs({"blur.image": written_link("lod")})
    assert texts(check(workflow, *NODES)) == [
        "node `blur` (Blur), input `image`: is linked to `lod`, but there is no such node. "
        "Did you mean `load`?"
    ]


def written_link(text: str) -> Any:
    from nodegraph.core.links import parse_link

    return parse_link(text)


def test_the_type_that_gets_through_a_bypassed_node_is_checked() -> None:
    workflow = written(
        {
            "load": {"type": "Load"},
            "number": {"type": "Measure", "inputs": {"image": link("load")}},
            "blur": {"type": "Blur", "inputs": {"image": link("number")}, "mode": "bypass"},
            "save": {"type": "Save", "inputs": {"image": link("blur")}},
        }
    )
    [problem] = check(workflow, *NODES)
    assert (problem.node, problem.given, problem.expected) == ("save", "float", "Image")


def test_bypassed_nodes_in_a_circle_are_told() -> None:
    workflow = written(
        {
            "a": {"type": "Blur", "inputs": {"image": link("b")}, "mode": "bypass"},
            "b": {"type": "Blur", "inputs": {"image": link("a")}, "mode": "bypass"},
            "save": {"type": "Save", "inputs": {"image": link("a")}},
        }
    )
    [problem] = check(workflow, *NODES)
    assert "bypassed nodes that form a cycle: a → b → a" in str(problem)


def test_a_muted_node_breaks_a_circle() -> None:
    workflow = written(
        {
            "a": {"type": "Blur", "inputs": {"image": link("b")}},
            "b": {"type": "Blur", "inputs": {"image": link("a")}, "mode": "mute"},
            "load": {"type": "Load"},
            "save": {"type": "Save", "inputs": {"image": link("load")}},
        }
    )
    assert list(build(workflow, *NODES).nodes) == ["load", "save"]


@pytest.mark.parametrize("target", ["blur", "blur.image"])
def test_a_muted_target_is_told(target: str) -> None:
    [problem] = check(chain("mute"), *NODES, targets=[target])
    assert str(problem) == (
        f"the target `{target}` is muted. Remove the `mode` of `blur`, or choose another node."
    )


@pytest.mark.parametrize("target", ["save"])
def test_a_target_that_needs_a_muted_node_is_told(target: str) -> None:
    [problem] = check(chain("mute"), *NODES, targets=[target])
    assert "is left out because `blur` is muted" in str(problem)


def test_a_bypassed_target_is_what_stands_for_it() -> None:
    assert build(chain("bypass"), *NODES, targets=["blur"]).targets == ("load",)


def test_a_bypassed_sink_as_a_target_is_told() -> None:
    [problem] = check(chain("bypass", "save"), *NODES, targets=["save"])
    assert "is bypassed, and no input can replace its output" in str(problem)


def test_a_workflow_whose_sinks_are_all_muted_has_nothing_to_run() -> None:
    workflow = chain("mute", "load")
    [problem] = check(workflow, *NODES)
    assert problem.code == "no-output"
    assert problem.hint == "Remove the `mode` of `load`."


def test_what_only_a_muted_node_needs_gets_no_warning() -> None:
    nodes = {
        "load": {"type": "Load"},
        "only": {"type": "Load", "inputs": {"name": "z"}},
        "blur": {"type": "Blur", "inputs": {"image": link("only")}},
        "muted": {"type": "Save", "inputs": {"image": link("blur")}, "mode": "mute"},
        "save": {"type": "Save", "inputs": {"image": link("load")}},
    }
    assert analyse(written(nodes), Functions(*NODES), ENVIRONMENT).warnings == ()


BLOCK = {
    "inputs": {"picture": {"type": "Image", "to": ["blur.image"]}},
    "outputs": {"soft": "blur"},
    "nodes": {
        "blur": {"type": "Blur"},
        "extra": {"type": "Save", "inputs": {"image": link("blur")}},
    },
}


def block(mode: str | None, **changes: Any) -> Workflow:
    nodes = {
        "load": {"type": "Load"},
        "soft": {"type": "Soft", "inputs": {"picture": link("load")}},
        "save": {"type": "Save", "inputs": {"image": link("soft")}},
        "other": {"type": "Save", "inputs": {"image": link("load")}},
    }
    workflow = written(nodes, subgraphs={"Soft": {**BLOCK, **changes}})
    return workflow.with_modes({"soft": mode})


def test_a_muted_block_leaves_all_of_it_out() -> None:
    assert list(build(block("mute"), *NODES).nodes) == ["load", "other"]


def test_a_bypassed_block_hands_on_its_input() -> None:
    graph = build(block("bypass"), *NODES)
    assert list(graph.nodes) == ["load", "save", "other"]
    assert graph.nodes["save"].links["image"] == LinkSource("load", "image")


def test_nodes_inside_a_block_may_be_muted_and_bypassed() -> None:
    def inside(mode: str) -> Workflow:
        nodes = {**BLOCK["nodes"], "blur": {"type": "Blur", "mode": mode}}
        return block(None, nodes=nodes)

    assert list(build(inside("mute"), *NODES).nodes) == ["load", "other"]
    bypassed = build(inside("bypass"), *NODES)
    assert bypassed.nodes["soft/extra"].links["image"] == LinkSource("load", "image")
    assert bypassed.nodes["save"].links["image"] == LinkSource("load", "image")


def test_a_target_inside_a_muted_block_is_told() -> None:
    [problem] = check(block("mute"), *NODES, targets=["soft/blur"])
    assert "is left out because `soft` is muted" in str(problem)


def test_a_blocks_default_stands_where_its_input_comes_from_a_muted_node() -> None:
    soft = {
        "inputs": {"radius": {"type": "float", "to": ["blur.radius"], "default": 7}},
        "outputs": {"soft": "blur"},
        "nodes": {
            "blur": {"type": "Blur", "inputs": {"image": link("load"), "radius": 3}},
            "load": {"type": "Load"},
        },
    }
    nodes = {
        "load": {"type": "Load"},
        "number": {"type": "Measure", "inputs": {"image": link("load")}, "mode": "mute"},
        "soft": {"type": "Soft", "inputs": {"radius": link("number")}},
        "save": {"type": "Save", "inputs": {"image": link("soft")}},
    }
    graph = build(written(nodes, subgraphs={"Soft": soft}), *NODES)
    assert graph.nodes["soft/blur"].literals["radius"] == 7
    del soft["inputs"]["radius"]["default"]  # type: ignore[index]
    graph = build(written(nodes, subgraphs={"Soft": soft}), *NODES)
    assert graph.nodes["soft/blur"].literals["radius"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["bypass", "mute"])
def test_a_hundred_thousand_nodes_in_a_row(mode: str) -> None:
    count = 100_000
    nodes: dict[str, Any] = {"n0": {"type": "Load"}, "s": {"type": "Save"}}
    for at in range(1, count):
        nodes[f"n{at}"] = {"type": "Blur", "inputs": {"image": link(f"n{at - 1}")}}
        if mode == "bypass":
            nodes[f"n{at}"]["mode"] = mode
    nodes["s"]["inputs"] = {"image": link(f"n{count - 1}")}
    if mode == "bypass":
        assert list(build(written(nodes), *NODES).nodes) == ["n0", "s"]
    else:
        nodes["n0"]["mode"] = mode
        [problem] = check(written(nodes), *NODES)
        assert problem.code == "no-output"


# In the file


def test_the_mode_is_kept_on_save() -> None:
    workflow = chain("bypass")
    assert '"mode": "bypass"' in workflow.to_json()
    assert Workflow.from_json(workflow.to_json()) == workflow
    assert '"mode"' not in workflow.with_modes({"blur": None}).to_json()


def test_an_unknown_mode_is_told_with_the_nearest() -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        chain("bypassed")
    [problem] = caught.value.problems
    assert (problem.node, problem.hint) == ("blur", "Did you mean `bypass`?")


def test_modes_may_be_given_for_one_run() -> None:
    workflow = chain("mute").with_modes({"blur": "bypass", "other": "mute"})
    assert list(build(workflow, *NODES).nodes) == ["load", "save"]
    with pytest.raises(InvalidWorkflow) as caught:
        workflow.with_modes({"blurr": "mute", "save": "mut"})
    assert [problem.hint for problem in caught.value.problems] == [
        "Did you mean `blur`?",
        "Did you mean `mute`?",
    ]
