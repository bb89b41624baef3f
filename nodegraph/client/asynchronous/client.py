"""AsyncClient with its parts for the server, queue, settings, workflows and apps."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.client.answers import (
    NodeTypes,
    count,
    mapping,
    page,
    parse_answer,
    picture,
    read_node_type,
    read_node_types,
)
from nodegraph.client.asynchronous.jobs import AsyncFileMethods, AsyncJobMethods
from nodegraph.client.asynchronous.transport import AsyncClientPart, AsyncTransport
from nodegraph.client.connection import SECONDS, connection_to
from nodegraph.client.request_fields import (
    AnyWorkflow,
    AsDocument,
    SettingsChange,
    WishFields,
    workflow_document,
)
from nodegraph.client.request_fields import request_body as wished
from nodegraph.client.requests import (
    JSON,
    PLAN_SECONDS,
    Request,
    Retries,
    json_request,
    query,
    url_path,
)
from nodegraph.client.shapes import (
    App,
    AppItem,
    AppRun,
    Checked,
    Model,
    Plan,
    QueueState,
    Refreshed,
    SavedItem,
    SavedVersion,
    Source,
    System,
    Template,
    Translated,
)
from nodegraph.core.spec import NodeSpec

if TYPE_CHECKING:
    from typing_extensions import Unpack

_WORKFLOWS, _TEMPLATES, _APPS = "/workflows", "/templates", "/apps"


class AsyncWorkflows(AsyncClientPart):
    """The workflows that are saved on a server."""

    async def save(
        self,
        name: str,
        workflow: Mapping[str, Any] | AsDocument,
        *,
        changes: str | None = None,
        is_new: bool = False,
    ) -> SavedVersion:
        """Keep a workflow under a name; what differs from what is there is its next version.

        Args:
            changes: `SavedVersion.digest` of what the change was made to, so that nobody else's is
                overwritten.
            is_new: Refuse if there is one of that name.
        Raises:
            Conflict: It was changed meanwhile, or is there.
        """
        headers = {"If-None-Match": "*"} if is_new else {}
        if changes is not None:
            headers["If-Match"] = f'"{changes}"'
        request = json_request(
            "PUT",
            _WORKFLOWS + url_path(name),
            workflow_document(workflow),
            headers=headers,
            # With a condition, the second one would be refused because of the first.
            is_repeatable=not headers,
        )
        return parse_answer(SavedVersion, await self._channel.send(request))

    async def get(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        """What the file of a workflow says; the newest version's if none is given.

        Raises:
            NotFound: There is none of that name, or version.
        """
        way = url_path(name) if version is None else url_path(name, "versions", version)
        return mapping(await self._channel.send(Request("GET", _WORKFLOWS + way)))

    def list(self, text: str = "") -> AsyncGenerator[SavedItem, None]:
        """The saved workflows by name; asked for as they are needed.

        Args:
            text: Only those with it in name, title or description.
        """
        return self._channel.items(SavedItem, _WORKFLOWS, query(text=text))

    async def versions(self, name: str) -> tuple[SavedVersion, ...]:
        """The versions of a workflow that are kept, the newest first."""
        request = Request("GET", _WORKFLOWS + url_path(name, "versions"))
        return page(SavedVersion, await self._channel.send(request)).items

    async def delete(self, name: str) -> None:
        """Delete a workflow with all its versions."""
        await self._channel.send(
            Request("DELETE", _WORKFLOWS + url_path(name), already_done_status=404)
        )


class AsyncTemplates(AsyncClientPart):
    """The workflows that come with a server, to start from."""

    async def list(self) -> tuple[Template, ...]:
        """All of them, by name."""
        return page(Template, await self._channel.send(Request("GET", _TEMPLATES))).items

    async def get(self, name: str) -> Mapping[str, Any]:
        """What the file of one says.

        Raises:
            NotFound: There is none of that name.
        """
        return mapping(await self._channel.send(Request("GET", _TEMPLATES + url_path(name))))

    async def picture(self, name: str) -> bytes:
        """An image of what one makes, as a WebP file.

        Raises:
            NotFound: There is none.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "picture"))
        return picture(await self._channel.send(request))

    async def file(self, name: str, file: str) -> bytes:
        """A file that one needs, such as an image to be uploaded.

        Raises:
            NotFound: It needs no such file.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "files", file))
        return (await self._channel.send(request)).body


class AsyncApps(AsyncClientPart):
    """Saved workflows, run by their names."""

    def list(self) -> AsyncGenerator[AppItem, None]:
        """The apps by name; asked for as they are needed."""
        return self._channel.items(AppItem, _APPS)

    async def get(self, name: str) -> App:
        """What an app takes and gives."""
        request = Request("GET", _APPS + url_path(name), headers={"Accept": JSON})
        return parse_answer(App, await self._channel.send(request))

    async def run(
        self,
        name: str,
        values: Mapping[str, Any] | None = None,
        *,
        wait: int = 0,
        key: str | None = None,
    ) -> AppRun:
        """Run an app.

        Args:
            values: Of its parameters. For a file, `Upload.value` of one that was brought.
            wait: Seconds to wait for it to finish, 120 at most; what is left of it goes on, and
                can be waited for as a job.
            key: Running it again with the same one gives the same job; a new one if not given.
        Raises:
            JobFailed: It failed while it was waited for.
        """
        headers = {
            "Accept": JSON,
            "Idempotency-Key": key or secrets.token_hex(16),
            "Prefer": f"wait={wait}",
        }
        request = json_request(
            "POST", _APPS + url_path(name), dict(values or {}), headers=headers, seconds=float(wait)
        )
        return parse_answer(AppRun, await self._channel.send(request))


_QUEUE, _SETTINGS = "/queue", "/settings"


class AsyncServerMethods(AsyncClientPart):
    """What can be asked of the server without a job."""

    async def validate(self, workflow: AnyWorkflow, **fields: Unpack[WishFields]) -> Checked:
        """Everything that is wrong with a workflow."""
        request = json_request("POST", "/validate", wished(workflow, fields), seconds=PLAN_SECONDS)
        return parse_answer(Checked, await self._channel.send(request))

    async def plan(self, workflow: AnyWorkflow, **fields: Unpack[WishFields]) -> Plan:
        """What a run would do, node by node, and what it is expected to take."""
        request = json_request("POST", "/plan", wished(workflow, fields), seconds=PLAN_SECONDS)
        return parse_answer(Plan, await self._channel.send(request))

    async def import_comfyui(self, document: Mapping[str, Any]) -> Translated:
        """A workflow of ComfyUI as one of nodegraph, and what couldn't be translated.

        Args:
            document: What its file says, in any of ComfyUI's formats.
        Raises:
            ServerError: It is none, or damaged.
        """
        request = json_request("POST", "/import", {"document": document}, seconds=PLAN_SECONDS)
        return parse_answer(Translated, await self._channel.send(request))

    async def script(self, workflow: Mapping[str, Any] | AsDocument) -> str:
        """The Python script that builds a workflow, as `nodegraph export --python` writes it."""
        request = json_request(
            "POST", "/script", {"workflow": workflow_document(workflow)}, seconds=PLAN_SECONDS
        )
        return str(mapping(await self._channel.send(request))["text"])

    async def node_types(self) -> NodeTypes:
        """What the server's nodes take and give."""
        return read_node_types(await self._channel.send(Request("GET", "/node-types")))

    async def node_type(self, name: str) -> NodeSpec:
        """What one of them takes and gives.

        Raises:
            NotFound: There is none of that name.
        """
        request = Request("GET", f"/node-types{url_path(name)}")
        return read_node_type(await self._channel.send(request))

    async def models(self) -> tuple[Model, ...]:
        """The server's models."""
        return page(Model, await self._channel.send(Request("GET", "/models"))).items

    async def model_thumbnail(self, name: str, size: int = 256) -> bytes:
        """A small image of a model, as a WebP file.

        Args:
            name: The model's.
            size: Pixels of the square that it fits into, 64 to 512.
        Raises:
            NotFound: There is none beside it.
        """
        request = Request("GET", "/models/thumbnail", query(name=name, size=size))
        return picture(await self._channel.send(request))

    async def sources(
        self, *, models: Sequence[str] = (), packs: Sequence[str] = ()
    ) -> tuple[Source, ...]:
        """Where to get models and node packs that a plan says are missing; hints for people.

        Args:
            models, packs: Their names.
        """
        request = Request("GET", "/sources", query(model=list(models), pack=list(packs)))
        return page(Source, await self._channel.send(request)).items

    async def system(self) -> System:
        """The server itself: versions, processes, memory, the queue."""
        return parse_answer(System, await self._channel.send(Request("GET", "/system")))

    async def refresh(self) -> Refreshed:
        """Have the server look at its node packs anew; workers take up what has changed.

        Takes a token that may administer.
        """
        request = Request("POST", "/system/refresh", extra_seconds=PLAN_SECONDS)
        return parse_answer(Refreshed, await self._channel.send(request))


