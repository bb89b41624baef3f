"""Guidance that changes the guided prediction as a clean latent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.families.noise import clean_arithmetic
from nodegraph.families.registry import FAMILIES
from nodegraph.sampling.guiders.terms import (
    GUIDED,
    CleanLatentTerm,
    bias_to_positive,
    limit_item_norm,
)
from tests.diffusion.guiders.test_shortening import MOMENT, drawn, kinds


def positive_biased(guided: Tensor, positive: Tensor, negative: Tensor, scale: float) -> Tensor:
    """One image of ComfyUI's Mahiro, by loops over its cells."""
    channels, height, width = guided.shape
    total = 0.0
    for row in range(height):
        for column in range(width):
            first, second = [], []
            for channel in range(channels):
                place = channel, row, column
                low = scale * float(negative[place])
                mean = (scale * float(positive[place]) + float(guided[place])) / 2
                first.append(abs(low) ** 0.5 * (1 if low > 0 else -1))
                second.append(abs(mean) ** 0.5 * (1 if mean > 0 else -1))
            product = sum(a * b for a, b in zip(first, second, strict=True))
            lengths = (sum(a * a for a in first) * sum(b * b for b in second)) ** 0.5
            total += product / lengths
    weight = 2 * (total / (height * width) + 1)
    return (weight * guided + (4 - weight) * scale * positive) / 4


def test_positive_biased_guidance_is_that_of_its_formula() -> None:
    positive, negative = drawn(2), drawn(3)
    guided = negative + 4.0 * (positive - negative)
    biased = bias_to_positive(guided, positive, negative, 4.0)
    items = zip(guided, positive, negative, strict=True)
    expected = torch.stack([positive_biased(*item, 4.0) for item in items])
    torch.testing.assert_close(biased, expected, rtol=1e-5, atol=1e-5)


def test_at_a_scale_of_1_it_changes_nothing() -> None:
    positive = drawn(2)
    torch.testing.assert_close(bias_to_positive(positive, positive, drawn(3), 1.0), positive)


@pytest.mark.parametrize("limit", [0.5, 1.0, 100.0])
def test_each_item_is_limited_by_the_norm_of_the_positive_one(limit: float) -> None:
    positive, guided = drawn(2), 3 * drawn(3)
    limited = limit_item_norm(guided, positive, limit)
    for item, before, towards in zip(limited, guided, positive, strict=True):
        longest = limit * float((towards**2).sum()) ** 0.5
        norm = float((before**2).sum()) ** 0.5
        expected = before * (longest / norm) if norm >= longest else before
        torch.testing.assert_close(item, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("family", "config"), kinds())
def test_the_term_is_what_the_clean_latent_lacks(family: str, config: dict[str, Any]) -> None:
    arithmetic = clean_arithmetic(config, FAMILIES[family])
    x, outputs = drawn(1), {"positive": drawn(2), "negative": drawn(3), GUIDED: drawn(4)}
    seen: list[Tensor | None] = []

    def change(clean: Tensor, positive: Tensor, negative: Tensor | None, _: Any) -> Tensor:
        seen[:] = clean, positive, negative
        return 0.5 * clean

    term = CleanLatentTerm(arithmetic, change, 0.4, 0.6)
    changed = outputs[GUIDED] + term.term(x, outputs, MOMENT)
    sides = [arithmetic.to_clean(x, outputs[name], MOMENT) for name in (GUIDED, *outputs)][:3]
    for value, expected in zip(seen, sides, strict=True):
        assert value is not None
        assert torch.equal(value, expected)
    clean = arithmetic.to_clean(x, changed, MOMENT)
    torch.testing.assert_close(clean, 0.5 * sides[0], rtol=1e-4, atol=1e-4)
    assert term.applies(MOMENT)
    assert not term.applies(replace(MOMENT, progress=0.9))
