"""Solids as grids of signed distances. Imports no torch."""

from __future__ import annotations

from nodegraph.families.item_family import item_family
from nodegraph.media.shapes.distance_grids import FEATURES, TOKENS, depth_views

SHAPES = item_family(
    "shapes",
    "Shapes",
    "a transformer of shapes",
    tokens=TOKENS,
    features=FEATURES,
    drawn=depth_views,
    asked_by="ShapeConditioning",
)
