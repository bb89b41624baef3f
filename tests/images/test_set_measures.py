"""Sets of images beside each other, by their features."""

from __future__ import annotations

import numpy as np
import pytest

from nodegraph.errors import InvalidValue
from nodegraph.media.images.editing.metrics import Vectors, set_measures
from tests.messages import raises


def cloud(count: int, at: float, seed: int) -> Vectors:
    return np.random.default_rng(seed).normal(at, 1, (count, 4))


def test_a_set_is_all_that_it_is_itself() -> None:
    points = cloud(50, 0, 0)
    found = set_measures(points, points)
    assert found.frechet == pytest.approx(0, abs=1e-6)
    assert found[1:] == (1, 1, 1)


def test_sets_far_apart_have_nothing_in_common() -> None:
    found = set_measures(cloud(50, 0, 0), cloud(50, 100, 1))
    assert found[1:] == (0, 0, 0)
    assert found.frechet > 10_000


def test_what_makes_one_kind_of_two_is_good_and_covers_half() -> None:
    reference = np.concatenate([cloud(100, 0, 0), cloud(100, 100, 1)])
    found = set_measures(reference, cloud(200, 0, 2))
    assert found.precision > 0.75
    assert found.recall == pytest.approx(0.5, abs=0.1)
    assert found.coverage == pytest.approx(0.5, abs=0.1)


def test_one_picture_again_and_again_may_be_good_and_covers_nearly_nothing() -> None:
    reference = cloud(200, 0, 0)
    found = set_measures(reference, np.tile(reference[:1], (200, 1)))
    assert found.precision == 1
    assert found.recall < 0.02
    assert found.coverage < 0.1


def test_sets_too_small_are_named() -> None:
    with raises(InvalidValue, port="made", given="3 images"):
        set_measures(cloud(50, 0, 0), cloud(3, 0, 1))
