"""A process that is killed while it saves a result leaves no part of it behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nodegraph.media.images.output_files import save_numbered

pytestmark = pytest.mark.skipif(
    not hasattr(os, "O_TMPFILE"), reason="files without a name are Linux's"
)
SAVE = """
import os, signal, sys
from pathlib import Path
from nodegraph.media.images.output_files import save_numbered
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, sys.argv[2], die)
save_numbered(Path(sys.argv[1]), "apple", ".png", [b"1" * 100_000])
"""


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_nothing_is_left_of_one_that_was_killed_before_it_was_done(
    tmp_path: Path, call: str
) -> None:
    process = subprocess.run([sys.executable, "-c", SAVE, str(tmp_path), call], check=False)
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
    [saved] = save_numbered(tmp_path, "apple", ".png", [b"1" * 100_000])
    assert [path.name for path in tmp_path.iterdir()] == ["apple_00001.png"]
    assert saved.path.read_bytes() == b"1" * 100_000


def test_where_files_have_names_from_the_start_all_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    for content in (b"1", b"2", b"1"):
        save_numbered(tmp_path, "apple", ".png", [content])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["apple_00001.png", "apple_00002.png"]
