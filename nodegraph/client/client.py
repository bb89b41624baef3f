"""The client for programs that wait for what they ask."""

from __future__ import annotations

import ssl
from types import TracebackType

from nodegraph.client.blocking import Blocking
from nodegraph.client.client_files import AsksForFiles
from nodegraph.client.client_jobs import AsksForJobs
from nodegraph.client.client_server import AsksForServer, Queue, Settings
from nodegraph.client.client_workflows import Apps, Templates, Workflows
from nodegraph.client.connection import SECONDS, connection_to
from nodegraph.client.retries import Retries


class Client(AsksForJobs, AsksForFiles, AsksForServer):
    """Asks a server; safe to use from several threads. Close it, or use it with `with`.

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
        super().__init__(Blocking(connection), retries or Retries())
        self.server = connection.address.url
        self.workflows = Workflows(self._doer, self._retries)
        self.templates = Templates(self._doer, self._retries)
        self.apps = Apps(self._doer, self._retries)
        self.queue = Queue(self._doer, self._retries)
        self.settings = Settings(self._doer, self._retries)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.server!r})"

    def close(self) -> None:
        """Close all connections."""
        self._doer.close()
