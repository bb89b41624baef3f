"""Small datasets."""

from __future__ import annotations

from pathlib import Path

import torch

from nodegraph import Dataset, Environment, Example
from nodegraph.media.images.images import encode_image_file


def picture(seed: int, width: int = 24, height: int = 16, channels: int = 3) -> torch.Tensor:
    """Soft random colors, shape (height, width, channels)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, 4, 4, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return fine[0].movedim(0, -1).contiguous()


def write_picture(path: Path, seed: int, width: int = 24, height: int = 16) -> Path:
    """A file with such an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image_file(picture(seed, width, height)))
    return path


def dataset(count: int = 3, **settings: object) -> Dataset:
    """One of inline images, with captions."""
    examples = (Example(picture(at), f"p{at}", f"image {at}") for at in range(count))
    return Dataset(tuple(examples), **settings)  # type: ignore[arg-type]


def environment(folder: Path, **more: object) -> Environment:
    """One whose inputs are a folder."""
    given: dict[str, object] = {"models": (), "inputs": folder, "outputs": folder / "out"}
    return Environment(**given, temporary=folder, **more)  # type: ignore[arg-type]
