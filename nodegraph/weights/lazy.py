"""Libraries that are imported when they are first used, without what few jobs need of them.

Families are data that listing and checking models reads, which has to be quick, and arithmetic,
which needs torch: both stand in one file. So `torch` is imported at its first use.

diffusers and transformers import scipy, peft, accelerate, quantizers, all networks, torch's
compiler and its distributed tensors as soon as a network's class is asked for: three quarters of
the time that importing them takes. They need a few functions, each in rare cases. `diffusers`
and `transformers` of this module come with stand-ins for those, which import the real ones at
their first use, and so do their modules that are imported later. The imports of other packages are
left alone. Some things of the process differ: where peft is installed but not imported,
`peft.tuners.tuners_utils` is one that imports it at its first use; packages in `_EAGER` import
their modules when something of them is asked for; and torch's compiler learns of marked functions
when it is imported.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock, local
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from nodegraph.core.garbage_collection import PausedGC


class _Later:
    """Stands for a module until something of it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(import_module(self._name), name)
        setattr(self, name, attribute)
        return attribute


if TYPE_CHECKING:
    import diffusers as diffusers
    import torch as torch
    import transformers as transformers
else:
    torch = _Later("torch")

    def __getattr__(name: str) -> Any:
        if name not in _LIBRARIES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _libraries()[name]


_LIBRARIES = ("diffusers", "transformers")
"""Packages whose modules get stand-ins."""
_CLASSES = (
    "diffusers.models.unets.unet_2d_condition",
    "diffusers.models.autoencoders.autoencoder_kl",
    "transformers.models.clip.modeling_clip",
)
"""Modules which import most of what those of other networks import, too."""
_EAGER = {
    "diffusers.hooks",
    "diffusers.models.autoencoders",
    "diffusers.models.controlnets",
    "diffusers.models.transformers",
    "diffusers.models.unets",
    "diffusers.quantizers",
    "transformers.quantizers",
}
"""Packages that import all their modules, of which a job needs one or two."""
_COMPILER = "torch._dynamo"
_TENSORS = "torch.distributed.tensor"
_COLLECTIVES = "torch.distributed._functional_collectives"
_STAND_INS = {
    "scipy": {"integrate"},
    "scipy.optimize": {"linear_sum_assignment"},
    "peft.helpers": {"disable_input_dtype_casting"},
    f"{_COMPILER}._trace_wrapped_higher_order_op": {"TransformGetItemToIndex"},
    _TENSORS: {"DTensor", "Partial", "Replicate", "Shard", "distribute_tensor"},
    f"{_TENSORS}._utils": {"compute_local_shape_and_global_offset"},
    f"{_TENSORS}.placement_types": {"Shard", "_StridedShard"},
    "torch.distributed.fsdp": {"CPUOffloadPolicy", "MixedPrecisionPolicy"},
    "torch.distributed._composable.fsdp": {"fully_shard"},
    "torch.distributed.checkpoint.hf_storage": {
        "HuggingFaceStorageReader",
        "HuggingFaceStorageWriter",
    },
    "accelerate": {
        "PartialState",
        "dispatch_model",
        "infer_auto_device_map",
        "init_empty_weights",
    },
    "accelerate.hooks": {
        "AlignDevicesHook",
        "CpuOffload",
        "add_hook_to_module",
        "remove_hook_from_module",
    },
    "accelerate.utils": {
        "extract_model_from_parallel",
        "get_balanced_memory",
        "get_max_memory",
        "infer_auto_device_map",
        "load_offloaded_weights",
        "offload_weight",
        "reduce",
        "save_offload_index",
        "send_to_device",
        "set_module_tensor_to_device",
    },
    "accelerate.utils.modeling": {"clean_device_map", "get_max_layer_size"},
    "jinja2.ext": {"Extension"},
    "jinja2.sandbox": {"ImmutableSandboxedEnvironment"},
    _COLLECTIVES: {"all_to_all_single_autograd", "wait_tensor"},
    "diffusers.quantizers": {"DiffusersAutoQuantizer", "DiffusersQuantizer"},
    "transformers.distributed.expert_parallel": {"apply_expert_parallelism"},
    "transformers.distributed.pipeline_parallel": {"PipelineStage", "apply_pipeline_parallelism"},
    "transformers.distributed.tensor_parallel": {
        "apply_tensor_parallelism",
        "gather_state_dict_for_save",
        "get_kv_heads_per_rank",
        "verify_tp_plan",
    },
    "transformers.generation.continuous_batching.cache": {"PagedAttentionCache"},
    "transformers.integrations.finegrained_fp8": {"ALL_FP8_EXPERTS_FUNCTIONS"},
    "transformers": {"AutoImageProcessor"},
    "transformers.quantizers": {"HfQuantizer"},
    "transformers.quantizers.auto": {"get_hf_quantizer"},
}
"""Names, by module. Any other name imports the module as ever."""
_CONVERTERS = ("diffusers.loaders.single_file_model", "diffusers.loaders.single_file_utils")
"""A module that names most functions of another one in a table, and that other one."""
_MODULES = {"accelerate", "jinja2", "requests"}
"""Packages that stand-ins stand for as a whole, with all their modules."""
_ATTRIBUTES = {"scipy.stats"}
"""Modules that their packages import when they are asked for: `import` itself need not."""

