"""The file of a bundle: written byte for byte the same for equal content, and read with distrust.

It is a zip archive without compression: models and images get no smaller, and what compresses
differs between versions of libraries. So no file in it can be larger than the archive either.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blake3 import blake3

from nodegraph.core.digests import digest_bytes
from nodegraph.core.files import make_folder
from nodegraph.core.json_text import read_json
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.session.bundles.bundle import (
    DESCRIPTION,
    LONGEST,
    REQUIREMENTS,
    SUFFIX,
    WORKFLOW,
    Bundle,
    BundleFile,
)
from nodegraph.store.zip_reader import STORED, ZipReader, opened_zip

Progress = Callable[[int, int], None]
"""Takes how many bytes are done, and of how many."""
_STEP = 4 << 20
_LONGEST_WORKFLOW = 64 << 20
_ZIP = b"PK\x03\x04"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip archive can state: it says nothing."""


def is_bundle(path: Path) -> bool:
    """Whether a file is a bundle, by its name and its first bytes."""
    if not path.name.endswith(SUFFIX):
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except OSError:
        return False


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


def write_bundle(
    path: Path,
    bundle: Bundle,
    workflow: bytes,
    sources: Mapping[str, Path],
    progress: Progress = no_progress,
) -> int:
    """Write a bundle in one step; an earlier file at `path` is replaced.

    Args:
        workflow: The workflow's JSON.
        sources: Where the content of each of `Bundle.members` is.
    Returns:
        Bytes of the file.
    Raises:
        InvalidFile: A file changed since its digest was taken, or cannot be read.
        OutputError: The bundle cannot be written.
    """
    make_folder(path.parent)
    texts = {
        DESCRIPTION: bundle.encode(),
        WORKFLOW: workflow,
        REQUIREMENTS: "".join(f"{line}\n" for line in bundle.requirements).encode(),
    }
    members = bundle.members()
    total, done = sum(file.bytes for file in members.values()), 0
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                with zipfile.ZipFile(file, "w", STORED) as archive:
                    for name, data in texts.items():
                        archive.writestr(_entry(name), data)
                    for name in sorted(members):
                        _copy(archive, name, sources[name], members[name])
                        done += members[name].bytes
                        progress(done, total)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path.stat().st_size
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # the same on Windows, where it would be 0
    entry.external_attr = 0o644 << 16
    return entry


def _copy(archive: zipfile.ZipFile, name: str, source: Path, file: BundleFile) -> None:
    hasher = blake3(max_threads=blake3.AUTO)
    try:
        opened = source.open("rb", buffering=0)
    except OSError as error:
        raise InvalidFile(f"cannot read {source}: {error.strerror or error}") from error
    # Always with room for 4 GiB and more: whether it is needed must not change the other bytes.
    with opened, archive.open(_entry(name), "w", force_zip64=True) as member:
        while chunk := opened.read(_STEP):
            hasher.update(chunk)
            member.write(chunk)
    if hasher.hexdigest() != file.digest:
        raise InvalidFile(f"{source} changed while it was read", hint="Make the bundle again.")


