"""Latents of MiniMax H3: videos of chunks of 17 frames, and their sound. Imports no torch.

Source: diffusers, ``models/autoencoders/autoencoder_kl_minimax_h3.py`` and
``autoencoder_kl_minimax_h3_audio.py``, and ``modular_pipelines/minimax_h3``, ``encoders.py`` and
``decoders.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.latent_formats import LatentFormat, SoundPart
from nodegraph.families.minimax_h3_files import SPATIAL, TEMPORAL
from nodegraph.families.minimax_h3_rows import frames_of_latents
from nodegraph.families.minimax_h3_vae_files import SOUND_VAE, VIDEO_VAE
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

_CHUNK, _CHUNK_LATENTS = 17, 5
"""Frames of a video that the autoencoder encodes at once, and their latent frames."""
_ENCODING_SEED = 42
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colors of an image as the autoencoder takes it."""


class MiniMaxH3Format(LatentFormat):
    """Videos of 17k + 5 frames, or images; each channel has a mean and a deviation."""

    @property
    def frame_rule(self) -> str:
        """See `LatentFormat.frame_rule`."""
        return f"{_CHUNK}k + {_CHUNK_LATENTS}"

    def latent_frames(self, frames: int) -> int:
        """See `LatentFormat.latent_frames`."""
        chunks, more = divmod(frames, _CHUNK)
        return chunks * _CHUNK_LATENTS + ((more - 1) // TEMPORAL + 1 if more else 0)

    def pixel_frames(self, latent_frames: int) -> int:
        """See `LatentFormat.pixel_frames`."""
        return frames_of_latents(latent_frames)

    def nearest_frames(self, frames: int) -> tuple[int, ...]:
        """See `LatentFormat.nearest_frames`."""
        if frames <= 1:
            return (1,)
        chunks, more = divmod(max(frames, _CHUNK_LATENTS) - _CHUNK_LATENTS, _CHUNK)
        below = chunks * _CHUNK + _CHUNK_LATENTS
        return (below,) if not more and frames >= _CHUNK_LATENTS else (below, below + _CHUNK)

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        """See `LatentFormat.encode`."""
        mode = vae.encode(_to_vae(pixels)).latent_dist.mode()
        mean, deviation = _statistics(vae, mode)
        scaled: Tensor = (mode - mean) / deviation
        return scaled

    def encode_condition(self, vae: Any, pixels: Tensor) -> Tensor:
        """As `encode`, but a sample that always draws the same noise, rounded to float16, as the
        model was trained."""
        generator = torch.Generator().manual_seed(_ENCODING_SEED)
        sample = vae.encode(_to_vae(pixels)).latent_dist.sample(generator=generator)
        sample = sample.to(torch.float16).float().cpu()
        mean, deviation = _statistics(vae, sample)
        scaled: Tensor = (sample - mean) / deviation
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """See `LatentFormat.decode`."""
        mean, deviation = _statistics(vae, latents)
        video = _from_vae(vae, latents * deviation + mean).float()
        centre, spread = (_colours(item, video) for item in (_MEAN, _DEVIATION))
        return (video * spread + centre).clamp(0, 1) * 2 - 1

    def sound_rate(self, modules: Mapping[str, Any]) -> int:
        """See `LatentFormat.sound_rate`."""
        rate: int = _sound_vae(modules).config.sampling_rate
        return rate

    def decode_sound(self, modules: Mapping[str, Any], sound: Tensor) -> tuple[Tensor, int]:
        """See `LatentFormat.decode_sound`."""
        vae = _sound_vae(modules)
        mean, deviation = _statistics(vae, sound, axes=3)
        channels = sound[0].transpose(1, 2) * deviation + mean
        waveform = vae.decode(channels, return_dict=False)[0]
        return waveform.float().permute(1, 0, 2), int(vae.config.sampling_rate)

    def encode_sound(self, modules: Mapping[str, Any], waveform: Tensor) -> Tensor:
        """See `LatentFormat.encode_sound`."""
        vae = _sound_vae(modules)
        mode = vae.encode(waveform[0][:, None]).latent_dist.mode().float()
        mean, deviation = _statistics(vae, mode, axes=3)
        scaled: Tensor = ((mode - mean) / deviation).transpose(1, 2)[None]
        return scaled


def _statistics(vae: Any, like: Tensor, axes: int = 5) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, with so many axes."""
    shape = (1, -1, *(1,) * (axes - 2))
    mean, deviation = (
        torch.tensor(vae.config[name]).view(shape).to(like.device, like.dtype)
        for name in ("latents_mean", "latents_std")
    )
    return mean, deviation


def _colours(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device).view(1, -1, 1, 1, 1)


def _to_vae(pixels: Tensor) -> Tensor:
    """Pixels in -1..1 as the autoencoder takes them.

    They become whole levels of 8 bits, of which the released model's own code makes its inputs.
    """
    levels = ((pixels.float() + 1) * 127.5).round()
    return (levels.div(255.0) - _colours(_MEAN, levels)) / _colours(_DEVIATION, levels)


def _from_vae(vae: Any, latents: Tensor) -> Tensor:
    """What the decoder gives, also for images and for videos that are shorter than two chunks."""
    count = latents.shape[2]
    if count == 1:
        image: Tensor = vae._decode_clip(latents.to(vae.dtype))[:, :, -1:]
        return image
    whole = _CHUNK_LATENTS + 2
    if count < whole:
        last = latents[:, :, -1:].expand(-1, -1, whole - count, -1, -1)
        latents = torch.cat([latents, last], 2)
    video: Tensor = vae.decode(latents, return_dict=False)[0]
    return video[:, :, : frames_of_latents(count)]


def _sound_vae(modules: Mapping[str, Any]) -> Any:
    if "audio_vae" not in modules:
        raise InvalidValue(
            "this VAE decodes videos alone: the part for sound is missing",
            port="vae",
            expected="audio_vae",
            hint="Use the VAE output of LoadModel, or LoadVae with a file that has it.",
        )
    return modules["audio_vae"]


MINIMAX_H3_LATENTS = MiniMaxH3Format(
    "minimax-h3",
    24,
    spatial=SPATIAL,
    temporal=TEMPORAL,
    autoencoders=("AutoencoderKLMiniMaxH3",),
    files=(VIDEO_VAE,),
    sound_parts=(SoundPart("audio_vae", ("AutoencoderKLMiniMaxH3Audio",), (SOUND_VAE,)),),
)
"""MiniMax H3."""
