"""Patches of drafts: the cases that the editor passes too, what is refused, and convergence."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from nodegraph.errors import NodegraphError
from nodegraph.server.content.drafts.patches import (
    MOST_MERGED,
    NameTaken,
    apply_patch,
    changed_parts,
    parse_patch,
)
from nodegraph.server.content.drafts.text_merge import LONGEST_MERGED, merge_text

DATA = json.loads((Path(__file__).parents[1] / "data" / "draft_patches.json").read_text("utf-8"))


def _parent(document: Any, pointer: str) -> tuple[Any, str]:
    *steps, last = pointer.removeprefix("/").split("/")
    for step in steps:
        document = document[step]
    return document, last


@pytest.mark.parametrize("case", DATA["cases"], ids=lambda case: case["name"])
def test_a_patch_does_as_in_the_editor(case: dict[str, Any]) -> None:
    before = DATA["document"]
    patch = parse_patch(json.dumps(case["patch"]))
    if case.get("taken"):
        with pytest.raises(NameTaken):
            apply_patch(before, patch)
        return
    expected = copy.deepcopy(before)
    untouched = copy.deepcopy(before)
    for pointer, value in case.get("changes", {}).items():
        parent, last = _parent(expected, pointer)
        parent[last] = value
    for pointer in case.get("removes", ()):
        parent, last = _parent(expected, pointer)
        del parent[last]
    assert apply_patch(before, patch) == expected
    assert before == untouched


MERGES = json.loads((Path(__file__).parents[1] / "data" / "text_merges.json").read_text("utf-8"))


@pytest.mark.parametrize("case", MERGES, ids=lambda case: case["name"])
def test_texts_merge_as_in_the_editor(case: dict[str, str]) -> None:
    assert merge_text(case["before"], case["text"], case["current"]) == case["merged"]


def test_what_two_insert_into_one_text_all_stays() -> None:
    rng = random.Random(1)
    for _ in range(300):
        before = "".join(rng.choice("ab ,") for _ in range(rng.randint(0, 40)))
        texts = []
        for letters in ("vw", "yz"):
            text = before
            for _ in range(rng.randint(1, 4)):
                at = rng.randint(0, len(text))
                text = text[:at] + rng.choice(letters) + text[at:]
            texts.append(text)
        merged = merge_text(before, *texts)
        for letter in "vw":
            assert merged.count(letter) == texts[0].count(letter)
        for letter in "yz":
            assert merged.count(letter) == texts[1].count(letter)
        assert "".join(each for each in merged if each in "ab ,") == before


def test_a_text_that_is_too_long_to_merge_is_set() -> None:
    long = "a" * (LONGEST_MERGED + 1)
    assert merge_text(long, "mine", long + "theirs") == "mine"


def test_many_texts_of_one_patch_are_not_merged() -> None:
    operation = [["nodes", "a", "note"], "x", "merge", ""]
    with pytest.raises(NodegraphError, match="merges too many"):
        parse_patch(json.dumps([operation] * (MOST_MERGED + 1)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[1]",
        "[[]]",
        "[[[]]]",
        '[[["nodes", "a"], "b", "other"]]',
        '[[["nodes", "a"], 3, "rename"]]',
        '[[["nodes", "a"], "", "rename"]]',
        '[[["subgraphs", "a"], "b", "rename"]]',
        '[[["nodes", "a", "note"], "b", "rename"]]',
        '[[["nodes", "a", "note"], "b", "merge"]]',
        '[[["nodes", "a", "note"], 3, "merge", "b"]]',
        '[[["nodes", "a", "note"], "b", "merge", 3]]',
        "[[[1], 2]]",
        '[["title", 2]]',
        '[[["format"], "nodegraph/9"]]',
        '[[[{"id": "a"}], {}]]',
        '[[["ui", {"id": 3}], {}]]',
        '[[["ui", {"is": "a"}, "x"], 1]]',
        '[[["ui", "collapsed", {"is": "a"}], "b"]]',
        '[[["ui", "groups", {"id": "a"}], {"id": "b"}]]',
        '[[["title"], "a", false]]',
        '[[["title"], 1e999]]',
        f"[[{json.dumps(['a'] * 33)}, 1]]",
        f"[[{json.dumps(['a' * 1001])}, 1]]",
        "[" * 5_000,
    ],
)
def test_what_is_no_patch_is_refused(text: str) -> None:
    with pytest.raises(NodegraphError) as caught:
        parse_patch(text)
    assert caught.value.problem.message


def test_a_value_has_only_its_node_checked() -> None:
    patch = parse_patch('[[["nodes", "a", "inputs", "value"], 2]]')
    assert list(changed_parts(apply_patch(DATA["document"], patch), patch)["nodes"]) == ["a"]
    added = parse_patch('[[["nodes", "z"], {"type": "Number"}, true]]')
    after = apply_patch(DATA["document"], added)
    assert changed_parts(after, added) is after


@pytest.mark.parametrize("seed", range(20))
def test_windows_that_get_all_patches_in_one_order_have_one_document(seed: int) -> None:
    """A window that lost its connection gets the whole, and ends with what the others have."""
    chance = random.Random(seed)
    server: dict[str, Any] = {"format": "nodegraph/1", "nodes": {}}
    windows = [server] * chance.randint(2, 4)
    fields: dict[str, set[int]] = {}
    for number in range(100):
        node = f"n{chance.randrange(5)}"
        operations = chance.choice(
            [
                [[["nodes", node], {"type": "Number"}]],
                [[["nodes", node]]],
                [[["nodes", node, "inputs", "value"], number], [["ui", "positions", node], [1, 2]]],
                [[["ui", "groups", {"id": node}], {"id": node, "n": number}]],
                [[["ui", "groups", {"id": node}]]],
            ]
        )
        fields.setdefault(node, set()).add(number)
        patch = parse_patch(json.dumps(operations))
        server = apply_patch(server, patch)
        for at, window in enumerate(windows):
            lost = chance.random() < 0.1
            windows[at] = copy.deepcopy(server) if lost else apply_patch(window, patch)
    assert all(window == server for window in windows)
    for name, node in server["nodes"].items():
        assert node.get("inputs", {"value": None})["value"] in fields[name] | {None}
