"""Remote models as a models folder: small files and weight headers first, weights on use.

A model that is named, or listed, is written to disk as an **outline**: its small files, and only
the headers of its weights. Lists, checks and plans need no more. Code that reads weights gets the
whole file, from the cache of downloaded files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from threading import Lock
from time import monotonic
from typing import NamedTuple, TypeVar

from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FileStamp
from nodegraph.core.files import make_private_folder, write_file
from nodegraph.core.weight_files import LEFT_OUT
from nodegraph.errors import InvalidFile, NodegraphError, OutputError
from nodegraph.models.remote.file_cache import FileCache
from nodegraph.models.remote.manifests import (
    MANIFESTS,
    ModelManifest,
    RemoteModelFile,
    is_safe_name,
    manifest_name,
    parse_manifest,
)
from nodegraph.store.remote.object_storage import (
    AccessDenied,
    ObjectStorage,
    Unreachable,
    open_storage,
)
from nodegraph.weights.attached_models import ListedModel

MANIFEST = ".manifest.json"
"""In an outline's folder: what stands at the place of the model. Written last."""
_FRESH = 10.0
"""Seconds for which what was asked of the place is taken as it was."""
_MOST_LISTED = 500
"""Models that are looked at for lists alone: an outline takes some megabytes here."""
_RETRY_AFTER = 300.0
"""Seconds after which a model that couldn't be looked at is looked at again for lists."""
_Answer = TypeVar("_Answer")


class _Fault(NamedTuple):
    """Why a model can't be looked at.

    Attributes:
        when: By the clock.
        size: Of its manifest.
    """

    when: float
    size: int
    problem: str


