"""Advice: which node types give what an input lacks, and which make one type of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nodegraph.api import (
    Conditioning,
    DiffusionModel,
    HookInputs,
    Image,
    Latent,
    TextEncoder,
    Vae,
    node,
)
from nodegraph.core.analysis import check_workflow
from nodegraph.core.catalog import Usage
from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggestions import NodeTypeSuggestions
from nodegraph.core.types import named_type
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
    assert hint == "Add a node that outputs Conditioning, such as EncodePrompt."


def test_a_linked_model_of_a_known_family_counts_more() -> None:
    workflow = lacking_prompt()
    workflow.nodes["shapes"] = NodeEntry(type="LoadShapes")
    workflow.nodes["sample"].inputs["model"] = {"from": "shapes"}
    hint = problem_of(workflow, "positive").hint
    assert hint == "Add a node that outputs Conditioning, such as AskForShape."


def test_what_no_node_makes_of_another_type_is_given_by_another_node() -> None:
    workflow = text_to_image()
    workflow.nodes["sample"].inputs["latent"] = {"from": "load.text_encoder"}
    del workflow.nodes["size"]
    problem = problem_of(workflow, "latent")
    assert problem.code == "wrong-type"
    assert problem.hint == "Add a node that outputs Latent, such as EmptyLatent."


@node
def ADescriber(vae: Vae, image: Image, guide: Conditioning | None = None) -> Conditioning: ...


class CountedLinks(Functions):
    """Node types of which some take what they are rarely linked to."""

    usage = Usage(
        {},
        {
            "EncodePrompt.conditioning": {"KSampler.positive": {"sd1": 26}},
            "ADescriber.conditioning": {"KSampler.positive": {"video": 2}},
            "LoadModel.vae": {"VAEDecode.vae": {"": 30}, "ADescriber.vae": {"video": 2}},
            "LoadModel.text_encoder": {"EncodePrompt.encoder": {"": 30}},
            "KSampler.latent": {"VAEDecode.latent": {"": 29}},
            "EmptyLatent.latent": {"VAEDecode.latent": {"": 2}},
            "VAEDecode.image": {"SaveImage.image": {"": 20}},
        },
    )


LINKS = CountedLinks(*NODES, ADescriber)


def hint_of(workflow: Workflow, port: str) -> str | None:
    problems = check_workflow(workflow, LINKS, ENVIRONMENT)
    return next(problem for problem in problems if problem.port == port).hint


def test_what_takes_such_an_output_itself_is_named_where_it_is_linked_there() -> None:
    workflow = text_to_image()
    for name in ("sample", "size", "positive"):
        del workflow.nodes[name]
    del workflow.nodes["decode"].inputs["latent"]
    expected = "Add a node that outputs Latent, such as KSampler or EmptyLatent."
    assert hint_of(workflow, "latent") == expected
    workflow.nodes["decode"].inputs["latent"] = {"from": "load.text_encoder"}
    assert hint_of(workflow, "latent") == expected


def test_a_node_that_needs_more_links_and_is_hardly_used_for_that_is_not_put_between() -> None:
    workflow = text_to_image()
    workflow.nodes["sample"].inputs["positive"] = {"from": "load.vae"}
    assert hint_of(workflow, "positive") == 'Link it: {"from": "positive.conditioning"}.'
    del workflow.nodes["positive"]
    assert hint_of(workflow, "positive") == (
        "Link `load.text_encoder` to an EncodePrompt, and link that here."
    )


def test_a_node_that_needs_more_links_is_put_between_where_people_do_so() -> None:
    workflow = text_to_image()
    workflow.nodes["save"].inputs["image"] = {"from": "sample"}
    assert hint_of(workflow, "image") == "Put a VAEDecode between them."
    del workflow.nodes["load"]  # there is no VAE to link to it, and it is what is meant
    assert hint_of(workflow, "image") == "Put a VAEDecode between them."


@node
def AnEncoder(vae: Vae, image: Image) -> Latent: ...


@node
def ReadPhoto() -> Image: ...


@node
def EmptyAtoms(model: DiffusionModel) -> Latent: ...


class CountedEncoders(Functions):
    """Node types of which one is much used to encode images, and one seldom to begin with."""

    usage = Usage(
        {},
        {
            "LoadModel.vae": {"VAEDecode.vae": {"": 30}, "AnEncoder.vae": {"": 20}},
            "LoadModel.model": {"KSampler.model": {"": 30}, "EmptyAtoms.model": {"": 2}},
            "EmptyLatent.latent": {"KSampler.latent": {"": 30}},
            "AnEncoder.latent": {"KSampler.latent": {"": 20}},
            "EmptyAtoms.latent": {"KSampler.latent": {"": 2}},
        },
    )


ENCODERS = CountedEncoders(*NODES, AnEncoder, ReadPhoto, EmptyAtoms)


def test_no_node_is_put_between_that_could_only_be_linked_in_a_cycle() -> None:
    workflow = text_to_image()
    workflow.nodes["sample"].inputs["latent"] = {"from": "load.vae"}
    assert latent_hint(workflow) == 'Link it: {"from": "size.latent"}.'
    del workflow.nodes["size"]
    assert latent_hint(workflow) == (
        "Add a node that outputs Latent, such as EmptyLatent or AnEncoder or EmptyAtoms."
    )
    workflow.nodes["photo"] = NodeEntry(type="ReadPhoto")
    assert latent_hint(workflow) == "Put an AnEncoder between them."


def test_a_detour_is_named_only_if_people_take_it() -> None:
    workflow = text_to_image()
    del workflow.nodes["size"]
    workflow.nodes["sample"].inputs["latent"] = {"from": "load.text_encoder"}
    assert latent_hint(workflow) == (
        "Add a node that outputs Latent, such as EmptyLatent or AnEncoder or EmptyAtoms."
    )


def latent_hint(workflow: Workflow) -> str | None:
    problems = check_workflow(workflow, ENCODERS, ENVIRONMENT)
    return next(problem for problem in problems if problem.port == "latent").hint


def test_a_node_of_another_family_is_not_put_between() -> None:
    catalog = NodeTypeSuggestions(TwoFamilies(*NODES, ADescriber))
    image, conditioning = named_type("Image"), named_type("Conditioning")
    assert catalog.converter(image, conditioning) == "ADescriber"
    assert catalog.converter(image, conditioning, "video") == "ADescriber"
    assert catalog.converter(image, conditioning, "sd1") is None


class Loose(Functions):
    """Node types of which one takes anything."""

    def spec(self, node_type: str) -> NodeSpec | None:
        spec = super().spec(node_type)
        if spec is None or node_type != "ADescriber":
            return spec
        inputs = (replace(each, type="AnyItem") for each in spec.inputs if each.name == "image")
        return replace(spec, inputs=tuple(inputs))


def test_a_node_that_takes_anything_is_not_put_between() -> None:
    catalog = NodeTypeSuggestions(Loose(*NODES, ADescriber))
    assert catalog.converter(named_type("Image"), named_type("Conditioning")) is None


class TwoFamilies(Functions):
    """A node type that is used with one family, and half as much as another of a second one."""

    usage = Usage(
        {},
        {
            "VAEDecode.image": {"ADescriber.image": {"video": 2}, "Invert.image": {"sd1": 3}},
            "ADescriber.conditioning": {"KSampler.positive": {"video": 2}},
            "EncodePrompt.conditioning": {"KSampler.positive": {"sd1": 4}},
        },
    )
