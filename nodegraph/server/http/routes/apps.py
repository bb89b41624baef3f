"""Apps: saved workflows as plain HTTP endpoints, and as forms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.schema import shape_fields
from nodegraph.errors import InvalidWorkflow
from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.job import ENDED
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.apps import App, build_app
from nodegraph.server.content.apps.app import (
    REFUSALS,
    Texts,
    app_path,
    is_json,
    parse_values,
    read_json_values,
    read_texts,
)
from nodegraph.server.content.apps.responses import (
    AppFailed,
    accepts_type,
    app_document,
    form_page,
    job_page,
    negotiate_format,
    only_picture,
    requested_wait,
    run_document,
    wait_for_job,
)
from nodegraph.server.content.saved import LARGEST_PAGE
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import NotAcceptable, Refused
from nodegraph.server.http.file_responses import retry_until_shared
from nodegraph.server.http.media_types import content_headers
from nodegraph.server.http.problems import responses
from nodegraph.server.http.responses import file_response, json_response
from nodegraph.server.root_path import public_path
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import job_path
from nodegraph.server.workflows.job_requests import JobWish, get_visible_job, submit

router = APIRouter(prefix="/apps", tags=["apps"])

_FORM_WAIT = 10.0
"""Seconds that a page waits for its job before it shows that the job is not done."""
_PICTURE_WAIT = 60.0
"""Default wait in seconds of a client that accepts only an image."""
_HTML: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}
_PICTURE: dict[str, Any] = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
# That they may have any name has to be said: generators take a plain object for an empty one.
_OBJECT: dict[str, Any] = {
    "type": "object",
    "description": "Values of the app's parameters.",
    "additionalProperties": True,
}
_VALUES: dict[str, Any] = {
    "schema": _OBJECT,
    "example": {"prompt": "a green apple", "seed": 7},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "content": {
            "application/json": _VALUES,
            "multipart/form-data": {"schema": _OBJECT},
            "application/x-www-form-urlencoded": {"schema": _OBJECT},
        }
    }
}
Name = Annotated[str, Path(description="Name of a saved workflow.", examples=["apple still life"])]


class AppList(BaseModel):
    """A page of apps, sorted by name."""

    items: list[shapes.AppItem]
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


@router.get("", summary="List the apps", response_model=AppList, responses=responses(401, 403, 422))
async def list_apps(
    services: TheServices,
    caller: MayRead,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Return the saved workflows that can be read, sorted by name."""
    page = await services.run_in_thread(services.workflows.page, limit=limit, after=cursor)
    items = [
        shape_fields(
            shapes.AppItem, entry, title=entry.title or entry.name, href=app_path(entry.name)
        )
        for entry in page.entries
        if entry.problem is None
    ]
    return json_response({"items": items, "next": page.next})


