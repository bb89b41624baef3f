"""Prompts with nodes of a ComfyUI pack run as in ComfyUI, in the pack's own process."""

from __future__ import annotations

import pytest

from tests.compat.comfyui_packs.conftest import Prompts, node


def picture(brightness: float = 0.5) -> dict[str, object]:
    return node("Picture", brightness=brightness, size=4, batch=1)


@pytest.mark.slow
def test_values_of_every_option_reach_the_function_under_their_own_names(prompts: Prompts) -> None:
    prompt = {
        "1": node(
            "Options",
            **{
                "old combo": "green",
                "new.combo": 3,
                "many": {"__value__": ["a", "c"]},
                "text": "a\nb",
                "flag": False,
                "seed": 2**64 - 1,
                "class": 2,
                "either": 1.5,
            },
        ),
        "2": node("Show", value=["1", 0]),
    }

    text = prompts.run(prompt).text("2")

    assert "class=2.0;either=1.5;flag=False;many=['a', 'c'];new.combo=3;old combo='green'" in text
    assert f"seed={2**64 - 1}" in text
    assert "socket" not in text


def test_an_optional_input_that_is_absent_has_the_functions_default(prompts: Prompts) -> None:
    prompt = {"1": node("Picture", brightness=1.0, size=2), "2": node("Show", value=["1", 0])}

    assert prompts.run(prompt).text("2") == "(1, 2, 2, 3) 1.000"


def test_texts_and_numbers_are_converted_as_comfyui_does(prompts: Prompts) -> None:
    prompt = {"1": node("Number", value="12"), "2": node("Show", value=["1", 0])}

    assert prompts.run(prompt).text("2") == "12"


def test_core_nodes_and_those_of_the_pack_are_linked(prompts: Prompts) -> None:
    prompt = {
        "1": picture(0.25),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("Scale", image=["2", 0], factor=0.5, mode="plain"),
        "4": node("Show", value=["3", 0]),
    }

    assert prompts.run(prompt).text("4") == "(1, 4, 4, 3) 0.375"


def test_a_list_maps_a_node_and_its_last_item_repeats(prompts: Prompts) -> None:
    prompt = {
        "1": node("Range", start=0, count=3),
        "2": node("Range", start=10, count=2),
        "3": node("Add", a=["1", 0], b=["2", 0]),
        "4": node("ShowAll", value=["3", 0]),
        "5": node("Show", value=["3", 0]),
    }

    outcome = prompts.run(prompt)

    assert outcome.text("4") == "[10, 12, 13]"
    assert outcome.texts("5") == ["10", "12", "13"]


def test_lists_of_the_calls_of_a_mapped_node_are_joined(prompts: Prompts) -> None:
    prompt = {
        "1": node("Range", start=1, count=3),
        "2": node("Range", start=0, count=["1", 0]),
        "3": node("ShowAll", value=["2", 0]),
        "4": node("Sum", values=["2", 0], more=1),
        "5": node("Show", value=["4", 0]),
        "6": node("Show", value=["4", 1]),
    }

    outcome = prompts.run(prompt)

    assert outcome.text("3") == "[0, 0, 1, 0, 1, 2]"
    assert outcome.text("5") == "5"
    assert outcome.text("6") == "6 1 1"


def test_a_silent_blocker_skips_what_depends_on_it(prompts: Prompts) -> None:
    prompt = {
        "1": picture(),
        "2": node("Block", value=["1", 0], block=True, message=""),
        "3": node("Show", value=["2", 0]),
        "4": node("Show", value=["1", 0]),
    }

    outcome = prompts.run(prompt)

    assert outcome.result.is_ok
    assert outcome.status("3") == "skipped"
    assert outcome.text("4") == "(1, 4, 4, 3) 0.500"


def test_a_blocker_with_a_message_says_it_and_the_run_goes_on(prompts: Prompts) -> None:
    prompt = {
        "1": node("Block", value=["3", 0], block=True, message="nothing here"),
        "2": node("Show", value=["1", 0]),
        "3": node("Number", value=1),
    }

    outcome = prompts.run(prompt)

    assert outcome.result.is_ok
    assert any("nothing here" in text for text in outcome.result.nodes[outcome.names["2"]].warnings)


