"""What prompts of some models must have besides text, and what to say if they lack it.

Imports no torch. Nodes check it before a run, and families when they sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.errors import InvalidValue

STAGE_C_LATENT = "stage C latent"
"""What stage B of Stable Cascade follows."""
MASKED_IMAGE = "masked image"
"""What inpainting models fill. The latent may bring it, too: with a noise mask."""
DRIVING_VIDEO = "driving video"
"""What Wan Animate 2 follows."""

LACKING: Mapping[str, tuple[str, str]] = {
    # The first that a model takes is the one that it needs.
    "VACE context": (
        "the model is Wan VACE, and the conditioning has no control video",
        "Put a VaceConditioning between the prompt and the sampler. Its inputs for videos and "
        "images may stay empty.",
    ),
    "animation": (
        "the model is Wan Animate, and the conditioning has no poses and no face",
        "Put an AnimationConditioning between the prompt and the sampler.",
    ),
    "camera path": (
        "the model follows a camera, and the conditioning has no camera path",
        "Put a CameraConditioning between the prompt and the sampler. A static camera is one, too.",
    ),
    "control video": (
        "the model follows a control video, and the conditioning has none",
        "Put a ControlVideoConditioning between the prompt and the sampler.",
    ),
    "first image": (
        "the model is image-to-video, and the conditioning has no first image",
        "Put an ImageToVideoConditioning between the prompt and the sampler.",
    ),
    DRIVING_VIDEO: (
        "the model is Wan Animate 2, and the conditioning has no driving video",
        "Put a DrivingVideoConditioning between the prompt and the sampler.",
    ),
    STAGE_C_LATENT: (
        "stage B of Stable Cascade needs the latent of stage C, and the conditioning has none",
        "Put a StageBConditioning between the prompt and the sampler.",
    ),
    MASKED_IMAGE: (
        "the model fills masked images, and the conditioning has none",
        "Put an InpaintConditioning between the prompts and the sampler, or sample an image's "
        "latent with a noise mask.",
    ),
    "control image": (
        "the model needs a control image, and the conditioning has none",
        "Put an ImageConditioning between the prompts and the sampler.",
    ),
}
"""By what is added to a prompt: the message and the hint where a prompt lacks it."""


class MediaNeeds:
    """What prompts of a family's models must have, by the configuration of their denoiser."""

    needs_media: bool

    def needs_video_input(self, config: Mapping[str, Any]) -> bool:
        """Return whether prompts must have one of the model's `video_inputs`."""
        return self.needs_media

    def fills_masked_image(self, config: Mapping[str, Any]) -> bool:
        """Return whether the model is an inpainting model."""
        return False


def lacking_error(medium: str, port: str) -> InvalidValue:
    """Return the refusal of a prompt without something that the model needs.

    Args:
        medium: A key of `LACKING`.
        port: The port of the prompt.
    """
    message, hint = LACKING[medium]
    return InvalidValue(message, port=port, hint=hint)
