"""What routes are handed: the services, and a caller who may do what the route does.

Every route names one of `MayRead`, `MayRun`, `MayModels` and `MayAdmin`; a test sees to it. They
work for websockets as well.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from nodegraph.server.access.caller import Caller, Scope, request_notes
from nodegraph.server.http.errors import Forbidden, no_caller
from nodegraph.server.services import Services

# Coroutines, though they wait for nothing: FastAPI hands plain functions to a thread.


async def services(request: HTTPConnection) -> Services:
    """The server's parts."""
    return cast(Services, request.app.state.services)


async def caller(request: HTTPConnection) -> Caller:
    """Who asks.

    Raises:
        Unauthenticated: Nobody that is known.
    """
    known_caller = request_notes(request.scope).caller
    if known_caller is None:
        raise no_caller()
    return known_caller


def require_scope(caller: Caller, scope: Scope) -> Caller:
    """The caller.

    Raises:
        Forbidden: Without the scope.
    """
    if not caller.may(scope):
        raise Forbidden(
            f"the scope `{scope}` is needed",
            given=", ".join(sorted(caller.scopes)),
            expected=scope,
            hint="Use another token.",
        )
    return caller


async def may_read(request: HTTPConnection) -> Caller:
    """The caller, who may read."""
    return require_scope(await caller(request), "read")


async def may_run(request: HTTPConnection) -> Caller:
    """The caller, who may run."""
    return require_scope(await caller(request), "run")


async def may_models(request: HTTPConnection) -> Caller:
    """The caller, who may get and change models."""
    return require_scope(await caller(request), "models")


async def may_admin(request: HTTPConnection) -> Caller:
    """The caller, who may administer."""
    return require_scope(await caller(request), "admin")


TheServices = Annotated[Services, Depends(services)]
MayRead = Annotated[Caller, Depends(may_read)]
MayRun = Annotated[Caller, Depends(may_run)]
MayModels = Annotated[Caller, Depends(may_models)]
MayAdmin = Annotated[Caller, Depends(may_admin)]
