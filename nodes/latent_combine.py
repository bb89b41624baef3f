"""Latents: join, repeat, blend, add and composite."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Latent, Mask, Range, node

from ._latent_facts import (
    KEPT,
    check_compatible_latents,
    check_concatenated,
    check_pasted,
    combined_latent_facts,
    concatenated_latent_facts,
)

_OF_FIRST = {name: f"first.{name}" for name in ("width", "height", "frames", "channels", "format")}
_PASTED = {name: f"destination.{name}" for name in ("width", "height", "frames")}


@node(
    category="latent/combine",
    facts={"latent": _OF_FIRST},
    validate=check_compatible_latents,
    tags=("batch", "LatentBatch", "concatenate", "list to batch"),
)
def JoinLatents(first: list[Latent], second: list[Latent] | None = None) -> Latent:
    """Join latents into one batch.

    Each item draws noise by its position in the batch. If LatentFromBatch or SetItemSeeds set the
    seeds of some items, all items keep the seeds they had.

    Args:
        first: One latent, or a list of latents of the same size and model.
        second: More latents, appended after the first.
    """
    from nodegraph.sampling.latents.combination import join_latents

    return join_latents(first, second or ())


@node(
    category="latent/combine",
    label="Concatenate latents",
    infer=concatenated_latent_facts,
    validate=check_concatenated,
    tags=("LatentConcat", "side by side", "stack", "in context", "append frames"),
)
def ConcatLatents(first: Latent, second: Latent, axis: Literal["x", "y", "t"] = "x") -> Latent:
    """Concatenate two latents in one image or video: side by side, one below the other, or in time.

    Args:
        first: The latent on the left, at the top or at the start.
        second: A latent of the same model. Its other sides are those of the first. If one of the
            two is a single item, it is used for the whole batch.
        axis: x for the width, y for the height, t for the frames of a video.
    """
    from nodegraph.sampling.latents.combination import concatenate_latents

    return concatenate_latents(first, second, axis)


@node(
    category="latent/combine",
    tags=("RebatchLatents", "unbatch", "batch to list", "for each", "separate"),
)
def LatentList(latent: Latent) -> list[Latent]:
    """Split a batch of latents into a list, so that the following nodes run once per latent.

    The latents keep their noise seeds and leftover noise.

    Args:
        latent: The batch.
    """
    from nodegraph.sampling.latents.combination import take_items

    return [take_items(latent, index, 1) for index in range(latent.batch_size)]


@node(
    category="latent/combine",
    facts={"latent": {name: fact for name, fact in KEPT.items() if name != "batch"}},
    tags=("RepeatLatentBatch", "batch", "copies", "variations", "batch size"),
)
def RepeatLatent(latent: Latent, times: Annotated[int, Range(1, 4096)] = 2) -> Latent:
    """Repeat a latent in a batch. Each copy draws different noise.

    Args:
        latent: A single latent or a batch, which is repeated as a whole.
        times: Number of copies.
    """
    from nodegraph.sampling.latents.combination import repeat_latent

    return repeat_latent(latent, times)


@node(
    category="latent/combine",
    infer=combined_latent_facts,
    validate=check_compatible_latents,
    tags=("mix", "interpolate", "LatentBlend", "LatentInterpolate", "slerp", "lerp", "morph"),
)
def BlendLatents(
    first: Latent,
    second: Latent,
    share: Annotated[float, Range(0, 1, step=0.01)] = 0.5,
    method: Literal["spherical", "linear"] = "spherical",
) -> Latent:
    """Blend two latents, for example of two images.

    Sample the result with a low denoise to clean it.

    Args:
        first: The latent of an image, or one with leftover noise.
        second: A latent of the same size and model. If one of the two is a single item, it is used
            for the whole batch.
        share: Share of the second: 0 is only the first, 1 is only the second.
        method: Spherical interpolates along an arc (slerp), which keeps contrast and the variance
            of noise. Linear is the weighted mean.
    """
    from nodegraph.sampling.latents.combination import blend_latents

    return blend_latents(first, second, share, method)


@node(
    category="latent/combine",
    infer=combined_latent_facts,
    validate=check_compatible_latents,
    tags=("LatentAdd", "LatentSubtract", "LatentMultiply", "math", "difference", "sum"),
)
def AddLatents(
    first: Latent, second: Latent, scale: Annotated[float, Range(-100, 100, step=0.05)] = 1.0
) -> Latent:
    """Add a scaled latent to another.

    Args:
        first: The latent to add to.
        second: A latent of the same size and model.
        scale: Factor on the second. -1 subtracts it.
    """
    from nodegraph.sampling.latents.combination import add_latents

    return add_latents(first, second, scale)


@node(
    category="latent/combine",
    facts={"latent": {**_PASTED, "channels": "source.channels", "format": "source.format"}},
    validate=check_pasted,
    tags=("paste", "LatentComposite", "LatentCompositeMasked", "overlay", "insert"),
)
def CompositeLatent(
    destination: Latent,
    source: Latent,
    x: Annotated[int, Range(0, 16384, step=8)] = 0,
    y: Annotated[int, Range(0, 16384, step=8)] = 0,
    feather: Annotated[int, Range(0, 4096, step=8)] = 0,
    mask: Mask | None = None,
) -> Latent:
    """Paste a latent into another. Outside the pasted area nothing changes.

    Args:
        destination: The latent to paste into. An empty latent is all zeros.
        source: The latent to paste. Parts outside the destination are dropped.
        x, y: Position of the upper left corner, in pixels. It is a multiple of the cell size,
            usually 8 pixels.
        feather: Width of the soft edge, in pixels. Edges on the border of the destination are not
            softened.
        mask: 1 uses the source, 0 keeps the destination. The mask is scaled to the size of the
            source.
    """
    from nodegraph.sampling.latents.combination import composite_latents

    return composite_latents(destination, source, x, y, mask=mask, feather=feather)
