"""The client within an event loop."""

from __future__ import annotations

import ssl
from types import TracebackType

from nodegraph.client.async_client_files import AsyncAsksForFiles
from nodegraph.client.async_client_jobs import AsyncAsksForJobs
from nodegraph.client.async_client_server import AsyncAsksForServer, AsyncQueue, AsyncSettings
from nodegraph.client.async_client_workflows import AsyncApps, AsyncTemplates, AsyncWorkflows
from nodegraph.client.asynchronous import Asynchronous
from nodegraph.client.connection import SECONDS, connection_to
from nodegraph.client.retries import Retries


class AsyncClient(AsyncAsksForJobs, AsyncAsksForFiles, AsyncAsksForServer):
    """Asks a server, within one event loop. Close it, or use it with `async with`.

    What it can do, and what it is given, is as with `Client`. What is told one by one, such as
    events, comes from asynchronous generators: close one that isn't read to its end, for which
    there is `contextlib.aclosing`.

    Attributes:
        server: Its address.
        workflows: Those that are saved on the server.
        templates: Those that come with it.
        apps: Saved workflows, run by their names.
        queue: Its queue as a whole.
        settings: Its settings.
    """

    def __init__(
        self,
        server: str | None = None,
        token: str | None = None,
        *,
        timeout: float = SECONDS,
        retries: Retries | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        connection = connection_to(server, token, timeout, tls)
        super().__init__(Asynchronous(connection), retries or Retries())
        self.server = connection.address.url
        self.workflows = AsyncWorkflows(self._doer, self._retries)
        self.templates = AsyncTemplates(self._doer, self._retries)
        self.apps = AsyncApps(self._doer, self._retries)
        self.queue = AsyncQueue(self._doer, self._retries)
        self.settings = AsyncSettings(self._doer, self._retries)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.server!r})"

    async def close(self) -> None:
        """Close all connections."""
        await self._doer.close()