_Import = Callable[..., Any]
_IMPORTING = Lock()
_ADAPTERS = "peft.tuners.tuners_utils"
_STRUCTURES = "transformers.utils.import_utils"
_PACKAGES = "diffusers.utils.import_utils"


TESTED_RELEASES = {"diffusers": "0.42.", "transformers": "5.24."}
"""Releases that the stand-ins are tested with. Others are imported as a whole, which takes longer:
what they import, and when they use it, is not known."""


@functools.cache
def has_stand_ins() -> bool:
    """Whether the installed releases are imported with stand-ins."""
    return all(
        _metadata().version(name).startswith(release) for name, release in TESTED_RELEASES.items()
    )


@functools.cache
def _libraries() -> Mapping[str, Any]:
    if not has_stand_ins():
        return {name: import_module(name) for name in _LIBRARIES}
    with _IMPORTING, PausedGC():
        if "peft" not in sys.modules and find_spec("peft") is not None:
            sys.modules.setdefault(_ADAPTERS, _Adapters(_ADAPTERS))
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        with stand_ins():
            for name in _CLASSES:
                import_module(name)
    return {name: import_module(name) for name in _LIBRARIES}


class _Importing(local):
    """Whether this thread executes a module of `_LIBRARIES`."""

    is_on = False


class _Swap:
    """`builtins.__import__`, replaced as long as a thread imports with stand-ins."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self.plain: _Import = builtins.__import__

    def begin(self, torch: Any) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self.plain = builtins.__import__
            builtins.__import__ = _import_name
            if _COMPILER not in sys.modules:
                torch._dynamo = _Compiler()

    def end(self, torch: Any) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            if builtins.__import__ is _import_name:
                builtins.__import__ = self.plain
            if isinstance(vars(torch).get("_dynamo"), _Compiler):
                del torch._dynamo


_IS_IMPORTING = _Importing()
_SWAP = _Swap()


@contextmanager
def stand_ins() -> Iterator[None]:
    """Inside the `with`, imports of this thread by `_LIBRARIES` get stand-ins.

    So they do while a module of those is imported; functions import some things when they run.
    """
    if _IS_IMPORTING.is_on or not has_stand_ins():
        yield
        return
    package = import_module("torch")
    _SWAP.begin(package)
    _IS_IMPORTING.is_on = True
    try:
        yield
    finally:
        _IS_IMPORTING.is_on = False
        _SWAP.end(package)


def _import_name(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """What an import statement gets; arguments as of `__import__`."""
    if _IS_IMPORTING.is_on:
        stand_in = _stand_in(name, globals or {}, fromlist or (), level)
        if stand_in is not None:
            return stand_in
    return _SWAP.plain(name, globals, locals, fromlist, level)


def _stand_in(module: str, user: Mapping[str, Any], names: Sequence[str], level: int) -> Any:
    """What an import statement gets, if not what it says.

    Args:
        user: The globals of the module that it is in.
    """
    name = str(user.get("__name__"))
    if module == _COMPILER and name == "torch.compiler":
        return import_module("torch")
    if name.partition(".")[0] not in _LIBRARIES:
        return None
    is_known = False
    if level:
        package = str(user.get("__package__")).rsplit(".", level - 1)[0]
        module = f"{package}.{module}" if module else package
        postponed = (level == 1 and name in _EAGER) or (name, module) == _CONVERTERS
        is_known = postponed and not _is_complete(module)
    if not names:
        return _without_names(module, name)
    if module == _COMPILER:
        return None if module in sys.modules else _Compiler()
    if not is_known and not _STAND_INS.get(module, frozenset()).issuperset(names):
        return None
    stand_ins = {each: _StandIn(module, each) for each in names}
    if all(stand_in.is_imported for stand_in in stand_ins.values()):
        return None
    return SimpleNamespace(**stand_ins)


def _is_complete(module: str) -> bool:
    """Whether a module is imported, and no thread is in the middle of it.

    Python imports a module of a package also while another thread still executes the package.
    """
    known = sys.modules.get(module)
    spec = getattr(known, "__spec__", None)
    return known is not None and not getattr(spec, "_initializing", False)


def _without_names(module: str, user: str) -> Any:
    """What `import` of a whole module gets, if not that: its package, or what stands for it."""
    package = module.partition(".")[0]
    if module in _ATTRIBUTES:
        return import_module(package)
    if module == "importlib.metadata" and user == _PACKAGES:
        return SimpleNamespace(metadata=_Metadata())
    if module == _COLLECTIVES and module not in sys.modules:
        # The statement goes on to take the attributes in its name one after the other.
        return SimpleNamespace(distributed=SimpleNamespace(_functional_collectives=_Later(module)))
    return _Package(package) if package in _MODULES and package not in sys.modules else None


class _Package(_Later):
    """Stands for a package whose version is asked for before anything of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return _metadata().version(self._name)
        try:
            return super().__getattr__(name)
        except AttributeError:
            # `import jinja2.meta` names a module that the package itself does not import.
            module = f"{self._name}.{name}"
            if find_spec(module) is None:
                raise
            return import_module(module)