class Outlines:
    """The outlines of a place. Safe to use from several threads and processes.

    Args:
        url: Of the place; it is first asked when a model is looked for there.
        root: Folder of the outlines.
        clock: Tells seconds.
    """

    def __init__(self, url: str, root: Path, clock: Callable[[], float] = monotonic) -> None:
        self.url = url
        self.root = root
        self._clock = clock
        self._naming, self._laying = Lock(), Lock()
        self._no_answer: tuple[float, str] | None = None
        self._names: tuple[float, Mapping[str, int]] | None = None
        self._written: dict[str, tuple[float, Path]] = {}
        self._faults: dict[str, _Fault] = {}

    @cached_property
    def storage(self) -> ObjectStorage:
        """The place itself."""
        return open_storage(self.url)

    def names(self) -> Mapping[str, int]:
        """The models there, with the bytes of their manifests; if nobody answers, those that were
        asked for earlier.

        Raises:
            InvalidFile: Nobody answers, and nobody ever did.
        """
        with self._naming:
            if self._names is None or not self._is_fresh(self._names[0]):
                names = dict(self._asked_names())
                self._names = self._clock(), names  # not before: a slow listing would be old by now
            return self._names[1]

    def _asked_names(self) -> Iterator[tuple[str, int]]:
        try:
            for object_name, size in self._answered(lambda: list(self.storage.list(MANIFESTS))):
                name = object_name.removeprefix(f"{MANIFESTS}/").removesuffix(".json")
                if is_safe_name(name):
                    yield name, size
        except Unreachable as error:
            earlier = self._earlier_names()
            if not earlier:
                raise self.unreachable_error("they cannot be listed", error) from error
            yield from earlier.items()

    def _earlier_names(self) -> dict[str, int]:
        """Models that were looked at earlier, with the bytes of their manifests."""
        kept = self.root / MANIFESTS
        return {
            path.relative_to(kept).as_posix().removesuffix(".json"): path.stat().st_size
            for path in kept.glob("**/*.json")
        }

    def list_models(self) -> list[ListedModel]:
        """See `nodegraph.weights.attach_remote_models.RemoteStore`."""
        names = self._earlier_names() if self._names is None else self._names[1]
        return [
            ListedModel(name, self._earlier(name, size), self._problem(name, size))
            for name, size in sorted(names.items())
        ]

    def _problem(self, name: str, size: int) -> str | None:
        fault = self._faults.get(name)
        return fault.problem if fault is not None and fault.size == size else None

    def refresh(self, most: int) -> int:
        """See `nodegraph.weights.attach_remote_models.RemoteStore`."""
        # Of more than are looked at, each is when it is named.
        names = sorted(self.names().items())[:_MOST_LISTED]
        wanted = [each for each in names if self._is_to_be_looked_at(*each)][:most]
        for name, size in wanted:
            try:
                self.outline(name)
                self._faults.pop(name, None)
            except NodegraphError as error:
                if self._no_answer is not None and self._is_fresh(self._no_answer[0]):
                    return 0
                self._faults[name] = _Fault(self._clock(), size, str(error))
        return len(wanted)

    def _is_to_be_looked_at(self, name: str, size: int) -> bool:
        if self._earlier(name, size) is not None:
            return False
        fault = self._faults.get(name)
        return fault is None or fault.size != size or self._clock() - fault.when > _RETRY_AFTER

    def _earlier(self, model: str, size: int) -> Path | None:
        """The folder of the outline that was laid last, nobody being asked.

        Args:
            size: Of the manifest at the place: of another size it is of another version. One of
                the same size names files of the same names and sizes, which lists tell alike.
        """
        try:
            data = (self.root / manifest_name(model)).read_bytes()
        except OSError:
            return None
        folder = self._folder(data)
        return folder if len(data) == size and (folder / MANIFEST).is_file() else None

    def _is_fresh(self, fetched_at: float) -> bool:
        return self._clock() - fetched_at <= _FRESH

    def _answered(self, ask: Callable[[], _Answer]) -> _Answer:
        """What the place says; one that didn't answer isn't asked again for a while.

        Raises:
            Unreachable: It doesn't answer, or didn't just now.
        """
        if self._no_answer is not None and self._is_fresh(self._no_answer[0]):
            raise Unreachable(self._no_answer[1])
        try:
            return ask()
        except AccessDenied:  # it answers; other objects may be open to us
            raise
        except Unreachable as error:
            self._no_answer = self._clock(), str(error)
            raise

    def outline(self, model: str) -> Path:
        """The folder in which a model is laid down by its name; it is if it wasn't.

        Raises:
            InvalidFile: It can't be had, or is damaged at the place.
            OutputError: It can't be written here.
        """
        with self._laying:
            fetched_at, folder = self._written.get(model, (0.0, None))
            if folder is None or not self._is_fresh(fetched_at):
                folder = self._write(model)
                self._written[model] = self._clock(), folder
            return folder

    def _write(self, model: str) -> Path:
        name = manifest_name(model)
        kept = self.root / name
        try:
            data = self._answered(lambda: self.storage.read(name))
        except (Unreachable, FileNotFoundError) as error:
            if not kept.is_file():
                raise self.unreachable_error(f"{model} cannot be inspected", error) from error
            data = kept.read_bytes()
        folder = self._folder(data)
        try:
            self._complete(parse_manifest(data, model, self.url), data, folder)
            # Also for an outline that was there: an earlier version may be put there again.
            _write_if_other(kept, data)
        except OSError as error:
            raise OutputError(f"cannot write {model} to {folder}: {error}") from error
        return folder

    def _folder(self, data: bytes) -> Path:
        # By content: what runs keeps the outline that it began with, whatever is put there.
        return self.root / f".{blake3(data).hexdigest()[:32]}"

    def _complete(self, manifest: ModelManifest, data: bytes, folder: Path) -> None:
        """Bring what an outline lacks, or has of another size; others may do so meanwhile."""
        make_private_folder(folder)
        for file in manifest.files:
            path = folder / file.path
            if not path.is_file() or path.stat().st_size != file.head:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_file(path, self._head(file))
        _write_if_other(folder / MANIFEST, data)

    def _head(self, file: RemoteModelFile) -> bytes:
        try:
            head = self._answered(lambda: b"".join(self.storage.chunks(file.object, file.head)))
        except (Unreachable, FileNotFoundError) as error:
            raise self.unreachable_error(f"{file.path} cannot be read", error) from error
        digest = blake3(head).hexdigest()
        if digest != file.head_digest:
            raise InvalidFile(
                f"the beginning of the remote model file {file.path} at {self.url} is damaged",
                given=f"blake3 {digest}",
                expected=f"blake3 {file.head_digest}",
                hint=f"Remove {file.object} there, and upload the model again: nodegraph models "
                "--push",
            )
        return head

    def unreachable_error(self, what: str, error: Exception) -> InvalidFile:
        """What to raise where something can't be had."""
        is_gone = isinstance(error, FileNotFoundError)
        reason = "one of its objects is missing" if is_gone else str(error)
        return InvalidFile(
            f"the remote models at {self.url} are not available: {what}: {reason}",
            hint="Upload the model again: nodegraph models --push"
            if is_gone
            else (
                "Try again when the server answers, or put the model into a local models folder."
            ),
        )


