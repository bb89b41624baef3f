"""Workflows, apps and the server itself, within an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.client import server_calls
from nodegraph.client.async_asking import AsyncAsks
from nodegraph.client.entries import (
    App,
    AppItem,
    AppRun,
    Checked,
    Model,
    Plan,
    SavedItem,
    SavedVersion,
    System,
)
from nodegraph.client.job_calls import AnyWorkflow, AsDocument, WishFields
from nodegraph.client.node_types import NodeTypes
from nodegraph.client.sending import gathered, paged
from nodegraph.core.spec import NodeSpec

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsyncAsksForServer(AsyncAsks):
    """What can be asked of the server without a job."""

    async def validate(self, workflow: AnyWorkflow, **wish: Unpack[WishFields]) -> Checked:
        """See `Client.validate`."""
        return await self._asked(server_calls.validate(workflow, wish))

    async def plan(self, workflow: AnyWorkflow, **wish: Unpack[WishFields]) -> Plan:
        """See `Client.plan`."""
        return await self._asked(server_calls.plan(workflow, wish))

    async def node_types(self) -> NodeTypes:
        """See `Client.node_types`."""
        return await self._asked(server_calls.node_types())

    async def node_type(self, name: str) -> NodeSpec:
        """See `Client.node_type`."""
        return await self._asked(server_calls.node_type(name))

    async def models(self) -> tuple[Model, ...]:
        """See `Client.models`."""
        return await self._doer.done(gathered(server_calls.models(), self._retries))

    async def system(self) -> System:
        """See `Client.system`."""
        return await self._asked(server_calls.system())


class AsyncWorkflows(AsyncAsks):
    """The workflows that are saved on a server."""

    async def save(
        self,
        name: str,
        workflow: Mapping[str, Any] | AsDocument,
        *,
        changes: str | None = None,
        is_new: bool = False,
    ) -> SavedVersion:
        """See `Workflows.save`."""
        return await self._asked(server_calls.save_workflow(name, workflow, changes, is_new))

    async def get(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        """See `Workflows.get`."""
        return await self._asked(server_calls.get_workflow(name, version))

    def list(self, text: str = "") -> AsyncGenerator[SavedItem, None]:
        """See `Workflows.list`."""
        return self._doer.told(paged(lambda at: server_calls.workflows(at, text), self._retries))

    async def versions(self, name: str) -> tuple[SavedVersion, ...]:
        """See `Workflows.versions`."""
        return await self._doer.done(gathered(server_calls.versions(name), self._retries))

    async def delete(self, name: str) -> None:
        """See `Workflows.delete`."""
        await self._asked(server_calls.delete_workflow(name))


class AsyncApps(AsyncAsks):
    """Saved workflows, run by their names."""

    def list(self) -> AsyncGenerator[AppItem, None]:
        """See `Apps.list`."""
        return self._doer.told(paged(server_calls.apps, self._retries))

    async def get(self, name: str) -> App:
        """See `Apps.get`."""
        return await self._asked(server_calls.app(name))

    async def run(
        self,
        name: str,
        values: Mapping[str, Any] | None = None,
        *,
        wait: int = 0,
        key: str | None = None,
    ) -> AppRun:
        """See `Apps.run`."""
        return await self._asked(server_calls.run_app(name, values or {}, wait, key))
