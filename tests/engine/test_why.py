"""Why nodes would run: what is told is what was changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.workflow import Workflow
from nodegraph.engine.key_parts import compare_parts
from nodegraph.engine.planning.why import NodeWhy
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import pack_at
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from tests.engine.conftest import link

pytestmark = pytest.mark.usefixtures("cheap_calls")

HELPER = "def factor():\n    return {factor}\n"
PACK = '''
from nodegraph import Context, HookInputs, node
from .helper import factor


@node
def Start(value: int, text: str = "") -> int:
    """A number."""
    return value


@node
def Times(a: int, plus: int = 0) -> int:
    """Many inputs give the same output."""
    return a // 2 * factor() + plus


@node
def Long(a: int) -> str:
    """A text of which only the digest is kept."""
    return str(a) * 6000


@node
def Length(text: str, plus: int = 0) -> int:
    """How long a text is."""
    return len(text) + plus


@node(output="files")
def Write(value: int, ctx: Context) -> None:
    """Write a file."""
    ctx.environment.outputs.mkdir(parents=True, exist_ok=True)
    path = ctx.environment.outputs / "number.txt"
    path.write_text(str(value))
    ctx.wrote(path, kind="text")


@node(output=True)
def Act(value: int) -> None:
    """Act on the world."""


def size(inputs: HookInputs) -> str:
    """Of a file."""
    return str((inputs.environment.inputs / inputs.literals["name"]).stat().st_size)


@node(fingerprint=size)
def Read(name: str, ctx: Context) -> str:
    """A file."""
    return (ctx.environment.inputs / name).read_text()


@node
def Fail(a: int) -> int:
    """Raise."""
    raise ValueError("no")


@node(deterministic=False)
def Dice() -> int:
    """A number that nobody can foresee."""
    return 4
'''

NODES: dict[str, Any] = {
    "start": {"type": "{}:Start", "inputs": {"value": 4}},
    "times": {"type": "{}:Times", "inputs": {"a": link("start")}},
    "again": {"type": "{}:Times", "inputs": {"a": link("times")}},
    "write": {"type": "{}:Write", "inputs": {"value": link("again")}},
}


class Desk:
    """A pack that can be edited, and a process for each question."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"pack{abs(hash(str(folder))) % 10**9}"
        self.pack = folder / self.name
        self.pack.mkdir()
        self.write("nodes.py", PACK)
        self.write("helper.py", HELPER.format(factor=2))

    def write(self, name: str, text: str) -> None:
        (self.pack / name).write_text(text)

    def session(self) -> Session:
        settings = Settings(home=self.folder / "home", outputs=self.folder / "out", device="cpu")
        return Session(settings, packs=[self.pack], inputs=self.folder)

    def workflow(self, nodes: Mapping[str, Any]) -> Workflow:
        typed = {
            name: {**item, "type": item["type"].format(self.name)} for name, item in nodes.items()
        }
        return Workflow.from_dict({"format": "nodegraph/1", "nodes": typed})

    def run(self, nodes: Mapping[str, Any], *targets: str) -> None:
        with self.session() as session:
            session.run(self.workflow(nodes), targets=targets or None, values=False)

    def why(self, nodes: Mapping[str, Any], node: str | None = None) -> dict[str, NodeWhy]:
        with self.session() as session:
            found = session.why(self.workflow(nodes), node=node)
        return {item.plan.name: item for item in found}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def changed(name: str, nodes: Mapping[str, Any] = NODES, **inputs: Any) -> dict[str, Any]:
    item = nodes[name]
    return {**nodes, name: {**item, "inputs": {**item["inputs"], **inputs}}}


def reasons(desk: Desk, nodes: Mapping[str, Any], node: str) -> list[str]:
    return list(desk.why(nodes, node)[node].reasons)


def test_nothing_is_told_where_nothing_would_run(desk: Desk) -> None:
    desk.run(NODES)
    assert desk.why(NODES) == {}


def test_a_hit_tells_its_run(desk: Desk) -> None:
    desk.run(NODES)
    found = desk.why(NODES, "again")
    assert list(found) == ["again"]
    origin = found["again"].origin
    assert origin is not None
    with desk.session() as session:
        assert session.persistence is not None
        assert session.persistence.runs is not None
        (run,) = session.persistence.runs.list()
    assert (origin.run, found["again"].plan.status) == (run.id, "hit")
    assert abs(origin.created - run.started) < 600


