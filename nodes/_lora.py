"""What LoadLora and LoadTextualInversion check before they run, and tell. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nodegraph import Environment, Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.families.registry import FAMILIES
from nodegraph.models.adapters.adapter_files import (
    AdapterFile,
    guess_target,
    locate_adapter,
    may_fit,
    read_adapter,
    read_inversion,
)
from nodegraph.models.adapters.layer_matching import MatchResult
from nodegraph.models.adapters.tensor_names import parse_layer_name
from nodegraph.weights.file_kinds import file_stamp

from ._facts import error_to_finding

_PORTS = ("model", "text_encoder")


def lora_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """What is known of the model and text encoder that it hands on: all that was before."""
    return {port: dict(inputs.facts.get(port, {})) for port in _PORTS}


def check_lora(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no LoRA, files that hold none, and those for another kind of model."""
    name = inputs.literals.get("lora")
    if name is None:
        return
    try:
        file = read_adapter(locate_adapter(name, inputs.environment.models))
    except NodegraphError as error:
        yield error_to_finding("lora", error)
        return
    model_family, guessed = inputs.fact("model", "family"), guess_target(file.parts)
    family = FAMILIES.get(model_family) if model_family is not None else None
    if guessed is None or family is None:
        return
    classes = [name for part in family.denoisers for name in part.classes]
    # What signs tell of are models of pictures.
    makes_items = family.latent.only_size is not None
    if makes_items or not may_fit(guessed, family.name, classes):
        yield Finding(
            "lora",
            f"it seems to be for {guessed.title}, and the model is {family.title}",
            name,
            f"a LoRA for {family.title}",
            code="wrong-family",
        )


def lora_state(inputs: HookInputs) -> str:
    """Changes when the file does."""
    return file_stamp(locate_adapter(inputs.literals["lora"], inputs.environment.models))


def lora_weights(inputs: HookInputs) -> Estimate:
    """What the LoRA adds to the parts of the model, once a node needs them."""
    name = inputs.literals.get("lora")
    if name is None:
        return Estimate()
    try:
        file = read_adapter(locate_adapter(name, inputs.environment.models))
    except NodegraphError:
        # `check_lora` tells.
        return Estimate()
    byte_counts = {port: file.bytes(of_encoders=port == "text_encoder") for port in _PORTS}
    return Estimate(memory=0, weights=byte_counts, shares={port: port for port in _PORTS})


def word_weights(inputs: HookInputs) -> Estimate:
    """What the word adds to the text encoder: next to nothing."""
    port = "text_encoder"
    return Estimate(memory=0, weights={port: 0}, shares={port: port})


def check_inversion(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no textual inversion, and files that hold none."""
    name = inputs.literals.get("embedding")
    if name is not None:
        try:
            read_inversion(located_inversion(name, inputs.environment))
        except NodegraphError as error:
            yield error_to_finding("embedding", error)


def inversion_state(inputs: HookInputs) -> str:
    """Changes when the file does."""
    return file_stamp(located_inversion(inputs.literals["embedding"], inputs.environment))


def located_inversion(name: str, environment: Environment) -> Path:
    """The file that a name means."""
    return locate_adapter(name, environment.models, title="textual inversion")


def lora_messages(name: str, part: str, matched: MatchResult | None) -> Iterator[tuple[str, str]]:
    """What is said of a LoRA's effect on a part of the model: messages and their levels."""
    if matched is None:
        yield f"{name}: how many layers of the {part} it changes shows when it is loaded", "info"
        return
    if matched.total:
        yield f"{name}: {len(matched.applied)} of {matched.total} layers of the {part}", "info"
    lost = (*matched.misfits, *matched.unknown)
    if lost:
        yield f"{name}: no place in the {part} for {len(lost)}, such as {lost[0]}", "warning"


def other_lora_messages(
    name: str, file: AdapterFile, *, has_encoder: bool
) -> Iterator[tuple[str, str]]:
    """What is said of the rest of a file: messages and their levels."""
    encoded = [stem for stem in file.parts if parse_layer_name(stem).is_of_encoder]
    if encoded and not has_encoder:
        yield f"{name}: {len(encoded)} layers are of the text encoder, which isn't linked", "info"
    if file.others:
        first = file.others[0]
        yield f"{name}: {len(file.others)} tensors are of no known kind, such as {first}", "warning"
