"""Faults of packs: broken node functions, hooks that raise, code that takes too long, and plugins
that break their contract.

Imports and hooks of packs run while a user waits for something else. Code that hangs there can
only be stopped with its whole process, so `Watchdog` reports it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from threading import Lock, Thread, get_ident
from time import monotonic, sleep
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nodegraph.core.plugins import module_of
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import InvalidValue, NodegraphError, PackError, Problem

if TYPE_CHECKING:
    from logging import Logger

    from torch import Tensor

WARN_AFTER = 8.0
"""Seconds."""
_PERIOD = 0.5


@dataclass(slots=True)
class ThreadWork:
    """What a thread does.

    Attributes:
        what: In words, such as ``pack `clouds`: importing clouds.noise``.
        root: The file or folder whose code it is.
        began: When, by a clock that counts seconds.
        is_over: Asked again and again from when it is told of: whether the process is to end for
            it, which is for who began it to say.
    """

    what: str
    root: Path | None
    thread: int
    began: float
    is_over: Callable[[float, str], bool]
    is_reported: bool = False

    def describe(self, seconds: float) -> str:
        """In words, with the line that it is at."""
        return f"{self.what} has taken {seconds:.0f} s and is still running{self._line()}"

    def _line(self) -> str:
        frame = sys._current_frames().get(self.thread)
        while frame is not None and self.root is not None:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(self.root):
                return f", in {path.name}, line {frame.f_lineno}"
            frame = frame.f_back
        return ""


class Watchdog:
    """Looks at what takes long in this process; safe to use from several threads.

    Attributes:
        end: Ends the process; None where its user does that.
        limit: Seconds after which it does.
        import_limit: The same of importing a pack.
        is_planner: Whether it reads packs for others, who don't wait for it.
    """

    def __init__(self) -> None:
        self.end: Callable[[], None] | None = None
        self.limit = self.import_limit = math.inf
        self.is_planner = False
        self._works: dict[int, ThreadWork] = {}
        self._ids = count()
        self._lock = Lock()
        self._watching: Thread | None = None

    @contextmanager
    def watch(
        self,
        what: str,
        root: Path | None = None,
        is_over: Callable[[float, str], bool] | None = None,
    ) -> Iterator[None]:
        """Inside, code of a pack runs that should take little time; see `ThreadWork`."""
        work = ThreadWork(what, root, get_ident(), monotonic(), is_over or self._is_over)
        with self._lock:
            key = next(self._ids)
            self._works[key] = work
            if self._watching is None:
                self._watching = Thread(target=self._watch, name="nodegraph-patience", daemon=True)
                self._watching.start()
        try:
            yield
        finally:
            with self._lock:
                del self._works[key]
            if work.is_reported:
                _log().warning("%s ended after %.0f s", what, monotonic() - work.began)

    def watch_import(self, what: str, root: Path) -> AbstractContextManager[None]:
        """As `watch`; importing libraries may take longer."""
        return self.watch(what, root, lambda seconds, text: seconds > self.import_limit)

    def _is_over(self, seconds: float, text: str) -> bool:
        return seconds > self.limit

    def overdue_work(self) -> str | None:
        """What has taken too long so far, in words; None if nothing does."""
        with self._lock:
            overdue = [work for work in self._works.values() if work.is_reported]
        return overdue[-1].describe(monotonic() - overdue[-1].began) if overdue else None

    def _watch(self) -> None:
        while True:
            sleep(_PERIOD)
            with self._lock:
                works = list(self._works.values())
                if not works:
                    # Another one begins with the next work: most processes do little of it.
                    self._watching = None
                    return
            for work in works:
                self._look(work)

    def _look(self, work: ThreadWork) -> None:
        seconds = monotonic() - work.began
        if seconds < WARN_AFTER:
            return
        text = work.describe(seconds)
        if not work.is_reported:
            work.is_reported = True
            _log().warning("%s", text)
        if work.is_over(seconds, text) and self.end is not None:
            _log().error("%s: this process ends because of it", text)
            self.end()


def _log() -> Logger:
    from logging import getLogger  # hardly any process has something to tell here

    return getLogger(__name__)


WATCHDOG = Watchdog()
"""Of this process."""


def watch_hook(node: str, node_type: str, hook: str) -> AbstractContextManager[None]:
    """Inside, a function of a pack is asked about a node, other than the node's own."""
    return WATCHDOG.watch(f"node `{node}` ({node_type}): its {hook} function")


_FAULTS = "__nodegraph_faults__"
_IS_LENIENT: ContextVar[bool] = ContextVar("is_lenient", default=False)