def test_a_changed_input_is_told_with_both_values(desk: Desk) -> None:
    desk.run(NODES)
    found = desk.why(changed("start", value=9))
    assert list(found) == ["start", "times", "again", "write"]
    assert found["start"].reasons == ("input value: 4 → 9",)
    assert found["times"].reasons == ("input a: `start` runs first",)
    assert found["times"].waits_for == ("start",)
    (item,) = found["start"].differences
    assert (item.kind, item.port, item.old, item.new) == ("input", "value", "4", "9")


def test_a_nodes_own_change_is_told_beside_what_it_waits_for(desk: Desk) -> None:
    desk.run(NODES)
    nodes = changed("times", changed("start", value=9), plus=1)
    assert reasons(desk, nodes, "times") == ["input plus: 0 → 1", "input a: `start` runs first"]


def test_an_upstream_output_that_differs_is_told(desk: Desk) -> None:
    desk.run(NODES)
    nodes = changed("start", value=9)
    desk.run({"start": nodes["start"]}, "start")
    assert reasons(desk, nodes, "times") == ["input a: the output of `start` differs"]


def test_another_source_is_told(desk: Desk) -> None:
    nodes = {**NODES, "other": {"type": "{}:Start", "inputs": {"value": 8}}}
    desk.run(nodes, "write", "other")
    nodes = changed("times", nodes, a=link("other"))
    assert reasons(desk, nodes, "times") == [
        "input a: the output of `other`, which was `start`, differs"
    ]


def test_a_link_in_place_of_a_value_is_told(desk: Desk) -> None:
    desk.run(NODES)
    nodes = changed("times", plus=link("start"))
    assert reasons(desk, nodes, "times") == ["input plus: 0 → from `start.number`"]
    nodes = changed("times", a=6)
    assert reasons(desk, nodes, "times") == ["input a: from `start.number` → 6"]


def test_a_changed_module_is_named(desk: Desk) -> None:
    desk.run(NODES)
    desk.write("helper.py", HELPER.format(factor=3))
    found = desk.why(NODES)
    assert found["times"].reasons[0].startswith("code changed: ")
    assert found["times"].reasons[0].endswith(f"{desk.name}.helper")
    assert found["start"].reasons == found["times"].reasons[:1]


def test_a_node_is_compared_with_its_own_last_run_not_with_the_most_similar(desk: Desk) -> None:
    nodes = {
        "one": {"type": "{}:Start", "inputs": {"value": 1, "text": "a"}},
        "two": {"type": "{}:Start", "inputs": {"value": 2, "text": "b"}},
    }
    desk.run(nodes, "one", "two")
    nodes["one"] = {"type": "{}:Start", "inputs": {"value": 2, "text": "c"}}
    assert reasons(desk, nodes, "one") == ["input value: 1 → 2", 'input text: "a" → "c"']


def test_a_node_of_a_new_name_is_compared_with_the_most_similar_one(desk: Desk) -> None:
    nodes = {
        "one": {"type": "{}:Start", "inputs": {"value": 1, "text": "a"}},
        "two": {"type": "{}:Start", "inputs": {"value": 2, "text": "b"}},
    }
    desk.run(nodes, "one", "two")
    nodes["three"] = {"type": "{}:Start", "inputs": {"value": 3, "text": "b"}}
    assert reasons(desk, nodes, "three") == ["input value: 2 → 3"]


def test_a_node_of_a_new_type_has_nothing_to_be_compared_with(desk: Desk) -> None:
    assert reasons(desk, NODES, "start") == ["no earlier result to compare with"]


def test_a_renamed_node_is_no_difference(desk: Desk) -> None:
    desk.run(NODES)
    nodes = {
        "begin": NODES["start"],
        "times": {"type": "{}:Times", "inputs": {"a": link("begin"), "plus": 1}},
    }
    assert reasons(desk, nodes, "times") == ["input plus: 0 → 1"]


def test_what_failed_is_told(desk: Desk) -> None:
    nodes = {**NODES, "fail": {"type": "{}:Fail", "inputs": {"a": link("start")}}}
    desk.run(nodes, "fail")
    (text,) = reasons(desk, nodes, "fail")
    assert text.startswith("it failed in run ")
    assert text.endswith("with the same inputs")


