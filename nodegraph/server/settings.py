"""Settings of the server: the ``[server]`` table of the config file, variables, flags."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args

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
from nodegraph.server.root_path import check_root_path
from nodegraph.session.settings import SERVER_PREFIX, SERVER_TABLE, Settings, config_file
from nodegraph.session.settings_kinds import NUMBER, Bytes, Count, Seconds, error_lines
from nodegraph.session.settings_sources import iter_setting_paths, read_settings

DEFAULT_PORT = 8420
_LOOPBACK_NAMES = ("localhost", "ip6-localhost")
_DAY = 86_400.0


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BodyLimits(_Part):
    """What may come in one request.

    Attributes:
        body: Bytes of a request's body, but for uploads.
        upload: Bytes of an uploaded file.
        pixels: Of an uploaded image.
        json_depth: Levels of lists and objects within each other.
        json_values: Values in one JSON body.
        nodes: Of a workflow, those of its blocks included.
        frame: Bytes of a websocket frame.
        waiting: Bytes of events that wait for all who follow them; whom most waits for is hung up
            on first.
        idle_seconds: That a client may let pass within a request, sending or reading nothing.
        head_seconds: That a request's head may take.
        connections: Open at a time.
        address_connections: The same of one address, but for trusted proxies.
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
    """How often one client may ask: a token's, or an address's without one.

    Attributes:
        requests_per_second: In the long run.
        burst: At once.
        failures_per_minute: Wrong tokens from one address, in the long run.
        failure_burst: The same, at once.
    """

    requests_per_second: Seconds = 2_000.0
    burst: Count = 4_000
    failures_per_minute: Seconds = 10.0
    failure_burst: Count = 10


class Retention(_Part):
    """What is kept, and for how long; none for no limit.

    Attributes:
        seconds, count, failed_seconds, failed_count: Of ended jobs, the last two of failed ones.
        upload_seconds: After which an upload goes that nothing has used since.
        upload_bytes: Of all uploads together; those unused for longest go to make room.
        every: Seconds between two looks at what is to go.
    """

    seconds: Seconds | None = 30 * _DAY
    count: Count | None = 10_000
    failed_seconds: Seconds | None = 90 * _DAY
    failed_count: Count | None = 10_000
    upload_seconds: Seconds | None = 30 * _DAY
    upload_bytes: Bytes = 20 << 30
    every: Seconds = 3_600.0


class ClientLimits(_Part):
    """What each client may have in the queue. See `nodegraph.jobs.queue.Limits`."""

    waiting: Count = 10_000
    running: Count | None = None
    bytes: Bytes = 512 << 20


