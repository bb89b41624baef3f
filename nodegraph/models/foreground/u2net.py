"""U²-Net and what was made of it: ISNet and RMBG-1.4. Tensors are named as in published files.

Source: Qin et al. 2020, arXiv:2005.09007 (U²-Net), and 2022, arXiv:2203.03041 (ISNet), with their
repositories xuebinqin/U-2-Net and xuebinqin/DIS (Apache 2.0).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.families.foreground_architectures import STAGES, U2NetShape

_DEPTHS = {"1": 7, "2": 6, "3": 5, "4": 4}
"""Convolutions downwards within a stage; those that aren't here are dilated ones."""
_DILATIONS = (1, 2, 4, 8)


class _Layer(nn.Module):
    def __init__(self, channels: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(channels, outputs, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(outputs)

    def forward(self, planes: Tensor) -> Tensor:
        return functional.relu(self.bn_s1(self.conv_s1(planes)))


def _halved(planes: Tensor) -> Tensor:
    return functional.max_pool2d(planes, 2, stride=2, ceil_mode=True)


def _resized(planes: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(
        planes, size=like.shape[-2:], mode="bilinear", align_corners=False
    )


class _Stage(nn.Module):
    """A small U-Net within the large one, added to what it is given.

    Args:
        dilations: Of its convolutions downwards, where it keeps its size; empty where it halves it
            before each but the second and the last, which is dilated by 2.
    """

    def __init__(
        self, channels: tuple[int, int, int], depth: int, dilations: Sequence[int] = ()
    ) -> None:
        super().__init__()
        in_channels, within, made = channels
        self._depth, self._halves = depth, not dilations
        down = dilations or (*[1] * (depth - 1), 2)
        up = dilations or [1] * depth
        self.rebnconvin = _Layer(in_channels, made)
        for at in range(1, depth + 1):
            source = made if at == 1 else within
            setattr(self, f"rebnconv{at}", _Layer(source, within, down[at - 1]))
        for at in range(1, depth):
            target = made if at == 1 else within
            setattr(self, f"rebnconv{at}d", _Layer(2 * within, target, up[at - 1]))

    def forward(self, planes: Tensor) -> Tensor:
        entry = self.rebnconvin(planes)
        features = [self._layer("1")(entry)]
        for at in range(2, self._depth + 1):
            halves = self._halves and at < self._depth
            features.append(self._layer(f"{at}")(_halved(features[-1]) if halves else features[-1]))
        made = features.pop()
        for at in range(self._depth - 1, 0, -1):
            skip = features.pop()
            made = self._layer(f"{at}d")(torch.cat((_resized(made, skip), skip), 1))
        joined: Tensor = made + entry
        return joined

    def _layer(self, name: str) -> nn.Module:
        return self.get_submodule(f"rebnconv{name}")


class U2Net(nn.Module):
    """The whole network."""

    def __init__(self, shape: U2NetShape) -> None:
        super().__init__()
        if shape.stem is not None:
            self.conv_in = nn.Conv2d(3, shape.stem, 3, stride=2, padding=1)
        self._has_stem, self._fused = shape.stem is not None, shape.fused
        for name, channels in zip(STAGES, shape.stages, strict=True):
            depth = _DEPTHS.get(name.rstrip("d"))
            dilations = () if depth else _DILATIONS
            setattr(self, f"stage{name}", _Stage(channels, depth or len(_DILATIONS), dilations))
        made = dict(zip(STAGES, (channels[2] for channels in shape.stages), strict=True))
        self._sides = 6 if shape.fused else 1
        for at in range(1, self._sides + 1):
            source = made[f"{at}d"] if at < 6 else made["6"]
            setattr(self, f"side{at}", nn.Conv2d(source, 1, 3, padding=1))
        if shape.fused:
            self.outconv = nn.Conv2d(6, 1, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """How surely each pixel is of the foreground, relative to the others.

        Args:
            picture: (batch, 3, height, width), normalised.
        Returns:
            (batch, 1, height, width), 0..1.
        """
        planes = self.conv_in(picture) if self._has_stem else picture
        features = [self.get_submodule("stage1")(planes)]
        for at in range(2, 7):
            features.append(self.get_submodule(f"stage{at}")(_halved(features[-1])))
        made = [features.pop()]
        for at in range(5, 0, -1):
            skip = features.pop()
            joined = torch.cat((_resized(made[-1], skip), skip), 1)
            made.append(self.get_submodule(f"stage{at}d")(joined))
        made.reverse()
        sides = [
            _resized(self.get_submodule(f"side{at + 1}")(planes), picture)
            for at, planes in enumerate(made[: self._sides])
        ]
        logits: Tensor = self.outconv(torch.cat(sides, 1)) if self._fused else sides[0]
        return logits.sigmoid()
