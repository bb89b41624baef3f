"""Hooks, services and declarations of packs with a process of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings
from nodegraph.cli.doctor import diagnose
from nodegraph.core.manifest import manifest_from_texts
from nodegraph.session.results.files import result_texts
from tests.isolation.packs import isolated, run, workflow

PACK = '''
import json
from pathlib import Path
from nodegraph.api import *

async def check(inputs):
    if inputs.literals["size"] == 13:
        yield Finding("size", "is unlucky", given="13", hint="Take 12.")

def facts(inputs):
    return {"image": {"width": inputs.literals["size"] * 2}}

def outside(inputs):
    return Path(inputs.literals["file"]).read_text()

def cost(inputs):
    return Estimate(seconds=3.0, memory=1000)

@node(version=2, validate=check, infer=facts, estimate=cost,
      migrations={1: lambda inputs: {"size": inputs["width"]}})
def Square(size: int = 4) -> Image:
    """Make one."""
    import torch
    return torch.zeros(1, size, size, 3)

@node(fingerprint=outside)
def Read(file: str) -> str:
    """Read a file."""
    return Path(file).read_text()

@node
def Ask(ctx: Context, value: int = 2) -> int:
    """Ask the main process."""
    return ctx.ask("double", value=value)

@node
def AskNobody(ctx: Context) -> int:
    """Ask for what there is not."""
    return ctx.ask("nothing")

@node(output="files")
def Save(ctx: Context, text: str, name: str = "a.txt") -> None:
    """Write a file."""
    path = ctx.environment.outputs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    ctx.wrote(path, kind="text")

@node(output="files")
def Describe(ctx: Context, text: str) -> None:
    """Write what a file carries."""
    path = ctx.environment.outputs / "described.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ctx.file_metadata(3)))
    ctx.wrote(path, kind="text", index=3, sidecar=True)

@node
def Load(ctx: Context, name: str) -> str:
    """Read a file that no input names."""
    return ctx.file(name).read_text()

@node
def Model(ctx: Context, model: DiffusionModel) -> int:
    """Use weights."""
    with ctx.weights(model):
        return 1
'''


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("hooks")
    settings = Settings(home=folder / "home", outputs=folder / "out", inputs=folder)
    with Session(settings, packs=[isolated(folder, PACK)]) as opened:
        assert not opened.registry.problems
        yield opened


def test_a_validate_hook_finds_problems(session: Session) -> None:
    document = workflow({"a": ("far:Square", {"size": 13})})
    [problem] = session.check(document, targets=["a"])
    assert (problem.port, problem.message, problem.hint) == ("size", "is unlucky", "Take 12.")


def test_an_infer_hook_tells_facts(session: Session) -> None:
    hook = session.registry.hook("far:Square", "infer")
    assert hook is not None
    from nodegraph.core.hooks import HookInputs

    assert hook(HookInputs({"size": 5}, {}, session.environment)) == {"image": {"width": 10}}


def test_an_estimate_hook_tells_the_cost(session: Session) -> None:
    plan = session.plan(workflow({"a": ("far:Square", {})}), targets=["a"])
    assert plan.nodes["a"].seconds == 3.0


def test_inputs_of_an_older_version_are_converted(session: Session) -> None:
    document = workflow({"a": ("far:Square", {"width": 7})})
    document["nodes"]["a"]["version"] = 1
    assert session.run(document, targets=["a"]).outputs["a.image"].shape == (1, 7, 7, 3)


def test_a_fingerprint_hook_is_asked(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    nodes: dict[str, Any] = {"a": ("far:Read", {"file": str(file)})}
    file.write_text("one")
    assert run(session, nodes).outputs["a.text"] == "one"
    file.write_text("two")
    assert run(session, nodes).outputs["a.text"] == "two"


def test_a_file_that_is_read_counts(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "b.txt"
    nodes: dict[str, Any] = {"a": ("far:Load", {"name": str(file)})}
    file.write_text("one")
    assert run(session, nodes).outputs["a.text"] == "one"
    file.write_text("two")
    assert run(session, nodes).outputs["a.text"] == "two"


def test_written_files_are_told(session: Session) -> None:
    result = run(session, {"a": ("far:Save", {"text": "hello"})})
    [written] = result.files
    assert written.path.read_text() == "hello"


def test_files_carry_what_those_of_other_packs_do(session: Session) -> None:
    written, sidecar = run(session, {"a": ("far:Describe", {"text": "hello"})}).files
    manifest = manifest_from_texts(json.loads(written.path.read_text()))
    assert manifest is not None
    assert (manifest.node, manifest.index, manifest.nodes["a"].pack) == ("a", 3, "far")
    assert manifest_from_texts(result_texts(sidecar.path) or {}) == manifest


def test_services_are_called_in_the_main_process(session: Session) -> None:
    session.node_types.isolated.services = {"double": lambda context, value: value * 2}
    assert run(session, {"a": ("far:Ask", {"value": 21})}).outputs["a.number"] == 42


def test_a_service_that_there_is_not_is_named(session: Session) -> None:
    [error] = run(session, {"a": ("far:AskNobody", {})}).errors
    assert error.problem.given == "nothing"


def test_listings_start_no_process(tmp_path: Path) -> None:
    pack = isolated(tmp_path, PACK)
    with Session(Settings(home=tmp_path / "home"), packs=[pack]) as first:
        assert "far:Square" in first.registry.node_types()
    with Session(Settings(home=tmp_path / "home"), packs=[pack]) as second:
        assert "far:Square" in second.registry.node_types()
        assert second.registry.spec("far:Square") == first.registry.spec("far:Square")
        assert not second.node_types.isolated.states()


def test_another_environment_is_another_pack(tmp_path: Path) -> None:
    pack = isolated(tmp_path, PACK)
    with Session(Settings(home=tmp_path / "home"), packs=[pack]) as first:
        code = first.registry.code_digest("far:Square")
    assert pack.isolation is not None
    other = replace(pack, isolation=replace(pack.isolation, lock="other"))
    with Session(Settings(home=tmp_path / "home"), packs=[other]) as second:
        assert second.registry.code_digest("far:Square") != code


def test_plugins_are_refused(tmp_path: Path) -> None:
    text = """
from nodegraph import node
from nodegraph.diffusion import CONTINUOUS, STRAIGHT, Evaluate, sampler

@sampler("mine", STRAIGHT, CONTINUOUS, order=1)
def mine(walk, x):
    for here, after in walk.steps():
        yield Evaluate(x, here)

@node
def One() -> int:
    return 1
"""
    with Session(Settings(home=tmp_path / "home"), packs=[isolated(tmp_path, text)]) as session:
        assert session.registry.types_of("far") == ["far:One"]
        [problem] = session.registry.problems
    assert "`mine`" in problem
    assert "its own environment" in problem


def test_doctor_names_the_process(session: Session) -> None:
    run(session, {"a": ("far:Ask", {"value": 1})})
    assert "process" in diagnose(session).processes["far"]
