"""Runs packs of ComfyUI in a separate process."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import logging
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import ModuleSpec
from pathlib import Path, PurePosixPath
from threading import Lock, RLock, Thread
from types import ModuleType, TracebackType
from typing import Any
from uuid import uuid4

from nodegraph.core.context import Environment
from nodegraph.core.hooks import Finding, HookInputs
from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.core.types import TypeInfo
from nodegraph.errors import Cancelled, PackError
from nodegraph.interop.comfyui.packs import type_map
from nodegraph.interop.comfyui.packs.execution import Expansions
from nodegraph.interop.comfyui.packs.graph_utils import ExecutionBlocker
from nodegraph.interop.comfyui.packs.node_call import NodeCall
from nodegraph.interop.comfyui.packs.v1_classes import (
    NATIVE_NAMES,
    NodeClass,
    collect,
    parameters_of,
    read_classes,
)
from nodegraph.isolation.runner import CallContext, Inputs
from nodegraph.packs.declarations import Declarations
from nodegraph.packs.pack import Pack

_LOG = logging.getLogger(__name__)
_PRESTARTUP = "prestartup_script.py"
_MAPPINGS, _LABELS = "NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"
_ENTRYPOINT = "comfy_entrypoint"
_MOST_INSTANCES = 4096
"""Instances of classes that are kept, one for each node that ran."""
_POLL = 0.1
"""Seconds between looks whether a run was cancelled, while an async node runs."""
_INTERRUPT = "InterruptProcessingException"


@dataclass
class LoadedPack:
    """A pack, imported.

    Attributes:
        classes: Classes with their specs, by node type.
        problems: What of it cannot be used.
        web: Folder of its scripts for ComfyUI's page, relative to the pack; empty if it has none.
        import_problems: Those of its import.
    """

    classes: dict[str, tuple[NodeClass, NodeSpec]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    web: str = ""
    import_problems: tuple[str, ...] = ()


class ComfyRunner:
    """Satisfies `nodegraph.isolation.runner.PackRunner`.

    Calls run one at a time, as in ComfyUI, whose packs are not written for threads. Async nodes
    overlap.
    """

    def __init__(self, pack: Pack, environment: Environment) -> None:
        self.pack = pack
        self._environment = environment
        self._loading = RLock()
        self._loaded: LoadedPack | None = None
        self._is_declared = False
        self._listed: tuple[Mapping[str, Any], Mapping[str, str]] | None = None
        self._missing: set[str] = set()
        self._turn = Lock()
        self._instances: dict[tuple[str, str], Any] = {}
        self._loop = _Loop()

    # Loading

    def declare(self) -> tuple[Declarations, tuple[str, ...]]:
        """Import the pack and read its classes; later, read them again.

        Files may have come to the folders that their inputs list.
        """
        with self._loading:
            if self._is_declared:
                self._forget_classes()
            loaded = self._load()
            self._is_declared = True
        specs = tuple(spec for _, spec in loaded.classes.values())
        return Declarations(
            specs, tuple(_infos(specs)), (), (), tuple(loaded.problems)
        ), self._listed_folders()

    def _load(self) -> LoadedPack:
        with self._loading:
            if self._loaded is None:
                loaded = LoadedPack()
                self._install_stand_ins()
                self._run_prestartup(loaded)
                module = self._import(loaded)
                if module is not None:
                    self._read(module, loaded)
                self._loaded = loaded
            return self._loaded

    def _forget_classes(self) -> None:
        former = self._loaded
        self._loaded = None
        self._missing.clear()
        for name in ("outputs", "input_names", "expansions"):
            vars(self).pop(name, None)
        # A pack that could be imported is imported once.
        if former is not None and self._listed is not None:
            self._loaded = LoadedPack({}, list(former.import_problems), former.web)
            self._loaded.import_problems = former.import_problems
            self._read_classes(self._loaded)

    def _install_stand_ins(self) -> None:
        from nodegraph.interop.comfyui.packs import stand_ins

        stand_ins.install(self._environment, self.pack.root)

    def _listed_folders(self) -> tuple[str, ...]:
        """Files and folders that the inputs of the classes list."""
        from nodegraph.interop.comfyui.packs import stand_ins

        return tuple(sorted({*map(str, stand_ins.watched_paths()), *self._missing}))

    def _run_prestartup(self, loaded: LoadedPack) -> None:
        script = self.pack.root / _PRESTARTUP
        if self.pack.root.is_file() or not script.is_file():
            return
        isolation = self.pack.isolation
        if isolation is None or _PRESTARTUP not in isolation.allowed:
            _LOG.warning("pack %s: its %s is not allowed to run", self.pack.name, _PRESTARTUP)
            return
        try:
            spec = importlib.util.spec_from_file_location(f"{self._module_name}_prestartup", script)
            assert spec is not None
            assert spec.loader is not None
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except (Exception, SystemExit):  # noqa: BLE001 - the border with pack code
            loaded.problems.append(self._failure(f"{_PRESTARTUP} failed"))

    @property
    def _module_name(self) -> str:
        # ComfyUI's own scheme: relative imports work, and no two packs clash.
        return str(self.pack.root).removesuffix(".py").replace(".", "_x_")

    def _import(self, loaded: LoadedPack) -> ModuleType | None:
        isolation = self.pack.isolation
        if isolation is not None and isolation.module:
            try:
                return importlib.import_module(isolation.module)
            except (Exception, SystemExit):  # noqa: BLE001 - the border with pack code
                loaded.problems.append(self._failure(f"the import of {isolation.module} failed"))
                return None
        root, name = self.pack.root, self._module_name
        file = root if root.is_file() else root / "__init__.py"
        if not file.is_file():
            loaded.problems.append(f"pack `{self.pack.name}`: there is no {file.name} in {root}")
            return None
        folders = None if root.is_file() else [str(root)]
        spec: ModuleSpec | None = importlib.util.spec_from_file_location(
            name, file, submodule_search_locations=folders
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit):  # noqa: BLE001 - the border with pack code
            sys.modules.pop(name, None)
            loaded.problems.append(self._failure("its import failed"))
            return None
        return module

    def _failure(self, what: str) -> str:
        """A problem of the pack with its own traceback, from its first frame on."""
        error = sys.exc_info()[1]
        assert error is not None
        self._note_missing(error)
        frames = traceback.extract_tb(error.__traceback__)
        root = str(self.pack.root)
        first = next((at for at, frame in enumerate(frames) if frame.filename.startswith(root)), 0)
        own = "".join(traceback.format_list(frames[first:]))
        return f"pack `{self.pack.name}`: {what}: {type(error).__name__}: {error}\n{own}".rstrip()

    def _note_missing(self, error: BaseException | None) -> None:
        """Have the pack declared again once a file or folder is there that it wanted."""
        while error is not None:
            name = getattr(error, "filename", None)
            if isinstance(error, FileNotFoundError) and isinstance(name, str):
                self._missing.add(str(Path(name).absolute()))
            error = error.__cause__ or error.__context__

    def _read(self, module: ModuleType, loaded: LoadedPack) -> None:
        labels = getattr(module, _LABELS, None) or {}
        mappings = getattr(module, _MAPPINGS, None)
        if not isinstance(mappings, Mapping) and callable(getattr(module, _ENTRYPOINT, None)):
            try:
                mappings, labels = self._loop.run(_extension_classes(getattr(module, _ENTRYPOINT)))
            except Exception:  # noqa: BLE001 - the border with pack code: it may raise anything
                loaded.problems.append(self._failure(f"its {_ENTRYPOINT} failed"))
                return
        if not isinstance(mappings, Mapping):
            loaded.problems.append(
                f"pack `{self.pack.name}` has neither {_MAPPINGS} nor {_ENTRYPOINT}, so it "
                "declares no nodes"
            )
            return
        web = getattr(module, "WEB_DIRECTORY", "")
        loaded.web = self._web_folder(module, web) if isinstance(web, str) and web else ""
        loaded.import_problems = tuple(loaded.problems)
        self._listed = mappings, labels
        self._read_classes(loaded)

    def _read_classes(self, loaded: LoadedPack) -> None:
        def report(problem: str) -> None:
            self._note_missing(sys.exc_info()[1])
            loaded.problems.append(problem)

        assert self._listed is not None
        folder = f"custom_nodes.{self.pack.root.stem}"
        classes = read_classes(*self._listed, self.pack.name, folder, report)
        for node_class, spec in classes.values():
            if loaded.web:
                spec.foreign["web_directory"] = loaded.web
            loaded.classes[spec.type] = node_class, spec

    def _web_folder(self, module: ModuleType, web: str) -> str:
        """A folder that a module names, relative to the pack."""
        folder = Path(module.__file__ or "").parent
        is_inside = folder.is_relative_to(self.pack.root)
        inner = folder.relative_to(self.pack.root) if is_inside else Path()
        return (PurePosixPath(inner.as_posix()) / web.removeprefix("./")).as_posix()

    # What nodes need

    def _class(self, node_type: str) -> NodeClass:
        known = self._load().classes.get(node_type)
        if known is None:
            raise PackError(f"pack `{self.pack.name}` no longer has a class `{node_type}`")
        return known[0]

    @cached_property
    def outputs(self) -> Mapping[str, Sequence[str]]:
        """Names of the outputs of the pack's node types, by type."""
        return {
            name: [port.name for port in spec.outputs]
            for name, (_, spec) in self._load().classes.items()
        }

    @cached_property
    def input_names(self) -> Mapping[str, Mapping[str, str]]:
        """ComfyUI's names of inputs that are called otherwise here, by node type."""
        return {
            name: dict(spec.foreign[NATIVE_NAMES])
            for name, (_, spec) in self._load().classes.items()
        }

    @cached_property
    def expansions(self) -> Expansions:
        """Translates the graphs that nodes return."""
        from nodegraph.interop.comfyui.importer import entries_by_type
        from nodegraph.interop.comfyui.known_packs import pack_of
        from nodegraph.interop.comfyui.packs.import_entries import pack_entries
        from nodegraph.interop.comfyui.table import built_in

        own = pack_entries(spec for _, spec in self._load().classes.values())
        ours = entries_by_type(own)
        core = {
            name: entry
            for name, entry in entries_by_type(built_in()).items()
            if name not in ours or not pack_of(name)
        }
        return Expansions({**ours, **core})

    def instance(self, node_class: NodeClass, node: str) -> Any:
        """Return the instance of a class for a node: the same in all runs."""
        key = (node, node_class.name)
        known = self._instances.get(key)
        if known is None:
            known = node_class.cls()
            self._instances[key] = known
            while len(self._instances) > _MOST_INSTANCES:
                self._instances.pop(next(iter(self._instances)))
        return known

    @contextmanager
    def turn(self, context: CallContext) -> Iterator[None]:
        """Inside the `with`, no other plain function of the pack runs.

        Raises:
            Cancelled: The run was cancelled before it was this call's turn.
        """
        import torch

        # What has the turn may sample for minutes.
        while not self._turn.acquire(timeout=_POLL):
            context.check_cancelled(waits=False)
        try:
            with torch.inference_mode():
                yield
        finally:
            self._turn.release()

    def wait_for(self, coroutine: Any, context: CallContext) -> Any:
        """Run a coroutine on the loop of async nodes, until the run is cancelled."""
        return self._loop.run(coroutine, context.check_cancelled)

    # Calls

    def call(self, spec: NodeSpec, inputs: Inputs, context: CallContext) -> Any:
        """Run a node; see `PackRunner.call`."""
        try:
            return NodeCall(self, self._class(spec.type), spec, inputs, context).run()
        except Exception as error:
            if type(error).__name__ == _INTERRUPT:
                raise Cancelled("the node interrupted the run") from error
            raise error.with_traceback(self._own_frames(error.__traceback__)) from error.__cause__

    def lend(self, value: Any, context: CallContext, *, is_further: bool) -> Sequence[Any]:
        """Lend a value of the pack to a native node; see `PackRunner.lend`.

        No plain function of the pack runs meanwhile, but for those of what is lent. Functions of
        several values of one node call each other, so these share its turn.
        """
        import torch

        from nodegraph.interop.comfyui.packs import latents
        from nodegraph.interop.comfyui.packs.model_handle import ModelHandle, current_call
        from nodegraph.interop.comfyui.packs.stand_ins import guiders, remote_sampling

        token = current_call.set(context)
        latents.forget_formats()
        try:
            with torch.inference_mode() if is_further else self.turn(context):
                if isinstance(value, ModelHandle):
                    return remote_sampling.lend_model(value)
                lend = {
                    "Noise": guiders.lend_noise,
                    "Guider": guiders.lend_guider,
                }.get(self.type_of(value), guiders.lend_sampler)
                lend(value)
                return ()
        finally:
            current_call.reset(token)

    def type_of(self, value: Any) -> str:
        """See `PackRunner.type_of`."""
        from nodegraph.interop.comfyui.packs.model_handle import ModelHandle
        from nodegraph.interop.comfyui.packs.stand_ins.guiders import CFGGuider
        from nodegraph.interop.comfyui.packs.stand_ins.sampler_objects import KSAMPLER

        if isinstance(value, ModelHandle):
            return "DiffusionModel"
        if isinstance(value, KSAMPLER):
            return "Sampler"
        if isinstance(value, CFGGuider):
            return "Guider"
        return "Noise" if callable(getattr(value, "generate_noise", None)) else ""

    def _own_frames(self, trace: TracebackType | None) -> TracebackType | None:
        """A traceback from the pack's first frame on; all of it if the pack has none in it."""
        root, first = str(self.pack.root), trace
        while first is not None and not first.tb_frame.f_code.co_filename.startswith(root):
            first = first.tb_next
        return first or trace

    def hook(self, spec: NodeSpec, name: HookName, inputs: Any) -> Any:
        """Call ``IS_CHANGED`` or ``VALIDATE_INPUTS``.

        It waits for no call: the run that asks may be what a call waits for.
        """
        from nodegraph.interop.comfyui.packs.model_handle import hook_environment

        node_class = self._class(spec.type)
        token = hook_environment.set(inputs.environment)
        try:
            if name == "fingerprint":
                return self._fingerprint(node_class, inputs)
            return self._findings(node_class, inputs) if name == "validate" else None
        finally:
            hook_environment.reset(token)

    def migrate(self, spec: NodeSpec, version: int, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs as they are: classes of ComfyUI have no versions."""
        return inputs

    def _fingerprint(self, node_class: NodeClass, inputs: HookInputs) -> str:
        """A text that changes when ``IS_CHANGED`` says so; a new one each time for NaN."""
        is_changed = node_class.cls.IS_CHANGED
        names, takes_all = parameters_of(is_changed)
        constants = self._constants(node_class, inputs)
        taken = {key: value for key, value in constants.items() if takes_all or key in names}
        try:
            # The signature names hidden inputs too, which are not known before the call.
            taken = dict.fromkeys(names & {*node_class.hidden}) | taken
            changed = self._awaited(is_changed(**taken))
        except Exception:  # noqa: BLE001 - the border with pack code: it may raise anything
            _LOG.warning("%s: IS_CHANGED failed", node_class.name, exc_info=True)
            return uuid4().hex
        is_same = _equals_itself(changed)
        return repr(changed) if is_same else uuid4().hex

    def _constants(self, node_class: NodeClass, inputs: HookInputs) -> dict[str, Any]:
        """Values by ComfyUI's names: those of linked inputs are None, others that lack absent."""
        constants: dict[str, Any] = {}
        for port, each in node_class.ports.items():
            if port in inputs.facts:
                constants[each.name] = [None] if node_class.is_list else None
            elif inputs.literals.get(port) is not None:
                value = inputs.literals[port]
                is_bare = node_class.is_list and not isinstance(value, list)
                constants[each.name] = [value] if is_bare else value
        return collect(node_class.cls, constants)

    def _findings(self, node_class: NodeClass, inputs: HookInputs) -> list[Finding]:
        names, takes_all = node_class.validated
        constants = self._constants(node_class, inputs)
        taken = {key: value for key, value in constants.items() if takes_all or key in names}
        more = {}
        if "input_types" in names:
            ports = {each.name: port for port, each in node_class.ports.items()}
            more["input_types"] = {
                name: type_map.foreign_type(inputs.types[port])
                for name, port in ports.items()
                if port in inputs.types
            }
        result = self._awaited(node_class.cls.VALIDATE_INPUTS(**taken, **more))
        if result is True or isinstance(result, ExecutionBlocker):
            return []
        text = "" if result is False else f": {result}"
        message = f"is refused by the node's own check{text}"
        ports = {each.name: port for port, each in node_class.ports.items()}
        refused = [ports[name] for name in taken if name in ports]
        return [Finding(port, message) for port in refused or [""]]

    def _awaited(self, result: Any) -> Any:
        return self._loop.run(_as_coroutine(result)) if inspect.isawaitable(result) else result


def _equals_itself(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_equals_itself, value))
    try:
        return bool(value == value)
    except Exception:  # noqa: BLE001 - tensors and other objects have their own comparison
        return False


