"""The name of the last node is read in another process's stead."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nodegraph.jobs.supervisor.recorder import Recorder


@pytest.mark.parametrize("name", ["sample", "block/süß[3]", "x" * 1022])
def test_what_one_side_notes_the_other_reads(name: str) -> None:
    ours = Recorder.create()
    theirs = Recorder(ours.path)
    assert ours.read() is None
    theirs.note("a longer name that was there before")
    theirs.note(name)
    assert ours.read() == name
    theirs.note("")
    assert ours.read() is None
    theirs.close()
    ours.close()


def test_it_is_known_whether_a_job_was_begun() -> None:
    ours = Recorder.create()
    theirs = Recorder(ours.path)
    theirs.note("of the job before")
    ours.expect()
    assert not ours.has_begun
    assert ours.read() is None
    theirs.note("")
    assert ours.has_begun
    assert ours.read() is None
    theirs.note("first")
    assert ours.read() == "first"
    theirs.close()
    ours.close()


def test_a_name_too_long_is_cut() -> None:
    ours = Recorder.create()
    ours.note("é" * 1000)
    assert (ours.read() or "").startswith("é" * 500)
    ours.close()


def test_nothing_is_left_behind() -> None:
    ours = Recorder.create()
    theirs = Recorder(ours.path)
    ours.unlink()
    theirs.note("still")
    assert ours.read() == "still"
    theirs.close()
    ours.close()
    assert not Path(ours.path).exists()


def test_what_a_process_left_that_was_killed_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    script = (
        "import os; from nodegraph.jobs.supervisor.recorder import Recorder; "
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
