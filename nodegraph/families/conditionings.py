"""Conditionings put together, blended, and kept to a part of the image or of the sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from nodegraph.core.values import Area, Conditioning, ConditioningEntry
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.families.base import CONDITION_TENSORS, GUIDANCE, Family
from nodegraph.families.image_conditioning import (
    image_embeds_name,
    image_tensor_names,
    mask_name,
    mask_names,
)
from nodegraph.families.registry import get_family

_MASKS = ("mask", "mask_2", "plain_mask", "glyph_mask")
"""Tensors of a prompt that say which tokens are looked at."""
_LENGTHENED = ("embeddings", "mask")
"""Tensors of a prompt that grow where another is put after it; (1, tokens, …)."""

Method = Literal["linear", "spherical"]


def combine(conditionings: Sequence[Conditioning]) -> Conditioning:
    """Prompts that all lead: the model's answers to them are averaged by strength and place.

    Args:
        conditionings: At least one.
    Raises:
        InvalidValue: They are of several families.
    """
    first, *others = conditionings
    for other in others:
        _check_families(first, other)
    return Conditioning(
        tuple(entry for item in conditionings for entry in item.entries),
        next((item.family for item in conditionings if item.family), None),
        next((item.unconditional for item in conditionings if item.unconditional), None),
    )


def default_negative(positive: Conditioning) -> Conditioning | None:
    """The empty prompt that stands in for a negative one that isn't given, as a prompt.

    Returns:
        None for families that then do without.
    """
    empty = positive.unconditional
    return None if empty is None else Conditioning((empty,), positive.family, empty)


def concatenate(first: Conditioning, second: Conditioning) -> Conditioning:
    """One prompt of the tokens of two, one after the other; all else is the first one's.

    Raises:
        InvalidValue: The family's models take prompts of one length alone, or the two can't be
            paired.
    """
    family = _family_of(first, second)
    if family is not None and not family.lengthens:
        raise InvalidValue(
            f"{family.title} does not support concatenated prompts",
            port="second",
            hint="CombineConditioning applies both prompts, AverageConditioning blends them.",
        )

    def joined(first_entry: ConditioningEntry, other: ConditioningEntry) -> dict[str, Tensor]:
        both = {
            name: torch.cat([first_entry.tensors[name], other.tensors[name]], 1)
            for name in _LENGTHENED
            if name in first_entry.tensors and name in other.tensors
        }
        return {**first_entry.tensors, **both}

    return _paired(first, second, joined)


def average(
    first: Conditioning, second: Conditioning, share: float, method: Method = "linear"
) -> Conditioning:
    """One prompt between two: embeddings and the pooled prompt are interpolated.

    Prompts of several lengths are brought to one as the family does it: see `Family.matched`.

    Args:
        share: Of the second: 0 is the first alone, 1 the second alone.
        method: ``linear``, or ``spherical``: along the arc between the two vectors of a token.
    Raises:
        InvalidValue: They are of two families, or can't be paired.
    """
    family = _family_of(first, second)

    def blended(entry: ConditioningEntry, other: ConditioningEntry) -> dict[str, Tensor]:
        blended_tensors = {**other.tensors, **entry.tensors}
        masks = {*mask_names(entry.tensors), *mask_names(other.tensors)}
        for name in entry.tensors.keys() & other.tensors.keys() - set(CONDITION_TENSORS) - masks:
            pair = entry.tensors[name], other.tensors[name]
            if share in (0.0, 1.0):
                # Also its tokens and its length, which no number lies between.
                blended_tensors[name] = pair[int(share)]
                continue
            if pair[0].shape != pair[1].shape:
                pair = _matched(family, *pair)
            blended_tensors[name] = _between(name, *pair, share, method)
        own = {name: item for name, item in blended_tensors.items() if name not in masks}
        return own | _either_mask(family, entry.tensors, other.tensors, share)

    return _paired(first, second, blended)


def with_area(conditioning: Conditioning, area: Area) -> Conditioning:
    """Prompts kept to a rectangle of where they apply."""
    return _each(conditioning, lambda entry: replace(entry, areas=(*entry.areas, area)))


def with_mask(conditioning: Conditioning, mask: Tensor) -> Conditioning:
    """Prompts kept to a mask, times the one that they have.

    Args:
        mask: In 0..1, shape (1, height, width) in pixels. One that they have of another size is
            brought to this one's. Of an empty one they apply nowhere, as a region of a canvas
            that is hidden or outside the box.
    Raises:
        InvalidValue: There are several masks.
        NumericalError: It has NaN or infinity.
    """
    if mask.ndim != 3 or mask.shape[0] != 1:
        raise InvalidValue(
            "the area of a prompt takes one mask",
            port="mask",
            given=f"shape {tuple(mask.shape)}",
            expected="shape (1, height, width)",
        )
    if not bool(mask.isfinite().all()):
        raise NumericalError("the mask has NaN or infinity", port="mask")

    def masked(entry: ConditioningEntry) -> ConditioningEntry:
        return replace(entry, mask=_product(entry.mask, mask.float()))

    return _each(conditioning, masked)


def with_span(conditioning: Conditioning, start: float, end: float) -> Conditioning:
    """Prompts kept to a part of the sampling, of that which they apply to.

    Args:
        start, end: 0 to 1, shares of the steps.
    Raises:
        InvalidValue: Nothing is left of any.
    """
    cut = [
        replace(entry, start=max(entry.start, start), end=min(entry.end, end))
        for entry in conditioning.entries
    ]
    left = tuple(entry for entry in cut if entry.start < entry.end)
    if not left:
        raise InvalidValue(
            "no step is left for this prompt",
            port="start",
            given=f"{start:g} to {end:g}",
            expected="a range that begins before it ends and overlaps the prompt's own range",
        )
    return replace(conditioning, entries=left)


def with_strength(conditioning: Conditioning, strength: float) -> Conditioning:
    """Prompts whose weight among others is so many times what it was."""
    return _each(conditioning, lambda entry: replace(entry, strength=entry.strength * strength))


def as_fallback(conditioning: Conditioning) -> Conditioning:
    """Prompts that apply only as far as the others of their side leave weight."""
    return _each(conditioning, lambda entry: replace(entry, is_fallback=True))


def with_guidance(conditioning: Conditioning, guidance: float) -> Conditioning:
    """Prompts that tell a model which was distilled from guidance how strongly they lead.

    Source: Meng et al. 2023, arXiv:2210.03142.
    """
    scale = torch.tensor([guidance], dtype=torch.float64)
    return _each(
        conditioning, lambda entry: replace(entry, tensors={**entry.tensors, GUIDANCE: scale})
    )


def zero_out(conditioning: Conditioning) -> Conditioning:
    """Prompts of zeros in place of what their text was encoded to; what else they tell stays."""

    def silent(entry: ConditioningEntry) -> ConditioningEntry:
        kept = {*CONDITION_TENSORS, *_MASKS, *image_tensor_names(entry.tensors)}
        tensors = {
            name: torch.zeros_like(item) if name not in kept and item.is_floating_point() else item
            for name, item in entry.tensors.items()
        }
        return replace(entry, tensors=tensors)

    return _each(conditioning, silent)


def _each(
    conditioning: Conditioning, change: Callable[[ConditioningEntry], ConditioningEntry]
) -> Conditioning:
    return replace(conditioning, entries=tuple(map(change, conditioning.entries)))


def _product(before: Tensor | None, mask: Tensor) -> Tensor:
    if before is None:
        return mask
    if before.shape != mask.shape:
        size = mask.shape[-2:]
        before = torch.nn.functional.interpolate(before[None], size=size, mode="area")[0]
    return before * mask


def _matched(family: Family | None, tensor: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Of one length. Raises InvalidValue if that doesn't make them alike."""
    pair = (tensor, other) if family is None else family.matched(tensor, other)
    if pair[0].shape != pair[1].shape:
        raise InvalidValue(
            "the two prompts cannot be blended: their embeddings have different shapes",
            port="second",
            given=f"shape {tuple(other.shape)}",
            expected=f"shape {tuple(tensor.shape)}",
        )
    return pair


