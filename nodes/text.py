"""Prompts."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Conditioning, Context, Multiline, TextEncoder, node

from ._facts import check_prompt


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts={"conditioning": {"family": "encoder.family"}},
    validate=check_prompt,
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
