"""Networks for foreground masks: BiRefNet, and U2-Net with ISNet and RMBG-1.4.

BiRefNet's decoder names its tensors as published files do. Parts that only training uses are left
out.

Sources: BiRefNet, Zheng et al. 2024, arXiv:2401.03407, ZhengPeng7/BiRefNet (MIT); U²-Net, Qin et
al. 2020, arXiv:2005.09007, xuebinqin/U-2-Net; ISNet, Qin et al. 2022, arXiv:2203.03041,
xuebinqin/DIS (both Apache 2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.families.helper_networks import STAGES, BiRefNetShape, U2NetShape

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
            picture: (batch, 3, height, width), normalized.
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


def deformable_convolution(
    picture: Tensor, weight: Tensor, offsets: Tensor, strengths: Tensor, padding: int
) -> Tensor:
    """A convolution of stride 1 each of whose samples is taken off its place, and weighed.

    Between pixels it is sampled linearly; outside the image there are zeros. It is sampled in
    float32 whatever the weights are: in half precision places would be pixels off.

    Args:
        picture: (batch, channels, height, width).
        weight: (outputs, channels, k, k).
        offsets: (batch, 2 · k · k, height', width') in pixels: down and right of each tap, tap by
            tap, row by row.
        strengths: (batch, k · k, height', width').
    Returns:
        (batch, outputs, height', width'), those of an ordinary convolution.
    Source: Zhu et al. 2018, arXiv:1811.11168; arguments as of torchvision's deform_conv2d.
    """
    height, width = picture.shape[-2:]
    side, wide = weight.shape[-1], picture.float()
    made = None
    for tap in range(side * side):
        down, right = offsets[:, 2 * tap].float(), offsets[:, 2 * tap + 1].float()
        rows = _numbers(down, -2) + (tap // side - padding) + down
        columns = _numbers(right, -1) + (tap % side - padding) + right
        # To where the outer edges of the first and last pixel are -1 and 1.
        places = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), dim=-1)
        sampled = functional.grid_sample(
            wide, places, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        sampled = sampled.to(picture.dtype) * strengths[:, tap, None]
        part = functional.conv2d(sampled, weight[:, :, tap // side, tap % side, None, None])
        made = part if made is None else made + part
    assert made is not None
    return made


def _numbers(plane: Tensor, axis: int) -> Tensor:
    """0, 1, … along one axis of (batch, height, width), to be broadcast along the others."""
    count = torch.arange(plane.shape[axis], device=plane.device, dtype=torch.float32)
    return count[:, None] if axis == -2 else count


class DeformableConv(nn.Module):
    """A deformable convolution that finds its offsets and strengths (0 to 2) in the image."""

    def __init__(self, channels: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self._padding = kernel // 2
        taps = kernel * kernel
        self.offset_conv = nn.Conv2d(channels, 2 * taps, kernel, padding=self._padding)
        self.modulator_conv = nn.Conv2d(channels, taps, kernel, padding=self._padding)
        self.regular_conv = nn.Conv2d(channels, outputs, kernel, padding=self._padding, bias=False)

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, outputs, height, width)."""
        strengths = 2 * self.modulator_conv(picture).sigmoid()
        return deformable_convolution(
            picture,
            self.regular_conv.weight,
            self.offset_conv(picture),
            strengths,
            self._padding,
        )


GRIDS = {5: 32, 4: 16, 3: 8, 2: 4, 1: 1}
"""Into how many patches a side the image is cut for each of the decoder's looks at it."""
_EDGES = 16
"""Channels by which edges are told."""


def resized(planes: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """(batch, channels, height, width) in another height and width, corner on corner."""
    return functional.interpolate(planes, size=tuple(size), mode="bilinear", align_corners=True)


def patches(picture: Tensor, grid: int, *, colors_last: bool) -> Tensor:
    """An image's patches as channels.

    Args:
        picture: (batch, colors, height, width), sides multiples of `grid`.
        colors_last: Whether channels go by column, row and color, as RMBG-2.0 was trained; else by
            color, row and column.
    Returns:
        (batch, colors · grid², height / grid, width / grid).
    """
    batch, colors, height, width = picture.shape
    high, wide = height // grid, width // grid
    parts = picture.reshape(batch, colors, grid, high, grid, wide)
    order = (0, 4, 2, 1, 3, 5) if colors_last else (0, 1, 2, 4, 3, 5)
    return parts.permute(order).reshape(batch, -1, high, wide)


class _Branch(nn.Module):
    def __init__(self, channels: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.atrous_conv = DeformableConv(channels, outputs, kernel)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, planes: Tensor) -> Tensor:
        return functional.relu(self.bn(self.atrous_conv(planes)))


class _Pyramid(nn.Module):
    """Deformable convolutions of several sizes side by side, and the mean of all."""

    def __init__(self, channels: int, shape: BiRefNetShape) -> None:
        super().__init__()
        branch = shape.branch
        self.aspp1 = _Branch(channels, branch, 1)
        self.aspp_deforms = nn.ModuleList(
            _Branch(channels, branch, kernel) for kernel in shape.kernels
        )
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, branch, 1, bias=False),
            nn.BatchNorm2d(branch),
            nn.ReLU(),
        )
        self.conv1 = nn.Conv2d(branch * (2 + len(shape.kernels)), channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)

    def forward(self, planes: Tensor) -> Tensor:
        mean = self.global_avg_pool(planes).expand(-1, -1, *planes.shape[-2:])
        features = [self.aspp1(planes), *(branch(planes) for branch in self.aspp_deforms), mean]
        return functional.relu(self.bn1(self.conv1(torch.cat(features, 1))))


