"""Fixtures with an accelerator, for all tests. Nothing here loads torch before one is asked for."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.accelerator.card import Card
    from tests.accelerator.pretend import PretendAccelerator

MIB = 2**20


def has_real_card() -> bool:
    """Whether there is a CUDA device that nobody pretends."""
    import torch

    return torch.backends.cuda.is_built() and torch.cuda.is_available()


def needs_pretending() -> None:
    """Skip the test where there can be no pretend devices."""
    import torch

    if torch.backends.cuda.is_built() or sys.platform != "linux":
        pytest.skip("the pretend accelerator needs a CPU build of torch on Linux")


@pytest.fixture(scope="module")
def little_to_search() -> None:
    """Searches for garbage look at what tests of the module make, and not at all that there is.

    Each would take a third of a second: torch, and thousands of tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def pretend(little_to_search: None) -> Iterator[PretendAccelerator]:
    """Two pretend devices of 64 and 32 MiB; gone when the test is over."""
    needs_pretending()
    from tests.accelerator.pretend import PretendAccelerator

    with PretendAccelerator(64 * MIB, 32 * MIB) as found:
        yield found
        gc.collect()


@pytest.fixture
def card(request: pytest.FixtureRequest) -> Iterator[Card]:
    """``cuda:0``: a real one, or else a pretend one of 64 MiB."""
    from tests.accelerator.card import Card, real_card

    if has_real_card():
        with real_card() as found:
            yield found
    else:
        yield Card(request.getfixturevalue("pretend"))


@pytest.fixture
def cuda(card: Card) -> Card:
    """The same with plenty of memory."""
    if card.pretend is not None:
        card.pretend.resize(1024 * MIB)
    return card
