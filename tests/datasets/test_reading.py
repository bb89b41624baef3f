"""Examples are read alike whenever they are read, and boxes and masks go with their images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nodegraph import Augmentation, Dataset, Example, InvalidFile, InvalidValue, LabeledBox
from nodegraph.core.digests import digest_value
from nodegraph.media.datasets.reading import (
    example_file,
    read_example,
    read_training_picture,
    sample_augmentation,
    training_caption,
    training_size,
)
from nodegraph.store.codec import decode, encode
from nodegraph.store.msgpack_codec import Undecodable
from nodegraph.training.examples import epoch_batches, epoch_visits
from tests.datasets.making import dataset, picture, write_picture
from tests.messages import raises

ALL = Augmentation(0.5, 0.5, 0.6, 20, 0.3, 0.3, 0.3, 30, seed=4)


def test_a_picture_is_read_as_it_is() -> None:
    found = read_training_picture(dataset(1), 0)
    assert torch.equal(found, picture(0).movedim(-1, 0))
    assert found.dtype == torch.float32


def test_readings_are_a_function_of_seed_epoch_and_place() -> None:
    data = dataset(2, size=(16, 16), augmentation=ALL)
    one = [read_training_picture(data, at, epoch=epoch) for epoch in (0, 1) for at in (0, 1)]
    again = [read_training_picture(data, at, epoch=epoch) for epoch in (1, 0) for at in (1, 0)]
    assert all(map(torch.equal, one, again[::-1]))
    assert not torch.equal(one[0], one[2])
    assert not torch.equal(one[0], read_training_picture(data, 0, repeat=1))
    assert all(item.min() >= 0 and item.max() <= 1 for item in one)


def test_each_change_draws_for_itself() -> None:
    few = [sample_augmentation(Augmentation(flip=0.5, seed=1), 0, at) for at in range(40)]
    more = [
        sample_augmentation(Augmentation(flip=0.5, rotate=9, seed=1), 0, at) for at in range(40)
    ]
    assert [each.flip_horizontal for each in few] == [each.flip_horizontal for each in more]
    assert 8 < sum(each.flip_horizontal for each in few) < 32
    assert all(abs(each.angle) <= 9 for each in more)


def test_what_is_judged_by_is_never_changed() -> None:
    data = dataset(1, augmentation=ALL)
    held = data.with_examples((replace(data.examples[0], split="test"),))
    assert torch.equal(read_training_picture(held, 0), picture(0).movedim(-1, 0))


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_pictures_come_in_the_size_that_is_asked_for(fit: str) -> None:
    data = dataset(2, size=(16, 24), fit=fit)
    bucketed = replace(data.examples[1], bucket=(8, 32))
    data = data.with_examples((data.examples[0], bucketed))
    assert read_training_picture(data, 0).shape == (3, 24, 16)
    assert read_training_picture(data, 1).shape == (3, 32, 8)
    assert training_size(data, 1) == (8, 32)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("changes", [Augmentation(), Augmentation(flip=1, crop=0.7, rotate=10)])
def test_boxes_and_masks_stay_on_what_they_show(fit: str, changes: Augmentation) -> None:
    shown = torch.zeros(40, 60, 3)
    shown[12:24, 21:36] = 1
    box = LabeledBox("thing", 21, 12, 15, 12)
    example = Example(shown, mask=shown[..., 0], boxes=(box,))
    data = Dataset((example,), size=(48, 48), fit=fit, augmentation=changes)  # type: ignore[arg-type]
    found = read_example(data, 0)
    assert found.mask is not None
    assert (found.mask - found.picture[0]).abs().max() < 1e-3
    rows, columns = torch.nonzero(found.picture[0] > 0.5, as_tuple=True)
    [moved] = found.boxes
    slack = 4.5 if changes.rotate else 1.0
    assert abs(moved.x - columns.min()) <= slack
    assert abs(moved.y - rows.min()) <= slack
    assert abs(moved.x + moved.width - columns.max() - 1) <= slack
    assert moved.label == "thing"


def test_what_is_transparent_is_white() -> None:
    clear = torch.cat([picture(1), torch.zeros(16, 24, 1)], -1)
    assert bool((read_training_picture(Dataset((Example(clear),)), 0) == 1).all())


def test_files_are_read_when_they_are_learned_from(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", 1)
    data = Dataset((Example(example_file(path)),))
    assert data.examples[0].size == (24, 16)
    assert torch.allclose(read_training_picture(data, 0), picture(1).movedim(-1, 0), atol=1 / 255)
    write_picture(path, 2)
    with raises(InvalidFile):
        read_training_picture(data, 0)
    path.unlink()
    with raises(InvalidFile):
        read_training_picture(data, 0)


def test_a_dataset_is_named_by_content_and_kept_in_the_store(tmp_path: Path) -> None:
    one, two = (write_picture(tmp_path / name, 1) for name in ("a.png", "b.png"))
    same, moved = (Dataset((Example(example_file(path), "n"),)) for path in (one, two))
    assert digest_value(same) == digest_value(moved)
    data = Dataset((*same.examples, *dataset(1).examples), "mixed", (8, 8), "pad", ALL)
    kept = encode(data, {})
    content = b"".join(kept.chunks())
    assert digest_value(decode(content, kept.suffix, {})) == digest_value(data)
    one.unlink()
    with raises(Undecodable):
        decode(content, kept.suffix, {})


def test_captions_stand_in_for_each_other() -> None:
    tagged = Example(picture(0), tags=("red", "round", "shiny"), label="apple")
    data = Dataset((tagged, replace(tagged, tags=())), augmentation=Augmentation(shuffle_tags=True))
    assert training_caption(data, 1) == "apple"
    found = {training_caption(data, 0, epoch=epoch) for epoch in range(20)}
    assert len(found) > 2
    assert {tuple(sorted(text.split(", "))) for text in found} == {("red", "round", "shiny")}
    silent = replace(data, augmentation=Augmentation(drop_caption=0.5))
    told = [training_caption(silent, 0, epoch=epoch) for epoch in range(40)]
    assert 8 < told.count("") < 32


def test_an_epoch_reads_each_example_as_often_as_it_says() -> None:
    data = dataset(3)
    often = replace(data.examples[0], repeats=3)
    held = replace(data.examples[1], split="test")
    data = data.with_examples((often, held, data.examples[2]))
    visits = epoch_visits(data, seed=1, epoch=2)
    assert sorted(visits) == [(0, 0), (0, 1), (0, 2), (2, 0)]
    assert visits == epoch_visits(data, seed=1, epoch=2)
    assert epoch_visits(data, split="test") == [(1, 0)]
    with raises(InvalidValue, port="dataset", given="3 examples of other splits"):
        epoch_visits(data, split="validation")


def test_batches_are_of_one_size() -> None:
    data = dataset(7)
    wide = tuple(replace(each, bucket=(32, 16)) for each in data.examples[:3])
    data = data.with_examples((*wide, *data.examples[3:]))
    batches = epoch_batches(data, 2, seed=3)
    assert sorted(len(batch) for batch in batches) == [1, 2, 2, 2]
    assert all(len({training_size(data, at) for at, _ in batch}) == 1 for batch in batches)
    assert sorted(visit.example_index for batch in batches for visit in batch) == list(range(7))
