"""What is too large for the memory there is isn't begun."""

from __future__ import annotations

import pytest
import torch

from nodegraph.errors import InvalidValue
from nodegraph.media.images import memory_checks as room
from nodegraph.media.images.contact_sheets import contact_sheet
from nodegraph.media.images.memory_checks import ImageTooLarge, check_memory
from nodegraph.media.images.resizing import resize_image
from tests.messages import raises

GIB = 1 << 30


@pytest.fixture(autouse=True)
def one_gibibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "total_memory", lambda: GIB)


def test_the_error_names_the_size_and_what_there_is() -> None:
    with pytest.raises(ImageTooLarge) as raised:
        check_memory(16384, 8192, 3, 2 * GIB, port="width")
    problem = raised.value.problem
    assert (problem.code, problem.port) == ("too-large", "width")
    assert problem.given == "16384 x 8192 pixels, 3 of them: about 2.1 GB"
    assert problem.expected == "at most 913 MB of 1.1 GB in total"


def test_what_fits_is_begun_and_so_is_all_where_memory_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_memory(8, 8, 1, GIB // 2, port="width")
    monkeypatch.setattr(room, "total_memory", lambda: None)
    check_memory(8, 8, 1, 1 << 60, port="width")


def test_a_size_that_comes_through_a_link_is_refused_before_the_work() -> None:
    with raises(ImageTooLarge, port="width", given="16384 x 16384 pixels: about 5.4 GB"):
        resize_image(torch.zeros(1, 8, 8, 3), 16384, 16384)


def test_pictures_that_are_too_many_for_one_are_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nodegraph.media.images.images.to_pil", _begun)
    picture = torch.zeros(1, 1, 1, 3)
    with raises(ImageTooLarge, port="images", given="8000 x 8000 pixels: about 1.2 GB"):
        contact_sheet([picture.expand(4, 4000, 4000, 3)], gap=0)
    with raises(InvalidValue, port="images", given="32000 x 32000 pixels"):
        contact_sheet([picture.expand(64, 4000, 4000, 3)], gap=0)


def _begun(_: object) -> None:
    raise AssertionError("the work has begun")
