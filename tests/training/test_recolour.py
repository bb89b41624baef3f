import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.recolour import HUES, hue_distance, main_hue, recolour, to_hsv, to_rgb

shades = st.tuples(*[st.floats(0, 1, width=32)] * 3)


@given(shades)
def test_colours_survive_the_way_to_hsv_and_back(shade):
    rgb = np.array([[shade]], np.float32)
    assert np.abs(to_rgb(*to_hsv(rgb)) - rgb).max() < 1e-5


def disc(rgb, size=16):
    """A square of one color with a gray frame, RGBA."""
    picture = np.full((size, size, 4), 0.5, np.float32)
    picture[..., 3] = 1.0
    picture[2:-2, 2:-2, :3] = rgb
    return picture


@pytest.mark.parametrize("colour", HUES)
@pytest.mark.parametrize("rgb", [(0.9, 0.1, 0.1), (0.2, 0.4, 0.9), (0.45, 0.3, 0.15)])
def test_the_main_hue_becomes_the_one_asked_for(colour, rgb):
    changed = recolour(disc(rgb), colour)
    hue, saturation, value = to_hsv(changed[..., :3])
    seen = main_hue(hue, saturation, value, changed[..., 3])
    assert seen is not None
    assert hue_distance(np.float32(seen), HUES[colour]) < 8
    assert (changed[0] == disc(rgb)[0]).all()


def test_grey_things_keep_their_grey():
    picture = disc((0.3, 0.3, 0.3))
    assert recolour(picture, "red") is picture
