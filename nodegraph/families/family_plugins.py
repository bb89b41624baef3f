"""Load and check model families from entry points of installed packages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint
from logging import ERROR, WARNING, getLogger
from typing import Any, NamedTuple

from nodegraph.core.plugins import entry_points, named_point, package_release
from nodegraph.families.base import Family, Part
from nodegraph.families.index import FORMATS, INDEX
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.weights.single_files.base import FileLayout, SingleFile

_RENAMED = {"guider": "guider_config", "hole_mask": "inpaint_mask"}
"""Methods of families that are called otherwise now: nobody would ask one that has the old."""
_RESERVED = ("", "auto")
"""Names that stand for no family, and for no latent format, where one is chosen."""


class _Kind(NamedTuple):
    """What a field has to hold.

    Attributes:
        type: Of it, or of each of its items.
        is_many: Whether it is a tuple.
        may_lack: Whether it may be None.
    """

    type: type
    is_many: bool = False
    may_lack: bool = False


_Kinds = Mapping[str, _Kind]
_FAMILY_KINDS: _Kinds = {
    **{name: _Kind(str) for name in ("name", "title", "vae")},
    "latent": _Kind(LatentFormat),
    "pipelines": _Kind(str, is_many=True),
    **{name: _Kind(Part, is_many=True) for name in ("denoisers", "encoders", "tokenizers")},
    "control": _Kind(Part, may_lack=True),
    "single_file": _Kind(SingleFile, may_lack=True),
}
"""What a package's family has to hold, as nodes and searches ask all families for it."""
_LATENT_KINDS: _Kinds = {
    "name": _Kind(str),
    **{name: _Kind(int) for name in ("channels", "spatial", "temporal")},
    "autoencoders": _Kind(str, is_many=True),
    "files": _Kind(FileLayout, is_many=True),
}
_PART_KINDS: _Kinds = {
    "role": _Kind(str),
    "classes": _Kind(str, is_many=True),
    "files": _Kind(FileLayout, is_many=True),
}
_SHAPES = {"weight": (1,)}
"""Of a file that is of no family."""


class _LeftOut(NamedTuple):
    text: str
    error: BaseException | None = None


@dataclass
class PluginFamilies:
    """The families of packages, by name, as far as they are found.

    Attributes:
        releases: Of each the package that brings it, its version, and a digest of its code.
        rejections: What was left out, and why.
        is_whole: Whether all were loaded that can be: a package that asks for families as it is
            imported may not have come to its own.
    """

    families: dict[str, Family] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    rejections: list[_LeftOut] = field(default_factory=list)
    is_whole: bool = True

    def find(self, group: str) -> None:
        """Load the families that a group of entry points names."""
        for point in entry_points(group):
            for item in self._loaded(point):
                self._add(item, point)

    def log_rejections(self) -> None:
        """Say what was left out."""
        for text, error in self.rejections:
            getLogger(__name__).log(WARNING if error is None else ERROR, text, exc_info=error)

    def package(self, name: str) -> str:
        """The package that brings a family, with its version."""
        return self.releases.get(name, "").partition("#")[0].strip()

    def _loaded(self, point: EntryPoint) -> list[object]:
        try:
            loaded = point.load()
            return [*loaded] if isinstance(loaded, (list, tuple)) else [loaded]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a package's code may raise anything, or exit
            text = f"the model family {named_point(point)} cannot be loaded and is skipped"
            self.rejections.append(_LeftOut(text, error))
            self.is_whole = self.is_whole and not _is_being_imported(point.value)
            return []

    def _add(self, item: object, point: EntryPoint) -> None:
        """Add what an entry point names, unless it is no whole family or its name is taken."""
        try:
            wrong = _wrong_of(item)
            if wrong is None:
                assert isinstance(item, Family)
                if self.families.get(item.name) is item:
                    return
                wrong = self._taken(item)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - see `_loaded`
            wrong = f"reading its description failed ({_fault(error)})"
        if wrong is not None:
            self.rejections.append(
                _LeftOut(f"the model family {named_point(point)} is skipped: {wrong}")
            )
            return
        assert isinstance(item, Family)
        self.families[item.name] = item
        self.releases[item.name] = package_release(point)

    def _taken(self, family: Family) -> str | None:
        """Which of its names stands for something else already; None if neither does."""
        name, latents = family.name, family.latent
        if name in INDEX:
            return f"nodegraph has a built-in family `{name}`; give it another name"
        if name in self.families:
            return f"the family `{name}` of {self.package(name)} has the same name and is used"
        if latents.name in FORMATS:
            owner, first = "nodegraph", INDEX[FORMATS[latents.name]].family().latent
        else:
            same = (each for each in self.families.values() if each.latent.name == latents.name)
            known = next(same, family)
            owner, first = self.package(known.name), known.latent
        if latents is first or (type(latents) is type(first) and latents == first):
            return None
        return (
            f"its latent format `{latents.name}` differs from that of {owner}; use that one "
            "unchanged, or give yours another name"
        )