class BundleReader:
    """A bundle that anybody may have made: nothing in it is believed.

    Args:
        path: Only for messages.
    Attributes:
        bundle: Its description.
    Raises:
        InvalidFile: It is none, or holds what its description does not list.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._zip = ZipReader(path, archive, "the bundle", kinds=(STORED,))
        for name in (DESCRIPTION, WORKFLOW):
            if name not in self._zip.sizes:
                raise self._zip.refused(f"it has no {name}, so it is not a bundle")
        self.bundle = Bundle.decode(self._zip.read(DESCRIPTION, LONGEST))
        self._members = self.bundle.members()
        self._check_members()

    def _check_members(self) -> None:
        for name, file in self._members.items():
            size = self._zip.sizes.get(name)
            if size is None:
                raise self._zip.refused("a file that it lists is missing", name)
            if size != file.bytes:
                raise self._zip.refused("a file has another size than listed", name)
        known = {DESCRIPTION, WORKFLOW, REQUIREMENTS, *self._members}
        for name in self._zip.sizes:
            if name not in known:
                raise self._zip.refused("it contains a file that it does not list", name)
        expected = self.bundle.workflow_digest
        if expected and digest_bytes(self._zip.read(WORKFLOW, _LONGEST_WORKFLOW)) != expected:
            raise self._zip.refused(
                "the workflow was changed since the bundle was made, so its results are not those "
                "that the bundle states",
                WORKFLOW,
            )

    @property
    def bytes(self) -> int:
        """Bytes of all files in it."""
        return sum(self._zip.sizes.values())

    def workflow_document(self) -> Any:
        """The workflow's JSON.

        Raises:
            InvalidFile: It is not valid JSON.
        """
        data = self._zip.read(WORKFLOW, _LONGEST_WORKFLOW)
        try:
            return read_json(data.decode("utf-8"), name=f"{WORKFLOW} of {self.path}")
        except UnicodeDecodeError as error:
            raise InvalidFile(f"the {WORKFLOW} of {self.path} is not UTF-8 text") from error

    def workflow(self) -> Workflow:
        """The workflow.

        Raises:
            InvalidFile, InvalidWorkflow: It is none.
        """
        return Workflow.from_dict(self.workflow_document())

    def extract(self, member: str, target: Path) -> None:
        """Write a file of `Bundle.members` to a path and compare it with its digest.

        Raises:
            InvalidFile: It has another digest, or is damaged.
            OutputError: It cannot be written.
        """
        file = self._members[member]
        make_folder(target.parent)
        hasher = blake3(max_threads=blake3.AUTO)
        try:
            with target.open("xb") as written:
                try:
                    for chunk in self._zip.chunks(member, _STEP):
                        hasher.update(chunk)
                        written.write(chunk)
                    written.flush()
                    if hasher.hexdigest() != file.digest:
                        raise self._zip.refused("a file has another digest than listed", file.name)
                except BaseException:
                    target.unlink()  # nothing is left half-written
                    raise
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror or error}") from error

    def extract_all(self, folder: Path, progress: Progress = no_progress) -> None:
        """Write everything below a new folder, with the names that a run expects.

        The folder appears when everything is in it.

        Raises:
            InvalidFile: A file has another digest, or is damaged.
            OutputError: The folder is there, or cannot be written.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(
                f"{folder} is there already", hint="Choose a new or an empty folder with --out."
            )
        folder = folder.absolute()
        is_new = not folder.exists()
        make_folder(folder.parent)
        # Within a folder that is there: it may be the current one, or another file system.
        parent = folder.parent if is_new else folder
        temporary = parent / f".{folder.name}.{os.urandom(4).hex()}.tmp"
        try:
            self._write_all(temporary, progress)
            if is_new:
                temporary.rename(folder)
            else:
                for entry in sorted(temporary.iterdir()):
                    entry.rename(folder / entry.name)
        except OSError as error:
            raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _write_all(self, folder: Path, progress: Progress) -> None:
        folder.mkdir()
        for name in (DESCRIPTION, WORKFLOW, REQUIREMENTS):
            if name in self._zip.sizes:
                (folder / name).write_bytes(self._zip.read(name, _LONGEST_WORKFLOW))
        done, total = 0, sum(file.bytes for file in self._members.values())
        for member, name in unpacked_names(self.bundle):
            self.extract(member, folder / name)
            done += self._members[member].bytes
            progress(min(done, total), total)


def unpacked_names(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Paths in the archive with paths for people: files by their names instead of digests."""
    files: dict[str, tuple[BundleFile, ...]] = {
        "inputs": bundle.inputs,
        "models": tuple(f for model in bundle.models if model.included for f in model.files),
        "results": tuple(BundleFile(r.name, r.digest, r.bytes) for r in bundle.results),
    }
    names = {(folder, f.name): f.digest for folder, listed in files.items() for f in listed}
    yield from (
        (f"{folder}/{digest}", f"{folder}/{name}") for (folder, name), digest in names.items()
    )
    for pack in bundle.packs:
        for file in pack.files:
            yield (
                f"packs/{pack.name}/{file.name}",
                f"packs/{_pack_path(pack.name, pack.is_file, file.name)}",
            )


def _pack_path(pack: str, is_file: bool, name: str) -> str:
    return name if is_file else f"{pack}/{name}"


@contextmanager
def opened_bundle(path: Path) -> Iterator[BundleReader]:
    """A bundle, until the end of the `with`.

    Raises:
        InvalidFile: It is not there, or is refused.
    """
    expected = f"a file *{SUFFIX} that `nodegraph bundle create` wrote"
    with opened_zip(path, f"{path} is not a bundle", expected) as archive:
        yield BundleReader(path, archive)
