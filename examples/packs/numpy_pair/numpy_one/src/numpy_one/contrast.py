"""Contrast of images, with functions that numpy 2 removed."""

from typing import NamedTuple

from nodegraph import Image, node


class Stretched(NamedTuple):
    """Outputs of `StretchContrast`."""

    image: Image
    numpy: str


@node(category="image/adjust")
def StretchContrast(image: Image) -> Stretched:
    """Stretch each image of a batch so that its darkest value is 0 and its brightest 1.

    Args:
        image: Input image. An image of one color is returned unchanged.
    Returns:
        image: Stretched image.
        numpy: Version of numpy that computed it.
    """
    import numpy
    import torch

    pixels = image.numpy()
    axes = tuple(range(1, pixels.ndim))
    low, high = pixels.min(axes, keepdims=True), pixels.max(axes, keepdims=True)
    is_flat = numpy.product([numpy.alltrue(low == high)]) == 1  # both are gone in numpy 2
    stretched = pixels if is_flat else (pixels - low) / numpy.where(high > low, high - low, 1)
    return Stretched(torch.from_numpy(stretched.astype("float32")), numpy.__version__)
