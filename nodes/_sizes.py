"""Sizes that models were trained on, by family and proportions. Imports no torch."""

from __future__ import annotations

from math import log, sqrt

LARGEST = 16_384
TRAINED: dict[str, tuple[int, int]] = {
    "tiny": (128 * 128, 8),
    "sd1": (512 * 512, 64),
    "sd2": (768 * 768, 64),
    "sdxl": (1024 * 1024, 64),
    "sd3": (1024 * 1024, 64),
    "pixart-sigma": (1024 * 1024, 32),
    "flux": (1024 * 1024, 16),
    "flux-kontext": (1024 * 1024, 16),
    "flux2": (1024 * 1024, 16),
    "chroma": (1024 * 1024, 16),
    "hidream": (1024 * 1024, 16),
    "lumina2": (1024 * 1024, 16),
    "sana": (1024 * 1024, 32),
    "z-image": (1024 * 1024, 16),
    "qwen-image": (1328 * 1328, 16),
    "hunyuan-image": (2048 * 2048, 32),
    "wan": (832 * 480, 16),
    "wan22-5b": (1280 * 704, 32),
    "ltx": (768 * 512, 32),
}
"""Pixels of a picture or a frame, and what its sides are multiples of."""
BUCKETS: dict[str, tuple[tuple[int, int], ...]] = {
    # Podell et al. 2023, arXiv:2307.01952, appendix I: those that are wider than high.
    "sdxl": (
        *((1024, 1024), (1024, 960), (1088, 960), (1088, 896), (1152, 896), (1152, 832)),
        *((1216, 832), (1280, 768), (1344, 768), (1344, 704), (1408, 704), (1472, 704)),
        *((1536, 640), (1600, 640), (1664, 576), (1728, 576), (1792, 576), (1856, 512)),
        *((1920, 512), (1984, 512), (2048, 512)),
    ),
    # Of Flux.1 Kontext, as diffusers' pipeline has them.
    "flux-kontext": (
        *((1024, 1024), (1104, 944), (1184, 880), (1248, 832), (1328, 800), (1392, 752)),
        *((1456, 720), (1504, 688), (1568, 672)),
    ),
    # The model card of Qwen/Qwen-Image.
    "qwen-image": ((1328, 1328), (1472, 1104), (1584, 1056), (1664, 928)),
}
"""Widths and heights that a family was trained on, of those that name them."""


def size_for(
    family: str, wide: float, high: float, *, megapixels: float = 0.0, multiple: int = 0
) -> tuple[int, int]:
    """Width and height in pixels that a family likes, nearest to some proportions.

    Args:
        wide, high: The proportions, above 0.
        megapixels: Pixels of the whole in millions; 0 for what the family was trained on.
        multiple: What the sides are to be multiples of; 0 for what the family takes.
    """
    pixels, step = TRAINED[family]
    ratio = wide / high
    if not megapixels and not multiple and family in BUCKETS:
        sizes = [*BUCKETS[family], *((height, width) for width, height in BUCKETS[family])]
        return min(sizes, key=lambda size: abs(log(size[0] / size[1] / ratio)))
    if megapixels:
        pixels = round(megapixels * 1_000_000)
    step = multiple or step
    width = sqrt(pixels * ratio)
    return _nearest(width, step), _nearest(width / ratio, step)


def _nearest(length: float, step: int) -> int:
    return min(max(step, round(length / step) * step), LARGEST // step * step)
