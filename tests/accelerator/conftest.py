"""What tests of the ways over an accelerator share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from tests.accelerator.card import Card
from tests.accelerator.pictures import Painter, Pixels, painting
from tests.diffusion.conftest import one_thread  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Pixels]]:
    """What the CPU makes of a workflow."""
    with painting(tmp_path_factory.mktemp("cpu"), "cpu") as painter:
        yield painter.paint


@pytest.fixture
def painter_on(tmp_path: Path, known_specs: Path) -> Iterator[Callable[..., Painter]]:
    """Opens a session on a device, in a folder of a name; more keywords are settings."""
    with ExitStack() as opened:

        def open_on(device: str, name: str = "", **settings: Any) -> Painter:
            folder = tmp_path / (name or device.replace(":", "-"))
            copytree(known_specs, folder / "home" / "cache" / "specs")
            return opened.enter_context(painting(folder, device, **settings))

        yield open_on


@pytest.fixture
def painter(card: Card, painter_on: Callable[..., Painter]) -> Painter:
    """A session on ``cuda:0``."""
    return painter_on("cuda:0")


@pytest.fixture
def painter_in(card: Card, painter_on: Callable[..., Painter]) -> Callable[[int], Painter]:
    """Opens a session where ``cuda:0`` has so many bytes.

    Of a real one, it may keep as many of them as weights as it would by itself.
    """

    def open_in(room: int) -> Painter:
        if card.pretend is None:
            return painter_on("cuda:0", weights_budget=room * 3 // 4)
        card.pretend.resize(room)
        return painter_on("cuda:0")

    return open_in
