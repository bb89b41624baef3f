"""How one input is written: links, literals, and literals that look like links."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.digests import digest_value
from nodegraph.core.links import (
    Link,
    Value,
    is_link,
    parse_link,
    parse_target,
    read_link,
    read_literal,
    write_input,
    write_literal,
)
from nodegraph.core.summary import summarize
from nodegraph.core.values import DiffusionModel, RecipeFile
from nodegraph.core.workflow import Workflow
from tests.messages import raises
from tests.properties import examples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["from", "value", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=examples(100), deadline=None)
@given(JSON)
def test_any_literal_is_read_as_it_was_written(value: Any) -> None:
    written = write_literal(value)
    assert not is_link(written)
    assert write_input(written) in (written, {"value": written})
    assert read_literal(written) == value


def test_numbers_of_numpy_are_written_as_pythons_own() -> None:
    given = [np.int64(3), np.float32(0.5), np.bool_(True), np.array(4), np.arange(2), {"a": 1}]
    written = write_literal(given)
    assert written == [3, 0.5, True, 4, [0, 1], {"a": 1}]
    assert [type(value) for value in written] == [int, float, bool, int, list, dict]


def test_a_link_is_read_as_it_was_written() -> None:
    for link in (Link("load", "vae"), Link("size")):
        written = write_input(link)
        assert is_link(written)
        assert read_link(written) == link


@pytest.mark.parametrize("text", ["", ".", ".vae", "load.", "load.vae.x"])
def test_a_malformed_link_is_refused(text: str) -> None:
    with raises(ValueError):
        parse_link(text)


@pytest.mark.parametrize("text", ["", "load", "load.", ".vae"])
def test_a_target_needs_node_and_input(text: str) -> None:
    with raises(ValueError):
        parse_target(text)


def test_values_of_python_are_written_as_json_values() -> None:
    class Mode(Enum):
        FAST = "fast"

    assert write_input(Path("a") / "b") == str(Path("a/b"))
    assert write_input((Mode.FAST, 1)) == ["fast", 1]


def test_a_model_is_named_by_its_class_and_digest_and_not_by_where_it_lies() -> None:
    file = RecipeFile("unet", "/home/ann/model.safetensors", "ab" * 32)
    model = DiffusionModel("sd1", (file,))
    short = digest_value(model)[:8]
    for held, text in (
        (model, f"DiffusionModel #{short}"),
        ([model, model], "list of 2 (DiffusionModel, …) #"),
        ({"model": model}, "dictionary of 1 #"),
        (SimpleNamespace(path="/home/ann"), "SimpleNamespace"),
    ):
        assert Value(held).text.startswith(text)
        assert "/home/ann" not in Value(held).text


def test_a_parameter_that_stands_for_a_model_says_no_path() -> None:
    file = RecipeFile("unet", "/home/ann/model.safetensors", "ab" * 32)
    model = DiffusionModel("sd1", (file,))
    workflow = Workflow.from_dict(
        {"format": "nodegraph/1", "nodes": {"a": {"type": "A", "inputs": {"model": model}}}}
    )
    assert "/home/ann" not in workflow.to_json()
    assert "/home/ann" not in summarize(model)
