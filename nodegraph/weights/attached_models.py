"""The remote models that this process knows. Imports nothing of what reaches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from nodegraph.core.digests import Digest
    from nodegraph.core.file_digests import FileStamp


class ListedModel(NamedTuple):
    """A model of a place, as lists tell of it.

    Attributes:
        name: As it was put there.
        outline: The folder below which it was laid down by its name; None if nobody has looked at
            it yet, or not at what is there now.
        problem: Why it couldn't be looked at.
    """

    name: str
    outline: Path | None
    problem: str | None


class RemoteStore(Protocol):
    """A place of models. It is a `DigestStore`, too: its outlines have their whole files' digests.

    Attributes:
        url: Of the place.
        root: The folder of its outlines, which stands among an environment's folders of models.
    """

    url: str
    root: Path

    def find(self, name: str) -> Path | None:
        """The outline of a model of that name: what its small files and headers tell."""

    def list_models(self) -> Sequence[ListedModel]:
        """The models that were there when it was last asked, by name. Nobody is asked now."""

    def refresh(self, most: int) -> int:
        """Ask which models there are, and lay down some of the outlines that `listed` lacks; how
        many were tried.

        Raises:
            InvalidFile: The place can't be asked, and never was.
        """

    def get(self, stamp: FileStamp) -> Digest | None:
        """The digest of the file that an outline stands for."""

    def put(self, stamp: FileStamp, digest: Digest) -> None:
        """Remember one."""

    def size(self, path: Path) -> int | None:
        """Bytes of the file that an outline stands for; None of any other file."""

    def is_here(self, path: Path) -> bool:
        """Whether the file that an outline stands for need not be fetched first."""

    @contextmanager
    def full_file(self, path: Path) -> Iterator[Path | None]:
        """The file that an outline stands for, whole, inside the `with`; None of any other."""


_ATTACHED: list[RemoteStore] = []


def attach(remote: RemoteStore) -> None:
    """Look there as well from now on, where its folder stands among those that are searched."""
    from nodegraph.core.file_digests import FILE_DIGESTS

    _ATTACHED.append(remote)
    FILE_DIGESTS.attach(remote)


def detach(remote: RemoteStore) -> None:
    """Look there no more."""
    from nodegraph.core.file_digests import FILE_DIGESTS

    _ATTACHED[:] = [each for each in _ATTACHED if each is not remote]
    FILE_DIGESTS.detach(remote)


def find_remote(name: str, folders: Sequence[Path]) -> Path | None:
    """Where the outline of a model lies that is at a place which the folders name."""
    for remote in _ATTACHED:
        if remote.root in folders:
            model = remote.find(name)
            if model is not None:
                return model
    return None


def find_remote_store(folder: Path) -> RemoteStore | None:
    """The place that a folder stands for among those that are searched for models."""
    return next((remote for remote in _ATTACHED if remote.root == folder), None)


def shown_folders(folders: Sequence[Path]) -> list[str]:
    """Folders of models as people know them: a place by its URL."""
    urls = {remote.root: remote.url for remote in _ATTACHED}
    return [urls.get(folder, str(folder)) for folder in folders]


def whole_size(path: Path, size: int) -> int:
    """Bytes of a file that has `size` here, which may be no more than its header."""
    for remote in _ATTACHED:
        whole = remote.size(path)
        if whole is not None:
            return whole
    return size


def is_here(path: Path) -> bool:
    """Whether `full_file` has nothing to fetch."""
    return all(remote.is_here(path) for remote in _ATTACHED)


@contextmanager
def full_file(path: Path) -> Iterator[Path]:
    """The file itself, inside the `with`, if here is no more than its header; it is fetched then.

    Raises:
        NodegraphError: It can't be had, or is damaged there.
        Cancelled: The node's run was cancelled meanwhile.
    """
    for remote in _ATTACHED:
        if remote.size(path) is not None:
            with remote.full_file(path) as fetched:
                yield fetched or path
            return
    yield path
