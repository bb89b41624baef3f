"""Which networks that make a picture in one go come along. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

DecoderName = Literal["gan", "vae"]
EMBEDDED = Path(__file__).parent / "embedded" / "history"
"""A file of weights for each, with its shape and what it is in its metadata."""
SIDE = 64
"""Of their pictures, in pixels."""
