"""Which networks that make a latent in one go come along. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

DecoderName = Literal["gan", "vae"]
DECODER_FOLDER = Path(__file__).parent / "embedded" / "history"
"""A file of weights for each, with its shape and what it is in its metadata."""
FORMAT, CHANNELS, CELL = "sd", 8, 8
"""Of their latents, those of the embedded model: format, channels, and pixels along a cell."""
DECODER_IMAGE_SIZE = 128
"""Of the pictures that the latents are of, in pixels."""
