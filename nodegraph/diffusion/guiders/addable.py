"""Which guidance can be added in which families. Imports no torch."""

from __future__ import annotations

from nodegraph.diffusion.families.registry import FAMILIES
from nodegraph.diffusion.families.unet import UNetFamily
from nodegraph.errors import InvalidValue

PERTURBED, SKIPPED, LOOKED_INTO, CLASSIFIED = "perturbed", "skipped", "looked into", "classified"
"""What guidance does with a network: another attention, blocks left out, a UNet's middle looked
into, the noisy latent classified."""

_UNPERTURBED = frozenset({"SanaTransformer2DModel", "HiDreamImageTransformer2DModel"})
_UNSKIPPED = frozenset({"HiDreamImageTransformer2DModel"})


def check_addable(kind: str, name: str) -> None:
    """Refuse guidance that a family can't be led by.

    Args:
        kind: One of those above.
        name: Of the family; of one that isn't known here, nothing is refused.
    Raises:
        InvalidValue: On port ``guider``.
    """
    family = FAMILIES.get(name)
    if family is None:
        return
    if kind in (PERTURBED, SKIPPED) and family.latent.only_size is not None:
        raise _refused(f"the network of {family.title} is too small to be weakened")
    network = family.denoisers[0].classes[0]
    if kind == PERTURBED and network in _UNPERTURBED:
        raise _refused(f"attention can't be perturbed in {family.title}")
    if kind == SKIPPED and network in _UNSKIPPED:
        raise _refused(f"blocks can't be left out in {family.title}")
    if kind == LOOKED_INTO and not isinstance(family, UNetFamily):
        raise InvalidValue(
            "this guidance is for models with a UNet",
            port="guider",
            given=family.title,
            expected="Stable Diffusion 1 or 2, or SDXL",
            hint="PerturbedAttentionGuidance is alike, and for transformers, too.",
        )
    if kind == CLASSIFIED and family.noise == "flow":
        raise _refused(f"{family.title} knows no noise variances, which classifiers are trained on")


def _refused(message: str) -> InvalidValue:
    return InvalidValue(message, port="guider", hint="Leave the node out that adds it.")
