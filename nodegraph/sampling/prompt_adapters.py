"""LoRAs of single prompts: the ones that apply at a step, and the models that they need.

A prompt may have its own adapters. While that prompt is evaluated, the model has these in
addition to its own. Each set of adapters and strengths that some step needs is a recipe, which
shares the weights of the model: adapters are computed beside the layers that they change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from nodegraph.core.values import (
    Adapter,
    Conditioning,
    DiffusionModel,
    ScheduledAdapter,
)
from nodegraph.errors import InvalidValue, at_port
from nodegraph.models.adapters.adapter_files import no_match_error, read_adapter
from nodegraph.models.adapters.layer_matching import match, recipe_layers

MOST_SETS = 32
"""Sets of adapters that one sampling may need: each holds its adapters in memory."""

AdapterSet = tuple[Adapter, ...]
"""Adapters at their strengths, in the order in which they are applied. Empty for none."""


def active_adapters(scheduled: Sequence[ScheduledAdapter], begun: float) -> AdapterSet:
    """Return the adapters of a prompt that apply at a step, without those at strength 0.

    Args:
        begun: Completed fraction of the sampling, 0 to 1.
    """
    adapters = (item.at(begun) for item in scheduled)
    return tuple(adapter for adapter in adapters if adapter.strength)


def parse_keyframes(text: str) -> tuple[tuple[float, float], ...]:
    """Read strengths over a sampling: one ``start: factor`` per line or between commas.

    Returns:
        Start and factor of each keyframe, sorted by start. Empty for an empty text.
    Raises:
        InvalidValue: A part is no keyframe, or a start is outside 0..1 or occurs twice.
    """
    parts = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    keyframes = sorted(map(_keyframe, parts), key=lambda item: item[0])
    for (start, _), (following, _) in pairwise(keyframes):
        if start == following:
            raise _no_keyframe(f"{start:g} twice")
    return tuple(keyframes)


def _keyframe(part: str) -> tuple[float, float]:
    start_text, _, factor_text = part.partition(":")
    try:
        start, factor = float(start_text), float(factor_text)
    except ValueError:
        raise _no_keyframe(part) from None
    if not (0 <= start <= 1 and abs(factor) <= ScheduledAdapter.MOST_FACTOR):
        raise _no_keyframe(part)
    return start, factor


def _no_keyframe(part: str) -> InvalidValue:
    return InvalidValue(
        "this is no strength over the sampling",
        port="schedule",
        given=part,
        expected="lines such as `0.5: 0.3`: from half of the sampling on, 0.3 of the strength",
    )


def with_adapter(
    conditioning: Conditioning, adapter: Adapter, keyframes: tuple[tuple[float, float], ...] = ()
) -> Conditioning:
    """Return prompts with one more adapter each."""
    scheduled = ScheduledAdapter(adapter, keyframes)
    entries = (
        replace(entry, adapters=(*entry.adapters, scheduled)) for entry in conditioning.entries
    )
    return replace(conditioning, entries=tuple(entries))


def adapted_recipes(
    model: DiffusionModel, prompts: Iterable[Conditioning | None], begun: Sequence[float]
) -> dict[AdapterSet, DiffusionModel]:
    """Return the models that prompts with adapters need, by the adapters that they add.

    Args:
        prompts: The prompts of all sides; None for a side without any.
        begun: Completed fraction of the sampling at each of its steps, 0 to 1. Keyframes between
            two steps are skipped.
    Raises:
        InvalidValue: The sampling needs more than `MOST_SETS`.
        InvalidFile: An adapter changes no layer of the model.
    """
    sets = dict.fromkeys(
        active_adapters(scheduled, point) for scheduled in schedules_of(prompts) for point in begun
    )
    needed = [adapters for adapters in sets if adapters]
    if not needed:
        return {}  # most samplings: the model's files need not be opened
    if len(needed) > MOST_SETS:
        raise InvalidValue(
            "the LoRAs of the prompts have too many different strengths",
            port="positive",
            given=f"{len(needed)} different ones over the steps",
            expected=f"up to {MOST_SETS}",
            hint="Use fewer keyframes.",
        )
    _check_matches(model, needed)
    return {adapters: replace(model, adapters=(*model.adapters, *adapters)) for adapters in needed}


def schedules_of(prompts: Iterable[Conditioning | None]) -> list[tuple[ScheduledAdapter, ...]]:
    """Return the adapters of each prompt that has some, each combination once."""
    entries = (entry for item in prompts if item is not None for entry in item.entries)
    return list(dict.fromkeys(entry.adapters for entry in entries if entry.adapters))


def _check_matches(model: DiffusionModel, needed: Iterable[AdapterSet]) -> None:
    layers = recipe_layers(model)
    if layers is None:
        return
    files: Mapping[str, Adapter] = {item.source: item for each in needed for item in each}
    for adapter in files.values():
        file = read_adapter(Path(adapter.source))
        matched = match(file.parts, layers)
        if not matched.applied:
            with at_port("positive"):
                raise no_match_error(file, matched)
