"""Bundles that anybody may have made: what they may not hold is refused."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from nodegraph.errors import InvalidFile
from nodegraph.session.bundles.archive import opened_bundle
from nodegraph.session.bundles.bundle import Bundle

TEXT = b"good morning"
DIGEST = blake3(TEXT).hexdigest()
FILE = {"name": "note.txt", "digest": DIGEST, "bytes": len(TEXT)}
WORKFLOW = {"format": "nodegraph/1", "nodes": {}}


def description(**changes: Any) -> dict[str, Any]:
    return {"format": "nodegraph-bundle/1", "inputs": [FILE], **changes}


def written(
    document: Any, members: dict[str, bytes] | None = None, *, compression: int = zipfile.ZIP_STORED
) -> Path:
    """A bundle with any content."""
    path = Path("x.ngbundle.zip").absolute()
    files = {
        "bundle.json": json.dumps(document).encode(),
        "workflow.json": json.dumps(WORKFLOW).encode(),
        **({f"inputs/{DIGEST}": TEXT} if members is None else members),
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InvalidFile) as refused, opened_bundle(path) as reader:
        reader.extract_all(path.parent / "open")
    return str(refused.value)


def test_a_good_one_is_read() -> None:
    with opened_bundle(written(description())) as reader:
        reader.extract_all(Path("open"))
    assert Path("open/inputs/note.txt").read_bytes() == TEXT


def test_a_workflow_that_was_changed_is_refused() -> None:
    digest = blake3(json.dumps(WORKFLOW).encode()).hexdigest()
    with opened_bundle(written(description(workflow_digest=digest))) as reader:
        assert reader.workflow().nodes == {}
    text = refusal(written(description(workflow_digest=DIGEST)))
    assert "the workflow was changed since the bundle was made" in text


@pytest.mark.parametrize(
    "name", ["../note.txt", "/etc/note", "a/../b", "C:note", "a\\b", "", "a\0b"]
)
def test_a_name_that_leads_outside_is_refused(name: str) -> None:
    text = refusal(written(description(inputs=[{**FILE, "name": name}])))
    assert "a file name that leads nowhere else" in text
    assert not Path("note.txt").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": [FILE, FILE]}, "a name stands twice among the inputs"),
        (
            {"inputs": [FILE, {**FILE, "name": "NOTE.txt"}]},
            "a name stands twice among the inputs",
        ),
        (
            {"inputs": [FILE, {**FILE, "name": "note.txt/a"}]},
            "among the inputs, a file is a folder, too",
        ),
        ({"inputs": [{**FILE, "digest": "../x"}]}, "inputs[0].digest"),
        ({"inputs": [{**FILE, "bytes": -1}]}, "inputs[0].bytes"),
        ({"inputs": [{**FILE, "bytes": 99}]}, "a file has another size than listed"),
        ({"models": [{"name": "../m", "form": "file"}]}, "leads nowhere else"),
        ({"packs": [{"name": "../p", "form": "own"}]}, "letters, digits and underscores"),
        ({"packs": [{"name": "p", "form": "magic"}]}, "own or package"),
        ({"packs": [{"name": "p", "form": "package", "files": [FILE]}]}, "packs[0]"),
        ({"nodes": []}, "nodes"),
        ({"format": "nodegraph-bundle/9"}, "not a bundle that this version reads"),
    ],
)
def test_a_description_that_cannot_be_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert reason in refusal(written(description(**changes)))


def test_a_file_with_other_content_is_refused() -> None:
    text = refusal(written(description(), {f"inputs/{DIGEST}": b"good evening"}))
    assert "a file has another digest than listed" in text
    assert not Path("open/inputs/note.txt").exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_what_cannot_be_unpacked_whole_leaves_nothing(is_there: bool) -> None:
    path = written(description(), {f"inputs/{DIGEST}": b"good evening"})
    folder = Path("open")
    if is_there:
        folder.mkdir()
    before = sorted(Path().rglob("*"))
    with pytest.raises(InvalidFile), opened_bundle(path) as reader:
        reader.extract_all(folder)
    assert sorted(Path().rglob("*")) == before


def test_a_bundle_is_unpacked_into_the_current_folder_if_it_is_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = written(description())
    Path("empty").mkdir()
    monkeypatch.chdir("empty")
    with opened_bundle(path) as reader:
        reader.extract_all(Path())
    assert Path("inputs/note.txt").read_bytes() == TEXT
    assert {each.name for each in Path().iterdir()} == {"bundle.json", "workflow.json", "inputs"}


def test_files_that_are_not_listed_are_refused() -> None:
    members = {f"inputs/{DIGEST}": TEXT, "inputs/../../evil": b"x"}
    assert "does not belong there" in refusal(written(description(), members))
    members = {f"inputs/{DIGEST}": TEXT, "more.py": b"x"}
    assert "a file that it does not list" in refusal(written(description(), members))


def test_a_missing_file_is_refused() -> None:
    assert "a file that it lists is missing" in refusal(written(description(), {}))


def test_compressed_files_are_refused() -> None:
    # Without compression no file can be larger than the archive.
    bomb = bytes(1 << 20)
    file = {"name": "big", "digest": blake3(bomb).hexdigest(), "bytes": len(bomb)}
    path = written(
        description(inputs=[file]),
        {f"inputs/{file['digest']}": bomb},
        compression=zipfile.ZIP_DEFLATED,
    )
    assert "has another compression" in refusal(path)


def test_a_link_is_refused() -> None:
    path = written(description())
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("inputs/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "not a plain file" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_stands_twice_is_refused() -> None:
    path = written(description())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"inputs/{DIGEST}", TEXT)
    assert "it contains a file twice" in refusal(path)


def test_a_size_that_is_claimed_is_refused() -> None:
    path = written(description(inputs=[{**FILE, "bytes": 1 << 40}]))
    data = bytearray(path.read_bytes())
    at = data.rindex(f"inputs/{DIGEST}".encode()) - 46
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(data)
    assert "larger than it can be" in refusal(path)


@pytest.mark.parametrize(
    "cut", [lambda data: data[: len(data) // 2], lambda data: b"PK\3\4nothing"]
)
def test_what_is_no_archive_is_refused(cut: Callable[[bytes], bytes]) -> None:
    path = written(description())
    path.write_bytes(cut(path.read_bytes()))
    assert "is not a bundle" in refusal(path)


def test_a_description_is_the_same_after_it_was_read() -> None:
    bundle = Bundle.decode(json.dumps(description(title="A", notes=["x"])).encode())
    assert Bundle.decode(bundle.encode()) == bundle
    assert bundle.encode() == Bundle.decode(bundle.encode()).encode()
