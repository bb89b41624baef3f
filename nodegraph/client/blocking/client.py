# Made from ../asynchronous/client.py by docs/generate_blocking_client.py: don't edit.
"""Client and its parts for the server, queue, schedules and webhooks."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.client.answers import (
    NodeTypes,
    count,
    mapping,
    page,
    parse_answer,
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
from nodegraph.client.blocking.workflows import (
    Apps,
    Templates,
    WorkflowMethods,
    Workflows,
)
from nodegraph.client.connection import SECONDS, connection_to
from nodegraph.client.request_fields import (
    AnyWorkflow,
    JobFields,
    ScheduleFields,
    SettingsChange,
)
from nodegraph.client.request_fields import request_body as wished
from nodegraph.client.requests import (
    PLAN_SECONDS,
    Request,
    Retries,
    json_request,
    query,
    url_path,
)
from nodegraph.client.shapes import (
    Delivery,
    JobSummary,
    QueueState,
    Refreshed,
    Schedule,
    SecretInfo,
    SecretList,
    Source,
    System,
    WebhookTest,
)
from nodegraph.client.shapes.jobs import id_of
from nodegraph.core.spec import NodeSpec

if TYPE_CHECKING:
    from typing_extensions import Unpack

_SCHEDULES, _WEBHOOKS = "/schedules", "/webhooks"
_QUEUE, _SETTINGS, _SECRETS = "/queue", "/settings", "/secrets"


class ServerMethods(ClientPart):
    """Methods of the server that need no job."""

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


class Client(JobMethods, FileMethods, ModelMethods, WorkflowMethods, ServerMethods):
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
