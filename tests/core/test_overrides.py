"""Inputs given as text on a command line."""

from __future__ import annotations

import pytest

from nodegraph.core.declarations import input_spec, with_texts
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow
from tests.core.support import DIFFUSION, text_to_image, texts


def workflow() -> Workflow:
    parameters = {"prompt": "positive.text", "seed": "sample.seed"}
    return Workflow.from_dict({**text_to_image().to_dict(), "parameters": parameters})


def test_texts_become_the_types_of_their_inputs() -> None:
    found = with_texts(
        workflow(),
        DIFFUSION,
        parameters={"prompt": "42", "seed": "42"},
        inputs={"sample.cfg": "3", "sample.latent": '{"from": "other.latent"}'},
    )
    assert found.nodes["positive"].inputs["text"] == "42"
    assert found.nodes["sample"].inputs["seed"] == 42
    assert repr(found.nodes["sample"].inputs["cfg"]) == "3.0"
    assert found.nodes["sample"].inputs["latent"] == {"from": "other.latent"}


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        with_texts(
            workflow(),
            DIFFUSION,
            parameters={"promt": "x", "seed": "many"},
            inputs={"sample.step": "3", "sampl.steps": "3", "load.model": '{"from": ""}'},
        )
    assert texts(caught.value.problems) == [
        "the workflow has no parameter `promt`. Did you mean `prompt`?",
        "node `sample` (KSampler), input `seed`: has a value of the wrong type "
        '(given: "many"; expected: a whole number from 0 to 18446744073709551615)',
        "node `sample` (KSampler), input `step`: has no such input. Did you mean `steps`?",
        "`sampl.steps`: there is no node `sampl`. Did you mean `sample`?",
        "`load.model` has a link that cannot be read: '' is not of the form `node.port`",
    ]


def test_where_a_parameter_and_an_input_meet_the_input_wins() -> None:
    found = with_texts(workflow(), DIFFUSION, parameters={"seed": "1"}, inputs={"sample.seed": "2"})
    assert found.nodes["sample"].inputs["seed"] == 2


def test_for_an_unknown_type_text_is_json_or_text() -> None:
    bare = Workflow(nodes={"a": NodeEntry(type="Unknown")})
    found = with_texts(bare, DIFFUSION, inputs={"a.x": "3", "a.y": "three"})
    assert found.nodes["a"].inputs == {"x": 3, "y": "three"}
    assert input_spec(bare, "a.x", DIFFUSION) is None
