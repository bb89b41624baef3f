"""AsyncClient and its parts for the server, queue, schedules, webhooks, workflows and apps."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
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
from nodegraph.client.asynchronous.models import (
    AsyncLibrary,
    AsyncModelDownloads,
    AsyncModelMethods,
    AsyncPacks,
)
from nodegraph.client.asynchronous.transport import AsyncClientPart, AsyncTransport
from nodegraph.client.connection import SECONDS, connection_to
from nodegraph.client.request_fields import (
    AnyWorkflow,
    AsDocument,
    JobFields,
    ScheduleFields,
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
    Delivery,
    JobSummary,
    MergedWorkflow,
    Plan,
    QueueState,
    Refreshed,
    SavedItem,
    SavedVersion,
    Schedule,
    SecretInfo,
    SecretList,
    Source,
    System,
    Template,
    Translated,
    WebhookTest,
    WorkflowComparison,
)
from nodegraph.client.shapes.jobs import id_of
from nodegraph.core.spec import NodeSpec

if TYPE_CHECKING:
    from typing_extensions import Unpack

_WORKFLOWS, _TEMPLATES, _APPS = "/workflows", "/templates", "/apps"
_SCHEDULES, _WEBHOOKS = "/schedules", "/webhooks"


class AsyncWorkflows(AsyncClientPart):
    """Saved workflows of a server."""

    async def save(
        self,
        name: str,
        workflow: Mapping[str, Any] | AsDocument,
        *,
        changes: str | None = None,
        is_new: bool = False,
    ) -> SavedVersion:
        """Save a workflow under a name. If it differs from the stored one, it is the next version.

        Args:
            changes: `SavedVersion.digest` of the version that was changed. The server refuses to
                overwrite any other version.
            is_new: Whether to refuse if a workflow of this name exists.
        Raises:
            Conflict: The workflow was changed meanwhile, or it already exists.
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
        """Return the content of a workflow file, by default of the newest version.

        Raises:
            NotFound: There is no workflow of this name, or no such version.
        """
        way = url_path(name) if version is None else url_path(name, "versions", version)
        return mapping(await self._channel.send(Request("GET", _WORKFLOWS + way)))

    def list(self, text: str = "") -> AsyncGenerator[SavedItem, None]:
        """Iterate over the saved workflows, sorted by name. Pages are requested as needed.

        Args:
            text: Only workflows with this text in their name, title or description.
        """
        return self._channel.items(SavedItem, _WORKFLOWS, query(text=text))

    async def versions(self, name: str) -> tuple[SavedVersion, ...]:
        """Return the stored versions of a workflow, the newest first."""
        request = Request("GET", _WORKFLOWS + url_path(name, "versions"))
        return page(SavedVersion, await self._channel.send(request)).items

    async def delete(self, name: str) -> None:
        """Delete a workflow with all its versions."""
        await self._channel.send(
            Request("DELETE", _WORKFLOWS + url_path(name), already_done_status=404)
        )


