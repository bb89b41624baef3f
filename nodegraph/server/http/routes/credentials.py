"""Routes of Content Credentials: those that a file has, and signed copies of output files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import PurePath

from fastapi import APIRouter, Request, Response

from nodegraph.client import shapes
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.file_responses import ANY_FILE, retry_until_shared
from nodegraph.server.http.media_types import SUFFIXES
from nodegraph.server.http.problems import responses
from nodegraph.server.http.responses import OpenFile
from nodegraph.server.http.routes.artifacts import Digest
from nodegraph.server.http.signed_copies import can_sign, signed_response
from nodegraph.server.services import Services
from nodegraph.session.signing import trusted_certificates

router = APIRouter(tags=["artifacts"])


@router.get(
    "/artifacts/{digest}/credentials",
    summary="Check the Content Credentials of a file",
    responses=responses(401, 403, 404, 410, 413, 422),
)
async def get_artifact_credentials(
    services: TheServices, caller: MayRead, digest: Digest
) -> shapes.FileCredentials:
    """Return who signed a file (C2PA), what the signature says, and whether it was changed since.

    Also reads the invisible watermark of an image. Signed files need the extra `c2pa` on the
    server.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = partial(services.artifacts.open, artifact)
    return await retry_until_shared(lambda: _credentials(services, caller, artifact.path, opened))


@router.get(
    "/uploads/{digest}/credentials",
    summary="Check the Content Credentials of an upload",
    tags=["uploads"],
    responses=responses(401, 403, 404, 410, 413, 422),
)
async def get_upload_credentials(
    services: TheServices, caller: MayRead, digest: Digest
) -> shapes.FileCredentials:
    """Return who signed an upload; as for artifacts."""
    upload = await services.run_file_task(services.uploads.find, digest, caller.only_client)
    name = f"file{SUFFIXES.get(upload.media_type, PurePath(upload.name).suffix)}"
    return await _credentials(services, caller, name, lambda: services.uploads.open(upload))


@router.get(
    "/artifacts/{digest}/signed",
    summary="Get a signed copy of a file",
    response_class=Response,
    responses={
        200: {"description": "The copy.", "content": ANY_FILE},
        **responses(401, 403, 404, 410, 413, 416, 422),
    },
)
async def get_signed_artifact(
    request: Request, services: TheServices, caller: MayRead, digest: Digest
) -> Response:
    """Return a copy of an output file that is signed now, with Content Credentials (C2PA).

    It is marked as made by AI, and names the input files that the caller may read. The file itself
    does not change. For a format that can't hold credentials, such as GLB, the answer is a ZIP file
    with the copy and its `.c2pa` file. The server needs a certificate: see docs/authorship.md.
    """
    return await signed_response(request, services, caller, digest)


async def _credentials(
    services: Services, caller: Caller, name: str, opened: Callable[[], OpenFile]
) -> shapes.FileCredentials:
    trusted = await services.run_file_task(trusted_certificates, services.settings)
    document = await services.artifacts.thumbnails.credentials(
        PurePath(name).suffix, trusted, opened, caller.name
    )
    ingredients = tuple(shapes.CredentialIngredient(**item) for item in document.pop("ingredients"))
    known = {key: value for key, value in document.items() if key in _FIELDS}
    return shapes.FileCredentials(
        **{**known, "problems": tuple(known["problems"])},
        ingredients=ingredients,
        can_sign=can_sign(services.settings),
    )


_FIELDS = frozenset(shapes.FileCredentials.__slots__)
