"""A queue whose folder was moved: its jobs name files where they lie now."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from nodegraph.jobs.queue import JobQueue
from tests.jobs.queue.support import claim, event, in_files, submit, told


def test_jobs_of_a_folder_that_was_moved_name_its_files_where_they_lie(tmp_path: Path) -> None:
    before, after = tmp_path / "home", tmp_path / "elsewhere" / "home"
    upload = f"{before}/uploads/files/{'a' * 64}.png"
    beside = f"{before}2/picture.png"
    workflow = {"format": "nodegraph/1", "nodes": {"load": {"type": "X", "inputs": {"f": upload}}}}
    before.mkdir()
    with JobQueue(in_files(before), synced=False) as queue:
        submit(queue)
        job = claim(queue)
        wrote = event(1, "node.wrote", path=f"{before}/outputs/a.png", digest="d")
        queue.append_events(job.id, job.attempt, [wrote]).result()
        files = [{"path": f"{before}/outputs/a.png"}, {"path": beside}]
        queue.finish(job.id, job.attempt, {"files": files}).result()
        waiting = submit(queue, workflow=workflow, parameters={"p": [upload], "text": "home"})
    after.parent.mkdir()
    before.rename(after)

    for _ in range(2):
        with JobQueue(in_files(after), synced=False) as queue:
            moved = queue.get(waiting.id)
            there = f"{after}/uploads/files/{'a' * 64}.png"
            assert moved.parameters == {"p": [there], "text": "home"}
            assert json.loads(queue.workflow(moved.workflow))["nodes"]["load"]["inputs"] == {
                "f": there
            }
            outputs = queue.get(job.id).outputs
            assert outputs is not None
            assert outputs["files"] == [{"path": f"{after}/outputs/a.png"}, {"path": beside}]
            (written,) = [each for each in told(queue) if each.kind == "node.wrote"]
            assert written.data["path"] == f"{after}/outputs/a.png"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes there alone")
def test_a_folder_whose_name_is_no_text_can_be_used(tmp_path: Path) -> None:
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/h\xff"))
    home.mkdir()
    for _ in range(2):
        with JobQueue(in_files(home), synced=False) as queue:
            submit(queue)
