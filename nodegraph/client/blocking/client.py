# Made from ../asynchronous/client.py by docs/generate_blocking_client.py: don't edit.
"""Client and its parts for the server, queue, schedules, webhooks, workflows and apps."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Generator, Mapping, Sequence
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
from nodegraph.client.blocking.jobs import FileMethods, JobMethods
from nodegraph.client.blocking.models import (
    Library,
    ModelDownloads,
    ModelMethods,
    Packs,
)
from nodegraph.client.blocking.transport import ClientPart, Transport
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


class Workflows(ClientPart):
    """Saved workflows of a server."""

    def save(
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
        return parse_answer(SavedVersion, self._channel.send(request))

    def get(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        """Return the content of a workflow file, by default of the newest version.

        Raises:
            NotFound: There is no workflow of this name, or no such version.
        """
        way = url_path(name) if version is None else url_path(name, "versions", version)
        return mapping(self._channel.send(Request("GET", _WORKFLOWS + way)))

    def list(self, text: str = "") -> Generator[SavedItem, None, None]:
        """Iterate over the saved workflows, sorted by name. Pages are requested as needed.

        Args:
            text: Only workflows with this text in their name, title or description.
        """
        return self._channel.items(SavedItem, _WORKFLOWS, query(text=text))

    def versions(self, name: str) -> tuple[SavedVersion, ...]:
        """Return the stored versions of a workflow, the newest first."""
        request = Request("GET", _WORKFLOWS + url_path(name, "versions"))
        return page(SavedVersion, self._channel.send(request)).items

    def delete(self, name: str) -> None:
        """Delete a workflow with all its versions."""
        self._channel.send(Request("DELETE", _WORKFLOWS + url_path(name), already_done_status=404))


class Templates(ClientPart):
    """Workflows that ship with a server, as starting points."""

    def list(self) -> tuple[Template, ...]:
        """Return all templates, sorted by name."""
        return page(Template, self._channel.send(Request("GET", _TEMPLATES))).items

    def get(self, name: str) -> Mapping[str, Any]:
        """Return the content of a template's workflow file.

        Raises:
            NotFound: There is no template of this name.
        """
        return mapping(self._channel.send(Request("GET", _TEMPLATES + url_path(name))))

    def picture(self, name: str) -> bytes:
        """Return the bytes of a WebP image that a template makes.

        Raises:
            NotFound: There is no image.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "picture"))
        return picture(self._channel.send(request))

    def lesson(self, name: str) -> Mapping[str, Any]:
        """Return the content of the lesson about a template: its steps, with texts by language.

        Raises:
            NotFound: There is no lesson.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "lesson"))
        return mapping(self._channel.send(request))

    def file(self, name: str, file: str) -> bytes:
        """Return the bytes of a file that a template needs, such as an image to upload.

        Raises:
            NotFound: The template does not need such a file.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "files", file))
        return (self._channel.send(request)).body