def test_only_the_blocked_item_of_a_list_is_skipped(prompts: Prompts) -> None:
    prompt = {
        "1": node("Range", start=0, count=4),
        "2": node("BlockOdd", value=["1", 0]),
        "3": node("Add", a=["2", 0], b=100),
        "4": node("Show", value=["3", 0]),
    }

    assert prompts.run(prompt).texts("4") == ["100", "102"]


def test_one_blocked_item_blocks_a_node_that_takes_the_list(prompts: Prompts) -> None:
    prompt = {
        "1": node("Range", start=0, count=4),
        "2": node("BlockOdd", value=["1", 0]),
        "3": node("ShowAll", value=["2", 0]),
    }

    assert prompts.run(prompt).status("3") == "skipped"


@pytest.mark.parametrize(
    ("share", "shown", "unused"), [(0.0, 0.1, ["2"]), (1.0, 0.9, ["1"]), (0.5, 0.5, [])]
)
def test_lazy_inputs_are_evaluated_as_check_lazy_status_asks(
    prompts: Prompts, share: float, shown: float, unused: list[str]
) -> None:
    prompt = {
        "1": picture(0.1),
        "2": picture(0.9),
        "3": node("LazyMix", first=["1", 0], second=["2", 0], share=share),
        "4": node("Show", value=["3", 0]),
    }
    outcome = prompts.run(prompt)

    assert outcome.text("4") == f"(1, 4, 4, 3) {shown:.3f}"
    not_run = [each for each in ("1", "2") if not outcome.has_run(each)]
    assert not_run == unused


def test_an_input_that_does_not_exist_cannot_be_asked_for(prompts: Prompts) -> None:
    prompt = {
        "1": picture(),
        "2": node("LazyWrong", first=["1", 0], second=["1", 0], share=0.5),
        "3": node("Show", value=["2", 0]),
    }

    assert "third" in prompts.run(prompt).error("2")


def test_check_lazy_status_may_be_async(prompts: Prompts) -> None:
    prompt = {
        "1": picture(0.3),
        "2": node("LazyAsync", first=["1", 0], second=["1", 0], share=0.5),
        "3": node("Show", value=["2", 0]),
    }

    assert prompts.run(prompt).text("3") == "(1, 4, 4, 3) 0.300"


