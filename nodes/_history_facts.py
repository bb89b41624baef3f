"""What nodes of the time before diffusion know before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs
from nodegraph.families.embedded_models import CHANNELS, DECODER_IMAGE_SIZE, FORMAT


def decoded_latent_facts(inputs: HookInputs) -> dict[str, Facts]:
    """How large the pictures are that the latents are of, and how many."""
    known: Facts = {
        "width": DECODER_IMAGE_SIZE,
        "height": DECODER_IMAGE_SIZE,
        "frames": 1,
        "channels": CHANNELS,
        "format": FORMAT,
    }
    count = inputs.literals.get("count", 16)
    return {"latent": {**known, **({} if count is None else {"batch": count})}}


def check_compared(inputs: HookInputs) -> Iterator[Finding]:
    """Find that there is nothing to see the pictures with."""
    linked = [name for name in ("classifier", "vae", "encoder") if name not in inputs.literals]
    if "encoder" in linked or {"classifier", "vae"} <= set(linked):
        return
    yield Finding(
        "classifier",
        "there is nothing that sees the pictures",
        expected="a classifier and the vae of its model, or an image encoder",
        hint="Link LoadClassifier and LoadModel's vae; or LoadImageEncoder.",
    )
