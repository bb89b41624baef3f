"""What can be asked about files: those that jobs gave, and those that are brought."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from nodegraph.client.calls import Call, Paged
from nodegraph.client.reading import Page, as_nothing, as_one, as_page, as_picture
from nodegraph.client.requests import Request, place, query
from nodegraph.client.shapes import Artifact, JobSummary, OutputFile, Upload
from nodegraph.client.shapes.jobs import id_of

AnyFile = OutputFile | Upload
_ARTIFACTS, _UPLOADS = "/artifacts", "/uploads"
_LONGEST_NAME = 200


def path_of(file: AnyFile) -> str:
    """Where the server has a file."""
    return (_UPLOADS if isinstance(file, Upload) else _ARTIFACTS) + place(file.digest)


def thumbnail(file: AnyFile, size: int) -> Call[bytes]:
    """A small picture of a picture."""
    return Call(Request("GET", f"{path_of(file)}/thumbnail", query(size=size)), as_picture)


class ArtifactFilter(TypedDict, total=False):
    """Which files that jobs gave; all that is given must hold.

    Attributes:
        job: Only its own.
        kind: Only such, for example ``image``.
        text: Words, each of which is in the file's name, its node's, or the name, tags, texts and
            parameters of its job.
        created_after, created_before: Unix times, the first included, the second not.
        distinct: Of several with the same bytes only the newest.
    """

    job: JobSummary | str | None
    kind: str | None
    text: str | None
    created_after: float | None
    created_before: float | None
    distinct: bool | None


def artifacts(which: ArtifactFilter) -> Paged[Call[Page[Artifact]]]:
    """Some files that jobs gave."""
    job = which.get("job")
    given = {**which, "job": None if job is None else id_of(job)}

    def make(cursor: str | None) -> Call[Page[Artifact]]:
        asked = query(**given, cursor=cursor)
        return Call(Request("GET", _ARTIFACTS, asked), as_page(Artifact))

    return make


def delete_artifact(digest: str, job: JobSummary | str | None) -> Call[None]:
    """Delete a file that jobs gave."""
    asked = query(job=None if job is None else id_of(job))
    request = Request("DELETE", _ARTIFACTS + place(digest), asked)
    return Call(request, as_nothing, done_before=404)


def upload(file: Path | str | bytes, name: str | None) -> Call[Upload]:
    """Bring a file.

    Args:
        file: Its path, or its bytes.
        name: What it is called there; its own name if not given.
    """
    body = Path(file) if isinstance(file, str) else file
    if name is None:
        name = body.name if isinstance(body, Path) else ""
    headers = {"Content-Type": "application/octet-stream"}
    asked = query(name=name[-_LONGEST_NAME:])
    # Named by its content there, so that bringing it twice is bringing it once.
    return Call(Request("POST", _UPLOADS, asked, headers, body), as_one(Upload))


def uploads(cursor: str | None) -> Call[Page[Upload]]:
    """Some files that were brought."""
    return Call(Request("GET", _UPLOADS, query(cursor=cursor)), as_page(Upload))


def delete_upload(digest: str) -> Call[None]:
    """Delete a file that was brought."""
    return Call(Request("DELETE", _UPLOADS + place(digest)), as_nothing, done_before=404)
