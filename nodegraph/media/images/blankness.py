"""Pictures that show nothing: what is the matter with a model that gave them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

_SHADE = 1 / 255


def blank_warnings(images: Tensor) -> Iterator[str]:
    """What is to be said of decoded pictures that are of one colour all over.

    Args:
        images: In 0..1, shape (batch, height, width, channels).
    """
    for index, picture in enumerate(images.flatten(1, 2)):
        darkest, brightest = picture.amin(0), picture.amax(0)
        if (brightest - darkest).max() >= _SHADE:
            continue
        colour = _NAMES.get(round(float(picture.mean()), 2), "of one colour")
        which = "the picture" if len(images) == 1 else f"picture {index + 1} of {len(images)}"
        yield (
            f"{which} is {colour} all over. If it ought to show something: lower cfg, take the "
            "model's own VAE, or load model and VAE with dtype float32, as some overflow in float16"
        )


_NAMES = {0.0: "black", 1.0: "white"}
