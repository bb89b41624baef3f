"""Small files of every kind that can be signed, and workflows that they carry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def image_bytes(kind: str = "PNG", side: int = 96, **options: Any) -> bytes:
    """An image of a radial gradient."""
    buffer = BytesIO()
    picture = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_with(texts: Mapping[str, str], side: int = 96) -> bytes:
    """A PNG with texts."""
    chunks = PngInfo()
    for name, text in texts.items():
        chunks.add_text(name, text)
    return image_bytes("PNG", side, pnginfo=chunks)


def workflow_text(**nodes: Any) -> str:
    """A workflow as the JSON that a file carries."""
    return json.dumps({"format": "nodegraph/1", "nodes": nodes})


def _video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for level in range(4):
            values = np.full((64, 64, 3), level * 40, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(values)))
        container.mux(stream.encode())


def _audio(codec: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=44_100)
            tone = (np.sin(np.arange(22_050) * 0.05) * 20_000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            frame.rate = 44_100
            context = stream.codec_context
            resampler = av.AudioResampler(context.format, context.layout, 44_100)
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
            container.mux(stream.encode())

    return write


def _image(kind: str) -> Callable[[Path], None]:
    return lambda path: void(path.write_bytes(image_bytes(kind)))


def void(_: object) -> None:
    """Nothing, of something."""


WRITERS: Mapping[str, Callable[[Path], None]] = {
    "a.png": _image("PNG"),
    "a.jpg": _image("JPEG"),
    "a.webp": _image("WEBP"),
    "a.avif": _image("AVIF"),
    "a.tiff": _image("TIFF"),
    "a.gif": _image("GIF"),
    "a.mp4": _video,
    "a.mov": _video,
    "a.mp3": _audio("libmp3lame"),
    "a.wav": _audio("pcm_s16le"),
    "a.flac": _audio("flac"),
}
"""Of each format that has room for a manifest."""
SIDECARS: Mapping[str, bytes] = {
    "a.glb": b"glTF\x02\0\0\0" + bytes(400),
    "a.mkv": b"\x1a\x45\xdf\xa3" + bytes(400),
    "a.safetensors": b"\x02\0\0\0\0\0\0\0{}",
}
"""Of formats that have none."""
