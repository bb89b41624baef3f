"""An invisible watermark in the pixels: 32 bits that survive JPEG, resizing and cropping.

Spread spectrum (Cox et al. 1997) in the discrete Fourier transform of a tile that repeats over the
picture, as in Kutter 1998. A tile has a fixed pattern for synchronization and one pattern for each
bit, in wavelengths of 6 to 16 pixels. The repetition shows in the autocorrelation of the picture,
by which the reader finds the scale; the fixed pattern shows the position. 16 bits of the 48 are a
checksum, by which the reader rejects pictures without a watermark.

The patterns are public: anybody can read, copy and remove such a watermark. It survives neither
rotation nor a change of the proportions. docs/authorship.md has the measured rates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MOST_PAYLOAD = 0xFFFF_FFFF
SMALLEST_SIDE = 256
"""Pixels of the shorter side: below, a picture has too little room for the bits."""
_TILE = 128
"""Pixels of the tile's side."""
_BITS, _CHECK_BITS = 32, 16
_BAND = (_TILE / 16, _TILE / 6)
"""Cycles in a tile. Longer wavelengths are seen, shorter ones are lost by JPEG and resizing."""
_SYNC = 2.5
"""Amplitude of the synchronization pattern; that of a bit is 1."""
_SEED = b"nodegraph watermark 1"
_AMPLITUDES = (2.0, 2.8, 3.8)
"""Standard deviation of the pattern in levels of 255, in turn until the reader is sure."""
_MARGIN = 2.5
"""Of the weakest bit, in standard deviations, for the writer to be content."""
_LARGEST_SIDE = 1536
"""Pixels of the central part that is read: more cost time and add little."""
_SCALES = (0.36, 2.3)
"""Range of scales that the reader looks for."""
_CANDIDATES = 10
"""Scales that are tried, in addition to 1."""
_SMALL = 640
"""Pixels of the longer side up to which steps of a quarter of a pixel are enough."""
_FINE_STEPS = (0.0, -0.12, 0.12, -0.25, 0.25)
_SYNC_THRESHOLD = 5.0
"""Height of the synchronization peak in standard deviations; see the false-positive rates."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class WatermarkReading:
    """Result of reading a picture.

    Attributes:
        payload: The number, 32 bits; None if there is no watermark.
        strength: Height of the synchronization peak in standard deviations of the noise: about 4
            by chance, above 10 in an unchanged picture.
        scale: Size of the picture relative to when it was marked; 1 if it was not resized.
    """

    payload: int | None
    strength: float
    scale: float = 1.0


def embed_watermark(image: Floats, payload: int, *, strength: float = 1.0) -> Floats:
    """Return an image with a watermark. Transparency is not changed.

    The pattern is stronger where the picture is busy. If the picture would hide it, it is made
    stronger, up to twice.

    Args:
        image: float32 in 0..1, shape (height, width, 3 or 4), at least 256 pixels on each side.
        payload: Number that is embedded, 0 to 2³² - 1.
        strength: Factor of the amplitude; 1 changes the picture by about 40 dB PSNR.
    Returns:
        float32 in 0..1, the same shape.
    Raises:
        InvalidValue: The image is too small, or the payload has more than 32 bits.
    """
    check_size(image.shape[1], image.shape[0])
    if not 0 <= payload <= MOST_PAYLOAD:
        raise InvalidValue(
            "the payload has more than 32 bits", given=str(payload), expected=f"0 to {MOST_PAYLOAD}"
        )
    height, width = image.shape[:2]
    tile = _payload_tile(payload)
    repeats = (-(-height // _TILE), -(-width // _TILE))
    pattern = np.tile(tile, repeats)[:height, :width] * _visibility(image)
    marked = image
    for amplitude in _AMPLITUDES:
        marked = image.copy()
        marked[..., :3] = np.clip(
            image[..., :3] + (pattern * (amplitude * strength / 255))[..., None], 0, 1
        )
        reading, margin = _read_at(_whiten(_luma(marked)), 1.0)
        if reading.payload == payload and margin >= _MARGIN:
            break
    return marked


def read_watermark(image: Floats) -> WatermarkReading:
    """Read the watermark of an image, also of one that was compressed, resized or cropped.

    Args:
        image: float32 in 0..1, shape (height, width, 3 or 4).
    """
    luma = _luma(image)
    if min(luma.shape) < SMALLEST_SIDE * _SCALES[0]:
        return WatermarkReading(None, 0.0)
    whitened = _whiten(luma)
    best = WatermarkReading(None, 0.0)
    for scale in (1.0, *_candidate_scales(whitened)):
        reading, _ = _read_at(whitened, scale)
        if reading.payload is not None:
            return reading
        if reading.strength > best.strength:
            best = reading
    return best


def check_size(width: int, height: int) -> None:
    """Refuse images that are too small for a watermark.

    Raises:
        InvalidValue: A side is shorter than `SMALLEST_SIDE`.
    """
    if min(width, height) < SMALLEST_SIDE:
        raise InvalidValue(
            "the image is too small for a watermark",
            given=f"{width} x {height} pixels",
            expected=f"at least {SMALLEST_SIDE} pixels on each side",
        )


def _checksum(payload: int) -> int:
    """CRC-16/CCITT-FALSE of the four bytes."""
    register = 0xFFFF
    for byte in payload.to_bytes(4, "big"):
        register ^= byte << 8
        for _ in range(8):
            carry = register & 0x8000
            register = (register << 1 ^ (0x1021 if carry else 0)) & 0xFFFF
    return register


def _to_bits(payload: int) -> Floats:
    word = payload << _CHECK_BITS | _checksum(payload)
    count = _BITS + _CHECK_BITS
    bits = [1.0 if word >> (count - 1 - at) & 1 else -1.0 for at in range(count)]
    return np.array(bits, np.float32)


def _from_bits(correlations: NDArray[np.floating[Any]]) -> int | None:
    """Return the payload of the bits; None if the checksum is another one."""
    word = int("".join("1" if each > 0 else "0" for each in correlations), 2)
    payload = word >> _CHECK_BITS
    return payload if _checksum(payload) == word & (1 << _CHECK_BITS) - 1 else None


@lru_cache(maxsize=1)
def _band() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the coefficients in the band, of one half of the spectrum."""
    cycles = np.fft.fftfreq(_TILE, 1 / _TILE)
    rows, columns = np.meshgrid(cycles, cycles, indexing="ij")
    radius = np.hypot(rows, columns)
    half = (rows > 0) | ((rows == 0) & (columns > 0))
    at = np.nonzero((radius >= _BAND[0]) & (radius <= _BAND[1]) & half)
    return at[0], at[1]


