"""Film grain."""

from typing import Annotated

from nodegraph import Image, Range, Seed, node


@node(category="image/filter", tags=("noise", "analog"))
def FilmGrain(
    image: Image,
    amount: Annotated[float, Range(0, 1, step=0.01)] = 0.15,
    size: Annotated[int, Range(1, 16)] = 2,
    seed: Annotated[int, Seed()] = 0,
) -> Image:
    """Add film grain, strongest in the midtones.

    Args:
        image: Input image.
        amount: Standard deviation of the grain in the midtones.
        size: Size of a grain in pixels.
        seed: Seed of the grain.
    """
    import torch
    from torch.nn.functional import interpolate

    batch, height, width, _ = image.shape
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, 1, -(-height // size), -(-width // size))
    noise = torch.randn(shape, generator=generator)
    grain = interpolate(noise, scale_factor=size, mode="bilinear")[..., :height, :width]
    luminance = image[..., :3].mean(-1, keepdim=True)
    midtones = 4 * luminance * (1 - luminance)  # 1 at middle gray, 0 at black and white
    return (image + amount * midtones * grain.movedim(1, -1)).clamp(0, 1)
