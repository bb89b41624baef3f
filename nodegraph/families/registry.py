"""Registry of model families and latent formats, built-in ones and those of packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from threading import Lock, local
from typing import TYPE_CHECKING, TypeVar

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.index import FORMATS, INDEX
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import DAMAGED, SAME_NAMES, OriginalNames

if TYPE_CHECKING:
    from nodegraph.families.family_plugins import PluginFamilies

T = TypeVar("T")
GROUP = "nodegraph.families"
"""Entry points of this group name a `Family`, or a list of them, that a package brings."""


class _BuiltInFamilies(Mapping[str, Family]):
    """By name; a family is imported when it is asked for."""

    def __getitem__(self, name: str) -> Family:
        return INDEX[name].family()

    def __contains__(self, name: object) -> bool:
        return name in INDEX

    def __iter__(self) -> Iterator[str]:
        return iter(INDEX)

    def __len__(self) -> int:
        return len(INDEX)


BUILT_IN: Mapping[str, Family] = _BuiltInFamilies()
"""The built-in ones."""


class _Families(Mapping[str, Family]):
    """By name; packages are asked for theirs once the built-in ones don't do."""

    def __init__(self) -> None:
        self._found: PluginFamilies | None = None
        self._under_way = local()
        self._lock = Lock()

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
        return self._all.families

    def package(self, family: Family) -> str:
        """The package that brings a family, with its version."""
        return self._all.package(family.name)

    def release(self, family: Family) -> str:
        """The package that brings a family, its version, and a digest of its code; empty of those
        that come along."""
        return "" if family.name in BUILT_IN else self._all.releases.get(family.name, "")

    @property
    def rejections(self) -> list[str]:
        """What was left out of packages, and why."""
        return self._all.rejected()

    @property
    def _all(self) -> PluginFamilies:
        """Those of packages. A package that asks while it is imported sees those before it."""
        if self._found is not None:
            return self._found
        under_way: PluginFamilies | None = getattr(self._under_way, "found", None)
        return self._looked_for() if under_way is None else under_way

    def _looked_for(self) -> PluginFamilies:
        # Looking through all that is installed takes a while.
        from nodegraph.families.family_plugins import PluginFamilies

        families = PluginFamilies()
        try:
            self._under_way.found = families
            # Threads that look at once wait for each other's imports. With a lock around them, one
            # that imports such a package and asks meanwhile would wait for ever.
            families.find(GROUP)
        finally:
            self._under_way.found = None
        with self._lock:
            is_first = self._found is None and families.is_whole
            if is_first:
                self._found = families
        if is_first:
            families.log_rejections()
        return self._found or families


_FAMILIES = _Families()
FAMILIES: Mapping[str, Family] = _FAMILIES


def brought_families() -> Mapping[str, Family]:
    """The families of packages, by name; imports no built-in family."""
    return _FAMILIES.brought


def rejected_families() -> list[str]:
    """The families of packages that were left out, and why: a sentence for each."""
    return _FAMILIES.rejections


def families_with_encoder_files() -> tuple[str, ...]:
    """Names of those whose text encoders are read from files of their own."""
    brought = brought_families().values()
    own = (item.name for item in brought if any(part.files for part in item.encoders))
    return (*(name for name, entry in INDEX.items() if entry.encoder_files), *own)


def candidates(shapes: Shapes) -> Iterator[Family]:
    """The built-in families whose denoiser or control network a file may hold; imports no others.

    Args:
        shapes: Of all tensors in the file.
    """
    names = "\n".join(shapes)
    for name, entry in INDEX.items():
        if any(mark in names for mark in entry.marks):
            yield BUILT_IN[name]


def families_of_text_width(width: int) -> tuple[str, ...]:
    """Names of the built-in families whose UNets read embeddings of a width; imports none."""
    return tuple(name for name, entry in INDEX.items() if entry.text_width == width != 0)


def family_of_text_width(width: int) -> str | None:
    """The first of `families_of_text_width`; None if there is none."""
    return next(iter(families_of_text_width(width)), None)


