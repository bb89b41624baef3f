"""The workflow file: loading, saving, changing."""

from __future__ import annotations

import json
from copy import deepcopy
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.links import Link
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, OutputError
from tests.core.support import text_to_image, texts, written
from tests.messages import raises
from tests.properties import examples

NAMES = st.text("abc -_é", min_size=1, max_size=4)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
UNKNOWN = st.dictionaries(NAMES.map("x-{}".format), VALUES, max_size=2)


def part(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of the known keys and some unknown ones."""
    return st.tuples(st.fixed_dictionaries({}, optional=known), UNKNOWN).map(
        lambda parts: {**parts[1], **parts[0]}
    )


def named(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(NAMES, values, max_size=3)


NODE = part(
    inputs=named(VALUES), label=st.text(), always=st.booleans(), version=st.integers(1)
).map(lambda found: {"type": "A", **found})
SUBGRAPH = part(
    inputs=named(part(type=NAMES, to=st.lists(NAMES, max_size=2), default=VALUES)),
    outputs=named(NAMES),
    nodes=named(NODE),
)
DOCUMENT = part(
    title=st.text(),
    parameters=named(NAMES | part(label=st.text()).map(lambda found: {"input": "a.b", **found})),
    nodes=named(NODE),
    subgraphs=named(SUBGRAPH),
    requires=named(NAMES),
    ui=named(VALUES),
).map(lambda found: {**found, "format": "nodegraph/1"})


@settings(max_examples=examples(150), deadline=None)
@given(DOCUMENT)
def test_a_saved_workflow_loads_as_it_was(document: dict[str, Any]) -> None:
    workflow = Workflow.from_dict(document)
    text = workflow.to_json()
    assert Workflow.from_json(text) == workflow
    assert Workflow.from_json(text).to_json() == text
    assert Workflow.from_dict(workflow.to_dict()) == workflow


@settings(max_examples=examples(100), deadline=None)
@given(DOCUMENT)
def test_nothing_of_a_file_is_lost_but_what_says_nothing(document: dict[str, Any]) -> None:
    def said(value: Any) -> Any:
        """Without empty parts and the long form of a plain parameter."""
        if not isinstance(value, dict):
            return value
        parts = {key: said(item) for key, item in value.items()}
        kept = {key: item for key, item in parts.items() if item or key == "default"}
        return kept["input"] if set(kept) == {"input"} else kept

    assert said(json.loads(Workflow.from_dict(document).to_json())) == said(document)


def test_known_keys_come_first_and_nodes_keep_their_order() -> None:
    workflow = Workflow.from_json(
        '{"zoo": 1, "ui": {"b": 1, "a": 2}, "nodes": {"z": {"note": "!", "type": "A"},'
        ' "a": {"type": "B"}}, "author": "me", "title": "T", "format": "nodegraph/1"}'
    )
    assert workflow.to_json() == (
        '{\n  "format": "nodegraph/1",\n  "title": "T",\n  "nodes": {\n'
        '    "z": {"type": "A", "note": "!"},\n    "a": {"type": "B"}\n  },\n'
        '  "ui": {"a": 2, "b": 1},\n  "author": "me",\n  "zoo": 1\n}\n'
    )


def test_the_example_of_the_design_reads_as_it_is_written() -> None:
    lines = text_to_image().to_json().splitlines()
    assert '    "size": {"type": "EmptyLatent", "inputs": {"width": 64}},' in lines
    assert '        "model": {"from": "load.model"},' in lines


def test_a_file_is_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "wf.json"
    text_to_image().save(path)
    assert Workflow.load(path) == text_to_image()
    assert Workflow.load(str(path)).title == "Text to image"


def test_a_byte_order_mark_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "wf.json"
    path.write_bytes(b"\xef\xbb\xbf" + text_to_image().to_json().encode())
    assert Workflow.load(path) == text_to_image()


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG")
    with raises(InvalidFile):
        Workflow.load(missing)
    with raises(InvalidFile):
        Workflow.load(picture)
    with raises(OutputError):
        text_to_image().save(tmp_path / "nowhere" / "wf.json")


def test_bad_json_is_told_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "wf.json"
    path.write_text('{"format": "nodegraph/1",\n "nodes": {},\n}', encoding="utf-8")
    with raises(InvalidFile):
        Workflow.load(path)


@pytest.mark.parametrize("document", [[], "text", 3, None])
def test_a_workflow_is_an_object(document: Any) -> None:
    with raises(InvalidFile):
        Workflow.from_dict(document)


def test_every_malformed_part_is_told_at_once() -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        written(
            {"a.b": {"type": "A"}, "c": {"inputs": []}, "d": 3, "e": {"type": "A", "always": 1}},
            title=5,
            parameters={"p": 3, "q": {"label": "Q"}},
            subgraphs={"S": {"inputs": {"i": {"to": "x.y"}}}},
        )
    assert texts(caught.value.problems) == [
        "`title` must be text (given: 5)",
        "`parameters.p` must be an object (given: 3)",
        "`parameters.q.input` is missing",
        "'a.b' cannot be the name of a node (expected: any text without `.` and `/`, at least "
        "one character)",
        "node `c`: `type` is missing",
        "node `c`: `inputs` must be an object (given: a list)",
        "node `d`: it must be an object (given: 3)",
        "node `e`: `always` must be true or false (given: 1)",
        "`subgraphs.S.inputs.i.to` must be a list (given: 'x.y')",
    ]


def test_an_unknown_key_that_is_no_text_is_told() -> None:
    with raises(InvalidWorkflow, given="'x\\ud800'"):
        Workflow.from_json('{"format": "nodegraph/1", "nodes": {}, "x\\ud800": 1}')


def test_texts_hold_halves_of_surrogate_pairs() -> None:
    """JSON can, and what has such a title or label is still opened, and saved as it was."""
    half = "\ud800"
    node = {"type": half, "label": half, "note": half, "inputs": {half: half}}
    block = {"inputs": {half: {"to": [half], "help": half}}, "nodes": {"n": node}}
    document = {
        "format": "nodegraph/1",
        "title": half,
        "parameters": {half: half},
        "nodes": {"n": node},
        "subgraphs": {half: block},
        "ui": {half: half},
    }
    workflow = Workflow.from_dict(document)
    assert workflow.to_dict() == document
    assert Workflow.from_json(workflow.to_json()) == workflow


def test_a_key_that_is_no_text_and_one_with_half_a_pair_are_told_apart() -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        written({"n": {"type": "A", 1: 2, "\ud800": 3}})
    assert texts(caught.value.problems) == [
        "node `n`: it has a key that is not text (given: 1)",
        "node `n`: it has a name with half of a surrogate pair, which is not a character "
        "(given: '\\ud800')",
    ]


@pytest.mark.parametrize("place", ["format", "title", "label", "mode", "name"])
def test_a_number_too_long_to_be_shown_is_told(place: str) -> None:
    number: Any = 10**5000
    node = {"type": "A"} | ({place: number} if place in ("label", "mode") else {})
    document = {"format": "nodegraph/1", "nodes": {number if place == "name" else "n": node}}
    with raises((InvalidWorkflow, InvalidFile)):
        Workflow.from_dict(document | ({place: number} if place in ("format", "title") else {}))


def test_a_format_nested_deeper_than_python_shows_is_told() -> None:
    found: list[Any] = []
    for _ in range(5000):
        found = [found]
    with raises(InvalidFile, given="a list"):
        Workflow.from_dict({"format": found})


def test_a_member_of_an_enumeration_of_texts_is_its_text() -> None:
    class Kind(str, Enum):
        ADD = "Add"

    assert type(written({"n": {"type": Kind.ADD}}).nodes["n"].type) is str


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "\ud800"])
def test_a_node_name_has_no_dot_and_no_slash(name: str) -> None:
    with raises(InvalidWorkflow):
        written({name: {"type": "A"}})


def test_an_input_is_changed_in_a_copy() -> None:
    workflow = text_to_image()
    changed = workflow.with_inputs({"sample.seed": 8}).with_inputs({"sample.latent": Link("other")})
    assert workflow.nodes["sample"].inputs["seed"] == 7
    assert changed.nodes["sample"].inputs["seed"] == 8
    assert changed.nodes["sample"].inputs["latent"] == {"from": "other"}
    assert changed.nodes["load"] == workflow.nodes["load"]


def test_what_is_done_to_a_document_later_reaches_no_workflow() -> None:
    """Else a run that lasts would compute with other values than those that it names."""
    nodes = {"n": {"type": "Sum", "inputs": {"values": [1, {"more": [2]}]}}}
    block = {"inputs": {"item": {"to": ["n.values"], "default": [3]}}, "nodes": deepcopy(nodes)}
    document = {"format": "nodegraph/1", "nodes": nodes, "subgraphs": {"block": block}}
    before = deepcopy(document)
    workflow = Workflow.from_dict(document)
    for changed in (document, workflow.to_dict()):
        for found in (changed, changed["subgraphs"]["block"]):
            found["nodes"]["n"]["inputs"]["values"][1]["more"].append(9)
            found["nodes"]["n"]["inputs"]["values"].append(9)
        changed["subgraphs"]["block"]["inputs"]["item"]["default"].append(9)
        assert workflow == Workflow.from_dict(before)
        assert workflow.to_dict() == before


def test_links_are_written_in_python_as_in_a_file() -> None:
    workflow = text_to_image()
    changed = workflow.with_inputs({"sample.latent": {"from": "other"}})
    assert changed.nodes["sample"].inputs["latent"] == {"from": "other"}
    assert Workflow.from_json(changed.to_json()) == changed


@pytest.mark.parametrize("value", [{"from": 5}, {"from": "a.b.c"}, {"from": "a", "to": "b"}])
def test_a_value_that_only_looks_like_a_link_stays_a_value(value: object) -> None:
    changed = text_to_image().with_inputs({"positive.text": value})
    assert changed.nodes["positive"].inputs["text"] == {"value": value}
    again = text_to_image().with_inputs({"positive.text": {"value": value}})
    assert again.nodes["positive"].inputs["text"] == {"value": value}


def test_a_parameters_value_never_becomes_a_link() -> None:
    document = {**text_to_image().to_dict(), "parameters": {"prompt": "positive.text"}}
    changed = Workflow.from_dict(document).with_parameters({"prompt": {"from": "load.vae"}})
    assert changed.nodes["positive"].inputs["text"] == {"value": {"from": "load.vae"}}


def test_what_cannot_be_written_is_told_with_its_place() -> None:
    workflow = text_to_image().with_inputs({"sample.cfg": float("nan")})
    with raises(InvalidValue, node="sample", port="cfg"):
        workflow.to_json()


def test_parameters_are_set_by_name() -> None:
    workflow = Workflow.from_dict(
        {
            **text_to_image().to_dict(),
            "parameters": {"seed": "sample.seed", "prompt": {"input": "positive.text"}},
        }
    )
    changed = workflow.with_parameters({"seed": 9, "prompt": "a fox"})
    assert changed.nodes["sample"].inputs["seed"] == 9
    assert changed.nodes["positive"].inputs["text"] == "a fox"


def test_every_wrong_name_is_told_at_once() -> None:
    workflow = text_to_image()
    with pytest.raises(InvalidWorkflow) as caught:
        workflow.with_inputs({"sampel.seed": 1, "load": 2})
    assert texts(caught.value.problems) == [
        "`sampel.seed`: there is no node `sampel`. Did you mean `sample`?",
        "`load` is not an input (expected: `node.input`)",
    ]
    with raises(InvalidWorkflow):
        workflow.with_parameters({"seed": 1})
