"""Packs that hang at import are left out, by all processes, until they are edited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.digests import with_checksum, without_checksum
from nodegraph.core.pack_faults import WATCHDOG
from nodegraph.packs import import_timeouts as hanging
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import Pack, pack_at
from nodegraph.packs.registry import Registry

TEXT = "from nodegraph import node\n\n@node\ndef Two() -> int:\n    return 2\n"


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    (tmp_path / "slow_one.py").write_text(TEXT)
    return pack_at(tmp_path / "slow_one.py")


@pytest.fixture
def other() -> Iterator[int]:
    """The number of another process."""
    code = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def write_note(folder: Path, pack: Pack, process: int, most: float | None = None) -> None:
    """As a process does that waits for a pack, or has given it up."""
    text = (
        "pack `slow_one`: importing it has taken 9 s and is still running, in slow_one.py, line 1"
    )
    note = hanging._note(pack.stamp(), text, is_given_up=False)
    born = hanging._born(process)
    note = replace(note, process=process, born=born, most=most)
    hanging.ImportTimeouts(folder)._write(pack, note)


def read(folder: Path, pack: Pack) -> Registry:
    return Registry([pack], manifests=ManifestCache(folder))


def test_a_pack_that_another_process_is_at_is_left_out_until_that_is_over(
    tmp_path: Path, pack: Pack, other: int
) -> None:
    write_note(tmp_path / "specs", pack, other)
    registry = read(tmp_path / "specs", pack)
    assert registry.node_types() == []
    (told,) = registry.problems
    assert "in slow_one.py, line 1. The pack is not loaded meanwhile" in told
    assert registry.is_current()
    (note,) = (tmp_path / "specs").glob("*.hangs")
    note.unlink()
    assert not registry.is_current()
    assert read(tmp_path / "specs", pack).node_types() == ["slow_one:Two"]


@pytest.mark.parametrize(
    "change",
    [
        {"at": "yesterday"},
        {"born": []},
        {"most": "60"},
        {"text": None},
        {"process": "4"},
        {"colour": 1},
        None,
    ],
)
def test_a_note_of_another_shape_is_ignored_with_a_line_in_the_log(
    tmp_path: Path,
    pack: Pack,
    other: int,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, Any] | None,
) -> None:
    write_note(tmp_path / "specs", pack, other)
    (file,) = (tmp_path / "specs").glob("*.hangs")
    document = json.loads(without_checksum(file.read_bytes()))
    changed = [1, 2] if change is None else {**document, **change}
    file.write_bytes(with_checksum(json.dumps(changed).encode()))
    assert read(tmp_path / "specs", pack).node_types() == ["slow_one:Two"]
    assert f"{file} is ignored" in caplog.text


@pytest.mark.parametrize("content", [[1, 2], {"colour": 1}, {"specs": [1]}, {"types": 3}])
def test_a_manifest_of_another_shape_is_read_anew(tmp_path: Path, pack: Pack, content: Any) -> None:
    read(tmp_path / "specs", pack).node_types()
    (file,) = (tmp_path / "specs").glob("*slow_one-*.json")
    file.write_bytes(with_checksum(json.dumps(content).encode()))
    assert ManifestCache(tmp_path / "specs").last(pack) is None
    assert read(tmp_path / "specs", pack).node_types() == ["slow_one:Two"]


@pytest.mark.parametrize("process", [os.getpid(), 2**22 + 1], ids=["this one", "none"])
def test_a_note_of_a_process_that_is_gone_counts_for_nothing(
    tmp_path: Path, pack: Pack, process: int
) -> None:
    write_note(tmp_path / "specs", pack, process)
    assert read(tmp_path / "specs", pack).node_types() == ["slow_one:Two"]


def test_a_pack_that_was_given_up_is_left_out_until_it_is_edited(
    tmp_path: Path, pack: Pack
) -> None:
    write_note(tmp_path / "specs", pack, 2**22 + 1, most=60)
    registry = read(tmp_path / "specs", pack)
    assert registry.node_types() == []
    assert "until it is edited or `import_seconds` is increased" in registry.problems[0]
    assert registry.faults("slow_one") == registry.problems
    pack.root.write_text(TEXT.replace("Two", "Three"))
    assert read(tmp_path / "specs", pack).node_types() == ["slow_one:Three"]


def test_a_pack_that_was_given_up_is_tried_with_more_patience_and_after_an_hour(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_note(tmp_path / "specs", pack, 2**22 + 1, most=60)
    monkeypatch.setattr(WATCHDOG, "import_limit", 60.0)
    assert read(tmp_path / "specs", pack).problems
    monkeypatch.setattr(WATCHDOG, "import_limit", 61.0)
    assert not read(tmp_path / "specs", pack).problems
    monkeypatch.setattr(WATCHDOG, "import_limit", 60.0)
    now = hanging.time()
    monkeypatch.setattr(hanging, "time", lambda: now + 3700)
    assert not read(tmp_path / "elsewhere", pack).problems
