"""Transformers of items in files of their own, told by their tokens. Imports no torch."""

from __future__ import annotations

from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import Config, FileLayout, count_of
from nodegraph.diffusion.single_files.denoisers import EULER_FLOW


def item_layout(
    name: str,
    title: str,
    class_name: str,
    *,
    tokens: int,
    features: int,
    read: int | None = None,
    heads: int = 6,
    shift: float = 2.0,
    gives_clean: bool = False,
) -> FileLayout:
    """How the transformer of a kind of item lies in a file.

    Args:
        name, title, class_name: As of `FileLayout`.
        tokens, features: Of an item.
        read: Numbers of a token that its first layer reads, where they aren't its features.
        heads: Of attention, which no tensor shows.
        shift: How far the levels of the noise lean to high noise: 1 is not at all.
        gives_clean: Whether the network gives the clean item.
    """

    def matches(shapes: Shapes) -> bool:
        places = shapes.get("position_embedding", ())
        first = shapes.get("token_embedding.weight", ())
        return (
            "shared_embedding.weight" in shapes
            and places[:1] == (tokens,)
            and first[1:] == (read or features,)
        )

    def config(shapes: Shapes) -> dict[str, Any]:
        (numbers,) = shapes["number_mean"]
        told = shapes["number_embedding.0.weight"][1] if numbers else 0
        kinds = count_of(shapes, r"class_embeddings\.(\d+)\.")
        return {
            "tokens": tokens,
            "features": features,
            "width": shapes["position_embedding"][1],
            "layers": count_of(shapes, r"blocks\.(\d+)\."),
            "heads": heads,
            "condition_width": shapes["time_embedding.0.weight"][0],
            "classes": [shapes[f"class_embeddings.{at}.weight"][0] - 1 for at in range(kinds)],
            "numbers": numbers,
            "octaves": (told // numbers - 2) // 2 if numbers else 0,
            "gives_clean": gives_clean,
        }

    schedule: Config = {**EULER_FLOW, "shift": shift}
    return FileLayout(
        name,
        title,
        class_name,
        matches=matches,
        config=config,
        convert=lambda tensors, _: dict(tensors),
        scheduler=lambda _: schedule,
    )
