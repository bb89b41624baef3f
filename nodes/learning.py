"""Inspect a diffusion model: single predictions and attention maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Conditioning,
    Context,
    DiffusionModel,
    Finding,
    HookInputs,
    Image,
    Latent,
    Mask,
    NodegraphError,
    PromptText,
    Range,
    Seed,
    TextEncoder,
    node,
)
from nodegraph.models import facts as looked_into
from nodegraph.models.facts import ScaleOf

from ._facts import error_to_finding
from ._mask_facts import SAME_SIZE_RGB
from ._sampling_facts import LATENT_FACTS

Share = Annotated[float, Range(0, 1, step=0.05)]
_FACTS = {**LATENT_FACTS, "channels": "model.channels", "format": "model.format"}


def check_attention_support(inputs: HookInputs) -> Iterator[Finding]:
    """Find models whose attention cannot be recorded."""
    family = inputs.fact("model", "family")
    if family is None:
        return
    try:
        looked_into.check_attention_support(family)
    except NodegraphError as error:
        yield error_to_finding("model", error)


class Prediction(NamedTuple):
    """Predictions of a model for a noisy latent.

    Attributes:
        clean: Guided prediction of the clean latent.
        noise: Guided prediction of the noise.
        positive: Prediction of the clean latent from the positive prompt alone.
        negative: Prediction of the clean latent from the negative prompt alone.
        difference: Positive minus negative. Guidance adds it cfg times to negative.
    """

    clean: Latent
    noise: Latent
    positive: Latent
    negative: Latent
    difference: Latent


@node(
    category="sampling",
    label="Predict once",
    lane="gpu",
    numerics=True,
    facts=dict.fromkeys(Prediction._fields, _FACTS),
    tags=("UNet", "x0", "epsilon", "noise prediction", "guidance", "learn", "explain", "cfg"),
)
def PredictOnce(
    ctx: Context,
    model: DiffusionModel,
    positive: Conditioning,
    negative: Conditioning | None = None,
    *,
    latent: Latent,
    cfg: Annotated[float, Range(0, 100, step=0.1)] = 4.0,
) -> Prediction:
    """Evaluate a model once on a noisy latent and return the parts of its prediction.

    Nothing is sampled. All outputs are latents, so VAEDecode can show them as images.

    Args:
        model: The diffusion model that removes the noise.
        positive: The prompt: what the image should show.
        negative: The negative prompt: what the image should not show. If not linked, the empty
            prompt is used.
        latent: A noisy latent, from AddNoise or from a sampling that stopped early.
        cfg: Guidance scale of clean and noise.
    """
    from nodegraph.sampling.model_inspection import predict_once

    with ctx.weights(model, calls_only=True) as denoiser:
        return Prediction(*predict_once(denoiser, latent, positive, negative, cfg))


class WordMasks(NamedTuple):
    """Attention maps per word.

    Attributes:
        words: The words in the order of the prompt.
        maps: One map per word. Brighter areas have more attention.
    """

    words: list[str]
    maps: list[Mask]


@node(
    category="sampling",
    label="Attention maps",
    lane="gpu",
    numerics=True,
    validate=check_attention_support,
    tags=("DAAM", "cross-attention", "heat map", "words", "explain", "interpret", "learn"),
)
def AttentionMaps(
    ctx: Context,
    model: DiffusionModel,
    encoder: TextEncoder,
    latent: Latent,
    text: Annotated[str, PromptText()] = "",
    levels: Annotated[int, Range(1, 100)] = 4,
    scale: ScaleOf = "each word",
    seed: Annotated[int, Seed(), Advanced()] = 0,
) -> WordMasks:
    """Record cross-attention maps of a UNet for each word of a prompt.

    Noise of several levels is added to the image, and the model is evaluated at each. The maps are
    averaged over levels, layers and heads.

    Args:
        model: A Stable Diffusion 1, 2 or XL model.
        encoder: The text encoder of the same model.
        latent: The latent of the image, sampled or from VAEEncode.
        text: The prompt.
        levels: Number of noise levels to evaluate.
        scale: Whether 1 is the maximum of each word, or the maximum of all words.
        seed: Seed of the noise.
    """
    from nodegraph.sampling.model_inspection import word_maps

    with (
        ctx.weights(model, calls_only=True) as denoiser,
        ctx.weights(encoder, calls_only=True) as reader,
    ):
        maps = word_maps(
            denoiser,
            reader,
            text,
            latent,
            levels=levels,
            seed=seed,
            scale=scale,
            on_level=lambda done: ctx.progress(done, levels),
        )
    return WordMasks(*maps)


@node(
    category="image/draw",
    facts=SAME_SIZE_RGB,
    tags=("heat map", "overlay", "attention", "colormap", "show mask"),
)
def DrawHeat(image: Image, mask: Mask, opacity: Share = 0.65) -> Image:
    """Draw a mask as a heat map over a gray image: dark for 0, bright yellow for 1.

    Args:
        image: The image below the heat map.
        mask: A mask, for example from AttentionMaps. It is scaled to the size of the image.
        opacity: Opacity of the heat map.
    """
    from nodegraph.media.images.masks import overlay_heatmap

    return overlay_heatmap(image, mask, opacity)
