"""What nodes are called where nobody gave them a title."""

from __future__ import annotations

import re
from collections.abc import Mapping

_USUAL: Mapping[str, str] = {
    "BatchImagesNode": "Batch Images",
    "CheckpointLoaderSimple": "Load Checkpoint",
    "CheckpointLoader": "Load Checkpoint With Config (DEPRECATED)",
    "CLIPLoader": "Load CLIP",
    "CLIPSetLastLayer": "CLIP Set Last Layer",
    "CLIPTextEncode": "CLIP Text Encode (Prompt)",
    "CLIPVisionLoader": "Load CLIP Vision",
    "ComfyMathExpression": "Math Expression",
    "ComfySwitchNode": "Switch",
    "ConditioningCombine": "Conditioning (Combine)",
    "ConditioningConcat": "Conditioning (Concat)",
    "ConditioningSetArea": "Conditioning (Set Area)",
    "ConditioningSetAreaPercentage": "Conditioning (Set Area with Percentage)",
    "ConditioningSetMask": "Conditioning (Set Mask)",
    "ControlNetApply": "Apply ControlNet (OLD)",
    "ControlNetApplyAdvanced": "Apply ControlNet",
    "ControlNetApplySD3": "Apply Controlnet with VAE",
    "ControlNetLoader": "Load ControlNet Model",
    "DiffControlNetLoader": "Load ControlNet Model (diff)",
    "EmptyLatentImage": "Empty Latent Image",
    "ImageBatch": "Batch Images",
    "ImageInvert": "Invert Image",
    "ImagePadForOutpaint": "Pad Image for Outpainting",
    "ImageQuantize": "Image Quantize",
    "ImageScale": "Upscale Image",
    "ImageScaleBy": "Upscale Image By",
    "ImageScaleToTotalPixels": "Scale Image to Total Pixels",
    "ImageUpscaleWithModel": "Upscale Image (using Model)",
    "KSamplerAdvanced": "KSampler (Advanced)",
    "LatentCrop": "Crop Latent",
    "LatentFlip": "Flip Latent",
    "LatentRotate": "Rotate Latent",
    "LatentUpscale": "Upscale Latent",
    "LatentUpscaleBy": "Upscale Latent By",
    "LoadImage": "Load Image",
    "LoadImageMask": "Load Image (as Mask)",
    "LoadImageOutput": "Load Image (from Outputs)",
    "LoraLoader": "Load LoRA",
    "MarkdownNote": "Markdown Note",
    "PreviewAny": "Preview as Text",
    "PrimitiveBoolean": "Boolean",
    "PrimitiveFloat": "Float",
    "PrimitiveInt": "Int",
    "PrimitiveNode": "Primitive",
    "PrimitiveString": "String",
    "PrimitiveStringMultiline": "String (Multiline)",
    "RegexExtract": "Extract Text (Regex)",
    "RegexReplace": "Replace Text (Regex)",
    "RepeatLatentBatch": "Repeat Latent Batch",
    "ResizeImageMaskNode": "Resize Image/Mask",
    "StringConcatenate": "Concatenate",
    "StringFormat": "Format Text",
    "StyleModelApply": "Apply Style Model",
    "StyleModelLoader": "Load Style Model",
    "UNETLoader": "Load Diffusion Model",
    "UpscaleModelLoader": "Load Upscale Model",
    "VAEDecode": "VAE Decode",
    "VAEDecodeTiled": "VAE Decode (Tiled)",
    "VAEEncode": "VAE Encode",
    "VAEEncodeForInpaint": "VAE Encode (for Inpainting)",
    "VAEEncodeTiled": "VAE Encode (Tiled)",
    "VAELoader": "Load VAE",
}
_NO_LETTER = re.compile(r"[\W_]+")


def own_title(title: object, node_type: str) -> str:
    """A node's title, if somebody gave it one; empty if it only says what type it is.

    Args:
        title: As it is written; files of the API format always have one.
    """
    if not isinstance(title, str) or not title.strip():
        return ""
    is_usual = _letters(title) in (_letters(node_type), _letters(_USUAL.get(node_type, "")))
    return "" if is_usual else title


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", text).casefold()