class _Loop:
    """An event loop in its own thread, which starts when it is first used."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Any, check: Callable[[], None] | None = None) -> Any:
        """Run a coroutine and wait for its result.

        Args:
            check: Called now and then; what it raises ends the coroutine.
        """
        future = asyncio.run_coroutine_threadsafe(_as_coroutine(coroutine), self._running())
        while True:
            try:
                return future.result(None if check is None else _POLL)
            except FutureTimeoutError:
                if future.done():
                    raise  # the coroutine's own
                assert check is not None
                try:
                    check()
                except BaseException:
                    future.cancel()
                    raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                Thread(target=self._run, name="async nodes", daemon=True).start()
            return self._loop

    def _run(self) -> None:
        import torch

        assert self._loop is not None
        with torch.inference_mode():
            self._loop.run_forever()


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _extension_classes(entrypoint: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Classes and labels, by id, of a pack that returns an extension."""
    extension = entrypoint()
    if inspect.isawaitable(extension):
        extension = await extension
    loading = extension.on_load()
    if inspect.isawaitable(loading):
        await loading
    listed = extension.get_node_list()
    if inspect.isawaitable(listed):
        listed = await listed
    classes: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for cls in listed:
        schema = cls.GET_SCHEMA()
        classes[schema.node_id] = cls
        if schema.display_name:
            labels[schema.node_id] = schema.display_name
    return classes, labels


def _infos(specs: Sequence[NodeSpec]) -> Iterator[TypeInfo]:
    """Port types that only ComfyUI's packs have."""
    types = [port.type for spec in specs for port in spec.inputs]
    types += [port.type for spec in specs for port in spec.outputs]
    names = dict.fromkeys(name for text in types for name in type_map.custom_types(text))
    # Equal in all packs, so that their nodes can be linked.
    yield from (TypeInfo(name) for name in names)
