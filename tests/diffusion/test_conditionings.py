"""Prompts put together, blended and kept to parts, by formulas and by what a model answers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nodegraph.core.values import Area, Conditioning, ConditioningEntry, StepSpan
from nodegraph.errors import InvalidValue
from nodegraph.families.conditionings import (
    average,
    combine,
    concatenate,
    with_area,
    with_mask,
    with_span,
    with_strength,
    zero_out,
)
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.regions import area_mask
from nodegraph.sampling.sampling_parts import GuiderChoice
from tests.diffusion.test_guidance import (
    LATENT,
    SHAPE,
    SIZE,
    Echo,
    answer,
    denoiser,
    left_half,
    moment,
    prompt,
    saying,
)
from tests.messages import raises
from tests.properties import examples

EMPTY = 0.5


def says(value: float, **entry: Any) -> Conditioning:
    return dataclasses.replace(prompt(value, **entry), unconditional=saying(EMPTY))


def family(name: str | None, **tensors: Tensor) -> Conditioning:
    return Conditioning((ConditioningEntry(tensors),), name)


LEFT = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(1, 1, 4, 4)
RIGHT = 1 - LEFT


def pictured(mask: Tensor | None) -> Conditioning:
    """A prompt beside what an image shows, and where that leads."""
    masks = {} if mask is None else {"pictures 0 mask": mask}
    tensors = {"embeddings": torch.ones(1, 77, 8), "pictures 0": torch.ones(1, 1, 8)}
    return family("sd1", **tensors, **masks)


def embedded(conditioning: Conditioning) -> Tensor:
    [entry] = conditioning.entries
    return entry.embeddings


@pytest.mark.parametrize("strengths", [(1.0, 1.0), (3.0, 1.0), (0.5, 0.25)])
def test_combined_prompts_are_averaged_by_strength(strengths: tuple[float, float]) -> None:
    both = combine([with_strength(says(v), s) for v, s in zip((2.0, 6.0), strengths, strict=True)])
    mean = (2 * strengths[0] + 6 * strengths[1]) / sum(strengths)
    torch.testing.assert_close(answer(both), torch.full(SHAPE, mean))


def test_strength_multiplies_and_alone_changes_nothing() -> None:
    found = with_strength(with_strength(says(2.0), 3.0), 0.5)
    assert found.entries[0].strength == 1.5
    assert torch.equal(answer(found), answer(says(2.0)))


def test_concatenated_tokens_follow_each_other_and_the_pooled_prompt_stays() -> None:
    one, other = torch.randn(1, 77, 4), torch.randn(1, 154, 4)
    pooled = torch.ones(1, 8), torch.zeros(1, 8)
    found = concatenate(
        family("sdxl", embeddings=one, pooled=pooled[0]),
        family("sdxl", embeddings=other, pooled=pooled[1]),
    )
    assert torch.equal(embedded(found), torch.cat([one, other], 1))
    assert torch.equal(found.entries[0].tensors["pooled"], pooled[0])


def test_models_of_prompts_of_one_length_take_none_after_the_other() -> None:
    given = family("qwen-image", embeddings=torch.zeros(1, 3, 4))
    with raises(InvalidValue, port="second"):
        concatenate(given, given)


@settings(max_examples=examples(20))
@given(st.floats(0, 1), st.sampled_from(["linear", "spherical"]))
def test_averages_lie_between(share: float, method: Any) -> None:
    torch.manual_seed(3)
    one, other = torch.randn(2, 1, 4, 8).unbind()
    pooled = torch.randn(2, 1, 6).unbind()
    first, second = (
        family("sdxl", embeddings=item, pooled=sum_)
        for item, sum_ in zip((one, other), pooled, strict=True)
    )
    found = average(first, second, share, method)
    if method == "linear":
        torch.testing.assert_close(embedded(found), one * (1 - share) + other * share)
        expected = pooled[0] * (1 - share) + pooled[1] * share
        torch.testing.assert_close(found.entries[0].tensors["pooled"], expected)
    else:
        lengths = one.norm(dim=-1) * (1 - share) + other.norm(dim=-1) * share
        torch.testing.assert_close(embedded(found).norm(dim=-1), lengths)
    there, back = average(second, first, 1 - share, method), found
    torch.testing.assert_close(embedded(there), embedded(back), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["linear", "spherical"])
def test_an_average_of_all_of_one_is_that_one_bit_for_bit(method: Any) -> None:
    one, other = (family("sd1", embeddings=item) for item in torch.randn(2, 1, 7, 8))
    assert torch.equal(embedded(average(one, other, 0.0, method)), embedded(one))
    assert torch.equal(embedded(average(one, other, 1.0, method)), embedded(other))


@pytest.mark.parametrize(("share", "index"), [(0.0, 0), (1.0, 1)])
@pytest.mark.parametrize("name", ["mask", "mask_2", "plain_mask", "glyph_mask", "t5_ids"])
def test_an_average_of_all_of_one_reads_no_token_of_the_other(
    name: str, share: float, index: int
) -> None:
    items = torch.tensor([[1, 1, 0]]), torch.tensor([[3, 0, 0, 0]])
    prompts = [
        family("hunyuan-dit", embeddings=torch.ones(1, item.shape[1], 8), **{name: item})
        for item in items
    ]
    found = average(*prompts, share).entries[0].tensors
    assert torch.equal(found[name], items[index])
    assert found["embeddings"].shape == (1, items[index].shape[1], 8)


def test_an_average_of_prompts_for_two_encoders_reads_the_tokens_of_both() -> None:
    masks = torch.tensor([[1, 0, 0]]), torch.tensor([[1, 1, 0]])
    prompts = (family("hunyuan-dit", embeddings=torch.ones(1, 2, 8), mask_2=mask) for mask in masks)
    found = average(*prompts, 0.5).entries[0].tensors
    assert torch.equal(found["mask_2"], masks[1])


def test_a_spherical_average_of_equal_or_silent_vectors_is_the_linear_one() -> None:
    one = torch.tensor([[[1.0, 0], [0, 0], [1, 0]]])
    other = torch.tensor([[[1.0, 0], [0, 2], [-1, 0]]])
    found = average(family(None, embeddings=one), family(None, embeddings=other), 0.5, "spherical")
    assert torch.equal(embedded(found), torch.tensor([[[1.0, 0], [0, 1], [0, 0]]]))


def test_lengths_are_matched_as_the_family_does() -> None:
    one, other = torch.ones(1, 2, 3), torch.full((1, 3, 3), 3.0)
    repeated = average(family("sd1", embeddings=one), family("sd1", embeddings=other), 0.5)
    assert torch.equal(embedded(repeated), torch.full((1, 6, 3), 2.0))
    filled = average(family("z-image", embeddings=one), family("z-image", embeddings=other), 0.5)
    assert embedded(filled)[0, :, 0].tolist() == [2, 2, 1.5]


def test_what_one_of_two_prompts_looks_at_is_looked_at() -> None:
    one, other = (
        family("pixart-sigma", embeddings=torch.ones(1, 3, 2), mask=torch.tensor([mask]))
        for mask in ([1, 0, 0], [1, 1, 0])
    )
    found = average(one, other, 0.25)
    assert found.entries[0].tensors["mask"].tolist() == [[1, 1, 0]]


def test_parts_of_a_prompt_are_blended_with_one_or_with_their_like() -> None:
    parts = combine([with_span(says(2.0), 0, 0.5), with_span(says(4.0), 0.5, 1)])
    found = average(says(0.0), parts, 0.5)
    assert [(item.start, item.end) for item in found.entries] == [(0, 0.5), (0.5, 1)]
    assert torch.equal(answer(found, progress=0.6), torch.full(SHAPE, 2.0))
    assert len(average(parts, parts, 0.5).entries) == 2
    with raises(InvalidValue, port="second", given="2 parts"):
        average(parts, combine([says(0.0), says(1.0)]), 0.5)


@pytest.mark.parametrize(
    "join", [concatenate, lambda a, b: average(a, b, 0.5), lambda a, b: combine([a, b])]
)
def test_two_families_don_t_go_together(join: Any) -> None:
    one, other = (family(name, embeddings=torch.zeros(1, 2, 3)) for name in ("sd1", "sdxl"))
    with raises(InvalidValue, port="second", given="sdxl"):
        join(one, other)


@pytest.mark.parametrize(
    ("masks", "share", "expected"),
    [
        ((LEFT, RIGHT), 0.5, torch.ones(1, 1, 4, 4)),
        ((LEFT, RIGHT), 0.0, LEFT),
        ((LEFT, RIGHT), 1.0, RIGHT),
        ((LEFT, LEFT), 0.5, LEFT),
        ((LEFT, None), 0.5, None),
        ((None, LEFT), 1.0, LEFT),
    ],
)
def test_an_average_is_led_by_pictures_where_either_is(
    masks: tuple[Tensor | None, Tensor | None], share: float, expected: Tensor | None
) -> None:
    found = average(*(pictured(mask) for mask in masks), share).entries[0].tensors
    assert torch.equal(found["pictures 0"], torch.ones(1, 1, 8))
    if expected is None:
        assert "pictures 0 mask" not in found
    else:
        assert torch.equal(found["pictures 0 mask"], expected)


def test_masks_of_pictures_of_two_sizes_are_not_averaged() -> None:
    with raises(InvalidValue, port="second", given="shape (1, 1, 2, 2)"):
        average(pictured(LEFT), pictured(torch.ones(1, 1, 2, 2)), 0.5)


def test_zeros_leave_what_pictures_show() -> None:
    given = pictured(LEFT)
    found, tensors = zero_out(given).entries[0].tensors, given.entries[0].tensors
    assert torch.equal(found["pictures 0"], tensors["pictures 0"])
    assert torch.equal(found["pictures 0 mask"], tensors["pictures 0 mask"])
    assert not found["embeddings"].any()


def test_zeros_stand_for_text_alone() -> None:
    tensors = {
        "embeddings": torch.ones(1, 2, 3),
        "pooled": torch.ones(1, 3),
        "mask": torch.ones(1, 2),
        "time_ids": torch.ones(1, 6),
        "hole": torch.ones(1, 4, 2, 2),
    }
    [entry] = zero_out(family("sdxl", **tensors)).entries
    assert {name for name, item in entry.tensors.items() if not item.any()} == {
        "embeddings",
        "pooled",
    }


def test_spans_are_cut_by_each_other() -> None:
    parts = combine([with_span(says(2.0), 0, 0.5), with_span(says(4.0), 0.5, 1)])
    found = with_span(parts, 0.25, 0.5)
    assert [(item.start, item.end) for item in found.entries] == [(0.25, 0.5)]
    assert [float(answer(found, progress=at).mean()) for at in (0.0, 0.25, 0.5)] == [0.5, 2, 0.5]
    with raises(InvalidValue, port="start", given="0.5 to 1"):
        with_span(found, 0.5, 1)


@pytest.mark.parametrize(
    ("span", "steps"),
    [
        (StepSpan(), [0, 1, 2, 3, 4, 5]),
        (StepSpan(2), [2, 3, 4, 5]),
        (StepSpan(1, 3), [1, 2]),
        (StepSpan(0, None, 2, 1), [1, 3, 5]),
        (StepSpan(1, 5, 3, 0), [3]),
    ],
)
def test_prompts_apply_at_their_steps(span: StepSpan, steps: list[int]) -> None:
    choice = GuiderChoice(says(2.0, steps=span))
    guidance = Guidance(denoiser(Echo()), choice, **SIZE, shape=SHAPE)
    at = [dataclasses.replace(moment(step / 6), step=step) for step in range(6)]
    found = [step for step in range(6) if guidance(LATENT, at[step]).mean() == 2]
    assert found == steps


@pytest.mark.parametrize("unit", ["shares", "pixels"])
def test_outside_an_area_a_prompt_has_no_part(unit: Any) -> None:
    sides = (0.5, 0.0, 0.5, 0.5) if unit == "shares" else (16.0, 0.0, 99.0, 16.0)
    found = answer(with_area(says(2.0), Area(*sides, unit)))
    expected = torch.full(SHAPE, EMPTY)
    expected[:, :, :2, 2:] = 2.0
    assert torch.equal(found, expected)


def test_areas_and_masks_leave_what_lies_in_all_of_them() -> None:
    top = with_area(with_mask(says(2.0), left_half()), Area(0, 0, 1, 0.5))
    found = answer(with_mask(top, torch.ones(1, 8, 8)))
    expected = torch.full(SHAPE, EMPTY)
    expected[:, :, :2, :2] = 2.0
    assert torch.equal(found, expected)


def test_several_masks_are_refused() -> None:
    with raises(InvalidValue, port="mask"):
        with_mask(says(2.0), torch.ones(3, 8, 8))


def test_a_prompt_of_an_empty_mask_applies_nowhere() -> None:
    nowhere = with_mask(says(2.0), torch.zeros(1, 8, 8))
    assert torch.equal(answer(nowhere), torch.full(SHAPE, EMPTY))
    assert torch.equal(answer(combine([says(4.0), nowhere])), torch.full(SHAPE, 4.0))


@settings(max_examples=examples(40))
@given(
    st.tuples(*[st.floats(0, 1)] * 5),
    st.sampled_from(["shares", "pixels"]),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_an_area_covers_as_much_as_it_measures(
    sides: tuple[float, ...], unit: Any, width: int, height: int
) -> None:
    x, y, across, down, feather = sides
    mask = area_mask(Area(x, y, across, down, unit), width, height)
    assert mask.shape == (1, height, width)
    scale = (width, height) if unit == "shares" else (1, 1)
    size = [
        min(start * by + length * by, whole) - start * by
        for start, length, by, whole in zip(
            (x, y), (across, down), scale, (width, height), strict=True
        )
    ]
    assert float(mask.sum()) == pytest.approx(max(0, size[0]) * max(0, size[1]), abs=1e-4)
    soft = area_mask(Area(x, y, across, down, unit, feather), width, height)
    assert bool(((soft >= 0) & (soft <= mask)).all())


def test_an_area_fades_from_its_inner_sides_alone() -> None:
    mask = area_mask(Area(0, 0, 8, 4, "pixels", 4), 16, 4)
    assert mask[0, 0, :8].tolist() == [1, 1, 1, 1, 0.875, 0.625, 0.375, 0.125]
    assert not mask[..., 8:].any()