class Apps(ClientPart):
    """Apps of a server: saved workflows that are run by their names."""

    def list(self) -> Generator[AppItem, None, None]:
        """Iterate over the apps, sorted by name. Pages are requested as needed."""
        return self._channel.items(AppItem, _APPS)

    def get(self, name: str) -> App:
        """Return the parameters and outputs of an app."""
        request = Request("GET", _APPS + url_path(name), headers={"Accept": JSON})
        return parse_answer(App, self._channel.send(request))

    def run(
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
        return parse_answer(AppRun, self._channel.send(request))


_QUEUE, _SETTINGS, _SECRETS = "/queue", "/settings", "/secrets"


class ServerMethods(ClientPart):
    """Methods of the server that need no job."""

    def validate(self, workflow: AnyWorkflow, **fields: Unpack[WishFields]) -> Checked:
        """Return all problems of a workflow."""
        request = json_request("POST", "/validate", wished(workflow, fields), seconds=PLAN_SECONDS)
        return parse_answer(Checked, self._channel.send(request))

    def plan(self, workflow: AnyWorkflow, **fields: Unpack[WishFields]) -> Plan:
        """Return what a run would do, node by node, with its expected time and memory."""
        request = json_request("POST", "/plan", wished(workflow, fields), seconds=PLAN_SECONDS)
        return parse_answer(Plan, self._channel.send(request))

    def import_comfyui(self, document: Mapping[str, Any]) -> Translated:
        """Translate a ComfyUI workflow, and list what cannot be translated.

        Args:
            document: Content of the file, in any format of ComfyUI.
        Raises:
            ServerError: The document is not a ComfyUI workflow, or it is damaged.
        """
        request = json_request("POST", "/import", {"document": document}, seconds=PLAN_SECONDS)
        return parse_answer(Translated, self._channel.send(request))

    def script(self, workflow: Mapping[str, Any] | AsDocument) -> str:
        """Return the Python script that builds a workflow, like `nodegraph export --python`."""
        request = json_request(
            "POST", "/script", {"workflow": workflow_document(workflow)}, seconds=PLAN_SECONDS
        )
        return str(mapping(self._channel.send(request))["text"])

    def compare(
        self,
        first: Mapping[str, Any] | AsDocument,
        second: Mapping[str, Any] | AsDocument,
    ) -> WorkflowComparison:
        """Return how two workflows differ, like `nodegraph diff`."""
        body = {"first": workflow_document(first), "second": workflow_document(second)}
        request = json_request("POST", "/compare", body, seconds=PLAN_SECONDS)
        return parse_answer(WorkflowComparison, self._channel.send(request))

    def merge(
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
        return parse_answer(MergedWorkflow, self._channel.send(request))

    def node_types(self) -> NodeTypes:
        """Return all node types of the server with their inputs and outputs."""
        return read_node_types(self._channel.send(Request("GET", "/node-types")))

    def node_type(self, name: str) -> NodeSpec:
        """Return a node type with its inputs and outputs.

        Raises:
            NotFound: There is no node type of this name.
        """
        request = Request("GET", f"/node-types{url_path(name)}")
        return read_node_type(self._channel.send(request))

    def sources(
        self, *, models: Sequence[str] = (), packs: Sequence[str] = ()
    ) -> tuple[Source, ...]:
        """Return where to get models and node packs that a plan reports as missing.

        Args:
            models, packs: Names of missing models and packs.
        """
        request = Request("GET", "/sources", query(model=list(models), pack=list(packs)))
        return page(Source, self._channel.send(request)).items

    def system(self) -> System:
        """Return the state of the server: versions, processes, memory and queue."""
        return parse_answer(System, self._channel.send(Request("GET", "/system")))

    def refresh(self) -> Refreshed:
        """Reload the server's node packs; each worker loads the changed ones.

        This needs an admin token.
        """
        request = Request("POST", "/system/refresh", extra_seconds=PLAN_SECONDS)
        return parse_answer(Refreshed, self._channel.send(request))


class Queue(ClientPart):
    """The job queue of a server."""

    def get(self, upcoming: int = 50) -> QueueState:
        """Return the state of the queue.

        Args:
            upcoming: Largest number of next jobs in the answer.
        """
        request = Request("GET", _QUEUE, query(limit=upcoming))
        return parse_answer(QueueState, self._channel.send(request))

    def pause(self) -> QueueState:
        """Start no new jobs, also after a restart. Running jobs continue.

        This needs an admin token, as does `resume`.
        """
        return parse_answer(QueueState, self._channel.send(Request("POST", f"{_QUEUE}/pause")))

    def resume(self) -> QueueState:
        """Start jobs again."""
        return parse_answer(QueueState, self._channel.send(Request("POST", f"{_QUEUE}/resume")))

    def clear(self, *, client: str | None = None, tag: str | None = None) -> int:
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
        return count("cancelled", self._channel.send(request))


class Settings(ClientPart):
    """Settings of a server, for admin tokens."""

    def get(self) -> Mapping[str, Any]:
        """Return the current settings; docs/operations.md lists them."""
        return mapping(self._channel.send(Request("GET", _SETTINGS)))

    def change(self, **change: Unpack[SettingsChange]) -> Mapping[str, Any]:
        """Change settings until the next restart, and return the new settings.

        Args:
            change: See `SettingsChange`. Omitted settings stay unchanged.
        """
        return mapping(self._channel.send(json_request("PATCH", _SETTINGS, change)))


class Schedules(ClientPart):
    """Requests that become jobs at times. Schedules may be given by their ids."""

    def add(
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
        return parse_answer(Schedule, self._channel.send(request))

    def list(self) -> tuple[Schedule, ...]:
        """Return the schedules, the oldest first."""
        return page(Schedule, self._channel.send(Request("GET", _SCHEDULES))).items

    def get(self, schedule: Schedule | str) -> Schedule:
        """Return a schedule.

        Raises:
            NotFound: There is no schedule of this id.
        """
        request = Request("GET", _SCHEDULES + url_path(_id_of(schedule)))
        return parse_answer(Schedule, self._channel.send(request))

    def pause(self, schedule: Schedule | str) -> Schedule:
        """Have a schedule submit no more jobs until it is resumed."""
        request = Request("POST", _SCHEDULES + url_path(_id_of(schedule), "pause"))
        return parse_answer(Schedule, self._channel.send(request))

    def resume(self, schedule: Schedule | str) -> Schedule:
        """Have a paused schedule fire again, from its next time on."""
        request = Request("POST", _SCHEDULES + url_path(_id_of(schedule), "resume"))
        return parse_answer(Schedule, self._channel.send(request))

    def run(self, schedule: Schedule | str) -> JobSummary:
        """Submit the next job of a schedule now, also of one that is paused."""
        path = _SCHEDULES + url_path(_id_of(schedule), "run")
        request = Request("POST", path, is_repeatable=False)
        return parse_answer(JobSummary, self._channel.send(request))

    def remove(self, schedule: Schedule | str) -> None:
        """Remove a schedule. Its jobs stay."""
        path = _SCHEDULES + url_path(_id_of(schedule))
        self._channel.send(Request("DELETE", path, already_done_status=404))


class Webhooks(ClientPart):
    """Deliveries of jobs' events to webhooks. Deliveries may be given by their ids."""

    def list(
        self,
        *,
        state: str | None = None,
        job: JobSummary | str | None = None,
        most: int | None = None,
    ) -> Generator[Delivery, None, None]:
        """Iterate over deliveries, the newest first. Pages are requested as needed.

        Args:
            state: Only those that are ``pending``, ``delivered`` or ``failed``.
            job: Only those of this job.
            most: Largest number of deliveries.
        """
        which = query(state=state, job=None if job is None else id_of(job))
        return self._channel.items(Delivery, _WEBHOOKS, which, most)

    def get(self, delivery: Delivery | str) -> Delivery:
        """Return what became of a delivery.

        Raises:
            NotFound: There is no delivery of this id.
        """
        request = Request("GET", _WEBHOOKS + url_path(_id_of(delivery)))
        return parse_answer(Delivery, self._channel.send(request))

    def replay(self, delivery: Delivery | str) -> Delivery:
        """Deliver once more, from now on, under the same id."""
        request = Request("POST", _WEBHOOKS + url_path(_id_of(delivery), "replay"))
        return parse_answer(Delivery, self._channel.send(request))

    def test(self, url: str | None = None) -> WebhookTest:
        """Send an event of the kind ``webhook.test`` now, and return how it went.

        Args:
            url: Address of the receiver; the webhook of the token if not given.
        """
        request = json_request("POST", f"{_WEBHOOKS}/test", {"url": url}, seconds=PLAN_SECONDS)
        return parse_answer(WebhookTest, self._channel.send(request))

    def new_secret(self, *, hours: float = 24.0) -> str:
        """Make a new secret for the deliveries of your jobs, and return it, this once.

        Args:
            hours: Hours for which the former secret signs deliveries as well.
        """
        body = {"hours": hours}
        # Sent again, it would replace the one that was just made.
        request = json_request("POST", f"{_WEBHOOKS}/secret", body, is_repeatable=False)
        return str(mapping(self._channel.send(request)).get("secret", ""))


def _id_of(item: Schedule | Delivery | str) -> str:
    return item if isinstance(item, str) else item.id


class Secrets(ClientPart):
    """Keys of hosted services that nodes use by name. Values are never returned."""

    def list(self) -> tuple[SecretInfo, ...]:
        """Return the names and hosts of the secrets."""
        answer = self._channel.send(Request("GET", _SECRETS))
        return parse_answer(SecretList, answer).secrets

    def set(self, name: str, value: str, hosts: Sequence[str]) -> SecretInfo:
        """Store or replace a secret. It needs an admin token.

        Args:
            hosts: Hosts that it may be sent to, such as ``api.openai.com``.
        """
        body = {"value": value, "hosts": [*hosts]}
        request = json_request("PUT", f"{_SECRETS}{url_path(name)}", body)
        return parse_answer(SecretInfo, self._channel.send(request))

    def remove(self, name: str) -> None:
        """Remove a secret. It needs an admin token."""
        self._channel.send(Request("DELETE", f"{_SECRETS}{url_path(name)}"))


class Client(JobMethods, FileMethods, ModelMethods, ServerMethods):
    """A client of one server, safe to use from several threads. Close it, or use it with `with`.

    Methods that return many items, such as events, are generators. Close a generator
    that you do not read to its end, for example with `contextlib.closing`.

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
        channel = Transport(connection, retries or Retries())
        super().__init__(channel)
        self.server = connection.address.url
        self.workflows = Workflows(channel)
        self.templates = Templates(channel)
        self.apps = Apps(channel)
        self.queue = Queue(channel)
        self.settings = Settings(channel)
        self.secrets = Secrets(channel)
        self.packs = Packs(channel)
        self.model_downloads = ModelDownloads(channel)
        self.library = Library(channel)
        self.schedules = Schedules(channel)
        self.webhooks = Webhooks(channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.server!r})"

    def close(self) -> None:
        """Close all connections."""
        self._channel.close()
