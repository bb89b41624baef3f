"""AUTOMATIC1111's API: requests for images, their progress, and what ends them early.

Each request becomes jobs of the queue, one for each `n_iter`, all with one tag.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgpack
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.interop.image_metadata.infotext import with_parameters
from nodegraph.interop.image_metadata.webui_fields import (
    DetectFields,
    ExtraFields,
    ExtraImage,
    ExtraImages,
    GenerationFields,
    Img2ImgFields,
    InterrogateFields,
    RequestScripts,
    Txt2ImgFields,
    read_scripts,
    request_values,
)
from nodegraph.jobs.queue import Job, JobFilter, JobNotFound, JobSummary, WrongState
from nodegraph.jobs.queue.job import ENDED
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.apps.responses import AppFailed, wait_for_job
from nodegraph.server.content.uploads.index import Upload
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import Unavailable
from nodegraph.server.http.file_responses import retry_until_shared
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import AsciiJsonResponse, json_response
from nodegraph.server.protocols.a1111_lists import (
    API,
    CONTROL,
    WebuiOptions,
    keep_options,
    kept_options,
    list_models,
    upload_image,
)
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_requests import JobWish, submit

if TYPE_CHECKING:
    from nodegraph.interop.image_metadata.model_finder import ListedModels
    from nodegraph.interop.image_metadata.source_images import BroughtImage
    from nodegraph.interop.image_metadata.webui_request import RequestImages, RequestPlan

router = APIRouter(route_class=JsonRoute)
TAG = "a1111"
"""Of all jobs of this protocol. Those of one request share another tag, which begins with it."""
_LONGEST = 30 * 86_400.0
"""Seconds that an answer is waited for. The client decides."""
_MOST_JOBS = 500
_SAMPLERS = ("KSampler", "KSamplerAdvanced", "SampleCustom")
_NAME = 80


@router.post(f"{API}/txt2img")
async def make_images(
    request: Request, services: TheServices, caller: MayRun, fields: Txt2ImgFields
) -> Response:
    """Make images of a prompt."""
    return await _generate(request, services, caller, fields, [], "")


@router.post(f"{API}/img2img")
async def change_images(
    request: Request, services: TheServices, caller: MayRun, fields: Img2ImgFields
) -> Response:
    """Make images from others."""
    if not any(fields.init_images):
        raise InvalidValue("`init_images` is empty", expected="an image as base64 text")
    return await _generate(request, services, caller, fields, fields.init_images, fields.mask)


async def _generate(
    request: Request,
    services: Services,
    caller: Caller,
    fields: GenerationFields,
    init_images: Sequence[str],
    mask: str,
) -> Response:
    from nodegraph.interop.image_metadata.webui_request import plan_request

    values = request_values(fields)
    scripts = read_scripts(values)
    models, kept = await list_models(services), await kept_options(services, caller)
    notes = _unknown(fields)
    options, more = await _request_options(services, caller, models, fields)
    values["override_settings"] = {**kept, **options}
    images = await _brought_images(services, caller, init_images, mask, scripts)
    styles = await services.run_in_thread(services.prompt_lists.styles, caller.name)
    named = {each.name: (each.prompt, each.negative_prompt) for each in styles}
    plan = await services.run_in_thread(plan_request, values, scripts, images, models, named)
    plan.notes = [*notes, *more, *plan.notes]
    for job in plan.jobs:
        _set_output(job.document, is_saved=fields.save_images)
    documents = [job.document for job in plan.jobs]
    jobs = await _run(request, services, caller, documents, plan.prompt)
    return await _answer(services, caller, fields, plan, models, jobs)


def _unknown(fields: BaseModel) -> list[str]:
    from nodegraph.interop.image_metadata.generation import shorten

    return [f"Not used: the unknown field `{shorten(name)}`." for name in fields.model_extra or {}]


async def _request_options(
    services: Services, caller: Caller, models: ListedModels, fields: GenerationFields
) -> tuple[dict[str, Any], list[str]]:
    """The options of a request, and what is not used of them.

    Raises:
        InvalidValue: One has a wrong value.
    """
    from pydantic import ValidationError

    chosen = {name: value for name, value in fields.override_settings.items() if value is not None}
    try:
        options = WebuiOptions.model_validate(chosen)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InvalidValue(
            f"`{name}` in `override_settings` is wrong: {first['msg']}",
            given=ascii(first.get("input"))[:80],
        ) from None
    if not fields.override_settings_restore_afterwards:
        notes = await keep_options(services, caller, models, options, {})
    else:
        from nodegraph.interop.image_metadata.generation import shorten

        extra = options.model_extra or {}
        notes = [f"Not used: `{shorten(name)}` in `override_settings`." for name in extra]
    return options.model_dump(exclude_unset=True, exclude=set(options.model_extra or {})), notes


async def _brought_images(
    services: Services,
    caller: Caller,
    init_images: Sequence[str],
    mask: str,
    scripts: RequestScripts,
) -> RequestImages:
    """The images of a request, taken in as uploads."""
    from nodegraph.interop.image_metadata.webui_request import RequestImages

    async def brought(text: str, what: str) -> BroughtImage:
        return _image_of(await upload_image(services, caller, text, what))

    sources = [await brought(text, "init_images") for text in init_images if text]
    mask_image = None
    if mask:
        upload = await upload_image(services, caller, mask, "mask")
        # Then the opaque parts are the mask, as in A1111.
        opened = partial(services.uploads.open, upload)
        try:
            is_alpha = await services.artifacts.thumbnails.is_transparent(opened, caller.name)
        except InvalidFile as error:
            raise InvalidValue("`mask` is damaged", given=error.problem.message) from error
        mask_image = _image_of(upload, is_alpha=is_alpha)
    controls = [
        (
            await brought(unit.image, "image") if unit.image else None,
            await brought(unit.mask, "mask") if unit.mask else None,
        )
        for unit in scripts.controls
    ]
    return RequestImages(sources, mask_image, controls)


def _image_of(upload: Upload, *, is_alpha: bool = False) -> BroughtImage:
    from nodegraph.interop.image_metadata.source_images import BroughtImage

    return BroughtImage(upload.reference, upload.width or 0, upload.height or 0, is_alpha)


def _set_output(document: dict[str, Any], *, is_saved: bool) -> None:
    """Have the images saved, or only handed out."""
    save = document["nodes"]["save"]
    if is_saved:
        save["inputs"]["infotext"] = "on"
    else:
        save.update(type="PreviewImage", inputs={"image": save["inputs"]["image"]})


# Jobs


async def _run(
    request: Request,
    services: Services,
    caller: Caller,
    documents: Sequence[Mapping[str, Any]],
    name: str,
) -> list[Job]:
    """Run workflows one after the other; the ended jobs. If the client goes, they are cancelled.

    Raises:
        AppFailed: A job failed.
        ClientDisconnect: The client is gone.
        Unavailable: The server stops.
    """
    group = f"{TAG}-{secrets.token_hex(8)}"
    line = " ".join(name.replace("\0", " ").split())[:_NAME] or "AUTOMATIC1111's API"
    ids: list[str] = []
    async with _cancelled_at_the_end(services, ids):
        for document in documents:
            job_request = JobWish.model_validate(
                {"workflow": document, "name": line, "tags": [TAG, group]}
            )
            ids.append((await submit(services, caller, job_request)).job.id)
        async with _until_gone(request) as gone:
            return [await _ended(services, job, gone) for job in list(ids)]


@asynccontextmanager
async def _cancelled_at_the_end(services: Services, ids: Sequence[str]) -> AsyncIterator[None]:
    """Cancel the jobs of a request whose answer nobody gets, unless others follow them."""
    try:
        yield
    except Unavailable:
        raise  # the queue goes on with them after a restart
    except BaseException:
        unfollowed = [job for job in ids if not services.hub.is_followed(job)]
        await asyncio.shield(_cancel(services, unfollowed))
        raise


async def _cancel(services: Services, ids: Sequence[str]) -> None:
    for job in ids:
        with suppress(WrongState, JobNotFound):
            await services.queue_reads.changed(services.queue.cancel(job))


@asynccontextmanager
async def _until_gone(request: Request) -> AsyncIterator[asyncio.Task[None]]:
    """A task that ends when the client has closed its connection."""

    async def listen() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.create_task(listen(), name="a1111-client")
    try:
        yield gone
    finally:
        gone.cancel()
        await asyncio.wait([gone])


async def _ended(services: Services, id: str, gone: asyncio.Task[None]) -> Job:
    wait = asyncio.create_task(wait_for_job(services, id, _LONGEST), name="a1111-job")
    try:
        await asyncio.wait([wait, gone], return_when=asyncio.FIRST_COMPLETED)
        if not wait.done():
            raise ClientDisconnect
        job = wait.result()
    finally:
        wait.cancel()
        await asyncio.wait([wait])
    if job.state not in ENDED:
        raise Unavailable("the server is stopping", hint="The job goes on when it is back.")
    if job.state == "failed":
        raise AppFailed(job)
    return job


async def _group(services: Services, caller: Caller, *, is_any: bool = False) -> list[JobSummary]:
    """The jobs of the caller's request that runs, or is next; an empty list if there is none.

    Args:
        is_any: Also those of others, if the caller has none and may steer all.
    """
    clients = [caller.name]
    if is_any and caller.only_client is None:
        clients.append(None)  # type: ignore[arg-type]
    for client in clients:
        for state in ("running", "queued"):
            jobs = await _page(services, JobFilter((state,), client, TAG))
            tags = [tag for job in jobs for tag in job.tags if tag.startswith(f"{TAG}-")]
            if tags:
                return await _page(services, JobFilter((), client, tags[0]))
    return []


async def _page(services: Services, which: JobFilter) -> list[JobSummary]:
    read = partial(services.queue.page, which, order="oldest", limit=_MOST_JOBS)
    return list((await services.read_queue(read)).jobs)


@router.post(f"{API}/interrupt")
async def interrupt(services: TheServices, caller: MayRun) -> Response:
    """End the caller's request that runs, or is next. It is answered with what there is."""
    jobs = await _group(services, caller, is_any=True)
    waiting = [job.id for job in jobs if job.state == "queued"]
    running = [job.id for job in jobs if job.state == "running"]
    await _cancel(services, [*waiting, *running])
    return json_response({})


