"""The families that there are: those that come along, and those that packages bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nodegraph.core.suggest import did_you_mean
from nodegraph.diffusion.families.base import Family
from nodegraph.diffusion.families.chroma import CHROMA
from nodegraph.diffusion.families.flux import FLUX
from nodegraph.diffusion.families.flux2 import FLUX2, FLUX2_KLEIN
from nodegraph.diffusion.families.hidream import HIDREAM
from nodegraph.diffusion.families.hunyuan_image import HUNYUAN_IMAGE
from nodegraph.diffusion.families.ltx import LTX
from nodegraph.diffusion.families.lumina2 import LUMINA2
from nodegraph.diffusion.families.pixart import PIXART_SIGMA
from nodegraph.diffusion.families.qwen_image import QWEN_IMAGE
from nodegraph.diffusion.families.qwen_image_edit import QWEN_IMAGE_EDIT, QWEN_IMAGE_EDIT_PLUS
from nodegraph.diffusion.families.sana import SANA
from nodegraph.diffusion.families.sd3 import SD3
from nodegraph.diffusion.families.sdxl import SDXL, SDXL_REFINER
from nodegraph.diffusion.families.stable_diffusion import SD1, SD2
from nodegraph.diffusion.families.wan import WAN, WAN22_5B
from nodegraph.diffusion.families.z_image import Z_IMAGE
from nodegraph.diffusion.latent_formats import LatentFormat
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from logging import Logger

GROUP = "nodegraph.families"
"""Entry points of this group name a `Family`, or a list of them, that a package brings."""

_COME_ALONG = (
    SD1,
    SD2,
    SDXL,
    SDXL_REFINER,
    SD3,
    PIXART_SIGMA,
    FLUX,
    SANA,
    LTX,
    LUMINA2,
    WAN,
    CHROMA,
    HIDREAM,
    WAN22_5B,
    QWEN_IMAGE,
    QWEN_IMAGE_EDIT,
    QWEN_IMAGE_EDIT_PLUS,
    HUNYUAN_IMAGE,
    FLUX2,
    Z_IMAGE,
    FLUX2_KLEIN,
)
BUILT_IN: Mapping[str, Family] = {family.name: family for family in _COME_ALONG}
"""Those that come along, by name."""


class _Families(Mapping[str, Family]):
    """By name; packages are asked for theirs once those that come along don't do."""

    def __init__(self) -> None:
        self._brought: dict[str, Family] | None = None
        self._releases: dict[str, str] = {}

    def __getitem__(self, name: str) -> Family:
        return BUILT_IN[name] if name in BUILT_IN else self._others()[name]

    def __iter__(self) -> Iterator[str]:
        yield from BUILT_IN
        yield from self._others()

    def __len__(self) -> int:
        return len(BUILT_IN) + len(self._others())

    def _others(self) -> dict[str, Family]:
        if self._brought is None:
            # Looking through all that is installed takes a while.
            from importlib.metadata import entry_points

            points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
            found = [(item, _release(point)) for point in points for item in _families_of(point)]
            self._releases = {item.name: release for item, release in found}
            self._brought = {item.name: item for item, _ in found if item.name not in BUILT_IN}
        return self._brought

    def release(self, family: Family) -> str:
        """The package that brings a family, and its version; empty of those that come along."""
        return "" if family.name in BUILT_IN else self._releases.get(family.name, "")


_FAMILIES = _Families()
FAMILIES: Mapping[str, Family] = _FAMILIES


def family_release(family: Family) -> tuple[tuple[str, str], ...]:
    """An option of recipes: the package that brings their family, with its version.

    So what an older version gave isn't taken for what this one gives. Nothing of families that come
    along: their code is part of the nodes' keys.
    """
    found = _FAMILIES.release(family)
    return (("release", found),) if found else ()


def format_release(latents: LatentFormat) -> tuple[tuple[str, str], ...]:
    """The same of autoencoders: of their latent format."""
    if any(family.latent.name == latents.name for family in BUILT_IN.values()):
        return ()
    brought = (family for family in FAMILIES.values() if family.latent.name == latents.name)
    return next((family_release(family) for family in brought), ())


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
    for families in (BUILT_IN, FAMILIES):
        formats = {family.latent.name: family.latent for family in families.values()}
        if name in formats:
            return formats[name]
    raise InvalidValue(
        f"there is no latent format `{name}`",
        given=name,
        expected=", ".join(formats),
        hint=did_you_mean(name, formats),
    )


def _release(point: EntryPoint) -> str:
    package = point.dist
    return "" if package is None else f"{package.name} {package.version}"


def _families_of(point: EntryPoint) -> list[Family]:
    """The families of an entry point; one that fails is told and left out."""
    try:
        found = point.load()
    except Exception:  # noqa: BLE001 - a package's own code may raise anything
        _log().exception("the model family %s of %s can't be loaded", point.name, point.value)
        return []
    families = found if isinstance(found, (list, tuple)) else [found]
    wrong = [item for item in families if not isinstance(item, Family)]
    if wrong:
        _log().error("%s (%s) is no model family", point.name, point.value)
    return [item for item in families if isinstance(item, Family)]


def _log() -> Logger:
    from logging import getLogger

    return getLogger(__name__)
