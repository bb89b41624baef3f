"""What a class of a ComfyUI pack refuses is refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.comfyui_packs.conftest import Prompts, node


def shown(first: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"1": first, "2": node("Show", value=["1", 0]), **more}


def test_a_missing_input_is_refused(prompts: Prompts) -> None:
    refused = prompts.refusal(shown(node("Spoil")))

    assert refused == {"1": [("required_input_missing", "image")]}


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ({"brightness": 2.0, "size": 4}, "value_bigger_than_max"),
        ({"brightness": 0.5, "size": 0}, "value_smaller_than_min"),
        ({"brightness": "bright", "size": 4}, "invalid_input_type"),
    ],
)
def test_values_out_of_range_are_refused(
    prompts: Prompts, inputs: dict[str, Any], kind: str
) -> None:
    refused = prompts.refusal(shown(node("Picture", **inputs)))

    assert [each for each, _ in refused["1"]] == [kind]


def test_a_value_that_is_no_choice_is_refused(prompts: Prompts) -> None:
    many = {"__value__": ["a"]}
    given = node("Options", **{"old combo": "blue", "new.combo": 2, "many": many, "either": 1})

    assert [kind for kind, _ in prompts.refusal(shown(given))["1"]] == ["value_not_in_list"]


def test_a_link_of_another_type_is_refused(prompts: Prompts) -> None:
    prompt = shown(node("Spoil", image=["3", 0]), **{"3": node("Number", value=1)})

    assert [kind for kind, _ in prompts.refusal(prompt)["1"]] == ["return_type_mismatch"]


def test_a_class_refuses_with_its_own_words(prompts: Prompts) -> None:
    refused = prompts.refusal(shown(node("Valid1", first=-1.0, second=0.0)))

    ((kind, details),) = refused["1"]
    assert kind == "custom_validation_failed"
    assert details.startswith("first")
    assert "Invalid value of first: -1.0" in details


def test_what_a_class_checks_itself_has_no_other_limit(prompts: Prompts) -> None:
    assert prompts.check(shown(node("Valid1", first=99.0, second=0.0))).outputs == ["2"]


def test_a_class_that_checks_types_of_links_takes_others_than_it_declares(
    prompts: Prompts,
) -> None:
    picture = node("Picture", brightness=0.5, size=4)
    number, text = node("Number", value=1), node("Text|test", text="a")

    def prompt(first: dict[str, Any]) -> dict[str, Any]:
        return shown(node("Valid2", first=["3", 0], second=["4", 0]), **{"3": first, "4": picture})

    assert prompts.check(prompt(number)).outputs == ["2"]
    ((_, details),) = prompts.refusal(prompt(text))["1"]
    assert "Invalid type of first: STRING" in details


def test_validation_may_be_async_and_take_all_inputs(prompts: Prompts) -> None:
    refused = prompts.refusal(shown(node("Valid3", first=5.0, second=100.0)))

    assert [kind for kind, _ in refused["1"]] == ["custom_validation_failed"] * 2


def test_one_bad_output_does_not_stop_the_others(prompts: Prompts) -> None:
    prompt = {
        "1": node("Picture", brightness=9.0, size=4),
        "2": node("Show", value=["1", 0]),
        "3": node("Number", value=4),
        "4": node("Show", value=["3", 0]),
    }

    checked = prompts.check(prompt)

    assert checked.outputs == ["4"]
    assert list(checked.node_errors) == ["1"]
    assert prompts.run(prompt).text("4") == "4"
