"""The network of a ControlNet-LLLite for Anima. Imports torch.

Source: kohya-ss, ``networks/control_net_lllite_anima.py`` of https://github.com/kohya-ss/sd-scripts,
in the names of the published files.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

_GROUPS = (8, 4, 2, 1)
"""Of a group norm: the most that divide the channels."""


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(next(count for count in _GROUPS if channels % count == 0), channels)


def _layer(taken: int, channels: int, size: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps rows and columns, its norm and its activation."""
    padding = dilation * (size // 2)
    convolution = nn.Conv2d(taken, channels, size, padding=padding, dilation=dilation)
    return nn.Sequential(convolution, _norm(channels), nn.SiLU())


class _Residual(nn.Module):
    """What is added to an image's features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(channels), _norm(channels)
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(functional.silu(self.norm1(x)))
        summed: Tensor = x + self.conv2(functional.silu(self.norm2(inner)))
        return summed


class _Surroundings(nn.Module):
    """Features of a pixel's surroundings, near and far, and of the whole image (ASPP).

    Source: Chen et al. 2017, arXiv:1706.05587.
    """

    def __init__(self, channels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            _layer(channels, channels, 1 if dilation == 1 else 3, dilation)
            for dilation in dilations
        )
        self.global_conv = _layer(channels, channels)
        self.proj = _layer(channels * (len(dilations) + 1), channels)

    def forward(self, x: Tensor) -> Tensor:
        whole = self.global_conv(x.mean((2, 3), keepdim=True)).expand_as(x)
        joined: Tensor = self.proj(torch.cat([*(branch(x) for branch in self.branches), whole], 1))
        return joined


class _Conditioning(nn.Module):
    """A control image as a vector for each token of the transformer."""

    def __init__(
        self, taken: int, width: int, embedding: int, residuals: int, dilations: Sequence[int]
    ) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.norm1 = nn.Conv2d(taken, half, 4, stride=4), _norm(half)
        self.conv2, self.norm2 = nn.Conv2d(half, half, 3, padding=1), _norm(half)
        self.conv3, self.norm3 = nn.Conv2d(half, width, 4, stride=4), _norm(width)
        self.resblocks = nn.ModuleList(_Residual(width) for _ in range(residuals))
        self.aspp = _Surroundings(width, dilations) if dilations else None
        self.proj, self.out_norm = nn.Conv2d(width, embedding, 1), nn.LayerNorm(embedding)

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in (
            (self.conv1, self.norm1),
            (self.conv2, self.norm2),
            (self.conv3, self.norm3),
        ):
            x = functional.silu(norm(convolution(x)))
        for block in self.resblocks:
            x = block(x)
        if self.aspp is not None:
            x = self.aspp(x)
        tokens: Tensor = self.out_norm(self.proj(x).flatten(2).transpose(1, 2))
        return tokens


class _Change(nn.Module):
    """What is added to the input of one layer: a small network that the image shifts and scales."""

    def __init__(self, width: int, embedding: int, inner: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)
        self.mid = nn.Linear(inner + embedding, inner)
        self.cond_to_film = nn.Linear(embedding, 2 * inner)
        self.depth_embed = nn.Parameter(torch.zeros(embedding))

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        image = image + self.depth_embed
        scale, shift = self.cond_to_film(image).chunk(2, -1)
        inner = self.mid(torch.cat([image, functional.silu(self.down(x))], -1))
        change: Tensor = self.up(functional.silu(inner * (1 + scale) + shift))
        return change


class AnimaControlLLLite(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """A ControlNet-LLLite: it changes what layers of the transformer get, by an image.

    Args:
        layers: Names of the layers, such as ``lllite_dit_blocks_0_self_attn_q_proj``.
        model_dim: Width of the transformer.
        image_channels: 3, or 4 with a mask.
        image_dim, embedding_dim, inner_dim: Widths inside.
        image_blocks: Residual blocks of the image.
        dilations: Of the image's surroundings; empty without these.
        mask_channels: 1 if it takes a mask. Else 0.
        hides_masked: Whether the pixels under the mask are gray.
    """

    config_name = "config.json"
    _supports_gradient_checkpointing = False

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        layers: Sequence[str],
        model_dim: int,
        image_channels: int = 3,
        image_dim: int = 64,
        embedding_dim: int = 32,
        inner_dim: int = 64,
        image_blocks: int = 0,
        dilations: Sequence[int] = (),
        mask_channels: int = 0,
        hides_masked: bool = False,
    ) -> None:
        super().__init__()
        self.lllite_conditioning1 = _Conditioning(
            image_channels, image_dim, embedding_dim, image_blocks, dilations
        )
        for name in layers:
            self.add_module(name, _Change(model_dim, embedding_dim, inner_dim))

    def forward(self, x: Tensor, image: Tensor | None = None, layer: str = "") -> Tensor:
        """Return what is added to a layer's input; without a layer, an image's vectors.

        Args:
            x: The layer's input, shape (n, tokens, width). Or a control image in -1..1, shape (n,
                3 or 4, height, width) in pixels.
            image: The vectors of the image, shape (n, tokens, embedding).
        """
        output: Tensor = (
            self.lllite_conditioning1(x) if image is None else self.get_submodule(layer)(x, image)
        )
        return output
