"""Tests of the film grain."""

from collections.abc import Callable
from typing import Any

import torch

from nodegraph.python.testing import NodeVerdicts

Run = Callable[..., Any]
GRAY = torch.full((1, 64, 64, 3), 0.5)


def test_the_amount_is_the_deviation_in_the_midtones(run_node: Run) -> None:
    image = run_node("grain:FilmGrain", image=GRAY, amount=0.1, size=1)
    assert abs(float((image - GRAY).std()) - 0.1) < 0.01


def test_black_and_white_stay_clean(run_node: Run) -> None:
    image = torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1).expand(1, 8, 2, 3)
    assert torch.equal(run_node("grain:FilmGrain", image=image, amount=1.0), image)


def test_a_seed_gives_its_own_grain(run_node: Run) -> None:
    first, again, other = (run_node("grain:FilmGrain", image=GRAY, seed=s) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_it_keeps_to_the_rules(check_node: Callable[..., NodeVerdicts]) -> None:
    assert check_node("grain:FilmGrain").faults == []
