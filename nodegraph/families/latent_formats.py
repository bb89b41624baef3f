"""Latent formats: what the numbers of a latent stand for, its sizes, and who reads them.

A format belongs to an autoencoder, not to a model: several families may share one. Imports no
torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.errors import InvalidValue
from nodegraph.families import latent_colours as colours
from nodegraph.families.latent_colours import Colour, Factors
from nodegraph.weights.memory import CodingMemory
from nodegraph.weights.single_files.autoencoders import TINY, kl_layout, tiny_layout
from nodegraph.weights.single_files.base import FileLayout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.spatial_values import Mesh


class SoundPart(NamedTuple):
    """A component that encodes or decodes the sound of videos, beside the autoencoder.

    Attributes:
        role: Name of its subfolder in a model folder.
        classes: Those of diffusers that it may have.
        files: Its layouts in a file without a configuration; see `LatentFormat.files`.
    """

    role: str
    classes: tuple[str, ...]
    files: tuple[FileLayout, ...] = ()


@dataclass(frozen=True)
class LatentFormat:
    """A kind of latent, and its conversion from and to an autoencoder's output.

    This class is for images whose autoencoder has one scale, and optionally one shift, for all
    channels. Other formats override `encode` and `decode`.

    Attributes:
        name: Its name in latents and autoencoder recipes, such as ``sd``.
        channels: Channels of the published models; a model's own files may override them.
        spatial: Pixels along a latent cell's side.
        temporal: Frames of a video per latent frame; the first frame has its own latent frame. 0
            for images.
        autoencoders: The diffusers classes that encode and decode it.
        overflows: Whether its autoencoder overflows in float16, unless its configuration says
            otherwise (``force_upcast``).
        scaling: Factor and shift of published autoencoders, for files without them. None if the
            conversion is more complex.
        files: Layouts of its autoencoder in a file without a configuration, alone or in a whole
            model; the first match is used. Empty if such files are not supported.
        rgb: Approximate colors of its channels, for previews. None if not known.
        rgb_bias: The color of a cell of zeros.
        tiny: Name of the published tiny autoencoder that decodes it, for previews. Empty if there
            is none.
        only_size: Width and height in pixels of formats with one fixed size. None for images.
        sound_parts: Components that encode and decode the sound of videos. Empty for formats
            without sound.
        transparent: Whether its autoencoder reads and writes images with alpha.
        noise_by_frame: Whether diffusers' pipeline draws noise frame after frame, each with all
            channels.
        is_sound: Whether its latents are sound alone, of shape (batch, 1, latent frames, features).
    """

    name: str
    channels: int
    spatial: int = 8
    temporal: int = 0
    autoencoders: tuple[str, ...] = ("AutoencoderKL",)
    overflows: bool = False
    scaling: tuple[float, float] | None = None
    files: tuple[FileLayout, ...] = ()
    rgb: Factors | None = None
    rgb_bias: Colour = (0.0, 0.0, 0.0)
    tiny: str = ""
    only_size: tuple[int, int] | None = None
    sound_parts: tuple[SoundPart, ...] = ()
    transparent: bool = False
    noise_by_frame: bool = False
    is_sound: bool = False

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        """The most likely latents of images, as models are trained on.

        Args:
            vae: One of `autoencoders`.
            pixels: In -1..1, shape (batch, 3, height, width); with frames before the height for
                videos.
        Returns:
            Shape (batch, channels, height / spatial, width / spatial).
        """
        encoded = vae.encode(pixels)
        # Tiny ones give no distribution.
        is_tiny = not hasattr(encoded, "latent_dist")
        mode: Tensor = encoded.latents if is_tiny else encoded.latent_dist.mode()
        scaled: Tensor = (mode - _shift(vae)) * vae.config.scaling_factor
        return scaled

    def encode_condition(self, vae: Any, pixels: Tensor) -> Tensor:
        """Latents of a video's first frames as models take them beside the noise; as `encode`."""
        return self.encode(vae, pixels)

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """The images of latents in -1..1; shapes as for `encode`."""
        # In this order the stock pipelines compute, which makes the bits equal.
        inputs = latents / vae.config.scaling_factor + _shift(vae)
        pixels: Tensor = vae.decode(inputs, return_dict=False)[0]
        return pixels

    def unscale(self, vae: Any, latents: Tensor) -> Tensor:
        """Latents of a model as its autoencoder makes them, as latent upscale models take them.

        Raises:
            InvalidValue: There are no such models for this format; on port ``vae``.
        """
        raise self._without_upscalers()

    def scale(self, vae: Any, latents: Tensor) -> Tensor:
        """What `unscale` took apart; errors as there."""
        raise self._without_upscalers()

    def _without_upscalers(self) -> InvalidValue:
        return InvalidValue(
            "there are no latent upscale models for this VAE",
            port="vae",
            given=f"one of format {self.name}",
            expected="the VAE of LTX-Video or LTX-2",
            hint="Scale the latent with ResizeLatent.",
        )

    def pictures(self, latents: Tensor) -> Tensor | None:
        """Images of what is no image, to look at while it is sampled; None where images are
        made of latents by decoders and colors.

        Args:
            latents: Of any device and precision, shape (batch, channels, height, width).
        Returns:
            In -1..1, shape (batch, 3, height, width).
        """
        return None

    def check_size(self, size: tuple[int, int], title: str) -> None:
        """Refuse other sizes of what has but one.

        Args:
            size: Width and height in pixels.
            title: Of the model's family.
        Raises:
            InvalidValue: Says both.
        """
        wanted = self.only_size
        if wanted is not None and size != wanted:
            raise InvalidValue(
                f"{title} does not generate images: its latents have one fixed size",
                port="latent",
                given=f"{size[0]} x {size[1]}",
                expected=f"{wanted[0]} x {wanted[1]}",
                hint="Link an EmptyItems.",
            )

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        """What decoding holds besides weights, by an autoencoder's configuration."""
        return decoding_memory(config.get("block_out_channels"))

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        """Memory of encoding; see `decoding_memory`."""
        return encoding_memory(config.get("block_out_channels"))

    def encode_sound(self, modules: Mapping[str, Any], waveform: Tensor) -> Tensor:
        """The most likely latents of sound.

        Args:
            modules: The components of `sound_parts`, by role.
            waveform: At the rate of `sound_rate`, shape (1, channels, samples).
        Returns:
            Shape (1, channels, latent frames, mel bands), scaled as in the model's training.
        Raises:
            InvalidValue: The format has no sound; on port ``vae``.
        """
        raise self._silent()

    def decode_sound(self, modules: Mapping[str, Any], sound: Tensor) -> tuple[Tensor, int]:
        """The waveform of sound latents, shape (1, channels, samples), and its rate in Hz.

        Args:
            modules: As of `encode_sound`.
            sound: As `encode_sound` returns it.
        Raises:
            InvalidValue: As of `encode_sound`.
        """
        raise self._silent()

    def decode_views(
        self,
        vae: Any,
        latent: Tensor,
        views: int,
        size: int,
        on_progress: Callable[[float], None],
    ) -> Tensor:
        """Views of the solid of a latent, from cameras around it.

        Args:
            latent: Of one solid, without the axis of the batch.
            size: Side of the square images in pixels.
            on_progress: Gets the finished share, 0 to 1; may raise, to stop.
        Returns:
            float32 on the CPU, about 0 to 1, shape (views, size, size, 3).
        Raises:
            InvalidValue: The format has no solids; on port ``vae``.
        """
        raise self._without_solids()

    def decode_mesh(
        self, vae: Any, latent: Tensor, grid: int, on_progress: Callable[[float], None]
    ) -> Mesh | None:
        """The surface of the solid of a latent; None where it has none.

        Args:
            latent, on_progress: As of `decode_views`.
            grid: Cells per side of the grid on which the surface is found.
        Raises:
            InvalidValue: As of `decode_views`.
        """
        raise self._without_solids()

    def _without_solids(self) -> InvalidValue:
        return InvalidValue(
            "the VAE decodes no solids",
            port="vae",
            given=f"one of format {self.name}",
            hint="Use VAEDecode for images.",
        )

    def reference_part(self, waveform: Tensor, rate: int) -> Tensor:
        """The part of a reference for timbre that models are shown; all of it for most formats.

        Args:
            waveform: Shape (channels, samples), not empty.
            rate: Samples per second.
        """
        return waveform

    def sound_rate(self, modules: Mapping[str, Any]) -> int:
        """Samples per second that `encode_sound` takes; arguments and errors as there."""
        raise self._silent()

    def silent_samples(self, modules: Mapping[str, Any]) -> int:
        """Samples of a silence whose middle has the latents of any silence; errors as of
        `encode_sound`."""
        raise self._silent()

    def fits_config(self, config: Mapping[str, Any]) -> bool:
        """Whether an autoencoder has these latents, where its class is that of several formats."""
        return True

    def _silent(self) -> InvalidValue:
        return InvalidValue(
            "the VAE is not a VAE for sound",
            port="vae",
            given=f"one of format {self.name}",
            hint="Use the VAE of a model that generates sound, such as LTX-2.",
        )

    def latent_channels(self, config: Mapping[str, Any]) -> int:
        """Channels of the latents of an autoencoder, by its configuration."""
        return int(config.get("latent_channels") or self.channels)

    def to_cells(self, latents: Tensor) -> Tensor:
        """Latents in the finest cells that lie next to each other as their pixels do: as they are,
        but where channels hold several cells."""
        return latents

    def from_cells(self, cells: Tensor) -> Tensor:
        """What `to_cells` took apart."""
        return cells

    def cells(self, pixels: int) -> int:
        """Latent cells along a side."""
        return pixels // self.spatial

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a video of some frames."""
        return (frames - 1) // self.temporal + 1 if self.temporal else 1

    @property
    def frame_rule(self) -> str:
        """Numbers of frames that videos can have, as errors say it."""
        return f"{self.temporal}k + 1"

    def nearest_frames(self, frames: int) -> tuple[int, ...]:
        """Numbers of frames that videos can have, around one: itself alone if it is such."""
        if not self.temporal:
            return (1,)
        below = self.pixel_frames(self.latent_frames(max(1, frames)))
        return (below,) if below == frames else (below, below + self.temporal)

    def pixel_frames(self, latent_frames: int) -> int:
        """Frames of the video that some latent frames stand for."""
        return (latent_frames - 1) * self.temporal + 1 if self.temporal else 1


_WIDTHS = (128, 256)
"""Of an autoencoder's first blocks, where its configuration doesn't say."""


def decoding_memory(widths: Sequence[int] | None) -> CodingMemory:
    """Memory of decoding with an autoencoder whose decoder blocks have these widths."""
    # What goes into the last block at full size, what it makes of it, and one more.
    known = widths or _WIDTHS
    return CodingMemory(3 * known[min(1, len(known) - 1)])


def encoding_memory(widths: Sequence[int] | None) -> CodingMemory:
    """Memory of encoding; see `decoding_memory`."""
    return CodingMemory(5 * (widths or _WIDTHS)[0])


def _shift(vae: Any) -> float:
    return getattr(vae.config, "shift_factor", None) or 0.0


def _kl(
    name: str,
    title: str,
    channels: int,
    scaling: tuple[float, float],
    rgb: Factors,
    rgb_bias: Colour = (0.0, 0.0, 0.0),
    **more: Any,
) -> LatentFormat:
    """A format of an `AutoencoderKL` with one scale for all channels, which a tiny one reads, too.

    Args:
        scaling: Factor and shift of published autoencoders.
    """
    return LatentFormat(
        name,
        channels,
        autoencoders=("AutoencoderKL", TINY),
        scaling=scaling,
        files=(kl_layout(f"the VAE of {title}", channels, scaling), tiny_layout(title, channels)),
        rgb=rgb,
        rgb_bias=rgb_bias,
        **more,
    )


SD = _kl("sd", "Stable Diffusion", 4, (0.18215, 0.0), colours.SD, tiny="taesd")
"""Stable Diffusion 1.x and 2.x."""

SDXL = _kl(
    "sdxl",
    "Stable Diffusion XL",
    4,
    (0.13025, 0.0),
    colours.SDXL,
    colours.SDXL_BIAS,
    overflows=True,
    tiny="taesdxl",
)
"""Stable Diffusion XL and PixArt-Σ."""

SD3 = _kl(
    "sd3",
    "Stable Diffusion 3",
    16,
    (1.5305, 0.0609),
    colours.SD3,
    colours.SD3_BIAS,
    tiny="taesd3",
)
"""Stable Diffusion 3 and 3.5."""

FLUX = _kl("flux", "Flux.1", 16, (0.3611, 0.1159), colours.FLUX, colours.FLUX_BIAS, tiny="taef1")
"""Flux.1, Chroma, Lumina 2, Z-Image and HiDream."""


LEAST_CELL = 8
"""Pixels along a latent cell's side at the least: of most formats, and of an empty latent."""
MAX_SIDE = 16384
"""Longest side in pixels."""


def scaled_size(
    before: tuple[int, int], width: int, height: int, factor: float, cell: int = LEAST_CELL
) -> tuple[int, int]:
    """Width and height of a latent after scaling: the nearest that are whole cells.

    Args:
        before: Width and height, in pixels.
        width, height: In pixels; where one is 0 the proportions are kept, where both are, it is
            scaled by `factor`.
        cell: Pixels along a cell's side.
    Raises:
        InvalidValue: It gets too large.
    """
    if width == height == 0:
        width, height = (round(side * factor) for side in before)
    elif width == 0:
        width = round(before[0] * height / before[1])
    elif height == 0:
        height = round(before[1] * width / before[0])
    size = max(cell, round(width / cell) * cell), max(cell, round(height / cell) * cell)
    if max(size) > MAX_SIDE:
        raise InvalidValue(
            "the latent is too large",
            port="factor",
            given=f"{size[0]} x {size[1]} pixels",
            expected=f"sides up to {MAX_SIDE}",
        )
    return size
