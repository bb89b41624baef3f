"""The context of a running node, and Protocols of what it uses: weights, merging, numerics."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.plots import Plot
    from nodegraph.core.values import Recipe
    from nodegraph.errors import NodegraphError

    Shown: TypeAlias = "Preview | Plot | Tensor"
    """What can be shown of unfinished work: an image that is encoded, a plot, or an Image."""

LogSubject = Literal["result", "run"]
"""What is said is about: the result, wherever it is used, or this one run."""

Footprint = Literal["full", "offloaded", "small"]
"""How much memory a node may take, where the usual way found too little: ``offloaded`` with the
weights at the host, to the same results; ``small`` with as little as can be."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A small encoded image of unfinished work."""

    data: bytes
    mime: str = "image/png"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Unfinished work, as an earlier attempt at it left it.

    Attributes:
        step, total: Step `step` of `total` was done.
        state: What the node gave to save; read-only.
    """

    step: int
    total: int
    state: Mapping[str, Any]


MAX_IMAGE_PIXELS = 2**30 // 12
"""89 million, if nothing else is set: a small file can claim any size. Pillow's own."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The world around a run: folders, and what is allowed.

    Attributes:
        models: Folders that are searched for models, first hit wins.
        inputs: Folder that relative paths of input files start from.
        outputs: Folder that sinks write to.
        temporary: Folder for files that need not outlive the run.
        allow_pickle: Whether checkpoints in pickle format may be opened.
        device: Accelerator or CPU that compute nodes run on, such as ``cpu`` or ``cuda:0``.
        readable: Folders in which files must lie that inputs name; None for anywhere. See
            `core.file_access`.
        uploads: Folder of what a server's clients brought. Nothing in it may be read, wherever it
            lies, but what is granted.
        granted: Files among the uploads that belong to whom the run is for.
        trained: Folder of the files of what trainings made, by their digests; one of those that
            need not outlive the run if None.
        max_image_pixels: Of an image's file; larger ones are refused.
    """

    models: tuple[Path, ...]
    inputs: Path
    outputs: Path
    temporary: Path
    allow_pickle: bool = False
    device: str = "cpu"
    readable: tuple[Path, ...] | None = None
    uploads: Path | None = None
    granted: frozenset[Path] = frozenset()
    trained: Path | None = None
    max_image_pixels: int = MAX_IMAGE_PIXELS

    def with_granted(self, files: Collection[Path]) -> Environment:
        """The same for a run that may read some of the uploads."""
        return replace(self, granted=frozenset(files)) if files else self


class Context(Protocol):
    """Handed to a node that declares a parameter of this type; it is no port."""

    @property
    def node(self) -> str:
        """Name of the node in the workflow."""

    @property
    def environment(self) -> Environment:
        """Folders and permissions of this run."""

    @property
    def device(self) -> str:
        """Device the node's lane computes on, such as ``cpu`` or ``cuda:0``."""

    @property
    def workflow(self) -> Mapping[str, Any]:
        """The workflow as it runs, overrides applied, ready for JSON."""

    @property
    def footprint(self) -> Footprint:
        """``small`` if memory ran out at the tries before: work in smaller parts, if that helps."""

    def progress(
        self, step: int, total: int, *, preview: Callable[[], Shown | None] | None = None
    ) -> None:
        """Report that `step` of `total` is done. While the run is paused, it waits here.

        Args:
            preview: Called only if somebody watches, five times a second at most, and so seldom
                that it takes 3 % of the time at most. Gives what `preview` takes; may find nothing
                to show.
        Raises:
            Cancelled: The run was cancelled; let it pass.
        """

    def check_cancelled(self) -> None:
        """Raise `Cancelled` if the run was cancelled. While it is paused, it waits here."""

    def checkpoint(
        self,
        step: int,
        total: int,
        state: Callable[[], Mapping[str, Any]],
        *,
        keep: bool = False,
    ) -> None:
        """Offer to save the work after `step` of `total`, so that it can go on from there.

        Call it after each step, before `progress`. Most calls do nothing: something is saved
        every few seconds, and before the run stops or waits. It is forgotten once the node has
        returned.

        Args:
            state: Called at once, in this thread, if the work is to be saved. Gives all that
                decides how it goes on: plain values and tensors on the CPU, by name, copied,
                as they are written while the node works on.
            keep: Save in any case, and keep it when the node has returned: it stops early, as
                an input in its type's `continues` said, and may be asked to go on later.
        """

    def restored(self, *, up_to: int | None = None) -> Checkpoint | None:
        """What an earlier attempt at this very work saved, if there was one.

        The same work is a call of the same node with equal inputs and the same code; those that
        `continues` names may differ. Whoever watches is told that the work goes on from there.

        Args:
            up_to: None too if it stands beyond this step.
        """

    def preview(self, *shown: Shown) -> None:
        """Show unfinished work: an image, a plot, or both.

        Of each kind the newest stays: a plot that is given alone takes the place of the plot that
        was shown, beside the image that was. Does nothing if nobody watches.

        Args:
            shown: An `Image`, whose batch is shown in a grid of at most 512 pixels; a `Plot`, of
                which a thousand points are shown; or a `Preview`, as it is.
        Raises:
            InvalidValue: It is something else.
        """

    def log(self, message: str, level: str = "info", *, about: LogSubject = "result") -> None:
        """Say something to whoever watches; level is ``info``, ``warning`` or ``error``.

        A warning or an error is kept with the result and said again when that comes from the cache.

        Args:
            about: ``run`` for what says nothing of the result, such as that a preview couldn't be
                made: it isn't kept.
        """

    def wrote(self, path: Path, *, kind: str = "image", existed: bool = False) -> None:
        """Tell that a file of this run's results lies at `path`."""

    def file(self, path: str | Path) -> Path:
        """Tell that the node reads a file that no input names: its content enters the key.

        Call it before reading, and before `restored`. The node runs again once the file holds
        something else, came, or went.

        Args:
            path: A relative one starts from the inputs folder.
        Returns:
            Its absolute path, whether it is there or not.
        Raises:
            InvalidFile: It is a folder.
        """

    def env(self, name: str, default: str | None = None) -> str | None:
        """An environment variable; the node runs again once it has another value."""

    def weights(self, recipe: Recipe, *, calls_only: bool = False) -> AbstractContextManager[Any]:
        """The live modules of a recipe on this lane's device, kept there inside the `with`.

        Args:
            calls_only: The modules are only called: their weights, types and names aren't looked
                at. Then they may be held in fewer bytes, or brought in parts, where room is scarce.
        """

    def seat(self) -> AbstractContextManager[Any]:
        """The place of this call among those that run beside it, inside the `with`: where parts of
        their work may be computed in common. None if nothing runs beside it, or its footprint
        isn't ``full``.
        """


