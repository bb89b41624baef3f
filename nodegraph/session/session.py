"""Sessions: settings, node types and an engine, for the command line and for scripts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from nodegraph.core.context import Environment
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.workflow import Workflow, WorkflowOrDict
from nodegraph.engine.options import DEFAULT_OPTIONS, RunKeywords, RunOptions
from nodegraph.errors import InvalidValue, NodegraphError, Problem
from nodegraph.packs.pack import Pack, pack_at
from nodegraph.session.devices import default_device, matmul_seconds, prepare_torch, resolve_device
from nodegraph.session.node_types import NodeTypes
from nodegraph.session.settings import Settings, check_kinds, input_folder, load_settings
from nodegraph.session.workflow_checker import CheckedWorkflow, Checker, validated

if TYPE_CHECKING:
    import asyncio

    from typing_extensions import Unpack

    from nodegraph.core.graph_builder import GraphCache
    from nodegraph.engine.engine import Engine
    from nodegraph.engine.live_values import SharedValues
    from nodegraph.engine.planning.device_memory import DeviceMemory, RemoteMemory
    from nodegraph.engine.planning.plan import Plan
    from nodegraph.engine.planning.why import NodeWhy
    from nodegraph.engine.result import RunResult
    from nodegraph.packs.registry import Registry
    from nodegraph.residency import ResidencyManager
    from nodegraph.sampling.merging.step_merging import StepMerging
    from nodegraph.session.persistence import Persistence, RunRecorder
    from nodegraph.store.store import Store


class Session:
    """A session that runs workflows in this process.

    Results stay in memory between runs, and on disk for other and later processes. Use the session
    as a context manager, or call `close`.

    Args:
        settings: Settings; read from the config file and the environment if not given.
        packs: Additional packs: folders, files, or `Pack` objects.
        nodes: Functions decorated with `@node`, for scripts and notebooks.
        inputs: Folder for relative input paths, if the settings do not name one.
        use_cache: False computes everything again and stores nothing.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        packs: Sequence[str | Path | Pack] = (),
        nodes: Sequence[Callable[..., Any]] = (),
        inputs: str | Path | None = None,
        use_cache: bool = True,
    ) -> None:
        check_kinds(settings, packs, nodes)
        self.settings = settings or load_settings()
        opened_packs = [pack if isinstance(pack, Pack) else pack_at(Path(pack)) for pack in packs]
        self.node_types = NodeTypes(self.settings, opened_packs, nodes)
        self._inputs = input_folder(inputs)
        self._use_cache = use_cache
        self.problems: list[str] = []
        self._one_at_a_time = Lock()
        self._detach_models: Callable[[], None] | None = None
        if self.settings.remote_models:
            from nodegraph.session.weights import attach_remote_models

            self._detach_models = attach_remote_models(self.settings)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _graphs(self) -> GraphCache:
        from nodegraph.core.graph_builder import GraphCache  # checks have no use for it

        return GraphCache()

    @property
    def registry(self) -> Registry:
        """Node types of all packs, as of the start of the last job."""
        return self.node_types.registry

    def refresh(self) -> None:
        """Load changed packs and find new links, unless a run is in progress, which keeps the old.

        Every job and every plan calls it first.
        """
        engine: Engine | None = self.__dict__.get("engine")
        if engine is not None and engine.is_running:
            return
        if self.settings.searched_models != self.environment.models:
            self.take(nodes=self.node_types.functions, inputs=self._inputs)
        if self.node_types.refresh() and engine is not None:
            if self.store is not None:
                self.store.flush()
            engine.replace_registry(self.registry)

    def take(self, *, nodes: Sequence[Callable[..., Any]], inputs: Path | None) -> None:
        """Replace the node functions and the inputs folder, while no run is in progress.

        Args:
            nodes, inputs: See the arguments of `Session`.
        """
        self.node_types.set_functions(nodes)
        self._inputs = inputs
        self.__dict__.pop("environment", None)
        if "engine" in self.__dict__:
            self.engine.shared.environment = self.environment

    @cached_property
    def environment(self) -> Environment:
        """Folders and permissions of the runs."""
        return self.settings.environment(inputs=self._inputs, device=self._device)

    @cached_property
    def _device(self) -> str:
        wanted = self.settings.device
        return default_device() if wanted == "auto" else resolve_device(wanted)

    @cached_property
    def persistence(self) -> Persistence | None:
        """Data on disk; None if the settings disable it or it cannot be opened.

        `problems` lists its faults.
        """
        if not self._use_cache or not self.settings.disk_cache:
            return None
        from nodegraph.session.persistence import open_persistence

        try:
            opened = open_persistence(self.settings, lambda: self.registry.serializers)
        except NodegraphError as error:
            self.problems.append(f"results are not kept on disk: {error}")
            return None
        self.problems.extend(opened.problems)
        return opened

    @property
    def store(self) -> Store | None:
        """Results on disk; see `persistence`."""
        return None if self.persistence is None else self.persistence.store

    @cached_property
    def engine(self) -> Engine:
        """Engine that all runs share, with its lanes, cache and weights."""
        prepare_torch(self.settings.cache_folder)
        from nodegraph.engine.cache import Cache, MemoryCache, NoCache
        from nodegraph.engine.checkpointing import Saver
        from nodegraph.engine.engine import Engine
        from nodegraph.engine.lanes import Lanes
        from nodegraph.observe.progress import silence_widget_warnings
        from nodegraph.session.results.files import result_texts
        from nodegraph.session.weights import model_path
        from nodegraph.weights.numerics import LibraryNumerics

        silence_widget_warnings()
        kept = self.persistence
        memory = MemoryCache(self.settings.memory_budget)
        interval = self.settings.checkpoint_seconds
        cache = Cache(memory) if self._use_cache else NoCache()
        saver = Saver(interval=interval)
        if kept is not None:
            cache = Cache(memory, kept.store, kept.read_only_stores, self._import_types)
            if kept.checkpoints is not None:
                saver = Saver(kept.checkpoints, interval=interval, settle=kept.store.flush)
        merging, places = self.merging, self.settings.cpu_threads
        return Engine(
            self.registry,
            environment=self.environment,
            weights=self._weights,
            numerics=LibraryNumerics(is_merged=self.settings.merge_steps == "tolerance"),
            cache=cache,
            lanes=Lanes(self._device, cpu_places=places, merging=merging),
            costs=kept.costs if kept is not None else None,
            claims=kept.claims if kept is not None else None,
            written=kept.written if kept is not None else None,
            codes=kept.codes if kept is not None else None,
            saver=saver,
            merging=merging,
            texts_of=result_texts,
            model_path=model_path,
        )

    @cached_property
    def merging(self) -> StepMerging | None:
        """Step merging of samplings into shared batches; None if the settings disable it."""
        settings = self.settings
        if settings.merge_steps == "off":
            return None
        from nodegraph.sampling.merging.step_merging import StepMerging
        from nodegraph.weights.numerics import LibraryNumerics

        kept = self.persistence
        return StepMerging(
            settings.merge_steps,
            margin=settings.merge_margin,
            most=settings.merge_most,
            profile=LibraryNumerics().profile,
            costs=None if kept is None else kept.costs,
        )

    @property
    def merged_steps(self) -> int:
        """Number of sampling steps computed in a batch with other samplings so far."""
        return 0 if self.merging is None else self.merging.merged

    def _import_types(self, node_type: str) -> None:
        self.registry.import_types(node_type)

    @cached_property
    def _weights(self) -> ResidencyManager:
        from nodegraph.session.weights import residency_manager

        return residency_manager(self.settings, self._device)

    def check(
        self,
        workflow: WorkflowOrDict,
        *,
        targets: Sequence[str] | None = None,
        granted: Collection[Path] = (),
    ) -> list[Problem]:
        """Return all problems of a workflow without running it.

        Args:
            granted: See `RunOptions`.
        """
        with self.node_types.scope.entered():
            self.refresh()
            return self._checker(granted).problems(Workflow.of(workflow), targets)

    def _checker(self, granted: Collection[Path]) -> Checker:
        return Checker(self.registry, self.environment.with_granted(granted))

    def graph(
        self,
        workflow: WorkflowOrDict,
        *,
        targets: Sequence[str] | None = None,
        granted: Collection[Path] = (),
    ) -> CheckedGraph:
        """Return the executable graph of a workflow.

        Args:
            granted: See `RunOptions`.
        Raises:
            InvalidWorkflow: Lists all problems of the workflow.
        """
        with self.node_types.scope.entered():
            return self._checker(granted).graph(Workflow.of(workflow), targets)

    def plan(
        self,
        workflow: WorkflowOrDict,
        *,
        targets: Sequence[str] | None = None,
        problems: Sequence[Problem] = (),
        granted: Collection[Path] = (),
        stock: RemoteMemory | None = None,
        values: bool = False,
        files: RunOptions = DEFAULT_OPTIONS,
    ) -> Plan:
        """Return what a run would do, node by node, with its expected time and memory.

        Args:
            problems: Known problems, added to the workflow's own problems in the plan.
            granted: See `RunOptions`.
            stock: Memory contents of the process that would run it; this process if not given.
            values: Whether the run returns the values of the targets' outputs, as a run does by
                default. Values that are not stored are then computed again.
            files: What the files of the run carry. Files that carry something else run again.
        """
        from nodegraph.engine.planning.why import known_types
        from nodegraph.engine.planning.workflow_plan import plan_workflow
        from nodegraph.residency import resident_name

        with self.node_types.scope.entered():
            self.refresh()
            self.engine.look_at_code_anew()
            kept = self.persistence
            self.measure_machine()
            stores = () if kept is None else (kept.store, *kept.read_only_stores)
            workflow = Workflow.of(workflow)
            options = files.with_changes(granted=granted)
            shared = self.engine.shared.for_run(options, workflow.cpu_precision)
            weights = frozenset(self.resident() if stock is None else stock.weights)
            return plan_workflow(
                workflow,
                shared if stock is None else stock.overlay(shared),
                targets=targets,
                problems=problems,
                is_resident=lambda recipe, device: resident_name(recipe, device) in weights,
                needs_targets=values,
                is_known=known_types([store.index for store in stores]) if stores else None,
                room_of=self._room_of if stock is None else stock.room_of(self._room_of),
            ).plan

    def room(self) -> DeviceMemory | None:
        """Return the memory of the compute device; None if it is not known."""
        return self._room_of(self._device)

    def _room_of(self, device: str) -> DeviceMemory | None:
        from nodegraph.session.weights import device_room

        return device_room(self._weights, self.settings.weights_budget, device)

    def measure_machine(self) -> None:
        """Measure the speed of this machine once, for plans of nodes that never ran on it."""
        from nodegraph.engine.call_records import MACHINE

        kept, device = self.persistence, self._device
        if kept is None or kept.costs.expected(MACHINE, "", device) is not None:
            return
        seconds = matmul_seconds(device)
        if seconds is not None:
            kept.costs.record(MACHINE, "", device, seconds)

    def resident(self) -> list[str]:
        """Return the names of weights in memory; see `nodegraph.residency.resident_name`."""
        from nodegraph.residency import resident_name

        there = [item for item in self._weights.resident() if item.is_whole]
        return [resident_name(item.recipe, item.device) for item in there]

    def why(self, workflow: WorkflowOrDict, *, node: str | None = None) -> list[NodeWhy]:
        """Explain why nodes would run, or which earlier run made a result; nothing runs.

        Args:
            node: Explain this node and the nodes that make it run; if not given, all nodes that
                would run.
        """
        from nodegraph.engine.planning.why import RunHistory, past_in
        from nodegraph.engine.planning.workflow_plan import why_workflow

        with self.node_types.scope.entered():
            self.refresh()
            self.engine.look_at_code_anew()
            kept = self.persistence
            past = RunHistory()
            if kept is not None:
                kept.store.flush()
                indexes = [store.index for store in (kept.store, *kept.read_only_stores)]
                past = past_in(indexes, kept.runs)
            workflow = Workflow.of(workflow)
            shared = self.engine.shared.for_run(precision=workflow.cpu_precision)
            return why_workflow(workflow, shared, past, node=node)

    async def run_async(
        self,
        workflow: WorkflowOrDict,
        options: RunOptions = DEFAULT_OPTIONS,
        **keywords: Unpack[RunKeywords],
    ) -> RunResult:
        """Run a workflow on the running event loop.

        Args:
            options: Options; see `nodegraph.engine.options.RunOptions`.
            keywords: Options as keywords, which override `options`; see `RunKeywords`.
        Raises:
            InvalidWorkflow: The workflow was not run; lists all its problems.
            InvalidValue: An option has a wrong value, or a node of the session calls this.
            TypeError: There is no such option.
        """
        self._refuse_nested_use()
        options = options.with_changes(**keywords)
        with self.node_types.scope.entered():
            self.refresh()
            checked = await validated(self._checked, workflow, options)
            return await self._run_checked(checked, options)

    def _checked(
        self, workflow: WorkflowOrDict, options: RunOptions, shared: SharedValues | None = None
    ) -> CheckedWorkflow:
        checker, uploads = self._checker(options.granted), self.settings.uploads
        return checker.check(workflow, options, self._graphs, uploads=uploads, shared=shared)

    async def _run_checked(self, checked: CheckedWorkflow, options: RunOptions) -> RunResult:
        from nodegraph.core.context import nested_in  # see `_refuse_nested_use`
        from nodegraph.session.results import show_result

        with self._run_recorder.record(checked.document, options) as noted, nested_in(self):
            result = await self.engine.run(
                checked.graph, options, workflow=checked.embedded_document, run_id=noted.id
            )
            most = self.settings.max_image_pixels
            noted.result = result = replace(
                result, run=noted.id, shown=show_result, max_pixels=most
            )
        self._warn_of_changes()
        return result

    def _warn_of_changes(self) -> None:
        """Warn about values that were changed without the engine's knowledge."""
        changed = self.engine.shared.cache.changed
        if changed:
            from nodegraph.engine.cache import CHANGED_VALUE

            changed.clear()
            warnings.warn(CHANGED_VALUE, RuntimeWarning, stacklevel=2)

    @cached_property
    def _run_recorder(self) -> RunRecorder:
        from nodegraph.session.persistence import RunRecorder

        kept = self.persistence
        runs, lineage = (None, None) if kept is None else (kept.runs, kept.lineage)
        return RunRecorder(runs, self._run_environment, self.problems, lineage)

    def _run_environment(self) -> dict[str, Any]:
        """Return the environment that results depend on in addition to the workflow."""
        from nodegraph.observe.record import describe_environment

        numerics = self.engine.shared.numerics
        return describe_environment(
            device=self._device,
            numerics="" if numerics is None else numerics.profile(self.engine.shared.lanes.device),
            packs=self.registry.pack_versions(),
        )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for a turn among the threads that use the session.

        Raises:
            InvalidValue: A node or a listener of the session's own run waits: a deadlock.
        """
        self._refuse_nested_use()
        with self._one_at_a_time:
            yield

    def _refuse_nested_use(self) -> None:
        from nodegraph.core.context import NESTING  # what only checks workflows runs nothing

        if id(self) in NESTING.get().sessions:
            raise InvalidValue(
                "a node or a listener runs a workflow in the session that waits for it",
                expected="another session",
                hint="Call `nodegraph.run`, which uses another session. Or return an `Expand` from "
                "the node: its nodes become part of the current run.",
            )

    def run(
        self,
        workflow: WorkflowOrDict,
        options: RunOptions = DEFAULT_OPTIONS,
        **keywords: Unpack[RunKeywords],
    ) -> RunResult:
        """Run a workflow and wait for the result; see `run_async`.

        It also works where an event loop is already running, as in a notebook: the run then uses
        a separate thread. Several threads may call it: they take turns.
        """
        from nodegraph.session.background_task import wait_for  # validating needs no event loop

        with self._turn():
            return wait_for(self.run_async(workflow, options, **keywords))

    def run_many(
        self, workflows: Sequence[WorkflowOrDict], options: Sequence[RunOptions] = ()
    ) -> list[RunResult]:
        """Run several workflows at once; they share lanes, equal calls and merged steps.

        Args:
            options: Options of each run, in the same order; the defaults if none are given.
        Raises:
            InvalidWorkflow: A workflow is invalid; none was run.
            InvalidValue: The number of options differs, or an option has a wrong value.
        """
        if options and len(options) != len(workflows):
            raise InvalidValue(
                "the number of options differs from the number of workflows",
                given=f"{len(options)} options, {len(workflows)} workflows",
                expected="options for each workflow, or none",
            )
        from nodegraph.session.background_task import wait_for  # validating needs no event loop

        with self._turn():
            every = options or [DEFAULT_OPTIONS] * len(workflows)
            return wait_for(self._run_many(workflows, every))

    def begin_many(
        self, workflows: Sequence[WorkflowOrDict], options: Sequence[RunOptions]
    ) -> list[asyncio.Task[RunResult]]:
        """Start several runs on the running event loop and return their tasks.

        Raises:
            InvalidWorkflow, InvalidValue: A workflow or an option is invalid; none was started.
        """
        import asyncio  # validating needs no event loop

        from nodegraph.engine.live_values import SharedValues

        self._refuse_nested_use()
        with self.node_types.scope.entered():
            self.refresh()
            shared = SharedValues()
            checked = [
                self._checked(workflow, how, shared)
                for workflow, how in zip(workflows, options, strict=True)
            ]
            return [
                asyncio.create_task(self._run_checked(each, how))
                for each, how in zip(checked, options, strict=True)
            ]

    async def _run_many(
        self, workflows: Sequence[WorkflowOrDict], options: Sequence[RunOptions]
    ) -> list[RunResult]:
        import asyncio  # validating needs no event loop

        runs = self.begin_many(workflows, options)
        outcomes = await asyncio.gather(*runs, return_exceptions=True)
        # Raised once all have ended, so that none is cut off by another.
        for each in outcomes:
            if isinstance(each, BaseException):
                raise each
        return [each for each in outcomes if not isinstance(each, BaseException)]

    def load_ahead(self, workflow: WorkflowOrDict, **keywords: Unpack[RunKeywords]) -> list[str]:
        """Load the weights of a workflow, so that its first image is as fast as later ones.

        Only the nodes that determine these weights run.

        Args:
            keywords: See `run`.
        Returns:
            Names of the loaded weights; see `nodegraph.residency.resident_name`.
        Raises:
            InvalidWorkflow, InvalidValue: See `run_async`.
            NodeFailed: A node that determines the weights raised.
            NodegraphError: A model's files are missing or damaged, or do not fit in memory.
        """
        from nodegraph.session.background_task import wait_for  # validating needs no event loop

        with self._turn():
            return wait_for(self.load_ahead_async(workflow, **keywords))

    async def load_ahead_async(
        self, workflow: WorkflowOrDict, **keywords: Unpack[RunKeywords]
    ) -> list[str]:
        """Load the weights of a workflow on the running event loop; see `load_ahead`."""
        import asyncio  # validating needs no event loop

        from nodegraph.residency import resident_name
        from nodegraph.session.weights import load_components, recipe_nodes, used_recipes

        with self.node_types.scope.entered():
            self.refresh()
            options = DEFAULT_OPTIONS.with_changes(**keywords)
            ready = Workflow.of(workflow).with_parameters(options.parameters or {})
            graph = self.graph(ready, targets=options.targets, granted=options.granted)
            run = [node for name, node in graph.nodes.items() if name not in graph.values]
            for node_type in {node.spec.type for node in run}:
                self._import_types(node_type)
            makers = options.with_changes(targets=recipe_nodes(graph), parameters=None, values=True)
            made = await self.run_async(ready, makers)
            if made.errors:
                raise made.errors[0]
            recipes = used_recipes(graph, made)
            await asyncio.to_thread(load_components, self._weights, recipes, self._device)
            return [resident_name(recipe, self._device) for recipe in recipes]

    def close(self) -> None:
        """Stop the threads and release the weights."""
        if "engine" in self.__dict__:
            self.engine.close()
            self._weights.release_all()
        if self._detach_models is not None:
            self._detach_models()
            self._detach_models = None
        self.node_types.close()
        if (kept := self.__dict__.get("persistence")) is not None:
            kept.close()
        if "engine" in self.__dict__:
            self._warn_of_changes()  # also of what was found on the way to the disk
