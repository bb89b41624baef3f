"""The families that there are: those that come along, and those that packages bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.files import package_files
from nodegraph.core.suggest import did_you_mean
from nodegraph.diffusion.families.base import Family, Part
from nodegraph.diffusion.families.index import INDEX
from nodegraph.diffusion.families.pipeline_classes import PIPELINE_CLASSES
from nodegraph.diffusion.latent_formats import LatentFormat
from nodegraph.diffusion.single_files.base import FileLayout
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from logging import Logger

GROUP = "nodegraph.families"
"""Entry points of this group name a `Family`, or a list of them, that a package brings."""
_RENAMED = {"guider": "guider_config"}
"""Methods of families that are called otherwise now: nobody would ask one that has the old."""
_RESERVED = ("", "auto")
"""Names that stand for no family where one is chosen."""
_Kinds = Mapping[str, type | tuple[type]]
_FAMILY_KINDS: _Kinds = {
    "name": str, "title": str, "latent": LatentFormat, "vae": str, "pipelines": (str,),
    "denoisers": (Part,), "encoders": (Part,), "tokenizers": (Part,),
}  # fmt: skip
"""What a package's family has to hold, as nodes and searches ask all families for it; in a tuple
where it is several of a kind."""
_LATENT_KINDS: _Kinds = {"name": str, "autoencoders": (str,), "files": (FileLayout,)}
_PART_KINDS: _Kinds = {"role": str, "classes": (str,), "files": (FileLayout,)}


class _ComeAlong(Mapping[str, Family]):
    """By name; a family is imported when it is asked for."""

    def __getitem__(self, name: str) -> Family:
        return INDEX[name].family()

    def __contains__(self, name: object) -> bool:
        return name in INDEX

    def __iter__(self) -> Iterator[str]:
        return iter(INDEX)

    def __len__(self) -> int:
        return len(INDEX)


BUILT_IN: Mapping[str, Family] = _ComeAlong()
"""Those that come along."""


class _Families(Mapping[str, Family]):
    """By name; packages are asked for theirs once those that come along don't do."""

    def __init__(self) -> None:
        self._found: dict[str, Family] | None = None
        self._releases: dict[str, str] = {}

    def __getitem__(self, name: str) -> Family:
        return BUILT_IN[name] if name in BUILT_IN else self.brought[name]

    def __contains__(self, name: object) -> bool:
        return name in BUILT_IN or name in self.brought

    def __iter__(self) -> Iterator[str]:
        yield from BUILT_IN
        yield from self.brought

    def __len__(self) -> int:
        return len(BUILT_IN) + len(self.brought)

    @property
    def brought(self) -> Mapping[str, Family]:
        """Those of packages."""
        if self._found is None:
            # Looking through all that is installed takes a while.
            from importlib.metadata import entry_points

            points = entry_points(group=GROUP)
            self._found = {}
            for point in sorted(points, key=lambda point: (point.name, point.value)):
                self._add(self._found, point)
        return self._found

    def _add(self, families: dict[str, Family], point: EntryPoint) -> None:
        """Add the families of an entry point; one whose name is taken is told and left out."""
        for item in _families_of(point):
            if item.name in BUILT_IN:
                _leave_out(point, f"nodegraph brings a family `{item.name}`; give it another name")
            elif item.name not in families:
                families[item.name] = item
                self._releases[item.name] = _release(point)
            elif families[item.name] is not item:
                first = self._releases[item.name].partition("#")[0].strip()
                _leave_out(point, f"the family `{item.name}` of {first} counts")

    def release(self, family: Family) -> str:
        """The package that brings a family, its version, and a digest of its code; empty of those
        that come along."""
        return "" if family.name in BUILT_IN else self._releases.get(family.name, "")


_FAMILIES = _Families()
FAMILIES: Mapping[str, Family] = _FAMILIES
_FORMATS = {INDEX[name].latent: name for name in reversed([*INDEX])}
"""The first family of each latent format."""


def family_release(family: Family) -> tuple[tuple[str, str], ...]:
    """An option of recipes: the package that brings their family, with its version and code.

    So what an older version, or one before an edit, gave isn't taken for what this one gives.
    Nothing of families that come along: their code is part of the nodes' keys.
    """
    found = _FAMILIES.release(family)
    return (("release", found),) if found else ()


def format_release(latents: LatentFormat) -> tuple[tuple[str, str], ...]:
    """The same of autoencoders: of their latent format."""
    if latents.name in _FORMATS:
        return ()
    brought = _FAMILIES.brought.values()
    return next((family_release(each) for each in brought if each.latent.name == latents.name), ())


