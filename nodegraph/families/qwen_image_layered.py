"""Qwen-Image-Layered: an image with alpha becomes a stack of layers. Imports no torch.

Source: https://github.com/QwenLM/Qwen-Image-Layered, and diffusers' ``QwenImageLayeredPipeline``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Resolutions
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import (
    pack_latents,
    reference_latents,
    reference_tensors,
    unpack_latents,
)
from nodegraph.families.qwen_image import QWEN_IMAGE, QWEN_IMAGE_FILE, QwenImage, qwen_image_config
from nodegraph.families.qwen_image_edit import QWEN_IMAGE_EDIT
from nodegraph.families.wan_vae import QWEN_IMAGE_LAYERED as LAYERED_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser

_BASE_TOKENS = 256
"""Tokens of an image of 256 x 256 pixels, for which the shift is e."""
_AREA = 640 * 640


CAPTION_SYSTEM = "You are a helpful assistant."
CAPTION_QUESTIONS: Mapping[str, str] = {
    "en": (
        "# Image Annotator\n"
        "You are a professional\n"
        "image annotator. Please write an image caption based on the input image:\n"
        "1. Write the caption using natural,\n"
        "descriptive language without structured formats or rich text.\n"
        "2. Enrich caption details by including: \n"
        " - Object\n"
        "attributes, such as quantity, color, shape, size, material, state, position, "
        "actions, and so on\n"
        " - Vision Relations\n"
        "between objects, such as spatial relations, functional relations, possessive "
        "relations, attachment relations, action\n"
        "relations, comparative relations, causal relations, and so on\n"
        " - Environmental details, such as weather, lighting,\n"
        "colors, textures, atmosphere, and so on\n"
        " - Identify the text clearly visible in the image, without translation or\n"
        "explanation, and highlight it in the caption with quotation marks\n"
        "3. Maintain authenticity and accuracy:\n"
        " - Avoid\n"
        "generalizations\n"
        " - Describe all visible information in the image, while do not add information not "
        "explicitly shown in\n"
        "the image\n"
    ),
    "zh": (
        "# 图像标注器\n"
        "你是一个专业的图像标注器。请基于输入图像，撰写图注:\n"
        "1.\n"
        "使用自然、描述性的语言撰写图注，不要使用结构化形式或富文本形式。\n"
        "2. 通过加入以下内容，丰富图注细节：\n"
        " - 对象的属性：如数量、颜色、形状、大小、位置、材质、状态、动作等\n"
        " -\n"
        "对象间的视觉关系：如空间关系、功能关系、动作关系、从属关系、比较关系、因果关系等"
        "\n"
        " - 环境细节：例如天气、光照、颜色、纹理、气氛等\n"
        " - 文字内容：识别图像中清晰可见的文字，不做翻译和解释，用引号在图注中强调\n"
        "3.\n"
        "保持真实性与准确性：\n"
        " - 不要使用笼统的描述\n"
        " -\n"
        "描述图像中所有可见的信息，但不要加入没有在图像中出现的内容\n"
    ),
}
"""By language: what the text encoder is asked of an image, which stands after the question.

The prompts of the training were written so; as diffusers' pipeline has it.
"""


def layered_mu(config: Mapping[str, Any], tokens: int, steps: int) -> float:
    """Return the logarithm of the shift, which grows with the side of a layer.

    Args:
        tokens: Of one layer.
    """
    return math.sqrt(tokens / _BASE_TOKENS)


def _config(shapes: Shapes) -> dict[str, Any]:
    return {
        **qwen_image_config(shapes),
        "use_additional_t_cond": True,
        "use_layer3d_rope": True,
    }


_FILE = denoiser_layout(
    "qwen-image-layered-transformer",
    "the transformer of Qwen-Image-Layered",
    "QwenImageTransformer2DModel",
    marks=(
        (
            "txt_norm.weight",
            "img_in.weight",
            "transformer_blocks.0.attn.add_k_proj.weight",
            "time_text_embed.addition_t_embedding.weight",
        ),
    ),
    config=_config,
    # Trainers of the published file use the schedule of Qwen-Image, with another shift.
    scheduler=QWEN_IMAGE_FILE.scheduler,
)


class QwenImageLayered(QwenImage):
    """Qwen-Image's transformer for stacks of images, which it tells apart by the layer's number.

    Layer 0 is the whole image, and the layers after it make it up. Without a reference image the
    layers are generated from the prompt alone, as ComfyUI does.
    """

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        if len(entry.references) > 1:
            raise InvalidValue(
                f"{self.title} takes one reference image",
                port=request.side,
                given=f"{len(entry.references)} images",
                hint="Use one ReferenceLatents with the latent of one image.",
            )
        # The VAE gives an image as a stack of one layer.
        flat = tuple(
            item.squeeze(2) if item.ndim == 5 and item.shape[2] == 1 else item
            for item in entry.references
        )
        fitted = super().fit(model, replace(entry, references=()), request)
        return fitted | reference_tensors(flat, request.side)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        layers, height, width = x.shape[2:]
        pictures = [*x.unbind(2), *reference_latents(batch)]
        grids = [(1, item.shape[-2] // 2, item.shape[-1] // 2) for item in pictures]
        positions: AbstractContextManager[None] = nullcontext()
        if len(pictures) == layers:
            # The network takes the last of the grids for the reference image's.
            grids.append((1, 1, 1))
            positions = _positions_without_reference(model.module)
        with positions:
            output: Tensor = model.module(
                hidden_states=torch.cat([pack_latents(item) for item in pictures], 1),
                timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
                encoder_hidden_states=batch["embeddings"],
                encoder_hidden_states_mask=None,
                img_shapes=[grids] * len(x),
                additional_t_cond=torch.zeros(len(x), dtype=torch.long, device=x.device),
                return_dict=False,
            )[0]
        own_tokens = layers * (height // 2) * (width // 2)
        stacked = output[:, :own_tokens].chunk(layers, 1)
        return torch.stack([unpack_latents(item, height, width) for item in stacked], 2)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine without a limit of length, as the pipeline does by default."""
        return away + cfg * (towards - away)

    def leads(self, class_name: str, config: Mapping[str, Any]) -> bool:
        return False


@contextmanager
def _positions_without_reference(transformer: Any) -> Iterator[None]:
    """Leave out the position of a reference image of one token, for one call."""

    def drop_last(
        layer: Any, inputs: Any, positions: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        images, words = positions
        return images[:-1], words

    hook = transformer.pos_embed.register_forward_hook(drop_last)
    try:
        yield
    finally:
        hook.remove()


QWEN_IMAGE_LAYERED = QwenImageLayered(
    "qwen-image-layered",
    "Qwen-Image-Layered",
    latent=LAYERED_LATENTS,
    pipelines=("QwenImageLayeredPipeline",),
    denoisers=(replace(QWEN_IMAGE.denoisers[0], files=(_FILE,)),),
    encoders=QWEN_IMAGE.encoders,
    tokenizers=QWEN_IMAGE_EDIT.tokenizers,
    noise="flow",
    spread="open",
    mu=layered_mu,
    multiple=16,
    # The prompt, and the image that is taken apart.
    held=TokenMemory(16, 1600 + 512),
    needs_negative=False,
    joint=False,
    accepts_prompts_of=("qwen-image",),
    speedups=QWEN_IMAGE.speedups,
    resolutions={"qwen-image-layered": Resolutions(_AREA, 32)},
    image_inputs=frozenset({"references"}),
    lora_signs=QWEN_IMAGE.lora_signs,
    comfyui_type="qwen_image",
)