def family_of_control(class_name: str) -> Family | None:
    """The first family that a class of control networks is for."""
    known = [name for name, entry in INDEX.items() if class_name in entry.controls]
    if known:
        return BUILT_IN[known[0]]
    for family in _FAMILIES.brought.values():
        if family.control is not None and class_name in family.control.classes:
            return family
    return None


def original_names(class_name: str) -> tuple[OriginalNames, ...]:
    """What the layers of a network were called before diffusers renamed them.

    Models of one class may come from several originals, as Cosmos 1.0 and Predict2 do.

    Args:
        class_name: Of the network, such as ``FluxTransformer2DModel``.
    """
    known = [BUILT_IN[name] for name, entry in INDEX.items() if class_name in entry.denoisers]
    parts = [part for family in known or _FAMILIES.brought.values() for part in family.denoisers]
    layouts = [layout for part in parts for layout in part.files]
    names = [layout.names for layout in layouts if layout.class_name == class_name]
    if known and not names:
        # A class without a layout has the layers of its family's other class.
        names = [layout.names for layout in layouts]
    return tuple(dict.fromkeys(names)) or (SAME_NAMES,)


def family_release(family: Family) -> tuple[tuple[str, str], ...]:
    """An option of recipes: the package that brings their family, with its version and code.

    So what an older version, or one before an edit, gave isn't taken for what this one gives.
    Nothing of built-in families: their code is part of the nodes' keys.
    """
    release = _FAMILIES.release(family)
    return (("release", release),) if release else ()


def format_release(latents: LatentFormat) -> tuple[tuple[str, str], ...]:
    """The same of autoencoders: of their latent format."""
    if latents.name in FORMATS:
        return ()
    brought = _FAMILIES.brought.values()
    return next((family_release(each) for each in brought if each.latent.name == latents.name), ())


def call_family(family: Family, question: Callable[[Family], T], otherwise: T) -> T:
    """What a family answers where all are asked, such as whether a file is of it.

    A built-in family fails only at odd files. The failure of a package's is logged, and takes
    nothing from the others.

    Args:
        otherwise: Its answer then.
    """
    if family.name in BUILT_IN:
        try:
            return question(family)
        except DAMAGED:
            return otherwise  # a file has tensors of its names, and of other shapes
    try:
        return question(family)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a package's code may raise anything
        from nodegraph.families.family_plugins import log_failure

        log_failure(family, _FAMILIES.package(family), error)
        return otherwise


def family_with_vae(family: Family, form: str) -> Family:
    """Return the family of a prompt, or the one of a VAE's format that takes the same prompts.

    Cosmos 1.0 and Predict2 share a text encoder, so that the prompt alone does not say which it is.

    Args:
        form: Name of the VAE's latent format.
    """
    families = (family, *map(get_family, family.accepts_prompts_of))
    return next((item for item in families if item.latent.name == form), family)


def families_of_pipeline(class_name: str) -> list[Family]:
    """The families that a pipeline class of diffusers may hold."""
    known = [name for name, entry in INDEX.items() if class_name in entry.pipelines]
    if known:
        return [BUILT_IN[name] for name in known]
    return [each for each in _FAMILIES.brought.values() if class_name in each.pipelines]


def get_family(name: str) -> Family:
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


def get_latent_format(name: str) -> LatentFormat:
    """The latent format of a latent or of an autoencoder's recipe.

    Raises:
        InvalidValue: There is none of that name.
    """
    if name in FORMATS:
        return BUILT_IN[FORMATS[name]].latent
    families = _FAMILIES.brought.values()
    brought = next((each.latent for each in families if each.latent.name == name), None)
    if brought is not None:
        return brought
    formats = list(dict.fromkeys([*FORMATS, *(each.latent.name for each in families)]))
    raise InvalidValue(
        f"there is no latent format `{name}`",
        given=name,
        expected=", ".join(formats),
        hint=did_you_mean(name, formats),
    )
