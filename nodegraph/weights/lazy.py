"""Libraries that are imported when they are first used, without what few jobs need of them.

Families are data that listing and checking models reads, which has to be quick, and arithmetic,
which needs torch: both stand in one file. So `torch` is imported at its first use.

diffusers and transformers import scipy, peft, torch's compiler and its distributed tensors as soon
as a network's class is asked for: more than half of the time that importing them takes. They
need a few functions and classes, each in rare cases. `diffusers` and `transformers` of this
module come with stand-ins for those, which import the real ones at their first use. The imports of
other threads, and of other packages, are left alone. Two things of the process differ: where peft
is installed but not imported, `peft.tuners.tuners_utils` is one that imports it at its first use,
and torch's compiler learns of marked functions when it is imported.
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
from threading import Event, Lock, get_ident
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from nodegraph.core.garbage_collection import PausedGC

if TYPE_CHECKING:
    import diffusers as diffusers
    import torch as torch
    import transformers as transformers
else:

    class _Later:
        """Stands for a module until something of it is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            attribute = getattr(import_module(self._name), name)
            setattr(self, name, attribute)
            return attribute

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
"""Modules which import all that those of other networks import, too."""
_COMPILER = "torch._dynamo"
_TENSORS = "torch.distributed.tensor"
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
}
"""Names, by module. Any other name imports the module as ever."""
_ATTRIBUTES = {"scipy.stats"}
"""Modules that their packages import when they are asked for: `import` itself need not."""

_Import = Callable[..., Any]
_IMPORTING = Lock()
_ADAPTERS = "peft.tuners.tuners_utils"


@functools.cache
def _libraries() -> Mapping[str, Any]:
    with _IMPORTING, PausedGC(), _stand_ins():
        if "peft" not in sys.modules and find_spec("peft") is not None:
            sys.modules.setdefault(_ADAPTERS, _Adapters(_ADAPTERS))
        for name in _CLASSES:
            import_module(name)
    return {name: import_module(name) for name in _LIBRARIES}


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Inside the `with`, imports of this thread by `_LIBRARIES` get stand-ins."""
    plain: _Import = builtins.__import__
    thread, package = get_ident(), import_module("torch")

    def import_name(name: str, *args: Any, **kwargs: Any) -> Any:
        stand_in = None
        if get_ident() == thread and (name == "scipy" or name not in sys.modules):
            stand_in = _stand_in(name, *args, **kwargs)
        return stand_in or plain(name, *args, **kwargs)

    compiler = None if _COMPILER in sys.modules else _Compiler()
    if compiler is not None:
        package._dynamo = compiler  # type: ignore[attr-defined]
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
    builtins.__import__ = import_name
    try:
        yield
    finally:
        if builtins.__import__ is import_name:
            builtins.__import__ = plain
        if compiler is not None and vars(package).get("_dynamo") is compiler:
            del package._dynamo


def _stand_in(
    module: str,
    globals: Mapping[str, Any] | None = None,
    locals: object = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """What an import statement gets, if not what it says; arguments as of `__import__`."""
    user = str((globals or {}).get("__name__"))
    if module == _COMPILER and user == "torch.compiler":
        return import_module("torch")
    if level or user.partition(".")[0] not in _LIBRARIES:
        return None
    if not fromlist:
        return import_module(module.partition(".")[0]) if module in _ATTRIBUTES else None
    if module == _COMPILER:
        return _Compiler()
    if _STAND_INS.get(module, frozenset()).issuperset(fromlist):
        return SimpleNamespace(**{name: _StandIn(module, name) for name in fromlist})
    return None


class _StandIn:
    """Stands for a function or a class until it is used."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _real(self) -> Any:
        import_module(self._module.partition(".")[0])
        return getattr(import_module(self._module), self._name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __or__(self, other: object) -> Any:
        return Any  # in annotations, which nobody evaluates further

    __ror__ = __or__

    def __instancecheck__(self, instance: object) -> bool:
        return self._is_imported() and isinstance(instance, self._real())

    def __subclasscheck__(self, subclass: type) -> bool:
        return self._is_imported() and issubclass(subclass, self._real())

    def _is_imported(self) -> bool:
        """A class that nobody has imported has no instances."""
        module = sys.modules.get(self._module)
        return module is not None and not isinstance(module, _Adapters)

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (self._real(),)


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


class _CompilerFinder:
    """Has torch's compiler learn of the marks as soon as anybody imports it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _COMPILER:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_mark(module: ModuleType) -> None:
            execute(module)
            _tell_marks()

        spec.loader.exec_module = execute_and_mark  # type: ignore[method-assign]
        return spec


_FINDER = _CompilerFinder()