@contextmanager
def lenient() -> Iterator[None]:
    """Inside, a function that can't be a node is left out; `faults_in` its module tells of it.

    For importing packs, where one such function is to hurt no other.
    """
    token = _IS_LENIENT.set(True)
    try:
        yield
    finally:
        _IS_LENIENT.reset(token)


def is_lenient() -> bool:
    """Whether this is inside of `lenient`."""
    return _IS_LENIENT.get()


def skip_function(function: Callable[..., Any], fault: PackError) -> None:
    """Note in a function's module that it can't be a node, and why."""
    function.__globals__.setdefault(_FAULTS, []).append(fault)


def faults_in(module: ModuleType) -> Sequence[PackError]:
    """What is wrong with the functions that were left out of a module; see `lenient`."""
    faults: Sequence[PackError] = vars(module).get(_FAULTS, ())
    return faults


def hook_problems(error: Exception, hook: str, node: str, spec: NodeSpec) -> list[Problem]:
    """Problems of a node whose pack raised `error` in a function other than the node's own.

    Args:
        hook: Which function: ``infer``, ``validate``, ``migration``.
    """
    if isinstance(error, NodegraphError):
        return [replace(problem, node=node, node_type=spec.type) for problem in error.problems]
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    pack = f"the pack `{spec.pack}`" if spec.pack else f"`{spec.module}`"
    return [
        Problem(
            "hook-failed",
            f"its type's {hook} function failed: {text}",
            node,
            spec.type,
            hint=f"This is a fault of {pack}, not of the workflow.",
        )
    ]


def check_plugin_name(word: str, name: object) -> None:
    """Refuse a decorator that is used without its name, as in ``@schedule`` over a function.

    Raises:
        TypeError: The name is not a string.
    """
    if not isinstance(name, str):
        raise TypeError(f'`@{word}` needs a name: write `@{word}("my_name")`')


def plugin_fault(
    word: str,
    name: str,
    function: Callable[..., Any],
    what: str | BaseException,
    *,
    subject: str = "",
    module: str = "",
    actual: str | None = None,
    expected: str | None = None,
) -> InvalidValue:
    """Return the error of a plugin whose function breaks the contract of its group.

    Args:
        word: What a plugin of the group is called, such as ``sampler``; the port, too.
        name: Name of the plugin.
        function: Its function; the hint names it and its module.
        what: What the function does wrong, such as "ends too early", or what it raised.
        subject: Name of the function in the message, if not "the function of the sampler x".
        module: Module in the hint, if it is not the function's.
    """
    if isinstance(what, BaseException):
        reason = f": {what}" if str(what) else ""
        what = f"fails: {type(what).__name__}{reason}"
    label = getattr(function, "__name__", name)
    if label == "<lambda>":
        label = f"lambda in line {function.__code__.co_firstlineno}"
    return InvalidValue(
        f"{subject or f'the function of the {word} {name}'} {what}",
        port=word,
        given=actual,
        expected=expected,
        hint=f"Fix `{label}` in {module or module_of(function)}, or use another {word}.",
    )


def is_fault(error: BaseException) -> bool:
    """Whether an exception of a plugin's function is a fault of the plugin.

    nodegraph's own errors, lack of memory and interruptions are none. `SystemExit` is one: it must
    not end a worker or a command.
    """
    others: list[Any] = [NodegraphError, MemoryError, KeyboardInterrupt]
    # Both are slow to import, and no error is of a module that is not.
    if torch := sys.modules.get("torch"):
        others.append(torch.OutOfMemoryError)
    if asyncio := sys.modules.get("asyncio"):
        others.append(asyncio.CancelledError)
    return not isinstance(error, tuple(others))


def tensor_misfit(
    value: object, like: Tensor, *, may_require_grad: bool = False
) -> tuple[str, str] | None:
    """What a plugin's function returned and should return, if it is not a tensor like another.

    Args:
        like: Has the shape and device that are expected. The data type may be any of
            floating-point numbers.
        may_require_grad: Whether the tensor may require gradients, as a network's prediction does
            for a guider that follows the gradient of a classifier.
    """
    import torch

    shape = tuple(like.shape)
    if not isinstance(value, torch.Tensor):
        return type(value).__name__, f"a tensor of shape {shape}"
    if value.shape != like.shape:
        return f"shape {tuple(value.shape)}", f"shape {shape}, as the latent"
    if not value.is_floating_point():
        return f"a tensor of {str(value.dtype).removeprefix('torch.')}", "floating-point numbers"
    if value.layout != torch.strided or value.device.type != like.device.type:
        layout = str(value.layout).removeprefix("torch.").replace("strided", "dense")
        return f"a {layout} tensor on {value.device}", f"a dense tensor on {like.device}"
    if value.requires_grad and not may_require_grad:
        return "a tensor that requires gradients", "a tensor without: use `.detach()`"
    return None
