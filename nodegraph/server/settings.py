"""Settings of the server: the ``[server]`` table of the config file, variables, flags."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.supervisor.worker_spec import MOST_JOBS
from nodegraph.server.root_path import COMFYUI, check_root_path
from nodegraph.session.settings import SERVER_PREFIX, SERVER_TABLE, Settings, config_file
from nodegraph.session.settings_kinds import (
    NUMBER,
    Bytes,
    Count,
    Seconds,
    error_lines,
    iter_setting_paths,
    read_settings,
)

DEFAULT_PORT = 8420
_LOOPBACK_NAMES = ("localhost", "ip6-localhost")
_DAY = 86_400.0


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BodyLimits(_Part):
    """Limits of requests and connections.

    Attributes:
        body: Largest body of a request in bytes, except uploads and requests of other tools'
            protocols that contain images.
        upload: Largest uploaded file in bytes.
        pixels: Largest number of pixels of an uploaded image.
        json_depth: Largest depth of nested lists and objects.
        json_values: Largest number of values in one JSON body.
        nodes: Largest number of nodes of a workflow, those of its blocks included.
        frame: Largest websocket frame in bytes.
        waiting: Bytes of unsent events for all clients. Above it, the server disconnects the
            clients with the most unsent bytes first.
        idle_seconds: Seconds that a client may pause within a request, in sending or reading.
        head_seconds: Seconds that the head of a request may take.
        connections: Largest number of open connections.
        address_connections: Largest number of open connections from one address, except trusted
            proxies.
    """

    body: Bytes = 4 << 20
    upload: Bytes = 512 << 20
    pixels: Count = 64_000_000
    json_depth: Annotated[int, NUMBER, Field(ge=4, le=180)] = 64
    json_values: Count = 1_000_000
    nodes: Count = 10_000
    frame: Bytes = 4 << 20
    waiting: Bytes = 128 << 20
    idle_seconds: Seconds = 60.0
    head_seconds: Seconds = 10.0
    connections: Count = 2_000
    address_connections: Count = 1_000


class RateLimits(_Part):
    """Request rate of one client: of a token, or of an address without a token.

    Attributes:
        requests_per_second: Largest average rate of requests.
        burst: Largest number of requests at once.
        failures_per_minute: Largest average rate of wrong tokens from one address.
        failure_burst: Largest number of wrong tokens from one address at once.
    """

    requests_per_second: Seconds = 2_000.0
    burst: Count = 4_000
    failures_per_minute: Seconds = 10.0
    failure_burst: Count = 10


class Retention(_Part):
    """Limits for keeping ended jobs and uploads; null for no limit.

    Attributes:
        seconds, count: Longest time and largest number of finished and cancelled jobs.
        failed_seconds, failed_count: The same limits for failed jobs.
        upload_seconds: Seconds after which an unused upload is deleted.
        upload_bytes: Bytes of all uploads together; the least recently used are deleted first.
        trash_days: Days after which results in the trash are deleted.
        every: Seconds between two cleanups.
    """

    seconds: Seconds | None = 30 * _DAY
    count: Count | None = 10_000
    failed_seconds: Seconds | None = 90 * _DAY
    failed_count: Count | None = 10_000
    upload_seconds: Seconds | None = 30 * _DAY
    upload_bytes: Bytes = 20 << 30
    trash_days: Annotated[float, NUMBER, Field(ge=0, le=100_000)] | None = 30.0
    every: Seconds = 3_600.0


class ClientLimits(_Part):
    """Limits of each client in the queue. See `nodegraph.jobs.queue.Limits`."""

    waiting: Count = 10_000
    running: Count | None = None
    bytes: Bytes = 512 << 20


def _listed(value: object) -> object:
    """Return the list in a comma-separated text, as in environment variables."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _table(value: object) -> object:
    """Return the table in a JSON text, as in environment variables."""
    return json.loads(value) if isinstance(value, str) else value


