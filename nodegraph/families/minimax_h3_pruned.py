"""The pruned transformer of MiniMax H3: a table stands for the embedding of timesteps.

The embedding is a smooth curve over the time from 0 to 1, so its activations lie near a space of
few dimensions; published files have 8. The file holds points of the curve in these dimensions, and
each modulation is a layer of them, without an activation. So 26 of 66 GB are left out.

Source: ComfyUI, ``comfy/ldm/minimax/model.py`` (``adaln_t_table``).
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import get_parameter_dtype
from diffusers.models.transformers.transformer_minimax_h3 import (
    MiniMaxH3AdaLayerNormModulation,
    MiniMaxH3AdaLayerNormOut,
    MiniMaxH3Transformer3DModel,
)
from torch import Tensor, nn


class _TimeTable(nn.Module):
    """A curve over the time from 0 to 1, straight between its points.

    Args:
        points: Rows of the table; the first is of 0, and the last of 1.
        width: Numbers of each.
    """

    def __init__(self, points: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(points, width))

    def forward(self, times: Tensor) -> Tensor:
        """Shape (n,) to (n, width)."""
        last = len(self.table) - 1
        places = times.float().clamp(0, 1) * last
        lower = places.floor().clamp(max=last - 1)
        index, share = lower.long(), (places - lower)[:, None]
        return torch.lerp(self.table[index].float(), self.table[index + 1].float(), share)


class _BlockModulation(MiniMaxH3AdaLayerNormModulation):  # type: ignore[misc]
    """The six modulations of a block, of a point of the curve."""

    def forward(self, temb: Tensor) -> tuple[Tensor, ...]:
        modulations: Tensor = self.linear(temb.to(get_parameter_dtype(self.linear)))
        return modulations.view(-1, 6 * self.hidden_size).chunk(6, dim=1)


class _OutputModulation(MiniMaxH3AdaLayerNormOut):  # type: ignore[misc]
    """The last norm, shifted and scaled by a point of the curve."""

    def forward(self, hidden_states: Tensor, temb: Tensor, timestep_indices: Tensor) -> Tensor:
        modulation = self.linear(temb.to(get_parameter_dtype(self.linear)))
        shift, scale = modulation.index_select(0, timestep_indices).chunk(2, dim=1)
        return self.norm(hidden_states) * (1.0 + scale) + shift  # type: ignore[no-any-return]


class MiniMaxH3PrunedTransformer3DModel(MiniMaxH3Transformer3DModel):  # type: ignore[misc]
    """MiniMax H3's transformer with a table for the embedding of timesteps.

    Args:
        time_embed_dim: Numbers of a point of the curve.
        time_points: Points of the curve.
        num_attention_heads: And all others: as of ``MiniMaxH3Transformer3DModel``.
    """

    ignore_for_config = ("freq_dim", "time_embed_hidden_dim")

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_attention_heads: int = 56,
        attention_head_dim: int = 128,
        hidden_size: int = 5376,
        num_layers: int = 50,
        num_refiner_layers: int = 2,
        ffn_dim: int = 14336,
        in_channels: int = 24,
        audio_in_channels: int = 32,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        text_dim: int = 5120,
        time_embed_dim: int = 8,
        time_points: int = 1025,
        rope_freq_dim: int = 16,
        rope_theta: float = 10000.0,
        norm_eps: float = 1e-5,
        qk_norm_eps: float = 1e-5,
        final_norm_eps: float = 1e-5,
    ) -> None:
        super().__init__(
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            hidden_size=hidden_size,
            num_layers=num_layers,
            num_refiner_layers=num_refiner_layers,
            ffn_dim=ffn_dim,
            in_channels=in_channels,
            audio_in_channels=audio_in_channels,
            patch_size=patch_size,
            text_dim=text_dim,
            # Of the embedding, which is replaced.
            freq_dim=2,
            time_embed_hidden_dim=1,
            time_embed_dim=time_embed_dim,
            rope_freq_dim=rope_freq_dim,
            rope_theta=rope_theta,
            norm_eps=norm_eps,
            qk_norm_eps=qk_norm_eps,
            final_norm_eps=final_norm_eps,
        )
        self.time_proj = nn.Identity()
        self.time_embedder = _TimeTable(time_points, time_embed_dim)
        for block in self.transformer_blocks:
            block.adaln_proj = _BlockModulation(time_embed_dim, hidden_size)
        self.norm_out = _OutputModulation(hidden_size, time_embed_dim, final_norm_eps)
