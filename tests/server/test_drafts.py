"""Drafts over a websocket: several windows, saving, access, limits, and a server that is killed."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from nodegraph.errors import NodegraphError
from nodegraph.server.content.drafts import rooms, store
from nodegraph.server.content.drafts.store import COMPACT_EVERY
from nodegraph.server.events.sockets import drafts as socket_drafts
from tests.server.disks import kept_full, small_disk
from tests.server.hosting import Hosted, Process, prepared_home, workflow
from tests.server.talking import FORMS, Talk, talk

NAME = "apple"


def _saved(server: Hosted, **nodes: Any) -> dict[str, Any]:
    document = workflow(**nodes) if nodes else workflow(a={"type": "Number"})
    answer = server.client.put(f"/workflows/{NAME}", json=document)
    assert answer.is_success, answer.text
    return document


def _patch(client: Talk, draft: str, id: str, *operations: Any) -> int:
    found = client.ask("draft.patch", draft=draft, patch=id, operations=json.dumps(operations))
    return int(found["revision"])


def _value(number: int) -> list[Any]:
    return [["nodes", "a", "inputs", "value"], number]


def _title(text: str) -> list[Any]:
    return [["title"], text]


@pytest.mark.parametrize("form", FORMS)
def test_a_change_arrives_in_the_other_window(own_server: Hosted, form: str) -> None:
    _saved(own_server)
    with talk(own_server, form) as mine, talk(own_server, form) as theirs:
        draft = mine.ask("draft.join", name=NAME)
        assert (draft["revision"], draft["saved"], draft["applied"]) == (0, 0, False)
        joined = theirs.ask("draft.join", name=NAME)
        assert len(joined["members"]) == 2
        assert len(mine.of_draft("members")["members"]) == 2
        assert _patch(mine, draft["draft"], "p1", _value(7)) == 1
        found = theirs.of_draft("patch")
        assert (found["revision"], found["patch"]) == (1, "p1")
        assert json.loads(found["operations"]) == [_value(7)]
        assert found["member"] == draft["member"]


def test_a_window_is_told_of_its_own_patch_in_order(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine, talk(own_server) as theirs:
        key = mine.ask("draft.join", name=NAME)["draft"]
        theirs.ask("draft.join", name=NAME)
        _patch(theirs, key, "t1", _value(1))
        mine.send(
            id=90, type="draft.patch", draft=key, patch="m1", operations=json.dumps([_value(2)])
        )
        order = [mine.of_draft("patch") for _ in range(2)]
        assert [(each["revision"], each["patch"]) for each in order] == [(1, "t1"), (2, "m1")]
        assert "operations" not in order[1]


def test_who_is_there_since_when_and_what_is_selected(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        with talk(own_server) as theirs:
            own = theirs.ask("draft.join", name=NAME)["member"]
            theirs.ask("draft.show", draft=key, path=["Block"], selection=["a"])
            mine.of_draft("members")
            found = {each["member"]: each for each in mine.of_draft("members")["members"]}[own]
            assert (found["name"], found["path"], found["selection"]) == ("local", ["Block"], ["a"])
            assert found["since"] > 1e9
        assert len(mine.of_draft("members")["members"]) == 1


def test_two_windows_save_one_after_the_other_without_a_conflict(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine, talk(own_server) as theirs:
        key = mine.ask("draft.join", name=NAME)["draft"]
        theirs.ask("draft.join", name=NAME)
        _patch(mine, key, "m1", _value(1))
        assert mine.ask("draft.save", draft=key)["version"] == 2
        _patch(theirs, key, "t1", [["title"], "Theirs"])
        assert theirs.ask("draft.save", draft=key)["version"] == 3
        assert theirs.of_draft("saved")["version"] == 2
    saved = own_server.client.get(f"/workflows/{NAME}").json()
    assert (saved["title"], saved["nodes"]["a"]["inputs"]) == ("Theirs", {"value": 1})


def test_a_file_that_was_changed_outside_is_not_overwritten(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        _patch(mine, key, "m1", _value(1))
        _saved(own_server, b={"type": "Number"})
        assert mine.refused("draft.save", draft=key)["status"] == 412
        assert mine.ask("draft.save", draft=key, over=True)["version"] == 3


def test_a_draft_without_changes_follows_the_file(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        mine.ask("draft.join", name=NAME)
        _saved(own_server, b={"type": "Number"})
        assert mine.of_draft("replaced")["revision"] == 1
        found = mine.ask("draft.join", name=NAME)
        assert list(json.loads(found["text"])["nodes"])[-1] == "b"
        own_server.client.delete(f"/workflows/{NAME}")
        mine.of_draft("deleted")
        assert mine.refused("draft.join", name=NAME)["status"] == 404


def test_what_is_not_saved_is_dropped_on_request(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine, talk(own_server) as theirs:
        key = mine.ask("draft.join", name=NAME)["draft"]
        theirs.ask("draft.join", name=NAME)
        _patch(mine, key, "m1", _value(1))
        found = mine.ask("draft.join", name=NAME, reset=True)
        assert "inputs" not in json.loads(found["text"])["nodes"]["a"]
        assert theirs.of_draft("replaced")["revision"] == found["revision"]


def test_a_patch_that_is_sent_again_is_applied_once(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        assert _patch(mine, key, "p1", _value(1)) == 1
        assert _patch(mine, key, "p2", _value(2)) == 2
        assert _patch(mine, key, "p1", _value(1)) == 1
    with talk(own_server) as mine:
        found = mine.ask("draft.join", name=NAME, sent="p1")
        assert found["applied"] is True
        assert json.loads(found["text"])["nodes"]["a"]["inputs"] == {"value": 2}
        assert mine.ask("draft.join", name=NAME, sent="p9")["applied"] is False


def test_a_name_that_is_taken_is_refused(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        add = json.dumps([[["nodes", "a"], {"type": "Number"}, True]])
        found = mine.refused("draft.patch", draft=key, patch="p1", operations=add)
        assert (found["status"], found["problems"][0]["code"]) == (409, "draft-name-taken")


@pytest.mark.parametrize(
    "operations",
    [
        "[]",
        "nothing",
        '[[["nodes", "a", "type"]]]',
        '[[["nodes", "a"], 3]]',
        '[[["nodes"]]]',
        '[[["title"], 3]]',
        '[[["ui"], 3]]',
        '[[["subgraphs", "B"], {"nodes": []}]]',
        '[[["nodes", "a/b"], {"type": "Number"}]]',
        '[[["ui", "x"], ' + "[" * 900 + "]" * 900 + "]]",
    ],
)
def test_a_hostile_patch_changes_nothing(own_server: Hosted, operations: str) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        found = mine.refused("draft.patch", draft=key, patch="p1", operations=operations)
        assert 400 <= found["status"] < 500, found
        assert mine.ask("draft.join", name=NAME)["revision"] == 0


def test_many_patches_do_not_make_a_draft_larger_than_it_may_be(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (rooms, store):
        monkeypatch.setattr(module, "LARGEST_DRAFT", 50_000)
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        for number in range(4):
            _patch(mine, key, f"p{number}", [["ui", f"x{number}"], "y" * 10_000])
        text = json.dumps([[["ui", "x4"], "y" * 10_000]])
        assert mine.refused("draft.patch", draft=key, patch="p4", operations=text)["status"] == 413
        # What makes it smaller is taken, and then there is room again.
        _patch(mine, key, "p5", [["ui", "x0"]])
        assert _patch(mine, key, "p4", [["ui", "x4"], "y" * 10_000]) == 6


def test_patches_that_the_text_holds_take_no_room(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "LARGEST_PATCH", 20_000)
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        for number in range(12):
            _patch(mine, key, f"p{number}", [["ui", "x"], str(number) * 5_000])
        file = own_server.services.home / store.DRAFTS_FILE
        with closing(sqlite3.connect(file)) as database:
            [(kept,)] = database.execute("SELECT sum(length(operations)) FROM patches")
        assert kept < 20_000
        assert _patch(mine, key, "p0", [["ui", "x"], "again"]) == 1


def test_a_draft_that_went_for_newer_ones_is_joined_again(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patch to what the server has no more would be confirmed, and lost."""
    monkeypatch.setattr(store, "MOST_DRAFTS", 1)
    text = json.dumps(workflow(a={"type": "Number"}))
    with talk(own_server) as mine:
        key = mine.ask("draft.join", document="d1", text=text)["draft"]
        mine.ask("draft.join", document="d2", text=text)
        request = {"draft": key, "patch": "p1", "operations": json.dumps([_value(1)])}
        assert mine.refused("draft.patch", **request)["status"] == 404


