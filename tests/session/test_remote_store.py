"""Sessions on two machines that share results."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Context, Session, Settings, Workflow, node
from nodegraph.core.events import Event

RAN: list[str] = []


@node
def Draw(text: str) -> str:
    """A long text."""
    RAN.append("Draw")
    return text * 10_000


@node
def Shade(text: str) -> str:
    """Another one."""
    RAN.append("Shade")
    return text[::-1]


@node
def Count(text: str) -> int:
    """Its length."""
    RAN.append("Count")
    return len(text)


@node
def Crop(text: str, ctx: Context) -> str:
    """Half of it."""
    RAN.append("Crop")
    ctx.log("half of it is cut off", "warning")
    return text[::2]


@node
def Read(name: str, ctx: Context) -> str:
    """A file's text."""
    RAN.append("Read")
    return ctx.file(name).read_text()


WORKFLOW = {
    "format": "nodegraph/1",
    "nodes": {
        "draw": {"type": "Draw", "inputs": {"text": "abc"}},
        "shade": {"type": "Shade", "inputs": {"text": {"from": "draw"}}},
        "count": {"type": "Count", "inputs": {"text": {"from": "shade"}}},
    },
}


def machine(home: Path, shared: Path, **options: Any) -> Session:
    """Of settings that share everything, however quickly it was computed."""
    settings = Settings(
        home=home,
        remote_store=shared.as_uri(),
        keep_cheap=True,
        device="cpu",
        leave_out=("diffusers",),
    )
    return Session(settings, nodes=[Draw, Shade, Count, Crop, Read], **options)


def run(
    home: Path,
    shared: Path,
    workflow: dict[str, Any] = WORKFLOW,
    targets: tuple[str, ...] = ("count",),
    **options: Any,
) -> list[str]:
    """What a machine had to run, with its store as that was left."""
    RAN.clear()
    with machine(home, shared, **options) as session:
        session.run(Workflow.from_dict(workflow), targets=targets)
        assert session.store is not None
        assert session.store.problem is None
    return sorted(RAN)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def test_no_machine_computes_what_another_has(tmp_path: Path, shared: Path) -> None:
    assert run(tmp_path / "one", shared) == ["Count", "Draw", "Shade"]
    assert run(tmp_path / "two", shared) == []
    # The long texts in between weren't needed, so they stayed where they are.
    assert not list((tmp_path / "two" / "cache" / "store" / "artifacts").rglob("*.msgpack"))


def test_what_a_node_warned_of_on_one_machine_is_told_on_others(
    tmp_path: Path, shared: Path
) -> None:
    nodes = {"crop": {"type": "Crop", "inputs": {"text": "abc" * 10_000}}}
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    for name in ("one", "two", "two"):
        events: list[Event] = []
        with machine(tmp_path / name, shared) as session:
            session.run(workflow, targets=("crop",), listener=events.append)
        logged = [event.data["message"] for event in events if event.kind == "log"]
        assert logged == ["half of it is cut off"]
    assert RAN.count("Crop") == 1


def test_what_is_gone_there_is_computed_again_and_shared(tmp_path: Path, shared: Path) -> None:
    run(tmp_path / "one", shared)
    for file in (shared / "artifacts").rglob("*.msgpack"):
        file.write_bytes(b"damaged")
    longer = {**WORKFLOW["nodes"], "more": {"type": "Shade", "inputs": {"text": {"from": "shade"}}}}  # type: ignore[dict-item]
    more = {"format": "nodegraph/1", "nodes": longer}
    assert run(tmp_path / "two", shared, more, ("count", "more")) == ["Draw", "Shade", "Shade"]
    assert run(tmp_path / "three", shared, more, ("count", "more")) == []


def test_what_a_node_reads_outside_enters_on_both_machines(tmp_path: Path, shared: Path) -> None:
    workflow = {
        "format": "nodegraph/1",
        "nodes": {"read": {"type": "Read", "inputs": {"name": "words.txt"}}},
    }
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "words.txt").write_text("one")
    assert run(tmp_path / "one", shared, workflow, ("read",), inputs=inputs) == ["Read"]
    assert run(tmp_path / "two", shared, workflow, ("read",), inputs=inputs) == []
    (inputs / "words.txt").write_text("two")
    assert run(tmp_path / "three", shared, workflow, ("read",), inputs=inputs) == ["Read"]


def test_a_run_goes_on_without_the_place(
    tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = tmp_path / "away"
    with caplog.at_level(logging.WARNING):
        assert run(tmp_path / "one", away) == ["Count", "Draw", "Shade"]
    assert caplog.text.count("cannot be reached") == 1
    assert "3 results are not yet uploaded" in caplog.text
    away.mkdir()
    assert run(tmp_path / "one", away) == []
    assert run(tmp_path / "two", away) == []


@pytest.mark.parametrize(
    ("url", "told"), [("nowhere", "not a URL"), ("nowhere://bucket", "cannot be used")]
)
def test_a_place_that_is_none_is_told_and_left_out(tmp_path: Path, url: str, told: str) -> None:
    with Session(Settings(home=tmp_path, remote_store=url), nodes=[Draw]) as session:
        assert session.store is not None
        (problem,) = session.problems
    assert "are not shared with other machines" in problem
    assert told in problem
