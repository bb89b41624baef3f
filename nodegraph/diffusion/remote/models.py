"""Models of a bucket or mounted folder as if they lay in a folder of models.

A model that is asked for is laid down as an **outline**: its small files, and of its weights the
headers. That tells all that checks and plans need. Whoever reads weights gets the whole file, from
the cache of fetched ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from threading import Lock
from time import monotonic

from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FileStamp
from nodegraph.core.files import private_folder, write_file
from nodegraph.diffusion.file_kinds import GGUF, SAFETENSORS
from nodegraph.diffusion.remote.file_cache import FileCache
from nodegraph.diffusion.remote.manifest import (
    MANIFESTS,
    FarFile,
    ModelManifest,
    is_plain,
    manifest_name,
    unpacked,
)
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.store.remote.place import ObjectPlace, Unreachable, open_place

_FRESH = 10.0
"""Seconds for which what was asked of the place is taken as it was."""
_MANIFEST = ".manifest.json"


class RemoteModels:
    """See `nodegraph.diffusion.attached_models.ModelPlace`.

    Args:
        url: Of the place; it is first asked when a model is looked for there.
        root: Folder of its outlines.
        cache: Folder of what is fetched of all places.
        budget: Bytes of that.
        kinds: Folders that names leave out.
    """

    def __init__(
        self, url: str, root: Path, cache: Path, budget: int, kinds: tuple[str, ...] = ()
    ) -> None:
        self.url = url
        self.root = root
        self._kinds = kinds
        self._real = root.resolve()
        self._files = FileCache(cache, budget, self._chunks)
        self._asking = Lock()
        self._names: tuple[float, frozenset[str]] | None = None
        self._laid: dict[str, tuple[float, Path]] = {}

    @cached_property
    def _place(self) -> ObjectPlace:
        return open_place(self.url)

    def find(self, name: str) -> Path | None:
        if not is_plain(name):
            return None
        for wanted in self._readings(name):
            for model in (wanted, *map(str, PurePosixPath(wanted).parents)):
                if model in self._known():
                    path = self._outline(model) / wanted
                    if path.exists():
                        return path
        return None

    def _readings(self, name: str) -> list[str]:
        """What a name may stand for, as in folders of models."""
        places = [name, *(f"{kind}/{name}" for kind in self._kinds)]
        return [f"{place}{suffix}" for place in places for suffix in ("", SAFETENSORS, GGUF)]

    def _known(self) -> frozenset[str]:
        """The models there; if nobody answers, those that were asked for earlier."""
        with self._asking:
            if self._names is None or monotonic() - self._names[0] > _FRESH:
                self._names = monotonic(), frozenset(self._listed())
            return self._names[1]

    def _listed(self) -> Iterator[str]:
        try:
            for found, _ in self._place.list(MANIFESTS):
                yield found.removeprefix(f"{MANIFESTS}/").removesuffix(".json")
        except Unreachable as error:
            kept = self.root / MANIFESTS
            earlier = [path.relative_to(kept).as_posix() for path in kept.glob("**/*.json")]
            if not earlier:
                raise self._away("they can't be listed", error) from error
            yield from (name.removesuffix(".json") for name in earlier)

    def _outline(self, model: str) -> Path:
        """The folder in which a model is laid down by its name; it is if it wasn't."""
        with self._asking:
            asked, folder = self._laid.get(model, (0.0, None))
            if folder is None or monotonic() - asked > _FRESH:
                folder = self._lay(model)
                self._laid[model] = monotonic(), folder
            return folder

    def _lay(self, model: str) -> Path:
        name = manifest_name(model)
        kept = self.root / name
        try:
            data = self._place.read(name)
        except (Unreachable, FileNotFoundError) as error:
            if not kept.is_file():
                raise self._away(f"{model} can't be looked at", error) from error
            data = kept.read_bytes()
        # By content: what runs keeps the outline that it began with, whatever is put there.
        folder = self.root / f".{blake3(data).hexdigest()[:32]}"
        if not folder.is_dir():
            self._write_outline(unpacked(data, model, self.url), data, folder)
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_file(kept, data, durable=False)
        return folder

    def _write_outline(self, manifest: ModelManifest, data: bytes, folder: Path) -> None:
        draft = folder.with_name(f".draft-{os.urandom(8).hex()}")
        try:
            private_folder(draft)
            (draft / _MANIFEST).write_bytes(data)
            for file in manifest.files:
                path = draft / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._head(file))
            with suppress(OSError):  # another process was first
                draft.rename(folder)
        except OSError as error:
            raise OutputError(f"can't lay down {manifest.name} at {folder}: {error}") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _head(self, file: FarFile) -> bytes:
        try:
            found = b"".join(self._place.chunks(file.object, file.head))
        except (Unreachable, FileNotFoundError) as error:
            raise self._away(f"{file.path} can't be read", error) from error
        digest = blake3(found).hexdigest()
        if digest != file.head_digest:
            raise InvalidFile(
                f"the beginning of the remote model file {file.path} at {self.url} is damaged.",
                given=f"blake3 {digest}",
                expected=f"blake3 {file.head_digest}",
                hint=f"Remove {file.object} there, and put the model there again: "
                "nodegraph models --push",
            )
        return found

    def get(self, stamp: FileStamp) -> Digest | None:
        file = self._file(Path(stamp.path))
        return None if file is None else Digest(file.digest)

    def put(self, stamp: FileStamp, digest: Digest) -> None:
        """Nothing: the manifests say all digests."""

    def size(self, path: Path) -> int | None:
        file = self._file(path)
        return None if file is None else file.bytes

    @contextmanager
    def whole(self, path: Path) -> Iterator[Path | None]:
        file = self._file(path)
        if file is None or file.is_small:
            yield None
            return
        with self._files.using(file) as found:
            yield found

    def _file(self, path: Path) -> FarFile | None:
        """What an outline's file stands for."""
        for root in (self.root, self._real):
            if path.is_relative_to(root):
                folder, *rest = path.relative_to(root).parts or ("",)
                if rest and (root / folder / _MANIFEST).is_file():
                    return _by_path(root / folder, self.url).get("/".join(rest))
        return None

    def _chunks(self, file: FarFile, start: int) -> Iterator[bytes]:
        try:
            yield from self._place.chunks(file.object, file.bytes, start)
        except (Unreachable, FileNotFoundError) as error:
            raise self._away(f"{file.path} can't be fetched", error) from error

    def _away(self, what: str, error: Exception) -> InvalidFile:
        is_gone = isinstance(error, FileNotFoundError)
        reason = "an object of it isn't there" if is_gone else str(error)
        return InvalidFile(
            f"the remote models at {self.url} can't be had: {what}: {reason}.",
            hint="Put the model there again: nodegraph models --push"
            if is_gone
            else "Try again once it answers, or put the model into a local folder of models.",
        )


@lru_cache(maxsize=64)
def _by_path(folder: Path, url: str) -> dict[str, FarFile]:
    """The files of an outline, whose content its name tells."""
    manifest = unpacked((folder / _MANIFEST).read_bytes(), None, url)
    return {file.path: file for file in manifest.files}