def test_a_save_that_was_not_noted_is_no_conflict(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full, or the server is killed, between the two files."""

    def full(*_: object) -> None:
        raise NodegraphError("the disk is full")

    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        _patch(mine, key, "p1", _value(1))
        with monkeypatch.context() as patched:
            patched.setattr(store.DraftStore, "mark_saved", full)
            assert mine.ask("draft.save", draft=key)["version"] == 2
        _patch(mine, key, "p2", _value(2))
        assert mine.ask("draft.save", draft=key)["version"] == 3


def test_a_file_that_says_the_same_is_no_conflict(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        _patch(mine, key, "p1", _value(1))
        document = json.loads(mine.ask("draft.join", name=NAME)["text"])
        own_server.client.put(f"/workflows/{NAME}", json=document)
        assert mine.of_draft("saved")["version"] == 2
        _patch(mine, key, "p2", _value(2))
        assert mine.ask("draft.save", draft=key)["version"] == 3


def test_a_draft_that_cannot_be_read_is_dropped_on_request_and_hinders_no_save(
    own_server: Hosted,
) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        _patch(mine, mine.ask("draft.join", name=NAME)["draft"], "p1", _value(1))
    file = own_server.services.home / store.DRAFTS_FILE
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE patches SET operations = '[{}]'")
    with talk(own_server) as mine:
        found = mine.refused("draft.join", name=NAME)
        assert (found["status"], "reset" in found["problems"][0]["hint"]) == (422, True)
        _saved(own_server, b={"type": "Number"})
        found = mine.ask("draft.join", name=NAME, reset=True)
        assert list(json.loads(found["text"])["nodes"])[-1] == "b"


def test_who_changes_too_often_is_slowed_down(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_PATCH_BURST", 2)
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        for number in range(2):
            _patch(mine, key, f"p{number}", _value(number))
        text = json.dumps([_value(9)])
        found = mine.refused("draft.patch", draft=key, patch="p9", operations=text)
        assert found["status"] == 429


def test_who_reads_too_slowly_is_told_to_join_again(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_drafts, "_MOST_WAITING", 0)
    _saved(own_server)
    with talk(own_server) as mine, talk(own_server) as theirs:
        key = mine.ask("draft.join", name=NAME)["draft"]
        theirs.ask("draft.join", name=NAME)
        _patch(mine, key, "p1", _value(1))
        assert theirs.of_draft("behind")["draft"] == key


def test_a_patch_that_does_not_know_of_a_rename_is_refused(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine, talk(own_server) as theirs:
        key = mine.ask("draft.join", name=NAME)["draft"]
        theirs.ask("draft.join", name=NAME)
        assert _patch(mine, key, "p1", [["nodes", "a"], "z", "rename"]) == 1
        late = {"draft": key, "patch": "p2", "operations": json.dumps([_value(3)]), "base": 0}
        found = theirs.refused("draft.patch", **late)
        assert (found["status"], found["problems"][0]["code"]) == (409, "draft-node-renamed")
        again = json.dumps([[["nodes", "z", "inputs", "value"], 3]])
        patch = {"draft": key, "patch": "p3", "operations": again, "base": 1}
        assert theirs.ask("draft.patch", **patch)["revision"] == 2
        document = json.loads(mine.ask("draft.join", name=NAME)["text"])
        assert document["nodes"]["z"] == {"type": "Number", "inputs": {"value": 3}}
        assert "a" not in document["nodes"]


def test_who_was_away_hears_which_nodes_have_other_names(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        found = mine.ask("draft.join", name=NAME)
        assert found["renames"] == []
        _patch(mine, found["draft"], "p1", [["nodes", "a"], "y", "rename"])
        _patch(mine, found["draft"], "p2", [["nodes", "y"], "z", "rename"], _title("Later"))
    with talk(own_server) as mine:
        again = mine.ask("draft.join", name=NAME, since=0)
        assert again["renames"] == [[None, "a", "y"], [None, "y", "z"]]
        assert mine.ask("draft.join", name=NAME, since=1)["renames"] == [[None, "y", "z"]]


def test_a_window_that_was_loaded_anew_hears_whether_it_had_sent_more(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        found = mine.ask("draft.join", name=NAME)
        assert found["later"] is False
        for number in (1, 2):
            _patch(mine, found["draft"], f"mine-{number}", _value(number))
        _patch(mine, found["draft"], "theirs-1", _value(3))

        def has_later(since: int, page: str, **sent: str) -> bool:
            later = mine.ask("draft.join", name=NAME, since=since, page=page, **sent)["later"]
            return bool(later)

        assert has_later(0, "mine-")
        assert has_later(0, "mine-", sent="mine-1")
        assert not has_later(1, "mine-", sent="mine-2")
        assert not has_later(2, "mine-")
        assert not has_later(0, "else-")


def test_two_windows_type_in_one_text(own_server: Hosted) -> None:
    _saved(own_server, a={"type": "Text", "inputs": {"value": "a cat"}})
    with talk(own_server) as mine, talk(own_server) as theirs:
        key = mine.ask("draft.join", name=NAME)["draft"]
        theirs.ask("draft.join", name=NAME)
        path = ["nodes", "a", "inputs", "value"]
        _patch(mine, key, "m1", [path, "a black cat", "merge", "a cat"])
        _patch(theirs, key, "t1", [path, "a cat sits", "merge", "a cat"])
        document = json.loads(mine.ask("draft.join", name=NAME)["text"])
        assert document["nodes"]["a"]["inputs"]["value"] == "a black cat sits"


@pytest.mark.parametrize("form", FORMS)
def test_a_pointer_is_passed_on_and_kept_nowhere(own_server: Hosted, form: str) -> None:
    _saved(own_server)
    with talk(own_server, form) as mine, talk(own_server, form) as theirs:
        own = mine.ask("draft.join", name=NAME)
        theirs.ask("draft.join", name=NAME)
        shown = {"path": ["Block"], "cursor": [1, 2.5], "moves": {"a": [-3, 4]}}
        mine.ask("draft.point", draft=own["draft"], **shown)
        found = theirs.of_draft("live")
        assert found["member"] == own["member"]
        assert {key: found[key] for key in shown} == shown
        found = theirs.ask("draft.join", name=NAME)
        assert found["revision"] == 0
        assert not any("cursor" in member for member in found["members"])


@pytest.mark.parametrize(
    "shown",
    [
        {"cursor": [1]},
        {"cursor": [1, "x"]},
        {"cursor": [1e9, 0]},
        {"moves": {"a": [1, None]}},
        {"moves": {f"n{number}": [0, 0] for number in range(201)}},
        {"moves": {"x" * 1_001: [0, 0]}},
    ],
)
def test_a_pointer_that_is_none_is_refused(own_server: Hosted, shown: dict[str, Any]) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        assert 400 <= mine.refused("draft.point", draft=key, **shown)["status"] < 500


def test_who_shows_too_much_is_slowed_down_and_stays(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also who leaves and joins again in between."""
    monkeypatch.setattr(rooms, "_SHOWN_BURST", 4)
    monkeypatch.setattr(rooms, "_SHOWN_PER_SECOND", 0.001)
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        for number in range(2):
            mine.ask("draft.show", draft=key, selection=[str(number)])
            mine.ask("draft.point", draft=key, cursor=[number, 0])
        assert mine.refused("draft.show", draft=key)["status"] == 429
        mine.ask("draft.join", name=NAME)
        assert mine.refused("draft.point", draft=key)["status"] == 429
        assert _patch(mine, key, "p1", _value(1)) == 1


def test_who_joins_too_often_is_slowed_down(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_drafts, "_JOIN_BURST", 2)
    _saved(own_server)
    with talk(own_server) as mine:
        for _ in range(2):
            key = mine.ask("draft.join", name=NAME)["draft"]
        assert mine.refused("draft.join", name=NAME)["status"] == 429
        assert _patch(mine, key, "p1", _value(1)) == 1


def test_a_new_workflow_gets_no_draft_of_one_that_was_deleted_by_hand(own_server: Hosted) -> None:
    _saved(own_server)
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        _patch(mine, key, "p1", _value(7))
        (own_server.services.home / "workflows" / f"{NAME}.json").unlink()
        _saved(own_server, b={"type": "Number"})
        # Whoever has it open keeps what is there, as something that was never saved.
        assert mine.of_draft("deleted")["name"] is None
        found = mine.ask("draft.join", name=NAME)
        nodes = json.loads(found["text"])["nodes"]
        assert ("a" in nodes, "b" in nodes) == (False, True)
        assert found["saved"] == found["revision"]


def test_readers_see_all_and_change_nothing(own_server: Hosted) -> None:
    headers = own_server.token("writer", "run")
    reader = own_server.token("reader", "read")
    own_server.client.headers.update(headers)
    _saved(own_server)
    with talk(own_server, headers=headers) as mine, talk(own_server, headers=reader) as theirs:
        key = mine.ask("draft.join", name=NAME)["draft"]
        found = theirs.ask("draft.join", name=NAME)
        members = {each["name"]: each["writes"] for each in found["members"]}
        assert members == {"writer": True, "reader": False}
        text = json.dumps([_value(1)])
        for request in (
            {"type": "draft.patch", "draft": key, "patch": "p1", "operations": text},
            {"type": "draft.save", "draft": key},
            {"type": "draft.show", "draft": key},
            {"type": "draft.point", "draft": key},
            {"type": "draft.join", "name": NAME, "reset": True},
            {"type": "draft.join", "document": "d", "text": "{}"},
            {"type": "draft.delete", "document": "d"},
        ):
            assert theirs.refused(**request)["status"] == 403, request
        theirs.ask("draft.join", name=NAME)
        _patch(mine, key, "m1", _value(1))
        assert theirs.of_draft("patch")["revision"] == 1


def test_a_document_without_a_name_is_its_owners_alone(own_server: Hosted) -> None:
    ada, bea = own_server.token("ada", "run"), own_server.token("bea", "run")
    text = json.dumps({**workflow(a={"type": "Number"}), "title": "Mine"})
    with talk(own_server, headers=ada) as mine, talk(own_server, headers=bea) as theirs:
        key = mine.ask("draft.join", document="d1", text=text)["draft"]
        _patch(mine, key, "p1", _value(3))
        [item] = mine.ask("draft.list")["items"]
        assert (item["document"], item["title"]) == ("d1", "Mine")
        assert theirs.ask("draft.list") == {"items": []}
        assert theirs.refused("draft.join", document="d1")["status"] == 404
        problem = theirs.refused("draft.patch", draft=key, patch="p", operations="[]")
        assert problem["status"] == 404
        assert mine.refused("draft.save", draft=key)["status"] == 422
    with talk(own_server, headers=ada) as mine:
        found = mine.ask("draft.join", document="d1")
        assert json.loads(found["text"])["nodes"]["a"]["inputs"] == {"value": 3}
        mine.ask("draft.delete", document="d1")
        assert mine.refused("draft.join", document="d1")["status"] == 404
        assert mine.refused("draft.delete", document="d1")["status"] == 404


def test_a_document_that_is_saved_tells_its_other_windows_the_name(own_server: Hosted) -> None:
    text = json.dumps(workflow(a={"type": "Number"}))
    with talk(own_server) as mine, talk(own_server) as theirs:
        for window in (mine, theirs):
            window.ask("draft.join", document="d1", text=text)
        _saved(own_server)
        mine.ask("draft.delete", document="d1", name=NAME)
        assert theirs.of_draft("deleted")["name"] == NAME


def test_servers_that_share_a_queue_keep_no_drafts(own_server: Hosted) -> None:
    own_server.services.drafts = None
    with talk(own_server) as mine:
        assert mine.welcome["drafts"] is False
        assert mine.refused("draft.join", name=NAME)["status"] == 503


@pytest.mark.slow
def test_a_full_disk_refuses_patches_and_loses_none(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24 << 20) as disk:
        home = prepared_home(disk / "home")
        with Process(home, "--workers", "0") as server:
            server.ready()
            text = json.dumps({"format": "nodegraph/1", "nodes": {"a": {"type": "Number"}}})
            with talk(server) as mine, talk(server) as theirs:
                found = mine.ask("draft.join", document="d1", text=text)
                key = found["draft"]
                theirs.ask("draft.join", document="d1")
                _patch(mine, key, "p1", _value(1))
                with kept_full(disk):
                    patch = {"draft": key, "patch": "p2", "base": 1}
                    large = [[["ui", "x"], "y" * 1_000_000]]
                    refused = mine.refused("draft.patch", operations=json.dumps(large), **patch)
                    assert refused["status"] >= 500, refused
                    assert "full" in refused["detail"]
                    # What isn't kept is told to nobody.
                    assert theirs.ask("draft.join", document="d1")["revision"] == 1
                assert mine.ask("draft.patch", operations=json.dumps(large), **patch) == {
                    "revision": 2
                }
            server.stop(signal.SIGKILL)
        with Process(home, "--workers", "0") as server:
            server.ready()
            with talk(server) as mine:
                found = mine.ask("draft.join", document="d1", sent="p2")
                assert (found["revision"], found["applied"]) == (2, True)
                document = json.loads(found["text"])
                assert document["nodes"]["a"]["inputs"] == {"value": 1}
                assert len(document["ui"]["x"]) == 1_000_000


def test_an_evil_client_changes_nothing_that_it_may_not(own_server: Hosted) -> None:
    _saved(own_server)
    ada, bea = own_server.token("ada", "run"), own_server.token("bea", "run")
    reader = own_server.token("reader", "read")
    text = json.dumps(workflow(a={"type": "Number"}))
    value = json.dumps([_value(66)])
    with talk(own_server, headers=ada) as mine, talk(own_server, headers=bea) as evil:
        own = mine.ask("draft.join", document="d1", text=text)["draft"]
        shared = mine.ask("draft.join", name=NAME)["draft"]
        # Rooms of others, and those that it has not joined.
        for key in (own, shared, "own/ada/d1", "saved/../apple", "x" * 1_000):
            for request in (
                {"type": "draft.patch", "patch": "e1", "operations": value},
                {"type": "draft.point", "cursor": [1, 1]},
                {"type": "draft.show", "selection": ["a"]},
                {"type": "draft.save", "over": True},
                {"type": "draft.leave"},
            ):
                assert evil.refused(draft=key, **request)["status"] == 404, (key, request)
        assert evil.refused("draft.delete", document="d1")["status"] == 404
        evil.ask("draft.join", name=NAME)
        # Revisions that there never were, and patches of what is no patch.
        for base in (-1, 1.5, "0", 1 << 60):
            fields = {"draft": shared, "patch": "e1", "operations": value, "base": base}
            assert 400 <= evil.refused("draft.patch", **fields)["status"] < 500, base
        merges = [[["nodes", "a", "note"], "x" * 9_000, "merge", "y" * 9_000]] * 101
        many = [[["ui", "x"], 1]] * 50_001
        for operations in (json.dumps(merges), json.dumps(many), '[[["ui", "\\ud800"]]', "[" * 90):
            request = {"draft": shared, "patch": "e2", "operations": operations}
            assert 400 <= evil.refused("draft.patch", **request)["status"] < 500
        with talk(own_server, headers=reader) as link:
            link.ask("draft.join", name=NAME)
            fields = {"draft": shared, "patch": "e3", "operations": value}
            assert link.refused("draft.patch", **fields)["status"] == 403
        assert mine.ask("draft.join", name=NAME)["revision"] == 0
        assert mine.ask("draft.join", document="d1")["revision"] == 0
        assert _patch(mine, shared, "m1", _value(1)) == 1


def test_merging_takes_a_server_no_longer_than_a_moment(own_server: Hosted) -> None:
    """The largest patch of texts that have nothing in common."""
    _saved(own_server)
    before, text, current = (
        "".join(chr(first + at % 25) + (" " if at % 4 == 0 else "") for at in range(8_000))
        for first in (65, 97, 35)
    )
    with talk(own_server) as mine:
        key = mine.ask("draft.join", name=NAME)["draft"]
        paths = [["nodes", "a", "inputs", f"t{at}"] for at in range(100)]
        _patch(mine, key, "p1", *([path, current] for path in paths))
        begun = monotonic()
        _patch(mine, key, "p2", *([path, text, "merge", before] for path in paths))
        assert monotonic() - begun < 20


@pytest.mark.slow
def test_nothing_confirmed_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """The kills come in the middle of patches; what wasn't confirmed is sent again."""
    home = prepared_home(tmp_path / "home")
    (home / "workflows").mkdir()
    text = json.dumps({"format": "nodegraph/1", "nodes": {"a": {"type": "Number"}}})
    (home / "workflows" / f"{NAME}.json").write_text(text)
    number, sent = 0, None
    for _ in range(3):
        with Process(home) as server:
            server.ready()
            with talk(server) as mine:
                found = mine.ask("draft.join", name=NAME, **({"sent": sent} if sent else {}))
                values = json.loads(found["text"])["nodes"]["a"].get("inputs", {})
                assert all(values[f"v{each}"] == each for each in range(number))
                for _ in range(COMPACT_EVERY):
                    value = [["nodes", "a", "inputs", f"v{number}"], number]
                    _patch(mine, found["draft"], f"p{number}", value)
                    number += 1
                sent = f"p{number}"
                value = [["nodes", "a", "inputs", f"v{number}"], number]
                mine.send(
                    id=999_999,
                    type="draft.patch",
                    draft=found["draft"],
                    patch=sent,
                    operations=json.dumps([value]),
                )
                server.stop(signal.SIGKILL)
        with Process(home) as server:
            server.ready()
            with talk(server) as mine:
                found = mine.ask("draft.join", name=NAME, sent=sent)
                known = json.loads(found["text"])["nodes"]["a"]["inputs"]
                assert (f"v{number}" in known) is found["applied"]
                assert _patch(mine, found["draft"], sent, value) >= number
                number += 1
