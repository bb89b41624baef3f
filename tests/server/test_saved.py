"""Saved workflows: by name, with versions, as files that people and other programs can change."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.server.content.saved import SavedWorkflows
from nodegraph.server.http.errors import Conflict, NotFound, PreconditionFailed, TooLarge
from nodegraph.server.http.responses import check_match
from tests.messages import raises
from tests.properties import examples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workflows"


@pytest.fixture
def saved(folder: Path) -> SavedWorkflows:
    return SavedWorkflows(folder, most=20, most_versions=5)


def workflow(title: str = "", **more: Any) -> Workflow:
    return Workflow.from_dict({"format": "nodegraph/1", "title": title, "nodes": {}, **more})


def numbers(saved: SavedWorkflows, name: str) -> list[int]:
    return [version.number for version in saved.versions(name)]


def test_what_is_saved_is_got(saved: SavedWorkflows) -> None:
    kept, is_new = saved.put("apple", workflow("An apple"))
    assert is_new
    found = saved.get("apple")
    assert found.document["title"] == "An apple"
    assert found.version == kept.version
    assert found.version.number == 1


def test_each_change_is_a_version(saved: SavedWorkflows) -> None:
    for title in "abc":
        _, is_new = saved.put("apple", workflow(title))
        assert is_new == (title == "a")
    assert numbers(saved, "apple") == [3, 2, 1]
    assert [saved.get("apple", at).document["title"] for at in (1, 2, 3)] == ["a", "b", "c"]
    assert len({version.digest for version in saved.versions("apple")}) == 3


def test_what_changes_nothing_is_no_version(saved: SavedWorkflows) -> None:
    first, _ = saved.put("apple", workflow("a"))
    second, is_new = saved.put("apple", workflow("a"))
    assert (second.version, is_new) == (first.version, False)
    assert numbers(saved, "apple") == [1]


def test_going_back_is_a_version_too(saved: SavedWorkflows) -> None:
    for title in "aba":
        saved.put("apple", workflow(title))
    assert numbers(saved, "apple") == [3, 2, 1]
    assert saved.get("apple").version.number == 3


def test_only_so_many_versions_are_kept(saved: SavedWorkflows) -> None:
    for at in range(9):
        saved.put("apple", workflow(str(at)))
    assert numbers(saved, "apple") == [9, 8, 7, 6, 5]
    with raises(NotFound, given="4"):
        saved.get("apple", 4)


@pytest.mark.parametrize("version", [0, -1, 2, 10**8])
def test_a_version_that_there_is_not_is_not_found(saved: SavedWorkflows, version: int) -> None:
    saved.put("apple", workflow())
    with pytest.raises(NotFound):
        saved.get("apple", version)


def test_a_name_that_there_is_not_is_not_found(saved: SavedWorkflows) -> None:
    saved.put("apple", workflow())
    with raises(NotFound, given="'aple'"):
        saved.get("aple")
    with pytest.raises(NotFound):
        saved.versions("aple")
    with pytest.raises(NotFound):
        saved.delete("aple")


def test_a_change_of_another_version_is_refused(saved: SavedWorkflows) -> None:
    first, _ = saved.put("apple", workflow("a"))
    tag = f'"{first.version.digest}"'
    saved.put("apple", workflow("b"), lambda digest: check_match(tag, digest))
    with pytest.raises(PreconditionFailed):
        saved.put("apple", workflow("c"), lambda digest: check_match(tag, digest))
    with pytest.raises(PreconditionFailed):
        saved.delete("apple", lambda digest: check_match(tag, digest))
    assert saved.get("apple").document["title"] == "b"


def test_of_changes_at_the_same_time_one_wins(
    saved: SavedWorkflows, folder: Path, tmp_path: Path
) -> None:
    """Also where another server has the folder by a link, as machines that share it do."""
    first, _ = saved.put("apple", workflow("a"))
    tag = f'"{first.version.digest}"'
    outcomes: list[str] = []
    (tmp_path / "other").symlink_to(folder)
    servers = saved, SavedWorkflows(tmp_path / "other", most=20, most_versions=5)

    def change(title: str) -> None:
        here = servers[int(title[1:]) % 2]
        try:
            here.put("apple", workflow(title), lambda digest: check_match(tag, digest))
            outcomes.append(title)
        except PreconditionFailed:
            outcomes.append("")

    threads = [Thread(target=change, args=(f"t{at}",)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [title for title in outcomes if title]
    assert len(outcomes) == 8
    for here in servers:
        assert here.get("apple").document["title"] == winner
        assert numbers(here, "apple") == [2, 1]


def test_a_deleted_one_is_gone_with_its_versions(saved: SavedWorkflows, folder: Path) -> None:
    saved.put("apple", workflow("a"))
    saved.put("apple", workflow("b"))
    saved.delete("apple")
    with pytest.raises(NotFound):
        saved.get("apple")
    assert saved.names() == []
    left = [path.name for path in folder.rglob("*") if path.is_file()]
    assert left == [".changes-lock"]


def test_files_are_those_that_the_command_line_runs(saved: SavedWorkflows, folder: Path) -> None:
    kept = workflow("a", nodes={"x": {"type": "Integer", "inputs": {"value": 1}}})
    saved.put("an apple", kept)
    assert Workflow.load(folder / "an apple.json") == kept
    assert (folder / "an apple.json").read_text() == kept.to_json()


def test_a_change_of_one_value_is_a_change_of_one_line(saved: SavedWorkflows) -> None:
    nodes = {f"n{at}": {"type": "Integer", "inputs": {"value": at}} for at in range(30)}
    before, _ = saved.put("apple", workflow(nodes=nodes))
    nodes["n7"]["inputs"] = {"value": 99}
    after, _ = saved.put("apple", workflow(nodes=nodes))
    pairs = zip(before.text.splitlines(), after.text.splitlines(), strict=True)
    assert sum(old != new for old, new in pairs) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.text("abcxyz_$ é", min_size=1, max_size=6)


@settings(max_examples=examples(60), deadline=None)
@given(extra=st.dictionaries(KEYS, JSON, max_size=4), node=st.dictionaries(KEYS, JSON, max_size=3))
def test_keys_that_nobody_knows_are_kept(
    tmp_path_factory: pytest.TempPathFactory, extra: dict[str, Any], node: dict[str, Any]
) -> None:
    document = {
        **extra,
        "format": "nodegraph/1",
        "nodes": {"a": {**node, "type": "Integer", "inputs": {"value": 1}}},
    }
    saved = SavedWorkflows(tmp_path_factory.mktemp("saved"))
    saved.put("x", Workflow.from_dict(document))
    assert saved.get("x").document == document


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "CON", ".x", "x.", "．．／x", "x\0", "", "/x", "a:b"]
)
def test_a_name_that_is_no_safe_one_reaches_no_file(
    saved: SavedWorkflows, tmp_path: Path, name: str
) -> None:
    (tmp_path / "x.json").write_text(workflow().to_json())
    with pytest.raises(InvalidValue):
        saved.put(name, workflow())
    with pytest.raises(NotFound):
        saved.get(name)
    with pytest.raises(NotFound):
        saved.delete(name)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.json"]


@pytest.mark.parametrize("other", ["Apple", "APPLE", "ａpple"])
def test_names_that_a_file_system_mixes_up_are_not_both_taken(
    saved: SavedWorkflows, other: str
) -> None:
    saved.put("apple", workflow())
    with raises(Conflict):
        saved.put(other, workflow())
    assert saved.names() == ["apple"]


def test_there_are_only_so_many(saved: SavedWorkflows) -> None:
    for at in range(20):
        saved.put(f"w{at}", workflow())
    with pytest.raises(TooLarge):
        saved.put("one more", workflow())
    saved.put("w3", workflow("changed"))


def test_a_change_by_hand_is_a_version(saved: SavedWorkflows, folder: Path) -> None:
    saved.put("apple", workflow("a"))
    (folder / "apple.json").write_text('{"format": "nodegraph/1", "title": "hand", "nodes": {}}')
    assert saved.get("apple").document["title"] == "hand"
    assert saved.get("apple").version.number == 2
    assert numbers(saved, "apple") == [2, 1]
    assert saved.get("apple", 1).document["title"] == "a"


def test_a_file_put_there_by_hand_is_saved(saved: SavedWorkflows, folder: Path) -> None:
    folder.mkdir()
    (folder / "pear.json").write_text(workflow("Pear").to_json())
    assert saved.names() == ["pear"]
    assert saved.get("pear").version.number == 1


def test_a_crash_between_file_and_version_loses_nothing(
    saved: SavedWorkflows, folder: Path
) -> None:
    saved.put("apple", workflow("a"))
    saved.put("apple", workflow("b"))
    (folder / ".versions" / "apple" / "000002.json").unlink()
    assert saved.get("apple").document["title"] == "b"
    assert numbers(saved, "apple") == [2, 1]


def test_a_link_in_the_folder_is_neither_read_nor_written_through(
    saved: SavedWorkflows, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    folder.mkdir()
    (folder / "apple.json").symlink_to(tmp_path / "secret")
    for touch in (saved.get, saved.versions, saved.delete):
        with raises(InvalidFile):
            touch("apple")
    with pytest.raises(InvalidFile):
        saved.put("apple", workflow())
    assert (tmp_path / "secret").read_text() == "secret"
    assert saved.page().entries == ()


def test_links_in_place_of_the_versions_lead_nowhere(
    saved: SavedWorkflows, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    folder.mkdir()
    (folder / ".versions").symlink_to(tmp_path / "outside")
    (folder / "pear.json").write_text(workflow().to_json())
    with raises(InvalidFile):
        saved.get("pear")
    with raises(InvalidFile):
        saved.put("apple", workflow())
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("content", [b"no json", b"\xff\xfe", b"[]", b'{"nodes": 1}', b""])
def test_a_file_that_is_no_workflow_is_listed_with_what_is_wrong(
    saved: SavedWorkflows, folder: Path, content: bytes
) -> None:
    folder.mkdir()
    (folder / "broken.json").write_bytes(content)
    (entry,) = saved.page().entries
    assert entry.problem


def test_other_files_are_not_listed(saved: SavedWorkflows, folder: Path) -> None:
    folder.mkdir()
    for name in ("note.txt", ".hidden.json", "bad:name.json", ".gitignore"):
        (folder / name).write_text("x")
    (folder / "folder.json").mkdir()
    assert saved.page().entries == ()


def test_the_list_tells_what_each_is_for(saved: SavedWorkflows) -> None:
    made = workflow(
        "An apple",
        description="Red.",
        nodes={"a": {"type": "Text", "inputs": {}}},
        parameters={"prompt": "a.text"},
    )
    kept, _ = saved.put("apple", made)
    (entry,) = saved.page().entries
    assert (entry.title, entry.description, entry.nodes) == ("An apple", "Red.", 1)
    assert (entry.parameters, entry.digest) == (("prompt",), kept.version.digest)
    saved.put("apple", workflow("A pear"))
    (entry,) = saved.page().entries
    assert entry.title == "A pear"


def test_pages_hold_each_once_by_name(saved: SavedWorkflows) -> None:
    for at in range(12):
        saved.put(f"w{at:02}", workflow("odd" if at % 2 else "even"))
    found, after = [], None
    while True:
        page = saved.page(limit=5, after=after, text="ODD")
        found += [entry.name for entry in page.entries]
        after = page.next
        if after is None:
            break
    assert found == [f"w{at:02}" for at in range(1, 12, 2)]


def test_half_a_character_survives(saved: SavedWorkflows) -> None:
    text = json.dumps({"format": "nodegraph/1", "title": "\ud800", "nodes": {}})
    saved.put("x", Workflow.from_json(text))
    assert saved.get("x").document["title"] == "\ud800"
