"""Pictures for models that follow one: an edge or depth map, or what is to be edited."""

from __future__ import annotations

from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.errors import InvalidValue
from nodegraph.families.base import CONTROL_IMAGE
from nodegraph.families.components import Autoencoder
from nodegraph.families.registry import get_family
from nodegraph.models.vae import encode_image
from nodegraph.sampling.inpainting import with_tensors


def with_control_image(
    autoencoder: Autoencoder, conditioning: Conditioning, image: Tensor, *, shown: bool = True
) -> Conditioning:
    """Prompts that bring a picture to follow.

    Args:
        autoencoder: Of the model.
        image: float32 in 0..1, shape (1, height, width, 3).
        shown: Whether the model sees it; else it is shown nothing, of its size.
    Raises:
        InvalidValue: There are several.
    """
    if image.shape[0] != 1:
        raise InvalidValue(
            "a model follows one picture",
            port="image",
            given=f"{image.shape[0]} pictures",
            expected="one",
            hint="ImageList takes a batch apart: what follows then runs for each.",
        )
    image_latent = encode_image(autoencoder, image).samples
    assert image_latent is not None
    if conditioning.family and get_family(conditioning.family).follows_unscaled:
        image_latent = image_latent / float(autoencoder.config["scaling_factor"])
    return with_tensors(conditioning, {CONTROL_IMAGE: image_latent if shown else image_latent * 0})