class AsyncTemplates(AsyncClientPart):
    """Workflows that ship with a server, as starting points."""

    async def list(self) -> tuple[Template, ...]:
        """Return all templates, sorted by name."""
        return page(Template, await self._channel.send(Request("GET", _TEMPLATES))).items

    async def get(self, name: str) -> Mapping[str, Any]:
        """Return the content of a template's workflow file.

        Raises:
            NotFound: There is no template of this name.
        """
        return mapping(await self._channel.send(Request("GET", _TEMPLATES + url_path(name))))

    async def picture(self, name: str) -> bytes:
        """Return the bytes of a WebP image that a template makes.

        Raises:
            NotFound: There is no image.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "picture"))
        return picture(await self._channel.send(request))

    async def lesson(self, name: str) -> Mapping[str, Any]:
        """Return the content of the lesson about a template: its steps, with texts by language.

        Raises:
            NotFound: There is no lesson.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "lesson"))
        return mapping(await self._channel.send(request))

    async def file(self, name: str, file: str) -> bytes:
        """Return the bytes of a file that a template needs, such as an image to upload.

        Raises:
            NotFound: The template does not need such a file.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "files", file))
        return (await self._channel.send(request)).body


class AsyncApps(AsyncClientPart):
    """Apps of a server: saved workflows that are run by their names."""

    def list(self) -> AsyncGenerator[AppItem, None]:
        """Iterate over the apps, sorted by name. Pages are requested as needed."""
        return self._channel.items(AppItem, _APPS)

    async def get(self, name: str) -> App:
        """Return the parameters and outputs of an app."""
        request = Request("GET", _APPS + url_path(name), headers={"Accept": JSON})
        return parse_answer(App, await self._channel.send(request))

    async def run(
        self,
        name: str,
        values: Mapping[str, Any] | None = None,
        *,
        wait: int = 0,
        key: str | None = None,
        webhook: str | None = None,
        not_before: str | None = None,
    ) -> AppRun:
        """Run an app.

        Args:
            values: Values of its parameters. For a file, `Upload.value` of an upload.
            wait: Seconds to wait for the result, at most 120. An unfinished run continues, and can
                be awaited as a job.
            key: Idempotency key: a second run with the same key returns the same job. By default
                a new key.
            webhook: Address that is sent the end of the job, or ``none``. By default the webhook of
                the token.
            not_before: Time before which the job does not start, as ISO 8601.
        Raises:
            JobFailed: The run failed during the wait.
        """
        headers = {
            "Accept": JSON,
            "Idempotency-Key": key or secrets.token_hex(16),
            "Prefer": f"wait={wait}",
        }
        request = json_request(
            "POST", _APPS + url_path(name), dict(values or {}), headers=headers, seconds=float(wait)
        )
        request = replace(request, query=query(webhook=webhook, not_before=not_before))
        return parse_answer(AppRun, await self._channel.send(request))


_QUEUE, _SETTINGS, _SECRETS = "/queue", "/settings", "/secrets"


class AsyncServerMethods(AsyncClientPart):
    """Methods of the server that need no job."""

    async def validate(self, workflow: AnyWorkflow, **fields: Unpack[WishFields]) -> Checked:
        """Return all problems of a workflow."""
        request = json_request("POST", "/validate", wished(workflow, fields), seconds=PLAN_SECONDS)
        return parse_answer(Checked, await self._channel.send(request))

    async def plan(self, workflow: AnyWorkflow, **fields: Unpack[WishFields]) -> Plan:
        """Return what a run would do, node by node, with its expected time and memory."""
        request = json_request("POST", "/plan", wished(workflow, fields), seconds=PLAN_SECONDS)
        return parse_answer(Plan, await self._channel.send(request))

    async def import_comfyui(self, document: Mapping[str, Any]) -> Translated:
        """Translate a ComfyUI workflow, and list what cannot be translated.

        Args:
            document: Content of the file, in any format of ComfyUI.
        Raises:
            ServerError: The document is not a ComfyUI workflow, or it is damaged.
        """
        request = json_request("POST", "/import", {"document": document}, seconds=PLAN_SECONDS)
        return parse_answer(Translated, await self._channel.send(request))

    async def script(self, workflow: Mapping[str, Any] | AsDocument) -> str:
        """Return the Python script that builds a workflow, like `nodegraph export --python`."""
        request = json_request(
            "POST", "/script", {"workflow": workflow_document(workflow)}, seconds=PLAN_SECONDS
        )
        return str(mapping(await self._channel.send(request))["text"])

    async def compare(
        self,
        first: Mapping[str, Any] | AsDocument,
        second: Mapping[str, Any] | AsDocument,
    ) -> WorkflowComparison:
        """Return how two workflows differ, like `nodegraph diff`."""
        body = {"first": workflow_document(first), "second": workflow_document(second)}
        request = json_request("POST", "/compare", body, seconds=PLAN_SECONDS)
        return parse_answer(WorkflowComparison, await self._channel.send(request))

    async def merge(
        self,
        base: Mapping[str, Any] | AsDocument,
        ours: Mapping[str, Any] | AsDocument,
        theirs: Mapping[str, Any] | AsDocument,
        *,
        skipped_ours: Sequence[int] = (),
        skipped_theirs: Sequence[int] = (),
    ) -> MergedWorkflow:
        """Merge two workflows with a common base, like `nodegraph merge`.

        Args:
            skipped_ours, skipped_theirs: Indices of changes to leave out, as an earlier merge of
                the same workflows lists them.
        """
        sides = {"base": base, "ours": ours, "theirs": theirs}
        body = {
            **{name: workflow_document(each) for name, each in sides.items()},
            "skipped_ours": list(skipped_ours),
            "skipped_theirs": list(skipped_theirs),
        }
        request = json_request("POST", "/merge", body, seconds=PLAN_SECONDS)
        return parse_answer(MergedWorkflow, await self._channel.send(request))

    async def node_types(self) -> NodeTypes:
        """Return all node types of the server with their inputs and outputs."""
        return read_node_types(await self._channel.send(Request("GET", "/node-types")))

    async def node_type(self, name: str) -> NodeSpec:
        """Return a node type with its inputs and outputs.

        Raises:
            NotFound: There is no node type of this name.
        """
        request = Request("GET", f"/node-types{url_path(name)}")
        return read_node_type(await self._channel.send(request))

    async def sources(
        self, *, models: Sequence[str] = (), packs: Sequence[str] = ()
    ) -> tuple[Source, ...]:
        """Return where to get models and node packs that a plan reports as missing.

        Args:
            models, packs: Names of missing models and packs.
        """
        request = Request("GET", "/sources", query(model=list(models), pack=list(packs)))
        return page(Source, await self._channel.send(request)).items

    async def system(self) -> System:
        """Return the state of the server: versions, processes, memory and queue."""
        return parse_answer(System, await self._channel.send(Request("GET", "/system")))

    async def refresh(self) -> Refreshed:
        """Reload the server's node packs; each worker loads the changed ones.

        This needs an admin token.
        """
        request = Request("POST", "/system/refresh", extra_seconds=PLAN_SECONDS)
        return parse_answer(Refreshed, await self._channel.send(request))


class AsyncQueue(AsyncClientPart):
    """The job queue of a server."""

    async def get(self, upcoming: int = 50) -> QueueState:
        """Return the state of the queue.

        Args:
            upcoming: Largest number of next jobs in the answer.
        """
        request = Request("GET", _QUEUE, query(limit=upcoming))
        return parse_answer(QueueState, await self._channel.send(request))

    async def pause(self) -> QueueState:
        """Start no new jobs, also after a restart. Running jobs continue.

        This needs an admin token, as does `resume`.
        """
        return parse_answer(
            QueueState, await self._channel.send(Request("POST", f"{_QUEUE}/pause"))
        )

    async def resume(self) -> QueueState:
        """Start jobs again."""
        return parse_answer(
            QueueState, await self._channel.send(Request("POST", f"{_QUEUE}/resume"))
        )

    async def clear(self, *, client: str | None = None, tag: str | None = None) -> int:
        """Cancel your waiting jobs, or with an admin token those of all clients.

        Args:
            client: Only jobs of this client.
            tag: Only jobs with this tag.
        Returns:
            Number of cancelled jobs.
        """
        parameters = query(client=client, tag=tag)
        # Sent again, it would cancel jobs that were submitted since.
        request = Request("POST", f"{_QUEUE}/clear", parameters, is_repeatable=False)
        return count("cancelled", await self._channel.send(request))


class AsyncSettings(AsyncClientPart):
    """Settings of a server, for admin tokens."""

    async def get(self) -> Mapping[str, Any]:
        """Return the current settings; docs/operations.md lists them."""
        return mapping(await self._channel.send(Request("GET", _SETTINGS)))

    async def change(self, **change: Unpack[SettingsChange]) -> Mapping[str, Any]:
        """Change settings until the next restart, and return the new settings.

        Args:
            change: See `SettingsChange`. Omitted settings stay unchanged.
        """
        return mapping(await self._channel.send(json_request("PATCH", _SETTINGS, change)))


class AsyncSchedules(AsyncClientPart):
    """Requests that become jobs at times. Schedules may be given by their ids."""

    async def add(
        self,
        rule: str,
        workflow: AnyWorkflow,
        *,
        job: JobFields | None = None,
        **options: Unpack[ScheduleFields],
    ) -> Schedule:
        """Add a schedule.

        Args:
            rule: ``every 90m``, ``daily 02:00``, ``weekdays 08:30``, ``mon,thu 18:00``, or
                ``endless``: the next job starts when the last has ended.
            workflow: See `submit`.
            job: Fields of its jobs.
            options: See `ScheduleFields`.
        Raises:
            InvalidWorkflow: The workflow cannot run; lists all its problems.
            InvalidValue: The rule is none.
        """
        body = {"rule": rule, "job": wished(workflow, job or {}), **options}
        # Sent again, it would be a second schedule.
        request = json_request("POST", _SCHEDULES, body, is_repeatable=False)
        return parse_answer(Schedule, await self._channel.send(request))

    async def list(self) -> tuple[Schedule, ...]:
        """Return the schedules, the oldest first."""
        return page(Schedule, await self._channel.send(Request("GET", _SCHEDULES))).items

    async def get(self, schedule: Schedule | str) -> Schedule:
        """Return a schedule.

        Raises:
            NotFound: There is no schedule of this id.
        """
        request = Request("GET", _SCHEDULES + url_path(_id_of(schedule)))
        return parse_answer(Schedule, await self._channel.send(request))

    async def pause(self, schedule: Schedule | str) -> Schedule:
        """Have a schedule submit no more jobs until it is resumed."""
        request = Request("POST", _SCHEDULES + url_path(_id_of(schedule), "pause"))
        return parse_answer(Schedule, await self._channel.send(request))

    async def resume(self, schedule: Schedule | str) -> Schedule:
        """Have a paused schedule fire again, from its next time on."""
        request = Request("POST", _SCHEDULES + url_path(_id_of(schedule), "resume"))
        return parse_answer(Schedule, await self._channel.send(request))

    async def run(self, schedule: Schedule | str) -> JobSummary:
        """Submit the next job of a schedule now, also of one that is paused."""
        path = _SCHEDULES + url_path(_id_of(schedule), "run")
        request = Request("POST", path, is_repeatable=False)
        return parse_answer(JobSummary, await self._channel.send(request))

    async def remove(self, schedule: Schedule | str) -> None:
        """Remove a schedule. Its jobs stay."""
        path = _SCHEDULES + url_path(_id_of(schedule))
        await self._channel.send(Request("DELETE", path, already_done_status=404))


class AsyncWebhooks(AsyncClientPart):
    """Deliveries of jobs' events to webhooks. Deliveries may be given by their ids."""

    def list(
        self,
        *,
        state: str | None = None,
        job: JobSummary | str | None = None,
        most: int | None = None,
    ) -> AsyncGenerator[Delivery, None]:
        """Iterate over deliveries, the newest first. Pages are requested as needed.

        Args:
            state: Only those that are ``pending``, ``delivered`` or ``failed``.
            job: Only those of this job.
            most: Largest number of deliveries.
        """
        which = query(state=state, job=None if job is None else id_of(job))
        return self._channel.items(Delivery, _WEBHOOKS, which, most)

    async def get(self, delivery: Delivery | str) -> Delivery:
        """Return what became of a delivery.

        Raises:
            NotFound: There is no delivery of this id.
        """
        request = Request("GET", _WEBHOOKS + url_path(_id_of(delivery)))
        return parse_answer(Delivery, await self._channel.send(request))

    async def replay(self, delivery: Delivery | str) -> Delivery:
        """Deliver once more, from now on, under the same id."""
        request = Request("POST", _WEBHOOKS + url_path(_id_of(delivery), "replay"))
        return parse_answer(Delivery, await self._channel.send(request))

    async def test(self, url: str | None = None) -> WebhookTest:
        """Send an event of the kind ``webhook.test`` now, and return how it went.

        Args:
            url: Address of the receiver; the webhook of the token if not given.
        """
        request = json_request("POST", f"{_WEBHOOKS}/test", {"url": url}, seconds=PLAN_SECONDS)
        return parse_answer(WebhookTest, await self._channel.send(request))

    async def new_secret(self, *, hours: float = 24.0) -> str:
        """Make a new secret for the deliveries of your jobs, and return it, this once.

        Args:
            hours: Hours for which the former secret signs deliveries as well.
        """
        body = {"hours": hours}
        # Sent again, it would replace the one that was just made.
        request = json_request("POST", f"{_WEBHOOKS}/secret", body, is_repeatable=False)
        return str(mapping(await self._channel.send(request)).get("secret", ""))


