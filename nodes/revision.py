"""Images as a prompt for Stable Diffusion XL (Revision) and Stable Cascade."""

from __future__ import annotations

from typing import Annotated

from nodegraph import (
    Advanced,
    Choices,
    Conditioning,
    Context,
    File,
    Image,
    ImageEncoder,
    Range,
    Seed,
    node,
)
from nodegraph.models.ip_adapters.image_prompt_files import open_image_encoder
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES

from ._ip_adapter_facts import check_image_encoder, check_revised, image_encoder_state


@node(
    category="control",
    lane="io",
    validate=check_image_encoder,
    fingerprint=image_encoder_state,
    tags=("CLIPVisionLoader", "clip vision", "bigG", "eyes", "image embeddings"),
)
def LoadImageEncoder(
    ctx: Context,
    image_encoder: Annotated[str, File("model")],
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
) -> ImageEncoder:
    """Load an image encoder: a CLIP vision model, or SigLIP's for HunyuanVideo 1.5.

    Args:
        image_encoder: Name in a models folder, or path of a .safetensors file or folder, for
            example CLIP ViT-bigG with its projection, or sigclip_vision_patch14_384.
        dtype: Precision in memory, as for LoadModel, but auto is always float32 on a CPU.
    """
    environment = ctx.environment
    return open_image_encoder(
        image_encoder,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
    )


@node(
    category="conditioning",
    label="Revise prompt by images",
    lane="gpu",
    numerics=True,
    facts={"conditioning": {"family": "conditioning.family"}},
    validate=check_revised,
    tags=(
        "unCLIPConditioning",
        "revision",
        "CLIPVisionEncode",
        "sdxl",
        "image prompt",
        "variation",
    ),
)
def ReviseConditioning(
    ctx: Context,
    conditioning: Conditioning,
    image_encoder: ImageEncoder,
    image: Image,
    strength: Annotated[float, Range(-10, 10, step=0.05)] = 1.0,
    noise: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 0.0,
    seed: Annotated[int, Seed(), Advanced()] = 0,
    adds: Annotated[bool, Advanced()] = False,
) -> Conditioning:
    """Use images as a prompt for Stable Diffusion XL (Revision) or stage C of Stable Cascade.

    Stable Diffusion XL: they replace the pooled embedding, and the token embeddings of the prompt
    still apply. Use an empty prompt to be guided only by the images. Stable Cascade reads the
    images beside the whole prompt.

    Args:
        conditioning: The positive prompt.
        image_encoder: CLIP ViT-bigG for Stable Diffusion XL, which matches the second text
            encoder. CLIP ViT-L/14 with its projection for Stable Cascade: the image_encoder folder
            of its prior.
        image: One or several images. Each image of a batch counts.
        strength: Strength of each image.
        noise: Noise that is added to the image embedding. The result follows the images more
            loosely. Stable Cascade takes none.
        seed: Seed of this noise.
        adds: Add the image embedding to that of the prompt, or to that of a previous node of this
            type, instead of replacing it.
    """
    from nodegraph.families.stable_cascade_prompts import STAGE_C_FAMILY, with_image_prompt
    from nodegraph.models.conditioning import with_pooled_image
    from nodegraph.models.ip_adapters.image_prompts import embed_images

    with ctx.weights(image_encoder, calls_only=True) as eyes:
        embeddings, _ = embed_images(eyes, image, reads_patches=False)
    if conditioning.family == STAGE_C_FAMILY:
        return with_image_prompt(conditioning, embeddings[0], strength, noise=noise, adds=adds)
    return with_pooled_image(
        conditioning, embeddings[0], strength, noise=noise, seed=seed, adds=adds
    )
