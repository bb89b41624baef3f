"""Looking into a diffusion model: what it says when it is asked once, and where it looks."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Conditioning,
    Context,
    DiffusionModel,
    Image,
    Latent,
    Mask,
    Multiline,
    Range,
    Seed,
    TextEncoder,
    node,
)
from nodegraph.models.facts import ScaleOf

from ._learning_facts import check_attention_support
from ._mask_facts import SAME_SIZE_RGB
from ._sampling_facts import LATENT_FACTS

Share = Annotated[float, Range(0, 1, step=0.05)]
_FACTS = {**LATENT_FACTS, "channels": "model.channels", "format": "model.format"}


class Prediction(NamedTuple):
    """What a model says about a noisy latent.

    Attributes:
        clean: What it takes the latent to be without noise, guided.
        noise: What it takes for noise in it, guided.
        positive: As clean, by the positive prompt alone.
        negative: As clean, by the negative prompt alone.
        difference: Positive less negative, which guidance adds cfg times to negative.
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
    """Ask a model once about a noisy latent, and take its answer apart: no sampling.

    All are latents, so that VAEDecode shows them as pictures.

    Args:
        model: What removes the noise.
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        latent: With noise in it: of AddNoise, or of a sampling that stopped early.
        cfg: How strongly prompts lead in clean and noise.
    """
    from nodegraph.sampling.model_inspection import predict_once

    with ctx.weights(model, calls_only=True) as denoiser:
        return Prediction(*predict_once(denoiser, latent, positive, negative, cfg))


class WordMasks(NamedTuple):
    """Where a model looks for words.

    Attributes:
        words: In the prompt's order.
        maps: Of each; brighter where it looks.
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
    text: Annotated[str, Multiline()] = "",
    levels: Annotated[int, Range(1, 100)] = 4,
    scale: ScaleOf = "each word",
    seed: Annotated[int, Seed(), Advanced()] = 0,
) -> WordMasks:
    """Record where in a picture a UNet looks for each word of a prompt: its cross-attention.

    The picture gets noise at some levels, the model is asked about each, and attention is averaged
    over levels, layers and heads.

    Args:
        model: Of Stable Diffusion 1, 2 or XL.
        encoder: Of the same model.
        latent: Of the picture: sampled, or of VAEEncode.
        text: The prompt.
        levels: How many noise levels it is asked at.
        scale: Whether the brightest place of each word is 1, or that of all words together.
        seed: Of the noise.
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
    """Draw a mask over a grey picture as heat: dark where it is 0, bright yellow where it is 1.

    Args:
        image: What is below.
        mask: Such as of AttentionMaps; scaled to the picture.
        opacity: How much of the heat shows.
    """
    from nodegraph.media.images.masks import overlay_heatmap

    return overlay_heatmap(image, mask, opacity)
