"""Options of a run, and the token that cancels, pauses or resumes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypedDict

from nodegraph.core.context import METADATA_AMOUNTS
from nodegraph.core.literals import format_repr
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import Cancelled, InvalidValue

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nodegraph.core.context import MetadataAmount
    from nodegraph.core.events import Listener
    from nodegraph.engine.lanes import Share

Callback = Callable[[], object]


class CancelToken:
    """Control of one run, from any thread or a signal handler.

    A cancelled run stays so; a paused one may be resumed or cancelled. Nodes notice at their next
    step.

    It takes no lock that a signal handler could find taken by the very thread that it interrupts:
    flags are set first and those who wait are woken then, so that whoever begins to wait in
    between sees the flag.
    """

    def __init__(self) -> None:
        self._cancelled = False
        self._paused = False
        self._reason = ""
        self._callbacks: list[Callback] = []
        self._watchers: list[Callback] = []
        self._gates: list[Lock] = []

    @property
    def is_set(self) -> bool:
        """Whether the run is to stop."""
        return self._cancelled

    @property
    def is_paused(self) -> bool:
        """Whether the run is to wait; not once it is to stop."""
        return self._paused and not self._cancelled

    @property
    def is_interrupted(self) -> bool:
        """Whether the run is to stop or to wait."""
        return self._cancelled or self._paused

    @property
    def reason(self) -> str:
        """Why the run was cancelled; empty if nothing was said."""
        return self._reason

    @property
    def waiting(self) -> int:
        """How many nodes wait for the paused run to go on."""
        return len(self._gates)

    def cancel(self, reason: str = "") -> None:
        """Ask the run to stop; paused or not.

        Args:
            reason: Why, such as ``deadline of 30 s passed``; the first one counts.
        """
        if self._cancelled:
            return
        self._reason = reason
        self._cancelled = True
        self._open_gates()
        self._call(self._callbacks)
        self._call(self._watchers)

    def pause(self) -> None:
        """Ask the run to wait: nothing new begins, and running nodes stop at their next step."""
        if self.is_interrupted:
            return
        self._paused = True
        self._call(self._watchers)

    def resume(self) -> None:
        """Let a paused run go on."""
        if not self.is_paused:
            return
        self._paused = False
        self._open_gates()
        self._call(self._watchers)

    def error(self) -> Cancelled:
        """What a node of the cancelled run raises."""
        because = f": {self._reason}" if self._reason else ""
        return Cancelled(f"the run was cancelled{because}")

    def check(self) -> None:
        """Raise `Cancelled` if the run is to stop."""
        if self._cancelled:
            raise self.error()

    def wait_or_raise(
        self, stepping_out: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        """Wait as long as the run is paused, then raise `Cancelled` if it is to stop.

        In the thread of an event loop it doesn't wait, as all else there would wait too.

        Args:
            stepping_out: What is held by nobody during the wait, such as a place in a lane.
        """
        while self.is_paused and not _runs_event_loop():
            with stepping_out():
                self._wait()
                # Not after it: a cancelled run needs no place again, and might wait long for one.
                self.check()
                # Inside, as who is cancelled needs no place any more.
                self.check()
        self.check()

    def _wait(self) -> None:
        while self.is_paused:
            gate = Lock()
            gate.acquire()
            self._gates.append(gate)
            # It may have been resumed before the gate was there to be opened.
            if self.is_paused:
                gate.acquire()

    def _open_gates(self) -> None:
        # Not `while self._gates`: two threads may open them at once.
        with suppress(IndexError):
            while True:
                self._gates.pop().release()

    @contextmanager
    def on_cancel(self, callback: Callback) -> Iterator[None]:
        """Inside the `with`, call back when cancelled, in the cancelling thread.

        At once, if that has happened already.
        """
        self._callbacks.append(callback)
        try:
            if self.is_set:
                callback()
            yield
        finally:
            self._callbacks.remove(callback)

    @contextmanager
    def on_change(self, callback: Callback) -> Iterator[None]:
        """Inside the `with`, call back when cancelled, paused or resumed, in that thread.

        At once, if the run is to stop or to wait already. By the time of the call the state may
        have changed again: look at `is_set` and `is_paused` there.
        """
        self._watchers.append(callback)
        try:
            if self.is_interrupted:
                callback()
            yield
        finally:
            self._watchers.remove(callback)

    @staticmethod
    def _call(callbacks: list[Callback]) -> None:
        for callback in tuple(callbacks):
            callback()


def _runs_event_loop() -> bool:
    import asyncio  # options are read before anything runs

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class RunKeywords(TypedDict, total=False):
    """The fields of `RunOptions`, for functions that take them as keywords."""

    parameters: Mapping[str, Any] | None
    targets: Sequence[str] | None
    listener: Listener | None
    cancel: CancelToken | None
    deadline: float | None
    check_mutation: bool
    values: bool
    share: Share | None
    previews: bool
    granted: Collection[Path]
    metadata: MetadataAmount | None
    metadata_prompts: bool | None
    sidecar: bool | None


def check_truth(name: str, value: object) -> None:
    """Check an option that is a yes or a no.

    Raises:
        InvalidValue: It is neither.
    """
    if not isinstance(value, bool):
        raise InvalidValue(
            f"the run's `{name}` must be true or false",
            given=format_repr(value),
            expected="True or False",
        )


def _check_targets(targets: object) -> None:
    if isinstance(targets, str):
        raise InvalidValue(
            "the run's `targets` must be names of nodes",
            given=format_repr(targets),
            expected=f"a list of them: [{targets!r}]",
        )
    if targets is None:
        return
    if not _are(str, targets):
        raise _unlike("targets", targets, 'a list of names, as in ["decode"]')


def _check_parameters(values: object) -> None:
    if values is not None and not (isinstance(values, Mapping) and _are(str, values)):
        raise _unlike("parameters", values, 'values by name, as in {"seed": 3}')


def _are(kind: type, items: object) -> bool:
    return isinstance(items, Collection) and all(isinstance(each, kind) for each in items)


def _unlike(name: str, value: object, expected: str) -> InvalidValue:
    return InvalidValue(
        f"the run's `{name}` has the wrong type", given=format_repr(value), expected=expected
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """How a workflow is run.

    Attributes:
        parameters: Values of the workflow's named parameters.
        targets: Nodes to run, with what they need; all sinks if not given.
        listener: Is handed every event, in order, from any thread.
        cancel: Stops the run at the next step once set; pauses and resumes it.
        deadline: Seconds after which the run is cancelled, more than 0.
        check_mutation: Compare each call's inputs before and after it, to find nodes that change
            them; slower.
        values: Whether the values of the targets' outputs are wanted; if not, a result that is
            known needn't be brought into memory.
        share: Whose run it is, and how urgent, where several compete for the lanes.
        previews: Whether the listener has a use for images of unfinished work.
        granted: Files among the uploads that this run may read, of which none else may be.
        metadata, metadata_prompts, sidecar: What the files of this run carry, see
            `core.context.Environment`; None for the settings.
    Raises:
        InvalidValue: The deadline is no time to wait, or another value is of a wrong kind.
    """

    parameters: Mapping[str, Any] | None = None
    targets: Sequence[str] | None = None
    listener: Listener | None = None
    cancel: CancelToken | None = None
    deadline: float | None = None
    check_mutation: bool = False
    values: bool = True
    share: Share | None = None
    previews: bool = True
    granted: Collection[Path] = ()
    metadata: MetadataAmount | None = None
    metadata_prompts: bool | None = None
    sidecar: bool | None = None

    def __post_init__(self) -> None:
        if self.deadline is not None and not _is_time(self.deadline):
            raise InvalidValue(
                "the run's `deadline` is not a time to wait",
                given=format_repr(self.deadline),
                expected="seconds, more than 0",
            )
        _check_targets(self.targets)
        for name in ("check_mutation", "values", "previews"):
            check_truth(name, getattr(self, name))
        for name in ("metadata_prompts", "sidecar"):
            if getattr(self, name) is not None:
                check_truth(name, getattr(self, name))
        if self.metadata not in (None, *METADATA_AMOUNTS):
            raise _unlike("metadata", self.metadata, "none, minimal or full")
        _check_parameters(self.parameters)
        if self.listener is not None and not callable(self.listener):
            raise _unlike("listener", self.listener, "a function that takes an event")
        if self.cancel is not None and not hasattr(self.cancel, "cancel"):
            raise _unlike("cancel", self.cancel, "a `CancelToken`")
        if self.share is not None and not hasattr(self.share, "urgency"):
            raise _unlike("share", self.share, "a `Share`")
        if not _are(Path, self.granted):
            raise _unlike("granted", self.granted, "a list of paths, each a `Path`")

    def with_changes(self, **keywords: Unpack[RunKeywords]) -> RunOptions:
        """The same with some said anew.

        Raises:
            TypeError: There is no such option; names the nearest.
        """
        check_keywords(keywords, RunKeywords)
        return replace(self, **keywords) if keywords else self


DEFAULT_OPTIONS = RunOptions()
"""How a workflow is run of which nothing is said."""


def check_keywords(keywords: Mapping[str, Any], known: type) -> None:
    """Check what a caller gave as keywords.

    Args:
        known: A `TypedDict` of those that there are.
    Raises:
        TypeError: There is none of that name; names the nearest.
    """
    names = known.__annotations__
    for name in keywords:
        if name not in names:
            hint = did_you_mean(name, names, listed=len(names))
            raise TypeError(f"a run has no option `{name}`. {hint}")


def _is_time(seconds: Any) -> bool:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return is_number and 0 < seconds < inf
