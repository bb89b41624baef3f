"""Facts and checks of LoadTextEncoder. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_sources import find_path
from nodegraph.models.text_encoder_files import (
    FoundEncoders,
    find_text_encoder,
    text_encoder_bytes,
    text_encoder_stamp,
)
from nodegraph.weights.precision.storage import AUTO

from ._facts import check_dtype, error_to_finding, loading_device

PORTS = ("file", "file_2", "file_3", "file_4")
_TEXT_ENCODER = "text_encoder"


def encoder_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Family of the text encoder of LoadTextEncoder. Empty if it cannot be loaded."""
    try:
        encoders = _find_encoders(inputs)
    except NodegraphError:
        # `check_encoder` reports it.
        return {}
    if encoders is None:
        return {}
    return {_TEXT_ENCODER: {"family": encoders.family.name}}


def check_encoder(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing, damaged, of another family, or given twice."""
    try:
        _find_encoders(inputs)
    except NodegraphError as error:
        first = error.problem.port or PORTS[0]
        yield error_to_finding(first, error)
        yield from _also_missing(inputs, [port for port in PORTS if port != first])
    yield from check_dtype(inputs)


def _also_missing(inputs: HookInputs, ports: Sequence[str]) -> Iterator[Finding]:
    """Find further missing files, so that all can be downloaded at once."""
    for port in ports:
        name = inputs.literals.get(port) or ""
        try:
            if name.strip():
                find_path(name, inputs.environment.models)
        except NodegraphError as error:
            yield error_to_finding(port, error)


def encoder_state(inputs: HookInputs) -> str:
    """A stamp that changes when a file of the text encoder changes."""
    encoders = _find_encoders(inputs)
    assert encoders is not None
    return text_encoder_stamp(encoders, loading_device(inputs))


def encoder_weights(inputs: HookInputs) -> Estimate:
    """Memory of the loaded text encoder."""
    encoders = _find_encoders(inputs)
    if encoders is None:
        return Estimate()
    return Estimate(memory=0, weights={_TEXT_ENCODER: _bytes(inputs, encoders)})


def _bytes(inputs: HookInputs, encoders: FoundEncoders) -> int:
    device = inputs.environment.device
    dtype = computed_dtype(inputs.literals.get("dtype") or "auto", device)
    storage = inputs.literals.get("storage") or AUTO
    return text_encoder_bytes(encoders, dtype=dtype, device=device, storage=storage)


def _find_encoders(inputs: HookInputs) -> FoundEncoders | None:
    """The files of the text encoders that are known."""
    literals, environment = inputs.literals, inputs.environment
    names = {port: literals.get(port) for port in PORTS}
    known = {port: name for port, name in names.items() if name is not None}
    family = literals.get("family")
    if family is None or len(known) < len(PORTS):
        return None
    return find_text_encoder(
        family, known, environment.models, allow_pickle=environment.allow_pickle
    )
