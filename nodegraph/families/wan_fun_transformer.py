"""Wan's transformer with a reference image or a camera: the Fun control and Fun camera models.

A reference image is a frame of tokens before the video's, from a convolution of its own. The rays
of a camera become features that are added to the video's tokens.

Source: ``wan_transformer3d.py`` and ``wan_camera_adapter.py`` of
https://github.com/aigc-apps/VideoX-Fun, whose layers they are; He et al. 2024, CameraCtrl,
arXiv:2404.02101, for the rays.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import Tensor, nn


class _ResidualBlock(nn.Module):
    """Two convolutions, added to what they get."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        hidden = torch.relu(self.conv1(features))
        return features + self.conv2(hidden)  # type: ignore[no-any-return]


class _CameraAdapter(nn.Module):
    """Features of camera rays, one for each token."""

    def __init__(self, channels: int, width: int, patch: tuple[int, int], blocks: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, patch, stride=patch)
        self.residual_blocks = nn.ModuleList(_ResidualBlock(width) for _ in range(blocks))

    def forward(self, rays: Tensor) -> Tensor:
        """Shape (n, channels, frames, height, width) to (n, width, frames, rows, columns)."""
        count, _, frames = rays.shape[:3]
        features = self.conv(rays.transpose(1, 2).flatten(0, 1))
        for block in self.residual_blocks:
            features = block(features)
        return features.unflatten(0, (count, frames)).transpose(1, 2)  # type: ignore[no-any-return]


class _PatchEmbedding(nn.Conv3d):
    """The first layer, which takes the reference image and the rays with the video.

    Args:
        channels: Of the video, with what conditions it.
        reference_channels: Of the reference image, which is the first frame, in the first channels;
            None if there is none.
        camera_channels: Of the rays, behind those of the video; None if there are none.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        patch: tuple[int, int, int],
        reference_channels: int | None,
        camera_channels: int | None,
        camera_blocks: int,
    ) -> None:
        super().__init__(channels, width, patch, stride=patch)
        cell = patch[1:]
        self.reference: nn.Conv2d | None = None
        self.camera: _CameraAdapter | None = None
        if reference_channels is not None:
            self.reference = nn.Conv2d(reference_channels, width, cell, stride=cell)
        if camera_channels is not None:
            self.camera = _CameraAdapter(camera_channels, width, cell, camera_blocks)

    def forward(self, hidden: Tensor) -> Tensor:
        reference = None
        if self.reference is not None:
            reference = self.reference(hidden[:, : self.reference.in_channels, 0])[:, :, None]
            hidden = hidden[:, :, 1:]
        tokens = super().forward(hidden[:, : self.in_channels])
        if self.camera is not None:
            tokens = tokens + self.camera(hidden[:, self.in_channels :])
        return tokens if reference is None else torch.cat([reference, tokens], 2)


class WanFunTransformer3DModel(WanTransformer3DModel):  # type: ignore[misc]
    """Wan's transformer, whose first layer takes a reference image, rays of a camera, or both.

    Its input has the channels of the video, and behind them those of the rays. With a reference
    image, the first frame is that image, in the first channels, and so is the first frame of the
    output, which has no meaning.

    Args:
        reference_channels: Of the latent of the reference image; None if it takes none.
        camera_channels: Of the rays; None if it takes none.
        camera_blocks: Residual blocks of the adapter for rays.
        patch_size: And all others: as of ``WanTransformer3DModel``.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 16,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = None,
        added_kv_proj_dim: int | None = None,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: int | None = None,
        reference_channels: int | None = None,
        camera_channels: int | None = None,
        camera_blocks: int = 1,
    ) -> None:
        super().__init__(
            patch_size=patch_size,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=num_layers,
            cross_attn_norm=cross_attn_norm,
            qk_norm=qk_norm,
            eps=eps,
            image_dim=image_dim,
            added_kv_proj_dim=added_kv_proj_dim,
            rope_max_seq_len=rope_max_seq_len,
            pos_embed_seq_len=pos_embed_seq_len,
        )
        self.patch_embedding = _PatchEmbedding(
            in_channels,
            num_attention_heads * attention_head_dim,
            (patch_size[0], patch_size[1], patch_size[2]),
            reference_channels,
            camera_channels,
            camera_blocks,
        )
