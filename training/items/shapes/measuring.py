"""How good the shapes of a model are, measured of its folder as users get it."""

import time
from pathlib import Path

import torch

from nodegraph.core.spatial_values import Mesh
from nodegraph.families.items.transformer import ItemTransformer
from nodegraph.media.shapes.distance_grids import (
    COLOURS,
    KINDS,
    SMOOTH,
    extract_surface,
    from_tokens,
    largest_piece,
)
from training.items.fitting import sampled
from training.items.shapes.judge import Asked, ShapeJudge, asked_for, clouds_of, soundness
from training.items.shapes.solids import grid_of, grid_points

STEPS = 20
SCALES = (1.0, 2.0)
"""Guidance scales that are measured."""
_SEED = 11


def measure(folder: Path, count: int) -> dict[str, float]:
    """Figures by name: of the solids themselves, of them as grids, and of what the model makes at
    each guidance scale.

    Args:
        folder: Of the model's weights.
        count: Shapes at each scale; a multiple of 12.
    """
    model = ItemTransformer.from_pretrained(folder, torch_dtype=torch.float32).eval()
    asked = asked_for(count, _SEED)
    judge = ShapeJudge(asked, _SEED + 1)
    everything = range(count)
    again = ShapeJudge(asked, _SEED + 2).renders
    figures = _named("renders", judge.figures(again, everything))
    figures |= _named("grids", judge.figures(clouds_of(_meshes_of_solids(asked)), everything))
    for scale in SCALES:
        begun = time.process_time()
        meshes, colours = made(model, asked, scale)
        spent = time.process_time() - begun
        held = [place for place, mesh in enumerate(meshes) if mesh is not None]
        whole = [mesh for mesh in meshes if mesh is not None]
        kept = [largest_piece(mesh) for mesh in whole]
        found = judge.figures(clouds_of(kept), held) | soundness(kept)
        found["pieces"] = soundness(whole)["pieces"]
        found["colour_right"] = judge.colours_right(colours[held], held)
        found["shapes"] = len(held) / count
        found["seconds"] = spent / count
        figures |= _named(f"cfg{scale:g}", found)
    return {name: round(value, 4) for name, value in figures.items()}


def made(
    model: ItemTransformer, asked: Asked, scale: float, *, steps: int = STEPS
) -> tuple[list[Mesh | None], torch.Tensor]:
    """Meshes with all their pieces, and colours, (count, 3)."""
    classes = torch.stack([asked.kinds, asked.colours], 1)
    tokens = sampled(model, classes, asked.tall[:, None], cfg=scale, steps=steps)
    grids, colours = from_tokens(tokens)
    pairs = zip(grids, colours, strict=True)
    return [extract_surface(grid, colour, smooth=SMOOTH) for grid, colour in pairs], colours


def _meshes_of_solids(asked: Asked) -> list[Mesh]:
    points = grid_points()
    pairs = zip(asked.kinds.tolist(), asked.tall.tolist(), strict=True)
    found = [extract_surface(grid_of(points, KINDS[kind], tall, 0.5)) for kind, tall in pairs]
    return [mesh for mesh in found if mesh is not None]


def _named(prefix: str, figures: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in figures.items()}


def sheet(folder: Path, picture: Path) -> None:
    """A picture of two of each kind, in changing colours: flat ones above, tall ones below."""
    import numpy as np
    from PIL import Image

    from nodegraph.media.shapes.rendering import draw_shape

    model = ItemTransformer.from_pretrained(folder, torch_dtype=torch.float32).eval()
    count = len(KINDS)
    kinds = torch.arange(2 * count) % count
    tall = torch.cat([torch.full((count,), -0.6), torch.full((count,), 0.6)])
    asked = Asked(kinds, torch.arange(2 * count) % len(COLOURS), tall)
    meshes, _ = made(model, asked, 2.0)
    side = 160
    page = Image.new("RGB", (count * side, 2 * side))
    for place, mesh in enumerate(meshes):
        if mesh is not None:
            drawn = (draw_shape(largest_piece(mesh), side)[0] * 255).byte().numpy()
            at = (place % count * side, place // count * side)
            page.paste(Image.fromarray(np.ascontiguousarray(drawn)), at)
    page.save(picture)
