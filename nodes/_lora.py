"""Checks and log messages of LoadLora and LoadTextualInversion. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nodegraph import Environment, Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.families.index import INDEX
from nodegraph.families.registry import FAMILIES
from nodegraph.models.adapters.adapter_files import (
    AdapterFile,
    guess_target,
    locate_adapter,
    may_fit,
    read_adapter,
    read_inversion,
)
from nodegraph.models.adapters.layer_matching import (
    Layers,
    MatchResult,
    denoiser_layers,
    match,
    model_layers,
)
from nodegraph.models.adapters.tensor_names import parse_layer_name

from ._facts import error_to_finding

_PORTS = ("model", "text_encoder")


def lora_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model and text encoder, passed on.

    A LoRA may make a model follow a control image, as those of Flux.1 Canny and Depth do. So what a
    model of such a family takes besides text is unknown after one.
    """
    model = dict(inputs.facts.get("model", {}))
    family = FAMILIES.get(model.get("family") or "")
    if family is not None and "control" in family.image_inputs:
        model.pop("takes", None)
    return {"model": model, "text_encoder": dict(inputs.facts.get("text_encoder", {}))}


def check_lora(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing files, files without a LoRA, and LoRAs for another model family."""
    yield from _check_file(inputs, "model")


def check_encoder_lora(inputs: HookInputs) -> Iterator[Finding]:
    """Do the same for a LoRA of a text encoder alone."""
    yield from _check_file(inputs, "text_encoder")


def check_prompt_lora(inputs: HookInputs) -> Iterator[Finding]:
    """Do the same for a LoRA of a prompt, and find schedules that cannot be read."""
    yield from _check_file(inputs, "conditioning")
    yield from check_schedule(inputs)


def check_schedule(inputs: HookInputs) -> Iterator[Finding]:
    """Find schedules of a strength that cannot be read."""
    from nodegraph.models.adapters.recipes import parse_keyframes

    schedule = inputs.literals.get("schedule")
    if schedule:
        try:
            parse_keyframes(schedule)
        except NodegraphError as error:
            yield error_to_finding("schedule", error)


def _check_file(inputs: HookInputs, port: str) -> Iterator[Finding]:
    name = inputs.literals.get("lora")
    if name is None:
        return
    try:
        file = read_adapter(locate_adapter(name, inputs.environment.models))
    except NodegraphError as error:
        yield error_to_finding("lora", error)
        return
    findings = [*_wrong_family(inputs, port, file)]
    yield from findings
    if port == "model" and all(finding.is_warning for finding in findings):
        yield from _mismatched_layers(inputs, file)


def _wrong_family(inputs: HookInputs, port: str, file: AdapterFile) -> Iterator[Finding]:
    """Find LoRAs that are for another family by the names and widths of their layers."""
    model_family, guessed = inputs.fact(port, "family"), guess_target(file.parts, file.metadata)
    family = FAMILIES.get(model_family) if model_family is not None else None
    if guessed is None or family is None:
        return
    classes = [name for part in family.denoisers for name in part.classes]
    # The guess knows no models of items, except those with signs.
    makes_items = family.latent.only_size is not None and not family.lora_signs
    if makes_items or not may_fit(guessed, family.name, classes):
        yield Finding(
            "lora",
            f"the LoRA seems to be for {guessed.title}, but the model is {family.title}",
            str(inputs.literals["lora"]),
            f"a LoRA for {family.title}",
            code="wrong-family",
        )
    elif INDEX[family.name].text_width and guessed.title in (
        {FAMILIES[name].title for name in guessed.families} - {family.title}
    ):
        # Kolors has the layers of Stable Diffusion XL, for which far more LoRAs are published.
        yield Finding(
            "lora",
            f"the LoRA has layers of {guessed.title}, and its file does not say whether it is for "
            f"{family.title}",
            str(inputs.literals["lora"]),
            f"a LoRA for {family.title}",
            hint=f"Use it if it was trained with {family.title}.",
            code="wrong-family",
            is_warning=True,
        )


def _mismatched_layers(inputs: HookInputs, file: AdapterFile) -> Iterator[Finding]:
    """Find LoRAs whose layers the model has in part, or not at all.

    Families of one architecture have layers of equal names, so a LoRA of a sibling would change
    those that have equal sizes, too.
    """
    if inputs.literals.get("strength_model") == 0:
        return
    try:
        layers = _denoiser_layers(inputs)
    except NodegraphError:
        # The check of the loading node reports it.
        return
    if layers is None:
        return
    matched = match(file.parts, layers)
    lost = (*matched.misfits, *matched.unknown)
    if not lost:
        return
    what = "have other sizes" if matched.misfits else "are not in the model"
    yield Finding(
        "lora",
        f"{len(lost)} of the {matched.total} layers that the LoRA changes {what}",
        f"layers such as {lost[0]}" + (f", probably of {file.title}" if file.title else ""),
        f"a LoRA for {_model_title(inputs)}",
        hint="Use the LoRA with the model that it was trained for.",
        code="wrong-family",
        is_warning=2 * len(matched.applied) >= matched.total,
    )


def _model_title(inputs: HookInputs) -> str:
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    return "this model" if family is None else f"this model of {family.title}"


def _denoiser_layers(inputs: HookInputs) -> Layers | None:
    """Layers of the linked model; None if they are unknown."""
    environment = inputs.environment
    allow = environment.allow_pickle
    whole, denoiser = inputs.fact("model", "whole_model"), inputs.fact("model", "denoiser")
    if whole is not None:
        return model_layers(whole, environment.models, allow_pickle=allow)
    if denoiser is not None:
        return denoiser_layers(denoiser, environment.models, allow_pickle=allow)
    return None


def lora_state(inputs: HookInputs) -> str:
    """A stamp that changes when the file changes."""
    return file_stamp(locate_adapter(inputs.literals["lora"], inputs.environment.models))


def lora_weights(inputs: HookInputs) -> Estimate:
    """Memory that the LoRA adds to the parts of the model."""
    name = inputs.literals.get("lora")
    if name is None:
        return Estimate()
    try:
        file = read_adapter(locate_adapter(name, inputs.environment.models))
    except NodegraphError:
        # `check_lora` reports it.
        return Estimate()
    byte_counts = {port: file.bytes(of_encoders=port == "text_encoder") for port in _PORTS}
    return Estimate(memory=0, weights=byte_counts, shares={port: port for port in _PORTS})


def encoder_lora_weights(inputs: HookInputs) -> Estimate:
    """Memory that a LoRA of a text encoder alone adds to it."""
    both = lora_weights(inputs)
    port = "text_encoder"
    weights = {name: size for name, size in both.weights.items() if name == port}
    return Estimate(memory=0, weights=weights, shares={port: port})


def word_weights(inputs: HookInputs) -> Estimate:
    """Memory that the word adds to the text encoder: almost none."""
    port = "text_encoder"
    return Estimate(memory=0, weights={port: 0}, shares={port: port})


def check_inversion(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing files, and files without a textual inversion."""
    name = inputs.literals.get("embedding")
    if name is not None:
        try:
            read_inversion(located_inversion(name, inputs.environment))
        except NodegraphError as error:
            yield error_to_finding("embedding", error)


def inversion_state(inputs: HookInputs) -> str:
    """A stamp that changes when the file changes."""
    return file_stamp(located_inversion(inputs.literals["embedding"], inputs.environment))


def located_inversion(name: str, environment: Environment) -> Path:
    """Path of a textual inversion by its name."""
    return locate_adapter(name, environment.models, title="textual inversion")


def lora_messages(name: str, part: str, matched: MatchResult | None) -> Iterator[tuple[str, str]]:
    """Log messages on the effect of a LoRA on a part of the model, with their levels."""
    if matched is None:
        yield (
            f"{name}: the number of changed layers of the {part} is known once it is loaded",
            "info",
        )
        return
    if matched.total:
        yield (
            f"{name}: applied to {len(matched.applied)} of {matched.total} layers of the {part}",
            "info",
        )
    lost = (*matched.misfits, *matched.unknown)
    if lost:
        yield (
            f"{name}: no matching layer in the {part} for {len(lost)} entries, such as {lost[0]}",
            "warning",
        )


def other_lora_messages(
    name: str, file: AdapterFile, *, has_encoder: bool
) -> Iterator[tuple[str, str]]:
    """Log messages on the rest of the file, with their levels."""
    encoded = [stem for stem in file.parts if parse_layer_name(stem).is_of_encoder]
    if encoded and not has_encoder:
        yield f"{name}: {len(encoded)} layers are for the text encoder, which is not linked", "info"
    if file.others:
        first = file.others[0]
        yield (
            f"{name}: {len(file.others)} tensors have an unknown format, such as {first}",
            "warning",
        )