@router.post(f"{API}/skip")
async def skip(services: TheServices, caller: MayRun) -> Response:
    """End the run that is computed, and go on with the next of the same request."""
    jobs = await _group(services, caller, is_any=True)
    await _cancel(services, [job.id for job in jobs if job.state == "running"][:1])
    return json_response({})


# Progress


@router.get(f"{API}/progress")
async def get_progress(
    services: TheServices,
    caller: MayRead,
    skip_current_image: Annotated[bool, Query()] = False,
) -> Response:
    """Return how far the caller's request is, with a preview."""
    jobs = await _group(services, caller)
    ended = sum(job.state in ENDED for job in jobs)
    current = next((job for job in jobs if job.state == "running"), None)
    share, step, steps, image, eta = 0.0, 0, 0, None, 0.0
    text = "Waiting for its turn" if jobs else None
    if current is not None:
        share, step, steps, image = await _current(services, current.id)
        text = None
    progress = (ended + share) / len(jobs) if jobs else 0.0
    if current is not None:
        begun = min(job.started for job in jobs if job.started is not None)
        eta = max(0.0, time.time() - begun) * (1 / progress - 1) if progress else 0.0
    state = {
        "skipped": any(job.state == "cancelled" for job in jobs),
        "interrupted": current is not None and current.wanted == "cancel",
        "stopping_generation": False,
        "job": "" if current is None else current.id,
        "job_count": len(jobs),
        "job_timestamp": _timestamp(jobs[0].created if jobs else 0.0),
        "job_no": ended,
        "sampling_step": step,
        "sampling_steps": steps,
    }
    document = {
        "progress": min(progress, 0.99) if jobs else 0.0,
        "eta_relative": eta,
        "state": state,
        "current_image": None if skip_current_image else image,
        "textinfo": text,
    }
    return json_response(document)


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds)) if seconds else "0"


