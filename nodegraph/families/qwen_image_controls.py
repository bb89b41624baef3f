"""Control networks for Qwen-Image that diffusers lacks: DiffSynth's and Alibaba's Fun.

Sources: https://github.com/modelscope/DiffSynth-Studio, ``qwen_image_controlnet.py``, and
https://github.com/aigc-apps/VideoX-Fun, ``qwenimage_transformer2d_control.py``; as ComfyUI has
them in ``comfy_extras/nodes_model_patch.py`` and ``comfy/ldm/qwen_image/controlnet.py``.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformerBlock
from torch import Tensor, nn

_EPSILON = 1e-6


class _BlockControl(nn.Module):
    """What is added behind one block, by the image's tokens there and those of the control."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.x_rms = nn.RMSNorm(width, eps=_EPSILON)
        self.y_rms = nn.RMSNorm(width, eps=_EPSILON)
        self.input_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, control: Tensor) -> Tensor:
        mixed = self.input_proj(self.x_rms(tokens) + self.y_rms(control))
        result: Tensor = self.output_proj(nn.functional.gelu(mixed))
        return result


class QwenImageBlockwiseControlNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """DiffSynth's control network: it adds to the image's tokens behind each block.

    Args:
        in_channels: Numbers of a latent's token.
        extra_condition_channels: Numbers beside them, of a mask.
        width: Of the transformer.
        num_layers: Blocks of the transformer.
    """

    _supports_gradient_checkpointing = False

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 64,
        extra_condition_channels: int = 0,
        width: int = 3072,
        num_layers: int = 60,
    ) -> None:
        super().__init__()
        self.img_in = nn.Linear(in_channels + extra_condition_channels, width)
        self.controlnet_blocks = nn.ModuleList(_BlockControl(width) for _ in range(num_layers))

    def forward(self, block: int, tokens: Tensor, control: Tensor) -> Tensor:
        """What is added behind a block.

        Args:
            block: Its number, from 0.
            tokens: Of the image behind it, (n, tokens, width).
            control: Of the control image, as `img_in` makes them; the same shape.
        """
        result: Tensor = self.controlnet_blocks[block](tokens, control)
        return result


class QwenImageFunControlBlock(QwenImageTransformerBlock):  # type: ignore[misc]
    """A block of Qwen-Image with what the control enters and leaves by.

    Args:
        is_first: Whether the control enters here.
    """

    def __init__(self, width: int, heads: int, head: int, *, is_first: bool) -> None:
        super().__init__(width, heads, head)
        if is_first:
            self.before_proj = nn.Linear(width, width)
        self.after_proj = nn.Linear(width, width)


class QwenImageFunControlNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Alibaba's Fun control network: a few blocks beside those of the transformer.

    Each of its blocks adds to a block of the transformer; they are evenly spread. It reads the
    tokens, the time and the prompt as the transformer reads them.

    Args:
        control_channels: Of what it is shown: a latent, a mask and a latent to fill.
        num_layers: Its blocks.
        num_attention_heads, attention_head_dim: As of the transformer.
    """

    _supports_gradient_checkpointing = False
    reads_own_prompt = True
    """Whether each side is led by its own prompt."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        control_channels: int = 33,
        num_layers: int = 5,
        num_attention_heads: int = 24,
        attention_head_dim: int = 128,
    ) -> None:
        super().__init__()
        width = num_attention_heads * attention_head_dim
        self.control_img_in = nn.Linear(4 * control_channels, width)
        self.control_blocks = nn.ModuleList(
            QwenImageFunControlBlock(
                width, num_attention_heads, attention_head_dim, is_first=number == 0
            )
            for number in range(num_layers)
        )

    def forward(
        self,
        transformer: Any,
        hidden_states: Tensor,
        control: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        img_shapes: list[list[tuple[int, int, int]]],
    ) -> list[Tensor]:
        """What is added behind each block of the transformer.

        Args:
            transformer: Of Qwen-Image, whose first layers it uses.
            hidden_states: The latent's tokens, (n, tokens, channels · 4).
            control: Tokens of the control, (n, tokens, `control_channels` · 4).
            timestep: In 0..1, (n,).
            encoder_hidden_states: The prompt, (n, tokens, width).
            img_shapes: As of ``QwenImageTransformer2DModel``.
        """
        tokens = transformer.img_in(hidden_states)
        prompt = transformer.txt_in(transformer.txt_norm(encoder_hidden_states))
        time = transformer.time_text_embed(timestep.to(tokens.dtype), tokens)
        rotary = transformer.pos_embed(
            img_shapes, max_txt_seq_len=prompt.shape[1], device=tokens.device
        )
        control_blocks: list[Any] = list(self.control_blocks)
        state = control_blocks[0].before_proj(self.control_img_in(control)) + tokens
        blocks = len(transformer.transformer_blocks)
        every = max(1, blocks // len(control_blocks))
        added = [torch.zeros_like(tokens)] * blocks
        for number, block in enumerate(control_blocks):
            prompt, state = block(state, prompt, None, time, rotary)
            if number * every < blocks:
                added[number * every] = block.after_proj(state)
        return added
