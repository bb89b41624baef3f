"""Advice: which node types give what an input lacks, and which make one type of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.api import Conditioning, DiffusionModel, HookInputs, Latent, TextEncoder, node
from nodegraph.core.analysis import check_workflow
from nodegraph.core.catalog import Usage
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem

from .support import ENVIRONMENT, NODES, Functions, text_to_image


def _shape_family(inputs: HookInputs) -> Mapping[str, Mapping[str, Any]]:
    return {"conditioning": {"family": "shapes"}}


@node(infer=_shape_family)
def AskForShape(sides: int = 3) -> Conditioning: ...


def _shape_model(inputs: HookInputs) -> Mapping[str, Mapping[str, Any]]:
    return {"diffusion_model": {"family": "shapes"}}


@node(infer=_shape_model)
def LoadShapes(name: str = "") -> DiffusionModel: ...


@node
def BeginVideo(latent: Latent, encoder: TextEncoder | None = None) -> Latent: ...


@node
def ADecoder(latent: Latent, encoder: TextEncoder) -> Conditioning: ...


class Counted(Functions):
    """Node types that are known to be used more or less."""

    usage = Usage(
        {"EncodePrompt": 9, "AskForShape": 2},
        {
            "EncodePrompt.conditioning": {"KSampler.positive": {"sd1": 8, "": 1}},
            "AskForShape.conditioning": {"KSampler.positive": {"shapes": 2}},
        },
    )


CATALOG = Counted(*NODES, AskForShape, LoadShapes, BeginVideo, ADecoder)


def problem_of(workflow: Workflow, port: str) -> Problem:
    problems = check_workflow(workflow, CATALOG, ENVIRONMENT)
    return next(problem for problem in problems if problem.port == port)


def lacking_prompt() -> Workflow:
    workflow = text_to_image()
    del workflow.nodes["positive"]
    del workflow.nodes["sample"].inputs["positive"]
    return workflow


def test_what_is_missing_is_given_by_what_is_used_most_there() -> None:
    hint = problem_of(lacking_prompt(), "positive").hint
    assert hint == "Add a node that gives Conditioning, such as EncodePrompt."


def test_a_linked_model_of_a_known_family_counts_more() -> None:
    workflow = lacking_prompt()
    workflow.nodes["shapes"] = NodeEntry(type="LoadShapes")
    workflow.nodes["sample"].inputs["model"] = {"from": "shapes"}
    hint = problem_of(workflow, "positive").hint
    assert hint == "Add a node that gives Conditioning, such as AskForShape."


def test_what_no_node_makes_of_another_type_is_given_by_another_node() -> None:
    workflow = text_to_image()
    workflow.nodes["sample"].inputs["latent"] = {"from": "load.text_encoder"}
    del workflow.nodes["size"]
    problem = problem_of(workflow, "latent")
    assert problem.code == "wrong-type"
    assert problem.hint == "Add a node that gives Latent, such as EmptyLatent."
