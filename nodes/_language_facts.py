"""Facts and checks of the language model nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Finding, HookInputs, NodegraphError
from nodegraph.models.model_files import computed_dtype
from nodegraph.perception.language_model import (
    DEFAULT_ADDRESSES,
    LanguageFolder,
    find_language_folder,
    language_bytes,
    language_stamp,
    parse_request_options,
)
from nodegraph.store.secrets import PUBLIC_HOSTS, check_address, check_secret

from ._facts import check_dtype, error_to_finding, loading_device

_PORT = "language_model"
"""Output of LoadLanguageModel."""


def _find_folder(inputs: HookInputs) -> LanguageFolder | None:
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return None
    return find_language_folder(name, environment.models, allow_pickle=environment.allow_pickle)


def check_language_model(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing models, and folders that are damaged, refused or of another kind."""
    try:
        _find_folder(inputs)
    except NodegraphError as error:
        yield error_to_finding("model", error)
    yield from check_dtype(inputs)


def language_state(inputs: HookInputs) -> str:
    """A stamp that changes when a file of the model changes."""
    environment = inputs.environment
    return language_stamp(
        inputs.literals["model"],
        environment.models,
        allow_pickle=environment.allow_pickle,
        device=loading_device(inputs),
    )


def language_weights(inputs: HookInputs) -> Estimate:
    """Approximate memory of the loaded model."""
    device = loading_device(inputs)
    dtype = computed_dtype(inputs.literals.get("dtype") or "auto", device)
    try:
        folder = _find_folder(inputs)
        size = None if folder is None else language_bytes(folder, dtype=dtype, device=device)
    except NodegraphError:
        # `check_language_model` reports it.
        return Estimate()
    return Estimate(memory=0, weights={} if size is None else {_PORT: size})


def check_connection(inputs: HookInputs) -> Iterator[Finding]:
    """Find addresses that may not be called, secrets that are missing or not for the address."""
    literals, access = inputs.literals, inputs.environment.services
    if not str(literals.get("model", "-")).strip():
        yield Finding("model", "no model is named", expected="a name such as qwen3:4b")
    try:
        parse_request_options(literals.get("options") or "")
    except NodegraphError as error:
        yield error_to_finding("options", error)
    address, kind = literals.get("address"), literals.get("kind")
    default = DEFAULT_ADDRESSES.get(kind) if kind is not None else None
    if address is None or default is None:
        return
    try:
        checked = check_address(access, address.strip() or default)
    except NodegraphError as error:
        yield error_to_finding("address", error)
        return
    if (secret := literals.get("secret")) is not None:
        try:
            is_needed = kind == "openai" and checked.host in PUBLIC_HOSTS
            check_secret(access, secret.strip(), checked, is_needed=is_needed)
        except NodegraphError as error:
            yield error_to_finding("secret", error)


def check_schema(inputs: HookInputs) -> Iterator[Finding]:
    """Find schemas that are no JSON objects."""
    try:
        parse_request_options(inputs.literals.get("schema") or "", "schema")
    except NodegraphError as error:
        yield error_to_finding("schema", error)
