"""A session: settings, node types and an engine joined, for the command line and for scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

from nodegraph.core.context import Environment
from nodegraph.core.graph import Graph
from nodegraph.core.validation import check_workflow
from nodegraph.core.versions import with_versions
from nodegraph.core.workflow import Workflow
from nodegraph.engine.installed import remembered_packs
from nodegraph.engine.manifest import ManifestCache
from nodegraph.engine.packs import Pack, pack_at, packs_in
from nodegraph.engine.registry import Registry
from nodegraph.errors import InvalidValue, Problem
from nodegraph.settings import Settings, load_settings

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nodegraph.core.events import Listener
    from nodegraph.core.values import Recipe
    from nodegraph.engine.cancel import CancelToken
    from nodegraph.engine.engine import Engine
    from nodegraph.engine.result import RunResult
    from nodegraph.residency import ResidencyManager


class SessionRunOptions(TypedDict, total=False):
    """Options of `Session.run`; see `Session.run_async`."""

    parameters: Mapping[str, Any] | None
    targets: Sequence[str] | None
    listener: Listener | None
    cancel: CancelToken | None


class RunOptions(TypedDict, total=False):
    """Options of `run`; see `run_async`."""

    parameters: Mapping[str, Any] | None
    targets: Sequence[str] | None
    packs: Sequence[str | Path]
    nodes: Sequence[Callable[..., Any]]
    settings: Settings | None
    check: bool


class Session:
    """Runs workflows in this process.

    Results stay in its memory from one run to the next. Use it as a context manager, or call
    `close`.

    Args:
        settings: Where things lie; read from file and environment if not given.
        packs: More packs: folders or files.
        nodes: Functions decorated with `@node`, for scripts and notebooks.
        inputs: Where relative input paths start, unless the settings say.
        use_cache: False computes everything anew.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        packs: Sequence[str | Path] = (),
        nodes: Sequence[Callable[..., Any]] = (),
        inputs: Path | None = None,
        use_cache: bool = True,
    ) -> None:
        self.settings = settings or load_settings()
        self._packs = [pack_at(Path(path)) for path in packs]
        self._nodes = nodes
        self._inputs = inputs
        self._use_cache = use_cache
        self._one_at_a_time = Lock()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @cached_property
    def registry(self) -> Registry:
        """The node types of all packs."""
        manifests = ManifestCache(self.settings.cache_folder / "specs")
        registry = Registry(self._all_packs(), manifests=manifests)
        if self._nodes:
            registry.add(*self._nodes)
        return registry

    def _all_packs(self) -> list[Pack]:
        installed = remembered_packs(self.settings.cache_folder / "specs" / "installed.json")
        found = [*installed, *packs_in(self.settings.pack_folders), *self._packs]
        return list(dict.fromkeys(found))

    @cached_property
    def environment(self) -> Environment:
        """Folders and permissions of the runs."""
        return self.settings.environment(inputs=self._inputs, device=self._device)

    @cached_property
    def _device(self) -> str:
        wanted = self.settings.device
        return _default_device() if wanted == "auto" else _checked_device(wanted)

    @cached_property
    def engine(self) -> Engine:
        """What runs share: lanes, cache, weights."""
        _share_cores()
        from nodegraph.diffusion.numerics import LibraryNumerics
        from nodegraph.engine.cache import MemoryCache, NoCache
        from nodegraph.engine.engine import Engine
        from nodegraph.engine.lanes import Lanes

        return Engine(
            self.registry,
            environment=self.environment,
            weights=self._weights,
            numerics=LibraryNumerics(),
            cache=MemoryCache(self.settings.memory_cache) if self._use_cache else NoCache(),
            lanes=Lanes(self._device, cpu_places=self.settings.cpu_threads),
        )

    @cached_property
    def _weights(self) -> ResidencyManager:
        from nodegraph.residency import ResidencyManager

        budget = self.settings.weights_budget
        budgets = None if budget is None else {self._device: budget}
        return ResidencyManager(self._load_component, budgets, estimate=_estimate_bytes)

    def _load_component(self, recipe: Recipe, device: str) -> Any:
        # Not at the top of the file: it brings torch in.
        from nodegraph.diffusion.loading import load_component

        return load_component(recipe, device, folders=self.environment.models)

    def check(self, workflow: Workflow, *, targets: Sequence[str] | None = None) -> list[Problem]:
        """Everything that is wrong with a workflow; nothing runs."""
        return check_workflow(workflow, self.registry, self.environment, targets=targets)

    def graph(self, workflow: Workflow, *, targets: Sequence[str] | None = None) -> Graph:
        """The executable graph of a workflow.

        Raises:
            InvalidWorkflow: Lists all that is wrong with it.
        """
        from nodegraph.core.building import build_graph

        return build_graph(workflow, self.registry, self.environment, targets=targets)

    async def run_async(
        self,
        workflow: Workflow,
        *,
        parameters: Mapping[str, Any] | None = None,
        targets: Sequence[str] | None = None,
        listener: Listener | None = None,
        cancel: CancelToken | None = None,
    ) -> RunResult:
        """Run a workflow on the running event loop.

        Args:
            parameters: Values of the workflow's named parameters.
            targets: Nodes to run, with what they need; all sinks if not given.
            listener: Is handed every event, in order, from any thread.
            cancel: Stops the run at the next step once set.
        Raises:
            InvalidWorkflow: Nothing was run; lists all that is wrong.
        """
        workflow = workflow.with_parameters(parameters or {})
        graph = self.graph(workflow, targets=targets)
        # What sinks keep is to mean the same after an upgrade of the nodes.
        document = with_versions(workflow, self.registry).to_dict()
        return await self.engine.run(graph, workflow=document, listener=listener, cancel=cancel)

    def run(self, workflow: Workflow, **options: Unpack[SessionRunOptions]) -> RunResult:
        """As `run_async`, waiting for the end.

        Works where an event loop runs already, as in a notebook: the run then has a thread of
        its own. Several threads may call it: they take turns.
        """
        with self._one_at_a_time:
            return _wait(self.run_async(workflow, **options))

    def close(self) -> None:
        """Let go of threads and weights."""
        if "engine" in self.__dict__:
            self.engine.close()
            self._weights.release_all()


