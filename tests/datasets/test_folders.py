"""Folders of images: what is said beside them is found, and what can't be used is named."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Dataset, InvalidFile, LabeledBox
from nodegraph.media.datasets.disk_formats import load_dataset, source_files
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.folders import FolderOptions
from tests.datasets.making import environment, write_picture
from tests.messages import raises


def loaded(folder: Path, path: str = ".", on_error: Any = "refuse", **options: Any) -> Dataset:
    faults = DatasetFaults(on_error)
    return load_dataset(path, environment(folder), FolderOptions(**options), faults)


def skipped(folder: Path, **options: Any) -> list[str]:
    faults = DatasetFaults("skip")
    load_dataset(".", environment(folder), FolderOptions(**options), faults)
    return faults.messages


def names(data: Dataset) -> list[str]:
    return [example.name for example in data.examples]


def test_captions_lie_beside_pictures(tmp_path: Path) -> None:
    for at, name in enumerate(("b", "a", "c")):
        write_picture(tmp_path / f"{name}.png", at)
    (tmp_path / "a.txt").write_text("\ufeffa red\n apple ", "utf-8")
    (tmp_path / "b.caption").write_text("a pear", "utf-8")
    data = loaded(tmp_path)
    assert names(data) == ["a", "b", "c"]
    assert [each.caption for each in data.examples] == ["a red apple", "a pear", ""]
    told = loaded(tmp_path, captions="file names")
    assert [each.caption for each in told.examples] == ["a", "b", "c"]
    assert skipped(tmp_path, captions="required") == [
        "c.png: it has no caption in a table and no c.txt"
    ]


def test_folders_are_splits_and_labels(tmp_path: Path) -> None:
    for at, name in enumerate(("train/cat/a", "val/dog/a", "top", "10_sks dog/b")):
        write_picture(tmp_path / f"{name}.png", at)
    found = {each.name: each for each in loaded(tmp_path).examples}
    assert (found["train/cat/a"].label, found["train/cat/a"].split) == ("cat", "train")
    assert (found["val/dog/a"].label, found["val/dog/a"].split) == ("dog", "validation")
    assert found["top"].label == ""
    kohya = {each.name: each for each in loaded(tmp_path, folders="repeats").examples}
    assert (kohya["10_sks dog/b"].label, kohya["10_sks dog/b"].repeats) == ("sks dog", 10)
    assert {each.label for each in loaded(tmp_path, folders="nothing").examples} == {""}
    assert names(loaded(tmp_path, recursive=False)) == ["top"]
    assert names(loaded(tmp_path, "train/**/*.png")) == ["cat/a"]


def test_tables_say_what_pictures_are(tmp_path: Path) -> None:
    for at in range(3):
        write_picture(tmp_path / f"{at}.png", at)
    write_picture(tmp_path / "masks" / "cut.png", 9)
    line = {
        "file_name": "0.png",
        "text": "a cat",
        "tags": "soft, grey, soft",
        "split": "test",
        "objects": {"bbox": [[1, 2, 3, 4]], "categories": ["cat"]},
        "mask": "masks/cut.png",
    }
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    table = 'file,caption,class,num_repeats\n1.png,"a dog, running",dog,3\n'
    (tmp_path / "captions.csv").write_text(table, "utf-8")
    cat, dog, nothing = loaded(tmp_path).examples
    assert (cat.caption, cat.tags, cat.split) == ("a cat", ("soft", "grey"), "test")
    assert cat.boxes == (LabeledBox("cat", 1, 2, 3, 4),)
    assert cat.mask is not None
    assert (dog.caption, dog.label, dog.repeats) == ("a dog, running", "dog", 3)
    assert (nothing.caption, nothing.label) == ("", "")


def test_masks_lie_beside_pictures(tmp_path: Path) -> None:
    for at, name in enumerate(("a", "a_mask", "b_mask")):
        write_picture(tmp_path / f"{name}.png", at)
    data = loaded(tmp_path)
    assert names(data) == ["a", "b_mask"]
    assert data.examples[0].mask is not None
    assert len(loaded(tmp_path, mask_suffix="").examples) == 3


def test_bad_pictures_are_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "good.png", 1)
    cut = write_picture(tmp_path / "cut.png", 2)
    cut.write_bytes(cut.read_bytes()[:200])
    (tmp_path / "empty.jpg").write_bytes(b"")
    write_picture(tmp_path / "tiny.png", 3, 4, 4)
    write_picture(tmp_path / "good.webp", 1)
    write_picture(tmp_path / "odd.png", 1)
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfe\xff")
    said = skipped(tmp_path, min_side=8)
    assert not any(str(tmp_path) in line for line in said)
    assert [line.split(":")[0].split()[0] for line in said] == [
        "cut.png", "empty.jpg", "good.webp", "odd.png", "tiny.png",
    ]  # fmt: skip
    assert "damaged or truncated" in said[0]
    assert "has the same name as good.png" in said[2]
    assert "too small (4 x 4 pixels)" in said[4]
    with raises(InvalidFile, port="path"):
        loaded(tmp_path, min_side=8)
    assert names(loaded(tmp_path, on_error="skip", min_side=8)) == ["good"]


def test_what_pillow_itself_finds_too_large_is_left_out(tmp_path: Path) -> None:
    write_picture(tmp_path / "good.png", 1)
    header = b"GIF89a\4\0\4\0\0\0\0,\0\0\0\0\x60\xea\x60\xea\0\2\0;"
    (tmp_path / "huge.gif").write_bytes(header)
    [said] = skipped(tmp_path)
    assert said.startswith("huge.gif is refused: the image is too large")
    assert names(loaded(tmp_path, on_error="skip")) == ["good"]


def test_a_picture_of_too_many_pixels_is_refused_unread(tmp_path: Path) -> None:
    write_picture(tmp_path / "good.png", 1)
    header = b"P6 40000 40000 255\n"
    (tmp_path / "huge.ppm").write_bytes(header + bytes(100))
    [said] = skipped(tmp_path, decode=False)
    assert "huge.ppm" in said
    assert "too large" in said or "refused" in said


def test_links_in_a_circle_do_no_harm(tmp_path: Path) -> None:
    write_picture(tmp_path / "in" / "good.png", 1)
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "self.png").symlink_to(tmp_path / "in" / "self.png")
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    said = skipped(tmp_path / "in")
    assert [line.split(":")[0] for line in said] == ["gone.png", "pipe.png", "self.png"]
    assert "not a file but a device" in said[1]
    assert "circular link" in said[2]


def test_nothing_outside_is_read(tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    write_picture(inputs / "good.png", 1)
    secret = write_picture(tmp_path / "secret.png", 2)
    (inputs / "out.png").symlink_to(secret)
    rows = ({"file_name": "../secret.png"}, {"file_name": str(secret)}, {"file_name": "none.png"})
    (inputs / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{", "utf-8")
    faults = DatasetFaults("skip")
    closed = replace(environment(inputs), readable=(inputs,))
    data = load_dataset(".", closed, FolderOptions(), faults)
    assert names(data) == ["good"]
    assert "out.png: reading it is not allowed" in faults.messages
    assert sum("is outside the folder" in line for line in faults.messages) == 2
    assert any("none.png: there is no such file" in line for line in faults.messages)
    assert any("line 4: it is not JSON" in line for line in faults.messages)


def test_a_mask_outside_is_refused(tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    write_picture(inputs / "good.png", 1)
    write_picture(inputs / "other.png", 2)
    write_picture(tmp_path / "secret.png", 2)
    row = {"file_name": "good.png", "mask": "../secret.png"}
    (inputs / "metadata.jsonl").write_text(json.dumps(row), "utf-8")
    assert skipped(inputs) == ["good.png: its mask secret.png is outside the folder"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"text": "x"}, "names no file"),
        ({"file_name": "a.png", "split": "holiday"}, "there is no split 'holiday'"),
        ({"file_name": "a.png", "repeats": "many"}, "many"),
        ({"file_name": "a.png", "weight": float("nan")}, "weight nan"),
        ({"file_name": "a.png", "objects": {"bbox": [[1, 2]]}}, "[1, 2] is not a box"),
        ({"file_name": "a.png", "objects": {"bbox": [[1, 2, -3, 4]]}}, "is not a box"),
        ([], "not a JSON object"),
        ("words", "not a JSON object"),
    ],
)
def test_lines_that_cant_be_are_told(tmp_path: Path, row: Any, why: str) -> None:
    write_picture(tmp_path / "a.png", 1)
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row), "utf-8")
    [said] = skipped(tmp_path)
    assert said.startswith("metadata.jsonl, line 1")
    assert why in said


def test_a_quotation_mark_that_is_never_closed_is_told(tmp_path: Path) -> None:
    for name in "ab":
        write_picture(tmp_path / f"{name}.png", 1)
    (tmp_path / "metadata.csv").write_text('file_name,text\na.png,"an apple\nb.png,a pear\n')
    [said] = skipped(tmp_path)
    assert said.startswith("metadata.csv, line")
    assert "it is not a line of a table" in said


def test_what_is_wrong_says_at_which_input(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    for path in (".", "x" * 300):
        with raises(InvalidFile, port="path"):
            loaded(tmp_path, path)


def test_a_folder_of_nothing_is_refused_whatever_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with raises(InvalidFile, port="path"):
        loaded(tmp_path, on_error="skip")
    with raises(InvalidFile, port="path"):
        loaded(tmp_path, "fruits")


def test_all_that_is_read_counts(tmp_path: Path) -> None:
    for name in ("a", "a_mask", "b/c"):
        write_picture(tmp_path / f"{name}.png", 1)
    (tmp_path / "a.txt").write_text("apple")
    (tmp_path / "b" / "metadata.csv").write_text("file_name,text\n")
    (tmp_path / "notes.md").write_text("none")
    found = {path.name for path in source_files(".", environment(tmp_path))}
    assert found == {"a.png", "a_mask.png", "c.png", "a.txt", "metadata.csv"}
