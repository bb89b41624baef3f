"""The plain convolutional network that many published upscalers are of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from nodegraph.diffusion.upscaling.architectures import CompactShape


class CompactUpscaler(nn.Module):
    """3 x 3 convolutions at the size of what it is given, and one shuffle of channels into pixels.

    What it learns is the difference to the picture made larger by repeating its pixels. Its tensors
    are named as in published files of this kind (Real-ESRGAN's "compact" models, SRVGGNetCompact).
    Source: Wang et al. 2021, arXiv:2107.10833, and its repository's network of that name; the
    shuffle is Shi et al. 2016, arXiv:1609.05158.
    """

    def __init__(self, shape: CompactShape) -> None:
        super().__init__()
        self.shape = shape
        width, last = shape.width, shape.outputs * shape.scale**2
        layers: list[nn.Module] = [nn.Conv2d(shape.channels, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(shape.layers):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, last, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, channels, height, width), 0..1, to `scale` times the height and width."""
        scale = self.shape.scale
        difference = functional.pixel_shuffle(self.body(picture), scale)
        return difference + functional.interpolate(picture, scale_factor=scale, mode="nearest")
