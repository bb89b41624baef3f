"""Images and clips that guide the sampling of a video at its frames. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class FrameGuide:
    """Image or clip that guides a sampling at a frame of its video.

    Attributes:
        samples: Its clean latent, float32 on the CPU, shape (1, channels, latent frames,
            height / f, width / f).
        frame: Frame of the video that it begins at, from 0.
        count: Number of its frames. 1 for an image.
        strength: 1 keeps the guide free of noise and unchanged. Below, the sampling starts from
            the guide with a part of the noise, and changes it. 0 to 1.
        is_appended: Whether the model gets the guide as further tokens, which are not part of the
            video. If not, it takes the place of the first frames.
    """

    samples: Tensor
    frame: int = 0
    count: int = 1
    strength: float = 1.0
    is_appended: bool = False

    @property
    def latent_frames(self) -> int:
        """Number of latent frames."""
        return int(self.samples.shape[2])


def count_appended(guides: Iterable[FrameGuide]) -> int:
    """Latent frames that guides add to a sampling."""
    return sum(guide.latent_frames for guide in guides if guide.is_appended)
