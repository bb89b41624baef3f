"""OpenAI's images API: models, generations and edits, by apps."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from nodegraph.core.digests import digest_bytes
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import Job
from nodegraph.media.images.contact_sheets import SheetFormat
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.apps.responses import AppFailed
from nodegraph.server.events.hub import HubMessage
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import NotFound, status_of
from nodegraph.server.http.request_bodies import is_form
from nodegraph.server.http.responses import json_response
from nodegraph.server.protocols.app_runs import (
    BUILT_IN,
    built_in_app,
    cancelled_on_leave,
    converted_image,
    event_data,
    follow,
    job_images,
    read_file,
    saved_app,
    submit_runs,
    until_gone,
)
from nodegraph.server.protocols.openai_requests import (
    MOST_IMAGES,
    NAMES,
    PREFIX,
    ImageModel,
    ImageRequest,
    ImageRun,
    app_values,
    bad_field,
    bad_requests,
    checked_request,
    error_document,
    file_values,
    form_body,
    json_body,
    referenced_files,
)
from nodegraph.server.root_path import public_path
from nodegraph.server.services import Services

router = APIRouter()
_SEEDS = 1 << 32
_LARGEST_PAGE = 1_000
_NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
_ANY_MODEL = "*"
_QUALITIES = ("low", "medium", "high", "xhigh", "max")
_FORMATS: Mapping[str, SheetFormat] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
}


class ImageModelNotFound(NotFound):
    """There is no model of a name."""

    code = "model-not-found"


@router.get(f"{PREFIX}/models")
async def list_models(services: TheServices, caller: MayRead) -> Response:
    """Return the built-in model, those of the settings, and saved workflows with a prompt."""
    models = dict.fromkeys((BUILT_IN, *services.server.openai_models), services.started)
    models.pop(_ANY_MODEL, None)
    cursor: str | None = None
    while True:
        page = await services.run_in_thread(
            services.workflows.page, limit=_LARGEST_PAGE, after=cursor
        )
        for entry in page.entries:
            if entry.problem is None and set(entry.parameters) & {*NAMES["prompt"]}:
                models.setdefault(entry.name, entry.saved)
        if (cursor := page.next) is None:
            break
    listed = [_model_document(name, created) for name, created in sorted(models.items())]
    return json_response({"object": "list", "data": listed})


@router.get(f"{PREFIX}/models/{{id:path}}")
async def get_model(services: TheServices, caller: MayRead, id: str) -> Response:
    """Return a model."""
    await _model(services, id)
    return json_response(_model_document(id, services.started))


def _model_document(id: str, created: float) -> dict[str, Any]:
    return {"id": id, "object": "model", "created": int(created), "owned_by": "nodegraph"}


Key = Annotated[str | None, Header(min_length=1, max_length=200)]


@router.post(f"{PREFIX}/images/generations")
async def generate_images(
    request: Request, services: TheServices, caller: MayRun, idempotency_key: Key = None
) -> Response:
    """Generate images from a text."""
    with bad_requests():
        checked = checked_request(await json_body(request, services))
    model = await _model(services, checked.model)
    run = ImageRun("image_generation", checked, model, idempotency_key)
    with bad_requests(model):
        await _start(services, caller, run, app_values(run))
    return await _answer(request, services, caller, run)


@router.post(f"{PREFIX}/images/edits")
async def edit_images(
    request: Request, services: TheServices, caller: MayRun, idempotency_key: Key = None
) -> Response:
    """Change images by a text: as a whole, or where a mask is transparent."""
    has_texts = is_form(request.headers.get("content-type", ""))
    with bad_requests():
        if has_texts:
            document, files = await form_body(request, services, caller)
        else:
            document = await json_body(request, services)
            files = await referenced_files(services, caller, document)
        checked = checked_request(document)
    images, masks = files.get("image", []), files.get("mask", [])
    if not images:
        raise bad_field("an edit needs an image", "image", expected=f"1 to {MOST_IMAGES} images")
    if len(images) > MOST_IMAGES or len(masks) > 1:
        counts = f"{len(images)} images, {len(masks)} masks"
        expected = f"at most {MOST_IMAGES} images and one mask"
        raise bad_field("there are too many images", "image", given=counts, expected=expected)
    model = await _model(services, checked.model, has_image=True, has_mask=bool(masks))
    run = ImageRun("image_edit", checked, model, idempotency_key)
    with bad_requests(model):
        values = app_values(run, has_texts=has_texts) | file_values(model, images, masks)
        await _start(services, caller, run, values)
    return await _answer(request, services, caller, run)


async def _model(
    services: Services, name: str | None, *, has_image: bool = False, has_mask: bool = False
) -> ImageModel:
    """The model of a name: from the settings, a saved workflow, or the built-in one.

    Raises:
        ImageModelNotFound: There is none.
    """
    model_id = name or BUILT_IN
    models = services.server.openai_models
    chosen = models.get(model_id)
    if chosen is None and model_id != BUILT_IN and not await _is_saved(services, model_id):
        chosen = models.get(_ANY_MODEL)
        if chosen is None:
            known = await services.run_in_thread(services.workflows.names)
            hint = did_you_mean(model_id, [BUILT_IN, *models, *known])
            raise ImageModelNotFound(
                "there is no such model", given=ascii(model_id[:80]), expected="an app", hint=hint
            )
    app = model_id if chosen is None else (chosen.edits if has_image else "") or chosen.app
    names = {} if chosen is None else chosen.parameters
    if app == BUILT_IN and not await _is_saved(services, app):
        target = await built_in_app(services, has_image=has_image, has_mask=has_mask)
        return ImageModel(model_id, target, names)
    try:
        return ImageModel(model_id, await saved_app(services, app), names)
    except NotFound as error:
        raise ImageModelNotFound(
            "the app of this model is not saved", given=app, hint="Save it, or change the settings."
        ) from error


async def _is_saved(services: Services, name: str) -> bool:
    return name in await services.run_in_thread(services.workflows.names)


async def _start(
    services: Services, caller: Caller, run: ImageRun, values: Mapping[str, Any]
) -> None:
    """Submit the jobs: one with a batch, or one for each image with seeds that count up.

    Without a seed it is random, or that of the idempotency key.
    """
    count, seeds = run.request.n or 1, run.model.parameter("seed")
    jobs = 1 if run.model.parameter("n") is not None else count
    if seeds is None and jobs > 1:
        hint = "Give the app a parameter `seed` or `n`."
        raise bad_field(
            "the model makes the same image each time", "n", given=str(count), hint=hint
        )
    runs = [dict(values) for _ in range(jobs)]
    if seeds is not None:
        chosen = values.get(seeds.name)
        if chosen is None:
            key = run.key
            chosen = (
                secrets.randbelow(_SEEDS)
                if key is None
                else int(digest_bytes(key.encode())[:8], 16)
            )
        for number, each in enumerate(runs):
            # What is no number is refused with the job.
            is_number = isinstance(chosen, int)
            each[seeds.name] = (chosen + number) % (1 << 64) if is_number else chosen
        run.seed = runs[0][seeds.name]
    run.jobs += await submit_runs(services, caller, run.model.target, runs, run.key)


async def _answer(request: Request, services: Services, caller: Caller, run: ImageRun) -> Response:
    if run.request.stream:
        events = _events(services, caller, run)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    jobs = await until_gone(request, _finished(services, run))
    base = services.server.public_url or f"{request.url.scheme}://{request.headers['host']}"
    files = [file for job in jobs for file in job_images(job)]
    if not files:
        hint = "The app of a model needs a node that saves images, such as SaveImage."
        raise bad_field("the app wrote no image", "model", given=run.model.id, hint=hint)
    document: dict[str, Any] = {"created": int(time.time()), "data": []}
    for file in files:
        if run.request.response_format == "url":
            shown = {"url": base + public_path(f"/api/v1/artifacts/{file['digest']}")}
        else:
            shown = {"b64_json": await _encoded(services, caller, run.request, file)}
        document["data"].append(shown)
    about = _about(run.request, files[0])
    document |= {name: value for name, value in about.items() if value != "auto"}
    own = {"jobs": run.jobs, "seed": run.seed, "warnings": run.warnings}
    return json_response(document | {"nodegraph": own})


async def _finished(services: Services, run: ImageRun) -> list[Job]:
    """The jobs of a request, once all have ended well.

    Raises:
        AppFailed: One has not.
    """
    ended: dict[str, Job] = {}
    async with (
        cancelled_on_leave(services, run.jobs, may_return=run.key is not None),
        aclosing(follow(services, run.jobs)) as events,
    ):
        async for event in events:
            if isinstance(event, Job):
                ended[event.id] = _successful(event)
    return [ended[job] for job in run.jobs]


def _successful(job: Job) -> Job:
    if job.state != "finished":
        raise AppFailed(job)
    return job


def _about(request: ImageRequest, file: Mapping[str, Any]) -> dict[str, str]:
    """What answers and events say of an image."""
    quality = request.extra.get("quality")
    return {
        "background": request.background or "auto",
        "output_format": request.output_format or _FORMATS.get(str(file["media_type"]), "png"),
        "quality": quality if quality in _QUALITIES else "auto",
        "size": f"{file['width']}x{file['height']}" if file["width"] else "auto",
    }


async def _encoded(
    services: Services, caller: Caller, request: ImageRequest, file: Mapping[str, Any]
) -> str:
    digest, own = str(file["digest"]), _FORMATS.get(str(file["media_type"]))
    wanted = request.output_format or own or "png"
    if wanted == own and request.output_compression is None:
        data = await read_file(services, caller, digest)
    else:
        quality = 100 if request.output_compression is None else request.output_compression
        data = await converted_image(services, caller, digest, wanted, quality=quality)
    return base64.b64encode(data).decode()


class PreviewChooser:
    """Chooses a few previews of each job, spread over its steps.

    Args:
        most: Previews of a job.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._done: dict[str, float] = {}
        self._chosen: dict[str, int] = {}

    def choose(self, message: HubMessage) -> tuple[int, bytes, str] | None:
        """The number among the chosen ones, bytes and media type of a preview that is chosen."""
        if message.kind == "node.progress":
            data = event_data(message)
            share = int(data.get("step", 0)) / max(int(data.get("total", 1)), 1)
            self._done[message.job] = max(share, self._done.get(message.job, 0.0))
        if message.kind != "node.preview":
            return None
        number = self._chosen.get(message.job, 0)
        is_due = self._done.get(message.job, 0.0) >= (number + 1) / (self._most + 1)
        data = event_data(message)
        if number >= self._most or not is_due or not isinstance(data.get("image"), bytes):
            return None
        self._chosen[message.job] = number + 1
        return number, data["image"], str(data["mime"])


