from collections import Counter

import numpy as np
import pytest

from training.config import ROOT
from training.objects import PALETTE, load_objects
from training.pixels import sheet
from training.scenes import Placement, Scene, SceneMaker

OBJECTS = load_objects(ROOT / "training/objects.json", 80)
MIX = (0.5, 0.2, 0.2, 0.1)


@pytest.fixture
def maker(font):
    return SceneMaker(OBJECTS, font, 64, MIX)


def test_a_seed_fixes_scenes_without_drawing_them():
    maker = SceneMaker(OBJECTS, None, 64, MIX)
    first = [maker.scene(np.random.default_rng(7)) for _ in range(2)]
    assert first[0] == first[1]


def test_the_kinds_are_mixed_as_asked():
    maker = SceneMaker(OBJECTS, None, 64, MIX)
    rng = np.random.default_rng(0)
    counts = Counter(len(maker.scene(rng).placements) for _ in range(2000))
    assert counts[1] / 2000 == pytest.approx(0.7, abs=0.04)
    assert counts[3] / 2000 == pytest.approx(0.05, abs=0.02)


def test_no_scene_shows_a_held_out_colour():
    maker = SceneMaker(OBJECTS, None, 64, MIX)
    rng = np.random.default_rng(0)
    shown = [item for _ in range(4000) for item in maker.scene(rng).placements]
    tinted = [item for item in shown if item.tint]
    assert len(tinted) > 200
    assert all(item.tint != maker.objects[item.index].held_out for item in tinted)


def test_like_objects_are_alike_and_counted():
    maker = SceneMaker(OBJECTS, None, 64, MIX)
    rng = np.random.default_rng(0)
    for _ in range(200):
        placements = maker.alike(rng).placements
        assert len({(item.index, item.tint) for item in placements}) == 1
        assert len(placements) in (2, 3)


def test_drawing_without_the_font_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("training.fonts._FOLDERS", ())
    maker = SceneMaker(OBJECTS, None, 64, MIX)
    with pytest.raises(FileNotFoundError, match="fonts-noto-color-emoji"):
        maker.batch(1, np.random.default_rng(0))


def test_pictures_are_the_same_for_the_same_seed(maker, font):
    again = SceneMaker(OBJECTS, font, 64, MIX)
    first, _ = maker.batch(40, np.random.default_rng(3))
    second, _ = again.batch(40, np.random.default_rng(3))
    assert first.shape == (40, 64, 64, 3)
    assert (first == second).all()


def test_the_background_is_plain_and_as_told(maker):
    picture = maker.draw(Scene("", "blue", (1, 2, 3), ()))
    assert (picture == (1, 2, 3)).all()


def test_every_object_leaves_ink_within_its_square(maker):
    for index in range(len(OBJECTS)):
        picture = maker.draw(
            Scene("", "gray", PALETTE["gray"], (Placement(index, 0.25, 0.25, 0.4),))
        )
        inked = (picture != PALETTE["gray"]).any(axis=2)
        assert inked[:32, :32].mean() > 0.05
        assert not inked[32:, 32:].any()


@pytest.mark.parametrize(("width", "height"), [(96, 96), (64, 160), (256, 128)])
def test_a_scene_fits_any_size(maker, width, height):
    places = (Placement(0, 0.25, 0.5, 0.4), Placement(1, 0.75, 0.5, 0.4))
    picture = maker.draw(Scene("", "white", (255, 255, 255), places), width, height)
    assert picture.shape == (height, width, 3)
    inked = (picture != 255).any(axis=2)
    assert inked[:, : width // 2].any()
    assert inked[:, width // 2 :].any()


def test_a_tint_changes_the_main_colour_alone(maker):
    apple = next(i for i, item in enumerate(OBJECTS) if item.name == "red apple")
    own, blue = (
        maker.draw(Scene("", "white", (255, 255, 255), (Placement(apple, 0.5, 0.5, 0.8, tint),)))
        for tint in ("", "blue")
    )
    assert own[32, 32, 0] > 200 > 100 > own[32, 32, 2]
    assert blue[32, 32, 2] > 200 > 100 > blue[32, 32, 0]
    leaf = (own[..., 1] > own[..., 0].astype(int) + 30) & (own[..., 1] > own[..., 2])
    assert leaf.any()
    assert np.abs(own[leaf].astype(int) - blue[leaf]).mean() < 10


def test_an_object_may_reach_over_the_edge(maker):
    picture = maker.draw(Scene("", "white", (255, 255, 255), (Placement(0, 0.0, 1.0, 0.8),)))
    assert (picture != 255).any()


def test_a_sheet_has_a_row_per_line():
    image = sheet(np.zeros((5, 8, 8, 3), np.uint8), columns=3, scale=2)
    assert image.size == (48, 32)
