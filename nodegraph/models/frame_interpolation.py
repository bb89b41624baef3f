"""Frame interpolation by FILM: the network, and its use on the frames of a video.

Source: Reda et al. 2022, "FILM: Frame Interpolation for Large Motion", arXiv:2202.04901;
google-research/frame-interpolation, models/film_net (Apache 2.0).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.errors import InvalidFile, InvalidValue, NumericalError
from nodegraph.families.components import Component
from nodegraph.families.film_layout import (
    FILM_LEVELS,
    FLOW_CHANNELS,
    IMAGE_CHANNELS,
    FilmShape,
    FlowShape,
    film_shape,
)
from nodegraph.families.helper_recipes import FrameInterpolationModel
from nodegraph.media.images.memory_checks import check_memory
from nodegraph.weights.weight_files import read_tensors

_SLOPE = 0.2
"""Of the leaky ReLU behind each convolution."""
_LEAST_SIDE = 2 ** (FILM_LEVELS - 1)
"""Pixels, so that the coarsest level has one."""


class FramePyramid(NamedTuple):
    """What FILM sees of one frame, finest level first.

    Attributes:
        images: (1, 3, height, width), each level half the size of the one before.
        features: (1, channels, height, width) of the same sizes.
    """

    images: tuple[Tensor, ...]
    features: tuple[Tensor, ...]


class FilmNetwork(nn.Module):
    """FILM: finds the motion between two frames, and computes a frame between them.

    Its tensors are named as in published files.
    """

    def __init__(self, shape: FilmShape) -> None:
        super().__init__()
        self.shape = shape
        self.extract = nn.ModuleDict({"extract_sublevels": _FeatureLayers(shape.features)})
        self.predict_flow = _FlowEstimators(shape)
        self.fuse = _Fusion(shape)

    @property
    def device(self) -> torch.device:
        return self.fuse.output_conv.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.fuse.output_conv.weight.dtype

    def describe(self, image: Tensor) -> FramePyramid:
        """The pyramid of a frame.

        Args:
            image: (1, 3, height, width) in 0..1, of the network's device and dtype. Sides of at
                least 64 pixels.
        """
        images = [image]
        for _ in range(FILM_LEVELS - 1):
            images.append(_halve(images[-1]))
        layers = self.extract["extract_sublevels"]
        columns = [layers(item, FILM_LEVELS - level) for level, item in enumerate(images)]
        # A level joins the features of its size: one layer of its own image, two of the next
        # larger image, and so on.
        features = [
            torch.cat([columns[level - deep][deep] for deep in range(len(columns)) if deep <= level
                       and deep < len(self.shape.features)], 1)
            for level in range(FILM_LEVELS)
        ]  # fmt: skip
        return FramePyramid(tuple(images), tuple(features))

    def motion(self, source: FramePyramid, target: FramePyramid) -> tuple[Tensor, ...]:
        """Where each pixel of `source` lies in `target`.

        Returns:
            Offsets in x and y, in pixels of their level, float32, (1, 2, height, width), finest
            level first; only the levels that the fusion reads.
        """
        flows: list[Tensor] = []
        for level in reversed(range(FILM_LEVELS)):
            own, other = source.features[level], target.features[level]
            estimate = self.predict_flow.at(level)
            if not flows:
                flows.append(estimate(torch.cat([own, other], 1)).float())
                continue
            coarse = 2 * _resize(flows[-1], own)
            residual = estimate(torch.cat([own, warp(other, coarse)], 1))
            flows.append(coarse + residual.float())
        return tuple(reversed(flows))[: len(self.shape.fusion) + 1]

    def between(
        self,
        frames: tuple[FramePyramid, FramePyramid],
        motions: tuple[Sequence[Tensor], Sequence[Tensor]],
        time: float,
    ) -> Tensor:
        """The frame at a time between two.

        Args:
            motions: From the first frame to the second, and back.
            time: 0 is the first frame, 1 the second.
        Returns:
            (1, 3, height, width), about 0..1.
        """
        first, second = frames
        aligned = []
        for level, (forth, back) in enumerate(zip(*motions, strict=True)):
            to_first, to_second = back * time, forth * (1 - time)
            dtype = first.images[level].dtype
            aligned.append(
                torch.cat(
                    [
                        warp(first.images[level], to_first),
                        warp(first.features[level], to_first),
                        warp(second.images[level], to_second),
                        warp(second.features[level], to_second),
                        to_first.to(dtype),
                        to_second.to(dtype),
                    ],
                    1,
                )
            )
        frame: Tensor = self.fuse(aligned)
        return frame


def warp(planes: Tensor, flow: Tensor) -> Tensor:
    """Planes with each pixel read from where the flow points, bilinear; the edges repeat.

    Args:
        planes: (1, channels, height, width).
        flow: Offsets in x and y in pixels, float32, (1, 2, height, width).
    Returns:
        As `planes`. It is computed in float32: half precision cannot tell neighboring pixels of a
        large frame apart.
    """
    height, width = planes.shape[-2:]
    columns = torch.arange(width, device=flow.device, dtype=torch.float32)
    rows = torch.arange(height, device=flow.device, dtype=torch.float32)
    # grid_sample counts the width of the planes from -1 to 1, between the outer edges of pixels.
    across = (2 * (columns[None, None] + flow[:, 0]) + 1) / width - 1
    down = (2 * (rows[None, :, None] + flow[:, 1]) + 1) / height - 1
    grid = torch.stack([across, down], -1)
    sampled = functional.grid_sample(
        planes.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled.to(planes.dtype)


def _halve(planes: Tensor) -> Tensor:
    return functional.avg_pool2d(planes, 2)


def _resize(planes: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(
        planes, size=like.shape[-2:], mode="bilinear", align_corners=False
    )


def _layer(inputs: int, outputs: int, kernel: int, *, activated: bool = True) -> nn.Sequential:
    """A convolution that keeps the size. Kernels of even size pad at the right and below."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if kernel % 2 == 0:
        # torch warns of padding="same" with these kernels.
        layers["padding"] = nn.ZeroPad2d((0, 1, 0, 1))
    layers["conv"] = nn.Conv2d(inputs, outputs, kernel, padding=(kernel - 1) // 2)
    if activated:
        layers["activation"] = nn.LeakyReLU(_SLOPE)
    return nn.Sequential(layers)


class _FeatureLayers(nn.Module):
    """Pairs of convolutions, each pair at half the size of the pair before."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        inputs = (IMAGE_CHANNELS, *widths)
        self.convs = nn.ModuleList(
            nn.Sequential(_layer(before, width, 3), _layer(width, width, 3))
            for before, width in zip(inputs, widths, strict=False)
        )

    def forward(self, image: Tensor, levels: int) -> list[Tensor]:
        """The features of an image, largest first, at most so many levels."""
        features: list[Tensor] = []
        for pair in list(self.convs)[:levels]:
            features.append(pair(_halve(features[-1]) if features else image))
        return features


class _FlowEstimator(nn.Module):
    """Motion between two frames at one level, by the features of both."""

    def __init__(self, channels: int, shape: FlowShape) -> None:
        super().__init__()
        inputs = [channels, *[shape.width] * (shape.layers - 1)]
        self._convs = nn.Sequential(
            *(_layer(before, shape.width, 3) for before in inputs),
            _layer(shape.width, shape.width // 2, 1),
            _layer(shape.width // 2, FLOW_CHANNELS, 1, activated=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        flow: Tensor = self._convs(features)
        return flow


class _FlowEstimators(nn.Module):
    """An estimator for each of the finest levels, and one that the coarser levels share."""

    def __init__(self, shape: FilmShape) -> None:
        super().__init__()
        *fine, coarse = (
            _FlowEstimator(2 * shape.feature_channels(level), flow)
            for level, flow in enumerate(shape.flows)
        )
        self._predictor = coarse
        self._predictors = nn.ModuleList(reversed(fine))

    def at(self, level: int) -> nn.Module:
        """The estimator of a level, counted from the finest one."""
        fine = len(self._predictors)
        return self._predictors[fine - 1 - level] if level < fine else self._predictor


class _Fusion(nn.Module):
    """A U-Net's decoder over the aligned frames."""

    def __init__(self, shape: FilmShape) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        last = len(shape.fusion)
        before = shape.aligned_channels(last)
        for level, width in zip(reversed(range(last)), shape.fusion, strict=True):
            joined = shape.aligned_channels(level) + width
            self.convs.append(
                nn.ModuleList(
                    [
                        _layer(before, width, 2, activated=False),
                        _layer(joined, width, 3),
                        _layer(width, width, 3),
                    ]
                )
            )
            before = width
        self.output_conv = nn.Conv2d(before, IMAGE_CHANNELS, 1)

    def forward(self, aligned: Sequence[Tensor]) -> Tensor:
        """The frame, from aligned levels, finest first."""
        planes = aligned[-1]
        for layers, skip in zip(self.convs, reversed(aligned[:-1]), strict=True):
            narrow, *join = layers.children()
            larger = functional.interpolate(planes, size=skip.shape[-2:], mode="nearest")
            planes = torch.cat([skip, narrow(larger)], 1)
            for layer in join:
                planes = layer(planes)
        frame: Tensor = self.output_conv(planes)
        return frame


def load_frame_interpolator(recipe: FrameInterpolationModel) -> Component:
    """The network of a recipe, on the CPU.

    Raises:
        InvalidFile: It is damaged or of another kind.
    """
    tensors = read_tensors([recipe.path], recipe.dtype)
    shape = film_shape({name: tuple(item.shape) for name, item in tensors.items()})
    if shape is None:
        raise InvalidFile(f"{recipe.path} is not FILM", expected="a model for frame interpolation")
    with torch.device("meta"):
        network = FilmNetwork(shape)
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InvalidFile(
            f"{recipe.path} is FILM, but it is damaged: {reason}", hint="Copy the file again."
        ) from error
    return Component({"frame_interpolator": network}, recipe.family)


def count_interpolated(frames: int, multiplier: int) -> int:
    """How many frames `interpolate_frames` returns."""
    return (frames - 1) * multiplier + 1 if frames else 0


@torch.no_grad()
def interpolate_frames(
    interpolator: Component,
    frames: Tensor,
    multiplier: int,
    *,
    on_frame: Callable[[int, int], None] = lambda step, total: None,
) -> Tensor:
    """Frames with new ones between each two neighbors, at even times. The frames stay as they are.

    Two frames are on the device at a time. FILM computes the time between two frames directly, as
    ComfyUI does; it was trained on the middle between two.

    Args:
        frames: float32 in 0..1, shape (frames, height, width, channels), 1, 3 or 4 of them. What
            is more than colors, such as transparency, fades evenly.
        multiplier: Into how many parts the time between two frames is divided. 1 adds no frames.
        on_frame: Receives, after each new frame, how many are done and how many there are.
    Returns:
        float32 in 0..1 on the CPU, shape ((frames - 1) * multiplier + 1, height, width, channels).
    Raises:
        InvalidValue: The multiplier is less than 1, or the result takes more memory than there is.
        NumericalError: A new frame has NaN or infinity.
    """
    if multiplier < 1:
        raise InvalidValue(
            "frames cannot be removed by interpolation",
            port="multiplier",
            given=str(multiplier),
            expected="1 or more",
        )
    amount, height, width, channels = frames.shape
    total = count_interpolated(amount, multiplier)
    check_memory(width, height, total, 4 * width * height * channels * total, port="multiplier")
    if amount < 2 or multiplier == 1:
        return frames
    network: FilmNetwork = interpolator.module
    result = torch.empty(total, height, width, channels)
    result[::multiplier] = frames
    new, done = (amount - 1) * (multiplier - 1), 0
    following = network.describe(_network_input(frames[0], network))
    for index in range(amount - 1):
        pair = following, network.describe(_network_input(frames[index + 1], network))
        following = pair[1]
        motions = network.motion(*pair), network.motion(*reversed(pair))
        for part in range(1, multiplier):
            time = part / multiplier
            colors = network.between(pair, motions, time)[0, :, :height, :width]
            frame = result[index * multiplier + part]
            frame.copy_(torch.lerp(frames[index], frames[index + 1], time))
            _put_colors(frame, colors.float().cpu().movedim(0, -1))
            done += 1
            on_frame(done, new)
    return result


def _network_input(frame: Tensor, network: FilmNetwork) -> Tensor:
    """A frame (height, width, channels) as (1, 3, height, width), with sides that FILM takes."""
    colors = frame[..., :3] if frame.shape[-1] >= 3 else frame[..., :1].expand(-1, -1, 3)
    planes = colors.movedim(-1, 0)[None].to(network.device, network.dtype)
    height, width = planes.shape[-2:]
    missing = (0, max(0, _LEAST_SIDE - width), 0, max(0, _LEAST_SIDE - height))
    return functional.pad(planes, missing, mode="replicate")


def _put_colors(frame: Tensor, colors: Tensor) -> None:
    """Write what the network computed into a frame of any channels."""
    if not torch.isfinite(colors).all():
        raise NumericalError("frame interpolation produced NaN or infinity", port="model")
    if frame.shape[-1] >= 3:
        frame[..., :3] = colors.clamp(0, 1)
    else:
        frame[..., :1] = colors.mean(-1, keepdim=True).clamp(0, 1)