def families_of_pipeline(class_name: str) -> list[Family]:
    """The families that a pipeline class of diffusers may hold."""
    known = [name for name in INDEX if class_name in PIPELINE_CLASSES.get(name, ())]
    if known:
        return [BUILT_IN[name] for name in known]
    return [each for each in _FAMILIES.brought.values() if class_name in each.pipelines]


def family_named(name: str) -> Family:
    """The family of a recipe or prompt.

    Raises:
        InvalidValue: There is none of that name.
    """
    if name not in FAMILIES:
        raise InvalidValue(
            f"there is no model family `{name}`",
            given=name,
            expected=", ".join(FAMILIES),
            hint=did_you_mean(name, FAMILIES),
        )
    return FAMILIES[name]


def format_named(name: str) -> LatentFormat:
    """The latent format of a latent or of an autoencoder's recipe.

    Raises:
        InvalidValue: There is none of that name.
    """
    if name in _FORMATS:
        return BUILT_IN[_FORMATS[name]].latent
    brought = {family.latent.name: family.latent for family in _FAMILIES.brought.values()}
    if name in brought:
        return brought[name]
    formats = [*_FORMATS, *brought]
    raise InvalidValue(
        f"there is no latent format `{name}`",
        given=name,
        expected=", ".join(formats),
        hint=did_you_mean(name, formats),
    )


def _release(point: EntryPoint) -> str:
    package = point.dist
    name = "" if package is None else f"{package.name} {package.version} "
    return f"{name}#{_code_digest(point.module)[:12]}"


def _code_digest(module: str) -> Digest:
    """Of a package's Python files as they are now: that is when its families are imported."""
    files = package_files(module)
    return digest_bytes("\n".join(f"{file.name} {_bytes_digest(file)}" for file in files).encode())


def _bytes_digest(file: Path) -> Digest:
    try:
        return digest_bytes(file.read_bytes())
    except OSError:
        return ""  # such as a link to nothing, by which an editor notes that it has a file open


def _families_of(point: EntryPoint) -> list[Family]:
    """The families of an entry point; what fails or is none is told and left out."""
    try:
        found = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a package's own code may raise anything, and may exit
        _log().exception("the model family %s can't be loaded and is left out", _named(point))
        return []
    families = []
    for item in found if isinstance(found, (list, tuple)) else [found]:
        wrong = _wrong_of(item)
        if wrong is None:
            families.append(item)
        else:
            _leave_out(point, wrong)
    return families


def _wrong_of(item: object) -> str | None:
    """What is wrong with a package's family; None if nothing is."""
    if not isinstance(item, Family):
        return f"it is no model family but {_shown(item)}"
    for name, new in _RENAMED.items():
        if hasattr(type(item), name):
            return f"it has a method `{name}`, which is `Family.{new}` now; override that"
    wrong = _unfit(item, _FAMILY_KINDS) or _unfit(item.latent, _LATENT_KINDS, "latent's ")
    if wrong is not None:
        return wrong
    if item.name in _RESERVED:
        return f"its `name` is {_shown(item.name)}; expected one of its own, such as `my_family`"
    if not item.denoisers:
        return "its `denoisers` are empty; expected a Part"
    parts = (*item.denoisers, *item.encoders, *item.tokenizers)
    return next(filter(None, (_unfit(part, _PART_KINDS, "part's ") for part in parts)), None)


def _unfit(item: object, kinds: _Kinds, owner: str = "") -> str | None:
    """What something doesn't hold as it should; None if it does."""
    for name, kind in kinds.items():
        value = getattr(item, name, None)
        if isinstance(kind, type):
            wrong, word = [] if isinstance(value, kind) else [value], "a"
        elif isinstance(value, (list, tuple)):
            wrong, word = [each for each in value if not isinstance(each, kind)], "only a"
        else:
            wrong, word = [value], "a tuple of"
        if wrong:
            (wanted,) = kind if isinstance(kind, tuple) else (kind,)
            return f"its {owner}`{name}` has {_shown(wrong[0])}; expected {word} {wanted.__name__}"
    return None


def _shown(value: object) -> str:
    return f"{value!r:.60} ({type(value).__name__})"


def _leave_out(point: EntryPoint, why: str) -> None:
    _log().warning("the model family %s is left out: %s", _named(point), why)


def _named(point: EntryPoint) -> str:
    package = point.dist
    by = "" if package is None else f" of {package.name} {package.version}"
    return f"{point.name}{by} ({point.value})"


def _log() -> Logger:
    from logging import getLogger

    return getLogger(__name__)
