"""The context of a call in a pack's process: what a node asks of the run, the main process answers.

Parts of the run's graph cross as well: `written` makes a message of one, `read` takes it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nodegraph.core.context import (
    Checkpoint,
    Environment,
    Footprint,
    LogSubject,
)
from nodegraph.core.links import Value
from nodegraph.core.manifest import Manifest
from nodegraph.core.ports import GraphCopy, RawLink, RunGraph, RunNode
from nodegraph.core.values import Recipe
from nodegraph.errors import Cancelled, InvalidValue
from nodegraph.isolation.channel import Channel
from nodegraph.isolation.runner import CallContext, HeldValue

if TYPE_CHECKING:
    from nodegraph.core.context import Shown


class ContextServer(Protocol):
    """What a context needs of its process."""

    channel: Channel

    def inward(self, value: Any) -> Any:
        """A value of a message as the pack's nodes receive it."""
        ...

    def weights(self, environment: Environment, recipe: Recipe, **options: Any) -> Any:
        """The loaded modules of a recipe, in this process."""
        ...


def written(value: Any, outward: Callable[[Any], Any] = lambda value: value) -> Any:
    """A part of a graph for a message: values in memory become `HeldValue`s.

    Args:
        outward: Gives the form of what is no list, mapping or link.
    """
    if isinstance(value, Value):
        return HeldValue(outward(value.value))
    if isinstance(value, (list, tuple)):
        return [written(item, outward) for item in value]
    if isinstance(value, Mapping):
        return {name: written(item, outward) for name, item in value.items()}
    return value if isinstance(value, RawLink) else outward(value)


