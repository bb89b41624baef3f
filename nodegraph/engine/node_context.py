"""The context that a running node gets: progress, previews, weights, checkpoints, files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nodegraph.core.context import Checkpoint, Environment, Footprint, Preview, Weights
from nodegraph.core.digests import is_tensor
from nodegraph.core.events import EventStream
from nodegraph.core.files import write_file
from nodegraph.core.foreign_value import LentModel
from nodegraph.core.links import plain_number
from nodegraph.core.manifest import (
    MOST_WORKFLOW,
    WORKFLOW,
    Manifest,
    file_texts,
    sidecar_text,
)
from nodegraph.core.plots import Plot, plot_to_plain
from nodegraph.core.summary import summarize
from nodegraph.core.values import Recipe
from nodegraph.engine.checkpointing import CallCheckpoints
from nodegraph.engine.external_reads import ExternalReads
from nodegraph.engine.lanes import current_slot
from nodegraph.engine.options import CancelToken
from nodegraph.engine.result import WrittenFile
from nodegraph.errors import InvalidValue
from nodegraph.store.entries import CallWarning

if TYPE_CHECKING:
    from nodegraph.core.context import Context, LogSubject, MetadataAmount, Shown
    from nodegraph.engine.states import Call

MOST_POINTS = 1_000
"""Of a plot, in one event; about as many as a screen tells apart."""
_DIGITS = 6


def preview_parts(shown: Shown) -> dict[str, Any]:
    """Plain values that tell of a preview, by their names in the event.

    Returns:
        ``image`` and ``mime`` of an image, ``plot`` of a plot.
    Raises:
        InvalidValue: It can't be shown.
    """
    if isinstance(shown, Preview):
        return {"image": shown.data, "mime": shown.mime}
    if isinstance(shown, Plot):
        return {"plot": plot_to_plain(shown, most=MOST_POINTS, digits=_DIGITS)}
    if is_tensor(shown) and shown.ndim == 4 and shown.numel():
        from nodegraph.media.images.resizing import picture_preview

        return preview_parts(picture_preview(shown))
    raise InvalidValue(
        "this cannot be shown as a preview",
        given=summarize(shown),
        expected="Preview, Plot, or Image (float tensor [batch, height, width, channels] in 0..1)",
    )


_KEPT = frozenset({"warning", "error"})
"""Levels of what is kept with a result."""
_WITHOUT_SIDECAR = frozenset({"preview", "manifest", "dataset"})
"""Kinds of files that get no manifest beside them. A dataset has its own file, `dataset.json`."""
_WARNINGS = "nodegraph.warnings"
"""In a checkpoint's state, beside what the node has there."""
SHARE = 0.03
"""Of a call's time, what its previews may take."""
LEAST = 0.2
"""Seconds from one preview to the next at least, and from the call's begin to the first."""