_FAILED: set[tuple[str, str]] = set()


def log_failure(family: Family, package: str, error: BaseException) -> None:
    """Say that a package's family failed where all were asked; the same once."""
    fault = family.name, _fault(error)
    if fault not in _FAILED:
        _FAILED.add(fault)
        getLogger(__name__).error(
            "the model family `%s` of %s failed when a file was checked against all "
            "families, and is skipped",
            family.name,
            package or "a package",
            exc_info=error,
        )


def _is_being_imported(value: str) -> bool:
    """Whether the module of an entry point is, or a package that it lies in."""
    parts = value.partition(":")[0].strip().split(".")
    modules = (sys.modules.get(".".join(parts[: end + 1])) for end in range(len(parts)))
    return any(
        getattr(getattr(module, "__spec__", None), "_initializing", False) for module in modules
    )


def _wrong_of(item: object) -> str | None:
    """What is wrong with a package's family; None if nothing is."""
    if not isinstance(item, Family):
        return f"it is not a model family but {_shown(item)}"
    for name, new in _RENAMED.items():
        if hasattr(type(item), name):
            return (
                f"it has a method `{name}`, which was renamed to `Family.{new}`; override that one"
            )
    return _unfit(item, _FAMILY_KINDS) or _unfit_latents(item.latent) or _unfit_family(item)


def _unfit_latents(latents: LatentFormat) -> str | None:
    wrong = _unfit(latents, _LATENT_KINDS, "latent's ")
    if wrong is not None:
        return wrong
    if latents.name in _RESERVED:
        return f"its latent's `name` is {_shown(latents.name)}; expected a unique name"
    scaling = latents.scaling
    if scaling is not None and not (
        isinstance(scaling, (list, tuple))
        and len(scaling) == 2
        and all(isinstance(each, (int, float)) for each in scaling)
    ):
        return f"its latent's `scaling` has {_shown(scaling)}; expected a factor and a shift"
    return None


def _unfit_family(family: Family) -> str | None:
    if family.name in _RESERVED:
        return (
            f"its `name` is {_shown(family.name)}; expected a unique name, for example `my_family`"
        )
    if not family.denoisers:
        return "its `denoisers` are empty; expected a Part"
    control = [] if family.control is None else [family.control]
    parts = [*family.denoisers, *family.encoders, *family.tokenizers, *control]
    wrong = next(filter(None, (_unfit(part, _PART_KINDS, "part's ") for part in parts)), None)
    if wrong is not None:
        return wrong
    # All files are shown to all families, so that one that fails takes every file away.
    questions: list[tuple[str, Callable[[], Any]]] = [
        ("recognises", lambda: bool(family.recognises(_SHAPES))),
        ("leads", lambda: bool(family.leads("", {}))),
    ]
    layouts = [*family.latent.files, *(layout for part in parts for layout in part.files)]
    questions += [(f"{layout.name}.prefix", partial(layout.prefix, _SHAPES)) for layout in layouts]
    return next(
        (
            f"its `{name}` fails for files of other models ({fault})"
            for name, ask in questions
            if (fault := _fault_in(ask)) is not None
        ),
        None,
    )


def _unfit(item: object, kinds: _Kinds, owner: str = "") -> str | None:
    """What something doesn't hold as it should; None if it does."""
    for name, kind in kinds.items():
        wanted = f"its {owner}`{name}`"
        fault = _fault_in(partial(getattr, item, name, None))
        if fault is not None:
            return f"{wanted} cannot be read ({fault})"
        value = getattr(item, name, None)
        if value is None and kind.may_lack:
            continue
        if not kind.is_many:
            wrong, word = (
                [] if isinstance(value, kind.type) else [value],
                "an" if kind.type is int else "a",
            )
        elif isinstance(value, (list, tuple)):
            wrong, word = [each for each in value if not isinstance(each, kind.type)], "only a"
        else:
            wrong, word = [value], "a tuple of"
        if wrong:
            return f"{wanted} has {_shown(wrong[0])}; expected {word} {kind.type.__name__}"
    return None


def _fault_in(ask: Callable[[], Any]) -> str | None:
    """What a package's code raises; None if it doesn't."""
    try:
        ask()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - see `PluginFamilies._loaded`
        return _fault(error)
    return None


def _fault(error: BaseException) -> str:
    return _text(lambda: f"{type(error).__name__}: {error!s:.200}", type(error).__name__)


def _shown(value: object) -> str:
    kind = type(value).__name__
    return _text(lambda: f"{value!r:.60} ({kind})", f"an object that cannot be shown ({kind})")


def _text(made: Callable[[], str], otherwise: str) -> str:
    try:
        return made()
    except Exception:  # noqa: BLE001 - a package's own `__repr__` or `__str__`
        return otherwise
