"""Watermarks of image files: a marked copy with the same metadata, and reading.

The pixels of a copy are compressed anew in formats with losses.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.files import write_file
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.provenance.watermark import (
    WatermarkReading,
    check_size,
    embed_watermark,
    read_watermark,
)

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF")
_QUALITY = 95


def certificate_payload(chain: bytes) -> int:
    """Return the payload that stands for a certificate: the first 32 bits of its SHA-256.

    Args:
        chain: PEM, the signer's certificate first.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    [first, *_] = x509.load_pem_x509_certificates(chain)
    return int.from_bytes(sha256(first.public_bytes(Encoding.DER)).digest()[:4], "big")


def watermark_file(source: Path, target: Path, payload: int) -> None:
    """Write a copy of an image with a watermark. Texts, EXIF and color profile stay.

    Args:
        payload: 32 bits; see `embed_watermark`.
    Raises:
        InvalidFile: It is no image of a single frame that can be written again.
        InvalidValue: It has 16 bits per channel, or is too small.
        OutputError: The copy can't be written.
    """
    import numpy as np
    from PIL import Image

    from nodegraph.media.images.images import open_image

    with open_image(source, MAX_IMAGE_PIXELS) as opened:
        kind = str(opened.format)
        if kind not in _FORMATS or getattr(opened, "n_frames", 1) > 1:
            raise InvalidFile(
                f"{source} can't get a watermark",
                given=f"{kind}, {getattr(opened, 'n_frames', 1)} frames",
                expected=f"an image without animation: {', '.join(_FORMATS)}",
            )
        if opened.mode.startswith(("I", "F")) or _has_16_bits(opened):
            raise InvalidValue(
                f"{source} has 16 bits per channel, and a watermark would reduce it to 8",
                hint="Use the node WatermarkImage before SaveImage.",
            )
        check_size(*opened.size)
        mode = "RGBA" if opened.has_transparency_data else "RGB"
        values = np.asarray(opened.convert(mode), np.float32) / np.float32(255)
        marked = np.rint(embed_watermark(values, payload) * 255).astype(np.uint8)
        data = _encoded(Image.fromarray(marked), opened, kind)
    write_file(target, data)


def read_file_watermark(path: Path) -> WatermarkReading | None:
    """Read the watermark of an image file, of an animation that of the first frame.

    Returns:
        None for files that are no images.
    """
    import numpy as np

    from nodegraph.media.images.images import open_image

    try:
        with open_image(path, MAX_IMAGE_PIXELS) as opened:
            values = np.asarray(opened.convert("RGB"), np.float32) / np.float32(255)
    except (InvalidFile, OSError, SyntaxError):
        return None
    return read_watermark(values)


def _has_16_bits(image: Image) -> bool:
    """Whether a PNG has 16 bits per channel, of which Pillow reads eight."""
    if image.format != "PNG":
        return False
    with Path(str(image.filename)).open("rb") as file:  # type: ignore[attr-defined]
        return file.read(25)[24:] == b"\x10"


def _encoded(image: Image, original: Image, kind: str) -> bytes:
    from io import BytesIO

    from PIL.PngImagePlugin import PngInfo

    options: dict[str, Any] = {}
    for name in ("exif", "icc_profile", "xmp", "comment", "dpi"):
        if original.info.get(name):
            options[name] = original.info[name]
    if kind == "PNG":
        texts = PngInfo()
        for name, text in getattr(original, "text", {}).items():
            texts.add_itxt(name, text) if not text.isascii() else texts.add_text(name, text)
        options["pnginfo"] = texts
    elif kind == "TIFF":
        options = {"exif": original.getexif(), "compression": "tiff_lzw"}
    else:
        options["quality"] = _QUALITY
    if kind == "JPEG":
        options["subsampling"] = 0
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
