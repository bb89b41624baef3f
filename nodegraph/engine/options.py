"""How a workflow is run: said once here, and handed on as one object by whoever has to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from nodegraph.core.literals import format_repr
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nodegraph.core.events import Listener
    from nodegraph.engine.cancel import CancelToken
    from nodegraph.engine.lanes import Share


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


def check_truth(name: str, value: object) -> None:
    """Check an option that is a yes or a no.

    Raises:
        InvalidValue: It is neither.
    """
    if not isinstance(value, bool):
        raise InvalidValue(
            f"the run's `{name}` is a yes or a no",
            given=format_repr(value),
            expected="True or False",
        )


def _check_targets(targets: object) -> None:
    if isinstance(targets, str):
        raise InvalidValue(
            "the run's `targets` are names of nodes",
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
        f"the run's `{name}` is of another kind", given=format_repr(value), expected=expected
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
        previews: Whether the listener has a use for pictures of unfinished work.
        granted: Files among the uploads that this run may read, of which none else may be.
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

    def __post_init__(self) -> None:
        if self.deadline is not None and not _is_time(self.deadline):
            raise InvalidValue(
                "the run's `deadline` is no time to wait",
                given=format_repr(self.deadline),
                expected="seconds, more than 0",
            )
        _check_targets(self.targets)
        for name in ("check_mutation", "values", "previews"):
            check_truth(name, getattr(self, name))
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
