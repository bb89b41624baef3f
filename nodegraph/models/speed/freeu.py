"""FreeU as an option of recipes. Imports no torch.

It costs hardly any time; like what speeds a model up it changes how a network computes, over the
same weights.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Literal, get_args

from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.values import DiffusionModel
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import FAMILIES
from nodegraph.families.speed_options import with_option

Version = Literal["v2", "v1", "diffusers"]
VERSIONS: tuple[str, ...] = get_args(Version)
MOST = 10.0
_OPTION = f"{SPEED_PREFIX}freeu"
_UNET = "UNet2DConditionModel"


@dataclass(frozen=True, slots=True)
class FreeUFactors:
    """How much of what a UNet's upward half is given counts: from below, and from across.

    Attributes:
        b1, b2: Factors of half of the features from below, in the deepest stage and the next.
        s1, s2: Factors of the low frequencies in the features from across, there.
        version: ``v2``: the factors b count where features are strong, and stages are told by
            their width; ``v1``: they count everywhere; ``diffusers``: so they do, and stages are
            the first two.
    Source: Si et al. 2023, arXiv:2309.11497, and their repository, ChenyangSi/FreeU.
    """

    b1: float = 1.3
    b2: float = 1.4
    s1: float = 0.9
    s2: float = 0.2
    version: str = "v2"


def with_freeu(recipe: DiffusionModel, freeu: FreeUFactors) -> DiffusionModel:
    """A recipe with FreeU, in place of one that it may have.

    Raises:
        InvalidValue: See `check_freeu`.
    """
    check_freeu(recipe.family, freeu)
    return with_option(recipe, _OPTION, " ".join(map(str, astuple(freeu))))


def freeu_of(recipe: object) -> FreeUFactors | None:
    """FreeU as a recipe has it; None without."""
    text = recipe.option(_OPTION) if isinstance(recipe, DiffusionModel) else ""
    if not text:
        return None
    *numbers, version = text.split()
    b1, b2, s1, s2 = map(float, numbers)
    return FreeUFactors(b1, b2, s1, s2, version)


def check_freeu(family: str | None, freeu: FreeUFactors) -> None:
    """Refuse what can't be.

    Args:
        family: None where it isn't known yet.
    Raises:
        InvalidValue: A number is out of range, there is no such version, or the model is no UNet.
    """
    for name in ("b1", "b2", "s1", "s2"):
        if not 0 <= getattr(freeu, name) <= MOST:
            strength = str(getattr(freeu, name))
            raise InvalidValue(
                f"{name} is out of range", port=name, given=strength, expected=f"0 to {MOST:g}"
            )
    if freeu.version not in VERSIONS:
        raise InvalidValue(
            "there is no such version",
            port="version",
            given=freeu.version,
            expected=", ".join(VERSIONS),
        )
    if freeu.version == "diffusers" and not all((freeu.b1, freeu.b2, freeu.s1, freeu.s2)):
        raise InvalidValue(
            "diffusers switches FreeU off entirely if a factor is 0",
            port="version",
            given=freeu.version,
            expected="v1 or v2, or factors above 0",
        )
    known = FAMILIES.get(family or "")
    if known is not None and _UNET not in known.denoisers[0].classes:
        raise InvalidValue(
            f"{known.title} is not a UNet, which FreeU needs",
            port="model",
            expected="Stable Diffusion 1, 2 or XL",
        )
