"""`nodegraph diff` and `nodegraph merge`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nodegraph.core.workflow import Workflow
from tests.cli.conftest import WORKFLOW, Cli, changed, saved
from tests.cli.server_support import Asked, known_packs, server, shared_server

__all__ = ["known_packs", "server", "shared_server"]


def renamed() -> dict[str, Any]:
    text = json.dumps(WORKFLOW).replace('"draw"', '"dice"').replace('"draw.', '"dice.')
    document: dict[str, Any] = json.loads(text)
    return document


def test_each_difference_is_a_line(cli: Cli) -> None:
    first, second = saved(WORKFLOW, "a.json"), saved(changed(renamed(), "join", times=2), "b.json")
    shown = cli("diff", first, second)
    assert shown.code == 0
    assert shown.out.splitlines() == [
        "renamed node `draw` to `dice`",
        "added   node `join`, input `times`: 2",
    ]


def test_equal_workflows_have_no_differences(cli: Cli) -> None:
    shown = cli("diff", saved(WORKFLOW, "a.json"), saved(WORKFLOW, "b.json"), "--exit-code")
    assert (shown.code, shown.out) == (0, "No differences.\n")


def test_the_exit_code_says_that_they_differ(cli: Cli) -> None:
    first, second = saved(WORKFLOW, "a.json"), saved(changed(WORKFLOW, "join", times=2), "b.json")
    assert cli("diff", first, second, "--exit-code").code == 1


def test_layout_is_counted_and_listed_if_asked_for(cli: Cli) -> None:
    moved = WORKFLOW | {"ui": {"positions": {"join": [1, 2]}}}
    first, second = saved(WORKFLOW, "a.json"), saved(moved, "b.json")
    assert "1 change of layout" in cli("diff", first, second).out
    listed = cli("diff", first, second, "--layout")
    assert listed.out == "added   layout `positions.join`: [1, 2]\n"


def test_json_has_the_entries(cli: Cli) -> None:
    first, second = saved(WORKFLOW, "a.json"), saved(changed(WORKFLOW, "draw", seed=4), "b.json")
    [entry] = cli("diff", first, second, "--json").json["changes"]
    assert entry == {
        "change": "changed",
        "kind": "input",
        "path": ["nodes", "draw", "inputs", "seed"],
        "before": 3,
        "after": 4,
    }


def test_a_pinned_model_is_told_with_its_digest(cli: Cli) -> None:
    digests = {"old": "a" * 64, "new": "b" * 64}
    documents = []
    for name, digest in digests.items():
        node = {"type": "LoadModel", "inputs": {"model": name}}
        models = [{"name": name, "sha256": digest}]
        documents.append(
            {"format": "nodegraph/1", "nodes": {"load": node}, "metadata": {"models": models}}
        )
    first, second = (saved(each, f"{at}.json") for at, each in enumerate(documents))
    line = cli("diff", first, second).out.splitlines()[0]
    assert line == (
        f"changed node `load`, input `model`: "
        f'"old" (sha256 {"a" * 12}…) → "new" (sha256 {"b" * 12}…)'
    )


def test_the_page_shows_text_and_no_markup_of_the_workflows(cli: Cli) -> None:
    second = changed(WORKFLOW, "join", first="<script>alert(1)</script>")
    files = saved(WORKFLOW, "a.json"), saved(second, "b.json")
    cli("diff", *files, "--html", "page.html")
    page = Path("page.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_run_is_compared_with_a_file(cli: Cli, pack: Path) -> None:
    first = saved(WORKFLOW, "a.json")
    assert cli("run", first, "--pack", pack, "--out", ".").code == 0
    second = saved(changed(WORKFLOW, "join", first="bye"), "b.json")
    lines = cli("diff", "last", second, "--pack", pack).out.splitlines()
    assert lines[0] == 'changed node `join`, input `first`: "hello" → "bye"'


def test_two_jobs_of_a_server_are_compared_with_their_parameters(cli: Cli, server: Asked) -> None:
    first, second = server.submit(), server.submit(parameters={"b": 4})
    shown = cli("diff", first, second, "--exit-code")
    assert (shown.code, shown.out) == (1, "changed node `sum`, input `b`: 3 → 4\n")
    assert cli("diff", first[:-1], first, "--exit-code").out == "No differences.\n"


def test_a_job_that_the_server_does_not_have_is_an_error(cli: Cli, server: Asked) -> None:
    first = server.submit()
    shown = cli("diff", first, "job_" + "0" * 26)
    assert shown.code == 2
    assert "there is no such job" in shown.err


def picture(document: dict[str, Any], name: str) -> Path:
    texts = PngInfo()
    texts.add_text("workflow", json.dumps(document))
    Image.new("RGB", (8, 8)).save(name, pnginfo=texts)
    return Path(name)


def test_a_picture_is_compared_by_the_workflow_that_it_carries(cli: Cli) -> None:
    first = picture(WORKFLOW, "a.png")
    second = saved(changed(WORKFLOW, "draw", seed=4), "b.json")
    assert cli("diff", first, second).out == "changed node `draw`, input `seed`: 3 → 4\n"


def test_git_gets_the_workflow_of_a_picture_as_text(cli: Cli) -> None:
    shown = cli("diff", "--git", picture(WORKFLOW, "a.png"))
    assert shown.out == Workflow.from_dict(WORKFLOW).to_json()


def test_a_missing_argument_is_told(cli: Cli) -> None:
    shown = cli("diff", saved(WORKFLOW))
    assert shown.code == 2
    assert "expected: two files or ids of runs" in shown.err


@pytest.mark.parametrize("option", [(), ("--out", "merged.json")])
def test_a_merge_writes_both_sides_changes(cli: Cli, option: tuple[str, ...]) -> None:
    files = (
        saved(WORKFLOW, "base.json"),
        saved(changed(WORKFLOW, "draw", seed=4), "ours.json"),
        saved(changed(WORKFLOW, "join", times=2), "theirs.json"),
    )
    assert cli("merge", *files, *option).code == 0
    merged = json.loads(Path("merged.json" if option else "ours.json").read_text())
    assert merged["nodes"]["draw"]["inputs"]["seed"] == 4
    assert merged["nodes"]["join"]["inputs"]["times"] == 2


def test_a_conflict_keeps_ours_and_is_told_with_all_values(cli: Cli) -> None:
    sides = [saved(changed(WORKFLOW, "draw", seed=at), f"{at}.json") for at in (4, 5)]
    shown = cli("merge", saved(WORKFLOW, "base.json"), *sides)
    assert shown.code == 1
    assert shown.err.splitlines() == [
        "conflict: node `draw`, input `seed`: both sides changed it; ours stays",
        "  base: 3",
        "  ours: 4",
        "  theirs: 5",
    ]
    assert json.loads(sides[0].read_text())["nodes"]["draw"]["inputs"]["seed"] == 4


def test_a_broken_version_is_refused_and_nothing_is_written(cli: Cli) -> None:
    ours = saved(WORKFLOW, "ours.json")
    before = ours.read_bytes()
    Path("theirs.json").write_text("<<<<<<<")
    shown = cli("merge", saved(WORKFLOW, "base.json"), ours, "theirs.json")
    assert shown.code == 2
    assert "this is not valid JSON" in shown.err
    assert ours.read_bytes() == before


def test_versions_without_a_base_are_merged(cli: Cli) -> None:
    Path("base.json").write_text("")
    ours, theirs = saved(WORKFLOW, "ours.json"), saved(WORKFLOW, "theirs.json")
    assert cli("merge", "base.json", ours, theirs).code == 0


@pytest.mark.parametrize("options", [("--json", "--out", "-"), ("--git", "a", "--json")])
def test_options_of_a_merge_that_exclude_each_other_are_an_error(
    cli: Cli, options: tuple[str, ...]
) -> None:
    files = [saved(WORKFLOW, f"{side}.json") for side in ("base", "ours", "theirs")]
    shown = cli("merge", *files, *options)
    assert shown.code == 2
    assert "cannot be combined" in shown.out + shown.err


def test_a_version_with_a_fault_is_named(cli: Cli) -> None:
    files = [saved(WORKFLOW, f"{side}.json") for side in ("base", "ours")]
    Path("theirs.json").write_text('{"format": "nodegraph/1", "nodes": 3}')
    shown = cli("merge", *files, "theirs.json")
    assert shown.code == 2
    assert "theirs.json" in shown.err
