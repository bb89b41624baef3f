"""Tones and colors against scikit-image, SciPy, colorsys and Pillow, and by what must hold."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from scipy.interpolate import PchipInterpolator
from skimage import color, exposure
from torch import Tensor

from nodegraph.errors import InvalidFile, InvalidValue, NumericalError
from nodegraph.media.images.colors import parse_color, parse_colors
from nodegraph.media.images.editing import adjustments as tones
from nodegraph.media.images.editing import pixel_formats as color_spaces
from nodegraph.media.images.editing.adjustments import (
    adjust_hue_saturation,
    map_gradient,
    white_balance,
)
from nodegraph.media.images.editing.histograms import clahe, draw_histogram, equalize, match_colors
from nodegraph.media.images.editing.luts import apply_table, read_cube
from nodegraph.media.images.editing.quantization import dominant_colors, quantize
from tests.messages import raises

GENERATOR = torch.Generator().manual_seed(1)
PICTURE = torch.rand(1, 9, 11, 3, generator=GENERATOR)
OTHER = torch.rand(1, 6, 7, 3, generator=GENERATOR) ** 2


def close(found: Tensor, expected: object, tolerance: float = 1e-5) -> None:
    wanted = torch.as_tensor(np.array(expected), dtype=torch.float32).reshape(found.shape)
    torch.testing.assert_close(found.float(), wanted, rtol=0, atol=tolerance)


def test_spaces_are_those_of_other_libraries() -> None:
    pixels = PICTURE[0].numpy()
    close(color_spaces.rgb_to_hsv(PICTURE), color.rgb2hsv(pixels))
    close(color_spaces.rgb_to_lab(PICTURE.double()), color.rgb2lab(pixels), 1e-3)
    hls = [colorsys.rgb_to_hls(*pixel) for pixel in pixels.reshape(-1, 3).tolist()]
    close(color_spaces.rgb_to_hsl(PICTURE), [(h, s, lightness) for h, lightness, s in hls])


@pytest.mark.parametrize("space", ["hsv", "hsl", "lab"])
def test_spaces_lead_back(space: str) -> None:
    there = getattr(color_spaces, f"rgb_to_{space}")
    back = getattr(color_spaces, f"{space}_to_rgb")
    greys = torch.linspace(0, 1, 5)[:, None].expand(5, 3)
    for given in (PICTURE, greys, torch.eye(3)):
        close(back(there(given)), given.numpy(), 1e-4)


def test_linear_light_is_that_of_the_standard() -> None:
    assert float(color_spaces.to_linear(torch.tensor(0.5))) == pytest.approx(0.2140411)
    close(color_spaces.from_linear(color_spaces.to_linear(PICTURE)), PICTURE.numpy())


@pytest.mark.parametrize("points", ["0,0 1,1", "0,0 .3,.1 .6,.9 1,1", "0.2,1 0.5,0.2 0.7,0.2 1,0"])
def test_curves_are_those_of_scipy(points: str) -> None:
    found = tones.parse_curve(points)
    x, y = zip(*found, strict=True)
    held = PICTURE.clamp(x[0], x[-1]).double().numpy()
    close(tones.curve(PICTURE, found), PchipInterpolator(x, y)(held))


@pytest.mark.parametrize("points", ["", "0,0", "0,0 0,1", "0,0 1", "0,0 2,1", "a,b 1,1"])
def test_what_makes_no_curve_is_refused(points: str) -> None:
    with raises(InvalidValue, port="points"):
        tones.parse_curve(points)


def test_neutral_settings_change_nothing() -> None:
    for made in (
        tones.adjust_brightness_contrast(PICTURE, 1, 1),
        tones.adjust_exposure(PICTURE, 0, 1),
        tones.shadows_and_highlights(PICTURE, 0, 0),
        tones.levels(PICTURE, 0, 1, 1, 0, 1),
        adjust_hue_saturation(PICTURE, 360, 1, 0, 0),
        white_balance(PICTURE, 0, 0),
    ):
        close(made, PICTURE.numpy(), 1e-6)
    assert torch.equal(tones.levels(PICTURE, 0, 1, 1, 0, 1), PICTURE)


def test_levels_spread_what_lies_between() -> None:
    made = tones.levels(torch.tensor([0.1, 0.2, 0.5, 0.8, 1]).view(1, 1, 5, 1), 0.2, 0.8, 1, 0, 0.5)
    close(made, [0, 0, 0.25, 0.5, 0.5])


def test_negative_and_levels_are_those_of_pillow() -> None:
    levels = (PICTURE * 255).round()
    picture = Image.fromarray(levels[0].byte().numpy())
    close(tones.invert(levels / 255) * 255, ImageOps.invert(picture), 1e-3)
    assert torch.equal(tones.posterize(levels / 255, 2) > 0.5, levels >= 128)


def test_a_hue_turned_by_a_third_exchanges_the_channels() -> None:
    close(adjust_hue_saturation(PICTURE, 120, 1, 0, 0), PICTURE[..., [2, 0, 1]].numpy())


def test_grey_world_makes_the_mean_grey() -> None:
    cast = (PICTURE * torch.tensor([0.6, 0.5, 0.3])).clamp(0, 1)
    mean = color_spaces.to_linear(white_balance(cast, 0, 0, "grey world")).mean((0, 1, 2))
    close(mean, mean.mean().expand(3).numpy(), 0.02)


def test_equalizing_is_that_of_scikit_image() -> None:
    grey = PICTURE[..., :1]
    close(equalize(grey), exposure.equalize_hist(grey[0, ..., 0].numpy()))


def test_local_contrast_rises_everywhere() -> None:
    ramp = torch.linspace(0.4, 0.6, 64).expand(1, 64, 64)[..., None]
    made = clahe(ramp, 40, 4)
    assert (made.amax() - made.amin()) > 0.6
    close(clahe(ramp, 1, 1), ramp.numpy(), 0.12)


def test_stretching_reaches_black_and_white() -> None:
    made = tones.auto_contrast(PICTURE * 0.4 + 0.3, 0, each_channel=True)
    close(made.amin((0, 1, 2)), [0, 0, 0])
    close(made.amax((0, 1, 2)), [1, 1, 1])


def test_matched_histograms_are_those_of_scikit_image() -> None:
    expected = exposure.match_histograms(PICTURE[0].numpy(), OTHER[0].numpy(), channel_axis=-1)
    close(match_colors(PICTURE, OTHER, "histogram", 1), expected)


def test_matched_colors_have_mean_and_covariance_of_the_reference() -> None:
    quiet, wanted = PICTURE * 0.5 + 0.25, OTHER * 0.4 + 0.3
    made = match_colors(quiet, wanted, "covariance", 1).reshape(-1, 3)
    close(made.mean(0), wanted.reshape(-1, 3).mean(0).numpy(), 1e-3)
    close(made.T.cov(), wanted.reshape(-1, 3).T.cov().numpy(), 2e-3)
    lab = color_spaces.rgb_to_lab(match_colors(quiet, wanted, "mean and spread", 1).double())
    expected = color_spaces.rgb_to_lab(wanted.double()).mean((0, 1, 2))
    close(lab.mean((0, 1, 2)), expected.numpy(), 0.5)


def test_a_gradient_leads_from_black_to_white() -> None:
    grey = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 1, 4, 1)
    made = map_gradient(grey, parse_colors("red, lime; blue"), 1)
    close(made, [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize("axes", [1, 3])
def test_a_table_of_what_is_there_changes_nothing(axes: int, tmp_path: Path) -> None:
    path = tmp_path / "same.cube"
    path.write_text(cube(axes, lambda pixel: pixel), "utf-8-sig")
    close(apply_table(PICTURE, read_cube(path), 1), PICTURE.numpy(), 1e-6)


def test_red_changes_fastest_in_a_cube(tmp_path: Path) -> None:
    path = tmp_path / "turned.cube"
    path.write_text('TITLE "a # b"\n' + cube(3, lambda pixel: pixel[::-1]) + "\n# end\n")
    close(apply_table(PICTURE, read_cube(path), 1), PICTURE.flip(-1).numpy(), 1e-6)


def cube(axes: int, made: object, size: int = 3) -> str:
    steps = [step / (size - 1) for step in range(size)]
    inputs = (
        [(step,) * 3 for step in steps]
        if axes == 1
        else [(red, green, blue) for blue in steps for green in steps for red in steps]
    )
    rows = [" ".join(map(str, made(pixel))) for pixel in inputs]  # type: ignore[operator]
    return "\n".join([f"LUT_{axes}D_SIZE {size}", "DOMAIN_MIN 0 0 0", *rows])


@pytest.mark.parametrize(
    "text",
    ["", "LUT_3D_SIZE 2\n0 0 0", "LUT_3D_SIZE 9999", "LUT_1D_SIZE 2\n0 0\n1 1", "hello", "\x00\xff",
     "LUT_1D_SIZE 2\nDOMAIN_MAX 0 0 0\n0 0 0\n1 1 1", "LUT_1D_SIZE 2\nnan nan nan\n1 1 1"],
)  # fmt: skip
def test_what_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.cube"
    path.write_bytes(text.encode("latin-1"))
    with raises(InvalidFile, port="path"):
        read_cube(path)


@pytest.mark.parametrize(
    "head",
    [
        "DOMAIN_MIN nan nan nan",
        "DOMAIN_MAX inf inf inf",
        "DOMAIN_MAX 1 1 1e39",
        "DOMAIN_MAX 1 1 1e-50",
        "DOMAIN_MAX 1 1",
        "LUT_1D_INPUT_RANGE 0",
        "LUT_1D_SIZE",
    ],
)
def test_a_table_of_no_colors_is_told(head: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.cube"
    path.write_text(f"{head}\nLUT_1D_SIZE 2\n0 0 0\n1 1 1\n")
    with raises(InvalidFile, port="path"):
        read_cube(path)


def test_a_title_may_be_in_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "same.cube"
    path.write_bytes('TITLE "Gr\xfcn"\n'.encode("latin-1") + cube(3, lambda one: one).encode())
    close(apply_table(PICTURE, read_cube(path), 1), PICTURE.numpy(), 1e-6)


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "ordered"])
def test_only_colors_of_the_palette_are_left(dither: str) -> None:
    palette = parse_colors("black red #ffff80")
    made = quantize(PICTURE, 2, palette, dither).reshape(-1, 3)  # type: ignore[arg-type]
    found = {tuple(pixel) for pixel in (made * 255).round().tolist()}
    assert found <= {(0, 0, 0), (255, 0, 0), (255, 255, 128)}
    assert len(found) == 3


def test_a_palette_of_too_many_colors_is_refused() -> None:
    with raises(InvalidValue, port="palette", given="257"):
        quantize(PICTURE, 2, [parse_color("red")] * 257, "none")


def test_dominant_colors_come_with_their_shares() -> None:
    picture = torch.zeros(1, 4, 4, 4)
    picture[:, :3, :, 0], picture[..., 3] = 1, 1
    picture[:, :, 3, 3] = 0
    [(red, most), (black, rest)] = dominant_colors(picture, 2)
    assert (red[:3], black[:3]) == ((1, 0, 0), (0, 0, 0))
    assert (most, rest) == (0.75, 0.25)


def test_shares_of_a_colour_are_taken_as_they_are() -> None:
    assert parse_color("rgb(50%, 12.5%,0%)") == (0.5, 0.125, 0.0, 1.0)
    assert parse_color(" rgb( 200% , 100%,1% ) ") == (1.0, 1.0, 0.01, 1.0)
    assert parse_color("rgb(51, 0, 0)")[0] == 0.2


def test_colors_are_read_as_css_writes_them() -> None:
    assert parse_color("#f00") == (1, 0, 0, 1)
    assert parse_color(" rgb(0, 255, 0) ")[:3] == (0, 1, 0)
    assert parse_color("#0000ff80")[3] == pytest.approx(0.5, abs=0.01)
    assert len(parse_colors("rgb(1, 2, 3), hsl(30, 100%, 50%) navy\n#123")) == 4
    with raises(InvalidValue, port="color"):
        parse_color("oragne")


def test_what_counts_values_refuses_those_that_are_none() -> None:
    bad = PICTURE.clone()
    bad[0, 2, 3, 1] = float("nan")
    colors = parse_colors("black white")
    for work in (
        lambda: equalize(bad),
        lambda: clahe(bad, 3.0, 8),
        lambda: map_gradient(bad, colors, 1.0),
        lambda: match_colors(bad, OTHER, "covariance", 1.0),
        lambda: match_colors(OTHER, bad, "histogram", 1.0),
        lambda: draw_histogram(bad, 64, logarithmic=False),
        lambda: quantize(bad, 4, [], "none"),
        lambda: dominant_colors(bad, 4),
    ):
        with raises(NumericalError) as caught:
            work()
        assert caught.value.problem.port in ("image", "reference")


def test_values_beyond_white_are_taken_for_white() -> None:
    assert tones.shadows_and_highlights(PICTURE * 3 - 1, 0.6, -0.4).isfinite().all()
    assert clahe(PICTURE * 3 - 1, 3.0, 8).isfinite().all()
