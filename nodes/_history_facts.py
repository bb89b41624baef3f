"""Facts and checks of the pre-diffusion nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from nodegraph import Facts, Finding, HookInputs
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.families.embedded_models import (
    CHANNELS,
    DECODER_IMAGE_SIZE,
    FORMAT,
    DecoderName,
    decoder_file,
)


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


def decoder_state(inputs: HookInputs) -> str:
    """Changes when the included weights change, which a later version may have taught anew."""
    name = inputs.literals.get("model")
    known = get_args(DecoderName)
    files: list[Path] = [decoder_file(each) for each in ((name,) if name in known else known)]
    inputs.files.extend(files)
    return " ".join(FILE_DIGESTS.digest(file) for file in files)


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
