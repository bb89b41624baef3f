"""Models that ship with the package: paths, names, and the colors of their latents."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

from nodegraph.families.latent_colours import Colour, Factors

DecoderName = Literal["gan", "vae"]
DECODER_FOLDER = Path(__file__).parent / "embedded" / "history"
"""A file of weights for each, with its shape and what it is in its metadata."""
FORMAT, CHANNELS, CELL = "sd", 8, 8
"""Of their latents, those of the embedded model: format, channels, and pixels along a cell."""
DECODER_IMAGE_SIZE = 128
"""Of the images that the latents are of, in pixels."""


EMBEDDED = "tiny"
"""Name of the model that comes with the package."""
CONTROL = "controlnet"
"""Name of its ControlNet, after its own and a slash."""


def embedded_folder() -> Path:
    """Where the model that comes with the package lies."""
    return Path(__file__).parent / "embedded" / EMBEDDED


def control_folder() -> Path:
    """Where the ControlNet lies that comes with the embedded model."""
    return embedded_folder().parent / "companions" / CONTROL


def decoder_file(name: str) -> Path:
    """Where the weights of a generator without diffusion lie; see `DecoderName`."""
    return DECODER_FOLDER / f"{name}.safetensors"


@cache
def embedded_colours() -> tuple[Factors, Colour]:
    """The linear map from its latents' channels to colors in -1..1: factors and bias."""
    record = embedded_folder().parent / "companions" / "preview_decoder" / "train.json"
    colours = json.loads(record.read_text(encoding="utf-8"))["latent_rgb"]
    red, green, blue = colours["bias"]
    return tuple((r, g, b) for r, g, b in colours["factors"]), (red, green, blue)
