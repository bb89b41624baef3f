"""Spectrograms: frequencies over time."""

from collections.abc import Iterator
from typing import Annotated, Literal

from nodegraph import Audio, Finding, HookInputs, Image, Range, node


def check(inputs: HookInputs) -> Iterator[Finding]:
    """Report a hop that leaves samples out."""
    window, hop = inputs.literals.get("window", "1024"), inputs.literals.get("hop", 256)
    if hop is not None and window is not None and hop > int(window):
        yield Finding(
            "hop",
            "is longer than the window, so samples are left out",
            given=str(hop),
            expected=f"at most {window}",
        )


@node(category="audio")
def Chirp(
    start: Annotated[float, Range(1, 20_000)] = 200.0,
    end: Annotated[float, Range(1, 20_000)] = 4000.0,
    seconds: Annotated[float, Range(0.01, 60)] = 1.0,
    rate: Annotated[int, Range(8_000, 96_000)] = 16_000,
) -> Audio:
    """Make a tone whose frequency rises or falls evenly.

    Args:
        start: First frequency in hertz.
        end: Last frequency in hertz.
        seconds: Duration.
        rate: Samples per second.
    """
    import torch

    count = max(1, round(seconds * rate))
    frequency = torch.linspace(start, end, count, dtype=torch.float64)
    phase = 2 * torch.pi * frequency.cumsum(0) / rate
    return Audio(phase.sin().float()[None], rate)


@node(category="audio/show", tags=("frequency", "STFT"), validate=check)
def Spectrogram(
    audio: Audio,
    window: Literal["256", "1024", "4096"] = "1024",
    hop: Annotated[int, Range(16, 4096)] = 256,
    decibels: Annotated[float, Range(10, 120)] = 80.0,
) -> Image:
    """Draw a spectrogram: time from left to right, frequency from bottom to top.

    The channels are averaged. The loudest point is white.

    Args:
        audio: Input audio.
        window: Samples in a window. Long windows separate frequencies, short ones moments.
        hop: Samples from one window to the next.
        decibels: Range from black to white.
    """
    import torch

    size = int(window)
    samples = audio.waveform.mean(0)
    # A short sound gets silence behind it, because a window needs its samples.
    samples = torch.nn.functional.pad(samples, (0, max(0, size - samples.shape[0])))
    shape = torch.hann_window(size)
    spectrum = torch.stft(samples, size, hop, window=shape, return_complex=True).abs()
    level = 20 * torch.log10(spectrum.clamp_min(1e-10) / spectrum.max().clamp_min(1e-10))
    gray = (1 + level / decibels).clamp(0, 1).flip(0)
    return gray[None, ..., None].expand(-1, -1, -1, 3).contiguous()