async def _current(services: Services, id: str) -> tuple[float, int, int, str | None]:
    """How far a job is: share, step and steps of its samplings, and the last preview."""
    messages = services.hub.current_messages(id)

    def read() -> tuple[float, int, int, str | None]:
        passes = _samplings(services, id)
        total = sum(passes.values())
        done = step = 0
        image = None
        for message in messages:
            data = msgpack.unpackb(message.packed, strict_map_key=False)["data"]
            if message.kind == "node.progress" and message.node in passes:
                before = list(passes)[: list(passes).index(message.node)]
                share = data["step"] / max(1, data["total"])
                step = sum(passes[each] for each in before) + round(passes[message.node] * share)
                done = max(done, step)
            elif message.kind == "node.preview" and isinstance(data.get("image"), bytes):
                image = b64encode(data["image"]).decode()
        return (done / total if total > 0 else 0.0), done, total, image

    return await services.read_queue(read)


def _samplings(services: Services, id: str) -> dict[str, int]:
    """Steps of each sampling of a job, by node in their order."""
    try:
        nodes = json.loads(services.queue.workflow(services.queue.get(id).workflow))["nodes"]
    except (JobNotFound, KeyError):
        return {}
    # SampleCustom has its steps in a schedule.
    schedule = nodes.get("schedule", {}).get("inputs", {})
    steps = {
        name: node.get("inputs", {}).get("steps", schedule.get("steps", 20))
        for name, node in nodes.items()
        if node.get("type") in _SAMPLERS
    }
    return {name: value if isinstance(value, int) else 20 for name, value in steps.items()}


# Answers


