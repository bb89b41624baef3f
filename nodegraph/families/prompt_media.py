"""Prompts that name or are images, videos and sound. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.base import Warn
    from nodegraph.families.components import TextModel


@dataclass(frozen=True, slots=True)
class PromptMedia:
    """An image, a video, or sound, which a prompt names in its order.

    Attributes:
        frames: float32 in 0..1, shape (frames, height, width, 3): one of an image. None of sound
            alone.
        is_video: Whether the frames are a video.
        has_sound: Whether there is sound, which the text encoder does not hear.
    """

    frames: Tensor | None
    is_video: bool = False
    has_sound: bool = False


class MediaReader(ABC):
    """A family whose models see images, videos and sound beside what they generate, at any frame or
    as references; see
    `nodegraph.families.image_conditioning.MediaCondition`."""

    @abstractmethod
    def encode_media(
        self, model: TextModel, text: str, media: Sequence[PromptMedia], warn: Warn | None = None
    ) -> ConditioningEntry:
        """Encode a prompt with media; see `nodegraph.models.conditioning.encode_media`."""


class ImagePromptReader(ABC):
    """A family whose models take an image as their prompt, and no text."""

    @abstractmethod
    def encode_image(self, model: TextModel, image: Tensor) -> ConditioningEntry:
        """Encode an image; see `nodegraph.models.conditioning.encode_image_prompt`.

        Args:
            image: float32 in 0..1, shape (height, width, channels).
        """
