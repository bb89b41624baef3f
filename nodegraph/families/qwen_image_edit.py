"""Qwen-Image-Edit, and Edit Plus, which looks at several images. Imports no torch.

Source: Wu et al. 2025, arXiv:2508.02324, and https://github.com/QwenLM/Qwen-Image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Part, Warn, encoded
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.qwen_image import QWEN_IMAGE, QwenImage, last_states
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.single_files.language import QWEN25_VL

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import TextModel

PICTURE = "<|image_pad|>"
"""Stands in a prompt for each 28 x 28 pixels of an image."""
_LOOK = f"<|vision_start|>{PICTURE}<|vision_end|>"
_STEP, _MOST_RATIO = 32, 100

_TEMPLATE = (
    "<|im_start|>system\n"
    "Describe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. "
    "Generate a new image that meets the user's requirements while maintaining consistency with "
    "the original input where appropriate.<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""What is said around a prompt; the model was trained with it, so each letter counts.

Source: https://github.com/QwenLM/Qwen-Image, as diffusers' pipelines have it.
"""
_TEMPLATE_TOKENS = 64
"""Its tokens before the prompt, by Qwen's vocabulary."""


def check_no_picture(text: str) -> None:
    """Refuse a prompt with the token that stands for images.

    Raises:
        InvalidValue: It has one; on port ``text``.
    """
    if PICTURE in text:
        raise InvalidValue(
            "the prompt contains a special token that stands for images",
            port="text",
            given=PICTURE,
            hint="Remove it: images are inserted before the prompt automatically.",
        )


def check_one_image(title: str, images: Sequence[Tensor]) -> None:
    """Refuse several images for a family that looks at one.

    Args:
        title: Of the family.
    Raises:
        InvalidValue: There are several; on port ``images``.
    """
    if len(images) > 1:
        raise InvalidValue(
            f"{title} takes one reference image",
            port="images",
            given=f"{len(images)} images",
            hint="Use one image, or put them next to each other with ImageStrip.",
        )


@dataclass(frozen=True)
class QwenImageEdit(QwenImage):
    """Images are seen twice: by the encoder beside the prompt, and as latents by the transformer.

    Attributes:
        image_template: What is said of the image of a number before the prompt.
        max_images: Images that it can look at.
        area: Pixels that the encoder sees of each.
    """

    image_template: str = _LOOK
    max_images: int | None = 1
    area: int = 1024 * 1024

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_edit(model, text, (), warn)

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        self._check(text, images)
        looks = "".join(self.image_template.format(number) for number in range(1, len(images) + 1))
        prompt = _TEMPLATE.format(looks + text)
        pixels: dict[str, Tensor] = {}
        if images:
            pixels, counts = preprocess_images(model.tokenizers["processor"], images, self.area)
            prompt = spread(prompt, counts)
        tokens = model.tokenizers["tokenizer"](prompt, return_tensors="pt")
        states = last_states(model, {**tokens, **pixels})
        return encoded({"embeddings": states[:, _TEMPLATE_TOKENS:]})

    def _check(self, text: str, images: Sequence[Tensor]) -> None:
        if self.max_images is not None and len(images) > self.max_images:
            check_one_image(self.title, images)
        for image in images:
            height, width = image.shape[:2]
            if max(height, width) > _MOST_RATIO * min(height, width):
                raise InvalidValue(
                    "a reference image is too narrow",
                    port="images",
                    given=f"{width} x {height} pixels",
                    expected=f"the longer side at most {_MOST_RATIO} times the shorter",
                )
        check_no_picture(text)


def seen_size(width: int, height: int, area: int) -> tuple[int, int]:
    """Width and height in pixels that the encoder sees of an image: about as many as `area`."""
    ratio = width / height
    wide = math.sqrt(area * ratio)
    return _in_steps(wide), _in_steps(wide / ratio)


def _in_steps(side: float) -> int:
    return round(side / _STEP) * _STEP


def preprocess_images(
    processor: Any, images: Sequence[Tensor], area: int
) -> tuple[dict[str, Tensor], list[int]]:
    """Images as the encoder takes them, and how many tokens each becomes."""
    from nodegraph.media.images.images import to_pil

    brought = []
    for image in images:
        drawn = to_pil(image).convert("RGB")
        brought.append(drawn.resize(seen_size(*drawn.size, area), resample=_LANCZOS))
    return image_features(processor, brought)


_ENCODER_RATIO = 200
"""Source: transformers, ``models/qwen2_vl/image_processing_pil_qwen2_vl.py``."""


def image_features(processor: Any, pictures: Sequence[Any]) -> tuple[dict[str, Tensor], list[int]]:
    """PIL images as the encoder takes them, and how many tokens each becomes.

    Raises:
        InvalidValue: An image is too narrow for the encoder; on port ``images``.
    """
    for width, height in (item.size for item in pictures):
        if max(width, height) > _ENCODER_RATIO * min(width, height):
            raise InvalidValue(
                "an image is too narrow for the text encoder",
                port="images",
                given=f"{width} x {height} pixels",
                expected=f"a longer side of at most {_ENCODER_RATIO} times the shorter one",
                hint="Put a CropImage before this node.",
            )
    features = dict(processor(images=list(pictures), return_tensors="pt"))
    counts = features["image_grid_thw"].prod(1) // processor.merge_size**2
    return features, [int(item) for item in counts]


_LANCZOS = 1
"""`PIL.Image.Resampling.LANCZOS`, without importing it here."""


def spread(prompt: str, counts: Sequence[int]) -> str:
    """A prompt with a mark for each token of its images."""
    first, *tails = prompt.split(PICTURE)
    parts = (PICTURE * count + part for count, part in zip(counts, tails, strict=True))
    return first + "".join(parts)


_COMMON: dict[str, Any] = {
    "latent": QWEN_IMAGE.latent,
    "denoisers": QWEN_IMAGE.denoisers,
    "encoders": (replace(QWEN_IMAGE.encoders[0], files=(QWEN25_VL,)),),
    "tokenizers": (
        *QWEN_IMAGE.tokenizers,
        Part(
            "processor",
            # By Pillow, as the other of the two needs torchvision.
            ("Qwen2VLImageProcessorPil",),
            vocabulary="qwen2.5-vl-pictures",
            processor="Qwen2VLProcessor",
        ),
    ),
    "noise": "flow",
    "spread": "ramp",
    "mu": line_mu,
    "multiple": 16,
    # with the tokens of an image of a megapixel to look at
    "held": TokenMemory(16, 4096 + 512),
    "needs_negative": False,
    "joint": False,
    "speedups": QWEN_IMAGE.speedups,
    "image_inputs": QWEN_IMAGE.image_inputs,
    "lora_signs": QWEN_IMAGE.lora_signs,
}

QWEN_IMAGE_EDIT = QwenImageEdit(
    "qwen-image-edit",
    "Qwen-Image-Edit",
    pipelines=("QwenImageEditPipeline", "QwenImageEditInpaintPipeline"),
    accepts_prompts_of=("qwen-image", "qwen-image-edit-plus"),
    comfyui_type="qwen_image",
    **_COMMON,
)
QWEN_IMAGE_EDIT_PLUS = QwenImageEdit(
    "qwen-image-edit-plus",
    "Qwen-Image-Edit Plus",
    pipelines=("QwenImageEditPlusPipeline",),
    accepts_prompts_of=("qwen-image", "qwen-image-edit"),
    image_template=f"Picture {{}}: {_LOOK}",
    max_images=None,
    area=384 * 384,
    comfyui_type="qwen_image",
    **_COMMON,
)