@dataclass(eq=False)
class RemoteContext:
    """Context of one call; its methods ask the main process, where the run is.

    Args:
        server: Of this process.
        number: Of the call.
    """

    server: ContextServer
    number: int
    environment: Environment
    node: str
    device: str
    footprint: Footprint
    callbacks: list[Callable[[], object]] = field(default_factory=list)
    is_cancelled: bool = False
    _state: Callable[[], Mapping[str, Any]] | None = None

    @property
    def workflow(self) -> Mapping[str, Any]:
        workflow: Mapping[str, Any] = self._ask("workflow")
        return workflow

    def manifest(self, index: int | None = None) -> Manifest:
        return Manifest.from_document(self._ask("manifest", index=index))

    def file_metadata(self, index: int | None = None) -> dict[str, str]:
        texts: dict[str, str] = self._ask("file_metadata", index=index)
        return texts

    def _ask(
        self, request: str, serve: Callable[[str, Any, int], Any] | None = None, **values: Any
    ) -> Any:
        if self.is_cancelled:
            raise Cancelled("the run was cancelled")
        return self.server.channel.request(request, values, within=self.number, serve=serve)

    def _tell(self, notice: str, **values: Any) -> None:
        if self.is_cancelled:
            raise Cancelled("the run was cancelled")
        self.server.channel.notify(notice, values, self.number)

    def cancel(self) -> None:
        """Have the next call of a method raise, and interrupt what waits."""
        self.is_cancelled = True
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()

    def when_cancelled(self, callback: Callable[[], object]) -> None:
        if self.is_cancelled:
            callback()
        else:
            self.callbacks.append(callback)

    def progress(
        self, step: int, total: int, *, preview: Callable[[], Shown | None] | None = None
    ) -> None:
        serve = None if preview is None else partial(self._serve, preview)
        self._ask("progress", serve, step=int(step), total=int(total), preview=preview is not None)

    def _serve(
        self, preview: Callable[[], Shown | None] | None, name: str, value: Any, number: int
    ) -> Any:
        """Answer what the main process asks while it handles a request of this call."""
        if name == "preview" and preview is not None:
            return preview()
        if name == "state" and self._state is not None:
            return dict(self._state())
        raise InvalidValue(f"nothing here gives a `{name}`")

    def report(self, step: int, total: int) -> None:
        """Progress of what is called without a context."""
        self._ask("report", step=int(step), total=int(total))

    def check_cancelled(self, *, waits: bool = True) -> None:
        self._ask("check_cancelled", waits=waits)

    def checkpoint(
        self, step: int, total: int, state: Callable[[], Mapping[str, Any]], *, keep: bool = False
    ) -> None:
        self._state = state
        serve = partial(self._serve, None)
        self._ask("checkpoint", serve, step=int(step), total=int(total), keep=keep)

    def restored(self, *, up_to: int | None = None) -> Checkpoint | None:
        restored: Checkpoint | None = self._ask("restored", up_to=up_to)
        return restored

    def preview(self, *shown: Shown) -> None:
        self._ask("preview", shown=list(shown))

    def log(self, message: str, level: str = "info", *, about: LogSubject = "result") -> None:
        self._tell("log", message=str(message), level=level, about=about)

    def wrote(
        self,
        path: Path,
        *,
        kind: str = "image",
        existed: bool = False,
        index: int | None = None,
        sidecar: bool = False,
    ) -> None:
        about = {"kind": kind, "existed": existed, "index": index, "sidecar": sidecar}
        self._tell("wrote", path=Path(path), **about)

    def file(self, path: str | Path) -> Path:
        file: Path = self._ask("file", path=path)
        return file

    def env(self, name: str, default: str | None = None) -> str | None:
        variable: str | None = self._ask("env", name=name)
        return default if variable is None else variable

    def weights(self, recipe: Recipe, *, calls_only: bool = False) -> AbstractContextManager[Any]:
        options = {"footprint": self.footprint, "calls_only": calls_only, "tell": self.log}
        using: AbstractContextManager[Any] = self.server.weights(
            self.environment, recipe, device=self.device, **options
        )
        return using

    def seat(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def ask(
        self, service: str, /, *, callback: Callable[..., Any] | None = None, **values: Any
    ) -> Any:
        serve = None if callback is None else partial(self._call_back, callback)
        return self._ask("service", serve, service=service, values=values)

    def _call_back(
        self, callback: Callable[..., Any], name: str, value: Mapping[str, Any], number: int
    ) -> Any:
        # What it asks for belongs to the request that waits for it: nobody else listens now.
        outer, self.number = self.number, number
        try:
            return callback(**value)
        finally:
            self.number = outer

    def lazy_value(self, port: str) -> Any:
        return self.server.inward(self._ask("lazy", port=port))

    def lazy(self, port: str) -> Awaitable[Any]:
        return asyncio.to_thread(self.lazy_value, port)

    def graph(self, method: str, **values: Any) -> Any:
        """Ask the graph of the run; see `RunGraph`."""
        return self._ask("graph", method=method, values=values)


class RemoteGraph(RunGraph):
    """The graph of the run, which is in the main process."""

    def __init__(self, context: RemoteContext) -> None:
        self._context = context
        self._names: list[str] | None = None

    @property
    def node(self) -> str:
        node: str = self._context.graph("node")
        return node

    def __getitem__(self, name: str) -> RunNode:
        row = self._context.graph("get", name=name)
        if row is None:
            raise KeyError(name)
        return RunNode(**{**row, "inputs": read(row["inputs"])})

    def _all(self) -> list[str]:
        if self._names is None:
            self._names = self._context.graph("names")
        return self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def between(self, first: str) -> tuple[str, ...]:
        return tuple(self._context.graph("between", first=first))

    def copy(self, names: Iterable[str], suffix: str = "") -> GraphCopy:
        nodes, new_names, subgraphs = self._context.graph("copy", names=list(names), suffix=suffix)
        return GraphCopy(read(nodes), new_names, subgraphs)


def read(value: Any) -> Any:
    """A part of a graph from a message, with its values in memory; see `written`."""
    if isinstance(value, HeldValue):
        return Value.own(value.value)
    if isinstance(value, list):
        return [read(item) for item in value]
    if isinstance(value, dict):
        return {name: read(item) for name, item in value.items()}
    return value


if TYPE_CHECKING:

    def _satisfies(context: RemoteContext) -> CallContext:
        return context
