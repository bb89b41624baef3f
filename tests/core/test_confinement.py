"""Files that workflows name are kept to the folders that may be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph import Context, File, node
from nodegraph.core.context import Environment
from nodegraph.core.file_access import path_problems
from nodegraph.core.node import definition_of
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings

SECRET = "not for everybody"


@node(output=True)
def Read(ctx: Context, path: Annotated[str, File("image")]) -> str:
    """What is in a file."""
    return (ctx.environment.inputs / Path(path).expanduser()).read_text()


@node(output=True)
def Load(ctx: Context, model: Annotated[str, File("model")]) -> str:
    """What is in a model's file."""
    return (ctx.environment.models[0] / model).read_text()


@node
def Name(text: str) -> str:
    """A name that isn't known before it runs."""
    return text


def folders(root: Path) -> Environment:
    """Inputs and models with a file each, and a secret beside them."""
    for name in ("inputs", "models", "uploads"):
        (root / name / "inner").mkdir(parents=True, exist_ok=True)
        (root / name / "inner" / "fine.txt").write_text("fine")
    (root / "secret.txt").write_text(SECRET)
    (root / "inputs" / "link.txt").symlink_to(root / "secret.txt")
    (root / "inputs" / "up").symlink_to(root)
    (root / "inputs" / "loop").symlink_to(root / "inputs" / "loop")
    return Environment(
        models=(root / "models",),
        inputs=root / "inputs",
        outputs=root / "outputs",
        temporary=root / "temporary",
        readable=(root / "inputs", root / "uploads"),
    )


def problems(name: object, environment: Environment, function: object = Read) -> list[Problem]:
    spec = definition_of(function).spec
    port = spec.inputs[0].name
    return list(path_problems("read", spec, {port: name}, environment))


OUTSIDE = (
    *("../secret.txt", "inner/../../secret.txt", "link.txt", "up/secret.txt", "loop"),
    *("/etc/passwd", "/dev/zero", "~/x", "~root/x", "a\0b", "..", "/", "\\\\host\\x\0"),
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_file_elsewhere_may_not_be_named(tmp_path: Path, name: str) -> None:
    (problem,) = problems(name, folders(tmp_path))
    assert (problem.code, problem.node, problem.port) == ("path-outside", "read", "path")
    assert len(problems([["inner/fine.txt"], name], folders(tmp_path / "more"))) == 1


def test_files_in_the_folders_may_be_named_however_that_is_done(tmp_path: Path) -> None:
    environment = folders(tmp_path)
    absolute = str(tmp_path / "uploads" / "inner" / "fine.txt")
    for name in ("inner/fine.txt", "./inner/fine.txt", absolute, "../uploads/x", "absent", 3, None):
        assert problems(name, environment) == []


def test_uploads_may_not_be_named_but_for_those_that_are_granted(tmp_path: Path) -> None:
    mine, others = (tmp_path / "uploads" / "inner" / name for name in ("fine.txt", "others.txt"))
    others.parent.mkdir(parents=True)
    others.write_text(SECRET)
    found = folders(tmp_path)
    (found.inputs / "mine").symlink_to(mine)
    (found.inputs / "others").symlink_to(others)
    # Even where a folder that may be read holds them.
    environment = replace(
        found, readable=(tmp_path,), uploads=tmp_path / "uploads", granted=frozenset({mine})
    )
    for name in ("../uploads/inner/fine.txt", str(mine), "mine", "up/uploads/inner/fine.txt"):
        assert problems(name, environment) == []
        assert len(problems(name, replace(environment, granted=frozenset()))) == 1
    for name in (str(others), "others", "../uploads", "../uploads/x", f"{mine}/..", f"{mine}/x"):
        assert len(problems(name, environment)) == 1, name
    assert problems("../secret.txt", environment) == []


def test_without_folders_to_keep_to_any_file_may_be_named(tmp_path: Path) -> None:
    free = Environment((), tmp_path, tmp_path, tmp_path)
    for name in OUTSIDE:
        assert problems(name, free) == []


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "C:\\x", "a\\..\\..\\x", "~/x"])
def test_models_are_named_by_names(tmp_path: Path, name: str) -> None:
    assert len(problems(name, folders(tmp_path), Load)) == 1


def test_models_behind_links_within_their_folders_are_fine(tmp_path: Path) -> None:
    environment = folders(tmp_path)
    (tmp_path / "models" / "big").symlink_to(tmp_path / "inputs")
    for name in ("tiny", "sd/model.safetensors", "big/inner/fine.txt", "a..b"):
        assert problems(name, environment, Load) == []


@given(st.text(max_size=60))
def test_no_name_whatever_leads_out(name: str) -> None:
    root = Path("/nonexistent/root")
    environment = Environment((), root, root, root, readable=(root,))
    if not problems(name, environment):
        found = (root / Path(name).expanduser()).resolve()
        assert found.is_relative_to(root)


def run(tmp_path: Path, *nodes: tuple[str, str, object]) -> tuple[str, list[str]]:
    environment = folders(tmp_path)
    settings = Settings(
        home=tmp_path,
        inputs=environment.inputs,
        readable=environment.readable,
        disk_cache=0,
        device="cpu",
    )
    document: dict[str, Any] = {"format": "nodegraph/1"}
    document["nodes"] = {name: {"type": kind, "inputs": given} for name, kind, given in nodes}
    with Session(settings, nodes=[Read, Load, Name]) as session:
        result = session.run(Workflow.from_dict(document))
    return result.status, [error.problem.code for error in result.errors]


def test_a_name_that_is_known_only_while_it_runs_is_refused_as_well(tmp_path: Path) -> None:
    name = ("name", "Name", {"text": "../secret.txt"})
    read = ("read", "Read", {"path": {"from": "name"}})
    assert run(tmp_path, name, read) == ("failed", ["path-outside"])


def test_a_file_that_may_be_read_is_read(tmp_path: Path) -> None:
    assert run(tmp_path, ("read", "Read", {"path": "inner/fine.txt"})) == ("ok", [])


def test_no_workflow_reads_the_secrets(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "secrets.json").write_text(SECRET)
    (tmp_path / "hard").hardlink_to(home / "secrets.json")
    (tmp_path / "soft").symlink_to(home / "secrets.json")
    settings = Settings(home=home, device="cpu", memory_cache=0)
    names = ("home/secrets.json", "home/../home/secrets.json", "hard", "soft")
    with Session(settings, nodes=[Read, Name], inputs=tmp_path) as session:
        for name in (*names, str(home / "secrets.json")):
            plain = Workflow.from_dict(
                {
                    "format": "nodegraph/1",
                    "nodes": {"read": {"type": "Read", "inputs": {"path": name}}},
                }
            )
            [problem] = session.check(plain)
            assert (problem.code, problem.port) == ("path-outside", "path")
            linked = Workflow.from_dict(
                {
                    "format": "nodegraph/1",
                    "nodes": {
                        "name": {"type": "Name", "inputs": {"text": name}},
                        "read": {"type": "Read", "inputs": {"path": {"from": "name"}}},
                    },
                }
            )
            [error] = session.run(linked).errors
            assert error.problem.code == "path-outside"
            assert SECRET not in str(error)
