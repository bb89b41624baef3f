"""Images that are set in motion: the latents of sixteen frames. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.families.item_family import item_family
from nodegraph.families.items.motions import FEATURES, PICTURE, PLACES, TOKENS

if TYPE_CHECKING:
    from torch import Tensor


def _drawn(items: Tensor) -> Tensor:
    from nodegraph.families.item_family import draw_motions

    return draw_motions(items)


MOTIONS = item_family(
    "motions",
    "Images in motion",
    "a transformer of images in motion",
    tokens=TOKENS,
    features=FEATURES,
    drawn=_drawn,
    asked_by="MotionConditioning",
    model="MotionTransformer",
    heads=5,
    gives_clean=False,
    others={PICTURE: (PLACES, FEATURES)},
)
