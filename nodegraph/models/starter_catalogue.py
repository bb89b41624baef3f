"""The starter catalogue: well-known models by purpose and memory, and settings that suit models.

``starter_catalogue.json`` ships with nodegraph; the setting `model_catalogue` replaces it. Its
sizes are rounded. The exact sizes, the digests and the license come from a model's source when a
download is planned.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from nodegraph.core.host_memory import total_memory
from nodegraph.errors import InvalidFile
from nodegraph.models.model_sources import FoundModel

CATALOGUE = Path(__file__).parent / "starter_catalogue.json"
_FORMAT = "nodegraph-model-catalogue/1"
_LARGEST = 4 << 20
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class SuitableSettings:
    """Settings that suit a model; None where nothing is known.

    Attributes:
        width, height: Pixels of an image.
        guidance: Guidance scale, `cfg` of samplers.
        sampler, schedule: Names, as samplers take them.
    """

    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    schedule: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model of the catalogue.

    Attributes:
        purpose: What it is for, such as ``image``.
        family: Model family that it belongs to; None if it has none of nodegraph's.
        source: Reference, as `nodegraph models add` takes it.
        variant, kind: Choice for the download.
        bytes: Size of the download, rounded; None if it is not known.
        memory: Bytes of memory that it needs; None if it is not known.
        sha256: Digest of a single file; None if it is not known.
        is_gated: Whether its source asks for an accepted license and a token.
    """

    id: str
    title: str
    source: str
    description: str = ""
    purpose: str = "image"
    family: str | None = None
    license: str | None = None
    license_url: str | None = None
    variant: str | None = None
    kind: str | None = None
    bytes: int | None = None
    memory: int | None = None
    sha256: str | None = None
    is_gated: bool = False
    settings: SuitableSettings = SuitableSettings()

    @property
    def fits(self) -> bool:
        """Whether this machine has the memory that it needs, as far as both are known."""
        total = total_memory()
        return self.memory is None or total is None or self.memory <= total


@dataclass(frozen=True)
class StarterCatalogue:
    """Models to start with, and settings that suit models.

    Attributes:
        names, families: Settings by the names of models and of families.
    """

    entries: tuple[CatalogueEntry, ...] = ()
    names: Mapping[str, SuitableSettings] = field(default_factory=dict)
    families: Mapping[str, SuitableSettings] = field(default_factory=dict)

    def find(self, source: str | None, sha256: str | None) -> CatalogueEntry | None:
        """The entry of a model by its digest, or else by the source of its download."""
        for entry in self.entries:
            if entry.sha256 is not None and entry.sha256 == sha256:
                return entry
        return next((entry for entry in self.entries if entry.source == source), None)

    def suits(
        self, model: FoundModel, source: str | None, sha256: str | None
    ) -> SuitableSettings | None:
        """Settings that suit a model: its own, or else what its family usually has."""
        entry = self.find(source, sha256)
        if entry is not None:
            return entry.settings
        return self.names.get(model.name) or self.families.get(model.family or "")


def read_catalogue(file: Path | None) -> StarterCatalogue:
    """The catalogue in a file, or the one that ships with nodegraph.

    Raises:
        InvalidFile: The file cannot be read, or is no catalogue.
    """
    path = file or CATALOGUE
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if status.st_size > _LARGEST:
        raise _unreadable(path, "it is too large")
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, time: int, size: int) -> StarterCatalogue:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, f"it is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise _unreadable(path, f"its `format` is not {_FORMAT}")
    try:
        entries = tuple(map(_entry, document.get("models") or ()))
        names, families = (
            {str(name): _record(SuitableSettings, each) for name, each in listed.items()}
            for listed in (document.get("names") or {}, document.get("families") or {})
        )
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    ids = Counter(entry.id for entry in entries)
    twice = next((each for each, count in ids.items() if count > 1), None)
    if twice is not None:
        raise _unreadable(path, f"it has two models with the id {twice}")
    return StarterCatalogue(entries, names, families)


def _unreadable(path: Path, reason: str) -> InvalidFile:
    return InvalidFile(
        f"cannot read the catalogue of models {path}: {reason}",
        hint="docs/families.md describes the file of the setting `model_catalogue`.",
    )


def _entry(document: Mapping[str, Any]) -> CatalogueEntry:
    settings = _record(SuitableSettings, document.get("settings") or {})
    return _record(CatalogueEntry, {**document, "settings": settings})


def _record(kind: type[_R], values: Mapping[str, Any]) -> _R:
    """A record from its fields, each of the declared type.

    Raises:
        TypeError: A field is missing, unknown or of another type.
    """
    types = {each.name: str(each.type) for each in fields(kind)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in types:
            raise TypeError(f"there is no field `{name}`")
        if not any(_is_of(value, each.strip()) for each in types[name].split("|")):
            raise TypeError(f"`{name}` is {value!r}, expected {types[name]}")
    return kind(**values)


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    if isinstance(value, float) and not math.isfinite(value):
        return False
    known: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "None": (type(None),),
    }
    return isinstance(value, known.get(kind, (SuitableSettings,)))


def installed_names(
    catalogue: StarterCatalogue, models: Mapping[str, tuple[str | None, str | None]]
) -> dict[str, str]:
    """Names of the models of the catalogue that are here, by the ids of their entries.

    Args:
        models: Source and SHA-256 of the models here, by name.
    """
    names: dict[str, str] = {}
    for name, (source, sha256) in models.items():
        entry = catalogue.find(source, sha256)
        if entry is not None:
            names.setdefault(entry.id, name)
    return names
