"""Prompts of ComfyUI's clients, checked in its words before they run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from nodegraph import Session
from nodegraph.interop.comfyui.importer import node_table
from nodegraph.interop.comfyui.prompt_check import CheckedPrompt, InvalidPrompt, check_prompt
from tests.server.comfyui_prompts import image_prompt, node

TABLE = node_table()


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


def checked(
    session: Session, prompt: Mapping[str, Any], targets: list[str] | None = None
) -> CheckedPrompt:
    return check_prompt(prompt, TABLE, session.registry, session.environment, targets)


def reasons(
    session: Session, changes: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """What is wrong with each node of a prompt whose inputs were changed."""
    prompt = copy.deepcopy(image_prompt())
    for key, inputs in changes.items():
        prompt[key]["inputs"] |= inputs
    with pytest.raises(InvalidPrompt) as caught:
        checked(session, prompt)
    assert caught.value.error["type"] == "prompt_outputs_failed_validation"
    for each in caught.value.node_errors.values():
        assert each["dependent_outputs"] == ["9"]
    return {key: each["errors"] for key, each in caught.value.node_errors.items()}


def test_a_sound_prompt_becomes_a_workflow_with_origins(session: Session) -> None:
    prompt = image_prompt()
    result = checked(session, prompt)
    assert result.outputs == ["9"]
    assert result.targets is None
    assert result.node_errors == {}
    assert set(result.origins.values()) == set(prompt)
    assert set(result.origins) == set(result.workflow["nodes"])
    types = {key: result.workflow["nodes"][name]["type"] for name, key in result.origins.items()}
    assert types["3"] == "KSampler"
    assert types["9"] == "SaveImage"


@pytest.mark.parametrize(
    ("changes", "at", "kind", "port"),
    [
        ({"3": {"steps": -1}}, "3", "value_smaller_than_min", "steps"),
        ({"3": {"steps": 1 << 40}}, "3", "value_bigger_than_max", "steps"),
        ({"3": {"seed": "abc"}}, "3", "invalid_input_type", "seed"),
        ({"3": {"cfg": [1.0, 2.0, 3.0]}}, "3", "bad_linked_input", "cfg"),
        ({"3": {"cfg": [5, 0]}}, "3", "bad_linked_input", "cfg"),
        ({"3": {"sampler_name": "nothing"}}, "3", "value_not_in_list", "sampler_name"),
        ({"4": {"ckpt_name": "no.safetensors"}}, "4", "value_not_in_list", "ckpt_name"),
        ({"3": {"model": ["4", 1]}}, "3", "return_type_mismatch", "model"),
    ],
)
def test_reasons_name_the_input_as_the_client_wrote_it(
    session: Session, changes: dict[str, dict[str, Any]], at: str, kind: str, port: str
) -> None:
    found = reasons(session, changes)
    assert list(found) == [at]
    (reason,) = found[at]
    assert reason["type"] == kind
    assert reason["extra_info"]["input_name"] == port
    assert reason["message"]
    assert port in reason["details"]
    if kind != "return_type_mismatch":
        assert reason["extra_info"]["received_value"] == changes[at][port]


def test_links_to_nothing_are_exceptions_of_the_validation(session: Session) -> None:
    (reason,) = reasons(session, {"8": {"vae": ["99", 0]}})["8"]
    assert reason["type"] == "exception_during_validation"
    assert reason["extra_info"]["exception_type"] == "KeyError"
    assert "`vae`" in reason["details"]
    (reason,) = reasons(session, {"8": {"vae": ["4", 7]}})["8"]
    assert reason["extra_info"]["exception_type"] == "IndexError"
    assert "it has 3 outputs" in reason["details"]


def test_a_missing_input_is_named(session: Session) -> None:
    prompt = image_prompt()
    del prompt["8"]["inputs"]["vae"]
    with pytest.raises(InvalidPrompt) as caught:
        checked(session, prompt)
    (reason,) = caught.value.node_errors["8"]["errors"]
    assert reason["type"] == "required_input_missing"
    assert reason["extra_info"] == {"input_name": "vae"}
    # A value that has a default may be left out.
    prompt = image_prompt()
    del prompt["3"]["inputs"]["steps"]
    assert checked(session, prompt).outputs == ["9"]


def test_a_circle_is_told_with_its_nodes(session: Session) -> None:
    prompt = {
        "1": node("ImageInvert", image=["2", 0]),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    }
    with pytest.raises(InvalidPrompt) as caught:
        checked(session, prompt)
    found = [
        reason
        for each in caught.value.node_errors.values()
        for reason in each["errors"]
        if reason["type"] == "dependency_cycle"
    ]
    assert len(found) == 1
    assert found[0]["details"] == "2 (ImageInvert) -> 1 (ImageInvert) -> 2 (ImageInvert)"
    assert found[0]["extra_info"] == {"node_id": "2", "cycle_nodes": ["2", "1"]}


def test_only_valid_outputs_are_translated(session: Session) -> None:
    bad = {
        "20": node("SaveImage", images=["77", 0], filename_prefix="x"),
        "21": node("CheckpointLoaderSimple", ckpt_name="no.safetensors"),
        "22": node("VAEDecode", samples=["3", 0], vae=["21", 2]),
        "23": node("PreviewImage", images=["22", 0]),
    }
    result = checked(session, image_prompt(5, **bad))
    assert result.outputs == ["9"]
    assert set(result.origins.values()) == set(image_prompt())
    assert {key: each["dependent_outputs"] for key, each in result.node_errors.items()} == {
        "20": ["20"],
        "21": ["23"],
    }


def test_only_outputs_among_the_targets_are_translated(session: Session) -> None:
    prompt = image_prompt(5, **{"10": node("PreviewImage", images=["8", 0])})
    assert checked(session, prompt).outputs == ["9", "10"]
    result = checked(session, prompt, ["10", "3"])
    assert result.outputs == ["10"]
    assert "9" not in result.origins.values()
    for targets in ([], ["3"], ["nothing"]):
        with pytest.raises(InvalidPrompt) as caught:
            checked(session, prompt, targets)
        assert caught.value.error["type"] == "prompt_no_outputs"
        assert caught.value.node_errors == {}


def test_what_leads_to_no_output_is_not_checked(session: Session) -> None:
    prompt = image_prompt(5, **{"30": node("VAEDecode", samples=["99", 0], vae=["4", 2])})
    assert checked(session, prompt).node_errors == {}


def test_an_unknown_type_anywhere_refuses_the_prompt(session: Session) -> None:
    prompt = image_prompt(5, **{"30": node("NoSuchNode", "A title")})
    with pytest.raises(InvalidPrompt) as caught:
        checked(session, prompt)
    assert caught.value.error["type"] == "missing_node_type"
    assert caught.value.error["extra_info"] == {
        "node_id": "30",
        "class_type": "NoSuchNode",
        "node_title": "A title",
    }
    assert caught.value.node_errors == {}


def test_a_known_node_that_cannot_be_translated_is_a_reason(session: Session) -> None:
    prompt = {
        "1": node("StringTrim", string="red ", mode="Both"),
        "2": node("LoadImageMask", image="a.png", channel=["1", 0]),
        "3": node("MaskPreview", mask=["2", 0]),
    }
    with pytest.raises(InvalidPrompt) as caught:
        checked(session, prompt)
    (reason,) = caught.value.node_errors["2"]["errors"]
    assert reason["type"] == "custom_validation_failed"
    assert "channel" in reason["details"]
