"""Routes of artifacts: files of jobs, their thumbnails, and what the library notes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nodegraph.client import shapes
from nodegraph.client.shapes.jobs import DIGEST
from nodegraph.errors import InvalidFile
from nodegraph.media.images.contact_sheets import AxisLabels, SheetFormat
from nodegraph.server.content.artifacts import ArtifactFilter
from nodegraph.server.content.artifacts.annotations import (
    LARGEST_CHANGE,
    LONGEST_NOTE,
    LONGEST_TAG,
    MOST_TAGS,
    AnnotationChange,
    clean_text,
)
from nodegraph.server.content.artifacts.artifacts import LARGEST_PAGE
from nodegraph.server.content.artifacts.search import Term, fold_case, parse_search
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import TooLarge, Unprocessable
from nodegraph.server.http.file_responses import (
    BINARY,
    FILE_ANSWERS,
    THUMBNAIL_ANSWERS,
    ThumbnailSize,
    retry_until_shared,
    texts_response,
    thumbnail_response,
    upload_response,
)
from nodegraph.server.http.media_types import content_headers
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import file_response
from nodegraph.server.http.signed_copies import signed_response
from nodegraph.server.operations.cleanup import empty_trash
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import artifact_entry
from nodegraph.session.settings_kinds import NUMBER

router = APIRouter(prefix="/artifacts", tags=["artifacts"])
json_router = APIRouter(prefix="/artifacts", tags=["artifacts"], route_class=JsonRoute)
_DIGEST = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
_LABELS = Annotated[list[Annotated[str, StringConstraints(max_length=500)]], Field(max_length=100)]

Digest = Annotated[str, Path(description="blake3 of the bytes.", examples=[DIGEST])]


class ArtifactList(BaseModel):
    """A page of artifacts, the newest first."""

    items: list[shapes.Artifact]
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


@router.get("", summary="List the output files of jobs", responses=responses(401, 403, 404, 422))
async def list_artifacts(
    services: TheServices,
    caller: MayRead,
    job: Annotated[
        str | None, Query(max_length=100, description="Only the files of this job.")
    ] = None,
    kind: Annotated[
        str | None, Query(max_length=100, description="Kind of file, such as `image`.")
    ] = None,
    text: Annotated[
        str,
        Query(
            max_length=256,
            description="Words that must all occur in the file's name, its node's name, its tags "
            "or note, or the name, tags, texts and parameters of its job. It may also contain "
            '"several words", and the terms `model:`, `seed:`, `steps:`, `sampler:`, `size:`, '
            "`width:`, `height:`, `stars:`, `tag:`, `board:`, `type:`, `after:` and `before:`, "
            "such as `size:512x512 stars:3 after:2026-11-01`.",
        ),
    ] = "",
    stars: Annotated[int | None, Query(ge=0, le=5, description="At least so many.")] = None,
    tag: Annotated[
        list[Annotated[str, StringConstraints(max_length=LONGEST_TAG)]] | None,
        Query(max_length=MOST_TAGS, description="Only files with all of these tags."),
    ] = None,
    board: Annotated[
        str | None, Query(max_length=100, description="Only files on the board of this id.")
    ] = None,
    model: Annotated[
        str | None, Query(max_length=256, description="Part of the name of a model.")
    ] = None,
    seed: Annotated[int | None, Query(ge=0, lt=1 << 64)] = None,
    width: Annotated[int | None, Query(ge=1, lt=1 << 31, description="Pixels.")] = None,
    height: Annotated[int | None, Query(ge=1, lt=1 << 31, description="Pixels.")] = None,
    trashed: Annotated[
        Literal["true", "false"], Query(description="Only files in the trash; otherwise no such.")
    ] = "false",
    created_after: Annotated[
        float | None, Query(allow_inf_nan=False, description="Unix time, included.")
    ] = None,
    created_before: Annotated[
        float | None, Query(allow_inf_nan=False, description="Unix time, not included.")
    ] = None,
    distinct: Annotated[
        Literal["true", "false"],
        Query(description="Only the newest of several files with the same bytes."),
    ] = "false",
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> ArtifactList:
    """Return the files of the jobs that the caller may see, the newest first.

    A file is listed as soon as it is written, even if its job fails later.
    """
    if board is not None:
        await services.run_file_task(services.artifacts.library.board, board, caller.only_client)
    values = {"stars": stars, "board": board, "seed": seed, "width": width, "height": height}
    terms: list[Term] = [(each, value) for each, value in values.items() if value is not None]
    terms += [("model", fold_case([model]))] if model else []
    terms += [("tag", fold_case([each]).strip()) for each in tag or ()]
    which = ArtifactFilter(
        caller.only_client,
        job,
        kind,
        [*parse_search(text), *terms],
        created_after,
        created_before,
        distinct=distinct == "true",
        trashed=trashed == "true",
    )
    page = await services.read_queue(services.artifacts.page, which, limit=limit, cursor=cursor)
    items = [artifact_entry(item) for item in page.artifacts]
    return ArtifactList(items=items, next=page.next)


@router.get(
    "/{digest}",
    summary="Get an output file of a job",
    response_class=Response,
    responses={**FILE_ANSWERS, **responses(401, 403, 404, 410, 416)},
)
async def get_artifact(
    request: Request,
    services: TheServices,
    caller: MayRead,
    digest: Digest,
    download: Annotated[
        Literal["true", "false"], Query(description="Make a browser always save the file.")
    ] = "false",
) -> Response:
    """Return the file, as long as it still contains what the job wrote.

    The address contains a digest of the content, so clients may cache the file forever. Types that
    a browser could run, such as SVG and HTML, are sent as an attachment and in a sandbox. If the
    setting `sign` is `export`, downloads are signed copies.
    """
    if download == "true" and services.settings.sign == "export":
        return await signed_response(request, services, caller, digest)
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    headers = content_headers(
        artifact.media_type, PurePath(artifact.path).name, is_saved=download == "true"
    )
    opened = await retry_until_shared(
        lambda: services.run_file_task(services.artifacts.open, artifact)
    )
    return file_response(request, opened, headers)


@router.get(
    "/{digest}/thumbnail",
    summary="Get a thumbnail of a file",
    response_class=Response,
    responses={**THUMBNAIL_ANSWERS, **responses(401, 403, 404, 410, 422)},
)
async def get_artifact_thumbnail(
    request: Request,
    services: TheServices,
    caller: MayRead,
    digest: Digest,
    size: ThumbnailSize = 256,
) -> Response:
    """Return a small WebP: the upright image, or the first frame of an animation or a video.

    Audio is shown as a waveform. Meshes, points, molecules and plots are drawn. The thumbnail is
    made at the first request and kept.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = partial(services.artifacts.open, artifact)
    return await retry_until_shared(
        lambda: thumbnail_response(
            request, caller, services.artifacts.thumbnails, digest, size, opened
        )
    )


