"""Inputs that are there for some values of another one."""

from __future__ import annotations

from nodegraph.interop.comfyui.entries import parse_signature

RESIZE = parse_signature(
    'Resize(input: IMAGE, how: COMBO = "by size", how.width: INT = 512 @when(by size|by width), '
    'how.height: INT = 256 @when(by size), method: COMBO = "area", images.*: IMAGE?) -> IMAGE'
)


def test_a_choice_says_which_inputs_are_there() -> None:
    assert [taken.name for taken in RESIZE.active_widgets({"how": "by width"})] == [
        "how",
        "how.width",
        "method",
    ]


def test_the_default_of_a_choice_counts_where_it_has_no_value() -> None:
    assert [taken.name for taken in RESIZE.active_widgets({})][:3] == [
        "how",
        "how.width",
        "how.height",
    ]


def test_values_are_read_by_position_as_they_are_chosen() -> None:
    values: dict[str, object] = {}
    for taken, value in zip(
        RESIZE.active_widgets(values), ["by width", 9, "lanczos"], strict=False
    ):
        values[taken.name] = value
    assert values == {"how": "by width", "how.width": 9, "method": "lanczos"}


def test_an_input_that_grows_is_no_widget() -> None:
    grown = RESIZE.by_name["images.*"]
    assert grown.is_autogrow
    assert not grown.is_widget
