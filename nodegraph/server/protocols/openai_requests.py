"""Requests of OpenAI's images API: their fields as values of an app's parameters, and errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nodegraph.core.literals import parse_literal
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import pluralize
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, Problem
from nodegraph.jobs.queue import KeyReused
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.apps.app import AppParameter, part_content, part_text
from nodegraph.server.http.errors import Refused, TooLarge, Unprocessable, UnsupportedType
from nodegraph.server.http.problems import register_error_form, validation_problem
from nodegraph.server.http.request_bodies import PartBegins, form_events, read_document
from nodegraph.server.protocols.app_runs import RunnableApp, upload_data_url
from nodegraph.server.services import Services

PREFIX = "/v1"
MOST_IMAGES = 16
_MOST_PARTS = 64
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")
NAMES: Mapping[str, Sequence[str]] = {
    "prompt": ("prompt", "text", "positive", "positive_prompt"),
    "negative_prompt": ("negative_prompt", "negative"),
    "n": ("n", "batch", "batch_size", "count"),
    "seed": ("seed", "noise_seed"),
    "image": ("image", "images", "image_1", "input_image"),
    "mask": ("mask", "mask_image"),
}
"""Parameters that stand for a field; the first that an app has counts. Any other field stands for
the parameter of its own name."""
_IGNORED = frozenset(
    {
        *("quality", "style", "complexity", "moderation", "input_fidelity"),
        *("user", "safety_identifier"),
    }
)
"""Fields of the API without effect, unless an app has a parameter of the name."""
_CODES = {"unauthenticated": "invalid_api_key", "too-many-requests": "rate_limit_exceeded"}
Kind = Literal["image_generation", "image_edit"]


def error_document(
    status: int, code: str, text: str, problems: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return an error in OpenAI's form."""
    first = problems[0] if problems else {}
    details = [f"{name}: {first[name]}" for name in ("given", "expected") if first.get(name)]
    message = "; ".join([str(first.get("message") or text), *details])
    hint, code = first.get("hint"), first.get("code") or code
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": f"{message}. {hint}" if hint else message,
            "type": "rate_limit_error" if status == 429 else kind,
            "param": first.get("port"),
            "code": _CODES.get(code, code.replace("-", "_")),
        }
    }


register_error_form(f"{PREFIX}/", error_document)


class BadImageRequest(Refused):
    """A request that cannot be carried out; its problem names the field as `port`."""

    code = "invalid-request"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self._problem = problem

    @property
    def problems(self) -> Sequence[Problem]:
        return (self._problem,)


def bad_field(message: str, field: str, **details: str | None) -> BadImageRequest:
    return BadImageRequest(Problem("invalid-value", message, port=field, **details))


class ImageRequest(BaseModel):
    """The fields of a generation or an edit, except files; others are for the app's parameters."""

    model_config = ConfigDict(extra="allow")

    prompt: Annotated[str, Field(min_length=1, max_length=32_000)]
    model: Annotated[str, Field(max_length=256)] | None = None
    n: Annotated[int, Field(ge=1, le=10)] | None = None
    size: Annotated[str, Field(max_length=32)] | None = None
    seed: Annotated[int, Field(ge=0, lt=1 << 64)] | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    output_format: Literal["png", "webp", "jpeg"] | None = None
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None

    @property
    def extra(self) -> dict[str, Any]:
        """The other fields that have a value."""
        return {
            name: value for name, value in (self.model_extra or {}).items() if value is not None
        }


@dataclass(frozen=True, slots=True)
class ImageModel:
    """A model of the API: an app, and which of its parameters stand for which fields.

    Attributes:
        names: Parameters by field, from the settings; an empty name ignores the field.
    """

    id: str
    target: RunnableApp
    names: Mapping[str, str] = field(default_factory=dict)

    def parameter(self, name: str) -> AppParameter | None:
        """The app's parameter for a field; None if it has none."""
        parts = (self.names[name],) if name in self.names else NAMES.get(name, (name,))
        parameters = (self.target.app.parameter(part) for part in parts)
        return next((each for each in parameters if each is not None), None)

    def is_ignored(self, name: str) -> bool:
        """Whether a field has no effect."""
        return self.names.get(name, None if name not in _IGNORED else "") == ""

    def field_of(self, problem: Problem) -> str | None:
        """The field whose value has a problem."""
        known = {**NAMES, **{name: (part,) for name, part in self.names.items()}}
        for each in self.target.app.parameters:
            if (each.node, each.port.name) == (problem.node, problem.port):
                named = (name for name, parts in known.items() if each.name in parts)
                return next(named, each.name)
        return problem.port


