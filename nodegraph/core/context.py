"""The context of a running node, what it uses (weights, merging, numerics), and its variables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.manifest import Manifest
    from nodegraph.core.plots import Plot
    from nodegraph.core.values import Recipe
    from nodegraph.errors import NodegraphError

    Shown: TypeAlias = "Preview | Plot | Tensor"
    """What can be shown of unfinished work: an image that is encoded, a plot, or an Image."""

LogSubject = Literal["result", "run"]
"""Subject of a log message: the result, wherever it is used, or this one run."""

Footprint = Literal["full", "offloaded", "small"]
"""How much memory a node may use: ``full`` as usual; after memory ran out, ``offloaded`` with the
weights in host memory and the same results, or ``small`` with as little memory as possible."""


CpuPrecision = Literal["auto", "float32", "mixed", "bfloat16"]
"""What the dtype ``auto`` is on a CPU: ``mixed`` is bfloat16 for large models and float32 for
others, and ``auto`` is the faster of float32 and ``mixed``, by a measurement."""

MetadataAmount = Literal["none", "minimal", "full"]
"""What files of results carry; see docs/provenance.md."""
METADATA_AMOUNTS = ("none", "minimal", "full")

CPU_PRECISION = "cpu_precision"
"""Key of a workflow with the one that it was run with."""

LARGE_MODEL = 200_000_000
"""Parameters of a model from which on ``mixed`` is bfloat16. Smaller ones gain little."""


def decided_device(choice: str) -> CpuDevice:
    """Return a CPU of which it is decided what the dtype ``auto`` is."""
    return CpuDevice(choice, lambda _measures: choice)  # type: ignore[arg-type]


class CpuDevice(str):
    """The text ``cpu`` as the device of a run, which brings along what the dtype ``auto`` is there.

    Keys, estimates and recipes depend on the device, so all of them use the same choice.

    Args:
        choice: The setting, or what a workflow says.
        decide: Returns ``float32`` or ``mixed`` for ``auto``. It measures if it is called with
            True; else an empty text if nothing was measured before.
        measures: Whether to measure.

    Attributes:
        taken: What the run takes for ``auto``; empty as long as all models are float32 anyway.
    """

    choice: CpuPrecision
    taken: str

    def __new__(
        cls, choice: CpuPrecision, decide: Callable[[bool], str], *, measures: bool = False
    ) -> CpuDevice:
        device = super().__new__(cls, "cpu")
        device.choice, device.taken = choice, ""
        device._decide, device._measures = decide, measures
        return device

    _decide: Callable[[bool], str]
    _measures: bool

    is_plain_text = True
    """Its content digest is that of its text."""

    def __copy__(self) -> CpuDevice:
        return self

    def __deepcopy__(self, _memo: object) -> CpuDevice:
        return self

    def __reduce__(self) -> tuple[Callable[[str], CpuDevice], tuple[str]]:
        """Another process gets what is decided here."""
        choice: str = self.choice
        if choice == "auto":
            choice = self.taken or self._decide(False) or "float32"
        return decided_device, (choice,)

    def for_run(self, choice: str, *, measures: bool) -> CpuDevice:
        """Return the device of one run.

        Args:
            choice: What the workflow says; the setting counts if it is empty.
        """
        return CpuDevice(choice or self.choice, self._decide, measures=measures)  # type: ignore[arg-type]

    def precision(self, parameters: int) -> str:
        """Return the precision that ``auto`` is for a model of so many parameters."""
        choice: str = self.choice
        if choice != "bfloat16" and parameters < LARGE_MODEL:
            return "float32"
        if choice == "auto":
            choice = self._decide(self._measures)
        self.taken = choice
        return "float32" if choice in ("float32", "") else "bfloat16"


@dataclass(frozen=True, slots=True)
class Preview:
    """A small encoded image that shows unfinished work.

    Attributes:
        data: The bytes of the encoded image.
        mime: Media type of `data`.
    """

    data: bytes
    mime: str = "image/png"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Saved state of a node call that an earlier attempt did not finish.

    Attributes:
        step, total: Step `step` of `total` was the last completed step.
        state: The state that the node saved; read-only.
    """

    step: int
    total: int
    state: Mapping[str, Any]


