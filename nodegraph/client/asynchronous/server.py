"""The server itself and its queue, and workflows that aren't to be kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.client.asynchronous.channel import AsyncClientPart
from nodegraph.client.node_types import NodeTypes, read_node_type, read_node_types
from nodegraph.client.reading import count, mapping, page, parse_answer, picture
from nodegraph.client.requests import PLAN_SECONDS, Request, json_request, query, url_path
from nodegraph.client.shapes import (
    Checked,
    Model,
    Plan,
    QueueState,
    Refreshed,
    Source,
    System,
    Translated,
)
from nodegraph.client.wishes import (
    AnyWorkflow,
    AsDocument,
    SettingsChange,
    WishFields,
    workflow_document,
)
from nodegraph.client.wishes import request_body as wished
from nodegraph.core.spec import NodeSpec

if TYPE_CHECKING:
    from typing_extensions import Unpack

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
        """A small picture of a model, as a WebP file.

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