def _listed(value: object) -> object:
    """A list of a text as variables have it, parted by commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _table(value: object) -> object:
    """A table of a text as variables have it, in JSON."""
    return json.loads(value) if isinstance(value, str) else value


RootPath = Annotated[str, AfterValidator(check_root_path)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
UploadType = Literal[
    "png", "jpeg", "webp", "gif",
    "mp4", "webm", "mkv",
    "wav", "flac", "ogg", "mp3",
    "glb", "ply", "obj",
    "sdf", "pdb",
    "workflow", "safetensors",
]  # fmt: skip
_UPLOAD_TYPES: tuple[UploadType, ...] = get_args(UploadType)


def _queue_place(value: Any) -> PostgresAddress:
    """The address of a database; what is wrong with it is told without its password."""
    return value if isinstance(value, PostgresAddress) else PostgresAddress(value)


QueueAddress = Annotated[
    PostgresAddress,
    PlainValidator(_queue_place),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]


def _upload_types(value: object) -> object:
    """A list of types, each of which there is."""
    names = _listed(value)
    for name in names if isinstance(names, (list, tuple)) else ():
        if isinstance(name, str) and name not in _UPLOAD_TYPES:
            near = did_you_mean(name, _UPLOAD_TYPES)
            hint = f". {near}" if near.startswith("Did") else ""
            known = ", ".join(_UPLOAD_TYPES)
            raise ValueError(f"`{name}` is not a type of uploads: {known}{hint}")
    return names


class UploadLimits(_Part):
    """What may be brought.

    Attributes:
        types: Of files, as their bytes tell. Weights are taken only where they are named here.
    """

    types: Annotated[
        tuple[UploadType, ...], BeforeValidator(_upload_types), Field(min_length=1)
    ] = tuple(name for name in _UPLOAD_TYPES if name != "safetensors")


class ClusterKind(_Part):
    """Workers of a cluster that are alike.

    Attributes:
        device: That they compute on.
        gpus, cpus, memory: That a node sets aside for each; for a device but the CPU, one GPU.
        resources: Others of a node, by the names and in the numbers that it was started with.
        labels: What a node's labels must be.
        min_workers, max_workers: How many there are to be; not given, as for all.
    """

    device: str = "cuda"
    gpus: Annotated[float, NUMBER, Field(ge=0)] | None = None
    cpus: Annotated[float, NUMBER, Field(ge=0)] = 1.0
    memory: Bytes = 0
    resources: dict[str, float] = {}
    labels: dict[str, str] = {}
    min_workers: Annotated[int, NUMBER, Field(ge=0)] | None = None
    max_workers: Count | None = None


class ServerSettings(_Part):
    """Settings of one server.

    Attributes:
        host: Address to listen at. Any but a loopback one needs a token.
        port: 0 for any that is free.
        workers: Processes that run jobs; one for each device if not given. 0 takes jobs in and
            runs none.
        devices: Of the workers, in turn; all cards, or else that of the other settings, if none is
            given.
        warm: Whether workers load the libraries of models before a job needs them. Without that
            they start sooner and stay small, and the first such job takes seconds longer.
        help_jobs: Whether workers without a job compute along with one that another worker has, if
            it has branches or lists; a job that waits goes before.
        cluster: Address of the Ray cluster that workers run on: ``auto`` for the one of this
            machine, which is started if there is none; ``HOST:PORT``; ``ray://HOST:10001``.
        cluster_min_workers, cluster_max_workers: How many workers there are to be there; at most
            as many as there is room for, if not given.
        cluster_idle_seconds: Without a job, after which a worker there is ended.
        cluster_kinds: What workers there are to be like, by names for them. If none is given, they
            are of one kind, ``worker``, or of one for each of `devices`.
        root_path: Path below which a proxy offers the server, such as ``/studio``, whether or not
            it takes the path away before it hands a request on.
        allowed_hosts: Names under which it is reached, besides loopback ones: those of a reverse
            proxy, for example. With any of them, a token is needed too.
        allowed_origins: Pages elsewhere that may use it, such as ``https://studio.example``.
        trusted_proxies: Addresses whose ``X-Forwarded-*`` headers are believed.
        limits, rates, retention, uploads, clients: See there.
        queue: Address of a PostgreSQL database that keeps the jobs, for several servers; not given,
            a file in the home folder does.
        shared_files: URL of a bucket or mounted folder by which servers of one queue on several
            machines share uploads and what jobs gave; not given, these lie in the home folder.
        most_waiting: Jobs that may wait in all.
        stall_seconds: Without an event while a node runs, after which its worker is restarted;
            none to wait for ever.
        cancel_seconds: For a running job to stop, once it was cancelled or its deadline has passed;
            then its worker is restarted.
        worker_memory: Bytes of a worker's memory above which it is restarted; 0 for no limit. Not
            given, 85 % of the machine's memory, or of what its container may take, divided
            among the workers.
        merge_jobs: Jobs that a worker may run at once where their samplings share batches, which
            the setting `merge_steps` has to allow; 1 runs them one after the other.
        shutdown_seconds: That running jobs get to reach their next checkpoint.
        least_free: Bytes of free disk below which the server says that it isn't ready.
        session_seconds: After which a browser that has logged in has to do so again.
        open_metrics: Whether the figures for monitoring are told to everybody who can reach the
            server; else to those who may read.
        log_format: ``json`` writes one object a line.
        log_level: The least that is logged. Refused requests always are.
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
    most_waiting: Count = 100_000
    stall_seconds: Seconds | None = None
    cancel_seconds: Annotated[float, NUMBER, Field(ge=0)] = 10.0
    worker_memory: Bytes | None = None
    merge_jobs: Annotated[int, NUMBER, Field(ge=1, le=MOST_JOBS)] = 1
    shutdown_seconds: Seconds = 30.0
    least_free: Bytes = 256 << 20
    session_seconds: Seconds = 7 * _DAY
    open_metrics: bool = False
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("shared_files")
    @classmethod
    def _are_shared(cls, url: str | None, info: ValidationInfo) -> str | None:
        # Checked where it isn't `queue` itself that is wrong.
        if url is not None and info.data.get("queue", url) is None:
            raise ValueError(
                "servers share files only with a shared queue: set `queue` to its database"
            )
        return url

    @property
    def is_private(self) -> bool:
        """Whether only processes of this machine are meant to reach it."""
        return is_loopback(self.host) and not self.allowed_hosts


def load_server_settings(
    settings: Settings, flags: Mapping[str, Any] | None = None
) -> ServerSettings:
    """The server's settings in force.

    Args:
        settings: Of the installation: they say where the config file is.
        flags: What was given explicitly; None is as not given.
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
