"""What a running node may ask of whoever runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from nodegraph.core.values import Recipe


@dataclass(frozen=True, slots=True)
class Preview:
    """A small encoded picture of unfinished work."""

    data: bytes
    mime: str = "image/png"


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
    """

    models: tuple[Path, ...]
    inputs: Path
    outputs: Path
    temporary: Path
    allow_pickle: bool = False
    device: str = "cpu"


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

    def progress(
        self, step: int, total: int, *, preview: Callable[[], Preview] | None = None
    ) -> None:
        """Report that `step` of `total` is done.

        Args:
            preview: Called only if somebody watches.
        Raises:
            Cancelled: The run was cancelled; let it pass.
        """

    def check_cancelled(self) -> None:
        """Raise `Cancelled` if the run was cancelled."""

    def preview(self, preview: Preview) -> None:
        """Show a picture of unfinished work."""

    def log(self, message: str, level: str = "info") -> None:
        """Say something to whoever watches; level is ``info``, ``warning`` or ``error``."""

    def wrote(self, path: Path, *, kind: str = "image", existed: bool = False) -> None:
        """Tell that a file of this run's results lies at `path`."""

    def weights(self, recipe: Recipe) -> AbstractContextManager[Any]:
        """The live modules of a recipe on this lane's device, kept there inside the `with`."""


class Weights(Protocol):
    """Turns recipes into live modules: what the engine needs of a residency manager."""

    def use(self, recipe: Recipe, device: str) -> AbstractContextManager[Any]:
        """The modules of a recipe on a device, pinned there inside the `with`.

        Raises:
            NodegraphError: The files are missing, damaged or don't fit.
        """


class Numerics(Protocol):
    """Describes what may change the last bits of a result besides its inputs."""

    def profile(self, device: str) -> str:
        """Device kind, precision and versions of the numerical libraries, as one line."""