@lru_cache(maxsize=1)
def _patterns() -> NDArray[np.complex128]:
    """Coefficients in the band of each pattern, orthonormal; the synchronization's first.

    Signs come from SHAKE-256, because streams of random generators may change with numpy.
    """
    count, size = 1 + _BITS + _CHECK_BITS, 2 * len(_band()[0])
    stream = hashlib.shake_256(_SEED).digest(-(-count * size // 8))
    signs = np.unpackbits(np.frombuffer(stream, np.uint8))[: count * size] * 2.0 - 1.0
    matrix, upper = np.linalg.qr(signs.reshape(count, size).T)
    # The sign of a column is the library's choice: make it that of the first pattern.
    vectors = (matrix * np.sign(np.diag(upper))).T
    return vectors[:, ::2] + 1j * vectors[:, 1::2]


@lru_cache(maxsize=8)
def _payload_tile(payload: int) -> Floats:
    """The tile of a payload, with a standard deviation of 1."""
    patterns = _patterns()
    spectrum = np.zeros((_TILE, _TILE), np.complex128)
    spectrum[_band()] = _SYNC * patterns[0] + _to_bits(payload) @ patterns[1:]
    values = np.fft.ifft2(spectrum).real
    tile: Floats = (values / values.std()).astype(np.float32)
    return tile


def _luma(image: Floats) -> Floats:
    """Luma in levels of 255, the central part of large pictures."""
    height, width = image.shape[:2]
    top, left = max(height - _LARGEST_SIDE, 0) // 2, max(width - _LARGEST_SIDE, 0) // 2
    part = image[top : top + _LARGEST_SIDE, left : left + _LARGEST_SIDE, :3]
    luma: Floats = part @ _LUMA * np.float32(255)
    return luma


def _box(values: Floats, radius: int) -> Floats:
    """Mean of a square around each pixel."""
    size = 2 * radius + 1
    padded = np.pad(values.astype(np.float64), radius, mode="reflect")
    for axis in (0, 1):
        total = np.cumsum(padded, axis)
        total = np.concatenate([np.zeros_like(np.take(total, [0], axis)), total], axis)
        high = np.take(total, np.arange(size, total.shape[axis]), axis)
        low = np.take(total, np.arange(total.shape[axis] - size), axis)
        padded = (high - low) / size
    return padded.astype(np.float32)


def _deviation(luma: Floats, radius: int) -> Floats:
    """Standard deviation in a square around each pixel."""
    mean = _box(luma, radius)
    deviation: Floats = np.sqrt(np.maximum(_box(luma * luma, radius) - mean * mean, 0))
    return deviation


def _visibility(image: Floats) -> Floats:
    """Factor of the amplitude: 0.7 in flat parts, up to 1.6 where the picture is busy."""
    luma: Floats = image[..., :3] @ _LUMA * np.float32(255)
    return np.float32(0.7) + np.float32(0.9) * np.minimum(_deviation(luma, 6) / 24, 1)


def _whiten(luma: Floats) -> Floats:
    """Remove what is predictable of a picture, so that its noise hides the pattern least.

    First the local contrast is made even, then the power of each spatial frequency.
    """
    detail = luma - _box(luma, 8)
    even = detail / (_deviation(luma, 8) + 2)
    spectrum = np.fft.rfft2(even)
    height, width = luma.shape
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    ring = (np.hypot(rows, columns) * 256).astype(np.intp)
    power = np.bincount(ring.ravel(), (np.abs(spectrum) ** 2).ravel())
    mean = power / np.maximum(np.bincount(ring.ravel()), 1)
    smooth = np.convolve(np.pad(mean, 2, mode="edge"), np.full(5, 0.2), "valid")
    flat = spectrum / np.sqrt(smooth[ring] + 1e-9)
    # Frequencies that no scale in the range has patterns at are only noise.
    flat[(ring < 256 * _BAND[0] / _TILE / _SCALES[1]) | (ring > 128)] = 0
    values = np.fft.irfft2(flat, luma.shape)
    # Edges that are left would hide the pattern of everything else.
    clipped: Floats = np.clip(values / (values.std() + 1e-9), -2, 2).astype(np.float32)
    return clipped


def _candidate_scales(whitened: Floats) -> Iterator[float]:
    """Yield the scales at which the picture repeats itself as a tile does, the best first."""
    height, width = whitened.shape
    size = (2 * height, 2 * width)
    power = np.abs(np.fft.rfft2(whitened, size)) ** 2
    lags = np.fft.irfft2(power, size)
    longest = int(min(_TILE * _SCALES[1], (min(height, width) - 8) / 1.2))
    # Fewer pixels overlap at long lags, whose values vary less for that.
    periods = np.arange(_TILE * _SCALES[0], longest, 0.25)
    score = np.zeros(len(periods))
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)):
        y, x = periods * down, periods * right
        overlap = np.maximum(height - np.abs(y), 1) * np.maximum(width - np.abs(x), 1)
        inside = (np.abs(y) < height - 8) & (np.abs(x) < width - 8)
        score += np.where(inside, _sample(lags, y, x) / np.sqrt(overlap), 0)
    # The pattern's peak is narrow, and what the picture repeats by itself is mostly wide.
    narrow = score - _nearby_mean(score, periods)
    order = np.argsort(narrow)[::-1]
    chosen: list[float] = []
    for at in order:
        period = periods[at]
        if all(abs(period - other) > 1.5 for other in chosen):
            chosen.append(float(period))
            # The peak is known to a quarter of a pixel, which adds up over a large picture.
            for step in (0.0, -0.25, 0.25) if max(height, width) <= _SMALL else _FINE_STEPS:
                yield (period + step) / _TILE
        if len(chosen) == _CANDIDATES:
            return