@dataclass(slots=True)
class ImageRun:
    """The jobs of a request.

    Attributes:
        kind: Prefix of its events.
        key: Idempotency key; its jobs continue without their client, which may ask again.
        seed: Of the first image; None if the app takes none.
        warnings: What was ignored.
    """

    kind: Kind
    request: ImageRequest
    model: ImageModel
    key: str | None = None
    jobs: list[str] = field(default_factory=list)
    seed: int | None = None
    warnings: list[str] = field(default_factory=list)


@contextmanager
def bad_requests(model: ImageModel | None = None) -> Iterator[None]:
    """Turn wrong values into errors with OpenAI's status, which name the field."""
    try:
        yield
    except (InvalidWorkflow, InvalidValue, InvalidFile, KeyReused, Unprocessable) as error:
        first = error.problems[0] if error.problems else error.problem
        name = first.port if model is None else model.field_of(first)
        # Faults of a node's input continue the sentence that its name begins.
        message = f"`{name}` {first.message}" if first.node and name else first.message
        details = {"given": first.given, "expected": first.expected, "hint": first.hint}
        raise BadImageRequest(Problem(first.code, message, port=name, **details)) from error


def checked_request(document: Mapping[str, Any]) -> ImageRequest:
    try:
        return ImageRequest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "body"
        problem = validation_problem(first, name)
        hint = "An image needs a text." if name == "prompt" else problem.hint
        raise bad_field(problem.message, name, given=problem.given, hint=hint) from None


async def json_body(request: Request, services: Services) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        shown = kind[:80] or "none"
        raise UnsupportedType("the body must be JSON", given=shown, expected="application/json")
    document = await services.run_in_thread(read_document, await request.body())
    if not isinstance(document, dict):
        raise bad_field("the body must be a JSON object", "body")
    return document


