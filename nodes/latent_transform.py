"""Latents flipped, turned, cut and scaled."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Latent, Range, node

from ._latent_facts import (
    KEPT,
    check_cropped,
    check_scaled,
    resized_latent_facts,
    rotated_latent_facts,
)

Pixels = Annotated[int, Range(0, 16384, step=8)]


@node(
    category="latent/transform",
    facts={"latent": KEPT},
    tags=("mirror", "LatentFlip", "flip horizontally", "flip vertically"),
)
def FlipLatent(latent: Latent, axis: Literal["horizontal", "vertical"] = "horizontal") -> Latent:
    """Mirror a latent.

    What it decodes to is the mirrored picture about; sample a little over it.

    Args:
        latent: Any, also an empty one; its noise mask comes along.
        axis: Horizontal swaps left and right, vertical top and bottom.
    """
    from nodegraph.sampling.latents.transforms import flip_latent

    return flip_latent(latent, axis)


@node(
    category="latent/transform",
    infer=rotated_latent_facts,
    tags=("rotate", "LatentRotate", "orientation"),
)
def RotateLatent(latent: Latent, angle: Literal["90", "180", "270"] = "90") -> Latent:
    """Turn a latent by quarters of a circle, clockwise.

    Args:
        latent: Any, also an empty one; its noise mask comes along.
        angle: Degrees.
    """
    from nodegraph.sampling.latents.transforms import rotate_latent

    return rotate_latent(latent, int(angle) // 90)


@node(
    category="latent/transform",
    facts={
        "latent": {
            **{name: KEPT[name] for name in ("batch", "frames", "channels", "format")},
            "width": "width",
            "height": "height",
        }
    },
    validate=check_cropped,
    tags=("cut", "LatentCrop", "part"),
)
def CropLatent(
    latent: Latent,
    x: Pixels = 0,
    y: Pixels = 0,
    width: Annotated[int, Range(8, 16384, step=8)] = 512,
    height: Annotated[int, Range(8, 16384, step=8)] = 512,
) -> Latent:
    """Keep a part of a latent.

    Args:
        latent: Any, also an empty one; its noise mask comes along.
        x, y: Where the part begins, in pixels from the left and from the top: whole cells, of 8
            pixels mostly.
        width, height: Of the part, in pixels.
    """
    from nodegraph.sampling.latents.transforms import crop_latent

    return crop_latent(latent, x, y, width, height)


@node(
    category="latent/transform",
    infer=resized_latent_facts,
    validate=check_scaled,
    tags=("upscale", "LatentUpscale", "LatentUpscaleBy", "hires fix", "scale", "highres fix"),
)
def ResizeLatent(
    latent: Latent,
    factor: Annotated[float, Range(0.01, 32, step=0.05)] = 1.5,
    width: Pixels = 0,
    height: Pixels = 0,
    method: Literal["bislerp", "bicubic", "bilinear", "area", "nearest"] = "bislerp",
) -> Latent:
    """Scale a latent, such as for a hires fix: then sample it with denoise 0.4 to 0.7.

    Args:
        latent: Any, also an empty one; its noise mask comes along.
        factor: How many times larger its sides get; rounded to whole cells, of 8 pixels mostly.
        width, height: In pixels, in place of the factor; 0 of one of them keeps the proportions.
        method: How cells are made of others. Bislerp goes between two along an arc, which keeps
            their contrast; bicubic and bilinear soften, area averages, nearest repeats.
    """
    from nodegraph.sampling.latents.transforms import resize_latent

    return resize_latent(latent, width, height, factor, method)