def _nearby_mean(score: NDArray[np.float64], periods: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the score half a wavelength of the pattern below and above each period."""
    away = periods / _TILE * 4.5
    below = np.interp(periods - away, periods, score)
    above = np.interp(periods + away, periods, score)
    return (below + above) / 2


def _sample(lags: NDArray[np.floating[Any]], y: Any, x: Any) -> Any:
    """Bilinear samples of a periodic array."""
    top, left = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    down, right = y - top, x - left
    height, width = lags.shape

    def at(row: Any, column: Any) -> Any:
        return lags[row % height, column % width]

    upper = at(top, left) * (1 - right) + at(top, left + 1) * right
    lower = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right
    return upper * (1 - down) + lower * down


def _read_at(whitened: Floats, scale: float) -> tuple[WatermarkReading, float]:
    """Read a picture of which the scale is known.

    Returns:
        The reading, and the weakest bit in standard deviations of the noise.
    """
    folded = _harmonics(whitened, scale)
    patterns = _patterns()
    matched = folded * np.conj(patterns[0])
    peak, strength = _highest(matched, _TILE)
    if strength < _SYNC_THRESHOLD - 0.5:
        return WatermarkReading(None, strength, scale), 0.0
    # To half a pixel: the weakest bits need it.
    peak, strength = _highest(matched, 2 * _TILE)
    if strength < _SYNC_THRESHOLD:
        return WatermarkReading(None, strength, scale), 0.0
    y, x = (each / 2 for each in peak)
    cycles = np.fft.fftfreq(_TILE)
    aligned = folded * np.exp(2j * np.pi * (cycles[_band()[0]] * y + cycles[_band()[1]] * x))
    bits = (np.conj(patterns[1:]) @ aligned).real
    noise = float(np.sqrt(np.mean(np.abs(aligned) ** 2) / 2)) or 1.0
    payload = _from_bits(bits)
    return WatermarkReading(payload, strength, scale), float(np.min(np.abs(bits))) / noise


def _harmonics(values: Floats, scale: float) -> NDArray[np.complex128]:
    """Coefficients in the band of the sum of all tiles of a picture, whose tiles have any size.

    This is the Fourier transform of the picture at the multiples of the tile's frequency. It needs
    no resampling, and costs as much as two small matrix products. The origin is the middle, so that
    an error of the scale adds up over half the picture only.
    """
    height, width = values.shape
    most = int(_BAND[1]) + 1
    step = -2j * np.pi / (_TILE * scale)
    down = np.exp(step * np.outer(np.arange(most + 1), np.arange(height) - height / 2))
    right = np.exp(step * np.outer(np.arange(width) - width / 2, np.arange(-most, most + 1)))
    # A real matrix times a complex one, as two real products: half the work.
    rows = down.real.astype(np.float32) @ values + 1j * (down.imag.astype(np.float32) @ values)
    spectrum = rows @ right
    row, column = _band()
    signed = np.where(column > _TILE // 2, column - _TILE, column)
    result: NDArray[np.complex128] = spectrum[row, signed + most].astype(np.complex128)
    return result


def _highest(matched: NDArray[np.complex128], size: int) -> tuple[tuple[int, int], float]:
    """Return the position of the highest correlation, and its height in standard deviations.

    Args:
        size: Positions on a side of the tile.
    """
    spectrum = np.zeros((size, size), np.complex128)
    rows, columns = (np.where(each > _TILE // 2, each + size - _TILE, each) for each in _band())
    spectrum[rows, columns] = matched
    correlation = np.fft.ifft2(spectrum).real
    deviation = float(correlation.std()) or 1.0
    peak = int(np.argmax(correlation))
    row, column = divmod(peak, size)
    return (row, column), float(correlation.flat[peak]) / deviation
