"""`nodegraph submit` with a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.server_support import (
    PICTURE,
    Asked,
    known_packs,
    saved,
    server,
    shared_server,
)
from tests.client.real import with_picture
from tests.client.support import Background, until
from tests.server.hosting import workflow
from tests.server.resources import picture

__all__ = ["known_packs", "server", "shared_server"]


def path_of(server: Asked, node: str = "load") -> str:
    """What a node of the only job is to read."""
    nodes: Any = server.client.workflow(server.only_job())["nodes"]
    path = nodes[node]["inputs"]["path"]
    assert isinstance(path, str)
    return path


def uploaded(server: Asked, value: object) -> bytes:
    """The upload that an input names."""
    digest = str(value).removeprefix("upload:").partition("/")[0]
    answer = server.server.client.get(f"/uploads/{digest}")
    assert answer.status_code == 200
    return answer.content


def test_a_workflow_is_submitted(cli: Cli, server: Asked) -> None:
    saved(workflow())
    done = cli("submit", "wf.json", "--name", "mine", "--tag", "a", "--priority", "3")
    job = server.only_job()
    assert (done.code, done.out) == (0, f"{job.id}\n")
    assert f"`nodegraph watch {job.id}`" in done.err
    assert (job.name, job.tags, job.priority, job.parameters) == ("mine", ("a",), 3, {})
    assert server.client.workflow(job)["nodes"] == workflow()["nodes"]


def test_what_is_asked_for_comes_through(cli: Cli, server: Asked) -> None:
    saved(workflow())
    options = ("--hold", "--deadline", "5", "--to", "sum", "--set", "two.value=7", "--json")
    found = cli("submit", "wf.json", *options).json
    job = server.only_job()
    assert found["id"] == job.id
    assert (job.held, job.options, job.targets) == (True, {"deadline": 5.0}, ("sum",))
    assert server.client.workflow(job)["nodes"]["two"]["inputs"]["value"] == 7  # type: ignore[index]


def test_parameters_are_options_as_the_server_takes_them(cli: Cli, server: Asked) -> None:
    saved(workflow())
    assert "--b INT" in cli("submit", "wf.json", "--help").out
    assert cli("submit", "wf.json", "--b", "40", "--quiet").err == ""
    assert server.only_job().parameters == {"b": 40}
    refused = cli("submit", "wf.json", "--b", "many")
    assert refused.code == 2
    assert "node `sum`" in refused.err
    linked = cli("submit", "wf.json", "--b", '{"from": "two"}', "--json").json
    nodes: Any = server.client.workflow(linked["id"])["nodes"]
    assert nodes["sum"]["inputs"]["b"] == {"from": "two"}


def test_everything_that_is_wrong_is_told(cli: Cli, server: Asked) -> None:
    saved(workflow(odd={"type": "sums:Summ"}, sum={"type": "sums:Sum", "inputs": {"a": "x"}}))
    refused = cli("submit", "wf.json")
    assert refused.code == 2
    assert "Did you mean `sums:Sum`?" in refused.err
    assert "node `sum`" in refused.err
    codes = [problem["code"] for problem in cli("submit", "wf.json", "--json").json["problems"]]
    assert "unknown-node-type" in codes
    assert list(server.client.list()) == []
    assert "there is no file none.json" in cli("submit", "none.json").err
    assert "does not assign a value" in cli("submit", "wf.json", "--set", "x").err


def test_with_a_key_there_is_one_job(cli: Cli, server: Asked) -> None:
    saved(workflow())
    outs = {cli("submit", "wf.json", "--key", "k").out for _ in range(2)}
    assert outs == {f"{server.only_job().id}\n"}
    assert "idempotency key" in cli("submit", "wf.json", "--key", "k", "--b", "9").err


def test_files_that_it_reads_are_uploaded(cli: Cli, server: Asked) -> None:
    data = picture()
    Path("folder").mkdir()
    Path("folder", PICTURE).write_bytes(data)
    # Relative to the workflow, as with `run`.
    saved(with_picture(PICTURE), "folder/wf.json")
    done = cli("submit", "folder/wf.json")
    assert done.code == 0
    assert f"Uploaded folder/{PICTURE}, {len(data)} B." in done.err
    assert uploaded(server, path_of(server)) == data


def test_files_given_as_options_are_uploaded(cli: Cli, server: Asked, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(picture(9, 9))
    saved(with_picture("none.png"))
    assert cli("submit", "wf.json", "--path", other, "--width", "32").code == 0
    job = server.only_job()
    assert job.parameters["width"] == 32
    assert uploaded(server, job.parameters["path"]) == other.read_bytes()


@pytest.mark.slow
def test_files_within_subgraphs_are_uploaded_once(cli: Cli, server: Asked) -> None:
    Path(PICTURE).write_bytes(picture())
    plain = with_picture(PICTURE)
    block = {
        "inputs": {"file": {"to": ["load.path"]}},
        "outputs": {"image": "load.image"},
        "nodes": {"load": {"type": "LoadImage"}, "other": plain["nodes"]["load"]},
    }
    nodes = {
        "mine": {"type": "block", "inputs": {"file": PICTURE}},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "mine"}, "name": "x"}},
    }
    saved({"format": "nodegraph/1", "subgraphs": {"block": block}, "nodes": nodes})
    done = cli("submit", "wf.json")
    assert done.code == 0, done.err
    assert done.err.count("Uploaded") == 1
    found: Any = server.client.workflow(server.only_job())
    outer = found["nodes"]["mine"]["inputs"]["file"]
    inner = found["subgraphs"]["block"]["nodes"]["other"]["inputs"]["path"]
    assert outer == inner != PICTURE


def test_a_file_that_the_server_does_not_take(cli: Cli, server: Asked) -> None:
    Path("wrong.png").write_bytes(b"no image at all")
    saved(with_picture("wrong.png"))
    refused = cli("submit", "wf.json")
    assert refused.code == 2
    assert "wrong.png cannot be uploaded" in refused.err
    assert list(server.client.list()) == []


def test_what_is_no_file_here_is_left_to_the_server(cli: Cli, server: Asked) -> None:
    saved(with_picture("../../etc/hostname"))
    refused = cli("submit", "wf.json")
    assert refused.code == 2
    assert "Uploaded" not in refused.err
    upload = server.client.upload(picture(), "there.png")
    saved(with_picture(upload.value))
    assert cli("submit", "wf.json").code == 0


def test_a_submitted_job_is_watched(cli: Cli, server: Asked) -> None:
    saved(workflow())
    working = Background(lambda: _run(server, {"a.txt": b"x"}))
    done = cli("submit", "wf.json", "--watch")
    working.result()
    assert done.code == 0
    assert "[2/2] sum (sums:Sum): 1.2 s" in done.err
    assert done.out.startswith("Finished in 1.3 s")
    failing = Background(lambda: _run(server, None))
    failed = cli("submit", "wf.json", "--watch", "--json")
    failing.result()
    assert (failed.code, failed.json["state"]) == (1, "failed")


def test_what_a_submitted_job_gives_is_brought(cli: Cli, server: Asked) -> None:
    saved(workflow())
    working = Background(lambda: _run(server, {"a.txt": b"x"}))
    done = cli("submit", "wf.json", "--out", "here", "--quiet")
    working.result()
    assert (done.code, done.out, done.err) == (0, "here/a.txt\n", "")
    assert Path("here/a.txt").read_bytes() == b"x"
    working = Background(lambda: _run(server, {"b.txt": b"y"}))
    document = cli("submit", "wf.json", "--out", "here", "--json").json
    working.result()
    assert [Path(file["path"]).read_bytes() for file in document["files"]] == [b"y"]


def _run(server: Asked, files: dict[str, bytes] | None) -> None:
    until(lambda: next(iter(server.client.list(state="queued")), None))
    server.run(files)


@pytest.mark.slow
def test_a_saved_workflow_is_submitted(cli: Cli, server: Asked) -> None:
    server.client.workflows.save("sum", workflow())
    assert "--b INT" in cli("submit", "sum", "--saved", "--help").out
    assert cli("submit", "sum", "--saved", "--b", "5").code == 0
    assert server.only_job().parameters == {"b": 5}
    assert "no such" in cli("submit", "none", "--saved").err


@pytest.mark.slow
def test_a_workflow_from_standard_input(
    cli: Cli, server: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    text = json.dumps(workflow()).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text), "utf-8"))
    assert cli("submit", "-", "--b", "8").code == 0
    assert server.only_job().parameters == {"b": 8}


def test_its_help_needs_no_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER", "http://127.0.0.1:9")
    saved(workflow())
    shown = cli("submit", "wf.json", "--help")
    assert (shown.code, "--watch" in shown.out) == (0, True)
    assert "no server answers" in cli("submit", "wf.json").err


def test_a_job_is_submitted_for_each_row(cli: Cli, server: Asked) -> None:
    saved(workflow())
    Path("rows.csv").write_text("two.value\n3\n4\n5\n")
    done = cli("submit", "wf.json", "--rows", "rows.csv", "--tag", "table", "--key", "k")
    jobs = [server.client.get(job) for job in server.client.list()]
    assert sorted(done.out.splitlines()) == sorted(job.id for job in jobs)
    assert {job.tags[0] for job in jobs} == {"table"}
    (group,) = {job.tags[1] for job in jobs}
    assert f"queue clear --tag {group}" in done.err
    table = cli("submit", "wf.json", "--rows", "rows.csv", "--tag", "table", "--key", "k", "--json")
    assert table.json["group"] == group
    assert [job["id"] for job in table.json["jobs"]] == done.out.splitlines()
    documents: list[Any] = [server.client.workflow(job) for job in jobs]
    values = [document["nodes"]["two"]["inputs"]["value"] for document in documents]
    assert sorted(values) == [3, 4, 5]
    # The same keys give the same jobs.
    again = cli("submit", "wf.json", "--rows", "rows.csv", "--tag", "table", "--key", "k")
    assert again.out == done.out
    wrong = cli("submit", "wf.json", "--rows", "rows.csv", "--watch")
    assert wrong.code == 2
    Path("rows.csv").write_text("two.value\n3\nx\n")
    assert "row 2: " in cli("submit", "wf.json", "--rows", "rows.csv").err
    assert len(list(server.client.list())) == 3
