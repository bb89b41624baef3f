"""Before diffusion: networks that make a latent in one go, and how sets of pictures compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Context,
    Image,
    ImageEncoder,
    InvalidValue,
    Latent,
    MultipleOf,
    Plot,
    Range,
    Seed,
    Vae,
    node,
)
from nodegraph.families.embedded_models import DecoderName
from nodegraph.families.helper_recipes import LatentClassifier

from ._history_facts import check_compared, decoded_latent_facts

if TYPE_CHECKING:
    from torch import Tensor


@node(
    category="sampling",
    label="Sample a GAN or a VAE",
    numerics=True,
    infer=decoded_latent_facts,
    tags=("GAN", "VAE", "generator", "decoder", "history", "one step", "DCGAN", "learn"),
)
def SampleDecoder(
    model: DecoderName = "gan",
    count: Annotated[int, Range(1, 4096)] = 16,
    seed: Annotated[int, Seed()] = 0,
    spread: Annotated[float, Range(0, 2, step=0.05)] = 1.0,
) -> Latent:
    """Make latents in one go with a small GAN or VAE that comes along: 128 pixels, no prompt.

    Both learned the latents of pictures that the model tiny learned from: sixteen things, one large
    on a plain background each. The VAE of tiny decodes them.

    Args:
        model: A generator that learned against a critic (GAN), or a decoder that learned with an
            encoder (VAE).
        count: How many.
        seed: Of the first one; the next ones count up from it.
        spread: Below 1 more usual pictures, and fewer kinds; above 1 stranger ones.
    """
    from nodegraph.families.vector_decoders import decoder_samples

    return decoder_samples(model, count, seed, spread)


class ComparedSets(NamedTuple):
    """How a set of pictures is beside a reference.

    Attributes:
        frechet: Distance of the features' distributions, as FID is; 0 is alike.
        precision: Share of the made ones that look like some of the reference: quality.
        recall: Share of the reference that could be made: variety.
        coverage: Share of the reference that something made is near to: variety.
        plot: The shares as bars; JoinPlots puts several models side by side.
        report: All of it as text.
    """

    frechet: float
    precision: float
    recall: float
    coverage: float
    plot: Plot
    report: str


@node(
    category="image/compare",
    version=2,
    lane="gpu",
    numerics=True,
    validate=check_compared,
    tags=("FID", "Fréchet", "precision", "recall", "coverage", "diversity", "quality", "metric"),
)
def CompareSets(
    ctx: Context,
    reference: list[Image],
    made: list[Image],
    classifier: LatentClassifier | None = None,
    vae: Vae | None = None,
    encoder: ImageEncoder | None = None,
    name: str = "",
    neighbours: Annotated[int, Range(1, 100), Advanced()] = 3,
    side: Annotated[int, Range(32, 1024), MultipleOf(32), Advanced()] = 128,
) -> ComparedSets:
    """Measure how a set of pictures is beside real ones: Fréchet distance, precision, recall.

    Take as many of each, a hundred at least, and compare the reference with other real pictures,
    too: that is as good as it gets.

    Args:
        reference: Real pictures.
        made: Pictures of a model.
        classifier: By what it looks at pictures are compared; with the vae of its model.
        vae: Of the model that the classifier is for.
        encoder: Or by what this sees, such as CLIP's, which knows all kinds of pictures.
        name: Of the model, in the plot.
        neighbours: How far a picture's surroundings reach.
        side: Pixels of the squares that the classifier is shown.
    """
    from nodegraph.sampling.picture_sets import by_classifier, compare_sets

    if encoder is not None:
        from nodegraph.models.ip_adapters.image_prompts import embed_images

        with ctx.weights(encoder, calls_only=True) as eyes:

            def describe_encoded(part: Tensor) -> Tensor:
                return embed_images(eyes, part, reads_patches=False)[0][0]

            return ComparedSets(
                *compare_sets(ctx, reference, made, describe_encoded, name, neighbours)
            )
    if classifier is None or vae is None:
        raise InvalidValue(
            "there is nothing that sees the pictures",
            port="classifier",
            expected="a classifier and the vae of its model, or an image encoder",
            hint="Link LoadClassifier and LoadModel's vae; or LoadImageEncoder.",
        )
    with (
        ctx.weights(classifier, calls_only=True) as judge,
        ctx.weights(vae, calls_only=True) as autoencoder,
    ):
        describe = by_classifier(judge, autoencoder, side)
        return ComparedSets(*compare_sets(ctx, reference, made, describe, name, neighbours))