RootPath = Annotated[str, AfterValidator(check_root_path)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
UploadType = Literal[
    "png", "jpeg", "webp", "gif",
    "ora", "psd",
    "mp4", "webm", "mkv",
    "wav", "flac", "ogg", "mp3",
    "glb", "ply", "obj",
    "sdf", "pdb",
    "workflow", "safetensors",
]  # fmt: skip
_UPLOAD_TYPES: tuple[UploadType, ...] = get_args(UploadType)


def _queue_place(value: Any) -> PostgresAddress:
    """Return the address of a database; its errors do not contain the password."""
    return value if isinstance(value, PostgresAddress) else PostgresAddress(value)


QueueAddress = Annotated[
    PostgresAddress,
    PlainValidator(_queue_place),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]


def _upload_types(value: object) -> object:
    """Return a list of upload types, all of which exist."""
    names = _listed(value)
    for name in names if isinstance(names, (list, tuple)) else ():
        if isinstance(name, str) and name not in _UPLOAD_TYPES:
            near = did_you_mean(name, _UPLOAD_TYPES)
            hint = f". {near}" if near.startswith("Did") else ""
            known = ", ".join(_UPLOAD_TYPES)
            raise ValueError(f"`{name}` is not a type of uploads: {known}{hint}")
    return names


def _check_public_url(url: str) -> str:
    """Return an address without a slash at its end."""
    parts = urlsplit(url)
    is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    # The path below which a proxy serves it is `root_path`.
    if not is_address or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("an address without a path such as `https://studio.example` is expected")
    return url.rstrip("/")


class UploadLimits(_Part):
    """Limits of uploads.

    Attributes:
        types: Accepted file types, detected from the bytes. Weights are accepted only if named
            here.
    """

    types: Annotated[
        tuple[UploadType, ...], BeforeValidator(_upload_types), Field(min_length=1)
    ] = tuple(name for name in _UPLOAD_TYPES if name != "safetensors")


class ClusterKind(_Part):
    """A kind of workers of a cluster.

    Attributes:
        device: Device that they compute on.
        gpus, cpus, memory: Resources that a node reserves for each worker. By default one GPU for
            any device except the CPU.
        resources: Other resources of a node, by the names and in the numbers of its start.
        labels: Labels that a node must have.
        min_workers, max_workers: Number of workers; the general limits if not given.
    """

    device: str = "cuda"
    gpus: Annotated[float, NUMBER, Field(ge=0)] | None = None
    cpus: Annotated[float, NUMBER, Field(ge=0)] = 1.0
    memory: Bytes = 0
    resources: dict[str, float] = {}
    labels: dict[str, str] = {}
    min_workers: Annotated[int, NUMBER, Field(ge=0)] | None = None
    max_workers: Count | None = None


class OpenAIModel(_Part):
    """A model of OpenAI's images API.

    Attributes:
        app: Name of the saved workflow that generates images; ``nodegraph`` for the built-in app.
        edits: Name of the saved workflow that edits images; the same one if not given.
        parameters: The app's parameters by field of a request, such as ``{"prompt": "text"}``, if
            their names do not tell. An empty name ignores the field.
    """

    app: str
    edits: str = ""
    parameters: dict[str, str] = {}


class ServerSettings(_Part):
    """Settings of one server.

    Attributes:
        host: Address to listen at. Any address except loopback needs a token.
        port: Port to listen at; 0 for any free port.
        workers: Number of processes that run jobs; one for each device if not given. 0 accepts jobs
            and runs none.
        devices: Devices of the workers, in turn. By default all accelerators, or else the device of
            the other settings.
        warm: Whether workers load the libraries of models before a job needs them. If not, they
            start faster and use less memory, and the first such job takes seconds longer.
        help_jobs: Whether workers without a job help with a job of another worker, if it has
            branches or lists. Waiting jobs have priority.
        cluster: Address of the Ray cluster that workers run on: ``auto`` for the one of this
            machine, which is started if there is none; ``HOST:PORT``; ``ray://HOST:10001``.
        cluster_min_workers, cluster_max_workers: Number of workers in the cluster. The default
            maximum is as many as fit.
        cluster_idle_seconds: Seconds without a job after which a worker of the cluster is stopped.
        cluster_kinds: Kinds of workers in the cluster, by name. By default there is one kind,
            ``worker``, or one for each of `devices`.
        root_path: Path below which a proxy serves the server, such as ``/studio``. The proxy may
            remove the path from requests or not.
        start_page: What the address ``/`` opens: ``editor``, or ``generate`` for the page without a
            graph. Each browser may choose otherwise.
        comfyui: Whether ComfyUI's routes are also at their own paths, such as ``/prompt`` and
            ``/api/prompt``. They are always below ``/comfyui``. The editor moves to ``/editor``.
        comfyui_frontend: Folder of ComfyUI's page, or ``auto`` for that of the installed package
            ``comfyui-frontend-package``. The server has none itself.
        allowed_hosts: Host names of the server in addition to loopback names, for example those of
            a reverse proxy. If there are any, a token is needed, too.
        allowed_origins: Other sites that may use it, such as ``https://studio.example``.
        trusted_proxies: Addresses whose ``X-Forwarded-*`` headers are trusted.
        limits, rates, retention, uploads, clients: See their classes.
        queue: Address of a PostgreSQL database with the jobs of several servers. By default a file
            in the home folder.
        shared_files: URL of a bucket or mounted folder for uploads and output files, which servers
            of one queue on several machines share. By default the home folder.
        public_url: Address of the server for other machines, such as ``https://studio.example``.
            Webhooks send links below it.
        webhook_hosts: Hosts that webhooks may reach, ``*`` for any characters, and address ranges
            that they may reach although they are private, also without TLS. By default all public
            hosts.
        most_waiting: Largest number of waiting jobs in total.
        stall_seconds: Seconds without an event of a running node after which its worker is
            restarted; null for no limit.
        cancel_seconds: Seconds for a running job to stop after it was cancelled or its deadline has
            passed; then its worker is restarted.
        worker_memory: Bytes of a worker's memory above which it is restarted; 0 for no limit. By
            default 85 % of the memory of the machine or its container, divided among the workers.
        merge_jobs: Jobs that a worker may run at once if their samplings share batches, which the
            setting `merge_steps` must allow; 1 runs them one after the other.
        shutdown_seconds: Seconds for running jobs to reach their next checkpoint.
        openai_models: Models of OpenAI's images API by name, in addition to saved workflows; ``*``
            for all other names.
        longest_wait: Seconds that a request of OpenAI's images API or MCP may wait for its job.
        least_free: Bytes of free disk space below which the server is not ready.
        session_seconds: Seconds after which a browser must log in again.
        open_metrics: Whether all clients that can reach the server may read the metrics; otherwise
            only those that may read.
        log_format: ``text``, or ``json`` for one object per line.
        log_level: Lowest level that is logged. Refused requests are always logged.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, NUMBER, Field(ge=0, le=65_535)] = DEFAULT_PORT
    workers: Annotated[int, NUMBER, Field(ge=0, le=256)] | None = None
    devices: Names = ()
    warm: bool = True
    help_jobs: bool = True
    cluster: str | None = None
    cluster_min_workers: Annotated[int, NUMBER, Field(ge=0)] = 1
    cluster_max_workers: Count | None = None
    cluster_idle_seconds: Seconds = 300.0
    cluster_kinds: Annotated[dict[str, ClusterKind], BeforeValidator(_table)] = {}
    root_path: RootPath = ""
    start_page: Literal["editor", "generate"] = "editor"
    comfyui: bool = False
    comfyui_frontend: str | None = None
    allowed_hosts: Names = ()
    allowed_origins: Names = ()
    trusted_proxies: Names = ()
    limits: BodyLimits = BodyLimits()
    rates: RateLimits = RateLimits()
    retention: Retention = Retention()
    uploads: UploadLimits = UploadLimits()
    clients: ClientLimits = ClientLimits()
    queue: QueueAddress | None = None
    shared_files: str | None = None
    public_url: Annotated[str, AfterValidator(_check_public_url)] | None = None
    webhook_hosts: Names | None = None
    most_waiting: Count = 100_000
    stall_seconds: Seconds | None = None
    cancel_seconds: Annotated[float, NUMBER, Field(ge=0)] = 10.0
    worker_memory: Bytes | None = None
    merge_jobs: Annotated[int, NUMBER, Field(ge=1, le=MOST_JOBS)] = 1
    shutdown_seconds: Seconds = 30.0
    openai_models: Annotated[dict[str, OpenAIModel], BeforeValidator(_table)] = {}
    longest_wait: Seconds = 600.0
    least_free: Bytes = 256 << 20
    session_seconds: Seconds = 7 * _DAY
    open_metrics: bool = False
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("comfyui")
    @classmethod
    def _is_clear(cls, comfyui: bool, info: ValidationInfo) -> bool:
        first = info.data.get("root_path", "").partition("/")[2].partition("/")[0]
        if comfyui and first in COMFYUI:
            raise ValueError(
                f"`root_path` begins with `/{first}`, which ComfyUI itself uses: choose another "
                "one, such as `/studio`"
            )
        return comfyui

    @field_validator("shared_files")
    @classmethod
    def _are_shared(cls, url: str | None, info: ValidationInfo) -> str | None:
        # Checked only if `queue` itself is valid.
        if url is not None and info.data.get("queue", url) is None:
            raise ValueError(
                "servers share files only with a shared queue: set `queue` to its database"
            )
        return url

    @property
    def is_private(self) -> bool:
        """Whether only processes of this machine should reach the server."""
        return is_loopback(self.host) and not self.allowed_hosts


def load_server_settings(
    settings: Settings, flags: Mapping[str, Any] | None = None
) -> ServerSettings:
    """Return the current settings of the server.

    Args:
        settings: Settings of the installation, which locate the config file.
        flags: Explicit values; None counts as not given.
    Raises:
        InvalidFile: The file or a variable has a wrong name or value; all are listed.
    """
    file = config_file(settings.home)
    explicit = {name: value for name, value in (flags or {}).items() if value is not None}
    variables = [name for name in os.environ if name.startswith(SERVER_PREFIX)]
    try:
        return read_settings(
            ServerSettings, explicit, file, variables, SERVER_PREFIX, table=SERVER_TABLE
        )
    except ValidationError as error:
        known = [".".join(keys) for keys in iter_setting_paths(ServerSettings)]
        where = (
            f"Server settings come from [{SERVER_TABLE}] in {file} and {SERVER_PREFIX}* variables."
        )
        raise InvalidFile("\n".join([*error_lines(error, known), where])) from None


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a name or address is that of the machine for itself."""
    if host.lower() in _LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
