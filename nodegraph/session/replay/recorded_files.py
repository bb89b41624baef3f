"""Files of an earlier run, found by digest, under the names that the run had for them.

A model or an input file may have another name or folder by now. A temporary folder gets links with
the recorded names, and is searched first. So the workflow stays as it is, and with it the texts in
the files that it writes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.files import make_folder
from nodegraph.core.manifest import Manifest
from nodegraph.core.weight_files import HEADED, PICKLES, file_suffix
from nodegraph.errors import InvalidFile, NodegraphError, OutputError
from nodegraph.families.diffusers_folder import CONFIG, INDEX, MODULAR_INDEX
from nodegraph.models.remote.manifests import is_safe_name
from nodegraph.session.content_search import OnRead, files_below, find_by_digest
from nodegraph.store.file_records import StoredFileDigests
from nodegraph.store.index import Index
from nodegraph.weights.attached_models import find_remote_store

SHIPPED = "embedded/"
"""Begin of the names of files that ship with nodegraph."""
_INDEX_FILE = "index.sqlite"
_MOST_FILES = 20_000
_WEIGHTS = HEADED | PICKLES | {".onnx"}
"""Endings of weight files, which are searched."""
_MOST_INPUT_BYTES = 4 << 30
"""Bytes of input files that are read to find one. Models are searched without a limit."""

_SEARCHED = 2

Status: TypeAlias = Literal["same", "renamed", "changed", "missing"]
_UNMATCHED: tuple[Status, ...] = ("changed", "missing")


@dataclass(frozen=True, slots=True)
class FileMatch:
    """A file of an earlier run, and where it is now.

    Attributes:
        name: Recorded name, relative to the folder of models or inputs.
        digest: blake3 digest of the content that it had.
        status: ``same``; ``renamed``: its content has another name; ``changed``: its name has
            other content; ``missing``: neither name nor content is here.
        path: File that stands for it; None if there is none.
    """

    name: str
    digest: Digest
    status: Status
    path: Path | None = None


@contextmanager
def stored_digests(store: Path) -> Iterator[None]:
    """Inside the `with`, use the file digests that a store keeps, also if the run uses no store.

    Hashing large models takes minutes. A store that cannot be read only costs this time.

    Args:
        store: Folder of the store.
    """
    index = None
    if (store / _INDEX_FILE).is_file():
        with suppress(NodegraphError, sqlite3.Error):
            index = Index(store / _INDEX_FILE, read_only=True)
    if index is None:
        yield
        return
    digests = StoredFileDigests(index)
    FILE_DIGESTS.attach(digests)
    try:
        yield
    finally:
        FILE_DIGESTS.detach(digests)
        index.close()


def recorded_models(manifest: Manifest) -> dict[str, Digest]:
    """Digests of all model files of a run, by their names in the models folders.

    Names that lead out of the folder are left out: the manifest comes from a file of anybody. So
    are weights that come with a pack, which are in no models folder.
    """
    named = [model for model in manifest.models if model.port]
    files = {file.name: file.digest for model in named for file in model.files}
    adapters = {each.name: each.digest for model in manifest.models for each in model.adapters}
    return {
        name: digest
        for name, digest in {**files, **adapters}.items()
        if is_safe_name(name) and not name.startswith(SHIPPED)
    }


def match_models(
    manifest: Manifest, folders: Sequence[Path], on_read: OnRead = lambda _: None
) -> list[FileMatch]:
    """Find the model files of a run.

    Digests that are known cost nothing. Otherwise files are read: those of the same name first,
    then the others, smallest first, until all are found.

    Args:
        folders: Models folders. Remote ones are searched by name only.
    """
    recorded = recorded_models(manifest)
    at_name = {name: _at_name(name, digest, folders) for name, digest in recorded.items()}
    wanted = {
        digest
        for name, digest in recorded.items()
        if at_name[name].status != "same" and file_suffix(PurePosixPath(name)) in _WEIGHTS
    }
    names = {PurePosixPath(name).name for name in recorded}
    located = find_by_digest(
        dict.fromkeys(wanted), _weight_files(folders), names=names, on_read=on_read
    )
    matches = [
        FileMatch(name, match.digest, "renamed", located[match.digest])
        if match.digest in located and match.status != "same"
        else match
        for name, match in at_name.items()
    ]
    unmatched = {each.name: each.digest for each in matches if each.status in _UNMATCHED}
    moved = _moved_files(unmatched, matches)
    return [
        replace(match, status="renamed", path=moved[match.name]) if match.name in moved else match
        for match in matches
    ]


def match_inputs(
    manifest: Manifest, folders: Sequence[Path], on_read: OnRead = lambda _: None
) -> list[FileMatch]:
    """Find the input files of a run.

    Args:
        folders: Inputs folders; names start from the first one. The first two are searched for
            files with other names, too.
    """
    recorded = {each.name: each.digest for each in manifest.inputs if is_safe_name(each.name)}
    matches = [_at_name(name, digest, folders) for name, digest in recorded.items()]
    # A folder may have had many files: those of one kind are searched together.
    wanted: dict[str, list[FileMatch]] = {}
    for match in matches:
        if match.status != "same":
            wanted.setdefault(file_suffix(PurePosixPath(match.name)), []).append(match)
    located: dict[Digest, Path] = {}
    for suffix, searched in wanted.items():
        located |= find_by_digest(
            {match.digest: None for match in searched},
            files_below(folders[:_SEARCHED], {suffix}, _MOST_FILES),
            names={PurePosixPath(match.name).name for match in searched},
            on_read=on_read,
            budget=_MOST_INPUT_BYTES,
        )
    return [
        FileMatch(match.name, match.digest, "renamed", located[match.digest])
        if match.status != "same" and match.digest in located
        else match
        for match in matches
    ]


def _at_name(name: str, digest: Digest, folders: Sequence[Path]) -> FileMatch:
    changed: Path | None = None
    for folder in folders:
        path = folder / name
        try:
            if path.is_file():
                if FILE_DIGESTS.digest(path) == digest:
                    return FileMatch(name, digest, "same", path)
                changed = changed or path
        except (OSError, InvalidFile):
            continue  # a folder that cannot be read has no such file
    return FileMatch(name, digest, "missing" if changed is None else "changed", changed)


def _moved_files(recorded: Mapping[str, Digest], matches: Sequence[FileMatch]) -> dict[str, Path]:
    """Recorded files that moved together with their folder: a tokenizer next to its weights.

    They have the same name and content beside another file of the folder.
    """
    folders: dict[PurePosixPath, Path] = {
        PurePosixPath(match.name).parent: match.path.parent
        for match in matches
        if match.status == "renamed" and match.path is not None
    }
    located = {}
    for name, digest in recorded.items():
        folder = folders.get(PurePosixPath(name).parent)
        if folder is not None:
            match = _at_name(PurePosixPath(name).name, digest, [folder])
            if match.status == "same" and match.path is not None:
                located[name] = match.path
    return located


def _weight_files(folders: Sequence[Path]) -> Iterator[Path]:
    local = [folder for folder in folders if find_remote_store(folder) is None]
    return files_below(local, _WEIGHTS)


def link_models(
    matches: Sequence[FileMatch], folders: Sequence[Path], target: Path
) -> Mapping[str, Path]:
    """Link renamed models under their recorded names.

    Of a model that is a folder, the whole folder is linked: what stands beside the weights counts.

    Args:
        folders: Models folders, which the matches lie in.
        target: Folder for the links.
    Returns:
        What each link leads to, by its name in `target`.
    Raises:
        OutputError: Links cannot be made there.
    """
    links: dict[str, Path] = {}
    for match in matches:
        if match.status != "renamed" or match.path is None:
            continue
        root = _model_folder(match.path, folders)
        inner = match.path.name if root is None else match.path.relative_to(root).as_posix()
        outer = match.name.removesuffix(f"/{inner}") if root is not None else match.name
        if root is not None and outer != match.name:
            links.setdefault(outer, root)
            continue
        links.setdefault(match.name, match.path)
        for sibling in match.path.parent.glob(f"{_escaped(match.path.stem)}.*"):
            # Such as the original configuration of a checkpoint.
            if file_suffix(sibling) not in HEADED | PICKLES and sibling.is_file():
                recorded = PurePosixPath(match.name)
                named = recorded.with_name(f"{recorded.stem}{sibling.suffix}")
                links.setdefault(named.as_posix(), sibling)
    for name, path in links.items():
        link_file(path, target, name)
    return links


@dataclass(frozen=True, slots=True)
class PartialFolder:
    """A folder with more files than a manifest names.

    Attributes:
        name: Relative to the inputs folder; ``.`` for that itself.
        named, others: Number of its files that the manifest names, and of those that it counts.
    """

    name: str
    named: int
    others: int


def partial_folders(manifest: Manifest) -> list[PartialFolder]:
    """Folders of which a manifest does not name all files, so that they cannot be restored."""
    names: dict[tuple[str, str], list[str]] = {}
    counts: dict[tuple[str, str], int] = {}
    for each in manifest.inputs:
        if is_safe_name(each.name):
            port = each.node, each.port
            names.setdefault(port, []).append(each.name)
            counts[port] = max(counts.get(port, 0), each.others)
    listed = (
        (os.path.commonpath([PurePosixPath(name).parent for name in names[port]]), port)
        for port, others in counts.items()
        if others > 0
    )
    return [
        PartialFolder(PurePosixPath(folder).as_posix(), len(names[port]), counts[port])
        for folder, port in listed
    ]


def link_inputs(
    matches: Sequence[FileMatch],
    folder: Path,
    target: Path,
    partial: Sequence[PartialFolder] = (),
) -> Path:
    """Folder in which all input files have their recorded names.

    Args:
        folder: The inputs folder. What it has under other names is linked, too.
        target: Folder for the links.
        partial: Folders whose other files are linked as they are now.
    Returns:
        `folder` itself if every file has its name there.
    Raises:
        OutputError: Links cannot be made there.
    """
    located = {each.name: each.path for each in matches if each.path is not None}
    renamed = {name: path for name, path in located.items() if path != folder / name}
    if not renamed:
        return folder
    for name, path in renamed.items():
        link_file(path, target, name)
    tops = {name.partition("/")[0] for name in renamed}
    with suppress(OSError):
        for entry in sorted(folder.iterdir())[:_MOST_FILES]:
            if entry.name not in tops and not entry.name.startswith("."):
                link_file(entry, target, entry.name)
    for name, path in located.items():
        if name.partition("/")[0] in tops:
            link_file(path, target, name)
    known = {match.path for match in matches} | {folder / match.name for match in matches}
    for each in partial:
        if each.name.partition("/")[0] in tops:
            for file in sorted((folder / each.name).rglob("[!.]*")):
                if file.is_file() and file not in known:
                    link_file(file, target, file.relative_to(folder).as_posix())
    return target


def _model_folder(path: Path, folders: Sequence[Path]) -> Path | None:
    """Folder of the model that a file is a part of; None for a model that is one file."""
    for folder in folders:
        if not path.is_relative_to(folder):
            continue
        parents = [each for each in path.parents if each != folder and each.is_relative_to(folder)]
        whole = [each for each in parents if (each / INDEX).exists() or _is_modular(each)]
        if whole:
            return whole[-1]
        return path.parent if parents and (path.parent / CONFIG).exists() else None
    return None


def _is_modular(folder: Path) -> bool:
    return (folder / MODULAR_INDEX).exists()


def _escaped(name: str) -> str:
    from glob import escape

    return escape(name)


def link_file(path: Path, target: Path, name: str) -> None:
    """Link a file or folder: by a symbolic link, else hard links, as Windows often refuses these.

    Args:
        target: Folder of the links.
        name: Path below it.
    Raises:
        OutputError: Neither is possible.
    """
    link = target / name
    above = (target / each for each in PurePosixPath(name).parents)
    if os.path.lexists(link) or any(each.is_symlink() for each in above):
        return  # never through another link, into a folder of the user
    make_folder(link.parent)
    try:
        link.symlink_to(path.absolute(), target_is_directory=path.is_dir())
    except OSError:
        try:
            _link_hard(path, link)
        except OSError as error:
            raise OutputError(
                f"cannot link {path} under its recorded name: {error.strerror or error}",
                hint=f"Rename it to {link.name}.",
            ) from error


def _link_hard(path: Path, link: Path) -> None:
    if path.is_file():
        os.link(path, link)
        return
    for file in path.rglob("*"):
        if file.is_file():
            target = link / file.relative_to(path)
            make_folder(target.parent)
            os.link(file, target)
