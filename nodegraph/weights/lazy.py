"""Libraries that are imported when they are first used, without what few jobs need of them.

Families are data that listing and checking models reads, which has to be quick, and arithmetic,
which needs torch: both stand in one file. So `torch` is imported at its first use.

diffusers and transformers import scipy, peft, torch's compiler and its distributed tensors as soon
as a network's class is asked for: more than half of the time that importing them takes. They
need a few functions and classes, each in rare cases. `diffusers` and `transformers` of this
module come with stand-ins for those, which import the real ones at their first use. Nothing else of
the process differs: the imports of other threads, and of other packages, are left alone.
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
from threading import Lock, get_ident
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
        sys.meta_path.insert(0, _CompilerFinder())
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
        return getattr(self._real(), name)

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

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "BaseTunerLayer" and "peft" not in sys.modules:
            return _StandIn(_ADAPTERS, name)
        if sys.modules.get(_ADAPTERS) is self:
            del sys.modules[_ADAPTERS]
        return getattr(import_module(_ADAPTERS), name)


_MARKS: list[Callable[[], None]] = []
"""What the compiler is to know of functions and classes, once it is imported."""


class _Compiler:
    """Stands for `torch._dynamo` where modules mark their functions for it."""

    def allow_in_graph(self, function: Any) -> Any:
        _MARKS.append(lambda: import_module(_COMPILER).allow_in_graph(function))
        return function

    def assume_constant_result(self, function: Any) -> Any:
        _MARKS.append(lambda: import_module(_COMPILER).assume_constant_result(function))
        return function

    def disable(self, function: Any = None, *args: Any, **kwargs: Any) -> Any:
        """What is called by the result is what the compiler leaves alone."""
        if function is None:
            return lambda later: self.disable(later, *args, **kwargs)
        disabled: Any = None

        def mark() -> None:
            nonlocal disabled
            disabled = disabled or import_module(_COMPILER).disable(function, *args, **kwargs)

        @functools.wraps(function)
        def call(*own: Any, **named: Any) -> Any:
            # As long as nothing is compiled, there is nothing to leave alone.
            return (disabled or function)(*own, **named)

        _MARKS.append(mark)
        return call

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(_COMPILER), name)


class _CompilerFinder:
    """Has torch's compiler learn of the marks as soon as anybody imports it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _COMPILER:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_mark(module: ModuleType) -> None:
            execute(module)
            while _MARKS:
                _MARKS.pop()()

        spec.loader.exec_module = execute_and_mark  # type: ignore[method-assign]
        return spec