MAX_IMAGE_PIXELS = 2**30 // 12
"""Default limit of width times height, 89 million, the same as Pillow's: a small file can claim any
size."""


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """Hosted services that nodes may call.

    Attributes:
        hosts: Hosts, with ``*`` for any characters, addresses and ranges; each may end with a port.
            None for the default, empty for no service at all.
        secrets: File with the secrets that nodes name.
        descriptions: Folder with descriptions of image services.
    """

    hosts: tuple[str, ...] | None = ()
    secrets: Path | None = None
    descriptions: Path | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """Folders and permissions of a run.

    Attributes:
        models: Folders that are searched for models, in this order. The first match is used.
        inputs: Folder that relative paths of input files start from.
        outputs: Folder that sinks write to.
        temporary: Folder for files that are not needed after the run.
        allow_pickle: Whether checkpoints in pickle format may be opened.
        device: Accelerator or CPU that compute nodes run on, such as ``cpu`` or ``cuda:0``.
        readable: Folders that input files must be in. None allows every folder. See
            `core.file_access`.
        uploads: Folder of the files that clients of a server uploaded. Only the files in `granted`
            may be read from it, even if the folder is inside a readable one.
        granted: Uploaded files that belong to the user of this run.
        trained: Folder of trained weights; the files are named by their digests. If None, a
            temporary folder is used.
        max_image_pixels: Largest width times height of an image file. Larger files are refused.
        infotext: Whether SaveImage also writes its settings as text in A1111's form by default.
        metadata: What files of results carry: nothing; ``minimal``, the manifest without workflow,
            seeds and names of input files; or ``full``.
        metadata_prompts: Whether these texts contain prompts.
        sidecar: Whether the manifest is also written as a JSON file next to each file.
        cache: Folder of data that can be made again. None keeps none.
        measured: Folder of what was measured of this machine. None keeps none.
        services: Hosted services that nodes may call.
        check_credentials: Whether nodes warn of signed input files that were changed since.
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
    infotext: bool = False
    metadata: MetadataAmount = "full"
    metadata_prompts: bool = True
    sidecar: bool = False
    cache: Path | None = None
    measured: Path | None = None
    services: ServiceAccess = ServiceAccess()
    check_credentials: bool = False

    def with_granted(self, files: Collection[Path]) -> Environment:
        """Return a copy for a run that may read some of the uploads."""
        return replace(self, granted=frozenset(files)) if files else self

    def with_texts(
        self, metadata: MetadataAmount | None, prompts: bool | None, sidecar: bool | None
    ) -> Environment:
        """Return a copy for a run that sets what its files carry; None keeps the setting."""
        changes: dict[str, Any] = {
            name: value
            for name, value in (
                ("metadata", metadata),
                ("metadata_prompts", prompts),
                ("sidecar", sidecar),
            )
            if value is not None and value != getattr(self, name)
        }
        return replace(self, **changes) if changes else self

    def with_precision(self, choice: str, *, measures: bool) -> Environment:
        """Return a copy for one run; see `CpuDevice.for_run`."""
        if not isinstance(self.device, CpuDevice):
            return self
        return replace(self, device=self.device.for_run(choice, measures=measures))

    def note_precision(self, workflow: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a run's workflow with the precision that it took, by which it is made again."""
        taken = self.device.taken if isinstance(self.device, CpuDevice) else ""
        return {**workflow, CPU_PRECISION: taken} if taken and workflow else workflow