def _id_of(item: Schedule | Delivery | str) -> str:
    return item if isinstance(item, str) else item.id


class AsyncSecrets(AsyncClientPart):
    """Keys of hosted services that nodes use by name. Values are never returned."""

    async def list(self) -> tuple[SecretInfo, ...]:
        """Return the names and hosts of the secrets."""
        answer = await self._channel.send(Request("GET", _SECRETS))
        return parse_answer(SecretList, answer).secrets

    async def set(self, name: str, value: str, hosts: Sequence[str]) -> SecretInfo:
        """Store or replace a secret. It needs an admin token.

        Args:
            hosts: Hosts that it may be sent to, such as ``api.openai.com``.
        """
        body = {"value": value, "hosts": [*hosts]}
        request = json_request("PUT", f"{_SECRETS}{url_path(name)}", body)
        return parse_answer(SecretInfo, await self._channel.send(request))

    async def remove(self, name: str) -> None:
        """Remove a secret. It needs an admin token."""
        await self._channel.send(Request("DELETE", f"{_SECRETS}{url_path(name)}"))


class AsyncClient(AsyncJobMethods, AsyncFileMethods, AsyncModelMethods, AsyncServerMethods):
    """A client of one server, for one event loop. Close it, or use it with `async with`.

    Methods that return many items, such as events, are asynchronous generators. Close a generator
    that you do not read to its end, for example with `contextlib.aclosing`.

    Args:
        server: Address, such as ``https://studio.example``. By default ``NODEGRAPH_SERVER``, or
            else the server on this machine.
        token: Access token. By default ``NODEGRAPH_TOKEN``; no token if empty.
        timeout: Seconds to wait for an answer.
        retries: Retries after lost connections and answers of a busy server.
        tls: TLS context with the trusted certificates; the machine's defaults if not given.
    Raises:
        InvalidValue: The address or the token is not valid.

    Attributes:
        server: Address of the server.
        workflows: Saved workflows.
        templates: Workflows that ship with the server.
        apps: Saved workflows that are run by their names.
        queue: Job queue.
        settings: Settings of the server.
        secrets: Keys of hosted services.
        packs: Packs of the server and of its index.
        model_downloads: Models of other sites, and their downloads to the server.
        library: Stars, tags, notes and boards of results, and the trash.
        schedules: Requests that become jobs at times.
        webhooks: Deliveries of jobs' events.
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
        self.secrets = AsyncSecrets(channel)
        self.packs = AsyncPacks(channel)
        self.model_downloads = AsyncModelDownloads(channel)
        self.library = AsyncLibrary(channel)
        self.schedules = AsyncSchedules(channel)
        self.webhooks = AsyncWebhooks(channel)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.server!r})"

    async def close(self) -> None:
        """Close all connections."""
        await self._channel.close()