def _either_mask(
    family: Family | None, first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Where what images show leads, blended: where it does in either; without a mask, that is
    everywhere."""
    blended = {}
    for number in range(len(first) + len(second)):
        name = mask_name(number)
        telling = [item for item in (first, second) if image_embeds_name(number) in item]
        if len(telling) == 2 and share in (0.0, 1.0):
            telling = [telling[int(share)]]
        masks = [item[name] for item in telling if name in item]
        if masks and len(masks) == len(telling):
            pair = masks[0], masks[-1]
            if pair[0].shape != pair[1].shape:
                pair = _matched(family, *pair)
            blended[name] = torch.maximum(*pair)
    return blended


def _between(name: str, tensor: Tensor, other: Tensor, share: float, method: Method) -> Tensor:
    if name in _MASKS:
        return torch.maximum(tensor, other)  # what one of the two looks at is looked at
    if not tensor.is_floating_point():
        return tensor
    if method == "spherical":
        return _slerp(tensor, other, share)
    return torch.lerp(tensor, other, share)


def _slerp(tensor: Tensor, other: Tensor, share: float) -> Tensor:
    """Vectors between those of two tensors, along the last axis: lengths change evenly as well.

    Where two point the same way or oppositely, or one has no length, it is linear.

    Source: Shoemake 1985, https://doi.org/10.1145/325334.325242.
    """
    lengths = tensor.norm(dim=-1, keepdim=True), other.norm(dim=-1, keepdim=True)
    units = tensor / lengths[0].clamp(min=1e-12), other / lengths[1].clamp(min=1e-12)
    cosine = (units[0] * units[1]).sum(-1, keepdim=True).clamp(-1, 1)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    bends = (cosine.abs() < 0.9995) & (lengths[0] > 0) & (lengths[1] > 0)
    safe = torch.where(bends, sine, 1.0)
    shares = torch.sin((1 - share) * angle) / safe, torch.sin(share * angle) / safe
    arc = (units[0] * shares[0] + units[1] * shares[1]) * torch.lerp(*lengths, share)
    return torch.where(bends, arc, torch.lerp(tensor, other, share))


def _paired(
    first: Conditioning,
    second: Conditioning,
    tensors: Callable[[ConditioningEntry, ConditioningEntry], Mapping[str, Tensor]],
) -> Conditioning:
    """Entries of two conditionings made one by one into one.

    How it applies is told by the one of several entries, else by the first.
    """
    entries = tuple(
        replace(target, tensors=tensors(entry, other))
        for entry, other, target in _pairs(first, second)
    )
    unconditional = first.unconditional or second.unconditional
    return Conditioning(entries, first.family or second.family, unconditional)


def _pairs(
    first: Conditioning, second: Conditioning
) -> Iterator[tuple[ConditioningEntry, ConditioningEntry, ConditioningEntry]]:
    ones, others = first.entries, second.entries
    if len(others) == 1:
        yield from ((entry, others[0], entry) for entry in ones)
    elif len(ones) == 1:
        yield from ((ones[0], other, other) for other in others)
    elif [_when(item) for item in ones] == [_when(item) for item in others]:
        yield from ((entry, other, entry) for entry, other in zip(ones, others, strict=True))
    else:
        raise InvalidValue(
            "prompts with several entries can be combined only if their entries apply to "
            "the same areas and steps",
            port="second",
            given=f"{len(others)} parts",
            expected=f"one entry, or the {len(ones)} of the first at the same steps",
            hint="Combine them entry by entry, then use CombineConditioning.",
        )


def _when(entry: ConditioningEntry) -> tuple[object, ...]:
    return entry.start, entry.end, entry.steps


def _family_of(first: Conditioning, second: Conditioning) -> Family | None:
    _check_families(first, second)
    name = first.family or second.family
    return None if name is None else get_family(name)


def _check_families(first: Conditioning, other: Conditioning) -> None:
    if None not in (first.family, other.family) and first.family != other.family:
        raise InvalidValue(
            "the prompts belong to different model families",
            port="second",
            given=other.family,
            expected=first.family,
            hint="Encode both with the text encoder of one model.",
        )