@router.get(
    "/{name}",
    summary="Get an app or its form",
    response_model=shapes.App,
    responses={
        200: {"description": "The app. A browser gets a form.", "content": _HTML},
        **responses(401, 403, 404, 422, 503),
    },
)
async def get_app(
    services: TheServices,
    caller: MayRead,
    name: Name,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the parameters and outputs of an app."""
    app = await _app(services, name)
    if negotiate_format(accept) == "html":
        return form_page(app)
    return json_response(app_document(app), headers={"Vary": "Accept"})


@router.post(
    "/{name}",
    summary="Run an app",
    response_model=shapes.AppRun,
    responses={
        200: {"description": "The outputs: the app finished in time.", "content": _PICTURE},
        202: {"model": shapes.AppRun, "description": "The job, which continues."},
        303: {"description": "For a browser that sent the form: the page of the job."},
        **responses(*REFUSALS),
    },
    openapi_extra=_BODY,
)
async def run_app(
    request: Request,
    services: TheServices,
    caller: MayRun,
    name: Name,
    accept: Annotated[str | None, Header()] = None,
    prefer: Annotated[
        str | None,
        Header(description="`wait=30` waits up to 30 seconds for the app to finish."),
    ] = None,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=256, description="See the submission of jobs.")
    ] = None,
    webhook: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=2_048,
            description="Address that is sent the end of the job; `none` for not even the webhook "
            "of the token.",
        ),
    ] = None,
    not_before: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=64,
            description="Time before which the job does not start, as ISO 8601.",
        ),
    ] = None,
) -> Response:
    """Run a saved workflow with values of its named parameters.

    Send the values as JSON or as a form, which may contain files. With `Prefer: wait=30` the answer
    contains the outputs if the app finishes within 30 seconds. With `Accept: image/*` the answer is
    the image itself, if the app outputs exactly one. Otherwise the answer is the job.
    """
    app, form = await _app(services, name), negotiate_format(accept)
    texts: Texts | None = None
    try:
        if is_json(request):
            values = await read_json_values(request, services)
        else:
            texts = await read_texts(request, app, services, caller)
            values = parse_values(app, texts)
        timed = {"webhook": webhook, "not_before": not_before}
        job = await _submitted(services, caller, app, values, timed, idempotency_key)
    except (InvalidWorkflow, Refused) as error:
        if form != "html":
            raise
        status = error.status if isinstance(error, Refused) else 422
        return form_page(app, texts=texts, problems=error.problems, status=status)
    # Declared as one text, since generators leave out an operation with a header that is a list;
    # a client may send several.
    wait = requested_wait(request.headers.getlist("prefer"))
    if form == "html":
        await wait_for_job(services, job, _FORM_WAIT if wait is None else wait)
        return RedirectResponse(f"{app_path(name)}/jobs/{job}", 303)
    if wait is None and form == "image":
        wait = _PICTURE_WAIT
    latest = await wait_for_job(services, job, wait or 0.0)
    applied = {} if not prefer or wait is None else {"Preference-Applied": f"wait={wait:.0f}"}
    if latest.state not in ENDED:
        headers = {**applied, "Location": job_path(job), "Vary": "Accept, Prefer"}
        return json_response(run_document(latest), 202, headers)
    if latest.state != "finished":
        raise AppFailed(latest)
    if form == "image":
        return await _picture(request, services, caller, latest, accept)
    headers = {**applied, "Content-Location": job_path(job), "Vary": "Accept, Prefer"}
    return json_response(run_document(latest), headers=headers)


@router.get(
    "/{name}/jobs/{id}",
    summary="Get a run of an app",
    response_class=Response,
    responses={
        200: {"description": "A page, which reloads until the run ends.", "content": _HTML},
        **responses(401, 403, 404, 503),
    },
)
async def get_app_job(
    services: TheServices,
    caller: MayRead,
    name: Name,
    id: Annotated[str, Path(max_length=64, examples=["job_01hzy3m7q8r9s0t1v2w3x4y5z6"])],
) -> Response:
    """Return a page with the state or the result of a run, for a browser."""
    app = await _app(services, name)
    return job_page(name, app.title, await get_visible_job(services, caller, id))


async def _app(services: Services, name: str) -> App:
    types = await services.node_types.current()
    app = await services.run_in_thread(lambda: build_app(services.workflows.get(name), types))
    types.require_read_of(app.problems)
    return app


async def _submitted(
    services: Services,
    caller: Caller,
    app: App,
    values: dict[str, Any],
    timed: Mapping[str, str | None],
    key: str | None,
) -> str:
    """Id of the job that runs an app.

    Args:
        timed: Its webhook and the time before which it does not start.
    """
    saved = {"saved": app.name, "version": app.version}
    url, not_before = timed["webhook"], timed["not_before"]
    job_request = JobWish.model_validate(
        {
            "workflow": saved,
            "parameters": values,
            "name": app.name,
            "webhook": url if url in (None, "none") else {"url": url},
            "not_before": not_before,
        }
    )
    return (await submit(services, caller, job_request, key)).job.id


async def _picture(
    request: Request, services: Services, caller: Caller, job: Job, accept: str | None
) -> Response:
    digest = only_picture(job)
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    if not accepts_type(accept, artifact.media_type):
        raise NotAcceptable(
            "the app returned an image of another type", given=artifact.media_type, expected=accept
        )
    opened = await retry_until_shared(
        lambda: services.run_file_task(services.artifacts.open, artifact)
    )
    headers = {
        **content_headers(artifact.media_type, PurePath(artifact.path).name),
        "Content-Location": public_path(f"/api/v1/artifacts/{digest}"),
        "Link": f'<{job_path(job.id)}>; rel="related"',
        "Vary": "Accept, Prefer",
    }
    return file_response(request, opened, headers, cached="no-store")