async def form_body(
    request: Request, services: Services, caller: Caller
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The fields of a form, and the references of its uploaded files by field."""
    texts: dict[str, Any] = {}
    files: dict[str, list[str]] = {}
    left = services.server.limits.body
    kind = request.headers["content-type"]
    events = form_events(request.stream(), kind, parts=_MOST_PARTS)
    async for event in events:
        if not isinstance(event, PartBegins):
            continue
        name = event.name.removesuffix("[]")
        if event.filename is None:
            texts[name] = await part_text(events)
            left -= len(texts[name])
            if left < 0:
                raise TooLarge("the fields are too long", expected="less text in all fields")
        elif name in ("image", "mask"):
            upload, _ = await services.uploads.receive(
                part_content(events), event.filename or name, caller.name
            )
            files.setdefault(name, []).append(upload.reference)
        else:
            expected = "image, image[] or mask"
            raise bad_field("this field takes no file", name[:80], expected=expected)
    return texts, files


async def referenced_files(
    services: Services, caller: Caller, document: dict[str, Any]
) -> dict[str, list[str]]:
    """Take the images out of a JSON body: data URLs, and ids of uploads."""
    files: dict[str, list[str]] = {}
    for name, field_name in (("image", "image"), ("images", "image"), ("mask", "mask")):
        entries = document.pop(name, None)
        for entry in entries if isinstance(entries, list) else [] if entries is None else [entries]:
            if len(files.get(field_name, ())) > MOST_IMAGES:
                break
            reference = await _reference(services, caller, entry, name)
            files.setdefault(field_name, []).append(reference)
    return files


async def _reference(services: Services, caller: Caller, entry: Any, name: str) -> str:
    fields = entry if isinstance(entry, dict) else {"image_url": entry}
    url, file = fields.get("image_url"), fields.get("file_id")
    if isinstance(url, str):
        return await upload_data_url(services, caller, url, name)
    if not isinstance(file, str):
        expected = "an object with `image_url` or `file_id`"
        raise bad_field("this is no image", name, given=ascii(entry)[:80], expected=expected)
    if _DIGEST.fullmatch(file):
        find = services.uploads.find
        return (await services.run_file_task(find, file, caller.only_client)).reference
    if not file.startswith("upload:"):
        expected = "the `value` or the `digest` of an upload"
        raise bad_field("there is no such file", name, given=ascii(file[:80]), expected=expected)
    return file


def app_values(run: ImageRun, *, has_texts: bool = False) -> dict[str, Any]:
    """The values of the app's parameters; notes what has no effect.

    Args:
        has_texts: Whether all fields come as texts.
    """
    request, model = run.request, run.model
    values: dict[str, Any] = {}
    fields: list[tuple[str, Any]] = [("prompt", request.prompt), *request.extra.items()]
    if request.seed is not None:
        fields.append(("seed", request.seed))
    if request.size not in (None, "auto"):
        fields += _size_fields(model, str(request.size)).items()
    if request.background not in (None, "auto"):
        fields.append(("background", request.background))
    count = model.parameter("n")
    if request.n is not None or count is None or count.name not in dict(fields):
        fields.append(("n", request.n or 1))
    for name, value in fields:
        parameter = model.parameter(name)
        if parameter is not None:
            if parameter.name in values:
                # Such as `prompt` and `text`, or `size` and `width`.
                raise bad_field(
                    f"`{name}` and another field stand for one parameter of the model",
                    name,
                    given=parameter.name,
                    hint="Send one of them.",
                )
            is_text = has_texts and name in request.extra and isinstance(value, str)
            values[parameter.name] = parse_literal(value, parameter.port) if is_text else value
        elif model.is_ignored(name):
            run.warnings.append(f"`{name}` is ignored: the model has no such parameter")
        elif name == "background" and value == "transparent":
            hint = "Remove the background in the app, and give it a parameter `background`."
            raise bad_field("the model makes no transparent background", name, hint=hint)
        elif name not in ("n", "background"):
            raise unknown_field(model, name)
    if request.response_format == "url" and (
        request.stream or request.output_format or request.output_compression is not None
    ):
        raise bad_field(
            "an address is that of the file as the app wrote it",
            "response_format",
            given="url, with `stream`, `output_format` or `output_compression`",
            hint="Leave these out, or use b64_json.",
        )
    return values


def unknown_field(model: ImageModel, name: str) -> BadImageRequest:
    if name == "prompt":
        hint = "Name the parameter in `openai_models` of the server's settings."
        return bad_field("the app has no parameter for the prompt", "prompt", hint=hint)
    if name in ("size", "width", "height"):
        hint = "Leave it out, or use `auto`."
        return bad_field("the size of this model's images cannot be chosen", "size", hint=hint)
    known = [each.name for each in model.target.app.parameters]
    fault = Problem(
        "unknown-parameter",
        f"Unknown parameter: '{ascii(name[:80])[1:-1]}'",
        port=name[:80],
        hint=did_you_mean(name, known),
    )
    return BadImageRequest(fault)


def _size_fields(model: ImageModel, size: str) -> dict[str, Any]:
    match = _SIZE.fullmatch(size)
    if match is None:
        raise bad_field("this is no size", "size", given=ascii(size), expected="1024x768, or auto")
    if model.parameter("size") is not None or model.is_ignored("size"):
        return {"size": size}
    return {"width": int(match[1]), "height": int(match[2])}


def file_values(model: ImageModel, images: Sequence[str], masks: Sequence[str]) -> dict[str, Any]:
    parameter = model.parameter("image")
    if parameter is None:
        raise bad_field(
            "the model takes no image", "image", hint="Use an app with a parameter `image`."
        )
    if (parameter.port.json_schema or {}).get("type") == "array":
        values: dict[str, Any] = {parameter.name: list(images)}
    else:
        values = {parameter.name: images[0]}
        for number, image in enumerate(images[1:], 2):
            more = model.parameter(f"image_{number}")
            if more is None:
                count = pluralize(len(images), "image")
                raise bad_field("the model takes fewer images", "image", given=count)
            values[more.name] = image
    if masks:
        mask = model.parameter("mask")
        if mask is None:
            hint = "Use an app with a parameter `mask`."
            raise bad_field("the model takes no mask", "mask", hint=hint)
        values[mask.name] = masks[0]
    return values
