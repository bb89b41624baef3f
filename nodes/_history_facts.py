"""Facts and checks of the pre-diffusion nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs
from nodegraph.families.embedded_models import CHANNELS, DECODER_IMAGE_SIZE, FORMAT


def decoded_latent_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size and number of the latents' images."""
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
    """Find a comparison without a classifier or image encoder."""
    linked = [name for name in ("classifier", "vae", "encoder") if name not in inputs.literals]
    if "encoder" in linked or {"classifier", "vae"} <= set(linked):
        return
    yield Finding(
        "classifier",
        "no classifier with a VAE and no image encoder is linked",
        expected="a classifier and the vae of its model, or an image encoder",
        hint="Link LoadClassifier and the vae of LoadModel, or link LoadImageEncoder.",
    )
