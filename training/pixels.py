"""Pictures as arrays, as tensors, and as contact sheets."""

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

Pixels = npt.NDArray[np.uint8]
"""RGB picture or batch of pictures, (..., height, width, 3), 0 to 255."""


def to_tensor(pictures: Pixels) -> Tensor:
    """(n, h, w, 3), 0..255, to float32 (n, 3, h, w), -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def to_pixels(images: Tensor) -> Pixels:
    """(n, 3, h, w), -1..1, to uint8 (n, h, w, 3)."""
    scaled = (images.float().clamp(-1, 1) + 1.0) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def in_parts(images: Tensor, size: int = 64) -> list[Tensor]:
    """A batch in pieces that fit in memory."""
    return [images[start : start + size] for start in range(0, len(images), size)]


def sheet(pictures: Pixels, columns: int, scale: int = 1) -> Image.Image:
    """Pictures of one size, (count, height, width, 3), as rows of a contact sheet."""
    count, height, width, _ = pictures.shape
    rows = -(-count // columns)
    grid = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top, left = row * height, column * width
        grid[top : top + height, left : left + width] = picture
    image = Image.fromarray(grid)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
