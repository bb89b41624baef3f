"""Prompts."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Conditioning, Context, Image, Latent, Multiline, TextEncoder, node

from ._facts import check_prompt
from ._memory import prompting


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts={"conditioning": {"family": "encoder.family"}},
    validate=check_prompt,
    estimate=prompting,
    tags=("prompt", "clip"),
)
def EncodePrompt(
    ctx: Context, encoder: TextEncoder, text: Annotated[str, Multiline()] = ""
) -> Conditioning:
    r"""Turn a prompt into what leads a model.

    (words:1.3) weighs words more, (words) is 1.1 times, [words] divides by 1.1; \( is a plain
    bracket. A prompt longer than the encoder takes at once is encoded in parts.

    Args:
        encoder: Of the model that is to be led.
        text: What the picture is to show.
    """
    from nodegraph.diffusion.text import encode_prompt

    with ctx.weights(encoder, calls_only=True) as text_model:
        return encode_prompt(text_model, text, warn=lambda said: ctx.log(said, "warning"))


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts={"conditioning": {"family": "encoder.family"}},
    estimate=prompting,
    tags=("prompt", "edit", "qwen"),
)
def EncodeEditPrompt(
    ctx: Context,
    encoder: TextEncoder,
    images: list[Image],
    text: Annotated[str, Multiline()] = "",
) -> Conditioning:
    """Turn what is to be made of pictures into what leads a model that edits.

    The encoder of such a model sees the pictures beside the words. The model itself sees them
    through ReferenceLatents. A negative prompt is made of the same pictures.

    Args:
        encoder: Of Qwen-Image-Edit, which looks at one picture, or Edit Plus.
        images: What it looks at; a batch counts as that many pictures.
        text: What to make of them.
    """
    from nodegraph.diffusion.text import encode_edit

    with ctx.weights(encoder, calls_only=True) as text_model:
        return encode_edit(text_model, text, images, warn=lambda said: ctx.log(said, "warning"))


@node(
    category="conditioning",
    facts={"conditioning": {"family": "conditioning.family"}},
    tags=("edit", "kontext", "reference"),
)
def ReferenceLatents(conditioning: Conditioning, latent: Latent) -> Conditioning:
    """Show pictures to a model that edits, such as Flux.1 Kontext, Flux.2 or Qwen-Image-Edit.

    Several, one after the other, show it several pictures.

    Args:
        conditioning: What to make of them. A negative prompt needs none of its own: it takes those
            of the positive one.
        latent: The pictures, encoded by the model's VAE; they may have other sizes than the result.
    """
    from nodegraph.diffusion.text import with_references

    return with_references(conditioning, latent)