def _write_if_other(path: Path, data: bytes) -> None:
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data)


class RemoteModels:
    """See `nodegraph.weights.attach_remote_models.RemoteStore`.

    Args:
        url: Of the place; it is first asked when a model is looked for there.
        root: Folder of its outlines.
        cache: Folder of what is fetched of all places.
        budget: Bytes of that.
        kinds: Folders that names leave out.
        clock: Tells seconds.
    """

    def __init__(
        self,
        url: str,
        root: Path,
        cache: Path,
        budget: int,
        kinds: tuple[str, ...] = (),
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.url = url
        self.root = root
        self._kinds = kinds
        self._real = root.resolve()
        self._files = FileCache(cache, budget, self._chunks)
        self._outlines = Outlines(url, root, clock)

    def find(self, name: str) -> Path | None:
        if not is_safe_name(name):
            return None
        known = self._outlines.names()
        for wanted in self._readings(name):
            for model in (wanted, *map(str, PurePosixPath(wanted).parents)):
                if model in known:
                    path = self._outlines.outline(model) / wanted
                    if path.exists():
                        return path
        return None

    def list_models(self) -> list[ListedModel]:
        return self._outlines.list_models()

    def refresh(self, most: int) -> int:
        return self._outlines.refresh(most)

    def _readings(self, name: str) -> list[str]:
        """What a name may stand for, as in folders of models."""
        places = [name, *(f"{kind}/{name}" for kind in self._kinds)]
        return [f"{path}{suffix}" for path in places for suffix in ("", *LEFT_OUT)]

    def get(self, stamp: FileStamp) -> Digest | None:
        file = self._file(Path(stamp.path))
        return None if file is None else Digest(file.digest)

    def put(self, stamp: FileStamp, digest: Digest) -> None:
        """Nothing: the manifests say all digests."""

    def size(self, path: Path) -> int | None:
        file = self._file(path)
        return None if file is None else file.bytes

    def is_here(self, path: Path) -> bool:
        file = self._file(path)
        return file is None or file.is_small or self._files.has(file)

    @contextmanager
    def full_file(self, path: Path) -> Iterator[Path | None]:
        file = self._file(path)
        if file is None or file.is_small:
            yield None
            return
        with self._files.using(file) as path_here:
            yield path_here

    def _file(self, path: Path) -> RemoteModelFile | None:
        """What an outline's file stands for."""
        for root in (self.root, self._real):
            if path.is_relative_to(root):
                folder, *inner = path.relative_to(root).parts or ("",)
                if inner and (root / folder / MANIFEST).is_file():
                    return _by_path(root / folder, self.url).get("/".join(inner))
        return None

    def _chunks(self, file: RemoteModelFile, start: int) -> Iterator[bytes]:
        try:
            yield from self._outlines.storage.chunks(file.object, file.bytes, start)
        except (Unreachable, FileNotFoundError) as error:
            raise self._outlines.unreachable_error(
                f"{file.path} cannot be downloaded", error
            ) from error


@lru_cache(maxsize=64)
def _by_path(folder: Path, url: str) -> dict[str, RemoteModelFile]:
    """The files of an outline, whose content its name tells."""
    manifest = parse_manifest((folder / MANIFEST).read_bytes(), None, url)
    return {file.path: file for file in manifest.files}
