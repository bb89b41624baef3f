"""Runs of apps for clients of other protocols: submit, follow, cancel, and read the images."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import msgpack
from fastapi import Request
from starlette.requests import ClientDisconnect

from nodegraph.core.digests import digest_bytes
from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.job import ENDED
from nodegraph.media.images.contact_sheets import SheetFormat
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.apps import App, build_app
from nodegraph.server.content.saved import SavedWorkflow, Version
from nodegraph.server.events.hub import HubClosed, HubMessage
from nodegraph.server.http.errors import Refused, TooLarge
from nodegraph.server.http.file_responses import retry_until_shared
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import public_outputs
from nodegraph.server.workflows.job_requests import JobWish, prepare_submission
from nodegraph.session.examples import template

T = TypeVar("T")
BUILT_IN = "nodegraph"
"""Name of the app that every server has: it makes and edits images with the embedded model."""
_LEFT = (asyncio.CancelledError, GeneratorExit, ClientDisconnect)
"""What ends a wait whose client is gone."""
_ENDS = frozenset(f"job.{state}" for state in ENDED)
_LOOK_SECONDS = 15.0
"""Without an event, after which jobs are looked at: one may have been deleted."""
_DATA_URL = re.compile(r"data:[\w./+-]*(?:;[\w=./+-]+)*;base64,", re.ASCII)
_GENERATION = {
    "width": "size.width",
    "height": "size.height",
    "n": "size.batch_size",
    "negative_prompt": "negative.text",
    "sampler": "sample.sampler",
}
"""Parameters of the template `text_to_image` that only the built-in app has."""
_EDIT = {
    "steps": "sample.steps",
    "cfg": "sample.cfg",
    "negative_prompt": "negative.text",
    "sampler": "sample.sampler",
}


class WaitedTooLong(Refused):
    """A request that has waited for its jobs as long as the settings allow; they continue."""

    code = "timeout"
    status = 504

    @property
    def headers(self) -> Mapping[str, str]:
        # A client that sent the request again would begin the same work once more.
        return {"x-should-retry": "false"}


@dataclass(frozen=True, slots=True)
class RunnableApp:
    """An app, and what its jobs are submitted with.

    Attributes:
        workflow: As `JobWish.workflow`.
    """

    app: App
    workflow: Mapping[str, Any]


async def saved_app(services: Services, name: str) -> RunnableApp:
    """A saved workflow as an app.

    Raises:
        NotFound: There is none of that name.
    """
    types = await services.node_types.current()
    app = await services.run_in_thread(lambda: build_app(services.workflows.get(name), types))
    types.require_read_of(app.problems)
    return RunnableApp(app, {"saved": app.name, "version": app.version})


async def built_in_app(
    services: Services, *, has_image: bool = False, has_mask: bool = False
) -> RunnableApp:
    """The app that every server has: a template of the gallery, with more parameters.

    Args:
        has_image: Whether it changes an image instead of making one.
        has_mask: Whether it changes only what a mask marks.
    """
    types = await services.node_types.current()

    def build() -> RunnableApp:
        document = _built_in_workflow(has_image=has_image, has_mask=has_mask)
        text = json.dumps(document)
        version = Version(1, digest_bytes(text.encode()), services.started, len(text))
        return RunnableApp(build_app(SavedWorkflow(BUILT_IN, version, text), types), document)

    return await services.run_in_thread(build)


def _built_in_workflow(*, has_image: bool, has_mask: bool) -> dict[str, Any]:
    name = "image_to_image" if has_image else "text_to_image"
    document: dict[str, Any] = json.loads(template(name)[0])
    nodes = document["nodes"]
    document.pop("ui", None)
    document["parameters"] |= _EDIT if has_image else _GENERATION
    nodes["save"]["inputs"]["name"] = BUILT_IN
    encoder = nodes["positive"]["inputs"]["encoder"]
    nodes["negative"] = {"type": "EncodePrompt", "inputs": {"encoder": encoder, "text": ""}}
    sampling = nodes["sample"]["inputs"]
    sampling["negative"] = {"from": "negative"}
    if has_image:
        # Images of clients have any size, latents have cells of 8 pixels.
        image = nodes["encode"]["inputs"]["image"]
        inputs = {"image": image, "like": image, "multiple_of": 8}
        nodes["fitted"] = {"type": "ResizeImage", "inputs": inputs}
        nodes["encode"]["inputs"]["image"] = {"from": "fitted"}
    if has_mask:
        document["parameters"]["mask"] = "mask.path"
        nodes["mask"] = {"type": "LoadMask", "inputs": {"path": "mask.png"}}
        latent, mask = sampling["latent"], {"from": "mask"}
        nodes["masked"] = {"type": "SetNoiseMask", "inputs": {"latent": latent, "mask": mask}}
        sampling |= {"latent": {"from": "masked"}, "denoise": 1.0}
        # Decoding changes the rest a little, too.
        base, overlay = {"from": "picture.image"}, {"from": "decode"}
        inputs = {"base": base, "overlay": overlay, "mask": mask}
        nodes["result"] = {"type": "CompositeMasked", "inputs": inputs}
        nodes["save"]["inputs"]["image"] = {"from": "result"}
    return document


async def submit_runs(
    services: Services,
    caller: Caller,
    target: RunnableApp,
    runs: Sequence[Mapping[str, Any]],
    key: str | None = None,
) -> list[str]:
    """Add a job for each run of an app, all or none; their ids.

    Args:
        runs: Values of the app's parameters for each run.
        key: Idempotency key of them all.
    Raises:
        NodegraphError: See `submit`.
    """
    submissions = []
    for number, values in enumerate(runs):
        fields = {"workflow": target.workflow, "parameters": values, "name": target.app.name}
        own_key = None if key is None else f"{key}-{number}"
        request = JobWish.model_validate(fields)
        submissions.append(await prepare_submission(services, caller, request, own_key))
    submitted = await services.queue_reads.changed(services.dispatcher.submit_all(submissions))
    return [each.job.id for each in submitted]


@asynccontextmanager
async def cancelled_on_leave(
    services: Services, jobs: Sequence[str], *, may_return: bool = False
) -> AsyncIterator[None]:
    """Cancel jobs if the `with` is left early, because its client is gone or one has failed.

    Jobs that others follow by their ids continue. All continue after `WaitedTooLong`, and where
    the server stops: it continues them after its start.

    Args:
        may_return: Whether a client that is gone may ask for the same jobs again.
    """
    try:
        yield
    except (WaitedTooLong, HubClosed):
        raise
    except BaseException as error:
        if may_return and isinstance(error, _LEFT):
            raise
        # Nothing is awaited, as whoever is cancelled may not wait. Ended jobs refuse.
        for job in jobs if not services.stopping.is_set() else ():
            if not services.hub.is_followed(job):
                services.queue.cancel(job)
        raise


async def follow(
    services: Services,
    jobs: Sequence[str],
    *,
    live: bool = False,
    previews: bool = False,
    seconds: float | None = None,
) -> AsyncGenerator[HubMessage | Job, None]:
    """The events of jobs, and each job once it has ended; until all have.

    Args:
        live: Whether progress is wanted too.
        previews: Whether previews are.
        seconds: Longest wait for all of them; the setting `longest_wait` if not given.
    Raises:
        WaitedTooLong: They take longer.
        HubClosed: The server stops.
        JobNotFound: A job was deleted.
    """
    loop = asyncio.get_running_loop()
    longest = services.server.longest_wait if seconds is None else seconds
    end = loop.time() + longest
    # Before the first look, so that no end is missed in between.
    subscription = services.hub.subscribe(jobs, live=live, previews=previews)
    try:
        left, changed = set(jobs), set(jobs)
        while True:
            for name in sorted(left & changed):
                job = await services.queue_reads.run(services.queue.get, name)
                if job.state in ENDED:
                    left.discard(name)
                    yield job
            if not left:
                return
            if loop.time() >= end:
                raise WaitedTooLong(
                    f"the result takes longer than {longest:g} seconds",
                    given=", ".join(sorted(left)),
                    hint="The job continues: its result will be at /api/v1/jobs. To wait longer, "
                    "change `longest_wait` in the server's settings.",
                )
            batch = await subscription.next(min(end - loop.time(), _LOOK_SECONDS))
            for message in batch.messages:
                yield message
            ended = {message.job for message in batch.messages if message.kind in _ENDS}
            changed = ended if batch.messages else left
    finally:
        subscription.close()


async def until_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which is cancelled if the client disconnects before it.

    Raises:
        ClientDisconnect: It did.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def event_data(message: HubMessage) -> Mapping[str, Any]:
    """The `data` of an event."""
    content: Mapping[str, Any] = msgpack.unpackb(message.packed, strict_map_key=False)
    return content["data"] or {}


def job_files(job: Job) -> list[dict[str, Any]]:
    """The files of a job without manifests; previews only if there are no others."""
    listed: list[dict[str, Any]] = public_outputs(job.outputs or {})["files"]
    files = [each for each in listed if each.get("kind") != "manifest"]
    return [each for each in files if each.get("kind") != "preview"] or files


def job_images(job: Job) -> list[dict[str, Any]]:
    """The images among the files of a job."""
    return [each for each in job_files(job) if str(each["media_type"]).startswith("image/")]


async def read_file(services: Services, caller: Caller, digest: str) -> bytes:
    """The bytes of an output file that the caller may see.

    Raises:
        NotFound, FileGone: It isn't there.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = await retry_until_shared(
        lambda: services.run_file_task(services.artifacts.open, artifact)
    )
    with opened.file as file:
        return await services.run_file_task(file.read)


