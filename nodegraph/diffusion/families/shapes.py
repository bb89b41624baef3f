"""Solids as grids of signed distances. Imports no torch."""

from __future__ import annotations

from nodegraph.diffusion.families.base import Part
from nodegraph.diffusion.families.index import INDEX
from nodegraph.diffusion.families.items import ItemFamily
from nodegraph.diffusion.items.formats import item_format
from nodegraph.diffusion.single_files.items import item_layout
from nodegraph.shapes.grids import FEATURES, TOKENS, front_views

_FILE = item_layout(
    "shapes-transformer",
    "a transformer of shapes",
    "ItemTransformer",
    tokens=TOKENS,
    features=FEATURES,
    gives_clean=True,
)

SHAPES = ItemFamily(
    "shapes",
    "Shapes",
    latent=item_format("shapes", TOKENS, FEATURES, front_views),
    pipelines=INDEX["shapes"].pipelines,
    denoisers=(Part("transformer", ("ItemTransformer",), files=(_FILE,)),),
    encoders=(),
    tokenizers=(),
    noise="flow",
    multiple=1,
    wide=True,
    asked_by="ShapeConditioning",
)
