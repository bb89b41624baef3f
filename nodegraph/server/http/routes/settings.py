"""The server's settings: all of them to look at, a few to change while it runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.server.http.dependencies import MayAdmin, TheServices
from nodegraph.server.http.json_route import JsonRoute
from nodegraph.server.http.problems import responses
from nodegraph.server.settings import Retention, ServerSettings
from nodegraph.session.settings_kinds import Count, Seconds

settings_router = APIRouter(prefix="/settings", tags=["system"], route_class=JsonRoute)


class RetentionChange(BaseModel):
    """What is given is changed; null takes a limit away."""

    model_config = ConfigDict(extra="forbid")

    seconds: Seconds | None = None
    count: Count | None = None
    failed_seconds: Seconds | None = None
    failed_count: Count | None = None


class SettingsChange(BaseModel):
    """What may be changed while the server runs."""

    model_config = ConfigDict(extra="forbid")

    retention: Annotated[
        RetentionChange | None, Field(description="Which ended jobs are kept.")
    ] = None


@settings_router.get("", summary="Look at the settings", responses=responses(401, 403))
async def get_settings(services: TheServices, caller: MayAdmin) -> ServerSettings:
    """As they are in force. None of them is a secret; tokens aren't among them."""
    return services.server


@settings_router.patch(
    "",
    summary="Change settings",
    responses=responses(400, 401, 403, 413, 415, 422),
)
async def change_settings(
    services: TheServices, caller: MayAdmin, change: SettingsChange
) -> ServerSettings:
    """Until the server starts again: what lasts belongs into the config file."""
    if change.retention is not None:
        overrides: dict[str, Any] = change.retention.model_dump(exclude_unset=True)
        kept = services.server.retention.model_dump() | overrides
        update = {"retention": Retention.model_validate(kept)}
        services.server = services.server.model_copy(update=update)
    return services.server
