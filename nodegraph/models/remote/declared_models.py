"""Models that a workflow's file names, some with their sources, and downloads of missing ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

from nodegraph.core.weight_files import without_ending
from nodegraph.errors import InvalidValue
from nodegraph.models.model_sources import KIND_FOLDERS
from nodegraph.models.remote.download_plans import KINDS, DownloadError, DownloadPlan, Wanted

if TYPE_CHECKING:
    from nodegraph.models.remote.hubs import ModelHubs


@dataclass(frozen=True, slots=True)
class DeclaredModel:
    """A model that a workflow's file names with its source.

    Attributes:
        name: Name of the file.
        reference: What `nodegraph models add` takes.
        folder: Folder of its kind below the models folder; empty if it is not stated.
        sha256: Digest that its file must have; empty if it is not stated.
    """

    name: str
    reference: str
    folder: str = ""
    sha256: str = ""

    @property
    def path(self) -> tuple[str, ...]:
        """Folders and name below the models folder, as far as they are stated."""
        parts = _parts(self.name)
        folders = _parts(self.folder)
        return parts if parts[: len(folders)] == folders else (*folders, *parts)


def declared_models(document: Any) -> list[DeclaredModel]:
    """The models that a workflow names with their sources.

    ComfyUI's files state an address and a folder in the properties of nodes. nodegraph's have a
    list `models` with `name`, and `source` or `sha256`.
    """
    declared: dict[tuple[str, ...], DeclaredModel] = {}
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            listed = value.get("models")
            for each in listed if isinstance(listed, list) else ():
                model = _declared(each) if isinstance(each, dict) else None
                if model is not None:
                    declared.setdefault(model.path, model)
            waiting += value.values()
    return list(declared.values())


def pinned_digests(document: Any) -> dict[str, str]:
    """Return the SHA-256 digests that a workflow states for models, by their names."""
    if "sha256" not in str(document):
        return {}
    return {model.name: model.sha256 for model in declared_models(document) if model.sha256}


def _declared(entry: Mapping[str, Any]) -> DeclaredModel | None:
    keys = ("name", "directory", "source", "url", "sha256", "hash", "hash_type")
    texts = {key: text for key in keys if isinstance(text := entry.get(key), str)}
    name, digest = texts.get("name", ""), texts.get("sha256", "")
    if not digest and texts.get("hash_type", "").upper() == "SHA256":
        digest = texts.get("hash", "")
    reference = texts.get("source") or texts.get("url") or digest
    if not name or not reference:
        return None
    return DeclaredModel(name, reference, texts.get("directory", ""), digest)


def _parts(name: str) -> tuple[str, ...]:
    """Folders and name of a model, also of one that a workflow was saved with on Windows."""
    return tuple(part for part in without_ending(name.replace("\\", "/")).split("/") if part)


def declarations_of(document: Any, names: Sequence[str]) -> dict[str, DeclaredModel]:
    """Of some models, those whose source a workflow states, by their names.

    Args:
        document: The workflow's file.
    """
    by_file: dict[str, list[_Declaration]] = {}
    for model in declared_models(document):
        path = model.path
        by_file.setdefault(path[-1] if path else "", []).append((path, model))
    pairs = [(name, _parts(name)) for name in names]
    declared = {
        name: _declaration_of(parts, by_file.get(parts[-1], ())) for name, parts in pairs if parts
    }
    return {name: model for name, model in declared.items() if model is not None}


_Declaration: TypeAlias = tuple[tuple[str, ...], DeclaredModel]
"""A declared model behind its path."""


def _declaration_of(parts: tuple[str, ...], models: Sequence[_Declaration]) -> DeclaredModel | None:
    """The declared model whose path is that of a name; else the only one.

    Paths may leave out leading folders, as those of kinds are left out.

    Args:
        models: Those of the same file name.
    """

    def shared(model: _Declaration) -> int:
        path = model[0]
        count = min(len(parts), len(path))
        return count if parts[-count:] == path[-count:] else 0

    best = max(models, key=shared, default=None)
    is_one = best is not None and (shared(best) > 0 or len(models) == 1)
    return best[1] if best is not None and is_one else None


def plans_of_missing(hubs: ModelHubs, missing: Mapping[str, DeclaredModel]) -> list[DownloadPlan]:
    """The downloads of missing models, under the names that the workflow has for them.

    Raises:
        NodegraphError: A source refuses, or cannot be reached.
    """
    return [plan_of_missing(hubs, name, model) for name, model in missing.items()]


def plan_of_missing(hubs: ModelHubs, missing_name: str, model: DeclaredModel) -> DownloadPlan:
    """The download of a missing model, under the name that the workflow has for it.

    Raises:
        NodegraphError: Its source refuses, cannot be reached, or has another file.
    """
    kind, name = wanted_kind(missing_name, model), missing_name.replace("\\", "/")
    plan = hubs.resolve(model.reference, Wanted(kind=kind, name=name))
    is_whole = _DIGEST.fullmatch(model.sha256.lower()) is not None
    if model.sha256 == model.reference and not is_whole:
        return plan  # a short hash that Civitai has looked the file up by
    return with_digest(plan, model.sha256, model.name)


def wanted_kind(missing_name: str, model: DeclaredModel) -> str | None:
    """The kind of a missing model; None if nothing states it."""
    by_folder = {folder: kind for kind, folder in KINDS.items() if folder}
    paths = (model.path, _parts(missing_name))
    firsts = [parts[0] for parts in paths if len(parts) > 1]
    return next((by_folder[first] for first in firsts if first in by_folder), None)


def with_digest(plan: DownloadPlan, sha256: str, name: str) -> DownloadPlan:
    """The plan with the digest that a workflow states.

    Args:
        sha256: The digest; empty if there is none.
        name: Name of the model, for messages.
    Raises:
        InvalidValue: It is no SHA-256 of one file.
        DownloadError: The source has another file.
    """
    digest = sha256.lower().removeprefix("sha256:")
    is_whole = _DIGEST.fullmatch(digest) is not None
    if not digest:
        return plan
    if not is_whole or plan.is_folder:
        raise InvalidValue(
            f"the digest of {name} in the workflow is not that of a file",
            given=ascii(sha256[:80]),
            expected="the SHA-256 of one file, as 64 hexadecimal digits",
        )
    (file,) = plan.files
    if file.sha256 not in (None, digest):
        raise DownloadError(
            f"the source of {name} has another file than the workflow states",
            given=file.sha256,
            expected=digest,
            hint="Correct `sha256` or the source in the workflow.",
        )
    return replace(plan, files=(replace(file, sha256=digest),))


_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")
_IN_PROMPTS = re.compile(r"<(?:lora|lyco):([^:>]{1,300})[:>]|\bembedding:([\w./\\-]{1,300})")
_UNREAD = frozenset({"ui", "models", "description", "title"})
"""Keys of a workflow whose texts name no file that a run opens."""


class ModelNames:
    """Finds which models a workflow names, as its nodes' values or in the syntax of prompts.

    A text that happens to be the name of a model counts, too: whoever removes models rather hears
    of one use too many.

    Args:
        names: Names of the models, as they are listed.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_text: dict[str, str] = {}
        self._by_stem: dict[str, str] = {}
        for name in names:
            first, _, below = name.partition("/")
            for text in (name, below) if first in KIND_FOLDERS and below else (name,):
                for each in (text, without_ending(text)):
                    self._by_text.setdefault(each, name)
            self._by_stem.setdefault(PurePosixPath(without_ending(name)).name, name)

    def find(self, document: Any) -> set[str]:
        """The names of the models that a workflow, or its parameters, name."""
        names = set()
        for text in _texts(document):
            if (name := self._by_text.get(text.replace("\\", "/"))) is not None:
                names.add(name)
            for match in _IN_PROMPTS.finditer(text) if ":" in text else ():
                short = (match[1] or match[2]).replace("\\", "/")
                known = self._by_text.get(short) or self._by_stem.get(short)
                if known is not None:
                    names.add(known)
        return names


def _texts(document: Any) -> Iterator[str]:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += (each for key, each in value.items() if key not in _UNREAD)
