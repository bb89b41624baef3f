"""The server's parts, joined: opened when it starts, closed when it stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from nodegraph.core.context import Environment
from nodegraph.core.file_access import PathRedactor
from nodegraph.core.files import make_private_folder
from nodegraph.core.graph_builder import GraphCache
from nodegraph.errors import NodegraphError
from nodegraph.jobs.cluster.autoscaling import JobDurations, Scaler
from nodegraph.jobs.queue import JobQueue, ReadyCounts
from nodegraph.jobs.queue.reader import open_shared_tables
from nodegraph.jobs.supervisor.dispatcher import Dispatcher
from nodegraph.jobs.supervisor.distributed_run import HelpScheduler
from nodegraph.jobs.supervisor.queue_reads import EventTail, QueueReads
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.jobs.supervisor.worker_status import WorkerStatus
from nodegraph.models.model_hashes import ModelHashCache
from nodegraph.models.model_sources import FoundModel, KnownModels
from nodegraph.server.access.authentication import Authenticator
from nodegraph.server.access.tokens import TOKENS_FILE as TOKENS
from nodegraph.server.access.tokens import Tokens
from nodegraph.server.content.artifacts import Artifacts
from nodegraph.server.content.artifacts.annotations import (
    LIBRARY_FILE,
    LIBRARY_LOCK,
    LIBRARY_SCHEMA,
    LIBRARY_TABLES,
    ResultLibrary,
    open_library,
)
from nodegraph.server.content.artifacts.artifact_files import ArtifactSharing, SharedArtifacts
from nodegraph.server.content.artifacts.thumbnails import Thumbnails
from nodegraph.server.content.drafts.rooms import DraftRooms
from nodegraph.server.content.drafts.store import DRAFTS_FILE, DraftStore
from nodegraph.server.content.files.safe_files import ConfinedFolder
from nodegraph.server.content.files.shared_files import (
    SCHEMA_LOCK,
    SHARED_MIGRATIONS,
    SHARED_SCHEMA,
    FilePool,
    FilesOfOthers,
    FilesUnreachable,
    SharedFiles,
)
from nodegraph.server.content.pages import Editor, open_front_end
from nodegraph.server.content.prompt_lists import FOLDER as PROMPT_LISTS
from nodegraph.server.content.prompt_lists import PromptLists
from nodegraph.server.content.saved import SavedWorkflows
from nodegraph.server.content.uploads import Uploads
from nodegraph.server.content.uploads.uploads import files_folder
from nodegraph.server.content.user_files import FOLDER as USER_FILES
from nodegraph.server.content.user_files import UserFiles
from nodegraph.server.events.hub import EventHub
from nodegraph.server.events.hub.hub import EventRelay
from nodegraph.server.operations.backup.restorer import finish_restore
from nodegraph.server.operations.logs import JobLog
from nodegraph.server.operations.metrics import Metrics
from nodegraph.server.operations.metrics.counters import Throughput
from nodegraph.server.operations.model_downloads import ModelDownloads, download_progress
from nodegraph.server.operations.packs import PackManager, change_progress
from nodegraph.server.rules import (
    client_limits,
    cluster_kinds,
    supervision_rules,
    upload_rules,
    worker_specs,
)
from nodegraph.server.settings import ServerSettings
from nodegraph.server.workflows.checks import PackChecks
from nodegraph.server.workflows.model_watch import ModelIndex, ModelWatch, RemoteModelWatch
from nodegraph.server.workflows.node_types import DeclaredTypes, NodeTypeCache
from nodegraph.session.settings import Settings, path_redactor
from nodegraph.store.remote.object_storage import open_storage
from nodegraph.store.secrets import PUBLIC_HOSTS
from nodegraph.weights.attached_models import find_remote_store

if TYPE_CHECKING:
    from nodegraph.jobs.cluster.distributed_run import Joined

P = ParamSpec("P")
T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_THREADS = 8
_AGAIN_SECONDS = 10.0
_LONG_PATIENCE = 300.0
"""Seconds for a change of many jobs."""


@dataclass
class Services:
    """What routes work with.

    Args:
        settings: Of the installation.
        server: Of this server.
        packs: More packs of node types.
        has_workers: False starts no process: jobs are taken in and none is run or planned.

    Attributes:
        node_types: Those that there are. No pack is imported in this process.
        queue: Jobs. Its futures are waited for by `looks.changed`; what reads one job of it goes
            through `looks`, what reads more through `read_queue`.
        queue_reads: At the queue.
        tokens: Who may come in.
        access: Finds out who does, and who has logged in.
        tail: Of the queue's events.
        hub: What happens, for whoever follows it.
        live_relay: Is told progress and previews.
        supervisor: The worker processes, the planner among them.
        dispatcher: Gives the queue's jobs to the workers.
        artifacts, uploads, workflows, prompt_lists, user_files: What is kept for clients.
        drafts: Working copies of workflows; None where servers share a queue.
        places: What clients are told instead of where things lie here.
        models: Those in the models folders.
        model_watch: Notices when they have changed.
        remote_watch: Looks at remote ones; None where there is no place of them.
        model_downloads: Of models to the models folder.
        pack_manager: Installs, updates and removes packs.
        model_index: Hashes and last uses of the models.
        editor: Its files.
        front_end: Files of ComfyUI's page; None without the setting.
        pack_checks: What packs' own checks say of workflows.
        graphs: Of workflows that were found sound.
        metrics: Figures for monitoring.
        throughput: Of the workers.
        environment: Folders and permissions of the runs.
        started: Unix time.
        stopping: Set as soon as the server is to stop: long answers end then.
    """

    settings: Settings
    server: ServerSettings
    packs: Sequence[Path] = ()
    has_workers: bool = True

    tokens: Tokens = field(init=False)
    access: Authenticator = field(init=False)
    node_types: NodeTypeCache = field(init=False)
    queue: JobQueue = field(init=False)
    queue_reads: QueueReads = field(init=False)
    tail: EventTail = field(init=False)
    hub: EventHub = field(init=False)
    live_relay: EventRelay = field(init=False)
    supervisor: Supervisor = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    artifacts: Artifacts = field(init=False)
    uploads: Uploads = field(init=False)
    workflows: SavedWorkflows = field(init=False)
    drafts: DraftRooms | None = field(init=False, default=None)
    prompt_lists: PromptLists = field(init=False)
    user_files: UserFiles = field(init=False)
    places: PathRedactor = field(init=False)
    models: KnownModels = field(init=False)
    model_watch: ModelWatch = field(init=False)
    remote_watch: RemoteModelWatch | None = field(init=False, default=None)
    model_downloads: ModelDownloads = field(init=False)
    pack_manager: PackManager = field(init=False)
    model_index: ModelIndex = field(init=False)
    editor: Editor = field(init=False)
    front_end: ConfinedFolder | None = field(init=False)
    pack_checks: PackChecks = field(init=False)
    metrics: Metrics = field(init=False)
    throughput: Throughput = field(init=False)
    started: float = field(init=False)
    environment: Environment = field(init=False)
    stopping: asyncio.Event = field(init=False)
    graphs: GraphCache = field(init=False, default_factory=GraphCache)

    def __post_init__(self) -> None:
        finish_restore(self.home)
        self.tokens = Tokens(self.home / TOKENS)
        self.access = Authenticator(self.server, self.tokens)
        self.stopping = asyncio.Event()
        self.metrics = Metrics()
        queue = self.server.queue
        self.places = path_redactor(self.worker_settings, None if queue is None else str(queue))
        self.models = KnownModels()
        self.prompt_lists = PromptLists(self.home / PROMPT_LISTS)
        self.user_files = UserFiles(self.home / USER_FILES)
        own = "/editor" if self.server.comfyui else ""
        self.editor = Editor(root=self.server.root_path + own, start_page=self.server.start_page)
        self.front_end = open_front_end(self.server.comfyui_frontend)

    @property
    def home(self) -> Path:
        """Folder of what the server keeps."""
        return self.settings.data_folder

    @property
    def uptime(self) -> float:
        """Seconds since it was opened, whatever the machine's clock did meanwhile."""
        return monotonic() - self._born

    @property
    def outputs(self) -> Path:
        """Folder that jobs write to; a server's current folder may be any."""
        return self.settings.outputs or self.home / "outputs"

    @property
    def uploads_folder(self) -> Path:
        """Folder of what clients brought."""
        return self.home / "uploads"

    @property
    def _given_folders(self) -> list[Path]:
        """Folders from which jobs' files are handed out: of results, and of previews."""
        return [self.outputs, self.environment.temporary]

    @property
    def worker_settings(self) -> Settings:
        """The settings of the installation as workers have them."""
        inputs = self.settings.inputs or self.home / "inputs"
        readable = self.settings.readable or (inputs,)
        hosts = self.settings.service_hosts
        if hosts is None and not (self.server.is_private and not self.tokens.are_any):
            # A local server of this machine is not for others who may run workflows here.
            hosts = PUBLIC_HOSTS
        return replace(
            self.settings,
            outputs=self.outputs,
            inputs=inputs,
            readable=tuple(readable),
            service_hosts=hosts,
            uploads=files_folder(self.uploads_folder),
        )

    async def open(self) -> None:
        """Open the parts; all of them, or none."""
        async with AsyncExitStack() as opened:
            self.environment = self.worker_settings.environment()
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="nodegraph-disk")
            opened.callback(self._threads.shutdown)
            self._file_threads = ThreadPoolExecutor(
                _THREADS, thread_name_prefix="nodegraph-shared-files"
            )
            opened.callback(self._file_threads.shutdown)
            self.queue = await self.run_in_thread(self._open_queue)
            opened.push_async_callback(self.run_in_thread, self.queue.close)
            self.queue_reads = QueueReads(self.queue)
            opened.callback(self.queue_reads.close)
            self._long_changes = QueueReads(self.queue, threads=2, patience=_LONG_PATIENCE)
            opened.callback(self._long_changes.close)
            await self._open_stores(opened)
            await self._open_workers(opened)
            self.started, self._born = time(), monotonic()
            self._opened = opened.pop_all()

    def _open_queue(self) -> JobQueue:
        # Others' images and prompts are in both.
        make_private_folder(self.home)
        make_private_folder(self.settings.cache_folder)
        if self.server.merge_jobs > 1 and self.settings.merge_steps == "off":
            _LOG.warning(
                "merge_jobs is %d but has no effect, because the setting merge_steps is off; "
                'merge_steps = "exact" lets sampling runs share batches',
                self.server.merge_jobs,
            )
        file = self.home / "queue.sqlite"
        if self.server.queue is not None and file.exists():
            _LOG.warning("the jobs in %s are not run: the queue is %s", file, self.server.queue)
        return JobQueue(
            self.server.queue or file,
            default_limits=client_limits(self.server.clients),
            most_waiting=self.server.most_waiting,
        )

    def _open_shared(self) -> FilePool | None:
        """What other servers share of clients' and jobs' files, if they do."""
        queue, url = self.server.queue, self.server.shared_files
        if queue is None or url is None:
            return None
        for name in ("uploads/uploads.sqlite", "artifacts.sqlite"):
            if (self.home / name).exists():
                _LOG.warning(
                    "the files listed in %s are not shared: the shared files are at %s", name, url
                )
        files = SharedFiles(open_storage(url), self.queue.identity)
        try:
            files.check()
        except FilesOfOthers:
            raise
        except FilesUnreachable as error:
            _LOG.warning("%s; jobs that need them wait", error)
        return FilePool(
            files, open_shared_tables(queue, SHARED_SCHEMA, SHARED_MIGRATIONS, SCHEMA_LOCK)
        )

    def _open_library(self) -> ResultLibrary:
        """What people note about results: where the queue is, as servers share both."""
        queue, file = self.server.queue, self.home / LIBRARY_FILE
        if queue is None:
            return open_library(file)
        if file.exists():
            _LOG.warning("the library in %s is not used: the queue is %s", file, queue)
        return ResultLibrary(
            open_shared_tables(queue, LIBRARY_SCHEMA, LIBRARY_TABLES, LIBRARY_LOCK)
        )

    async def _open_stores(self, opened: AsyncExitStack) -> None:
        shared = await self.run_in_thread(self._open_shared)
        if shared is not None:
            opened.callback(shared.tables.close)
        others = (
            None
            if shared is None
            else SharedArtifacts(shared, self.settings.cache_folder / "artifacts")
        )
        pixels = self.server.limits.pixels
        thumbnails = Thumbnails(self.settings.cache_folder / "thumbnails", pixels=pixels)
        self.artifacts = await self.run_in_thread(
            Artifacts,
            self.home / "artifacts.sqlite",
            self.queue,
            self._given_folders,
            thumbnails,
            await self.run_in_thread(self._open_library),
            others,
        )
        opened.callback(self.artifacts.close)
        rules = upload_rules(self.server)
        self.uploads = await self.run_in_thread(
            Uploads, self.uploads_folder, self.queue, rules, shared=shared
        )
        opened.callback(self.uploads.close)
        self.workflows = await self.run_in_thread(SavedWorkflows, self.home / "workflows")
        if self.server.queue is None:
            # A window at another server would work on another copy.
            store = await self.run_in_thread(DraftStore, self.home / DRAFTS_FILE)
            opened.callback(store.close)
            nodes = self.server.limits.nodes
            self.drafts = DraftRooms(store, self.workflows, nodes, self.run_in_thread)

    async def _open_workers(self, opened: AsyncExitStack) -> None:
        tail = self._open_events(opened)
        rules = supervision_rules(self.server)
        cluster = self._cluster = await self._join(opened)
        self.supervisor = Supervisor(
            worker_specs(self.worker_settings, self.server, self.packs) if self.has_workers else [],
            self.dispatcher,
            rules,
            starter=None if cluster is None else cluster.starter,
        )
        self.throughput = Throughput(
            lambda: {each.name: each.done for each in self.supervisor.workers}
        )
        self.pack_checks = PackChecks(self.supervisor)
        ask = self._ask_for_types if self.has_workers else None
        self.node_types = NodeTypeCache(self.settings, self.packs, ask)
        await self.node_types.load()
        self.node_types.listen(
            lambda types: self.hub.notify("node_types.changed", digest=types.digest)
        )
        await self._open_models(opened)
        self.pack_manager = PackManager(
            self.settings,
            self.places,
            self.refresh_node_types,
            lambda change: self.hub.notify("packs.changed", **change_progress(change)),
        )
        opened.push_async_callback(self.pack_manager.close)
        opened.push_async_callback(self.dispatcher.stop, self.server.shutdown_seconds)
        helpers = self.supervisor.helpers if self.server.help_jobs else None
        await self.dispatcher.start(self.supervisor, HelpScheduler(helpers))
        await self.supervisor.start()
        # Without a planner, all that can be read is read already.
        reading = (self._read_packs,) if self.has_workers else ()
        scaling = () if cluster is None else ((await self._scaler(cluster, tail)).run,)
        looking = () if self.remote_watch is None else (self.remote_watch.run,)
        watching = (self._watch_packs, self.model_watch.run, *looking, self.throughput.run)
        sharing = (self._sharing(tail).run,) if self.uploads.is_shared else ()
        for task in (*reading, *scaling, *watching, *sharing):
            name = task.__qualname__
            opened.push_async_callback(cancel_and_wait, asyncio.create_task(task(), name=name))

    def _open_events(self, opened: AsyncExitStack) -> EventTail:
        """Open what follows the queue and tells clients."""
        tail = self.tail = EventTail(self.queue)
        opened.callback(tail.close)
        self.metrics.follow(tail, self.queue)
        tail.listen(JobLog().handle_events)
        self.hub = EventHub(
            self.queue, tail, max_bytes=self.server.limits.waiting, root=self.server.root_path
        )
        opened.callback(self.hub.close)
        self.live_relay = EventRelay(self.queue, self.hub)
        opened.push_async_callback(self.run_in_thread, self.live_relay.close)
        self.dispatcher = Dispatcher(
            self.queue,
            tail,
            self.live_relay.publish_live,
            self.uploads.resolve_shared if self.uploads.is_shared else None,
        )
        return tail

    async def _open_models(self, opened: AsyncExitStack) -> None:
        """Open the watch, the downloads and the index of models."""
        self.model_watch = ModelWatch(
            lambda: self.settings.model_folders,
            self.run_in_thread,
            lambda: self.hub.notify("models.changed"),
            lambda: self.hub.has_listeners,
        )
        self.remote_watch = self._open_remote_watch(opened)
        self.model_downloads = ModelDownloads(
            self.settings,
            lambda status: self.hub.notify("models.download", **download_progress(status)),
        )
        opened.push_async_callback(self.run_in_thread, self.model_downloads.close)
        self.model_index = ModelIndex(
            self.listed_models,
            ModelHashCache(self.settings.cache_folder),
            self.queue.requests_after,
            self.queue.workflow,
            partial(self._tell_of_models, asyncio.get_running_loop()),
        )
        opened.push_async_callback(self.run_in_thread, self.model_index.close)
        try:
            await self.run_in_thread(self.model_downloads.resume_pending)
        except (NodegraphError, OSError) as error:  # no reason to serve nobody
            _LOG.warning("downloads of models are not continued: %s", error)

    def _open_remote_watch(self, opened: AsyncExitStack) -> RemoteModelWatch | None:
        if self.settings.remote_models:
            from nodegraph.session.weights import attach_remote_models  # few have any

            opened.callback(attach_remote_models(self.settings))
        model_store = find_remote_store(self.settings.remote_models_folder)
        if model_store is None:
            return None
        tell, is_wanted = lambda: self.hub.notify("models.changed"), lambda: self.hub.has_listeners
        return RemoteModelWatch(model_store, self.run_in_thread, tell, is_wanted)

    def _tell_of_models(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.stopping.is_set():
            loop.call_soon_threadsafe(self.hub.notify, "models.changed")

    def change_model_folders(self) -> None:
        """Use other models folders, as the list of linked ones has changed."""
        self.environment = replace(self.environment, models=self.settings.searched_models)

    def listed_models(self) -> list[FoundModel]:
        """The models that jobs may name, remote ones as far as they are known."""
        if self.environment.models != self.settings.searched_models:
            self.change_model_folders()  # by the command line
        if self.remote_watch is not None:
            self.remote_watch.request_update()
        return self.models.list(self.environment.models)

    async def _join(self, opened: AsyncExitStack) -> Joined | None:
        """The cluster that workers run on, if they do."""
        if self.server.cluster is None or not self.has_workers:
            return None
        from nodegraph.jobs.cluster.distributed_run import join_cluster

        return await opened.enter_async_context(join_cluster(self.server.cluster))

    async def _scaler(self, cluster: Joined, tail: EventTail) -> Scaler:
        nodes = await cluster.cluster.nodes()
        kinds = cluster_kinds(self.worker_settings, self.server, self.packs, nodes)
        pace = JobDurations()
        tail.listen(pace.add_events)
        return Scaler(
            self.supervisor,
            kinds,
            self._waiting,
            lambda: pace.seconds,
            self.server.cluster_idle_seconds,
        )

    def _sharing(self, tail: EventTail) -> ArtifactSharing:
        sharing = ArtifactSharing(self.artifacts.share, self.artifacts.retry_missing)
        tail.listen(sharing.handle_events)
        return sharing

    async def _waiting(self) -> ReadyCounts:
        """How many jobs a worker could have now."""
        try:
            return await self.queue_reads.run(_ready, self.queue)
        except NodegraphError:
            return ReadyCounts()  # what can't be read can't be claimed

    def begin_shutdown(self) -> None:
        """End what would hold up the end: answers that follow what happens."""
        self.stopping.set()
        if hasattr(self, "hub"):  # it may still be opening
            self.hub.close()

    async def close(self) -> None:
        """Close the parts: running jobs are given back, everything asked for is written."""
        self.begin_shutdown()
        await self._opened.aclose()

    async def run_in_thread(
        self, function: Callable[P, T], *args: P.args, **options: P.kwargs
    ) -> T:
        """Call what reads a disk or takes its time, without keeping the event loop from others."""
        loop = asyncio.get_running_loop()
        # With what the request is known by, for what is logged there.
        call = partial(copy_context().run, function, *args, **options)
        return await loop.run_in_executor(self._threads, call)

    async def read_queue(self, look: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """What reads more of the queue than a job; a database that hangs keeps no other threads.

        Raises:
            QueueUnreachable: A database takes too long.
        """
        give = self.queue_reads.run if self.queue.is_shared else self.run_in_thread
        return await give(look, *args, **options)

    async def run_long_change(
        self, change: Callable[P, T], *args: P.args, **options: P.kwargs
    ) -> T:
        """What comes of a change of many jobs, which goes on where nobody waits any more.

        Raises:
            QueueUnreachable: A database takes too long.
        """
        give = self._long_changes.run if self.queue.is_shared else self.run_in_thread
        return await give(change, *args, **options)

    async def run_file_task(self, look: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """What looks at uploads, or opens files. Shared ones may be brought from afar, or their
        database hang: that takes no threads from others."""
        if not self.uploads.is_shared:
            return await self.run_in_thread(look, *args, **options)
        call = partial(copy_context().run, look, *args, **options)
        return await asyncio.get_running_loop().run_in_executor(self._file_threads, call)

    async def refresh_node_types(self) -> DeclaredTypes:
        """Have packs read anew; workers take them up as soon as they have no job.

        Raises:
            NodegraphError: They can't be read now.
        """
        self.supervisor.renew()
        return await self.node_types.refresh()

    def worker_states(self) -> list[WorkerStatus]:
        """How the worker processes are."""
        return self.supervisor.workers

    def queue_fault(self) -> str | None:
        """Why the queue couldn't be written to when that was last tried; None if it could."""
        return self.dispatcher.status.fault

    async def _read_packs(self) -> None:
        """Have packs read that changed while no server ran, once the planner is there."""
        while not await self.node_types.try_refresh():
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _watch_packs(self) -> None:
        """Have packs read that are edited, so that open pages show it by themselves.

        Jobs that wait find them, too: workers of a cluster have to be sent them.
        """
        await self.node_types.watch(lambda: self._cluster is not None or self.hub.has_listeners)

    async def _ask_for_types(self) -> None:
        """Have packs read that have changed, and sent to workers elsewhere.

        Raises:
            NodegraphError: They can't be.
        """
        if self._cluster is not None:
            self.supervisor.renew(await self._cluster.starter.outdated())
        await self.supervisor.ask("node_types")


def _ready(queue: JobQueue) -> ReadyCounts:
    return ReadyCounts() if queue.is_paused() else queue.waiting()


async def cancel_and_wait(task: asyncio.Task[None]) -> None:
    """Cancel a task, and wait until it has come to its end."""
    task.cancel()
    await asyncio.wait([task])
