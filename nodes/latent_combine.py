"""Latents joined, repeated, pasted, mixed and added."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Latent, Mask, Range, node

from ._latent_facts import KEPT, check_compatible_latents, check_pasted, combined_latent_facts

_OF_FIRST = {name: f"first.{name}" for name in ("width", "height", "frames", "channels", "format")}
_PASTED = {name: f"destination.{name}" for name in ("width", "height", "frames")}


@node(
    category="latent/combine",
    facts={"latent": _OF_FIRST},
    validate=check_compatible_latents,
    tags=("batch", "LatentBatch", "concatenate", "list to batch"),
)
def JoinLatents(first: list[Latent], second: list[Latent] | None = None) -> Latent:
    """Put latents into one batch.

    Its items draw noise by their places in it, unless LatentFromBatch or SetItemSeeds gave some
    of them others: then all keep what they had.

    Args:
        first: One, or a list of them, all of one size and model.
        second: More, which come behind.
    """
    from nodegraph.sampling.latents.combination import join_latents

    return join_latents(first, second or ())


@node(
    category="latent/combine",
    facts={"latent": {name: fact for name, fact in KEPT.items() if name != "batch"}},
    tags=("RepeatLatentBatch", "batch", "copies", "variations", "batch size"),
)
def RepeatLatent(latent: Latent, times: Annotated[int, Range(1, 4096)] = 2) -> Latent:
    """Take a latent several times, in one batch; each copy draws noise of its own.

    Args:
        latent: One, or a batch, which is repeated as a whole.
        times: How often.
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
    """Mix two latents, such as of two pictures: then sample a little over it.

    Args:
        first: Of a picture, or with noise left in it.
        second: As large and of the same model; of one of them a single one may go with a batch.
        share: Of the second: 0 is the first alone, 1 the second alone.
        method: Spherical goes along the arc between the two (slerp), which keeps the spread of
            noise and contrast; linear is the mean.
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
    """Add a latent to another, times a number.

    Args:
        first: That is added to.
        second: As large and of the same model.
        scale: What the second is multiplied by; -1 subtracts it.
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
    """Paste a latent into another. Where it isn't pasted, nothing changes.

    Args:
        destination: What is pasted into; an empty one is all zeros.
        source: What is pasted; what lies beyond the destination is left out.
        x, y: Where its upper left corner comes, in pixels: whole cells, of 8 pixels mostly.
        feather: Pixels over which it fades at its edges, but where they are the destination's own.
        mask: 1 takes the source, 0 keeps the destination; it is scaled to the source's size.
    """
    from nodegraph.sampling.latents.combination import composite_latents

    return composite_latents(destination, source, x, y, mask=mask, feather=feather)
