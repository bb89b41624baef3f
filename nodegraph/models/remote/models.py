"""Models of a bucket or mounted folder as if they lay in a folder of models.

A model that is asked for is laid down as an **outline**: its small files, and of its weights the
headers. That tells all that checks and plans need. Whoever reads weights gets the whole file, from
the cache of fetched ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from time import monotonic

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FileStamp
from nodegraph.models.remote.file_cache import FileCache
from nodegraph.models.remote.manifest import RemoteModelFile, is_safe_name, parse_manifest
from nodegraph.models.remote.outlines import MANIFEST, Outlines
from nodegraph.store.remote.place import Unreachable
from nodegraph.weights.attached_models import ListedModel
from nodegraph.weights.file_kinds import LEFT_OUT


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
                f"{file.path} can't be fetched", error
            ) from error


@lru_cache(maxsize=64)
def _by_path(folder: Path, url: str) -> dict[str, RemoteModelFile]:
    """The files of an outline, whose content its name tells."""
    manifest = parse_manifest((folder / MANIFEST).read_bytes(), None, url)
    return {file.path: file for file in manifest.files}
