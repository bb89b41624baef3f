"""What a running node is given to talk to its run: the engine's `Context`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.context import Environment, Preview, Weights
from nodegraph.core.events import EventStream
from nodegraph.core.values import Recipe
from nodegraph.engine.cancel import CancelToken
from nodegraph.engine.result import WrittenFile
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.core.context import Context


class NodeContext:
    """Bound to one call of one node; its methods may be used from the call's thread."""

    def __init__(
        self,
        node: str,
        *,
        device: str,
        environment: Environment,
        workflow: Mapping[str, Any],
        events: EventStream,
        cancel: CancelToken,
        weights: Weights | None,
        files: list[WrittenFile],
    ) -> None:
        self.node = node
        self.device = device
        self.environment = environment
        self.workflow = workflow
        self._events = events
        self._cancel = cancel
        self._weights = weights
        self._files = files

    def progress(
        self, step: int, total: int, *, preview: Callable[[], Preview] | None = None
    ) -> None:
        self._events.emit("node.progress", self.node, step=step, total=total)
        if preview is not None and self._events.is_watched:
            self.preview(preview())
        self._cancel.check()

    def check_cancelled(self) -> None:
        self._cancel.check()

    def preview(self, preview: Preview) -> None:
        self._events.emit("node.preview", self.node, image=preview.data, mime=preview.mime)

    def log(self, message: str, level: str = "info") -> None:
        self._events.emit("log", self.node, message=message, level=level)

    def wrote(self, path: Path, *, kind: str = "image", existed: bool = False) -> None:
        self._files.append(WrittenFile(path, self.node, kind, existed))
        self._events.emit("node.wrote", self.node, path=str(path), file=kind, existed=existed)

    def weights(self, recipe: Recipe) -> AbstractContextManager[Any]:
        if self._weights is None:
            raise InvalidValue(
                "this engine holds no models",
                hint="Give the Engine a residency manager as `weights`.",
            )
        return self._weights.use(recipe, self.device)


if TYPE_CHECKING:

    def _satisfies(context: NodeContext) -> Context:
        return context
