"""Images of plots show what is in them, where it is."""

from __future__ import annotations

from math import nan
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL.Image import Image
from PIL.ImageColor import getrgb

from nodegraph import Plot, Series
from nodegraph.media.plots.rendering import COLORS, draw_plots, plot_image, plot_svg


def inked(picture: Image, color: str) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Which pixels have a color."""
    found = np.asarray(picture).astype(int) - np.array(getrgb(color))
    return np.asarray((abs(found) < 60).all(-1))


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    plot = Plot(series=(Series("", (0, 1, 2), (0, 1, 2)),))
    rows, columns = np.nonzero(inked(draw_plots([plot], 300, 200), COLORS[0]))
    assert columns.max() - columns.min() > 200
    assert rows[columns < columns.min() + 20].min() > rows[columns > columns.max() - 20].max()


def test_a_gap_is_left_open() -> None:
    whole = Plot(series=(Series("", tuple(range(100)), (1.0,) * 100),))
    values = tuple(nan if 30 < at < 70 else 1.0 for at in range(100))
    gap = Plot(series=(Series("", tuple(range(100)), values),))
    middles = [
        inked(draw_plots([plot], 300, 200), COLORS[0])[:, 140:180].any() for plot in (whole, gap)
    ]
    assert middles == [True, False]


def test_bars_of_several_series_stand_beside_each_other() -> None:
    one = Series("one", ("a", "b"), (1, 2), "bars")
    two = Series("two", ("a", "b"), (3, 4), "bars", low=(2, 3), high=(4, 5))
    picture = draw_plots([Plot(series=(one, two))], 300, 200)
    solid = [inked(picture, color) for color in COLORS[:2]]
    assert all(each[100:].any() for each in solid)
    left, right = (np.nonzero(each[150:])[1] for each in solid)
    assert not set(left) & set(right)


LONG = ("smiling face", "neutral face", "circle", "winking face", "sad face", "surprised face")


@pytest.mark.parametrize("names", [LONG, tuple("abcdefghijkl")])
def test_every_bar_has_its_name_where_there_is_room(names: tuple[str, ...]) -> None:
    svg = plot_svg(Plot(series=(Series("", names, (1,) * len(names), "bars"),)), 500, 300)
    texts = [each.text for each in ElementTree.fromstring(svg).iter() if each.text in names]
    assert texts == list(names)


def test_a_band_is_faint_around_its_line() -> None:
    plain = Series("", (0, 1), (1, 1))
    band = Series("", (0, 1), (1, 1), low=(0.5, 0.5), high=(1.5, 1.5))
    tinted = [
        (np.asarray(draw_plots([Plot(series=(each,))], 300, 200)).min(-1) < 250).mean()
        for each in (plain, band)
    ]
    assert tinted[1] > tinted[0] + 0.2


@pytest.mark.parametrize("size", [(160, 160), (1200, 160), (161, 900)])
def test_whatever_is_given_can_be_drawn(size: tuple[int, int]) -> None:
    long = "a very long name of a series that has no room anywhere " * 3
    plots = [
        Plot(),
        Plot("t" * 500, "x" * 500, "y" * 500, notes=(long,) * 9),
        Plot(series=tuple(Series(long, (1,), (nan,)) for _ in range(100)), y_scale="log"),
        Plot(series=(Series("", (1e308, -1e308), (1e308, -1e308), "bars"),)),
        Plot(series=(Series("", (), ()),), x_scale="log"),
        Plot(
            series=(Series("", tuple("abc" * 100), (1,) * 300, "points", (0,) * 300, (2,) * 300),)
        ),
    ]
    for plot in plots:
        assert plot_image([plot], *size).shape == (1, size[1], size[0], 3)


def test_long_series_are_drawn_as_they_look() -> None:
    values = [0.0] * 200_000
    values[123_456] = 1.0
    picture = draw_plots([Plot(series=(Series("", range(200_000), values),))], 300, 200)  # type: ignore[arg-type]
    ink = inked(picture, COLORS[0])
    assert ink.any(0)[60:280].all()
    assert ink.any(1)[20:160].all()


def test_svg_says_the_same_in_xml() -> None:
    plot = Plot('<&"', "x\0", series=(Series("a", (0, 1), (0, 1)), Series("b", (0,), (1,), "bars")))
    root = ElementTree.fromstring(plot_svg(plot, 300, 200))
    kinds = {element.tag.rpartition("}")[2] for element in root}
    assert {"polyline", "polygon", "text", "rect"} <= kinds
    assert next(each.text for each in root.iter() if each.tag.endswith("text")) == '<&"'
