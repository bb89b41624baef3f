"""What a worker did last is read in another process's stead."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nodegraph.jobs.supervisor.crash_evidence import Recorder
from nodegraph.jobs.supervisor.worker_spec import MOST_JOBS


@pytest.mark.parametrize("name", ["sample", "block/süß[3]", "x" * 1022])
def test_what_one_side_notes_the_other_reads(name: str) -> None:
    ours = Recorder.create()
    theirs = Recorder(ours.path)
    assert ours.begun == {}
    theirs.begin("job")
    assert ours.begun == {"job": None}
    theirs.note("job", "a longer name that was there before")
    theirs.note("job", name)
    assert ours.begun == {"job": name}
    theirs.end("job")
    assert ours.begun == {}
    theirs.begin("next")
    assert ours.begun == {"next": None}
    theirs.close()
    ours.close()


def test_jobs_beside_each_other_are_told_apart() -> None:
    ours = Recorder.create()
    theirs = Recorder(ours.path)
    names = [f"job {number}" for number in range(MOST_JOBS)]
    for name in names:
        theirs.begin(name)
        theirs.note(name, f"node of {name}")
    theirs.end(names[2])
    theirs.begin("one more")
    theirs.note(names[2], "of one that is over")
    left = {name: f"node of {name}" for name in names if name != names[2]}
    assert ours.begun == {**left, "one more": None}
    theirs.close()
    ours.close()


def test_a_name_too_long_is_cut() -> None:
    ours = Recorder.create()
    ours.begin("job")
    ours.note("job", "é" * 1000)
    assert (ours.begun["job"] or "").startswith("é" * 500)
    ours.close()


def test_nothing_is_left_behind() -> None:
    ours = Recorder.create()
    theirs = Recorder(ours.path)
    ours.unlink()
    theirs.begin("still")
    assert ours.begun == {"still": None}
    theirs.close()
    ours.close()
    assert not Path(ours.path).exists()


def test_what_a_process_left_that_was_killed_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    script = (
        "import os; from nodegraph.jobs.supervisor.crash_evidence import Recorder; "
        "Recorder.create(); os._exit(9)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    (left,) = tmp_path.iterdir()
    theirs = tmp_path / "nodegraph-notes-of-somebody"
    theirs.write_text("mine")
    ours = Recorder.create()
    assert not left.exists()
    other = Recorder.create()
    assert set(tmp_path.iterdir()) == {Path(ours.path), Path(other.path), theirs}
    ours.close()
    other.close()
