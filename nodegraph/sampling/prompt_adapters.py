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
from nodegraph.models.gligen import GLIGEN, check_fits, sampling_grounding

MOST_SETS = 32
"""Sets of adapters that one sampling may need: each holds its adapters in memory."""

AdapterSet = tuple[Adapter, ...]
"""Adapters at their strengths, in the order in which they are applied. Empty for none."""


def active_adapters(
    scheduled: Sequence[ScheduledAdapter], begun: float, after: float = 0.0
) -> AdapterSet:
    """Return the adapters of a prompt that apply at a step, without those at strength 0.

    Args:
        begun, after: Completed fraction of the sampling at the begin and the end of the step, 0 to
            1.
    """
    adapters = (item.at(begun, after) for item in scheduled)
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
    model: DiffusionModel,
    prompts: Iterable[Conditioning | None],
    steps: Sequence[tuple[float, float]],
) -> dict[AdapterSet, DiffusionModel]:
    """Return the models that prompts with adapters need, by the adapters that they add.

    Args:
        prompts: The prompts of all sides; None for a side without any.
        steps: Completed fraction of the sampling at the begin and the end of each of its steps, 0
            to 1. Keyframes between two steps are skipped.
    Raises:
        InvalidValue: The sampling needs more than `MOST_SETS`.
        InvalidFile: An adapter changes no layer of the model.
    """
    sets = dict.fromkeys(
        active_adapters(scheduled, *step) for scheduled in schedules_of(prompts) for step in steps
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
    """Return the adapters of each prompt that has some, each combination once.

    If a prompt has text boxes, the GLIGEN layers are among those of every prompt, and of the empty
    one: a prompt without boxes is read with empty ones, as in their training.

    Raises:
        InvalidValue: The boxes are of several GLIGENs.
    """
    entries = [entry for item in prompts if item is not None for entry in item.entries]
    grounding = sampling_grounding(entries)
    added = () if grounding is None else (grounding.layers,)
    schedules = dict.fromkeys([*((*entry.adapters, *added) for entry in entries), added])
    return [adapters for adapters in schedules if adapters]


def _check_matches(model: DiffusionModel, needed: Iterable[AdapterSet]) -> None:
    layers = recipe_layers(model)
    if layers is None:
        return
    files: Mapping[str, Adapter] = {item.source: item for each in needed for item in each}
    for adapter in files.values():
        if adapter.kind == GLIGEN:
            with at_port("positive"):
                check_fits(adapter, next(iter(layers.values())).shapes)
            continue
        file = read_adapter(Path(adapter.source))
        matched = match(file.parts, layers)
        if not matched.applied:
            with at_port("positive"):
                raise no_match_error(file, matched)