def _metadata() -> Any:
    """`importlib.metadata`, which short commands do without."""
    return import_module("importlib.metadata")


class _Metadata:
    """`importlib.metadata` for diffusers, which lists all packages for one that few have."""

    def packages_distributions(self) -> Mapping[str, list[str]]:
        return _Distributions()

    def __getattr__(self, name: str) -> Any:
        return getattr(_metadata(), name)


class _Distributions(Mapping[str, list[str]]):
    """Distributions by the packages in them, listed at the first look into them."""

    @functools.cached_property
    def _listed(self) -> Mapping[str, list[str]]:
        listed: Mapping[str, list[str]] = _metadata().packages_distributions()
        return listed

    def __getitem__(self, package: str) -> list[str]:
        return self._listed[package]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


class _StandIn:
    """Stands for a function or a class until it is used."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def real(self) -> Any:
        """What it stands for."""
        import_module(self.module.partition(".")[0])
        return getattr(import_module(self.module), self.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.real(), name)

    def __or__(self, other: object) -> Any:
        return Any  # in annotations, which nobody evaluates further

    __ror__ = __or__

    def __instancecheck__(self, instance: object) -> bool:
        return self.is_imported and isinstance(instance, self.real())

    def __subclasscheck__(self, subclass: type) -> bool:
        return self.is_imported and issubclass(subclass, self.real())

    @property
    def is_imported(self) -> bool:
        """Whether there is the real one: a class that nobody has imported has no instances."""
        stand_in: _StandIn | None = self
        while stand_in is not None:
            if stand_in.name in vars(sys.modules.get(stand_in.module, _NOTHING)):
                return True
            stand_in = _POSTPONED.get(stand_in.module, {}).get(stand_in.name)
        return False

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (self.real(),)


_NOTHING = SimpleNamespace()
_POSTPONED: dict[str, dict[str, _StandIn]] = {}
"""By package of `_EAGER`, what its modules have, by name."""


def _execute_postponing(execute: Callable[[ModuleType], object], package: ModuleType) -> None:
    """Execute a package whose modules are to be imported when something of them is asked for."""
    execute(package)
    attributes = vars(package)
    own = package.__name__ + "."
    postponed = {
        name: value
        for name, value in attributes.items()
        if isinstance(value, _StandIn) and value.module.startswith(own)
    }
    for name in postponed:
        del attributes[name]

    def get(name: str) -> Any:
        if name in postponed:
            value = postponed[name].real()
        elif any(stand_in.module == own + name for stand_in in postponed.values()):
            value = import_module(own + name)
        else:
            raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
        attributes[name] = value
        return value

    _POSTPONED[package.__name__] = postponed
    attributes["__getattr__"] = get
    names = {name for name in attributes if not name.startswith("_")}
    attributes.setdefault("__all__", sorted(names | postponed.keys()))


def _read_structures_once(module: Any) -> None:
    """Have transformers read its models' sources once and quickly, and not twice and slowly.

    It does so to know the module of each class: for itself, and for its package of models. It
    splits each file into all its lines to find those of `__all__`.
    """
    find_names, define = module.fetch__all__, module.define_import_structure.__wrapped__

    def names_of(text: str) -> list[str]:
        last = text.rfind("\n__all__")
        names: list[str] = find_names(text[last + 1 :] if last >= 0 else text)
        return names

    define = functools.cache(define)

    def structure_of(path: str | Path, prefix: str | None = None) -> dict[Any, dict[str, Any]]:
        path = Path(path)
        parts: dict[Any, dict[str, Any]] = define(str(path.parent if path.is_file() else path))
        if prefix is None:
            return parts
        return {
            backends: {f"{prefix}.{name}": names for name, names in modules.items()}
            for backends, modules in parts.items()
        }

    module.fetch__all__ = names_of
    module.define_import_structure = structure_of


class _Adapters(ModuleType):
    """Stands for a module of peft, as each evaluation of a network imports its class of layers.

    peft itself, once it is imported, gets the real module.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "BaseTunerLayer" and "peft" not in sys.modules:
            return _StandIn(_ADAPTERS, name)
        if sys.modules.get(_ADAPTERS) is self:
            del sys.modules[_ADAPTERS]
        return getattr(import_module(_ADAPTERS), name)


