"""Pictures that are set in motion: the latents of sixteen frames. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.diffusion.families.base import Part
from nodegraph.diffusion.families.index import INDEX
from nodegraph.diffusion.families.items import ItemFamily
from nodegraph.diffusion.items.formats import item_format
from nodegraph.diffusion.items.motions import FEATURES, PICTURE, PLACES, TOKENS
from nodegraph.diffusion.single_files.items import item_layout

if TYPE_CHECKING:
    from torch import Tensor


def _drawn(items: Tensor) -> Tensor:
    from nodegraph.diffusion.items.drawing import drawn_motions

    return drawn_motions(items)


_FILE = item_layout(
    "motions-transformer",
    "a transformer of pictures in motion",
    "MotionTransformer",
    tokens=TOKENS,
    features=FEATURES,
    heads=5,
)

MOTIONS = ItemFamily(
    "motions",
    "Pictures in motion",
    latent=item_format("motions", TOKENS, FEATURES, _drawn),
    pipelines=INDEX["motions"].pipelines,
    denoisers=(Part("transformer", ("MotionTransformer",), files=(_FILE,)),),
    encoders=(),
    tokenizers=(),
    noise="flow",
    multiple=1,
    wide=True,
    asked_by="MotionConditioning",
    others={PICTURE: (PLACES, FEATURES)},
)
