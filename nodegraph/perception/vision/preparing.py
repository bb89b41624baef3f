"""Pictures as models that see take them, and masks as pictures have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.nn import functional

from nodegraph.errors import InvalidFile
from nodegraph.media.images.images import to_pil
from nodegraph.media.images.masks import as_rgb
from nodegraph.perception.vision.values import VisionModel

_USUAL: Mapping[str, str] = {
    "SamModel": "SamImageProcessor",
    "SamHQModel": "SamImageProcessor",
    "CLIPSegForImageSegmentation": "ViTImageProcessor",
    "SegformerForSemanticSegmentation": "SegformerImageProcessor",
    "BeitForSemanticSegmentation": "BeitImageProcessor",
    "DPTForSemanticSegmentation": "DPTImageProcessor",
    "UperNetForSemanticSegmentation": "SegformerImageProcessor",
    "MobileViTForSemanticSegmentation": "MobileViTImageProcessor",
    "MobileNetV2ForSemanticSegmentation": "MobileNetV2ImageProcessor",
    "Mask2FormerForUniversalSegmentation": "Mask2FormerImageProcessor",
    "MaskFormerForInstanceSegmentation": "MaskFormerImageProcessor",
    "VitMatteForImageMatting": "VitMatteImageProcessor",
    "DepthAnythingForDepthEstimation": "DPTImageProcessor",
    "DPTForDepthEstimation": "DPTImageProcessor",
    "GLPNForDepthEstimation": "GLPNImageProcessor",
    "VitPoseForPoseEstimation": "VitPoseImageProcessor",
    "RTDetrForObjectDetection": "RTDetrImageProcessor",
    "RTDetrV2ForObjectDetection": "RTDetrImageProcessor",
    "DFineForObjectDetection": "RTDetrImageProcessor",
    "YolosForObjectDetection": "YolosImageProcessor",
}
"""Classes of transformers that prepare pictures, where the folder doesn't say."""


def image_processor(model: VisionModel) -> Any:
    """What prepares pictures for a model, as its folder says; by Pillow, without torchvision.

    Raises:
        InvalidFile: The installed transformers has none such.
    """
    settings = dict(model.preparation)
    named = settings.get("image_processor_type") or settings.get("feature_extractor_type") or ""
    plain = str(named).removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    for name in (plain, _USUAL.get(model.model.family, "")):
        kind = getattr(transformers, f"{name}Pil", None) if name else None
        if kind is not None:
            return kind.from_dict(settings)
    raise InvalidFile(
        f"{model.model.source} has its pictures prepared by {named or 'nothing that is named'}, "
        "which the installed transformers doesn't know."
    )


def preprocess(model: VisionModel, picture: Tensor, **further: Any) -> Mapping[str, Any]:
    """What a model takes of a picture: ``pixel_values`` and what else its preparation gives.

    Args:
        picture: (height, width, channels).
    """
    inputs: Mapping[str, Any] = image_processor(model)(
        images=to_pil(as_rgb(picture[None])[0]), return_tensors="pt", **further
    )
    return inputs


_SIDE, _MEAN, _DEVIATION = 1024, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""How SAM 2 was trained. Source: Ravi et al. 2024, arXiv:2408.00714, and its published files."""


def resize_for_sam2(preparation: Mapping[str, Any], picture: Tensor) -> Tensor:
    """A picture for SAM 2, whose own preparation needs torchvision: stretched to a square.

    Args:
        preparation: Of the model; it may name another size, mean and deviation.
        picture: (height, width, channels).
    Returns:
        (1, 3, side, side).
    """
    size = preparation.get("size")
    named = size if isinstance(size, Mapping) else {}
    side = int(named.get("height", _SIDE)), int(named.get("width", _SIDE))
    planes = as_rgb(picture[None]).movedim(-1, 1)
    square = functional.interpolate(
        planes, size=side, mode="bilinear", align_corners=False, antialias=True
    )
    mean = torch.tensor(preparation.get("image_mean") or _MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(preparation.get("image_std") or _DEVIATION).view(1, 3, 1, 1)
    return (square - mean) / deviation


def scaled(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Planes, (number, channels, height, width), in another height and width."""
    return functional.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
