"""LoRAs and models of single prompts: those that apply at a step, and the models that they need.

A prompt may have its own adapters. While that prompt is evaluated, the model has these in
addition to its own. Each set of adapters and strengths that some step needs is a recipe, which
shares the weights of the model: adapters are computed beside the layers that they change. Only a
mix with another model has weights of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nodegraph.core.digests import digest_value
from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.values import (
    Adapter,
    Conditioning,
    DiffusionModel,
    ModelAdapter,
    ScheduledAdapter,
)
from nodegraph.errors import InvalidValue, at_port
from nodegraph.families.flow_noise import recipe_noise
from nodegraph.families.registry import get_family
from nodegraph.models.adapters.adapter_files import MIXED_MODEL, no_match_error, read_adapter
from nodegraph.models.adapters.layer_matching import ModuleLayers, match, recipe_layers
from nodegraph.models.gligen import GLIGEN, check_fits, sampling_grounding
from nodegraph.models.ip_adapters.image_prompt_files import IP_ADAPTER
from nodegraph.weights.precision.storage import recipe_storage

MOST_SETS = 32
"""Sets of adapters that one sampling may need: each holds its adapters in memory."""

MOST_MIXES = 8
"""Mixes with other models that one sampling may need: each is as large as the model."""

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


def with_adapter(
    conditioning: Conditioning, adapter: Adapter, keyframes: tuple[tuple[float, float], ...] = ()
) -> Conditioning:
    """Return prompts with one more adapter each."""
    scheduled = ScheduledAdapter(adapter, keyframes)
    entries = (
        replace(entry, adapters=(*entry.adapters, scheduled)) for entry in conditioning.entries
    )
    return replace(conditioning, entries=tuple(entries))


def with_model(
    conditioning: Conditioning,
    model: DiffusionModel,
    strength: float,
    keyframes: tuple[tuple[float, float], ...] = (),
) -> Conditioning:
    """Return prompts for which a model is mixed with another one.

    Args:
        model: The other model. Its speed options do not count.
        strength: 0 for the model of the sampling, 1 for the other one.
    Raises:
        InvalidValue: The weights of the other model are kept in few bits, or it has an IP-Adapter.
    """
    _check_full(model, "model")
    if any(item.kind == IP_ADAPTER for item in model.adapters):
        raise InvalidValue(
            "a model with an IP-Adapter cannot be mixed with another one",
            port="model",
            hint="Link the model before ApplyIPAdapter. Apply the IP-Adapter to the model of the "
            "sampling.",
        )
    # A model that a pack patched stays one: what calls this node refuses it, as no mix has patches.
    other = replace(model, options=_weight_options(model))
    digest = digest_value(other)
    adapter = ModelAdapter(MIXED_MODEL, other.source, digest, strength, model=other)
    return with_adapter(conditioning, adapter, keyframes)


def _weight_options(model: DiffusionModel) -> tuple[tuple[str, str], ...]:
    return tuple(item for item in model.options if not item[0].startswith(SPEED_PREFIX))


def _check_full(model: DiffusionModel, port: str) -> None:
    if storage := recipe_storage(model):
        raise InvalidValue(
            "a model whose weights are kept in few bits cannot be mixed with another one",
            port=port,
            given=f"storage {storage}",
            expected="weights in float32, float16 or bfloat16",
            hint="Load it with storage `full`.",
        )


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
    mixes = {
        tuple(item for item in adapters if isinstance(item, ModelAdapter)) for adapters in needed
    } - {()}
    if len(mixes) > MOST_MIXES:
        raise InvalidValue(
            "the prompts have too many different mixes of models",
            port="positive",
            given=f"{len(mixes)} different ones over the steps",
            expected=f"up to {MOST_MIXES}, as each needs the memory of a whole model",
            hint="Use fewer keyframes.",
        )
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
    files = {(item.source, item.digest): item for each in needed for item in each}
    for adapter in files.values():
        if isinstance(adapter, ModelAdapter):
            _check_mix(model, adapter, layers)
            continue
        if layers is None:
            continue
        if adapter.kind == GLIGEN:
            with at_port("positive"):
                check_fits(adapter, next(iter(layers.values())).shapes)
            continue
        file = read_adapter(Path(adapter.source))
        matched = match(file.parts, layers)
        if not matched.applied:
            with at_port("positive"):
                raise no_match_error(file, matched)


def mix_messages(model: DiffusionModel, adapted: Iterable[DiffusionModel]) -> Iterator[str]:
    """Yield warnings of mixes that hardly make sense, each once.

    Args:
        adapted: Models of prompts, as `adapted_recipes` returns them.
    """
    prediction = _prediction_type(model)
    mixes = [item for each in adapted for item in each.adapters if isinstance(item, ModelAdapter)]
    others = {_prediction_type(item.model) for item in mixes if item.model is not None}
    for other in sorted(others - {prediction}):
        yield (
            f"the model of a prompt predicts {other}, but the model of the sampling predicts "
            f"{prediction}, and so does the mix: it hardly gives an image"
        )


def _prediction_type(model: DiffusionModel) -> str:
    noise = recipe_noise(model)
    return str(getattr(noise, "prediction_type", noise.kind))


def _check_mix(
    model: DiffusionModel, adapter: ModelAdapter, layers: Mapping[str, ModuleLayers] | None
) -> None:
    """Refuse to mix models of different architectures, and weights in few bits.

    Args:
        layers: Of the model, by module; None where only loading it would tell.
    Raises:
        InvalidValue: On port ``positive`` or ``model``.
    """
    _check_full(model, "model")
    assert adapter.model is not None
    other, model_title = adapter.model, get_family(model.family).title
    if other.family != model.family:
        raise InvalidValue(
            "a prompt has a model of another family than the model of the sampling",
            port="positive",
            given=get_family(other.family).title,
            expected=model_title,
            hint="Link a model of the same family to ModelConditioning.",
        )
    others = recipe_layers(other)
    if layers is None or others is None:
        return
    if layers.keys() != others.keys():
        raise InvalidValue(
            "a prompt has a model with another number of experts than the model of the sampling",
            port="positive",
            given=", ".join(others),
            expected=", ".join(layers),
            hint="Load one expert alone with LoadDiffusionModel.",
        )
    for role, module in layers.items():
        shapes = others[role].shapes
        for name, shape in module.shapes.items():
            if shapes.get(name) != shape:
                raise InvalidValue(
                    f"a prompt has a model with other layers, such as {name}",
                    port="positive",
                    given=f"shape {shapes.get(name)}",
                    expected=f"{shape}, as in the {model_title} model of the sampling",
                    hint="Link a model of the same architecture to ModelConditioning.",
                )