class AsyncQueue(AsyncClientPart):
    """A server's queue as a whole."""

    async def get(self, upcoming: int = 50) -> QueueState:
        """How the queue is.

        Args:
            upcoming: How many of the next jobs are told.
        """
        request = Request("GET", _QUEUE, query(limit=upcoming))
        return parse_answer(QueueState, await self._channel.send(request))

    async def pause(self) -> QueueState:
        """Begin no more jobs, also after a restart; what runs goes on.

        Takes a token that may administer, as `resume` does.
        """
        return parse_answer(
            QueueState, await self._channel.send(Request("POST", f"{_QUEUE}/pause"))
        )

    async def resume(self) -> QueueState:
        """Begin jobs again."""
        return parse_answer(
            QueueState, await self._channel.send(Request("POST", f"{_QUEUE}/resume"))
        )

    async def clear(self, *, client: str | None = None, tag: str | None = None) -> int:
        """Cancel one's jobs that wait, or everybody's with a token that may administer.

        Args:
            client: Only its jobs.
            tag: Only jobs with it.
        Returns:
            How many those were.
        """
        parameters = query(client=client, tag=tag)
        # Sent once more, it would cancel what was submitted since.
        request = Request("POST", f"{_QUEUE}/clear", parameters, is_repeatable=False)
        return count("cancelled", await self._channel.send(request))


class AsyncSettings(AsyncClientPart):
    """A server's settings; for tokens that may administer."""

    async def get(self) -> Mapping[str, Any]:
        """The settings in force, as docs/operations.md lists them."""
        return mapping(await self._channel.send(Request("GET", _SETTINGS)))

    async def change(self, **change: Unpack[SettingsChange]) -> Mapping[str, Any]:
        """Change some until the server starts again; the settings in force then.

        Args:
            change: See `SettingsChange`. What isn't given stays.
        """
        return mapping(await self._channel.send(json_request("PATCH", _SETTINGS, change)))


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
