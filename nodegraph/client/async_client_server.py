"""The server itself and its queue, within an event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.client import server_calls
from nodegraph.client.async_asking import AsyncAsks
from nodegraph.client.job_calls import AnyWorkflow, WishFields
from nodegraph.client.node_types import NodeTypes
from nodegraph.client.sending import gathered
from nodegraph.client.server_calls import SettingsChange
from nodegraph.client.shapes import (
    Checked,
    Model,
    Plan,
    QueueState,
    Refreshed,
    Source,
    System,
)
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

    async def model_thumbnail(self, name: str, size: int = 256) -> bytes:
        """See `Client.model_thumbnail`."""
        return await self._asked(server_calls.model_thumbnail(name, size))

    async def sources(
        self, *, models: Sequence[str] = (), packs: Sequence[str] = ()
    ) -> tuple[Source, ...]:
        """See `Client.sources`."""
        return await self._doer.done(gathered(server_calls.sources(models, packs), self._retries))

    async def system(self) -> System:
        """See `Client.system`."""
        return await self._asked(server_calls.system())

    async def refresh(self) -> Refreshed:
        """See `Client.refresh`."""
        return await self._asked(server_calls.refresh())


class AsyncQueue(AsyncAsks):
    """A server's queue as a whole."""

    async def get(self, upcoming: int = 50) -> QueueState:
        """See `Queue.get`."""
        return await self._asked(server_calls.queue(upcoming))

    async def pause(self) -> QueueState:
        """See `Queue.pause`."""
        return await self._asked(server_calls.pause())

    async def resume(self) -> QueueState:
        """See `Queue.resume`."""
        return await self._asked(server_calls.resume())

    async def clear(self, *, client: str | None = None, tag: str | None = None) -> int:
        """See `Queue.clear`."""
        return await self._asked(server_calls.clear(client, tag))


class AsyncSettings(AsyncAsks):
    """A server's settings; for tokens that may administer."""

    async def get(self) -> Mapping[str, Any]:
        """See `Settings.get`."""
        return await self._asked(server_calls.settings())

    async def change(self, **change: Unpack[SettingsChange]) -> Mapping[str, Any]:
        """See `Settings.change`."""
        return await self._asked(server_calls.change_settings(change))
