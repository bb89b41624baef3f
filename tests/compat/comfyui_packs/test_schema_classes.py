"""Classes with schemas (V3) run as those of V1 do."""

from __future__ import annotations

from tests.compat.comfyui_packs.conftest import Prompts, node


def test_a_class_has_a_copy_for_each_call(prompts: Prompts) -> None:
    prompt = {
        "77": node("Scale", image=["1", 0], factor=1.0, mode="twice"),
        "1": node("Picture", brightness=0.25, size=2),
        "2": node("Show", value=["77", 0]),
        "3": node("Show", value=["77", 1]),
    }

    outcome = prompts.run(prompt)

    assert outcome.text("2") == "(1, 2, 2, 3) 0.500"
    assert outcome.text("3") == "2"


def test_a_schema_class_refuses_values(prompts: Prompts) -> None:
    prompt = {
        "1": node("Picture", brightness=0.25, size=2),
        "2": node("Scale", image=["1", 0], factor=9.5, mode="plain"),
        "3": node("Show", value=["2", 0]),
    }

    ((_, details),) = prompts.refusal(prompt)["2"]
    assert "too large" in details


def test_growing_inputs_arrive_in_one_dictionary(prompts: Prompts) -> None:
    prompt = {
        "1": node("Text|test", text="b"),
        "2": node(
            "Join",
            **{"texts.text0": "a", "texts.text1": ["1", 0], "texts.text3": "d", "numbers.y": 4},
        ),
        "3": node("Show", value=["2", 0]),
    }

    assert prompts.run(prompt).text("3") == "text0:a+text1:b+text3:d {'y': 4}"


def test_a_growing_input_has_a_least_number(prompts: Prompts) -> None:
    prompt = {"1": node("Join", **{"texts.text0": "a"}), "2": node("Show", value=["1", 0])}

    assert "1" in prompts.refusal(prompt)


def test_a_choice_brings_its_own_inputs(prompts: Prompts) -> None:
    small = prompts.run({"1": node("Choose", **{"kind": "small", "kind.size": 3})})
    large = prompts.run({"1": node("Choose", **{"kind": "large", "kind.share": 0.25})})

    assert small.text("1") == "[('kind', 'small'), ('size', 3)]"
    assert large.text("1") == "[('kind', 'large'), ('share', 0.25)]"


def test_lazy_inputs_of_matching_types(prompts: Prompts) -> None:
    prompt = {
        "1": node("Picture", brightness=0.25, size=2),
        "2": node("Fail", image=["1", 0], message="not asked for"),
        "3": node("Same", first=["1", 0], second=["2", 0], pick=True),
        "4": node("Show", value=["3", 0]),
    }

    assert prompts.run(prompt).text("4") == "(1, 2, 2, 3) 0.250"


def test_a_preview_is_a_temporary_file(prompts: Prompts) -> None:
    prompt = {
        "1": node("Picture", brightness=0.25, size=2),
        "2": node("Preview", image=["1", 0], x=2),
    }

    (shown,) = prompts.run(prompt).ui("2")

    (image,) = shown["images"]
    assert image["type"] == "temp"
    assert (prompts.session.environment.temporary / image["filename"]).is_file()


def test_a_schema_class_returns_a_graph_or_blocks(prompts: Prompts) -> None:
    prompt = {
        "1": node("Grow", value=37),
        "2": node("Show", value=["1", 0]),
        "3": node("Stop", value=1),
        "4": node("Show", value=["3", 0]),
    }

    outcome = prompts.run(prompt)

    assert outcome.text("2") == "42"
    assert outcome.status("4") == "skipped"