class _Block(nn.Module):
    def __init__(self, channels: int, outputs: int, shape: BiRefNetShape) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, shape.inner, 3, padding=1)
        self.bn_in = nn.BatchNorm2d(shape.inner)
        self.dec_att = _Pyramid(shape.inner, shape)
        self.conv_out = nn.Conv2d(shape.inner, outputs, 3, padding=1)
        self.bn_out = nn.BatchNorm2d(outputs)

    def forward(self, planes: Tensor) -> Tensor:
        within = functional.relu(self.bn_in(self.conv_in(planes)))
        made: Tensor = self.bn_out(self.conv_out(self.dec_att(within)))
        return made


class _ImageBranch(nn.Module):
    """What a block is told of the image itself."""

    def __init__(self, channels: int, within: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, within, 3, padding=1)
        self.conv_out = nn.Conv2d(within, outputs, 3, padding=1)

    def forward(self, planes: Tensor) -> Tensor:
        made: Tensor = self.conv_out(self.conv1(planes))
        return made


class _Lateral(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, planes: Tensor) -> Tensor:
        made: Tensor = self.conv(planes)
        return made


class _Decoder(nn.Module):
    """From the coarsest features to the finest, with a look at the image at each scale."""

    def __init__(self, shape: BiRefNetShape, channels: tuple[int, ...], *, colors_last: bool):
        super().__init__()
        self._colors_last = colors_last
        # By the numbers in names: 4 is the coarsest.
        widths = dict(zip((4, 3, 2, 1), channels, strict=True))
        after = {4: widths[3], 3: widths[2], 2: widths[1], 1: widths[1] // 2}
        picture_widths = {5: widths[4] // 8, 4: widths[4] // 8} | {
            at: widths[at] // 8 for at in (3, 2, 1)
        }
        for at, grid in GRIDS.items():
            setattr(
                self,
                f"ipt_blk{at}",
                _ImageBranch(3 * grid * grid, shape.image_channels, picture_widths[at]),
            )
        for at in (4, 3, 2, 1):
            block = _Block(widths[at] + picture_widths[at + 1], after[at], shape)
            setattr(self, f"decoder_block{at}", block)
        for at in (4, 3, 2):
            setattr(self, f"lateral_block{at}", _Lateral(after[at]))
            edges = (nn.Conv2d(after[at], _EDGES, 3, padding=1), nn.BatchNorm2d(_EDGES), nn.ReLU())
            setattr(self, f"gdt_convs_{at}", nn.Sequential(*edges))
            setattr(self, f"gdt_convs_attn_{at}", nn.Sequential(nn.Conv2d(_EDGES, 1, 1)))
        self.conv_out1 = nn.Sequential(nn.Conv2d(after[1] + picture_widths[1], 1, 1))

    def forward(self, picture: Tensor, features: list[Tensor]) -> Tensor:
        planes = features[3]
        for at in (4, 3, 2, 1):
            planes = self._part("decoder_block", at)(
                self._with_image_patches(planes, picture, at + 1)
            )
            if at == 1:
                break
            edges = self._part("gdt_convs_attn_", at)(self._part("gdt_convs_", at)(planes))
            finer = features[at - 2]
            planes = resized(planes * edges.sigmoid(), finer.shape[-2:])
            planes = planes + self._part("lateral_block", at)(finer)
        whole = resized(planes, picture.shape[-2:])
        made: Tensor = self.conv_out1(self._with_image_patches(whole, picture, 1))
        return made

    def _with_image_patches(self, planes: Tensor, picture: Tensor, at: int) -> Tensor:
        cut = patches(picture, GRIDS[at], colors_last=self._colors_last)
        return torch.cat((planes, self._part("ipt_blk", at)(cut)), 1)

    def _part(self, name: str, at: int) -> nn.Module:
        return self.get_submodule(f"{name}{at}")


class BiRefNet(nn.Module):
    """The whole network.

    Args:
        backbone: Swin transformer that gives four ``feature_maps``, the finest first.
        colors_last: See `patches`.
    """

    def __init__(self, shape: BiRefNetShape, backbone: nn.Module, *, colors_last: bool) -> None:
        super().__init__()
        # The image's features and those of its half, side by side.
        channels = tuple(2 * shape.width * 2**stage for stage in (3, 2, 1, 0))
        self.bb = backbone
        self.squeeze_module = nn.Sequential(_Block(sum(channels), channels[0], shape))
        self.decoder = _Decoder(shape, channels, colors_last=colors_last)

    def forward(self, picture: Tensor) -> Tensor:
        """How surely each pixel is of the foreground.

        Args:
            picture: (batch, 3, height, width), normalized; sides are multiples of 32.
        Returns:
            (batch, 1, height, width), 0..1.
        """
        features = self._features(picture)
        size = features[3].shape[-2:]
        joined = torch.cat([*(resized(item, size) for item in features[:3]), features[3]], 1)
        features[3] = self.squeeze_module(joined)
        logits: Tensor = self.decoder(picture, features)
        return logits.sigmoid()

    def _features(self, picture: Tensor) -> list[Tensor]:
        whole: Any = self.bb(picture).feature_maps
        half = resized(picture, (picture.shape[-2] // 2, picture.shape[-1] // 2))
        coarser: Any = self.bb(half).feature_maps
        return [
            torch.cat((fine, resized(coarse, fine.shape[-2:])), 1)
            for fine, coarse in zip(whole, coarser, strict=True)
        ]