class Merging(Protocol):
    """Lets calls compute parts of their work in common: what the engine needs of it."""

    @property
    def most(self) -> int:
        """How many calls may run beside each other."""

    def admits(self, label: str) -> bool:
        """Whether calls of a label may run beside each other.

        Args:
            label: Says which weights they compute with, and on what size of work.
        """

    def seat(self, label: str, memory: int | None = None) -> AbstractContextManager[Any]:
        """The place of a call among those of its label, inside the `with`.

        Args:
            memory: Bytes that it takes besides weights; None if that isn't known.
        """


class Peak(Protocol):
    """How much memory something took beyond what was in use before."""

    @property
    def bytes(self) -> int | None:
        """Known once the measured part is over; None where it can't be measured."""


class Weights(Protocol):
    """Turns recipes into live modules: what the engine needs of a residency manager."""

    def use(
        self,
        recipe: Recipe,
        device: str,
        footprint: Footprint = "full",
        *,
        calls_only: bool = False,
        work: int | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> AbstractContextManager[Any]:
        """The modules of a recipe, to compute on a device, pinned inside the `with`.

        Args:
            footprint: ``offloaded`` and ``small`` give modules that take less memory and more time.
            calls_only: See `Context.weights`.
            work: Bytes that computing with them is expected to take; None if unknown.
            tell: Told, in one sentence, if they had to be brought there in parts.
        Raises:
            NodegraphError: The files are missing, damaged or don't fit.
        """

    def prefetch(self, recipe: Recipe, device: str) -> bool:
        """Load a recipe's modules in this thread if there is room without evicting anything.

        Returns:
            Whether they are there now. What is missing or doesn't fit is no error.
        """

    def size(self, recipe: Recipe) -> int:
        """Bytes that a recipe's weights take in memory, as measured or expected; 0 if unknown."""

    def relieve(self, device: str, *, keep: Iterable[Recipe] = ()) -> int:
        """Let go of all on a device that isn't in use, the libraries' own reserves included.

        Args:
            keep: Recipes whose weights stay all the same.
        Returns:
            Bytes of weights that left the device.
        """

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error says that memory ran out, of whatever library it is."""

    def can_offload(self, device: str) -> bool:
        """Whether weights can stay at the host and take less of a device's memory so."""

    def missing(self, error: BaseException) -> int:
        """Bytes that could not be had, by an error that says that memory ran out; 0 if unknown."""

    def explain(self, error: BaseException, device: str) -> NodegraphError:
        """What was needed and what there was, for an error that says that memory ran out.

        The error is its cause, unless it explains itself.
        """

    def measuring(self, device: str) -> AbstractContextManager[Peak]:
        """Measure the memory that the inside of the `with` takes at its peak."""


class Numerics(Protocol):
    """Describes what may change the last bits of a result besides its inputs."""

    def profile(self, device: str) -> str:
        """Device kind, precision and versions of the numerical libraries, as one line."""
