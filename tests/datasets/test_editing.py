"""What is done to datasets: captions, splits, sizes, choices, duplicates, counts, sheets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from nodegraph import Augmentation, Dataset, Example, InvalidValue, LabeledBox
from nodegraph.core import patterns
from nodegraph.media.datasets.editing import (
    bucket_sizes,
    edit_captions,
    join_datasets,
    nearest_bucket,
    resize_to_buckets,
    resize_to_one,
    set_texts,
    split_dataset,
    tags_from_captions,
)
from nodegraph.media.datasets.image_lists import dataset_from_images, dataset_to_lists, mask_box
from nodegraph.media.datasets.reading import training_size
from nodegraph.media.datasets.subsets import (
    ExampleFilter,
    partition,
    remove_duplicates,
    set_repeats,
    take,
)
from nodegraph.media.datasets.summary import dataset_sheet, describe_dataset, measure_balance
from tests.datasets.making import dataset, picture
from tests.messages import raises

TAGGED = Dataset((Example(picture(0), "x/tom", "a cat,  grey", ("soft", "old"), "cat"),))


@pytest.mark.parametrize(
    ("options", "caption"),
    [
        ({}, "a cat, grey"),
        ({"template": "sks style, {caption}"}, "sks style, a cat, grey"),
        ({"template": "{name}: {label}, {tags}"}, "tom: cat, soft, old"),
        ({"template": ", {caption},"}, "a cat, grey"),
        ({"find": "cat", "replacement": "dog"}, "a dog, grey"),
        ({"find": r"a (\w+)", "replacement": r"the \1", "is_pattern": True}, "the cat, grey"),
        ({"template": "", "find": "x"}, ""),
    ],
)
def test_captions_are_written_anew(options: dict[str, Any], caption: str) -> None:
    [example] = edit_captions(TAGGED, **options).examples
    assert example.caption == caption


@pytest.mark.parametrize(
    "options",
    [
        {"template": "{colour}"},
        {"template": "{caption"},
        {"template": "{}"},
        {"find": "(", "is_pattern": True},
        {"find": "a", "replacement": r"\2", "is_pattern": True},
    ],
)
def test_templates_that_cant_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        edit_captions(TAGGED, **options)


def test_a_pattern_that_takes_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_SECONDS", 0.05)
    long = TAGGED.with_examples((replace(TAGGED.examples[0], caption="a" * 60 + "b"),))
    with raises(InvalidValue, port="find"):
        edit_captions(long, find="(?:a|aa)+$", replacement="", is_pattern=True)


def test_captions_and_tags_and_labels_come_from_elsewhere() -> None:
    assert tags_from_captions(TAGGED).examples[0].tags == ("a cat", "grey")
    two = set_texts(dataset(2), captions=["one ", "two"], labels=["all"])
    assert [(each.caption, each.label) for each in two.examples] == [("one", "all"), ("two", "all")]
    with raises(InvalidValue, port="captions", given="2"):
        set_texts(dataset(3), captions=["one", "two"])


def splits(data: Dataset) -> dict[str, str]:
    return {example.name: example.split for example in data.examples}


def test_splits_hold_so_many_of_each_class() -> None:
    data = dataset(40)
    labels = ["few"] * 10 + ["many"] * 30
    found = split_dataset(set_texts(data, labels=labels), 0.1, 0.2, seed=3)
    counts = measure_balance(found, "split").counts
    assert counts == {"train": 28, "test": 8, "validation": 4}
    few = partition(found, ExampleFilter(labels=("few",)))[0]
    assert measure_balance(few, "split").counts == {"train": 7, "test": 2, "validation": 1}
    assert splits(found) != splits(split_dataset(found, 0.1, 0.2, seed=4))


def test_pictures_stay_in_their_split_whatever_comes() -> None:
    more = split_dataset(dataset(60), 0.3, 0.3, exact=False)
    fewer = split_dataset(dataset(30), 0.3, 0.3, exact=False)
    assert splits(fewer).items() <= splits(more).items()
    assert len(set(splits(fewer).values())) == 3
    with raises(InvalidValue, port="validation", given="0.5 + 0.5"):
        split_dataset(fewer, 0.5, 0.5)


@pytest.mark.parametrize("exact", [True, False])
def test_equal_pictures_come_into_one_split(exact: bool) -> None:
    twice = join_datasets([dataset(20), dataset(20)])
    found = splits(split_dataset(twice, 0.3, 0.3, exact=exact))
    assert all(found[f"p{at}"] == found[f"p{at}-2"] for at in range(20))


def test_joined_examples_keep_names_apart() -> None:
    first = replace(dataset(2), size=(8, 8), name="one")
    found = join_datasets([first, dataset(3), dataset(1)])
    assert [each.name for each in found.examples] == ["p0", "p1", "p0-2", "p1-2", "p2", "p0-3"]
    assert (found.name, found.size) == ("one", (8, 8))


def test_buckets_are_of_one_area() -> None:
    sizes = bucket_sizes(512, 64, 2.0)
    assert (512, 512) in sizes
    assert (384, 640) in sizes
    assert all(width * height <= 512 * 512 for width, height in sizes)
    assert all(max(size) <= 2 * min(size) for size in sizes)
    assert nearest_bucket((4000, 3000), sizes) == (576, 448)
    assert nearest_bucket((100, 5000), sizes) == (384, 640)
    assert bucket_sizes(32, 64, 2.0) == [(64, 64)]


def test_pictures_come_into_the_nearest_bucket() -> None:
    wide, high = Example(picture(0, 48, 16)), Example(picture(1, 20, 20))
    data = replace(Dataset((wide, high)), size=(8, 8))
    found = resize_to_buckets(data, 64, multiple=16, max_aspect=3)
    assert [training_size(found, at) for at in (0, 1)] == [(80, 48), (64, 64)]
    small = resize_to_buckets(data, 64, multiple=16, max_aspect=3, enlarge=False)
    assert [training_size(small, at) for at in (0, 1)] == [(16, 16), (16, 16)]
    one = resize_to_one(found, 32, 24, "pad")
    assert {training_size(one, at) for at in (0, 1)} == {(32, 24)}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (ExampleFilter(), "abc"),
        (ExampleFilter(split="test"), "c"),
        (ExampleFilter(labels=("CAT*", "bird")), "ab"),
        (ExampleFilter(tags=("red",)), "ac"),
        (ExampleFilter(tags=("red", "small")), "a"),
        (ExampleFilter(caption="RED dog"), "c"),
        (ExampleFilter(min_side=20), "b"),
        (ExampleFilter(max_side=24), "ac"),
        (ExampleFilter(max_aspect=1.4), "b"),
    ],
)
def test_examples_are_sorted_out(wanted: ExampleFilter, names: str) -> None:
    data = Dataset(
        (
            Example(picture(0), "a", "", ("red", "small"), "cats"),
            Example(picture(1, 32, 32), "b", "", ("blue",), "cat"),
            Example(picture(2), "c", "a red dog", label="dog", split="test"),
        )
    )
    matching, others = partition(data, wanted)
    assert "".join(each.name for each in matching.examples) == names
    assert len(matching.examples) + len(others.examples) == 3


def test_some_are_taken() -> None:
    data = set_texts(dataset(6), labels=["a", "b"] * 3)
    assert [each.name for each in take(data, "by name", start=1, count=2).examples] == ["p1", "p2"]
    few = take(data, "shuffled", count=1, per_label=True, seed=1)
    assert sorted(each.label for each in few.examples) == ["a", "b"]
    order = [each.name for each in take(data, "shuffled", seed=2).examples]
    without = data.with_examples(data.examples[1:])
    left = [each.name for each in take(without, "shuffled", seed=2).examples]
    assert left == [name for name in order if name != "p0"]
    with raises(InvalidValue, port="start", given="6"):
        take(data, "as they are", start=6)


def test_rare_classes_are_repeated() -> None:
    data = set_texts(dataset(4), labels=["a", "a", "a", "b"])
    assert [each.repeats for each in set_repeats(data, 2, balance=True).examples] == [2, 2, 2, 6]
    assert {each.weight for each in set_repeats(data, weight=0.5).examples} == {0.5}


def test_near_duplicates_are_removed() -> None:
    one, two = picture(1, 64, 48), picture(2, 64, 48)
    images = [one, two, (one + 0.02).clamp(0, 1), one.flip(1), two[..., [2, 1, 0]]]
    data = dataset_from_images([image[None] for image in images])
    found = remove_duplicates(data, "pixels", 0.05)
    assert [each.name for each in found.kept.examples] == ["1", "2", "4", "5"]
    assert [each.name for each in found.removed.examples] == ["3"]
    assert "5 images, 4 kept, 1 removed" in found.report
    assert "3 is nearly the same as 1" in found.report
    assert sum(found.distances.series[0].y) == 4
    by_form = remove_duplicates(data, "structure", 0.1)
    assert "3" not in [each.name for each in by_form.kept.examples]
    assert "4" in [each.name for each in by_form.kept.examples]
    assert remove_duplicates(Dataset(()), "pixels", 0.1).kept.examples == ()


def test_pictures_that_mean_the_same_are_removed() -> None:
    data = dataset_from_images([picture(1)[None], picture(1)[None] * 0.5, picture(2)[None]])
    found = remove_duplicates(data, "meaning", 0.001, embed=lambda image: image)
    assert [each.name for each in found.kept.examples] == ["1", "3"]
    one, two = picture(1).flatten(), picture(2).flatten()
    away = 1 - torch.cosine_similarity(one, two, 0)
    assert found.distances.series[0].x[-1] == pytest.approx(float(away) * 39 / 40, rel=1e-3)
    with raises(InvalidValue, port="encoder"):
        remove_duplicates(data, "meaning", 0.1)


def test_classes_are_only_compared_with_themselves_where_asked() -> None:
    same = dataset_from_images([picture(0)[None]] * 3, labels=["a", "b", "a"])
    found = remove_duplicates(same, "pixels", 0.0, within_label=True)
    assert [each.label for each in found.kept.examples] == ["a", "b"]


def test_balance_is_counted() -> None:
    data = set_texts(dataset(4), labels=["a", "a", "a", "b"])
    found = measure_balance(split_dataset(data, 0, 0.3), "label")
    assert found.counts == {"a": 3, "b": 1}
    assert "4 examples, 2 by label" in found.report
    assert "evenness 0.811" in found.report
    assert {series.name for series in found.plot.series} == {"train", "test"}
    boxed = replace(TAGGED.examples[0], boxes=(LabeledBox("ear", 1, 1, 2, 2),) * 2)
    assert measure_balance(Dataset((boxed,)), "box label").counts == {"ear": 1}
    assert measure_balance(TAGGED, "tag").counts == {"old": 1, "soft": 1}
    assert measure_balance(TAGGED, "size").counts == {"24 x 16": 1}
    assert measure_balance(Dataset(()), "tag").report == "0 examples"


def test_a_dataset_is_described_in_a_few_lines() -> None:
    data = resize_to_one(set_repeats(set_texts(dataset(12), labels=["a"]), 2), 8, 8, "pad")
    lines = list(describe_dataset(replace(data, name="set", augmentation=Augmentation(flip=0.5))))
    assert lines[0] == "Dataset 'set' of 12 examples, 24 samples per epoch"
    assert "  trained at 8 x 8 12 (pad)" in lines
    assert "  augmented at random: flip 0.5" in lines
    assert "  p0: image 0" in lines
    assert lines[-1] == "  …"


def test_a_sheet_shows_boxes_and_masks() -> None:
    mask = torch.zeros(16, 24)
    mask[4:12, 4:12] = 1
    boxed = Example(torch.ones(16, 24, 3), mask=mask, boxes=(LabeledBox("", 4, 4, 8, 8),))
    data = Dataset((boxed, TAGGED.examples[0]))
    plain = dataset_sheet(data, 1, size=24, show_annotations=False, caption_kind="nothing")
    shown = dataset_sheet(data, 1, size=24, caption_kind="nothing")
    assert plain.shape == shown.shape
    assert bool((plain == 1).all())
    assert shown.min() < 0.5
    more = dataset_sheet(data, size=48, caption_kind="tags", epoch=2)
    assert more.shape[2] > shown.shape[2]
    with raises(InvalidValue, port="dataset"):
        dataset_sheet(Dataset(()))


def test_pictures_of_a_workflow_become_examples() -> None:
    masks = torch.zeros(3, 16, 24)
    masks[0, 3:9, 4:14] = 1
    images = [torch.rand(2, 16, 24, 1), torch.rand(1, 16, 24, 4)]
    data = dataset_from_images(images, ["a", "b", "c"], ["thing"], [masks], boxes=True)
    assert [(each.name, each.caption, each.label) for each in data.examples] == [
        ("1", "a", "thing"), ("2", "b", "thing"), ("3", "c", "thing"),
    ]  # fmt: skip
    assert [len(each.boxes) for each in data.examples] == [1, 0, 0]
    assert data.examples[0].boxes[0] == LabeledBox("thing", 4, 3, 10, 6)
    assert mask_box(masks[1], "") is None
    with raises(InvalidValue, port="captions", given="2"):
        dataset_from_images(images, ["a", "b"])
    with raises(InvalidValue, port="masks", given="2"):
        dataset_from_images(images, masks=[masks[:2]])
    with raises(InvalidValue, port="masks", given="24 x 8 pixels"):
        dataset_from_images(images, masks=[masks[:, :8]])
    with raises(InvalidValue, port="images"):
        dataset_from_images([])


def test_a_dataset_is_taken_apart() -> None:
    data = replace(dataset(2), size=(8, 8), augmentation=Augmentation(flip=1))
    images, masks, captions, labels, names = dataset_to_lists(data)
    assert torch.equal(images[1], picture(1)[None])
    assert bool((masks[0] == 1).all())
    assert (captions, labels, names) == (["image 0", "image 1"], ["", ""], ["p0", "p1"])
    small = dataset_to_lists(data, resized=True)[0][0]
    assert small.shape == (1, 8, 8, 3)
    assert torch.equal(dataset_to_lists(data, resized=True, epoch=0)[0][0], small.flip(2))
