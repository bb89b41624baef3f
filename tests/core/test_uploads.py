"""Workflows name files that were brought by their digests, not by where they lie."""

from __future__ import annotations

import json
from pathlib import Path

import msgpack

from nodegraph.core.file_access import (
    may_contain_uploads,
    upload_digest,
    upload_reference,
    uploaded_paths,
    with_upload_references,
)

FOLDER = Path("/srv/uploads/files")
DIGEST = "ab" * 32


def test_a_path_becomes_a_reference_wherever_it_stands() -> None:
    path = str(FOLDER / f"{DIGEST}.png")
    document = {"nodes": {"a": {"inputs": {"path": path, "all": [path, 3, None, True, 1.5]}}}}
    found = with_upload_references(document, FOLDER)
    wanted = f"upload:{DIGEST}"
    assert found == {
        "nodes": {"a": {"inputs": {"path": wanted, "all": [wanted, 3, None, True, 1.5]}}}
    }
    assert document["nodes"]["a"]["inputs"]["path"] == path
    named = with_upload_references(path, FOLDER, lambda digest: "apple.png")
    assert named == f"upload:{DIGEST}/apple.png"


def test_other_paths_stay() -> None:
    for text in (
        f"/srv/uploads/{DIGEST}.png",
        f"/srv/uploads/files2/{DIGEST}.png",
        str(FOLDER / "apple.png"),
        str(FOLDER / f"{DIGEST}.png" / "more"),
        str(FOLDER),
        "a red apple",
    ):
        assert with_upload_references(text, FOLDER) == text


def test_a_document_that_names_a_path_is_never_taken_for_one_that_does_not() -> None:
    for folder in (FOLDER, Path("/srv/é/files")):
        path = str(folder / f"{DIGEST}.png")
        for document in (path, {"a": [{"b": path}]}, [1, ["a red apple", path]]):
            assert with_upload_references(document, folder) != document
            assert may_contain_uploads(msgpack.packb(document), folder)
        assert not may_contain_uploads(msgpack.packb({"a": "a red apple"}), folder)


def test_a_reference_tells_its_digest() -> None:
    assert upload_digest(upload_reference(DIGEST)) == DIGEST
    assert upload_digest(upload_reference(DIGEST, "a/b.png")) == DIGEST
    for text in ("upload:", f"upload:{DIGEST[:-1]}", f"x{upload_reference(DIGEST)}", DIGEST):
        assert upload_digest(text) is None


def test_the_paths_in_a_workflow_are_those_that_stand_there_as_whole_values() -> None:
    path = str(FOLDER / f"{DIGEST}.png")
    other = str(FOLDER / f"{'cd' * 32}.png")
    document = {"a": {"path": path}, "texts": [f'say "{path}', f"{path} ", f" {path}", f"{path}/x"]}
    assert uploaded_paths(json.dumps(document), {}, FOLDER) == {Path(path)}
    assert uploaded_paths("{}", {"b": [other]}, FOLDER) == {Path(other)}
    assert uploaded_paths(json.dumps({path: "a key"}), {}, FOLDER) == frozenset()
    accented = Path("/srv/é/files")
    named = str(accented / f"{DIGEST}.png")
    assert uploaded_paths(json.dumps(named), {}, accented) == {Path(named)}
