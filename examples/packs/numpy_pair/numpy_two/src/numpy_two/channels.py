"""Channels of images, with functions that numpy 2.1 added."""

from typing import Literal, NamedTuple

from nodegraph import Image, node


class OneChannel(NamedTuple):
    """Outputs of `SelectChannel`."""

    image: Image
    numpy: str


@node(category="image/adjust")
def SelectChannel(image: Image, channel: Literal["red", "green", "blue"] = "green") -> OneChannel:
    """Make a gray image of one channel.

    Args:
        image: Input image.
        channel: Channel to show.
    Returns:
        image: Gray image.
        numpy: Version of numpy that computed it.
    """
    import numpy
    import torch

    channels = numpy.unstack(image.numpy(), axis=-1)  # since numpy 2.1
    gray = channels[("red", "green", "blue").index(channel)]
    return OneChannel(torch.from_numpy(numpy.stack([gray] * 3, axis=-1)), numpy.__version__)
