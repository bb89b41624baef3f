"""The client."""

from __future__ import annotations

import ssl

from nodegraph.client.asynchronous.channel import AsyncTransport
from nodegraph.client.asynchronous.files import AsyncFileMethods
from nodegraph.client.asynchronous.jobs import AsyncJobMethods
from nodegraph.client.asynchronous.server import (
    AsyncQueue,
    AsyncServerMethods,
    AsyncSettings,
)
from nodegraph.client.asynchronous.workflows import AsyncApps, AsyncTemplates, AsyncWorkflows
from nodegraph.client.connection import SECONDS, connection_to
from nodegraph.client.retries import Retries


class AsyncClient(AsyncJobMethods, AsyncFileMethods, AsyncServerMethods):
    """Asks a server; for one event loop. Close it, or use it with `async with`.

    What is told one by one, such as events, comes from asynchronous generators: close one that
    isn't read to its end, for which there is `contextlib.aclosing`.

    Args:
        server: Its address, such as ``https://studio.example``; that of ``NODEGRAPH_SERVER``, or
            this machine's own, if not given.
        token: What lets one in; that of ``NODEGRAPH_TOKEN`` if not given, none if empty.
        timeout: Seconds that an answer may keep one waiting.
        retries: How long lost connections and a busy server are borne with.
        tls: What certificates are good; the machine's usual ones if not given.
    Raises:
        InvalidValue: The address or the token can't be one.

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
        channel = AsyncTransport(connection, retries or Retries())
        super().__init__(channel)
        self.server = connection.address.url
        self.workflows = AsyncWorkflows(channel)
        self.templates = AsyncTemplates(channel)
        self.apps = AsyncApps(channel)
        self.queue = AsyncQueue(channel)
        self.settings = AsyncSettings(channel)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.server!r})"

    async def close(self) -> None:
        """Close all connections."""
        await self._channel.close()