_MARKS: list[Callable[[], object]] = []
"""What the compiler is to know of functions and classes, once it is imported."""
_MARKING = Lock()
_KNOWS_MARKS = Event()
"""Whether the compiler is imported and knows all of them, so that later ones are told to it."""


def _mark_later(mark: Callable[[], object]) -> bool:
    """Keep a mark for the compiler; False if it is there to be told at once."""
    with _MARKING:
        if _KNOWS_MARKS.is_set():
            return False
        _MARKS.append(mark)
        return True


def _tell_marks() -> None:
    while not _KNOWS_MARKS.is_set():
        with _MARKING:
            marks = _MARKS.copy()
            _MARKS.clear()
            if not marks:
                _KNOWS_MARKS.set()
        for mark in marks:
            mark()


class _Compiler:
    """Stands for `torch._dynamo` where modules mark their functions for it."""

    def allow_in_graph(self, function: Any) -> Any:
        return self._mark("allow_in_graph", function)

    def assume_constant_result(self, function: Any) -> Any:
        return self._mark("assume_constant_result", function)

    def _mark(self, name: str, function: Any) -> Any:
        def mark() -> Any:
            return getattr(import_module(_COMPILER), name)(function)

        return function if _mark_later(mark) else mark()

    def disable(self, function: Any = None, *args: Any, **kwargs: Any) -> Any:
        """What is called by the result is what the compiler leaves alone."""
        if function is None:
            return lambda later: self.disable(later, *args, **kwargs)
        disabled: Any = None

        def mark() -> Any:
            nonlocal disabled
            disabled = disabled or import_module(_COMPILER).disable(function, *args, **kwargs)
            return disabled

        @functools.wraps(function)
        def call(*own: Any, **named: Any) -> Any:
            # As long as nothing is compiled, there is nothing to leave alone.
            return (disabled or function)(*own, **named)

        return call if _mark_later(mark) else mark()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(_COMPILER), name)


class _Finder:
    """Has modules of `_LIBRARIES` executed with stand-ins, and the compiler learn of the marks."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _COMPILER and name.partition(".")[0] not in _LIBRARIES:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_mark(module: ModuleType) -> None:
            execute(module)
            _tell_marks()

        def execute_with_stand_ins(module: ModuleType) -> None:
            with stand_ins():
                if name in _EAGER:
                    _execute_postponing(execute, module)
                else:
                    execute(module)
            if name == _STRUCTURES:
                _read_structures_once(module)

        own = execute_and_mark if name == _COMPILER else execute_with_stand_ins
        spec.loader.exec_module = own  # type: ignore[method-assign]
        return spec


_FINDER = _Finder()