async def converted_image(
    services: Services,
    caller: Caller,
    digest: str,
    format: SheetFormat,
    *,
    quality: int = 95,
    side: int | None = None,
) -> bytes:
    """An output image in another format.

    Args:
        quality: Of JPEG and WebP, 0 to 100.
        side: Of the square that it is made to fit into, in pixels.
    Raises:
        NotFound, FileGone, InvalidFile, TooLarge: It isn't there, or can't be shown.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = partial(services.artifacts.open, artifact)
    thumbnails = services.artifacts.thumbnails
    return await retry_until_shared(
        lambda: thumbnails.converted(opened, caller.name, format=format, quality=quality, side=side)
    )


async def upload_data_url(services: Services, caller: Caller, url: str, name: str) -> str:
    """Keep the file in a data URL as an upload; its reference.

    Raises:
        InvalidValue: It is no data URL with base64.
        UnsupportedType, TooLarge: Such a file isn't accepted.
    """
    match = _DATA_URL.match(url)
    if match is None:
        raise InvalidValue(
            "this is not a data URL",
            given=ascii(url[:40]),
            expected="data:image/png;base64,…",
            hint="The server fetches no other addresses.",
        )
    most = services.server.limits.upload
    if (len(url) - match.end()) * 3 // 4 > most:
        raise TooLarge("the file is too large", expected=f"at most {format_size(most)}")
    try:
        data = base64.b64decode(url[match.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidValue("the data URL is not valid base64", given=ascii(url[:40])) from error

    return await upload_bytes(services, caller, data, name)


async def upload_bytes(services: Services, caller: Caller, data: bytes, name: str) -> str:
    """Keep some bytes as an upload; its reference.

    Raises:
        UnsupportedType, TooLarge: Such a file isn't accepted.
    """

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    upload, _ = await services.uploads.receive(chunks(), name, caller.name)
    return upload.reference
