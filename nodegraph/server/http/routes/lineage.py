"""Route of lineage."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from nodegraph.client import shapes
from nodegraph.client.shapes.jobs import DIGEST
from nodegraph.server.content.lineage import FileLineages
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.problems import responses

router = APIRouter(prefix="/lineage", tags=["artifacts"])


@router.get(
    "/{digest}",
    summary="Get what a file was made from, and what was made from it",
    responses=responses(401, 403, 404),
)
async def get_lineage(
    services: TheServices,
    caller: MayRead,
    digest: Annotated[str, Path(description="blake3 of the bytes.", examples=[DIGEST])],
) -> shapes.FileLineage:
    """Return the lineage of an output file or an upload, as its manifest and later ones state it.

    Files of other clients are left out. At most 500 steps in each direction are returned.
    """
    lineages = FileLineages(
        services.worker_settings.store_folder, services.artifacts, services.uploads
    )
    return await services.run_file_task(lineages.find, digest, caller.only_client)
