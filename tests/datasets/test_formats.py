"""Datasets are written for other tools, and come back."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nodegraph import Dataset, Example, InvalidFile, InvalidValue, LabeledBox
from nodegraph.media.datasets.coco import decode_segmentation, encode_rle, mask_to_polygons
from nodegraph.media.datasets.disk_formats import SavedDataset, load_dataset, save_dataset
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.folders import FolderOptions
from nodegraph.media.datasets.image_folder import file_stems
from nodegraph.media.datasets.reading import example_file, load_mask, load_picture
from nodegraph.media.images.embedded_texts import workflow_metadata
from nodegraph.session.results.files import result_texts
from tests.datasets.making import environment, picture, write_picture
from tests.messages import raises
from tests.properties import examples


def mixed(folder: Path) -> Dataset:
    """A file with all that can be said of it, one that was made, and one of which nothing is."""
    mask = torch.zeros(16, 24)
    mask[3:9, 4:14] = 1
    full = Example(
        example_file(write_picture(folder / "cat photo.png", 1)),
        "cats/tom.1",
        "a cat, grey; sitting",
        ("grey", "cat"),
        "cat",
        "train",
        mask,
        (LabeledBox("cat", 4, 3, 10, 6),),
        repeats=3,
        weight=0.5,
    )
    made = Example((picture(2) * 255).round() / 255, "made", "a dog", label="dog", split="test")
    bare = Example(example_file(write_picture(folder / "bare.png", 3)), "cats/tom.1")
    return Dataset((full, made, bare), "pets")


def saved(folder: Path, data: Dataset, form: Any = "image folder", **more: Any) -> SavedDataset:
    return save_dataset(data, folder / "out", "sets/pets", form, **more)


def loaded(folder: Path, path: Path, on_error: Any = "refuse") -> Dataset:
    return load_dataset(str(path), environment(folder), FolderOptions(), DatasetFaults(on_error))


@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("image folder", {}),
        ("coco", {}),
        ("coco", {"segments": "polygons"}),
        ("webdataset", {}),
        ("webdataset", {"per_shard": 1}),
    ],
)
def test_what_is_written_comes_back(tmp_path: Path, form: str, more: dict[str, Any]) -> None:
    data = mixed(tmp_path)
    found = loaded(tmp_path, saved(tmp_path, data, form, **more).folder)
    by_caption = {example.caption: example for example in found.examples}
    for example in data.examples:
        back = by_caption[example.caption]
        assert torch.equal(load_picture(back), load_picture(example))
        before, after = load_mask(example), load_mask(back)
        assert (before is None) == (after is None)
        assert before is None or (after is not None and torch.equal(before, after))
        for name in ("tags", "label", "split", "boxes", "repeats", "weight"):
            assert getattr(back, name) == getattr(example, name), name
    assert len(found.examples) == 3


@pytest.mark.parametrize("form", ["image folder", "coco", "webdataset"])
def test_numbers_of_numpy_are_written_as_others(tmp_path: Path, form: str) -> None:
    box = LabeledBox("cat", np.float32(1.5), np.int64(2), np.float32(4), np.float64(3))  # type: ignore[arg-type]
    one = Example(
        picture(1), "tom", boxes=(box,), repeats=np.int64(2), weight=np.float32(0.5),  # type: ignore[arg-type]
        bucket=(np.int64(24), np.int64(16)),  # type: ignore[arg-type]
    )  # fmt: skip
    written = saved(tmp_path, Dataset((one,), "pets", (np.int64(24), np.int64(16))), form)  # type: ignore[arg-type]
    (back,) = loaded(tmp_path, written.folder).examples
    assert (back.boxes, back.repeats, back.weight) == (one.boxes, 2, 0.5)


def test_files_are_copied_as_they_are_and_written_once(tmp_path: Path) -> None:
    data = mixed(tmp_path)
    texts = workflow_metadata({"title": "pets"})
    first = saved(tmp_path, data, texts=texts)
    copied = first.folder / "train" / "cat" / "tom_1.png"
    assert copied.read_bytes() == (tmp_path / "cat photo.png").read_bytes()
    assert json.loads((first.folder / "dataset.json").read_text())["workflow"] == {"title": "pets"}
    renamed = workflow_metadata({"title": "animals"})
    assert saved(tmp_path, data, texts=renamed) == first._replace(existed=True)
    assert result_texts(first.folder / "dataset.json") == texts
    assert saved(tmp_path, replace(data, name="others")).folder.name == "pets_00002"
    assert saved(tmp_path, data, texts={}).folder.name == "pets_00003"


@pytest.mark.parametrize("form", ["image folder", "coco", "webdataset"])
def test_of_no_examples_nothing_is_written(tmp_path: Path, form: str) -> None:
    with raises(InvalidValue, port="dataset"):
        saved(tmp_path, Dataset((), "pets"), form)
    assert not (tmp_path / "out").exists()


def test_tables_of_all_splits_are_alike(tmp_path: Path) -> None:
    # Hugging Face's datasets refuse them otherwise.
    folder = saved(tmp_path, mixed(tmp_path)).folder
    rows = [
        json.loads(line)
        for table in sorted(folder.glob("*/metadata.jsonl"))
        for line in table.read_text().splitlines()
    ]
    assert len({tuple(sorted(row)) for row in rows}) == 1
    for name in ("text", "label", "tags", "mask"):
        assert {type(row[name]) for row in rows} == {str}
    assert not list(folder.glob("train/**/*_mask*"))


def test_a_dataset_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    data = mixed(tmp_path)
    write_picture(tmp_path / "bare.png", 9)
    with raises(InvalidFile):
        saved(tmp_path, data)
    assert list((tmp_path / "out" / "sets").iterdir()) == []


@pytest.mark.parametrize("form", ["image folder", "coco", "webdataset"])
def test_texts_that_no_file_can_hold_are_replaced(tmp_path: Path, form: str) -> None:
    half = Example(picture(0), "a\ud800", "b\ud800", ("c\ud800",), "d\ud800")
    card = workflow_metadata({"title": "\ud800"})
    found = loaded(tmp_path, saved(tmp_path, Dataset((half,)), form, texts=card).folder)
    assert [(each.caption, each.label) for each in found.examples] == [("b?", "d?")]


@pytest.mark.parametrize("form", ["image folder", "coco", "webdataset"])
def test_texts_may_have_ends_of_lines_of_any_kind(tmp_path: Path, form: str) -> None:
    caption = 'a\u2028b\x85c\x1cd "e"\r\nf'
    found = loaded(
        tmp_path, saved(tmp_path, Dataset((Example(picture(0), "a", caption),)), form).folder
    )
    assert [each.caption for each in found.examples] == [caption]


def test_pictures_are_written_at_the_size_that_is_learned_from(tmp_path: Path) -> None:
    data = replace(mixed(tmp_path), size=(8, 8))
    found = loaded(tmp_path, saved(tmp_path, data, resized=True).folder)
    assert {example.size for example in found.examples} == {(8, 8)}
    [box] = next(example.boxes for example in found.examples if example.boxes)
    assert (box.x, box.width) == (0.0, 5.0)


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    examples = tuple(
        Example(picture(0), name, label=label)
        for name, label in (("../up", "../../etc"), ("CON", "a/b"), ("up", ".."), ("", ""))
    )
    assert file_stems(examples) == ["up", "_CON", "up_2", "00004"]
    folder = saved(tmp_path, Dataset(examples)).folder
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert written == {
        "train/etc/up.png", "train/a_b/_CON.png", "train/_/up_2.png", "train/00004.png",
    }  # fmt: skip
    with raises(InvalidValue, port="name", given="'../x'"):
        save_dataset(Dataset(examples), tmp_path, "../x", "coco")


def test_coco_is_what_its_description_says(tmp_path: Path) -> None:
    path = saved(tmp_path, mixed(tmp_path), "coco", segments="polygons").folder
    whole = json.loads((path / "annotations.json").read_text())
    assert whole["categories"] == [
        {"id": 1, "name": "cat"},
        {"id": 2, "name": "dog"},
    ]
    cat = whole["annotations"][0]
    assert (cat["image_id"], cat["category_id"], cat["iscrowd"]) == (1, 1, 0)
    assert (cat["bbox"], cat["area"]) == ([4, 3, 10, 6], 60)
    assert cat["segmentation"] == [[4, 3, 14, 3, 14, 9, 4, 9]]
    assert (path / whole["images"][0]["file_name"]).is_file()


MASKS = arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7)))


@settings(max_examples=examples(60), deadline=None)
@given(MASKS)
def test_masks_come_back_from_outlines_and_runs(mask: Any) -> None:
    height, width = mask.shape
    assert np.array_equal(decode_segmentation(mask_to_polygons(mask), width, height), mask)
    assert np.array_equal(decode_segmentation(encode_rle(mask), width, height), mask)


def test_runs_of_the_short_form_are_read() -> None:
    # What pycocotools 2.0.11 makes of that mask.
    packed = "hl0n0l1000000000000000000000000000000000000000000000000000000000hc2"
    mask = decode_segmentation({"size": [90, 70], "counts": packed}, 70, 90)
    expected = np.zeros((90, 70), bool)
    expected[20:50, 10:40] = True
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [2, 2], "counts": [4]},
        {"size": [3, 4], "counts": [5]},
        {"size": [3, 4], "counts": [-1, 13]},
        {"size": [3, 4], "counts": ["x"]},
        {"size": [3, 4], "counts": "P"},
        [[0, 0, 1]],
        [[0, 0, 1, 1]],
        [[0, 0, 1, 1, float("inf"), 2]],
        "abc",
    ],
)
def test_segments_that_cant_be_are_told(segmentation: Any) -> None:
    with raises(InvalidValue):
        decode_segmentation(segmentation, 4, 3)


def test_bad_entries_of_coco_are_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png", 1)
    entries = [
        {"id": 1, "file_name": "a.png"},
        {"id": 2, "file_name": "../a.png"},
        {"id": 3, "file_name": "b.png"},
        {"id": 4, "file_name": "images/a.png"},
    ]
    bad = [{"image_id": 4, "bbox": [1, 2, 3]}]
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": entries, "annotations": bad}))
    faults = DatasetFaults("skip")
    data = load_dataset(str(path), environment(tmp_path), FolderOptions(), faults)
    assert [example.name for example in data.examples] == ["a"]
    assert [said.partition(":")[0] for said in faults.messages][::2] == ["../a.png", "images/a.png"]
    for content in ("[]", "{}", '{"images": [3]}', "{", '{"images": 3}'):
        path.write_text(content)
        with raises(InvalidFile, port="path") as caught:
            loaded(tmp_path, path)
        assert "Error" not in str(caught.value)  # what Python calls it is nobody's business


def test_a_box_of_no_category_is_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 1)
    whole = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "apple"}],
    }
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(whole))
    with raises(InvalidFile, port="path"):
        loaded(tmp_path, path)


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as opened:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, BytesIO(content))
    return path


def test_shards_of_others_are_read(tmp_path: Path) -> None:
    content = write_picture(tmp_path / "a.png", 1).read_bytes()
    members = {
        "x/0.png": content, "x/0.txt": b"one", "x/0.cls": b"4",
        "../../1.png": content, "2.txt": b"none", "3.png": b"broken",
        "4.png": content, "4.json": b"[", "5.png": content, "5.mask.png": content,
    }  # fmt: skip
    path = shard(tmp_path / "a.tar", members)
    data = loaded(tmp_path, path, "skip")
    assert [(each.name, each.caption, each.label) for each in data.examples] == [
        ("x/0", "one", "4"), ("1", "", ""), ("5", "", ""),
    ]  # fmt: skip
    assert data.examples[2].mask is not None
    with raises(InvalidFile, port="path"):
        loaded(tmp_path, path)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.png", "a.tar"]
    path.write_bytes(path.read_bytes()[:700])
    with raises(InvalidFile, port="path"):
        loaded(tmp_path, path)
    path.write_text("no tar file")
    with raises(InvalidFile, port="path") as caught:
        loaded(tmp_path, path)
    assert "\n" not in caught.value.problem.message


@pytest.mark.parametrize("form", ["image folder", "coco", "webdataset"])
def test_every_form_heeds_the_limit_of_pixels(tmp_path: Path, form: str) -> None:
    one = Example(picture(1, 24, 16), "tom", mask=torch.eye(16, 24))
    folder = saved(tmp_path, Dataset((one,), "pets"), form).folder
    for most, is_taken in ((24 * 16, True), (24 * 16 - 1, False)):
        world = environment(tmp_path, max_image_pixels=most)
        faults = DatasetFaults("refuse")
        if is_taken:
            assert len(load_dataset(str(folder), world, FolderOptions(), faults).examples) == 1
            continue
        with raises(InvalidFile, port="path"):
            load_dataset(str(folder), world, FolderOptions(), faults)


def test_a_picture_that_the_limit_let_in_is_read_to_learn_from(tmp_path: Path) -> None:
    path = tmp_path / "large.pgm"
    path.write_bytes(b"P5 9600 9400 255\n")
    with raises(InvalidFile, given="9600 x 9400 pixels"):
        example_file(path)
    (large,) = load_dataset(
        str(tmp_path / "*.pgm"),
        environment(tmp_path, max_image_pixels=9600 * 9400),
        FolderOptions(decode=False),
        DatasetFaults("refuse"),
    ).examples
    with raises(InvalidFile) as caught:  # as it has no pixels at all
        load_picture(large)
    assert "truncated" in caught.value.problem.message