async def _events(services: Services, caller: Caller, run: ImageRun) -> AsyncIterator[str]:
    """Server-sent events: some previews, then each image as its job ends."""
    partials = run.request.partial_images or 0
    chooser = PreviewChooser(partials)
    following = follow(services, run.jobs, live=partials > 0, previews=partials > 0)
    try:
        async with (
            cancelled_on_leave(services, run.jobs, may_return=run.key is not None),
            aclosing(following) as events,
        ):
            async for event in events:
                if isinstance(event, Job):
                    for file in job_images(_successful(event)):
                        about: dict[str, Any] = _about(run.request, file)
                        about["usage"] = _NO_USAGE
                        encoded = await _encoded(services, caller, run.request, file)
                        yield _event(f"{run.kind}.completed", encoded, about)
                elif (chosen := chooser.choose(event)) is not None:
                    number, data, media_type = chosen
                    file = {"media_type": media_type, "width": None}
                    about = {**_about(run.request, file), "partial_image_index": number}
                    about["output_format"] = _FORMATS.get(media_type, "png")
                    encoded = base64.b64encode(data).decode()
                    yield _event(f"{run.kind}.partial_image", encoded, about)
    except NodegraphError as error:
        problems = services.places.redact_json([each.as_dict() for each in error.problems])
        status, message = status_of(error)[0], services.places.redact(error.problem.message)
        document = error_document(status, error.problem.code, message, problems)
        yield f"event: error\ndata: {json.dumps(document)}\n\n"


def _event(kind: str, encoded: str, about: Mapping[str, Any]) -> str:
    document = {"type": kind, "b64_json": encoded, "created_at": int(time.time()), **about}
    return f"event: {kind}\ndata: {json.dumps(document)}\n\n"
