"""Latents as tokens: what transformers that read 2 x 2 patches have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, takewhile
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue
from nodegraph.families.model_step import Batch, Lead
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def pack_latents(latents: Tensor) -> Tensor:
    """Latents (n, channels, height, width) as tokens (n, height / 2 · width / 2, channels · 4)."""
    n, channels, height, width = latents.shape
    cut = latents.view(n, channels, height // 2, 2, width // 2, 2)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(n, height // 2 * (width // 2), channels * 4)


def unpack_latents(tokens: Tensor, height: int, width: int) -> Tensor:
    """What `packed` made tokens of, height and width in cells."""
    n, _, channels = tokens.shape
    cut = tokens.view(n, height // 2, width // 2, channels // 4, 2, 2)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(n, channels // 4, height, width)


def token_positions(
    height: int, width: int, device: torch.device, first: tuple[int, int, int] = (0, 0, 0)
) -> Tensor:
    """Where the tokens of a grid lie: (image, row, column); float32, (height · width, 3).

    Args:
        first: Of the first token.
    """
    positions = torch.zeros(height, width, 3, device=device)
    positions[..., 0] = first[0]
    positions[..., 1] += first[1] + torch.arange(height, device=device)[:, None]
    positions[..., 2] += first[2] + torch.arange(width, device=device)[None, :]
    return positions.reshape(height * width, 3)


def reference_positions(
    sizes: Sequence[tuple[int, int]], *, numbered: bool
) -> list[tuple[int, int, int]]:
    """Where the first token of each image to look at lies, as of `places`.

    They are all of image 1 and lie side by side, each where it makes the whole the least long;
    or each is an image of its own, the first number 1.

    Args:
        sizes: Heights and widths in tokens.
    """
    if numbered:
        return [(at, 0, 0) for at in range(1, len(sizes) + 1)]
    positions: list[tuple[int, int, int]] = []
    high = wide = 0
    for height, width in sizes:
        row, column = (0, wide) if high + height > wide + width else (high, 0)
        positions.append((1, row, column))
        high, wide = max(high, row + height), max(wide, column + width)
    return positions


def reference_tensors(references: Sequence[Tensor], side: Lead) -> dict[str, Tensor]:
    """Latents of images to look at, by the names that `referenced` finds them under.

    Where the sides are odd, the first row or column is repeated after the last one.

    Raises:
        InvalidValue: One isn't an image's.
    """
    for reference in references:
        if reference.ndim != 4:
            raise InvalidValue(
                "a reference image cannot be split into patches of 2 x 2 cells",
                port=side,
                given=f"a latent of shape {tuple(reference.shape)}",
                expected="(1, channels, height, width)",
            )
    return dict(zip(reference_names(), map(_evened, references), strict=False))


def _evened(latents: Tensor) -> Tensor:
    height, width = latents.shape[-2:]
    missing = (0, width % 2, 0, height % 2)
    return torch.nn.functional.pad(latents, missing, mode="circular") if any(missing) else latents


def reference_latents(batch: Batch) -> list[Tensor]:
    """The latents of a batch that `reference_tensors` named, in their order."""
    return [batch[name] for name in takewhile(batch.__contains__, reference_names())]


def reference_names() -> Iterator[str]:
    """What the tensors of a prompt are called that are latents of images to look at, in order."""
    return (f"reference {number}" for number in count(1))


def pad_residuals(residuals: Sequence[Tensor], tokens: int) -> list[Tensor]:
    """What is added to tokens (n, tokens, width), with nothing added to some more after them."""
    if not tokens:
        return list(residuals)
    return [torch.nn.functional.pad(item, (0, 0, 0, tokens)) for item in residuals]
