# Made from ../asynchronous/client.py by docs/generate_blocking_client.py: don't edit.
"""The client."""

from __future__ import annotations

import ssl

from nodegraph.client.blocking.channel import Channel
from nodegraph.client.blocking.files import AsksForFiles
from nodegraph.client.blocking.jobs import AsksForJobs
from nodegraph.client.blocking.server import (
    AsksForServer,
    Queue,
    SettingsOfServer,
)
from nodegraph.client.blocking.workflows import Apps, Templates, Workflows
from nodegraph.client.connection import SECONDS, connection_to
from nodegraph.client.retries import Retries


class Client(AsksForJobs, AsksForFiles, AsksForServer):
    """Asks a server; safe to use from several threads. Close it, or use it with `with`.

    What is told one by one, such as events, comes from generators: close one that
    isn't read to its end, for which there is `contextlib.closing`.

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
        channel = Channel(connection, retries or Retries())
        super().__init__(channel)
        self.server = connection.address.url
        self.workflows = Workflows(channel)
        self.templates = Templates(channel)
        self.apps = Apps(channel)
        self.queue = Queue(channel)
        self.settings = SettingsOfServer(channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.server!r})"

    def close(self) -> None:
        """Close all connections."""
        self._channel.close()
