"""Compare the content of two result files: equal or not, and how far they are apart.

Texts that files carry, such as the workflow, are not content.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.text_format import format_share
from nodegraph.errors import InvalidFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]

ContentKind = Literal["image", "video", "audio", "shape", "tensors", "data"]
_LARGEST_DATA = 256 << 20
_OWN_TEXTS = frozenset({"workflow", "manifest", "nodegraph"})
_METADATA = re.compile(rb"<metadata>.*</metadata>", re.DOTALL)
_RATES = "rates"
"""Frames and samples per second, which belong to the content and are no measure of it."""
_LEVELS = 255
"""Steps of a color channel of 8 bits, in which differences of images are shown."""


@dataclass(frozen=True, slots=True)
class ContentDifference:
    """Difference between the contents of two files.

    Attributes:
        is_equal: Whether all values are equal bit for bit; None if they are too large to compare.
        kind: Kind of content.
        figures: Measures by name, of contents of the same size: ``max`` (largest absolute
            difference), ``share`` (of the values, or of the pixels, that differ, 0..1), ``psnr``
            and ``snr`` in dB, ``ssim`` (1 for equal images), ``worst_frame`` (from 0). Images are
            in 0..1.
        note: Why there are no figures; empty if there are.
    """

    is_equal: bool | None
    kind: ContentKind = "data"
    figures: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def text(self) -> str:
        """All figures in one line; empty without any."""
        figures, parts = self.figures, []
        if "max" in figures:
            most = figures["max"]
            shown = f"{most * _LEVELS:.3g}/{_LEVELS}" if self.kind in _PICTURES else f"{most:.3g}"
            parts.append(f"largest difference {shown}")
        for name, label, form in _SHOWN:
            if name in figures:
                parts.append(f"{label} {form.format(figures[name])}".strip())
        if "share" in figures:
            what = "pixels" if self.kind in _PICTURES else "values"
            parts.append(f"{format_share(figures['share'], 1000)} of the {what} differ")
        if "worst_frame" in figures:
            parts.append(f"frame {figures['worst_frame']:.0f} differs most")
        return ", ".join(parts) or self.note


_PICTURES = ("image", "video")
_SHOWN = (("psnr", "PSNR", "{:.1f} dB"), ("ssim", "SSIM", "{:.4f}"), ("snr", "SNR", "{:.1f} dB"))


def compare_contents(
    first: Path, second: Path, *, max_pixels: int = MAX_IMAGE_PIXELS
) -> ContentDifference:
    """Compare what two files hold.

    Args:
        first: Result file that counts as the reference.
        max_pixels: Largest width times height of an image.
    Raises:
        InvalidFile: One is damaged or cannot be read.
        InvalidValue: They need more memory than available.
    """
    kinds = _kind(first), _kind(second)
    if kinds[0] != kinds[1]:
        return ContentDifference(False, kinds[0], note=f"{kinds[0]} and {kinds[1]} files")
    kind = kinds[0]
    arrays = _content(first, kind, max_pixels), _content(second, kind, max_pixels)
    if arrays[0] is None or arrays[1] is None:
        return ContentDifference(None, kind, note="the files are too large to compare")
    return _compare(kind, arrays[0], arrays[1])


def _compare(kind: ContentKind, first: Arrays, second: Arrays) -> ContentDifference:
    import numpy as np

    rates = [_rates_text(arrays.get(_RATES)) for arrays in (first, second)]
    first, second = (
        {name: each for name, each in arrays.items() if name != _RATES}
        for arrays in (first, second)
    )
    sizes = [{name: each.shape for name, each in arrays.items()} for arrays in (first, second)]
    if sizes[0] != sizes[1] and kind != "data":
        changed = [name for name in {**first, **second} if sizes[0].get(name) != sizes[1].get(name)]
        texts = [_sizes_text(each, changed) for each in sizes]
        return ContentDifference(False, kind, note=f"size: {texts[0]} → {texts[1]}")
    is_same = sizes[0] == sizes[1] and all(
        np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind == "f")
        for name in first
    )
    if is_same and rates[0] != rates[1]:
        return ContentDifference(False, kind, note=f"rate: {rates[0]} → {rates[1]}")
    if is_same:
        return ContentDifference(True, kind)
    if kind == "data":
        return ContentDifference(False, kind, note="this kind of file has no figures")
    return ContentDifference(False, kind, _figures(first, second))


def _rates_text(rates: NDArray[np.generic] | None) -> str:
    return "none" if rates is None else ", ".join(f"{each:.10g}" for each in rates)


def _sizes_text(sizes: Mapping[str, tuple[int, ...]], names: list[str]) -> str:
    parts = [f"{name} {' x '.join(map(str, sizes[name]))}" for name in names if name in sizes]
    return ", ".join(parts) or "none"


def _figures(first: Arrays, second: Arrays) -> dict[str, float]:
    import numpy as np

    most, differing, total = 0.0, 0, 0
    for name, reference in first.items():
        # Frame by frame: in float64 a whole video would need too much memory.
        for reference_frame, frame in zip(
            np.atleast_1d(reference), np.atleast_1d(second[name]), strict=True
        ):
            apart = _apart(reference_frame, frame)
            most = max(most, float(apart.max(initial=0)))
            differing, total = differing + int((apart > 0).sum()), total + apart.size
    figures = {"max": most, "share": differing / total}
    if "pixels" in first:
        figures |= _picture_figures(first["pixels"], second["pixels"])
    if "samples" in first:
        figures |= _sound_figures(first["samples"], second["samples"])
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _apart(first: NDArray[np.generic], second: NDArray[np.generic]) -> NDArray[np.float64]:
    """Absolute differences; infinity where only one of two values is a number."""
    import numpy as np

    values = [np.asarray(each).astype(np.float64) for each in (first, second)]
    apart = np.abs(values[0] - values[1])
    apart[np.isnan(values[0]) & np.isnan(values[1])] = 0
    return np.nan_to_num(apart, nan=math.inf)


def _picture_figures(first: NDArray[np.generic], second: NDArray[np.generic]) -> dict[str, float]:
    """Of images, shape (frames, height, width, channels): of the frame that differs most."""
    import torch

    from nodegraph.media.images.editing.metrics import compare

    means, shares = [], []
    for reference_frame, frame in zip(first, second, strict=True):
        apart = _apart(reference_frame, frame)
        means.append(float(apart.mean()))
        shares.append(float((apart > 0).any(-1).mean()))
    if not any(means):
        return {}
    worst = means.index(max(means))
    alike = compare(*(torch.from_numpy(each[worst : worst + 1]) for each in (first, second)))
    figures = {"share": sum(shares) / len(shares), "psnr": alike.psnr, "ssim": alike.ssim}
    return {**figures, "worst_frame": worst} if len(first) > 1 else figures


def _sound_figures(first: NDArray[np.generic], second: NDArray[np.generic]) -> dict[str, float]:
    import numpy as np

    noise = float(np.square(_apart(first, second)).sum())
    signal = float(np.square(first.astype(np.float64)).sum())
    return {"snr": 10 * math.log10(signal / noise)} if signal and noise else {}


def content_form(path: Path) -> str:
    """What a file is by its bytes, such as ``image PNG``, whatever its name.

    Raises:
        InvalidFile: It cannot be read.
    """
    from nodegraph.media.images.input_files import image_format
    from nodegraph.media.shapes.shape_files import shape_format

    kind, start = _kind(path), _start(path)
    if kind == "image":
        return f"{kind} {image_format(path)}"
    if kind == "shape":
        return f"{kind} {shape_format(start)}"
    return f"{kind} {start[:4].hex()}" if kind in ("audio", "video") else kind


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


def _kind(path: Path) -> ContentKind:
    from nodegraph.core.weight_files import SAFETENSORS, file_suffix
    from nodegraph.media.audio.audio_files import is_audio_header
    from nodegraph.media.images.input_files import image_format
    from nodegraph.media.shapes.shape_files import shape_format
    from nodegraph.media.videos.video_files import is_video_header

    start = _start(path)
    if image_format(path) is not None:
        return "image"
    if is_video_header(start[:12]):
        return "video"
    if is_audio_header(start[:12]):
        return "audio"
    if file_suffix(path) == SAFETENSORS:
        return "tensors"
    return "shape" if shape_format(start) is not None else "data"


def _content(path: Path, kind: ContentKind, max_pixels: int) -> Arrays | None:
    import numpy as np

    if kind == "image":
        return _image(path, max_pixels)
    if kind == "video":
        return _video(path)
    if kind == "audio":
        from nodegraph.media.audio.codec import read_audio

        audio = read_audio(path)
        return {"samples": audio.waveform.numpy(), _RATES: np.array([audio.rate])}
    if kind == "tensors":
        from nodegraph.weights.weight_files import read_tensors

        return {name: each.numpy() for name, each in read_tensors([path], "float32").items()}
    return _shape(path) if kind == "shape" else _data(path)


def _image(path: Path, max_pixels: int) -> Arrays:
    import numpy as np
    import torch

    from nodegraph.media.images.images import read_frames

    images, masks, rate = read_frames(path, max_pixels=max_pixels)
    if masks.any():
        images = torch.cat([images, 1 - masks[..., None]], -1)
    return {"pixels": images.numpy(), _RATES: np.array([rate])}


def _video(path: Path) -> Arrays:
    import numpy as np

    from nodegraph.media.videos.clips import read_video

    video = read_video(path)
    pixels, rates = video.frames.numpy(), [float(video.rate)]
    if video.audio is None:
        return {"pixels": pixels, _RATES: np.array(rates)}
    rates.append(video.audio.rate)
    samples = video.audio.waveform.numpy()
    return {"pixels": pixels, "samples": samples, _RATES: np.array(rates)}


def _shape(path: Path) -> Arrays:
    from nodegraph.media.shapes.reading import point_arrays, shape_arrays

    arrays = shape_arrays(path) or point_arrays(path)
    names = ("points", "faces", "colors", "uv", "texture")
    return {name: each for name in names if (each := getattr(arrays, name)) is not None}


def _data(path: Path) -> Arrays | None:
    """Bytes of a file without the texts that it carries; None of large files."""
    import numpy as np

    if path.stat().st_size > _LARGEST_DATA:
        return None
    if zipfile.is_zipfile(path):
        return _members(path)
    return {"bytes": np.frombuffer(_without_texts(path.read_bytes()), np.uint8)}


def _without_texts(data: bytes) -> bytes:
    from nodegraph.media.molecules.molecule_files import molecule_format, without_molecule_texts

    if data.lstrip()[:4] == b"<svg":
        return _METADATA.sub(b"", data)
    if data.lstrip()[:1] == b"{":
        return _without_json_texts(data)
    file_format = molecule_format(data[:4096])
    return data if file_format is None else without_molecule_texts(data, file_format, _OWN_TEXTS)


def _without_json_texts(data: bytes) -> bytes:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    own = {name: value for name, value in document.items() if name not in _OWN_TEXTS}
    return json.dumps(own).encode()


def _members(path: Path) -> Arrays | None:
    """Members of a file of layers, whose texts are in the flattened image alone."""
    import numpy as np

    arrays: dict[str, NDArray[np.generic]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > _LARGEST_DATA:
                return None
            for each in archive.infolist():
                if each.filename != "mergedimage.png":
                    arrays[each.filename] = np.frombuffer(archive.read(each), np.uint8)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise InvalidFile(f"{path} is damaged or truncated") from error
    return arrays