def test_independent_async_nodes_overlap(prompts: Prompts) -> None:
    prompt = {
        "1": node("Sleep", value="a", seconds=0.6),
        "2": node("Sleep", value="b", seconds=0.6),
        **{str(3 + at): node("Show", value=[str(1 + at % 2), 1 + at // 2]) for at in range(4)},
    }

    outcome = prompts.run(prompt)
    starts = [float(outcome.text(name)) for name in ("3", "4")]
    ends = [float(outcome.text(name)) for name in ("5", "6")]

    assert max(starts) < min(ends)


def test_undeclared_links_reach_a_function_that_takes_them(prompts: Prompts) -> None:
    prompt = {
        "1": picture(0.2),
        "2": picture(0.4),
        "3": picture(0.9),
        "4": node("Average", input1=["1", 0], input2=["2", 0], input3=["3", 0], ignored=7),
        "5": node("Show", value=["4", 0]),
    }

    assert prompts.run(prompt).text("5") == "(1, 4, 4, 3) 0.500"


def test_a_failure_names_the_node_and_has_the_packs_traceback(prompts: Prompts) -> None:
    prompt = {
        "1": picture(),
        "2": node("Fail", image=["1", 0], message="out of paint"),
        "3": node("Show", value=["2", 0]),
        "4": node("FailLater", image=["1", 0], message="too late"),
        "5": node("Show", value=["4", 0]),
    }

    outcome = prompts.run(prompt)

    assert not outcome.result.is_ok
    assert "out of paint" in outcome.error("2")
    assert "too late" in outcome.error("4")
    assert "basic.py" in outcome.failure("2").trace


def test_a_node_may_interrupt_the_run(prompts: Prompts) -> None:
    outcome = prompts.run({"1": node("Interrupt"), "2": node("Show", value=["1", 0])})

    assert outcome.failure("1").problem.code == "cancelled"
    assert not outcome.has_run("2")


def test_a_result_of_the_wrong_length_says_what_is_expected(prompts: Prompts) -> None:
    prompt = {"1": node("WrongCount"), "2": node("Show", value=["1", 1])}

    assert "tuple of 2" in prompts.run(prompt).error("1")


def test_what_a_node_writes_into_its_input_stays_with_it(prompts: Prompts) -> None:
    prompt = {
        "1": picture(0.75),
        "2": node("Spoil", image=["1", 0]),
        "3": node("Show", value=["2", 0]),
    }
    again = {"1": picture(0.75), "3": node("Show", value=["1", 0])}

    assert prompts.run(prompt).text("3") == "(1, 4, 4, 3) 0.000"
    assert prompts.run(again).text("3") == "(1, 4, 4, 3) 0.750"


def test_hidden_inputs_are_those_of_the_clients_prompt(prompts: Prompts) -> None:
    prompt = {
        "17": node("Hidden inputs (test)", text="a"),
        "2": node("Show", value=["17", 0]),
    }

    outcome = prompts.run(prompt, prompt=prompt, workflow={"nodes": []})

    assert outcome.text("2") == "17 Hidden inputs (test) ['workflow'] None"


def test_an_output_node_shows_and_passes_on(prompts: Prompts) -> None:
    prompt = {"1": node("ShowAndPass", text="x"), "2": node("Show", value=["1", 0])}

    outcome = prompts.run(prompt)

    assert outcome.text("1") == "x"
    assert outcome.text("2") == "x!"


def test_files_that_are_shown_are_reported(prompts: Prompts) -> None:
    outcome = prompts.run({"1": node("SaveText", text="written")})

    (file,) = outcome.result.files
    assert file.path.read_text() == "written"
    assert file.path.parent == prompts.session.environment.outputs


# Caching


def test_an_unchanged_prompt_is_answered_from_the_cache(prompts: Prompts) -> None:
    prompt = {"1": node("Counted", value=1), "2": node("Show", value=["1", 0])}

    first, second = prompts.run(prompt), prompts.run(prompt)

    assert first.text("2") == second.text("2")
    assert second.status("1") == "cached"


def test_an_output_node_without_changes_shows_again_what_it_showed(prompts: Prompts) -> None:
    prompt = {
        "1": picture(0.625),
        "2": node("Show", value=["1", 0]),
        "3": node("ChangedAlways", value=1),
        "4": node("Show", value=["3", 0]),
    }

    first, second = prompts.run(prompt), prompts.run(prompt)

    assert second.status("2") == "cached"
    assert second.text("2") == first.text("2")
    assert second.status("4") == "ran"


def test_a_changed_input_runs_its_branch_again_and_no_other(prompts: Prompts) -> None:
    def prompt(value: int) -> dict[str, object]:
        return {
            "1": node("Counted", value=value),
            "2": node("Counted", value=1000),
            "3": node("Add", a=["1", 0], b=["2", 0]),
            "4": node("Show", value=["3", 0]),
        }

    prompts.run(prompt(1001))
    outcome = prompts.run(prompt(1002))

    assert [outcome.status(name) for name in ("1", "2", "3")] == ["ran", "cached", "ran"]


@pytest.mark.parametrize(
    ("class_type", "second"),
    [
        ("ChangedConstant", "cached"),
        ("ChangedAlways", "ran"),
        ("ChangedFails", "ran"),
        ("ChangedLater", "cached"),
    ],
)
def test_is_changed_says_whether_a_node_runs_again(
    prompts: Prompts, class_type: str, second: str
) -> None:
    prompt = {"1": node(class_type, value=5), "2": node("Show", value=["1", 0])}

    prompts.run(prompt)

    assert prompts.run(prompt).status("1") == second


def test_nodes_that_are_not_idempotent_run_each(prompts: Prompts) -> None:
    def prompt(class_type: str, value: int) -> dict[str, object]:
        return {
            "1": node(class_type, value=value),
            "2": node(class_type, value=value),
            "3": node("Show", value=["1", 0]),
            "4": node("Show", value=["2", 0]),
        }

    equal = prompts.run(prompt("Counted", 2001))
    each = prompts.run(prompt("NotIdempotent", 2001))

    assert equal.text("3") == equal.text("4")
    assert each.text("3") != each.text("4")


def test_the_instance_of_a_node_is_kept_between_runs(prompts: Prompts) -> None:
    def prompt(value: int) -> dict[str, object]:
        return {"kept": node("CountCalls", value=value), "2": node("Show", value=["kept", 0])}

    assert [prompts.run(prompt(value)).text("2") for value in (1, 2, 3)] == ["1", "2", "3"]


# Expansions


def test_a_graph_that_a_node_returns_gives_its_outputs(prompts: Prompts) -> None:
    prompt = {
        "1": picture(0.2),
        "2": node("Twice", value=21, image=["1", 0]),
        **{str(3 + at): node("Show", value=["2", at]) for at in range(3)},
    }

    outcome = prompts.run(prompt)

    assert [outcome.text(str(3 + at)) for at in range(3)] == [
        "42",
        "(1, 4, 4, 3) 0.800",
        "as it is",
    ]


def test_graphs_and_values_of_a_mapped_node_keep_their_order(prompts: Prompts) -> None:
    prompt = {
        "1": node("Range", start=0, count=4),
        "2": node("Mixed", value=["1", 0]),
        "3": node("ShowAll", value=["2", 0]),
    }

    assert prompts.run(prompt).text("3") == "[1000, 100, 1002, 300]"


def test_output_nodes_of_a_returned_graph_run(prompts: Prompts) -> None:
    outcome = prompts.run({"1": node("ShowInside", value=8)})

    assert {"text": ["8"]} in outcome.ui("1")


def test_an_unknown_type_in_a_returned_graph_is_named(prompts: Prompts) -> None:
    prompt = {"1": node("Unknown"), "2": node("Show", value=["1", 0])}

    assert "NobodyKnows" in prompts.run(prompt).error("1")


@pytest.mark.parametrize(
    ("how", "message"), [("output", "an output that its node"), ("list", "no graph of nodes")]
)
def test_a_faulty_graph_is_refused(prompts: Prompts, how: str, message: str) -> None:
    prompt = {"1": node("Faulty", how=how), "2": node("Show", value=["1", 0])}

    assert message in prompts.run(prompt).error("1")


def test_a_while_loop_returns_its_own_body_again(prompts: Prompts) -> None:
    prompt = {
        "1": node("WhileOpen", condition=True, value0=3, value1=["9", 0]),
        "2": node("Add", a=["1", 1], b=-1),
        "3": node("Add", a=["1", 2], b=10),
        "4": node("ToBool", value=["2", 0]),
        "5": node(
            "WhileClose", flow=["1", 0], condition=["4", 0], value0=["2", 0], value1=["3", 0]
        ),
        "6": node("Show", value=["5", 0]),
        "7": node("Show", value=["5", 1]),
        "9": node("Number", value=100),
    }

    outcome = prompts.run(prompt)

    assert outcome.text("6") == "0"
    assert outcome.text("7") == "130"


def test_a_for_loop_with_core_nodes_in_its_body(prompts: Prompts) -> None:
    prompt = {
        "1": node("ForOpen", remaining=3, value1=["8", 0], value2=["9", 0]),
        "2": node("ImageInvert", image=["1", 2]),
        "3": node("Add", a=["1", 3], b=["1", 1]),
        "4": node("ForClose", flow=["1", 0], value1=["2", 0], value2=["3", 0]),
        "5": node("Show", value=["4", 0]),
        "6": node("Show", value=["4", 1]),
        "8": picture(0.1),
        "9": node("Number", value=0),
    }

    outcome = prompts.run(prompt)

    assert outcome.text("5") == "(1, 4, 4, 3) 0.900"
    assert outcome.text("6") == "6"


@pytest.mark.slow
def test_a_loop_may_be_long(prompts: Prompts) -> None:
    prompt = {
        "1": node("ForOpen", remaining=120),
        "2": node("Add", a=["1", 1], b=1),
        "3": node("ForClose", flow=["1", 0], value1=["2", 0]),
        "4": node("Show", value=["3", 0]),
    }

    assert prompts.run(prompt).text("4") == "2"


def test_a_loop_accumulates_a_list(prompts: Prompts) -> None:
    prompt = {
        "1": node("ForOpen", remaining=3),
        "2": node("Accumulate", value=["1", 1], before=["1", 2]),
        "3": node("ForClose", flow=["1", 0], value1=["2", 0]),
        "4": node("Accumulated", values=["3", 0]),
        "5": node("ShowAll", value=["4", 0]),
    }

    assert prompts.run(prompt).text("5") == "[3, 2, 1]"
