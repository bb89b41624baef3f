"""Values of widgets find their inputs, however a file writes them."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.interop.comfyui.entries import parse_signature
from nodegraph.interop.comfyui.reading import read_workflow
from tests.compat.comfyui.drawing import drawn, linked, node, widget

SEEDED = parse_signature("T(seed: INT = 0 @control, mode: COMBO, amount: FLOAT = 1.0) -> X")
LOADING = parse_signature("T(image: COMBO @upload, channel: COMBO) -> X")
GROWING = parse_signature("T(image: COMBO @upload, by: INT?) -> X")
CHOOSING = parse_signature(
    "T(how: COMBO, how.width: INT @when(by size), how.part: FLOAT @when(by part), "
    "last: STRING) -> X"
)
SWITCHED = parse_signature("T(seed: INT @control, on: BOOLEAN, amount: FLOAT) -> X")
LAST = parse_signature("T(amount: FLOAT, seed: INT @control) -> X")
JOINING = parse_signature("T(text: STRING, prefix: STRING, parts.*: STRING?) -> X")


def read(entry: dict[str, Any], signature: Any = None) -> Any:
    return read_workflow(drawn([entry]), {"T": signature} if signature else {})


def values(entry: dict[str, Any], signature: Any = None) -> dict[str, Any]:
    return dict(read(entry, signature).graph.nodes["1"].inputs)


@pytest.mark.parametrize(
    ("signature", "written", "found"),
    [
        (SEEDED, [5, "fixed", "a", 0.5], {"seed": 5, "mode": "a", "amount": 0.5}),
        (SEEDED, [5, "a", 0.5], {"seed": 5, "mode": "a", "amount": 0.5}),
        (SEEDED, [5, "fixed", "a", 1, "randomize"], {"seed": 5, "mode": "a", "amount": 1}),
        (SEEDED, [5, "fixed", "a"], {"seed": 5, "mode": "a"}),
        (SEEDED, [5, "fixed", None, 2], {"seed": 5, "amount": 2}),
        (LOADING, ["a.png", "image", "red"], {"image": "a.png", "channel": "red"}),
        (LOADING, ["a.png", "red", "image"], {"image": "a.png", "channel": "red"}),
        (LOADING, ["a.png", "red"], {"image": "a.png", "channel": "red"}),
        (GROWING, ["a.png", "image", 4], {"image": "a.png", "by": 4}),
        (CHOOSING, ["by part", 0.5, "x"], {"how": "by part", "how.part": 0.5, "last": "x"}),
        (CHOOSING, ["by size", 64, "x"], {"how": "by size", "how.width": 64, "last": "x"}),
        (JOINING, ["a", "b"], {"text": "a", "prefix": "b"}),
        (SEEDED, [5, True, "a", 0.5], {"seed": 5, "mode": "a", "amount": 0.5}),
        (SEEDED, ["5", "fixed", "a", "0.5"], {"seed": 5, "mode": "a", "amount": 0.5}),
        (SWITCHED, [5, True, 0.5], {"seed": 5, "on": True, "amount": 0.5}),
        (LAST, [0.5, 5, False], {"amount": 0.5, "seed": 5}),
    ],
)
def test_values_by_position_follow_the_signature(
    signature: Any, written: list[Any], found: dict[str, Any]
) -> None:
    assert values(node(1, "T", *written), signature) == found


def test_values_of_another_kind_end_what_is_taken_and_are_told() -> None:
    found = read(node(1, "T", 5, "fixed", "a", "b"), SEEDED).graph.nodes["1"]
    assert found.inputs == {"seed": 5, "mode": "a"}
    assert found.unreadable_from == "amount"


def test_a_number_is_no_choice_of_words() -> None:
    choosing = parse_signature('T(how: COMBO = "fast", amount: FLOAT) -> X')
    assert read(node(1, "T", 3, 0.5), choosing).graph.nodes["1"].unreadable_from == "how"


def test_values_beyond_those_that_are_known_are_told() -> None:
    found = read(node(1, "T", 5, "fixed", "a", 0.5, "more", 3), SEEDED)
    assert found.graph.nodes["1"].inputs == {"seed": 5, "mode": "a", "amount": 0.5}
    assert "2 more values" in found.warnings[0]


@pytest.mark.parametrize(("written", "control"), [(True, "randomize"), (False, "fixed")])
@pytest.mark.parametrize("signature", [SEEDED, None])
def test_files_of_spring_2023_say_by_a_truth_whether_a_seed_is_drawn_anew(
    written: bool, control: str, signature: Any
) -> None:
    listed = [] if signature else [widget("seed"), widget("mode", None, "COMBO")]
    values = (5, written, "a", 0.5) if signature else (5, written, "a")
    found = read(node(1, "T", *values, inputs=listed), signature).graph.nodes["1"]
    assert found.control == {"seed": control}
    assert found.inputs["mode"] == "a"


@pytest.mark.parametrize(("written", "control"), [(True, "randomize"), ("increment",) * 2])
def test_a_primitive_says_so_of_the_seed_that_it_feeds(written: Any, control: str) -> None:
    seeded = node(1, "T", 5, "fixed", "a", 0.5, inputs=[widget("seed", 9)])
    document = drawn([seeded, node(2, "PrimitiveNode", "7", written)], [9, 2, 0, 1, 0])
    found = read_workflow(document, {"T": SEEDED}).graph.nodes["1"]
    assert (found.inputs["seed"], found.control) == (7, {"seed": control})


def test_an_input_that_is_no_widget_takes_no_value() -> None:
    forced = node(1, "T", "b", inputs=[linked("text", None, "STRING")])
    assert values(forced, JOINING) == {"prefix": "b"}


@pytest.mark.parametrize("signature", [SEEDED, None])
def test_names_in_the_file_are_taken_with_the_values_of_the_list(signature: Any) -> None:
    named = {"seed": 5, "fixed": "fixed", "mode": "old", "amount": 2}
    entry = node(1, "T", 5, "fixed", "new", 2, widgets_values_named=named)
    assert values(entry, signature) == {"seed": 5, "mode": "new", "amount": 2}
    assert read(entry, signature).graph.nodes["1"].control == {"seed": "fixed"}


@pytest.mark.parametrize("written", [[5, "fixed", "a", 2], [9, "fixed", "b", 2]])
def test_names_in_another_order_than_the_values_are_not_taken_by_position(
    written: list[Any],
) -> None:
    named = {"amount": 2, "control_after_generate": "fixed", "mode": "a", "seed": 5}
    entry = node(1, "T", *written, widgets_values_named=named)
    seed, _, mode, amount = written
    assert values(entry, SEEDED) == {"seed": seed, "mode": mode, "amount": amount}


def test_doubled_names_and_buttons_are_no_inputs() -> None:
    named = {"image": "a", "upload": "image", "model.seed": 1, "control_after_generate#1": "fixed",
             "control_after_generate": "randomize"}  # fmt: skip
    assert values(node(1, "T", widgets_values_named=named)) == {"image": "a", "model.seed": 1}


def test_values_as_an_object_have_their_names() -> None:
    found = values(node(1, "T", widgets_values={"rate": 8, "loop": True, "none": None}))
    assert found == {"rate": 8, "loop": True}


def test_a_node_that_lists_all_its_widgets_names_their_values() -> None:
    listed = [linked("image", None, "IMAGE"), widget("seed"), widget("how", None, "COMBO")]
    found = read(node(1, "T", 7, "increment", "fast", inputs=listed)).graph.nodes["1"]
    assert found.inputs == {"seed": 7, "how": "fast"}
    assert found.control == {"seed": "increment"}


def test_of_a_node_that_is_not_known_the_upload_button_may_stand_last() -> None:
    listed = [widget("image", None, "COMBO"), widget("channel", None, "COMBO")]
    assert values(node(1, "T", "a.png", "red", "image", inputs=listed)) == {
        "image": "a.png",
        "channel": "red",
    }


def test_where_only_converted_widgets_are_listed_the_signature_knows_the_order() -> None:
    listed = [widget("amount", 9, "FLOAT"), widget("mode", 9, "COMBO"), widget("seed", 9)]
    found = values(node(1, "T", 5, "a", 2, inputs=listed), SEEDED)
    assert found == {"seed": 5, "mode": "a", "amount": 2}
    short = [widget("mode", 9, "COMBO")]
    assert values(node(1, "T", 5, "a", 2, inputs=short)) == {
        "widget_0": 5,
        "widget_1": "a",
        "widget_2": 2,
    }
