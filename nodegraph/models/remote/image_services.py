"""Descriptions of hosted image services as data, and checks of them. Needs no network.

A description names addresses, headers and bodies with typed placeholders, where to poll, and where
the images, errors and costs are in an answer. No part of it is code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nodegraph.core.context import ServiceAccess
from nodegraph.core.json_text import read_json
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.store.secrets import contains_host

SHIPPED = Path(__file__).with_name("image_services.json")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[\w.-]+)?)\}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_FORBIDDEN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "cookie", "content-type"}
)
_METHODS = ("POST", "GET", "PUT", "DELETE")
_LARGEST = 64 << 10
_MOST_DEPTH = 12
PLACEHOLDERS = (
    *("address", "model", "prompt", "negative", "seed", "width", "height", "count", "strength"),
    *("image", "images", "mask", "image_files", "mask_file"),
)
"""Of bodies. Images are data URLs; those with `_file` are files of a form."""
_IN_URLS = frozenset({"address", "model"})
_FILES = frozenset({"image_files", "mask_file"})


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """A request of a description.

    Attributes:
        url: Address with placeholders: ``{address}``, ``{model}``, or ``{reply.NAME}`` of the first
            answer.
        method: HTTP method.
        json: Body with placeholders. A text that is one placeholder gets the value with its type; a
            field without a value is left out.
        form: Fields of a form instead.
    """

    url: str
    method: str = ""
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ServicePoll:
    """How to wait for the images.

    Attributes:
        url: Address with placeholders.
        state: Path of the state in the answer.
        done: States with images.
        failed: States of failures.
        pauses: Shortest and longest pause in seconds; each is half longer than the last.
    """

    url: str
    state: str
    done: Sequence[str]
    failed: Sequence[str] = ()
    pauses: Sequence[float] = (0.5, 5.0)


@dataclass(frozen=True, slots=True)
class CostSource:
    """Where an answer states its cost: a path in its JSON, or a header; and the unit."""

    path: str = ""
    header: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ImageService:
    """The description of an image service.

    Attributes:
        address: Base address.
        create: Request that starts the work, or returns the images.
        images: Paths of images in the answer: data URLs, base64 or addresses. ``*`` is each item.
        title: Name for people.
        headers: Headers of all requests. ``{secret}`` stands for the secret.
        needs_secret: Patterns of hosts that take no request without a secret.
        options_at: Path of the object in the body that the node's options are merged into.
        edit: Request for inputs with an image; `create` if not set.
        poll: How to wait; not set if `create` answers with the images.
        result: Request for the images after `poll`; not set if the last answer has them.
        cancel: Request that stops the work.
        error: Paths of the reason of a failure.
        cost: Where costs are, if the service states them.
    """

    address: str
    create: ServiceRequest
    images: Sequence[str]
    title: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    needs_secret: Sequence[str] = ()
    options_at: str = ""
    edit: ServiceRequest | None = None
    poll: ServicePoll | None = None
    result: ServiceRequest | None = None
    cancel: ServiceRequest | None = None
    error: Sequence[str] = ()
    cost: Sequence[CostSource] = ()

    def requires_secret(self, host: str, port: int) -> bool:
        """Return whether a host takes no request without a secret."""
        return any(contains_host(pattern, host, port) for pattern in self.needs_secret)


_PARTS: Mapping[str, type] = {
    **dict.fromkeys(("create", "edit", "result", "cancel"), ServiceRequest),
    "poll": ServicePoll,
    "cost": CostSource,
}


def parse_service(document: Any, what: str) -> ImageService:
    """Return a description.

    Args:
        document: JSON value.
        what: Its name, for messages.

    Raises:
        InvalidValue: It is no valid description; the message names the field.
    """
    service: ImageService = _parsed(ImageService, document, what)
    for name, value in service.headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _FORBIDDEN_HEADERS:
            raise _invalid(f"{what}.headers", f"the header {name} is not allowed")
        if not value.isascii() or not value.isprintable() or _placeholders(value) - {"secret"}:
            raise _invalid(f"{what}.headers.{name}", "may only contain ASCII and {secret}")
        if value != value.strip():
            raise _invalid(f"{what}.headers.{name}", "begins or ends with a space")
    for name in ("create", "edit", "result", "cancel", "poll"):
        request = getattr(service, name)
        if request is not None:
            _check_request(request, f"{what}.{name}")
    if service.poll is not None:
        low, high = _pauses(service.poll, what)
        if not 0 < low <= high <= 60:
            raise _invalid(f"{what}.poll.pauses", "must be two numbers up to 60, the lower first")
    return service


def _pauses(poll: ServicePoll, what: str) -> tuple[float, float]:
    try:
        low, high = poll.pauses
        return float(low), float(high)
    except (TypeError, ValueError):
        raise _invalid(f"{what}.poll.pauses", "must be two numbers") from None


def _invalid(field_path: str, reason: str) -> InvalidValue:
    return InvalidValue(
        f"the description of the image service is invalid: {field_path} {reason}",
        port="description",
        hint="See docs/protocols.md.",
    )


def _parsed(kind: type, document: Any, what: str) -> Any:
    if not isinstance(document, Mapping):
        raise _invalid(what, "must be an object")
    known = {item.name: item for item in fields(kind)}
    for name in document:
        if name not in known:
            suggestion = did_you_mean(str(name), known) or f"Known are {', '.join(known)}."
            raise _invalid(what, f"has the unknown field {str(name)[:40]}. {suggestion}")
    values: dict[str, Any] = {}
    for name, value in document.items():
        part, at = _PARTS.get(name), f"{what}.{name}"
        if part is not None and kind is ImageService:
            items = _list(value, at) if part is CostSource else [value]
            parts = [_parsed(part, item, at) for item in items]
            values[name] = parts if part is CostSource else parts[0]
        else:
            _check_type(str(known[name].type), value, at)
            values[name] = value
    for item in known.values():
        is_needed = item.default is MISSING and item.default_factory is MISSING
        if is_needed and item.name not in values:
            raise _invalid(what, f"needs the field {item.name}")
    return kind(**values)


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise _invalid(at, "must be a list")
    return value


def _check_type(kind: str, value: Any, at: str) -> None:
    if kind == "str" and not isinstance(value, str):
        raise _invalid(at, "must be text")
    if kind.startswith("Mapping"):
        if not isinstance(value, Mapping):
            raise _invalid(at, "must be an object")
        if kind.startswith("Mapping[str, str]") and not all(
            isinstance(item, str) for item in value.values()
        ):
            raise _invalid(at, "must contain texts")
    if kind.startswith("Sequence"):
        items = _list(value, at)
        wanted: Any = str if "str" in kind else (int, float)
        if not all(isinstance(item, wanted) for item in items):
            raise _invalid(at, f"must be a list of {'texts' if wanted is str else 'numbers'}")


def _check_request(request: ServiceRequest | ServicePoll, at: str) -> None:
    for name in _placeholders(request.url):
        if name not in _IN_URLS and not name.startswith("reply."):
            raise _invalid(f"{at}.url", f"has the unknown placeholder {{{name}}}")
    if isinstance(request, ServicePoll):
        return
    if request.method and request.method not in _METHODS:
        raise _invalid(f"{at}.method", f"must be one of {', '.join(_METHODS)}")
    if request.json is not None and request.form is not None:
        raise _invalid(at, "has both json and form")
    for text in _texts(request.json if request.json is not None else request.form or {}, at):
        for name in _placeholders(text):
            if name not in PLACEHOLDERS:
                hint = did_you_mean(name, PLACEHOLDERS) or f"Known are {', '.join(PLACEHOLDERS)}."
                raise _invalid(at, f"has the unknown placeholder {{{name}}}. {hint}")
            if name in _FILES and request.form is None:
                raise _invalid(at, f"has {{{name}}} outside of a form")


def _texts(value: Any, at: str, depth: int = 0) -> Iterator[str]:
    if depth > _MOST_DEPTH:
        raise _invalid(at, "has too many levels")
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item, at, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, at, depth + 1)


def _placeholders(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text))


def known_services(access: ServiceAccess) -> dict[str, Any]:
    """Return the documents of all descriptions by name: those of the folder replace shipped ones.

    Raises:
        InvalidFile: A file of the folder is no JSON.
    """
    services: dict[str, Any] = json.loads(SHIPPED.read_bytes())
    folder = access.descriptions
    for path in sorted(folder.glob("*.json")) if folder is not None and folder.is_dir() else ():
        if not _NAME.fullmatch(path.stem) or path.stat().st_size > _LARGEST:
            continue
        try:
            services[path.stem] = read_json(path.read_bytes().decode())
        except (InvalidFile, UnicodeError) as error:
            reason = error.problem.message if isinstance(error, InvalidFile) else str(error)
            raise InvalidFile(f"the description {path} is not JSON: {reason}") from None
    return services


def find_service(access: ServiceAccess, name: str, description: str = "") -> ImageService:
    """Return the description of a service.

    Args:
        name: Name of a shipped description, or of a file in the folder.
        description: JSON of a description, which is used instead.

    Raises:
        InvalidValue: There is none, or it is invalid; with the port.
        InvalidFile: A file is damaged.
    """
    if description.strip():
        if len(description) > _LARGEST:
            raise _invalid("it", f"is longer than {_LARGEST} characters")
        try:
            document = read_json(description)
        except InvalidFile as error:
            raise _invalid("it", f"is not JSON: {error.problem.message}") from None
        return parse_service(document, "it")
    services = known_services(access)
    if name not in services:
        where = f" or a file {name}.json in {access.descriptions}" if access.descriptions else ""
        raise InvalidValue(
            "there is no image service of this name",
            port="service",
            given=name,
            expected=f"one of {', '.join(services)}{where}",
            hint=did_you_mean(name, services) or None,
        )
    return parse_service(services[name], name)


def fill_url(template: str, values: Mapping[str, Any], reply: Any) -> str:
    """Return an address with its placeholders filled.

    Raises:
        InvalidValue: A name has no value, or a model name climbs out of its path.
    """

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("reply."):
            value = next(iter(find_values(reply, name.removeprefix("reply."))), None)
            if value is None:
                raise InvalidValue(f"the service does not answer with {name}")
            # A whole address of the service stays as it is; a part of one is quoted.
            return str(value) if template == match[0] else quote(str(value), safe="")
        text = str(values.get(name) or "")
        if name == "model":
            if not text or any(part in ("", ".", "..") for part in text.split("/")):
                raise InvalidValue("this is not the name of a model", port="model", given=text)
            return quote(text, safe="/:@")
        return text

    return _PLACEHOLDER.sub(filled, template)


_NOTHING = object()


def fill_body(template: Any, values: Mapping[str, Any]) -> Any:
    """Return a JSON body with its placeholders filled; fields without a value are left out."""
    filled = _filled(template, values)
    return {} if filled is _NOTHING else filled


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        whole = _PLACEHOLDER.fullmatch(template)
        if whole:
            value = values.get(whole[1])
            return _NOTHING if value is None else value
        if any(values.get(name) is None for name in _placeholders(template)):
            return _NOTHING
        return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), template)
    if isinstance(template, Mapping):
        made = {name: _filled(item, values) for name, item in template.items()}
        made = {name: item for name, item in made.items() if item is not _NOTHING}
        return made if made or not template else _NOTHING
    if isinstance(template, list):
        return [
            item for item in (_filled(each, values) for each in template) if item is not _NOTHING
        ]
    return template


def fill_text(template: str, values: Mapping[str, Any]) -> str | None:
    """Return a field of a form with its placeholders filled; None without a value."""
    filled = _filled(template, values)
    return None if filled is _NOTHING else str(filled)


def merge_options(body: dict[str, Any], at: str, options: Mapping[str, Any]) -> None:
    """Merge the node's options into the object at a path; null removes a field.

    Raises:
        InvalidValue: There is something else than an object at the path.
    """
    target = body
    for name in filter(None, at.split(".")):
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            raise _invalid("options_at", f"leads to {name}, which is not an object")
    for name, value in options.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = value


def find_values(document: Any, path: str) -> list[Any]:
    """Return the values at a path such as ``data.*.url``; missing and null ones are left out."""
    values = [document]
    for name in path.split("."):
        inner: list[Any] = []
        for value in values:
            if name == "*" and isinstance(value, list):
                inner += value
            elif isinstance(value, Mapping) and name in value:
                inner.append(value[name])
            elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                inner.append(value[int(name)])
        values = inner
    return [value for value in values if value is not None]
