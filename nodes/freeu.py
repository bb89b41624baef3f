"""FreeU and factors of attention: changes to how networks compute over the same weights."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Choices, DiffusionModel, Range, TextEncoder, node
from nodegraph.models.speed.speed_support import (
    LAYERS,
    MOST,
    VERSIONS,
    FreeUFactors,
    with_attention_factors,
    with_freeu,
)

from ._prompt_facts import shared_weights
from ._speed_facts import (
    added_weights,
    check_freeu_model,
    check_scaled_encoder,
    check_scaled_model,
    freeu_outputs,
    scaled_attention_outputs,
)

Factor = Annotated[float, Range(0, MOST, step=0.05)]


class FreeUModel(NamedTuple):
    """A model with FreeU."""

    model: DiffusionModel


@node(
    category="sampling",
    label="FreeU",
    infer=freeu_outputs,
    validate=check_freeu_model,
    estimate=added_weights,
    tags=("FreeU_V2", "free lunch", "skip", "backbone", "detail", "contrast", "unet"),
)
def FreeU(
    model: DiffusionModel,
    b1: Factor = 1.3,
    b2: Factor = 1.4,
    s1: Factor = 0.9,
    s2: Factor = 0.2,
    version: Annotated[str, Choices(VERSIONS), Advanced()] = "v2",
) -> FreeUModel:
    """Improve a UNet's details with FreeU (arXiv:2309.11497), at almost no extra time.

    It strengthens the backbone features of the UNet's decoder, which carry shapes, and weakens the
    skip features, which carry fine texture.

    Args:
        model: Stable Diffusion 1, 2 or XL, or another UNet.
        b1, b2: Factors of the backbone features at the deepest decoder stage and the next one. 1.3
            and 1.4 are usual; 1.1 and 1.2 for SDXL.
        s1, s2: Factors of the low frequencies of the skip features at these stages. 0.9 and 0.2 are
            usual.
        version: v2 applies b where features are strong, v1 everywhere. The FreeU of diffusers is v1
            at the first two stages, independent of their width.
    """
    return FreeUModel(with_freeu(model, FreeUFactors(b1, b2, s1, s2, version)))


@node(
    category="sampling",
    infer=scaled_attention_outputs,
    validate=check_scaled_model,
    estimate=added_weights,
    tags=("UNetSelfAttentionMultiply", "UNetCrossAttentionMultiply", "attention multiply", "unet"),
)
def ScaleAttention(
    model: DiffusionModel,
    layers: Annotated[str, Choices(LAYERS)] = "self",
    query: Factor = 1.0,
    key: Factor = 1.0,
    value: Factor = 1.0,
    output: Factor = 1.0,
) -> FreeUModel:
    """Scale the attention projections of a UNet.

    Larger queries or keys make attention more selective. The output factor sets how much attention
    adds to the features. LoRAs of these projections are scaled, too.

    Args:
        model: Stable Diffusion 1, 2 or XL, or another UNet.
        layers: self for attention within the image, cross for attention to the prompt.
        query, key, value, output: Factors of the projections. 1 has no effect.
    """
    return FreeUModel(with_attention_factors(model, (query, key, value, output), layers))


@node(
    category="conditioning",
    facts={"text_encoder": {"family": "encoder.family", "lacks": "encoder.lacks"}},
    validate=check_scaled_encoder,
    estimate=shared_weights,
    tags=("CLIPAttentionMultiply", "attention multiply", "clip"),
)
def ScaleEncoderAttention(
    encoder: TextEncoder,
    query: Factor = 1.0,
    key: Factor = 1.0,
    value: Factor = 1.0,
    output: Factor = 1.0,
) -> TextEncoder:
    """Scale the attention projections of CLIP text encoders. Other text encoders stay.

    Args:
        encoder: A text encoder with CLIP.
        query, key, value, output: Factors of the projections. 1 has no effect.
    """
    return with_attention_factors(encoder, (query, key, value, output))