def test_what_is_kept_no_more_is_told(desk: Desk) -> None:
    desk.run(NODES)
    with desk.session() as session:
        assert session.store is not None
        with session.store.index.writing() as connection:
            connection.execute("DELETE FROM entries WHERE node_type LIKE '%Times'")
    (text,) = reasons(desk, NODES, "times")
    assert text.startswith("nothing has changed since run ")


def test_a_result_of_which_only_the_digest_is_left_is_told_with_who_needs_it(desk: Desk) -> None:
    nodes = {
        "start": NODES["start"],
        "long": {"type": "{}:Long", "inputs": {"a": link("start")}},
        "length": {"type": "{}:Length", "inputs": {"text": link("long")}},
        "act": {"type": "{}:Act", "inputs": {"value": link("length")}},
    }
    desk.run(nodes)
    found = desk.why(changed("length", nodes, plus=1), "length")
    assert found["long"].reasons == (
        "its result is no longer kept, only its digest, and `length` needs it",
    )
    assert found["length"].reasons[0] == "input plus: 0 → 1"
    assert "start" not in found


def test_sinks_tell_why_they_run(desk: Desk) -> None:
    nodes = {**NODES, "act": {"type": "{}:Act", "inputs": {"value": link("again")}}}
    assert "has not written" not in reasons(desk, nodes, "write")[0]
    desk.run(nodes)
    assert reasons(desk, nodes, "act") == [
        "it has an effect outside the workflow, so it runs each time"
    ]
    found = desk.why(nodes, "write")["write"]
    assert found.reasons == ("the files that it wrote exist, unchanged",)
    assert found.origin is not None
    (desk.folder / "out" / "number.txt").write_text("something else")
    assert reasons(desk, nodes, "write") == ["the files that it wrote are missing or changed"]


def test_a_changed_file_is_told(desk: Desk) -> None:
    (desk.folder / "in.txt").write_text("12345")
    nodes = {"read": {"type": "{}:Read", "inputs": {"name": "in.txt"}}}
    desk.run(nodes, "read")
    (desk.folder / "in.txt").write_text("123456")
    assert reasons(desk, nodes, "read") == ["external data that it reads has changed: 5 → 6"]


def test_what_runs_each_time_says_so(desk: Desk) -> None:
    nodes = {"dice": {"type": "{}:Dice"}, "start": {**NODES["start"], "always": True}}
    desk.run(nodes, "dice", "start")
    assert "differ from run to run" in reasons(desk, nodes, "dice")[0]
    assert "each time" in reasons(desk, nodes, "start")[0]


def test_what_another_numerics_profile_changes_is_told() -> None:
    old = {"code": "a", "version": 1, "profile": "cpu torch 2.9"}
    new = {"code": "a", "version": 1, "profile": "cuda torch 2.9"}
    (item,) = compare_parts(old, new)
    assert str(item).endswith("that affect its last bits: cpu torch 2.9 → cuda torch 2.9")


def test_a_raised_version_stands_for_its_code() -> None:
    old = {"code": "a", "version": 1}
    (item,) = compare_parts(old, {"code": "b", "version": 2})
    assert str(item) == "version of the node type: 1 → 2"


def test_without_anything_on_disk_there_is_nothing_to_compare_with(desk: Desk) -> None:
    settings = Settings(home=desk.folder / "home", disk_cache=0, device="cpu")
    with Session(settings, packs=[desk.pack]) as session:
        (start, *_) = session.why(desk.workflow(NODES))
    assert (start.reasons, start.origin) == ((), None)


@pytest.fixture(autouse=True)
def no_settings() -> Iterator[None]:
    """Of whoever runs it; pipelines of diffusers stay left out, as for all tests."""
    own = [name for name in os.environ if name.startswith("NODEGRAPH_")]
    kept = {name: os.environ.pop(name) for name in own if name != "NODEGRAPH_LEAVE_OUT"}
    yield
    os.environ.update(kept)


def test_the_modules_behind_a_type_have_digests(desk: Desk) -> None:
    from nodegraph.packs.registry import Registry

    registry = Registry([pack_at(desk.pack)], manifests=ManifestCache(None))
    found = registry.code_modules(f"{desk.name}:Times")
    assert {name.rpartition(".")[2] for name in found} >= {"nodes", "helper"}
