import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from training import judge
from training.captions import POSITIONS
from training.classifier import (
    Classifier,
    View,
    labelled,
    load_classifier,
    random_view,
    save_classifier,
)
from training.config import ROOT
from training.objects import PALETTE, load_objects
from training.recolour import HUES, to_rgb
from training.scenes import SIDES, Placement, Scene, SceneMaker, pair_places, place_of

OBJECTS = load_objects(ROOT / "training/objects.json")
CHANNELS = (16, 32)


def blank(rgb=(255, 255, 255)):
    return np.full((64, 64, 3), rgb, np.uint8)


def with_square(centre, side, rgb=(200, 0, 0), ground=(255, 255, 255)):
    """An image with a square, placed in shares of its side."""
    picture = blank(ground)
    (left, top), half = (64 * value for value in centre), 32 * side
    rows, columns = (slice(round(v - half), round(v + half)) for v in (top, left))
    picture[rows, columns] = rgb
    return picture


@pytest.fixture
def maker(font):
    return SceneMaker(OBJECTS, font, 128, (1.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("colour", PALETTE)
def test_the_background_is_the_nearest_palette_colour(colour):
    ground = np.clip(np.array(PALETTE[colour]) + 8, 0, 255)
    picture = with_square((0.5, 0.5), 0.5, (90, 200, 30), ground)
    assert judge.background(picture) == colour


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("place", POSITIONS)
def test_the_position_is_that_of_what_differs(place, size):
    picture = with_square(place_of(place, size), SIDES[size])
    assert judge.position(picture, size) == place


@pytest.mark.parametrize("size", SIDES)
def test_the_size_is_that_of_what_differs(size):
    picture = with_square((0.45, 0.5), SIDES[size] * 1.05)
    assert judge.size(picture) == size


def test_an_empty_picture_has_its_object_nowhere():
    assert judge.position(blank(), "small") == "nowhere"
    assert judge.size(blank()) == "none"
    assert judge.object_hue(blank()) is None
    assert judge.nothing_else(blank(), ())


def test_specks_are_no_ink():
    picture = blank()
    picture[5, 5] = picture[40, 9] = 0
    assert judge.ink_box(picture) is None


@pytest.mark.parametrize("ground", ["white", "black", "gray", "cyan"])
@pytest.mark.parametrize("hue", HUES)
def test_the_hue_is_the_objects_whatever_the_background(hue, ground):
    angle = HUES[hue]
    one = np.ones((1,), np.float32)
    rgb = (255 * to_rgb(angle * one, 0.8 * one, 0.9 * one)[0]).round()
    picture = with_square((0.5, 0.5), 0.4, rgb, PALETTE[ground])
    seen = judge.object_hue(picture)
    assert seen is not None
    assert judge.colour_name(seen) == hue


def test_a_background_in_two_colours_is_not_plain():
    picture = blank()
    assert judge.is_plain(picture)
    picture[:, 48:] = 0
    assert not judge.is_plain(picture)


def test_a_third_object_is_something_else():
    left, right = (Placement(0, *centre, 0.46) for centre in pair_places(stacked=False))
    picture = with_square((left.x, left.y), 0.4)
    picture[:, 32:] = with_square((right.x, right.y), 0.4)[:, 32:]
    assert judge.nothing_else(picture, (left, right))
    assert not judge.nothing_else(picture, (left,))


def test_a_crop_is_scaled_up_and_stays_inside():
    picture = blank()
    picture[:, 32:] = 0
    assert judge.crop(picture, (0.76, 0.5), 0.4).max() == 0
    assert judge.crop(picture, (0.0, 0.0), 0.5, 48).shape == (48, 48, 3)


def test_the_looks_for_an_object_hold_the_object(maker):
    rng = np.random.default_rng(0)
    for _ in range(20):
        scene = maker.placed(rng)
        item = scene.placements[0]
        look = judge.look_at(maker.draw(scene), item, 64)
        ink = judge.ink_box(look)
        assert ink is not None
        assert max(ink[2] - ink[0], ink[3] - ink[1]) > 0.55


def test_the_classifier_comes_back_from_its_file(tmp_path):
    torch.manual_seed(0)
    model = Classifier(["apple", "dog", "cat"], 32, CHANNELS)
    save_classifier(model, tmp_path / "judge.safetensors")
    again = load_classifier(tmp_path / "judge.safetensors")
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    assert again.labels == ["apple", "dog", "cat"]
    assert np.allclose(again.probabilities(pictures), model.probabilities(pictures), atol=1e-2)
    assert np.allclose(again.probabilities(pictures).sum(axis=1), 1.0, atol=1e-5)
    assert again.features(pictures).shape == (4, CHANNELS[-1])


def test_a_file_of_another_network_is_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "old.safetensors", {"labels": "[]", "size": "64"})
    with pytest.raises(ValueError, match="train the classifier anew"):
        load_classifier(tmp_path / "old.safetensors")


def test_named_right_looks_at_the_first_answers():
    torch.manual_seed(0)
    model = Classifier(["apple", "dog", "cat"], 32, CHANNELS)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    first = model.probabilities(pictures).argmax(axis=1).tolist()
    assert judge.named_right(model, pictures, first) == [True] * 4
    others = [(row + 1) % 3 for row in first]
    assert judge.named_right(model, pictures, others) == [False] * 4
    assert judge.named_right(model, pictures, others, top=3) == [True] * 4


def test_views_are_drawn_of_every_colour_and_some_have_neighbours(maker):
    rng = np.random.default_rng(1)
    views = [random_view(maker, number % len(OBJECTS), rng) for number in range(600)]
    counts = {len(view.scene.placements) for view in views}
    assert counts == {1, 2}
    for number, view in enumerate(views):
        subject = view.scene.placements[-1]
        assert subject.index == number % len(OBJECTS)
        assert 0.6 <= subject.side / view.side <= 1.0
    pictures = labelled(maker, np.arange(8), rng, 48, 96)
    assert pictures.shape == (8, 48, 48, 3)


def test_a_view_shows_its_part_of_the_scene(maker):
    scene = Scene("", "white", (255, 255, 255), (Placement(0, 0.25, 0.25, 0.4),))
    assert (View(scene, 0.5, 0.5, 0.5).draw(maker, 96, 32) == 255).all()
    assert (View(scene, 0.0, 0.0, 0.5).draw(maker, 96, 32) != 255).any()
