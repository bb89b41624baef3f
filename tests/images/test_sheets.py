"""Contact sheets hold every image, in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import rdkit
import torch
from PIL import Image
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.contact_sheets import AxisLabels, contact_sheet, labeled_sheet
from tests.messages import raises


def plain(value: float, width: int = 20, height: int = 10, batch: int = 1) -> Tensor:
    return torch.full((batch, height, width, 3), value)


def test_pictures_stand_in_rows() -> None:
    sheet = contact_sheet([plain(0), plain(0.2), plain(0.4)], columns=2, gap=3)

    assert sheet.shape == (1, 10 + 3 + 10, 20 + 3 + 20, 3)
    assert sheet.dtype == torch.float32
    corners = [sheet[0, 0, 0, 0], sheet[0, 0, 23, 0], sheet[0, 13, 0, 0]]
    torch.testing.assert_close(torch.stack(corners), torch.tensor([0, 0.2, 0.4]))
    assert (sheet[0, 10:13] == 1).all()
    assert (sheet[0, 13:, 20:] == 1).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3)])
def test_without_columns_it_is_about_square(count: int, columns: int) -> None:
    sheet = contact_sheet([plain(0)] * count, gap=0)

    assert sheet.shape[2] == 20 * columns


def test_a_batch_counts_as_its_pictures() -> None:
    assert contact_sheet([plain(0, batch=3)], columns=3, gap=0).shape == (1, 10, 60, 3)


def test_smaller_pictures_stand_in_the_middle() -> None:
    sheet = contact_sheet([plain(0, 20, 10), plain(0, 10, 6)], columns=2, gap=0)

    assert sheet[0, :, 20:].amin(dim=(0, 2)).tolist() == [1] * 5 + [0] * 10 + [1] * 5


def test_captions_are_written_below() -> None:
    images = [plain(0.5, 64, 64)] * 2

    sheet = contact_sheet(images, columns=2, gap=0, captions=["fox\nred", "apple " * 50])

    assert sheet.shape == (1, 64 + 14, 128, 3)
    strip = sheet[0, 64:]
    assert (strip[:, :64] < 0.5).any()
    assert (strip[:, 64:] < 0.5).any()
    assert (sheet[0, :64] == sheet[0, 0, 0]).all()


def test_fewer_captions_than_pictures_are_fine() -> None:
    assert contact_sheet([plain(0)] * 2, captions=["one"]).shape[1] > 10
    assert contact_sheet([plain(0)] * 2, captions=["", ""]).shape[1] == 10


def test_gray_pictures_take_part() -> None:
    assert contact_sheet([torch.zeros(1, 4, 4, 1), torch.zeros(1, 4, 4, 4)]).shape[-1] == 3


def test_no_pictures_are_refused() -> None:
    with raises(InvalidValue, port="images"):
        contact_sheet([])


def test_a_sheet_too_large_is_refused() -> None:
    with raises(InvalidValue, port="images", given="536870914 x 1 pixels"):
        contact_sheet([plain(0, 1, 1)] * 2, gap=2**29)


def test_pictures_stand_where_their_labels_do() -> None:
    values = [0.0, 0.2, 0.4, 0.6, 0.8, 0.9]
    images = [plain(value) for value in values]
    grid = contact_sheet(images, labels=AxisLabels(["a", "b", "c"], ["x", "y"]), gap=4)
    inner = grid[0, -24:, -68:]  # two rows of 10 with a gap of 4, three columns of 20
    cells = [inner[14 * (at // 3), 24 * (at % 3), 0].item() for at in range(6)]
    assert cells == pytest.approx(values, abs=0.01)
    assert grid[0, :-24].min() < 0.5  # labels above
    assert grid[0, -24:, :-68].min() < 0.5  # and before
    assert torch.equal(inner[10:14], torch.ones(4, 68, 3))


def test_titles_take_room_of_their_own_and_say_the_same_else() -> None:
    images, labels = [plain(0.5)] * 2, AxisLabels(["a", "b"], ["x"])
    bare = contact_sheet(images, labels=labels)
    titled = contact_sheet(
        images, labels=replace(labels, column_title="cfg", row_title="sampler" * 50)
    )
    _, height, width, _ = bare.shape
    assert titled.shape[1] > height
    assert titled.shape[2] > width
    assert torch.equal(titled[:, -height:, -width:], bare)


def test_pictures_without_a_label_are_refused() -> None:
    assert contact_sheet([plain(0)], labels=AxisLabels(["a", "b"], ["x", "y"])).ndim == 4
    with raises(InvalidValue, port="images", given="2"):
        contact_sheet([plain(0)] * 2, labels=AxisLabels(["a"], ["x"]))


def test_a_label_that_the_included_font_lacks_is_written_with_another() -> None:
    font = str(Path(rdkit.__file__).parent / "Chem" / "Draw" / "FreeSans.ttf")
    image = Image.new("RGB", (300, 60))

    def sheet(label: str, *installed: str) -> bytes:
        labels = AxisLabels([label], [label])
        return labeled_sheet([[image]], labels, installed=installed).tobytes()

    cat, mouse = "\N{CYRILLIC SMALL LETTER KA}" * 5, "\N{CYRILLIC SMALL LETTER ES}" * 5
    assert sheet(cat) == sheet(mouse), "the included font has Cyrillic letters by now"
    assert sheet(cat, "none.ttf", font) != sheet(mouse, "none.ttf", font)
    assert sheet("cat", font) == sheet("cat")