def _estimate_bytes(recipe: Recipe) -> int:
    from nodegraph.diffusion.loading import estimate_bytes

    return estimate_bytes(recipe)


def _share_cores() -> None:
    """Let torch's threads spin only briefly while they wait for each other, then sleep.

    With other work on the cores, spinning threads keep out the very one that they wait for: twenty
    sampling steps of a small model then take many times as long. GNU OpenMP reads the variable
    when torch is loaded, so it has no effect after that; what the user has set stays.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def _checked_device(name: str) -> str:
    """A device that there is.

    Raises:
        InvalidValue: There is none of that name.
    """
    if name == "cpu":
        return name
    import torch

    there = ["cpu", *(f"cuda:{at}" for at in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    if name not in there and not (name == "cuda" and len(there) > 1):
        raise InvalidValue(
            "there is no such device", given=name, expected=f"auto, {', '.join(there)}"
        )
    return name


_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def _default_device() -> str:
    """The first accelerator, else ``cpu``; imports torch only where there might be one."""
    if sys.platform == "linux" and not any(Path(path).exists() for path in _ACCELERATORS):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


async def run_async(
    workflow: Workflow | Mapping[str, Any] | str | Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    targets: Sequence[str] | None = None,
    packs: Sequence[str | Path] = (),
    nodes: Sequence[Callable[..., Any]] = (),
    settings: Settings | None = None,
    check: bool = True,
) -> RunResult:
    """Run a workflow on the running event loop.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        parameters: Values of its named parameters.
        targets: Nodes to run; all sinks if not given. The values of their outputs are in the
            result: ``run(workflow, targets=["decode"])["decode.image"]``.
        packs: More packs: folders or files.
        nodes: Functions decorated with `@node`.
        settings: Where things lie.
        check: Raise if a node failed; else the result tells.
    Raises:
        InvalidFile, InvalidWorkflow: Nothing was run.
        NodeFailed: A node raised; the rest was run.
    """
    document, folder = _opened(workflow)
    with Session(settings, packs=packs, nodes=nodes, inputs=folder) as session:
        result = await session.run_async(document, parameters=parameters, targets=targets)
    if check and result.errors:
        raise result.errors[0]
    return result


def run(
    workflow: Workflow | Mapping[str, Any] | str | Path, **options: Unpack[RunOptions]
) -> RunResult:
    """Run a workflow and wait for it, in a script or a notebook.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        options: Those of `run_async`: parameters, targets, packs, nodes, settings, check.
    Raises:
        InvalidFile, InvalidWorkflow: Nothing was run.
        NodeFailed: A node raised; the rest was run.
    """
    return _wait(run_async(workflow, **options))


def _wait(running: Coroutine[Any, Any, RunResult]) -> RunResult:
    """The result of a coroutine, whether or not an event loop runs in this thread."""
    import asyncio  # not at the top: validating needs no event loop, and should be instant
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(running)
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def noted() -> RunResult:
        task = asyncio.current_task()
        assert task is not None
        started.append((asyncio.get_running_loop(), task))
        return await running

    with ThreadPoolExecutor(1, thread_name_prefix="nodegraph-run") as thread:
        waiting = thread.submit(asyncio.run, noted())
        try:
            return waiting.result()
        except KeyboardInterrupt:
            # It reached this thread, not the one that runs: that one ends at its next step.
            for loop, task in started:
                loop.call_soon_threadsafe(task.cancel)
            raise


def _opened(workflow: Workflow | Mapping[str, Any] | str | Path) -> tuple[Workflow, Path | None]:
    if isinstance(workflow, Workflow):
        return workflow, None
    if isinstance(workflow, Mapping):
        return Workflow.from_dict(dict(workflow)), None
    path = Path(workflow)
    return Workflow.load(path), path.absolute().parent