async def _answer(
    services: Services,
    caller: Caller,
    fields: GenerationFields,
    plan: RequestPlan,
    models: ListedModels,
    jobs: Sequence[Job],
) -> Response:
    """The images of a request, with its settings."""
    images: list[bytes] = []
    seeds: list[int] = []
    subseeds: list[int] = []
    infotexts: list[str] = []
    for wanted, job in zip(plan.jobs, jobs, strict=True):
        if job.state != "finished":
            plan.notes.append("Interrupted: some images are missing.")
            continue
        seeds += wanted.seeds
        subseeds += wanted.subseeds
        infotexts += wanted.infotexts
        if fields.send_images:
            images += await _files(services, caller, job)

    # The text has the prompt. The answer repeats it in any case, as the client has sent it.
    environment = services.environment
    carries_text = environment.metadata == "full" and environment.metadata_prompts

    def built() -> Response:
        encoded = []
        if images:
            encoded = [
                b64encode(with_parameters(data, text) if carries_text else data).decode()
                for data, text in zip(images, infotexts, strict=True)
            ]
        parameters = fields.model_dump()
        if not getattr(fields, "include_init_images", False):
            parameters |= {name: None for name in ("init_images", "mask") if name in parameters}
        info = plan.info(fields.model_dump(), models, seeds, subseeds, infotexts)
        return AsciiJsonResponse(
            {"images": encoded, "parameters": parameters, "info": json.dumps(info)}
        )

    return await services.run_in_thread(built)


async def _files(services: Services, caller: Caller, job: Job) -> list[bytes]:
    """The image files of an ended job, in order."""
    contents = []
    for file in (job.outputs or {}).get("files", ()):
        if file.get("kind") == "manifest":
            continue
        artifact = await services.read_queue(
            services.artifacts.find, file["digest"], caller.only_client
        )

        def read(artifact: Any = artifact) -> bytes:
            with services.artifacts.open(artifact).file as opened:
                return opened.read()

        contents.append(await retry_until_shared(partial(services.run_file_task, read)))
    return contents


# Images that are enlarged, analyzed or described


@router.post(f"{API}/extra-single-image")
async def enlarge_image(
    request: Request, services: TheServices, caller: MayRun, fields: ExtraImage
) -> Response:
    """Enlarge an image."""
    images, notes = await _enlarged(request, services, caller, fields, [fields.image])
    return json_response({"html_info": " ".join(notes), "image": images[0]})


@router.post(f"{API}/extra-batch-images")
async def enlarge_images(
    request: Request, services: TheServices, caller: MayRun, fields: ExtraImages
) -> Response:
    """Enlarge images."""
    texts = [each.data for each in fields.image_list]
    images, notes = await _enlarged(request, services, caller, fields, texts)
    return json_response({"html_info": " ".join(notes), "images": images})


async def _enlarged(
    request: Request,
    services: Services,
    caller: Caller,
    fields: ExtraFields,
    texts: Sequence[str],
) -> tuple[list[str], list[str]]:
    from nodegraph.interop.image_metadata.source_images import plan_upscale

    models = await list_models(services)
    values = fields.model_dump()
    documents, notes = [], _unknown(fields)
    for text in texts:
        image = _image_of(await upload_image(services, caller, text, "image"))
        document, more = plan_upscale(values, image, models)
        _set_output(document, is_saved=False)
        documents.append(document)
        notes = list(dict.fromkeys([*notes, *more]))
    jobs = await _run(request, services, caller, documents, "extras")
    return await _encoded(services, caller, jobs), notes


async def _encoded(services: Services, caller: Caller, jobs: Sequence[Job]) -> list[str]:
    """The images of jobs as base64 texts.

    Raises:
        AppFailed: A job was cancelled.
    """
    for job in jobs:
        if job.state != "finished":
            raise AppFailed(job)
    return [
        b64encode(file).decode() for job in jobs for file in await _files(services, caller, job)
    ]


@router.post(f"{CONTROL}/detect")
async def detect(
    request: Request, services: TheServices, caller: MayRun, fields: DetectFields
) -> Response:
    """Return what a preprocessor makes of images."""
    from nodegraph.interop.image_metadata.webui_request import plan_detection

    texts = fields.controlnet_input_images or fields.controlnet_images
    if not texts:
        raise InvalidValue("`controlnet_input_images` is empty", expected="images as base64 texts")
    models = await list_models(services)
    documents = []
    for text in texts:
        image = _image_of(await upload_image(services, caller, text, "image"))
        document = plan_detection(fields.model_dump(), image, models)
        _set_output(document, is_saved=False)
        documents.append(document)
    jobs = await _run(request, services, caller, documents, "ControlNet")
    images = await _encoded(services, caller, jobs)
    return json_response({"images": images, "info": "Success"})


@router.post(f"{API}/interrogate")
async def describe_image(caller: MayRun, fields: InterrogateFields) -> Response:
    """Refuse to describe an image: the list of models does not say which ones can."""
    raise InvalidValue(
        "images are not described by this route",
        given=fields.model[:_NAME],
        hint="Run a workflow with LoadLanguageModel and GenerateText, for example as an app.",
    )
