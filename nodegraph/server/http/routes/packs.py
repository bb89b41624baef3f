"""Routes of packs: the installed ones, those of the index, and changes of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.server.http.dependencies import MayAdmin, TheServices
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.services import Services

router = APIRouter(prefix="/packs", tags=["packs"], route_class=JsonRoute)

_Name = Annotated[str, PathParameter(max_length=100, description="Name of an installed pack.")]
_Words = list[Annotated[str, Field(min_length=1, max_length=300)]]
_MOST_WANTED = 100


class PackRequest(BaseModel):
    """A pack to install. Only packs of the configured indexes can be installed."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        pattern=r"^[^\W\d]\w*$",
        max_length=100,
        description="Name of the pack in the index.",
        examples=["blur_tools"],
    )
    version: str = Field(
        "", max_length=100, description="Such as `>=1.2`; the newest one by default."
    )
    agree: bool = Field(False, description="Accept the costs that an earlier attempt returned.")


@router.get("", summary="List the installed packs", responses=responses(401, 403, 422))
async def list_packs(services: TheServices, caller: MayAdmin) -> shapes.PackList:
    """Return the packs of the server's home folder, and the change that runs or ran last.

    Packs in folders, and packs beside nodegraph in its own environment, are in `/system`.
    """
    manager = services.pack_manager
    items = await services.run_in_thread(manager.entries, services.node_types.now)
    return shapes.PackList(tuple(items), manager.has_index, manager.change)


@router.get("/available", summary="Search the index of packs", responses=responses(401, 403, 422))
async def list_available_packs(
    services: TheServices,
    caller: MayAdmin,
    search: Annotated[
        str, Query(max_length=200, description="Words of a name, a summary or a node type.")
    ] = "",
    node_type: Annotated[
        _Words | None,
        Query(max_length=_MOST_WANTED, description="Only packs that have one of these."),
    ] = None,
    name: Annotated[
        _Words | None, Query(max_length=_MOST_WANTED, description="Only packs of these names.")
    ] = None,
) -> shapes.AvailablePacks:
    """Return the newest versions of packs in the indexes of the setting `pack_index`.

    The server contacts indexes at addresses, at most every five minutes, and no other site.
    """
    return await services.run_in_thread(
        services.pack_manager.available, search, node_type or (), name or ()
    )


@router.post(
    "",
    summary="Install a pack of the index",
    status_code=202,
    responses=responses(400, 401, 403, 409, 413, 415, 422),
)
async def install_pack(
    services: TheServices, caller: MayAdmin, request: PackRequest
) -> shapes.PackChange:
    """Start the installation of a pack, and of its environment if it needs one.

    It runs as an untrusted pack, in a sandbox. None of its scripts run. Websocket notices
    `packs.changed` report the progress; `GET /packs` returns the state and what went wrong.
    """
    return services.pack_manager.start(
        request.name, "install", version=request.version, agree=request.agree
    )


@router.post(
    "/{name}/update",
    summary="Update a pack",
    status_code=202,
    responses=responses(401, 403, 404, 409, 422),
)
async def update_pack(services: TheServices, caller: MayAdmin, name: _Name) -> shapes.PackChange:
    """Start an update to the newest version. The former version stays for a rollback."""
    return services.pack_manager.start(name, "update", agree=True)


@router.post(
    "/{name}/rollback",
    summary="Use the earlier version of a pack again",
    responses=responses(401, 403, 404, 409, 422),
)
async def rollback_pack(services: TheServices, caller: MayAdmin, name: _Name) -> shapes.PackEntry:
    """Go back to the version before the last update, and to its environment."""
    return await _changed(services, name, "rollback")


@router.post(
    "/{name}/enable",
    summary="Offer the node types of a pack again",
    responses=responses(401, 403, 404, 409, 422),
)
async def enable_pack(services: TheServices, caller: MayAdmin, name: _Name) -> shapes.PackEntry:
    """Offer the node types of a pack that was disabled."""
    return await _changed(services, name, "enable")


@router.post(
    "/{name}/disable",
    summary="Offer the node types of a pack no more",
    responses=responses(401, 403, 404, 409, 422),
)
async def disable_pack(services: TheServices, caller: MayAdmin, name: _Name) -> shapes.PackEntry:
    """Leave a pack out. Its files and its environment stay."""
    return await _changed(services, name, "disable")


@router.delete(
    "/{name}",
    summary="Remove a pack",
    status_code=204,
    responses=responses(401, 403, 404, 409, 422),
)
async def remove_pack(services: TheServices, caller: MayAdmin, name: _Name) -> None:
    """Remove a pack and its environment. Files of a linked folder stay."""
    await services.pack_manager.run(name, "remove")


async def _changed(services: Services, name: str, action: shapes.PackAction) -> shapes.PackEntry:
    await services.pack_manager.run(name, action)
    return await services.run_in_thread(services.pack_manager.entry, name, services.node_types.now)