class Context(Protocol):
    """Access of a running node to its run: progress, files, weights, checkpoints, log.

    A node receives it if its function has a parameter of this type. This parameter is not a port.
    """

    @property
    def node(self) -> str:
        """Name of the node in the workflow."""

    @property
    def environment(self) -> Environment:
        """Folders and permissions of this run."""

    @property
    def device(self) -> str:
        """Device that the node's lane computes on, such as ``cpu`` or ``cuda:0``."""

    @property
    def workflow(self) -> Mapping[str, Any]:
        """The workflow of this run with its overrides applied, as JSON values."""

    def manifest(self, index: int | None = None) -> Manifest:
        """Return the manifest of a file that this node writes.

        Args:
            index: Which item of a batch the file holds, from 0; None for a file of all.
        """

    def file_metadata(self, index: int | None = None) -> dict[str, str]:
        """Return the texts that a file carries, by name, so that it can be made again.

        Write them where the format has room for texts. The run's settings decide what they hold.

        Args:
            index: As for `manifest`.
        Returns:
            ``workflow``, ``manifest`` and ``nodegraph`` (the version), as JSON or plain text. All
            characters are ASCII.
        """

    @property
    def footprint(self) -> Footprint:
        """Memory that the node may use.

        It is ``small`` if earlier attempts ran out of memory: process the data in smaller parts, if
        that helps.
        """

    def progress(
        self, step: int, total: int, *, preview: Callable[[], Shown | None] | None = None
    ) -> None:
        """Report that `step` of `total` is done. Wait here while the run is paused.

        Args:
            preview: Function that returns an argument of `Context.preview`, or None for no preview.
                It is called only if previews are wanted, at most five times per second, and so
                rarely that it takes at most 3 % of the time.
        Raises:
            Cancelled: The run was cancelled. Do not catch this error.
        """

    def check_cancelled(self, *, waits: bool = True) -> None:
        """Raise `Cancelled` if the run was cancelled. Wait here while the run is paused.

        Args:
            waits: Pass False in the middle of a step: a paused run then waits at the end of the
                step, where a checkpoint can be saved.
        """

    def checkpoint(
        self,
        step: int,
        total: int,
        state: Callable[[], Mapping[str, Any]],
        *,
        keep: bool = False,
    ) -> None:
        """Offer to save the state after `step` of `total`, so that a later attempt can resume.

        Call it after each step, before `progress`. Most calls do nothing: the state is saved every
        few seconds, and before the run stops or pauses. The checkpoint is deleted when the node
        returns.

        Args:
            state: Function that returns everything that is needed to resume: plain values and
                tensors on the CPU, by name. Return copies: they are written while the node
                continues. It is called in this thread, inside this call or the next `progress`.
            keep: Save now, and keep the checkpoint after the node returns. Use it if an input in
                the node type's `continues` stops the work early, and a later call may resume it.
        """

    def restored(self, *, up_to: int | None = None) -> Checkpoint | None:
        """Return the checkpoint of an earlier attempt at the same call, or None.

        The same call means: the same node, equal inputs and the same code. Inputs in `continues`
        may differ. The run emits the event ``node.restored`` if a checkpoint is returned.

        Args:
            up_to: Return None if the checkpoint is beyond this step.
        """

    def preview(self, *shown: Shown) -> None:
        """Show unfinished work: an image, a plot, or both.

        A new image replaces only the image that is shown, and a new plot only the plot. Does
        nothing if the run has no listener.

        Args:
            shown: An `Image` (its batch becomes a grid of at most 512 pixels), a `Plot` (reduced
                to 1000 points), or a `Preview` (sent without changes).
        Raises:
            InvalidValue: An argument has another type.
        """

    def log(self, message: str, level: str = "info", *, about: LogSubject = "result") -> None:
        """Emit a log message.

        A warning or an error is stored with the result, and repeated when the result comes from the
        cache.

        Args:
            message: The text. Other values are converted to text.
            level: ``info``, ``warning`` or ``error``.
            about: ``run`` for a message that does not concern the result, for example a failed
                preview. It is not stored.
        """

    def wrote(
        self,
        path: Path,
        *,
        kind: str = "image",
        existed: bool = False,
        index: int | None = None,
        sidecar: bool = False,
    ) -> None:
        """Report a file that the node wrote as a result of this run.

        Args:
            path: Path of the file.
            kind: What the file contains, such as ``image``.
            existed: Whether the file already existed with the same content, and was not written.
            index: As for `manifest`.
            sidecar: Write the manifest next to the file, because its format has no room for texts.
                The setting of this name writes it for all files.
        """

    def file(self, path: str | Path) -> Path:
        """Declare that the node reads a file that no input names. Its content enters the cache key.

        Call it before reading the file, and before `restored`. The node runs again when the file
        changes, appears or disappears.

        Args:
            path: Path of the file. A relative path starts from the inputs folder.
        Returns:
            The absolute path, even if the file does not exist.
        Raises:
            InvalidFile: The path is a folder.
        """

    def env(self, name: str, default: str | None = None) -> str | None:
        """Return an environment variable, or `default` if it is not set.

        The node runs again when the value changes.
        """

    def weights(self, recipe: Recipe, *, calls_only: bool = False) -> AbstractContextManager[Any]:
        """Provide the loaded modules of a recipe on this lane's device inside the `with`.

        Args:
            recipe: The component to load, such as a `DiffusionModel`.
            calls_only: Declare that the modules are only called, and that their weights, dtypes
                and names are not read. If memory is scarce, the modules may then be held in a more
                compact form, or moved to the device in parts.
        """

    def seat(self) -> AbstractContextManager[Any]:
        """Provide this call's slot for batched computation inside the `with`.

        Calls that run at the same time may compute parts of their work in one batch. The slot is
        None if no other call can share its work, or if the footprint is not ``full``.
        """


