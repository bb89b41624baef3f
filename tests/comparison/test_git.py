"""Git with nodegraph as its merge driver and its external diff."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from tests.comparison.editing import Document
from tests.comparison.test_differences import copied

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


class Repository:
    """A repository with one workflow file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = f'"{sys.executable}" -m nodegraph'
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Someone")
        self.git("config", "user.email", "someone@example.com")
        self.git("config", "merge.nodegraph.driver", f"{command} merge --git %P %O %A %B")
        self.git("config", "diff.nodegraph.command", f"{command} diff --git")
        (folder / ".gitattributes").write_text("*.json merge=nodegraph diff=nodegraph\n")
        self.commit(copied())

    def git(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": "1"},
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def commit(self, document: Document) -> None:
        (self.folder / "wf.json").write_text(json.dumps(document, indent=1))
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "A change")

    def branches(self, ours: Document, theirs: Document) -> None:
        self.git("checkout", "-q", "-b", "other")
        self.commit(theirs)
        self.git("checkout", "-q", "main")
        self.commit(ours)

    @property
    def workflow(self) -> Document:
        document: Document = json.loads((self.folder / "wf.json").read_text())
        return document


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_git_merges_what_would_collide_as_lines(repository: Repository) -> None:
    ours, theirs = copied(), copied()
    ours["nodes"]["sample"]["inputs"]["seed"] = 7
    theirs["nodes"]["sample"]["inputs"]["steps"] = 30
    repository.branches(ours, theirs)
    repository.git("merge", "-q", "other")
    inputs = repository.workflow["nodes"]["sample"]["inputs"]
    assert (inputs["seed"], inputs["steps"]) == (7, 30)


def test_git_reports_a_conflict_and_the_file_stays_a_workflow(repository: Repository) -> None:
    ours, theirs = copied(), copied()
    ours["nodes"]["sample"]["inputs"]["seed"] = 7
    theirs["nodes"]["sample"]["inputs"]["seed"] = 8
    theirs["title"] = "Apples"
    repository.branches(ours, theirs)
    shown = repository.git("merge", "other", code=1)
    assert "CONFLICT" in shown
    assert "node `sample`, input `seed`: both sides changed it" in shown
    assert "theirs: 8" in shown
    assert repository.workflow["nodes"]["sample"]["inputs"]["seed"] == 7
    assert repository.workflow["title"] == "Apples"
    assert "UU wf.json" in repository.git("status", "--short")


def test_a_conflict_names_the_file_and_no_temporary_one(repository: Repository) -> None:
    ours, theirs = copied(), copied()
    ours["nodes"]["sample"]["inputs"]["seed"] = 7
    theirs["nodes"]["sample"]["inputs"]["seed"] = 8
    repository.branches(ours, theirs)
    shown = repository.git("merge", "other", code=1)
    assert "wf.json: node `sample`, input `seed`" in shown
    assert ".merge_file" not in shown


def lines(*changed: str) -> str:
    """A file that is no workflow."""
    entries = {"name": "a", "version": "1", "main": "b", "license": "MIT", "type": "c"}
    entries |= dict(each.split("=") for each in changed)
    return json.dumps(entries, indent=1) + "\n"


class OtherFile(NamedTuple):
    """Versions of a file that is no workflow, and what git makes of them."""

    base: str
    ours: str
    theirs: str
    expected: str


CLEAN = OtherFile(lines(), lines("name=b"), lines("type=d"), lines("name=b", "type=d"))
CONFLICT = OtherFile(lines(), lines("name=ours"), lines("name=theirs"), "<<<<<<< ours\n")
BROKEN = OtherFile(lines(), "<<<<<<< a\n", lines("name=b"), "<<<<<<< ours\n")


@pytest.mark.parametrize("case", [CLEAN, CONFLICT, BROKEN])
def test_git_merges_a_file_that_is_no_workflow_by_lines(
    repository: Repository, case: OtherFile
) -> None:
    path = repository.folder / "package.json"
    path.write_text(case.base)
    repository.commit(copied())
    repository.git("checkout", "-q", "-b", "other")
    path.write_text(case.theirs)
    repository.commit(copied())
    repository.git("checkout", "-q", "main")
    path.write_text(case.ours)
    repository.commit(copied())
    shown = repository.git("merge", "other", code=0 if case is CLEAN else 1)
    assert "note: package.json was merged by lines. package.json (" in shown
    assert ".merge_file" not in shown
    assert case.expected in path.read_text()
    assert ("UU package.json" in repository.git("status", "--short")) == (case is not CLEAN)


def test_git_merges_a_workflow_with_a_fault_by_lines(repository: Repository) -> None:
    ours, theirs = copied(), copied()
    ours["nodes"]["sample"]["inputs"] = [1]
    theirs["title"] = "Apples"
    repository.branches(ours, theirs)
    shown = repository.git("merge", "other")
    assert "wf.json (ours): " in shown
    assert "note: wf.json was merged by lines" in shown
    assert repository.workflow["title"] == "Apples"


def test_git_diff_shows_entries(repository: Repository) -> None:
    changed = copied()
    changed["nodes"]["sample"]["inputs"]["seed"] = 7
    (repository.folder / "wf.json").write_text(json.dumps(changed))
    shown = repository.git("diff")
    assert "changed node `sample`, input `seed`: 1 → 7" in shown


def test_git_diff_of_a_new_file_shows_its_nodes(repository: Repository) -> None:
    (repository.folder / "new.json").write_text(json.dumps(copied()))
    repository.git("add", "-A")
    shown = repository.git("diff", "--cached")
    assert "nodegraph diff new.json" in shown
    assert "added   node `load` (LoadModel)" in shown


def test_git_diff_of_a_file_that_is_no_workflow_shows_lines(repository: Repository) -> None:
    (repository.folder / "wf.json").write_text("{}\n")
    assert "+{}" in repository.git("diff")


def test_git_diff_of_a_picture_without_a_workflow_names_no_temporary_file(
    repository: Repository,
) -> None:
    command = repository.git("config", "diff.nodegraph.command").strip()
    repository.git("config", "diff.picture.textconv", command)
    (repository.folder / ".gitattributes").write_text("*.png diff=picture\n")
    for color in ("red", "blue"):
        Image.new("RGB", (2, 2), color).save(repository.folder / "a.png")
        repository.git("add", "-A")
        repository.git("commit", "-q", "-m", color)
    added = repository.git("show", "HEAD~1")
    assert "+This file does not contain a workflow" in added
    assert not [line for line in repository.git("show").splitlines() if line.startswith(("+", "-"))]