@router.get(
    "/{digest}/texts",
    summary="Get the texts in a file's metadata",
    responses=responses(401, 403, 404, 410, 413, 422),
)
async def get_artifact_texts(
    services: TheServices, caller: MayRead, digest: Digest
) -> shapes.CarriedTexts:
    """Return the texts in a file's metadata, such as the workflow that made it.

    Supported files are images, videos, audio, shapes, molecules, plots and latents.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = partial(services.artifacts.open, artifact)
    return await retry_until_shared(
        lambda: texts_response(caller, services.artifacts.thumbnails, artifact.path, opened)
    )


class GridRequest(BaseModel):
    """Images that are combined in rows and columns."""

    model_config = ConfigDict(extra="forbid")

    rows: Annotated[
        list[Annotated[list[_DIGEST | None], Field(min_length=1, max_length=100)]],
        Field(
            min_length=1,
            max_length=100,
            description="Digests of artifacts, row by row; null for an empty cell.",
            examples=[[[DIGEST, None]]],
        ),
    ]
    column_labels: _LABELS = []
    row_labels: _LABELS = []
    title: Annotated[str, Field(max_length=500)] = ""
    cell: Annotated[int, NUMBER, Field(ge=16, le=1024)] = Field(
        default=512, description="Side of the square that each image fits into, in pixels."
    )
    format: SheetFormat = "png"


@json_router.post(
    "/grid",
    summary="Combine images in a labeled grid",
    response_class=Response,
    responses={
        200: {
            "description": "The image.",
            "content": {f"image/{each}": BINARY for each in ("png", "webp", "jpeg")},
        },
        **responses(400, 401, 403, 404, 410, 413, 415, 422),
    },
)
async def make_grid(services: TheServices, caller: MayRead, grid: GridRequest) -> Response:
    """Return one image of up to 1,000 artifacts, with labels above the columns and before the rows.

    Larger images are made smaller. Other files are shown as by their thumbnails. Labels in scripts
    that the included font lacks need a font of the server's system.
    """
    columns = max(map(len, grid.rows))
    for what, labels, most in (
        ("columns", grid.column_labels, columns),
        ("rows", grid.row_labels, len(grid.rows)),
    ):
        if len(labels) > most:
            raise Unprocessable(
                f"there are more labels than {what}", given=str(len(labels)), expected=str(most)
            )
    positions: dict[str, str] = {}
    for row_number, row in enumerate(grid.rows, 1):
        for column, digest in enumerate(row, 1):
            if digest is not None:
                positions.setdefault(digest, f"row {row_number}, column {column}")
    if len(positions) > LARGEST_CHANGE:
        raise Unprocessable(
            "the grid has too many images",
            given=f"{len(positions):,}",
            expected=f"at most {LARGEST_CHANGE:,}",
        )
    cells: dict[str, bytes] = {}
    for digest, position in positions.items():
        artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
        opened = partial(services.artifacts.open, artifact)
        try:
            cells[digest] = await retry_until_shared(
                partial(services.artifacts.thumbnails.cell, grid.cell, opened, caller.name)
            )
        except (InvalidFile, TooLarge) as error:
            message = f"{position}: {error.problem.message}"
            error.problem = replace(error.problem, message=message)
            raise
    from nodegraph.server.content.files.pictures import labeled_grid  # imports Pillow

    axes = AxisLabels(grid.column_labels, grid.row_labels, grid.title)
    rows = [[None if each is None else cells[each] for each in row] for row in grid.rows]
    pixels = services.server.limits.pixels
    made = await services.run_file_task(labeled_grid, rows, axes, grid.format, pixels)
    name = f"grid.{'jpg' if grid.format == 'jpeg' else grid.format}"
    return Response(made, headers=content_headers(f"image/{grid.format}", name))


class FrameRequest(BaseModel):
    """A frame of a video: its time, or its number."""

    model_config = ConfigDict(extra="forbid")

    time: Annotated[float, NUMBER, Field(ge=0, le=1e7)] | None = Field(
        default=None, description="Seconds from the beginning."
    )
    index: Annotated[int, NUMBER, Field(ge=0, lt=1 << 31)] | None = Field(
        default=None, description="Number of the frame, from 0."
    )


@json_router.post(
    "/{digest}/frame",
    summary="Use a frame of a video as an upload",
    status_code=201,
    responses={
        200: {"model": shapes.Upload, "description": "It is already an upload of the client."},
        **responses(400, 401, 403, 404, 410, 413, 415, 422),
    },
)
async def upload_frame(
    response: Response, services: TheServices, caller: MayRun, digest: Digest, frame: FrameRequest
) -> shapes.Upload:
    """Copy a frame of a video to the uploads, as PNG, so that workflows can read it."""
    if (frame.time is None) == (frame.index is None):
        raise Unprocessable("either `time` or `index` is needed", expected="one of them")
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = partial(services.artifacts.open, artifact)
    data = await retry_until_shared(
        partial(services.artifacts.thumbnails.frame, frame.index, frame.time, opened, caller.name)
    )
    at = f"{frame.time:g}s" if frame.index is None else str(frame.index)
    name = f"{PurePath(artifact.path).stem}-{at}.png"
    upload, is_new = await services.uploads.receive(_one_chunk(data), name, caller.name)
    return upload_response(response, upload, is_new=is_new)


async def _one_chunk(data: bytes) -> AsyncIterator[bytes]:
    yield data


@router.delete(
    "/{digest}",
    summary="Delete an output file of a job",
    status_code=204,
    responses=responses(401, 403, 404, 409, 503),
)
async def delete_artifact(
    services: TheServices,
    caller: MayRun,
    digest: Digest,
    job: Annotated[
        str | None, Query(max_length=100, description="Only from this job; otherwise from all.")
    ] = None,
) -> None:
    """Remove a file from the lists of ended jobs. It is deleted if no other job lists it."""
    artifacts = await services.read_queue(
        services.artifacts.find_all, digest, caller.only_client, job
    )
    # Before the file goes: what a job lists must be there, and not the other way round.
    for lister in dict.fromkeys(artifact.job for artifact in artifacts):
        await services.queue_reads.changed(services.queue.forget_file(lister, digest))
    await services.run_file_task(services.artifacts.delete, artifacts)
    services.hub.notify("artifacts.deleted")


library_router = APIRouter(prefix="/library", tags=["library"], route_class=JsonRoute)

_CHANGING = responses(400, 401, 403, 404, 413, 415, 422, 503)
_TAGS = Annotated[list[str], Field(max_length=MOST_TAGS, examples=[["cat"]])]
_NAME = Annotated[str, Field(max_length=10_000, examples=["Covers"])]
BoardId = Annotated[
    str, Path(max_length=100, description="Id of a board.", examples=["board_1f8a0c2e"])
]


class _Digests(BaseModel):
    model_config = ConfigDict(extra="forbid")

    digests: Annotated[
        list[_DIGEST],
        Field(min_length=1, max_length=LARGEST_CHANGE, description="Of artifacts."),
    ]


class ChosenResults(_Digests):
    """Results, by the digests of their bytes."""


class LibraryChange(_Digests):
    """A change of what is noted about results. Omitted fields stay unchanged."""

    stars: Annotated[int, NUMBER, Field(ge=0, le=5)] | None = None
    add_tags: _TAGS = []
    remove_tags: _TAGS = []
    note: str | None = Field(
        default=None, max_length=100_000, description="Any text; null or empty removes it."
    )
    board: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="Id of a board; null takes the results off their boards."
    )


class BoardName(BaseModel):
    """The name of a board."""

    model_config = ConfigDict(extra="forbid")

    name: _NAME


class Changed(BaseModel):
    """The number of results that the request changed."""

    changed: int = Field(examples=[12])


class TrashedResults(BaseModel):
    """The number of results that the request put into the trash."""

    trashed: int = Field(examples=[12])


class RestoredResults(BaseModel):
    """The number of results that the request took out of the trash."""

    restored: int = Field(examples=[12])


class Emptied(BaseModel):
    """The number of results that were deleted for good."""

    deleted: int = Field(examples=[12])


class TagCounts(BaseModel):
    """All tags, in alphabetical order."""

    items: list[shapes.TagCount]


class BoardList(BaseModel):
    """All boards, in alphabetical order."""

    items: list[shapes.Board]


@library_router.patch("", summary="Change stars, tags, notes and boards", responses=_CHANGING)
async def change_library(services: TheServices, caller: MayRun, change: LibraryChange) -> Changed:
    """Change what is noted about up to 1,000 results, all or none.

    A note belongs to the bytes and to the client that owns the job. It stays if the result is made
    again.
    """
    texts: dict[str, str | None] = {}
    if "note" in change.model_fields_set:
        note = change.note or ""
        has_note = bool(note.strip())
        texts["note"] = clean_text(note, "the note", LONGEST_NOTE, lines=True) if has_note else None
    if "board" in change.model_fields_set:
        texts["board"] = change.board
    added, removed = (
        tuple(clean_text(tag, "a tag", LONGEST_TAG) for tag in tags)
        for tags in (change.add_tags, change.remove_tags)
    )
    wanted = AnnotationChange(change.stars, added, removed, texts)
    changed = await services.read_queue(
        services.artifacts.annotate, change.digests, caller.only_client, wanted
    )
    return Changed(changed=_noticed(services, changed))


@library_router.post("/trash", summary="Put results into the trash", responses=_CHANGING)
async def trash_results(
    services: TheServices, caller: MayRun, chosen: ChosenResults
) -> TrashedResults:
    """Leave results out of all lists until they are restored.

    After `trash_days` (30 by default) they are deleted. If a later job outputs the same bytes, its
    result is not in the trash.
    """
    trashed = await services.read_queue(
        services.artifacts.trash, chosen.digests, caller.only_client
    )
    return TrashedResults(trashed=_noticed(services, trashed))


@library_router.post("/restore", summary="Restore results from the trash", responses=_CHANGING)
async def restore_results(
    services: TheServices, caller: MayRun, chosen: ChosenResults
) -> RestoredResults:
    """Take results out of the trash, with their stars, tags, notes and boards."""
    async with services.artifacts.emptying:
        restored = await services.read_queue(
            services.artifacts.restore, chosen.digests, caller.only_client
        )
    return RestoredResults(restored=_noticed(services, restored))


@library_router.delete("/trash", summary="Empty the trash", responses=responses(401, 403, 503))
async def delete_trash(services: TheServices, caller: MayRun) -> Emptied:
    """Delete all results in the trash of the caller for good; for an admin, of all clients.

    Files stay if another job lists them. Results of unfinished jobs stay in the trash.
    """
    return Emptied(deleted=await empty_trash(services, caller.only_client))


@library_router.get("/tags", summary="List the tags", responses=responses(401, 403, 503))
async def list_tags(services: TheServices, caller: MayRead) -> TagCounts:
    """Return the tags of the results that the caller may see."""
    counts = await services.read_queue(services.artifacts.tag_counts, caller.only_client)
    return TagCounts(items=[shapes.TagCount(tag, count) for tag, count in counts])


@library_router.get("/boards", summary="List the boards", responses=responses(401, 403, 503))
async def list_boards(services: TheServices, caller: MayRead) -> BoardList:
    """Return the boards that the caller may see."""
    boards = await services.read_queue(services.artifacts.boards, caller.only_client)
    return BoardList(
        items=[
            shapes.Board(each.id, each.name, each.client, count, cover, each.created)
            for each, count, cover in boards
        ]
    )


@library_router.post(
    "/boards",
    summary="Make a board",
    status_code=201,
    responses=responses(400, 401, 403, 409, 413, 415, 422, 503),
)
async def add_board(services: TheServices, caller: MayRun, board: BoardName) -> shapes.Board:
    """Make an empty board for results of the caller."""
    made = await services.run_file_task(
        services.artifacts.library.add_board, caller.name, board.name
    )
    _noticed(services, 1)
    return shapes.Board(made.id, made.name, made.client, 0, None, made.created)


@library_router.patch(
    "/boards/{id}",
    summary="Rename a board",
    responses=responses(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def rename_board(
    services: TheServices, caller: MayRun, id: BoardId, board: BoardName
) -> shapes.Board:
    """Give a board another name. The results stay on it."""
    library = services.artifacts.library
    await services.run_file_task(library.rename_board, id, caller.only_client, board.name)
    _noticed(services, 1)
    boards = await services.read_queue(services.artifacts.boards, caller.only_client)
    each, count, cover = next(entry for entry in boards if entry[0].id == id)
    return shapes.Board(each.id, each.name, each.client, count, cover, each.created)


@library_router.delete(
    "/boards/{id}",
    summary="Delete a board",
    status_code=204,
    responses=responses(401, 403, 404, 503),
)
async def delete_board(services: TheServices, caller: MayRun, id: BoardId) -> None:
    """Delete a board. The results on it stay in the library."""
    await services.run_file_task(services.artifacts.library.delete_board, id, caller.only_client)
    _noticed(services, 1)


def _noticed(services: Services, changed: int) -> int:
    """The number of changes, of which all pages hear if there are any."""
    if changed:
        services.hub.notify("library.changed")
    return changed