class PreviewPace:
    """Says when the next preview of a call is due, by what the last one cost.

    Args:
        clock: Tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._due = clock() + LEAST

    @property
    def is_due(self) -> bool:
        """Whether enough other work was done since the last one."""
        return self._clock() >= self._due

    @contextmanager
    def making(self) -> Iterator[None]:
        """Make a preview inside the `with`."""
        start = self._clock()
        try:
            yield
        finally:
            end = self._clock()
            self._due = end + max(LEAST, (end - start) * (1 / SHARE - 1))


class _Offer(NamedTuple):
    """Work that may be saved."""

    step: int
    total: int
    state: Callable[[], Mapping[str, Any]]
    keep: bool


class Load(NamedTuple):
    """What a node waited for weights until they were in memory."""

    recipe: Recipe
    seconds: float


class FileManifests(Protocol):
    """Manifests of the files that a call writes."""

    def manifest(self, workflow: Mapping[str, Any]) -> Manifest:
        """Return the whole manifest of a workflow as it ran."""
        ...

    def reduced(self, manifest: Manifest, amount: MetadataAmount) -> Manifest:
        """Return what the settings leave of a manifest in files."""
        ...


class NodeContext:
    """Bound to one attempt at one call of a node; its methods may be used from the call's thread.

    Args:
        node: The call's name.
        device: That the node's lane computes on.
        environment, workflow: See `Context`.
        events: Is told what the node tells.
        cancel: Control of the run.
        weights: Turns recipes into live modules; None if this engine holds none.
        files: Takes what the node has written.
        loads: Takes what the node waited for weights.
        checkpoints: Of this call, from `Saver.for_call`; None if nothing is to be saved or found.
            Whoever runs the call says `finish` to it in the end.
        footprint: Another one for a further try, after memory ran out.
        work: Bytes that the node is expected to take besides weights; None if unknown.
        pace: Of the previews; by this machine's clock if not given.
        readings: Notes what the node reads outside.
        seated: Gives its place among those that run beside it; None if nothing may.
        call: Notes what the node says of its result.
        manifests: Builds the manifest of the files that the node writes.
    """

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
        loads: list[Load] | None = None,
        checkpoints: CallCheckpoints | None = None,
        footprint: Footprint = "full",
        work: int | None = None,
        pace: PreviewPace | None = None,
        readings: ExternalReads | None = None,
        seated: Callable[[], AbstractContextManager[Any]] | None = None,
        call: Call | None = None,
        manifests: FileManifests | None = None,
    ) -> None:
        self.node = node
        self.device = device
        self.environment = environment
        self._workflow = workflow
        self.footprint = footprint
        self._work = work
        self._events = events
        self._cancel = cancel
        self._weights = weights
        self._files = files
        self._loads = loads if loads is not None else []
        self._checkpoints = checkpoints
        self._pace = pace or PreviewPace()
        self._readings = readings or ExternalReads()
        self._seated = seated
        self._call = call
        self._manifests = manifests
        self._manifest: Manifest | None = None
        if checkpoints is not None:
            checkpoints.begin(footprint)
        self._offer: _Offer | None = None
        self._shown: dict[str, Any] = {}

    @property
    def workflow(self) -> Mapping[str, Any]:
        return self.environment.note_precision(self._workflow)

    def manifest(self, index: int | None = None) -> Manifest:
        if self._manifest is None:
            # Of a batch, all files share everything but the index.
            self._manifest = self._source.manifest(self.workflow)
        return replace(self._manifest, index=index)

    def file_metadata(self, index: int | None = None) -> dict[str, str]:
        if self.environment.metadata == "none":
            return {}
        manifest = self._source.reduced(self.manifest(index), self.environment.metadata)
        texts = file_texts(manifest)
        if manifest.workflow and WORKFLOW not in texts:
            self.log(
                "The workflow is too long for the files of results: more than "
                f"{MOST_WORKFLOW:,} characters. They carry its digest.",
                "warning",
            )
        return texts

    @property
    def _source(self) -> FileManifests:
        if self._manifests is None:
            raise InvalidValue("there is no run that a manifest could describe")
        return self._manifests

    def progress(
        self, step: int, total: int, *, preview: Callable[[], Shown | None] | None = None
    ) -> None:
        # Events go to other processes, where a count of numpy's would be no number.
        step, total = _count(step), _count(total)
        self._events.emit("node.progress", self.node, step=step, total=total)
        if preview is not None and self._events.wants_previews and self._pace.is_due:
            self._show(preview)
        if self._cancel.is_interrupted:
            offer = self._offer
            if offer is not None and offer.step == step:
                # The run was interrupted only after this very step was offered.
                self._save(offer)
            self._heed()

    def _show(self, preview: Callable[[], Shown | None]) -> None:
        with self._pace.making():
            made = preview()
            if made is not None:
                self.preview(made)

    def check_cancelled(self, *, waits: bool = True) -> None:
        if self._cancel.is_interrupted:
            self._heed() if waits else self._cancel.check()

    def _heed(self) -> None:
        self._cancel.wait_or_raise(_stepping_out)

    def checkpoint(
        self,
        step: int,
        total: int,
        state: Callable[[], Mapping[str, Any]],
        *,
        keep: bool = False,
    ) -> None:
        checkpoints = self._checkpoints
        if checkpoints is None:
            return
        step, total = _count(step), _count(total)
        self._offer = _Offer(step, total, state, keep)
        if keep or self._cancel.is_interrupted or (step < total and checkpoints.is_due):
            self._save(self._offer)

    def _save(self, offer: _Offer) -> None:
        if self._checkpoints is None:
            return
        self._offer = None
        state = offer.state()
        if self._call is not None and self._call.warnings:
            # Who goes on from here doesn't come by what was said on the way here.
            earlier_warnings = [list(warning) for warning in self._call.warnings]
            state = {**state, _WARNINGS: earlier_warnings}
        self._checkpoints.save(offer.step, offer.total, state, keep=offer.keep)
        self._tell_trouble(self._checkpoints)

    def restored(self, *, up_to: int | None = None) -> Checkpoint | None:
        if self._checkpoints is None:
            return None
        checkpoint = self._checkpoints.load()
        self._tell_trouble(self._checkpoints)
        if checkpoint is None or (up_to is not None and checkpoint.step > up_to):
            return None
        self._events.emit("node.restored", self.node, step=checkpoint.step, total=checkpoint.total)
        if _WARNINGS not in checkpoint.state:
            return checkpoint
        for message, level, _ in checkpoint.state[_WARNINGS]:
            if self._call is not None and self._call.warn_again(CallWarning(message, level)):
                self._tell(message, level)
        state = {name: item for name, item in checkpoint.state.items() if name != _WARNINGS}
        return Checkpoint(checkpoint.step, checkpoint.total, state)

    def _tell_trouble(self, checkpoints: CallCheckpoints) -> None:
        if checkpoints.error:
            self.log(checkpoints.error, "warning", about="run")
            checkpoints.error = ""

    def preview(self, *shown: Shown) -> None:
        if self._events.has_listener:
            for each in shown:
                self._shown |= preview_parts(each)
            self._events.emit("node.preview", self.node, **self._shown)

    def log(self, message: str, level: str = "info", *, about: LogSubject = "result") -> None:
        message = str(message)  # a node may say a number or an exception
        is_kept = about == "result" and level in _KEPT and self._call is not None
        if not is_kept or self._call is None or self._call.warn(message, level):
            self._tell(message, level)

    def _tell(self, message: str, level: str) -> None:
        self._events.emit("log", self.node, message=message, level=level)

    def wrote(
        self,
        path: Path,
        *,
        kind: str = "image",
        existed: bool = False,
        index: int | None = None,
        sidecar: bool = False,
    ) -> None:
        self._report(path, kind, existed)
        if kind in _WITHOUT_SIDECAR:
            return
        if self.environment.sidecar:
            self._write_sidecar(path, index)
        elif sidecar and self.environment.metadata != "none":
            file = self._write_sidecar(path, index)
            self.log(f"{path.name} has no room for texts: its manifest is in {file.name}.")

    def _report(self, path: Path, kind: str, existed: bool) -> None:
        self._files.append(WrittenFile(path, self.node, kind, existed))
        self._events.emit("node.wrote", self.node, path=str(path), file=kind, existed=existed)

    def _write_sidecar(self, path: Path, index: int | None) -> Path:
        manifest = self._source.reduced(self.manifest(index), "full")
        content = sidecar_text(manifest).encode()
        # The whole name: a result may be a JSON file, and two results may differ in suffix only.
        file = path.with_name(f"{path.name}.json")
        existed = file.is_file() and file.read_bytes() == content
        if not existed:
            write_file(file, content)
        self._report(file, "manifest", existed)
        return file

    def file(self, path: str | Path) -> Path:
        return self._readings.file(path, self.environment.inputs)

    def env(self, name: str, default: str | None = None) -> str | None:
        self._readings.variable(name, self.environment.inputs)
        return os.environ.get(name, default)

    def weights(self, recipe: Recipe, *, calls_only: bool = False) -> AbstractContextManager[Any]:
        if self._weights is None:
            raise InvalidValue(
                "this engine does not hold models",
                hint="Pass a residency manager to the Engine as `weights`.",
            )
        if type(recipe) is LentModel:
            raise InvalidValue(
                "this node cannot use a model that a pack patched",
                expected="a model without functions of a pack",
                hint="Link the model to it as it was before the pack's node.",
            )
        using = self._weights.use(
            recipe,
            self.device,
            self.footprint,
            calls_only=calls_only,
            work=self._work,
            tell=self.log,
        )
        return self._timed(recipe, using)

    def seat(self) -> AbstractContextManager[Any]:
        # In slices or in parts, it computes other bits than those of whoever it would meet.
        if self._seated is None or self.footprint != "full":
            return nullcontext()
        return self._seated()

    @contextmanager
    def _timed(self, recipe: Recipe, using: AbstractContextManager[Any]) -> Iterator[Any]:
        start = monotonic()
        with using as live:
            self._loads.append(Load(recipe, monotonic() - start))
            yield live


def _count(steps: int) -> int:
    """A count of steps, which may be a number of numpy's or a tensor."""
    plain: int = plain_number(steps)
    return plain if isinstance(plain, (int, float)) else int(plain)


def _stepping_out() -> AbstractContextManager[object]:
    """Gives this thread's place in a lane to others, inside the `with`."""
    lane_place = current_slot()
    return nullcontext() if lane_place is None else lane_place.step_out()


if TYPE_CHECKING:

    def _satisfies(context: NodeContext) -> Context:
        return context