class Merging(Protocol):
    """Batched computation of several calls: the interface that the engine needs."""

    @property
    def most(self) -> int:
        """Largest number of calls that may run at the same time."""

    def admits(self, label: str) -> bool:
        """Return whether calls of a label may run at the same time.

        Args:
            label: Identifies the weights of the calls and the size of their work.
        """

    def seat(self, label: str, memory: int | None = None) -> AbstractContextManager[Any]:
        """Provide a call's slot among the calls of its label, inside the `with`.

        Args:
            label: The same as in `admits`.
            memory: Bytes that the call needs without weights. None if unknown.
        """


class Peak(Protocol):
    """Measured peak of the memory that a block of code needed in addition to earlier use."""

    @property
    def bytes(self) -> int | None:
        """Peak in bytes, available after the measured block. None if it cannot be measured."""


class Weights(Protocol):
    """Loads the modules of recipes: the interface of a residency manager for the engine."""

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
        """Provide the modules of a recipe on a device, pinned inside the `with`.

        Args:
            recipe: The component to load.
            device: The device to compute on.
            footprint: ``offloaded`` and ``small`` give modules that need less memory and more time.
            calls_only: See `Context.weights`.
            work: Bytes that computing with them is expected to need. None if unknown.
            tell: Called with one sentence if the modules had to be moved there in parts.
        Raises:
            NodegraphError: The files are missing, damaged or do not fit.
        """

    def prefetch(self, recipe: Recipe, device: str) -> bool:
        """Load a recipe's modules in this thread if there is room without evicting anything.

        Returns:
            Whether the modules are loaded now. Missing files or a lack of room are not errors.
        """

    def size(self, recipe: Recipe) -> int:
        """Return the bytes of a recipe's weights in memory, measured or expected; 0 if unknown."""

    def relieve(self, device: str, *, keep: Iterable[Recipe] = ()) -> int:
        """Free all memory of a device that is not in use, including the caches of libraries.

        Args:
            device: The device.
            keep: Recipes whose weights stay on the device.
        Returns:
            Bytes of weights that were removed from the device.
        """

    def capacity(self, device: str) -> int | None:
        """Return the bytes of memory that a device has, used or not. None if unknown."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether an error of any library means that memory ran out."""

    def can_offload(self, device: str) -> bool:
        """Return whether weights can stay in host memory, so that they need less of a device's."""

    def missing(self, error: BaseException) -> int:
        """Return the bytes that an out-of-memory error could not allocate; 0 if unknown."""

    def explain(self, error: BaseException, device: str) -> NodegraphError:
        """Return an error with the needed and the available memory for an out-of-memory error.

        Its cause is the given error, unless that error already explains itself.
        """

    def measuring(self, device: str) -> AbstractContextManager[Peak]:
        """Measure the peak of the memory that the code inside the `with` needs."""


class Numerics(Protocol):
    """Description of what can change the last bits of a result, in addition to its inputs."""

    def profile(self, device: str) -> str:
        """Return device kind, precision and versions of the numerical libraries as one line."""


ProgressCallback: TypeAlias = Callable[[int, int], None]
"""Gets step and total; raises `Cancelled` once the run is cancelled."""

PROGRESS_CALLBACK: ContextVar[ProgressCallback | None] = ContextVar(
    "nodegraph_report", default=None
)
"""Of the node whose function runs; None outside of nodes, and in threads that serve several."""


def report_progress(step: int, total: int) -> None:
    """Tell the node that runs here, if one does, how far its work is.

    Raises:
        Cancelled: Its run was cancelled.
    """
    callback = PROGRESS_CALLBACK.get()
    if callback is not None:
        callback(step, total)


@dataclass(frozen=True, slots=True)
class Nesting:
    """What waits.

    Attributes:
        depth: Runs by standing sessions.
        sessions: Those whose runs wait, by `id`.
    """

    depth: int = 0
    sessions: frozenset[int] = frozenset()

    def with_depth(self, depth: int) -> Nesting:
        """The same at another depth."""
        return replace(self, depth=depth)


_NONE = Nesting()
NESTING: ContextVar[Nesting] = ContextVar("nodegraph_nesting", default=_NONE)
"""Set on the event loop of a run, for all that it begins, and wherever the run calls a node's
function or a listener."""


@contextmanager
def nested_in(session: object) -> Iterator[None]:
    """Inside, a run of this session waits for all that happens."""
    outer = NESTING.get()
    token = NESTING.set(replace(outer, sessions=outer.sessions | {id(session)}))
    try:
        yield
    finally:
        NESTING.reset(token)
