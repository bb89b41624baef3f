"""Checks of nodes that call image services. Imports no torch and needs no network."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Finding, HookInputs, NodegraphError
from nodegraph.core.digests import digest_value
from nodegraph.models.remote.image_services import find_service, known_services
from nodegraph.perception.language_model import parse_request_options
from nodegraph.store.secrets import check_address, check_secret

from ._facts import error_to_finding


def check_image_service(inputs: HookInputs) -> Iterator[Finding]:
    """Find unknown services, addresses that may not be called, and secrets that are missing."""
    literals, access = inputs.literals, inputs.environment.services
    try:
        parse_request_options(literals.get("options") or "")
    except NodegraphError as error:
        yield error_to_finding("options", error)
    texts = [literals.get(name) for name in ("service", "description", "address")]
    if any(text is None for text in texts):
        return
    name, description, address = (str(text).strip() for text in texts)
    port = "address" if address else "description" if description else "service"
    try:
        service = find_service(access, name, description)
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or port, error)
        return
    try:
        checked = check_address(access, address or service.address)
    except NodegraphError as error:
        yield error_to_finding(port, error)
        return
    if (secret := literals.get("secret")) is not None:
        try:
            is_needed = service.requires_secret(checked.host, checked.port)
            check_secret(access, secret.strip(), checked, is_needed=is_needed)
        except NodegraphError as error:
            yield error_to_finding("secret", error)


def image_service_state(inputs: HookInputs) -> str:
    """A digest of the description that the service's name stands for."""
    literals = inputs.literals
    if str(literals.get("description") or "").strip():
        return ""
    services = known_services(inputs.environment.services)
    return digest_value(services.get(str(literals.get("service")).strip()))
