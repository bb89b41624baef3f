"""PNG of 16 bits a channel, which Pillow doesn't write of colours.

Source: PNG Specification, third edition, W3C 2023.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from PIL import PngImagePlugin

if TYPE_CHECKING:
    from numpy.typing import NDArray


def encode_png_16_bit(pixels: NDArray[np.float32], metadata: Mapping[str, str]) -> bytes:
    """A picture as the bytes of a file.

    Args:
        pixels: Shape (height, width, 1, 3 or 4); values outside 0..1 are clipped.
        metadata: Texts by name.
    """
    levels = (pixels.clip(0, 1) * 65535).round().astype(">u2")
    height, width, channels = levels.shape
    rows = np.frombuffer(levels.tobytes(), np.uint8).reshape(height, -1)
    # Each row as what it differs from the one above: filter 2.
    differences = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), differences], axis=1)
    kind = {1: 0, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    texts = PngImagePlugin.PngInfo()
    for name, text in metadata.items():
        texts.add_text(name, text)
    chunks = [_chunk(bytes(part[0]), bytes(part[1])) for part in texts.chunks]
    content = _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6))
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    return start + b"".join(chunks) + content + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
