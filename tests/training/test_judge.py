import numpy as np
import pytest
import torch

from training import judge
from training.captions import POSITIONS
from training.classifier import Classifier, load_classifier, save_classifier
from training.objects import PALETTE


def blank(rgb=(255, 255, 255)):
    return np.full((64, 64, 3), rgb, np.uint8)


@pytest.mark.parametrize("colour", PALETTE)
def test_the_background_is_the_nearest_palette_colour(colour):
    picture = blank(np.clip(np.array(PALETTE[colour]) + 8, 0, 255))
    picture[16:48, 16:48] = (90, 200, 30)
    assert judge.background(picture) == colour


@pytest.mark.parametrize("place", POSITIONS)
def test_the_position_is_that_of_what_differs(place):
    picture = blank()
    x, y = (round(64 * value) for value in POSITIONS[place])
    picture[y - 8 : y + 8, x - 8 : x + 8] = (200, 0, 0)
    assert judge.position(picture) == place


def test_an_empty_picture_has_its_object_nowhere():
    assert judge.position(blank()) == "nowhere"


def test_a_crop_is_scaled_up_and_stays_inside():
    picture = blank()
    picture[:, 32:] = 0
    assert judge.crop(picture, (0.74, 0.5), 0.4).max() == 0
    assert judge.crop(picture, (0.0, 0.0), 0.5).shape == (64, 64, 3)


def test_the_classifier_comes_back_from_its_file(tmp_path):
    torch.manual_seed(0)
    model = Classifier(["apple", "dog", "cat"], 32)
    save_classifier(model, tmp_path / "judge.safetensors")
    again = load_classifier(tmp_path / "judge.safetensors")
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    assert again.labels == ["apple", "dog", "cat"]
    assert torch.equal(again.rank(pictures), model.rank(pictures))
